"""rayqc: filter synthetic training images by what the few real ones look like.

    import rayqc

    config = rayqc.load_config("jobs/mnist.yaml", ["encoder.steps=500"])
    result = rayqc.run(config, "runs/mnist")
    rayqc.filter_pool("runs/mnist", pool="gan/*.parquet", out="kept")

Importing the package loads neither Ray nor torch; the first call does.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from rayqc.imports import no_collection

if TYPE_CHECKING:
    from rayqc.config import Config as Config
    from rayqc.config import load_config as load_config
    from rayqc.config import load_evaluation as load_evaluation
    from rayqc.config import make_config as make_config
    from rayqc.errors import RayqcError as RayqcError
    from rayqc.errors import UserError as UserError
    from rayqc.experiments.evaluate import evaluate as evaluate
    from rayqc.pipeline.commands import classify as classify
    from rayqc.pipeline.commands import demo as demo
    from rayqc.pipeline.commands import filter as filter
    from rayqc.pipeline.commands import filter_pool as filter_pool
    from rayqc.pipeline.commands import fit as fit
    from rayqc.pipeline.commands import generate as generate
    from rayqc.pipeline.commands import generate_until as generate_until
    from rayqc.pipeline.commands import run as run
    from rayqc.pipeline.commands import train as train
    from rayqc.pipeline.judged import inspect as inspect
    from rayqc.pipeline.judged import refilter as refilter
    from rayqc.pipeline.tools import check as check
    from rayqc.pipeline.tools import clean as clean
    from rayqc.pipeline.tools import doctor as doctor
    from rayqc.progress import Progress as Progress

_HOMES = {
    "Config": "config",
    "load_config": "config",
    "load_evaluation": "config",
    "make_config": "config",
    "RayqcError": "errors",
    "UserError": "errors",
    "Progress": "progress",
    "check": "pipeline.tools",
    "classify": "pipeline.commands",
    "clean": "pipeline.tools",
    "evaluate": "experiments.evaluate",
    "demo": "pipeline.commands",
    "doctor": "pipeline.tools",
    "filter": "pipeline.commands",
    "filter_pool": "pipeline.commands",
    "fit": "pipeline.commands",
    "generate": "pipeline.commands",
    "generate_until": "pipeline.commands",
    "inspect": "pipeline.judged",
    "refilter": "pipeline.judged",
    "run": "pipeline.commands",
    "train": "pipeline.commands",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'rayqc' has no attribute {name!r}")
    with no_collection():
        return getattr(importlib.import_module(f"rayqc.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
