"""Where labelled images come from: each source lists units and reads one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from rayqc.config import Data
from rayqc.errors import InputError
from rayqc.sources.arrays import open_cifar10, open_cifar100, open_mnist
from rayqc.sources.base import Source
from rayqc.sources.folder import open_folder
from rayqc.sources.listing import class_of, is_hidden, is_image, list_files
from rayqc.sources.parquet import open_bundled, open_parquet
from rayqc.sources.places import is_one_file, is_pattern
from rayqc.sources.tar import open_tar, refuse_compressed
from rayqc.storage import Folder

Split = Literal["train", "test"]

KINDS: dict[str, Callable[[str, Split], Source]] = {
    "parquet": open_parquet,
    "folder": lambda path, split: open_folder(path),
    "tar": lambda path, split: open_tar(path),
    "mnist": open_mnist,
    "cifar10": open_cifar10,
    "cifar100": open_cifar100,
    "bundled": lambda path, split: open_bundled(split),
}


SIGNS: dict[str, Callable[[str], bool]] = {
    "mnist": lambda name: "idx3-ubyte" in name,
    "cifar10": lambda name: name.endswith("data_batch_1"),
    "cifar100": lambda name: name.rpartition("/")[2] == "fine_label_names" or "cifar-100" in name,
    "parquet": lambda name: name.endswith(".parquet") and not is_hidden(name),
    # Before tars: class folders often lie beside the tar they came in.
    "folder": lambda name: is_image(name) and class_of(name) != "",
    "tar": lambda name: name.endswith(".tar") and not is_hidden(name),
}
"""What a folder holds if a name in it is like this; the first that fits counts."""


def open_source(data: Data, split: Split = "train") -> Source:
    """The source that `data` describes.

    Args:
        data: kind, path and split; kind `files` looks what is at the path.
        split: taken when `data` names none.

    Raises:
        InputError: nothing there, or nothing this kind can read.
    """
    path = data.path or ""
    kind = detect(path) if data.kind == "files" else data.kind
    return KINDS[kind](path, data.split or split)


def detect(path: str) -> str:
    """The kind of what is at `path`: by its ending or pattern, or by the files in a folder.

    Raises:
        InputError: nothing there, or compressed tars only.
    """
    refuse_compressed(path)
    if is_pattern(path) or is_one_file(path, (".parquet", ".tar")):
        return "tar" if path.endswith(".tar") else "parquet"
    names = list_files(Folder(path)).files
    if not names:
        raise InputError(
            f"no images at {path}: {Folder(path)} is missing or empty; expected a Parquet or tar "
            "file, a folder of those or of class folders, or an MNIST or CIFAR download"
        )
    for kind, shows in SIGNS.items():
        if any(map(shows, names)):
            return kind
    if not any(is_image(name) for name in names):
        for name in names:
            refuse_compressed(f"{path}/{name}")
    return "folder"


__all__ = ["KINDS", "Source", "detect", "open_source"]
