"""Layout `csv`: all images in one folder, and a table of their paths, classes and scores."""

from __future__ import annotations

from rayqc.exports.base import ExportKind, ExportTask
from rayqc.exports.files import write_files, write_list

IMAGES = "images"
LIST = "images.csv"


def write(task: ExportTask) -> str:
    """See `ExportKind.write`."""
    write_list(task, LIST, write_files(task, [IMAGES] * len(task.classes)))
    return f"pandas.read_csv({task.out.path(LIST)!r})"


KIND = ExportKind(write=write, images_a_file=True)
