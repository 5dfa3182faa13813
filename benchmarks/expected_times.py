"""How near `rayqc plan` and the lines of `rayqc run` come to what stages take.

python -m benchmarks.expected_times CONFIG.yaml ... --out FOLDER

Does each run whole, with all its stages, and prints what was expected of it beforehand.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import rayqc


def main() -> None:
    """Plan and do each run, then print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("configs", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    lines = []
    for config in asked.configs:
        settings = rayqc.load_config(str(config))
        plan = rayqc.plan(settings)
        out = asked.out / config.stem
        rayqc.run(settings, str(out), redo=out.exists())
        total = 0.0
        for stage in rayqc.status(str(out))["stages"]:
            expected, taken = plan["stages"][stage["name"]]["seconds"], stage["seconds"] or 0.0
            total += taken
            lines.append(_line(config.stem, stage["name"], expected, taken))
        lines.append(_line(config.stem, "all", plan["seconds"], total))
    print(
        "| run | stage | expected, s | taken, s | expected / taken |",
        "|---|---|---|---|---|",
        sep="\n",
    )
    print(*lines, sep="\n")


def _line(run: str, stage: str, expected: float, taken: float) -> str:
    ratio = f"{expected / taken:.2f}" if taken >= 1 else "-"
    return f"| {run} | {stage} | {expected:.0f} | {taken:.0f} | {ratio} |"


if __name__ == "__main__":
    main()
