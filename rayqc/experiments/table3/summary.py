"""Means over draws of a cell, differences paired by draw, and how far seeds agree."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

import numpy as np

from rayqc.experiments.detection import Record
from rayqc.report.intervals import agreement, mean_interval

PAIRS = (
    ("all", "real"),
    ("sphere", "random: sphere"),
    ("calibrated", "random: calibrated"),
    ("selected", "random: selected"),
    ("calibrated", "real"),
    ("oracle", "random: calibrated"),
)
"""Arms that are compared, as the first minus the second."""


def summarise_table3(records: list[Record]) -> list[Record]:
    """One record a cell: data set, references, pool and encoder; accuracies in per cent.

    Of each protocol (`paper`, `today`, and of the latter `scratch`) the number of draws, and by
    pool what `_pool` says; nothing of a protocol without a draw.
    """
    cells: dict[tuple[Any, ...], list[Record]] = defaultdict(list)
    for record in records:
        keys = ("data", "per_class", "pool_size", "encoder_width", "encoder_steps")
        cells[tuple(record[key] for key in keys)].append(record)
    return [
        {
            "data": key[0],
            "per_class": key[1],
            "pool": key[2],
            "encoder_width": key[3],
            **_protocols(cell, key[2]),
            "hours": sum(record["seconds"] for record in cell) / 3600,
        }
        for key, cell in sorted(cells.items())
    ]


def _protocols(cell: list[Record], size: int) -> Record:
    paper = [record for record in cell if record["table3"] == "paper"]
    today = [record for record in cell if record["table3"] == "today"]
    scratch = [record["scratch"] for record in today if record["scratch"]]
    pools_by_protocol = {
        "paper": [record["pools"] for record in paper],
        "today": [record["pools"] for record in today],
        "scratch": scratch,
    }
    found: Record = {
        protocol: {"draws": len(draws), "pools": _pools(draws, size)}
        for protocol, draws in pools_by_protocol.items()
        if draws
    }
    if paper:
        found["paper"]["classifier"] = paper[0]["classifier"]
    if today:
        found["today"] |= {
            "classifiers": dict(Counter(record["classifier"] for record in today)),
            "cross_validated": _means([record["cross_validated"] for record in today]),
        }
    return found


def _means(by_name: list[dict[str, float]]) -> dict[str, float]:
    """Mean of each name over the records that have it."""
    names = dict.fromkeys(name for one in by_name for name in one)
    return {name: float(np.mean([one[name] for one in by_name if name in one])) for name in names}


def _pools(draws: list[Record], size: int) -> Record:
    return {name: _pool([draw[name] for draw in draws], size) for name in draws[0]}


def _pool(draws: list[Record], size: int) -> Record:
    mean_by_arm = {
        arm: np.array([100 * np.mean(draw["arms"][arm]) for draw in draws])
        for arm in draws[0]["arms"]
    }
    differences = {
        f"{first} - {second}": mean_interval((mean_by_arm[first] - mean_by_arm[second]).tolist())
        for first, second in PAIRS
        if first in mean_by_arm and second in mean_by_arm
    }
    told = draws[0]["sound_accepted"]
    return {
        "accepted": {
            kind: float(np.mean([draw["accepted"][kind] for draw in draws])) / size
            for kind in draws[0]["accepted"]
        },
        "sound_accepted": None if told is None else _means([d["sound_accepted"] for d in draws]),
        "arms": {arm: mean_interval(values.tolist()) for arm, values in mean_by_arm.items()},
        "differences": differences,
        "agreement": _agreement(draws),
    }


def _agreement(draws: list[Record]) -> float | None:
    """Mean over draws of the intraclass correlation of the arms' accuracies over seeds."""
    found = []
    for draw in draws:
        # Arms of the same candidates are one training, and no two arms.
        different = np.array(sorted({tuple(seeds) for seeds in draw["arms"].values()}))
        if len(different) > 1 and different.shape[1] > 1:
            found.append(agreement(different))
    return float(np.mean(found)) if found else None
