"""Images of the pool that the label learns from: which are taken, and a run that does."""

import shutil

import numpy as np
import pytest

import rayqc
from rayqc.errors import ConfigError
from rayqc.images.encode import encode_png
from rayqc.pipeline.pool_sample import pool_sample
from rayqc.pipeline.run import Run
from rayqc.storage import Folder
from tests.conftest import MEANS

CLASSES = ("level", "up")


def bars(count, seed):
    """Bars of two classes in turn, upright and level, (N, 16, 16, 1) uint8."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 80, (count, 16, 16, 1), dtype=np.uint8)
    for row, place in enumerate(rng.integers(2, 12, count)):
        (images[row] if row % 2 == 0 else images[row].swapaxes(0, 1))[place : place + 3] += 150
    return images


def fill(root, count, seed):
    for row, pixels in enumerate(bars(count, seed)):
        folder = root / CLASSES[row % 2]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{row}.png").write_bytes(encode_png(pixels))


def settings(root, **regions):
    return rayqc.make_config(
        {
            "references": {"path": str(root / "references")},
            "pool": [{"path": str(root / "pool"), "name": "made"}],
            "encoder": {"kind": "python", "target": MEANS},
            "regions": {"views": ["edges", "pool"], "folds": 3, "pool_images": 60, **regions},
            "filter": {"max_error_share": 0.1, "actors": 1},
            "classify": {"arms": []},
        }
    )


@pytest.fixture(scope="module")
def done(ray_session, tmp_path_factory):
    """A finished run whose label learned from its pool, some of which nobody can learn from."""
    root = tmp_path_factory.mktemp("learned")
    fill(root / "references", 12, 1)
    fill(root / "pool", 40, 2)
    shutil.copy(root / "references" / "up" / "1.png", root / "pool" / "up" / "a-reference.png")
    (root / "pool" / "up" / "damaged.png").write_bytes(b"damaged")
    (root / "pool" / "oblique").mkdir()
    shutil.copy(root / "pool" / "up" / "1.png", root / "pool" / "oblique" / "1.png")
    result = rayqc.run(settings(root), str(root / "run"))
    return root, result


def test_what_cannot_be_learned_from_is_left_to_the_filter(done):
    root, result = done
    assert result["regions"]["pool_images"] == 40
    outcomes = result["ledger"]["outcomes"]
    assert sum(outcomes.values()) == 43
    assert outcomes["error"] == 2
    run = Run(Folder(str(root / "run")), settings(root))
    sample = pool_sample(run)
    names = set(sample["id"].to_pylist())
    assert len(names) == 40
    assert not any("a-reference" in name or "damaged" in name for name in names)
    assert np.bincount(np.asarray(sample["label"])).tolist() == [20, 20]


def test_a_sample_is_spread_over_the_pool(done):
    root, _ = done
    some = Run(Folder(str(root / "run")), settings(root, pool_images=22))
    labels = np.asarray(pool_sample(some)["label"])
    assert 20 <= labels.size <= 22
    assert min(np.bincount(labels)) >= 9
    none = Run(Folder(str(root / "run")), settings(root, pool_images=0, views=["edges"]))
    assert pool_sample(none) is None
    sphere = Run(Folder(str(root / "run")), settings(root, kind="sphere"))
    assert pool_sample(sphere) is None


def test_too_few_images_to_learn_from_are_said(done, caplog):
    root, _ = done
    few = Run(Folder(str(root / "run")), settings(root, pool_images=10))
    assert pool_sample(few) is None
    assert "the label learns nothing from the pool" in caplog.text
    pool_sample(Run(Folder(str(root / "run")), settings(root, pool_images=30)))
    assert (
        "fewer than 20 of the pool's images that the label learns from are of level, up"
        in caplog.text
    )


def test_verdicts_are_taken_again_from_it(done, tmp_path):
    root, result = done
    again = rayqc.refilter(str(root / "run"), str(tmp_path / "again"), coverage=0.95, trust=MEANS)
    assert again["outcomes"] == result["ledger"]["outcomes"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"pool": [{"kind": "augment"}]}, "no entry of the pool is of images that are there"),
        ({"regions": {"views": ["edges", "pool"], "pool_images": 0}}, "give both or neither"),
        ({"regions": {"views": ["edges"], "pool_images": 9}}, "give both or neither"),
    ],
)
def test_what_could_not_be_learned_is_refused(changes, said):
    tree = {
        "references": {"path": "real"},
        "pool": [{"path": "made"}],
        "regions": {"pool_images": 9},
        **changes,
    }
    with pytest.raises(ConfigError, match=said):
        rayqc.make_config(tree)
