"""What rayqc is measured against on photographs, each a process of its own.

python -m benchmarks.speed.photograph_scripts NAME POOL RUN OUT CPUS PRECISION

bare: processes without Ray, one on each CPU, that read, decode, encode, measure distances and write
as rayqc does, with no check, reason, commit or resuming. With a GPU they read and decode, and one
more process encodes their batches from pinned memory and writes.
scaled: the same, but JPEG is decoded at the smallest part of its size that is enough for the
network, which changes pixels a little.
dataloader: what people write, a PyTorch DataLoader with torchvision's transforms.
network: the ceiling of a GPU, the network alone on batches that lie decoded in its memory.
"""

from __future__ import annotations

import functools
import io
import json
import math
import multiprocessing
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import simplejpeg
import torch
from PIL import Image
from torchvision import transforms

from benchmarks.speed.bare import write
from benchmarks.speed.people import Rows
from rayqc.encoders.store import load_encoder
from rayqc.images.look import ImageShape
from rayqc.models.vae import pixels_to_input
from rayqc.regions import load_regions
from rayqc.schema import image_bytes
from rayqc.storage import Folder

BATCH = 128
WRITERS = 4
"""Threads that write, beside a GPU."""
SECONDS_OF_NETWORK = 4.0
NETWORK_BATCHES = (128, 1024)


@dataclass(frozen=True, kw_only=True)
class Task:
    """What a script is started with."""

    pool: str
    run: str
    out: str
    cpus: int
    precision: str

    @property
    def device(self) -> str:
        """Where the network is."""
        return "cuda" if torch.cuda.is_available() else "cpu"


class Model:
    """The run's encoder and spheres, in this process."""

    def __init__(self, task: Task) -> None:
        folder = Folder(task.run)
        trained = load_encoder(folder.sub("model"), None)
        self.network = trained.network.eval().to(task.device)
        fitted = load_regions(folder.sub("regions"), trained.digest, self.network.latent_dim)
        self.centers, self.radius = fitted.neighbours.centers_KD, fitted.neighbours.radius_K
        self.input, self.device = trained.input, task.device
        self.precision = task.precision

    @torch.inference_mode()
    def encode(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        """(N, D) float32 latents, on the device."""
        with torch.autocast(self.device, torch.bfloat16, enabled=self.precision == "bfloat16"):
            return self.network.latent(x_NCHW).float()

    def distances(self, x_NCHW: torch.Tensor, label_N: np.ndarray) -> np.ndarray:
        """(N,) distances of latents to their own class's centre."""
        latent_ND = self.encode(x_NCHW).cpu().numpy()
        distance_N: np.ndarray = np.linalg.norm(latent_ND - self.centers[label_N], axis=1)
        return distance_N

    def write(self, table: pa.Table, distance_N: np.ndarray, out: str, group: int) -> None:
        """What is inside and outside of the spheres, and the scores of both."""
        inside_N = distance_N <= self.radius[np.asarray(table["label"])]
        table = table.append_column("distance", pa.array(distance_N))
        for name, mask_N in (("accepted", inside_N), ("rejected", ~inside_N)):
            write(table.filter(pa.array(mask_N)), f"{out}/{name}-{group:06d}.parquet")
        write(table.drop_columns(["image"]), f"{out}/scores-{group:06d}.parquet")


def decode(table: pa.Table, shape: ImageShape, scaled: bool) -> np.ndarray:
    """(N, H, W, 3) uint8 of JPEG images in the network's shape."""
    return np.stack([_decode(data or b"", shape, scaled) for data in image_bytes(table)])


def _decode(data: bytes, shape: ImageShape, scaled: bool) -> np.ndarray:
    """(H, W, 3) uint8 of the square in an image's middle."""
    kept_share = shape.kept_share or 1.0
    least = math.ceil(shape.size / kept_share) if scaled else 0
    image = Image.fromarray(simplejpeg.decode_jpeg(data, min_height=least, min_width=least))
    side = kept_share * min(image.size)
    left, top = ((length - side) / 2 for length in image.size)
    resampling = Image.Resampling[shape.interpolation.upper()]
    box = (left, top, left + side, top + side)
    return np.asarray(image.resize((shape.size, shape.size), resampling, box))


def bare(task: Task, scaled: bool = False) -> dict[str, float]:
    """Processes without Ray, and no more than the work; see above."""
    if task.device != "cpu":
        return _bare_beside_gpu(task, scaled)
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    workers = [
        context.Process(target=_bare_process, args=(task, scaled, rank, answers))
        for rank in range(task.cpus)
    ]
    for worker in workers:
        worker.start()
    found = [answers.get() for _ in workers]
    for worker in workers:
        worker.join()
    return {
        "rate": sum(rows / (ended - begun) for rows, begun, ended in found),
        "begun": max(begun for _, begun, _ in found),
        "ended": min(ended for _, _, ended in found),
    }


def _bare_process(task: Task, scaled: bool, rank: int, answers: Any) -> None:
    """Every so-manieth row group, from reading to writing."""
    torch.set_num_threads(1)
    model, file = Model(task), pq.ParquetFile(task.pool)
    model.network.to(memory_format=torch.channels_last)
    begun, rows = time.time(), 0
    for group in range(rank, file.num_row_groups, task.cpus):
        table = file.read_row_group(group)
        images_NHWC = torch.from_numpy(decode(table, model.input, scaled))
        distance_N = model.distances(pixels_to_input(images_NHWC), np.asarray(table["label"]))
        model.write(table, distance_N, task.out, group)
        rows += table.num_rows
    answers.put((rows, begun, time.time()))


@dataclass(frozen=True, kw_only=True)
class Groups(torch.utils.data.Dataset[tuple[int, torch.Tensor, torch.Tensor]]):
    """Row groups of a pool, decoded: their number, pixels and labels."""

    pool: str
    shape: ImageShape
    scaled: bool

    def __len__(self) -> int:
        return int(pq.ParquetFile(self.pool).num_row_groups)

    def __getitem__(self, group: int) -> tuple[int, torch.Tensor, torch.Tensor]:
        table = pq.ParquetFile(self.pool).read_row_group(group)
        pixels = torch.from_numpy(decode(table, self.shape, self.scaled))
        return group, pixels, torch.tensor(table["label"].to_pylist())


def _bare_beside_gpu(task: Task, scaled: bool) -> dict[str, float]:
    model = Model(task)
    model.network.to(memory_format=torch.channels_last)
    model.encode(torch.zeros(BATCH, 3, model.input.size, model.input.size, device=task.device))
    groups = Groups(pool=task.pool, shape=model.input, scaled=scaled)
    loader = torch.utils.data.DataLoader(
        groups, batch_size=None, num_workers=task.cpus, pin_memory=True
    )

    def finish(group: int, distance_N: np.ndarray) -> None:
        model.write(pq.ParquetFile(task.pool).read_row_group(group), distance_N, task.out, group)

    begun, rows, writing = time.time(), 0, []
    with ThreadPoolExecutor(WRITERS) as threads:
        for group, pixels, label in loader:
            x_NCHW = pixels_to_input(pixels.to(task.device, non_blocking=True))
            distance_N = model.distances(x_NCHW, label.numpy())
            writing.append(threads.submit(finish, group, distance_N))
            rows += len(distance_N)
    for written in writing:
        written.result()
    return _paced(rows, begun)


class Photographs(Rows):
    """A Parquet file in memory, each row through torchvision's transforms."""

    def __init__(self, pool: str, shape: ImageShape) -> None:
        super().__init__(pool)
        # The least of timm's own evaluation transform; the network subtracts the mean itself.
        self.transform = transforms.Compose(
            [
                transforms.Resize(
                    math.floor(shape.size / (shape.kept_share or 1.0)),
                    transforms.InterpolationMode(shape.interpolation),
                ),
                transforms.CenterCrop(shape.size),
                transforms.ToTensor(),
            ]
        )

    def __getitem__(self, row: int) -> tuple[torch.Tensor, int, int]:
        data = self.table["image"][row].as_py()["bytes"]
        image = Image.open(io.BytesIO(data)).convert("RGB")
        return self.transform(image), self.table["label"][row].as_py(), row


def dataloader(task: Task) -> dict[str, float]:
    """A PyTorch DataLoader; only accepted images are written."""
    model = Model(task)
    rows = Photographs(task.pool, model.input)
    loader = torch.utils.data.DataLoader(
        rows, batch_size=BATCH, num_workers=task.cpus, pin_memory=task.device != "cpu"
    )
    begun, accepted = time.time(), []
    for x_NCHW, label, row in loader:
        label_N = label.numpy()
        distance_N = model.distances(x_NCHW.to(task.device, non_blocking=True), label_N)
        accepted.append(row[torch.from_numpy(distance_N <= model.radius[label_N])])
    pq.write_table(rows.table.take(torch.cat(accepted).numpy()), f"{task.out}/accepted.parquet")
    return _paced(len(rows), begun)


def network(task: Task) -> dict[str, float]:
    """The network alone, on pixels that lie on its device; the best of several sizes of batch."""
    model = Model(task)
    model.network.to(memory_format=torch.channels_last)
    side, begun, found = model.input.size, time.time(), {}
    for size in NETWORK_BATCHES if task.device != "cpu" else NETWORK_BATCHES[:1]:
        pixels = torch.randint(0, 256, (size, side, side, 3), dtype=torch.uint8).to(task.device)
        model.encode(pixels_to_input(pixels))[0].cpu()
        started, batches = time.perf_counter(), 0
        while time.perf_counter() < started + SECONDS_OF_NETWORK:
            latent_ND = model.encode(pixels_to_input(pixels))
            batches += 1
            if not batches % 8:
                latent_ND[0].cpu()  # waits for what is queued
        latent_ND[0].cpu()
        found[f"rate_{size}"] = batches * size / (time.perf_counter() - started)
    return {"rate": max(found.values()), **found, "begun": begun, "ended": time.time()}


def _paced(rows: int, begun: float) -> dict[str, float]:
    ended = time.time()
    return {"rate": rows / (ended - begun), "begun": begun, "ended": ended}


def main() -> None:
    """One contestant; its last line is its pace."""
    name, pool, run, out, cpus, precision = sys.argv[1:]
    Path(out).mkdir(parents=True)
    task = Task(pool=pool, run=run, out=out, cpus=int(cpus), precision=precision)
    ways: dict[str, Callable[[Task], dict[str, float]]] = {
        "bare": bare,
        "scaled": functools.partial(bare, scaled=True),
        "dataloader": dataloader,
        "network": network,
    }
    print(json.dumps(ways[name](task)))


if __name__ == "__main__":
    main()
