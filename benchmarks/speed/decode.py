"""The one bounded decoder against Pillow alone, one thread, same process, interleaved."""

from __future__ import annotations

import io
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from benchmarks.speed.material import make_pool
from rayqc.images.decode import Limits, decode
from rayqc.images.look import ImageShape
from rayqc.schema import image_bytes

IMAGES = {"28 png": 2000, "32 png": 2000, "224 jpeg": 200}


def compare(rounds: int) -> dict[str, dict[str, float]]:
    """Microseconds an image by Pillow, and how many times as fast the decoder is."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for kind, count in IMAGES.items():
            place = Path(folder, "pool.parquet")
            place.unlink(missing_ok=True)
            make_pool(place, kind, count)
            data = image_bytes(pq.read_table(place))
            size = int(kind.split()[0])
            shape = ImageShape(size=size, channels=1 if kind == "28 png" else 3)
            limits = Limits()
            ways: tuple[Callable[[bytes], np.ndarray], ...] = (
                lambda one: np.asarray(Image.open(io.BytesIO(one))),
                lambda one, shape=shape, limits=limits: decode(one, shape, limits),
            )
            for one in data[:100]:
                assert np.array_equal(ways[0](one).ravel(), ways[1](one).ravel())
            spent = [[_seconds(way, data) / count for way in ways] for _ in range(rounds)]
            found[kind] = {
                "pillow_us": 1e6 * statistics.median(both[0] for both in spent),
                "ratio": statistics.median(both[0] / both[1] for both in spent),
            }
    return found


def _seconds(way: Callable[[bytes], np.ndarray], data: list[bytes]) -> float:
    begun = time.perf_counter()
    for one in data:
        way(one)
    return time.perf_counter() - begun
