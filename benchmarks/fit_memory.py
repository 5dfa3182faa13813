"""Memory of the driver while spheres are reduced from latents in Ray's object store.

python -m benchmarks.fit_memory [--latents 100000 1000000]

Two classes in 100 dimensions, made by Ray's workers; each number in a process of its own. Prints
the peak above what the process held before the reduction, and the radius's error in rank.
"""

from __future__ import annotations

import argparse
import importlib
import multiprocessing
import threading
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import ray
import ray.data

from rayqc.distributed.reduce import reduce_spheres
from rayqc.distributed.session import session

DIM = 100
CLASSES = ("a", "b")
BLOCK = 8192


def latents_of(start: int, count: int) -> pa.Table:
    """Rows start, start + 1, ...; every other one is of the second class, twice as wide."""
    label_N = (np.arange(start, start + count) % 2).astype(np.int64)
    rng = np.random.default_rng(start)
    latent_ND = rng.standard_normal((count, DIM), np.float32) * (1 + label_N[:, None])
    column = pa.FixedSizeListArray.from_arrays(latent_ND.astype(np.float32).ravel(), DIM)
    ids = [f"{row:09d}" for row in range(start, start + count)]
    return pa.table({"id": ids, "label": label_N, "latent": column})


def resident_mb() -> float:
    """Of this process alone: pages shared with Ray's object store are not its own."""
    text = Path("/proc/self/status").read_text()
    return float(text.partition("RssAnon:")[2].split()[0]) / 1e3


def measure(total: int) -> None:
    """One number of latents."""
    with session("local"):
        starts = ray.data.range(-(-total // BLOCK), override_num_blocks=-(-total // BLOCK))

        def made(batch: pa.Table) -> pa.Table:
            tables = [
                latents_of(i * BLOCK, min(BLOCK, total - i * BLOCK))
                for i in batch["id"].to_pylist()
            ]
            return pa.concat_tables(tables)

        latents = starts.map_batches(made, batch_format="pyarrow", batch_size=1).materialize()
        before, peak, over = resident_mb(), 0.0, threading.Event()

        def look() -> None:
            nonlocal peak
            while not over.is_set():
                peak = max(peak, resident_mb())
                time.sleep(0.02)

        watch = threading.Thread(target=look)
        watch.start()
        found = reduce_spheres(latents, CLASSES, 0.95, "", "sphere")
        over.set()
        watch.join()
    errors = []
    for k in range(len(CLASSES)):
        inside = count = 0
        for start in range(0, total, BLOCK):
            table = latents_of(start, min(BLOCK, total - start))
            own = np.asarray(table["label"]) == k
            latent_ND = np.stack(table["latent"].to_numpy())[own]
            distance_N = np.linalg.norm(latent_ND - found.centers_KD[k], axis=1)
            inside += int((distance_N <= found.radius_K[k]).sum())
            count += int(own.sum())
        errors.append(abs(inside / count - 0.95))
    print(
        f"{total:,} latents: {peak - before:,.0f} MB above {before:,.0f}; radius off by at most "
        f"{max(errors):.3%} of rank",
        flush=True,
    )


def main() -> None:
    """A line for each number."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latents", type=int, nargs="+", default=[100_000, 1_000_000])
    # By its own name: Ray's workers know no `__main__` of this file.
    work = importlib.import_module("benchmarks.fit_memory").measure
    for total in parser.parse_args().latents:
        process = multiprocessing.get_context("spawn").Process(target=work, args=(total,))
        process.start()
        process.join()
        if process.exitcode:
            raise SystemExit(process.exitcode)


if __name__ == "__main__":
    main()
