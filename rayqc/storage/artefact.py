"""An artefact: a file of arrays and a JSON record that names its version and its digest.

The arrays are written first, the record last, so that a record never names what is not there. What
is read back is the very thing that was written, or it is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rayqc.errors import ArtefactError
from rayqc.storage.folder import Folder
from rayqc.storage.formats import canonical_json, digest, read_json, write_json


@dataclass(frozen=True, kw_only=True)
class Artefact:
    """How one kind of artefact lies in its folder."""

    arrays: str
    """Name of the safetensors file."""
    record: str
    """Name of the JSON file."""
    format_version: int
    digest_key: str
    """Key of the record that holds the digest."""
    mend: str
    """What to do about one that cannot be read; ends the refusal."""

    def write(
        self, folder: Folder, arrays: bytes, record: Mapping[str, Any], about: object = None
    ) -> str:
        """Write the arrays, then the record with format version and digest.

        Args:
            arrays: a safetensors file.
            record: keys of the record besides those two.
            about: JSON that belongs to the artefact's identity, besides the arrays.

        Returns:
            The digest: SHA-256 over the arrays and `about`.
        """
        identity = identity_of(arrays, about)
        folder.write(self.arrays, arrays)
        known = {"format_version": self.format_version, self.digest_key: identity}
        write_json(folder, self.record, {**known, **record})
        return identity

    def read_record(self, folder: Folder) -> dict[str, Any]:
        """The record.

        Raises:
            ArtefactError: it is of another format version, or no JSON.
        """
        found = dict(read_json(folder, self.record))
        if found.get("format_version") != self.format_version:
            raise ArtefactError(
                f"{folder.path(self.record)} has format version {found.get('format_version')}, "
                f"this rayqc reads {self.format_version}; {self.mend}"
            )
        return found

    def verify(self, folder: Folder, record: Mapping[str, Any], about: object = None) -> str:
        """The digest of what lies there.

        Raises:
            ArtefactError: it is not the one that the record names.
        """
        found, expected = identity_of(folder.read(self.arrays), about), record[self.digest_key]
        if found != expected:
            files = self.arrays if about is None else f"{self.arrays} or {self.record}"
            raise ArtefactError(
                f"{folder.path(files)} is damaged or swapped: digest {found[:12]}, "
                f"{self.record} says {expected[:12]}; {self.mend}"
            )
        return found


def identity_of(arrays: bytes, about: object = None) -> str:
    """SHA-256 over a file of arrays and the JSON that belongs to it."""
    return digest(arrays if about is None else arrays + canonical_json(about))


def under(arrays: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The arrays whose names begin with `name.`, by the rest of their names."""
    prefix = f"{name}."
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}


def prefixed(arrays: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The reverse of `under`."""
    return {f"{name}.{key}": value for key, value in arrays.items()}
