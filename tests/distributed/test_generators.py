"""Generators on a real local Ray: trained, made in the filter's actors, drawn until full."""

import json
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest

import rayqc
from rayqc.config import Data
from rayqc.errors import ConfigError, ConflictError, InputError, UntrustedCodeError
from rayqc.sources import open_source
from rayqc.sources.select import read_all
from tests.conftest import tiny

TARGET = "tests.distributed.test_generators:Digits"
POOL = [
    {"kind": "gan", "steps": 30, "checkpoint_every": 15, "per_class": 3, "width": 4},
    {"kind": "vae", "per_class": 4},
    {"kind": "python", "target": TARGET, "options": {"broken": [3]}, "per_class": 5},
]


class Digits:
    """Real digits of the class, but noise for those of `broken` classes."""

    def __init__(self, broken=()):
        table = read_all(open_source(Data(kind="bundled", split="test")), None, 10**6)
        self.label = np.asarray(table["label"])
        self.data = table["image"].combine_chunks().field("bytes")
        self.broken = set(broken)

    def __call__(self, label, seed):
        from rayqc.images.decode import Limits, decode_native

        found = []
        for k, one in zip(label, seed, strict=True):
            rng = np.random.default_rng(int(one))
            if int(k) in self.broken:
                found.append(rng.integers(0, 256, (28, 28, 1), dtype=np.uint8))
            else:
                row = rng.choice(np.flatnonzero(self.label == k))
                found.append(decode_native(self.data[int(row)].as_py(), Limits()))
        return found


@pytest.fixture(scope="module")
def made(ray_session, tmp_path_factory):
    """A run with three generators, its pool on disk."""
    out = tmp_path_factory.mktemp("generators") / "run"
    classify = {"arms": ["real", "each"], "seeds": 1}
    resources = {"trackers": ["tensorboard"]}
    config = rayqc.make_config(tiny(pool=POOL, classify=classify, resources=resources))
    rayqc.run(config, str(out))
    return out


UNTIL = {"until": 12, "floor": 0.1, "trust": TARGET}


@pytest.fixture(scope="module")
def full(made, tmp_path_factory):
    """A folder of draws until full, and what was told of them."""
    out = tmp_path_factory.mktemp("full") / "out"
    return out, rayqc.generate_until(str(made), str(out), **UNTIL)


def rows(folder, kind):
    found = sorted(folder.glob(f"**/{kind}/*.parquet"))
    return {row["id"]: row for path in found for row in pq.ParquetFile(path).read().to_pylist()}


def told(found):
    """All but measures, whose last digits depend on an image's place in the encoder's batch."""
    kept = ("image", "label", "verdict", "reason", "source", "nearest_class")
    return {id_: {name: row.get(name) for name in kept} for id_, row in found.items()}


def test_the_gan_is_trained_and_kept(made):
    facts = json.loads((made / "generators" / "gan" / "generator.json").read_text())
    assert [found["step"] for found in facts["record"]["qualities"]] == [15, 30]
    assert facts["record"]["best"] in facts["record"]["qualities"]
    assert facts["record"]["held_out"] and facts["record"]["judged_on"] == 5
    result = json.loads((made / "result.json").read_text())
    entries = result["acceptance"]["by_entry"]
    assert {name: row["judged"] for name, row in entries.items()} == {
        "gan": 30,
        "vae": 40,
        "python": 50,
    }
    assert entries["python"]["share"] > 0.7
    assert entries["python"]["references_met"] > 0.2
    arms = result["classify"]["arms"]
    assert set(arms) == {"real", "accepted:gan", "accepted:vae", "accepted:python"}
    for name, row in entries.items():
        assert arms[f"accepted:{name}"]["added"] == row["accepted"]
    assert "accepted:gan - real" in result["classify"]["differences"]


def test_a_tracker_hears_of_trainings_and_of_the_filter(made):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    found = accumulator.EventAccumulator(str(made / "tensorboard"))
    found.Reload()
    assert found.Scalars("train/loss")[-1].step == 40
    assert found.Scalars("gan/fake")[-1].step == 30
    judged = [found.Scalars(f"filter/{name} so far")[-1] for name in ("accepted", "rejected")]
    assert sum(event.value for event in judged) == judged[0].step == 120
    assert found.Scalars("train/seconds")[0].value > 0


def test_made_in_the_filters_actors_they_are_the_same(made, tmp_path):
    run = shutil.copytree(made, tmp_path / "run")
    config = tiny(pool=POOL, filter={"keep_pool": "accepted"}, classify={"arms": []})
    with pytest.raises(ConflictError, match="keep_pool"):
        rayqc.run(rayqc.make_config(config), str(run))
    rayqc.run(rayqc.make_config(config), str(run), redo=True)
    assert not list((run / "pool").glob("*.parquet"))
    assert not list((run / "filtered").glob("rejected/*"))
    before = told(rows(made / "filtered", "accepted"))
    assert told(rows(run / "filtered", "accepted")) == before
    scores = told(rows(made / "filtered", "scores"))
    assert told(rows(run / "filtered", "scores")) == scores
    config["filter"]["keep_pool"] = "none"
    config["classify"] = {**config["classify"], "arms": ["real"], "seeds": 1}
    result = rayqc.run(rayqc.make_config(config), str(run), redo=True)
    assert not list((run / "filtered").glob("accepted/*"))
    assert result["table3"]["accepted"] == len(before)
    assert told(rows(run / "filtered", "scores")) == scores


def test_draws_until_every_class_is_full_but_the_broken_one(made, full, tmp_path):
    out, found = full
    ends = {name: row["end"] for name, row in found["filled"].items()}
    assert ends == {**dict.fromkeys("0123456789", "full"), "3": "given up"}
    assert found["by_generator"]["python"]["given_up"] == ["3"]
    accepted = rows(out, "accepted")
    assert len(accepted) == found["accepted"]
    assert found["accepted"] == sum(row["accepted"] for row in found["filled"].values())
    drawn = rows(out, "scores")
    assert len(drawn) == found["drawn"]
    page = (out / "report.html").read_text()
    assert f"{found['accepted']:,}" in page
    assert (out / "README.md").exists()
    source = open_source(Data(path=str(out)))
    assert read_all(source, None, 10**6).num_rows == found["accepted"]
    for generator in found["by_generator"].values():
        for name, row in generator["by_class"].items():
            low, high = row["interval"]
            assert low >= 1
            if row["accepted"]:
                assert low <= row["draws_an_accepted"] <= high, name
    again = tmp_path / "again"
    rayqc.refilter(str(out), str(again), coverage=0.5, run=str(made), trust=TARGET)
    assert rows(again, "scores").keys() == drawn.keys()
    with pytest.raises(UntrustedCodeError, match="--trust"):
        rayqc.generate_until(str(made), str(tmp_path / "x"), until=5)
    with pytest.raises(ConflictError, match="wanted.until"):
        rayqc.generate_until(str(made), str(out), **{**UNTIL, "until": 13})
    assert rayqc.generate_until(str(made), str(out), **UNTIL) == found


def test_stopped_draws_go_on_to_the_same_end(made, full, tmp_path, monkeypatch):
    (once, whole), again = full, tmp_path / "again"
    from rayqc.pipeline import until

    real, calls = until.judge_sources, []

    def stops(*arguments):
        calls.append(arguments)
        found = real(*arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return found

    monkeypatch.setattr(until, "judge_sources", stops)
    with pytest.raises(KeyboardInterrupt):
        rayqc.generate_until(str(made), str(again), **UNTIL)
    assert not (again / "_SUCCESS").exists()
    with pytest.raises(InputError, match="is not finished"):
        open_source(Data(path=str(again)))
    found = rayqc.generate_until(str(made), str(again), **UNTIL)
    assert rows(again, "scores").keys() == rows(once, "scores").keys()
    assert rows(again, "accepted") == rows(once, "accepted")
    unlike = {"seconds", "filled", "by_generator"}
    assert {k: v for k, v in found.items() if k not in unlike} == {
        k: v for k, v in whole.items() if k not in unlike
    }


def test_a_budget_ends_it(made, tmp_path):
    found = rayqc.generate_until(
        str(made), str(tmp_path / "out"), until=10**6, budget=400, trust=TARGET
    )
    assert found["drawn"] <= 400
    assert {row["end"] for row in found["filled"].values()} == {"out of budget"}


def test_a_run_without_generators_says_so(tiny_run, tmp_path):
    with pytest.raises(InputError, match="no generator to draw from"):
        rayqc.generate_until(str(tiny_run), str(tmp_path / "out"), until=5)
    with pytest.raises(ConfigError, match="set a budget"):
        rayqc.generate_until(str(tiny_run), str(tmp_path / "out"), until=5, floor=0)
    with pytest.raises(ConfigError, match="expected at least 1"):
        rayqc.generate_until(str(tiny_run), str(tmp_path / "out"), until=0)
