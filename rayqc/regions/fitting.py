"""Fit calibrated regions under a promise.

Shape suffixes: N references, K classes.
"""

from __future__ import annotations

import numpy as np

from rayqc.config.base import PromiseAsked
from rayqc.config.settings import Regions
from rayqc.errors import TooFewReferencesError
from rayqc.kinds import PROMISES
from rayqc.regions.base import Candidates
from rayqc.regions.calibrated import CalibratedRegions
from rayqc.regions.promises.base import CalibrationSettings, PromiseKind
from rayqc.regions.scorer_tasks import RunTasks
from rayqc.regions.separation import separation
from rayqc.regions.views.base import LabelSettings

OWN_VIEWS = ("edges", "patches", "network")
"""Views that the settings take by default; they look at the image alone."""

SPLIT_FROM = 50
"""References of every class from which `auto` gives some up for a promise."""


def settings_of(regions: Regions, channels: int, seen: bool) -> CalibrationSettings:
    """What a configuration's `regions` section asks for.

    Args:
        channels: of the images.
        seen: see `choose_promise`.
    """
    views = regions.views or (OWN_VIEWS if seen else (*OWN_VIEWS, "latent"))
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


def choose_promise(asked: PromiseAsked, label_N: np.ndarray, seen: bool) -> str:
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
    kind: PromiseKind = PROMISES[promise]
    fit = kind.fit(label_N, len(classes), settings, seed, run)
    scores = fit.calibration.label_M.size
    regions = CalibratedRegions(
        classes=classes,
        channels=references.images_NHWC.shape[3],
        scorers=fit.scorers,
        joins=fit.joins,
        calibration=fit.calibration,
        guarantee=kind.guarantee(scores, settings.coverage, fit.folds),
        folds=fit.folds,
        encoder_digest=encoder_digest,
    )
    return regions, separation(fit.raw, classes)
