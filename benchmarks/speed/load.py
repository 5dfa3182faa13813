"""What a machine does meanwhile: its CPUs, its GPU, and the memory of rayqc's actors."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from shutil import which
from types import TracebackType

from benchmarks.speed.measure import memory_of, tree_of

SECONDS_BETWEEN_LOOKS = 0.25
LOOKS_A_MEMORY = 8
"""Memory is looked at once in so many looks: it takes the kernel long to tell."""
ACTOR = "UnitActor"
"""Stands in the title of an actor that does units."""
GPU_QUERY = (
    "nvidia-smi",
    "--id=0",
    "--query-gpu=utilization.gpu,memory.used",
    "--format=csv,noheader,nounits",
)


@dataclass(kw_only=True)
class Load:
    """Looks at the machine in threads of its own, from `with` to its end.

    Shares are of all CPUs of the machine, whoever uses them, and of the time in which the first GPU
    had a kernel to run, as nvidia-smi tells it.
    """

    root: int
    """Process whose tree of processes is looked through for actors."""
    cpu: list[tuple[float, float]] = field(default_factory=list)
    """Unix time, and the share of the CPUs that was busy since the last look."""
    gpu: list[tuple[float, float, float]] = field(default_factory=list)
    """Unix time, the GPU's busy share, and its memory in use in MB."""
    actors_mb: float = 0.0
    """Most memory of all actors at one time, shared pages counted once (PSS)."""
    largest_actor_mb: float = 0.0
    """Most memory of one actor."""
    _over: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Load:
        self._threads = [threading.Thread(target=self._watch, daemon=True)]
        look_at_gpu = gpu_reader()
        if look_at_gpu is not None:
            watch = threading.Thread(target=self._watch_gpu, args=(look_at_gpu,), daemon=True)
            self._threads.append(watch)
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def means(self, begun: float, ended: float) -> dict[str, float]:
        """Mean shares between two Unix times, and the peaks of memory, of those that were seen."""
        found = {}
        cpu = [busy for when, busy in self.cpu if begun <= when <= ended]
        gpu = [busy for when, busy, _ in self.gpu if begun <= when <= ended]
        if cpu:
            found["cpu_busy"] = sum(cpu) / len(cpu)
        if gpu:
            found["gpu_busy"] = sum(gpu) / len(gpu)
            found["gpu_mb"] = max(used for _, _, used in self.gpu)
        if self.actors_mb:
            found["actors_mb"] = self.actors_mb
            found["largest_actor_mb"] = self.largest_actor_mb
        return found

    def _watch(self) -> None:
        looks, before = 0, _jiffies()
        while not self._over.wait(SECONDS_BETWEEN_LOOKS):
            now = _jiffies()
            busy, total = (after - then for after, then in zip(now, before, strict=True))
            if total:
                self.cpu.append((time.time(), busy / total))
            before = now
            if not looks % LOOKS_A_MEMORY:
                sizes = [memory_of(pid) / 1e6 for pid in tree_of(self.root) if _is_actor(pid)]
                self.actors_mb = max(self.actors_mb, sum(sizes))
                self.largest_actor_mb = max(self.largest_actor_mb, *sizes, 0.0)
            looks += 1

    def _watch_gpu(self, look: Callable[[], tuple[float, float]]) -> None:
        while not self._over.wait(SECONDS_BETWEEN_LOOKS):
            # One look that fails leaves a gap, no more.
            with suppress(Exception):
                self.gpu.append((time.time(), *look()))


def gpu_reader() -> Callable[[], tuple[float, float]] | None:
    """What tells the first GPU's busy share and its memory in use in MB; None without a GPU."""
    with suppress(Exception):  # no package nvidia-ml-py, or no driver
        import pynvml

        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByIndex(0)

        def by_library() -> tuple[float, float]:
            busy = pynvml.nvmlDeviceGetUtilizationRates(handle).gpu
            return busy / 100, pynvml.nvmlDeviceGetMemoryInfo(handle).used / 1e6

        by_library()
        return by_library
    if which(GPU_QUERY[0]) is None:
        return None

    def by_command() -> tuple[float, float]:
        # Asked anew each time: in a loop of its own it keeps lines back when it writes to a pipe.
        said = subprocess.run(GPU_QUERY, capture_output=True, text=True, check=True).stdout
        busy, used_mib = map(float, said.split(","))
        return busy / 100, used_mib * 2**20 / 1e6

    return by_command


def _jiffies() -> tuple[int, int]:
    """Busy and all clock ticks of the machine since it started."""
    line = Path("/proc/stat").read_text().splitlines()[0]
    ticks = [int(word) for word in line.split()[1:9]]
    idle = ticks[3] + ticks[4]
    return sum(ticks) - idle, sum(ticks)


def _is_actor(pid: int) -> bool:
    with suppress(OSError):
        title = Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
        return title.startswith("ray::") and ACTOR in title
    return False
