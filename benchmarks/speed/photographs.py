"""The part `photographs`: JPEG photographs through EfficientNet-Lite0, on CPUs or one GPU.

Each contestant is a process of its own, whose time is from start to exit and whose rate is while it
was at work. What the machine's CPUs and GPU did meanwhile says what it waits for.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks.speed.load import Load
from benchmarks.speed.measure import run
from benchmarks.speed.pace import pace
from benchmarks.speed.photograph_material import KINDS, make_pool, make_run, read_photographs
from rayqc.distributed.resources import sharers

CONTESTANTS = ("rayqc", "bare", "scaled", "dataloader", "network")
PRECISIONS = ("float32", "bfloat16")

Row = dict[str, float]
"""What one run of a contestant took, by name of what was measured."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What contestants are to filter, and with what."""

    pool: Path
    run: Path
    precision: str
    cpus: int
    most_seconds: float


def contest(name: str, trial: Trial, out: Path) -> Row:
    """One contestant from start to exit."""
    pool, run_folder, cpus = str(trial.pool), str(trial.run), str(trial.cpus)
    if name == "rayqc":
        words = ["-m", "rayqc", "filter", run_folder, "--pool", pool, "--out", str(out)]
        words += ["--num-cpus", cpus, "-q"]
    else:
        words = ["-m", "benchmarks.speed.photograph_scripts", name, pool, run_folder, str(out)]
        words += [cpus, trial.precision]
    with Load(root=os.getpid()) as load:
        measured = run([sys.executable, *words], trial.most_seconds)
    said = dict(measured.said)
    if name == "rayqc":
        said |= pace(out, actors(trial.cpus))
    stretch = said.pop("begun", 0.0), said.pop("ended", float("inf"))
    return {
        "whole_s": measured.seconds,
        "cpu_s": measured.cpu_seconds,
        "peak_mb": measured.peak_mb,
        **said,
        **load.means(*stretch),
    }


def actors(cpus: int) -> int:
    """How many actors rayqc starts: see the setting `filter.actors`."""
    return sharers(cpus) if torch.cuda.is_available() else cpus


def in_turns(
    names: list[str], trials: list[Trial], rounds: int, say: Callable[[str], None]
) -> dict[tuple[str, str], list[Row]]:
    """All contestants in each precision, round by round, and a JSON line of each run."""
    found: dict[tuple[str, str], list[Row]] = {}
    with tempfile.TemporaryDirectory(dir=trials[0].pool.parent) as work:
        for turn in range(rounds):
            for trial in trials:
                for name in names:
                    out = Path(work, f"{name}-{trial.precision}-{turn}")
                    try:
                        row = contest(name, trial, out)
                    except (RuntimeError, TimeoutError) as error:
                        # The others' figures stand by themselves.
                        say(json.dumps({"contestant": name, "failed": str(error)[-1500:]}))
                        continue
                    finally:
                        shutil.rmtree(out, ignore_errors=True)
                    facts = {"contestant": name, "precision": trial.precision, "round": turn}
                    say(json.dumps({**facts, **{key: round(row[key], 3) for key in row}}))
                    found.setdefault((name, trial.precision), []).append(row)
    return found


COLUMNS = (
    ("whole, s", "whole_s", "{:.1f}"),
    ("images a second", "rate", "{:,.0f}"),
    ("CPU, s", "cpu_s", "{:.0f}"),
    ("CPUs busy", "cpu_busy", "{:.0%}"),
    ("GPU busy", "gpu_busy", "{:.0%}"),
    ("peak, MB", "peak_mb", "{:,.0f}"),
    ("actors, MB", "actors_mb", "{:,.0f}"),
    ("largest, MB", "largest_actor_mb", "{:,.0f}"),
    ("GPU, MB", "gpu_mb", "{:,.0f}"),
)
"""Title, name in a row, and form."""


def print_table(found: dict[tuple[str, str], list[Row]], say: Callable[[str], None]) -> None:
    """A line each with medians, and with the medians of ratios to rayqc in the same round."""
    titles = ["", "precision", *(title for title, _, _ in COLUMNS), "whole / rayqc", "rayqc / rate"]
    say("| " + " | ".join(titles) + " |")
    say("|" + "---|" * len(titles))
    for (name, precision), rows in found.items():
        cells = [name, precision]
        for _, key, form in COLUMNS:
            values = [row[key] for row in rows if key in row]
            cells.append(form.format(statistics.median(values)) if values else "")
        ours = found.get(("rayqc", precision), [])
        for key, upside_down in (("whole_s", False), ("rate", True)):
            pairs = [
                (a[key], b[key]) for a, b in zip(ours, rows, strict=False) if key in a and key in b
            ]
            ratios = [a / b if upside_down else b / a for a, b in pairs]
            cells.append(f"{statistics.median(ratios):.2f}" if ratios else "")
        say("| " + " | ".join(cells) + " |")


def main(words: list[str]) -> None:
    """Make pools and runs, let all contestants run in turns, and print JSON lines and a table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.speed photographs", description=__doc__
    )
    parser.add_argument("--data", required=True, help="folder of Parquet files of photographs")
    parser.add_argument("--kind", choices=KINDS, default="small", help="500 x 375, or 4000 x 3000")
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--contestants", nargs="+", choices=CONTESTANTS)
    parser.add_argument("--precision", nargs="+", choices=PRECISIONS, default=PRECISIONS[:1])
    parser.add_argument("--regions", choices=("sphere", "calibrated"), default="sphere")
    parser.add_argument("--unit-rows", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--cpus", type=int, default=os.cpu_count())
    parser.add_argument("--keep", type=Path, help="folder for pools and runs, used again")
    parser.add_argument("--most-seconds", type=float, default=1800)
    asked = parser.parse_args(words)
    # On CPUs the network's own rate tells nothing new: each process spends its time in it.
    names = asked.contestants or CONTESTANTS[: 5 if torch.cuda.is_available() else 4]
    with tempfile.TemporaryDirectory() as scratch:
        place = (asked.keep or Path(scratch)).absolute()
        place.mkdir(parents=True, exist_ok=True)
        pool = place / f"photographs-{asked.kind}-{asked.images}.parquet"
        kind = KINDS[asked.kind]
        make_pool(pool, kind, asked.images, read_photographs(asked.data))
        trials = []
        for precision in asked.precision:
            run_folder = place / f"run-{asked.regions}-{precision}-{asked.unit_rows}"
            make_run(run_folder, asked.data, asked.regions, precision, asked.unit_rows)
            trial = Trial(
                pool=pool,
                run=run_folder,
                precision=precision,
                cpus=asked.cpus,
                most_seconds=asked.most_seconds,
            )
            trials.append(trial)
        mean_kb = pool.stat().st_size / asked.images / 1e3
        _say(f"\n{asked.images:,} JPEG of {kind.width} x {kind.height}, {mean_kb:,.0f} kB each\n")
        print_table(in_turns(list(names), trials, asked.rounds, _say), _say)


def _say(line: str) -> None:
    print(line, flush=True)
