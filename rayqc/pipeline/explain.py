"""What a setting means, its default, and which stages it changes, from the settings' classes."""

from __future__ import annotations

import difflib
from typing import Any

import yaml
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from rayqc.config.reach import enters, sections
from rayqc.errors import ConfigError
from rayqc.kinds import STAGES
from rayqc.pipeline.settings import RunConfig
from rayqc.tool_results import SettingFacts


def explained(key: str) -> list[SettingFacts]:
    """The settings of a name: `encoder.steps`, a section `encoder`, or `steps` in all of them.

    Raises:
        ConfigError: there is none; says which are most like it.
    """
    every = _every()
    asked = key.strip().strip(".")
    found = [facts for facts in every if facts["name"] == asked]
    found = found or [f for f in every if f["name"].startswith((f"{asked}.", f"{asked}: "))]
    found = found or [f for f in every if f["name"].rpartition(".")[2] == asked]
    if found:
        return found
    names = [facts["name"] for facts in every]
    like = difflib.get_close_matches(asked, names, 3) or difflib.get_close_matches(
        asked, {name.rpartition(".")[2] for name in names}, 3
    )
    tops = (name.partition(".")[0].partition(":")[0] for name in names if "." in name)
    sections = ", ".join(dict.fromkeys(tops))
    hint = f"; did you mean {' or '.join(like)}?" if like else f"; there are sections {sections}"
    raise ConfigError(f"no setting {key!r}{hint}")


def _every() -> list[SettingFacts]:
    found: list[SettingFacts] = []
    by_section: dict[str, type[BaseModel]] = {"": RunConfig, **sections(RunConfig)}
    for section, settings in by_section.items():
        top = section.partition(":")[0].partition(".")[0]
        of_section = enters(RunConfig.model_fields[top]) or () if top else ()
        for key, field in settings.model_fields.items():
            name = f"{section}.{key}" if section else key
            if name in by_section or any(other.startswith(f"{name}:") for other in by_section):
                continue
            own = enters(field)
            found.append(
                {
                    "name": name,
                    "default": default_words(field.default),
                    "changes": stage_words(of_section if own is None else own),
                    "means": " ".join((field.description or "").split()),
                }
            )
    return found


def stage_words(names: tuple[str, ...]) -> str:
    """Names of stages, or one word for all or none of them."""
    if not names:
        return "nothing"
    return "all" if set(names) >= set(STAGES.names) else ", ".join(names)


def default_words(value: Any) -> str:
    """A default as YAML in one line."""
    if value is PydanticUndefined:
        return "required"
    if isinstance(value, BaseModel):
        return "see below"
    if isinstance(value, list) and value and isinstance(value[0], BaseModel):
        value = [one.model_dump(mode="json", exclude_unset=True) for one in value]
    return yaml.safe_dump(value, default_flow_style=True, width=1000).replace("\n...", "").strip()
