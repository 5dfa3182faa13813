"""Fit calibrated regions under a promise.

Shape suffixes: N references, K classes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np

from rayqc.config.regions import Regions
from rayqc.config.settings_from import settings_from
from rayqc.errors import ConfigError, TooFewReferencesError
from rayqc.images.detail import Detail
from rayqc.kinds import PROMISES, REGIONS
from rayqc.regions.base import Candidates
from rayqc.regions.calibrated import CalibratedRegions
from rayqc.regions.conformal import least_scores
from rayqc.regions.promises.base import CalibrationSettings, PromiseKind
from rayqc.regions.scorer_tasks import RunTasks
from rayqc.regions.scores.alteration import NAME as ALTERATION
from rayqc.regions.scores.detail import NAME as DETAIL
from rayqc.regions.scores.seams import NAME as SEAMS
from rayqc.regions.separation import separation
from rayqc.regions.views.base import FittedView, ScorerSettings
from rayqc.regions.views.latent import NAME as LATENT
from rayqc.regions.views.places import NAME as PLACES
from rayqc.regions.views.pool import NAME as POOL

AT_OWN_SIZE = (DETAIL, SEAMS)
"""The scores that look at images at their own size."""
OWN_VIEWS = ("edges", "patches", "network")
"""The default views that look at the image alone, not at its latent."""

SPLIT_FROM = 50
"""With at least this many references in every class, `auto` chooses the promise `split`."""


def views_of(
    asked: Sequence[str] | None,
    seen: bool,
    inner: Collection[str],
    learned: Collection[str] = (),
) -> tuple[str, ...]:
    """Names of the label's views: those asked for, or those that an encoder has.

    Args:
        asked: the setting `regions.views`.
        seen: as for `settings_of`.
        inner: as for `settings_of`.
        learned: names of views that learned from other images than the references.

    Raises:
        ConfigError: a view is asked for that needs features which the encoder does not give, or
            `pool` without another.
    """
    if asked is None:
        places = (PLACES,) if PLACES in inner else ()
        own = OWN_VIEWS if seen else (*OWN_VIEWS, LATENT, *places)
        return (*own, *learned)
    if PLACES in asked and (seen or PLACES not in inner):
        raise ConfigError(
            "regions.views: places needs an encoder whose inner layers are seen: one of kind "
            "pretrained or timm, made by this version (rayqc train RUN --redo makes it anew)"
        )
    views = tuple(view for view in asked if view != POOL or view in learned)
    if not views:
        raise ConfigError(
            "regions.views: pool learns nothing where too few images of a pool can be used; name "
            "another view beside it, such as edges"
        )
    return views


def settings_of(
    regions: Regions,
    channels: int,
    seen: bool,
    inner: Collection[str] = (),
    learned: Mapping[str, FittedView] | None = None,
) -> CalibrationSettings:
    """How to calibrate, from a configuration's section `regions`.

    Args:
        regions: the section.
        channels: C of the images.
        seen: true if the encoder was trained on the references; `latent` is no default view then.
        inner: names of the features of inner layers that the encoder gives.
        learned: views that learned from other images than the references, by name.

    Raises:
        ConfigError: as `views_of`.
    """
    scorer = ScorerSettings(
        views=views_of(regions.views, seen, inner, learned or ()),
        augment=regions.augment == "affine",
        flip=channels == 3 if regions.flip is None else regions.flip,
        scores=tuple(regions.scores or ()),
        seen=seen,
        learned=learned or {},
    )
    return settings_from(CalibrationSettings, regions, scorer=scorer)


def learns_from_altered(regions: Regions, seen: bool, computes: bool) -> bool:
    """Does a score of these regions learn from altered copies of the references?

    Args:
        regions: the settings.
        seen: as for `settings_of`.
        computes: can the encoder encode images that are made here?
    """
    asked = regions.scores is None or ALTERATION in regions.scores
    return asked and REGIONS[regions.kind].calibrated and computes and not seen


def choose_promise(
    settings: CalibrationSettings, label_N: np.ndarray, classes: int, seen: bool
) -> str:
    """The promise that regions are fitted under; `auto` becomes `split` or `empirical`.

    Args:
        settings: with the promise that is asked for.
        label_N: (N,) int64, the references' own classes.
        classes: K.
        seen: true if the scores use latents of an encoder that was trained on these references;
            no reference can calibrate a promise then.

    Raises:
        TooFewReferencesError: `split` or `cv+` is asked for while `seen`.
    """
    asked = settings.promise
    if asked in ("split", "cv+") and seen:
        raise TooFewReferencesError(
            f"regions.promise: {asked} cannot be kept with the view `latent` of an encoder that "
            "was trained on the same references; leave `latent` out of regions.views, use an "
            "encoder trained on other images, or set regions.promise to empirical"
        )
    if asked != "auto":
        return asked
    fewest = int(np.bincount(label_N, minlength=classes).min())
    split: PromiseKind = PROMISES["split"]
    enough = split.scores(label_N.size, settings) >= least_scores(settings.coverage)
    return "split" if fewest >= SPLIT_FROM and enough and not seen else "empirical"


def fit_calibrated(
    references: Candidates,
    classes: tuple[str, ...],
    settings: CalibrationSettings,
    seed: int,
    encoder_digest: str,
    run: RunTasks,
    detail: Detail | None = None,
) -> tuple[CalibratedRegions, dict[str, float]]:
    """Fit calibrated regions, and measure how well the label's score separates the classes.

    With F folds, the promise `empirical` fits F + 1 scorers, `split` F + 1 on fewer references,
    and `cv+` F (F + 1) / 2, of which F score every candidate.

    Args:
        references: N labelled images, N >= 2.
        classes: K names.
        settings: coverage, promise, folds and the scorer's settings.
        seed: of folds, views and noise.
        encoder_digest: identity of the encoder that made the latents.
        run: runs scorer tasks, in any order or at once.
        detail: how the references' detail was looked at; None where it was not.

    Returns:
        The regions, and class name to the AUROC that `separation` measures.

    Raises:
        TooFewReferencesError: fewer than 2 references, too few for the promise, or `choose_promise`
            refuses it.
    """
    label_N = references.label_N
    if label_N.size < 2:
        raise TooFewReferencesError(
            f"calibrated regions need at least 2 references, found {label_N.size}; "
            "regions.kind: sphere takes one"
        )
    scorer = settings.scorer
    seen = LATENT in scorer.views and scorer.seen
    promise = choose_promise(settings, label_N, len(classes), seen)
    kind: PromiseKind = PROMISES[promise]
    # What cannot be promised is said before hours of fitting.
    folds = min(settings.folds, label_N.size)
    guarantee = kind.guarantee(kind.scores(label_N.size, settings), settings.coverage, folds)
    fit = kind.fit(label_N, len(classes), settings, seed, run)
    regions = CalibratedRegions(
        classes=classes,
        channels=references.images_NHWC.shape[3],
        scorers=fit.scorers,
        joins=fit.joins,
        calibration=fit.calibration,
        guarantee=guarantee,
        folds=fit.folds,
        encoder_digest=encoder_digest,
        detail=_looked_at(detail, fit.joins[0].scales),
    )
    return regions, separation(fit.raw, fit.joins[0], classes)


def _looked_at(detail: Detail | None, scores: Collection[str]) -> Detail | None:
    """As much of `detail` as scores look at; None where none does."""
    if detail is None or not set(AT_OWN_SIZE) & set(scores):
        return None
    return replace(detail, tiles=DETAIL in scores, seams=SEAMS in scores)
