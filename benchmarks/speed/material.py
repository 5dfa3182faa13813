"""Pools of real images in any number, and runs to judge them by."""

from __future__ import annotations

import io
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

import rayqc
from rayqc.images.decode import Limits, decode_native
from rayqc.schema import candidate_schema, image_bytes
from rayqc.sources import open_source
from rayqc.units import WHOLE

KINDS = ("28 png", "32 png", "224 jpeg", "28 raw")
CLASSES = tuple("0123456789")
ROWS_PER_GROUP = 2048
SHIFTS = 5
WIDTHS = {"light": 1 / 64, "eighth": 1 / 8, "paper": 1.0}


def make_pool(place: Path, kind: str, count: int) -> None:
    """So many of the package's digits, each moved a little, as one Parquet file."""
    if place.exists():
        return
    digits = _digits()
    schema = candidate_schema(CLASSES)
    if kind == "28 raw":
        schema = schema.set(1, pa.field("image", pa.list_(pa.uint8(), 28 * 28)))
    draft = place.with_suffix(".draft")
    with pq.ParquetWriter(draft, schema, compression="none", use_dictionary=False) as writer:
        starts = range(0, count, ROWS_PER_GROUP)
        with ProcessPoolExecutor() as workers:
            jobs = ((digits, kind, start, min(start + ROWS_PER_GROUP, count)) for start in starts)
            for rows in workers.map(_group, jobs):
                writer.write_table(pa.table(rows, schema=schema))
    draft.rename(place)


def _digits() -> tuple[list[np.ndarray], list[int]]:
    source = open_source(rayqc.make_config({"references": {"kind": "bundled"}}).references)
    tables = [source.read(unit) for unit in source.units(WHOLE)]
    table = pa.concat_tables(tables)
    pixels = [decode_native(data, Limits()) for data in image_bytes(table)]
    return pixels, table["label"].to_pylist()


def _group(
    job: tuple[tuple[list[np.ndarray], list[int]], str, int, int],
) -> dict[str, list[object]]:
    (digits, labels), kind, start, stop = job
    rows = range(start, stop)
    return {
        "id": [f"{row:08d}" for row in rows],
        "image": [_image(digits[row % len(digits)], kind, row // len(digits)) for row in rows],
        "label": [labels[row % len(digits)] for row in rows],
        "source": ["moved"] * len(rows),
        "parent": [None] * len(rows),
    }


def _image(digit: np.ndarray, kind: str, turn: int) -> object:
    """The digit moved by the turn's own step, in the kind's size and format."""
    moved = np.roll(digit, (turn % SHIFTS - 2, turn // SHIFTS % SHIFTS - 2), (0, 1))
    if kind == "28 raw":
        return moved.ravel()
    image = Image.fromarray(moved[..., 0])
    if kind != "28 png":
        # Colours and grain, so that it is worth compressing as photographs are.
        side = 32 if kind == "32 png" else 224
        rng = np.random.default_rng(turn * 7919 + int(moved.sum()))
        large = np.asarray(image.resize((side, side), Image.Resampling.BICUBIC), np.float32)
        grain = rng.normal(0, 6, (side, side, 3)) + rng.uniform(0, 60, 3)
        image = Image.fromarray(np.clip(large[..., None] * 0.7 + grain, 0, 255).astype(np.uint8))
    sink = io.BytesIO()
    image.save(sink, "JPEG" if kind == "224 jpeg" else "PNG", quality=90)
    return {"bytes": sink.getvalue(), "path": None}


def make_run(place: Path, width: float, regions: str, size: int, channels: int) -> None:
    """A fitted run on ten references a class. It is hardly trained, which costs the filter the
    same.
    """
    if (place / "stages" / "fit.json").exists() and '"done"' in (
        place / "stages" / "fit.json"
    ).read_text():
        return
    config = rayqc.make_config(
        {
            "references": {"kind": "bundled", "per_class": 10},
            "image": {"size": size, "channels": channels},
            "encoder": {"width": width, "steps": 10, "batch_size": 16, "allow_collapse": True},
            "regions": {"kind": regions, "measure_images": 0},
        }
    )
    rayqc.train(config, str(place))
    rayqc.fit(str(place))
