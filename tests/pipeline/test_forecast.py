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
from rayqc.distributed.nodes import NodeKind, Nodes, nodes_in, one_machine
from rayqc.errors import InputError, UserError
from rayqc.images.look import ImageShape
from rayqc.kinds import STAGES
from rayqc.pipeline.forecast import expected_of, foretell
from rayqc.pipeline.inputs import look_at_inputs
from rayqc.pipeline.outlook import Outlook
from rayqc.pipeline.stages.filter import DRIVER_SECONDS
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
        expected = foretell(
            settings, look_at_inputs(settings), one_machine(2), ["generate", "filter"]
        )
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


LAUNCHER = """
max_workers: 5
head_node_type: head
available_node_types:
  head: {resources: {CPU: 8}, max_workers: 0}
  gpu: {resources: {CPU: 16, GPU: 2}, max_workers: 4}
  cpu: {resources: {CPU: 64}, max_workers: 9}
"""
KUBERAY = """
kind: RayJob
spec:
  rayClusterSpec:
    headGroupSpec:
      rayStartParams: {num-cpus: "0"}
      template: {spec: {containers: [{name: head}]}}
    workerGroupSpecs:
      - groupName: gpu
        maxReplicas: 4
        template:
          spec:
            containers:
              - resources: {requests: {cpu: 3500m}, limits: {nvidia.com/gpu: 1}}
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (LAUNCHER, [("head", 1, 8, 0), ("gpu", 4, 16, 2), ("cpu", 1, 64, 0)]),
        # What is left out is Ray's: no more heads, and of workers as many as there may be.
        (
            LAUNCHER.replace(", max_workers: 0", "").replace("max_workers: 4", "min_workers: 1"),
            [("head", 1, 8, 0), ("gpu", 5, 16, 2), ("cpu", 0, 64, 0)],
        ),
        (KUBERAY, [("head", 1, 0, 0), ("gpu", 4, 3, 1)]),
    ],
)
def test_nodes_of_a_file_are_those_that_it_allows(tmp_path, text, expected):
    (tmp_path / "c.yaml").write_text(text)
    kinds = nodes_in(str(tmp_path / "c.yaml")).kinds
    assert [(kind.name, kind.count, kind.cpus, kind.gpus) for kind in kinds] == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("provider: {type: local}", "names no nodes"),
        ("just words", "names no nodes"),
        ("a: [", "cannot read"),
        ("available_node_types: {head: {resources: {}}}", "'head' says not how many CPUs"),
        (KUBERAY.replace('{num-cpus: "0"}', "{}"), "'head' says not how many CPUs"),
    ],
)
def test_a_file_that_says_no_nodes_is_refused(tmp_path, text, said):
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(InputError, match=said):
        nodes_in(str(tmp_path / "c.yaml"))


def test_prices_are_of_kinds_that_are_there():
    nodes = Nodes(
        (
            NodeKind(name="a", count=1, cpus=8),
            NodeKind(name="b", count=4, cpus=16, gpus=1),
        )
    )
    assert (nodes.cpus, nodes.gpus, nodes.largest, nodes.dollars) == (72, 4, 16, None)
    assert nodes.priced({"b": 2.0}).dollars is None
    assert nodes.priced({"b": 2.0}).priced({"a": 0.5}).dollars == 8.5
    with pytest.raises(InputError, match="no such nodes; expected one of a, b"):
        nodes.priced({"c": 1.0})


def test_a_plan_for_a_cluster_names_its_nodes_its_cost_and_what_bounds_it(tmp_path, capsys):
    (tmp_path / "c.yaml").write_text(LAUNCHER)
    settings, cluster = tmp_path / "tiny.yaml", str(tmp_path / "c.yaml")
    settings.write_text(json.dumps(tiny()))
    prices = {"head": 1.0, "gpu": 2.0, "cpu": 3.0}
    plan = rayqc.plan(str(settings), cluster=cluster, prices=prices)
    assert (plan["cpus"], plan["gpus"], plan["actors_a_gpu"]) == (136, 8, 4)
    assert plan["dollars"] == pytest.approx(12 * plan["seconds"] / 3600)
    stages = plan["stages"]
    assert stages["filter"]["bound"] == "only 5 units" and stages["filter"]["at_once"] == 5
    assert 0 < stages["filter"]["lost_with_a_node"] < 60
    assert stages["filter"]["seconds_beside_gpus"] <= stages["filter"]["seconds"]
    assert stages["train"]["bound"] == "one process"
    assert main(["plan", str(settings), "--cluster", cluster, "--price", "gpu=2"]) == 0
    said = capsys.readouterr().out
    assert "136 CPUs (1 of head, 4 of gpu, 1 of cpu)" in said
    assert "no cost, for want of a price of head, cpu" in said
    assert "8 GPUs, with 4 encoding actors each" in said
    with pytest.raises(UserError, match="num_cpus and cluster both say"):
        rayqc.plan(str(settings), cluster=cluster, num_cpus=2)


def test_a_driver_that_is_slower_than_all_actors_is_what_bounds():
    many = tiny(filter={"unit_rows": 1}, pool=[{"kind": "augment", "per_reference": 400}])
    outlook = Outlook(
        rayqc.make_config(many),
        look_at_inputs(rayqc.make_config(many)),
        Nodes((NodeKind(name="large", count=1000, cpus=64),)),
    )
    found = expected_of(outlook, ["filter"])["filter"]
    assert found.bound == "the driver"
    assert found.seconds == 20_000 * DRIVER_SECONDS


def test_a_plan_for_a_cluster_that_is_up_takes_its_nodes(ray_session):
    plan = rayqc.plan(rayqc.make_config(tiny()), address="auto")
    assert [(kind["count"], kind["cpus"]) for kind in plan["nodes"]] == [(1, plan["cpus"])]
