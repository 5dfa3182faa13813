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
from collections.abc import Iterable
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from rayqc.config import Config, Gan, Generator
from rayqc.distributed.filter import match_classes
from rayqc.errors import InputError
from rayqc.generators.sampled import SampledSource
from rayqc.generators.steering import Tally, Wanted, all_bounds, next_draws
from rayqc.ledger.commit import Part
from rayqc.ledger.manifest import Totals, is_finished, load_files, load_totals, publish_all
from rayqc.ledger.plan import LEDGER, REPORT, ROUNDS, SECONDS, claim
from rayqc.pipeline.artefacts import run_encoder, run_regions
from rayqc.pipeline.generators import (
    made_of,
    on_devices,
    own_sources,
    refuse_unnamed,
    train_generators,
)
from rayqc.pipeline.stages import filter_sources
from rayqc.progress import Progress
from rayqc.regions.statistics import Statistics
from rayqc.storage import Folder, read_json, read_table, write_json
from rayqc.units import Unit, number

logger = logging.getLogger(__name__)

Summary = dict[str, Any]


def draw_until(
    folder: Folder, target: Folder, wanted: Wanted, config: Config, progress: Progress
) -> Summary:
    """See `rayqc.generate_until`; needs a Ray session.

    Raises:
        InputError: the run has no generator to draw from.
        UntrustedCodeError: a generator is code that the user did not name.
        ConflictError: `target` holds draws made otherwise.
    """
    entries = {
        name: entry
        for name, entry in zip(config.pool_names(), config.pool, strict=True)
        if isinstance(entry, Generator)
    }
    if not entries:
        raise InputError(
            f"{folder} has no generator to draw from: its pool names no entry of kind gan, vae, "
            "python or exported; start a run with one"
        )
    refuse_unnamed(config)
    config = _for_rounds(config)
    statistics = Statistics(
        by_entry={name: entry.statistic or "joint" for name, entry in entries.items()}
    )
    fitted = run_regions(folder, config)
    # Before hours of training: a GAN's identity is what it is to be made of.
    identities = {
        source.name: made_of(folder, config, entry)
        if isinstance(entry, Gan)
        else source.fingerprint
        for source, entry in zip(_sources(folder, config), entries.values(), strict=True)
    }
    work = {
        "stage": "until",
        "wanted": asdict(wanted),
        "generators": identities,
        "shares": {name: entry.share for name, entry in entries.items()},
        "encoder_digest": run_encoder(folder, config).digest,
        "regions_digest": fitted.digest,
        "statistics": asdict(statistics),
        "keep_rejected": config.filter.keep_rejected,
        "keep_pool": config.filter.keep_pool,
    }
    claim(target, work)
    if is_finished(target):
        logger.info("%s: done before, nothing to do", target)
        return dict(read_json(target, REPORT))
    train_generators(folder, config, progress)
    sources = _sources(folder, config)
    classes = fitted.regions.classes
    share_E = np.array([entry.share for entry in entries.values()])
    batch_E = np.array([source.batch for source in sources])
    none_EK = np.zeros((len(sources), len(classes)), np.int64)
    tally = Tally(drawn_EK=none_EK, accepted_EK=none_EK)
    rounds: list[Folder] = []
    for turn in itertools.count():
        draws_EK = next_draws(tally, wanted, share_E, batch_E)
        if not draws_EK.any():
            break
        place = target.sub(f"{ROUNDS}/{turn:04d}")
        if not is_finished(place):
            begun, fresh = time.monotonic(), not place.exists(LEDGER)
            units = number(_units(sources, tally, draws_EK, config.filter.unit_rows), None)
            pools = [match_classes(source, "", classes) for source in sources]
            filter_sources(folder, place, pools, units, config, statistics, progress)
            write_json(place, SECONDS, time.monotonic() - begun if fresh else None)
        rounds.append(place)
        tally += _counted(place, [*entries], len(classes))
        logger.info(
            "round %d: %s drawn, %s accepted so far; %d of %d classes full",
            turn + 1,
            f"{tally.drawn_EK.sum():,}",
            f"{tally.accepted_EK.sum():,}",
            int((tally.accepted_EK.sum(0) >= wanted.until).sum()),
            len(classes),
        )
    report = _report(tally, wanted, [*entries], classes, _seconds(rounds))
    report["rounds"] = len(rounds)
    write_json(target, REPORT, report)
    publish_all(target, _merged(rounds), _files(rounds))
    return report


def _for_rounds(config: Config) -> Config:
    """The settings that a round is filtered by: a run's own limits were for its own pool."""
    # What is written is for training on: rejected images only where the run keeps them.
    keep = "accepted" if config.filter.keep_pool == "none" else config.filter.keep_pool
    changes = {"limit": None, "max_accepted_per_class": None, "keep_pool": keep}
    return config.model_copy(update={"filter": config.filter.model_copy(update=changes)})


def _sources(folder: Folder, config: Config) -> list[SampledSource]:
    """The run's generators that make images of a class on demand, in the pool's order."""
    own = on_devices(own_sources(folder, config), config)
    return [source for source in own.values() if isinstance(source, SampledSource)]


def _units(
    sources: list[SampledSource], tally: Tally, draws_EK: np.ndarray, most_rows: int
) -> Iterable[Unit]:
    """The next candidates of each generator and class."""
    for e, source in enumerate(sources):
        for k, start in enumerate(tally.drawn_EK[e].tolist()):
            for unit in source.units_of(k, start, start + int(draws_EK[e, k]), most_rows):
                yield replace(unit, entry=e)


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


def _seconds(rounds: list[Folder]) -> float | None:
    """All rounds' time; None when one was interrupted, since its first part is not known."""
    found = [read_json(place, SECONDS) if place.exists(SECONDS) else None for place in rounds]
    known = [spent for spent in found if spent is not None]
    return float(sum(known)) if len(known) == len(found) else None


def _report(
    tally: Tally,
    wanted: Wanted,
    names: list[str],
    classes: tuple[str, ...],
    seconds: float | None,
) -> Summary:
    """What came of each class and generator, and what an accepted image cost.

    Intervals are given of one generator's images of one class, which have a share to speak of; they
    hold for all at once although the end depends on what was drawn.
    """
    low_EK, high_EK = all_bounds(tally)
    lost_EK = high_EK < wanted.floor
    second_a_draw = None if seconds is None else seconds / max(int(tally.drawn_EK.sum()), 1)

    def cost(generators: slice, labels: slice) -> Summary:
        where = (generators, labels)
        drawn, accepted = int(tally.drawn_EK[where].sum()), int(tally.accepted_EK[where].sum())
        each = drawn / accepted if accepted else None
        found: Summary = {
            "drawn": drawn,
            "accepted": accepted,
            "draws_an_accepted": each,
            "seconds_an_accepted": each * second_a_draw if each and second_a_draw else None,
        }
        if low_EK[where].size == 1:
            ends = high_EK[where].item(), low_EK[where].item()
            found["interval"] = [1 / end if end else None for end in ends]
        return found

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
        total: Counter[str] = Counter()
        for one in counts:
            total.update(one)  # zeros stay: they say what kinds there are
        return dict(sorted(total.items()))

    names = sorted({name for one in found for name in one.by_class})
    return Totals(
        units=sum(one.units for one in found),
        read=sum(one.read for one in found),
        outcomes=added([one.outcomes for one in found]),
        reasons=added([one.reasons for one in found]),
        by_class={name: added([one.by_class.get(name, {}) for one in found]) for name in names},
    )
