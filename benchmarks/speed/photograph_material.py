"""Pools of JPEG photographs in any number, and runs with a pretrained encoder to judge them by."""

from __future__ import annotations

import io
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

import rayqc
from rayqc.schema import candidate_schema, image_bytes
from rayqc.sources import open_source
from rayqc.sources.select import read_all

QUALITY = 90
"""Of JPEG, with colours at half the resolution."""
LEAST_CROP = 0.7
"""Of a photograph's sides: what a pool's image shows of it at least."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What the images of a pool are like."""

    width: int
    height: int
    grain: float
    """Standard deviation of the brightness that is added to each pixel, of 255 levels. It gives
    files their usual size, since a photograph that was enlarged has no detail of its own."""
    group_rows: int
    """Rows of a row group."""


KINDS = {
    "small": Kind(width=500, height=375, grain=5, group_rows=100),
    "large": Kind(width=4000, height=3000, grain=7, group_rows=16),
}
"""Photographs of the web, some 50 kB, and of a camera of 12 megapixels, some 3.5 MB."""


@dataclass(frozen=True, kw_only=True)
class Photographs:
    """What pools are made from."""

    jpegs: list[bytes]
    labels: list[int]
    classes: tuple[str, ...]


def read_photographs(data: str) -> Photographs:
    """All images of the split `train` of a folder of Parquet files in Hugging Face's layout."""
    source = open_source(rayqc.make_config({"references": {"path": data}}).references)
    table = read_all(source)
    return Photographs(
        jpegs=[data or b"" for data in image_bytes(table)],
        labels=table["label"].to_pylist(),
        classes=source.classes,
    )


def make_pool(place: Path, kind: Kind, count: int, photographs: Photographs) -> None:
    """So many images as one Parquet file, each another crop of a photograph, half of them flipped.

    One process on each CPU makes them.
    """
    if place.exists():
        return
    schema = candidate_schema(photographs.classes)
    draft = place.with_suffix(".draft")
    with pq.ParquetWriter(draft, schema, compression="none", use_dictionary=False) as writer:
        starts = range(0, count, kind.group_rows)
        jobs = [(kind, start, min(start + kind.group_rows, count)) for start in starts]
        with ProcessPoolExecutor(initializer=_hold, initargs=(photographs, kind)) as workers:
            for rows in workers.map(_group, jobs):
                writer.write_table(pa.table(rows, schema=schema))
    draft.rename(place)


_material: tuple[Photographs, np.ndarray]
"""In a process that makes images: the photographs, and grain of (height, width) int16."""


def _hold(photographs: Photographs, kind: Kind) -> None:
    global _material  # noqa: PLW0603  (a process's own)
    grain = np.random.default_rng(0).normal(0, kind.grain, (kind.height, kind.width))
    _material = photographs, np.rint(grain).astype(np.int16)


def _group(job: tuple[Kind, int, int]) -> dict[str, list[object]]:
    kind, start, stop = job
    photographs, _ = _material
    rows = range(start, stop)
    count = len(photographs.jpegs)
    return {
        "id": [f"{row:08d}" for row in rows],
        "image": [{"bytes": _image(kind, row), "path": None} for row in rows],
        "label": [photographs.labels[row % count] for row in rows],
        "source": ["crop"] * len(rows),
        "parent": [None] * len(rows),
    }


def _image(kind: Kind, row: int) -> bytes:
    """The pool's image of that number."""
    photographs, grain_HW = _material
    rng = np.random.default_rng(row)
    data = photographs.jpegs[row % len(photographs.jpegs)]
    image = Image.open(io.BytesIO(data)).convert("RGB")
    sides = np.array(image.size) * rng.uniform(LEAST_CROP, 1, 2)
    left, top = (np.array(image.size) - sides) * rng.random(2)
    box = (left, top, left + sides[0], top + sides[1])
    image = image.resize((kind.width, kind.height), Image.Resampling.BICUBIC, box)
    if row % 2:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    brightness, *colours = image.convert("YCbCr").split()
    moved_HW = np.roll(grain_HW, tuple(rng.integers(0, grain_HW.shape)), (0, 1))
    grained_HW = np.clip(np.asarray(brightness) + moved_HW, 0, 255).astype(np.uint8)
    image = Image.merge("YCbCr", (Image.fromarray(grained_HW), *colours))
    sink = io.BytesIO()
    image.save(sink, "JPEG", quality=QUALITY)
    return sink.getvalue()


def make_run(place: Path, data: str, regions: str, precision: str, unit_rows: int) -> None:
    """A run on ten references a class with the pretrained encoder, fitted."""
    if (place / "stages" / "fit.json").exists() and '"done"' in (
        place / "stages" / "fit.json"
    ).read_text():
        return
    config = rayqc.make_config(
        {
            "references": {"path": data, "per_class": 10},
            "encoder": {"kind": "pretrained", "precision": precision},
            "regions": {"kind": regions, "measure_images": 0},
            "filter": {"unit_rows": unit_rows},
            "classify": {"arms": []},
        }
    )
    rayqc.train(config, str(place))
    rayqc.fit(str(place))
