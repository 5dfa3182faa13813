"""What the page says, as plain values: numbers, words and small pictures.

Shape suffixes: N images, K classes, B bins.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow.compute as pc

from rayqc.ledger.judged import why
from rayqc.ledger.manifest import load_files
from rayqc.ledger.plan import LEDGER
from rayqc.printable import percentage, printable
from rayqc.regions.base import score_of
from rayqc.regions.calibrated import CalibratedRegions
from rayqc.regions.sphere import own_distances
from rayqc.regions.statistic_choice import StatisticChoice
from rayqc.report.base import JudgedPool
from rayqc.report.page.gallery import Shown, positions, shown_images, shown_references
from rayqc.results import Acceptance
from rayqc.shown.base import (
    control_words,
    cue_lines,
    duplicate_words,
    few_tests_lines,
    harm_words,
    measured_lines,
)
from rayqc.storage import read_json, read_table
from rayqc.verdicts import ACCEPTED, DUPLICATE, ERROR, NOT_SELECTED, VERDICTS
from rayqc.version import __version__

SCORE_EDGES = np.linspace(0, 3, 31)
"""Edges of the histograms' bins of scores; the last bin holds all that is larger."""
CHOSEN_AGAINST = (NOT_SELECTED, DUPLICATE)
SETS = ("accepted", "random", "pool")
ARMS = ("real", "all", "random", "accepted", "rejected")


def page_facts(pool: JudgedPool) -> dict[str, Any]:
    """Everything on the page; all text that comes from a pool is printable."""
    totals, acceptance = pool.totals, pool.acceptance
    shown = shown_images(pool)
    references = shown_references(pool, {one.row["nearest_reference"] for one in shown})
    places = _map(pool, shown, references)
    class_by_reference = _class_by_reference(pool)
    return {
        "version": __version__,
        "folder": printable(str(pool.folder)),
        "named": printable(pool.named),
        "verdict": verdict(pool),
        "counts": {name: totals.outcomes.get(name, 0) for name in VERDICTS},
        "judged": totals.read,
        "coverage": pool.coverage,
        "asked": percentage(pool.coverage),
        "promise": pool.promise,
        "measured": _measured(pool),
        "arms": _arms(pool),
        "few_tests": few_tests_lines((pool.result or {}).get("classify", {})),
        "classes": _classes(pool),
        "coverages": acceptance["coverages"],
        "curve": acceptance["curve"],
        "entries": [
            {"name": printable(name), **row} for name, row in acceptance["by_entry"].items()
        ],
        "near_copies": acceptance["near_copies"],
        "copies": copy_lines(acceptance),
        "is_set": any(reason in totals.reasons for reason in CHOSEN_AGAINST),
        "sets": _sets(acceptance),
        "cues": cue_lines(acceptance["kept_set"]) if "kept_set" in acceptance else [],
        "reasons": dict(sorted(totals.reasons.items())),
        "made_otherwise": {
            printable(name): lines for name, lines in acceptance.get("made_otherwise", {}).items()
        },
        "items": [_item(pool, one, places) for one in shown],
        "references": [
            {
                "id": printable(name),
                "class": printable(class_by_reference.get(name, "")),
                "picture": picture,
                "place": places.get(name),
            }
            for name, picture in references.items()
        ],
        "stages": [stage for stage in pool.stages if stage["seconds"] is not None],
        "settings": printable_lines(pool.settings),
        "ledger": {
            name: value
            for name, value in read_json(pool.folder, LEDGER).items()
            if isinstance(value, str)
        },
    }


def verdict(pool: JudgedPool) -> list[str]:
    """What came of it, in one to three sentences."""
    accepted, judged = pool.totals.outcomes.get(ACCEPTED, 0), pool.totals.read
    errors = pool.totals.outcomes.get(ERROR, 0)
    left_out = sum(pool.totals.reasons.get(reason, 0) for reason in CHOSEN_AGAINST)
    share = f" ({accepted / judged:.0%})" if judged else ""
    lines = [
        f"{accepted:,} of {accepted + left_out:,} accepted images were chosen."
        if left_out
        else f"{accepted:,} of {judged:,} images{share} were accepted."
    ]
    if errors:
        lines.append(f"{errors:,} could not be judged.")
    differences = (pool.result or {}).get("table3", {}).get("differences", {})
    control = control_words(differences)
    harm = harm_words(differences)
    lines += [f"{words[0].upper()}{words[1:]}." for words in (harm, control) if words]
    return lines


def copy_lines(acceptance: Acceptance) -> list[str]:
    """How many images are a reference or a test image byte for byte, and how many nearly are."""
    lines = [
        f"{count:,} images of the pool have the bytes of {what}."
        for key, what in (("same_as_reference", "a reference"), ("same_as_test", "a test image"))
        if (count := acceptance.get(key, 0))
    ]
    near = acceptance["near_copies"]
    if near:
        share = acceptance["near_copy_share"]
        lines.append(f"{near:,} accepted images ({share:.1%}) are nearly a copy of a reference.")
    duplicates = acceptance.get("duplicates")
    if duplicates is not None:
        lines += [f"{words[0].upper()}{words[1:]}." for words in duplicate_words(duplicates)]
    return lines


def _sets(acceptance: Acceptance) -> list[dict[str, Any]]:
    """Measures of the accepted images, of as many at random, and of the whole pool."""
    sets = acceptance["kept_set"]["sets"] if "kept_set" in acceptance else {}
    return [{"name": name, **sets[name]} for name in SETS if name in sets]


def printable_lines(text: str) -> str:
    """Lines without control characters."""
    return "\n".join(printable(line) for line in text.splitlines())


def _measured(pool: JudgedPool) -> list[str]:
    measured = (pool.result or {}).get("regions", {}).get("measured")
    lines = [printable(line) for line in measured_lines(measured)]
    return [f"{line[0].upper()}{line[1:]}" for line in lines]


def _arms(pool: JudgedPool) -> list[dict[str, Any]]:
    """Accuracy of each arm of the classifier stage, in its order."""
    arms = (pool.result or {}).get("classify", {}).get("arms", {})
    names = [*(name for name in ARMS if name in arms), *(n for n in arms if n not in ARMS)]
    return [
        {
            "name": printable(name),
            "mean": arms[name]["accuracy"]["mean"],
            "half": arms[name]["accuracy"]["half_width"],
            "added": arms[name]["added"],
        }
        for name in names
    ]


def _classes(pool: JudgedPool) -> list[dict[str, Any]]:
    """Of each class what was accepted, and how scores of candidates and references lie."""
    of_candidates, of_references = _histograms(pool), _reference_histograms(pool)
    count_K = np.bincount(
        np.asarray(pool.references["label"], np.int64), minlength=len(pool.classes)
    )
    return [
        {
            "name": printable(name),
            "references": int(count_K[k]),
            "judged": row["judged"],
            "accepted": row["accepted"],
            "near_copies": row["near_copies"],
            "turned_away": row["turned_away"],
            "curve": row["curve"],
            "candidates": of_candidates[k].tolist(),
            "genuine": of_references[k].tolist(),
        }
        for k, name in enumerate(pool.classes)
        if (row := pool.acceptance["by_class"].get(name))
    ]


def _histograms(pool: JudgedPool) -> np.ndarray:
    """(K, B) int64 candidates by class and score."""
    counts_KB = np.zeros((len(pool.classes), SCORE_EDGES.size), np.int64)
    for shard in load_files(pool.folder)["scores"]:
        table = read_table(pool.folder, shard.path, ["label", "score"]).filter(
            pc.is_valid(pc.field("score"))
        )
        _count(counts_KB, np.asarray(table["label"]), np.asarray(table["score"]))
    return counts_KB


def _reference_histograms(pool: JudgedPool) -> np.ndarray:
    """(K, B) int64 references by class and score: out of fold by calibrated regions; by spheres
    the very ones that these were fitted to.
    """
    counts_KB = np.zeros((len(pool.classes), SCORE_EDGES.size), np.int64)
    regions, neighbours = pool.fitted.regions, pool.fitted.neighbours
    if isinstance(regions, CalibratedRegions):
        choice = StatisticChoice(**read_json(pool.folder, LEDGER)["statistics"])
        statistic = choice.common or choice.default
        evidence_M = regions.calibration.odds.evidence(statistic)
        score_M = score_of(evidence_M, np.asarray(regions.threshold(statistic, pool.coverage)))
        _count(counts_KB, regions.calibration.label_M, score_M)
        return counts_KB
    label_R = neighbours.labels(pool.references)
    distance_R = own_distances(neighbours.latent_RD, label_R, neighbours.centers_KD)
    _count(counts_KB, label_R, distance_R / np.maximum(neighbours.radius_K[label_R], 1e-12))
    return counts_KB


def _count(counts_KB: np.ndarray, label_N: np.ndarray, score_N: np.ndarray) -> None:
    bins_N = np.clip(np.digitize(score_N, SCORE_EDGES) - 1, 0, SCORE_EDGES.size - 1)
    np.add.at(counts_KB, (label_N.astype(np.int64), bins_N), 1)


def _map(
    pool: JudgedPool, shown: list[Shown], references: dict[str, str]
) -> dict[str, list[float]]:
    """Id of a reference or a shown image to its place, in thousandths; empty without latents."""
    neighbours = pool.fitted.neighbours
    kept = [one for one in shown if one.latent is not None]
    if not kept:
        return {}
    rows = [row for row, name in enumerate(neighbours.ids) if name in references]
    names = [neighbours.ids[row] for row in rows] + [one.row["id"] for one in kept]
    latents = [one.latent for one in kept if one.latent is not None]
    place_N2 = positions(np.concatenate([neighbours.latent_RD[rows], np.stack(latents)]))
    return {
        name: [round(1000 * float(value)) / 1000 for value in place]
        for name, place in zip(names, place_N2, strict=True)
    }


def _item(pool: JudgedPool, shown: Shown, places: dict[str, list[float]]) -> dict[str, Any]:
    row = shown.row
    own = None if row["label"] is None else pool.classes[row["label"]]
    return {
        "id": printable(row["id"]),
        "class": "" if own is None else printable(own),
        "verdict": row["verdict"],
        "reason": printable(row["reason"] or ""),
        "source": printable(row["source"] or ""),
        "score": _finite(row["score"]),
        "why": printable(why(row, own)),
        "near": printable(row["nearest_reference"] or ""),
        "copy": bool(row["near_copy"]),
        "picture": shown.picture,
        "place": places.get(row["id"]),
    }


def _finite(score: float | None) -> float | None:
    """A score to three decimals; None where it is infinite, which JSON has no word for."""
    return round(float(score), 3) if score is not None and math.isfinite(score) else None


def _class_by_reference(pool: JudgedPool) -> dict[str, str]:
    labels = pool.references["label"].to_pylist()
    names = pool.references["id"].to_pylist()
    return {name: pool.classes[label] for name, label in zip(names, labels, strict=True)}
