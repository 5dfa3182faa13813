"""Which stages a setting enters, read from the annotations of the settings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from rayqc.config.base import Enters
from rayqc.config.pool import SETTINGS, Files


def stages_entered(config: type[BaseModel], path: str) -> tuple[str, ...]:
    """Stages whose result a setting enters, by its own annotation or else its section's.

    Args:
        config: the class of all settings.
        path: of a setting, such as `encoder.steps`, or of a whole section, such as `encoder`.
    """
    stages: tuple[str, ...] = ()
    section: type[BaseModel] | None = config
    for key in path.split("."):
        field = section.model_fields.get(key) if section is not None else None
        if field is None:
            break
        own_stages = enters(field)
        stages = stages if own_stages is None else own_stages
        section = section_of(field)
    return stages


def enters(field: FieldInfo) -> tuple[str, ...] | None:
    """The stages that a field's own annotation names; None where it has none."""
    return next(
        (annotation.stages for annotation in field.metadata if isinstance(annotation, Enters)), None
    )


def section_of(field: FieldInfo) -> type[BaseModel] | None:
    """The class of settings that a field may hold; None where it holds plain values only."""
    return next((cls for cls in _classes(field.annotation) if issubclass(cls, BaseModel)), None)


def _classes(annotation: Any) -> Iterator[type]:
    """The classes that an annotation names, at any depth."""
    if isinstance(annotation, type) and not get_args(annotation):
        yield annotation
    for argument in get_args(annotation):
        yield from _classes(argument)


def sections(config: type[BaseModel]) -> dict[str, type[BaseModel]]:
    """All sections of settings by dotted name, also those in sections and in lists.

    The pool has a section for each kind of entry, named `pool: entries of kind ...`.
    """
    section_by_name: dict[str, type[BaseModel]] = {}
    for name, field in config.model_fields.items():
        section = section_of(field)
        if section is not None and issubclass(section, Files):
            kinds = {
                f"{name}: entries of kind {kind}": settings for kind, settings in SETTINGS.items()
            }
            section_by_name |= {**kinds, f"{name}: entries of images that are there": Files}
        elif section is not None:
            inner = {f"{name}.{inner_name}": kind for inner_name, kind in sections(section).items()}
            section_by_name |= {name: section, **inner}
    return section_by_name
