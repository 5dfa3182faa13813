"""Generator kind `exported`: a network in a file.

Shape suffixes: B images of a batch, C H W pixels, Z noise.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from rayqc.config import Exported
from rayqc.errors import ArtefactError, ConfigError
from rayqc.generators.base import EntryPlace, GeneratorKind
from rayqc.generators.gan import to_pixels
from rayqc.generators.named import UNNAMED, named_code
from rayqc.generators.sampled import SampledSource, normal, sampled_source
from rayqc.storage import Folder, digest


@dataclass(frozen=True, kw_only=True)
class ExportedMaker:
    """A TorchScript file or one of `torch.export`."""

    path: str | None
    """Absolute, or a URL; None where the user has not named it."""
    sha256: str
    """Of the file when this was made; another one is refused."""
    noise_dim: int
    low: int
    """Least value of its pixels, 0 or -1; the largest is 1."""

    @staticmethod
    def of(path: str | None, noise_dim: int, low: int) -> ExportedMaker:
        """From the settings of a pool entry; reads the file.

        Raises:
            ConfigError: it is not there.
        """
        if path is None:
            return ExportedMaker(path=None, sha256=UNNAMED, noise_dim=noise_dim, low=low)
        folder, name = _place(path)
        return ExportedMaker(
            path=folder.path(name), sha256=digest(_bytes(path)), noise_dim=noise_dim, low=low
        )

    @property
    def identity(self) -> str:
        """Of the file."""
        return f"{self.sha256} {self.noise_dim} {self.low}"

    def open(self, device: str) -> ExportedSampler:
        """See `Maker`.

        Raises:
            ConfigError: the file is no network.
            ArtefactError: it is another file than it was.
        """
        path = named_code(self.path)
        data = _bytes(path)
        if digest(data) != self.sha256:
            raise ArtefactError(f"{path} was replaced while it was in use; run again with --redo")
        return ExportedSampler(_load(path, data, device), self, device)


class ExportedSampler:
    """See `Sampler`: noise and labels through somebody's network."""

    def __init__(
        self, network: Callable[..., torch.Tensor], maker: ExportedMaker, device: str
    ) -> None:
        self.network, self.maker, self.device = network, maker, device

    @torch.inference_mode()
    def __call__(self, label_B: np.ndarray, seed_B: np.ndarray) -> np.ndarray:
        z_BZ = torch.from_numpy(normal(seed_B, self.maker.noise_dim)).to(self.device)
        label = torch.from_numpy(label_B).to(self.device)
        with torch.random.fork_rng():
            torch.manual_seed(int(seed_B[0]))  # for a network that draws on its own
            x_BCHW = self.network(z_BZ, label)
        if not isinstance(x_BCHW, torch.Tensor) or x_BCHW.ndim != 4:
            what = tuple(x_BCHW.shape) if isinstance(x_BCHW, torch.Tensor) else type(x_BCHW)
            raise ConfigError(f"{self.maker.path} gave {what}; expected (N, C, H, W) pixels")
        return to_pixels((x_BCHW - self.maker.low) / (1 - self.maker.low))


def _load(path: str, data: bytes, device: str) -> Callable[..., torch.Tensor]:
    try:
        if path.endswith(".pt2"):
            found: Callable[..., torch.Tensor] = (
                torch.export.load(io.BytesIO(data)).module().to(device)
            )
            return found
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # torch's advice to export anew
            scripted = torch.jit.load(  # type: ignore[no-untyped-call]
                io.BytesIO(data), map_location=device
            )
            evaluating: Callable[..., torch.Tensor] = scripted.eval()
            return evaluating
    except Exception as error:  # whatever a reader of strange bytes raises
        raise ConfigError(
            f"{path} is no TorchScript file, nor (*.pt2) one of torch.export.save: {error}"
        ) from error


def _bytes(path: str) -> bytes:
    folder, name = _place(path)
    try:
        return folder.read(name)
    except FileNotFoundError as error:
        raise ConfigError(f"no generator's file at {path}") from error


def _place(path: str) -> tuple[Folder, str]:
    place, _, name = path.rpartition("/")
    return Folder(place or ("/" if path.startswith("/") else ".")), name


def maker_of(entry: Exported) -> ExportedMaker:
    """How to load an entry's generator; reads its file."""
    return ExportedMaker.of(entry.code(), entry.noise_dim, entry.low)


def exported_source(entry: Exported, place: EntryPlace) -> SampledSource:
    """The source of a pool entry's candidates."""
    return sampled_source(maker_of(entry), entry, place, entry.batch_size)


KIND = GeneratorKind(
    source=exported_source, identity=lambda entry: maker_of(entry).identity, tried_first=True
)
