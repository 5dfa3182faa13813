"""Latents that are there already, in a column of references, test images and pool."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

import rayqc
from rayqc.config import Data
from rayqc.errors import ConfigError, InputError
from rayqc.images.decode import Limits, decode
from rayqc.images.look import ImageShape
from rayqc.models.features import edge_histograms
from rayqc.models.vae import pixels_to_input
from rayqc.pipeline.inputs import look_at_inputs
from rayqc.schema import LATENT, image_bytes
from rayqc.sources import open_source
from rayqc.sources.latents import NO_LATENT, dimension, latents_of
from rayqc.sources.problems import problems_of
from rayqc.sources.select import read_all
from tests.conftest import tiny

SHAPE = ImageShape(size=28, channels=1)


def embedded(table: pa.Table) -> np.ndarray:
    """(N, D) float32: histograms of edges, in place of what somebody's encoder would give."""
    images = np.stack([decode(data, SHAPE, Limits()) for data in image_bytes(table)])
    return edge_histograms(pixels_to_input(torch.from_numpy(images))).numpy()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Real digits in three files, with embeddings: references, test, and a pool with faults."""
    place = tmp_path_factory.mktemp("column")
    train = read_all(open_source(Data(kind="bundled")), 400)
    test = read_all(open_source(Data(kind="bundled"), split="test"), 200)
    train = train.take(pa.array(np.random.default_rng(0).permutation(400)))
    parts = {"real": train.slice(0, 200), "pool": train.slice(200), "test": test}
    paths = {}
    for name, table in parts.items():
        rows: list[list[float] | None] = embedded(table).tolist()
        labels = np.asarray(table["label"]).copy()
        if name == "pool":
            rows[3], rows[4], rows[5] = None, rows[4][:20], [float("nan")] * len(rows[4])
            labels[100:140] = (labels[100:140] + 5) % 10  # wrong labels
        latents = pa.array(rows, pa.list_(pa.float32()))
        if name == "test":
            latents = latents.cast(pa.list_(pa.float16()))
        columns = {"image": table["image"], "label": pa.array(labels), "clip": latents}
        paths[name] = str(place / f"{name}.parquet")
        pq.write_table(pa.table(columns), paths[name], row_group_size=64)
    return paths


def settings(files: dict[str, str], **sections):
    tree = tiny(
        references={"kind": "parquet", "path": files["real"], "per_class": 10},
        test={"path": files["test"]},
        pool=[{"path": files["pool"], "name": "theirs"}],
        encoder={"kind": "column", "column": "clip"},
        regions={"views": ["latent"]},
        classify={"kind": "probe", "arms": ["real", "accepted"], "seeds": 2},
        filter={"max_error_share": 0.1},
    )
    tree["encoder"] = {"kind": "column", "column": "clip"}
    return rayqc.make_config({**tree, **sections})


def test_a_whole_run_by_latents_that_came_with_the_images(ray_session, files, tmp_path):
    out = str(tmp_path / "run")
    result = rayqc.run(settings(files), out)
    ledger = result["ledger"]
    assert ledger["outcomes"]["error"] == 3
    assert ledger["reasons"][NO_LATENT] == 3
    listed = rayqc.list_images(out, verdicts=["rejected"])["rows"]
    wrong = [row["id"] for row in listed if 100 <= int(row["id"].rpartition("#")[2]) < 140]
    assert len(wrong) > 20  # of 40; by the given latents alone
    assert len(listed) - len(wrong) < 32  # of 157 right ones
    scores = pq.read_table(f"{out}/filtered/scores")
    numbers = [int(name.rpartition("#")[2]) for name in scores["id"].to_pylist()]
    rows = dict(zip(numbers, scores[LATENT].to_pylist(), strict=True))
    given = pq.read_table(files["pool"])["clip"].to_pylist()
    assert np.allclose(rows[17], given[17], atol=1e-3)
    assert np.isnan(np.asarray(rows[3], np.float32)).all()
    assert rayqc.inspect(out, wrong[0], picture=str(tmp_path / "x.png"))["verdict"] == "rejected"
    kept = rayqc.filter_pool(out, pool=files["test"], out=str(tmp_path / "other"))
    assert kept["outcomes"]["error"] == 0


def test_a_plan_encodes_nothing(files):
    assert rayqc.plan(settings(files), num_cpus=2)["stages"]["filter"]["seconds"] > 0


def test_changed_latents_are_other_content(files, tmp_path):
    from rayqc.work.known_images import contents_of, digests_of

    source = open_source(Data(path=files["real"], latent_column="clip"))
    table = read_all(source, 5)
    moved = embedded(table) + 1
    other = table.set_column(
        table.schema.get_field_index(LATENT),
        LATENT,
        pa.FixedSizeListArray.from_arrays(pa.array(moved.ravel()), moved.shape[1]),
    )
    assert digests_of(table) == digests_of(other)
    assert contents_of(table) != contents_of(other)


@pytest.mark.parametrize(
    "dtype",
    [pa.list_(pa.float32()), pa.large_list(pa.float64()), pa.list_(pa.float16(), 3)],
    ids=str,
)
def test_lists_of_floats_are_taken(dtype):
    rows = pa.array([[1, 2, 3], None, [4, 5, 6]], pa.list_(pa.float32(), 3))
    column = pa.chunked_array([rows.cast(dtype)])
    assert dimension(column, "x") == 3
    latents, problems = latents_of(column, 3, "x")
    assert latents.to_pylist() == [[1, 2, 3], [0, 0, 0], [4, 5, 6]]
    assert problems == [None, (NO_LATENT, "the column of latents is null"), None]


def test_tensors_are_taken():
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    column = pa.chunked_array([pa.FixedShapeTensorArray.from_numpy_ndarray(values)])
    assert dimension(column, "x") == 3
    assert latents_of(column, 3, "x")[0].to_pylist() == values.tolist()


def test_latents_of_another_length_are_the_rows_own_problem(files):
    source = open_source(Data(path=files["pool"], latent_column="clip"))
    table = source.read(source.units(50)[0])
    problems = problems_of(table)
    assert [row for row, problem in enumerate(problems) if problem] == [3, 4, 5]
    assert problems[4] == (NO_LATENT, "a latent of 20 numbers, expected 392")
    assert problems[5] == (NO_LATENT, "a latent with NaN or infinity")


@pytest.mark.parametrize(
    ("column", "said"),
    [
        (None, "no column clip of latents; found image, label"),
        (pa.array([1.0] * 4), "expected lists, fixed-size lists or tensors of floats"),
        (pa.array([["a"]] * 4), "expected lists, fixed-size lists or tensors of floats"),
        (pa.array([None] * 4, pa.list_(pa.float32())), "is empty in its first rows"),
    ],
)
def test_no_latents_are_said_before_any_work(files, tmp_path, column, said):
    table = pq.read_table(files["real"]).slice(0, 4).drop_columns(["clip"])
    pq.write_table(
        table if column is None else table.append_column("clip", column), tmp_path / "x.parquet"
    )
    with pytest.raises(InputError, match=said):
        look_at_inputs(settings({**files, "pool": str(tmp_path / "x.parquet")}))


def test_latents_of_two_encoders_are_refused_before_any_work(files, tmp_path):
    table = pq.read_table(files["test"])
    other = pa.array([[0.5] * 8] * table.num_rows, pa.list_(pa.float32()))
    pq.write_table(table.set_column(2, "clip", other), tmp_path / "x.parquet")
    with pytest.raises(InputError, match="392 numbers in references, 8 numbers in test"):
        look_at_inputs(settings({**files, "test": str(tmp_path / "x.parquet")}))


def test_images_in_folders_have_no_latents(files, tmp_path):
    (tmp_path / "cat").mkdir()
    table = pq.read_table(files["real"]).slice(0, 1)
    (tmp_path / "cat" / "a.png").write_bytes(table["image"][0].as_py()["bytes"])
    with pytest.raises(InputError, match="a source of kind folder has no column clip of latents"):
        look_at_inputs(settings({**files, "pool": str(tmp_path)}))


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"pool": [{"kind": "augment"}]}, "is made here and has no column of latents"),
        ({"encoder": {"kind": "vae", "column": "clip"}}, "are for encoder.kind: column"),
        ({"encoder": {"kind": "column"}}, "kind: column needs column"),
        ({"references": {"kind": "bundled"}}, "not kind: bundled"),
    ],
)
def test_settings_that_cannot_be_are_refused(files, sections, said):
    with pytest.raises(ConfigError, match=said):
        settings(files, **sections)
