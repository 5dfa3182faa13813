"""Judge again only the images that could not be judged, and put what comes of it in their place.

They are judged as a filter of their own, in the folder `retry/` of the output. Then shards that
hold what has changed are written under new names, and a new manifest is swapped in; until it is,
the old shards stay, and a command that is stopped goes on where it stood.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rayqc.config.base import JOINT, Statistic
from rayqc.errors import ConfigError, ConflictError, InputError
from rayqc.ledger.commit import Part, write_part
from rayqc.ledger.manifest import Totals, finish, is_finished, load_files, load_totals, publish
from rayqc.ledger.plan import MANIFEST, SUCCESS, clear, load_plan, work_digest
from rayqc.pipeline.judging import judge_sources
from rayqc.pipeline.rewrite import counted, work_of
from rayqc.pipeline.run import Run
from rayqc.regions.statistic_choice import StatisticChoice
from rayqc.schema import cast_to, like_scores
from rayqc.storage import Folder, read_table
from rayqc.units import Unit
from rayqc.verdicts import ACCEPTED, ERROR, OVER_CAP, REJECTED
from rayqc.work.match_classes import PoolSource

logger = logging.getLogger(__name__)

RETRY = "retry"
"""Folder of the output in which what failed is judged again."""


def refuse_both(redo: bool, retry: bool) -> None:
    """Refuse to clear an output and to mend it at once.

    Raises:
        ConfigError: both are asked for.
    """
    if redo and retry:
        raise ConfigError(
            "--redo judges everything anew and --retry-errors only what failed; give one of them "
            "(redo=True and retry_errors=True in Python)"
        )


def retry_errors(
    run: Run,
    out: Folder,
    sources: list[PoolSource],
    units: Sequence[Unit],
    before_change: Callable[[], None] = lambda: None,
    asked: Statistic = JOINT,
) -> Totals:
    """Judge again what could not be judged in a finished output, by the statistic of the rest.

    Args:
        out: a finished filter's output.
        sources: those that it judged.
        units: of all their images as they are now; whole files, in any division.
        before_change: called once all is judged, before the output changes.
        asked: the statistic that was asked for; the default stands for that of the rest.

    Returns:
        Totals of the whole output.

    Raises:
        ConfigError: another statistic judged the rest.
        InputError: `out` is not finished, or the pool no longer holds what failed.
        ConflictError: other regions judged `out`.
    """
    if out.exists(MANIFEST) and not is_finished(out):  # an earlier retry stopped while it merged
        finish(out)
    statistics = StatisticChoice(**work_of(out, run.regions)["statistics"])
    if asked not in (JOINT, statistics.default):
        raise ConfigError(
            f"the statistic {statistics.default} judged {out}, and judges what failed there, too, "
            f"not {asked}; leave --statistic out, or judge all of it anew by {asked} with --redo"
        )
    totals = load_totals(out)
    failed = totals.outcomes.get(ERROR, 0)
    if not failed:
        logger.info("filter: no image failed, nothing to do again")
        return totals
    if OVER_CAP in totals.reasons:
        raise InputError(
            f"{out} has a cap (filter.max_accepted_per_class), which images that are judged later "
            "would pass; filter the pool again with --redo"
        )
    ids, positions = _failed(out)
    again = out.sub(RETRY)
    retried = _units_of(load_plan(out), positions, units, out)
    logger.info("filter: %d images failed and are judged again", failed)
    judge_sources(run, again, sources, retried, statistics)
    before_change()
    new_totals = _merge(out, again, ids, run.regions.regions.classes, totals)
    forget(out)
    logger.info("filter: %s", new_totals)
    return new_totals


def forget(out: Folder) -> None:
    """Delete what a retry that did not end has left in a filter's folder."""
    again = out.sub(RETRY)
    clear(again)
    again.delete(again.names())


def _failed(out: Folder) -> tuple[list[str], np.ndarray]:
    """Ids of the images that failed, and their places among all rows, in the plan's order."""
    ids: list[str] = []
    positions = []
    first = 0
    for part in load_files(out)["scores"]:
        table = read_table(out, part.path, ["id", "verdict"])
        hit_N = np.asarray(pc.equal(table["verdict"], ERROR))
        ids += table.filter(pa.array(hit_N))["id"].to_pylist()
        positions.append(first + np.flatnonzero(hit_N))
        first += table.num_rows
    return ids, np.concatenate(positions)


def _units_of(
    plan: list[Unit], positions: np.ndarray, units: Sequence[Unit], out: Folder
) -> list[Unit]:
    """Units of the rows at these places of a plan, with the files' fingerprints of today.

    Raises:
        InputError: a file is no longer there.
    """
    fingerprints = {(unit.entry, unit.path): unit.fingerprint for unit in units}
    bounds = np.cumsum([0, *(unit.count() for unit in plan)])
    found: list[Unit] = []
    numbers = np.searchsorted(bounds, positions, side="right") - 1
    for number in np.unique(numbers).tolist():
        unit = plan[number]
        if (unit.entry, unit.path) not in fingerprints:
            raise InputError(
                f"the pool no longer holds {unit.path or 'its files'}, of which {out} holds images "
                "that failed; filter the pool anew with --redo"
            )
        rows = unit.rows()[positions[numbers == number] - bounds[number]]
        for stretch in np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1):
            start, stop = int(stretch[0]), int(stretch[-1]) + 1
            found.append(
                replace(
                    unit,
                    start=start,
                    stop=stop,
                    names=unit.names[start - unit.start : stop - unit.start],
                    sample=None,
                    fingerprint=fingerprints[unit.entry, unit.path],
                )
            )
    return found


def _merge(
    out: Folder, again: Folder, ids: list[str], classes: tuple[str, ...], totals: Totals
) -> Totals:
    """Put what was judged again in place of what failed, and publish all of it."""
    files, new_files = load_files(out), load_files(again)
    retried = pa.concat_tables([read_table(again, part.path) for part in new_files["scores"]])
    if retried["id"].to_pylist() != ids:
        raise ConflictError(
            f"{out}: the rows of the pool that failed are others now; filter it anew with --redo"
        )
    mark = f"retry-{work_digest(again)[:8]}"
    parts: list[Part] = []
    tables = []
    taken = 0
    for part in files["scores"]:
        table = read_table(out, part.path)
        failed_N = np.asarray(pc.equal(table["verdict"], ERROR))
        if failed_N.any():
            here = retried.slice(taken, int(failed_N.sum()))
            taken += here.num_rows
            schema = like_scores(table.schema, classes)
            whole = pa.concat_tables([cast_to(table, schema), cast_to(here, schema)])
            place_N = np.arange(table.num_rows)
            place_N[failed_N] = table.num_rows + np.arange(here.num_rows)
            table = whole.take(pa.array(place_N))
            part = write_part(out, "scores", _named(part, mark), table)  # noqa: PLW2901
        parts.append(part)
        tables.append(table.select(["label", "verdict", "reason"]))
    for kind in (ACCEPTED, REJECTED):
        parts += files.get(kind, [])
    for kind in (ACCEPTED, REJECTED, ERROR):
        if kind not in files and kind != ERROR:
            continue  # images of this verdict are not kept
        for part in new_files.get(kind, []):
            table = read_table(again, part.path)
            if table.num_rows:
                parts.append(write_part(out, kind, _named(part, mark), table))
    new_totals = counted(tables, totals, classes)
    out.delete([SUCCESS])
    publish(out, new_totals, parts)
    return new_totals


def _named(part: Part, mark: str) -> str:
    """The file name of a part's successor."""
    stem = part.path.rpartition("/")[2].removesuffix(".parquet")
    return f"{stem.partition('-retry-')[0]}-{mark}.parquet"
