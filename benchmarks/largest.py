"""How many images this machine filters in an hour, while raylets of its Ray are killed.

python -m benchmarks.largest OUT [--images 27000000] [--nodes 2] [--cpus 1]

The pool: the package's digits, moved and with a little noise of each image's own. The run: ten
references a class, an encoder of width 1/8, the default regions. The cluster: a head without CPUs
and so many raylets; one is killed when a third of the units is committed and another at two thirds,
and each is replaced ten seconds later. Then the ledger and every line of `scores/` are counted.
"""

from __future__ import annotations

import argparse
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import ray
from ray.cluster_utils import Cluster

import rayqc
from rayqc.config import Data
from rayqc.images.decode import Limits, decode_native
from rayqc.images.encode import encode_png
from rayqc.ledger.commit import committed_units
from rayqc.schema import candidate_schema, image_bytes
from rayqc.sources import open_source
from rayqc.sources.select import read_all
from rayqc.storage import Folder
from rayqc.units import slices

CLASSES = tuple("0123456789")
FILE_ROWS = 250_000
GROUP_ROWS = 2048
NOISE = 8
"""Most levels that noise adds to a pixel or takes from it."""
KILLED_AT = (1 / 3, 2 / 3)
SECONDS_TO_REPLACE = 10.0


def make_file(job: tuple[str, int, int]) -> None:
    """One Parquet file of the images `start` to `stop`, none of them like another."""
    place, start, stop = job
    digits = read_all(open_source(Data(kind="bundled")))
    pixels = [decode_native(data or b"", Limits()) for data in image_bytes(digits)]
    labels, schema = digits["label"].to_pylist(), candidate_schema(CLASSES)
    draft = f"{place}.draft"
    with pq.ParquetWriter(draft, schema, compression="none", use_dictionary=False) as writer:
        for first in range(start, stop, GROUP_ROWS):
            rows = range(first, min(first + GROUP_ROWS, stop))
            rng = np.random.default_rng(first)
            moves = rng.integers(-2, 3, (len(rows), 2))
            noise = rng.integers(-NOISE, NOISE + 1, (len(rows), 28, 28, 1))
            images = []
            for row, move, grain_HWC in zip(rows, moves, noise, strict=True):
                moved = np.roll(pixels[row % len(pixels)], tuple(move), (0, 1))
                noisy_HWC = np.clip(moved + grain_HWC * (moved > 0), 0, 255).astype(np.uint8)
                images.append({"bytes": encode_png(noisy_HWC), "path": None})
            columns = {
                "id": [f"{row:09d}" for row in rows],
                "image": images,
                "label": [labels[row % len(pixels)] for row in rows],
                "source": ["moved"] * len(rows),
                "parent": [None] * len(rows),
            }
            writer.write_table(pa.table(columns, schema=schema))
    Path(draft).rename(place)


def make_pool(folder: Path, images: int) -> None:
    """As many files as are needed, two at a time; those that are there are left."""
    folder.mkdir(parents=True, exist_ok=True)
    jobs = [
        (f"{folder}/part-{number:05d}.parquet", start, stop)
        for number, (start, stop) in enumerate(slices(images, FILE_ROWS))
    ]
    with ProcessPoolExecutor() as workers:
        list(workers.map(make_file, [job for job in jobs if not Path(job[0]).exists()]))


def kill_raylets(cluster: Cluster, node: dict[str, int], filtered: Folder, units: int) -> None:
    """Kill the newest raylet at each of `KILLED_AT`, and replace it."""
    for share in KILLED_AT:
        while len(committed_units(filtered)) < share * units:
            time.sleep(2)
        cluster.remove_node(cluster.list_all_nodes()[-1], allow_graceful=False)
        print(
            f"killed a raylet at {len(committed_units(filtered)):,} of {units:,} units", flush=True
        )
        time.sleep(SECONDS_TO_REPLACE)
        cluster.add_node(**node)


def times_seen(scores: Path, images: int) -> np.ndarray:
    """(images,) int64, how many lines of `scores/` each image of the pool has."""
    seen = np.zeros(images, np.int64)
    for path in sorted(scores.glob("*.parquet")):
        for batch in pq.ParquetFile(path).iter_batches(columns=["id"]):
            rows = [int(name[-9:]) for name in batch["id"].to_pylist()]
            seen += np.bincount(rows, minlength=images)
    return seen


def main() -> None:
    """Make what is missing, filter once, and count."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--images", type=int, default=27_000_000)
    parser.add_argument("--nodes", type=int, default=2)
    parser.add_argument("--cpus", type=int, default=1, help="of each raylet")
    asked = parser.parse_args()
    out: Path = asked.out.absolute()
    make_pool(out / "pool", asked.images)
    settings = {
        "references": {"kind": "bundled", "per_class": 10},
        "encoder": {"width": 0.125, "steps": 600},
        "regions": {"measure_images": 0},
        "filter": {"unit_rows": GROUP_ROWS},
        "classify": {"arms": []},
    }
    config = rayqc.make_config(settings)
    run, filtered = str(out / "run"), out / "filtered"
    rayqc.train(config, run)
    rayqc.fit(run)
    ray.shutdown()
    node = {"num_cpus": asked.cpus, "object_store_memory": 3 * 10**8}
    # Nodes that end with the process set handlers of signals, which a thread may not.
    cluster = Cluster(
        initialize_head=True, head_node_args={**node, "num_cpus": 0}, shutdown_at_exit=False
    )
    for _ in range(asked.nodes):
        cluster.add_node(**node)
    ray.init(address=cluster.address, log_to_driver=False)
    cluster.wait_for_nodes()
    files = slices(asked.images, FILE_ROWS)
    units = sum(-(-(stop - start) // GROUP_ROWS) for start, stop in files)
    arguments = (cluster, node, Folder(str(filtered)), units)
    threading.Thread(target=kill_raylets, args=arguments, daemon=True).start()
    begun = time.perf_counter()
    try:
        totals = rayqc.filter_pool(run, str(out / "pool"), str(filtered))
        seconds = time.perf_counter() - begun
    finally:
        ray.shutdown()
        cluster.shutdown()
    seen = times_seen(filtered / "scores", asked.images)
    print(f"{asked.images:,} images in {seconds:,.0f} s, {asked.images / seconds:,.0f} a second")
    outcomes = ", ".join(f"{name} {number:,}" for name, number in totals["outcomes"].items())
    print(f"read {totals['read']:,}: {outcomes}")
    print(f"lines of scores: {seen.sum():,}; images with exactly one: {(seen == 1).sum():,}")


if __name__ == "__main__":
    main()
