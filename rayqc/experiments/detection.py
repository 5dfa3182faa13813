"""Regions and baselines on one draw: AUROC by kind of fault, and coverage.

Shape suffixes: N images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from rayqc.config.base import JOINT, Statistic
from rayqc.config.evaluation import Detection
from rayqc.config.regions import Regions as RegionSettings
from rayqc.encoders.batches import LatentEncoder
from rayqc.errors import InputError
from rayqc.experiments import baselines
from rayqc.experiments.draws import (
    RealData,
    draw_references,
    make_faults,
    pick,
    train_encoder,
    train_gan_briefly,
)
from rayqc.regions.base import Candidates, Regions
from rayqc.regions.calibrated import CalibratedRegions
from rayqc.regions.fitting import fit_calibrated, settings_of
from rayqc.regions.joint import Join, Odds
from rayqc.regions.scorer_tasks import in_turn
from rayqc.regions.scores.distance_scale import DistanceScale
from rayqc.regions.separation import auroc
from rayqc.regions.sphere import LEAVE_ONE_OUT, SPHERE
from rayqc.training.arms import Images

FALSE_POSITIVES = 0.05
EVENS = (1.0, 1.5, 2.0, 3.0, 4.0)
"""Values of `distance_scale.EVEN_NATS` tried, to choose it without each kind of fault in turn."""
GENUINE = "genuine"
MOST_COMPARED = 2000
"""Images of each kind that the baselines score, at most, because SSIM is slow."""

Record = dict[str, Any]


def measure_draw(
    data: RealData, per_class: int, draw: int, chosen: Detection, regions_wanted: RegionSettings
) -> Record:
    """Fit all regions on one draw of reference images; measure them on fresh and faulty images."""
    torch.set_num_threads(1)
    fresh_images = fresh_of(data.test.label_N.size, chosen, data.name)
    settings = settings_of(regions_wanted, data.shape[2], seen=True)
    rng = np.random.default_rng([draw, per_class])
    references = pick(data.train, draw_references(data, per_class, rng))
    order = rng.permutation(data.test.label_N.size)
    fresh = pick(data.test, order[:fresh_images])
    base_images = pick(data.test, order[fresh_images : fresh_images + chosen.faulty])
    vae = train_encoder(references, chosen.encoder_width, chosen.encoder_steps, draw)
    encoder = LatentEncoder(vae)
    gan = train_gan_briefly(references, len(data.classes), chosen.gan_steps, draw)
    images_by_kind = {GENUINE: fresh, **make_faults(base_images, data, vae, rng, gan)}
    candidates_by_kind = {kind: encoded(images, encoder) for kind, images in images_by_kind.items()}
    reference_candidates = encoded(references, encoder)
    run_tasks = in_turn(reference_candidates, len(data.classes), settings.scorer, draw)
    regions, separation = fit_calibrated(
        reference_candidates, data.classes, settings, draw, "", run_tasks
    )
    scores, coverage = _calibrated(regions, candidates_by_kind)
    for kind in (SPHERE, LEAVE_ONE_OUT):
        if kind == LEAVE_ONE_OUT and per_class < 2:
            continue
        sphere = baselines.fit_sphere(reference_candidates, data.classes, settings.coverage, kind)
        scores[kind], coverage[kind] = _sphere_scores(
            sphere, candidates_by_kind, "joint", len(data.classes)
        )
    scores |= _baseline_scores(candidates_by_kind, reference_candidates, encoder)
    return {
        "per_class": per_class,
        "draw": draw,
        "promise": regions.guarantee.promise,
        "separation": separation,
        "auroc": {name: _measure_by_kind(by_kind, auroc) for name, by_kind in scores.items()},
        "tpr": {name: _measure_by_kind(by_kind, _tpr) for name, by_kind in scores.items()},
        "coverage": coverage,
    }


def fresh_of(test_images: int, chosen: Detection, name: str) -> int:
    """Test images that stay genuine: as many as are asked for, or all that faults leave.

    Args:
        test_images: how many there are.
        chosen: how many are asked for, and how many are made faulty.
        name: of the data set, for errors.

    Raises:
        InputError: faults leave none.
    """
    if test_images <= chosen.faulty:
        raise InputError(
            f"data set {name} has {test_images:,} test images, and detection.faulty of them are "
            f"made faulty ({chosen.faulty:,}); expected more than that, some of which stay "
            "genuine: give more test images, or a smaller detection.faulty"
        )
    return min(chosen.fresh, test_images - chosen.faulty)


def encoded(images: Images, encoder: LatentEncoder) -> Candidates:
    """Images with their latents."""
    return Candidates(
        images_NHWC=images.images_NHWC,
        latent_ND=encoder.encode(images.images_NHWC),
        label_N=images.label_N,
    )


def _calibrated(
    regions: CalibratedRegions, candidates_by_kind: dict[str, Candidates]
) -> tuple[dict[str, dict[str, np.ndarray]], Record]:
    """Scores and coverage of each statistic, and joint scores with each of `EVENS`."""
    raws_by_kind = {
        kind: [scorer(candidates) for scorer in regions.scorers]
        for kind, candidates in candidates_by_kind.items()
    }

    def odds_of(kind: str, joins: Sequence[Join]) -> list[Odds]:
        pairs = zip(joins, raws_by_kind[kind], strict=True)
        return [join.odds(raw) for join, raw in pairs]

    odds_by_kind = {kind: odds_of(kind, regions.joins) for kind in candidates_by_kind}
    scores: dict[str, dict[str, np.ndarray]] = {}
    coverage: Record = {}
    for statistic in (*regions.scores, JOINT):
        verdicts_by_kind = {
            kind: regions.judge_odds(odds_by_kind[kind], raws_by_kind[kind], statistic)
            for kind in candidates_by_kind
        }
        scores[statistic] = {
            kind: verdicts.score_N.astype(float) for kind, verdicts in verdicts_by_kind.items()
        }
        coverage[statistic] = _accepted_shares(
            scores[statistic], candidates_by_kind[GENUINE], len(regions.classes)
        )
    for even in EVENS:
        joins = [_with_even(join, even) for join in regions.joins]
        scores[f"joint:{even:g}"] = {
            kind: np.mean([odds.evidence(JOINT) for odds in odds_of(kind, joins)], axis=0)
            for kind in candidates_by_kind
        }
    return scores, coverage


def _with_even(join: Join, even: float) -> Join:
    """The same scales, but for the nats at even odds of those that are distances."""
    return Join(
        scales={
            name: replace(scale, even=even) if isinstance(scale, DistanceScale) else scale
            for name, scale in join.scales.items()
        }
    )


def _sphere_scores(
    regions: Regions, candidates_by_kind: dict[str, Candidates], statistic: Statistic, classes: int
) -> tuple[dict[str, np.ndarray], Record]:
    scores = {
        kind: regions.judge(candidates, statistic).score_N.astype(float)
        for kind, candidates in candidates_by_kind.items()
    }
    return scores, _accepted_shares(scores, candidates_by_kind[GENUINE], classes)


def _accepted_shares(scores: dict[str, np.ndarray], fresh: Candidates, classes: int) -> Record:
    """Accepted share of fresh images, of each of their classes, and of each kind of fault."""
    accepted_N = scores[GENUINE] <= 1
    share_by_class = [float(accepted_N[fresh.label_N == k].mean()) for k in range(classes)]
    return {
        "pooled": float(accepted_N.mean()),
        "lowest": min(share_by_class),
        "by_class": share_by_class,
        "faults": _foreign_as_one(
            {
                kind: float((score_N <= 1).mean())
                for kind, score_N in scores.items()
                if kind != GENUINE
            }
        ),
    }


def _baseline_scores(
    candidates_by_kind: dict[str, Candidates], references: Candidates, encoder: LatentEncoder
) -> dict[str, dict[str, np.ndarray]]:
    scores_by_name: dict[str, dict[str, np.ndarray]] = {}
    for kind, all_candidates in candidates_by_kind.items():
        candidates = all_candidates[:MOST_COMPARED]
        scores = {
            "ssim": baselines.ssim_to_nearest(candidates, references),
            "realism": baselines.realism(candidates, references),
            "reconstruction": baselines.reconstruction_error(candidates, encoder),
            "blur_effect": baselines.blur(candidates),
        }
        for name, score_N in scores.items():
            scores_by_name.setdefault(name, {})[kind] = score_N
    return scores_by_name


def _measure_by_kind(scores: dict[str, np.ndarray], measure: Any) -> dict[str, float]:
    genuine_N = scores[GENUINE]
    value_by_kind = {
        kind: measure(genuine_N, score_N) for kind, score_N in scores.items() if kind != GENUINE
    }
    return _foreign_as_one(value_by_kind) | {
        kind: value for kind, value in value_by_kind.items() if ":" in kind
    }


def _foreign_as_one(value_by_kind: dict[str, float]) -> dict[str, float]:
    """Values by kind of fault; `other_data` is the mean over the other data sets."""
    foreign = [value for kind, value in value_by_kind.items() if ":" in kind]
    merged = {kind: value for kind, value in value_by_kind.items() if ":" not in kind}
    return merged | ({"other_data": float(np.mean(foreign))} if foreign else {})


def _tpr(genuine_N: np.ndarray, faulty_N: np.ndarray) -> float:
    """Share of faulty images that score above the 95% quantile of genuine images."""
    return float((faulty_N > np.quantile(genuine_N, 1 - FALSE_POSITIVES)).mean())
