"""How references and a pool are made: their sizes and file formats, compared before judging.

The scores `detail` and `seams` look at images at their own size. Where a pool differs from the
references in size or format by its making alone, as a generator's 512-pixel PNG from photographs in
JPEG, every image of it is unusual, and these scores say nothing of its quality.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rayqc.generators.sampled import SampledSource
from rayqc.images.detail import SIDE
from rayqc.images.facts import header_of
from rayqc.pipeline.run import Run
from rayqc.regions.calibrated import CalibratedRegions
from rayqc.regions.fitting import AT_OWN_SIZE
from rayqc.schema import image_bytes, take_rows
from rayqc.sources.base import Source
from rayqc.storage import read_json, write_json
from rayqc.storage.folder import Folder
from rayqc.units import Unit, evenly, single_rows

logger = logging.getLogger(__name__)

RECORD = "making.json"
LOOKED_AT = 100
"""Images of the references, and of each pool, whose headers are read."""
FACTOR = 1.5
"""Median shorter sides that differ by more than this are of different sizes."""
COMMON = 0.9
"""A format that this share of the images has is theirs."""


@dataclass(frozen=True, kw_only=True)
class Making:
    """What the files of a sample of images are."""

    shorter_side: int
    """Pixels, the median."""
    format: str
    """The format of at least `COMMON` of them; `mixed` where there is none."""


def making_of(encoded: Sequence[bytes | None]) -> Making | None:
    """Size and format of images, from their headers; None where none can be read."""
    headers = [header for header in map(header_of, encoded) if header is not None]
    if not headers:
        return None
    name, count = Counter(header.format for header in headers).most_common(1)[0]
    common = name if count >= COMMON * len(headers) else "mixed"
    shorter_side = int(np.median([header.shorter_side for header in headers]))
    return Making(shorter_side=shorter_side, format=common)


def differences(references: Making, pool: Making) -> list[str]:
    """What differs by making, in words; empty where nothing does."""
    sizes = sorted((references.shorter_side, pool.shorter_side))
    found = []
    if sizes[1] > FACTOR * sizes[0]:
        found.append(f"shorter sides of {pool.shorter_side} against {references.shorter_side} px")
    if "mixed" not in (references.format, pool.format) and references.format != pool.format:
        found.append(f"{pool.format} against {references.format}")
    return found


def compare_making(run: Run, name: str, source: Source, units: Sequence[Unit]) -> list[str]:
    """Warn where a pool's images are made unlike the references, and that would decide by itself.

    Args:
        name: of the pool, for the warning.
        units: of the source; headers of a few of their images are read.

    Returns:
        What differs, in words.
    """
    regions = run.regions.regions
    if not isinstance(regions, CalibratedRegions) or regions.detail is None:
        return []
    if isinstance(source, SampledSource):
        return []
    looked_at = take_rows(run.references, evenly(run.references.num_rows, LOOKED_AT))
    references = making_of(image_bytes(looked_at))
    tables = (source.read(unit, run.limits.max_bytes) for unit in single_rows(units, LOOKED_AT))
    pool = making_of([data for table in tables for data in image_bytes(table)])
    if references is None or pool is None:
        return []
    found = differences(references, pool)
    if found and regions.detail.shorter is None:
        scale = max(SIDE, min(references.shorter_side, pool.shorter_side))
        logger.warning(
            "%s is made unlike the references (%s), which the scores that look at images at their "
            "own size may take for a fault in every image of it; if that is only their making, "
            "compare them at one scale: `regions: {detail_side: %d}`, or leave these scores out: "
            "`regions: {scores: [%s]}`",
            name,
            "; ".join(found),
            scale,
            ", ".join(score for score in regions.scores if score not in AT_OWN_SIZE),
        )
    return found


def record_making(folder: Folder, found: dict[str, list[str]]) -> None:
    """Write what differs by making, by pool, into a filter's folder; nothing where nothing does."""
    if found:
        write_json(folder, RECORD, found)


def recorded_making(folder: Folder) -> dict[str, list[str]]:
    """What `record_making` wrote; empty where it wrote nothing."""
    return read_json(folder, RECORD) if folder.exists(RECORD) else {}
