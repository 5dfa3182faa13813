"""Test images that are references: coverage and accuracy measured on them are worth nothing."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rayqc.errors import InputError
from rayqc.images.guarded import POISON, GuardedDecoder, guarded_decoder
from rayqc.images.references import unusable
from rayqc.ledger.plan import inputs_digest
from rayqc.schema import image_bytes
from rayqc.sources import Source, open_source
from rayqc.storage import write_table
from rayqc.work.known_images import FILE, digests_of, known_table

if TYPE_CHECKING:
    from rayqc.pipeline.run import Run

logger = logging.getLogger(__name__)

ROWS_AT_ONCE = 256
MADE_OF = b"made_of"
"""Key of the file's metadata: digests of the references and of the test images."""


def know_images(run: Run) -> None:
    """Write the digests of a run's references and test images, unless they are there.

    Each image is decoded once in a child process, since one that takes its decoder down would take
    down this process, or a training, later on.

    Raises:
        InputError: references have the bytes of test images, and the settings do not drop these;
            or a reference cannot be decoded, or a test image takes its decoder down.
    """
    test_data = run.config.test_data()
    test = None if test_data is None else open_source(test_data, split="test")
    units = [] if test is None else test.units(ROWS_AT_ONCE)
    made_of = f"{run.references_digest} {inputs_digest(units)}".encode()
    if run.folder.exists(FILE) and _made_of(run) == made_of:
        return
    with guarded_decoder(run.limits) as decoder:
        names = run.references["id"].to_pylist()
        for name, found in zip(names, decoder.look(image_bytes(run.references)), strict=True):
            if isinstance(found, tuple):
                raise unusable(name, found)
        test_digests = [] if test is None else test_digests_of(test, run, decoder)
    if run.config.references.in_test == "refuse":
        _refuse_same(run.references, test_digests)
    table = known_table(run.references, test_digests)
    write_table(run.folder, FILE, table.replace_schema_metadata({MADE_OF: made_of}))


def _made_of(run: Run) -> bytes | None:
    with run.folder.open(FILE) as file:
        metadata: dict[bytes, bytes] = pq.ParquetFile(file).schema_arrow.metadata or {}
    return metadata.get(MADE_OF)


def test_digests_of(
    test: Source, run: Run, decoder: GuardedDecoder | None = None
) -> list[tuple[str, str]]:
    """Digest and id of each test image that can be read and is not too large.

    Args:
        decoder: looks at each, where they are new to the run.

    Raises:
        InputError: an image takes its decoder down.
    """
    units = test.units(ROWS_AT_ONCE)
    found: list[tuple[str, str]] = []
    with run.progress.stage("compare", sum(u.count() for u in units), "test images") as stage:
        for unit in units:
            table = test.read(unit, run.limits.max_bytes)
            names = table["id"].to_pylist()
            found += zip(digests_of(table), names, strict=True)
            looks = decoder.look(image_bytes(table)) if decoder else []
            for name, image in zip(names, looks, strict=bool(decoder)):
                if isinstance(image, tuple) and image[0] == POISON:
                    raise unusable(name, image)
            stage.advance(table.num_rows)
    return [(key, name) for key, name in found if key]


def _refuse_same(references: pa.Table, test_digests: list[tuple[str, str]]) -> None:
    of_references = zip(digests_of(references), references["id"].to_pylist(), strict=True)
    name_by_digest = dict(of_references)
    same = [(name_by_digest[key], name) for key, name in test_digests if key in name_by_digest]
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
    known = set(digests_of(references))
    fresh_N = np.array([identity not in known for identity in digests_of(test_images)], bool)
    if not fresh_N.all():
        logger.warning(
            "dropped %d test images that have the bytes of references", int((~fresh_N).sum())
        )
    return test_images.filter(pa.array(fresh_N))
