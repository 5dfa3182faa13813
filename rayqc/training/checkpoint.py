"""A training state and a trained encoder on disk: safetensors and JSON, never a pickle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from rayqc.errors import ArtefactError, UntrustedCodeError
from rayqc.images.decode import ImageShape
from rayqc.models.backbones import build, source_digest
from rayqc.models.encoder import Encoder
from rayqc.storage import (
    Folder,
    arrays_bytes,
    canonical_json,
    digest,
    read_arrays,
    read_json,
    write_json,
)
from rayqc.training.vae import TrainingState, bare_model

MODEL_FORMAT = 2
WEIGHTS = "weights.safetensors"
MODEL = "model.json"
CHECKPOINT_FORMAT = 2
CHECKPOINT = "checkpoint.json"
TRAINED_HERE = ("vae", "supervised", "contrastive")
ADAM = ("step", "exp_avg", "exp_avg_sq")


@dataclass(frozen=True, kw_only=True)
class TrainedEncoder:
    """An encoder ready to encode, and what is known of it."""

    kind: str
    network: Encoder
    image: ImageShape
    """Pixels it takes."""
    digest: str
    """SHA-256 over weights and shape: the encoder's identity."""
    classes: tuple[str, ...]
    record: dict[str, Any]
    """What training measured: of a VAE, loss curve, active units, held-out reconstruction, ..."""

    @property
    def seen(self) -> bool:
        """Was it trained on the references?"""
        return self.kind in TRAINED_HERE


def save_checkpoint(folder: Folder, state: TrainingState) -> None:
    """The VAE's weights, Adam's moments, step and history."""
    facts = {"step": state.step, "history": state.history, "starts": state.starts}
    save_state(folder, {"model": bare_model(state.model)}, {"model": state.optimiser}, facts)


def load_checkpoint(folder: Folder, state: TrainingState) -> None:
    """Bring a fresh state to where `save_checkpoint` left another; raises as `load_state`."""
    found = load_state(folder, {"model": bare_model(state.model)}, {"model": state.optimiser})
    state.step = int(found["step"])
    state.history, state.starts = list(found["history"]), list(found["starts"])


def save_state(
    folder: Folder,
    networks: Mapping[str, nn.Module],
    optimisers: Mapping[str, torch.optim.Adam],
    facts: dict[str, Any],
) -> None:
    """Networks, and Adam's moments of those that have an optimiser of their name.

    The record names the digest of the weights.
    """
    arrays = {}
    for name, network in networks.items():
        for key, tensor in network.state_dict().items():
            arrays[f"{name}.{key}"] = tensor.detach().contiguous().cpu().numpy()
        if name not in optimisers:
            continue
        names = {id(parameter): key for key, parameter in network.named_parameters()}
        for parameter, moments in optimisers[name].state.items():
            for kind in ADAM:
                key = f"adam.{kind}.{name}.{names[id(parameter)]}"
                arrays[key] = moments[kind].detach().contiguous().cpu().numpy()
    weights = arrays_bytes(arrays)
    folder.write(WEIGHTS, weights)
    record = {"format_version": CHECKPOINT_FORMAT, "digest": digest(weights), **facts}
    write_json(folder, CHECKPOINT, record)


def load_state(
    folder: Folder, networks: Mapping[str, nn.Module], optimisers: Mapping[str, torch.optim.Adam]
) -> dict[str, Any]:
    """Bring fresh networks and optimisers to where `save_state` left others of the same shape.

    Returns:
        The record with the facts.

    Raises:
        ArtefactError: damaged, swapped, of another version, or of another network.
    """
    found = dict(read_json(folder, CHECKPOINT))
    if found.get("format_version") != CHECKPOINT_FORMAT:
        raise ArtefactError(
            f"{folder.path(CHECKPOINT)} has format version {found.get('format_version')}, this "
            f"rayqc reads {CHECKPOINT_FORMAT}; train anew with --redo"
        )
    held = digest(folder.read(WEIGHTS))
    if held != found["digest"]:
        raise ArtefactError(
            f"{folder.path(WEIGHTS)} is damaged or swapped: digest {held[:12]}, {CHECKPOINT} says "
            f"{found['digest'][:12]}; train anew with --redo"
        )
    arrays = {name: torch.from_numpy(a.copy()) for name, a in read_arrays(folder, WEIGHTS).items()}
    for name, network in networks.items():
        prefix = f"{name}."
        weights = {n.removeprefix(prefix): t for n, t in arrays.items() if n.startswith(prefix)}
        try:
            network.load_state_dict(weights)
        except RuntimeError as error:
            raise ArtefactError(
                f"{folder.path(WEIGHTS)} is of another network: "
                f"{str(error).splitlines()[-1].strip()}; train anew with --redo"
            ) from error
        for key, parameter in network.named_parameters():
            if name in optimisers and f"adam.step.{name}.{key}" in arrays:
                moments = {kind: arrays[f"adam.{kind}.{name}.{key}"] for kind in ADAM}
                optimisers[name].state[parameter] = {
                    kind: t if kind == "step" else t.to(parameter.device)
                    for kind, t in moments.items()
                }
    return found


def network_bytes(network: nn.Module) -> bytes:
    """A network's weights and buffers as a safetensors file."""
    state = network.state_dict().items()
    return arrays_bytes({name: t.contiguous().cpu().numpy() for name, t in state})


def load_network(network: nn.Module, folder: Folder, name: str) -> None:
    """Fill a network from a file that `network_bytes` gave."""
    arrays = read_arrays(folder, name)
    network.load_state_dict({key: torch.from_numpy(a.copy()) for key, a in arrays.items()})


def save_encoder(
    folder: Folder,
    kind: str,
    network: Encoder,
    shape: dict[str, Any],
    image: ImageShape,
    classes: tuple[str, ...],
    record: dict[str, Any],
) -> TrainedEncoder:
    """Write `weights.safetensors`, then `model.json`, which names the weights' digest.

    Args:
        shape: all that `models.backbones.build` needs besides the weights.
    """
    weights = network_bytes(network)
    identity = digest(weights + canonical_json(shape))
    folder.write(WEIGHTS, weights)
    model = {
        "format_version": MODEL_FORMAT,
        "kind": kind,
        "shape": shape,
        "image": {"size": image.size, "channels": image.channels},
        "encoder_digest": identity,
        "classes": list(classes),
        "record": record,
    }
    write_json(folder, MODEL, model)
    return TrainedEncoder(
        kind=kind, network=network, image=image, digest=identity, classes=classes, record=record
    )


def load_encoder(folder: Folder, trusted: str | None) -> TrainedEncoder:
    """Read an encoder back.

    Args:
        trusted: the Python target that the user, not the folder, names; no other is imported.

    Raises:
        UntrustedCodeError: the encoder is Python code of another name.
        ArtefactError: another format version, weights that are not the ones `model.json` names,
            or a target whose source has changed.
    """
    model = read_json(folder, MODEL)
    if model.get("format_version") != MODEL_FORMAT:
        raise ArtefactError(
            f"{folder.path(MODEL)} has format version {model.get('format_version')}, "
            f"this rayqc reads {MODEL_FORMAT}; train again with --redo"
        )
    kind, shape = model["kind"], model["shape"]
    weights = folder.read(WEIGHTS)
    found = digest(weights + canonical_json(shape))
    if found != model["encoder_digest"]:
        raise ArtefactError(
            f"{folder.path(WEIGHTS)} is damaged or swapped: digest {found[:12]}, "
            f"{MODEL} says {model['encoder_digest'][:12]}; train again with --redo"
        )
    if kind == "python" and shape["target"] != trusted:
        raise UntrustedCodeError(
            f"{folder.path(MODEL)} names Python code to run, {shape['target']}; "
            f"if you know and trust it, say so with --trust {shape['target']} (trust= in Python)"
        )
    if kind == "python" and source_digest(shape["target"]) != shape["source"]:
        raise ArtefactError(
            f"the source of {shape['target']} has changed since this run was trained; "
            "train again with --redo"
        )
    network = build(kind, shape)
    load_network(network, folder, WEIGHTS)
    return TrainedEncoder(
        kind=kind,
        network=network.eval(),
        image=ImageShape(**model["image"]),
        digest=found,
        classes=tuple(model["classes"]),
        record=model["record"],
    )
