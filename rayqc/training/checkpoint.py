"""A training state on disk: safetensors and JSON, never a pickle."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from rayqc.errors import ArtefactError
from rayqc.storage import Folder, arrays_bytes, read_arrays
from rayqc.storage.artefact import Artefact, under
from rayqc.training.vae import TrainingState, bare_model

WEIGHTS = "weights.safetensors"
CHECKPOINT = "checkpoint.json"
STATE = Artefact(
    arrays=WEIGHTS,
    record=CHECKPOINT,
    format_version=2,
    digest_key="digest",
    mend="train anew with --redo",
)
ADAM = ("step", "exp_avg", "exp_avg_sq")


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
    STATE.write(folder, arrays_bytes(arrays), facts)


def load_state(
    folder: Folder, networks: Mapping[str, nn.Module], optimisers: Mapping[str, torch.optim.Adam]
) -> dict[str, Any]:
    """Bring fresh networks and optimisers to where `save_state` left others of the same shape.

    Returns:
        The record with the facts.

    Raises:
        ArtefactError: damaged, swapped, of another version, or of another network.
    """
    record = STATE.read_record(folder)
    STATE.verify(folder, record)
    arrays = {name: torch.from_numpy(a.copy()) for name, a in read_arrays(folder, WEIGHTS).items()}
    for name, network in networks.items():
        try:
            network.load_state_dict(under(arrays, name))
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
    return record


def network_bytes(network: nn.Module) -> bytes:
    """A network's weights and buffers as a safetensors file."""
    state = network.state_dict().items()
    return arrays_bytes({name: t.contiguous().cpu().numpy() for name, t in state})


def load_network(network: nn.Module, folder: Folder, name: str) -> None:
    """Fill a network from a file that `network_bytes` gave."""
    arrays = read_arrays(folder, name)
    network.load_state_dict({key: torch.from_numpy(a.copy()) for key, a in arrays.items()})
