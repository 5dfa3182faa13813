"""Test images that are references: coverage and accuracy measured on them are worth nothing."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa

from rayqc.errors import InputError
from rayqc.images.guarded import POISON, GuardedDecoder, guarded_decoder
from rayqc.images.references import unusable
from rayqc.ledger.plan import inputs_digest
from rayqc.schema import image_bytes
from rayqc.sources import Source, open_source
from rayqc.storage import read_schema, write_table
from rayqc.units import READ_AT_ONCE
from rayqc.work.known_images import FILE, content_of, contents_of, digests_of, known_table

if TYPE_CHECKING:
    from rayqc.pipeline.run import Run

logger = logging.getLogger(__name__)

MADE_OF, TEST_CONTENT = b"made_of", b"test_content"
"""Keys of the file's metadata: digests of the references and of the test's files; and of the test's
images with their labels."""


class TestImage(NamedTuple):
    """A test image that can be read."""

    digest: str
    name: str
    class_name: str
    content: str
    """Digest of the latent that came with it, too."""


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
    units = [] if test is None else test.units(READ_AT_ONCE)
    made_of = f"{run.references_digest} {inputs_digest(units)}".encode()
    if facts_of_known(run).get(MADE_OF) == made_of:
        return
    with guarded_decoder(run.limits) as decoder:
        names = run.references["id"].to_pylist()
        for name, found in zip(names, decoder.look(image_bytes(run.references)), strict=True):
            if isinstance(found, tuple):
                raise unusable(name, found)
        test_images = [] if test is None else images_of_test(test, run, decoder)
    references = names_by_digest(run.references)
    warn_of_equal(references)
    if run.config.references.in_test == "refuse":
        _refuse_same(references, test_images)
    table = known_table(run.references, [(image.digest, image.name) for image in test_images])
    facts = {MADE_OF: made_of, TEST_CONTENT: content_of_test(test_images)}
    write_table(run.folder, FILE, table.replace_schema_metadata(facts))


def names_by_digest(references: pa.Table) -> dict[str, list[str]]:
    """Ids of the references that have the same bytes, by these bytes' digest.

    Args:
        references: columns id and image.
    """
    names: dict[str, list[str]] = {}
    for digest, name in zip(digests_of(references), references["id"].to_pylist(), strict=True):
        names.setdefault(digest, []).append(name)
    return names


def warn_of_equal(references: dict[str, list[str]]) -> None:
    """Say which references have the bytes of others.

    Args:
        references: see `names_by_digest`.
    """
    equal = [names for names in references.values() if len(names) > 1]
    if equal:
        logger.warning(
            "%d references have the bytes of others, %s those of %s first: what is known of one "
            "measures the other, and fewer fresh images are accepted than asked for; keep one of "
            "each, and of shots of one scene",
            sum(len(names) - 1 for names in equal),
            equal[0][1],
            equal[0][0],
        )


def facts_of_known(run: Run) -> dict[bytes, bytes]:
    """Metadata of the run's file of known images; empty where there is none."""
    if not run.folder.exists(FILE):
        return {}
    return dict(read_schema(run.folder, FILE).metadata or {})


def content_of_test(images: list[TestImage]) -> bytes:
    """One digest of test images, their ids and their classes."""
    classes = [image.class_name for image in images]
    contents = [image.content for image in images]
    return content_of([image.name for image in images], classes, contents).encode()


def images_of_test(
    test: Source, run: Run, decoder: GuardedDecoder | None = None
) -> list[TestImage]:
    """Digest, id and class of each test image that can be read and is not too large.

    Args:
        decoder: looks at each, where they are new to the run.

    Raises:
        InputError: an image takes its decoder down.
    """
    units = test.units(READ_AT_ONCE)
    class_by_label = dict(enumerate(test.classes))
    images: list[TestImage] = []
    with run.progress.stage("compare", sum(u.count() for u in units), "test images") as stage:
        for unit in units:
            table = test.read(unit, run.limits.max_bytes)
            names = table["id"].to_pylist()
            classes = [class_by_label.get(label, "") for label in table["label"].to_pylist()]
            images += map(TestImage, digests_of(table), names, classes, contents_of(table))
            looks = decoder.look(image_bytes(table)) if decoder else []
            for name, found in zip(names, looks, strict=bool(decoder)):
                if isinstance(found, tuple) and found[0] == POISON:
                    raise unusable(name, found)
            stage.advance(table.num_rows)
    return [image for image in images if image.digest]


def _refuse_same(references: dict[str, list[str]], test_images: list[TestImage]) -> None:
    same = [
        (references[image.digest][-1], image.name)
        for image in test_images
        if image.digest in references
    ]
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
