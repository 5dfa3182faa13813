"""An artefact: a file of arrays and a JSON record that names its version and its digest.

The arrays are written first and the record last, so that a record never names a file that is not
there. Arrays that do not have the record's digest are refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from rayqc.errors import ArtefactError
from rayqc.storage.folder import Folder
from rayqc.storage.formats import canonical_json, digest, read_json, write_json

Facts = dict[str, Any]
"""A record's own keys: plain JSON."""


@dataclass(frozen=True, kw_only=True)
class Artefact:
    """The files and the version of one kind of artefact."""

    arrays: str
    """Name of the safetensors file."""
    record: str
    """Name of the JSON file."""
    format_version: int
    digest_key: str
    """Key of the record that holds the digest."""
    mend: str
    """What the user can do about one that cannot be read; the error's text ends with it."""

    def write(
        self, folder: Folder, arrays: bytes, record: Mapping[str, Any], about: object = None
    ) -> str:
        """Write the arrays, then the record with format version and digest.

        Args:
            arrays: a safetensors file.
            record: the record's other keys.
            about: JSON that the digest covers besides the arrays.

        Returns:
            The digest: SHA-256 over the arrays and `about`.
        """
        identity = identity_of(arrays, about)
        folder.write(self.arrays, arrays)
        header = {"format_version": self.format_version, self.digest_key: identity}
        write_json(folder, self.record, {**header, **record})
        return identity

    def read_record(self, folder: Folder) -> Facts:
        """The artefact's record.

        Raises:
            ArtefactError: the record has another format version, or is not JSON.
        """
        record = dict(read_json(folder, self.record))
        if record.get("format_version") != self.format_version:
            raise ArtefactError(
                f"{folder.path(self.record)} has format version {record.get('format_version')}, "
                f"this rayqc reads {self.format_version}; {self.mend}"
            )
        return record

    def verify(self, folder: Folder, record: Mapping[str, Any], about: object = None) -> str:
        """The digest of the stored artefact.

        Raises:
            ArtefactError: it is not the digest that the record names.
        """
        actual, expected = identity_of(folder.read(self.arrays), about), record[self.digest_key]
        if actual != expected:
            files = self.arrays if about is None else f"{self.arrays} or {self.record}"
            raise ArtefactError(
                f"{folder.path(files)} is damaged or swapped: digest {actual[:12]}, "
                f"{self.record} says {expected[:12]}; {self.mend}"
            )
        return actual

    @contextmanager
    def restoring(self, folder: Folder) -> Iterator[None]:
        """While something is made of a record: what the record lacks, or has too much, is refused.

        A checkout between releases may have written the format's number and other keys.

        Raises:
            ArtefactError: a key or an argument is missing, or there is one that is not known.
        """
        try:
            yield
        except (KeyError, TypeError) as error:
            found = f"it has no {error}" if isinstance(error, KeyError) else str(error)
            raise ArtefactError(
                f"{folder.path(self.record)} was written by another rayqc: {found}; {self.mend}"
            ) from error


def identity_of(arrays: bytes, about: object = None) -> str:
    """SHA-256 over a file of arrays and, where there is one, the JSON `about`."""
    return digest(arrays if about is None else arrays + canonical_json(about))


def under(arrays: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The arrays whose names begin with `name.`, by the rest of their names."""
    prefix = f"{name}."
    return {
        key.removeprefix(prefix): value for key, value in arrays.items() if key.startswith(prefix)
    }


def prefixed(arrays: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The arrays with `name.` put before their names; the reverse of `under`."""
    return {f"{name}.{key}": value for key, value in arrays.items()}
