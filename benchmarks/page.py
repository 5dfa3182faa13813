"""How long the page of a large pool takes, how large it is, and how much of the pool it reads.

python -m benchmarks.page DATA --out FOLDER [--images 1000000] [--per-class 5]

DATA is a folder that rayqc reads, with splits train and test, of any number of classes (such as
CIFAR-100). A real run judges some of the test images; its shards are then written again and again
under other ids until there are as many as asked for, which is said: what is measured is the page,
not the filter. The baseline makes a small picture of every image, as a page without a bound would:
of `SAMPLE` images, whose time is taken as many times as there are more of them.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import time
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

import rayqc
from rayqc.images.decode import Limits
from rayqc.ledger.commit import Part
from rayqc.ledger.manifest import Totals, load_files, load_totals, publish
from rayqc.ledger.plan import LEDGER
from rayqc.report.page.gallery import picture
from rayqc.schema import image_bytes
from rayqc.storage import Folder, digest, table_bytes

SAMPLE = 20_000


def base_run(data: str, out: Path, per_class: int, judged: int) -> Path:
    """A small real run, whose own pool is some test images."""
    config = rayqc.make_config(
        {
            "references": {"path": data, "split": "train", "per_class": per_class},
            "pool": [{"path": data, "split": "test"}],
            "encoder": {"steps": 50, "latent_dim": 32},
            "regions": {"views": ["edges"], "folds": 2},
            "filter": {"limit": judged, "keep_latents": True},
            "classify": {"arms": []},
        }
    )
    rayqc.run(config, str(out))
    return out


def multiply(run: Path, out: Path, images: int) -> Folder:
    """Shards like the run's own, as many as hold `images`, under ids of their own."""
    source, target = Folder(str(run / "filtered")), Folder(str(out))
    totals = load_totals(source)
    times = -(-images // totals.read)
    target.write(LEDGER, source.read(LEDGER))
    shards: list[Part] = []
    for kind, parts in load_files(source).items():
        for part in parts:
            with source.open(part.path) as file:
                table = pq.ParquetFile(file).read()
            for copy in range(times):
                ids = [f"{copy:05d}/{name}" for name in table["id"].to_pylist()]
                column = table.schema.get_field_index("id")
                own = table.set_column(column, table.schema.field("id"), pa.array(ids))
                path = f"{kind}/train-{len(shards):05d}.parquet"
                data = table_bytes(own)
                target.write(path, data)
                shards.append(replace(part, path=path, bytes=len(data), sha256=digest(data)))
    publish(target, _times(totals, times), shards)
    return target


def _times(totals: Totals, times: int) -> Totals:
    def multiplied(counts: dict[str, int]) -> dict[str, int]:
        return {name: count * times for name, count in counts.items()}

    return replace(
        totals,
        read=totals.read * times,
        outcomes=multiplied(totals.outcomes),
        reasons=multiplied(totals.reasons),
        by_class={name: multiplied(counts) for name, counts in totals.by_class.items()},
    )


def main() -> None:
    """Print the page's seconds and bytes, and the seconds of reading all images."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--judged", type=int, default=4_000)
    parser.add_argument("--per-class", type=int, default=5)
    arguments = parser.parse_args()
    run = base_run(arguments.data, arguments.out / "run", arguments.per_class, arguments.judged)
    shutil.rmtree(arguments.out / "pool", ignore_errors=True)
    pool = multiply(run, arguments.out / "pool", arguments.images)
    totals = load_totals(pool)
    started = time.perf_counter()
    page = Path(rayqc.write_report(pool.location, run=str(run))["report"])
    of_page = time.perf_counter() - started
    of_pictures = _seconds_of_pictures(pool) * totals.read / SAMPLE
    classes = len(json.loads((run / "result.json").read_text())["acceptance"]["by_class"])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{totals.read:,} judged images of {classes} classes: page of "
        f"{page.stat().st_size / 1e6:.2f} MB in {of_page:.1f} s; "
        f"pictures of all of them would take {of_pictures:.0f} s, "
        f"{of_pictures / of_page:.0f} times as long; peak memory {peak:,.0f} MB"
    )


def _seconds_of_pictures(pool: Folder) -> float:
    """Seconds that small pictures of the first `SAMPLE` images take."""
    started, made = time.perf_counter(), 0
    for part in load_files(pool)["accepted"]:
        with pool.open(part.path) as file:
            table = pq.ParquetFile(file).read(columns=["image"])
        for data in image_bytes(table):
            picture(data, Limits())
            made += 1
            if made == SAMPLE:
                return time.perf_counter() - started
    raise SystemExit(f"fewer than {SAMPLE:,} images were accepted; ask for more with --images")


if __name__ == "__main__":
    main()
