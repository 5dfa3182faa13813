"""How well a fitted run's scores find the doubtful ones among a real GAN's digits.

rayqc run jobs/mnist.yaml --out runs/mnist
python -m benchmarks.gan_digits runs/mnist PATH/mnist-gan

PATH/mnist-gan holds `train-*.parquet` and `truth.parquet` (path, judges_agree, confidence).
Doubtful: two independent classifiers disagree, or the less sure one is below 0.95. The
truth is used for these figures only, never to choose a setting.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

import rayqc
from rayqc.regions.separation import auroc


def judge_foreign(run: str, folder: str) -> dict[str, float]:
    """Filter the GAN's digits by the run, whose regions are calibrated and promise no `cv+`.

    Returns:
        AUROC against the doubtful of the joint score, of the label's and the quality's evidence
        and of the sphere's distance / radius; share accepted and share doubtful among them, by
        the joint statistic and by the label alone; share doubtful before.
    """
    pool = next(Path(folder).glob("train-*.parquet"))
    with tempfile.TemporaryDirectory() as out:
        rayqc.filter_pool(run, str(pool), f"{out}/kept")
        rows = _scores(f"{out}/kept")
        rayqc.refilter(f"{out}/kept", f"{out}/label", statistic="label", scores_only=True, run=run)
        by_label_N = np.array([row["verdict"] == "accepted" for row in _scores(f"{out}/label")])
    path_N = [image["path"] for image in pq.read_table(pool)["image"].to_pylist()]
    truth = {row["path"]: row for row in pq.read_table(Path(folder, "truth.parquet")).to_pylist()}
    doubtful_N = np.array(
        [not truth[p]["judges_agree"] or truth[p]["confidence"] < 0.95 for p in path_N]
    )

    def column(name: str) -> np.ndarray:
        return np.array([row[name] for row in rows], dtype=float)

    scores = {
        "joint": column("score"),
        "label": column("label_evidence"),
        "quality": column("quality_evidence"),
        "sphere": column("distance") / column("radius"),
    }
    kept_N = np.array([row["verdict"] == "accepted" for row in rows])
    return {
        **{
            name: auroc(score_N[~doubtful_N], score_N[doubtful_N])
            for name, score_N in scores.items()
        },
        "accepted": float(kept_N.mean()),
        "before": float(doubtful_N.mean()),
        "after": float(doubtful_N[kept_N].mean()),
        "accepted_by_label": float(by_label_N.mean()),
        "after_by_label": float(doubtful_N[by_label_N].mean()),
    }


def _scores(folder: str) -> list[dict[str, Any]]:
    """Rows of the scores, in the pool's order."""
    shards = sorted(Path(folder, "scores").glob("*.parquet"))
    rows = [row for path in shards for row in pq.ParquetFile(path).read().to_pylist()]
    return sorted(rows, key=lambda row: int(row["id"].partition("#")[2]))


def main(run: str, folder: str) -> None:
    """Print the figures of a run with calibrated regions."""
    for name, value in judge_foreign(run, folder).items():
        print(f"{name}: {value:.3f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
