"""Layout `hf`: Parquet shards and a data card, as the Hugging Face Hub and `datasets` read."""

from __future__ import annotations

from rayqc.exports.base import CARD_PATTERN, ExportKind, ExportTask
from rayqc.storage import table_bytes

CARD = "README.md"


def write(task: ExportTask) -> str:
    """See `ExportKind.write`."""
    done = set(task.out.names())
    total = len(task.shards)
    for number, (_, table) in enumerate(task.tables()):
        name = CARD_PATTERN.replace("*", f"train-{number:05d}-of-{total:05d}")
        if name not in done:
            task.out.write(name, table_bytes(table))
    task.out.write(CARD, task.card.encode())
    return f"datasets.load_dataset({str(task.out)!r})"


KIND = ExportKind(write=write)
