"""What a run was made with: Python, machine and packages."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from typing import TypedDict

from rayqc.version import __version__

PACKAGES = (
    "ray",
    "torch",
    "torchvision",
    "pyarrow",
    "numpy",
    "pillow",
    "imagecodecs",
    "simplejpeg",
)


class Environment(TypedDict):
    """What `env.json` holds."""

    python: str
    platform: str
    cpus: int | None
    packages: dict[str, str]


def environment() -> Environment:
    """Versions, platform and CPUs of the driver's machine."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "packages": {"rayqc": __version__} | {name: version(name) for name in PACKAGES},
    }
