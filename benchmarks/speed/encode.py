"""Encoding alone, one thread, from memory: rayqc, plain eager PyTorch, a matrix product.

With `pip install onnxruntime onnx onnxscript`, ONNX Runtime too.
"""

from __future__ import annotations

import importlib.util
import statistics
import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from benchmarks.speed.material import WIDTHS
from rayqc.encoders.batches import LatentEncoder
from rayqc.models.vae import VAE, VAEShape, pixels_to_input

IMAGES = {"light": 16_384, "eighth": 8_192, "paper": 512}
BATCH = 128


def compare(rounds: int) -> dict[str, dict[str, float]]:
    """Of each width: milliseconds an image by plain PyTorch, and how many times as fast others are.

    `product` is the time of encoding over that of one matrix product of as much arithmetic.
    """
    onnx = all(importlib.util.find_spec(name) for name in ("onnxruntime", "onnx", "onnxscript"))
    torch.set_num_threads(1)
    found = {}
    for name, count in IMAGES.items():
        torch.manual_seed(0)
        plain = VAE(VAEShape(size=28, channels=1, width=WIDTHS[name])).eval()
        ours = VAE(plain.shape).eval()
        ours.load_state_dict(plain.state_dict())
        encoder = LatentEncoder(ours, BATCH)
        rng = np.random.default_rng(0)
        images_NHWC = rng.integers(0, 256, (count, 28, 28, 1), dtype=np.uint8)
        assert np.allclose(
            _plainly(plain, images_NHWC[:BATCH]), encoder.encode(images_NHWC[:BATCH]), atol=1e-4
        )
        side = round((count * _arithmetic(plain) / 2) ** (1 / 3))
        square = torch.rand(side, side)
        ways: tuple[Callable[[], object], ...] = (
            lambda plain=plain, images=images_NHWC: _plainly(plain, images),
            lambda encoder=encoder, images=images_NHWC: encoder.encode(images),
            lambda square=square: square @ square,
        )
        if onnx:
            session = _session(plain)
            assert np.allclose(
                _by_onnx(session, images_NHWC[:BATCH]),
                encoder.encode(images_NHWC[:BATCH]),
                atol=1e-4,
            )
            ways += (lambda session=session, images=images_NHWC: _by_onnx(session, images),)
        spent = [[_seconds(way) for way in ways] for _ in range(rounds)]
        found[name] = {
            "plain_ms": 1e3 * statistics.median(row[0] for row in spent) / count,
            "ratio": statistics.median(row[0] / row[1] for row in spent),
            "product": statistics.median(row[1] / row[2] for row in spent),
        }
        if onnx:
            found[name]["onnx"] = statistics.median(row[0] / row[3] for row in spent)
    return found


@torch.no_grad()
def _plainly(vae: VAE, images_NHWC: np.ndarray) -> np.ndarray:
    """As a script would: pixels to NCHW floats, batch by batch."""
    found = []
    for start in range(0, len(images_NHWC), BATCH):
        part = torch.from_numpy(images_NHWC[start : start + BATCH].transpose(0, 3, 1, 2).copy())
        found.append(vae.encode(part.float() / 255)[0].numpy())
    return np.concatenate(found)


class _Latent(torch.nn.Module):
    """From uint8 pixels on, so that ONNX Runtime may fuse all of it."""

    def __init__(self, vae: VAE) -> None:
        super().__init__()
        self.vae = vae

    def forward(self, images_NHWC: torch.Tensor) -> torch.Tensor:
        return self.vae.latent(pixels_to_input(images_NHWC))


def _session(vae: VAE) -> Any:
    import onnxruntime

    model, sample = _Latent(vae).eval(), torch.zeros(BATCH, 28, 28, 1, dtype=torch.uint8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    with tempfile.TemporaryDirectory() as folder:
        place = f"{folder}/encoder.onnx"
        torch.onnx.export(model, (sample,), place, dynamo=True, verbose=False)
        return onnxruntime.InferenceSession(place, options, providers=["CPUExecutionProvider"])


def _by_onnx(session: Any, images_NHWC: np.ndarray) -> np.ndarray:
    name = session.get_inputs()[0].name
    starts = range(0, len(images_NHWC), BATCH)
    parts = [session.run(None, {name: images_NHWC[at : at + BATCH]})[0] for at in starts]
    return np.concatenate(parts)


def _arithmetic(vae: VAE) -> float:
    """Operations an image, 2 a multiply-add."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter, torch.no_grad():
        vae.encode(torch.zeros(1, 1, 28, 28))
    return float(counter.get_total_flops())


def _seconds(way: Callable[[], object]) -> float:
    begun = time.perf_counter()
    way()
    return time.perf_counter() - begun
