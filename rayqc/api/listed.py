"""Which images were judged how, and why; reads the ledger alone, so that it answers at once."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rayqc.errors import ConflictError
from rayqc.ledger.judged import Picked, judged_folder, judged_tables, write_csv
from rayqc.shown.commands import listed
from rayqc.shown.displayed import shown_by
from rayqc.tool_results import ListResult

CSV_SUFFIXES = (".csv", ".tsv", ".txt")
"""Of files that a list may replace."""


@shown_by(listed)
def list_images(
    source: str,
    *,
    verdicts: Sequence[str] = (),
    classes: Sequence[str] = (),
    reasons: Sequence[str] = (),
    first: int | None = None,
    csv: str | None = None,
) -> ListResult:
    """List judged images, and why each was judged as it was, in words.

    Args:
        source: a run whose `filter` is done, or what `filter_pool` or `refilter` wrote.
        verdicts: `accepted`, `rejected`, `error`; none of them asks for all.
        classes: names of classes; none asks for all.
        reasons: as in the column `reason`; none asks for all.
        first: most rows to return; None returns all.
        csv: file to write all of them to, local, whatever `first` says.

    Returns:
        Rows of the columns `ledger.judged.LISTED`, how many there are, and the file written.

    Raises:
        InputError: nothing was judged there, or no class or reason of that name.
        ConflictError: `csv` names another kind of file, which is there already.
    """
    filtered = judged_folder(source)
    if csv and Path(csv).suffix.lower() not in CSV_SUFFIXES and Path(csv).exists():
        raise ConflictError(f"{csv} exists and is no CSV by its name; name another file")
    picked = Picked(verdicts=tuple(verdicts), classes=tuple(classes), reasons=tuple(reasons))
    rows: list[dict[str, Any]] = []
    count = 0
    with contextlib.ExitStack() as stack:
        writer = stack.enter_context(write_csv(csv)) if csv else None
        for table in judged_tables(filtered, picked):
            wanted = table.num_rows if first is None else max(0, first - len(rows))
            rows += table.slice(0, wanted).to_pylist()
            count += table.num_rows
            if writer is not None:
                writer.write_table(table)
    return {"rows": rows, "count": count, "csv": csv}
