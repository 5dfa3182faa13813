"""Levels of deep pixels: chosen once, on the references; other images are held against them."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa

from rayqc.config.settings import Image as ImageSettings
from rayqc.errors import ArtefactError
from rayqc.images.decode import Limits, limits_of
from rayqc.images.deep import FULL_FLOAT, FULL_WHOLE, DeepPixels, Levels, levels_of
from rayqc.images.references import values_of_all
from rayqc.schema import each_image, image_bytes
from rayqc.sources import Source
from rayqc.sources.places import say_once
from rayqc.storage import Folder, read_json, write_json
from rayqc.units import Unit, single_rows

logger = logging.getLogger(__name__)

RECORD = "levels.json"
FORMAT = 1
MOST_LOOKED_AT = 16
"""Images of a pool that are looked at."""
FAINT = 8
"""White this many times too high leaves 32 of the 256 levels."""


def choose_levels(references: pa.Table, settings: ImageSettings, model: Folder) -> Levels | None:
    """Choose the levels of a run, write them into the folder of its encoder, and say so.

    Args:
        references: columns id, image.
        settings: section `image`; its range is `auto`, `full` or the levels themselves.

    Returns:
        The levels; None where each type's full range is taken.
    """
    deep_images = values_of_all(each_image(references), limits_of(settings))
    suitable = levels_of(deep_images)
    asked = settings.range
    levels = suitable if asked == "auto" else limits_of(settings).levels
    write_json(model, RECORD, {"format_version": FORMAT, "levels": levels})
    if deep_images:
        logger.info(
            "references: %d of %d have more than 8 bits, %s; black is %g, white is %g "
            "(image.range: %s)",
            len(deep_images),
            references.num_rows,
            _spread(deep_images),
            *_in_force(levels, deep_images),
            asked if isinstance(asked, str) else "a pair",
        )
        _warn_if_faint("references", deep_images, levels)
    return levels


def levels_in(model: Folder) -> Levels | None:
    """The levels that `choose_levels` wrote; None where there are none.

    Raises:
        ArtefactError: they are of another format version.
    """
    if not model.exists(RECORD):
        return None
    record = read_json(model, RECORD)
    if record.get("format_version") != FORMAT:
        raise ArtefactError(
            f"{model.path(RECORD)} has format version {record.get('format_version')}, this rayqc "
            f"reads {FORMAT}; train again with --redo"
        )
    levels = record["levels"]
    return None if levels is None else (levels[0], levels[1])


def warn_of_other_levels(name: str, source: Source, units: Sequence[Unit], limits: Limits) -> None:
    """Warn, once, where some of a pool's images have values that the levels do not suit.

    Args:
        name: of the pool, for the warning.
        units: of the source; a few of their images are read.
    """
    rows = single_rows(units, MOST_LOOKED_AT)
    tables = (source.read(unit, limits.max_bytes) for unit in rows)
    deep_images = [image for table in tables for image in values_of_all(image_bytes(table), limits)]
    _warn_if_faint(name, deep_images, limits.levels)


def _in_force(levels: Levels | None, images: Iterable[DeepPixels]) -> Levels:
    every_one_float = all(image.is_float for image in images)
    return levels or (FULL_FLOAT if every_one_float else FULL_WHOLE)


def _warn_if_faint(name: str, images: list[DeepPixels], levels: Levels | None) -> None:
    """Warn where images would be nearly black or white, or are cut off, at these levels."""
    for is_float in (False, True):
        same_type = [image for image in images if image.is_float == is_float]
        suitable = levels_of(same_type)
        if suitable is None:
            continue
        low, high = _in_force(levels, same_type)
        cut_off = suitable[0] < low or suitable[1] > high
        faint = (suitable[1] - suitable[0]) * FAINT <= high - low
        if cut_off or faint:
            say_once(
                f"{name}: {'floats' if is_float else 'whole numbers'} of {_spread(same_type)}, and "
                f"black is {low:g}, white is {high:g} here, so they are "
                f"{'cut off' if cut_off else 'nearly black'}; if all images are alike, set "
                f"`image: {{range: [{suitable[0]:g}, {suitable[1]:g}]}}`"
            )


def _spread(images: list[DeepPixels]) -> str:
    low = min(float(np.min(image.values_HWC)) for image in images)
    high = max(float(np.max(image.values_HWC)) for image in images)
    return f"values {low:g} to {high:g}"
