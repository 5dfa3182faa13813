"""Splits of a data set, told by names of files and folders as Hugging Face's patterns tell them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rayqc.errors import InputError, NoSuchSplitError
from rayqc.sources.base import SourceAsked
from rayqc.sources.classes import described
from rayqc.sources.listing import class_of
from rayqc.sources.places import say_left_out, say_once
from rayqc.storage import Folder

WORDS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing", "eval", "evaluation"),
}
"""Split to the words that name it, in any letters."""
SPLIT_OF_WORD = {word: split for split, words in WORDS.items() for word in words}
IN_PATH = re.compile(
    r"(?:^|[-._ 0-9/])(" + "|".join(SPLIT_OF_WORD) + r")(?=[-._ 0-9/])", re.IGNORECASE
)
"""A split's word in a path, between separators."""


def split_of_word(word: str) -> str | None:
    """The split that a word, such as a folder's name, names; None where it names none."""
    return SPLIT_OF_WORD.get(word.lower())


def split_of_path(path: str) -> str | None:
    """The split that a path names: one of its folders first, else the file's name."""
    for component in path.split("/")[:-1]:
        split = split_of_word(component)
        if split is not None:
            return split
    match = IN_PATH.search(path)
    return SPLIT_OF_WORD[match[1].lower()] if match else None


@dataclass(frozen=True, kw_only=True)
class ClassFolders:
    """Which names below a folder are taken, and where in them the class stands."""

    tops: tuple[str, ...] = ()
    """First folders of the split that is taken, `train` in `train/CLASS/NAME`. Empty where there
    are no splits: the first folder is the class."""

    def takes(self, name: str) -> bool:
        """Is the file of the split?"""
        return not self.tops or class_of(name) in self.tops

    def class_of(self, name: str) -> str:
        """The class in a name; empty where there is none."""
        return class_of(name.partition("/")[2] if self.tops else name)


NO_SPLITS = ClassFolders()


def class_folders(names: Sequence[str], asked: SourceAsked, where: str) -> ClassFolders:
    """How the names of images are read: as `CLASS/NAME`, or as `SPLIT/CLASS/NAME`.

    They have splits where every first folder is named as a split is.

    Raises:
        InputError: the split asked for is not there, or splits hold images without class folders.
    """
    tops = sorted({class_of(name) for name in names} - {""})
    split_by_top = {top: split_of_word(top) for top in tops}
    nested = any(name.count("/") > 1 for name in names)
    splits = [split for split in split_by_top.values() if split is not None]
    if not splits or len(splits) < len(split_by_top) or not (nested or len({*splits}) > 1):
        take_split([None], asked, where)
        return NO_SPLITS
    if not nested:
        raise InputError(
            f"{where}: its folders {', '.join(tops)} are named as splits are, and hold images but "
            "no class folders; expected SPLIT/CLASS/NAME"
        )
    split = take_split(split_by_top.values(), asked, where)
    others = [f"{top}/" for top in tops if split_by_top[top] != split]
    say_left_out(Folder(where), f"folders of other splits than {split}", others)
    return ClassFolders(tops=tuple(top for top in tops if split_by_top[top] == split))


def warn_of_wrapper(
    images: Sequence[str], classes: Sequence[str], layout: ClassFolders, where: str, advice: str
) -> None:
    """Warn of classes whose images all lie in folders below them: these may be the classes.

    So it is where there is one class, and where all hold folders of the same names, as references
    and test images that lie beside each other do.

    Args:
        advice: what to do if they are.
    """
    above = 2 if layout.tops else 1
    folders_by_class: dict[str, set[str]] = {}
    for name in images:
        if own := layout.class_of(name):
            folders_by_class.setdefault(own, set()).add(class_of(name.split("/", above)[above]))
    first, *others = folders_by_class.values() or [set()]
    if len(first) < 2 or "" in first or any(folders != first for folders in others):
        return
    found = f"one class, {classes[0]}" if len(classes) == 1 else f"the classes {described(classes)}"
    below = "below it" if len(classes) == 1 else "below each"
    say_once(
        f"{where}: found {found}, and {below} {len(first)} folders: {described(sorted(first))}; "
        f"if these are the classes, {advice}"
    )


def files_of_split(folder: Folder, names: list[str], asked: SourceAsked) -> list[str]:
    """The files of a split if names tell splits, as Hugging Face's do; else all files.

    Without this, reference images and test images from one folder would be the same images.

    Raises:
        InputError: the split asked for is not there.
    """
    split_by_name = {name: split_of_path(name) for name in names}
    split = take_split(split_by_name.values(), asked, str(folder))
    if split is None:
        return names
    split_names = [name for name in names if split_by_name[name] == split]
    say_left_out(folder, f"files of other splits than {split}", sorted({*names} - {*split_names}))
    return split_names


def take_split(found: Iterable[str | None], asked: SourceAsked, where: str) -> str | None:
    """The split to take, of those that files or folders were found to be of.

    Without a `split:` in the settings, validation serves as test where there is no test, and a
    single split is taken whatever it is called.

    Args:
        found: of each file or folder its split; None where it names none.
        where: the path, for errors.

    Returns:
        The split; None: all images are taken, because their names tell no splits.

    Raises:
        InputError: the split asked for is not there.
    """
    every = list(found)
    present = sorted({split for split in every if split is not None}, key=list(WORDS).index)
    if asked.split_is_set:
        if asked.split not in present:
            raise NoSuchSplitError(_missing(asked.split, present, where))
        return asked.split
    if len(present) > 1 and None in every:
        raise InputError(
            f"{where}: some names tell a split ({', '.join(present)}) and some tell none, so that "
            "train and test would be mixed; set `split` in the settings to take one of them, or "
            "name what is meant"
        )
    if not present or None in every:
        return None
    if len(present) == 1:
        return present[0]
    if asked.split in present:
        return asked.split
    if asked.split == "test" and "validation" in present:
        say_once(f"{where} has no split test: its split validation is taken for it")
        return "validation"
    raise NoSuchSplitError(_missing(asked.split, present, where))


def has_train_and_test(asked: SourceAsked, where: str) -> str:
    """The split asked for, of a data set that has train and test.

    Raises:
        InputError: another one is asked for.
    """
    if asked.split == "validation":
        raise NoSuchSplitError(_missing(asked.split, ["train", "test"], where))
    return asked.split


def _missing(split: str, present: list[str], where: str) -> str:
    if not present:
        return (
            f"{where}: asked for split {split}, and no name of a file or folder there tells "
            "splits; leave `split` out, or give the path of the split itself"
        )
    return (
        f"{where} has no split {split}; it has {' and '.join(present)}: set `split` to one of "
        "these, or give the path of the files to take"
    )
