"""Latents of real images that `fit` encoded and later stages take."""

import numpy as np
import pyarrow as pa
import pytest

import rayqc
from rayqc.distributed.encode import (
    MOST_ROWS,
    EncodeActor,
    encode_images,
    encode_with_altered,
    rows_a_block,
)
from rayqc.encoders.batches import LatentEncoder
from rayqc.images.alterations import Whole
from rayqc.images.decode import decode
from rayqc.images.references import real_pixels
from rayqc.pipeline.real_latents import (
    TEST_LATENTS,
    keep_test_latents,
    with_reference_latents,
    with_test_latents,
)
from rayqc.pipeline.run import Run
from rayqc.schema import LATENT, image_bytes
from rayqc.storage import Folder
from rayqc.work.altered import (
    MOST_COPIES,
    altered_order,
    copies_in_order,
    features_of_altered,
    partner,
)
from rayqc.work.latent_columns import latent_matrix, vectors
from tests.conftest import TINY


@pytest.fixture
def run(tmp_path):
    return Run(Folder(str(tmp_path)), rayqc.make_config(TINY))


def images(*contents):
    return pa.table(
        {
            "id": [f"test/{number}" for number in range(len(contents))],
            "image": [{"bytes": content, "path": None} for content in contents],
        }
    )


def test_test_images_are_known_by_their_bytes(run):
    latent_ND = np.arange(6, dtype=np.float32).reshape(3, 2)
    keep_test_latents(run, images(b"a", b"b", b"c"), pa.table({LATENT: vectors(latent_ND)}))
    found = latent_matrix(with_test_latents(run, images(b"c", b"a", b"a")))
    np.testing.assert_array_equal(found, latent_ND[[2, 0, 0]])


def test_a_test_image_that_was_replaced_since_is_encoded_again(run):
    before = images(b"a", b"b")
    keep_test_latents(run, before, pa.table({LATENT: vectors(np.zeros((2, 2), np.float32))}))
    assert LATENT not in with_test_latents(run, images(b"a", b"another")).column_names
    run.folder.delete([TEST_LATENTS])  # as in runs of before
    assert LATENT not in with_test_latents(run, before).column_names


def test_latents_of_several_tables_are_each_in_their_order(tiny_run, ray_session):
    folder = Folder(str(tiny_run))
    run = Run(folder, rayqc.load_config(str(tiny_run / "config.yaml")))
    references, test = run.references, run.test_images(70)
    trained = run.encoder
    found = encode_images(
        [references, test], run.model, trained.input, run.config, run.progress, "encode"
    )
    for table, encoded in zip((references, test), found, strict=True):
        pixels = [decode(data, trained.input, run.limits) for data in image_bytes(table)]
        expected = LatentEncoder(trained.network).encode(np.stack(pixels))
        np.testing.assert_allclose(latent_matrix(encoded), expected, rtol=1e-4, atol=1e-4)
        assert encoded["id"].equals(table["id"])
    kept = latent_matrix(with_reference_latents(run, references))
    np.testing.assert_allclose(kept, latent_matrix(found[0]), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("altered_M", [[7, 1, 4, 9, 2, 8], [3, 0, 5]])
def test_altered_copies_are_encoded_beside_the_images(altered_M, tiny_run, ray_session):
    """Each reference's own copies, with parts of its partner, whichever actor made them."""
    run = Run(Folder(str(tiny_run)), rayqc.load_config(str(tiny_run / "config.yaml")))
    references, test, trained = run.references, run.test_images(5), run.encoder
    altered_M = np.array(altered_M)
    (of_references, of_test), found = encode_with_altered(
        [references, test], altered_M, run.model, trained.input, run.config, run.progress, "encode"
    )
    assert of_references["id"].equals(references["id"])
    pixels = [decode(data, trained.input, run.limits) for data in image_bytes(test)]
    encoder = LatentEncoder(trained.network)
    expected = encoder.encode(np.stack(pixels))
    np.testing.assert_allclose(latent_matrix(of_test), expected, rtol=1e-4, atol=1e-4)
    order = altered_order(altered_M.size, run.config.seed)
    whole = [
        real_pixels("one", data, Whole(shape=trained.input), run.limits)
        for data in image_bytes(references.take(pa.array(altered_M[order])))
    ]
    copies = features_of_altered(
        whole,
        [whole[other] for other in partner(np.arange(order.size), order.size)],
        range(order.size),
        encoder,
        trained.input,
        MOST_COPIES,
        run.config.seed,
    )
    expected = copies_in_order(copies, order)
    np.testing.assert_array_equal(found.of_C, expected.of_C)
    np.testing.assert_array_equal(found.other_C, expected.other_C)
    assert (found.other_C != found.of_C).any()
    assert found.features.keys() == expected.features.keys()
    for name, value_CF in expected.features.items():
        np.testing.assert_allclose(found.features[name], value_CF, rtol=1e-4, atol=1e-4)


def test_blocks_of_both_sorts_are_encoded_together_as_each_alone(tiny_run, ray_session):
    """Beside a GPU, Ray Data joins blocks."""
    run = Run(Folder(str(tiny_run)), rayqc.load_config(str(tiny_run / "config.yaml")))
    references = run.references
    images = references["image"].combine_chunks()
    batch = pa.table(
        {
            "row": [0, 1, 0],
            "id": references["id"].take([0, 1, 2]),
            "image": images.take([0, 1, 2]),
            "other_row": pa.array([None, None, 1]),
            "other_id": references["id"].take(pa.array([None, None, 3])),
            "other": images.take(pa.array([None, None, 3])),
            "copies": [0, 0, 2],
        }
    )
    actor = EncodeActor(run.model, run.config.encoder, 8, run.limits, "cpu", run.config.seed)
    together = actor(batch)
    alone = pa.concat_tables([actor(batch.slice(0, 2)), actor(batch.slice(2))])
    assert together["row"].to_pylist() == [0, 1, 0, 0, 1, 1]
    assert together["is_copy"].to_pylist() == [False, False, True, True, True, True]
    assert together.drop_columns(["latent"]).equals(alone.drop_columns(["latent"]))
    np.testing.assert_allclose(latent_matrix(together), latent_matrix(alone), atol=1e-4)


@pytest.mark.parametrize(
    ("total", "batch", "rows"),
    [(580, 8, 32), (40, 8, 8), (3, 128, 128), (1100, 128, 128), (9000, 128, MOST_ROWS)],
)
def test_few_images_are_shared_out_in_whole_batches(total, batch, rows):
    assert rows_a_block(total, batch) == rows
