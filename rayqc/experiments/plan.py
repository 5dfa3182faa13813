"""Which draws an evaluation measures: by what, with which arguments, and under which name.

All that a kind of draw sets of its own is in its name, so that no other's records are taken for it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rayqc.config.evaluation import Evaluation
from rayqc.experiments.accuracy import measure_pool
from rayqc.experiments.detection import measure_draw
from rayqc.experiments.table3.draw import measure_paper, measure_today


@dataclass(frozen=True, kw_only=True)
class Job:
    """One draw to measure, and the name of the file that its record is written to."""

    name: str
    function: Callable[..., Any]
    data: str
    arguments: tuple[Any, ...]


def plan(settings: Evaluation) -> list[Job]:
    """All draws, by number: an evaluation that is stopped early has some of every kind."""
    jobs = [job for kind in KINDS for job in kind(settings)]
    return sorted(jobs, key=lambda job: (job.name.rpartition("-")[2], job.name))


def _detection(settings: Evaluation) -> list[Job]:
    detection = settings.detection
    if detection is None:
        return []
    return [
        Job(
            name=f"draws/detection-{data.name}-{per_class:04d}-{draw:04d}.json",
            function=measure_draw,
            data=data.name,
            arguments=(per_class, draw, detection, settings.regions),
        )
        for data in settings.data
        for per_class, count in detection.draws.items()
        for draw in (*range(detection.development), *_draws(settings, count))
    ]


def _accuracy(settings: Evaluation) -> list[Job]:
    accuracy = settings.accuracy
    if accuracy is None:
        return []
    return [
        Job(
            name=f"draws/accuracy-{data.name}-{pool}-{draw:04d}.json",
            function=measure_pool,
            data=data.name,
            arguments=(pool, draw, accuracy, settings.regions),
        )
        for data in settings.data
        for pool in accuracy.pools
        if data.gan is not None or not pool.startswith("gan")
        for draw in _draws(settings, accuracy.draws)
    ]


def _table3(settings: Evaluation) -> list[Job]:
    table3 = settings.table3
    if table3 is None:
        return []
    jobs = []
    for cell in table3.cells:
        encoder = f"{cell.encoder_width:g}-{cell.encoder_steps}"
        told = f"{cell.data}-{cell.per_class:04d}-of-{cell.pool}-{encoder}"
        asked = "".join(f"-{net.width}x{net.steps}" for net in cell.candidates or ())
        paper = f"paper-{told}-{cell.paper_steps or table3.paper.steps}"
        for count, draw in enumerate(_draws(settings, cell.draws), start=1):
            compared = cell.compared is None or count <= cell.compared
            networks = (cell.candidates or table3.candidates) if compared else []
            common = (cell, draw, table3, settings.regions)
            protocols = (
                (paper, measure_paper, common),
                (f"today-{told}{asked}", measure_today, (*common, networks)),
            )
            jobs += [
                Job(
                    name=f"draws/table3-{name}-{draw:04d}.json",
                    function=function,
                    data=cell.data,
                    arguments=arguments,
                )
                for name, function, arguments in protocols
            ]
    return jobs


def _draws(settings: Evaluation, count: int) -> range:
    """The numbers of so many draws."""
    return range(settings.first_draw, settings.first_draw + count)


KINDS: tuple[Callable[[Evaluation], list[Job]], ...] = (_detection, _accuracy, _table3)
