"""Generator kind `exported`: the user's network in a file.

Shape suffixes: B images of a batch, C H W pixels, Z noise.
"""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePath

import numpy as np
import torch

from rayqc.config import Exported
from rayqc.config.pool import BUNDLED
from rayqc.errors import ArtefactError, ConfigError
from rayqc.generators.base import EntryContext, GeneratorKind
from rayqc.generators.gan import to_pixels
from rayqc.generators.named import UNNAMED, named_code
from rayqc.generators.sampled import SampledSource, normal, sampled_source
from rayqc.storage import Folder, digest

logger = logging.getLogger(__name__)

MARGIN, MOST_OUTSIDE = 0.02, 0.05
"""One is warned where more than the second share of values lies by more than the first outside."""
DATA = Path(__file__).parent.parent / "data"
"""Where the package's own networks are."""


@dataclass(frozen=True, kw_only=True)
class ExportedMaker:
    """A network in a TorchScript file or a file of `torch.export`."""

    path: str | None
    """Absolute path or URL; None where the user has not named the file."""
    sha256: str
    """Of the file when this object was made; `open` refuses any other file."""
    noise_dim: int
    low: int
    """Least value of the network's pixels, 0 or -1; the largest is 1."""

    @staticmethod
    def of(path: str | None, noise_dim: int, low: int) -> ExportedMaker:
        """The maker that a pool entry's settings describe; reads the file.

        Raises:
            ConfigError: there is no file at `path`.
        """
        if path is None:
            return ExportedMaker(path=None, sha256=UNNAMED, noise_dim=noise_dim, low=low)
        folder, name = _folder_and_name(path)
        # Not the own file's place: nodes of a cluster may keep the package in different folders.
        place = path if path.startswith(BUNDLED) else folder.path(name)
        return ExportedMaker(
            path=place, sha256=digest(_file_bytes(path)), noise_dim=noise_dim, low=low
        )

    @property
    def identity(self) -> str:
        """Digest of the file, and the settings that change its images."""
        return f"{self.sha256} {self.noise_dim} {self.low}"

    def open(self, device: str) -> ExportedSampler:
        """See `Maker`.

        Raises:
            UntrustedCodeError: the user has not named the file.
            ConfigError: the file is missing, or holds no network.
            ArtefactError: the file was replaced after this object was made.
        """
        path = named_code(self.path)
        file_bytes = _file_bytes(path)
        if digest(file_bytes) != self.sha256:
            raise ArtefactError(f"{path} was replaced while it was in use; run again with --redo")
        return ExportedSampler(_load(path, file_bytes, device), self, device)


class ExportedSampler:
    """See `Sampler`: the network's images of noise and labels."""

    def __init__(
        self, network: Callable[..., torch.Tensor], maker: ExportedMaker, device: str
    ) -> None:
        self.network, self.maker, self.device = network, maker, device
        self.warned = False

    @torch.inference_mode()
    def __call__(self, label_B: np.ndarray, seed_B: np.ndarray) -> np.ndarray:
        z_BZ = torch.from_numpy(normal(seed_B, self.maker.noise_dim)).to(self.device)
        label_tensor_B = torch.from_numpy(label_B).to(self.device)
        with torch.random.fork_rng():
            torch.manual_seed(int(seed_B[0]))  # for a network that draws on its own
            x_BCHW = self.network(z_BZ, label_tensor_B)
        if not isinstance(x_BCHW, torch.Tensor) or x_BCHW.ndim != 4:
            shape_or_type = (
                tuple(x_BCHW.shape) if isinstance(x_BCHW, torch.Tensor) else type(x_BCHW)
            )
            raise ConfigError(
                f"{self.maker.path} gave {shape_or_type}; expected (N, C, H, W) pixels"
            )
        share_BCHW = (x_BCHW - self.maker.low) / (1 - self.maker.low)
        self._warn_of_range(x_BCHW, share_BCHW)
        return to_pixels(share_BCHW)

    def _warn_of_range(self, x_BCHW: torch.Tensor, share_BCHW: torch.Tensor) -> None:
        """Say once that many values lie outside the range that is black to white."""
        if self.warned:
            return
        outside = float(((share_BCHW < -MARGIN) | (share_BCHW > 1 + MARGIN)).float().mean())
        if outside <= MOST_OUTSIDE:
            return
        self.warned = True
        logger.warning(
            "%s gives values from %.3g to %.3g, and %.0f%% of them lie outside %g to 1, which are "
            "black and white, and are cut off; set the entry's `low` (-1 after tanh), or have the "
            "network divide by 255",
            self.maker.path,
            float(x_BCHW.min()),
            float(x_BCHW.max()),
            100 * outside,
            self.maker.low,
        )


def _load(path: str, file_bytes: bytes, device: str) -> Callable[..., torch.Tensor]:
    try:
        if path.endswith(".pt2"):
            program: Callable[..., torch.Tensor] = (
                torch.export.load(io.BytesIO(file_bytes)).module().to(device)
            )
            return program
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # torch advises torch.export instead
            scripted = torch.jit.load(  # type: ignore[no-untyped-call]
                io.BytesIO(file_bytes), map_location=device
            )
            script: Callable[..., torch.Tensor] = scripted.eval()
            return script
    except Exception as error:  # torch's readers may raise any exception
        raise ConfigError(
            f"{path} is no TorchScript file, nor (*.pt2) one of torch.export.save: {error}"
        ) from error


def _file_bytes(path: str) -> bytes:
    folder, name = _folder_and_name(path)
    try:
        return folder.read(name)
    except FileNotFoundError as error:
        raise ConfigError(f"no generator's file at {path}") from error


def _folder_and_name(path: str) -> tuple[Folder, str]:
    if path.startswith(BUNDLED):
        name = PurePath(path.removeprefix(BUNDLED)).name
        return Folder(str(DATA)), name
    parent, _, name = path.rpartition("/")
    return Folder(parent or ("/" if path.startswith("/") else ".")), name


def maker_of(entry: Exported) -> ExportedMaker:
    """How to load an entry's generator; reads its file.

    Raises:
        ConfigError: there is no file at the entry's path.
    """
    return ExportedMaker.of(entry.code(), entry.noise_dim, entry.low)


def exported_source(entry: Exported, context: EntryContext) -> SampledSource:
    """The source of a pool entry's candidates."""
    return sampled_source(maker_of(entry), entry, context, entry.batch_size)


KIND = GeneratorKind(
    source=exported_source, identity=lambda entry: maker_of(entry).identity, tried_first=True
)
