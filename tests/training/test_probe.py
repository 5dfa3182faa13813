"""The linear probe: what it is trained on, and a whole classifier stage of probes."""

import json
import shutil

import numpy as np
import pytest

import rayqc
from rayqc.config.settings import Classify
from rayqc.distributed.classify import kind_of
from rayqc.images.look import ImageShape
from rayqc.training.arms import Latents
from rayqc.training.probe import probe_accuracy, resampled, train_probe
from tests.conftest import tiny


def latents(count, rng, apart=3.0):
    label_N = np.arange(count) % 3
    latent_ND = rng.normal(size=(count, 6)).astype(np.float32)
    latent_ND[np.arange(count), label_N] += apart
    return Latents(latent_ND=latent_ND, label_N=label_N)


def test_a_draw_keeps_the_number_of_each_class(rng):
    label_N = np.array([0] * 5 + [2] * 20)
    rows = resampled(label_N, rng)
    assert np.bincount(label_N[rows]).tolist() == [5, 0, 20]
    assert len(set(rows.tolist())) < 25
    assert resampled(np.zeros(0, np.int64), rng).size == 0


def test_probes_of_a_seed_draw_the_same_references(rng):
    """So that arms are paired: what an arm adds leaves the references' draw alone."""
    known, nothing = latents(30, rng), latents(0, rng)
    more, test = latents(300, rng), latents(600, rng)
    first, again = (train_probe(known, nothing, 3, seed=4) for _ in range(2))
    np.testing.assert_array_equal(first.weight_FK, again.weight_FK)
    other = train_probe(known, nothing, 3, seed=5)
    assert not np.array_equal(first.weight_FK, other.weight_FK)
    alone = [probe_accuracy(train_probe(known, nothing, 3, seed), test) for seed in range(5)]
    helped = [probe_accuracy(train_probe(known, more, 3, seed), test) for seed in range(5)]
    assert np.mean(alone) > 0.85
    assert np.mean(helped) > np.mean(alone)
    wrong = Latents(latent_ND=more.latent_ND, label_N=(more.label_N + 1) % 3)
    assert probe_accuracy(train_probe(known, wrong, 3, 0), test) < 0.5


@pytest.mark.parametrize(
    ("kind", "size", "taken"),
    [("auto", 32, "cnn"), ("auto", 64, "probe"), ("cnn", 64, "cnn"), ("probe", 28, "probe")],
)
def test_large_images_get_probes(kind, size, taken):
    assert kind_of(Classify(kind=kind), ImageShape(size=size, channels=3)) == taken


def test_a_classifier_stage_of_probes(tiny_run, tmp_path):
    shutil.copytree(tiny_run, tmp_path / "run")
    config = rayqc.make_config(tiny(classify={"kind": "probe", "seeds": 4}))
    result = rayqc.run(config, str(tmp_path / "run"), redo=True)
    arms = result["classify"]["arms"]
    assert set(arms) == {"real", "all", "random", "accepted", "rejected"}
    assert arms["random"]["added"] == arms["accepted"]["added"] > 0
    for arm in arms.values():
        assert arm["seeds"] == 4
        assert 0 < arm["accuracy"]["mean"] <= 1
    assert arms["real"]["accuracy"]["mean"] > 0.4  # 0.1 is chance
    assert result["classify"]["kind"] == "probe of edge histograms"
    assert len(list((tmp_path / "run/classify").glob("*.json"))) == 20
    saved = json.loads((tmp_path / "run/classify.json").read_text())
    assert saved["arms"]["real"]["accuracy"] == arms["real"]["accuracy"]
