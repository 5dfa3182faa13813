"""A dataclass of settings from the section of a configuration that has fields of the same names."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, TypeVar

from rayqc.config.base import Settings

Made = TypeVar("Made")


def settings_from(kind: type[Made], section: Settings, **others: Any) -> Made:
    """A dataclass of settings whose fields are a section's fields of the same names.

    Args:
        kind: the dataclass.
        section: has a field for each of its fields that is not among `others`.
        others: fields that the section has not, or has in another form.
    """
    names = [field.name for field in fields(kind) if field.name not in others]  # type: ignore[arg-type]
    return kind(**{name: getattr(section, name) for name in names}, **others)
