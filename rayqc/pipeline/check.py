"""Decode every image of a path or of a configuration and count what fails; needs no Ray."""

from __future__ import annotations

import itertools
import resource
import time
from collections import Counter
from collections.abc import Iterator, Sequence

from rayqc.config import Config, Data, Files
from rayqc.config.settings import Image
from rayqc.images.decode import ImageShape, decode_batch, limits_of
from rayqc.pipeline.inputs import look_at_inputs
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
"""Image files read at once: they may be large."""
EXAMPLES = 3
SHAPE = ImageShape(size=32, channels=3)
"""What images are decoded to where the settings name no size or channels."""

Batch = tuple[list[str], Sequence[bytes | Problem | None]]
"""Names of images, and of each its bytes or why they could not be read."""


def check_images(path: str, settings: Image, progress: Progress) -> CheckResult:
    """Decode all images at a path, as filter and training would.

    Args:
        path: anything a pool may be, or any folder, whose files are all taken for images.

    Returns:
        Images read and decoded; failures by reason, with the first few names of each; images a
        second; this process's peak memory in MB.

    Raises:
        InputError: the path holds no images.
    """
    return _decode_all(*_batches(path, limits_of(settings).max_bytes), settings, progress)


def check_config(config: Config, progress: Progress) -> CheckResult:
    """Decode all images that a configuration names, after the checks that a run begins with.

    Names begin with the section: `references/`, `test/`, `pool/`.

    Returns:
        As `check_images`.

    Raises:
        UserError: a run with this configuration would be refused; see `look_at_inputs`.
    """
    look_at_inputs(config)
    sources = [("references", open_source(config.references))]
    test = config.test_data()
    if test is not None:
        sources.append(("test", open_source(test, split="test")))
    sources += [("pool", open_source(entry)) for entry in config.pool if isinstance(entry, Files)]
    max_bytes = config.image.max_bytes
    planned = [(section, source, source.units(ROWS)) for section, source in sources]
    total = sum(unit.count() for _, _, units in planned for unit in units)
    batches = itertools.chain.from_iterable(
        _of_source(source, units, max_bytes, f"{section}/") for section, source, units in planned
    )
    return _decode_all(total, batches, config.image, progress)


def _decode_all(
    total: int, batches: Iterator[Batch], settings: Image, progress: Progress
) -> CheckResult:
    shape = ImageShape(
        size=settings.size or SHAPE.size, channels=settings.channels or SHAPE.channels
    )
    limits = limits_of(settings)
    reason_counts: Counter[str] = Counter()
    examples: dict[str, list[str]] = {}
    images_read = 0
    started = time.monotonic()
    with progress.stage("check", total) as stage:
        for names, contents in batches:
            data = [content if isinstance(content, bytes) else None for content in contents]
            decode_problems = decode_batch(data, shape, limits)[1]
            for name, content, decode_problem in zip(names, contents, decode_problems, strict=True):
                problem = content if isinstance(content, tuple) else decode_problem
                if problem is not None:
                    reason_counts[problem[0]] += 1
                    examples_of_reason = examples.setdefault(problem[0], [])
                    if len(examples_of_reason) < EXAMPLES:
                        examples_of_reason.append(f"{name}: {problem[1]}")
            images_read += len(names)
            stage.advance(len(names))
    return {
        "images": images_read,
        "decoded": images_read - sum(reason_counts.values()),
        "reasons": dict(reason_counts.most_common()),
        "examples": examples,
        "images_a_second": images_read / max(time.monotonic() - started, 1e-9),
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000,
    }


def _batches(path: str, max_bytes: int) -> tuple[int, Iterator[Batch]]:
    """The number of images at a path, and all of them; larger than `max_bytes` is a problem."""
    if detect(path) != "folder":
        source = open_source(Data(path=path))
        units = source.units(ROWS)
        return sum(unit.count() for unit in units), _of_source(source, units, max_bytes)
    folder = Folder(path)
    names = [name for name in list_files(folder).files if not name.endswith("/")]
    refuse_undecodable(folder, names)
    return len(names), _of_folder(folder, names, max_bytes)


def _of_source(
    source: Source, units: list[Unit], max_bytes: int, prefix: str = ""
) -> Iterator[Batch]:
    for unit in units:
        table = source.read(unit, max_bytes)
        problems = problems_of(table)
        problem_data_pairs = zip(problems, image_bytes(table), strict=True)
        names = [f"{prefix}{name}" for name in table["id"].to_pylist()]
        yield names, [problem or data for problem, data in problem_data_pairs]


def _of_folder(folder: Folder, names: list[str], max_bytes: int) -> Iterator[Batch]:
    for start in range(0, len(names), FILES):
        batch_names = names[start : start + FILES]
        yield batch_names, [read_file(folder, name, max_bytes) for name in batch_names]
