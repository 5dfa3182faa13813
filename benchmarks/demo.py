"""The demo over draws of its references: does filtering pay there, and how sure is that?

python -m benchmarks.demo OUT [--draws 10] [--pool generator|augment]

Each draw is a `rayqc demo` of its own seed, which draws the references, the pool and all that is
trained; those that are done are not done again. Intervals are 95% Student intervals over draws.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from rayqc.pipeline.demos import DEMO_POOLS
from rayqc.report.intervals import mean_interval
from rayqc.shown.commands import FAULTY

ARMS = ("before", "after", "random", "all", "rejected")


def result_of(out: Path, seed: int, pool: str) -> dict[str, Any]:
    """What the demo of a seed measured; runs it unless it is done."""
    folder = out / f"{pool}-{seed}"
    if not (folder / "result.json").exists():
        seeds = ("--set", f"seed={seed}", "--set", f"references.seed={seed}")
        words = ["demo", "--out", str(folder), "--pool", pool, *seeds, "-q"]
        subprocess.run([sys.executable, "-m", "rayqc", *words], check=True, stdout=sys.stderr)
    found: dict[str, Any] = json.loads((folder / "result.json").read_text())
    return found


def measures(result: dict[str, Any]) -> dict[str, float]:
    """Accuracies, their differences, and shares accepted, in percent, by name."""
    table = result["table3"]
    found = {name: 100 * table[name]["mean"] for name in ARMS if table[name]}
    found |= {name: 100 * value["mean"] for name, value in table["differences"].items()}
    acceptance = result["acceptance"]
    for name, row in acceptance["by_entry"].items():
        found[f"accepted of {name}"] = 100 * row["accepted"] / row["judged"]
    faulty = sum(row["accepted"] for name, row in acceptance["by_entry"].items() if name in FAULTY)
    accepted = sum(row["accepted"] for row in acceptance["by_entry"].values())
    return found | {"faults among the accepted": 100 * faulty / accepted}


def main() -> None:
    """Run the draws, and print a line for each measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--pool", choices=DEMO_POOLS, default=DEMO_POOLS[0])
    arguments = parser.parse_args()
    by_draw = [
        measures(result_of(arguments.out, seed, arguments.pool)) for seed in range(arguments.draws)
    ]
    print(f"| {arguments.draws} draws, pool {arguments.pool} | mean ± 95% | each |\n|---|---|---|")
    for name in by_draw[0]:
        values = np.array([draw[name] for draw in by_draw])
        found = mean_interval(list(values))
        each = ", ".join(f"{value:.1f}" for value in values)
        print(f"| {name} | {found['mean']:.1f} ± {found['half_width'] or 0:.1f} | {each} |")


if __name__ == "__main__":
    main()
