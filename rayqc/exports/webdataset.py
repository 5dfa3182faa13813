"""Layout `webdataset`: tars of image, class number and facts, a tar for each shard."""

from __future__ import annotations

import io
import json
import tarfile

from rayqc.exports.base import ExportKind, ExportTask, ending_of

CLASSES = "classes.txt"
"""Names of the class numbers, one in a line."""


def write(task: ExportTask) -> str:
    """See `ExportKind.write`."""
    done = set(task.out.names())
    total = len(task.shards)
    for number, (_, table) in enumerate(task.tables()):
        name = f"train-{number:05d}-of-{total:05d}.tar"
        if name in done:
            continue
        sink = io.BytesIO()
        with tarfile.open(fileobj=sink, mode="w") as tar:
            for row_number, row in enumerate(table.to_pylist()):
                data = (row["image"] or {}).get("bytes") or b""
                # WebDataset takes what stands before a name's first dot for the sample's key.
                key = f"{number:05d}-{row_number:07d}"
                facts = {name: row[name] for name in ("id", "verdict", "score", "source")}
                label = -1 if row["label"] is None else row["label"]
                facts["class"] = None if label < 0 else task.classes[label]
                for ending, content in (
                    (ending_of(data), data),
                    (".cls", str(label).encode()),
                    (".json", json.dumps(facts).encode()),
                ):
                    member = tarfile.TarInfo(key + ending)
                    member.size = len(content)
                    tar.addfile(member, io.BytesIO(content))
        task.out.write(name, sink.getvalue())
    task.out.write(CLASSES, "".join(f"{name}\n" for name in task.classes).encode())
    pattern = f"train-{{00000..{total - 1:05d}}}-of-{total:05d}.tar"
    return f'webdataset.WebDataset({task.out.path(pattern)!r}).decode("pil")'


KIND = ExportKind(write=write)
