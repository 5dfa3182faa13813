"""Where labelled images come from: each source lists its units and reads any one of them."""

from __future__ import annotations

from pathlib import Path

from rayqc.config import Data
from rayqc.config.base import FILES
from rayqc.errors import InputError, NoSuchSplitError
from rayqc.kinds import SOURCES
from rayqc.sources.base import Source, SourceAsked, SourceKind, Split, refuse_columns
from rayqc.sources.listing import is_image, list_files
from rayqc.sources.places import is_one_file, is_pattern, say_left_out
from rayqc.sources.tar import refuse_compressed
from rayqc.storage import Folder, is_url


def open_source(data: Data, split: Split = "train") -> Source:
    """The source that `data` describes.

    Args:
        data: kind, path and split; kind `files` is detected from what is at the path.
        split: taken when `data` names none.

    Raises:
        InputError: nothing at the path, nothing that this kind reads, or no such split.
    """
    path = data.path or ""
    name = detect(path) if data.kind == FILES else data.kind
    kind: SourceKind = SOURCES[name]
    if data.split is not None and not kind.tells_splits:
        raise NoSuchSplitError(
            f"{path}: a source of kind {name} tells no splits, so `split: {data.split}` would do "
            "nothing; leave it out, and give each split's own path"
        )
    asked = SourceAsked(
        split=data.split or split,
        split_is_set=data.split is not None,
        image_column=data.image_column,
        label_column=data.label_column,
        latent_column=data.latent_column,
    )
    if data.latent_column is not None and not kind.has_latents:
        raise InputError(
            f"{path}: a source of kind {name} has no column {data.latent_column} of latents; write "
            "images and latents to Parquet, or take an encoder that encodes"
        )
    if not kind.has_columns:
        refuse_columns(path, f"a source of kind {name}", asked)
    return kind.open(path, asked)


def detect(path: str) -> str:
    """The kind of what is at `path`: by its ending or pattern, or by the files in a folder.

    Raises:
        InputError: nothing at the path, or compressed tars only.
    """
    refuse_compressed(path)
    kinds: dict[str, SourceKind] = dict(SOURCES.items())
    endings = {ending: name for name, kind in kinds.items() for ending in kind.endings}
    if is_pattern(path) or is_one_file(path, tuple(endings)):
        matching_kinds = (name for ending, name in endings.items() if path.lower().endswith(ending))
        return next(matching_kinds, "parquet")  # a pattern without a known ending
    if not is_url(path) and Path(path).is_file():
        raise InputError(
            f"{path} is one file, and no list of images; expected a file ending in "
            f"{', '.join(sorted(endings))}, or the folder that the class folders are in"
        )
    file_names = list_files(Folder(path)).files
    if not file_names:
        raise InputError(
            f"no images at {path}: {Folder(path)} is missing or empty; expected a Parquet or tar "
            "file, a folder of those or of class folders, or an MNIST or CIFAR download"
        )
    for name, kind in sorted(kinds.items(), key=lambda item: not item[1].specific):
        if kind.shows is not None and any(map(kind.shows, file_names)):
            beside = [one for one in file_names if is_image(one) and not kind.shows(one)]
            say_left_out(Folder(path), f"images beside what is read as kind {name}", beside)
            return name
    if not any(is_image(name) for name in file_names):
        for name in file_names:
            refuse_compressed(f"{path}/{name}")
    return "folder"


__all__ = ["Source", "detect", "open_source"]
