"""What each region accepts of a pool, and the candidates that each arm adds.

Shape suffixes: N candidates.
"""

from __future__ import annotations

import numpy as np

from rayqc.config.base import Statistic
from rayqc.config.regions import Regions as RegionSettings
from rayqc.experiments.baselines import fit_sphere
from rayqc.experiments.table3.looks import Look
from rayqc.kinds import SELECTIONS
from rayqc.regions.base import Candidates, Regions
from rayqc.regions.fitting import fit_calibrated, settings_of
from rayqc.regions.scorer_tasks import in_turn
from rayqc.regions.sphere import SPHERE
from rayqc.selection.base import SelectionKind
from rayqc.selection.target import fit_space

CALIBRATED = "calibrated"
WAY = "coverage"
"""Way of choosing of the arm `selected`."""
SELECTED = 0.5
"""Share of a class's accepted candidates that the arm `selected` takes."""


def fit_regions(
    references: Candidates,
    classes: tuple[str, ...],
    wanted: RegionSettings,
    look: Look,
    seed: int,
) -> dict[str, Regions]:
    """The paper's spheres and calibrated regions, on the same latents."""
    channels = references.images_NHWC.shape[3]
    settings = settings_of(wanted, channels, look.saw_references, references.inner)
    run_tasks = in_turn(references, len(classes), settings.scorer, seed)
    calibrated, _ = fit_calibrated(references, classes, settings, seed, "", run_tasks)
    return {
        SPHERE: fit_sphere(references, classes, settings.coverage, SPHERE),
        CALIBRATED: calibrated,
    }


def accepted_by(
    regions: dict[str, Regions], candidates: Candidates, statistic: Statistic
) -> dict[str, np.ndarray]:
    """Kind of region to (N,) bool, whether it accepts each candidate."""
    return {
        kind: region.judge(candidates, statistic).score_N <= 1 for kind, region in regions.items()
    }


def choose_arms(
    references: Candidates,
    candidates: Candidates,
    accepted: dict[str, np.ndarray],
    sound_N: np.ndarray | None,
    seed: int,
) -> dict[str, np.ndarray]:
    """Ascending rows of the candidates that each arm adds; `real`, which adds none, is left out.

    `random: KIND` draws as many of each class as KIND accepted, from the whole pool. `selected` is
    chosen from what calibrated regions accepted, and `random: selected` drawn from there. `oracle`
    draws as many as calibrated regions accepted from those known to be sound.
    """
    rng = np.random.default_rng(seed)
    classes = int(references.label_N.max()) + 1
    space = fit_space(references.latent_ND, references.label_N, classes)
    vector_ND = space.project(candidates.latent_ND)
    way: SelectionKind = SELECTIONS[WAY]
    rows_by_arm: dict[str, list[np.ndarray]] = {}
    for k in np.unique(candidates.label_N):
        rows = np.flatnonzero(candidates.label_N == k)
        found = {"all": rows}
        for kind, accepted_N in accepted.items():
            found[kind] = rows[accepted_N[rows]]
            found[f"random: {kind}"] = rng.choice(rows, found[kind].size, replace=False)
        kept = found[CALIBRATED]
        wanted = round(SELECTED * kept.size)
        if 0 < wanted < kept.size:
            chosen = way.choose(space.choice(vector_ND[kept], int(k), wanted, seed))
            found["selected"] = kept[chosen]
        else:
            found["selected"] = kept[:wanted]
        found["random: selected"] = rng.choice(kept, wanted, replace=False)
        if sound_N is not None:
            sound = rows[sound_N[rows]]
            found["oracle"] = rng.choice(sound, min(kept.size, sound.size), replace=False)
        for arm, some in found.items():
            rows_by_arm.setdefault(arm, []).append(some)
    return {arm: np.sort(np.concatenate(parts)) for arm, parts in rows_by_arm.items()}
