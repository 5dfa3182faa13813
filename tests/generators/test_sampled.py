"""Candidates on demand: the same bytes however they are divided, and clear refusals."""

import pickle
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image
from torch import nn

from rayqc.errors import ArtefactError, ConfigError, UntrustedCodeError
from rayqc.generators.exported import ExportedMaker
from rayqc.generators.gan import GANMaker, gan_facts, load_gan, save_gan
from rayqc.generators.python import PythonMaker
from rayqc.generators.sampled import SampledSource, checked
from rayqc.models.gan import GANShape, Generator
from rayqc.schema import candidate_schema
from rayqc.sources.problems import problems_of
from rayqc.storage import Folder
from rayqc.units import number

CLASSES = ("a", "b", "c")


class Neighbourly:
    """Each image depends on its whole batch, as batch normalisation in training mode would."""

    def __init__(self, side=8):
        self.side = side

    def __call__(self, label, seed):
        shape = (len(seed), self.side, self.side, 1)
        noise = np.random.default_rng(int(seed.sum() % 2**32)).integers(0, 200, shape)
        return (noise + label[:, None, None, None]).astype(np.uint8)


TARGET = "tests.generators.test_sampled:Neighbourly"


@dataclass(frozen=True)
class NeighbourlyMaker:
    identity: str = "1"

    def open(self, device):
        return Neighbourly()


def source(**changes):
    settings = {"maker": NeighbourlyMaker(), "per_class": 23, "batch": 4, "seed": 3, "name": "n"}
    return SampledSource(classes=CLASSES, **{**settings, **changes})


def whole(found, most, limit=None):
    units = number(found.units(most), limit)
    return pa.concat_tables([found.read(unit) for unit in units])


def test_no_candidates_are_no_unit():
    """A draw under a budget may ask nothing of a class whose last draw ended within a batch."""
    assert source().units_of(0, 6, 6, 100) == []
    assert [unit.count() for unit in source().units_of(0, 6, 9, 100)] == [3]


def test_the_same_bytes_for_any_units():
    every = whole(source(), 1000)
    assert every.schema == candidate_schema(CLASSES)
    assert every["id"].to_pylist()[:2] == ["n/0000-000000000", "n/0000-000000001"]
    assert every["label"].to_pylist() == [k for k in range(3) for _ in range(23)]
    for most in (1, 4, 5, 16):
        assert whole(source(), most) == every
    some = whole(source(), 7, limit=20)
    rows = {row["id"]: row for row in every.to_pylist()}
    assert some.num_rows == 20
    assert all(rows[row["id"]] == row for row in some.to_pylist())


def test_units_hold_whole_batches():
    found = source().units_of(1, 0, 23, 9)
    assert [(unit.start, unit.stop) for unit in found] == [(0, 8), (8, 16), (16, 23)]
    assert [(u.start, u.stop) for u in source().units_of(1, 6, 10, 9)] == [(6, 10)]
    few = source(unit_batches=1).units_of(1, 0, 23, 1000)
    assert [unit.stop - unit.start for unit in few] == [4, 4, 4, 4, 4, 3]


def test_what_decides_the_images_is_in_the_fingerprint():
    assert source(per_class=99).fingerprint == source().fingerprint
    for change in ({"seed": 4}, {"name": "m"}, {"batch": 5}, {"maker": NeighbourlyMaker("2")}):
        assert source(**change).fingerprint != source().fingerprint


def test_a_loaded_generator_is_not_sent_along():
    found = source()
    found.read(found.units(4)[0])
    assert pickle.loads(pickle.dumps(found))._sampler is None


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (np.zeros((2, 8, 8, 1)), "float64 of shape"),
        (np.zeros((2, 8, 8, 2), np.uint8), "expected uint8 of shape"),
        (np.zeros((3, 8, 8, 1), np.uint8), "gave 3 images, 2 were asked for"),
        ([np.zeros((8, 8), np.uint8), np.zeros((9, 8), np.uint8)], "no images"),
        (None, "NoneType that is no images"),
        (np.zeros((2, 0, 8, 1), np.uint8), r"expected uint8 of shape \(2, height, width"),
        ([Image.new("I;16", (8, 8), 30_000)] * 2, "mode I;16; expected 8 bits"),
        ([Image.new("F", (8, 8), 0.5)] * 2, "mode F; expected 8 bits"),
    ],
)
def test_what_is_no_image_is_refused(made, says):
    with pytest.raises(ConfigError, match=says):
        checked(made, 2, "it")


def test_arrays_tensors_and_pictures_are_taken():
    pixels = np.arange(2 * 8 * 8, dtype=np.uint8).reshape(2, 8, 8)
    pictures = [Image.fromarray(one) for one in pixels]
    tensor = torch.from_numpy(pixels)
    for made in (pixels, pixels[..., None], tensor, pictures, list(pixels), list(tensor)):
        np.testing.assert_array_equal(checked(made, 2, "it"), pixels[..., None])


def test_a_forgotten_no_grad_is_told_by_its_type():
    with pytest.raises(ConfigError, match="gave float32 of shape"):
        checked(torch.zeros(2, 8, 8, 1, requires_grad=True), 2, "it")


def test_two_entries_of_one_generator_draw_different_noise():
    one, other = source(name="one"), source(name="other")
    assert one._seed(0, 0) != other._seed(0, 0)
    assert one._seed(0, 0) == source(name="one")._seed(0, 0)


def test_python_code(tmp_path):
    maker = PythonMaker(target=TARGET, options={"side": 12})
    made = maker.open("cpu")(np.zeros(2, np.int64), np.arange(2, dtype=np.uint64))
    assert made.shape == (2, 12, 12, 1)
    assert maker.identity != PythonMaker(target=TARGET).identity
    with pytest.raises(UntrustedCodeError, match="--trust"):
        PythonMaker(target=None).open("cpu")
    with pytest.raises(ConfigError, match="cannot load"):
        PythonMaker(target="tests.nowhere:X").open("cpu")


class Failing:
    """Somebody's code with a mistake in it."""

    identity = "f"

    def open(self, device):
        return lambda label, seed: 1 / 0


def test_a_mistake_in_somebodys_code_is_told_as_theirs():
    says = "pool entry n: its generator failed on 4 images of class b: ZeroDivisionError"
    found = source(maker=Failing())
    with pytest.raises(ConfigError, match=says):
        found.read(found.units(8)[-1 - len(found.units_of(2, 0, 23, 8))])


class Fussy:
    """Somebody's code that fails on some seeds: on every third batch or so."""

    identity = "fussy"

    def open(self, device):
        def sample(label, seed):
            if int(seed[0]) % 3 == 0 and int(seed[0]) < 2**61:
                raise KeyError("not this one")
            return Neighbourly()(label, seed)

        return sample


def test_a_batch_that_a_generator_fails_on_is_an_error_of_its_own(caplog):
    """The others are what they would be without it, and none is lost."""
    units = source(maker=Fussy()).units(1000)
    table = pa.concat_tables(
        [source(maker=Fussy()).read(unit) for unit in units], promote_options="default"
    )
    sound = whole(source(), 1000)
    assert table["id"] == sound["id"]
    problems = problems_of(table)
    failed = [row for row, problem in enumerate(problems) if problem]
    assert 0 < len(failed) < table.num_rows
    for row in range(table.num_rows):
        if row in failed:
            assert problems[row][0] == "generator_error" and "not this one" in problems[row][1]
            assert not table["image"][row].is_valid
        else:
            assert table["image"][row] == sound["image"][row]
    assert "other seeds work" in caplog.text


def test_pictures_of_other_modes_become_rgb():
    palette = Image.new("P", (8, 8), 1)
    palette.putpalette([0, 0, 0, 200, 10, 20])
    assert checked([palette], 1, "it")[0, 0, 0].tolist() == [200, 10, 20]
    transparent = Image.new("RGBA", (8, 8), (0, 0, 0, 0))  # laid on white, as that of a file
    assert checked([transparent], 1, "it")[0, 0, 0].tolist() == [255, 255, 255]


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.dense = nn.Linear(5, 64)

    def forward(self, noise: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        level = label.float()[:, None] / 10
        return torch.tanh(self.dense(noise) + level).reshape(-1, 1, 8, 8)


@pytest.mark.parametrize("name", ["g.pt", "g.pt2"])
@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning")
def test_exported_networks(tmp_path, name):
    torch.manual_seed(0)
    network, example = Decoder().eval(), (torch.zeros(4, 5), torch.zeros(4, dtype=torch.int64))
    path = str(tmp_path / name)
    if name.endswith("2"):
        torch.export.save(torch.export.export(network, example), path)
    else:
        torch.jit.script(network).save(path)
    maker = ExportedMaker.of(path, 5, -1)
    table = whole(source(maker=maker, per_class=6), 100)
    assert table.num_rows == 18
    assert whole(source(maker=maker, per_class=6), 4) == table
    wrong = ExportedMaker.of(path, 6, -1)
    with pytest.raises(ConfigError, match="its generator failed on 4 images of class a"):
        whole(source(maker=wrong), 100)
    (tmp_path / name).write_bytes(b"another")
    with pytest.raises(ArtefactError, match="was replaced while it was in use"):
        whole(source(maker=maker), 100)
    with pytest.raises(UntrustedCodeError, match="--trust"):
        ExportedMaker.of(None, 5, 0).open("cpu")


def test_a_range_that_does_not_fit_is_said_once(tmp_path, caplog):
    """Of a network that ends in tanh, with `low: 0`, half of the pixels would be cut to black."""
    path = str(tmp_path / "g.pt2")
    example = (torch.zeros(4, 5), torch.zeros(4, dtype=torch.int64))
    torch.export.save(torch.export.export(Decoder().eval(), example), path)
    label_B, seed_B = np.zeros(4, np.int64), np.arange(4, dtype=np.uint64)
    for low, lines in ((-1, 0), (0, 1)):
        caplog.clear()
        sampler = ExportedMaker.of(path, 5, low).open("cpu")
        for _ in range(2):
            sampler(label_B, seed_B)
        assert sum("lie outside 0 to 1" in line for line in caplog.messages) == lines
        assert len(caplog.messages) == lines


def test_files_that_are_no_networks(tmp_path):
    (tmp_path / "x.pt").write_bytes(b"nothing")
    for name in ("x.pt", "x.pt2"):
        (tmp_path / name).write_bytes(b"nothing")
        with pytest.raises(ConfigError, match="no TorchScript file"):
            ExportedMaker.of(str(tmp_path / name), 2, 0).open("cpu")
    with pytest.raises(ConfigError, match="no generator's file"):
        ExportedMaker.of(str(tmp_path / "absent.pt"), 2, 0)


def test_a_gan_comes_back_from_disk(tmp_path):
    torch.manual_seed(0)
    folder = Folder(str(tmp_path))
    assert gan_facts(folder) is None
    network = Generator(GANShape(size=12, channels=3, classes=3, width=4, noise_dim=8)).eval()
    save_gan(folder, network, "x", {})
    z, label = torch.randn(3, 8), torch.arange(3)
    torch.testing.assert_close(load_gan(folder)(z, label), network(z, label))
    table = whole(source(maker=GANMaker(folder=folder), per_class=5), 3)
    assert whole(source(maker=GANMaker(folder=folder), per_class=5), 100) == table
    (tmp_path / "weights.safetensors").write_bytes(b"other")
    with pytest.raises(Exception, match="damaged or swapped"):
        load_gan(folder)
