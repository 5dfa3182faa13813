"""The accuracy of a classifier trained on each arm of a filtered pool, on one draw.

Shape suffixes: N images, K classes.
"""

from __future__ import annotations

import numpy as np
import torch

from rayqc.config.base import Statistic
from rayqc.config.evaluation import Accuracy, RealArm
from rayqc.config.regions import Regions as RegionSettings
from rayqc.experiments.detection import Record
from rayqc.experiments.draws import RealData, draw_references, pick
from rayqc.experiments.pools import KnownPool, augmented, with_faults
from rayqc.regions.base import Candidates
from rayqc.regions.fitting import fit_calibrated, settings_of
from rayqc.regions.promises.base import CalibrationSettings
from rayqc.regions.scorer_tasks import in_turn
from rayqc.seeds import EVALUATED_POOL
from rayqc.training.arms import Images
from rayqc.training.classifier import ClassifierSettings, accuracy, train_classifier

BATCH_SIZE = 64
LEARNING_RATE = 3e-3


def measure_pool(
    data: RealData, pool: str, draw: int, chosen: Accuracy, regions_wanted: RegionSettings
) -> Record:
    """Filter a pool by regions of one draw of references, and train each arm.

    Arms start from the same weights. Each adds its images to the reference images and takes the
    same number of steps, with batches balanced over classes and the same augmentation.
    """
    torch.set_num_threads(1)
    settings = settings_of(regions_wanted, data.shape[2], seen=True)
    rng = np.random.default_rng([draw, chosen.per_class, EVALUATED_POOL])
    rows = draw_references(data, chosen.per_class, rng)
    references = pick(data.train, rows)
    candidates = make_pool(data, pool, rows, chosen, rng)
    statistic: Statistic = "label" if pool == "augment" else "joint"
    score_N = _scores(references, candidates, data.classes, statistic, settings, draw)
    rows_by_arm = choose_arms(candidates, score_N, chosen.arms, rng)
    test = pick(data.test, np.arange(min(chosen.test_images, data.test.label_N.size)))
    accuracy_by_arm = {}
    for arm, arm_rows in rows_by_arm.items():
        images_NHWC = np.concatenate([references.images_NHWC, candidates.images_NHWC[arm_rows]])
        label_N = np.concatenate([references.label_N, candidates.label_N[arm_rows]])
        training_settings = training_of(chosen.steps, chosen.width, images_NHWC.shape[3])
        model = train_classifier(images_NHWC, label_N, len(data.classes), training_settings, draw)
        accuracy_by_arm[arm] = accuracy(model, test.images_NHWC, test.label_N)
    sound_N = candidates.sound_N
    return {
        "pool": pool,
        "draw": draw,
        "statistic": statistic,
        "accepted": float((score_N <= 1).mean()),
        "sound": None if sound_N is None else float(sound_N.mean()),
        "sound_accepted": None if sound_N is None else float(sound_N[score_N <= 1].mean()),
        "arms": accuracy_by_arm,
    }


def make_pool(
    data: RealData, pool: str, rows: np.ndarray, chosen: Accuracy, rng: np.random.Generator
) -> KnownPool:
    """The candidates of a pool; no pool of real images holds the reference images in `rows`."""
    if pool == "augment":
        return augmented(pick(data.train, rows), chosen.candidates, "strong", rng)
    if pool.startswith("gan"):
        if data.gan is None:
            raise ValueError(f"data set {data.name} names no gan")
        source = data.gan
    else:
        other_rows = np.setdiff1d(np.arange(data.train.label_N.size), rows)
        source = pick(data.train, other_rows)
    size = min(chosen.candidates, source.label_N.size)
    sample = pick(source, rng.choice(source.label_N.size, size, replace=False))
    if pool in ("faults", "gan_flipped"):
        kinds = ["wrong_label"] if pool == "gan_flipped" else None
        return with_faults(sample, data, chosen.share, kinds, rng)
    sound_N = np.ones(size, bool) if pool == "clean" else None
    return KnownPool(images_NHWC=sample.images_NHWC, label_N=sample.label_N, sound_N=sound_N)


def _scores(
    references: Images,
    candidates: Images,
    classes: tuple[str, ...],
    statistic: Statistic,
    settings: CalibrationSettings,
    seed: int,
) -> np.ndarray:
    reference_candidates = without_latents(references)
    run_tasks = in_turn(reference_candidates, len(classes), settings.scorer, seed)
    regions, _ = fit_calibrated(reference_candidates, classes, settings, seed, "", run_tasks)
    return regions.judge(without_latents(candidates), statistic).score_N


def training_of(
    steps: int, width: int, channels: int, augmented: bool = True
) -> ClassifierSettings:
    """How a small network is trained; all arms alike.

    Args:
        channels: of the images; gray ones are never mirrored.
        augmented: transform images while training, and balance batches over classes.
    """
    return ClassifierSettings(
        steps=steps,
        batch_size=BATCH_SIZE,
        learning_rate=LEARNING_RATE,
        width=width,
        augment=augmented,
        flip=augmented and channels == 3,
        balanced=augmented,
    )


def without_latents(images: Images) -> Candidates:
    """Images with blank latents, for what looks at pixels alone."""
    blank_ND = np.zeros((images.label_N.size, 1), np.float32)
    return Candidates(images_NHWC=images.images_NHWC, latent_ND=blank_ND, label_N=images.label_N)


def choose_arms(
    pool: KnownPool, score_N: np.ndarray, arms: list[RealArm], rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Row numbers of the candidates that each arm adds.

    `real` adds none and `all` every one; the other arms add as many of each class as were
    accepted. `oracle` draws from the sound candidates, and adds all of these where they are fewer.
    """
    class_rows_by_arm: dict[str, list[np.ndarray]] = {arm: [] for arm in arms}
    if pool.sound_N is None:
        class_rows_by_arm.pop("oracle", None)
    for k in np.unique(pool.label_N):
        rows = np.flatnonzero(pool.label_N == k)
        accepted_rows = rows[score_N[rows] <= 1]
        by_score = rows[np.argsort(-score_N[rows], kind="stable")]
        rows_of_arm = {
            "real": rows[:0],
            "all": rows,
            "accepted": accepted_rows,
            "random": rng.choice(rows, accepted_rows.size, replace=False),
            "inverted": by_score[: accepted_rows.size],
        }
        if pool.sound_N is not None:
            sound_rows = rows[pool.sound_N[rows]]
            size = min(accepted_rows.size, sound_rows.size)
            rows_of_arm["oracle"] = rng.choice(sound_rows, size, replace=False)
        for arm, class_rows in class_rows_by_arm.items():
            class_rows.append(rows_of_arm[arm])
    return {arm: np.concatenate(class_rows) for arm, class_rows in class_rows_by_arm.items()}
