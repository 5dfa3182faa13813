"""Command line of the benchmark: what is run against what, in turns, and the table of ratios."""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.speed import decode, encode, photographs, train
from benchmarks.speed.material import KINDS, WIDTHS, make_pool, make_run
from benchmarks.speed.measure import Measured, run
from benchmarks.speed.pace import pace

CONTESTANTS = ("rayqc", "bare", "dataloader", "huggingface", "raydata", "cleanvision")


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What each contestant is to filter."""

    pool: Path
    run: Path
    cpus: int
    most_seconds: float


def contest(name: str, trial: Trial, out: Path) -> Measured:
    """One contestant from start to exit; its steady rate is in `said`."""
    pool, run_folder, cpus = str(trial.pool), str(trial.run), str(trial.cpus)
    if name == "rayqc":
        words = ["-m", "rayqc", "filter", run_folder, "--pool", pool, "--out", str(out)]
        found = run([sys.executable, *words, "--num-cpus", cpus, "-q"], trial.most_seconds)
        found.said.update(pace(out, trial.cpus))
        return found
    who = ["benchmarks.speed.bare"] if name == "bare" else ["benchmarks.speed.people", name]
    words = [sys.executable, "-m", *who, pool, run_folder, str(out), cpus]
    return run(words, trial.most_seconds)


def in_turns(names: list[str], trial: Trial, rounds: int, say: Callable[[str], None]) -> None:
    """All contestants, round by round, and a line each with the medians of ratios to rayqc."""
    found: dict[str, list[Measured]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory(dir=trial.pool.parent) as work:
        for turn in range(rounds):
            for name in names:
                out = Path(work, f"{name}-{turn}")
                found[name].append(contest(name, trial, out))
                shutil.rmtree(out, ignore_errors=True)
    ours = found["rayqc"]
    say("| | whole, s | / rayqc | steady, images a second | rayqc / it | CPU, s | peak, MB |")
    say("|---|---|---|---|---|---|---|")
    for name, theirs in found.items():
        whole = statistics.median(one.seconds for one in theirs)
        ratio = statistics.median(b.seconds / a.seconds for a, b in zip(ours, theirs, strict=True))
        rates = [
            (a.said["rate"], b.said["rate"])
            for a, b in zip(ours, theirs, strict=True)
            if "rate" in a.said and "rate" in b.said
        ]
        rate = f"{statistics.median(b for _, b in rates):,.0f}" if rates else ""
        pace = f"{statistics.median(a / b for a, b in rates):.2f}" if rates else ""
        cpu = statistics.median(one.cpu_seconds for one in theirs)
        peak = statistics.median(one.peak_mb for one in theirs)
        cells = (name, f"{whole:.1f}", f"{ratio:.2f}", rate, pace, f"{cpu:.0f}", f"{peak:,.0f}")
        say("| " + " | ".join(cells) + " |")


def gain_of_actors(trial: Trial, rounds: int) -> float:
    """Steady rate of `cpus` actors over that of one, median of rounds."""
    found = []
    for _ in range(rounds):
        rates = []
        for cpus in (1, trial.cpus):
            with tempfile.TemporaryDirectory(dir=trial.pool.parent) as work:
                one = contest("rayqc", replace(trial, cpus=cpus), Path(work, "out"))
                rates.append(one.said["rate"])
        found.append(rates[1] / rates[0])
    return statistics.median(found)


def _say(line: str) -> None:
    print(line, flush=True)


def main() -> None:
    """One part of the benchmark; contestants meet on one pool, encoder and kind of regions."""
    if sys.argv[1:2] == ["photographs"]:
        photographs.main(sys.argv[2:])
        return
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed", description=__doc__)
    parts = ("decode", "encode", "train", "actors", "filter", "photographs")
    parser.add_argument("part", choices=parts, help="photographs has options of its own: --help")
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--kind", choices=KINDS, default="28 png")
    parser.add_argument("--encoder", choices=WIDTHS, default="light")
    parser.add_argument("--regions", choices=("sphere", "calibrated"), default="sphere")
    parser.add_argument("--contestants", nargs="+", choices=CONTESTANTS, default=CONTESTANTS[:2])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cpus", type=int, default=2)
    parser.add_argument("--keep", type=Path, help="folder for pools and runs, used again")
    parser.add_argument("--most-seconds", type=float, default=1800)
    asked = parser.parse_args()
    if asked.part == "decode":
        for kind, row in decode.compare(asked.rounds).items():
            _say(f"{kind}: Pillow {row['pillow_us']:.1f} us, Pillow / rayqc {row['ratio']:.2f}")
        return
    if asked.part == "encode":
        for width, row in encode.compare(asked.rounds).items():
            _say(
                f"{width}: plain PyTorch {row['plain_ms']:.3f} ms an image, plain / rayqc "
                f"{row['ratio']:.2f}, rayqc / matrix product {row['product']:.2f}"
                + (f", plain / ONNX Runtime {row['onnx']:.2f}" if "onnx" in row else "")
            )
        return
    if asked.part == "train":
        row = train.compare(asked.rounds, asked.encoder)
        _say(f"{asked.encoder}: " + ", ".join(f"{key} {value:.2f}" for key, value in row.items()))
        return
    with tempfile.TemporaryDirectory() as scratch:
        place = (asked.keep or Path(scratch)).absolute()
        place.mkdir(parents=True, exist_ok=True)
        pool = place / f"{asked.kind.replace(' ', '-')}-{asked.images}.parquet"
        make_pool(pool, asked.kind, asked.images)
        size, channels = int(asked.kind.split()[0]), 1 if asked.kind.startswith("28") else 3
        run_folder = place / f"run-{asked.encoder}-{asked.regions}-{size}"
        make_run(run_folder, WIDTHS[asked.encoder], asked.regions, size, channels)
        trial = Trial(pool=pool, run=run_folder, cpus=asked.cpus, most_seconds=asked.most_seconds)
        _say(f"\n{asked.images:,} x {asked.kind}, {asked.encoder} encoder, {asked.regions}\n")
        if asked.part == "actors":
            _say(f"{asked.cpus} actors / 1: {gain_of_actors(trial, asked.rounds):.2f}")
            return
        names = ["rayqc", *(name for name in asked.contestants if name != "rayqc")]
        in_turns(names, trial, asked.rounds, _say)


if __name__ == "__main__":
    main()
