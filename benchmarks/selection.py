"""Ways of choosing a set, measured beside random sets of the same size from the same images.

python -m benchmarks.selection OUT RUN ... [--per-class 50] [--by covariance coverage central]

Each RUN is a whole run with test images, such as those of `benchmarks.demo`: another draw of
references each. What OUT has already is not measured again. Intervals are 95% Student intervals
over runs.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from rayqc.kinds import SELECTIONS
from rayqc.report.intervals import mean_interval

MEASURES = ("coverage", "recall", "different")


def measured(out: Path, run: Path, by: str, per_class: int) -> dict[str, Any]:
    """What `rayqc select --measure` found; does it unless it is done."""
    folder = out / f"{run.name}-{by}-{per_class}"
    result = folder / "select.json"
    if not result.exists():
        words = ["select", str(run), "--per-class", str(per_class), "--by", by, "--measure"]
        command = [sys.executable, "-m", "rayqc", *words, "--out", str(folder), "-q"]
        subprocess.run(command, check=True, stdout=sys.stderr)
    found: dict[str, Any] = json.loads(result.read_text())
    return found


def facts(result: dict[str, Any]) -> dict[str, float]:
    """Accuracies in percent, their difference, and means over classes of what the sets are."""
    arms = result["classify"]["arms"]
    found = {name: 100 * arms[name]["accuracy"]["mean"] for name in arms}
    found["accepted - random"] = found["accepted"] - found["random"]
    for name in MEASURES:
        for which in ("set", "random"):
            values = [row[which][name] for row in result["sets"].values()]
            found[f"{name}, {which}"] = sum(values) / len(values)
    return found


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--per-class", type=int, default=50)
    ways = [name for name in SELECTIONS.names if name != "random"]
    parser.add_argument("--by", nargs="+", choices=SELECTIONS.names, default=ways)
    asked = parser.parse_args()
    rows = {
        by: [facts(measured(asked.out, run, by, asked.per_class)) for run in asked.runs]
        for by in asked.by
    }
    names = list(next(iter(rows.values()))[0])
    print("| way | " + " | ".join(names) + " |\n|" + "---|" * (len(names) + 1))
    for by, found in rows.items():
        cells = []
        for name in names:
            mean = mean_interval([row[name] for row in found])
            cells.append(f"{mean['mean']:.2f} ± {mean['half_width'] or 0:.2f}")
        print(f"| {by} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
