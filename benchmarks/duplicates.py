"""How long duplicates are looked for in a class, and how many of those that were made are found.

python -m benchmarks.duplicates [--images 1000000]

Perceptual hashes of the bundled digits, each with 40 of its 255 bits turned over at random, stand
for as many different images; every tenth is there again with up to 10 bits turned over. The
baseline compares all pairs: of some images with all others, whose time is taken as many times as
there are more.
"""

from __future__ import annotations

import argparse
import resource
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

import rayqc
from rayqc.images.decode import Limits, decode_native
from rayqc.images.fingerprint import HASH_BYTES, looks
from rayqc.work.duplicates import MOST_BITS, near_groups

SAMPLE = 200
"""Images that are compared with all others, for the baseline."""


def digit_looks() -> np.ndarray:
    """(N, LOOK_BYTES) uint8 of the bundled digits of one class."""
    path = Path(rayqc.__file__).parent / "data" / "mnist5k-train.parquet"
    rows = [row for row in pq.read_table(path).to_pylist() if row["label"] == 3]
    return looks(np.stack([decode_native(row["image"]["bytes"], Limits()) for row in rows]))


def turned(look_NB: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    """The looks with up to `most` bits of each hash turned over."""
    turned_NB = look_NB.copy()
    every_row = np.arange(len(look_NB))
    for _ in range(most):
        byte_N = rng.integers(0, HASH_BYTES, len(look_NB))
        turned_NB[every_row, byte_N] ^= (1 << rng.integers(0, 8, len(look_NB))).astype(np.uint8)
    return turned_NB


def main() -> None:
    """Print seconds, the share of copies that were found, and the ratio to all pairs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=1_000_000)
    images = parser.parse_args().images
    rng = np.random.default_rng(0)
    digits = digit_looks()
    originals = turned(digits[rng.integers(0, len(digits), images * 10 // 11)], 40, rng)
    copies = turned(originals[: images - len(originals)], 10, rng)
    everything = np.concatenate([originals, copies])
    started = time.perf_counter()
    group_N = near_groups(everything)
    seconds = time.perf_counter() - started
    found = (group_N[: len(copies)] == group_N[len(originals) :]).mean()
    others = np.unique(group_N[: len(originals)]).size / len(originals)
    word_NW = np.ascontiguousarray(everything[:, :HASH_BYTES]).view(np.uint64)
    started = time.perf_counter()
    for row in range(SAMPLE):
        np.flatnonzero(np.bitwise_count(word_NW ^ word_NW[row]).sum(1) <= MOST_BITS)
    of_all_pairs = (time.perf_counter() - started) / SAMPLE * images / 2
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{images:,} images of a class: {seconds:.1f} s, {found:.2%} of the copies found, "
        f"{others:.3%} of the others apart; all pairs would take {of_all_pairs:,.0f} s, "
        f"{of_all_pairs / seconds:,.0f} times as long; peak memory {peak:,.0f} MB"
    )


if __name__ == "__main__":
    main()
