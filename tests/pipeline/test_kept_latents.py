"""Latents that the filter keeps beside its scores."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import rayqc
from rayqc.config.settings import Filter
from rayqc.distributed.judged_pool import latent_tables
from rayqc.encoders.batches import LatentEncoder
from rayqc.encoders.store import load_encoder
from rayqc.images.decode import Limits, decode
from rayqc.pipeline.judging import MOST_KEPT, keeps_latents
from rayqc.schema import kept_latent_dim, score_schema
from rayqc.storage import Folder
from rayqc.work.latent_columns import kept_latents, latent_matrix


def scores_of(judged):
    return pa.concat_tables(pq.read_table(path) for path in sorted((judged / "scores").iterdir()))


def test_kept_latents_are_those_of_the_encoder(tiny_run):
    table = scores_of(tiny_run / "filtered")
    assert table.schema.field("latent").type == pa.list_(pa.float16(), 16)
    images = pa.concat_tables(
        pq.read_table(path) for path in (tiny_run / "pool").rglob("*.parquet")
    )
    data = {row["id"]: row["image"]["bytes"] for row in images.to_pylist()}
    trained = load_encoder(Folder(str(tiny_run / "model")), None)
    some = table.slice(0, 32)
    pixels = np.stack(
        [decode(data[id_], trained.input, Limits()) for id_ in some["id"].to_pylist()]
    )
    latent_ND = LatentEncoder(trained.network, 32).encode(pixels)
    np.testing.assert_allclose(latent_matrix(some), latent_ND, rtol=2e-3, atol=2e-3)


def test_they_stay_when_verdicts_are_taken_again(tiny_run, tmp_path):
    rayqc.refilter(str(tiny_run), str(tmp_path / "again"), coverage=0.8)
    again, before = scores_of(tmp_path / "again"), scores_of(tiny_run / "filtered")
    assert again["id"].equals(before["id"])
    np.testing.assert_array_equal(latent_matrix(again), latent_matrix(before))


def test_the_probe_reads_them_and_needs_no_second_encoding(tiny_run):
    config = rayqc.load_config(str(tiny_run / "config.yaml"))
    tables = latent_tables(Folder(str(tiny_run / "filtered")), config)
    table = pa.concat_tables(tables)
    assert table.num_rows == 300
    assert set(table["verdict"].to_pylist()) == {"accepted", "rejected"}
    assert latent_matrix(table).shape == (300, 16)


def test_an_image_that_was_not_judged_has_none(rng):
    column = kept_latents(rng.normal(size=(3, 4)) * 1e6, np.array([True, False, True]))
    assert column.null_count == 0
    latent_ND = np.asarray(column.flatten(), dtype=np.float32).reshape(3, 4)
    assert np.isfinite(latent_ND).all(1).tolist() == [True, False, True]
    assert np.isnan(latent_ND[1]).all()


@pytest.mark.parametrize(
    ("asked", "images", "kept"),
    [
        ("auto", MOST_KEPT, True),
        ("auto", MOST_KEPT + 1, False),
        (True, MOST_KEPT + 1, True),
        (False, 1, False),
    ],
)
def test_auto_keeps_those_of_pools_of_up_to_a_million(asked, images, kept):
    assert keeps_latents(Filter(keep_latents=asked), images) is kept


def test_scores_without_latents_say_so():
    assert kept_latent_dim(score_schema(("a", "b"))) is None
    assert kept_latent_dim(score_schema(("a", "b"), 128)) == 128
