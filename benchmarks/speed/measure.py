"""One command as a whole: seconds, CPU-seconds and peak memory of all its processes."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

SECONDS_BETWEEN_LOOKS = 0.25
LOOKS_A_MEMORY = 4
"""Memory is looked at once in so many looks: it takes the kernel long to tell."""
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What one run of a command took."""

    seconds: float
    """From start to exit."""
    cpu_seconds: float
    """Of its whole tree of processes, seen four times a second."""
    peak_mb: float
    """Most memory of the tree at one time, shared pages counted once (PSS)."""
    said: dict[str, float] = field(default_factory=dict)
    """The JSON object that its last line of output was, if it was one."""


def run(command: list[str], most_seconds: float) -> Measured:
    """Run a command to its end.

    Raises:
        RuntimeError: it failed; its last words are in the message.
        TimeoutError: it took longer; it is killed.
    """
    cpu: dict[int, float] = {}
    peak, looks = 0.0, 0
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        begun = time.perf_counter()
        process = subprocess.Popen(command, stdout=out, stderr=err)
        while process.poll() is None:
            tree = tree_of(process.pid)
            cpu.update({pid: spent for pid in tree if (spent := _cpu(pid)) is not None})
            if not looks % LOOKS_A_MEMORY:
                peak = max(peak, sum(memory_of(pid) for pid in tree))
            looks += 1
            if time.perf_counter() - begun > most_seconds:
                for pid in reversed(tree):
                    with suppress(ProcessLookupError):
                        os.kill(pid, 9)
                process.wait()
                raise TimeoutError(f"no end after {most_seconds:.0f} s: {' '.join(command)}")
            time.sleep(SECONDS_BETWEEN_LOOKS)
        seconds = time.perf_counter() - begun
        out.seek(0)
        err.seek(0)
        lines = out.read().strip().splitlines()
        if process.returncode:
            raise RuntimeError(f"{' '.join(command)}: {err.read()[-2000:]}")
    said = {}
    with suppress(IndexError, ValueError):
        said = dict(json.loads(lines[-1]))
    return Measured(seconds=seconds, cpu_seconds=sum(cpu.values()), peak_mb=peak / 1e6, said=said)


def tree_of(root: int) -> list[int]:
    """A process and all below it."""
    below: dict[int, list[int]] = {}
    for place in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            facts = place.read_text(errors="replace").rpartition(")")[2].split()
            below.setdefault(int(facts[1]), []).append(int(place.parent.name))
    found, waiting = [], [root]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        waiting += below.get(pid, [])
    return found


def _cpu(pid: int) -> float | None:
    with suppress(OSError):
        facts = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
        return (int(facts[11]) + int(facts[12])) / TICKS
    return None


def memory_of(pid: int) -> float:
    """Bytes of a process, shared pages by its part of them (PSS); 0 of one that has ended."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return 1024.0 * int(line.split()[1])
    return 0.0
