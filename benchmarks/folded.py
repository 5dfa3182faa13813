"""What folding normalisations into convolutions saves: one network as it is, and folded, in turn.

python -m benchmarks.folded [NAME ...] [--rounds 5]

Each NAME is timm's; weights play no part and are random. One core, batches as an actor encodes
them. The least time of all rounds counts, since other work can only add to it.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import timm
import torch

from rayqc.encoders.batches import LatentEncoder
from rayqc.encoders.timm import TimmNetwork, _shape_of

NAMES = ("tf_efficientnet_lite0", "tf_efficientnet_lite2", "resnet50", "regnety_004")
MICRO_BATCH = 128


class AsItIs(TimmNetwork):
    """The same network, never folded."""

    def for_inference(self) -> TimmNetwork:
        """See `LatentNetwork.for_inference`."""
        return self


def seconds_an_image(encoder: LatentEncoder, size: int) -> float:
    """Of one batch that an actor encodes at once."""
    images_NHWC = np.zeros((encoder.batch(size**2), size, size, 3), np.uint8)
    before = time.perf_counter()
    encoder.encode_all(images_NHWC)
    return (time.perf_counter() - before) / len(images_NHWC)


def main() -> None:
    """Print a row for each network."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=list(NAMES))
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    print("| network | pixels | as it is, ms an image | folded | ratio |\n|---|---|---|---|---|")
    for name in asked.names:
        network = timm.create_model(name, num_classes=0)
        shape = _shape_of(name, network)
        size = shape["size"]
        encoders = [
            LatentEncoder(kind(network, shape), MICRO_BATCH) for kind in (AsItIs, TimmNetwork)
        ]
        least = [float("inf")] * 2
        for _ in range(asked.rounds + 1):  # the first one warms up, and is never the least
            found = [seconds_an_image(encoder, size) for encoder in encoders]
            least = [min(pair) for pair in zip(least, found, strict=True)]
        ratio = least[0] / least[1]
        print(f"| {name} | {size} | {1e3 * least[0]:.1f} | {1e3 * least[1]:.1f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
