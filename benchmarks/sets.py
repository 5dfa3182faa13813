"""What filtering, choosing and both are worth, at equal size, on pools of several makings; no Ray.

python -m benchmarks.sets DATA --pool POOL --out FOLDER [--per-class 10] [--draws 5] [--size 50]

DATA is a folder of Parquet in Hugging Face's layout with splits train and test. POOL: `augment`
(strong augmentation of the references), `fresh` (other training images), `faults` (the same with
30% faults made at their own size), or the folder of a generator's images of the same classes, with
a file `truth.parquet` (path, judges_agree, confidence) if it is known which are sound; `--faulty`
makes 30% of these faulty.

References are drawn from train, accuracy is on test. Arms add SIZE images of each class from the
pool, or all of them as many as the filter accepted where that is fewer: `random`; `accepted` at
random from what the filter accepted; each way of choosing, from the whole pool and from what was
accepted; `oracle` at random from the sound ones, where these are known. The classifier is a linear
probe, on edge histograms for images up to 64 pixels and on the pretrained network's latents above;
with `--network` a small network trained from scratch, too. Intervals are 95% Student intervals over
draws, of differences paired by draw. `agreement` is the intraclass correlation of accuracies over
seeds: near 0, seeds hide what arms differ in.

An arm of a draw that FOLDER has already is not measured again, unless the filter accepts other
images by now. Needs the extras `pretrained` and `evaluate`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.photographs import Looker, Photographs, read
from benchmarks.set_pools import first_of_each, generated_images, made_pool
from rayqc.config.regions import Regions
from rayqc.images.look import ImageShape
from rayqc.kinds import SELECTIONS
from rayqc.models.features import edge_histograms
from rayqc.models.vae import pixels_to_input
from rayqc.regions import Candidates
from rayqc.regions.fitting import fit_calibrated, settings_of
from rayqc.regions.scorer_tasks import in_turn
from rayqc.report.intervals import agreement, mean_interval
from rayqc.selection.base import SelectionKind
from rayqc.selection.target import fit_space
from rayqc.training.arms import Latents
from rayqc.training.classifier import ClassifierSettings, accuracy, train_classifier
from rayqc.training.probe import probe_accuracy, train_probe

LARGEST_OF_EDGES = 64
"""Pixels of a side up to which edge histograms are taken for latents."""
WAYS = ("herding", "coverage", "covariance", "central")
SEEDS, NETWORK_SEEDS = 5, 2
NETWORK = ClassifierSettings(
    steps=600,
    batch_size=64,
    learning_rate=3e-3,
    width=16,
    augment=True,
    flip=False,
    balanced=True,
)
BATCH = 256


class Edges:
    """Small images to candidates whose latents are edge histograms."""

    seen, detail = True, None

    def __init__(self, train: Photographs) -> None:
        gray = all(_is_gray(image) for image in train.images[:50])
        side = -(-max(train.images[0].size) // 4) * 4
        self.shape = ImageShape(size=side, channels=1 if gray else 3)

    def __call__(self, images: list[Image.Image], label_N: np.ndarray) -> Candidates:
        """Candidates of N images."""
        mode = "L" if self.shape.channels == 1 else "RGB"
        pixels_NHWC = np.stack([self.shape.cut(image.convert(mode)) for image in images])
        with torch.inference_mode():
            parts = [
                edge_histograms(
                    pixels_to_input(torch.from_numpy(pixels_NHWC[start : start + BATCH]))
                )
                for start in range(0, len(images), BATCH)
            ]
        return Candidates(
            images_NHWC=pixels_NHWC,
            latent_ND=torch.cat(parts).numpy(),
            label_N=label_N.astype(np.int64),
        )


class Network(Looker):
    """Photographs to candidates, as the filter looks at them."""

    seen = False


def _is_gray(image: Image.Image) -> bool:
    pixels_HWC = np.asarray(image)
    return bool((pixels_HWC == pixels_HWC[..., :1]).all())


def arms_of(
    references: Candidates,
    candidates: Candidates,
    accepted_N: np.ndarray,
    sound_N: np.ndarray | None,
    classes: int,
    size: int,
    seed: int,
) -> dict[str, np.ndarray]:
    """Rows of the candidates that each arm adds.

    All arms add as many of a class: `size`, or what the filter accepted (or was sound) of it where
    that is less.
    """
    rng = np.random.default_rng(seed)
    space = fit_space(references.latent_ND, references.label_N, classes)
    vector_ND = space.project(candidates.latent_ND)
    found: dict[str, list[np.ndarray]] = {}
    for k in range(classes):
        rows = rng.permutation(np.flatnonzero(candidates.label_N == k))
        accepted = rows[accepted_N[rows]]
        parts = {"random": rows, "accepted": accepted}
        if sound_N is not None:
            parts["oracle"] = rows[sound_N[rows]]
        equal = min([size, *(some.size for some in parts.values())])
        picked = {name: some[:equal] for name, some in parts.items()}
        for way in WAYS:
            kind: SelectionKind = SELECTIONS[way]
            for name, some in ((way, rows), (f"accepted, {way}", accepted)):
                if equal in (0, some.size):
                    picked[name] = some[:equal]
                    continue
                picked[name] = some[kind.choose(space.choice(vector_ND[some], k, equal, seed))]
        for name, some in picked.items():
            found.setdefault(name, []).append(some)
    return {"real": np.zeros(0, np.int64)} | {
        name: np.concatenate(parts) for name, parts in found.items()
    }


def measure(
    look: Any,
    train: Photographs,
    test: Candidates,
    pool: str,
    generated: tuple[Photographs, np.ndarray | None] | None,
    asked: argparse.Namespace,
    draw: int,
    known: dict[str, Any],
) -> dict[str, Any]:
    """One draw: accuracies of each arm and seed, and what the filter did.

    Args:
        known: this draw's record of an earlier run; arms that it has are taken from there, if its
            filter accepted the same.
    """
    rng = np.random.default_rng([draw, asked.per_class])
    classes = len(train.classes)
    order = rng.permutation(len(train.images))
    rows = order[first_of_each(train.label_N[order], classes, asked.per_class)]
    of_references = train[rows]
    references = look(of_references.images, of_references.label_N)
    images, sound_N = made_pool(
        pool, train, rows, asked.candidates, generated, rng, asked.faulty or pool == "faults"
    )
    candidates = look(images.images, images.label_N)
    settings = settings_of(Regions(), references.images_NHWC.shape[3], look.seen, references.inner)
    run = in_turn(references, classes, settings.scorer, draw)
    detail = look.detail if references.own_size.detail_NTS is not None else None
    regions, _ = fit_calibrated(references, train.classes, settings, draw, "", run, detail)
    statistic = "label" if pool == "augment" else "joint"
    accepted_N = regions.judge(candidates, statistic).score_N <= 1
    arms = arms_of(references, candidates, accepted_N, sound_N, classes, asked.size, draw)
    own = Latents(latent_ND=references.latent_ND, label_N=references.label_N)
    held_back = Latents(latent_ND=test.latent_ND, label_N=test.label_N)
    facts = {
        "accepted": float(accepted_N.mean()),
        "added": arms["random"].size / classes,
        "sound": None if sound_N is None else float(sound_N.mean()),
        "sound_accepted": None if sound_N is None else float(sound_N[accepted_N].mean()),
    }
    same = all(known.get(name) == value for name, value in facts.items())
    probes: dict[str, list[float]] = known["probe"] if same else {}
    networks: dict[str, list[float]] = known["network"] if same else {}
    for name, added in arms.items():
        if name in probes:
            continue
        latents = Latents(latent_ND=candidates.latent_ND[added], label_N=candidates.label_N[added])
        probes[name] = [
            probe_accuracy(train_probe(own, latents, classes, seed), held_back)
            for seed in range(SEEDS)
        ]
        if asked.network:
            x_NHWC = np.concatenate([references.images_NHWC, candidates.images_NHWC[added]])
            y_N = np.concatenate([references.label_N, candidates.label_N[added]])
            networks[name] = [
                accuracy(
                    train_classifier(x_NHWC, y_N, classes, NETWORK, seed),
                    test.images_NHWC,
                    test.label_N,
                )
                for seed in range(NETWORK_SEEDS)
            ]
    return {**facts, "probe": probes, "network": networks}


def is_whole(record: dict[str, Any]) -> bool:
    """Has the record of a draw every way's arms?"""
    return all(f"accepted, {way}" in record.get("probe", {}) for way in WAYS)


def table(found: list[dict[str, Any]], classifier: str) -> list[str]:
    """Markdown: accuracy of each arm, and its difference from `random`, paired by draw."""
    lines = ["| arm | accuracy | against random |", "|---|---|---|"]
    by_arm = percent_by_arm(found, classifier)
    for arm, percent_D in by_arm.items():
        mean = mean_interval(percent_D.tolist())
        gain = mean_interval((percent_D - by_arm["random"]).tolist())
        against = "" if arm == "random" else f"{gain['mean']:+.2f} ± {gain['half_width'] or 0:.2f}"
        lines.append(f"| {arm} | {mean['mean']:.1f} ± {mean['half_width'] or 0:.1f} | {against} |")
    return [*lines, f"agreement over seeds {seeds_agree(found, classifier):.2f}"]


def percent_by_arm(found: list[dict[str, Any]], classifier: str) -> dict[str, np.ndarray]:
    """Each arm's accuracy in each draw, in percent, the mean over seeds."""
    return {
        arm: 100 * np.array([np.mean(one[classifier][arm]) for one in found])
        for arm in found[0][classifier]
    }


def seeds_agree(found: list[dict[str, Any]], classifier: str) -> float:
    """ICC(1) of accuracies over seeds, of all arms but `real`; the mean over draws."""
    values = []
    for one in found:
        arms = [seeds for name, seeds in one[classifier].items() if name != "real"]
        values.append(agreement(np.array(arms)))
    return float(np.mean(values))


def parser() -> argparse.ArgumentParser:
    """The command line."""
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("data")
    words.add_argument("--pool", required=True)
    words.add_argument("--out", type=Path, required=True)
    words.add_argument("--per-class", type=int, default=10, help="references")
    words.add_argument("--candidates", type=int, default=200, help="of each class in the pool")
    words.add_argument("--size", type=int, default=50, help="images of each class that arms add")
    words.add_argument("--draws", type=int, default=5)
    words.add_argument("--test", type=int, default=2_000, help="test images, at most")
    words.add_argument("--faulty", action="store_true", help="30%% of a generator's images")
    words.add_argument("--network", action="store_true")
    return words


def name_of(asked: argparse.Namespace) -> str:
    """What records and tables are called."""
    name = f"{Path(asked.data).name}-{Path(asked.pool).name}-{asked.per_class}"
    name += f"-{asked.size}-of-{asked.candidates}"
    return name + ("-faulty" if asked.faulty else "") + ("-network" if asked.network else "")


def paths_of(asked: argparse.Namespace) -> list[Path]:
    """The record of each draw."""
    return [asked.out / f"{name_of(asked)}-{draw}.json" for draw in range(asked.draws)]


def records_of(asked: argparse.Namespace) -> list[dict[str, Any]]:
    """What is recorded of each draw; nothing where it was not measured."""
    return [json.loads(path.read_text()) if path.exists() else {} for path in paths_of(asked)]


def measured(asked: argparse.Namespace) -> list[dict[str, Any]]:
    """A whole record of each draw; what is missing is measured and written."""
    torch.set_num_threads(1)
    asked.out.mkdir(parents=True, exist_ok=True)
    found = records_of(asked)
    if not all(map(is_whole, found)):
        train = read(asked.data, "train")
        small = max(train.images[0].size) <= LARGEST_OF_EDGES
        look = Edges(train) if small else Network(train.images)
        test = read(asked.data, "test", train.classes)
        rows = np.random.default_rng(0).permutation(len(test.images))[: asked.test]
        held_back = test[rows]
        of_test = look(held_back.images, held_back.label_N)
        generated = generated_images(asked.pool, train) if "/" in asked.pool else None
        for draw, path in enumerate(paths_of(asked)):
            if not is_whole(found[draw]):
                found[draw] = measure(
                    look, train, of_test, asked.pool, generated, asked, draw, found[draw]
                )
                path.write_text(json.dumps(found[draw]))
    return found


def main() -> None:
    """Measure the draws that are missing, then print the tables."""
    words = parser()
    asked = words.parse_args()
    if asked.faulty and "/" not in asked.pool:
        words.error("--faulty is for the folder of a generator's images")
    found = measured(asked)
    accepted, added = (np.mean([one[key] for one in found]) for key in ("accepted", "added"))
    print(
        f"## {name_of(asked)}: {len(found)} draws, {accepted:.0%} of the pool accepted, "
        f"{added:.1f} images of each class added"
    )
    if found[0]["sound"] is not None:
        sound, kept = (np.mean([one[key] for one in found]) for key in ("sound", "sound_accepted"))
        print(f"sound: {sound:.1%} of the pool, {kept:.1%} of the accepted")
    for classifier in ("probe", "network"):
        if found[0][classifier]:
            print(f"\n{classifier}\n")
            for line in table(found, classifier):
                print(line)


if __name__ == "__main__":
    main()
