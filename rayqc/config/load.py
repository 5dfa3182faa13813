"""Read settings from YAML with dotted overrides (`encoder.steps=500`), and write them back."""

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

AnySettings = TypeVar("AnySettings", bound=Settings)

PLAIN_TYPES = ("bool", "float", "int", "str")
"""Names that pydantic gives a union's members, besides those that no setting can have."""


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
    """Settings of an evaluation, read as `load_config` does; the defaults without a path."""
    text = "{}" if path is None else _read(path)
    return _validated(Evaluation, _tree(text, overrides, path or ""), path or "evaluation")


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ConfigError(f"there is no file {path} to read settings from") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text: {error}; save it as UTF-8") from error
    except OSError as error:
        raise ConfigError(f"cannot read configuration {path}: {error}") from error


def parse_config(
    text: str,
    overrides: list[str] | tuple[str, ...] = (),
    origin: str = "",
    kind: type[Config] = Config,
) -> Config:
    """Settings from YAML text; `origin` names it in errors."""
    said = f"{origin} with --set {' --set '.join(overrides)}" if overrides else origin
    return make_config(_tree(text, overrides, origin), said, kind)


class _NoKeyTwice(yaml.SafeLoader):
    """Reads YAML as `safe_load` does, and refuses a key that stands twice, which that drops."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """See `yaml.composer.Composer`; here, since merged keys (`<<`) are among them later on."""
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        line_by_key: dict[str, int] = {}
        for key_node, _ in node.value:
            key, line = str(key_node.value), key_node.start_mark.line + 1
            if key in line_by_key:
                raise yaml.YAMLError(
                    f"`{key}` stands twice, in lines {line_by_key[key]} and {line}; put what "
                    "belongs to it in one place"
                )
            line_by_key[key] = line
        return node


def _tree(text: str, overrides: list[str] | tuple[str, ...], origin: str) -> dict[str, Any]:
    try:
        tree = yaml.load(text, _NoKeyTwice)
    except yaml.YAMLError as error:
        raise ConfigError(f"{origin} is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(tree, dict):
        raise ConfigError(
            f"{origin}: expected settings as `key: value`, found {type(tree).__name__}"
        )
    for override in overrides:
        _apply_override(tree, override)
    return tree


def make_config(
    tree: dict[str, Any], origin: str = "configuration", kind: type[Config] = Config
) -> Config:
    """Settings from nested dictionaries; one `ConfigError` names all that is wrong."""
    return _validated(kind, tree, origin)


def _validated(kind: type[AnySettings], tree: dict[str, Any], origin: str) -> AnySettings:
    try:
        return kind.model_validate(tree)
    except ValidationError as error:
        error_lines = [_error_line(dict(details), kind) for details in error.errors()]
        raise ConfigError(f"{origin}: " + "; ".join(dict.fromkeys(error_lines))) from error


def dump_config(config: Config) -> str:
    """All settings as YAML, with their defaults."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def differences(old: Any, new: Any, path: str = "") -> list[str]:
    """Dotted paths at which two settings trees differ, each with both values."""
    if isinstance(old, dict) and isinstance(new, dict):
        changes: list[str] = []
        for key in dict.fromkeys([*old, *new]):
            key_path = f"{path}.{key}" if path else str(key)
            changes += differences(old.get(key), new.get(key), key_path)
        return changes
    return [] if old == new else [f"{path}: {old!r} -> {new!r}"]


def _apply_override(tree: dict[str, Any], override: str) -> None:
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


def _error_line(details: dict[str, Any], kind: type[BaseModel]) -> str:
    """One of pydantic's errors as a line in this project's words."""
    # pydantic adds names and types of a union's members to the path.
    keys = [key for key in map(str, details["loc"]) if key.isdecimal() or _is_setting(key)]
    path = ".".join(keys) or "settings"
    message = str(details["msg"]).removeprefix("Value error, ")
    if details["type"] == "extra_forbidden":
        like = _setting_like(keys, kind)
        hint = f"; did you mean `{like}`?" if like else ""
        return f"unknown setting `{path}`{hint}"
    if details["type"] == "missing":
        return f"setting `{path}` is missing"
    if isinstance(details.get("input"), dict | list):
        return f"`{path}`: {message}"
    return f"`{path}`: {message}, found {details.get('input')!r}"


def _is_setting(key: str) -> bool:
    return key.isidentifier() and key.islower() and key not in PLAIN_TYPES


def _setting_like(keys: list[str], kind: type[BaseModel]) -> str | None:
    """What an unknown setting most likely means: the same name elsewhere, or one of its section."""
    inside = ".".join(key for key in keys[:-1] if not key.isdecimal())
    own: list[str] = []
    elsewhere: list[str] = []
    for section, settings in {"": kind, **sections(kind)}.items():
        if section.partition(":")[0] == inside:
            own += settings.model_fields
        elif keys[-1] in settings.model_fields and section and ":" not in section:
            elsewhere.append(f"{section}.{keys[-1]}")
    prefix = f"{inside}." if inside else ""
    close = difflib.get_close_matches(keys[-1], own, n=1)
    like = elsewhere or [f"{prefix}{name}" for name in close]
    return "` or `".join(like) or None
