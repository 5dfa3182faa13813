"""Means over draws with bootstrap intervals, and Markdown tables of them."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np

from rayqc.experiments.detection import EVENS, Record
from rayqc.experiments.markdown import row
from rayqc.experiments.table3.page import table3_page
from rayqc.experiments.table3.summary import summarise_table3

RESAMPLES = 2000
LEVEL = 0.95
"""Of the bootstrap intervals."""
KINDS = (
    "wrong_label",
    "noise",
    "blur",
    "occlusion",
    "blend",
    "other_data",
    "blank",
    "decoding",
    "undertrained_gan",
)
METHODS = (
    "joint",
    "label",
    "quality",
    "sphere",
    "sphere_loo",
    "reconstruction",
    "realism",
    "ssim",
    "blur_effect",
)
CONTAMINATIONS = (0.1, 0.3, 0.5)
"""Faulty shares of a pool that purity is computed for."""
PAIRS = (("accepted", "random"), ("accepted", "all"), ("oracle", "random"), ("accepted", "real"))
"""Arms whose accuracies are compared, as the first minus the second."""


def bootstrap(values: list[float]) -> dict[str, float]:
    """Mean over draws and its 95% percentile bootstrap interval, from resampled draws."""
    draw_values = np.asarray(values, dtype=float)
    rng = np.random.default_rng(0)
    means = draw_values[rng.integers(0, draw_values.size, (RESAMPLES, draw_values.size))].mean(1)
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return {
        "mean": float(draw_values.mean()),
        "low": float(low),
        "high": float(high),
        "draws": draw_values.size,
    }


def summarise(records: list[Record], first_draw: int) -> Record:
    """Means and intervals of draws from `first_draw` on; earlier draws are for choices only."""
    detection = [r for r in records if "auroc" in r]
    reported = [r for r in detection if r["draw"] >= first_draw]
    even_without = choose_without(detection, first_draw)
    cells = _grouped(reported, "data", "per_class")
    arm_cells = _grouped([r for r in records if "arms" in r], "data", "pool")
    return {
        "detection": [
            {"data": key[0], "per_class": key[1], **_detection(cell, even_without)}
            for key, cell in sorted(cells.items())
        ],
        "accuracy": [
            {"data": key[0], "pool": key[1], **_accuracy(cell)}
            for key, cell in sorted(arm_cells.items())
        ],
        "even_without": even_without,
        "table3": summarise_table3([r for r in records if "table3" in r]),
    }


def choose_without(records: list[Record], first_draw: int) -> dict[str, str]:
    """For each kind of fault, the nats at even odds with the highest AUROC over the other kinds.

    It is chosen on development draws, those before `first_draw`, and given as the name of a score,
    such as `joint:2`.
    """
    development = [r for r in records if r["draw"] < first_draw]
    even_without = {}
    for kind in KINDS:
        mean_by_name = {}
        for even in EVENS:
            name = f"joint:{even:g}"
            other_means = [
                np.mean([r["auroc"][name][k] for k in KINDS if k in r["auroc"][name] and k != kind])
                for r in development
            ]
            mean_by_name[name] = float(np.mean(other_means)) if other_means else 0.0
        if development:
            even_without[kind] = max(mean_by_name, key=mean_by_name.__getitem__)
    return even_without


def _detection(cell: list[Record], even_without: dict[str, str]) -> Record:
    kinds = [k for k in KINDS if k in cell[0]["auroc"]["joint"]]
    summary: Record = {"draws": len(cell), "promise": sorted({r["promise"] for r in cell})}
    for measure in ("auroc", "tpr"):
        summary[measure] = {
            method: {
                "mean": bootstrap([_mean(r[measure][method], kinds) for r in cell]),
                "kinds": {
                    kind: bootstrap([r[measure][method][kind] for r in cell])
                    for kind in cell[0][measure][method]
                },
            }
            for method in METHODS
            if method in cell[0][measure]
        }
    if even_without:
        auroc_by_kind = {k: [r["auroc"][even_without[k]][k] for r in cell] for k in kinds}
        mean_by_draw = np.array(list(auroc_by_kind.values())).mean(0)
        summary["left_out"] = {
            "mean": bootstrap(list(mean_by_draw)),
            "kinds": {kind: bootstrap(values) for kind, values in auroc_by_kind.items()},
        }
    summary["coverage"] = {
        name: {
            "pooled": bootstrap([r["coverage"][name]["pooled"] for r in cell]),
            "lowest": bootstrap([r["coverage"][name]["lowest"] for r in cell]),
            "purity": {
                f"{share:.0%}": bootstrap([_purity(r["coverage"][name], share) for r in cell])
                for share in CONTAMINATIONS
            },
        }
        for name in cell[0]["coverage"]
    }
    return summary


def _mean(by_kind: dict[str, float], kinds: list[str]) -> float:
    return float(np.mean([by_kind[kind] for kind in kinds]))


def _purity(coverage: Record, share: float) -> float:
    """Share of genuine images among the accepted ones of a pool.

    Of the pool, `share` is faulty, and all kinds of fault are equally frequent.
    """
    genuine = (1 - share) * coverage["pooled"]
    faulty = share * float(np.mean(list(coverage["faults"].values())))
    return float(genuine / (genuine + faulty))


def _accuracy(cell: list[Record]) -> Record:
    arms = list(cell[0]["arms"])
    summary: Record = {
        "draws": len(cell),
        "statistic": cell[0]["statistic"],
        "accepted": bootstrap([r["accepted"] for r in cell]),
        "arms": {arm: bootstrap([r["arms"][arm] for r in cell]) for arm in arms},
        "differences": {
            f"{a} - {b}": bootstrap([r["arms"][a] - r["arms"][b] for r in cell])
            for a, b in PAIRS
            if a in arms and b in arms
        },
    }
    if cell[0]["sound"] is not None:
        summary["sound"] = bootstrap([r["sound"] for r in cell])
        summary["sound_accepted"] = bootstrap([r["sound_accepted"] for r in cell])
        oracle_gain = summary["differences"].get("oracle - random")
        accepted_gain = summary["differences"].get("accepted - random")
        if oracle_gain and accepted_gain and oracle_gain["low"] > 0:
            summary["share_of_oracle"] = accepted_gain["mean"] / oracle_gain["mean"]
    return summary


def _grouped(records: list[Record], *keys: str) -> dict[tuple[Any, ...], list[Record]]:
    cells: dict[tuple[Any, ...], list[Record]] = defaultdict(list)
    for record in records:
        cells[tuple(record[key] for key in keys)].append(record)
    return cells


def tables(result: Record) -> str:
    """Markdown tables of the content of `evaluation.json`: versions and what `summarise` gave."""
    sections = [f"rayqc {result['rayqc_version']}, fault table {result['faults_version']}.\n"]
    for cells in _grouped(result["detection"], "data").values():
        sections.append(_overview(cells))
    for cell in result["detection"]:
        sections.append(_detection_table(cell))
    if result["accuracy"]:
        sections.append(_accuracy_table(result["accuracy"]))
    if result["table3"]:
        sections.append(table3_page(result["table3"]))
    return "\n".join(sections)


def _overview(cells: list[Record]) -> str:
    """Main figures of one data set by number of reference images, with the paper's sphere."""

    def accepted(name: str, key: str) -> list[str]:
        return [_percents(cell["coverage"][name][key]) for cell in cells]

    def auroc(name: str, kind: str) -> list[str]:
        return [_interval(cell["auroc"][name]["kinds"][kind], 3) for cell in cells]

    def mean(name: str) -> list[str]:
        return [_interval(cell["auroc"][name]["mean"], 3) for cell in cells]

    rows = {"draws": [f"{cell['draws']} ({', '.join(cell['promise'])})" for cell in cells]}
    for key, title in (("pooled", "fresh images accepted, %"), ("lowest", "the lowest class, %")):
        for name in ("joint", "label", "sphere"):
            rows[f"{title}: {name}"] = accepted(name, key)
    for name in ("joint", "sphere"):
        rows[f"AUROC, mean over kinds: {name}"] = mean(name)
    if all("left_out" in cell for cell in cells):
        rows["each kind left out"] = [_interval(cell["left_out"]["mean"], 3) for cell in cells]
    for name in ("joint", "label", "sphere"):
        rows[f"AUROC, wrong label: {name}"] = auroc(name, "wrong_label")
    header = ["references a class", *(str(cell["per_class"]) for cell in cells)]
    lines = [f"\n### {cells[0]['data']}\n", row(header), row(["---"] * len(header))]
    return "\n".join([*lines, *(row([name, *texts]) for name, texts in rows.items())]) + "\n"


def _detection_table(cell: Record) -> str:
    kinds = list(cell["auroc"]["joint"]["kinds"])
    title = f"\n### {cell['data']}, {cell['per_class']} references a class, {cell['draws']} draws"
    header = row(["", "mean", *(kind.replace("_", " ") for kind in kinds)])
    rule = row(["---"] * (len(kinds) + 2))
    rows = [title + f" (promise: {', '.join(cell['promise'])})\n", "AUROC\n", header, rule]
    auroc_by_method = dict(cell["auroc"])
    if "left_out" in cell:
        auroc_by_method["joint, kind left out"] = cell["left_out"]
    for name, method in auroc_by_method.items():
        values = [
            f"{method['kinds'][k]['mean']:.3f}" if k in method["kinds"] else "" for k in kinds
        ]
        rows.append(row([name, _interval(method["mean"], 3), *values]))
    rows += ["", "Found (TPR) where 5% of genuine images are taken for faulty\n", header, rule]
    for name, method in cell["tpr"].items():
        values = [f"{method['kinds'][k]['mean']:.2f}" for k in kinds]
        rows.append(row([name, _interval(method["mean"], 2), *values]))
    rows.append("")
    shares = [f"{share:.0%}" for share in CONTAMINATIONS]
    rows += [
        row(
            [
                "accepts",
                "fresh, pooled",
                "lowest class",
                *(f"purity at {share} faulty" for share in shares),
            ]
        ),
        row(["---"] * (3 + len(shares))),
    ]
    for name, coverage in cell["coverage"].items():
        purity = [f"{100 * coverage['purity'][share]['mean']:.1f}" for share in shares]
        percents = [_percents(coverage[key]) for key in ("pooled", "lowest")]
        rows.append(row([name, *percents, *purity]))
    return "\n".join(rows) + "\n"


def _accuracy_table(cells: list[Record]) -> str:
    arms = ["real", "all", "random", "accepted", "inverted", "oracle"]
    pairs = [f"{a} - {b}" for a, b in PAIRS[:3]]
    rows = [
        "\n### Accuracy\n",
        row(["data", "pool", "draws", "accepted share", *arms, *pairs, "of the oracle's gain"]),
        row(["---"] * (5 + len(arms) + len(pairs))),
    ]
    for cell in cells:
        share = cell.get("share_of_oracle")
        rows.append(
            row(
                [
                    cell["data"],
                    cell["pool"],
                    str(cell["draws"]),
                    _percents(cell["accepted"]),
                    *(
                        f"{100 * cell['arms'][arm]['mean']:.1f}" if arm in cell["arms"] else ""
                        for arm in arms
                    ),
                    *(
                        _percents(cell["differences"][pair], sign=True)
                        if pair in cell["differences"]
                        else ""
                        for pair in pairs
                    ),
                    "" if share is None else f"{share:.2f}",
                ]
            )
        )
    return "\n".join(rows) + "\n"


def _interval(estimate: dict[str, float], digits: int) -> str:
    low, high = (f"{estimate[end]:.{digits}f}" for end in ("low", "high"))
    return f"{estimate['mean']:.{digits}f} ({low} to {high})"


def _percents(estimate: dict[str, float], sign: bool = False) -> str:
    form = "+.1f" if sign else ".1f"
    low, high = (f"{100 * estimate[end]:{form}}" for end in ("low", "high"))
    return f"{100 * estimate['mean']:{form}} ({low} to {high})"
