"""`python -m rayqc.config > docs/settings.md`: every setting, its default and its meaning."""

from __future__ import annotations

import sys
from typing import Any

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from rayqc.config.base import Data
from rayqc.config.evaluation import Accuracy, DataSet, Detection, Evaluation
from rayqc.config.pool import Augment, Code, Exported, Files, Gan, Latent
from rayqc.config.settings import (
    Classify,
    Encoder,
    Filter,
    Image,
    References,
    Regions,
    Resources,
)

SECTIONS: dict[str, type[BaseModel]] = {
    "references": References,
    "test": Data,
    "pool: entries of kind augment": Augment,
    "pool: entries of kind gan": Gan,
    "pool: entries of kind vae": Latent,
    "pool: entries of kind python": Code,
    "pool: entries of kind exported": Exported,
    "pool: entries of images that are there": Files,
    "image": Image,
    "encoder": Encoder,
    "regions": Regions,
    "filter": Filter,
    "classify": Classify,
    "resources": Resources,
    "of `rayqc evaluate`": Evaluation,
    "of `rayqc evaluate`, data: entries": DataSet,
    "of `rayqc evaluate`, detection": Detection,
    "of `rayqc evaluate`, accuracy": Accuracy,
}

HEAD = """# Settings

Made by `python -m rayqc.config > docs/settings.md`; a test holds it to the code. Settings are YAML;
any of them can be given as `--set section.key=value`, entries of lists by number (`pool.0.policy`).
`seed` (default 0) seeds everything that has no seed of its own. Only `references` has no default.
"""


def as_markdown() -> str:
    """All settings as one Markdown page."""
    return HEAD + "".join(_section(name, kind) for name, kind in SECTIONS.items())


def _section(name: str, kind: type[BaseModel]) -> str:
    rows = "".join(_row(key, field) for key, field in kind.model_fields.items())
    return f"\n## {name}\n\n{kind.__doc__}\n\n| key | default | what |\n|---|---|---|\n{rows}"


def _row(key: str, field: FieldInfo) -> str:
    what = " ".join((field.description or "").split()).replace("|", "\\|")
    return f"| `{key}` | {_default(field.default)} | {what} |\n"


def _default(value: Any) -> str:
    if value is PydanticUndefined:
        return "required"
    if isinstance(value, BaseModel):
        return "see below"
    if isinstance(value, list) and value and isinstance(value[0], BaseModel):
        return "the bundled digits"
    text = yaml.safe_dump(value, default_flow_style=True).replace("\n...", "").strip()
    return f"`{text}`"


if __name__ == "__main__":
    sys.stdout.write(as_markdown())
