"""Draw from a run's generators, round by round, until so many are accepted of every class.

Each round is a filter of its own below `rounds/`, with plan, commits and `_SUCCESS`. What a round
draws follows from the rounds before it, so that a stopped command goes on where it stood; when all
are done, one manifest names the files of all.

Shape suffixes: E generators, K classes.
"""

from __future__ import annotations

import itertools
import logging
import time
from collections import Counter
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from rayqc.config import Config, Generator
from rayqc.distributed.filter import match_classes
from rayqc.errors import InputError
from rayqc.generators.sampled import SampledSource
from rayqc.generators.steering import (
    DOUBT,
    Tally,
    Wanted,
    given_up,
    next_draws,
    share_bounds,
)
from rayqc.ledger.commit import Part
from rayqc.ledger.manifest import Totals, is_finished, load_files, load_totals, publish_all
from rayqc.ledger.plan import MANIFEST, SUCCESS, claim, clear
from rayqc.pipeline.artefacts import run_encoder, run_regions
from rayqc.pipeline.generators import on_devices, own_sources, train_generators
from rayqc.pipeline.stages import filter_sources
from rayqc.progress import Progress
from rayqc.regions.statistics import Statistics
from rayqc.storage import Folder, read_json, read_table, write_json
from rayqc.units import number

logger = logging.getLogger(__name__)

ROUNDS = "rounds"
REPORT = "generate.json"
SECONDS = "seconds.json"

Summary = dict[str, Any]


def draw_until(
    folder: Folder, target: Folder, wanted: Wanted, config: Config, progress: Progress
) -> Summary:
    """See `rayqc.generate_until`; needs a Ray session.

    Raises:
        InputError: the run has no generator to draw from.
        ConflictError: `target` holds draws made otherwise.
    """
    train_generators(folder, config, progress)
    own = on_devices(own_sources(folder, config), config)
    entries = {place: source for place, source in own.items() if isinstance(source, SampledSource)}
    if not entries:
        raise InputError(
            f"{folder} has no generator to draw from: its pool names no entry of kind gan, vae, "
            "python or exported; start a run with one"
        )
    sources = [*entries.values()]
    # What is written is for training on: rejected images only where the run keeps them.
    keep = "accepted" if config.filter.keep_pool == "none" else config.filter.keep_pool
    changes = {"limit": None, "max_accepted_per_class": None, "keep_pool": keep}
    config = config.model_copy(update={"filter": config.filter.model_copy(update=changes)})
    chosen = [entry for entry in config.pool if isinstance(entry, Generator)]
    statistics = Statistics(
        by_entry={
            source.name: entry.statistic or "joint"
            for source, entry in zip(sources, chosen, strict=True)
        }
    )
    share_E = np.array([entry.share for entry in chosen])
    fitted = run_regions(folder, config)
    claim(
        target,
        {
            "stage": "until",
            "wanted": asdict(wanted),
            "generators": {source.name: source.fingerprint for source in sources},
            "shares": share_E.tolist(),
            "encoder_digest": run_encoder(folder, config).digest,
            "regions_digest": fitted.digest,
            "statistics": asdict(statistics),
            "keep_rejected": config.filter.keep_rejected,
            "keep_pool": keep,
        },
    )
    if is_finished(target):
        logger.info("%s: done before, nothing to do", target)
        return dict(read_json(target, REPORT))
    classes = fitted.regions.classes
    batch_E = np.array([source.batch for source in sources])
    none_EK = np.zeros((len(sources), len(classes)), np.int64)
    tally = Tally(drawn_EK=none_EK, accepted_EK=none_EK)
    rounds: list[Folder] = []
    for turn in itertools.count():
        draws_EK = next_draws(tally, wanted, share_E, batch_E)
        if not draws_EK.any():
            break
        place = target.sub(f"{ROUNDS}/{turn:04d}")
        units = [
            replace(unit, entry=e)
            for e, source in enumerate(sources)
            for k in range(len(classes))
            for unit in source.units_of(
                k,
                int(tally.drawn_EK[e, k]),
                int(tally.drawn_EK[e, k] + draws_EK[e, k]),
                config.filter.unit_rows,
            )
        ]
        if not is_finished(place):
            begun = time.monotonic()
            pools = [match_classes(source, "", classes) for source in sources]
            planned = number(units, None)
            filter_sources(folder, place, pools, planned, config, statistics, progress)
            write_json(place, SECONDS, time.monotonic() - begun)
        rounds.append(place)
        tally += _counted(place, [source.name for source in sources], len(classes))
        full = int((tally.accepted_EK.sum(0) >= wanted.until).sum())
        logger.info(
            "round %d: %s drawn, %s accepted so far; %d of %d classes full",
            turn + 1,
            f"{tally.drawn_EK.sum():,}",
            f"{tally.accepted_EK.sum():,}",
            full,
            len(classes),
        )
    seconds = sum(float(read_json(place, SECONDS)) for place in rounds if place.exists(SECONDS))
    report = _report(tally, wanted, [source.name for source in sources], classes, seconds)
    report["rounds"] = len(rounds)
    write_json(target, REPORT, report)
    publish_all(target, _merged(rounds), _files(rounds))
    return report


def clear_until(target: Folder) -> None:
    """Delete draws made here, what makes them readable first and what claims the folder last."""
    target.delete([SUCCESS, MANIFEST])
    target.delete(name for name in target.names() if name.startswith(f"{ROUNDS}/"))
    target.delete([REPORT])
    clear(target)


def _counted(place: Folder, names: list[str], classes: int) -> Tally:
    """A round's draws and accepted images, from its scores."""
    drawn_EK, accepted_EK = (np.zeros((len(names), classes), np.int64) for _ in range(2))
    for part in load_files(place)["scores"]:
        table = read_table(place, part.path, columns=["id", "label", "verdict"])
        owner_N = np.array([names.index(id_.rpartition("/")[0]) for id_ in table["id"].to_pylist()])
        label_N = np.asarray(table["label"], dtype=np.int64)
        np.add.at(drawn_EK, (owner_N, label_N), 1)
        inside_N = np.array(table["verdict"].to_pylist(), object) == "accepted"
        np.add.at(accepted_EK, (owner_N[inside_N], label_N[inside_N]), 1)
    return Tally(drawn_EK=drawn_EK, accepted_EK=accepted_EK)


def _report(
    tally: Tally, wanted: Wanted, names: list[str], classes: tuple[str, ...], seconds: float
) -> Summary:
    """What came of each class and generator, and what an accepted image cost.

    Intervals hold at the end although the end depends on what was drawn, for all at once.
    """
    doubt = DOUBT / tally.drawn_EK.size
    lost_EK = given_up(tally, wanted)
    second_a_draw = seconds / max(int(tally.drawn_EK.sum()), 1)

    def cost(accepted: int, drawn: int) -> Summary:
        low, high = share_bounds(accepted, drawn, doubt)
        return {
            "drawn": drawn,
            "accepted": accepted,
            "draws_an_accepted": drawn / accepted if accepted else None,
            "interval": [1 / high if high else None, 1 / low if low else None],
            "seconds_an_accepted": drawn * second_a_draw / accepted if accepted else None,
        }

    def end(k: int) -> str:
        if tally.accepted_EK[:, k].sum() >= wanted.until:
            return "full"
        return "given up" if lost_EK[:, k].all() else "out of budget"

    drawn_K, accepted_K = tally.drawn_EK.sum(0), tally.accepted_EK.sum(0)
    for k in np.flatnonzero(lost_EK.all(0)):
        logger.warning(
            "class %s given up: %d of %d accepted, surely below the floor of %g. Look at what the "
            "generators make of it (rounds/*/rejected), or lower --floor",
            classes[k],
            accepted_K[k],
            drawn_K[k],
            wanted.floor,
        )
    return {
        "until": wanted.until,
        "drawn": int(drawn_K.sum()),
        "accepted": int(accepted_K.sum()),
        "seconds": seconds,
        "filled": {
            name: {"end": end(k), **cost(int(accepted_K[k]), int(drawn_K[k]))}
            for k, name in enumerate(classes)
        },
        "by_generator": {
            name: {
                **cost(int(tally.accepted_EK[e].sum()), int(tally.drawn_EK[e].sum())),
                "given_up": [classes[k] for k in np.flatnonzero(lost_EK[e])],
            }
            for e, name in enumerate(names)
        },
    }


def _files(rounds: list[Folder]) -> list[Part]:
    """Files of all rounds, named from the target."""
    return [
        replace(part, path=f"{ROUNDS}/{turn:04d}/{part.path}")
        for turn, place in enumerate(rounds)
        for parts in load_files(place).values()
        for part in parts
    ]


def _merged(rounds: list[Folder]) -> Totals:
    """Totals of all rounds."""
    found = [load_totals(place) for place in rounds]

    def added(counts: list[dict[str, int]]) -> dict[str, int]:
        return dict(sorted(sum((Counter(one) for one in counts), Counter()).items()))

    names = sorted({name for one in found for name in one.by_class})
    return Totals(
        units=sum(one.units for one in found),
        read=sum(one.read for one in found),
        outcomes=added([one.outcomes for one in found]),
        reasons=added([one.reasons for one in found]),
        by_class={name: added([one.by_class.get(name, {}) for one in found]) for name in names},
    )
