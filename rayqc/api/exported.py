"""What was accepted, in the layouts and data sets that training scripts read. Without Ray."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rayqc.errors import ConfigError, ConflictError, InputError
from rayqc.exports.base import CARD_PATTERN, ExportKind, ExportTask
from rayqc.exports.images import AcceptedImages
from rayqc.kinds import EXPORTS
from rayqc.ledger.commit import Part
from rayqc.ledger.judged import classes_of, judged_folder
from rayqc.ledger.manifest import load_files, load_totals
from rayqc.ledger.owner import OWNER, own, refuse_inside
from rayqc.ledger.plan import MANIFEST
from rayqc.live import usual_progress
from rayqc.progress import Progress
from rayqc.report.data_card import NAME, PATTERN, header
from rayqc.shown.commands import exported
from rayqc.shown.displayed import shown_by
from rayqc.storage import Folder, digest, read_json, read_table, write_json
from rayqc.tool_results import ExportResult
from rayqc.verdicts import ACCEPTED, VERDICTS

EXPORT = "export.json"
"""What an export is of, written first; another export into the same folder is refused."""


@shown_by(exported)
def export(
    source: str,
    out: str,
    *,
    to: str,
    verdicts: Sequence[str] = (ACCEPTED,),
    link: bool = False,
    progress: Progress | None = None,
) -> ExportResult:
    """Write judged images in a layout that training scripts read; running again goes on.

    Args:
        source: a run whose `filter` is done, or what `filter_pool` or `refilter` wrote.
        out: the folder to write; of `imagefolder` and `csv` a local one.
        to: `imagefolder`, `webdataset`, `csv` or `hf`.
        verdicts: of the images that are written.
        link: hard links to the pool's own files, where they have the same bytes and lie on the same
            file system, in place of copies. Whoever then edits one edits both.

    Returns:
        How many images were written, and how they are read in Python.

    Raises:
        InputError: nothing was judged there, or its images were not kept.
        ConfigError: no such layout, or not there.
        ConflictError: `out` holds something else.
    """
    if to not in EXPORTS.names:
        raise ConfigError(f"no layout {to!r}; there are {', '.join(EXPORTS.names)}")
    judged, target = judged_folder(source), Folder(out)
    refuse_inside(target, {"the run": Folder(source), "what was judged": judged})
    shards = _shards(judged, verdicts)
    verdicts = [verdict for verdict in VERDICTS if verdict in verdicts]
    kind: ExportKind = EXPORTS[to]
    if kind.images_a_file and not target.is_local:
        raise ConfigError(f"--to {to} writes a file for each image, to a local folder only: {out}")
    work = {"to": to, "of": digest(judged.read(MANIFEST)), "verdicts": verdicts}
    if target.exists(EXPORT):
        if read_json(target, EXPORT) != work:
            raise ConflictError(f"{out} holds another export; give this one a folder of its own")
    elif [name for name in target.names() if name != OWNER]:  # a killed export leaves its mark
        raise ConflictError(f"{out} holds files already; give the export a folder of its own")
    count = sum(shard.rows for shard in shards)
    with own(target), (progress or usual_progress()).stage("export", count) as stage:
        write_json(target, EXPORT, work)
        task = ExportTask(
            judged=judged,
            shards=tuple(shards),
            classes=classes_of(judged, shards[0]),
            out=target,
            link=link,
            card=_card(judged, verdicts, count),
            stage=stage,
        )
        read_with = kind.write(task)
    return {"images": count, "out": out, "read_with": read_with}


def torch_dataset(source: str, *, transform: Callable[[Any], Any] | None = None) -> AcceptedImages:
    """The accepted images as a map-style data set of Torch: pairs of an image and its label.

    Their encoded bytes are held in memory; images are decoded when they are asked for.

    Args:
        source: a run whose `filter` is done, or what `filter_pool` or `refilter` wrote.
        transform: takes a Pillow image, as torchvision's transforms do; None gives the image.

    Raises:
        InputError: nothing was judged there, or its images were not kept.
    """
    judged = judged_folder(source)
    shards = _shards(judged, (ACCEPTED,))
    tables = [read_table(judged, shard.path, ["image", "label"]) for shard in shards]
    return AcceptedImages(tables, classes_of(judged, shards[0]), transform)


def hf_dataset(source: str) -> Any:
    """The accepted images as a `datasets.Dataset`, with its columns of images and classes.

    Args:
        source: a local run whose `filter` is done, or what `filter_pool` or `refilter` wrote.

    Raises:
        InputError: nothing was judged there, or its images were not kept.
        ConfigError: the package `datasets` is not installed.
    """
    try:
        import datasets  # type: ignore[import-untyped]  # noqa: PLC0415  (an extra)
    except ImportError as error:
        raise ConfigError("hf_dataset needs the package datasets: pip install datasets") from error
    judged = judged_folder(source)
    paths = [judged.path(shard.path) for shard in _shards(judged, (ACCEPTED,))]
    return datasets.load_dataset("parquet", data_files=paths, split="train")


def _shards(judged: Folder, verdicts: Sequence[str]) -> list[Part]:
    unknown = set(verdicts) - set(VERDICTS)
    if unknown:
        raise ConfigError(f"no verdict {sorted(unknown)[0]!r}; there are {', '.join(VERDICTS)}")
    files, found = load_files(judged), load_totals(judged).outcomes
    kept = [verdict for verdict in VERDICTS if verdict in verdicts and verdict in files]
    lacking = [verdict for verdict in verdicts if verdict not in files and found.get(verdict)]
    if lacking or not kept:
        raise InputError(
            f"{judged} keeps no images that are {' or '.join(lacking or verdicts)}: settings "
            "filter.keep_pool and filter.keep_rejected, or --scores-only, left them out"
        )
    return [shard for verdict in kept for shard in files[verdict]]


def _card(judged: Folder, verdicts: Sequence[str], count: int) -> str:
    """The filter's own card, where the accepted images are exported and it has one."""
    if tuple(verdicts) == (ACCEPTED,) and judged.exists(NAME):
        return judged.read(NAME).decode().replace(PATTERN, CARD_PATTERN)
    return header(count, CARD_PATTERN)
