"""Class names as sources give them: strings, none blank, none twice."""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from rayqc.errors import InputError
from rayqc.sources.listing import is_text

MOST_NAMED = 8
"""Classes that an error names, at most."""
MOST_NUMBERED = 100_000
"""Most classes without names. A label of this or more is taken for a mistake."""


def checked_classes(names: Iterable[object], where: str) -> tuple[str, ...]:
    """The names as a tuple, unchanged.

    Raises:
        InputError: a name is not a string, is blank, is not UTF-8, or occurs twice.
    """
    class_names = []
    for name in names:
        if not isinstance(name, str) or not name.strip() or not is_text(name):
            raise InputError(
                f"{where}: found class name {name!r}; expected strings that are not blank"
            )
        class_names.append(name)
    counts = Counter(map(normalised, class_names))
    repeated = [name for name in class_names if counts[normalised(name)] > 1]
    if len({*repeated}) > 1:
        raise InputError(
            f"{where}: found class names {repeated[0]!a} and {repeated[1]!a}, which differ "
            "in Unicode normalisation only and so are one name; rename or join them"
        )
    if repeated:
        raise InputError(
            f"{where}: found class name {repeated[0]!r} more than once; classes are matched by "
            "name, so give each its own"
        )
    return tuple(class_names)


def normalised(name: str) -> str:
    """The name in Unicode form NFC: macOS and its zips write letters and accents apart (NFD)."""
    return unicodedata.normalize("NFC", name)


def labels_of(names: Iterable[str], classes: tuple[str, ...]) -> list[int | None]:
    """The label that each class name has among `classes`; None where it is none of them.

    Names match in any Unicode form; case and spaces count.
    """
    label_by_name = {normalised(name): label for label, name in enumerate(classes)}
    return [label_by_name.get(normalised(name)) for name in names]


def described(names: Iterable[str], classes: tuple[str, ...] = ()) -> str:
    """At most `MOST_NAMED` class names and the number of the others, for errors.

    Args:
        classes: names that each may have been meant to be; one that differs in case, spaces and
            marks between words only is said.
    """
    likely = {_bare(name): name for name in classes}
    every = list(names)
    shown = []
    for name in every[:MOST_NAMED]:
        meant = likely.get(_bare(name))
        shown.append(name if meant is None else f"{name!r} (there is {meant!r})")
    rest = len(every) - len(shown)
    return ", ".join(shown) + (f" and {rest:,} more" if rest else "")


def _bare(name: str) -> str:
    return re.sub(r"[\s_-]+", "", normalised(name).casefold())


def numbered_classes(largest: int, where: str) -> tuple[str, ...]:
    """Names `0`, `1`, ... up to the largest label, where nothing names the classes.

    Raises:
        InputError: the label is `MOST_NUMBERED` or more.
    """
    if largest >= MOST_NUMBERED:
        raise InputError(
            f"{where}: found label {largest:,}; expected 0 to {MOST_NUMBERED - 1:,} where labels "
            "count classes without names"
        )
    return tuple(str(number) for number in range(largest + 1))


def classes_in_metadata(schema: pa.Schema, column: str, where: str) -> tuple[str, ...] | None:
    """Class names of a ClassLabel column, from Hugging Face metadata; None where it has none.

    Raises:
        InputError: the metadata is not what Hugging Face writes, or `checked_classes` refuses the
            names.
    """
    raw = (schema.metadata or {}).get(b"huggingface")
    if raw is None:
        return None
    try:
        node: Any = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: its Hugging Face metadata is not JSON: {error}") from error
    for key in ("info", "features", column, "names"):
        if not isinstance(node, dict):
            raise InputError(
                f"{where}: its Hugging Face metadata holds no object where {key!r} is looked up; "
                "expected info.features.COLUMN.names"
            )
        node = node.get(key)
        if node is None:
            return None
    if not isinstance(node, list):
        raise InputError(
            f"{where}: found class names of type {type(node).__name__}, expected a list of strings"
        )
    return checked_classes(node, where) or None
