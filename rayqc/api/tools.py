"""What a user calls besides the stages: check images, clean a folder, look at a run."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from rayqc.config import Data, parse_config
from rayqc.errors import ConflictError, InputError
from rayqc.ledger.clean import orphans, remove
from rayqc.ledger.owner import own
from rayqc.ledger.plan import LEDGER
from rayqc.live import usual_progress
from rayqc.pipeline.check import check_config, check_images
from rayqc.pipeline.explain import explained
from rayqc.pipeline.first_settings import first_settings
from rayqc.pipeline.run_folder import CONFIG
from rayqc.pipeline.settings import load_config
from rayqc.pipeline.state import state_of
from rayqc.progress import Progress
from rayqc.shown.check import checked
from rayqc.shown.commands import begun, cleaned, meant, stood
from rayqc.shown.displayed import shown_by
from rayqc.storage import Folder
from rayqc.tool_results import (
    CheckResult,
    CleanResult,
    InitResult,
    SettingFacts,
    StateResult,
)

YAML = (".yaml", ".yml")
"""Endings of files of settings."""


@shown_by(checked)
def check(
    path: str,
    *,
    overrides: tuple[str, ...] = (),
    image_column: str | None = None,
    label_column: str | None = None,
    progress: Progress | None = None,
) -> CheckResult:
    """Decode every image at a path as the filter would; say what they are and what fails.

    Args:
        path: anything a pool may be, or any folder, whose files are all taken for images. Or a
            YAML file of settings: its references, test images and pool are compared and decoded.
        overrides: settings, such as `image.max_pixels=1000000`.
        image_column: of a path, the column of images; None takes a usual name.
        label_column: of a path, the column of classes; None takes a usual name.

    Returns:
        Classes, sizes, modes and ranges of each split or section, duplicates, failures by reason
        with examples, images a second and peak memory.

    Raises:
        UserError: no images there, or a run with these settings would be refused.
    """
    if path.endswith(YAML):
        return check_config(load_config(path, overrides), progress or usual_progress())
    text = "references: {kind: bundled}"  # a configuration must name references
    settings = parse_config(text, overrides, origin="check").image
    data = Data(path=path, image_column=image_column, label_column=label_column)
    return check_images(data, settings, progress or usual_progress())


@shown_by(begun)
def init(
    folder: str,
    *,
    settings: str = "rayqc.yaml",
    pool: str | None = None,
    test: str | None = None,
) -> InitResult:
    """Look at a folder and write a commented file of settings that runs as it is.

    Args:
        folder: the references, or a folder that holds them beside a pool and test images, in
            folders named so (real, pool, test and their like).
        settings: the file to write; one that is there is left alone.
        pool: where the pool is; None looks for it in the folder, or else augments.
        test: where test images are; None looks for them in the folder and the references' splits.

    Returns:
        The file, and what was found.

    Raises:
        ConflictError: the file exists.
        InputError: no labelled images there.
    """
    place = Path(settings)
    text, found, sample = first_settings(folder, pool, test)
    if place.exists():
        raise ConflictError(f"{settings} exists already; name another file with --settings")
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.open("x", encoding="utf-8") as file:
        file.write(text)
    return {"settings": settings, "found": found, "sample": sample}


@shown_by(meant)
def explain(key: str) -> list[SettingFacts]:
    """What settings mean, their defaults, and which stages they change.

    Args:
        key: `encoder.steps`, a whole section `encoder`, or `steps` in every section.

    Raises:
        ConfigError: there is no such setting; says which are most like it.
    """
    return explained(key)


@shown_by(stood)
def status(place: str) -> StateResult:
    """Where a run, or a filter's output, stands, also while a command is at work there.

    Args:
        place: a run folder, or what `filter_pool` or `refilter` wrote.

    Returns:
        Its stages, how much of each pool is done, and who is at work.

    Raises:
        InputError: there is nothing of rayqc's.
    """
    return state_of(place)


@shown_by(cleaned)
def clean(place: str, *, dry_run: bool = False) -> CleanResult:
    """Delete files that dead attempts left in a run or a filter's output, and no committed file.

    Args:
        place: a run folder, or what `filter_pool` wrote.
        dry_run: only say what would be deleted.

    Returns:
        The files, and how many there are.

    Raises:
        InputError: `place` is neither a run nor a filter's output.
        ConflictError: another command is at work in it.
    """
    folder = Folder(place)
    is_run = folder.exists(CONFIG)
    if not is_run and not folder.exists(LEDGER):
        raise InputError(f"{folder} is neither a run (no {CONFIG}) nor a filter's output")
    files = []
    with own(folder):
        for name in ("pool", "filtered") if is_run else ("",):
            output_folder = folder.sub(name) if name else folder
            orphan_names = orphans(output_folder)
            if not dry_run:
                remove(output_folder, orphan_names)
            files += [output_folder.path(name) for name in orphan_names]
    count_key = "would_delete" if dry_run else "deleted"
    return cast("CleanResult", {count_key: len(files), "files": files})
