"""The images that the page shows: which ones, small pictures of them, and where they lie on a map.

Of a pool of any size only a bounded number of row groups is looked at, evenly spaced.

Shape suffixes: N images, D latent, R references.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from PIL import Image

from rayqc.images.decode import ImageError, Limits, open_image, to_mode
from rayqc.ledger.manifest import load_files
from rayqc.report.base import JudgedPool
from rayqc.report.images import images_of, opened
from rayqc.results import ScoreRow
from rayqc.schema import LATENT, score_schema, take_rows
from rayqc.seeds import chance_of
from rayqc.storage import Folder
from rayqc.units import evenly
from rayqc.verdicts import ACCEPTED, ERROR, REJECTED

MOST_SHOWN = 1_200
"""Images on the page, of all classes together."""
MOST_OF_A_GROUP = 24
"""Of a class's accepted, borderline or rejected images."""
LEAST_GROUPS, MOST_GROUPS = 24, 200
"""Row groups of scores that are looked at: one a class, within these bounds."""
MOST_REFERENCES = 400
MOST_ERRORS = 12
"""Images that could not be judged, of each reason."""
SIDE = 72
"""Pixels of a small picture's longer side."""
QUALITY = 70


@dataclass(frozen=True, kw_only=True)
class Shown:
    """An image on the page."""

    row: ScoreRow
    picture: str
    """A data URI; empty where there is no image."""
    latent: np.ndarray | None
    """(D,) float32; None where none was kept."""


def shown_images(pool: JudgedPool) -> list[Shown]:
    """Accepted, borderline and rejected images of each class, by class and score; then errors."""
    rows, latents = _picked(pool)
    ids = {row["id"] for row in rows}
    images = images_of(pool.folder, ids) if pool.has_images else ()
    pictures = {name: picture(data, pool.limits) for name, data in images}
    return [
        Shown(row=row, picture=pictures.get(row["id"], ""), latent=latents.get(row["id"]))
        for row in rows
    ]


def shown_references(pool: JudgedPool, wanted: set[str | None]) -> dict[str, str]:
    """Id of a reference to a small picture of it; of many references those wanted, and some more.

    Args:
        wanted: ids of those that stand beside an image of the page.
    """
    table = pool.references
    if table.num_rows > MOST_REFERENCES:
        beside = pc.is_in(table["id"], pa.array([name for name in wanted if name is not None]))
        some = evenly(table.num_rows, MOST_REFERENCES)
        rows = np.union1d(np.flatnonzero(np.asarray(beside)), some)
        table = take_rows(table, rows)
    return {
        row["id"]: picture(row["image"]["bytes"], pool.limits)
        for row in table.select(["id", "image"]).to_pylist()
    }


def picture(data: bytes | None, limits: Limits) -> str:
    """A small WebP picture of an encoded image as a data URI; empty where it cannot be decoded."""
    try:
        image = to_mode(open_image(data, limits, SIDE), 3)
    except ImageError:
        return ""
    side = max(image.size)
    if side > SIDE:
        width, height = (max(1, round(length * SIDE / side)) for length in image.size)
        image = image.resize((width, height), Image.Resampling.BOX, reducing_gap=2)
    sink = io.BytesIO()
    image.save(sink, format="WEBP", quality=QUALITY)
    return f"data:image/webp;base64,{base64.b64encode(sink.getvalue()).decode()}"


def positions(latent_ND: np.ndarray) -> np.ndarray:
    """(N, 2) places on a map: the two directions of largest spread (PCA), scaled to [0, 1]."""
    centred_ND = latent_ND - latent_ND.mean(0)
    _, _, direction_DD = np.linalg.svd(centred_ND, full_matrices=False)
    place_N2 = centred_ND @ direction_DD[:2].T
    low, high = place_N2.min(0), place_N2.max(0)
    scaled_N2: np.ndarray = (place_N2 - low) / np.maximum(high - low, 1e-9)
    return scaled_N2


def _picked(pool: JudgedPool) -> tuple[list[ScoreRow], dict[str, np.ndarray]]:
    """Rows to show, and the latents that were kept of them, by id."""
    columns = score_schema(pool.classes).names
    class_count = max(1, len(pool.classes))
    of_a_group = min(MOST_OF_A_GROUP, max(2, MOST_SHOWN // (3 * class_count)))
    tables = list(_sampled(pool.folder, [*columns, LATENT], class_count))
    table = pa.concat_tables(tables, promote_options="permissive")
    rows = [
        row
        for label in range(class_count)
        for row in _of_class(table.filter(pc.equal(table["label"], label)), of_a_group)
    ]
    failed = table.filter(pc.equal(table["verdict"], ERROR))
    for reason in sorted(failed["reason"].unique().to_pylist()):
        rows += failed.filter(pc.equal(failed["reason"], reason))[:MOST_ERRORS].to_pylist()
    latents = {}
    for row in rows:
        latent = row.pop(LATENT, None)
        if latent is not None and row["verdict"] != ERROR:
            latents[row["id"]] = np.asarray(latent, np.float32)
    return rows, latents


def _of_class(table: pa.Table, most: int) -> list[ScoreRow]:
    """Some images of a class by score: of each verdict by chance, those nearest to 1, copies."""
    table = table.filter(pc.not_equal(table["verdict"], ERROR))
    score_N = np.asarray(table["score"].fill_null(np.inf), dtype=float)
    verdict_N = np.array(table["verdict"].to_pylist(), object)
    chance_N = chance_of(table["id"].to_pylist())
    reason_N = np.array(table["reason"].to_pylist(), object)
    taken = set(np.argsort(np.abs(score_N - 1), kind="stable")[:most].tolist())
    copies = np.flatnonzero(np.array(table["near_copy"].to_pylist(), dtype=bool))
    taken.update(copies[np.argsort(chance_N[copies], kind="stable")][: max(2, most // 4)])
    for verdict in (ACCEPTED, REJECTED):
        of_verdict = np.flatnonzero(verdict_N == verdict)
        reasons = sorted(set(reason_N[of_verdict]))
        for reason in reasons:
            of_reason = of_verdict[reason_N[of_verdict] == reason]
            order = of_reason[np.argsort(chance_N[of_reason], kind="stable")]
            taken.update(order[: max(2, most // len(reasons))].tolist())
    rows = np.array(sorted(taken, key=lambda row: (score_N[row], row)), np.int64)
    found: list[ScoreRow] = table.take(pa.array(rows)).to_pylist()
    return found


def _sampled(filtered: Folder, columns: list[str], class_count: int) -> Iterator[pa.Table]:
    """Evenly spaced row groups of the scores, as tables of those columns that there are."""
    wanted = min(max(LEAST_GROUPS, class_count), MOST_GROUPS)
    shards = load_files(filtered)["scores"]
    for shard, most in zip(shards, _shares([part.rows for part in shards], wanted), strict=True):
        if most:
            with opened(filtered, shard) as file:
                count = file.num_row_groups
                numbers = np.unique(np.linspace(0, count - 1, min(most, count)).astype(int))
                yield file.read_row_groups(numbers.tolist(), columns=columns)


def _shares(rows: list[int], wanted: int) -> list[int]:
    """How many row groups to take of each shard, so that together they are about `wanted`."""
    edges = np.cumsum([0, *rows]) / max(1, sum(rows)) * wanted
    shares: list[int] = np.diff(np.ceil(edges).astype(int)).tolist()
    return shares
