"""Make the generator of digits that `rayqc demo` draws from, and its faulty siblings.

python -m benchmarks.digit_generator OUT    (ten minutes on two cores)

A GAN (`rayqc.models.gan`) is trained on the 4,000 bundled training digits, none of the test digits.
Its moving average is written three times, each a TorchScript file that takes noise and labels:

digits.pt: at the end of training.
digits-early.pt: at step `EARLY`, as when training is stopped too soon.
digits-mislabelled.pt: at the end, but drawing another digit than was asked for. Which one follows
from the mistakes that a linear classifier of ten images a class makes on the other images: asked
for y, the digit is c with the share of images called y in error that are truly c. So a pool looks
whose labels come from a weak classifier.
"""

from __future__ import annotations

import argparse
import copy
import io
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

from rayqc.config import make_config
from rayqc.config.pool import Gan
from rayqc.images.decode import Limits, decode_native
from rayqc.models.gan import Generator
from rayqc.schema import image_bytes
from rayqc.sources import open_source
from rayqc.sources.select import read_all
from rayqc.training.gan import GANState, fresh_gan, settings_of, shape_of, train_gan

ENTRY = Gan(kind="gan", steps=6_000, batch_size=64, noise_dim=32)
EARLY = 400
"""Step at which the unfinished generator is taken."""
SEED = 0
WEAK_PER_CLASS = 10


class Drawn(nn.Module):
    """A generator with weights in half precision, and what it draws when it is asked for a digit.

    Shape suffixes: N images, K classes, Z noise.
    """

    def __init__(self, generator: Generator, drawn_KK: np.ndarray) -> None:
        """Args:
        drawn_KK: chance that the digit of the column is drawn where that of the row is asked for.
        """
        super().__init__()
        self.shape = [generator.shape]  # in a list, since a traced module holds no other objects
        self.names = list(generator.state_dict())
        for number, weight in enumerate(generator.state_dict().values()):
            kept = weight.half() if weight.is_floating_point() else weight
            self.register_buffer(f"weight{number}", kept)
        self.register_buffer("cumulative_KK", torch.from_numpy(drawn_KK.cumsum(1)).float())

    def forward(self, z_NZ: Tensor, label_N: Tensor) -> Tensor:
        """(N, 1, H, W) float pixels in [0, 1]. The last noise says which digit is drawn."""
        chance_N = (1 + torch.erf(z_NZ[:, -1] / 2**0.5)) / 2
        drawn_N = (chance_N[:, None] > self.cumulative_KK[label_N]).sum(1).clamp(max=9)
        generator = Generator(self.shape[0]).eval()
        for name, kept in zip(self.names, self.buffers(), strict=False):
            weight = kept.float() if kept.is_floating_point() else kept
            place, _, last = name.rpartition(".")
            module = generator.get_submodule(place)
            # As plain tensors, which tracing follows back to the halves.
            (module._parameters if last in module._parameters else module._buffers).pop(last)
            setattr(module, last, weight)
        image: Tensor = generator(z_NZ[:, :-1], drawn_N)
        return image


def mistakes(images_NP: np.ndarray, label_N: np.ndarray) -> np.ndarray:
    """What images are truly that a weak classifier takes for each digit in error.

    Args:
        images_NP: (N, P) float pixels in [0, 1].
        label_N: (N,) their digits.

    Returns:
        (K, K) rows sum to 1: of those called y (row) in error, the share that is truly c (column).
    """
    rng = np.random.default_rng(SEED)
    classes = int(label_N.max()) + 1
    known = np.concatenate(
        [rng.permutation(np.flatnonzero(label_N == k))[:WEAK_PER_CLASS] for k in range(classes)]
    )
    weak = LogisticRegression(max_iter=1000).fit(images_NP[known], label_N[known])
    rest = np.setdiff1d(np.arange(len(label_N)), known)
    said_N = weak.predict(images_NP[rest])
    count_KK = np.zeros((classes, classes))
    np.add.at(count_KK, (said_N, label_N[rest]), 1)
    print(
        f"a classifier of {WEAK_PER_CLASS} a class has {np.trace(count_KK) / len(rest):.1%} right"
    )
    np.fill_diagonal(count_KK, 0)
    shares_KK: np.ndarray = count_KK / count_KK.sum(1, keepdims=True)
    return shares_KK


def write(generator: Generator, drawn_KK: np.ndarray, place: Path) -> None:
    """A file that `exported` takes."""
    module = Drawn(generator, drawn_KK).eval()
    size = generator.shape.noise_dim + 1
    example = torch.randn(4, size), torch.tensor([0, 3, 5, 9])
    whole = io.BytesIO()
    with torch.inference_mode():
        torch.jit.save(torch.jit.trace(module, example), whole)
    # Without records for debuggers, which name folders of the machine that made the file.
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(place, "w") as target:
        for entry in source.infolist():
            if not entry.filename.endswith(".debug_pkl"):
                target.writestr(entry, source.read(entry))
    print(f"{place}: {place.stat().st_size / 1e3:.0f} kB")


def train(images_NHWC: np.ndarray, label_N: np.ndarray) -> tuple[Generator, Generator]:
    """The moving averages at `EARLY` and at the end."""
    shape = shape_of(ENTRY, images_NHWC.shape[1], images_NHWC.shape[3], int(label_N.max()) + 1)
    state = fresh_gan(shape, ENTRY.learning_rate, SEED, "cpu")
    settings = replace(settings_of(ENTRY, SEED), checkpoint_every=ENTRY.steps)
    train_gan(state, images_NHWC, label_N, replace(settings, steps=EARLY), on_record=_say)
    early = copy.deepcopy(state.average)
    train_gan(state, images_NHWC, label_N, settings, on_record=_say)
    return early, state.average


def _say(state: GANState) -> None:
    if state.step % 200 == 0:
        print(f"step {state.step:,}: {state.history[-1]}", flush=True)


def main() -> None:
    """Train, and write three files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    table = read_all(open_source(make_config({"references": {"kind": "bundled"}}).references))
    images_NHWC = np.stack([decode_native(data, Limits()).pixels for data in image_bytes(table)])
    label_N = np.asarray(table["label"], np.int64)
    wrong_KK = mistakes(images_NHWC.reshape(len(label_N), -1) / 255, label_N)
    early, finished = train(images_NHWC, label_N)
    asked_KK = np.eye(len(wrong_KK))
    write(finished, asked_KK, out / "digits.pt")
    write(early, asked_KK, out / "digits-early.pt")
    write(finished, wrong_KK, out / "digits-mislabelled.pt")


if __name__ == "__main__":
    main()
