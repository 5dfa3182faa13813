"""Score `label`: does an image look like its own class rather than another's?

A softmax classifier is trained on each of several views of the augmented references. The scale adds
up their log-probabilities, each view with a weight of 0 and more; the weights are those of a
logistic regression that tells own labels from wrong ones on images that no classifier was trained
on (Platt 1999; stacking, Wolpert 1992), so that a view which sees nothing has no say. The evidence
is softened (`softened`) and shrunk by what so few references can know (`shrinkage_of`) before it is
joined with that of other scores.

Shape suffixes: N images, H W C pixels, D latent, K classes, V views.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

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
    ScorerSettings,
    ViewBatch,
    ViewKind,
    ViewTask,
)

NAME = "label"
LOG_PROBABILITY = "log_probability_NVK"
PENALTY = 1e-2
"""Weight of the squared weights of views in the loss that the scale minimises."""
LEAST_WEIGHT = 1e-3
"""Least weight of a view: where none sees anything, they still say which class is nearest."""
MOST_WRONG = 9
"""Wrong labels that each reference is tried under, at most."""
LEAST_SOFTNESS = 1.0
"""Nats; at 1 log odds stay as they are."""
LEAST_SHRINKAGE = 0.01
"""Where labels could not be told apart at all, images still have an order."""
GENUINE_BELOW_EVEN = 2.0
"""Half of the genuine references have log odds of at most minus this many times the softness, for
each term of the joint evidence that is a distance: the more of them, the farther away they speak up
(`distance_scale.DOUBLED_NATS`), and the less the label has to be softened to be heard."""


@dataclass(frozen=True, kw_only=True)
class LabelScore:
    """Trained classifiers, one for each view."""

    classes: int
    """K."""
    views: dict[str, FittedView]
    """By name; empty where K is 1."""

    @torch.inference_mode()
    def log_probability(self, candidates: Candidates) -> np.ndarray:
        """Each class's log-probability by each view.

        Returns:
            (N, V, K) float32, nats; V is 0 where K is 1.
        """
        found_NVK = np.zeros((len(candidates), len(self.views), self.classes), np.float32)
        if not self.views:
            return found_NVK  # K is 1, so there is no other class
        for start in range(0, len(candidates), BATCH):
            batch = candidates[start : start + BATCH]
            # Copied: arrays from Ray or Arrow are read-only, and `from_numpy` warns about those.
            x_NCHW = pixels_to_input(torch.tensor(batch.images_NHWC))
            looked_at = ViewBatch(
                x_NCHW=x_NCHW,
                latent_ND=torch.tensor(batch.latent_ND),
                inner={name: torch.tensor(value_NF) for name, value_NF in batch.inner.items()},
            )
            by_view = [view.log_probability(looked_at) for view in self.views.values()]
            found_NVK[start : start + BATCH] = torch.stack(by_view, dim=1).numpy()
        return found_NVK

    def raw(self, candidates: Candidates) -> RawScore:
        """See `FittedScore.raw`. One array, `log_probability_NVK`, (N, V, K) float32 nats."""
        return {LOG_PROBABILITY: self.log_probability(candidates)}

    def arrays(self) -> dict[str, np.ndarray]:
        """See `FittedScore.arrays`."""
        return {key: array for view in self.views.values() for key, array in view.arrays().items()}


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
    references: Candidates, classes: int, settings: ScorerSettings, seed: int
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
        inner=references.inner,
        label_N=references.label_N,
        classes=classes,
        settings=settings,
        seed=seed,
    )
    view_names = settings.views if classes > 1 else ()
    kinds: dict[str, ViewKind] = {name: VIEWS[name] for name in VIEWS.names if name in view_names}
    learned = settings.learned
    return _label_score(
        classes, {name: learned.get(name) or kind.learn(task) for name, kind in kinds.items()}
    )


def restore_label(arrays: dict[str, np.ndarray], classes: int, channels: int) -> LabelScore:
    """A score from what `LabelScore.arrays` returned.

    Args:
        arrays: of all views.
        classes: K.
        channels: C of the images.
    """
    restored = {name: kind.restore(arrays, classes, channels) for name, kind in VIEWS.items()}
    return _label_score(
        classes, {name: view for name, view in restored.items() if view is not None}
    )


def _label_score(classes: int, views: dict[str, FittedView]) -> LabelScore:
    """A score with linear views before networks; the weights are in this order."""
    ordered = sorted(views.items(), key=lambda item: not isinstance(item[1], HeadView))
    return LabelScore(classes=classes, views=dict(ordered))


def softened(odds_N: np.ndarray, softness: float, shrinkage: float = 1.0) -> np.ndarray:
    """The log odds whose evidence is shrinkage * softness * log(1 + exp(odds / softness)).

    Far above even they stay as they are; far below they approach even. A pool may differ from the
    references all over, and the distances then speak up a little against every image of it. The
    log odds that tell the better labels of such a pool from the worse lie far below even, where
    evidence vanishes, unless they are softened.

    Args:
        odds_N: (N,) float64, nats.
        softness: nats, at least 1.
        shrinkage: share of the evidence that is believed, see `shrinkage_of`.
    """
    evidence_N = shrinkage * softness * np.logaddexp(0, odds_N / softness)
    return np.asarray(evidence_N + np.log(-np.expm1(-evidence_N)))


@dataclass(frozen=True, kw_only=True)
class LabelScale:
    """Log odds from the views' log-probabilities, each with its own weight."""

    weight_V: np.ndarray
    """(V,) float64, no unit, `LEAST_WEIGHT` and more."""
    offset: float
    """Nats."""
    shrinkage: float = 1.0
    """Share of the evidence that is believed; see `shrinkage_of`."""
    softness: float = LEAST_SOFTNESS
    """Nats; see `softened`."""

    def weighted(self, raw: RawScore) -> np.ndarray:
        """(N, K) float64: the weighted sum over views of each class's log-probability, in nats."""
        log_probability_NVK = raw[LOG_PROBABILITY].astype(np.float64)
        return np.asarray(np.einsum("nvk,v->nk", log_probability_NVK, self.weight_V))

    def log_odds(self, raw: RawScore, label_N: np.ndarray) -> np.ndarray:
        """See `Scale.log_odds`."""
        odds_N = log_odds(self.weighted(raw), label_N) + self.offset
        clipped_N = np.clip(odds_N, -MOST_ODDS, MOST_ODDS)
        return softened(clipped_N, self.softness, self.shrinkage)

    def facts(self) -> dict[str, float]:
        """See `Scale.facts`."""
        return {
            "offset": self.offset,
            "shrinkage": self.shrinkage,
            "softness": self.softness,
        }

    def arrays(self) -> dict[str, np.ndarray]:
        """See `Scale.arrays`."""
        return {"weight_V": self.weight_V}


def shrinkage_of(images: int, loss: float, weights: int) -> float:
    """Share of fitted evidence that is to be believed of fresh images, 0.01 to 1.

    Weights fitted on few images say more than they know. Their gain over even odds, as chi square,
    is what they would have by chance, one for each weight, and what there is to tell
    (van Houwelingen & le Cessie 1990, who shrink the log odds; shrunk evidence of a label that
    tells nothing is 0, not log 2). Where classes cannot be told apart, the label's evidence would
    be noise beside that of the other scores.

    Args:
        images: that the weights were fitted on, each under its own label and under wrong ones,
            which are not independent of it and are not counted.
        loss: mean over both of the negative log-likelihood, in nats; log(2) is chance.
        weights: how many are in use; those at their bound are not free.
    """
    chi_square = 2 * images * (np.log(2) - loss)
    return float(max(1 - weights / max(chi_square, 1e-9), LEAST_SHRINKAGE))


def fit_label_scale(
    raw: RawScore, label_N: np.ndarray, classes: int, distances: int = 1
) -> LabelScale:
    """Weights and offset that tell own labels from wrong ones, both sides weighing alike.

    What they tell is softened, then shrunk.

    Args:
        raw: out-of-fold log-probabilities of N references.
        label_N: (N,) int64, own classes.
        classes: K; with K = 1 there are no views, and the offset is 0.
        distances: terms of the joint evidence that are distances.
    """
    log_probability_NVK = raw[LOG_PROBABILITY]
    views = log_probability_NVK.shape[1]
    if classes < 2:
        return LabelScale(weight_V=np.ones(views), offset=0.0)
    # Slow to import, and only fit needs them.
    from scipy.optimize import minimize  # noqa: PLC0415
    from scipy.special import expit  # noqa: PLC0415

    def odds_by_view(shift: int) -> np.ndarray:
        """(N, V) log odds against the own class, or against one that many places on."""
        shifted_N = (label_N + shift) % classes
        by_view = [log_odds(log_probability_NVK[:, view], shifted_N) for view in range(views)]
        return np.stack(by_view, axis=1)

    own_NV = odds_by_view(0)
    wrong_NV = np.concatenate(
        [odds_by_view(shift) for shift in range(1, min(classes, MOST_WRONG + 1))]
    )

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        weight_V, offset = parameters[:-1], parameters[-1]
        own_N, wrong_N = own_NV @ weight_V + offset, -(wrong_NV @ weight_V + offset)
        value = np.logaddexp(0, own_N).mean() + np.logaddexp(0, wrong_N).mean()
        own_share_N = expit(own_N) / own_N.size
        wrong_share_N = -expit(wrong_N) / wrong_N.size
        slope_V = own_share_N @ own_NV + wrong_share_N @ wrong_NV + 2 * PENALTY * weight_V
        gradient = np.append(slope_V, own_share_N.sum() + wrong_share_N.sum())
        return float(value + PENALTY * (weight_V**2).sum()), gradient

    start = np.append(np.full(views, 1 / max(views, 1)), 0.0)
    bounds = [(LEAST_WEIGHT, None)] * views + [(None, None)]
    found = minimize(loss, start, jac=True, bounds=bounds, method="L-BFGS-B").x
    weight_V, offset = found[:-1], float(found[-1])
    mean_loss = (loss(found)[0] - PENALTY * (weight_V**2).sum()) / 2
    in_use = int((weight_V > 2 * LEAST_WEIGHT).sum())
    straight = LabelScale(weight_V=weight_V, offset=offset)
    genuine = -float(np.median(straight.log_odds(raw, label_N)))
    softness = max(genuine / (GENUINE_BELOW_EVEN * distances), LEAST_SOFTNESS)
    shrinkage = shrinkage_of(label_N.size, mean_loss, in_use)
    return replace(straight, shrinkage=shrinkage, softness=softness)


def restore_label_scale(facts: dict[str, float], arrays: dict[str, np.ndarray]) -> LabelScale:
    """A scale from what `LabelScale.facts` and `LabelScale.arrays` returned."""
    return LabelScale(
        weight_V=arrays["weight_V"],
        offset=facts["offset"],
        shrinkage=facts["shrinkage"],
        softness=facts["softness"],
    )


KIND = ScoreKind(
    fit=fit_label,
    restore=restore_label,
    fit_scale=fit_label_scale,
    restore_scale=restore_label_scale,
)
