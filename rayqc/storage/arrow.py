"""A folder as a file system of pyarrow, for libraries that write their files through one.

Ray Train uploads checkpoints by it, so that they go to any store that the other files go to, with
the same settings and the same patience.
"""

from __future__ import annotations

import io
from typing import Any

import pyarrow as pa
from pyarrow.fs import FileInfo, FileSelector, FileSystemHandler, FileType, PyFileSystem

from rayqc.storage.folder import Folder


class FolderHandler(FileSystemHandler):  # type: ignore[misc]  # pyarrow has no types
    """Files below a folder of rayqc; a folder is there as soon as a file lies in it.

    A file is held in memory until it is closed, and then written whole.
    """

    def __init__(self, folder: Folder) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[type[FolderHandler], tuple[Folder]]:
        return FolderHandler, (self.folder,)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FolderHandler) and other.folder.location == self.folder.location

    def __hash__(self) -> int:
        return hash(self.folder.location)

    def get_type_name(self) -> str:
        """Shown by pyarrow."""
        return f"rayqc+{self.folder}"

    def normalize_path(self, path: str) -> str:
        """A name as `Folder` takes it; the folder itself is the empty name."""
        return "/".join(part for part in path.split("/") if part not in ("", "."))

    def get_file_info(self, paths: list[str]) -> list[FileInfo]:
        """What is at each path."""
        return [self._info(self.normalize_path(path)) for path in paths]

    def get_file_info_selector(self, selector: FileSelector) -> list[FileInfo]:
        """What lies below a folder.

        Raises:
            FileNotFoundError: nothing does, and the selector does not allow it.
        """
        base = self.normalize_path(selector.base_dir)
        names = self.folder.names(base)
        if not names and not selector.allow_not_found:
            raise FileNotFoundError(self.folder.path(base))
        start = len(base) + 1 if base else 0
        found = dict.fromkeys(names, FileType.File)
        for name in names:
            steps = name[start:].split("/")[:-1]
            for depth in range(len(steps)):
                found[name[:start] + "/".join(steps[: depth + 1])] = FileType.Directory
        return [
            FileInfo(name, kind)
            for name, kind in sorted(found.items())
            if selector.recursive or "/" not in name[start:]
        ]

    def create_dir(self, path: str, recursive: bool) -> None:
        """Nothing to do."""

    def delete_dir(self, path: str) -> None:
        """Delete all files below a folder."""
        self.folder.delete(self.folder.names(self.normalize_path(path)))

    def delete_dir_contents(self, path: str, missing_dir_ok: bool = False) -> None:
        """Delete all files below a folder."""
        self.delete_dir(path)

    def delete_root_dir_contents(self) -> None:
        """Delete all files."""
        self.delete_dir("")

    def delete_file(self, path: str) -> None:
        """Delete a file."""
        self.folder.delete([self.normalize_path(path)])

    def move(self, src: str, dest: str) -> None:
        """Write a file under another name, then delete it."""
        self.copy_file(src, dest)
        self.delete_file(src)

    def copy_file(self, src: str, dest: str) -> None:
        """Write a file under another name as well."""
        content = self.folder.read(self.normalize_path(src))
        self.folder.write(self.normalize_path(dest), content)

    def open_input_stream(self, path: str) -> Any:
        """A reader."""
        return self.open_input_file(path)

    def open_input_file(self, path: str) -> Any:
        """A reader that can seek."""
        return pa.PythonFile(self.folder.open(self.normalize_path(path)), mode="r")

    def open_output_stream(self, path: str, metadata: Any) -> Any:
        """A writer; its file is there once it is closed."""
        return pa.PythonFile(_WrittenOnClose(self.folder, self.normalize_path(path)), mode="w")

    def open_append_stream(self, path: str, metadata: Any) -> Any:
        """Stores have no appending.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError(f"{self.folder.path(path)}: a store cannot append")

    def _info(self, name: str) -> FileInfo:
        if not name:
            return FileInfo(name, FileType.Directory)
        try:
            return FileInfo(name, FileType.File, size=self.folder.size(name))
        except FileNotFoundError:
            there = self.folder.names(name)
            return FileInfo(name, FileType.Directory if there else FileType.NotFound)


class _WrittenOnClose(io.BytesIO):
    def __init__(self, folder: Folder, name: str) -> None:
        super().__init__()
        self._folder, self._name = folder, name

    def close(self) -> None:
        if not self.closed:
            self._folder.write(self._name, self.getvalue())
        super().close()


def arrow_filesystem(folder: Folder) -> PyFileSystem:
    """The folder as a file system, whose paths are names in it."""
    return PyFileSystem(FolderHandler(folder))
