"""What of each class a filter accepted."""

from __future__ import annotations

import logging
from typing import Any

from rayqc.config import Config
from rayqc.ledger.plan import LEDGER
from rayqc.pipeline.artefacts import run_regions
from rayqc.regions.statistics import Statistics
from rayqc.report.acceptance import acceptance_facts, starved
from rayqc.storage import Folder, read_json

logger = logging.getLogger(__name__)

Summary = dict[str, Any]


def judge_acceptance(folder: Folder, filtered: Folder, config: Config) -> Summary:
    """What of each class was accepted and why the rest was not; starved classes are warned of."""
    statistics = Statistics(**read_json(filtered, LEDGER)["statistics"])
    fitted = run_regions(folder, config)
    count = len(fitted.neighbours.ids)
    facts = acceptance_facts(filtered, fitted.regions, statistics, count)
    for line in starved(facts):
        logger.warning(line)
    return facts
