"""Why an image was judged as it was: its row, and a picture of it beside references."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rayqc.encoders.batches import LatentEncoder
from rayqc.errors import InputError
from rayqc.images.decode import ImageError, decode
from rayqc.ledger.commit import Part
from rayqc.ledger.judged import find_id, why
from rayqc.ledger.manifest import load_files
from rayqc.pipeline.run import Run
from rayqc.report.comparison import Shown, comparison
from rayqc.results import ScoreRow
from rayqc.schema import LATENT
from rayqc.storage import Folder, read_table
from rayqc.work.latent_columns import latent_matrix

NEAREST = 3
"""References shown of a class."""


@dataclass(frozen=True, kw_only=True)
class JudgedImage:
    """A judged image: its row in `scores/`, and its encoded bytes if it has any."""

    row: ScoreRow
    own: str | None
    """Name of its class; None where it has none."""
    why: str
    """In words."""
    image: bytes | None


def inspect_image(run: Run, filtered: Folder, name: str) -> tuple[JudgedImage, bytes]:
    """One judged image, and a picture of it (PNG bytes).

    Beside it are the nearest references of its class and of the class that it is most like.

    Args:
        name: id of the image, or path of its file.

    Raises:
        InputError: no image of this name was judged.
    """
    judged = _find(filtered, name)
    encoder, fitted = run.encoder, run.regions
    classes = fitted.regions.classes
    reference_rows = run.references.select(["id", "image", "label"]).to_pylist()
    reference_by_id = {row["id"]: row for row in reference_rows}
    panels = [Shown(image=judged.image, caption=_caption(judged.row, judged.own))]
    try:
        pixels = decode(judged.image, encoder.input, run.limits)
    except ImageError:
        return judged, comparison(panels, run.limits)
    if encoder.network.computes:
        batches = LatentEncoder(encoder.network, 1, precision=run.config.encoder.precision)
        latent_ND = batches.encode(pixels[None].copy())
    else:
        latent_ND = _kept_latent(filtered, judged.row["id"])
    neighbours = fitted.neighbours
    ranked = [
        (reference_by_id[neighbours.ids[number]], distance)
        for number, distance in neighbours.ranked(latent_ND[0], len(neighbours.ids))
    ]
    for class_name in dict.fromkeys((judged.own, judged.row["nearest_class"])):
        own = [(row, away) for row, away in ranked if classes[row["label"]] == class_name]
        for row, away in own[:NEAREST]:
            caption = [row["id"][-22:], f"a reference of {class_name}", f"distance {away:.2f}"]
            panels.append(Shown(image=row["image"]["bytes"], caption=caption))
    return judged, comparison(panels, run.limits)


def _kept_latent(filtered: Folder, name: str) -> np.ndarray:
    """(1, D) float32, the latent that came with an image, from its row in `scores/`.

    Raises:
        InputError: it was not kept.
    """
    for part in load_files(filtered)["scores"]:
        row = pc.index(read_table(filtered, part.path, columns=["id"])["id"], name).as_py()
        table = read_table(filtered, part.path).slice(row, 1) if row >= 0 else None
        if table is not None and LATENT in table.column_names:
            return latent_matrix(table).astype(np.float32)
    raise InputError(
        f"{filtered} keeps no latents, so that what {name} is near to cannot be shown; judge it "
        "with filter.keep_latents: true"
    )


def _find(filtered: Folder, name: str) -> JudgedImage:
    row, own = find_id(filtered, name)
    image = _image(filtered, load_files(filtered), row["verdict"], pa.scalar(row["id"]))
    return JudgedImage(row=row, own=own, why=why(row, own), image=image)


def _image(
    filtered: Folder, files: dict[str, list[Part]], verdict: str, id_scalar: pa.Scalar
) -> bytes | None:
    for part in files.get(verdict, []):
        ids = read_table(filtered, part.path, columns=["id"])["id"]
        row_number = pc.index(ids, id_scalar).as_py()
        if row_number >= 0:
            table = read_table(filtered, part.path, columns=["image"]).slice(row_number, 1)
            image_bytes: bytes | None = table.to_pylist()[0]["image"]["bytes"]
            return image_bytes
    return None


def _caption(row: ScoreRow, own: str | None) -> list[str]:
    class_line = "no class" if own is None else f"class {own}"
    lines = [row["id"][-22:], class_line, row["verdict"]]
    if row["score"] is not None:
        lines.append(f"score {row['score']:.2f} ({row['decided_by']})")
    return lines
