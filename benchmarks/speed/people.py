"""What people write: the same filter in twenty lines of their tool of choice, as its pages show it.

python -m benchmarks.speed.people dataloader|huggingface|raydata|cleanvision POOL RUN OUT CPUS

Each decodes with Pillow, encodes with plain eager PyTorch, takes distances to the class's centre
and writes the accepted images as Parquet. None writes rejected images, scores or a ledger.
"""

from __future__ import annotations

import io
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image

from rayqc.encoders.store import load_encoder
from rayqc.regions import load_regions
from rayqc.storage import Folder

BATCH = 256


class Filter:
    """Encoder and spheres of a run, as a script would load them."""

    def __init__(self, run: str) -> None:
        folder = Folder(run)
        trained = load_encoder(folder.sub("model"), None)
        self.network = trained.network.eval()
        found = load_regions(folder.sub("regions"), trained.digest, self.network.latent_dim)
        self.centers, self.radius = found.neighbours.centers_KD, found.neighbours.radius_K

    @torch.no_grad()
    def inside(self, x_NCHW: torch.Tensor, label_N: np.ndarray) -> np.ndarray:
        """Which images lie in their class's sphere."""
        latent_ND = self.network.latent(x_NCHW).numpy()
        distance_N = np.linalg.norm(latent_ND - self.centers[label_N], axis=1)
        return distance_N <= self.radius[label_N]


def to_tensor(image: Image.Image) -> torch.Tensor:
    """As torchvision's ToTensor."""
    pixels = torch.from_numpy(np.array(image))
    return (pixels[None] if pixels.ndim == 2 else pixels.permute(2, 0, 1)).float() / 255


class Rows(torch.utils.data.Dataset):
    """A Parquet file in memory, decoded row by row."""

    def __init__(self, pool: str) -> None:
        self.table = pq.read_table(pool)

    def __len__(self) -> int:
        return self.table.num_rows

    def __getitem__(self, row: int) -> tuple[torch.Tensor, int, int]:
        data = self.table["image"][row].as_py()["bytes"]
        return to_tensor(Image.open(io.BytesIO(data))), self.table["label"][row].as_py(), row


def dataloader(pool: str, run: str, out: str, cpus: int) -> None:
    """A PyTorch DataLoader."""
    rows, found = Rows(pool), Filter(run)
    loader = torch.utils.data.DataLoader(rows, batch_size=BATCH, num_workers=cpus)
    keep = [row[found.inside(x, label.numpy())] for x, label, row in loader]
    pq.write_table(rows.table.take(torch.cat(keep).numpy()), f"{out}/accepted.parquet")


def huggingface(pool: str, run: str, out: str, cpus: int) -> None:
    """Hugging Face datasets: map in processes, filter, to Parquet."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    import datasets

    with tempfile.TemporaryDirectory() as cache:
        data = datasets.load_dataset("parquet", data_files=pool, split="train", cache_dir=cache)
        torch.set_num_threads(1)

        def judge(batch: dict[str, list[Any]]) -> dict[str, list[bool]]:
            found = held.get("filter") or held.setdefault("filter", Filter(run))
            x_NCHW = torch.stack([to_tensor(image) for image in batch["image"]])
            return {"inside": found.inside(x_NCHW, np.array(batch["label"])).tolist()}

        held: dict[str, Filter] = {}
        judged = data.map(judge, batched=True, batch_size=BATCH, num_proc=cpus)
        kept = judged.filter(lambda inside: inside, input_columns="inside")
        kept.to_parquet(f"{out}/accepted.parquet")


def raydata(pool: str, run: str, out: str, cpus: int) -> None:
    """Ray Data's chain of read, map with a class, write. One actor fewer than CPUs, since its read
    task would wait for ever for a CPU that the actors hold.
    """
    import ray

    ray.init(num_cpus=cpus, include_dashboard=False, log_to_driver=False)

    class Judge:
        def __init__(self) -> None:
            self.filter = Filter(run)

        def __call__(self, batch: pa.Table) -> pa.Table:
            data = batch["image"].combine_chunks().field("bytes").to_pylist()
            x_NCHW = torch.stack([to_tensor(Image.open(io.BytesIO(one))) for one in data])
            return batch.filter(pa.array(self.filter.inside(x_NCHW, np.array(batch["label"]))))

    chain = ray.data.read_parquet(pool).map_batches(
        Judge, batch_size=BATCH, batch_format="pyarrow", concurrency=max(1, cpus - 1)
    )
    chain.write_parquet(out)


def cleanvision(pool: str, run: str, out: str, cpus: int) -> None:
    """CleanVision's default checks, which know no classes; only its search is timed."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    import datasets
    from cleanvision import Imagelab

    with tempfile.TemporaryDirectory() as cache:
        data = datasets.load_dataset("parquet", data_files=pool, split="train", cache_dir=cache)
        lab = Imagelab(hf_dataset=data, image_key="image")
        begun = time.perf_counter()
        lab.find_issues(n_jobs=cpus, verbose=False)
        print(json.dumps({"rate": len(data) / (time.perf_counter() - begun)}))


def main() -> None:
    """One contestant."""
    name, pool, run, out, cpus = sys.argv[1:]
    Path(out).mkdir(parents=True)
    makers = {m.__name__: m for m in (dataloader, huggingface, raydata, cleanvision)}
    makers[name](pool, run, out, int(cpus))


if __name__ == "__main__":
    main()
