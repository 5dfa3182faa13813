"""What drawing until full came to, and what an accepted image cost.

Shape suffixes: E generators, K classes.
"""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import replace

import numpy as np

from rayqc.generators.steering import Tally, Wanted, all_bounds
from rayqc.ledger.commit import Part
from rayqc.ledger.manifest import Totals, load_files, load_totals
from rayqc.ledger.plan import ROUNDS, SECONDS
from rayqc.results import DrawCost, UntilResult
from rayqc.storage import Folder, read_json

logger = logging.getLogger(__name__)


def draw_report(
    tally: Tally,
    wanted: Wanted,
    names: list[str],
    classes: tuple[str, ...],
    seconds: float | None,
    rounds: int,
) -> UntilResult:
    """What came of each class and generator, and what an accepted image cost.

    Intervals are given of one generator's images of one class, which have a share to speak of; they
    hold for all at once although the end depends on what was drawn.
    """
    low_EK, high_EK = all_bounds(tally)
    lost_EK = high_EK < wanted.floor
    second_a_draw = None if seconds is None else seconds / max(int(tally.drawn_EK.sum()), 1)

    def cost(generators: slice, labels: slice) -> DrawCost:
        where = (generators, labels)
        drawn, accepted = int(tally.drawn_EK[where].sum()), int(tally.accepted_EK[where].sum())
        each = drawn / accepted if accepted else None
        taken: DrawCost = {
            "drawn": drawn,
            "accepted": accepted,
            "draws_an_accepted": each,
            "seconds_an_accepted": each * second_a_draw if each and second_a_draw else None,
        }
        if low_EK[where].size == 1:
            ends = high_EK[where].item(), low_EK[where].item()
            taken["interval"] = [1 / end if end else None for end in ends]
        return taken

    def end(k: int) -> str:
        if tally.accepted_EK[:, k].sum() >= wanted.until:
            return "full"
        return "given up" if lost_EK[:, k].all() else "out of budget"

    for k in np.flatnonzero(lost_EK.all(0)):
        logger.warning(
            "class %s given up: %d of %d accepted, surely below the floor of %g. Look at what the "
            "generators make of it (`rayqc generate` on the run), or lower --floor",
            classes[k],
            tally.accepted_EK[:, k].sum(),
            tally.drawn_EK[:, k].sum(),
            wanted.floor,
        )
    every, one = slice(None), [slice(i, i + 1) for i in range(max(low_EK.shape))]
    return {
        "until": wanted.until,
        "drawn": int(tally.drawn_EK.sum()),
        "accepted": int(tally.accepted_EK.sum()),
        "seconds": seconds,
        "filled": {name: {"end": end(k), **cost(every, one[k])} for k, name in enumerate(classes)},
        "by_generator": {
            name: {
                **cost(one[e], every),
                "given_up": [classes[k] for k in np.flatnonzero(lost_EK[e])],
                "by_class": {label: cost(one[e], one[k]) for k, label in enumerate(classes)},
            }
            for e, name in enumerate(names)
        },
        "rounds": rounds,
    }


def seconds_of(rounds: list[Folder]) -> float | None:
    """All rounds' time; None when one was interrupted, since its first part is not known."""
    spent = [read_json(folder, SECONDS) if folder.exists(SECONDS) else None for folder in rounds]
    known = [seconds for seconds in spent if seconds is not None]
    return float(sum(known)) if len(known) == len(rounds) else None


def merged_files(rounds: list[Folder]) -> list[Part]:
    """Files of all rounds, named from the target."""
    return [
        replace(part, path=f"{ROUNDS}/{turn:04d}/{part.path}")
        for turn, folder in enumerate(rounds)
        for parts in load_files(folder).values()
        for part in parts
    ]


def merged_totals(rounds: list[Folder]) -> Totals:
    """Totals of all rounds."""
    by_round = [load_totals(folder) for folder in rounds]

    def added(counts: list[dict[str, int]]) -> dict[str, int]:
        total: Counter[str] = Counter()
        for one in counts:
            total.update(one)  # zeros stay: they say what kinds there are
        return dict(sorted(total.items()))

    names = sorted({name for one in by_round for name in one.by_class})
    return Totals(
        units=sum(one.units for one in by_round),
        read=sum(one.read for one in by_round),
        outcomes=added([one.outcomes for one in by_round]),
        reasons=added([one.reasons for one in by_round]),
        by_class={name: added([one.by_class.get(name, {}) for one in by_round]) for name in names},
    )
