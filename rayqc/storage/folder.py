"""Files of a run, the same on a local disk and on an object store.

Every write is complete before it is visible, and `create` publishes a name only
once. obstore gives both everywhere: by a staged file and a rename or hard link on a
disk, by one PUT (conditional for `create`) on S3, GCS and Azure.
"""

from __future__ import annotations

import contextlib
import functools
import io
import itertools
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
from obstore.exceptions import AlreadyExistsError, BaseError, GenericError
from obstore.store import LocalStore, ObjectStore

from rayqc.errors import InputError, StorageError
from rayqc.storage.failpoints import reach
from rayqc.storage.no_links import create_without_links, lacks_links
from rayqc.storage.remote import (
    interruptibly,
    may_pass,
    open_store,
    patiently,
    reason,
    refuse_credentials,
)

T = TypeVar("T")

WRITING = ("write", "create")
"""Verbs that make the folder where it does not exist."""

FILE_URL = "file://"

MOST_DELETED = 1000
"""Most names in one deletion request to a store; some of them may not exist."""

QUOTE = '"'

BUFFER_BYTES = 1 << 20
"""Bytes that are fetched at once of a file that is read in small pieces."""


def is_url(path: str) -> bool:
    """True for `s3://...` and its like, False for a local path."""
    return "://" in path


class Folder:
    """A folder on a local disk or an object store; names in it use forward slashes.

    Cheap to make and safe to send to other processes: it holds the location only.
    Failed reads and writes raise `StorageError`, a missing name `FileNotFoundError`.

    Raises:
        InputError: the location is empty, or the URL names no bucket, or has a user name, a
            password or a query in it.
    """

    def __init__(self, location: str) -> None:
        if not location.strip():
            raise InputError("a folder's name is empty; is a variable unset?")
        if is_url(location):
            scheme, _, rest = location.partition("://")
            if not rest.strip("/") and scheme != "file":
                raise InputError(f"{location} names no bucket; is a variable unset?")
            refuse_credentials(location)
        self.location = (
            location.rstrip("/")
            if is_url(location)
            else str(Path(location).expanduser().absolute())
        )
        self._opened: ObjectStore | None = None

    def __reduce__(self) -> tuple[type[Folder], tuple[str]]:
        return Folder, (self.location,)

    def __str__(self) -> str:
        return self.location

    @property
    def is_local(self) -> bool:
        """True on this machine's own file system."""
        return not is_url(self.location)

    @property
    def _local_path(self) -> str | None:
        """The folder's path on this machine, also of a file:// URL; None on an object store."""
        path = self.location.removeprefix(FILE_URL)
        return None if is_url(path) else path

    def path(self, name: str) -> str:
        """Full path or URL of a name in this folder."""
        return f"{self.location}/{name}"

    def sub(self, name: str) -> Folder:
        """The folder `name` below this one."""
        return Folder(self.path(name))

    def read(self, name: str) -> bytes:
        """All bytes of a file."""
        if self.is_local:  # several times as fast as obstore for small files
            return self._guard("read", name, lambda _: Path(self.path(name)).read_bytes())
        return self._guard("read", name, lambda store: bytes(store.get(name).bytes()))

    def write(self, name: str, data: bytes) -> None:
        """Write or replace a file; readers see the old one or the new one, never a part."""
        self._guard("write", name, lambda store: store.put(name, data, use_multipart=False))

    def create(self, name: str, data: bytes) -> bool:
        """Write a file unless it exists; False when another was first.

        A store may write the file and lose its answer. So a file that holds the same bytes already
        counts as written by this call.
        """
        root = self._local_path
        create = _create if root is None else functools.partial(_create_locally, root)
        return self._guard("create", name, functools.partial(create, name, data))

    def exists(self, name: str) -> bool:
        """Is there a file of this name?"""
        try:
            self._guard("look for", name, lambda store: store.head(name))
        except FileNotFoundError:
            return False
        return True

    def fingerprint(self, name: str) -> str:
        """Size and modification tag of a file, which change when it does."""
        return self._fingerprint_of(self._guard("look for", name, lambda store: store.head(name)))

    def size(self, name: str) -> int:
        """Bytes of a file."""
        return self._guard("look for", name, lambda store: int(store.head(name)["size"]))

    def listing(self, prefix: str = "") -> dict[str, str]:
        """Names of all files below `prefix` (a whole path component), sorted, and fingerprints."""
        return dict(
            sorted(self._list(prefix, lambda meta: (_name(meta), self._fingerprint_of(meta))))
        )

    def names(self, prefix: str = "") -> list[str]:
        """Names of all files below `prefix`, sorted."""
        return sorted(self._list(prefix, _name))

    def delete(self, names: Iterable[str]) -> None:
        """Delete files; names that do not exist are ignored."""
        if self._local_path is not None:
            for name in names:
                with contextlib.suppress(FileNotFoundError):
                    self._guard("delete", name, functools.partial(_delete, name))
            return
        remaining = iter(names)
        while batch := list(itertools.islice(remaining, MOST_DELETED)):
            self._guard("delete", batch[0], functools.partial(_delete_all, batch))

    def open(self, name: str) -> Any:
        """A seekable reader of a file; only the bytes that are read are fetched."""
        if self.is_local:
            return self._guard("read", name, lambda _: pa.OSFile(self.path(name)))
        return io.BufferedReader(_Object(self, name, self.size(name)), BUFFER_BYTES)

    def read_range(self, name: str, start: int, length: int) -> bytes:
        """`length` bytes of a file from `start`."""
        return self._guard(
            "read", name, lambda store: bytes(store.get_range(name, start=start, length=length))
        )

    def _fingerprint_of(self, meta: Any) -> str:
        tag = meta["e_tag"] or meta["last_modified"].isoformat()
        if self._local_path is None:  # Azure lists tags without the quotes that HEAD gives them
            tag = f'"{tag.strip(QUOTE)}"'
        return f"{meta['size']} bytes, {tag}"

    def _list(self, prefix: str, value_of: Callable[[Any], T]) -> list[T]:
        if self.is_local and not Path(self.location, prefix).is_dir():
            return []
        return self._guard(
            "list",
            prefix,
            lambda store: [
                value_of(meta) for chunk in store.list(prefix or None) for meta in chunk
            ],
        )

    def _guard(self, verb: str, name: str, action: Callable[[Any], T]) -> T:
        """Run `action` on the store; an error says in one line what failed, and for which name."""
        reach("before", verb, name)
        begun = time.monotonic()
        try:
            store = self._store(writing=verb in WRITING)
            attempts = functools.partial(patiently, action, store)
            result = attempts() if self.is_local else interruptibly(attempts)
        except FileNotFoundError:
            if verb in WRITING:
                raise StorageError(f"cannot {verb} {self.path(name)}: no such place") from None
            raise FileNotFoundError(self.path(name)) from None
        except (BaseError, OSError) as error:
            tried = f" (tried for {time.monotonic() - begun:.0f} s)" if may_pass(error) else ""
            # The cause is left out, since it may hold an account's key or a signature.
            raise StorageError(f"cannot {verb} {self.path(name)}: {reason(error)}{tried}") from None
        reach("after", verb, name)
        return result

    def _store(self, writing: bool) -> ObjectStore:
        if self._opened is None:
            if self.is_local and not writing and not Path(self.location).is_dir():
                raise FileNotFoundError(self.location)
            self._opened = (
                LocalStore(self.location, mkdir=True)
                if self.is_local
                else open_store(self.location)
            )
        return self._opened


class _Object(io.RawIOBase):
    """An object of a store as a file; each read is one request to the store."""

    def __init__(self, folder: Folder, name: str, size: int) -> None:
        self._folder, self._name, self._size = folder, name, size
        self._offset = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self._offset = max(0, offset + (0, self._offset, self._size)[whence])
        return self._offset

    def readinto(self, buffer: Any) -> int:
        length = min(len(buffer), self._size - self._offset)
        if length <= 0:
            return 0
        buffer[:length] = self._folder.read_range(self._name, self._offset, length)
        self._offset += length
        return length


def _create(name: str, data: bytes, store: Any) -> bool:
    try:
        store.put(name, data, mode="create", use_multipart=False)
    except AlreadyExistsError as error:
        try:
            return bytes(store.get(name).bytes()) == data
        except FileNotFoundError:  # deleted since, or S3's 409 to two writers, none of whom won
            raise error from None
    return True


def _create_locally(root: str, name: str, data: bytes, store: Any) -> bool:
    try:
        return _create(name, data, store)
    except GenericError as error:
        if not lacks_links(error):
            raise
    return create_without_links(root, name, data) or Path(root, name).read_bytes() == data


def _delete(name: str, store: Any) -> None:
    store.delete(name)


def _delete_all(names: list[str], store: Any) -> None:
    """Delete files of a store in few requests; Azure ends at the first that does not exist."""
    try:
        store.delete(names)
    except FileNotFoundError:
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                store.delete(name)


def _name(meta: Any) -> str:
    return str(meta["path"])
