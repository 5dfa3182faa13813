"""Layout `imagefolder`: a folder of images for each class, as torchvision's ImageFolder reads."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

from rayqc.exports.base import ExportKind, ExportTask
from rayqc.exports.files import safe_name, write_files, write_list
from rayqc.printable import counted

logger = logging.getLogger(__name__)

GIF = ".gif"
LIST = "metadata.csv"
"""The list beside the folders; Hugging Face's `imagefolder` takes its columns."""


def write(task: ExportTask) -> str:
    """See `ExportKind.write`."""
    folders = [safe_name(name) for name in task.classes]
    full: set[str] = set()
    passed_over = 0

    def noted() -> Iterator[dict[str, Any]]:
        nonlocal passed_over
        for row in write_files(task, folders):
            full.add(row["label"])
            passed_over += row["file_name"].endswith(GIF)
            yield row

    write_list(task, LIST, noted())
    empty = [name for name in task.classes if name not in full]
    if empty:
        logger.warning(
            "no image of class %s, and so no folder: ImageFolder numbers the classes that have one",
            ", ".join(empty[:8]),
        )
    if passed_over:
        logger.warning(
            "%s are GIFs, which ImageFolder passes over: read the folder with DatasetFolder",
            counted(passed_over, "image"),
        )
        return (
            f"torchvision.datasets.DatasetFolder({str(task.out)!r}, "
            "torchvision.datasets.folder.default_loader, "
            f"(*torchvision.datasets.folder.IMG_EXTENSIONS, {GIF!r}))"
        )
    return f"torchvision.datasets.ImageFolder({str(task.out)!r})"


KIND = ExportKind(write=write, images_a_file=True)
