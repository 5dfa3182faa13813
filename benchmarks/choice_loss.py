"""What a set loses that is chosen from a random draw of a large class, not from all of it.

python -m benchmarks.choice_loss [--images 800000] [--wanted 1000] [--draws 3]

One class: the package's digits 3, each copy turned, scaled, sheared and shifted by its own draw, in
the 32 directions of `rayqc select` (edge histograms; ten references a digit). A set is chosen from
all of them and from draws of several sizes; 200,000 is what `rayqc select` holds of a class. What
each way is after is measured: by `herding`, the distance of its mean from that of other copies in
the kernel's feature space (maximum mean discrepancy); by `coverage`, the mean distance from 20,000
other copies to the nearest of the set; by `covariance`, how far the set's second moment is from the
references' covariance, as a share of that. The seconds are of one core. No Ray.
"""

from __future__ import annotations

import argparse
import time
from itertools import product

import numpy as np
import torch
from scipy.spatial.distance import cdist

from rayqc.config import Data
from rayqc.images.decode import Limits, decode_native
from rayqc.kinds import SELECTIONS
from rayqc.models.features import edge_histograms
from rayqc.models.vae import pixels_to_input
from rayqc.schema import image_bytes
from rayqc.selection.base import Choice, SelectionKind
from rayqc.selection.target import fit_space
from rayqc.sources import open_source
from rayqc.sources.select import read_all
from rayqc.training.augment import random_affine

DIGIT, CLASSES, PER_CLASS = 3, 10, 10
BATCH = 2_000
HELD_BACK = 20_000
DRAWN = (20_000, 100_000, 200_000)


def mean_distance(choice: Choice, rows: np.ndarray, held_back_ND: np.ndarray) -> float:
    """From images that were not chosen from, to the nearest of a set."""
    chosen_ND = choice.candidate_ND[rows]
    nearest = [
        cdist(held_back_ND[start : start + BATCH], chosen_ND).min(1)
        for start in range(0, len(held_back_ND), BATCH)
    ]
    return float(np.concatenate(nearest).mean())


def moment_distance(choice: Choice, rows: np.ndarray, _: np.ndarray) -> float:
    """Between a set's second moment about the references' mean and their covariance, as a share."""
    y_ND = choice.candidate_ND[rows] - choice.mean_D
    away_DD = y_ND.T @ y_ND / len(y_ND) - choice.covariance_DD
    return float(np.linalg.norm(away_DD) / np.linalg.norm(choice.covariance_DD))


def mean_discrepancy(choice: Choice, rows: np.ndarray, held_back_ND: np.ndarray) -> float:
    """Between a set and images that were not chosen from: a Gaussian kernel of median width."""
    set_ND, other_ND = choice.candidate_ND[rows], held_back_ND[: len(held_back_ND) // 4]
    away = [cdist(*pair, "sqeuclidean") for pair in product((set_ND, other_ND), repeat=2)]
    width = np.median(away[-1])
    within, across, _, others = (float(np.exp(-part / width).mean()) for part in away)
    return float(np.sqrt(within - 2 * across + others))


AIMS = {"herding": mean_discrepancy, "coverage": mean_distance, "covariance": moment_distance}


def main() -> None:
    """Make the class, choose, and print a line for each way and draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=800_000)
    parser.add_argument("--wanted", type=int, default=1_000)
    parser.add_argument("--draws", type=int, default=3)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    digits = read_all(open_source(Data(kind="bundled")))
    label_N = np.asarray(digits["label"], np.int64)
    pixels = [decode_native(data or b"", Limits()) for data in image_bytes(digits)]
    x_NCHW = pixels_to_input(torch.from_numpy(np.stack(pixels)))
    first = np.concatenate([np.flatnonzero(label_N == k)[:PER_CLASS] for k in range(CLASSES)])
    space = fit_space(edge_histograms(x_NCHW[first]).numpy(), label_N[first], CLASSES)
    of_class = x_NCHW[label_N == DIGIT]
    rng = torch.Generator().manual_seed(0)
    batches = []
    for start in range(0, asked.images + HELD_BACK, BATCH):
        copied = torch.arange(start, start + BATCH) % len(of_class)
        with torch.inference_mode():
            features = edge_histograms(random_affine(of_class[copied], rng))
        batches.append(space.project(features.numpy()))
    vector_ND = np.concatenate(batches)
    held_back_ND, vector_ND = vector_ND[:HELD_BACK], vector_ND[HELD_BACK:]
    for way, aim in AIMS.items():
        kind: SelectionKind = SELECTIONS[way]
        whole = 0.0
        for size in (len(vector_ND), *(size for size in DRAWN if size < len(vector_ND))):
            found, random, seconds = [], [], []
            for draw in range(asked.draws if size < len(vector_ND) else 1):
                rows = np.random.default_rng(draw).permutation(len(vector_ND))[:size]
                choice = space.choice(vector_ND[rows], DIGIT, asked.wanted, draw)
                begun = time.perf_counter()
                chosen = kind.choose(choice)
                seconds.append(time.perf_counter() - begun)
                found.append(aim(choice, chosen, held_back_ND))
                random.append(aim(choice, np.arange(asked.wanted), held_back_ND))
            whole = whole or found[0]
            print(
                f"{way}: {asked.wanted:,} of {size:,} by chance of {len(vector_ND):,}: "
                f"{np.mean(found):.4f}, {np.mean(found) / whole:.3f} of that from all, "
                f"random {np.mean(random):.4f}; {np.mean(seconds):.1f} s",
                flush=True,
            )


if __name__ == "__main__":
    main()
