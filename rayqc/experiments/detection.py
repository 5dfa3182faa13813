"""What regions and baselines find on one draw: AUROC by kind of fault, and coverage.

Shape suffixes: N images.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from rayqc.config.base import Statistic
from rayqc.config.evaluation import Detection
from rayqc.config.settings import Regions as RegionSettings
from rayqc.encoders.batches import LatentEncoder
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
from rayqc.regions.joint import STATISTICS, Join, Odds
from rayqc.regions.scorer_tasks import in_turn
from rayqc.regions.scores.quality import NAME as QUALITY
from rayqc.regions.scores.quality_scale import NOISE_SHARE, QualityScale
from rayqc.regions.separation import auroc
from rayqc.regions.sphere import LEAVE_ONE_OUT, SPHERE
from rayqc.training.arms import Images

FALSE_POSITIVES = 0.05
SHARES = (0.2, 0.35, 0.5, 0.7, 1.0)
"""Tried for `quality_scale.NOISE_SHARE`, to leave each kind of fault out of that choice in turn."""
GENUINE = "genuine"
MOST_COMPARED = 2000
"""Fresh images a draw that baselines are asked about: SSIM is slow."""

Record = dict[str, Any]


def measure_draw(
    data: RealData, per_class: int, draw: int, chosen: Detection, regions_wanted: RegionSettings
) -> Record:
    """Fit all regions on one draw of references and measure them on fresh and faulty images."""
    torch.set_num_threads(1)
    settings = settings_of(regions_wanted, data.shape[2], seen=True)
    rng = np.random.default_rng([draw, per_class])
    references = pick(data.train, draw_references(data, per_class, rng))
    order = rng.permutation(data.test.label_N.size)
    fresh = pick(data.test, order[: chosen.fresh])
    base = pick(data.test, order[chosen.fresh : chosen.fresh + chosen.faulty])
    vae = train_encoder(references, chosen.encoder_width, chosen.encoder_steps, draw)
    encoder = LatentEncoder(vae)
    gan = train_gan_briefly(references, len(data.classes), chosen.gan_steps, draw)
    images = {GENUINE: fresh, **make_faults(base, data, vae, rng, gan)}
    asked = {kind: encoded(found, encoder) for kind, found in images.items()}
    known = encoded(references, encoder)
    run = in_turn(known, len(data.classes), settings.label, draw)
    regions, separation = fit_calibrated(known, data.classes, settings, draw, "", run)
    scores, coverage = _calibrated(regions, asked)
    for kind in (SPHERE, LEAVE_ONE_OUT):
        if kind == LEAVE_ONE_OUT and per_class < 2:
            continue
        sphere = baselines.fit_sphere(known, data.classes, settings.coverage, kind)
        scores[kind], coverage[kind] = _judged(sphere, asked, "joint", len(data.classes))
    scores |= _baselines(asked, known, encoder)
    return {
        "per_class": per_class,
        "draw": draw,
        "promise": regions.guarantee.promise,
        "separation": separation,
        "auroc": {name: _by_kind(found, auroc) for name, found in scores.items()},
        "tpr": {name: _by_kind(found, _tpr) for name, found in scores.items()},
        "coverage": coverage,
    }


def encoded(images: Images, encoder: LatentEncoder) -> Candidates:
    """Images with their latents."""
    return Candidates(
        images_NHWC=images.images_NHWC,
        latent_ND=encoder.encode(images.images_NHWC),
        label_N=images.label_N,
    )


def _calibrated(
    regions: CalibratedRegions, asked: dict[str, Candidates]
) -> tuple[dict[str, dict[str, np.ndarray]], dict[str, Any]]:
    """Scores and coverage of each statistic, and scores of the joint one with other shares."""
    raws = {kind: [scorer(found) for scorer in regions.scorers] for kind, found in asked.items()}

    def odds_of(kind: str, share: float = NOISE_SHARE) -> list[Odds]:
        both = zip(regions.joins, raws[kind], strict=True)
        return [_with_noise_share(join, share).odds(raw) for join, raw in both]

    odds = {kind: odds_of(kind) for kind in asked}
    scores: dict[str, dict[str, np.ndarray]] = {}
    coverage: dict[str, Any] = {}
    for statistic in STATISTICS:
        found = {kind: regions.judge_odds(odds[kind], raws[kind], statistic) for kind in asked}
        scores[statistic] = {
            kind: verdicts.score_N.astype(float) for kind, verdicts in found.items()
        }
        coverage[statistic] = _accepted(scores[statistic], asked[GENUINE], len(regions.classes))
    for share in SHARES:
        scores[f"joint:{share:g}"] = {
            kind: np.mean([found.evidence("joint") for found in odds_of(kind, share)], axis=0)
            for kind in asked
        }
    return scores, coverage


def _with_noise_share(join: Join, share: float) -> Join:
    """The scales, with another place for even odds of quality."""
    quality = join.scales[QUALITY]
    if not isinstance(quality, QualityScale):
        raise TypeError(f"expected the scale of quality, found {type(quality).__name__}")
    return Join(scales={**join.scales, QUALITY: replace(quality, noise_share=share)})


def _judged(
    regions: Regions, asked: dict[str, Candidates], statistic: Statistic, classes: int
) -> tuple[dict[str, np.ndarray], Record]:
    scores = {
        kind: regions.judge(found, statistic).score_N.astype(float) for kind, found in asked.items()
    }
    return scores, _accepted(scores, asked[GENUINE], classes)


def _accepted(scores: dict[str, np.ndarray], fresh: Candidates, classes: int) -> Record:
    """Share accepted: of fresh images, of each class of them, and of each kind of fault."""
    inside_N = scores[GENUINE] <= 1
    by_class = [float(inside_N[fresh.label_N == k].mean()) for k in range(classes)]
    return {
        "pooled": float(inside_N.mean()),
        "lowest": min(by_class),
        "by_class": by_class,
        "faults": _merged(
            {kind: float((s <= 1).mean()) for kind, s in scores.items() if kind != GENUINE}
        ),
    }


def _baselines(
    asked: dict[str, Candidates], known: Candidates, encoder: LatentEncoder
) -> dict[str, dict[str, np.ndarray]]:
    found: dict[str, dict[str, np.ndarray]] = {}
    for kind, found_here in asked.items():
        candidates = found_here[:MOST_COMPARED]
        scores = {
            "ssim": baselines.ssim_to_nearest(candidates, known),
            "realism": baselines.realism(candidates, known),
            "reconstruction": baselines.reconstruction_error(candidates, encoder),
            "blur_effect": baselines.blur(candidates),
        }
        for name, score_N in scores.items():
            found.setdefault(name, {})[kind] = score_N
    return found


def _by_kind(scores: dict[str, np.ndarray], measure: Any) -> dict[str, float]:
    genuine_N = scores[GENUINE]
    found = {kind: measure(genuine_N, s) for kind, s in scores.items() if kind != GENUINE}
    return _merged(found) | {kind: v for kind, v in found.items() if ":" in kind}


def _merged(found: dict[str, float]) -> dict[str, float]:
    """Kinds, those of other data sets as one."""
    foreign = [value for kind, value in found.items() if ":" in kind]
    merged = {kind: value for kind, value in found.items() if ":" not in kind}
    return merged | ({"other_data": float(np.mean(foreign))} if foreign else {})


def _tpr(genuine_N: np.ndarray, faulty_N: np.ndarray) -> float:
    """Share of the faulty above all but 5% of the genuine."""
    return float((faulty_N > np.quantile(genuine_N, 1 - FALSE_POSITIVES)).mean())
