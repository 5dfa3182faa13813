"""The images that a filter judged: picked by verdict, class, reason or name, and why in words."""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from rayqc.errors import InputError
from rayqc.kinds import SCORES
from rayqc.ledger.commit import Part
from rayqc.ledger.manifest import is_finished, load_files, load_totals
from rayqc.results import ScoreRow
from rayqc.schema import class_names, score_schema
from rayqc.storage import Folder, read_table
from rayqc.storage.whole_file import whole_file
from rayqc.verdicts import ACCEPTED, DUPLICATE, ERROR, NOT_SELECTED, OVER_CAP, REJECTED

OUTSIDE = "_outside_region"
"""Ending of a rejected image's reason; before it stands the score that decided."""
MOST_NAMED = 8
"""Names that an error lists."""

LISTED = pa.schema(
    [
        ("id", pa.string()),
        ("class", pa.string()),
        ("verdict", pa.string()),
        ("why", pa.string()),
        ("score", pa.float32()),
        ("looks_like", pa.string()),
        ("nearest_reference", pa.string()),
        ("near_copy", pa.bool_()),
        ("reason", pa.string()),
        ("source", pa.string()),
    ]
)
"""Columns of a list of judged images; docs/data.md says what each holds."""


@dataclass(frozen=True, kw_only=True)
class Picked:
    """Which judged images are asked for; an empty tuple asks for all."""

    verdicts: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()


def why(row: ScoreRow, own: str | None) -> str:
    """Why an image was judged as it was, in words.

    Args:
        row: of `scores/`.
        own: name of its class; None where it has none.
    """
    verdict, reason = row["verdict"], str(row["reason"])
    if verdict == ACCEPTED:
        return "belongs to its class"
    if verdict == ERROR:
        return f"{reason.replace('_', ' ')}: {row['message']}" if row["message"] else reason
    if reason == OVER_CAP:
        return "belongs to its class, which has enough"
    if reason == NOT_SELECTED:
        return "belongs to its class, and was not chosen for the set"
    if reason == DUPLICATE:
        return "belongs to its class, and has a better copy in the set"
    score = reason.removesuffix(OUTSIDE)
    return words_of_score(score).format(own=own, other=row["nearest_class"])


def words_of_score(score: str) -> str:
    """What is wrong with an image that a score turned away; `{own}` and `{other}` are classes."""
    entry = SCORES.entries.get(score)
    if entry is not None and entry.says:
        return entry.says
    return "lies too far from {own}" if entry is None else f"its {score} is unlike that of {{own}}"


def judged_tables(filtered: Folder, picked: Picked) -> Iterator[pa.Table]:
    """The picked images in the order they are stored, in tables of the columns `LISTED`.

    Raises:
        InputError: no class, or no reason, of a name that is asked for.
    """
    shards = load_files(filtered)["scores"]
    classes = classes_of(filtered, shards[0])
    labels = [_number(name, classes, "class", filtered) for name in picked.classes]
    columns = score_schema(classes).names  # without the latents
    known_reasons = sorted(load_totals(filtered).reasons)
    for reason in picked.reasons:
        _number(reason, known_reasons, "reason", filtered)
    for shard in shards:
        table = read_table(filtered, shard.path, columns)
        for column, values in (
            ("verdict", picked.verdicts),
            ("label", labels),
            ("reason", picked.reasons),
        ):
            if values:
                table = table.filter(pc.is_in(table[column], pa.array(values)))
        rows = [_listed(row, classes) for row in table.to_pylist()]
        yield pa.Table.from_pylist(rows, schema=LISTED)


def judged_folder(source: str) -> Folder:
    """The folder of a filter's output, of a run or of any other.

    Raises:
        InputError: nothing was judged there, or the filter is not done.
    """
    folder = Folder(source)
    for filtered in (folder, folder.sub("filtered")):
        if is_finished(filtered) and "scores" in load_files(filtered):
            return filtered
    if not folder.names():
        raise InputError(f"there is nothing at {folder}: name a run folder, or what a filter wrote")
    raise InputError(
        f"{folder} holds no finished filter: name a run whose `filter` is done, or what "
        "`rayqc filter --out` or `rayqc refilter` wrote"
    )


def classes_of(filtered: Folder, shard: Part) -> tuple[str, ...]:
    """Names of the labels of a shard."""
    return class_names(read_table(filtered, shard.path, ["id", "label"]).schema, "label") or ()


@contextlib.contextmanager
def write_csv(path: str) -> Iterator[csv.CSVWriter]:
    """A writer of `LISTED` to a local file, which appears when it is whole."""
    with whole_file(Path(path)) as part, csv.CSVWriter(part, LISTED) as writer:
        yield writer


def _listed(row: ScoreRow, classes: Sequence[str]) -> dict[str, object]:
    own = None if row["label"] is None else classes[row["label"]]
    turned_away_as = row["verdict"] == REJECTED and row["reason"] == f"label{OUTSIDE}"
    return {
        **{name: row.get(name) for name in LISTED.names},
        "class": own,
        "why": why(row, own),
        "looks_like": row["nearest_class"] if turned_away_as else own,
    }


def _number(name: str, names: Sequence[str], noun: str, where: object) -> int:
    """Place of a name.

    Raises:
        InputError: it is not there; says which is most like it.
    """
    if name in names:
        return names.index(name)
    like = difflib.get_close_matches(name, names, 1)
    hint = f"; did you mean {like[0]!r}?" if like else "."
    more = ", ..." if len(names) > MOST_NAMED else ""
    raise InputError(
        f"{where} has no {noun} {name!r}{hint} It has {', '.join(names[:MOST_NAMED])}{more}"
    )


def find_id(filtered: Folder, name: str) -> tuple[ScoreRow, str | None]:
    """The row in `scores/` of an image, and the name of its class.

    Args:
        name: its id, or the path of its file, of which the last parts are enough.

    Raises:
        InputError: no judged image has this name, or several have.
    """
    shards = load_files(filtered)["scores"]
    alike = _rows_named(filtered, shards, name)
    parts = PurePath(name).parts
    found = [row for row in alike if row[0]["id"] == name]
    for first in range(len(parts)):  # the longest ending of the path that is an id's ending, too
        ending = "/".join(parts[first:])
        found = found or [row for row in alike if f"/{row[0]['id']}".endswith(f"/{ending}")]
    if not found:
        example = read_table(filtered, shards[0].path, columns=["id"])["id"][:1].to_pylist()
        raise InputError(
            f"{filtered} judged no image of id or path {name!r}; ids are such as {example}"
        )
    if len(found) > 1:
        ids = ", ".join(row["id"] for row, _ in found[:MOST_NAMED])
        raise InputError(f"{filtered} judged several images {name!r}: {ids}; give one's id")
    return found[0]


def _rows_named(
    filtered: Folder, shards: Sequence[Part], name: str
) -> list[tuple[ScoreRow, str | None]]:
    """Rows whose id is `name`, or ends in the last part of that path; with their classes."""
    rows: list[tuple[ScoreRow, str | None]] = []
    last = PurePath(name).name
    for shard in shards:
        ids = read_table(filtered, shard.path, columns=["id"])["id"]
        hit = pc.is_in(ids, pa.array([name, last], pa.string()))
        hit = pc.or_(hit, pc.ends_with(ids, f"/{last}"))
        if pc.any(hit).as_py():
            classes = classes_of(filtered, shard)
            table = read_table(filtered, shard.path, score_schema(classes).names).filter(hit)
            for row in table.to_pylist():
                rows.append((row, None if row["label"] is None else classes[row["label"]]))
    return rows
