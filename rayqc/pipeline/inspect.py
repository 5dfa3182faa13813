"""Why an image was judged as it was: its row, and a picture of it beside references."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from rayqc.encoders.batches import LatentEncoder
from rayqc.errors import InputError
from rayqc.images.decode import ImageError, decode
from rayqc.ledger.commit import Part
from rayqc.ledger.manifest import load_files
from rayqc.pipeline.run import Run
from rayqc.report.comparison import Shown, comparison
from rayqc.results import ScoreRow
from rayqc.storage import Folder, read_table

NEAREST = 5


@dataclass(frozen=True, kw_only=True)
class JudgedImage:
    """A judged image: its row in `scores/`, and its encoded bytes if it has any."""

    row: ScoreRow
    image: bytes | None


def inspect_image(run: Run, filtered: Folder, id_: str) -> tuple[JudgedImage, bytes]:
    """One judged image, and a picture of it beside its nearest references (PNG bytes).

    Raises:
        InputError: no image of this id was judged.
    """
    judged = find(filtered, id_)
    encoder, fitted = run.encoder, run.regions
    reference_rows = run.references.select(["id", "image", "label"]).to_pylist()
    reference_by_id = {row["id"]: row for row in reference_rows}
    panels = [Shown(image=judged.image, caption=_caption(judged.row, fitted.regions.classes))]
    try:
        pixels = decode(judged.image, encoder.input, run.limits)
    except ImageError:
        return judged, comparison(panels, run.limits)
    batches = LatentEncoder(encoder.network, 1, precision=run.config.encoder.precision)
    latent_ND = batches.encode(pixels[None].copy())
    neighbours = fitted.neighbours
    for reference_number, distance in neighbours.ranked(latent_ND[0], NEAREST):
        row = reference_by_id[neighbours.ids[reference_number]]
        class_name = fitted.regions.classes[row["label"]]
        caption = [row["id"][-22:], f"class {class_name}", f"distance {distance:.2f}"]
        panels.append(Shown(image=row["image"]["bytes"], caption=caption))
    return judged, comparison(panels, run.limits)


def find(filtered: Folder, id_: str) -> JudgedImage:
    """The row of an id in `scores/`, and its image from the shards."""
    files = load_files(filtered)
    id_scalar = pa.scalar(id_, pa.string())
    for part in files["scores"]:
        ids = read_table(filtered, part.path, columns=["id"])["id"]
        row_number = pc.index(ids, id_scalar).as_py()
        if row_number >= 0:
            row = read_table(filtered, part.path).slice(row_number, 1).to_pylist()[0]
            return JudgedImage(row=row, image=_image(filtered, files, row["verdict"], id_scalar))
    example = read_table(filtered, files["scores"][0].path, columns=["id"])["id"][:1].to_pylist()
    raise InputError(f"{filtered} judged no image of id {id_!r}; ids are such as {example}")


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


def _caption(row: ScoreRow, classes: tuple[str, ...]) -> list[str]:
    class_line = "no class" if row["label"] is None else f"class {classes[row['label']]}"
    lines = [row["id"][-22:], class_line, row["verdict"]]
    if row["score"] is not None:
        lines.append(f"score {row['score']:.2f} ({row['decided_by']})")
    return lines
