"""Data that was copied or mounted anew: is its content what a run has read?

Fingerprints tell files by size, time and inode, which is quick, and changes with a copy. Where they
differ, what the run has read is read again and compared byte for byte.
"""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from rayqc.config import Config
from rayqc.ledger.commit import iter_commits
from rayqc.ledger.moved import File, fingerprints_of, has_moved, note_move
from rayqc.ledger.plan import LEDGER, load_plan
from rayqc.pipeline.generators import own_sources
from rayqc.pipeline.leaks import TEST_CONTENT, content_of_test, facts_of_known, images_of_test
from rayqc.pipeline.pool import filter_sources_of
from rayqc.pipeline.run import REFERENCES, Run
from rayqc.progress import Progress
from rayqc.schema import class_names
from rayqc.sources import open_source
from rayqc.sources.select import select_references
from rayqc.storage import Folder
from rayqc.units import Unit
from rayqc.work.known_images import contents_of
from rayqc.work.match_classes import PoolSource

logger = logging.getLogger(__name__)


def same_sections(
    folder: Folder, config: Config, sections: Sequence[str], progress: Progress
) -> set[str]:
    """The sections of the settings whose images are those that a run has read.

    Args:
        folder: of the run.
        config: says where the images are now.
        sections: of `references`, `test`, `pool`.
    """
    run = Run(folder, config, progress)
    compare: dict[str, Callable[[Run], int | None]] = {
        "references": _same_references,
        "test": _same_test,
        "pool": _same_pool,
    }
    same = set()
    for section in sections:
        if _is_same(section, functools.partial(compare[section], run)):
            same.add(section)
    return same


def _is_same(section: str, compare: Callable[[], int | None]) -> bool:
    """Whether the content is the same; says how many images were compared and how long it took."""
    started = time.monotonic()
    images = compare()
    if images is None:
        return False
    logger.info(
        "%s: copied or mounted anew; %d images were compared in %.1f s, and are those that the "
        "run has read",
        section,
        images,
        time.monotonic() - started,
    )
    return True


def _same_references(run: Run) -> int | None:
    """Number of references, if those drawn now are those of the run."""
    if not run.model.exists(REFERENCES):
        return None
    settings, known = run.config.references, run.references
    drawn = select_references(
        open_source(settings), settings.per_class, settings.seed, run.limits.max_bytes
    )
    same = (
        class_names(drawn.schema, "label") == run.classes
        and all(drawn[name].equals(known[name]) for name in ("id", "label"))
        and contents_of(drawn) == contents_of(known)
    )
    return int(drawn.num_rows) if same else None


def _same_test(run: Run) -> int | None:
    """Number of test images, if they are those that the run knows."""
    data, content = run.config.test_data(), facts_of_known(run).get(TEST_CONTENT)
    if data is None or content is None:
        return None
    images = images_of_test(open_source(data, split="test"), run)
    return len(images) if content_of_test(images) == content else None


def _same_pool(run: Run) -> int | None:
    """Number of candidates compared, if those judged so far are those of the run."""
    if not run.filtered.exists(LEDGER):  # nothing has been read; a limit counts all images
        return None if run.config.filter.limit else 0
    if not run.model.exists(REFERENCES):
        return None
    sources, units = filter_sources_of(run, own_sources(run))
    return compare_judged(run.filtered, sources, units, run.limits.max_bytes, run.progress)


def compare_judged(
    out: Folder,
    sources: Sequence[PoolSource],
    units: Sequence[Unit],
    max_bytes: int,
    progress: Progress,
) -> int | None:
    """Compare what a filter has judged with files that have other fingerprints than its plan's.

    Where it is the same, the folder's work goes on with these files. What is not judged yet is
    judged as it is now, and so needs no comparison.

    Args:
        units: of the files as they are now.

    Returns:
        How many images were compared; None where they differ, or cannot be compared, as those of a
        filter that 0.1.0 began.
    """
    plan = load_plan(out)
    now, before = fingerprints_of(units), fingerprints_of(plan)
    if _names_of(plan) != _names_of(units):
        return None
    changed = {file for file, fingerprint in before.items() if now[file] != fingerprint}
    commits = [
        commit
        for commit in iter_commits(out)
        if commit.unit < len(plan) and _file_of(plan[commit.unit]) in changed
    ]
    images = sum(commit.read for commit in commits)
    with progress.stage("compare", images) as stage:
        for commit in commits:
            unit = plan[commit.unit]
            source = sources[unit.entry]
            table = source.read(replace(unit, fingerprint=now[_file_of(unit)]), max_bytes)
            if not commit.content or source.content_of(table) != commit.content:
                return None
            stage.advance(commit.read)
    note_move(out, units)
    return images


def go_on_with_copies(
    out: Folder,
    sources: Sequence[PoolSource],
    units: Sequence[Unit],
    max_bytes: int,
    progress: Progress,
) -> None:
    """Let a filter go on whose files were copied or mounted anew; others are left to be refused."""
    if not out.exists(LEDGER) or not has_moved(out, units):
        return
    _is_same("pool", lambda: compare_judged(out, sources, units, max_bytes, progress))


def _file_of(unit: Unit) -> File:
    return unit.entry, unit.path


def _names_of(units: Sequence[Unit]) -> dict[File, tuple[int, tuple[str, ...]]]:
    """Of each file its number of rows and the names of its images, where they have names."""
    rows: dict[File, int] = {}
    names: dict[File, list[str]] = {}
    for unit in units:
        rows[_file_of(unit)] = rows.get(_file_of(unit), 0) + unit.count()
        names.setdefault(_file_of(unit), []).extend(unit.names)
    return {file: (count, tuple(names[file])) for file, count in rows.items()}
