"""What generators make of few real digits, and what the filter does with it and with a foreign GAN.

python -m benchmarks.generators PATH/mnist --foreign PATH/mnist-gan --out DIR [--per-class 100 20]

PATH/mnist holds MNIST, as torchvision downloads it or as Parquet; PATH/mnist-gan holds
`train-*.parquet` and `truth.parquet` (path, judges_agree, confidence). For each number of
references a class a whole run: VAE, regions, a GAN with its default settings and the VAE's own
samples, 200 a class each, classifiers on what was kept of each. *Recognised* is the share of
samples that a classifier trained on all digits takes for their class; it and the truth of the
foreign digits are used for these figures only, never to choose a setting. Writes DIR/generators.md
and pictures.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image

import rayqc
from benchmarks.gan_digits import judge_foreign
from rayqc.config import Data
from rayqc.images.decode import Limits, decode_batch
from rayqc.images.look import ImageShape
from rayqc.models.classifier import Classifier
from rayqc.models.vae import pixels_to_input
from rayqc.schema import image_bytes
from rayqc.sources import open_source
from rayqc.sources.select import read_all
from rayqc.storage import Folder, read_json
from rayqc.training.classifier import ClassifierSettings, accuracy, train_classifier

SHAPE = ImageShape(size=28, channels=1)
PER_CLASS = 200
JUDGE = ClassifierSettings(
    steps=1000,
    batch_size=128,
    learning_rate=3e-3,
    width=32,
    augment=True,
    flip=False,
    balanced=True,
)
COLUMNS = 20


def settings(mnist: str, per_class: int) -> rayqc.Config:
    """Defaults throughout, but for the pool and the arms."""
    return rayqc.make_config(
        {
            "references": {"path": mnist, "per_class": per_class},
            "test": {"path": mnist},
            "pool": [
                {"kind": "gan", "per_class": PER_CLASS},
                {"kind": "vae", "per_class": PER_CLASS},
            ],
            "classify": {"arms": ["real", "each"], "seeds": 2},
        }
    )


def digits(mnist: str, split: str) -> tuple[np.ndarray, np.ndarray]:
    """All digits of a split and their labels."""
    table = read_all(open_source(Data(path=mnist), split), None, 10**6)
    return decode_batch(image_bytes(table), SHAPE, Limits())[0], np.asarray(table["label"])


def measured(run: Path, judge: Classifier) -> list[dict[str, Any]]:
    """A row for each generator of a run."""
    result = read_json(Folder(str(run)), "result.json")
    tables = [
        pq.ParquetFile(path).read().select(["id", "image", "label", "verdict"])
        for kind in ("accepted", "rejected")
        for path in sorted((run / "filtered" / kind).glob("*.parquet"))
    ]
    table = pa.concat_tables(tables)
    images_NHWC = decode_batch(image_bytes(table), SHAPE, Limits())[0]
    with torch.inference_mode():
        parts = torch.split(torch.from_numpy(images_NHWC), 500)
        taken_N = torch.cat([judge(pixels_to_input(part)).argmax(1) for part in parts]).numpy()
    label_N = np.asarray(table["label"])
    kept_N = np.array(table["verdict"].to_pylist()) == "accepted"
    found = []
    for name, entry in result["acceptance"]["by_entry"].items():
        own_N = np.array([id_.startswith(f"{name}/") for id_ in table["id"].to_pylist()])
        right_N = taken_N == label_N
        arm = f"accepted:{name} - real"
        found.append(
            {
                "generator": name,
                "recognised": right_N[own_N].mean(),
                "accepted": entry["share"],
                "recognised_after": right_N[own_N & kept_N].mean() if entry["accepted"] else None,
                "copies": entry["near_copies"] / max(entry["accepted"], 1),
                "met": entry["references_met"],
                "gain": result["classify"]["differences"].get(arm),
            }
        )
        _picture(
            images_NHWC[own_N], label_N[own_N], kept_N[own_N], run.parent / f"{run.name}-{name}.png"
        )
    return found


def _picture(images_NHWC: np.ndarray, label_N: np.ndarray, kept_N: np.ndarray, place: Path) -> None:
    """A row a class: ten accepted, a gap, ten rejected."""
    sheet = np.full((10 * 28, COLUMNS * 28 + 14), 255, np.uint8)
    for k in range(10):
        for inside, start in ((True, 0), (False, 10 * 28 + 14)):
            rows = np.flatnonzero((label_N == k) & (kept_N == inside))[: COLUMNS // 2]
            for column, row in enumerate(rows):
                left = start + 28 * column
                sheet[28 * k : 28 * k + 28, left : left + 28] = images_NHWC[row, :, :, 0]
    Image.fromarray(sheet).save(place, optimize=True)


def main() -> None:
    """Run all and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mnist")
    parser.add_argument("--foreign")
    parser.add_argument("--out", required=True)
    parser.add_argument("--per-class", type=int, nargs="+", default=[100, 20, 10, 5])
    asked = parser.parse_args()
    out = Path(asked.out)
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(2)
    images_NHWC, label_N = digits(asked.mnist, "train")
    judge = train_classifier(images_NHWC, label_N, 10, JUDGE, 0)
    test_NHWC, test_N = digits(asked.mnist, "test")
    lines = [f"The judge is right on {accuracy(judge, test_NHWC, test_N):.2%} of the test set.", ""]
    lines += [
        "| references a class | generator | recognised | accepted | recognised of the accepted "
        "| near copies | references met | accuracy gained | minutes |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    foreign = [
        "",
        "| references a class | AUROC joint | label | quality | sphere | doubtful before "
        "| accepted, doubtful of them | the same by label |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for n in asked.per_class:
        run = out / f"mnist-{n}"
        rayqc.run(settings(asked.mnist, n), str(run))
        minutes = read_json(Folder(str(run)), "stages/generate.json")["seconds"] / 60
        for row in measured(run, judge):
            after, gain = row["recognised_after"], row["gain"]
            lines.append(
                f"| {n} | {row['generator']} | {row['recognised']:.1%} | {row['accepted']:.1%} | "
                f"{'-' if after is None else f'{after:.1%}'} | {row['copies']:.1%} | "
                f"{row['met']:.0%} | "
                + (f"{100 * gain['mean']:+.1f} ± {100 * gain['half_width']:.1f}" if gain else "-")
                + f" | {minutes:.1f} |"
            )
        if asked.foreign:
            found = judge_foreign(str(run), asked.foreign)
            foreign.append(
                f"| {n} | {found['joint']:.3f} | {found['label']:.3f} | {found['quality']:.3f} | "
                f"{found['sphere']:.3f} | {found['before']:.1%} | {found['accepted']:.1%}, "
                f"{found['after']:.1%} | {found['accepted_by_label']:.1%}, "
                f"{found['after_by_label']:.1%} |"
            )
        Path(out, "generators.md").write_text("\n".join(lines + foreign) + "\n")


if __name__ == "__main__":
    main()
