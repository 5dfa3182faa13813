"""YAML in, dotted overrides (`encoder.steps=500`), resolved YAML out; one line a trouble."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from rayqc.config.base import Settings
from rayqc.config.evaluation import Evaluation
from rayqc.config.reach import sections
from rayqc.config.settings import Config
from rayqc.errors import ConfigError

Chosen = TypeVar("Chosen", bound=Settings)


def load_config(
    path: str, overrides: list[str] | tuple[str, ...] = (), kind: type[Config] = Config
) -> Config:
    """Read settings from a YAML file and apply `a.b=c` overrides.

    Args:
        kind: the class of all settings; one with more sections where stages have their own.

    Raises:
        ConfigError: the file is missing or not YAML, a setting is unknown or out of range.
    """
    return parse_config(_read(path), overrides, path, kind)


def load_evaluation(path: str | None, overrides: list[str] | tuple[str, ...] = ()) -> Evaluation:
    """Settings of an evaluation, as `load_config`; without a path, the defaults."""
    text = "{}" if path is None else _read(path)
    return _validated(Evaluation, _tree(text, overrides, path or ""), path or "evaluation")


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read configuration {path}: {error}") from error


def parse_config(
    text: str,
    overrides: list[str] | tuple[str, ...] = (),
    origin: str = "",
    kind: type[Config] = Config,
) -> Config:
    """Settings from YAML text; `origin` names it in errors."""
    return make_config(_tree(text, overrides, origin), origin, kind)


def _tree(text: str, overrides: list[str] | tuple[str, ...], origin: str) -> dict[str, Any]:
    try:
        tree = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{origin} is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(tree, dict):
        raise ConfigError(
            f"{origin}: expected settings as `key: value`, found {type(tree).__name__}"
        )
    for override in overrides:
        _override(tree, override)
    return tree


def make_config(
    tree: dict[str, Any], origin: str = "configuration", kind: type[Config] = Config
) -> Config:
    """Settings from nested dictionaries, all troubles in one `ConfigError`."""
    return _validated(kind, tree, origin)


def _validated(kind: type[Chosen], tree: dict[str, Any], origin: str) -> Chosen:
    try:
        return kind.model_validate(tree)
    except ValidationError as error:
        troubles = [_trouble(dict(item), kind) for item in error.errors()]
        raise ConfigError(f"{origin}: " + "; ".join(dict.fromkeys(troubles))) from error


def dump_config(config: Config) -> str:
    """All settings as YAML, defaults written out."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def differences(old: Any, new: Any, path: str = "") -> list[str]:
    """Dotted paths at which two settings trees differ, each with both values."""
    if isinstance(old, dict) and isinstance(new, dict):
        found: list[str] = []
        for key in dict.fromkeys([*old, *new]):
            below = f"{path}.{key}" if path else str(key)
            found += differences(old.get(key), new.get(key), below)
        return found
    return [] if old == new else [f"{path}: {old!r} -> {new!r}"]


def _override(tree: dict[str, Any], override: str) -> None:
    path, equals, text = override.partition("=")
    keys = path.strip().split(".")
    if not equals or not all(keys):
        raise ConfigError(f"--set {override}: expected a.b=value, such as encoder.steps=500")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {override}: {text!r} is not valid YAML") from error
    node: Any = tree
    for key in keys[:-1]:
        node = _step(node, key, override)
    if isinstance(node, list):
        node[_index(node, keys[-1], override)] = value
    else:
        node[keys[-1]] = value


def _step(node: Any, key: str, override: str) -> Any:
    if isinstance(node, list):
        return node[_index(node, key, override)]
    if node.get(key) is None:
        node[key] = {}
    if not isinstance(node[key], dict | list):
        raise ConfigError(
            f"--set {override}: `{key}` holds a plain value, nothing can stand below it"
        )
    return node[key]


def _index(node: list[Any], key: str, override: str) -> int:
    if not key.isdecimal() or int(key) >= len(node):
        raise ConfigError(
            f"--set {override}: expected an entry 0 to {len(node) - 1}, found {key!r}"
        )
    return int(key)


def _trouble(item: dict[str, Any], kind: type[BaseModel]) -> str:
    """One of pydantic's findings as a line in this project's words."""
    # A union adds its members' names and types to the path; settings are plain lower-case words.
    keys = [key for key in map(str, item["loc"]) if key.isdecimal() or _is_setting(key)]
    path = ".".join(keys) or "settings"
    message = str(item["msg"]).removeprefix("Value error, ")
    if item["type"] == "extra_forbidden":
        near = difflib.get_close_matches(keys[-1], _known_settings(kind), n=1)
        hint = f"; did you mean `{near[0]}`?" if near else ""
        return f"unknown setting `{path}`{hint}"
    if item["type"] == "missing":
        return f"setting `{path}` is missing"
    if isinstance(item.get("input"), dict | list):
        return f"`{path}`: {message}"
    return f"`{path}`: {message}, found {item.get('input')!r}"


def _is_setting(key: str) -> bool:
    return key.islower() and "[" not in key


def _known_settings(kind: type[BaseModel]) -> list[str]:
    return [name for section in (kind, *sections(kind).values()) for name in section.model_fields]
