"""Pools of `benchmarks.sets`: augmented references, other photographs, or a generator's images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from PIL import Image
from torchvision.transforms import v2

from benchmarks.photograph_faults import FAULTS
from benchmarks.photographs import WRONG_LABEL, Photographs, made, read
from rayqc.generators.policies import make_transform

SHARE = 0.3
"""Of a pool that is made faulty."""


def made_pool(
    pool: str,
    train: Photographs,
    rows: np.ndarray,
    per_class: int,
    generated: tuple[Photographs, np.ndarray | None] | None,
    rng: np.random.Generator,
    faulty: bool,
) -> tuple[Photographs, np.ndarray | None]:
    """Candidates, and which of them are sound; None where that is not known."""
    classes = train.classes
    if generated is not None:
        images, sound_N = generated
        order = rng.permutation(len(images.images))
        taken = np.sort(first_of_each(images.label_N[order], len(classes), per_class))
        some = order[taken]
        drawn, sound_N = images[some], None if sound_N is None else sound_N[some]
        return spoiled(drawn, rng) if faulty else (drawn, sound_N)
    if pool == "augment":
        transform = v2.Compose([make_transform("strong", 3)])
        torch.manual_seed(int(rng.integers(2**31)))
        chosen = np.repeat(rows, -(-per_class * len(classes) // rows.size))
        copies = []
        for row in chosen:
            x_CHW = torch.from_numpy(np.asarray(train.images[row]).copy()).permute(2, 0, 1)
            copies.append(Image.fromarray(transform(x_CHW).permute(1, 2, 0).numpy()))
        return Photographs(images=copies, label_N=train.label_N[chosen], classes=classes), None
    others = rng.permutation(np.setdiff1d(np.arange(len(train.images)), rows))
    some = others[first_of_each(train.label_N[others], len(classes), per_class)]
    fresh = train[some]
    return spoiled(fresh, rng) if faulty else (fresh, np.ones(some.size, bool))


def spoiled(images: Photographs, rng: np.random.Generator) -> tuple[Photographs, np.ndarray]:
    """The images, `SHARE` of them made faulty, and which were left as they are."""
    sound_N = np.ones(len(images.images), bool)
    sound_N[rng.choice(sound_N.size, round(SHARE * sound_N.size), replace=False)] = False
    label_N, changed = images.label_N.copy(), list(images.images)
    kinds = [*FAULTS, WRONG_LABEL]
    for number, row in enumerate(np.flatnonzero(~sound_N)):
        kind = kinds[number % len(kinds)]
        (changed[row],), (label_N[row],) = made(kind, images[np.array([row])], [], rng)
    return Photographs(images=changed, label_N=label_N, classes=images.classes), sound_N


def first_of_each(label_N: np.ndarray, classes: int, count: int) -> np.ndarray:
    """The first `count` rows of each class, or all where there are fewer."""
    return np.concatenate([np.flatnonzero(label_N == k)[:count] for k in range(classes)])


def generated_images(folder: str, train: Photographs) -> tuple[Photographs, np.ndarray | None]:
    """A generator's images, and which are sound if `truth.parquet` says so."""
    images = read(folder, "train", train.classes)
    truth = Path(folder) / "truth.parquet"
    if not truth.exists():
        return images, None
    rows = {row["path"]: row for row in pq.read_table(truth).to_pylist()}
    (file,) = Path(folder).glob("train-*.parquet")
    paths = [image["path"] for image in pq.read_table(file)["image"].to_pylist()]
    return images, np.array(
        [rows[path]["judges_agree"] and rows[path]["confidence"] >= 0.95 for path in paths]
    )
