"""Regions on disk: safetensors for arrays, JSON for what is checked before the arrays are used."""

from __future__ import annotations

from dataclasses import dataclass

from rayqc.errors import ArtefactError, EncoderMismatchError
from rayqc.kinds import REGIONS
from rayqc.regions.base import RegionKind, Regions
from rayqc.regions.neighbours import Neighbours
from rayqc.storage import Folder, arrays_bytes, read_arrays, read_json
from rayqc.storage.artefact import Artefact, prefixed, under

ARRAYS = "regions.safetensors"
FACTS = "regions.json"
MEND = "run `rayqc fit` again with --redo"
FITTED = Artefact(
    arrays=ARRAYS, record=FACTS, format_version=10, digest_key="regions_digest", mend=MEND
)
READ = (6, 8, 9, 10)
"""Format versions that are read. In 8 the label may have the view `pool`, in 9 there may be the
score `seams`, in 10 `alteration`; 7 was never released."""


@dataclass(frozen=True, kw_only=True)
class FittedRegions:
    """What the stage `fit` writes: regions, the neighbours reported beside verdicts, a digest."""

    regions: Regions
    neighbours: Neighbours
    digest: str
    """SHA-256 over all of it: the regions' identity."""


def save_regions(folder: Folder, regions: Regions, neighbours: Neighbours) -> FittedRegions:
    """Write `regions.safetensors`, then `regions.json`, which holds the digest of both files."""
    arrays = arrays_bytes(
        prefixed(regions.arrays(), "regions") | prefixed(neighbours.arrays(), "neighbours")
    )
    facts = {"regions": regions.facts(), "neighbours": neighbours.facts()}
    identity = FITTED.write(folder, arrays, {"kind": regions.kind, **facts}, facts)
    return FittedRegions(regions=regions, neighbours=neighbours, digest=identity)


def load_regions(folder: Folder, encoder_digest: str, latent_dim: int) -> FittedRegions:
    """Read regions for use with one encoder.

    Args:
        folder: the one that `save_regions` wrote to.
        encoder_digest: identity of the encoder.
        latent_dim: D of the encoder.

    Raises:
        ArtefactError: the files have another format version, kind or dimension, or are damaged.
        EncoderMismatchError: the regions were fitted with another encoder.
    """
    record = read_json(folder, FACTS)
    version, kind = record.get("format_version"), record.get("kind")
    if version not in READ or kind not in REGIONS.names:
        raise ArtefactError(
            f"{folder.path(FACTS)} holds {kind} regions of format version {version}, this rayqc "
            f"reads {', '.join(REGIONS.names)} of {', '.join(map(str, READ))}; {MEND}"
        )
    with FITTED.restoring(folder):
        fitted_with = record["regions"]["encoder_digest"]
        facts = {name: record[name] for name in ("regions", "neighbours")}
    if fitted_with != encoder_digest:
        raise EncoderMismatchError(
            f"regions were fitted with encoder {fitted_with[:12]}, "
            f"this run uses {encoder_digest[:12]}; {MEND}"
        )
    identity = FITTED.verify(folder, record, facts)
    arrays = read_arrays(folder, ARRAYS)
    region: RegionKind = REGIONS[kind]
    with FITTED.restoring(folder):
        neighbours = Neighbours.restore(facts["neighbours"], under(arrays, "neighbours"))
        restored = region.restore(facts["regions"], under(arrays, "regions"))
    if neighbours.centers_KD.shape[1] != latent_dim:
        raise ArtefactError(
            f"{folder.path(ARRAYS)} holds centers of shape {neighbours.centers_KD.shape}, expected "
            f"latent dimension {latent_dim}; {MEND}"
        )
    return FittedRegions(regions=restored, neighbours=neighbours, digest=identity)
