"""One draw of a cell: both protocols, all pools, all arms.

Shape suffixes: N images, R references.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import torch

from rayqc.config.base import Statistic
from rayqc.config.regions import Regions as RegionSettings
from rayqc.config.table3 import Cell, Table3
from rayqc.experiments.detection import Record
from rayqc.experiments.draws import (
    RealData,
    draw_references,
    gan_samples,
    pick,
    train_encoder,
    train_gan_briefly,
)
from rayqc.experiments.pools import KnownPool, augmented, with_faults
from rayqc.experiments.table3.arms import accepted_by, choose_arms, fit_regions
from rayqc.experiments.table3.classifiers import (
    Classifier,
    cross_validate,
    from_scratch,
    probe,
)
from rayqc.experiments.table3.looks import Look, look_of_network, look_of_vae, see_test
from rayqc.regions.base import Candidates, Regions
from rayqc.seeds import TABLE3
from rayqc.training.arms import Images

STATISTICS: dict[str, Statistic] = {"augment": "label", "faults": "joint", "gan": "joint"}
"""What calibrated regions judge a pool by: what they would by default in a run."""
FROM_SCRATCH = ("calibrated", "random: calibrated")
"""Arms of the best small network, where today's protocol chooses the probe."""


@dataclass(frozen=True, kw_only=True)
class Judge:
    """An encoder, with the regions that were fitted on its latents of a draw's references."""

    look: Look
    references: Candidates
    regions: dict[str, Regions]
    tested: Candidates
    """Test images; latents are blank where no classifier needs them."""

    def measure(
        self,
        classifier: Classifier,
        pools: dict[str, KnownPool],
        seeds: int,
        draw: int,
        arms: tuple[str, ...] | None = None,
    ) -> Record:
        """By pool: how many candidates each region accepts, and each arm's accuracies by seed.

        Args:
            arms: those to train beside `real`; None trains all.
        """
        everything = np.arange(len(self.references))

        def accuracies(added: Candidates) -> list[float]:
            return [
                classifier.accuracy(everything, added, self.tested, seed) for seed in range(seeds)
            ]

        real = accuracies(self.references[:0])
        record = {}
        for name, pool in pools.items():
            candidates = self.look.see(pool)
            accepted = accepted_by(self.regions, candidates, STATISTICS[name])
            rows_by_arm = choose_arms(self.references, candidates, accepted, pool.sound_N, draw)
            sound_N = pool.sound_N
            found: dict[bytes, list[float]] = {}  # arms of the same candidates are one training
            for arm, rows in rows_by_arm.items():
                if (arms is None or arm in arms) and rows.tobytes() not in found:
                    found[rows.tobytes()] = accuracies(candidates[rows])
            record[name] = {
                "accepted": {kind: int(mask_N.sum()) for kind, mask_N in accepted.items()},
                "sound_accepted": None
                if sound_N is None
                else {kind: float(sound_N[mask_N].mean()) for kind, mask_N in accepted.items()},
                "arms": {"real": real}
                | {
                    arm: found[rows.tobytes()]
                    for arm, rows in rows_by_arm.items()
                    if rows.tobytes() in found and (arms is None or arm in arms)
                },
            }
        return record


def measure_cell(
    data: RealData, cell: Cell, draw: int, chosen: Table3, regions_wanted: RegionSettings
) -> Record:
    """Accuracies of all arms on one draw of references, by both protocols.

    Of one protocol and cell, all arms take as many optimiser steps.
    """
    torch.set_num_threads(1)
    begun = time.monotonic()
    classes = len(data.classes)
    rng = np.random.default_rng([draw, cell.per_class, TABLE3])
    references = pick(data.train, draw_references(data, cell.per_class, rng))
    test = pick(data.test, np.arange(min(chosen.test_images, data.test.label_N.size)))
    pools = make_pools(data, references, cell, chosen, draw, rng)
    augmented_alone = {"augment": pools["augment"]}
    vae = train_encoder(references, cell.encoder_width, cell.encoder_steps, draw)
    own = _judge(data, look_of_vae(vae), references, _without_latents(test), regions_wanted, draw)
    before = from_scratch(own.references, classes, chosen.paper, today=False)
    paper = own.measure(before, augmented_alone, chosen.seeds, draw)

    small = [from_scratch(own.references, classes, net, today=True) for net in chosen.candidates]
    told = {one.name: cross_validate(one, own.references, chosen.folds, draw) for one in small}
    best = max(small, key=lambda one: told[one.name])
    winner: Classifier = best
    judge, scratch = own, None
    if chosen.probe is not None:
        look = look_of_network(chosen.probe.size)
        seen = look.see(references)
        further = probe(seen, classes, look, chosen.probe, draw)
        told[further.name] = cross_validate(further, seen, chosen.folds, draw)
        if told[further.name] > told[best.name]:
            winner = further
            tested = see_test(chosen.probe.size, test)
            judge = _judge(data, look, references, tested, regions_wanted, draw)
            scratch = own.measure(best, augmented_alone, chosen.seeds, draw, FROM_SCRATCH)
    return {
        "table3": True,
        "per_class": cell.per_class,
        "pool_size": cell.pool,
        "encoder_width": cell.encoder_width,
        "encoder_steps": cell.encoder_steps,
        "draw": draw,
        "cross_validated": told,
        "classifier": winner.name,
        "paper": paper,
        "today": judge.measure(winner, pools, chosen.seeds, draw),
        "scratch": scratch,
        "scratch_classifier": best.name,
        "seconds": round(time.monotonic() - begun),
    }


def _judge(
    data: RealData,
    look: Look,
    references: Images,
    tested: Candidates,
    wanted: RegionSettings,
    seed: int,
) -> Judge:
    seen = look.see(references)
    regions = fit_regions(seen, data.classes, wanted, look, seed)
    return Judge(look=look, references=seen, regions=regions, tested=tested)


def _without_latents(images: Images) -> Candidates:
    blank_ND = np.zeros((images.label_N.size, 1), np.float32)
    return Candidates(images_NHWC=images.images_NHWC, latent_ND=blank_ND, label_N=images.label_N)


def make_pools(
    data: RealData,
    references: Images,
    cell: Cell,
    chosen: Table3,
    draw: int,
    rng: np.random.Generator,
) -> dict[str, KnownPool]:
    """The pools of a draw; `gan` where the cell has references enough."""
    pools = {"augment": augmented(references, cell.pool, chosen.policy, rng)}
    if "faults" in chosen.pools:
        pools["faults"] = with_faults(pools["augment"], data, chosen.share, None, rng)
    if "gan" in chosen.pools and cell.per_class >= chosen.gan_from:
        classes = len(data.classes)
        gan = train_gan_briefly(references, classes, chosen.gan_steps, draw)
        label_N = np.arange(cell.pool) % classes
        pools["gan"] = KnownPool(
            images_NHWC=gan_samples(gan, label_N, rng), label_N=label_N, sound_N=None
        )
    return pools
