"""Regions on disk: safetensors for the arrays, JSON for what must fit before they are used."""

from __future__ import annotations

import numpy as np

from rayqc.errors import ArtefactError, EncoderMismatchError
from rayqc.regions.sphere import KIND, SphereRegions
from rayqc.storage import Folder, arrays_bytes, digest, read_arrays, read_json, write_json

REGIONS_FORMAT = 1
ARRAYS = "regions.safetensors"
FACTS = "regions.json"


def save_regions(folder: Folder, regions: SphereRegions) -> str:
    """Write `regions.safetensors`, then `regions.json`, which names its digest; returns that."""
    arrays = arrays_bytes(
        {
            "centers_KD": regions.centers_KD,
            "radius_K": regions.radius_K,
            "count_K": regions.count_K.astype(np.int64),
        }
    )
    folder.write(ARRAYS, arrays)
    facts = {
        "format_version": REGIONS_FORMAT,
        "kind": regions.kind,
        "encoder_digest": regions.encoder_digest,
        "regions_digest": digest(arrays),
        "coverage": regions.coverage,
        "latent_dim": int(regions.centers_KD.shape[1]),
        "classes": list(regions.classes),
    }
    write_json(folder, FACTS, facts)
    return digest(arrays)


def load_regions(folder: Folder, encoder_digest: str, latent_dim: int) -> SphereRegions:
    """Read regions for use with one encoder.

    Raises:
        ArtefactError: another format version or kind, damaged, or of another dimension.
        EncoderMismatchError: fitted with another encoder.
    """
    facts = read_json(folder, FACTS)
    if facts.get("format_version") != REGIONS_FORMAT or facts.get("kind") != KIND:
        raise ArtefactError(
            f"{folder.path(FACTS)} holds {facts.get('kind')} regions of format version "
            f"{facts.get('format_version')}, this rayqc reads {KIND} of {REGIONS_FORMAT}; "
            "run `rayqc fit` again with --redo"
        )
    if facts["encoder_digest"] != encoder_digest:
        raise EncoderMismatchError(
            f"regions were fitted with encoder {facts['encoder_digest'][:12]}, "
            f"this run uses {encoder_digest[:12]}; run `rayqc fit` again with --redo"
        )
    found = digest(folder.read(ARRAYS))
    if found != facts["regions_digest"]:
        raise ArtefactError(
            f"{folder.path(ARRAYS)} is damaged or swapped: digest {found[:12]}, "
            f"{FACTS} says {facts['regions_digest'][:12]}; run `rayqc fit` again with --redo"
        )
    arrays = read_arrays(folder, ARRAYS)
    if arrays["centers_KD"].shape != (len(facts["classes"]), latent_dim):
        raise ArtefactError(
            f"{folder.path(ARRAYS)} holds centers of shape {arrays['centers_KD'].shape}, "
            f"expected ({len(facts['classes'])}, {latent_dim}); run `rayqc fit` again with --redo"
        )
    return SphereRegions(
        classes=tuple(facts["classes"]),
        centers_KD=arrays["centers_KD"],
        radius_K=arrays["radius_K"],
        count_K=arrays["count_K"],
        coverage=facts["coverage"],
        encoder_digest=facts["encoder_digest"],
    )
