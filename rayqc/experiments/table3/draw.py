"""One draw of a cell by one of the protocols: all pools, all arms.

Shape suffixes: N images, R references.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import torch

from rayqc.config.base import Statistic
from rayqc.config.regions import Regions as RegionSettings
from rayqc.config.table3 import Cell, SmallNetwork, Table3, Table3Pool
from rayqc.experiments.accuracy import without_latents
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
            asked = {arm: rows for arm, rows in rows_by_arm.items() if arms is None or arm in arms}
            for rows in asked.values():
                if rows.tobytes() not in found:
                    found[rows.tobytes()] = accuracies(candidates[rows])
            record[name] = {
                "accepted": {kind: int(mask_N.sum()) for kind, mask_N in accepted.items()},
                "sound_accepted": None
                if sound_N is None
                else {kind: float(sound_N[mask_N].mean()) for kind, mask_N in accepted.items()},
                "arms": {"real": real}
                | {arm: found[rows.tobytes()] for arm, rows in asked.items()},
            }
        return record


@dataclass(frozen=True, kw_only=True)
class Draw:
    """One draw of a cell: its references and pools, which both protocols share."""

    data: RealData
    cell: Cell
    number: int
    chosen: Table3
    regions: RegionSettings
    references: Images
    test: Images
    pools: dict[str, KnownPool]

    def judge(self, look: Look, seen: Candidates, tested: Candidates) -> Judge:
        """Regions fitted on the references as an encoder has seen them."""
        regions = fit_regions(seen, self.data.classes, self.regions, look, self.number)
        return Judge(look=look, references=seen, regions=regions, tested=tested)

    def judge_by_vae(self) -> Judge:
        """The judge whose encoder is a VAE of this draw."""
        vae = train_encoder(
            self.references, self.cell.encoder_width, self.cell.encoder_steps, self.number
        )
        look = look_of_vae(vae)
        return self.judge(look, look.see(self.references), without_latents(self.test))

    def record(self, protocol: str) -> Record:
        """What tells this draw from others."""
        return {
            "table3": protocol,
            "per_class": self.cell.per_class,
            "pool_size": self.cell.pool,
            "encoder_width": self.cell.encoder_width,
            "encoder_steps": self.cell.encoder_steps,
            "draw": self.number,
        }


def measure_paper(
    data: RealData, cell: Cell, draw: int, chosen: Table3, regions_wanted: RegionSettings
) -> Record:
    """Accuracies of all arms on one draw, by the paper's protocol; all take as many steps."""
    begun = _begin()
    drawn = make_draw(data, cell, draw, chosen, regions_wanted, ["augment"])
    judge = drawn.judge_by_vae()
    network = SmallNetwork(width=chosen.paper.width, steps=cell.paper_steps or chosen.paper.steps)
    classifier = from_scratch(judge.references, len(data.classes), network, today=False)
    pools = judge.measure(classifier, drawn.pools, chosen.seeds, draw)
    return drawn.record("paper") | {
        "classifier": classifier.name,
        "pools": pools,
        "seconds": _seconds_since(begun),
    }


def measure_today(
    data: RealData,
    cell: Cell,
    draw: int,
    chosen: Table3,
    regions_wanted: RegionSettings,
    networks: list[SmallNetwork],
) -> Record:
    """Accuracies of all arms on one draw, by today's protocol: the classifier that told references
    best by cross-validation, and where it is the probe also the best network from scratch.

    Args:
        networks: small ones to choose from beside the probe; where there are none it is taken.
    """
    begun = _begin()
    classes = len(data.classes)
    drawn = make_draw(data, cell, draw, chosen, regions_wanted, list(chosen.pools))
    told: dict[str, float] = {}
    found: tuple[Judge, Classifier] | None = None
    scratch = None
    if networks:
        own = drawn.judge_by_vae()
        small = [from_scratch(own.references, classes, net, today=True) for net in networks]
        told = {one.name: cross_validate(one, own.references, chosen.folds, draw) for one in small}
        found = own, max(small, key=lambda one: told[one.name])
    if chosen.probe is not None:
        look = look_of_network(chosen.probe.size)
        seen = look.see(drawn.references)
        further = probe(seen, classes, look, chosen.probe, draw)
        told[further.name] = cross_validate(further, seen, chosen.folds, draw)
        if found is None or told[further.name] > told[found[1].name]:
            if found is not None:
                alone = {"augment": drawn.pools["augment"]}
                scratch = found[0].measure(found[1], alone, chosen.seeds, draw, FROM_SCRATCH)
            tested = see_test(chosen.probe.size, drawn.test)
            found = drawn.judge(look, seen, tested), further
    assert found is not None, "without networks there is a probe"
    judge, winner = found
    return drawn.record("today") | {
        "cross_validated": told,
        "classifier": winner.name,
        "pools": judge.measure(winner, drawn.pools, chosen.seeds, draw),
        "scratch": scratch,
        "seconds": _seconds_since(begun),
    }


def _begin() -> float:
    torch.set_num_threads(1)
    return time.monotonic()


def _seconds_since(begun: float) -> int:
    return round(time.monotonic() - begun)


def make_draw(
    data: RealData,
    cell: Cell,
    draw: int,
    chosen: Table3,
    regions_wanted: RegionSettings,
    pools: list[Table3Pool],
) -> Draw:
    """References, pools and test images; the same ones for either protocol."""
    rng = np.random.default_rng([draw, cell.per_class, TABLE3])
    references = pick(data.train, draw_references(data, cell.per_class, rng))
    return Draw(
        data=data,
        cell=cell,
        number=draw,
        chosen=chosen,
        regions=regions_wanted,
        references=references,
        test=pick(data.test, np.arange(min(chosen.test_images, data.test.label_N.size))),
        pools=make_pools(data, references, cell, chosen, pools, draw, rng),
    )


def make_pools(
    data: RealData,
    references: Images,
    cell: Cell,
    chosen: Table3,
    wanted: list[Table3Pool],
    draw: int,
    rng: np.random.Generator,
) -> dict[str, KnownPool]:
    """The pools of a draw; `gan` where the cell has references enough."""
    pools = {"augment": augmented(references, cell.pool, chosen.policy, rng)}
    if "faults" in wanted:
        pools["faults"] = with_faults(pools["augment"], data, chosen.share, None, rng)
    if "gan" in wanted and cell.per_class >= chosen.gan_from:
        classes = len(data.classes)
        gan = train_gan_briefly(references, classes, chosen.gan_steps, draw)
        label_N = np.arange(cell.pool) % classes
        pools["gan"] = KnownPool(
            images_NHWC=gan_samples(gan, label_N, rng), label_N=label_N, sound_N=None
        )
    return pools
