"""Latents of real images that `fit` encoded and later stages take."""

import numpy as np
import pyarrow as pa
import pytest

import rayqc
from rayqc.distributed.encode import MOST_ROWS, encode_images, rows_a_block
from rayqc.encoders.batches import LatentEncoder
from rayqc.images.decode import decode
from rayqc.pipeline.real_latents import (
    TEST_LATENTS,
    keep_test_latents,
    with_reference_latents,
    with_test_latents,
)
from rayqc.pipeline.run import Run
from rayqc.schema import LATENT, image_bytes
from rayqc.storage import Folder
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


@pytest.mark.parametrize(
    ("total", "batch", "rows"),
    [(580, 8, 32), (40, 8, 8), (3, 128, 128), (1100, 128, 128), (9000, 128, MOST_ROWS)],
)
def test_few_images_are_shared_out_in_whole_batches(total, batch, rows):
    assert rows_a_block(total, batch) == rows
