"""Every image of a place through the decoder, and what came of it: no Ray, no labels, no model."""

from __future__ import annotations

import resource
import time
from collections import Counter
from collections.abc import Iterator, Sequence

from rayqc.config import Data
from rayqc.config.settings import Image
from rayqc.images.decode import ImageShape, decode_batch, limits_of
from rayqc.progress import Progress
from rayqc.results import CheckResult
from rayqc.schema import image_bytes
from rayqc.sources import detect, open_source
from rayqc.sources.base import Source
from rayqc.sources.listing import list_files, refuse_undecodable
from rayqc.sources.problems import Problem, problems_of
from rayqc.sources.reading import read_file
from rayqc.storage import Folder
from rayqc.units import Unit

ROWS = 256
FILES = 16
"""Read at once: image files may be large."""
EXAMPLES = 3
SHAPE = ImageShape(size=32, channels=3)
"""Any will do; where the settings name one, theirs is taken."""

Batch = tuple[list[str], Sequence[bytes | Problem | None]]
"""Names, and bytes or why there are none."""


def check_images(path: str, settings: Image, progress: Progress) -> CheckResult:
    """Decode all images at a path, as filter and training would.

    Args:
        path: anything a pool may be, or any folder, whose files are all taken for images.

    Returns:
        Images read, decoded, by reason of failure with the first few names; images a second, and
        the peak memory of this process in MB.

    Raises:
        InputError: nothing there.
    """
    shape = ImageShape(
        size=settings.size or SHAPE.size, channels=settings.channels or SHAPE.channels
    )
    limits = limits_of(settings)
    reasons: Counter[str] = Counter()
    examples: dict[str, list[str]] = {}
    read = 0
    started = time.monotonic()
    total, batches = _batches(path, limits.max_bytes)
    with progress.stage("check", total) as stage:
        for names, found in batches:
            data = [one if isinstance(one, bytes) else None for one in found]
            wrongs = decode_batch(data, shape, limits)[1]
            for name, met, failed in zip(names, found, wrongs, strict=True):
                wrong = met if isinstance(met, tuple) else failed
                if wrong is not None:
                    reasons[wrong[0]] += 1
                    held = examples.setdefault(wrong[0], [])
                    if len(held) < EXAMPLES:
                        held.append(f"{name}: {wrong[1]}")
            read += len(names)
            stage.advance(len(names))
    return {
        "images": read,
        "decoded": read - sum(reasons.values()),
        "reasons": dict(reasons.most_common()),
        "examples": examples,
        "images_a_second": read / max(time.monotonic() - started, 1e-9),
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000,
    }


def _batches(path: str, most: int) -> tuple[int, Iterator[Batch]]:
    """How many images there are, and all of them, each at most so many bytes."""
    if detect(path) != "folder":
        source = open_source(Data(path=path))
        units = source.units(ROWS)
        return sum(unit.count() for unit in units), _of_source(source, units, most)
    folder = Folder(path)
    names = [name for name in list_files(folder).files if not name.endswith("/")]
    refuse_undecodable(folder, names)
    return len(names), _of_folder(folder, names, most)


def _of_source(source: Source, units: list[Unit], most: int) -> Iterator[Batch]:
    for unit in units:
        table = source.read(unit, most)
        met = problems_of(table)
        found = zip(met, image_bytes(table), strict=True)
        yield table["id"].to_pylist(), [problem or data for problem, data in found]


def _of_folder(folder: Folder, names: list[str], most: int) -> Iterator[Batch]:
    for start in range(0, len(names), FILES):
        part = names[start : start + FILES]
        yield part, [read_file(folder, name, most) for name in part]
