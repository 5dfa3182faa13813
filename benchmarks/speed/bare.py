"""The limit: bare processes and no more than the work.

python -m benchmarks.speed.bare POOL RUN OUT PROCESSES

Each process takes every so-manieth row group: reads it, decodes with the fastest library, encodes
in batches of 128 of one size, measures distances and writes what is inside and outside its sphere
with the original bytes, and the scores. No check, no commit, no reasons, nothing is resumed.
"""

from __future__ import annotations

import json
import multiprocessing
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import imagecodecs
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import simplejpeg
import torch

from rayqc.encoders.store import load_encoder
from rayqc.regions import load_regions
from rayqc.storage import Folder

BATCH = 128


def decode(data: bytes) -> np.ndarray:
    """Pixels of a PNG or JPEG, whatever is in it."""
    if data[0] == 0xFF:
        return simplejpeg.decode_jpeg(data)
    return imagecodecs.spng_decode(data)


class Model:
    """The run's encoder and spheres, in this process."""

    def __init__(self, run: str) -> None:
        torch.set_num_threads(1)
        folder = Folder(run)
        trained = load_encoder(folder.sub("model"), None)
        self.network = trained.network.eval().to(memory_format=torch.channels_last)
        latent_dim = trained.network.latent_dim
        fitted = load_regions(folder.sub("regions"), trained.digest, latent_dim)
        self.shape = trained.image.pixels
        self.neighbours = fitted.neighbours

    @torch.inference_mode()
    def encode(self, images_NHWC: np.ndarray) -> np.ndarray:
        """Latents of a batch, padded to its full size."""
        full = np.zeros((BATCH, *images_NHWC.shape[1:]), np.uint8)
        full[: len(images_NHWC)] = images_NHWC
        x_NCHW = torch.from_numpy(full).permute(0, 3, 1, 2).float() / 255
        return self.network.latent(x_NCHW)[: len(images_NHWC)].numpy()


def pixels_of(column: pa.ChunkedArray, shape: tuple[int, int, int]) -> list[np.ndarray]:
    """Batches of pixels, (up to 128, H, W, C)."""
    flat = column.combine_chunks()
    if not pa.types.is_struct(flat.type):
        raw = np.asarray(flat.flatten()).reshape(-1, *shape)
        return [raw[i : i + BATCH] for i in range(0, len(raw), BATCH)]
    data = flat.field("bytes").to_pylist()

    def batch(start: int) -> np.ndarray:
        return np.stack([decode(one) for one in data[start : start + BATCH]]).reshape(-1, *shape)

    with ThreadPoolExecutor(2) as threads:
        return list(threads.map(batch, range(0, len(data), BATCH)))


def work_on(rank: int, world: int, pool: str, run: str, out: str, answers: object) -> None:
    """One process's share of the filter."""
    model = Model(run)
    file = pq.ParquetFile(pool)
    centers, radius = model.neighbours.centers_KD, model.neighbours.radius_K
    begun, rows = time.perf_counter(), 0
    for group in range(rank, file.num_row_groups, world):
        table = file.read_row_group(group)
        latent_ND = np.concatenate(
            [model.encode(b) for b in pixels_of(table["image"], model.shape)]
        )
        label_N = np.asarray(table["label"])
        distance_N = np.linalg.norm(latent_ND - centers[label_N], axis=1)
        inside_N = distance_N <= radius[label_N]
        table = table.append_column("distance", pa.array(distance_N))
        for name, mask_N in (("accepted", inside_N), ("rejected", ~inside_N)):
            write(table.filter(pa.array(mask_N)), f"{out}/{name}-{group:06d}.parquet")
        write(table.drop_columns(["image"]), f"{out}/scores-{group:06d}.parquet")
        rows += table.num_rows
    answers.put((rows, time.perf_counter() - begun))


def write(table: pa.Table, place: str) -> None:
    """As rayqc writes a part."""
    pq.write_table(table, place, compression="zstd", row_group_size=1024)


def main() -> None:
    """Print the rate, the sum of each process's from its first row to its last."""
    pool, run, out, processes = sys.argv[1:]
    Path(out).mkdir(parents=True)
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    world = int(processes)
    workers = [
        context.Process(target=work_on, args=(rank, world, pool, run, out, answers))
        for rank in range(world)
    ]
    for worker in workers:
        worker.start()
    found = [answers.get() for _ in workers]
    for worker in workers:
        worker.join()
    print(json.dumps({"rate": sum(rows / seconds for rows, seconds in found)}))


if __name__ == "__main__":
    main()
