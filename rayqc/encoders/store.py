"""A trained encoder on disk: safetensors and JSON, never a pickle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rayqc.encoders.base import EncoderKind, MadeEncoder, NamedCode, Shape
from rayqc.errors import ArtefactError, UntrustedCodeError
from rayqc.images.look import ImageShape
from rayqc.kinds import ENCODERS
from rayqc.models.latent import LatentNetwork
from rayqc.storage import Folder
from rayqc.storage.artefact import Artefact
from rayqc.targets import source_digest
from rayqc.training.checkpoint import WEIGHTS, load_network, network_bytes

MODEL = "model.json"
DIGEST = "encoder_digest"
ENCODER = Artefact(
    arrays=WEIGHTS,
    record=MODEL,
    format_version=2,
    digest_key=DIGEST,
    mend="train again with --redo",
)


@dataclass(frozen=True, kw_only=True)
class TrainedEncoder:
    """An encoder ready to encode, with its identity and its record."""

    kind: str
    network: LatentNetwork
    image: ImageShape
    """Size and channels of the run's images."""
    input: ImageShape
    """How images are brought to the network: as the run's, or as its weights ask."""
    digest: str
    """SHA-256 over weights and shape: the encoder's identity."""
    classes: tuple[str, ...]
    record: dict[str, Any]
    """What training measured; for a VAE: loss curve, active units, held-out reconstruction, ..."""

    @property
    def seen(self) -> bool:
        """True if the encoder was trained on the references."""
        kind: EncoderKind = ENCODERS[self.kind]
        return kind.saw_references


def save_encoder(
    folder: Folder, kind: str, made: MadeEncoder, image: ImageShape, classes: tuple[str, ...]
) -> TrainedEncoder:
    """Write `weights.safetensors`, then `model.json`, which holds the encoder's digest."""
    record = {
        "kind": kind,
        "shape": made.shape,
        "image": {"size": image.size, "channels": image.channels},
        "classes": list(classes),
        "record": made.record,
    }
    identity = ENCODER.write(folder, network_bytes(made.network), record, made.shape)
    return TrainedEncoder(
        kind=kind,
        network=made.network,
        image=image,
        input=_input_of(kind, made.shape, image),
        digest=identity,
        classes=classes,
        record=made.record,
    )


def load_encoder(folder: Folder, trusted: str | None) -> TrainedEncoder:
    """Read an encoder back.

    Args:
        folder: the one that `save_encoder` wrote to.
        trusted: the Python target that the user trusts, from the user and not from the folder; no
            other target is imported.

    Raises:
        UntrustedCodeError: the encoder is Python code under another name.
        ArtefactError: the format version differs, the weights are not those of `model.json`, or the
            target's source has changed.
    """
    model = ENCODER.read_record(folder)
    with ENCODER.restoring(folder):
        image = ImageShape(**model["image"])
        name, shape, classes, record = (model[k] for k in ("kind", "shape", "classes", "record"))
        identity = ENCODER.verify(folder, model, shape)
        kind: EncoderKind = ENCODERS[name]
        if kind.code is None:
            network = kind.build(shape)
    if kind.code is not None:
        _refuse_untrusted(kind.code(shape), trusted, folder)
        network = kind.build(shape)  # errors of others' code are its own
    load_network(network, folder, WEIGHTS)
    return TrainedEncoder(
        kind=name,
        network=network.eval(),
        image=image,
        input=_input_of(name, shape, image),
        digest=identity,
        classes=tuple(classes),
        record=record,
    )


def _input_of(name: str, shape: Shape, image: ImageShape) -> ImageShape:
    kind: EncoderKind = ENCODERS[name]
    return kind.input(shape) or image


def _refuse_untrusted(code: NamedCode, trusted: str | None, folder: Folder) -> None:
    if code.target != trusted:
        raise UntrustedCodeError(
            f"{folder.path(MODEL)} names Python code to run, {code.target}; "
            f"if you know and trust it, say so with --trust {code.target} (trust= in Python)"
        )
    if source_digest(code.target) != code.source:
        raise ArtefactError(
            f"the source of {code.target} has changed since this run was trained; "
            "train again with --redo"
        )
