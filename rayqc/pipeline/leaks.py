"""Test images that are references: coverage and accuracy measured on them are worth nothing."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from rayqc.errors import InputError
from rayqc.progress import Progress
from rayqc.schema import image_bytes
from rayqc.sources import Source
from rayqc.storage import digest

logger = logging.getLogger(__name__)

ROWS_AT_ONCE = 256


def refuse_test_images(
    references: pa.Table, test: Source, max_bytes: int, progress: Progress
) -> None:
    """Refuse references that are test images, byte for byte.

    Args:
        references: columns id, image.
        max_bytes: larger images are not read.

    Raises:
        InputError: there are some; says how many and which is the first.
    """
    name_by_digest = dict(zip(_digests(references), references["id"].to_pylist(), strict=True))
    units = test.units(ROWS_AT_ONCE)
    same: list[tuple[str, str]] = []
    with progress.stage("compare", sum(unit.count() for unit in units), "test images") as stage:
        for unit in units:
            table = test.read(unit, max_bytes)
            for identity, name in zip(_digests(table), table["id"].to_pylist(), strict=True):
                if identity and identity in name_by_digest:
                    same.append((name_by_digest[identity], name))
            stage.advance(table.num_rows)
    if same:
        reference, test_image = same[0]
        raise InputError(
            f"{len(same):,} test images have the bytes of references, {test_image} those of "
            f"{reference} first, so what is measured on them says nothing of fresh images; give "
            "test images of their own, or drop these from the test: "
            "`references: {in_test: drop}`"
        )


def without_references(test_images: pa.Table, references: pa.Table) -> pa.Table:
    """The test images without those that have a reference's bytes."""
    known = set(_digests(references))
    fresh_N = np.array([identity not in known for identity in _digests(test_images)], bool)
    if not fresh_N.all():
        logger.warning(
            "dropped %d test images that have the bytes of references", int((~fresh_N).sum())
        )
    return test_images.filter(pa.array(fresh_N))


def _digests(images: pa.Table) -> Iterator[str]:
    """SHA-256 of each image's bytes; of one without bytes, what no image has."""
    return (digest(data) if data else "" for data in image_bytes(images))
