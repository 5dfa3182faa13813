"""rayqc: filter synthetic training images by what the few real ones look like.

    import rayqc

    config = rayqc.load_config("jobs/mnist.yaml", ["encoder.steps=500"])
    result = rayqc.run(config, "runs/mnist")
    rayqc.filter_pool("runs/mnist", pool="gan/*.parquet", out="kept")

Importing the package loads neither Ray nor torch; the first call loads them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from rayqc.imports import no_collection

if TYPE_CHECKING:
    from rayqc.api.cluster import doctor as doctor
    from rayqc.api.cluster import submit as submit
    from rayqc.api.exported import export as export
    from rayqc.api.exported import hf_dataset as hf_dataset
    from rayqc.api.exported import torch_dataset as torch_dataset
    from rayqc.api.judged import inspect as inspect
    from rayqc.api.judged import refilter as refilter
    from rayqc.api.judged import write_report as write_report
    from rayqc.api.listed import list_images as list_images
    from rayqc.api.planned import plan as plan
    from rayqc.api.pools import filter_pool as filter_pool
    from rayqc.api.pools import generate_until as generate_until
    from rayqc.api.runs import classify as classify
    from rayqc.api.runs import demo as demo
    from rayqc.api.runs import filter as filter
    from rayqc.api.runs import fit as fit
    from rayqc.api.runs import generate as generate
    from rayqc.api.runs import run as run
    from rayqc.api.runs import train as train
    from rayqc.api.selected import select as select
    from rayqc.api.selected import worth as worth
    from rayqc.api.tools import check as check
    from rayqc.api.tools import clean as clean
    from rayqc.api.tools import explain as explain
    from rayqc.api.tools import init as init
    from rayqc.api.tools import status as status
    from rayqc.config import Config as Config
    from rayqc.config import load_evaluation as load_evaluation
    from rayqc.errors import RayqcError as RayqcError
    from rayqc.errors import UserError as UserError
    from rayqc.experiments.evaluate import evaluate as evaluate
    from rayqc.pipeline.settings import load_config as load_config
    from rayqc.pipeline.settings import make_config as make_config
    from rayqc.progress import Progress as Progress

_MODULE_BY_NAME = {
    "Config": "pipeline.settings",
    "load_config": "pipeline.settings",
    "load_evaluation": "config",
    "make_config": "pipeline.settings",
    "RayqcError": "errors",
    "UserError": "errors",
    "Progress": "progress",
    "check": "api.tools",
    "classify": "api.runs",
    "clean": "api.tools",
    "evaluate": "experiments.evaluate",
    "explain": "api.tools",
    "export": "api.exported",
    "demo": "api.runs",
    "doctor": "api.cluster",
    "filter": "api.runs",
    "filter_pool": "api.pools",
    "fit": "api.runs",
    "generate": "api.runs",
    "generate_until": "api.pools",
    "hf_dataset": "api.exported",
    "init": "api.tools",
    "inspect": "api.judged",
    "write_report": "api.judged",
    "select": "api.selected",
    "list_images": "api.listed",
    "refilter": "api.judged",
    "plan": "api.planned",
    "run": "api.runs",
    "status": "api.tools",
    "submit": "api.cluster",
    "torch_dataset": "api.exported",
    "train": "api.runs",
    "worth": "api.selected",
}

__all__ = list(_MODULE_BY_NAME)


def __getattr__(name: str) -> Any:
    if name not in _MODULE_BY_NAME:
        raise AttributeError(f"module 'rayqc' has no attribute {name!r}")
    if _MODULE_BY_NAME[name].startswith(("api.", "experiments.")):
        from rayqc.progress import speak  # noqa: PLC0415

        speak()
    with no_collection():
        return getattr(importlib.import_module(f"rayqc.{_MODULE_BY_NAME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
