"""Fit calibrated regions: which references train a scorer, which calibrate it, under a promise.

The fits are independent tasks, so that whoever calls can run them side by side.

Shape suffixes: N references, K classes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from rayqc.config.base import PromiseAsked, View
from rayqc.config.settings import Regions
from rayqc.errors import TooFewReferencesError
from rayqc.regions.base import Candidates
from rayqc.regions.calibrated import CalibratedRegions, Calibration, Scorer, fit_scorer
from rayqc.regions.conformal import Promise, guarantee, least_scores
from rayqc.regions.joint import Join, Odds, RawScores, fit_join
from rayqc.regions.scores.label import LabelSettings, log_odds

OWN_VIEWS: list[View] = ["edges", "patches", "network"]

SPLIT_FROM = 50
"""References of every class from which `auto` gives some up for a promise."""


@dataclass(frozen=True, kw_only=True)
class CalibrationSettings:
    """How regions are calibrated; see `config.Regions` for each setting."""

    coverage: float
    promise: PromiseAsked
    folds: int
    calibration_share: float
    label: LabelSettings


def settings_of(regions: Regions, channels: int, seen: bool) -> CalibrationSettings:
    """What a configuration's `regions` section asks for.

    Args:
        channels: of the images.
        seen: see `choose_promise`.
    """
    views = regions.views or (OWN_VIEWS if seen else [*OWN_VIEWS, "latent"])
    return CalibrationSettings(
        coverage=regions.coverage,
        promise=regions.promise,
        folds=regions.folds,
        calibration_share=regions.calibration_share,
        label=LabelSettings(
            views=tuple(views),
            augment=regions.augment == "affine",
            flip=channels == 3 if regions.flip is None else regions.flip,
        ),
    )


@dataclass(frozen=True, kw_only=True)
class FitTask:
    """Fit a scorer on some references and ask it about others."""

    train: np.ndarray
    asked: np.ndarray
    """Row numbers, none of them in `train`."""


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """What a task gave."""

    scorer: Scorer
    raw: RawScores
    """Of the rows asked, in their order."""


RunTasks = Callable[[Sequence[FitTask]], list[Fitted]]


def fit_task(
    task: FitTask, references: Candidates, classes: int, settings: LabelSettings, seed: int
) -> Fitted:
    """One fit. Equal seeds give equal scorers, whatever else runs."""
    scorer = fit_scorer(references[task.train], classes, settings, seed)
    return Fitted(scorer=scorer, raw=scorer(references[task.asked]))


def in_turn(references: Candidates, classes: int, settings: LabelSettings, seed: int) -> RunTasks:
    """Does tasks one after another, here."""
    return lambda tasks: [fit_task(task, references, classes, settings, seed) for task in tasks]


def choose_promise(asked: PromiseAsked, label_N: np.ndarray, seen: bool) -> Promise:
    """The promise in force.

    Args:
        seen: the scores use latents of an encoder that was trained on these references,
            which no reference can calibrate any more.

    Raises:
        TooFewReferencesError: a promise is asked for that `seen` rules out.
    """
    if asked in ("split", "cv+") and seen:
        raise TooFewReferencesError(
            f"regions.promise: {asked} cannot be kept with the view `latent` of an encoder that "
            "was trained on the same references; leave `latent` out of regions.views, use an "
            "encoder trained on other images, or set regions.promise to empirical"
        )
    if asked != "auto":
        return asked
    fewest = int(np.bincount(label_N).min())
    return "split" if fewest >= SPLIT_FROM and not seen else "empirical"


def fit_calibrated(
    references: Candidates,
    classes: tuple[str, ...],
    settings: CalibrationSettings,
    seed: int,
    encoder_digest: str,
    run: RunTasks,
    seen: bool = False,
) -> tuple[CalibratedRegions, dict[str, float]]:
    """Regions, and how well each class's own images were told from others out of sample.

    The promise `empirical` fits K + 1 scorers, `split` K + 1 on fewer references, `cv+`
    K (K + 1) / 2 and asks K of them about every candidate.

    Args:
        run: does tasks, in any order or at once.
        seen: see `choose_promise`.

    Returns:
        Regions; class name to AUROC of the label's score, own images against others'.
    """
    label_N = references.label_N
    if label_N.size < 2:
        raise TooFewReferencesError(
            f"calibrated regions need at least 2 references, found {label_N.size}; "
            "regions.kind: sphere takes one"
        )
    promise = choose_promise(settings.promise, label_N, seen)
    fit = {"split": _fit_split, "cv+": _fit_cv_plus, "empirical": _fit_empirical}[promise]
    found = fit(label_N, settings, seed, run)
    said = guarantee(promise, found.held.label_M.size, settings.coverage, found.folds)
    regions = CalibratedRegions(
        classes=classes,
        channels=references.images_NHWC.shape[3],
        scorers=found.scorers,
        joins=found.joins,
        calibration=found.held,
        guarantee=said,
        folds=found.folds,
        encoder_digest=encoder_digest,
    )
    return regions, separation(found.raw, classes)


@dataclass(frozen=True, kw_only=True)
class _Fit:
    scorers: tuple[Scorer, ...]
    joins: tuple[Join, ...]
    held: Calibration
    raw: RawScores
    folds: int


def _fit_empirical(
    label_N: np.ndarray, settings: CalibrationSettings, seed: int, run: RunTasks
) -> _Fit:
    """Out-of-fold scores for the threshold, a scorer of all references for the candidates."""
    fold_N = folds_of(label_N, settings.folds, seed)
    whole = FitTask(train=np.arange(label_N.size), asked=np.zeros(0, np.int64))
    *parts, last = run([*_fold_tasks(fold_N), whole])
    raw = _assemble(parts, fold_N)
    # A fold's scores are scaled by what the other folds say: no scale has seen what it scales.
    odds = [fit_join(raw[fold_N != k]).odds(raw[fold_N == k]) for k in range(fold_N.max() + 1)]
    order_N = np.argsort(fold_N, kind="stable")
    held = _calibration(_join_odds(odds), label_N[order_N])
    return _Fit(
        scorers=(last.scorer,), joins=(fit_join(raw),), held=held, raw=raw, folds=len(parts)
    )


def _fit_split(
    label_N: np.ndarray, settings: CalibrationSettings, seed: int, run: RunTasks
) -> _Fit:
    """Some references calibrate and do nothing else; the others fit scorer and scales."""
    kept_N = choose_calibration(label_N, settings.calibration_share, settings.coverage, seed)
    train, asked = np.flatnonzero(~kept_N), np.flatnonzero(kept_N)
    fold_N = folds_of(label_N[train], settings.folds, seed)
    inner = [
        FitTask(train=train[task.train], asked=train[task.asked]) for task in _fold_tasks(fold_N)
    ]
    *parts, last = run([*inner, FitTask(train=train, asked=asked)])
    join = fit_join(_assemble(parts, fold_N))
    held = _calibration(join.odds(last.raw), label_N[asked])
    return _Fit(scorers=(last.scorer,), joins=(join,), held=held, raw=last.raw, folds=len(parts))


def _fit_cv_plus(
    label_N: np.ndarray, settings: CalibrationSettings, seed: int, run: RunTasks
) -> _Fit:
    """A scorer without each fold, scaled by scorers without that fold and one more."""
    fold_N = folds_of(label_N, settings.folds, seed)
    count = int(fold_N.max()) + 1
    pairs = [(a, b) for a in range(count) for b in range(a + 1, count)]
    outer = _fold_tasks(fold_N)
    inner = [
        FitTask(
            train=np.flatnonzero((fold_N != a) & (fold_N != b)),
            asked=np.concatenate([np.flatnonzero(fold_N == a), np.flatnonzero(fold_N == b)]),
        )
        for a, b in pairs
    ]
    done = run([*outer, *inner])
    without_two = dict(zip(pairs, done[count:], strict=True))
    joins, odds, labels = [], [], []
    for k in range(count):
        raws = []
        for j in range(count):
            if j != k:
                raw = without_two[min(j, k), max(j, k)].raw
                first = int((fold_N == min(j, k)).sum())
                rows = np.arange(raw.label_N.size)
                raws.append(raw[rows < first] if j < k else raw[rows >= first])
        joins.append(fit_join(_concatenate(raws)))
        odds.append(joins[k].odds(done[k].raw))
        labels.append(done[k].raw.label_N)
    scorer_M = np.repeat(np.arange(count), [part.size for part in labels])
    held = Calibration(odds=_join_odds(odds), label_M=np.concatenate(labels), scorer_M=scorer_M)
    return _Fit(
        scorers=tuple(fitted.scorer for fitted in done[:count]),
        joins=tuple(joins),
        held=held,
        raw=_assemble(done[:count], fold_N),
        folds=count,
    )


def folds_of(label_N: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """(N,) fold numbers; folds are equal in size and in classes as nearly as can be."""
    rng = np.random.default_rng([seed, 5])
    order = np.concatenate([rng.permutation(np.flatnonzero(label_N == k)) for k in set(label_N)])
    fold_N = np.empty(label_N.size, np.int64)
    fold_N[order] = np.arange(label_N.size) % min(folds, label_N.size)
    return fold_N


def choose_calibration(label_N: np.ndarray, share: float, coverage: float, seed: int) -> np.ndarray:
    """(N,) bool, true for references that calibrate: `share` of each class, and as many as a
    promise needs while that leaves at least half of the references to be fitted on.
    """
    rng = np.random.default_rng([seed, 6])
    wanted = max(round(share * label_N.size), min(least_scores(coverage), label_N.size // 2))
    ranks = np.empty(label_N.size)
    for k in np.unique(label_N):
        rows = rng.permutation(np.flatnonzero(label_N == k))
        ranks[rows] = (np.arange(rows.size) + rng.random()) / rows.size
    kept_N = np.zeros(label_N.size, bool)
    kept_N[np.argsort(ranks, kind="stable")[:wanted]] = True
    return kept_N


def separation(raw: RawScores, classes: tuple[str, ...]) -> dict[str, float]:
    """AUROC a class: are its own images likelier to be of it than the other classes' images?

    Raw scores must be out of sample. Classes without images, and single classes, are left out.
    """
    found = {}
    for k, name in enumerate(classes):
        own_N = raw.label_N == k
        if not own_N.any() or own_N.all():
            continue
        against_N = log_odds(raw.log_probability_NK, np.full(own_N.size, k))
        found[name] = auroc(against_N[own_N], against_N[~own_N])
    return found


def auroc(low_N: np.ndarray, high_N: np.ndarray) -> float:
    """Chance that one of `high_N` is above one of `low_N`, ties counting half."""
    from scipy.stats import rankdata  # noqa: PLC0415  (slow, and only fit needs it)

    rank = rankdata(np.concatenate([low_N, high_N]))[low_N.size :]
    beaten = rank.sum() - high_N.size * (high_N.size + 1) / 2
    return float(beaten / low_N.size / high_N.size)


def _fold_tasks(fold_N: np.ndarray) -> list[FitTask]:
    return [
        FitTask(train=np.flatnonzero(fold_N != k), asked=np.flatnonzero(fold_N == k))
        for k in range(int(fold_N.max()) + 1)
    ]


def _assemble(parts: list[Fitted], fold_N: np.ndarray) -> RawScores:
    """Out-of-fold scores in the references' order."""
    rows = np.concatenate([np.flatnonzero(fold_N == k) for k in range(len(parts))])
    return _concatenate([part.raw for part in parts])[np.argsort(rows)]


def _concatenate(raws: list[RawScores]) -> RawScores:
    return RawScores(
        log_probability_NK=np.concatenate([raw.log_probability_NK for raw in raws]),
        quality_N=np.concatenate([raw.quality_N for raw in raws]),
        noise_N=np.concatenate([raw.noise_N for raw in raws]),
        label_N=np.concatenate([raw.label_N for raw in raws]),
    )


def _join_odds(odds: list[Odds]) -> Odds:
    return Odds(
        label_N=np.concatenate([part.label_N for part in odds]),
        quality_N=np.concatenate([part.quality_N for part in odds]),
    )


def _calibration(odds: Odds, label_M: np.ndarray) -> Calibration:
    return Calibration(odds=odds, label_M=label_M, scorer_M=np.zeros(label_M.size, np.int64))
