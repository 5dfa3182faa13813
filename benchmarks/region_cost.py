"""What calibrated regions cost a filtered image, against the paper's sphere on the same encoder.

python benchmarks/region_cost.py [--images 1000] [--rounds 5]

Bundled digits as PNG in Parquet; one thread, no Ray: read, decode, encode, judge, write, commit, as
an actor does them. Rounds of both are interleaved; the median of their ratios is printed. Weights
are untrained, which costs the same.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from rayqc.config import Data
from rayqc.config.base import JOINT
from rayqc.config.regions import Regions as RegionSettings
from rayqc.encoders.base import MadeEncoder
from rayqc.encoders.batches import LatentEncoder
from rayqc.encoders.store import save_encoder
from rayqc.experiments.baselines import fit_sphere
from rayqc.images.decode import Limits
from rayqc.images.look import ImageShape
from rayqc.images.references import decode_real
from rayqc.ledger.plan import start_or_resume
from rayqc.models.vae import VAE, VAEShape
from rayqc.regions import Candidates, save_regions
from rayqc.regions.fitting import fit_calibrated, settings_of
from rayqc.regions.neighbours import find_neighbours
from rayqc.regions.scorer_tasks import in_turn
from rayqc.regions.sphere import SphereRegions
from rayqc.regions.statistic_choice import StatisticChoice
from rayqc.schema import image_bytes
from rayqc.sources import open_source
from rayqc.sources.select import select_references
from rayqc.storage import Folder
from rayqc.units import number
from rayqc.work.filter_unit import FilterSpec, FilterWorker
from rayqc.work.match_classes import PoolSource

PER_CLASS = 10


def main() -> None:
    """Print one line a width and statistic."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    source = open_source(Data(kind="bundled", split="train"))
    references = select_references(source, PER_CLASS, seed=0)
    image = ImageShape(size=28, channels=1)
    images_NHWC = decode_real(
        references["id"].to_pylist(), image_bytes(references), image, Limits()
    )
    label_N = np.asarray(references["label"])
    settings = settings_of(RegionSettings(), 1, seen=True)
    print(f"{'width':>6} {'statistic':>9} {'sphere, ms':>11} {'calibrated / sphere':>20}")
    for width in (0.125, 1.0):
        with tempfile.TemporaryDirectory() as place:
            folder = Folder(place)
            vae = VAE(VAEShape(size=28, channels=1, width=width)).eval()
            made = MadeEncoder(network=vae, shape=vae.shape.as_dict(), record={})
            trained = save_encoder(folder.sub("model"), "vae", made, image, source.classes)
            known = Candidates(
                images_NHWC=images_NHWC,
                latent_ND=LatentEncoder(vae).encode(images_NHWC),
                label_N=label_N,
            )
            sphere = fit_sphere(known, source.classes, 0.95, "sphere")
            assert isinstance(sphere, SphereRegions)
            sphere = SphereRegions(**{**sphere.__dict__, "encoder_digest": trained.digest})
            run = in_turn(known, 10, settings.scorer, 0)
            calibrated, _ = fit_calibrated(known, source.classes, settings, 0, trained.digest, run)
            neighbours = find_neighbours(
                references["id"].to_pylist(),
                known.latent_ND,
                known.label_N,
                sphere.centers_KD,
                sphere.radius_K,
            )
            for regions in (sphere, calibrated):
                save_regions(folder.sub(regions.kind), regions, neighbours)
            for statistic in (*calibrated.scores, JOINT):
                spent = [
                    [
                        _once(folder, kind, statistic, source, arguments.images, turn)
                        for kind in ("sphere", "calibrated")
                    ]
                    for turn in range(arguments.rounds)
                ]
                ratio = np.median([both[1] / both[0] for both in spent])
                each = 1e3 * np.median([both[0] for both in spent]) / arguments.images
                print(f"{width:>6} {statistic:>9} {each:>11.2f} {ratio:>20.2f}", flush=True)


def _once(
    folder: Folder, kind: str, statistic: str, source: object, images: int, turn: int
) -> float:
    """Seconds for one unit by one kind of regions."""
    out = folder.sub(f"out-{kind}-{statistic}-{turn}")
    units = number(source.units(10**6), images)
    start_or_resume(out, {"turn": turn}, units)
    spec = FilterSpec(
        out=out,
        trusted=None,
        model=folder.sub("model"),
        regions=folder.sub(kind),
        run=folder,
        sources=(
            PoolSource(
                source=source,
                prefix="",
                to_class=tuple(range(10)),
            ),
        ),
        limits=Limits(),
        micro_batch=128,
        keep=("accepted", "rejected", "error"),
        statistics=StatisticChoice(default=statistic),
    )
    worker = FilterWorker(spec)
    started = time.perf_counter()
    worker(0, units[0], {})
    spent = time.perf_counter() - started
    assert Path(out.location, "commits").is_dir()
    return spent


if __name__ == "__main__":
    main()
