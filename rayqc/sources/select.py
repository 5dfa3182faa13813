"""Draw reference images of every class; equal seeds draw equal images."""

from __future__ import annotations

import logging
from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rayqc.errors import InputError, TooFewReferencesError
from rayqc.schema import LATENT, candidate_table
from rayqc.sources.base import Source
from rayqc.sources.classes import described, labels_of
from rayqc.sources.problems import refuse_problems
from rayqc.units import READ_AT_ONCE, number

logger = logging.getLogger(__name__)


def select_references(
    source: Source, per_class: int | None, seed: int, max_bytes: int | None = None
) -> pa.Table:
    """Up to `per_class` images of each class, drawn without replacement, in the source's order.

    The table's classes are those of the source that have images.

    Which images of a class are drawn depends only on the seed, the class's index and the source's
    order, not on the other classes.

    Raises:
        TooFewReferencesError: no image has a label.
        InputError: a drawn image cannot be read or has more than `max_bytes` bytes, or a label
            has no class.
    """
    units = source.units(READ_AT_ONCE)
    labels = [source.labels(unit) for unit in units]
    label_N = np.concatenate(labels) if labels else np.zeros(0, np.int64)
    refuse_unnamed(label_N, source.classes)
    _warn_unlabelled(int(np.sum(label_N < 0)))
    drawn_rows = _draw_rows(label_N, source.classes, per_class, seed)
    tables = []
    first = 0
    for unit, unit_labels in zip(units, labels, strict=True):
        unit_rows = (
            drawn_rows[(drawn_rows >= first) & (drawn_rows < first + len(unit_labels))] - first
        )
        first += len(unit_labels)
        if unit_rows.size:
            tables.append(refuse_problems(source.read(unit, max_bytes).take(pa.array(unit_rows))))
    return of_present_classes(pa.concat_tables(tables), source.classes)


def read_all(source: Source, most: int | None = None, max_bytes: int | None = None) -> pa.Table:
    """All images, or at most `most` evenly spaced ones; images without a label are left out.

    Raises:
        InputError: an image cannot be read or has more than `max_bytes` bytes, or a label has no
            class.
    """
    tables, left_out = [], 0
    for unit in number(source.units(READ_AT_ONCE), most):
        table = source.read(unit, max_bytes)
        labelled = table.filter(pc.greater_equal(table["label"], 0))
        left_out += table.num_rows - labelled.num_rows
        tables.append(refuse_problems(labelled))
        refuse_unnamed(np.asarray(labelled["label"]), source.classes)
    _warn_unlabelled(left_out)
    return pa.concat_tables(tables)


def _warn_unlabelled(count: int) -> None:
    if count:
        logger.warning("left out %d images without a label", count)


def refuse_unnamed(label_N: np.ndarray, classes: tuple[str, ...]) -> None:
    """Refuse labels beyond the classes.

    Raises:
        InputError: there are some.
    """
    beyond_N = label_N[label_N >= len(classes)]
    if beyond_N.size:
        raise InputError(
            f"found {beyond_N.size} real images with labels that have no class, {beyond_N[0]} "
            f"first; expected 0 to {len(classes) - 1}, one of {described(classes)}"
        )


def _draw_rows(
    label_N: np.ndarray, classes: tuple[str, ...], per_class: int | None, seed: int
) -> np.ndarray:
    drawn = []
    for k, name in enumerate(classes):
        rows = np.flatnonzero(label_N == k)
        if not rows.size:
            continue
        if per_class is not None and per_class < rows.size:
            rows = np.random.default_rng([seed, k]).choice(rows, per_class, replace=False)
        elif per_class is not None and rows.size < per_class:
            logger.warning("class %s has %d images, asked for %d", name, rows.size, per_class)
        if rows.size < 3:
            logger.warning(
                "class %s has only %d reference images: its radius rests on as few distances, "
                "and a fresh real image falls outside more often than not; give it 3 or more",
                name,
                rows.size,
            )
        drawn.append(rows)
    if not drawn:
        raise no_references(classes)
    return np.sort(np.concatenate(drawn))


def no_references(classes: tuple[str, ...]) -> TooFewReferencesError:
    """The error where no image has a label of any class."""
    return TooFewReferencesError(
        f"no reference images: found none with a label of the {len(classes)} classes "
        f"{described(classes)}"
    )


def of_present_classes(references: pa.Table, classes: tuple[str, ...]) -> pa.Table:
    """The references, with the classes that have any: a part of a data set may name them all."""
    label_N = np.asarray(references["label"])
    present = np.unique(label_N)
    if present.size == len(classes):
        return references
    absent = [classes[k] for k in np.setdiff1d(np.arange(len(classes)), present)]
    logger.warning(
        "references: %d of %d named classes have images and are the classes; none of %s",
        present.size,
        len(classes),
        described(absent),
    )
    present_classes = tuple(classes[k] for k in present)
    table = candidate_table(
        present_classes,
        ids=references["id"],
        images=references["image"],
        labels=np.searchsorted(present, label_N),
        sources=references["source"],
        parents=references["parent"],
    )
    given = LATENT in references.column_names
    return table.append_column(LATENT, references[LATENT]) if given else table


def match_labels(table: pa.Table, found: tuple[str, ...], classes: tuple[str, ...]) -> pa.Table:
    """The table with labels that index `classes` instead of `found`, matched by class name.

    Raises:
        InputError: an image is of a class that `classes` lacks.
    """
    if found == classes:
        return table
    label_N = np.asarray(table["label"])
    refuse_without_references([found[label] for label in np.unique(label_N)], classes)
    label_by_found = labels_of(found, classes)
    labels = pa.array([label_by_found[label] for label in label_N], pa.int64())
    return table.set_column(table.schema.get_field_index("label"), "label", labels)


def refuse_without_references(names: Iterable[str], classes: tuple[str, ...]) -> None:
    """Refuse test images of classes that `classes`, the references', lack.

    Raises:
        InputError: there are such classes; names the first.
    """
    every = sorted(names)
    unknown = [
        name for name, label in zip(every, labels_of(every, classes), strict=True) if label is None
    ]
    if unknown:
        raise InputError(
            f"test images of class {described(unknown, classes)} have no references; the "
            f"references' classes are {described(classes)}"
        )
