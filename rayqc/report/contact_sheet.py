"""A picture of what the filter did: accepted, borderline and rejected images of each class."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from PIL import Image, ImageDraw, ImageFont

from rayqc.images.decode import Limits, open_image, to_mode
from rayqc.ledger.manifest import load_files
from rayqc.storage import Folder, read_table

TILE = 44
GAP = 2
PER_GROUP = 7
MOST_CLASSES = 20
LEFT = 96
TOP = 64
GROUPS = ("accepted, most central", "borderline, nearest to 1", "rejected, farthest out")
COLOURS = {"accepted": (34, 139, 84), "rejected": (196, 62, 52)}
INK, PALE, PAPER = (30, 30, 34), (120, 120, 128), (250, 250, 248)


@dataclass(frozen=True, kw_only=True)
class Pick:
    """One image to show."""

    id: str
    verdict: str
    score: float


def contact_sheet(filtered: Folder, classes: tuple[str, ...], title: str) -> bytes:
    """PNG bytes: a row a class, with the most central accepted images, those whose score is
    nearest to 1 on either side, and those farthest out, framed green or red by verdict.

    Reads the scores first, then only the shards' columns it needs for the images picked.
    Data sets of many classes show the first 20.
    """
    scores = pa.concat_tables(
        read_table(filtered, part.path, columns=["id", "label", "score", "verdict"])
        for part in load_files(filtered)["scores"]
    )
    shown = classes[:MOST_CLASSES]
    picks = [pick(scores, label) for label in range(len(shown))]
    images = _images(filtered, {p.id for row in picks for group in row for p in group})
    width = LEFT + 3 * (PER_GROUP * (TILE + GAP) + 24)
    sheet = Image.new("RGB", (width, TOP + len(shown) * (TILE + 18) + 8), PAPER)
    draw = ImageDraw.Draw(sheet)
    font, small = ImageFont.load_default(15), ImageFont.load_default(10)
    draw.text((12, 10), title, INK, font)
    for column, group in enumerate(GROUPS):
        draw.text((_left(column), TOP - 24), group, PALE, ImageFont.load_default(12))
    for row, name in enumerate(shown):
        top = TOP + row * (TILE + 18)
        draw.text((12, top + TILE // 2 - 8), _short(name), INK, font)
        for column, group_picks in enumerate(picks[row]):
            for place, found in enumerate(group_picks):
                left = _left(column) + place * (TILE + GAP)
                _paste(sheet, draw, images.get(found.id), found, left, top)
                draw.text((left + 8, top + TILE + 1), f"{found.score:.2f}", PALE, small)
    sink = io.BytesIO()
    sheet.save(sink, format="PNG")
    return sink.getvalue()


def pick(scores: pa.Table, label: int) -> tuple[list[Pick], list[Pick], list[Pick]]:
    """Images of one class to show: most central accepted, nearest to the boundary, farthest out."""
    mine = scores.filter(np.asarray(scores["label"].fill_null(-1)) == label)
    score_N = np.asarray(mine["score"].fill_null(np.nan), dtype=float)
    accepted_N = np.array([v == "accepted" for v in mine["verdict"].to_pylist()], dtype=bool)
    finite_N = np.isfinite(score_N)
    order_N = np.argsort(score_N, kind="stable")
    central = [row for row in order_N if accepted_N[row] and finite_N[row]]
    far = [row for row in order_N[::-1] if not accepted_N[row] and finite_N[row]]
    near = [row for row in np.argsort(np.abs(score_N - 1), kind="stable") if finite_N[row]]
    near = sorted(near[:PER_GROUP], key=lambda row: score_N[row])

    def picks(rows: list[int]) -> list[Pick]:
        return [
            Pick(
                id=mine["id"][int(row)].as_py(),
                verdict="accepted" if accepted_N[row] else "rejected",
                score=float(score_N[row]),
            )
            for row in rows[:PER_GROUP]
        ]

    return picks(central), picks(near), picks(far)


def _images(filtered: Folder, wanted: set[str]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    files = load_files(filtered)
    for part in files.get("accepted", []) + files.get("rejected", []):
        ids = read_table(filtered, part.path, columns=["id"])["id"].to_pylist()
        rows = [row for row, name in enumerate(ids) if name in wanted]
        if rows:
            table = read_table(filtered, part.path, columns=["id", "image"]).take(pa.array(rows))
            found |= {row["id"]: row["image"]["bytes"] for row in table.to_pylist()}
    return found


def _paste(
    sheet: Image.Image,
    draw: ImageDraw.ImageDraw,
    data: bytes | None,
    found: Pick,
    left: int,
    top: int,
) -> None:
    frame = (left, top, left + TILE - 1, top + TILE - 1)
    draw.rectangle(frame, outline=COLOURS[found.verdict], width=2)
    if data is None:  # rejected images that were not kept
        return
    inside = TILE - 6
    image = to_mode(open_image(data, Limits()), 3)
    sheet.paste(image.resize((inside, inside), Image.Resampling.BICUBIC), (left + 3, top + 3))


def _left(column: int) -> int:
    return LEFT + column * (PER_GROUP * (TILE + GAP) + 24)


def _short(name: str) -> str:
    return name if len(name) <= 10 else name[:9] + "."
