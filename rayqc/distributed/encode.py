"""Encode references and other real images in actors, from bytes to latents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import ray
import ray.data

from rayqc.config import Config
from rayqc.config.encoder import Encoder as EncoderSettings
from rayqc.distributed.pools import through_actors
from rayqc.distributed.resources import actors_for, actors_per_gpu, gpus_wanted
from rayqc.distributed.session import plain_errors
from rayqc.distributed.watch import Watchdog, in_thread
from rayqc.encoders.batches import LatentEncoder
from rayqc.encoders.store import load_encoder
from rayqc.images.alterations import Whole
from rayqc.images.decode import Limits, limits_of
from rayqc.images.look import ImageShape
from rayqc.images.references import decode_real, real_pixels
from rayqc.models.batches import batch_on_cpu
from rayqc.progress import Progress
from rayqc.schema import LATENT, image_bytes
from rayqc.seeds import ALTERATIONS
from rayqc.storage import Folder
from rayqc.units import evenly, slices
from rayqc.work.altered import features_of_altered
from rayqc.work.latent_columns import inner_columns, inner_matrices, latent_matrix, vectors

MOST_ROWS = 512
"""Images of a block, which one actor takes at a time."""
LEAST_BLOCKS = 16
"""Blocks that few images are cut into, so that several actors have an equal share of them."""
MOST_ALTERED = 500
"""Altered copies in all at most; more tell no more (docs/tried.md)."""
MOST_COPIES = 10
"""Altered copies of a reference at most: one of each kind."""
ALTERED_ROWS, LEAST_ALTERED_ROWS = 32, 4
"""References of a block of which copies are made, at most and at least."""
OF_IMAGES = ["id", "image"]
ROW = "row"
"""Column of an image's place, since actors finish in any order."""


class EncodeActor:
    """Loads the encoder once, then replaces the `image` column of batches by latents."""

    def __init__(
        self, model: Folder, encoder: EncoderSettings, micro_batch: int, limits: Limits, device: str
    ) -> None:
        trained = load_encoder(model, encoder.target)
        self.input = trained.input
        self.encoder = LatentEncoder(trained.network, micro_batch, device, encoder.precision)
        self.limits = limits

    def __call__(self, batch: pa.Table) -> pa.Table:
        """A table of columns row, latent and those of `latent_columns.inner_columns`.

        Args:
            batch: columns row, id, image.
        """
        data = image_bytes(batch)
        images_NHWC = decode_real(batch["id"].to_pylist(), data, self.input, self.limits)
        latent_ND, inner = self.encoder.split(self.encoder.encode_all(images_NHWC))
        return pa.table({ROW: batch[ROW], LATENT: vectors(latent_ND), **inner_columns(inner)})


class AlterActor(EncodeActor):
    """Encodes altered copies of images; what is put into one is of another image of its batch."""

    def __init__(
        self,
        model: Folder,
        encoder: EncoderSettings,
        micro_batch: int,
        limits: Limits,
        device: str,
        copies: int,
        seed: int,
    ) -> None:
        super().__init__(model, encoder, micro_batch, limits, device)
        self.copies, self.seed = copies, seed

    def __call__(self, batch: pa.Table) -> pa.Table:
        """A table of columns row, latent and inner features: those of all copies, end to end.

        Args:
            batch: columns row, id, image.
        """
        whole = Whole(shape=self.input)
        ids, data = batch["id"].to_pylist(), image_bytes(batch)
        images = [
            real_pixels(name, encoded, whole, self.limits)
            for name, encoded in zip(ids, data, strict=True)
        ]
        found = features_of_altered(
            images, batch[ROW].to_pylist(), self.encoder, self.input, self.copies, self.seed
        )
        flat = {name: value_NTF.reshape(len(images), -1) for name, value_NTF in found.items()}
        return pa.table({ROW: batch[ROW], LATENT: vectors(flat.pop(LATENT)), **inner_columns(flat)})


def encode_images(
    tables: Sequence[pa.Table],
    model: Folder,
    looked_at: ImageShape,
    config: Config,
    progress: Progress,
    name: str,
) -> list[pa.Table]:
    """Latents of real images: id, label, latent and features of inner layers, of each table.

    Args:
        tables: columns id, label, image; and latent, where all latents are known.
        model: the folder of the encoder.
        looked_at: what the encoder sees of an image.
        name: of the stage, in progress.

    Raises:
        InputError: an image cannot be decoded.
    """
    named = [table.select(["id", "label"]) for table in tables]
    if all(LATENT in table.column_names for table in tables):
        latents = [table.select([LATENT]) for table in tables]
    else:
        images = pa.concat_tables([pa.table([t["id"], t["image"]], OF_IMAGES) for t in tables])
        rows = rows_a_block(
            images.num_rows, batch_on_cpu(config.filter.micro_batch, looked_at.size**2)
        )
        encoded = _encoded(images, EncodeActor, (), rows, model, config, progress, name)
        ends = np.cumsum([table.num_rows for table in tables]).tolist()
        starts = [0, *ends]
        latents = [encoded.slice(a, b - a) for a, b in zip(starts, ends, strict=False)]
    return [
        pa.table({name: part[name] for part in pair for name in part.column_names})
        for pair in zip(named, latents, strict=True)
    ]


def copies_of_each(references: int) -> int:
    """How many altered copies are made of each of so many references, or of those that have any."""
    return min(MOST_COPIES, max(1, MOST_ALTERED // references))


def altered_copies(references: int) -> int:
    """How many altered copies are made of so many references, 1 and more, in all."""
    return min(references, MOST_ALTERED) * copies_of_each(references)


def encode_altered(
    references: pa.Table, model: Folder, config: Config, progress: Progress
) -> dict[str, np.ndarray]:
    """What the encoder says of altered copies of the references.

    Of N references each has ten copies or fewer, so that there are `MOST_ALTERED` copies in all at
    most; of more references than that as many have one each.

    Args:
        references: columns id and image.
        model: the folder of the encoder.

    Returns:
        (N, T, F) float32 by name of the features; NaN of references without copies.

    Raises:
        InputError: an image cannot be decoded.
    """
    kept = evenly(references.num_rows, MOST_ALTERED)
    copies = copies_of_each(references.num_rows)
    # In an order by chance, images have parts of other classes' images put in.
    order = np.random.default_rng([config.seed, ALTERATIONS]).permutation(kept)
    images = references.select(OF_IMAGES).take(pa.array(order))
    rows = min(ALTERED_ROWS, max(LEAST_ALTERED_ROWS, -(-order.size // LEAST_BLOCKS)))
    arguments = (copies, config.seed)
    encoded = _encoded(images, AlterActor, arguments, rows, model, config, progress, "alter")
    found = {}
    for name, value_ND in {LATENT: latent_matrix(encoded), **inner_matrices(encoded)}.items():
        width = value_ND.shape[1] // copies
        found[name] = np.full((references.num_rows, copies, width), np.nan, np.float32)
        found[name][order] = value_ND.reshape(-1, copies, width)
    return found


def _encoded(
    images: pa.Table,
    actor: type[EncodeActor],
    further: tuple[Any, ...],
    rows: int,
    model: Folder,
    config: Config,
    progress: Progress,
    name: str,
) -> pa.Table:
    """What actors make of images, in the images' order.

    Args:
        further: arguments of the actor beside those of every `EncodeActor`.
        rows: of a block.
    """
    total = images.num_rows
    images = images.append_column(ROW, pa.array(np.arange(total)))
    blocks = [images.slice(start, stop - start) for start, stop in slices(total, rows)]
    gpu = gpus_wanted(config.resources.use_gpu)
    a_gpu = actors_per_gpu(config.filter.actors) if gpu else 0
    with progress.stage(name, total) as stage, plain_errors():
        arguments = (
            model,
            config.encoder,
            config.filter.micro_batch,
            limits_of(config.image),
            "cuda" if gpu else "cpu",
            *further,
        )
        actors = actors_for(name, config.filter.actors, len(blocks), a_gpu)
        dataset = ray.data.from_blocks(blocks)  # from_arrow would start a task for each block
        encoded = through_actors(dataset, actor, arguments, actors, rows)
        minutes = config.resources.stuck_minutes
        watchdog = Watchdog(name, minutes)
        encoded_batches: list[pa.Table] = []

        def take() -> None:
            for batch in encoded.iter_batches(batch_size=None, batch_format="pyarrow"):
                encoded_batches.append(batch)

        def look() -> None:
            encoded_rows = sum(batch.num_rows for batch in encoded_batches)
            if encoded_rows > stage.done:
                stage.advance(encoded_rows - stage.done)
            watchdog.look(encoded_rows)

        in_thread(take, look)
    return pa.concat_tables(encoded_batches).sort_by(ROW).drop_columns([ROW])


def rows_a_block(total: int, batch: int) -> int:
    """Images of a block: whole batches of the encoder, and blocks enough to share out.

    Args:
        total: images.
        batch: images that the encoder takes at once.
    """
    return min(MOST_ROWS, max(1, total // LEAST_BLOCKS // batch) * batch)
