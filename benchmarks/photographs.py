"""How well regions find faults in photographs, at their own size; no Ray, draw by draw.

python -m benchmarks.photographs DATA ... --other DATA --out FOLDER [--draws 5] [--images 60]

Each DATA is a folder of Parquet files in Hugging Face's layout with splits train and test.
References are drawn from train; fresh images and those that faults are made in, from test. The pool
that the label learns from is of the other images of both, each of them once. A draw that FOLDER has
already is not measured again. Needs the extras `pretrained` and `evaluate`.

Shape suffixes: N images.
"""

from __future__ import annotations

import argparse
import io
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps

from benchmarks.photograph_faults import FAULTS
from rayqc.config import Data
from rayqc.config.regions import Regions
from rayqc.config.settings import POOL_IMAGES
from rayqc.encoders.batches import LatentEncoder
from rayqc.encoders.timm import KIND_INSTALLED
from rayqc.experiments.table3.looks import pretrained
from rayqc.images.alterations import Whole
from rayqc.images.detail import Detail, OwnSize
from rayqc.images.look import ImageShape
from rayqc.regions import Candidates
from rayqc.regions.fitting import fit_calibrated, settings_of
from rayqc.regions.scorer_tasks import in_turn
from rayqc.regions.separation import auroc
from rayqc.regions.views.base import FittedView
from rayqc.regions.views.latent import NAME as LATENT
from rayqc.regions.views.pool import NAME as POOL
from rayqc.regions.views.pool import learn_from_pool
from rayqc.schema import class_names, image_bytes
from rayqc.sources import open_source
from rayqc.sources.select import match_labels, of_present_classes, read_all
from rayqc.work.altered import (
    altered_order,
    copies_in_order,
    copies_of_each,
    features_of_altered,
    partner,
)

SIZE = 64
"""Pixels of the run's images at most: what `image.size` becomes for photographs."""
NO_TEXTURE = ["label", "quality", "detail", "seams", "nearness", "alteration"]
WAYS: dict[str, tuple[bool, Regions]] = {
    "none": (True, Regions()),
    "references alone": (False, Regions()),
    "pretrained": (False, Regions(pool_images=POOL_IMAGES)),
    "no texture": (False, Regions(pool_images=POOL_IMAGES, scores=NO_TEXTURE)),
}
"""Each way's encoder (was it trained on the references?) and settings. `none`: what such an encoder
leaves the evidence, the default. `pretrained`: what a run does whose pool is of files."""
WRONG_LABEL = "wrong label"
BLEND = "blend"
FOREIGN = "another data set"
KINDS = (*FAULTS, WRONG_LABEL, BLEND, FOREIGN)
BURIED = 0.05


@dataclass(frozen=True, kw_only=True)
class Photographs:
    """Labelled images of one split."""

    images: list[Image.Image]
    label_N: np.ndarray
    classes: tuple[str, ...]

    def __getitem__(self, rows: np.ndarray) -> Photographs:
        return Photographs(
            images=[self.images[row] for row in rows],
            label_N=self.label_N[rows],
            classes=self.classes,
        )


def read(path: str, split: Any, classes: tuple[str, ...] | None = None) -> Photographs:
    """The images of a split, as RGB.

    Labels are indices into `classes`, or into those of its own that have images: data may name more
    (.DS_Store, say), and a wrong label of a class without references is none at all.
    """
    source = open_source(Data(path=path, split=split))
    table = read_all(source)
    if classes is None:
        table = of_present_classes(table, source.classes)
        classes = class_names(table.schema, "label") or source.classes
    else:
        table = match_labels(table, source.classes, classes)
    images = [
        ImageOps.exif_transpose(Image.open(io.BytesIO(data or b""))).convert("RGB")
        for data in image_bytes(table)
    ]
    return Photographs(images=images, label_N=np.asarray(table["label"]), classes=classes)


class Looker:
    """Images to candidates, as the filter looks at them."""

    def __init__(self, images: list[Image.Image]) -> None:
        side = int(np.median([min(image.size) for image in images]))
        self.small = ImageShape(size=min(side, SIZE), channels=3)
        encoder = pretrained(self.small)
        self.encoder = LatentEncoder(encoder.network, 32)
        self.input = KIND_INSTALLED.input(encoder.shape) or self.small
        larger = side > SIZE
        self.detail = Detail(channels=3) if larger else None

    def __call__(self, images: list[Image.Image], label_N: np.ndarray) -> Candidates:
        """Candidates of N images."""
        inputs = np.stack([self.input.cut(image) for image in images])
        latent_ND, inner = self.encoder.split(self.encoder.encode_all(inputs))
        own_size = OwnSize()
        if self.detail is not None:
            looks = self.detail.looks
            taken = [np.stack([look.cut(image) for image in images]) for look in looks]
            own_size = self.detail.measured(taken)
        return Candidates(
            images_NHWC=np.stack([self.small.cut(image) for image in images]),
            latent_ND=latent_ND,
            label_N=label_N.astype(np.int64),
            own_size=own_size,
            inner=inner,
        )

    def with_altered(self, images: list[Image.Image], references: Candidates) -> Candidates:
        """References with what their altered copies look like, as `fit` makes them.

        Args:
            images: of the references.
        """
        order = altered_order(len(images), 0)
        whole = [Whole(shape=self.input).cut(images[row]) for row in order]
        found = features_of_altered(
            whole,
            [whole[other] for other in partner(np.arange(len(whole)), len(whole))],
            range(len(images)),
            self.encoder,
            self.input,
            copies_of_each(len(images)),
            0,
        )
        return replace(references, altered=copies_in_order(found, order))


def made(
    kind: str, fresh: Photographs, others: list[Image.Image], rng: np.random.Generator
) -> tuple[list[Image.Image], np.ndarray]:
    """Images with a kind of fault, one of each fresh image, and their labels."""
    label_N, classes = fresh.label_N, len(fresh.classes)
    if kind == WRONG_LABEL:
        return fresh.images, (label_N + rng.integers(1, classes, label_N.size)) % classes
    if kind == BLEND:
        blends = []
        for image, label in zip(fresh.images, label_N, strict=True):
            other = fresh.images[rng.choice(np.flatnonzero(label_N != label))]
            blends.append(Image.blend(image, other.resize(image.size), 0.5))
        return blends, label_N
    if kind == FOREIGN:
        foreign = [others[row] for row in rng.integers(0, len(others), label_N.size)]
        return foreign, rng.integers(0, classes, label_N.size)
    return [FAULTS[kind](image, rng) for image in fresh.images], label_N


def pool_of(
    look: Looker, pictures: Photographs, others: list[Image.Image], rng: np.random.Generator
) -> Candidates:
    """A pool in any order: half of the pictures as they are, the others with a fault, all kinds
    alike. Each picture is there once: another copy of it would say which label is right.
    """
    fresh, spoiled = np.array_split(rng.permutation(len(pictures.images)), 2)
    parts = [(pictures.images[row], pictures.label_N[row]) for row in fresh]
    for kind, rows in zip(KINDS, np.array_split(spoiled, len(KINDS)), strict=True):
        parts += zip(*made(kind, pictures[rows], others, rng), strict=True)
    order = rng.permutation(len(parts))
    images, labels = zip(*(parts[row] for row in order), strict=True)
    return look(list(images), np.array(labels))


def measure(
    look: Looker,
    train: Photographs,
    test: Photographs,
    others: list[Image.Image],
    per_class: int,
    images: int,
    draw: int,
) -> dict[str, Any]:
    """One draw: AUROC by kind of fault of each part and of the join, and coverage."""
    rng = np.random.default_rng([draw, per_class])
    rows = np.concatenate(
        [
            rng.permutation(np.flatnonzero(train.label_N == k))[:per_class]
            for k in range(len(train.classes))
        ]
    )
    references = look(train[rows].images, train.label_N[rows])
    with_altered = look.with_altered(train[rows].images, references)
    order = rng.permutation(len(test.images))
    fresh = test[order[:images]]
    # Coverage is a share: more fresh images than faults are made in make it steadier.
    more, rest = order[: 4 * images], order[4 * images :]
    covered = look(test[more].images, test.label_N[more])
    kinds = {kind: look(*made(kind, fresh, others, rng)) for kind in KINDS}
    left = np.setdiff1d(np.arange(len(train.images)), rows)
    pictures = Photographs(
        images=train[left].images + test[rest].images,
        label_N=np.concatenate([train.label_N[left], test.label_N[rest]]),
        classes=train.classes,
    )
    pool = pool_of(look, pictures[rng.permutation(len(pictures.images))[:POOL_IMAGES]], others, rng)
    return {
        name: judged(
            references if seen else with_altered,
            covered,
            kinds,
            train.classes,
            seen,
            asked,
            pool,
            look.detail,
        )
        for name, (seen, asked) in WAYS.items()
    }


def judged(
    references: Candidates,
    fresh: Candidates,
    kinds: dict[str, Candidates],
    classes: tuple[str, ...],
    seen: bool,
    asked: Regions,
    pool: Candidates,
    detail: Detail | None,
) -> dict[str, Any]:
    """What regions of these references make of fresh and faulty images."""
    learned: dict[str, FittedView] = {}
    if asked.pool_images:
        images = pool[: asked.pool_images]
        learned[POOL] = learn_from_pool(images, references, len(classes), LATENT)
    settings = settings_of(asked, 3, seen, references.inner, learned)
    run = in_turn(references, len(classes), settings.scorer, 0)
    regions, _ = fit_calibrated(references, classes, settings, 0, "", run, detail)
    names = (*regions.scores, "joint")

    def scores(candidates: Candidates) -> dict[str, np.ndarray]:
        each = regions.judge_each(candidates, names)
        return {name: judged.score_N for name, judged in zip(names, each, strict=True)}

    genuine, by_kind = scores(fresh), {kind: scores(found) for kind, found in kinds.items()}
    inside_N = genuine["joint"] <= 1
    by_class = [inside_N[fresh.label_N == k].mean() for k in np.unique(fresh.label_N)]
    return {
        "auroc": {
            kind: {name: auroc(genuine[name], found[name]) for name in names}
            for kind, found in by_kind.items()
        },
        "found": {kind: float(np.mean(found["joint"] > 1)) for kind, found in by_kind.items()},
        "coverage": float(inside_N.mean()),
        "lowest": float(min(by_class)),
    }


def tables(out: Path, names: list[str]) -> list[str]:
    """Markdown: a row for each data set and encoder, then AUROC by kind."""
    lines = [
        "| data | encoder | draws | mean AUROC | wrong labels | wrong labels found | all found "
        "| coverage | lowest class | kinds buried |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    columns: dict[str, dict[str, float]] = {}
    for name in names:
        draws = [json.loads(path.read_text()) for path in paths_of(out, name)]
        for encoder in WAYS:
            found = [draw[encoder] for draw in draws]
            kinds = list(found[0]["auroc"])
            joint = {k: _mean(f["auroc"][k]["joint"] for f in found) for k in kinds}
            best = {
                k: max(
                    _mean(f["auroc"][k][part] for f in found)
                    for part in found[0]["auroc"][k]
                    if part != "joint"
                )
                for k in kinds
            }
            columns[f"{name}, {encoder}"] = joint
            buried = [k for k in kinds if best[k] - joint[k] > BURIED]
            cells = [
                _interval([float(np.mean([f["auroc"][k]["joint"] for k in kinds])) for f in found]),
                _interval([f["auroc"][WRONG_LABEL]["joint"] for f in found]),
                _interval([f["found"][WRONG_LABEL] for f in found]),
                _interval([float(np.mean(list(f["found"].values()))) for f in found]),
                _interval([f["coverage"] for f in found]),
                _interval([f["lowest"] for f in found]),
                ", ".join(f"{k} {joint[k]:.2f} for {best[k]:.2f}" for k in buried) or "none",
            ]
            lines.append(f"| {name} | {encoder} | {len(found)} | " + " | ".join(cells) + " |")
    lines += ["", "| kind of fault | " + " | ".join(columns) + " |"]
    lines.append("|---" * (len(columns) + 1) + "|")
    for kind in next(iter(columns.values())):
        values = " | ".join(f"{column[kind]:.2f}" for column in columns.values())
        lines.append(f"| {kind} | {values} |")
    return lines


def paths_of(out: Path, name: str) -> list[Path]:
    """The records of a data set's draws, in order; names of others may begin with its own."""
    found = {
        int(path.stem.removeprefix(f"{name}-")): path
        for path in out.glob(f"{name}-*.json")
        if path.stem.removeprefix(f"{name}-").isdecimal()
    }
    return [found[draw] for draw in sorted(found)]


def _mean(values: Any) -> float:
    return float(np.mean(list(values)))


def _interval(values: list[float]) -> str:
    """Mean and standard error over draws."""
    error = np.std(values, ddof=1) / len(values) ** 0.5 if len(values) > 1 else 0.0
    return f"{np.mean(values):.3f} ± {error:.3f}"


def main(say: Callable[[str], None] = print) -> None:
    """Measure the draws that are missing, then print tables of all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="+")
    parser.add_argument("--other", required=True, help="images of no class of DATA")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--images", type=int, default=60)
    parser.add_argument("--per-class", type=int, default=10)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    asked.out.mkdir(parents=True, exist_ok=True)
    names = [Path(path).name for path in asked.data]
    for path, name in zip(asked.data, names, strict=True):
        left = [d for d in range(asked.draws) if not (asked.out / f"{name}-{d}.json").exists()]
        if not left:
            continue
        train = read(path, "train")
        look = Looker(train.images)
        test = read(path, "test", train.classes)
        others = read(asked.other, "test").images[:200]
        for draw in left:
            found = measure(look, train, test, others, asked.per_class, asked.images, draw)
            (asked.out / f"{name}-{draw}.json").write_text(json.dumps(found))
    for line in tables(asked.out, names):
        say(line)


if __name__ == "__main__":
    main()
