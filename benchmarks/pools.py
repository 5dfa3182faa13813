"""What filtering and choosing are worth on all pools of docs/selection.md, in one table.

python -m benchmarks.pools SHARED --out FOLDER [--draws 10] [--only WORD ...]

SHARED holds the folders mnist, mnist-gan, cifar10, signs and flowers, as `benchmarks.sets` reads
them; a pool whose folders are missing is left out, and a line says so. The GAN of CIFAR-10 is
trained first, by `benchmarks.class_generator`. A draw that FOLDER has already is not measured
again, so it goes on where it was stopped. Hours on one core; `--only` takes the rows whose title
has one of the words. No Ray; needs the extras `pretrained` and `evaluate`.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import class_generator, sets
from rayqc.report.intervals import mean_interval

MADE = ("augment", "faults")
"""Pools that `benchmarks.sets` makes."""
GAN = "gan"
"""The pool of the GAN that is trained first, in FOLDER."""
GAN_STEPS = 6_000
COLUMNS = (
    "real",
    "accepted",
    "oracle",
    "herding",
    "accepted, herding",
    "coverage",
    "accepted, coverage",
    "covariance",
    "accepted, covariance",
    "central",
    "accepted, central",
)


@dataclass(frozen=True)
class Case:
    """One row of the table, or two where a small network is trained as well."""

    title: str
    data: str
    pool: str
    words: str
    """Of `benchmarks.sets`."""
    network: bool = False


DIGITS = "--candidates 400 --size 100"
CIFAR = "--candidates 200 --size 50"
SIGNS = "--size 20 --test 500"
FLOWERS = "--size 30 --test 300"
CASES = (
    Case("a GAN's digits, 10 references, 100 added", "mnist", "mnist-gan", DIGITS, network=True),
    Case("a GAN's digits, 100, 100", "mnist", "mnist-gan", f"{DIGITS} --per-class 100"),
    Case("CIFAR-10, 30% faults, 10, 50", "cifar10", "faults", CIFAR),
    Case("CIFAR-10, 30% faults, 20, 50", "cifar10", "faults", f"{CIFAR} --per-class 20"),
    Case("CIFAR-10, 30% faults, 100, 50", "cifar10", "faults", f"{CIFAR} --per-class 100"),
    Case("CIFAR-10, strong augmentation, 20, 50", "cifar10", "augment", f"{CIFAR} --per-class 20"),
    Case("CIFAR-10, a GAN's images, 20, 50", "cifar10", GAN, f"{CIFAR} --per-class 20"),
    Case(
        "CIFAR-10, 30% of a GAN's images faulty, 20, 50",
        "cifar10",
        GAN,
        f"{CIFAR} --per-class 20 --faulty",
        network=True,
    ),
    Case(
        "CIFAR-10, 30% of a GAN's images faulty, 100, 50",
        "cifar10",
        GAN,
        f"{CIFAR} --per-class 100 --faulty",
    ),
    Case("signs, 30% faults, 10, 20", "signs", "faults", f"{SIGNS} --candidates 60"),
    Case(
        "signs, 30% faults, 20, 20",
        "signs",
        "faults",
        f"{SIGNS} --candidates 60 --per-class 20",
    ),
    # A quarter to a half of strongly augmented signs is accepted, so more are made.
    Case("signs, strong augmentation, 10, 20", "signs", "augment", f"{SIGNS} --candidates 200"),
    Case(
        "flowers, strong augmentation, 10, 30", "flowers", "augment", f"{FLOWERS} --candidates 80"
    ),
    Case("flowers, 30% faults, 10, 30", "flowers", "faults", f"{FLOWERS} --candidates 80"),
    Case(
        "flowers, 30% faults, 100, 30",
        "flowers",
        "faults",
        f"{FLOWERS} --candidates 100 --per-class 100",
    ),
)


def row(title: str, found: list[dict[str, Any]], classifier: str) -> str:
    """Accuracy of `random`, and differences from it, bold where their interval leaves 0 out."""
    by_arm = sets.percent_by_arm(found, classifier)
    random = mean_interval(by_arm["random"].tolist())
    cells = [title, str(len(found)), f"{random['mean']:.1f} ± {random['half_width'] or 0:.1f}"]
    for arm in COLUMNS:
        if arm not in by_arm:
            cells.append("-")
            continue
        gain = mean_interval((by_arm[arm] - by_arm["random"]).tolist())
        half_width = gain["half_width"] or 0
        cell = f"{gain['mean']:+.1f} ± {half_width:.1f}"
        cells.append(f"**{cell}**" if abs(gain["mean"]) > half_width > 0 else cell)
    return "| " + " | ".join([*cells, f"{sets.seeds_agree(found, classifier):.2f}"]) + " |"


def main() -> None:
    """Measure what is missing, row by row."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("shared", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--only", nargs="*", default=[""])
    asked = parser.parse_args()
    print("| pool | draws | random | " + " | ".join(COLUMNS) + " | agreement |")
    print("|---" * (len(COLUMNS) + 4) + "|")
    for case in CASES:
        if not any(word in case.title for word in asked.only):
            continue
        data, pool = asked.shared / case.data, pool_of(case, asked.shared, asked.out)
        if not data.exists() or ("/" in pool and case.pool != GAN and not Path(pool).exists()):
            print(f"left out for want of its folders: {case.title}")
            continue
        words = [str(data), "--pool", pool, "--out", str(asked.out), "--draws", str(asked.draws)]
        words += case.words.split() + ["--network"] * case.network
        of_sets = sets.parser().parse_args(words)
        finished = all(map(sets.is_whole, sets.records_of(of_sets)))
        if case.pool == GAN and not finished and not Path(pool).exists():
            class_generator.main([str(data), "--steps", str(GAN_STEPS), "--out", pool])
        found = sets.measured(of_sets)
        print(row(case.title, found, "probe"), flush=True)
        if case.network:
            print(row(f"{case.title}, a small network", found, "network"), flush=True)


def pool_of(case: Case, shared: Path, out: Path) -> str:
    """What `benchmarks.sets` calls the case's pool."""
    if case.pool == GAN:
        return str(out.absolute() / "cifar-gan")
    return case.pool if case.pool in MADE else str((shared / case.pool).absolute())


if __name__ == "__main__":
    main()
