"""Draw from a run's generators, round by round, until so many are accepted of every class.

Each round is a filter of its own below `rounds/`, with plan, commits and `_SUCCESS`. The rounds
before it decide what a round draws, so a stopped command resumes where it stopped. When all rounds
are done, one manifest names the files of all of them.

Shape suffixes: E generators, K classes, N images of a shard.
"""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Iterable
from dataclasses import asdict, replace
from typing import cast

import numpy as np

from rayqc.config import Gan, Generator
from rayqc.errors import InputError
from rayqc.generators.sampled import SampledSource
from rayqc.generators.steering import Tally, Wanted, next_draws
from rayqc.ledger.manifest import is_finished, load_files, publish_all
from rayqc.ledger.plan import LEDGER, REPORT, ROUNDS, SECONDS, Work, claim
from rayqc.pipeline.draw_report import draw_report, merged_files, merged_totals, seconds_of
from rayqc.pipeline.generators import (
    made_of,
    on_devices,
    own_sources,
    refuse_unnamed,
    train_generators,
)
from rayqc.pipeline.judging import judge_sources
from rayqc.pipeline.outputs import facts_of, write_outputs
from rayqc.pipeline.pool import statistics_of
from rayqc.pipeline.run import Run
from rayqc.pipeline.unit_size import unit_rows
from rayqc.regions.statistic_choice import StatisticChoice
from rayqc.results import UntilResult
from rayqc.storage import Folder, read_json, read_table, write_json
from rayqc.units import Unit, number
from rayqc.verdicts import ACCEPTED
from rayqc.work.match_classes import match_classes

logger = logging.getLogger(__name__)

Entries = dict[str, Generator]
"""Pool entries that make images of a class on demand, by name."""


def draw_until(run: Run, target: Folder, wanted: Wanted) -> UntilResult:
    """Draw until full, as `rayqc.generate_until` describes; needs a Ray session.

    Raises:
        InputError: the run has no generator to draw from.
        UntrustedCodeError: a generator is code that the user did not name.
        ConflictError: `target` holds draws made with other settings.
    """
    entries: Entries = {
        name: entry
        for name, entry in zip(run.config.pool_names(), run.config.pool, strict=True)
        if isinstance(entry, Generator)
    }
    if not entries:
        raise InputError(
            f"{run.folder} has no generator to draw from: its pool names no entry of kind gan, "
            "vae, python or exported; start a run with one"
        )
    refuse_unnamed(run)
    run = _for_rounds(run)
    statistic_by_entry = statistics_of(run).by_entry
    statistics = StatisticChoice(by_entry={name: statistic_by_entry[name] for name in entries})
    claim(target, _work(run, entries, wanted, statistics))
    if is_finished(target):
        logger.info("%s: done before, nothing to do", target)
        return cast("UntilResult", read_json(target, REPORT))
    train_generators(run)
    sources, classes = _sources(run), run.regions.regions.classes
    tally, rounds = _draw_rounds(run, target, wanted, entries, sources, statistics)
    report = draw_report(tally, wanted, [*entries], classes, seconds_of(rounds), len(rounds))
    write_json(target, REPORT, report)
    totals = merged_totals(rounds)
    publish_all(target, totals, merged_files(rounds))
    coverage = run.config.regions.coverage
    write_outputs(run, target, totals, facts_of(run, target), coverage=coverage, own=False)
    return report


def _work(run: Run, entries: Entries, wanted: Wanted, statistics: StatisticChoice) -> Work:
    """All that decides the draws, as the ledger records it."""
    # This runs before GANs are trained, so a GAN is identified by what it will be made of.
    identities = {
        source.name: made_of(run, entry) if isinstance(entry, Gan) else source.fingerprint
        for source, entry in zip(_sources(run), entries.values(), strict=True)
    }
    return {
        "stage": "until",
        "wanted": asdict(wanted),
        "generators": identities,
        "shares": {name: entry.share for name, entry in entries.items()},
        "encoder_digest": run.encoder.digest,
        "regions_digest": run.regions.digest,
        "statistics": asdict(statistics),
        "keep_rejected": run.config.filter.keep_rejected,
        "keep_pool": run.config.filter.keep_pool,
    }


def _draw_rounds(
    run: Run,
    target: Folder,
    wanted: Wanted,
    entries: Entries,
    sources: list[SampledSource],
    statistics: StatisticChoice,
) -> tuple[Tally, list[Folder]]:
    """Draw rounds until nothing is left to draw; rounds that are finished are only counted."""
    classes = run.regions.regions.classes
    share_E = np.array([entry.share for entry in entries.values()])
    batch_E = np.array([source.batch for source in sources])
    zero_EK = np.zeros((len(sources), len(classes)), np.int64)
    tally = Tally(drawn_EK=zero_EK, accepted_EK=zero_EK)
    rounds: list[Folder] = []
    for round_number in itertools.count():
        draws_EK = next_draws(tally, wanted, share_E, batch_E)
        if not draws_EK.any():
            break
        folder = target.sub(f"{ROUNDS}/{round_number:04d}")
        if not is_finished(folder):
            started, is_new = time.monotonic(), not folder.exists(LEDGER)
            rows = unit_rows(run.config.filter, run.encoder.input, int(draws_EK.sum()))
            planned_units = _units(sources, tally, draws_EK, rows)
            pools = [match_classes(source, "", classes) for source in sources]
            judge_sources(run, folder, pools, number(planned_units, None), statistics)
            write_json(folder, SECONDS, time.monotonic() - started if is_new else None)
        rounds.append(folder)
        tally += _tally_of(folder, [*entries], len(classes))
        logger.info(
            "round %d: %s drawn, %s accepted so far; %d of %d classes full",
            round_number + 1,
            f"{tally.drawn_EK.sum():,}",
            f"{tally.accepted_EK.sum():,}",
            int((tally.accepted_EK.sum(0) >= wanted.until).sum()),
            len(classes),
        )
    return tally, rounds


def _for_rounds(run: Run) -> Run:
    """The run with the settings of a round: limits of its own pool do not hold for rounds."""
    # The accepted images are for training, so they are written in any case.
    keep_pool = run.config.filter.keep_pool
    return run.with_filter(
        limit=None,
        max_accepted_per_class=None,
        keep_pool=ACCEPTED if keep_pool == "none" else keep_pool,
    )


def _sources(run: Run) -> list[SampledSource]:
    """The run's generators that make images of a class on demand, in the pool's order."""
    own = on_devices(own_sources(run), run)
    return [source for source in own.values() if isinstance(source, SampledSource)]


def _units(
    sources: list[SampledSource], tally: Tally, draws_EK: np.ndarray, rows: int
) -> Iterable[Unit]:
    """The next candidates of each generator and class."""
    for e, source in enumerate(sources):
        for k, start in enumerate(tally.drawn_EK[e].tolist()):
            for unit in source.units_of(k, start, start + int(draws_EK[e, k]), rows):
                yield replace(unit, entry=e)


def _tally_of(folder: Folder, entry_names: list[str], class_count: int) -> Tally:
    """How many images a round drew and accepted, counted from its scores."""
    drawn_EK, accepted_EK = (np.zeros((len(entry_names), class_count), np.int64) for _ in range(2))
    for part in load_files(folder)["scores"]:
        table = read_table(folder, part.path, columns=["id", "label", "verdict"])
        entry_N = np.array(
            [entry_names.index(id_.rpartition("/")[0]) for id_ in table["id"].to_pylist()]
        )
        label_N = np.asarray(table["label"], dtype=np.int64)
        np.add.at(drawn_EK, (entry_N, label_N), 1)
        accepted_N = np.array(table["verdict"].to_pylist(), object) == ACCEPTED
        np.add.at(accepted_EK, (entry_N[accepted_N], label_N[accepted_N]), 1)
    return Tally(drawn_EK=drawn_EK, accepted_EK=accepted_EK)
