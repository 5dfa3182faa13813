"""Decode every image of a path or of a configuration, and say what they are; needs no Ray.

Images are decoded in child processes, so that one that kills its decoder is named like any other
that cannot be decoded.
"""

from __future__ import annotations

import logging
import resource
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from rayqc.config import Config, Data, Files
from rayqc.config.settings import Image
from rayqc.errors import InputError, NoSuchSplitError
from rayqc.images.decode import Wrong, limits_of
from rayqc.images.guarded import guarded_decoder
from rayqc.pipeline.check_counts import CheckCounts
from rayqc.pipeline.inputs import look_at_inputs
from rayqc.pipeline.settings import without_untested_arms
from rayqc.progress import Progress
from rayqc.schema import image_bytes
from rayqc.sources import detect, open_source
from rayqc.sources.base import Source, Split
from rayqc.sources.listing import is_hidden, list_files, refuse_undecodable
from rayqc.sources.places import say_left_out
from rayqc.sources.problems import problems_of
from rayqc.sources.reading import read_file
from rayqc.storage import Folder
from rayqc.tool_results import CheckResult
from rayqc.units import READ_AT_ONCE, slices

logger = logging.getLogger(__name__)

FILES = 64
"""Image files read at once: they may be large."""
SPLITS: tuple[Split, ...] = ("train", "validation", "test")


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Images read together."""

    names: list[str]
    contents: Sequence[bytes | Wrong | None]
    """Encoded bytes, or why they could not be read."""
    classes: list[str]
    """Empty where an image has none."""


@dataclass(frozen=True, kw_only=True)
class Section:
    """What is looked at under one name: a split, or a section of the settings."""

    name: str
    total: int
    batches: Callable[[int], Iterator[Batch]]
    """Takes the most bytes of an image that is read."""


def check_images(data: Data, settings: Image, progress: Progress) -> CheckResult:
    """Decode all images at a path, as filter and training would.

    Args:
        data: where they are: anything a pool may be, or any folder of images.

    Returns:
        Images read and decoded; classes, sizes, modes and ranges of each split; duplicates;
        failures by reason, with the first names of each.

    Raises:
        InputError: the path holds no images.
    """
    return _look(_sections_of(data), settings, progress)


def check_config(config: Config, progress: Progress) -> CheckResult:
    """Decode all images that a configuration names, after the checks that a run begins with.

    Returns:
        As `check_images`, by section: `references`, `test`, and each pool entry's name.

    Raises:
        UserError: a run with this configuration would be refused; see `look_at_inputs`.
    """
    config = without_untested_arms(config)
    look_at_inputs(config, table=False)
    sections = [_of_source("references", open_source(config.references))]
    test = config.test_data()
    if test is not None:
        sections.append(_of_source("test", open_source(test, split="test")))
    for name, entry in zip(config.pool_names(), config.pool, strict=True):
        if isinstance(entry, Files):
            title = name if name == "pool" else f"pool {name}"
            sections.append(_of_source(title, open_source(entry)))
    return _look(sections, config.image, progress)


def _look(sections: list[Section], settings: Image, progress: Progress) -> CheckResult:
    limits = limits_of(settings)
    counts = CheckCounts([section.name for section in sections])
    started = time.monotonic()
    total = sum(section.total for section in sections)
    with progress.stage("check", total) as stage, guarded_decoder(limits) as decoder:
        for section in sections:
            for batch in section.batches(limits.max_bytes):
                data = [None if isinstance(each, tuple) else each for each in batch.contents]
                found = decoder.look(data)
                for row, name in enumerate(batch.names):
                    content = batch.contents[row]
                    facts = content if isinstance(content, tuple) else found[row]
                    counts.add(section.name, name, batch.classes[row], data[row], facts)
                stage.advance(len(batch.names))
    return {
        **counts.facts(),
        "images_a_second": total / max(time.monotonic() - started, 1e-9),
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000,
    }


def _sections_of(data: Data) -> list[Section]:
    """A section for each split of a path; one, `images`, where nothing tells splits."""
    try:
        source = open_source(data)
    except NoSuchSplitError:
        source = None
    except InputError as error:
        path = data.path or ""
        if detect(path) != "folder":
            raise
        logger.warning("a run would refuse this, so only its images are looked at: %s", error)
        return [_of_folder(Folder(path))]
    sections = []
    for split in SPLITS if data.split is None else ():
        try:
            of_split = open_source(data.model_copy(update={"split": split}))
        except NoSuchSplitError:
            continue
        sections.append(_of_source(split, of_split))
    if sections or source is None:
        return sections
    return [_of_source(data.split or "images", source)]


def _of_source(name: str, source: Source) -> Section:
    units = source.units(READ_AT_ONCE)

    def batches(max_bytes: int) -> Iterator[Batch]:
        for unit in units:
            table = source.read(unit, max_bytes)
            pairs = zip(problems_of(table), image_bytes(table), strict=True)
            known = dict(enumerate(source.classes))
            yield Batch(
                names=table["id"].to_pylist(),
                contents=[problem or data for problem, data in pairs],
                classes=[known.get(label, "") for label in table["label"].to_pylist()],
            )

    return Section(name=name, total=sum(unit.count() for unit in units), batches=batches)


def _of_folder(folder: Folder) -> Section:
    """All files of a folder, which has no class folders."""
    files = list_files(folder).files
    names = [name for name in files if not name.endswith("/") and not is_hidden(name)]
    say_left_out(folder, "hidden files", [name for name in files if is_hidden(name)])
    refuse_undecodable(folder, names)

    def batches(max_bytes: int) -> Iterator[Batch]:
        for start, stop in slices(len(names), FILES):
            read = names[start:stop]
            contents = [read_file(folder, name, max_bytes) for name in read]
            yield Batch(names=read, contents=contents, classes=[""] * len(read))

    return Section(name="images", total=len(names), batches=batches)
