"""A plan whose files were copied or mounted anew: their fingerprints now, beside those of the plan.

The plan and the claim stay as they are, since commits carry the claim's digest. What says that the
content is the same has been verified by whoever writes the record.
"""

from __future__ import annotations

from collections.abc import Sequence

from rayqc.ledger.plan import LEDGER, MOVED, inputs_digest
from rayqc.storage import Folder, read_json, write_json
from rayqc.units import Unit

MOVED_FORMAT = 1

File = tuple[int, str]
"""Number of the pool entry, and the file in it."""


def fingerprints_of(units: Sequence[Unit]) -> dict[File, str]:
    """The fingerprint of each file."""
    return {(unit.entry, unit.path): unit.fingerprint for unit in units}


def has_moved(folder: Folder, units: Sequence[Unit]) -> bool:
    """Whether the folder's work reads other files than these units, as it was last recorded."""
    inputs = inputs_digest(list(units))
    if read_json(folder, LEDGER)["inputs"] == inputs:
        return False
    return not folder.exists(MOVED) or read_json(folder, MOVED)["inputs"] != inputs


def note_move(folder: Folder, units: Sequence[Unit]) -> None:
    """Record that the files of these units have the content that the plan was made for."""
    record = {
        "format_version": MOVED_FORMAT,
        "inputs": inputs_digest(list(units)),
        "files": [[*file, value] for file, value in sorted(fingerprints_of(units).items())],
    }
    write_json(folder, MOVED, record)
