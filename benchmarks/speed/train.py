"""Steps of the VAE's training: a bare loop, rayqc's on Ray Train, and two of its workers."""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

import rayqc
from benchmarks.speed.material import WIDTHS
from rayqc.config import Config
from rayqc.models.vae import VAE, VAEShape
from rayqc.progress import Progress, Stage

BATCH = 32
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
STEPS = {"light": 2000, "eighth": 600, "paper": 60 if DEVICE == "cpu" else 600}


STAGE = "train"
"""Name of the stage whose steps are timed; others, as of comparing test images, come first."""


class _Clock(Progress):
    """When which step of the training had been reached."""

    def __init__(self) -> None:
        self.seen: list[tuple[float, int]] = []

    def stage(self, name: str, total: int, unit: str = "images") -> Stage:
        """A stage that notes each of its steps' times, if it is the training."""
        if name != STAGE:
            return Stage(name, total, unit)
        seen = self.seen

        class Noting(Stage):
            def moved(self, now: float) -> None:
                if self.done < self.total:
                    seen.append((now, self.done))

        return Noting(name, total, unit)

    def seconds_a_step(self) -> float:
        """From the first to the last report, of every tenth step."""
        (begun, first), (ended, last) = self.seen[0], self.seen[-1]
        assert last > first, "the training ended before its second report"
        return (ended - begun) / (last - first)


def compare(rounds: int, width: str) -> dict[str, float]:
    """Ratios of the time of a step, medians of rounds, each way in a session of its own.

    `bare` on one thread / rayqc with one worker of one thread, and that / two such workers. Where
    there is a GPU both use it, and there is no second worker.
    """
    found = [(_bare(width), _ours(width, 1)) for _ in range(rounds)]
    ratios = {
        "bare_ms": 1e3 * statistics.median(bare for bare, _ in found),
        "bare / one worker": statistics.median(bare / one for bare, one in found),
    }
    if DEVICE == "cpu":
        gains = [one / _ours(width, 2) for _, one in found]
        ratios["one worker / two"] = statistics.median(gains)
    return ratios


def _ours(width: str, workers: int) -> float:
    clock = _Clock()
    with tempfile.TemporaryDirectory() as place:
        rayqc.train(_config(width, workers), str(Path(place, "run")), progress=clock)
    return clock.seconds_a_step()


def _config(width: str, workers: int) -> Config:
    return rayqc.make_config(
        {
            "references": {"kind": "bundled", "per_class": 10},
            "image": {"size": 28, "channels": 1},
            "encoder": {
                "width": WIDTHS[width],
                "steps": STEPS[width],
                "batch_size": BATCH,
                "checkpoint_every": STEPS[width],
                "allow_collapse": True,
            },
            "resources": {"train_workers": workers, "cpus_per_worker": 1},
        }
    )


def _bare(width: str) -> float:
    """A loop as a script has it."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    vae = VAE(VAEShape(size=28, channels=1, width=WIDTHS[width])).to(DEVICE)
    optimiser = torch.optim.Adam(vae.parameters(), lr=1e-3)
    images_NCHW = torch.from_numpy(
        np.random.default_rng(0).random((100, 1, 28, 28), dtype=np.float32)
    ).to(DEVICE)
    steps = STEPS[width] // 2
    for step in range(steps + 2):
        if step == 2:
            float(images_NCHW.sum())  # waits for what a GPU has not done yet
            begun = time.perf_counter()
        x_NCHW = images_NCHW[torch.randint(100, (BATCH,))]
        logits, mean, log_var = vae(x_NCHW, torch.randn(BATCH, 100, device=DEVICE))
        loss = F.binary_cross_entropy_with_logits(logits, x_NCHW, reduction="sum")
        loss = (loss - 0.5 * (1 + log_var - mean**2 - log_var.exp()).sum()) / BATCH
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    float(loss)
    return (time.perf_counter() - begun) / steps
