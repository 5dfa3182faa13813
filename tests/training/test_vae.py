"""Training walks the same path however it is interrupted or shared out."""

import numpy as np
import pytest
import torch

from rayqc.encoders.base import MadeEncoder
from rayqc.encoders.store import load_encoder, save_encoder
from rayqc.errors import ArtefactError, DivergedError
from rayqc.images.look import ImageShape
from rayqc.models.vae import VAE, VAEShape
from rayqc.storage import Folder, read_json, write_json
from rayqc.training.checkpoint import load_checkpoint, save_checkpoint
from rayqc.training.vae import TrainingState, VAESettings, Workers, _draw_batch, train_vae

SETTINGS = VAESettings(
    steps=30,
    batch_size=6,
    learning_rate=1e-3,
    beta=1.0,
    reconstruction="bce",
    augment=True,
    seed=3,
    checkpoint_every=10,
)


def fresh() -> TrainingState:
    torch.manual_seed(0)
    vae = VAE(VAEShape(size=8, channels=1, width=0.02, latent_dim=4))
    return TrainingState(model=vae, optimiser=torch.optim.Adam(vae.parameters(), lr=1e-3))


@pytest.fixture
def images(rng):
    return (rng.random((10, 8, 8, 1)) ** 4 * 255).astype(np.uint8)


def weights(state: TrainingState) -> torch.Tensor:
    return torch.cat([parameter.detach().ravel() for parameter in state.model.parameters()])


def test_the_loss_falls_and_is_recorded(images):
    state = train_vae(fresh(), images, SETTINGS)
    assert [record["step"] for record in state.history] == [10, 20, 30]
    assert state.history[-1]["loss"] < state.history[0]["loss"]


def test_an_interrupted_training_ends_where_an_undisturbed_one_does(images, tmp_path):
    class Killed(Exception):
        pass

    def kill_after_saving(state: TrainingState) -> None:
        save_checkpoint(Folder(str(tmp_path)), state)
        if state.step == 20:
            raise Killed

    undisturbed = train_vae(fresh(), images, SETTINGS)
    with pytest.raises(Killed):
        train_vae(fresh(), images, SETTINGS, on_checkpoint=kill_after_saving)
    resumed = fresh()
    load_checkpoint(Folder(str(tmp_path)), resumed)
    assert resumed.step == 20
    train_vae(resumed, images, SETTINGS)
    assert torch.equal(weights(resumed), weights(undisturbed))
    assert resumed.history == undisturbed.history


@pytest.mark.parametrize("world", [2, 4])
def test_shares_of_workers_add_up_to_one_workers_gradient(images, world):
    settings = VAESettings(**{**SETTINGS.__dict__, "steps": 1})

    def gradient(share: Workers) -> torch.Tensor:
        state = fresh()
        state.optimiser.step = lambda: None
        train_vae(state, images, settings, share)
        return torch.cat([p.grad.ravel() for p in state.model.parameters()])

    whole = gradient(Workers())
    mean = sum(gradient(Workers(rank=rank, world=world)) for rank in range(world)) / world
    torch.testing.assert_close(mean, whole, rtol=1e-4, atol=1e-5)


def test_each_step_draws_its_own_batch(images):
    state, drawn = fresh(), []
    settings = VAESettings(**SETTINGS.__dict__)
    for state.step in range(60):
        _, noise = _draw_batch(state, images, settings)
        drawn.append(noise.numpy().tobytes())
    assert len(set(drawn)) == 60


def test_a_training_that_leaves_the_numbers_stops(images):
    settings = VAESettings(**{**SETTINGS.__dict__, "learning_rate": 1e9})
    state = fresh()
    state.optimiser.param_groups[0]["lr"] = 1e9
    with pytest.raises(DivergedError, match="lower encoder.learning_rate"):
        train_vae(state, images, settings)


IMAGE = ImageShape(size=8, channels=1)


def test_an_encoder_reads_back_the_same(tmp_path):
    folder = Folder(str(tmp_path))
    vae = fresh().model
    made = MadeEncoder(network=vae, shape=vae.shape.as_dict(), record={"active_units": 3})
    saved = save_encoder(folder, "vae", made, IMAGE, ("a", "b"))
    found = load_encoder(folder, None)
    assert (found.digest, found.classes, found.record) == (saved.digest, ("a", "b"), saved.record)
    for name, tensor in vae.state_dict().items():
        assert torch.equal(found.network.state_dict()[name], tensor)


def test_a_foreign_or_damaged_encoder_is_refused(tmp_path):
    folder = Folder(str(tmp_path))
    vae = fresh().model
    made = MadeEncoder(network=vae, shape=vae.shape.as_dict(), record={})
    save_encoder(folder, "vae", made, IMAGE, ("a",))
    facts = read_json(folder, "model.json")
    write_json(folder, "model.json", {**facts, "format_version": 99})
    with pytest.raises(ArtefactError, match="format version 99, this rayqc reads 2"):
        load_encoder(folder, None)
    write_json(folder, "model.json", facts)
    data = bytearray(folder.read("weights.safetensors"))
    data[-1] ^= 1
    folder.write("weights.safetensors", bytes(data))
    with pytest.raises(ArtefactError, match="damaged or swapped: digest"):
        load_encoder(folder, None)


def test_an_encoder_of_a_checkout_between_releases_is_refused(tmp_path):
    folder = Folder(str(tmp_path))
    vae = fresh().model
    for shape, says in (
        ({**vae.shape.as_dict(), "depth": 3}, "unexpected keyword argument 'depth'; train again"),
        ({"channels": 1}, "missing .* train again with --redo"),
    ):
        save_encoder(folder, "vae", MadeEncoder(network=vae, shape=shape, record={}), IMAGE, ("a",))
        with pytest.raises(ArtefactError, match=f"written by another rayqc: .*{says}"):
            load_encoder(folder, None)
    facts = read_json(folder, "model.json")
    del facts["image"]
    write_json(folder, "model.json", facts)
    with pytest.raises(ArtefactError, match="it has no 'image'; train again"):
        load_encoder(folder, None)


def test_a_foreign_or_damaged_checkpoint_is_refused(images, tmp_path):
    folder = Folder(str(tmp_path))
    state = train_vae(fresh(), images, SETTINGS)
    save_checkpoint(folder, state)
    facts, whole = read_json(folder, "checkpoint.json"), folder.read("weights.safetensors")
    write_json(folder, "checkpoint.json", {**facts, "format_version": 99})
    with pytest.raises(ArtefactError, match="format version 99, this rayqc reads 2"):
        load_checkpoint(folder, fresh())
    write_json(folder, "checkpoint.json", facts)
    for damaged in (whole[:-1] + b"\0\1", whole[:100], b""):
        folder.write("weights.safetensors", damaged)
        with pytest.raises(ArtefactError, match=r"damaged or swapped: digest \w{12}, checkpoint"):
            load_checkpoint(folder, fresh())
    folder.write("weights.safetensors", whole)
    other = VAE(VAEShape(size=8, channels=1, width=0.1, latent_dim=4))
    with pytest.raises(ArtefactError, match="is of another network: size mismatch"):
        load_checkpoint(
            folder, TrainingState(model=other, optimiser=torch.optim.Adam(other.parameters()))
        )
