"""Encode references and other real images in actors, from bytes to latents."""

from __future__ import annotations

import pyarrow as pa
import ray
import ray.data

from rayqc.config import Config
from rayqc.config.encoder import Encoder as EncoderSettings
from rayqc.distributed.pools import through_actors
from rayqc.distributed.resources import actor_count, actors_per_gpu, gpus_wanted
from rayqc.distributed.session import plain_errors
from rayqc.distributed.watch import Watchdog, in_thread
from rayqc.encoders.batches import LatentEncoder
from rayqc.encoders.store import load_encoder
from rayqc.images.decode import Limits, limits_of
from rayqc.images.references import decode_real
from rayqc.progress import Progress
from rayqc.schema import LATENT, image_bytes
from rayqc.storage import Folder
from rayqc.units import slices
from rayqc.work.latent_columns import MIDDLE, vectors

ROWS_A_BLOCK = 512


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
        """A table of columns id, label, latent and, if there are middle features, middle.

        Args:
            batch: columns id, label, image.
        """
        data = image_bytes(batch)
        images_NHWC = decode_real(batch["id"].to_pylist(), data, self.input, self.limits)
        latent_ND, middle_NM = self.encoder.split(self.encoder.encode_all(images_NHWC))
        columns = {"id": batch["id"], "label": batch["label"], LATENT: vectors(latent_ND)}
        if middle_NM is not None:
            columns[MIDDLE] = vectors(middle_NM)
        return pa.table(columns)


def encode_images(
    table: pa.Table, model: Folder, config: Config, progress: Progress, name: str
) -> ray.data.MaterializedDataset:
    """Latents of real images: columns id, label, latent and, if the encoder gives them, middle.

    Args:
        table: columns id, label, image; and latent, where latents came with the images.

    Raises:
        InputError: an image cannot be decoded.
    """
    if LATENT in table.column_names:  # they came with the images
        return ray.data.from_blocks([table.select(["id", "label", LATENT])]).materialize()
    table = table.select(["id", "label", "image"])
    blocks = [
        table.slice(start, stop - start) for start, stop in slices(table.num_rows, ROWS_A_BLOCK)
    ]
    gpu = gpus_wanted(config.resources.use_gpu)
    a_gpu = actors_per_gpu(config.filter.actors) if gpu else 0
    with progress.stage(name, table.num_rows) as stage, plain_errors():
        arguments = (
            model,
            config.encoder,
            config.filter.micro_batch,
            limits_of(config.image),
            "cuda" if gpu else "cpu",
        )
        count = actor_count(name, config.filter.actors, len(blocks), a_gpu)
        dataset = ray.data.from_blocks(blocks)  # from_arrow would start a task for each block
        least_rows = min(block.num_rows for block in blocks)
        encoded = through_actors(dataset, EncodeActor, arguments, count, a_gpu, least_rows)
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
    return ray.data.from_blocks(encoded_batches).materialize()


def in_order(latents: ray.data.Dataset, images: pa.Table) -> pa.Table:
    """The latents in the order of the images; actors may have finished in another order."""
    table = pa.concat_tables(latents.iter_batches(batch_format="pyarrow", batch_size=None))
    row_of = {name: row for row, name in enumerate(table["id"].to_pylist())}
    return table.take(pa.array([row_of[name] for name in images["id"].to_pylist()]))
