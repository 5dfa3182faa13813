"""Class names, as sources give them: strings, none empty, none twice."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from rayqc.errors import InputError
from rayqc.sources.listing import is_text

MOST_NUMBERED = 100_000
"""Classes without names: a label beyond is taken for a mistake, not for that many classes."""


def checked_classes(names: Iterable[object], where: str) -> tuple[str, ...]:
    """The names as they are.

    Raises:
        InputError: a name is no string, or blank, or not UTF-8, or there twice.
    """
    found = []
    for name in names:
        if not isinstance(name, str) or not name.strip() or not is_text(name):
            raise InputError(
                f"{where}: found class name {name!r}; expected strings that are not blank"
            )
        found.append(name)
    twice = [name for name, count in Counter(found).items() if count > 1]
    if twice:
        raise InputError(
            f"{where}: found class name {twice[0]!r} more than once; classes are matched by name, "
            "so give each its own"
        )
    return tuple(found)


def numbered_classes(largest: int, where: str) -> tuple[str, ...]:
    """Names `0`, `1`, ... up to the largest label, where nothing names the classes.

    Raises:
        InputError: the label is too large to be one of so many classes.
    """
    if largest >= MOST_NUMBERED:
        raise InputError(
            f"{where}: found label {largest:,}; expected 0 to {MOST_NUMBERED - 1:,} where labels "
            "count classes without names"
        )
    return tuple(str(number) for number in range(largest + 1))


def classes_in_metadata(schema: pa.Schema, column: str, where: str) -> tuple[str, ...] | None:
    """Names of a ClassLabel column in Hugging Face metadata, None where there are none.

    Raises:
        InputError: the metadata is not what Hugging Face writes, or the names are no class names.
    """
    raw = (schema.metadata or {}).get(b"huggingface")
    if raw is None:
        return None
    try:
        found: Any = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: its Hugging Face metadata is not JSON: {error}") from error
    for key in ("info", "features", column, "names"):
        if not isinstance(found, dict):
            raise InputError(
                f"{where}: its Hugging Face metadata holds no object where {key!r} is looked up; "
                "expected info.features.COLUMN.names"
            )
        found = found.get(key)
        if found is None:
            return None
    if not isinstance(found, list):
        raise InputError(
            f"{where}: found class names of type {type(found).__name__}, expected a list of strings"
        )
    return checked_classes(found, where) or None
