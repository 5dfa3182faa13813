"""What a setting of the GAN is worth, on training digits alone: a row of docs/generators.md.

python -m benchmarks.gan_settings PATH/mnist --per-class 20 [--set augment=0.25 ...]

Trains on so many references a class, without Ray, and prints of 2,000 samples: how many a
classifier trained on all training digits takes for their class; how often small classifiers trained
on them are right about 3,000 other training digits; the share of references that are a sample's
nearest; the mean distance of two samples of a class over that of two references. Distances are of
pixels. Nothing is held out and the last average is taken, where a run keeps the best one.

Shape suffixes: N, M images, H W C pixels.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np
import torch
import yaml
from scipy.spatial.distance import cdist, pdist

from benchmarks.generators import JUDGE, digits
from rayqc.config import Gan
from rayqc.experiments.draws import gan_samples
from rayqc.training.classifier import accuracy, train_classifier
from rayqc.training.gan import fresh_gan, settings_of, shape_of, train_gan

SAMPLES, ASKED, CLASSES = 2000, 3000, 10
SMALL = replace(JUDGE, steps=300, batch_size=64, width=16, augment=False)
CLASSIFIERS = 2


def variety(
    made_NHWC: np.ndarray, made_N: np.ndarray, real_MHWC: np.ndarray, real_M: np.ndarray
) -> tuple[float, float]:
    """Workers of the real images met, and how far a class's samples spread: 1 as real ones do."""
    met, spread = 0, []
    for k in range(CLASSES):
        a, b = (
            images[label == k].reshape((label == k).sum(), -1).astype(np.float32) / 255
            for images, label in ((made_NHWC, made_N), (real_MHWC, real_M))
        )
        met += np.unique(cdist(a, b).argmin(1)).size
        spread.append(pdist(a).mean() / pdist(b).mean())
    return met / real_M.size, float(np.mean(spread))


def main() -> None:
    """Train one GAN and print its row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mnist")
    parser.add_argument("--per-class", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="of a pool entry")
    asked = parser.parse_args()
    torch.set_num_threads(2)
    changes = {
        key: yaml.safe_load(value) for key, value in (one.split("=", 1) for one in asked.set)
    }
    entry = Gan.model_validate({"kind": "gan", "steps": 1500, **changes})
    images_NHWC, label_N = digits(asked.mnist, "train")
    rng = np.random.default_rng(asked.seed)
    others = slice(-ASKED, None)
    here_N = label_N[:-ASKED]
    rows = [
        rng.choice(np.flatnonzero(here_N == k), asked.per_class, replace=False)
        for k in range(CLASSES)
    ]
    real_NHWC, real_N = images_NHWC[np.concatenate(rows)], label_N[np.concatenate(rows)]
    state = fresh_gan(shape_of(entry, 28, 1, CLASSES), entry.learning_rate, asked.seed, "cpu")
    gan = train_gan(state, real_NHWC, real_N, settings_of(entry, asked.seed)).average
    made_N = np.arange(SAMPLES) % CLASSES
    made_NHWC = gan_samples(gan, made_N, rng)
    judge = train_classifier(images_NHWC, label_N, CLASSES, JUDGE, 0)
    right = [
        accuracy(
            train_classifier(made_NHWC, made_N, CLASSES, SMALL, seed),
            images_NHWC[others],
            label_N[others],
        )
        for seed in range(CLASSIFIERS)
    ]
    met, spread = variety(made_NHWC, made_N, real_NHWC, real_N)
    print(
        f"| {asked.per_class} | {' '.join(asked.set) or 'the default'} "
        f"| {accuracy(judge, made_NHWC, made_N):.1%} | {np.mean(right):.1%} | {met:.0%} "
        f"| {spread:.2f} |"
    )


if __name__ == "__main__":
    main()
