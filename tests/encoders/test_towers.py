"""Image towers of open_clip and transformers, tiny ones with random weights."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from rayqc.config.encoder import Encoder
from rayqc.encoders.base import EncoderTask
from rayqc.encoders.batches import LatentEncoder
from rayqc.encoders.store import load_encoder, save_encoder
from rayqc.errors import ConfigError
from rayqc.images.look import ImageShape
from rayqc.kinds import ENCODERS
from rayqc.storage import Folder

RUN = ImageShape(size=64, channels=3)


def made(**settings):
    task = EncoderTask(
        settings=Encoder(**settings),
        image=RUN,
        images_NHWC=np.zeros((0, 64, 64, 3), np.uint8),
        label_N=np.zeros(0, np.int64),
        classes=("a",),
        seed=0,
        device="cpu",
    )
    return ENCODERS[settings["kind"]].make(task)


def stays_the_same(encoder, kind, folder, rng):
    """Written and read back it is the same network, with its own way to look at images."""
    save_encoder(Folder(str(folder)), kind, encoder, RUN, ("a",))
    again = load_encoder(Folder(str(folder)), None)
    images = rng.integers(0, 256, (3, again.input.size, again.input.size, 3)).astype(np.uint8)
    latents = [
        LatentEncoder(network, 4).encode(images) for network in (encoder.network, again.network)
    ]
    np.testing.assert_allclose(*latents, rtol=1e-5, atol=1e-6)
    assert latents[0].shape == (3, encoder.network.latent_dim)
    assert np.ptp(latents[0], axis=0).max() > 0
    assert not again.seen
    return again


@pytest.fixture
def vit(tmp_path):
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = transformers.ViTConfig(**sizes, intermediate_size=48, image_size=48, patch_size=16)
    transformers.ViTModel(config).save_pretrained(tmp_path / "vit")
    processor = {
        "image_processor_type": "ViTImageProcessor",
        "size": {"height": 48, "width": 48},
        "resample": 3,
        "image_mean": [0.4, 0.5, 0.6],
        "image_std": [0.2, 0.25, 0.3],
    }
    (tmp_path / "vit/preprocessor_config.json").write_text(json.dumps(processor))
    return tmp_path / "vit"


def test_what_a_checkpoint_lacks_is_not_drawn_at_random(vit, tmp_path, rng):
    import transformers

    torch.manual_seed(1)
    config = transformers.ViTConfig.from_pretrained(vit)
    whole = transformers.ViTForImageClassification(config).to(torch.bfloat16)
    whole.save_pretrained(tmp_path / "classifier")
    (tmp_path / "classifier/preprocessor_config.json").write_bytes(
        (vit / "preprocessor_config.json").read_bytes()
    )
    encoders = [made(kind="transformers", name=str(tmp_path / "classifier")) for _ in range(2)]
    states = [encoder.network.state_dict() for encoder in encoders]
    assert not any("pooler" in name for name in states[0])
    for name, value in states[0].items():
        assert value.dtype == torch.float32 and torch.equal(value, states[1][name])
    again = stays_the_same(encoders[0], "transformers", tmp_path / "model", rng)
    pixels = torch.rand(2, 3, 48, 48, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        own = whole.float().eval().vit(pixel_values=pixels).last_hidden_state[:, 0]
        mean, spread = torch.tensor([0.4, 0.5, 0.6]), torch.tensor([0.2, 0.25, 0.3])
        given = pixels * spread.view(3, 1, 1) + mean.view(3, 1, 1)
        torch.testing.assert_close(again.network.latent(given), own, rtol=1e-3, atol=1e-4)
    transformers.ViTModel(config).save_pretrained(tmp_path / "short")
    path = tmp_path / "short/model.safetensors"
    state = {name: value for name, value in load_file(path).items() if "layer.1." not in name}
    save_file(state, path, {"format": "pt"})
    (tmp_path / "short/preprocessor_config.json").write_bytes(
        (vit / "preprocessor_config.json").read_bytes()
    )
    with pytest.raises(ConfigError, match="lacks weights of its own layers"):
        made(kind="transformers", name=str(tmp_path / "short"))


def test_a_tower_of_transformers_is_kept_in_the_run(vit, tmp_path, rng):
    import transformers

    encoder = made(kind="transformers", name=str(vit))
    again = stays_the_same(encoder, "transformers", tmp_path / "model", rng)
    assert again.input == ImageShape(size=48, channels=3, kept_share=1.0, interpolation="bicubic")
    x = torch.rand(2, 3, 48, 48)
    normal = (x - torch.tensor([0.4, 0.5, 0.6]).view(1, 3, 1, 1)) / torch.tensor(
        [0.2, 0.25, 0.3]
    ).view(1, 3, 1, 1)
    with torch.inference_mode():
        own = transformers.ViTModel.from_pretrained(vit).eval()(pixel_values=normal)
        torch.testing.assert_close(encoder.network.latent(x), own.pooler_output)


def test_of_a_model_of_images_and_text_the_projected_tower_is_taken(tmp_path, rng):
    transformers = pytest.importorskip("transformers")
    small = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1}
    small["num_attention_heads"] = 2
    config = transformers.CLIPConfig(
        text_config={**small, "vocab_size": 99},
        vision_config={**small, "image_size": 32, "patch_size": 8},
        projection_dim=24,
    )
    transformers.CLIPModel(config).save_pretrained(tmp_path / "clip")
    processor = {
        "image_processor_type": "CLIPImageProcessor",
        "size": {"shortest_edge": 36},
        "crop_size": {"height": 32, "width": 32},
        "do_center_crop": True,
        "resample": 3,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.25, 0.25, 0.25],
    }
    (tmp_path / "clip/preprocessor_config.json").write_text(json.dumps(processor))
    encoder = made(kind="transformers", name=str(tmp_path / "clip"))
    assert encoder.network.latent_dim == 24
    again = stays_the_same(encoder, "transformers", tmp_path / "model", rng)
    assert again.input.size == 32
    assert again.input.kept_share == pytest.approx(32 / 36)


def test_replaced_weights_of_a_folder_are_noticed(vit):
    settings = Encoder(kind="transformers", name=str(vit))
    before = ENCODERS["transformers"].input_digest(settings)
    weights = vit / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    assert ENCODERS["transformers"].input_digest(settings) != before


def test_a_tower_of_open_clip_is_kept_in_the_run(tmp_path, rng):
    open_clip = pytest.importorskip("open_clip")
    sizes = {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 8}
    text = {"context_length": 8, "vocab_size": 99, "width": 16, "heads": 2, "layers": 1}
    (tmp_path / "tiny-tower.json").write_text(
        json.dumps({"embed_dim": 24, "vision_cfg": sizes, "text_cfg": text})
    )
    open_clip.add_model_config(tmp_path / "tiny-tower.json")
    torch.manual_seed(0)
    whole = open_clip.create_model("tiny-tower")
    torch.save(whole.state_dict(), tmp_path / "weights.pt")
    encoder = made(kind="open_clip", name="tiny-tower", weights=str(tmp_path / "weights.pt"))
    assert encoder.network.latent_dim == 24
    assert encoder.shape["size"] == 32
    x = torch.rand(2, 3, 32, 32)
    mean, spread = (
        torch.tensor(encoder.shape[name]).view(1, 3, 1, 1) for name in ("mean", "spread")
    )
    with torch.inference_mode():
        own = whole.eval().encode_image((x - mean) / spread)
        torch.testing.assert_close(encoder.network.latent(x), own)
    stays_the_same(encoder, "open_clip", tmp_path / "model", rng)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"kind": "open_clip", "name": "ViT-B-32"}, "needs weights"),
        ({"kind": "open_clip", "name": "ViT-B-32", "weights": "nowhere.pt"}, "there is no file"),
        ({"kind": "open_clip", "name": "no-such-model:tag"}, "open_clip gives no no-such-model"),
        ({"kind": "transformers", "name": "/no/such/folder"}, "transformers gives no /no/such"),
    ],
)
def test_what_is_not_there_is_said(settings, words):
    pytest.importorskip(settings["kind"])
    with pytest.raises(ConfigError, match=words):
        made(**settings)
