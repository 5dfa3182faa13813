"""What the driver does for a million units, with the work itself left out: seconds and memory.

python -m benchmarks.driver [--units 1000000] [--folder DIR]

Plans, claims, lists, reads and balances as a real command does, on a local disk; the actors'
commit records are written by this script. Each phase runs in a process of its own, so that its
peak memory is its own.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

from rayqc.ledger.commit import Commit, Part, commit_name, committed_units
from rayqc.ledger.compact import plan_shards
from rayqc.ledger.manifest import survey
from rayqc.ledger.plan import load_plan, start_or_resume, work_digest
from rayqc.storage import Folder, canonical_json
from rayqc.units import Unit, number, slices

ROWS = 1000
"""Images a unit: a million units are 10^9 images."""
UNITS_A_FILE = 1000
UNITS_AT_ONCE = 10_000
KINDS = ("accepted", "rejected", "scores")
SHARD_BYTES = 128e6
WORK = {"stage": "filter", "encoder_digest": "e" * 64, "regions_digest": "r" * 64}


def units_of(count: int) -> list[Unit]:
    """As a source of Parquet files lists them."""
    found = []
    for file in range(-(-count // UNITS_A_FILE)):
        path, tag = f"part-{file:06d}.parquet", f'1000000 bytes, "{file:032x}"'
        for start, stop in slices(ROWS * min(UNITS_A_FILE, count - file * UNITS_A_FILE), ROWS):
            found.append(Unit(entry=0, path=path, start=start, stop=stop, fingerprint=tag))
    return found


def plan(folder: Folder, count: int) -> None:
    """Units numbered, written and claimed."""
    start_or_resume(folder, WORK, number(units_of(count), None))


def resume(folder: Folder, count: int) -> None:
    """What a command that goes on finds: the plan, and which units are committed."""
    left = set(range(len(load_plan(folder)))) - committed_units(folder)
    assert not left


def conclude(folder: Folder, count: int) -> None:
    """All records read and balanced against the plan, and the shards planned."""
    totals, parts = survey(folder, load_plan(folder), work_digest(folder))
    assert totals.read == ROWS * count
    shards = plan_shards(parts, KINDS, SHARD_BYTES, {})
    assert shards


def commit(folder: Folder, count: int) -> None:
    """Records as actors would publish them, with parts that are not there."""
    work = work_digest(folder)

    def publish(unit: int) -> None:
        parts = tuple(
            Part(
                kind=kind,
                path=f"{kind}/unit-{unit:07d}-0123abcd.parquet",
                rows=ROWS if kind == "scores" else ROWS // 2,
                bytes=300_000,
                sha256=f"{unit:064x}",
            )
            for kind in KINDS
        )
        record = Commit(
            unit=unit,
            work=work,
            read=ROWS,
            outcomes={"accepted": ROWS // 2, "rejected": ROWS // 2, "error": 0},
            reasons={"inside_region": ROWS // 2, "label_outside_region": ROWS // 2},
            by_class={str(k): {"accepted": ROWS // 20, "rejected": ROWS // 20} for k in range(10)},
            parts=parts,
        )
        folder.write(commit_name(unit), canonical_json(asdict(record)))

    with ThreadPoolExecutor(2) as threads:
        for start in range(0, count, UNITS_AT_ONCE):
            for _ in threads.map(publish, range(start, min(start + UNITS_AT_ONCE, count))):
                pass


def _measured(
    phase: Callable[[Folder, int], None], location: str, count: int, answers: object
) -> None:
    begun = time.perf_counter()
    phase(Folder(location), count)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    answers.put((time.perf_counter() - begun, peak))


def main() -> None:
    """One line a phase."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--units", type=int, default=1_000_000)
    parser.add_argument("--folder", help="an empty folder to work in (default: a temporary one)")
    asked = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    print(json.dumps({"units": asked.units, "images": asked.units * ROWS}))
    with tempfile.TemporaryDirectory(dir=asked.folder) as scratch:
        for phase in (plan, commit, resume, conclude):
            answers = context.Queue()
            worker = context.Process(
                target=_measured,
                args=(phase, str(Path(scratch, "out")), asked.units, answers),
            )
            worker.start()
            worker.join()
            if worker.exitcode:
                raise SystemExit(f"{phase.__name__} failed")
            seconds, peak = answers.get()
            print(f"{phase.__name__:>9}: {seconds:8.1f} s, peak {peak:7,.0f} MB", flush=True)


if __name__ == "__main__":
    main()
