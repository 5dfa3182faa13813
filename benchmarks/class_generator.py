"""A pool by a GAN that was trained on many images of the classes, as a user might download one.

python -m benchmarks.class_generator DATA --out FOLDER [--steps 8000] [--size 32] [--samples 400]

DATA is a folder of Parquet in Hugging Face's layout. A GAN (`rayqc.models.gan`) is trained on all
images of its split train, and FOLDER gets so many samples of each class in the same layout, for
`python -m benchmarks.sets DATA --pool FOLDER`. None of the test images is seen; references are
among the images that it was trained on, as they may be for a generator that somebody downloads.
Needs no Ray.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch

from benchmarks.photographs import read
from rayqc.config import Gan
from rayqc.experiments.draws import gan_samples
from rayqc.images.encode import encode_png
from rayqc.images.look import ImageShape
from rayqc.schema import candidate_table
from rayqc.training.gan import GANState, fresh_gan, settings_of, shape_of, train_gan

SEED = 0
SAID_EVERY = 500


def _say(state: GANState) -> None:
    if state.step % SAID_EVERY == 0:
        print(f"step {state.step:,}: {state.history[-1]}", flush=True)


def main(argv: list[str] | None = None) -> None:
    """Train, draw, and write one Parquet file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=8000)
    parser.add_argument("--size", type=int, default=32, help="pixels of a side")
    parser.add_argument("--samples", type=int, default=400, help="of each class")
    asked = parser.parse_args(argv)
    torch.set_num_threads(1)
    train = read(asked.data, "train")
    look = ImageShape(size=asked.size, channels=3)
    images_NHWC = np.stack([look.cut(image) for image in train.images])
    # A class that a file names and has no image of is none.
    present, label_N = np.unique(train.label_N, return_inverse=True)
    entry = Gan(kind="gan", steps=asked.steps)
    shape = shape_of(entry, asked.size, 3, present.size)
    settings = replace(settings_of(entry, SEED), checkpoint_every=asked.steps)
    state = fresh_gan(shape, entry.learning_rate, SEED, "cpu")
    generator = train_gan(state, images_NHWC, label_N, settings, on_record=_say).average
    made_N = np.arange(asked.samples * present.size) % present.size
    made_NHWC = gan_samples(generator, made_N, np.random.default_rng(SEED))
    table = candidate_table(
        train.classes,
        ids=[f"made-{number:06d}" for number in range(made_N.size)],
        images=[encode_png(image) for image in made_NHWC],
        labels=present[made_N],
        sources=[f"GAN of {asked.steps} steps"] * made_N.size,
    )
    asked.out.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, asked.out / "train-00000-of-00001.parquet")


if __name__ == "__main__":
    main()
