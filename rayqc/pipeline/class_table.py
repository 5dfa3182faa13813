"""Which classes there are: those of references, test images and pool, compared before any work."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rayqc.errors import InputError
from rayqc.sources import Source
from rayqc.sources.classes import described, labels_of
from rayqc.sources.select import refuse_unnamed, refuse_without_references
from rayqc.tool_results import ClassCounts
from rayqc.units import Unit
from rayqc.work.match_classes import match_classes

logger = logging.getLogger(__name__)

MOST_ROWS = 20
"""Classes that the table shows."""
MOST_COUNTED = 100_000
"""Rows of a pool entry whose labels are read and counted, at most."""


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A source, its units, and what it is called in lines and errors."""

    name: str
    source: Source
    units: list[Unit]

    def rows(self) -> int:
        """Number of images."""
        return sum(unit.count() for unit in self.units)

    def counts(self, *, real: bool) -> dict[str, int]:
        """Class to number of its images; classes without images are left out.

        Args:
            real: refuse labels that have no class, instead of leaving them out.

        Raises:
            InputError: there are such labels.
        """
        labels = [self.source.labels(unit) for unit in self.units]
        label_N = np.concatenate(labels) if labels else np.zeros(0, np.int64)
        if real:
            refuse_unnamed(label_N, self.source.classes)
        named_N = (label_N >= 0) & (label_N < len(self.source.classes))
        present, counts = np.unique(label_N[named_N], return_counts=True)
        return {
            self.source.classes[label]: int(count)
            for label, count in zip(present, counts, strict=True)
        }


def compare_classes(
    references: Opened,
    test: Opened | None,
    pool: Sequence[Opened],
    per_class: int | None,
    *,
    table: bool = True,
) -> dict[str, ClassCounts]:
    """Log the table of classes, and refuse what cannot be compared.

    Args:
        pool: the entries that have files.
        per_class: references that are drawn of each class; None draws all.
        table: log the table; what is wrong is said in any case.

    Returns:
        Images of each class of the references.

    Raises:
        InputError: a label of references or test images has no class, no test image has a label,
            test images are of classes without references, or a pool entry shares no class with the
            references.
    """
    count_by_class = references.counts(real=True)
    count_by_test_class = None if test is None else test.counts(real=True)
    classes = tuple(count_by_class)
    if not classes:
        return {}  # the draw of references says what is wrong
    test_counts = None
    if test is not None and count_by_test_class is not None:
        test_counts = _test_counts(test, count_by_test_class, classes)
    if len(classes) == 1:
        logger.warning(
            "one class only, %s: whether an image is of its class cannot be judged, only how much "
            "it looks like the references",
            classes[0],
        )
    pool_counts = _pool_counts(pool, classes)
    found: dict[str, ClassCounts] = {
        name: {
            "references": min(count_by_class[name], per_class or count_by_class[name]),
            "test": None if test_counts is None else test_counts.get(label, 0),
            "pool": None if pool_counts is None else pool_counts.get(label, 0),
        }
        for label, name in enumerate(classes)
    }
    if table:
        _log_table(found)
    return found


def _log_table(found: dict[str, ClassCounts]) -> None:
    logger.info("%-32s %10s %10s %10s", "class", "references", "test", "pool")
    for name in list(found)[:MOST_ROWS]:
        cells = ("-" if count is None else f"{count:,}" for count in found[name].values())
        logger.info("%-32s %10s %10s %10s", name, *cells)
    if len(found) > MOST_ROWS:
        logger.info("and %d more classes", len(found) - MOST_ROWS)


def _test_counts(
    test: Opened, counts: dict[str, int], classes: tuple[str, ...]
) -> dict[int | None, int]:
    """Label among the references' classes to the number of test images.

    Args:
        counts: of the test's own classes.
    """
    if not counts:
        raise InputError(
            f"none of the {test.rows():,} test images has a label, as where the makers of a data "
            "set hide them, so neither coverage nor accuracy can be measured; give labelled ones, "
            "or leave `test` out and set `classify: {arms: []}`"
        )
    refuse_without_references(counts, classes)
    return dict(zip(labels_of(counts, classes), counts.values(), strict=True))


def _pool_counts(pool: Sequence[Opened], classes: tuple[str, ...]) -> dict[int | None, int] | None:
    """Label to the number of candidates on disk; None where there are none or too many to count."""
    totals: dict[int | None, int] = {}
    counted = bool(pool)
    for entry in pool:
        match_classes(entry.source, "", classes)
        if entry.rows() > MOST_COUNTED:
            counted, names = False, list(entry.source.classes)
        else:
            counts = entry.counts(real=False)
            names = list(counts)
            for label, count in zip(labels_of(names, classes), counts.values(), strict=True):
                totals[label] = totals.get(label, 0) + count
        labels = labels_of(names, classes)
        unknown = [name for name, label in zip(names, labels, strict=True) if label is None]
        if unknown:
            logger.warning(
                "pool entry %s: no references of class %s; images of theirs become errors, reason "
                "unknown_class",
                entry.name,
                described(unknown, classes),
            )
    return totals if counted else None
