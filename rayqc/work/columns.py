"""Verdict columns of a unit, filled group by group.

Shape suffixes: N images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from rayqc.images.decode import Wrong
from rayqc.images.facts import own_sizes
from rayqc.images.fingerprint import looks, pixel_digests
from rayqc.regions import Candidates, FittedRegions, Verdicts
from rayqc.regions.base import verdicts_of
from rayqc.regions.sphere import own_distances
from rayqc.schema import HEIGHT, LOOK, PIXELS, SCORE_FIELDS, SEEN_FIELDS, WIDTH, evidence_column
from rayqc.verdicts import ERROR


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """Verdict columns of a unit's N rows."""

    columns: dict[str, pa.Array]
    latent_ND: np.ndarray
    """float32; of images that could not be judged, whatever the encoder made of blank ones."""
    verdict_N: np.ndarray
    reason_N: np.ndarray
    seen: dict[str, pa.Array]
    """See `seen_columns`."""


class VerdictColumns:
    """Verdict columns of N rows, filled group by group; rows never filled stay null."""

    def __init__(self, total: int) -> None:
        self.filled_N = np.zeros(total, bool)
        self.values: dict[str, np.ndarray] = {}

    def fill(self, rows: np.ndarray, values: dict[str, np.ndarray]) -> None:
        """Set the columns of the rows with these row numbers; `values` as of `verdict_values`."""
        self.filled_N[rows] = True
        for name, value_N in values.items():
            empty_N = np.zeros(self.filled_N.size, value_N.dtype)
            self.values.setdefault(name, empty_N)[rows] = value_N

    def judgement(
        self,
        error_N: list[Wrong | None],
        latent_ND: np.ndarray,
        seen: dict[str, pa.Array],
    ) -> Judgement:
        """All verdict columns; a row with an error has its reason and message, and no score."""
        total = self.filled_N.size
        verdict_N = np.full(total, ERROR, object)
        reason_N = np.array([error[0] if error else None for error in error_N], object)
        for column_N, name in ((verdict_N, "verdict"), (reason_N, "reason")):
            if name in self.values:
                column_N[self.filled_N] = self.values[name][self.filled_N]
        columns = {}
        for field in SCORE_FIELDS:
            value_N = self.values.get(field.name)
            if value_N is None:
                columns[field.name] = pa.nulls(total, field.type)
            else:
                columns[field.name] = pa.array(value_N, field.type, mask=~self.filled_N)
        columns["verdict"] = pa.array(verdict_N, pa.string())
        columns["reason"] = pa.array(reason_N, pa.string())
        columns["message"] = pa.array(
            [error[1] if error else None for error in error_N], pa.string()
        )
        return Judgement(
            columns=columns,
            latent_ND=latent_ND,
            verdict_N=verdict_N,
            reason_N=reason_N,
            seen=seen,
        )


def seen_columns(
    data: Sequence[bytes | None], images_NHWC: np.ndarray, sound_N: np.ndarray
) -> dict[str, pa.Array]:
    """The columns `SEEN_FIELDS` of N images, by name; null where an image is not sound.

    Args:
        data: the encoded images.
        images_NHWC: uint8, the decoded ones in the run's size.
        sound_N: bool, whether each was decoded and judged.
    """
    size_N2 = own_sizes(
        [image if sound else None for image, sound in zip(data, sound_N, strict=True)]
    )
    known_N = size_N2.all(1)
    columns = {
        PIXELS: (pixel_digests(images_NHWC), sound_N),
        LOOK: ([row.tobytes() for row in looks(images_NHWC)], sound_N),
        WIDTH: (size_N2[:, 0], known_N),
        HEIGHT: (size_N2[:, 1], known_N),
    }
    return {
        field.name: pa.array(columns[field.name][0], field.type, mask=~columns[field.name][1])
        for field in SEEN_FIELDS
    }


def verdict_values(
    candidates: Candidates, verdicts: Verdicts, fitted: FittedRegions
) -> dict[str, np.ndarray]:
    """Values of the verdict columns, by column; those that the regions do not have are left out.

    Args:
        candidates: N of them.
        verdicts: what the regions say of them.
    """
    neighbours, classes = fitted.neighbours, np.array(fitted.regions.classes, object)
    nearest = neighbours.nearest(candidates.latent_ND)
    distance_N = own_distances(candidates.latent_ND, candidates.label_N, neighbours.centers_KD)
    verdict_N, reason_N = verdicts_of(verdicts.score_N, verdicts.decided_by_N)
    columns = {
        "score": verdicts.score_N,
        "distance": distance_N.astype(np.float32),
        "radius": neighbours.radius_K[candidates.label_N].astype(np.float32),
        "p_value": verdicts.p_value_N,
        **{evidence_column(name): value_N for name, value_N in verdicts.evidence.items()},
        "decided_by": verdicts.decided_by_N.astype(object),
        "nearest_reference": np.array(
            [neighbours.ids[number] for number in nearest.reference_N], object
        ),
        "nearest_class": np.where(verdicts.nearest_N < 0, None, classes[verdicts.nearest_N]),
        "near_copy": nearest.distance_N < neighbours.copy_distance,
        "verdict": verdict_N,
        "reason": reason_N,
    }
    return {name: value_N for name, value_N in columns.items() if value_N is not None}
