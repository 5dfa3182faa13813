"""The generator that comes with the package: what it is asked for it draws, or is known not to."""

import zipfile

import numpy as np
import pytest

from rayqc.config import make_config
from rayqc.config.pool import Exported
from rayqc.errors import ConfigError
from rayqc.generators.exported import DATA, maker_of
from rayqc.images.decode import Limits, decode_native
from rayqc.pipeline.demos import demo_config
from rayqc.pipeline.run_folder import _trusting
from rayqc.schema import image_bytes
from rayqc.shown.commands import FAULTY
from rayqc.sources import open_source
from rayqc.sources.select import read_all

PER_CLASS = 40


@pytest.fixture(scope="module")
def recognised():
    """A function from images to digits: the nearest neighbour among the 4,000 training digits."""
    table = read_all(open_source(make_config({"references": {"kind": "bundled"}}).references))
    known = np.stack([decode_native(data, Limits()) for data in image_bytes(table)])
    known_NP = known.reshape(len(known), -1) / 255
    label_N = np.asarray(table["label"])

    def classes(images):
        image_NP = images.reshape(len(images), -1) / 255
        away = (known_NP**2).sum(1)[None] - 2 * image_NP @ known_NP.T
        return label_N[away.argmin(1)]

    return classes


def drawn(name):
    entry = next(entry for entry in demo_config("generator", ()).pool if entry.name == name)
    label_N = np.repeat(np.arange(10), PER_CLASS)
    images = maker_of(entry).open("cpu")(label_N, np.arange(label_N.size).astype(np.uint64))
    return images, label_N


def test_what_it_draws_is_what_it_is_asked_for(recognised):
    images, label_N = drawn("sound")
    assert images.shape == (400, 28, 28, 1)
    assert images.dtype == np.uint8
    assert (recognised(images) == label_N).mean() > 0.95
    assert len({image.tobytes() for image in images}) == 400


def test_the_mislabelled_are_other_digits(recognised):
    images, label_N = drawn("mislabelled")
    assert (recognised(images) == label_N).mean() < 0.05


def test_training_that_stopped_early_shows(recognised):
    images, label_N = drawn("early")
    assert (recognised(images) == label_N).mean() < 0.95


def test_the_faulty_entries_are_entries_of_the_demo():
    names = [entry.name for entry in demo_config("generator", ()).pool]
    assert set(FAULTY) < set(names)
    with pytest.raises(ConfigError, match="expected 'generator' or 'augment'"):
        demo_config("gan", ())


def test_no_path_leads_out_of_the_package():
    for path in ("bundled:../../etc/passwd", "bundled:nothing.pt"):
        with pytest.raises(ConfigError, match="no generator's file at bundled:"):
            maker_of(Exported(kind="exported", path=path, noise_dim=3))


def test_a_run_folder_may_name_it_by_itself():
    config = demo_config("generator", ())
    trusted = _trusting(config, None)
    assert [entry.code() for entry in trusted.pool] == [entry.code() for entry in config.pool]


def test_the_files_name_no_folder_of_the_machine_that_made_them():
    for path in sorted(DATA.glob("*.pt")):
        with zipfile.ZipFile(path) as archive:
            assert not [name for name in archive.namelist() if name.endswith(".debug_pkl")]
            assert not any(b".py(" in archive.read(name) for name in archive.namelist())
