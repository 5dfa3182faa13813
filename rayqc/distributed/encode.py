"""Encode references, other real images and altered copies in actors, from bytes to latents."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
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
from rayqc.regions.base import Altered
from rayqc.schema import LATENT, image_bytes, take_rows
from rayqc.storage import Folder
from rayqc.units import slices
from rayqc.work.altered import (
    AlteredFeatures,
    altered_order,
    copies_in_order,
    copies_of_each,
    features_of_altered,
    partner,
)
from rayqc.work.latent_columns import inner_columns, inner_matrices, latent_matrix, vectors

logger = logging.getLogger(__name__)

MOST_ROWS = 512
"""Images of a block, which one actor takes at a time."""
LEAST_BLOCKS = 16
"""Blocks that few images are cut into, so that several actors have an equal share of them."""
ALTERED_ROWS, LEAST_ALTERED_ROWS = 32, 4
"""References of a block of which copies are made, at most and at least."""
OF_IMAGES = ["id", "image"]
OF_OTHERS = ["other_id", "other"]
"""Columns of the images of which parts are put into altered copies, and the other way round; null
where none are made. So each image is sent once."""
COPIES = "copies"
"""Column of how many altered copies are made of an image; 0 where the image itself is encoded."""
ROW, OTHER_ROW = "row", "other_row"
"""Columns of the images' places, since actors finish in any order; the other's is null where no
copies are made of it."""
IS_COPY, IS_MIXED = "is_copy", "is_mixed"
"""Columns of what was encoded: is it an altered copy, and are parts of the other image in it?"""


class EncodeActor:
    """Loads the encoder once, then encodes batches of images and of images that are altered."""

    def __init__(
        self,
        model: Folder,
        encoder: EncoderSettings,
        micro_batch: int,
        limits: Limits,
        device: str,
        seed: int,
    ) -> None:
        trained = load_encoder(model, encoder.target)
        self.input = trained.input
        self.encoder = LatentEncoder(trained.network, micro_batch, device, encoder.precision)
        self.limits, self.seed = limits, seed

    def __call__(self, batch: pa.Table) -> pa.Table:
        """A row of each image or copy: row, is_copy, is_mixed, latent, and of `inner_columns`.

        Args:
            batch: columns row, id, image, other_row, other_id, other, copies.
        """
        copies_N = np.asarray(batch[COPIES])
        encoded = []
        for copies in np.unique(copies_N).tolist():  # several where Ray Data joined blocks
            part = batch.filter(pa.array(copies_N == copies))
            encoded.append(self._altered(part, copies) if copies else self._images(part))
        return pa.concat_tables(encoded)

    def _images(self, batch: pa.Table) -> pa.Table:
        ids, data = batch["id"].to_pylist(), image_bytes(batch)
        images_NHWC = decode_real(ids, data, self.input, self.limits)
        latent_ND, inner = self.encoder.split(self.encoder.encode_all(images_NHWC))
        return _table(np.asarray(batch[ROW]), latent_ND, inner)

    def _altered(self, batch: pa.Table, copies: int) -> pa.Table:
        firsts, seconds = (self._whole(batch.select(of)) for of in (OF_IMAGES, OF_OTHERS))
        pairs = list(zip(batch[ROW].to_pylist(), firsts, seconds, strict=True))
        turned = zip(batch[OTHER_ROW].to_pylist(), seconds, firsts, strict=True)
        both = [*pairs, *(one for one in turned if one[0] is not None)]
        rows, images, others = zip(*both, strict=True)
        found = features_of_altered(
            images, others, rows, self.encoder, self.input, copies, self.seed
        )
        inner = dict(found.features)
        latent_CD = inner.pop(LATENT)
        return _table(np.array(rows)[found.place_C], latent_CD, inner, found.mixed_C)

    def _whole(self, table: pa.Table) -> list[np.ndarray]:
        named = table.rename_columns(OF_IMAGES)
        return [
            real_pixels(name, encoded, Whole(shape=self.input), self.limits)
            for name, encoded in zip(named["id"].to_pylist(), image_bytes(named), strict=True)
        ]


def _table(
    row_N: np.ndarray,
    latent_ND: np.ndarray,
    inner: Mapping[str, np.ndarray],
    mixed_N: np.ndarray | None = None,
) -> pa.Table:
    """What was encoded: images, or copies where it is said which are mixed."""
    is_copy_N = np.full(row_N.size, mixed_N is not None)
    is_mixed_N = np.zeros(row_N.size, bool) if mixed_N is None else mixed_N
    columns = {ROW: row_N, IS_COPY: is_copy_N, IS_MIXED: is_mixed_N}
    arrays = {name: pa.array(value_N) for name, value_N in columns.items()}
    return pa.table({**arrays, LATENT: vectors(latent_ND), **inner_columns(inner)})


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
    none = np.array([], np.int64)
    return encode_with_altered(tables, none, model, looked_at, config, progress, name)[0]


def encode_with_altered(
    tables: Sequence[pa.Table],
    altered_M: np.ndarray,
    model: Folder,
    looked_at: ImageShape,
    config: Config,
    progress: Progress,
    name: str,
) -> tuple[list[pa.Table], Altered | None]:
    """What `encode_images` gives, and what the encoder says of altered copies of references.

    Args:
        tables: see `encode_images`.
        altered_M: (M,) rows of the first table, of which copies are made (`work.altered`); none
            where latents are known.

    Returns:
        Second, the copies of the M references; None where M is 0, or the encoder failed on all.
    """
    named = [table.select(["id", "label"]) for table in tables]
    altered = None
    if all(LATENT in table.column_names for table in tables):
        latents = [table.select([LATENT]) for table in tables]
    else:
        images = pa.concat_tables([pa.table([t["id"], t["image"]], OF_IMAGES) for t in tables])
        batch = batch_on_cpu(config.filter.micro_batch, looked_at.size**2)
        rows = rows_a_block(images.num_rows, batch)
        work = _image_blocks(images, rows)
        order = altered_order(altered_M.size, config.seed)
        if altered_M.size:
            references = take_rows(images, altered_M[order])
            work = _altered_blocks(references, copies_of_each(altered_M.size)) + work
        encoded = _encoded(work, rows, model, config, progress, name)
        is_copy = encoded[IS_COPY]
        of_images = encoded.filter(pc.invert(is_copy)).drop_columns([ROW, IS_COPY, IS_MIXED])
        ends = np.cumsum([table.num_rows for table in tables]).tolist()
        latents = [of_images.slice(a, b - a) for a, b in zip([0, *ends], ends, strict=False)]
        if altered_M.size:
            altered = _copies(encoded.filter(is_copy), order, name)
    return [
        pa.table({name: part[name] for part in pair for name in part.column_names})
        for pair in zip(named, latents, strict=True)
    ], altered


def _copies(encoded: pa.Table, order: np.ndarray, stage: str) -> Altered | None:
    """Copies of references that were altered in this order."""
    found = AlteredFeatures(
        features={LATENT: latent_matrix(encoded), **inner_matrices(encoded)},
        place_C=np.asarray(encoded[ROW]),
        mixed_C=np.asarray(encoded[IS_MIXED]),
    )
    altered = copies_in_order(found, order)
    kept = 0 if altered is None else altered.of_C.size
    if kept < encoded.num_rows:
        failed = f"{encoded.num_rows - kept:,} of {encoded.num_rows:,}"
        logger.warning("%s: %s altered copies could not be encoded and are left out", stage, failed)
    return altered


def _image_blocks(images: pa.Table, rows: int) -> list[pa.Table]:
    """Blocks of images to encode."""
    count = images.num_rows
    none = [pa.nulls(count, field.type) for field in images.schema]
    numbers = [pa.array(np.arange(count)), pa.nulls(count, pa.int64())]
    return _blocks([*images, *none, *numbers, pa.array(np.zeros(count, np.int64))], rows)


def _altered_blocks(references: pa.Table, copies: int) -> list[pa.Table]:
    """Blocks of references to make copies of, each beside its partner."""
    count = references.num_rows
    first_N = np.arange(0, count, 2)
    second_N = partner(first_N, count)
    images, others = (take_rows(references, place_N) for place_N in (first_N, second_N))
    numbers = [pa.array(first_N), pa.array(second_N, mask=second_N <= first_N)]
    rows = min(ALTERED_ROWS, max(LEAST_ALTERED_ROWS, -(-count // LEAST_BLOCKS))) // 2
    return _blocks([*images, *others, *numbers, pa.array(np.full(first_N.size, copies))], rows)


def _blocks(columns: list[pa.Array | pa.ChunkedArray], rows: int) -> list[pa.Table]:
    work = pa.table(columns, [*OF_IMAGES, *OF_OTHERS, ROW, OTHER_ROW, COPIES])
    return [work.slice(start, stop - start) for start, stop in slices(work.num_rows, rows)]


def _encoded(
    blocks: Sequence[pa.Table],
    rows: int,
    model: Folder,
    config: Config,
    progress: Progress,
    name: str,
) -> pa.Table:
    """What actors make of the images, and of those to be altered, of blocks; in order of rows.

    Args:
        rows: of a block, of images that are not altered.
    """
    total = sum(2 * len(block) - block[OTHER_ROW].null_count for block in blocks)
    gpu = gpus_wanted(config.resources.use_gpu)
    a_gpu = actors_per_gpu(config.filter.actors) if gpu else 0
    with progress.stage(name, total) as stage, plain_errors():
        arguments = (
            model,
            config.encoder,
            config.filter.micro_batch,
            limits_of(config.image),
            "cuda" if gpu else "cpu",
            config.seed,
        )
        actors = actors_for(name, config.filter.actors, len(blocks), a_gpu)
        dataset = ray.data.from_blocks(blocks)  # from_arrow would start a task for each block
        encoded = through_actors(dataset, EncodeActor, arguments, actors, rows)
        minutes = config.resources.stuck_minutes
        watchdog = Watchdog(name, minutes)
        encoded_batches: list[pa.Table] = []

        def take() -> None:
            for batch in encoded.iter_batches(batch_size=None, batch_format="pyarrow"):
                encoded_batches.append(batch)

        def look() -> None:
            encoded_rows = sum(map(_images_of, encoded_batches))
            if encoded_rows > stage.done:
                stage.advance(encoded_rows - stage.done)
            watchdog.look(encoded_rows)

        in_thread(take, look)
    return pa.concat_tables(encoded_batches).sort_by(ROW)


def _images_of(encoded: pa.Table) -> int:
    """Of how many images these are: all copies of one count as one."""
    return int(encoded.group_by([ROW, IS_COPY]).aggregate([]).num_rows)


def rows_a_block(total: int, batch: int) -> int:
    """Images of a block: whole batches of the encoder, and blocks enough to share out.

    Args:
        total: images.
        batch: images that the encoder takes at once.
    """
    return min(MOST_ROWS, max(1, total // LEAST_BLOCKS // batch) * batch)
