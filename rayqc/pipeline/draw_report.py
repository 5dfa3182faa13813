"""The report of drawing until full: how each class ended, and what an accepted image cost.

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
    """How each class ended, and what an accepted image cost, of each class and generator.

    Intervals are given for one generator's images of one class, which are accepted at one rate. All
    intervals hold at once, although what was drawn decides when drawing ends.
    """
    low_EK, high_EK = all_bounds(tally)
    given_up_EK = high_EK < wanted.floor
    seconds_a_draw = None if seconds is None else seconds / max(int(tally.drawn_EK.sum()), 1)

    def cost(generators: slice, labels: slice) -> DrawCost:
        cells = (generators, labels)
        drawn, accepted = int(tally.drawn_EK[cells].sum()), int(tally.accepted_EK[cells].sum())
        draws = drawn / accepted if accepted else None
        draw_cost: DrawCost = {
            "drawn": drawn,
            "accepted": accepted,
            "draws_an_accepted": draws,
            "seconds_an_accepted": draws * seconds_a_draw if draws and seconds_a_draw else None,
        }
        if low_EK[cells].size == 1:
            bounds = high_EK[cells].item(), low_EK[cells].item()
            draw_cost["interval"] = [1 / bound if bound else None for bound in bounds]
        return draw_cost

    def ending(k: int) -> str:
        if tally.accepted_EK[:, k].sum() >= wanted.until:
            return "full"
        return "given up" if given_up_EK[:, k].all() else "out of budget"

    for k in np.flatnonzero(given_up_EK.all(0)):
        logger.warning(
            "class %s given up: %d of %d accepted, surely below the floor of %g. Look at what the "
            "generators make of it (`rayqc generate` on the run), or lower --floor",
            classes[k],
            tally.accepted_EK[:, k].sum(),
            tally.drawn_EK[:, k].sum(),
            wanted.floor,
        )
    every, slice_of = slice(None), [slice(i, i + 1) for i in range(max(low_EK.shape))]
    return {
        "until": wanted.until,
        "drawn": int(tally.drawn_EK.sum()),
        "accepted": int(tally.accepted_EK.sum()),
        "seconds": seconds,
        "filled": {
            name: {"end": ending(k), **cost(every, slice_of[k])} for k, name in enumerate(classes)
        },
        "by_generator": {
            name: {
                **cost(slice_of[e], every),
                "given_up": [classes[k] for k in np.flatnonzero(given_up_EK[e])],
                "by_class": {
                    label: cost(slice_of[e], slice_of[k]) for k, label in enumerate(classes)
                },
            }
            for e, name in enumerate(names)
        },
        "rounds": rounds,
    }


def seconds_of(rounds: list[Folder]) -> float | None:
    """Seconds of all rounds; None if one was interrupted, since its time before that is unknown."""
    seconds_by_round = [
        read_json(folder, SECONDS) if folder.exists(SECONDS) else None for folder in rounds
    ]
    known_seconds = [seconds for seconds in seconds_by_round if seconds is not None]
    return float(sum(known_seconds)) if len(known_seconds) == len(rounds) else None


def merged_files(rounds: list[Folder]) -> list[Part]:
    """Files of all rounds, with paths below the target folder."""
    return [
        replace(part, path=f"{ROUNDS}/{round_number:04d}/{part.path}")
        for round_number, folder in enumerate(rounds)
        for parts in load_files(folder).values()
        for part in parts
    ]


def merged_totals(rounds: list[Folder]) -> Totals:
    """Totals of all rounds."""
    totals_by_round = [load_totals(folder) for folder in rounds]

    def added(counts: list[dict[str, int]]) -> dict[str, int]:
        total: Counter[str] = Counter()
        for count_by_key in counts:
            total.update(count_by_key)  # counts of zero stay, so that every verdict is named
        return dict(sorted(total.items()))

    class_names = sorted({name for totals in totals_by_round for name in totals.by_class})
    return Totals(
        units=sum(totals.units for totals in totals_by_round),
        read=sum(totals.read for totals in totals_by_round),
        outcomes=added([totals.outcomes for totals in totals_by_round]),
        reasons=added([totals.reasons for totals in totals_by_round]),
        by_class={
            name: added([totals.by_class.get(name, {}) for totals in totals_by_round])
            for name in class_names
        },
    )
