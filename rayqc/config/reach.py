"""Which stages a setting enters, read off the annotations of the settings themselves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from rayqc.config.base import Enters
from rayqc.config.pool import SETTINGS, Files


def stages_entered(config: type[BaseModel], path: str) -> tuple[str, ...]:
    """Stages whose result a setting enters: as its own annotation says, or that of its section.

    Args:
        config: the class of all settings.
        path: dotted, such as `encoder.steps` or, for a whole section, `encoder`.
    """
    stages: tuple[str, ...] = ()
    section: type[BaseModel] | None = config
    for key in path.split("."):
        field = section.model_fields.get(key) if section is not None else None
        if field is None:
            break
        own = enters(field)
        stages = stages if own is None else own
        section = section_of(field)
    return stages


def enters(field: FieldInfo) -> tuple[str, ...] | None:
    """The stages of a field's own annotation; None where it has none."""
    return next((one.stages for one in field.metadata if isinstance(one, Enters)), None)


def section_of(field: FieldInfo) -> type[BaseModel] | None:
    """The class of settings that a field holds, or may hold; None where it holds a plain value."""
    return next((kind for kind in _classes(field.annotation) if issubclass(kind, BaseModel)), None)


def _classes(annotation: Any) -> Iterator[type]:
    """The classes that an annotation names, however deep in it."""
    if isinstance(annotation, type) and not get_args(annotation):
        yield annotation
    for part in get_args(annotation):
        yield from _classes(part)


def sections(config: type[BaseModel]) -> dict[str, type[BaseModel]]:
    """The sections of settings by dotted name, those within sections and in lists included.

    A pool's entries are of several kinds, and stand there as `pool: entries of kind ...`.
    """
    found: dict[str, type[BaseModel]] = {}
    for name, field in config.model_fields.items():
        section = section_of(field)
        if section is not None and issubclass(section, Files):
            kinds = {f"{name}: entries of kind {kind}": made for kind, made in SETTINGS.items()}
            found |= {**kinds, f"{name}: entries of images that are there": Files}
        elif section is not None:
            inner = {f"{name}.{below}": kind for below, kind in sections(section).items()}
            found |= {name: section, **inner}
    return found
