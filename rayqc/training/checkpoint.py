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
    """Write the VAE's weights, Adam's moments, the step and the history."""
    facts = {"step": state.step, "history": state.history, "starts": state.starts}
    save_state(folder, {"model": bare_model(state.model)}, {"model": state.optimiser}, facts)


def load_checkpoint(folder: Folder, state: TrainingState) -> None:
    """Fill a fresh state with what `save_checkpoint` wrote.

    Raises:
        ArtefactError: as `load_state` does.
    """
    record = load_state(folder, {"model": bare_model(state.model)}, {"model": state.optimiser})
    state.step = int(record["step"])
    state.history, state.starts = list(record["history"]), list(record["starts"])


def save_state(
    folder: Folder,
    networks: Mapping[str, nn.Module],
    optimisers: Mapping[str, torch.optim.Adam],
    facts: dict[str, Any],
) -> None:
    """Write networks, and Adam's moments for each network that has an optimiser of its name.

    Args:
        facts: JSON values for the record, which also names the digest of the weights.
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
    """Fill fresh networks and optimisers with what `save_state` wrote of others of the same shape.

    Returns:
        The record with the facts.

    Raises:
        ArtefactError: the state is damaged, swapped, of another version, or of another network.
    """
    record = STATE.read_record(folder)
    STATE.verify(folder, record)
    arrays = {key: torch.from_numpy(a.copy()) for key, a in read_arrays(folder, WEIGHTS).items()}
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
                    kind: moment if kind == "step" else moment.to(parameter.device)
                    for kind, moment in moments.items()
                }
    return record


def network_bytes(network: nn.Module) -> bytes:
    """A network's weights and buffers as a safetensors file."""
    tensors = network.state_dict().items()
    return arrays_bytes({name: tensor.contiguous().cpu().numpy() for name, tensor in tensors})


def load_network(network: nn.Module, folder: Folder, name: str) -> None:
    """Fill a network with the weights of the file `name`, which `network_bytes` made."""
    arrays = read_arrays(folder, name)
    network.load_state_dict({key: torch.from_numpy(a.copy()) for key, a in arrays.items()})
