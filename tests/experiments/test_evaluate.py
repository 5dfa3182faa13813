"""`rayqc evaluate`: whole but tiny on a real Ray, resumed, and its tables against numpy."""

import numpy as np
import pytest

import rayqc
from rayqc.config import load_evaluation
from rayqc.config.base import Data
from rayqc.config.evaluation import Accuracy, DataSet, Detection, Evaluation
from rayqc.config.regions import Regions
from rayqc.errors import ConfigError, ConflictError, InputError
from rayqc.experiments import evaluate as module
from rayqc.experiments.accuracy import choose_arms, make_pool
from rayqc.experiments.detection import EVENS, fresh_of
from rayqc.experiments.evaluate import load
from rayqc.experiments.plan import plan
from rayqc.experiments.pools import KnownPool
from rayqc.experiments.tables import bootstrap, choose_without, summarise
from rayqc.storage import Folder

pytest.importorskip("skimage", reason="the evaluate extra is not installed")

TINY = {
    "regions": {"views": ["edges"], "folds": 2},
    "detection": {
        "draws": {3: 2},
        "development": 1,
        "fresh": 60,
        "faulty": 20,
        "encoder_width": 0.02,
        "encoder_steps": 5,
        "gan_steps": 3,
    },
    "accuracy": {
        "pools": ["faults", "augment"],
        "per_class": 3,
        "draws": 1,
        "candidates": 60,
        "steps": 10,
        "width": 4,
        "test_images": 100,
    },
}


def test_it_measures_resumes_and_tells(ray_session, tmp_path, monkeypatch):
    settings = Evaluation.model_validate(TINY)
    out = str(tmp_path / "evaluation")
    first = rayqc.evaluate(settings, out, limit=2)
    assert len(Folder(out).names("draws")) == 2
    before = {name: Folder(out).read(name) for name in Folder(out).names("draws")}
    found = rayqc.evaluate(settings, out)
    assert {name: Folder(out).read(name) for name in before} == before
    assert len(Folder(out).names("draws")) == 5
    assert first["detection"] == [] or first["detection"][0]["draws"] < 2
    cell = found["detection"][0]
    assert (cell["data"], cell["per_class"], cell["draws"]) == ("bundled", 3, 2)
    assert set(cell["auroc"]) >= {"joint", "label", "quality", "sphere", "ssim", "realism"}
    kinds = set(cell["auroc"]["joint"]["kinds"])
    faults = {"wrong_label", "noise", "blur", "occlusion", "blend", "blank", "decoding"}
    assert kinds == faults | {"undertrained_gan"}
    assert set(cell["left_out"]["kinds"]) == kinds
    for name in ("joint", "sphere", "sphere_loo"):
        assert 0 <= cell["coverage"][name]["lowest"]["mean"] <= 1
    pools = {row["pool"]: row for row in found["accuracy"]}
    assert "oracle" in pools["faults"]["arms"]
    assert "oracle" not in pools["augment"]["arms"]
    page = Folder(out).read("evaluation.md").decode()
    assert "| references a class | 3 |" in page
    assert "### bundled, 3 references a class, 2 draws" in page
    assert "| bundled | faults | 1 |" in page
    more = Evaluation.model_validate({**TINY, "detection": {**TINY["detection"], "draws": {3: 3}}})
    assert len(plan(more)) == 6
    module._claim(Folder(out), more)  # more draws are no other evaluation
    other = Evaluation.model_validate({**TINY, "regions": {"coverage": 0.9}})
    with pytest.raises(ConflictError, match=r"regions.coverage: 0.95 -> 0.9"):
        rayqc.evaluate(other, out)


def test_settings_are_checked(tmp_path):
    with pytest.raises(ConfigError, match="must be calibrated"):
        load_evaluation(None, ["regions.kind=sphere"])
    with pytest.raises(ConfigError, match="first_draw must leave room"):
        load_evaluation(None, ["first_draw=1"])
    with pytest.raises(ConfigError, match="unknown setting `detection.drawz`"):
        load_evaluation(None, ["detection.drawz=1"])
    assert load_evaluation(None).data[0].name == "bundled"


def test_a_bootstrap_covers_the_mean_of_draws(rng):
    found = bootstrap(list(rng.normal(3.0, 1.0, 400)))
    assert found["low"] < found["mean"] < found["high"]
    assert found["high"] - found["low"] == pytest.approx(2 * 1.96 / 20, rel=0.2)
    assert bootstrap([2.0]) == {"mean": 2.0, "low": 2.0, "high": 2.0, "draws": 1}


def test_a_left_out_kind_has_no_say():
    """A share that is best by one kind only is not chosen for that kind."""

    def record(draw):
        auroc = {
            f"joint:{even:g}": {"noise": 0.9 if even == 1.5 else 0.5, "blur": 0.8, "blend": 0.7}
            for even in EVENS
        }
        auroc["joint:3"]["blur"] = 0.85
        return {"draw": draw, "auroc": auroc}

    chosen = choose_without([record(0), record(500)], first_draw=100)
    assert chosen["blur"] == "joint:1.5"
    assert chosen["noise"] == "joint:3"
    assert choose_without([record(500)], first_draw=100) == {}


@pytest.fixture(scope="module")
def digits():
    return load(
        DataSet(
            name="bundled",
            references=Data(kind="bundled", split="train"),
            test=Data(kind="bundled", split="test"),
        )
    )


@pytest.mark.parametrize("pool", ["clean", "faults", "augment"])
def test_pools_hold_what_they_say(digits, pool, rng):
    rows = np.arange(0, 4000, 400)
    made = make_pool(digits, pool, rows, Accuracy(candidates=200), rng)
    assert made.images_NHWC.shape == (200, 28, 28, 1)
    if pool == "augment":
        assert made.sound_N is None
        assert set(made.label_N) <= set(digits.train.label_N[rows])
    else:
        assert made.sound_N.sum() == (200 if pool == "clean" else 140)
        references = {image.tobytes() for image in digits.train.images_NHWC[rows]}
        assert not references & {image.tobytes() for image in made.images_NHWC}
    with pytest.raises(ValueError, match="names no gan"):
        make_pool(digits, "gan", rows, Accuracy(), rng)


def test_arms_are_of_equal_size_in_each_class(rng):
    label = rng.integers(0, 3, 300)
    sound = rng.random(300) < 0.8
    score = np.where(sound, 0.5, 1.5) + 0.4 * rng.random(300)
    pool = KnownPool(images_NHWC=np.zeros((300, 8, 8, 1), np.uint8), label_N=label, sound_N=sound)
    arms = ["real", "all", "random", "accepted", "inverted", "oracle"]
    chosen = choose_arms(pool, score, arms, rng)
    size = np.bincount(label[chosen["accepted"]])
    for arm in ("random", "inverted", "oracle"):
        assert np.bincount(label[chosen[arm]]).tolist() == size.tolist()
        assert len(set(chosen[arm])) == len(chosen[arm])
    assert (score[chosen["accepted"]] <= 1).all()
    assert sound[chosen["oracle"]].all()
    assert score[chosen["inverted"]].mean() > score[chosen["accepted"]].mean()
    assert chosen["real"].size == 0
    assert chosen["all"].size == 300
    unknown = KnownPool(images_NHWC=pool.images_NHWC, label_N=label, sound_N=None)
    assert "oracle" not in choose_arms(unknown, score, arms, rng)


def test_differences_are_paired_by_draw():
    records = [
        {
            "data": "d",
            "pool": "faults",
            "draw": draw,
            "statistic": "joint",
            "accepted": 0.7,
            "sound": 0.7,
            "sound_accepted": 0.9,
            "arms": {
                "random": 0.5 + draw,
                "accepted": 0.6 + draw,
                "all": 0.5,
                "oracle": 0.7 + draw,
            },
        }
        for draw in range(3)
    ]
    found = summarise(records, first_draw=0)["accuracy"][0]
    gain = found["differences"]["accepted - random"]
    assert (gain["mean"], gain["low"], gain["high"]) == pytest.approx((0.1, 0.1, 0.1))
    assert found["share_of_oracle"] == pytest.approx(0.5)


def test_regions_asked_for_are_those_measured():
    settings = Evaluation.model_validate(TINY)
    for job in plan(settings):
        assert isinstance(job.arguments[-1], Regions)
        assert job.arguments[-1].folds == 2


def test_faults_leave_genuine_images_or_that_is_said():
    assert fresh_of(10_000, Detection(fresh=8000, faulty=500), "a") == 8000
    assert fresh_of(1_000, Detection(fresh=8000, faulty=500), "a") == 500
    with pytest.raises(InputError, match="a has 500 test images, and detection.faulty"):
        fresh_of(500, Detection(fresh=8000, faulty=500), "a")


def test_the_defaults_have_test_images_enough_and_say_what_is_fewer(caplog):
    settings = Evaluation()
    assert module._loaded(settings.data[0], settings).test.label_N.size == 1000
    assert "bundled: 500 test images stay genuine beside the faulty ones, of 8,000" in caplog.text


def test_arms_without_the_accepted_are_summed_up():
    record = {
        "data": "a", "pool": "faults", "draw": 100, "per_class": 3, "statistic": "joint",
        "accepted": 0.5, "arms": {"real": 0.5, "random": 0.5, "oracle": 0.6},
        "sound": 0.7, "sound_accepted": 0.9,
    }  # fmt: skip
    records = [{**record, "draw": 100 + number} for number in range(3)]
    assert "share_of_oracle" not in module.summarise(records, 100)["accuracy"][0]


def test_draws_without_networks_stay_without(tmp_path, caplog):
    cell = {"data": "bundled", "per_class": 5, "pool": 50}

    def settings(compared, path="data/a.parquet"):
        return Evaluation.model_validate(
            {
                "data": [{"name": "bundled", "references": {"path": path}, "test": {"path": path}}],
                "detection": None,
                "accuracy": None,
                "table3": {"cells": [{**cell, "compared": compared}]},
            }
        )

    folder = Folder(str(tmp_path / "out"))
    module._claim(folder, settings(3))
    module._claim(folder, settings(1))
    assert "bundled" not in caplog.text
    for more in (5, None):
        with pytest.raises(ConflictError, match=f"compared: 1 -> {more}"):
            module._claim(folder, settings(more))
    module._claim(folder, settings(1, "data/b.parquet"))
    assert "data bundled.references.path: 'data/a.parquet' -> 'data/b.parquet'" in caplog.text
