"""Code that a setting names as `package.module:Name`."""

from __future__ import annotations

import hashlib
import importlib
import inspect
from pathlib import Path
from typing import Any

from rayqc.errors import ConfigError


def load_target(target: str) -> Any:
    """The object that `package.module:Name` names.

    Raises:
        ConfigError: no such module or name.
    """
    module, colon, name = target.partition(":")
    if not colon or not name:
        raise ConfigError(f"expected package.module:Name, found {target!r}")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"cannot load {target}: {error}") from error


def source_digest(target: str) -> str:
    """SHA-256 of the file that defines a target, to tell its versions apart.

    Raises:
        ConfigError: no such module or name.
    """
    file = inspect.getsourcefile(load_target(target))
    return hashlib.sha256(Path(file).read_bytes() if file else b"").hexdigest()
