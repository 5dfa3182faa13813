"""Regions on disk: safetensors for the arrays, JSON for what must fit before they are used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rayqc.errors import ArtefactError, EncoderMismatchError
from rayqc.regions import calibrated, sphere
from rayqc.regions.base import Regions
from rayqc.regions.calibrated import CalibratedRegions, under
from rayqc.regions.neighbours import Neighbours
from rayqc.regions.sphere import SphereRegions
from rayqc.storage import (
    Folder,
    arrays_bytes,
    canonical_json,
    digest,
    read_arrays,
    read_json,
    write_json,
)

REGIONS_FORMAT = 3
ARRAYS = "regions.safetensors"
FACTS = "regions.json"
KINDS = (sphere.KIND, sphere.LEAVE_ONE_OUT, calibrated.KIND)


@dataclass(frozen=True, kw_only=True)
class FittedRegions:
    """What `fit` leaves: regions, what is told beside their verdicts, and their identity."""

    regions: Regions
    neighbours: Neighbours
    digest: str


def save_regions(folder: Folder, regions: Regions, neighbours: Neighbours) -> FittedRegions:
    """Write `regions.safetensors`, then `regions.json`, which names the digest of both."""
    parts = {"regions": regions.arrays(), "neighbours": neighbours.arrays()}
    arrays = arrays_bytes(
        {f"{name}.{k}": v for name, part in parts.items() for k, v in part.items()}
    )
    facts = {"regions": regions.facts(), "neighbours": neighbours.facts()}
    identity = _identity(arrays, facts)
    folder.write(ARRAYS, arrays)
    about = {"format_version": REGIONS_FORMAT, "kind": regions.kind, "regions_digest": identity}
    write_json(folder, FACTS, {**about, **facts})
    return FittedRegions(regions=regions, neighbours=neighbours, digest=identity)


def load_regions(folder: Folder, encoder_digest: str, latent_dim: int) -> FittedRegions:
    """Read regions for use with one encoder.

    Raises:
        ArtefactError: another format version or kind, damaged, or of another dimension.
        EncoderMismatchError: fitted with another encoder.
    """
    found = read_json(folder, FACTS)
    version, kind = found.get("format_version"), found.get("kind")
    if version != REGIONS_FORMAT or kind not in KINDS:
        raise ArtefactError(
            f"{folder.path(FACTS)} holds {kind} regions of format version {version}, this rayqc "
            f"reads {', '.join(KINDS)} of {REGIONS_FORMAT}; run `rayqc fit` again with --redo"
        )
    fitted_with = found["regions"]["encoder_digest"]
    if fitted_with != encoder_digest:
        raise EncoderMismatchError(
            f"regions were fitted with encoder {fitted_with[:12]}, "
            f"this run uses {encoder_digest[:12]}; run `rayqc fit` again with --redo"
        )
    facts = {name: found[name] for name in ("regions", "neighbours")}
    identity = _identity(folder.read(ARRAYS), facts)
    if identity != found["regions_digest"]:
        raise ArtefactError(
            f"{folder.path(ARRAYS)} or {FACTS} is damaged or swapped: digest {identity[:12]}, "
            f"{FACTS} says {found['regions_digest'][:12]}; run `rayqc fit` again with --redo"
        )
    arrays = read_arrays(folder, ARRAYS)
    neighbours = Neighbours.restore(facts["neighbours"], under(arrays, "neighbours"))
    if neighbours.centers_KD.shape[1] != latent_dim:
        raise ArtefactError(
            f"{folder.path(ARRAYS)} holds centers of shape {neighbours.centers_KD.shape}, expected "
            f"latent dimension {latent_dim}; run `rayqc fit` again with --redo"
        )
    restored = _restore(kind, facts["regions"], under(arrays, "regions"))
    return FittedRegions(regions=restored, neighbours=neighbours, digest=identity)


def _restore(kind: str, facts: dict[str, Any], arrays: dict[str, Any]) -> Regions:
    if kind == calibrated.KIND:
        return CalibratedRegions.restore(facts, arrays)
    return SphereRegions.restore(kind, facts, arrays)


def _identity(arrays: bytes, facts: dict[str, Any]) -> str:
    return digest(arrays + canonical_json(facts))
