"""Score `label`: does an image look like its own class rather than another's?

A softmax classifier is trained on each of several views of the augmented references; the
classifiers' log-probabilities are averaged. The scale is a logistic regression that tells own
labels from wrong ones (Platt 1999).

Shape suffixes: N images, H W C pixels, D latent, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from rayqc.kinds import VIEWS
from rayqc.models.vae import pixels_to_input
from rayqc.regions.base import Candidates
from rayqc.regions.scores.base import MOST_ODDS, RawScore, ScoreKind
from rayqc.regions.views.base import (
    BATCH,
    FittedView,
    HeadView,
    LabelSettings,
    ViewKind,
    ViewTask,
)
from rayqc.storage.artefact import prefixed, under

NAME = "label"
LOG_PROBABILITY = "log_probability_NK"
MOST_SLOPE_PENALTY = 1e-3
"""Weight of the squared slope in the loss that the scale minimises."""


@dataclass(frozen=True, kw_only=True)
class LabelScore:
    """Trained classifiers, one for each view."""

    classes: int
    """K."""
    views: dict[str, FittedView]
    """By name; empty where K is 1."""

    @torch.inference_mode()
    def log_probability(self, candidates: Candidates) -> np.ndarray:
        """Mean over views of each class's log-probability, not normalised again.

        Returns:
            (N, K) float32, nats; zeros where K is 1.
        """
        mean_NK = np.zeros((len(candidates), self.classes), np.float32)
        if not self.views:
            return mean_NK  # K is 1, so there is no other class
        for start in range(0, len(candidates), BATCH):
            batch = candidates[start : start + BATCH]
            # Copied: arrays from Ray or Arrow are read-only, and `from_numpy` warns about those.
            x_NCHW = pixels_to_input(torch.tensor(batch.images_NHWC))
            latent_ND = torch.tensor(batch.latent_ND)
            by_view = [view.log_probability(x_NCHW, latent_ND) for view in self.views.values()]
            mean_NK[start : start + BATCH] = torch.stack(by_view).mean(0).numpy()
        return mean_NK

    def raw(self, candidates: Candidates) -> RawScore:
        """See `FittedScore.raw`. One array, `log_probability_NK`, (N, K) float32 nats."""
        return {LOG_PROBABILITY: self.log_probability(candidates)}

    def arrays(self) -> dict[str, np.ndarray]:
        """See `FittedScore.arrays`."""
        arrays = {
            key: array for view in self.views.values() for key, array in view.arrays().items()
        }
        return prefixed(arrays, NAME)


def log_odds(log_probability_NK: np.ndarray, label_N: np.ndarray) -> np.ndarray:
    """Log odds of all other classes together against the own class.

    Args:
        log_probability_NK: (N, K) float, nats; rows need not be normalised.
        label_N: (N,) int64, own classes.

    Returns:
        (N,) float64, nats; -inf where K is 1.
    """
    row_N = np.arange(label_N.size)
    others_NK = log_probability_NK.astype(np.float64)
    own_N = others_NK[row_N, label_N]
    others_NK[row_N, label_N] = -np.inf
    with np.errstate(divide="ignore"):
        top_N = np.where(np.isfinite(others_NK.max(1)), others_NK.max(1), 0)
        rest_N = top_N + np.log(np.exp(others_NK - top_N[:, None]).sum(1))
    return np.asarray(rest_N - own_N)


def fit_label(
    references: Candidates, classes: int, settings: LabelSettings, seed: int
) -> LabelScore:
    """Train a classifier on each view of the references and of augmented copies of them.

    Equal seeds give equal scores.

    Args:
        references: N labelled images.
        classes: K; with K = 1 nothing is trained.
        settings: names of the views, and how copies are made.
        seed: of copies, patches and networks.
    """
    task = ViewTask(
        images_NHWC=references.images_NHWC,
        latent_ND=references.latent_ND,
        label_N=references.label_N,
        classes=classes,
        settings=settings,
        seed=seed,
    )
    view_names = settings.views if classes > 1 else ()
    kinds: dict[str, ViewKind] = {name: VIEWS[name] for name in VIEWS.names if name in view_names}
    return _label_score(classes, {name: kind.learn(task) for name, kind in kinds.items()})


def restore_label(arrays: dict[str, np.ndarray], classes: int, channels: int) -> LabelScore:
    """A score from what `LabelScore.arrays` returned.

    Args:
        arrays: of all scores.
        classes: K.
        channels: C of the images.
    """
    view_arrays = under(arrays, NAME)
    restored = {name: kind.restore(view_arrays, classes, channels) for name, kind in VIEWS.items()}
    return _label_score(
        classes, {name: view for name, view in restored.items() if view is not None}
    )


def _label_score(classes: int, views: dict[str, FittedView]) -> LabelScore:
    """A score with linear views before networks: the order decides the last digits of the mean."""
    ordered = sorted(views.items(), key=lambda item: not isinstance(item[1], HeadView))
    return LabelScore(classes=classes, views=dict(ordered))


@dataclass(frozen=True, kw_only=True)
class LabelScale:
    """Log odds as a linear function of the classifiers' own log odds."""

    slope: float
    """0 and more, no unit."""
    offset: float
    """Nats."""

    def log_odds(self, raw: RawScore, label_N: np.ndarray) -> np.ndarray:
        """See `Scale.log_odds`."""
        odds_N = self.slope * log_odds(raw[LOG_PROBABILITY], label_N) + self.offset
        return np.clip(odds_N, -MOST_ODDS, MOST_ODDS)

    def facts(self) -> dict[str, float]:
        """See `Scale.facts`."""
        return {"slope": self.slope, "offset": self.offset}

    def arrays(self) -> dict[str, np.ndarray]:
        """See `Scale.arrays`; there are none."""
        return {}


def fit_label_scale(raw: RawScore, label_N: np.ndarray, classes: int) -> LabelScale:
    """Slope and offset that tell own labels from wrong ones, both sides weighing alike.

    Args:
        raw: out-of-fold log-probabilities of N references.
        label_N: (N,) int64, own classes.
        classes: K; with K = 1 slope 1 and offset 0.
    """
    if classes < 2:
        return LabelScale(slope=1.0, offset=0.0)
    from scipy.optimize import minimize  # noqa: PLC0415  (slow, and only fit needs it)

    log_probability_NK = raw[LOG_PROBABILITY]
    own_N = log_odds(log_probability_NK, label_N)
    wrong_N = np.concatenate(
        [
            log_odds(log_probability_NK, (label_N + shift) % classes)
            for shift in range(1, min(classes, 10))
        ]
    )

    def loss(parameters: np.ndarray) -> float:
        slope, offset = parameters
        own_loss = np.logaddexp(0, slope * own_N + offset).mean()
        wrong_loss = np.logaddexp(0, -(slope * wrong_N + offset)).mean()
        return float(own_loss + wrong_loss + MOST_SLOPE_PENALTY * slope**2)

    slope, offset = minimize(loss, np.array([1.0, 0.0])).x
    return LabelScale(slope=max(float(slope), 0.0), offset=float(offset))


def restore_label_scale(facts: dict[str, float], arrays: dict[str, np.ndarray]) -> LabelScale:
    """A scale from what `LabelScale.facts` returned."""
    return LabelScale(slope=facts["slope"], offset=facts["offset"])


KIND = ScoreKind(
    fit=fit_label,
    restore=restore_label,
    fit_scale=fit_label_scale,
    restore_scale=restore_label_scale,
)
