"""How well a fitted run's scores find the doubtful ones among a real GAN's digits.

rayqc run jobs/mnist.yaml --out runs/mnist
python benchmarks/gan_digits.py runs/mnist PATH/mnist-gan

PATH/mnist-gan holds `train-*.parquet` and `truth.parquet` (path, judges_agree, confidence).
Doubtful: two independent classifiers disagree, or the less sure one is below 0.95. The
truth is used for these figures only, never to choose a setting.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

import rayqc
from rayqc.regions.fitting import auroc as chance_above


def auroc(score_N: np.ndarray, positive_N: np.ndarray) -> float:
    """Chance that a positive scores above a negative."""
    return chance_above(score_N[~positive_N], score_N[positive_N])


def main(run: str, folder: str) -> None:
    """Filter the GAN's digits by the run and print the figures."""
    pool = next(Path(folder).glob("train-*.parquet"))
    with tempfile.TemporaryDirectory() as out:
        totals = rayqc.filter_pool(run, str(pool), f"{out}/kept")
        shards = sorted(Path(out, "kept", "scores").glob("*.parquet"))
        rows = [row for path in shards for row in pq.ParquetFile(path).read().to_pylist()]
    rows.sort(key=lambda row: int(row["id"].partition("#")[2]))
    score_N = np.array([row["score"] for row in rows])
    path_N = [image["path"] for image in pq.read_table(pool)["image"].to_pylist()]
    truth = {row["path"]: row for row in pq.read_table(Path(folder, "truth.parquet")).to_pylist()}
    doubtful_N = np.array(
        [not truth[p]["judges_agree"] or truth[p]["confidence"] < 0.95 for p in path_N]
    )
    kept_N = score_N <= 1
    print(f"accepted {totals['outcomes']['accepted']:,} of {totals['read']:,}")
    print(f"AUROC of the score against the doubtful: {auroc(score_N, doubtful_N):.3f}")
    for name in ("label_evidence", "quality_evidence"):
        if rows[0][name] is not None:
            found = auroc(np.array([row[name] for row in rows]), doubtful_N)
            print(f"AUROC of {name}: {found:.3f}")
    print(f"doubtful: {doubtful_N.mean():.1%} before, {doubtful_N[kept_N].mean():.1%} after")


if __name__ == "__main__":
    main(*sys.argv[1:])
