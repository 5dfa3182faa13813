"""What a run is expected to do and take, before it begins; no Ray."""

from __future__ import annotations

import json
import logging

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import rayqc
from rayqc.cli.main import main
from rayqc.config import Data
from rayqc.config.settings import Filter
from rayqc.errors import UserError
from rayqc.images.look import ImageShape
from rayqc.kinds import STAGES
from rayqc.pipeline.forecast import foretell
from rayqc.pipeline.inputs import look_at_inputs
from rayqc.pipeline.unit_size import unit_rows, units_of_all
from rayqc.sources import open_source
from rayqc.sources.select import read_all
from tests.conftest import tiny

SMALL, LARGE = ImageShape(size=28, channels=1), ImageShape(size=224, channels=3)


def test_a_plan_says_what_each_stage_will_do():
    plan = rayqc.plan(rayqc.make_config(tiny()), num_cpus=2)
    assert plan["references"] == 50
    assert plan["test_images"] == 1000
    assert plan["image"] == [28, 28, 1]
    assert plan["classes"]["7"] == {"references": 5, "test": 100, "pool": None}
    assert plan["pool"]["augment"]["candidates"] == 300
    assert plan["pool"]["augment"]["units"] == 5  # of 70
    assert plan["pool"]["augment"]["made_here"]
    assert list(plan["stages"]) == list(STAGES.names)
    work = {name: stage["work"] for name, stage in plan["stages"].items()}
    assert work["train"] == "40 steps of the encoder vae"
    assert work["fit"] == "encode 50 references and 100 test images, fit 4 scorers"
    assert work["generate"] == "make 300 candidates"
    assert work["filter"] == "judge 300 candidates in 5 units"
    assert work["classify"] == "10 trainings (cnn), 1,000 test images"
    assert all(stage["seconds"] > 0 for stage in plan["stages"].values())
    assert plan["seconds"] == pytest.approx(sum(s["seconds"] for s in plan["stages"].values()))


def test_more_work_is_expected_to_take_longer_and_more_cpus_to_take_less():
    few = rayqc.plan(rayqc.make_config(tiny()), num_cpus=1)["stages"]
    steps, seeds = {"steps": 4000}, {"seeds": 200}
    much = rayqc.plan(rayqc.make_config(tiny(encoder=steps, classify=seeds)), num_cpus=1)["stages"]
    assert much["train"]["seconds"] > few["train"]["seconds"]
    assert much["classify"]["seconds"] > few["classify"]["seconds"]
    shared = rayqc.plan(rayqc.make_config(tiny(classify=seeds)), num_cpus=16)["stages"]
    assert shared["classify"]["seconds"] < much["classify"]["seconds"]
    assert shared["classify"]["memory_mb"] > much["classify"]["memory_mb"]


def test_classes_without_references_are_no_classes_of_the_plan(tmp_path):
    table = read_all(open_source(Data(kind="bundled")), 400)
    label = np.asarray(table["label"])
    some = table.filter(pa.array((label == 3) | (label == 8)))
    pq.write_table(some, tmp_path / "some.parquet")
    settings = tiny(
        references={"kind": "parquet", "path": str(tmp_path / "some.parquet")},
        classify={"arms": []},
        pool=[{"kind": "augment", "per_reference": 2}],
    )
    plan = rayqc.plan(rayqc.make_config(settings), num_cpus=2)
    assert list(plan["classes"]) == ["3", "8"]
    assert plan["pool"]["augment"]["candidates"] == 2 * plan["references"] == 20


@pytest.mark.parametrize("limit", [None, 40])
def test_a_limit_leaves_as_many_candidates_as_it_says(limit):
    settings = rayqc.make_config(tiny(filter={"limit": limit}))
    plan = rayqc.plan(settings, num_cpus=2)
    assert plan["pool"]["augment"]["candidates"] == (limit or 300)


@pytest.mark.parametrize(
    ("sections", "stage", "said"),
    [
        ({"regions": {"kind": "sphere", "views": None}}, "fit", "fit no scorers"),
        ({"regions": {"promise": "cv+"}}, "fit", "fit 6 scorers"),
        ({"classify": {"arms": []}}, "classify", "no arms, nothing to do"),
        ({"classify": {"kind": "probe"}}, "classify", "40 trainings (probe)"),
        (
            {"filter": {"keep_pool": "accepted"}, "classify": {"arms": []}},
            "generate",
            "nothing to make beforehand",
        ),
        ({"encoder": {"kind": "supervised", "steps": 20}}, "train", "20 steps"),
        (
            {"pool": [{"kind": "gan", "steps": 30, "per_class": 10, "width": 2}]},
            "generate",
            "train 1 GAN, make 100 candidates",
        ),
        ({"pool": [{"kind": "vae", "per_class": 10}]}, "generate", "make 100 candidates"),
    ],
)
def test_a_plan_follows_the_settings(sections, stage, said):
    if sections.get("classify", {}).get("kind") == "probe":
        sections = {"classify": {**sections["classify"], "seeds": 8}}
    plan = rayqc.plan(rayqc.make_config(tiny(**sections)), num_cpus=2)
    assert said in plan["stages"][stage]["work"]


def test_a_plan_is_refused_as_the_run_would_be(tmp_path):
    with pytest.raises(UserError, match="is missing or empty"):
        rayqc.plan(rayqc.make_config(tiny(pool=[{"path": str(tmp_path / "none")}])))


def test_a_run_is_foretold_in_one_line_without_what_takes_no_time(caplog):
    settings = rayqc.make_config(tiny(filter={"keep_pool": "accepted"}, classify={"arms": []}))
    with caplog.at_level(logging.INFO, "rayqc"):
        expected = foretell(settings, look_at_inputs(settings), 2, ["generate", "filter"])
    assert list(expected) == ["filter"]
    assert caplog.messages[-1].startswith("expected on 2 CPUs: filter ")


def test_the_command_prints_one_document(tmp_path, capsys):
    settings = tmp_path / "my.yaml"
    settings.write_text("references: {kind: bundled, per_class: 3}\npool: [{kind: augment}]\n")
    assert main(["plan", str(settings), "--limit", "20", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["pool"]["augment"]["candidates"] == 20
    assert main(["plan", str(settings), "--limit", "20"]) == 0
    assert "judge 20 candidates" in capsys.readouterr().out


def test_units_are_many_in_a_small_pool_and_large_in_a_large_one():
    rows = [unit_rows(Filter(), SMALL, count) for count in (100, 30_000, 10**7)]
    assert rows == [256, 469, 2048]
    rows = [unit_rows(Filter(), LARGE, count) for count in (100, 12_000, 10**7)]
    assert rows == [64, 188, 512]
    assert unit_rows(Filter(unit_rows=33), LARGE, 10**7) == 33


def test_a_sample_of_a_large_pool_does_not_become_units_of_few_images():
    source = open_source(Data(kind="bundled"))
    total = sum(unit.count() for unit in source.units(1000))
    (units,) = units_of_all([source], Filter(limit=total // 10), SMALL)
    assert min(unit.count() for unit in units) >= 1000
    (units,) = units_of_all([source], Filter(), SMALL)
    assert max(unit.count() for unit in units) <= 256
