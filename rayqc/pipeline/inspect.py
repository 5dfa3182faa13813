"""Why one image was judged as it was: its row in words, and a picture beside its references."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from rayqc.config import Config
from rayqc.errors import InputError
from rayqc.images.decode import ImageError, decode, limits_of
from rayqc.ledger.manifest import load_files
from rayqc.models.encoder import LatentEncoder
from rayqc.pipeline.artefacts import REFERENCES, run_encoder, run_regions
from rayqc.report.comparison import Shown, comparison
from rayqc.storage import Folder, read_table

NEAREST = 5


@dataclass(frozen=True, kw_only=True)
class Found:
    """A judged image."""

    row: dict[str, Any]
    image: bytes | None


def inspect_image(run: Folder, filtered: Folder, config: Config, id_: str) -> tuple[Found, bytes]:
    """One judged image, and a picture of it beside its nearest references (PNG bytes).

    Raises:
        InputError: no such id, or its image was not kept.
    """
    found = find(filtered, id_)
    trained, fitted = run_encoder(run, config), run_regions(run, config)
    limits = limits_of(config.image)
    references = read_table(run.sub("model"), REFERENCES, columns=["id", "image", "label"])
    held = {row["id"]: row for row in references.to_pylist()}
    shown = [Shown(image=found.image, caption=_caption(found.row, fitted.regions.classes))]
    try:
        pixels = decode(found.image, trained.image, limits)
    except ImageError:
        return found, comparison(shown, limits)
    encoder = LatentEncoder(trained.network, 1, precision=config.encoder.precision)
    latent_ND = encoder.encode(pixels[None].copy())
    neighbours = fitted.neighbours
    for place, distance in neighbours.ranked(latent_ND[0], NEAREST):
        row = held[neighbours.ids[place]]
        name = fitted.regions.classes[row["label"]]
        caption = [row["id"][-22:], f"class {name}", f"distance {distance:.2f}"]
        shown.append(Shown(image=row["image"]["bytes"], caption=caption))
    return found, comparison(shown, limits)


def find(filtered: Folder, id_: str) -> Found:
    """The row of an id in `scores`, and its image from the shards."""
    files = load_files(filtered)
    wanted = pa.scalar(id_, pa.string())
    for part in files["scores"]:
        ids = read_table(filtered, part.path, columns=["id"])["id"]
        place = pc.index(ids, wanted).as_py()
        if place >= 0:
            row = read_table(filtered, part.path).slice(place, 1).to_pylist()[0]
            return Found(row=row, image=_image(filtered, files, row["verdict"], wanted))
    example = read_table(filtered, files["scores"][0].path, columns=["id"])["id"][:1].to_pylist()
    raise InputError(f"{filtered} judged no image of id {id_!r}; ids are such as {example}")


def _image(
    filtered: Folder, files: dict[str, Any], verdict: str, wanted: pa.Scalar
) -> bytes | None:
    for part in files.get(verdict, []):
        ids = read_table(filtered, part.path, columns=["id"])["id"]
        place = pc.index(ids, wanted).as_py()
        if place >= 0:
            table = read_table(filtered, part.path, columns=["image"]).slice(place, 1)
            data: bytes | None = table.to_pylist()[0]["image"]["bytes"]
            return data
    return None


def _caption(row: dict[str, Any], classes: tuple[str, ...]) -> list[str]:
    name = "no class" if row["label"] is None else f"class {classes[row['label']]}"
    lines = [row["id"][-22:], name, row["verdict"]]
    if row["score"] is not None:
        lines.append(f"score {row['score']:.2f} ({row['decided_by']})")
    return lines
