"""What one image costs the VAE: arithmetic, and time on one thread, by width.

python benchmarks/encoder_cost.py

Arithmetic is counted by torch's own counter (2 a multiply-add) and is the same
everywhere; times are medians over interleaved rounds of one run on this machine, so
read their ratios.
"""

from __future__ import annotations

import functools
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from rayqc.encoders.batches import LatentEncoder
from rayqc.models.vae import VAE, VAEShape
from rayqc.training.vae import TrainingState, VAESettings, train_vae

WIDTHS = (1.0, 0.5, 0.25, 0.125)
SHAPES = ((28, 1), (32, 3))
ENCODED, TRAINED, ROUNDS = 128, 32, 3


def trainer(vae: VAE, images: np.ndarray) -> Callable[[], None]:
    """One optimiser step on `TRAINED` images."""
    state = TrainingState(model=vae, optimiser=torch.optim.Adam(vae.parameters()))

    def step() -> None:
        settings = VAESettings(
            steps=state.step + 1,
            batch_size=TRAINED,
            learning_rate=1e-3,
            beta=1.0,
            reconstruction="bce",
            augment=False,
            seed=0,
            checkpoint_every=10**9,
        )
        train_vae(state, images, settings)

    return step


def gflop(work: Callable[[], object], images: int) -> float:
    """10^9 operations an image."""
    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops() / images / 1e9


def milliseconds(work: Callable[[], object], images: int) -> float:
    """Time an image."""
    started = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - started) / images


def main() -> None:
    """Print a table for each image shape."""
    torch.set_num_threads(1)
    for size, channels in SHAPES:
        images = np.random.default_rng(0).integers(
            0, 256, (ENCODED, size, size, channels), dtype=np.uint8
        )
        print(f"\n{size} x {size} x {channels}, one thread, float32")
        print("| width | encode GFLOP | train GFLOP | encode ms | train ms | train / encode |")
        print("|---|---|---|---|---|---|")
        for width in WIDTHS:
            vae = VAE(VAEShape(size=size, channels=channels, width=width))
            encoder, step = LatentEncoder(vae, ENCODED), trainer(vae, images)
            work = {
                "encode": (functools.partial(encoder.encode, images), ENCODED),
                "train": (step, TRAINED),
            }
            arithmetic = {name: gflop(*one) for name, one in work.items()}
            times: dict[str, list[float]] = {name: [] for name in work}
            for _ in range(ROUNDS):
                for name, one in work.items():
                    times[name].append(milliseconds(*one))
            encode, train = (statistics.median(times[name]) for name in ("encode", "train"))
            print(
                f"| {width} | {arithmetic['encode']:.3f} | {arithmetic['train']:.3f} | "
                f"{encode:.2f} | {train:.1f} | {train / encode:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
