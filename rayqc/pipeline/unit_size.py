"""How a pool is cut into units: all actors work, progress is seen, and a crash costs little.

A unit's own cost (its parts are written and committed) is some 40 ms. Images that are encoded in
milliseconds go in larger units than those of which a core does thirty a second.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rayqc.config.settings import Filter
from rayqc.images.look import ImageShape
from rayqc.sources import Source
from rayqc.units import Unit, number

SMALL = 32
"""Pixels up to which an image is encoded in a millisecond."""
WANTED = 64
"""Units of a pool at least, while they stay within the rows below."""
ROWS_OF_SMALL, ROWS_OF_LARGE = (256, 2048), (64, 512)
"""Least and most rows of a unit."""


def unit_rows(settings: Filter, looked_at: ImageShape, images: int) -> int:
    """Images of a unit at most, in work on so many images.

    Args:
        settings: of the filter; their `unit_rows`, if given, is taken.
        looked_at: what the encoder sees of an image.
    """
    if settings.unit_rows is not None:
        return settings.unit_rows
    least, most = ROWS_OF_SMALL if looked_at.size <= SMALL else ROWS_OF_LARGE
    return min(most, max(least, -(-images // WANTED)))


def plan_units(sources: Sequence[Source], settings: Filter, looked_at: ImageShape) -> list[Unit]:
    """Units of sources that are judged together; a unit's `entry` is its source's number.

    A limit takes an even sample of all of them together.
    """
    by_source = units_of_all(sources, settings, looked_at)
    units = [replace(unit, entry=entry) for entry, own in enumerate(by_source) for unit in own]
    return number(units, settings.limit)


def units_of_all(
    sources: Sequence[Source], settings: Filter, looked_at: ImageShape
) -> list[list[Unit]]:
    """Units of each source, all of whose images are judged together, or a sample of them."""
    rows = unit_rows(settings, looked_at, 10**12)
    units = [source.units(rows) for source in sources]
    total = sum(unit.stop - unit.start for of_source in units for unit in of_source)
    judged = min(total, settings.limit or total)
    # A sample takes few rows of each unit, so the units are larger by as much.
    fitting = unit_rows(settings, looked_at, judged) * max(1, total // max(1, judged))
    if settings.unit_rows is not None or fitting == rows:
        return units
    return [source.units(fitting) for source in sources]
