"""What decoding photographs of 12 megapixels costs, whole and as far as is needed.

python -m benchmarks.large_jpegs DATA [--images 8]

DATA is a folder of Parquet files in Hugging Face's layout; its photographs are enlarged to 4,000 x
3,000 pixels with a grain of their own. Prints milliseconds an image, on one core, of views of 64
and 224 pixels (a pretrained network's), and by how much their pixels differ from those of the whole
image; ratios are to the baseline, which decodes all pixels and resizes them to each view.
"""

from __future__ import annotations

import argparse
import io
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from PIL import Image

from benchmarks.photographs import read
from rayqc.images.decode import Limits, decode_looks
from rayqc.images.detail import Detail
from rayqc.images.look import ImageShape
from rayqc.images.plain import plain_pixels

SIZE = (4000, 3000)
VIEWS = (
    ImageShape(size=64, channels=3),
    ImageShape(size=224, channels=3, kept_share=0.875, interpolation="bicubic"),
)
DETAIL = Detail(channels=3)
LIMITS = Limits()


def enlarged(image: Image.Image, rng: np.random.Generator) -> bytes:
    """A JPEG of 12 megapixels."""
    pixels = np.asarray(image.resize(SIZE, Image.Resampling.BICUBIC)).astype(float)
    grainy = np.clip(pixels + rng.normal(0, 4, pixels.shape), 0, 255).astype(np.uint8)
    sink = io.BytesIO()
    Image.fromarray(grainy).save(sink, "JPEG", quality=92)
    return sink.getvalue()


def whole(data: bytes) -> list[np.ndarray]:
    """The baseline: all pixels are decoded, and resized to each view."""
    pixels = plain_pixels(data, ("JPEG",), LIMITS.max_pixels)
    assert pixels is not None
    image = Image.fromarray(pixels)
    found = []
    for view in VIEWS:
        side = (view.kept_share or 1) * min(image.size)
        left, top = ((length - side) / 2 for length in image.size)
        box = None if view.kept_share is None else (left, top, left + side, top + side)
        resampling = Image.Resampling[view.interpolation.upper()]
        found.append(np.asarray(image.resize((view.size, view.size), resampling, box=box)))
    return found


def seconds(work: Callable[[bytes], object], data: list[bytes]) -> float:
    """The least of three rounds, an image."""
    rounds = []
    for _ in range(3):
        begun = time.perf_counter()
        for encoded in data:
            work(encoded)
        rounds.append((time.perf_counter() - begun) / len(data))
    return min(rounds)


def main() -> None:
    """Print a row for each way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--images", type=int, default=8)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    data = [enlarged(image, rng) for image in read(options.data, "train").images[: options.images]]
    ways: dict[str, Callable[[bytes], list[np.ndarray]]] = {
        "all pixels, resized to each view": whole,
        "views, tiles and seams (default)": lambda encoded: decode_looks(
            encoded, (*VIEWS, *DETAIL.looks), LIMITS
        ),
        "views and tiles": lambda encoded: decode_looks(
            encoded, (*VIEWS, *replace(DETAIL, seams=False).looks), LIMITS
        ),
        "views only": lambda encoded: decode_looks(encoded, VIEWS, LIMITS),
    }
    baseline = seconds(whole, data)
    print(f"{'way':40} {'ms':>6} {'times as fast':>14} {'mean level':>11} {'most':>5}")
    for name, way in ways.items():
        took = seconds(way, data)
        away = [
            np.abs(found.astype(int) - expected.astype(int))
            for encoded in data
            for found, expected in zip(way(encoded)[:2], whole(encoded), strict=True)
        ]
        mean, most = max(a.mean() for a in away), max(a.max() for a in away)
        print(f"{name:40} {1e3 * took:6.1f} {baseline / took:14.2f} {mean:11.3f} {most:5d}")


if __name__ == "__main__":
    main()
