"""The page as HTML: Jinja2 fills the template, and everything lies in the one file."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from rayqc.report.base import JudgedPool, Output
from rayqc.report.page.facts import page_facts

HERE = Path(__file__).parent
NAME = "report.html"

DATASET = """import rayqc

kept = rayqc.torch_dataset({folder!r}, transform=...)   # a torch.utils.data.Dataset
kept = rayqc.hf_dataset({folder!r})                     # a datasets.Dataset"""
EXPORT = """rayqc export {folder} --to imagefolder --out kept   # or webdataset, csv, hf"""
LIST = """rayqc list {folder} --rejected --csv rejected.csv"""


def page(pool: JudgedPool) -> str:
    """The whole page."""
    facts = page_facts(pool)
    folder = facts["folder"].removesuffix("/filtered")
    data = json.dumps(facts, allow_nan=False, separators=(",", ":"))
    script = (HERE / "page.js").read_text(encoding="utf-8")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string((HERE / "page.html").read_text(encoding="utf-8"))
    return template.render(
        facts=facts,
        errors=_errors(facts["reasons"], facts["items"]),
        has_map=any(item["place"] for item in facts["items"]),
        uses=[
            ("In a training script", DATASET.format(folder=folder)),
            ("As files", EXPORT.format(folder=folder)),
            ("What was turned away, and why", LIST.format(folder=folder)),
        ],
        css=Markup((HERE / "page.css").read_text(encoding="utf-8")),
        script=Markup(script),
        nonce=hashlib.sha256(data.encode()).hexdigest()[:16],
        data=Markup(_inert(data)),
    )


def _inert(data: str) -> str:
    """JSON that can stand in a script element: nothing in it can end the element."""
    for letter in "<>&\u2028\u2029":
        data = data.replace(letter, f"\\u{ord(letter):04x}")
    return data


def _errors(reasons: dict[str, int], items: list[dict[str, Any]]) -> dict[str, int]:
    """Reasons of images that could not be judged, to how many there are."""
    names = {item["reason"] for item in items if item["verdict"] == "error"}
    return {reason: count for reason, count in reasons.items() if reason in names}


OUTPUT = Output(make=lambda pool: page(pool).encode(), remade_at_end=True)
