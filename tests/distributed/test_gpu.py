"""Every stage on a GPU, and what is judged there beside what CPUs judge."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

import rayqc
from rayqc.distributed.resources import gpus_wanted
from rayqc.encoders.batches import LatentEncoder
from rayqc.encoders.store import load_encoder
from rayqc.images.statistics import image_statistics
from rayqc.storage import Folder
from tests.conftest import tiny
from tests.distributed.test_end_to_end import rows

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU"),
]
POOL = [
    {"kind": "augment", "policy": "strong", "per_reference": 6},
    {"kind": "gan", "steps": 30, "checkpoint_every": 15, "per_class": 20, "width": 4},
    {"kind": "vae", "per_class": 20},
]
ENCODERS = {
    "vae": {},
    "pretrained": {"kind": "pretrained"},
    "bfloat16": {"kind": "pretrained", "precision": "bfloat16"},
}
CLASSIFIERS = {"vae": "cnn", "pretrained": "finetune", "bfloat16": "probe"}


def judged(folder):
    """Score and verdict of each image that a filter judged."""
    return {row["id"]: (row["score"], row["verdict"]) for row in rows(folder, "scores")}


@pytest.fixture(scope="module", params=ENCODERS)
def run_on_gpu(request, ray_session, tmp_path_factory):
    """A run of all stages on the GPU that Ray finds, and the name of its encoder."""
    kind = request.param
    pool = POOL if kind == "vae" else POOL[:2]
    config = rayqc.make_config(
        tiny(
            pool=pool,
            encoder=ENCODERS[kind],
            classify={"kind": CLASSIFIERS[kind], "seeds": 1, "arms": ["real", "accepted"]},
        )
    )
    out = tmp_path_factory.mktemp("gpu") / kind
    return rayqc.run(config, str(out)), out, kind


def test_all_stages_run_there_and_cpus_judge_alike(run_on_gpu, tmp_path):
    found, out, kind = run_on_gpu
    assert gpus_wanted("auto")
    assert found["ledger"]["outcomes"]["error"] == 0
    assert set(found["classify"]["arms"]) == {"real", "accepted"}
    # A process of its own, whose Ray counts no GPU.
    words = ["filter", str(out), "--pool", str(out / "pool"), "--out", str(tmp_path / "cpu")]
    done = subprocess.run(
        [sys.executable, "-m", "rayqc", *words, "--num-cpus", "2", "--json"],
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr
    on_gpu = rayqc.filter_pool(str(out), str(out / "pool"), str(tmp_path / "gpu"))
    assert json.loads(done.stdout)["read"] == on_gpu["read"] == found["ledger"]["read"]
    there, here = judged(tmp_path / "gpu"), judged(tmp_path / "cpu")
    assert there.keys() == here.keys()
    differences = [abs(there[name][0] - here[name][0]) for name in here]
    others = sum(there[name][1] != here[name][1] for name in here)
    rough = kind == "bfloat16"
    print(f"{kind}: scores differ by {max(differences):.1e}, {others} of {len(here)} verdicts")
    assert max(differences) < (0.2 if rough else 2e-3)
    assert others <= (0.03 if rough else 0.005) * len(here)


def test_latents_are_those_of_a_cpu(run_on_gpu, rng):
    _, out, kind = run_on_gpu
    images_NHWC = rng.integers(0, 256, (40, *_input(out)), dtype=np.uint8)
    latents = {}
    for device in ("cpu", "cuda"):
        precision = "bfloat16" if kind == "bfloat16" and device == "cuda" else "float32"
        network = load_encoder(Folder(str(out / "model")), None).network
        latents[device] = LatentEncoder(network, 32, device, precision).encode(images_NHWC)
    difference = np.abs(latents["cuda"] - latents["cpu"]).max() / np.abs(latents["cpu"]).max()
    print(f"{kind}: latents differ by {difference:.1e} of the largest")
    assert difference < (0.05 if kind == "bfloat16" else 1e-4)


def _input(out):
    return load_encoder(Folder(str(out / "model")), None).input.pixels


@pytest.mark.parametrize("channels", [1, 3])
def test_statistics_are_those_of_a_cpu(channels, rng):
    smooth = np.linspace(0, 255, 64)[None, :, None, None] * np.ones((40, 1, 64, channels))
    noisy = rng.integers(0, 256, (40, 64, 64, channels))
    images_NHWC = np.concatenate([smooth, noisy, (smooth + noisy) / 2]).astype(np.uint8)
    here, there = (image_statistics(images_NHWC, device) for device in ("cpu", "cuda"))
    differences = np.abs(there - here)
    assert np.quantile(differences, 0.999) < 1e-3
    assert differences.max() < 0.01  # of shares: steps that are just as large as what counts small
