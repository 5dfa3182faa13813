"""Table 3: a miniature on a real Ray, taken up elsewhere; arms, pools and tables."""

import numpy as np
import pytest

import rayqc
from rayqc.config import load_evaluation
from rayqc.config.evaluation import Evaluation
from rayqc.config.table3 import NetworkProbe, SmallNetwork
from rayqc.errors import ConfigError
from rayqc.experiments import evaluate as module
from rayqc.experiments.plan import plan
from rayqc.experiments.table3.arms import choose_arms
from rayqc.experiments.table3.classifiers import cross_validate, from_scratch, probe
from rayqc.experiments.table3.looks import Look, resized
from rayqc.experiments.table3.published import PUBLISHED
from rayqc.experiments.table3.summary import summarise_table3
from rayqc.regions.base import Candidates
from rayqc.report.intervals import agreement
from rayqc.storage import Folder, read_json

pytest.importorskip("skimage", reason="the evaluate extra is not installed")

SMALL = {"width": 4, "steps": 12}
TINY = {
    "regions": {"views": ["edges"], "folds": 2},
    "detection": None,
    "accuracy": None,
    "table3": {
        "cells": [
            {
                "data": "bundled",
                "per_class": 3,
                "pool": 60,
                "draws": 2,
                "encoder_width": 0.02,
                "encoder_steps": 5,
            }
        ],
        "paper": SMALL,
        "candidates": [SMALL],
        "probe": None,
        "gan_from": 3,
        "gan_steps": 3,
        "test_images": 200,
    },
}


def test_a_miniature_is_measured_and_taken_up_elsewhere(ray_session, tmp_path):
    settings = Evaluation.model_validate(TINY)
    here = Folder(str(tmp_path / "here"))
    rayqc.evaluate(settings, str(here), limit=2)
    first = here.names("draws")
    assert len(first) == 2
    elsewhere = Folder(str(tmp_path / "elsewhere"))
    for name in ("evaluation.yaml", "evaluation.json"):
        elsewhere.write(name, here.read(name))
    found = rayqc.evaluate(settings, str(elsewhere))
    assert read_json(elsewhere, first[0]) == read_json(here, first[0])
    assert len(elsewhere.names("draws")) == 4
    (cell,) = found["table3"]
    assert (cell["data"], cell["per_class"], cell["pool"]) == ("bundled", 3, 60)
    assert cell["paper"]["draws"] == cell["today"]["draws"] == 2
    assert set(cell["paper"]["pools"]) == {"augment"}
    assert set(cell["today"]["pools"]) == {"augment", "faults", "gan"}
    arms = set(cell["paper"]["pools"]["augment"]["arms"])
    assert arms == {
        "real",
        "all",
        "sphere",
        "random: sphere",
        "calibrated",
        "random: calibrated",
        "selected",
        "random: selected",
    }
    assert set(cell["today"]["pools"]["faults"]["arms"]) == arms | {"oracle"}
    assert cell["today"]["pools"]["faults"]["sound_accepted"]["calibrated"] > 0.5
    page = elsewhere.read("evaluation.md").decode()
    assert "Today's protocol, a pool of a GAN" in page
    assert "chosen in 2" in page
    assert elsewhere.read("table3.png").startswith(b"\x89PNG")


def test_an_interrupted_evaluation_has_tables_of_what_it_measured(
    ray_session, tmp_path, monkeypatch
):
    done = module.run_tasks

    def interrupted(function, jobs, stage):
        done(function, jobs[:1], stage)
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "run_tasks", interrupted)
    with pytest.raises(KeyboardInterrupt):
        rayqc.evaluate(Evaluation.model_validate(TINY), str(tmp_path))
    assert len(read_json(Folder(str(tmp_path)), "evaluation.json")["records"]) == 1
    assert (tmp_path / "evaluation.md").exists()


def test_settings_of_cells_are_checked():
    with pytest.raises(ConfigError, match="no data set is called cifar11"):
        load_evaluation(None, ["table3={cells: [{data: cifar11, per_class: 5, pool: 500}]}"])
    with pytest.raises(ConfigError, match="per_class must be 2 or more"):
        load_evaluation(None, ["table3={cells: [{data: bundled, per_class: 1, pool: 500}]}"])
    cell = "{data: bundled, per_class: 5, pool: 500, compared: 3}"
    with pytest.raises(ConfigError, match="compared takes the probe, and table3.probe is null"):
        load_evaluation(None, [f"table3={{cells: [{cell}], probe: null}}"])


def test_draws_beyond_those_compared_take_the_probe(ray_session, tmp_path):
    pytest.importorskip("timm", reason="the pretrained extra is not installed")
    (cell,) = TINY["table3"]["cells"]
    table3 = TINY["table3"] | {
        "cells": [cell | {"compared": 0, "draws": 1}],
        "probe": {"size": 32, "copies": 1},
        "pools": ["augment", "faults"],
        "paper": {"width": 4, "steps": 1},
        "test_images": 60,
    }
    settings = Evaluation.model_validate(TINY | {"table3": table3})
    (found,) = rayqc.evaluate(settings, str(tmp_path))["table3"]
    (told,) = found["today"]["cross_validated"]
    assert found["today"]["classifiers"] == {told: 1}
    assert "probe" in told
    assert set(found["today"]["pools"]) == {"augment", "faults"}
    assert "scratch" not in found
    page = (tmp_path / "evaluation.md").read_text()
    assert "chosen in 1" in page


def test_small_networks_are_asked_in_the_first_draws():
    table3 = TINY["table3"] | {"probe": {}}
    (cell,) = table3["cells"]
    settings = Evaluation.model_validate(
        TINY | {"table3": table3 | {"cells": [cell | {"draws": 3, "compared": 2}]}}
    )
    today = [job for job in plan(settings) if "-today-" in job.name]
    assert [len(job.arguments[-1]) for job in today] == [1, 1, 0]
    alone = Evaluation.model_validate(TINY | {"table3": table3})
    names = {job.name for job in plan(alone)}
    assert names < {job.name for job in plan(settings)}


def test_means_of_cross_validation_are_over_the_draws_that_have_it():
    pool = {"accepted": {"sphere": 4}, "sound_accepted": None, "arms": {"real": [0.5, 0.5]}}
    common = {"data": "mnist", "per_class": 5, "pool_size": 50, "encoder_width": 1.0}
    common |= {"encoder_steps": 400, "table3": "today", "classifier": "probe", "seconds": 1}
    common |= {"scratch": None, "pools": {"augment": pool}}
    records = [
        common | {"draw": 0, "cross_validated": {"small": 0.2, "probe": 0.4}},
        common | {"draw": 1, "cross_validated": {"probe": 0.6}},
    ]
    (cell,) = summarise_table3(records)
    assert cell["today"]["cross_validated"] == {"small": 0.2, "probe": pytest.approx(0.5)}


def candidates_of(rng, size, classes=3):
    return Candidates(
        images_NHWC=rng.integers(0, 255, (size, 8, 8, 1), dtype=np.uint8),
        latent_ND=rng.normal(size=(size, 5)).astype(np.float32),
        label_N=np.arange(size) % classes,
    )


def test_arms_are_of_equal_size_in_each_class(rng):
    references, pool = candidates_of(rng, 12), candidates_of(rng, 150)
    accepted = {"sphere": rng.random(150) < 0.7, "calibrated": rng.random(150) < 0.5}
    sound = rng.random(150) < 0.9
    arms = choose_arms(references, pool, accepted, sound, 0)

    def sizes(arm):
        return np.bincount(pool.label_N[arms[arm]], minlength=3).tolist()

    assert sizes("all") == [50, 50, 50]
    for kind, kept in accepted.items():
        assert arms[kind].tolist() == np.flatnonzero(kept).tolist()
        assert sizes(f"random: {kind}") == sizes(kind)
        assert arms[f"random: {kind}"].tolist() != arms[kind].tolist()
    assert sizes("oracle") == sizes("calibrated")
    assert sound[arms["oracle"]].all()
    assert sizes("selected") == sizes("random: selected")
    for arm in ("selected", "random: selected"):
        assert set(arms[arm]) < set(arms["calibrated"])
    for rows in arms.values():
        assert len(set(rows)) == len(rows)


def test_regions_that_accept_all_make_one_arm_of_it(rng):
    references, pool = candidates_of(rng, 12), candidates_of(rng, 30)
    arms = choose_arms(references, pool, {"calibrated": np.ones(30, bool)}, None, 0)
    assert (
        arms["random: calibrated"].tolist() == arms["calibrated"].tolist() == arms["all"].tolist()
    )
    assert "oracle" not in arms
    nothing = choose_arms(references, pool, {"calibrated": np.zeros(30, bool)}, None, 0)
    assert {arm: rows.size for arm, rows in nothing.items() if arm != "all"} == {
        "calibrated": 0,
        "random: calibrated": 0,
        "selected": 0,
        "random: selected": 0,
    }


def test_cross_validation_tells_classifiers_apart_without_a_test_image(rng):
    """Classes that differ in brightness: a network that is trained tells them, one step does not;
    and a probe's copies of a reference never stand in the fold that it is tested in.
    """
    label = np.arange(24) % 2
    images = (rng.integers(0, 60, (24, 8, 8, 1)) + 120 * label[:, None, None, None]).astype(
        np.uint8
    )
    latent = (images.mean((1, 2, 3)) / 100)[:, None].astype(np.float32)
    references = Candidates(images_NHWC=images, latent_ND=latent, label_N=label)
    trained = from_scratch(references, 2, SmallNetwork(width=4, steps=60), today=True)
    assert cross_validate(trained, references, 3, 0) > 0.9
    assert not from_scratch(references, 2, SmallNetwork(), today=False).settings.augment

    def blind(images):  # a latent that tells one image from all others, and nothing of its class
        codes = rng.normal(size=(len(images.label_N), 200)).astype(np.float32)
        return Candidates(images_NHWC=images.images_NHWC, latent_ND=codes, label_N=images.label_N)

    seen = blind(references)
    same = Look(
        see=lambda images: seen, saw_references=False
    )  # copies with the latents of their own
    found = probe(seen, 2, same, NetworkProbe(copies=3), 0)
    assert len(found.copies) == 3
    assert cross_validate(found, seen, 3, 0) < 0.85
    everything = np.arange(24)
    assert found.accuracy(everything, seen[:0], seen, 0) > 0.8
    assert len(probe(seen, 2, same, NetworkProbe(copies=3, most=60), 0).copies) == 1


def test_agreement_is_one_where_seeds_agree_and_none_where_they_decide(rng):
    arm = rng.normal(size=(200, 1))
    assert agreement(np.repeat(arm, 3, 1)) == pytest.approx(1)
    assert abs(agreement(rng.normal(size=(2000, 3)))) < 0.1
    # as much spread between arms as between seeds: one half
    assert agreement(arm * 1 + rng.normal(size=(200, 20))) == pytest.approx(0.5, abs=0.1)


def test_differences_are_paired_by_draw():
    """Arms that vary by ten points over draws, and differ by one in each of them."""

    def record(draw, base):
        arms = {"real": [base, base], "all": [base + 0.01, base + 0.01]}
        pool = {"accepted": {"sphere": 40}, "sound_accepted": None, "arms": arms}
        return {
            "data": "mnist",
            "per_class": 5,
            "pool_size": 50,
            "encoder_width": 0.0625,
            "encoder_steps": 400,
            "draw": draw,
            "table3": "paper",
            "classifier": "a",
            "seconds": 1800,
            "pools": {"augment": pool},
        }

    (cell,) = summarise_table3([record(n, base) for n, base in enumerate((0.5, 0.6, 0.7))])
    pool = cell["paper"]["pools"]["augment"]
    assert pool["differences"]["all - real"]["mean"] == pytest.approx(1)
    assert pool["differences"]["all - real"]["half_width"] == pytest.approx(0, abs=1e-9)
    assert pool["arms"]["real"]["half_width"] > 20
    assert pool["accepted"]["sphere"] == 0.8
    assert cell["hours"] == 1.5
    assert "scratch" not in cell and "today" not in cell


def test_gray_images_are_brought_to_the_network(rng):
    images = rng.integers(0, 255, (2, 28, 28, 1), dtype=np.uint8)
    larger = resized(images, 56)
    assert larger.shape == (2, 56, 56, 3)
    assert (larger[..., 0] == larger[..., 2]).all()
    assert abs(larger.mean() - images.mean()) < 2


def test_the_published_table_is_whole():
    assert len(PUBLISHED) == 12
    shares = [row.accepted / row.pool for row in PUBLISHED.values()]
    assert 0.73 < min(shares) < max(shares) < 0.92
