"""A picture of what the filter did: accepted, borderline and rejected images of each class."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from PIL import Image, ImageDraw

from rayqc.images.decode import Limits, open_image, to_mode
from rayqc.ledger.manifest import load_files
from rayqc.printable import printable
from rayqc.report.base import JudgedPool, Output
from rayqc.report.font import font
from rayqc.report.images import images_of
from rayqc.storage import Folder, read_table
from rayqc.verdicts import ACCEPTED, REJECTED

TILE = 44
GAP = 2
PER_GROUP = 7
MOST_CLASSES = 20
LEFT = 96
TOP = 64
GROUPS = ("accepted, most central", "borderline, nearest to 1", "rejected, farthest out")
COLOURS = {ACCEPTED: (34, 139, 84), REJECTED: (196, 62, 52)}
INK, PALE, PAPER = (30, 30, 34), (120, 120, 128), (250, 250, 248)


@dataclass(frozen=True, kw_only=True)
class Pick:
    """One candidate to show."""

    id: str
    verdict: str
    score: float


def contact_sheet(filtered: Folder, classes: tuple[str, ...], title: str, limits: Limits) -> bytes:
    """PNG bytes: for each class a row of the most central accepted images, those whose score is
    nearest to 1 on either side, and those farthest out. Frames are green or red by verdict.

    Reads one shard at a time and keeps only the rows that may be shown.
    Only the first `MOST_CLASSES` classes are shown.
    """
    shown_classes = classes[:MOST_CLASSES]
    scores = _extremes(filtered, len(shown_classes))
    picks = [pick(scores, label) for label in range(len(shown_classes))]
    shown_ids = {candidate.id for row in picks for group in row for candidate in group}
    images = dict(images_of(filtered, shown_ids))
    width = LEFT + 3 * (PER_GROUP * (TILE + GAP) + 24)
    sheet = Image.new("RGB", (width, TOP + len(shown_classes) * (TILE + 18) + 8), PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((12, 10), title, INK, font(14))
    for column, group in enumerate(GROUPS):
        draw.text((_left(column), TOP - 24), group, PALE, font(11))
    for row, name in enumerate(shown_classes):
        top = TOP + row * (TILE + 18)
        draw.text((12, top + TILE // 2 - 8), _short(name), INK, font(13))
        for column, group_picks in enumerate(picks[row]):
            for number, candidate in enumerate(group_picks):
                left = _left(column) + number * (TILE + GAP)
                _paste(sheet, draw, images.get(candidate.id), candidate, (left, top), limits)
                draw.text((left + 8, top + TILE + 1), f"{candidate.score:.2f}", PALE, font(9))
    sink = io.BytesIO()
    sheet.save(sink, format="PNG")
    return sink.getvalue()


def pick(scores: pa.Table, label: int) -> tuple[list[Pick], list[Pick], list[Pick]]:
    """Images of one class to show: most central accepted, nearest to score 1, farthest rejected."""
    class_scores = scores.filter(
        pc.and_(pc.equal(scores["label"], label), pc.is_finite(scores["score"]))
    )
    score_N = np.asarray(class_scores["score"], dtype=float)
    accepted_N = np.asarray(pc.equal(class_scores["verdict"], ACCEPTED))
    order_N = np.argsort(score_N, kind="stable")
    central_rows = order_N[accepted_N[order_N]][:PER_GROUP]
    far_rows = order_N[~accepted_N[order_N]][::-1][:PER_GROUP]
    near_ranks = np.sort(np.argsort(np.abs(score_N[order_N] - 1), kind="stable")[:PER_GROUP])

    def picks(rows: np.ndarray) -> list[Pick]:
        return [
            Pick(
                id=class_scores["id"][int(row)].as_py(),
                verdict=ACCEPTED if accepted_N[row] else REJECTED,
                score=float(score_N[row]),
            )
            for row in rows
        ]

    return picks(central_rows), picks(order_N[near_ranks]), picks(far_rows)


def _extremes(filtered: Folder, classes: int) -> pa.Table:
    """Scores of images that may be shown: all that `pick` takes of any one shard."""
    columns = ["id", "label", "score", "verdict"]
    tables = []
    for shard in load_files(filtered)["scores"]:
        table = read_table(filtered, shard.path, columns=columns)
        picks = [pick(table, label) for label in range(classes)]
        shown_ids = {candidate.id for row in picks for group in row for candidate in group}
        tables.append(table.filter(pc.is_in(table["id"], pa.array(sorted(shown_ids), pa.string()))))
    return pa.concat_tables(tables)


def _paste(
    sheet: Image.Image,
    draw: ImageDraw.ImageDraw,
    data: bytes | None,
    candidate: Pick,
    corner: tuple[int, int],
    limits: Limits,
) -> None:
    left, top = corner
    frame = (left, top, left + TILE - 1, top + TILE - 1)
    draw.rectangle(frame, outline=COLOURS[candidate.verdict], width=2)
    if data is None:  # a rejected image that the filter did not write
        return
    side = TILE - 6
    image = to_mode(open_image(data, limits), 3)
    sheet.paste(image.resize((side, side), Image.Resampling.BICUBIC), (left + 3, top + 3))


def _left(column: int) -> int:
    return LEFT + column * (PER_GROUP * (TILE + GAP) + 24)


def _short(name: str) -> str:
    text = printable(name)
    return text if len(text) <= 10 else text[:9] + "."


def _sheet(pool: JudgedPool) -> bytes:
    accepted, read = pool.totals.outcomes[ACCEPTED], pool.totals.read
    title = f"rayqc: {accepted:,} of {read:,} accepted"
    return contact_sheet(pool.folder, pool.classes, title, pool.limits)


OUTPUT = Output(make=_sheet, of_runs_only=True, needs_images=True)
