"""A decoder in child processes: an image that kills or hangs it is named, all others are read."""

import io
import sys
import time

import numpy as np
import pytest
from PIL import Image

import rayqc
from rayqc.errors import InputError, StoppedError
from rayqc.images.decode import ImageError, Limits, decode_native
from rayqc.images.encode import encode_png
from rayqc.images.facts import ImageFacts
from rayqc.images.guarded import guarded_decoder
from tests.images.corpus import bad_images
from tests.images.test_odd_but_sound import tiff

FAULTY = """
import os, time
from PIL import Image

sound = Image.open

def faulty(file, *args, **kwargs):
    data = file.getvalue()
    if b"deadly" in data:
        os.kill(os.getpid(), 11)
    if b"quits" in data:
        os._exit(3)
    if b"endless" in data:
        time.sleep(1000)
    print("a native library talks")
    return sound(file, *args, **kwargs)

Image.open = faulty
"""


@pytest.fixture
def faulty(tmp_path, monkeypatch):
    """Pillow with a fault, in every Python process that starts with this `sys.path`."""
    folder = tmp_path / "faulty"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(FAULTY)
    monkeypatch.syspath_prepend(str(folder))


def bmp(text=b""):
    sink = io.BytesIO()
    Image.fromarray(np.zeros((8, 6, 3), np.uint8)).save(sink, "BMP")
    return sink.getvalue() + text


def test_images_that_kill_or_hang_are_named_and_others_are_read(faulty):
    images = [bmp(), bmp(b"deadly"), bmp(), bmp(b"endless"), bmp(b"quits"), None, bmp()]
    with guarded_decoder(Limits(), children=2, seconds=2) as decoder:
        found = decoder.look(images)
        again = decoder.look([bmp()])
    sound = ImageFacts(format="BMP", mode="RGB", width=6, height=8)
    assert [found[row] for row in (0, 2, 6)] == [sound] * 3
    assert again == [sound]
    assert found[1] == ("poison", "takes its decoder down: SIGSEGV")
    assert found[3] == ("poison", "takes its decoder down: no end after 2 s")
    assert found[4] == ("poison", "takes its decoder down: exit code 3")
    assert found[5] == ("empty", "no bytes")


def test_facts_and_reasons_are_the_decoders():
    bad = bad_images()
    values = np.linspace(0, 4000, 64).reshape(8, 8, 1)
    with guarded_decoder(Limits(max_pixels=1_000_000)) as decoder:
        reasons = decoder.look([data for data, _ in bad.values()])
        deep = decoder.look([tiff(values.astype("<u2")), tiff(values.astype("<f4"))])
        plain = decoder.look([encode_png(np.zeros((5, 7, 1), np.uint8))])
    assert [facts.values for facts in deep] == [(0, 4000, False), (0, 4000, True)]
    assert [facts.mode for facts in deep] == ["I;16", "F"]
    assert plain == [ImageFacts(format="PNG", mode="L", width=7, height=5)]
    for (name, (_, expected)), found in zip(bad.items(), reasons, strict=True):
        assert (found[0] if isinstance(found, tuple) else None) == expected, name


def test_ended_early_no_child_is_left(faulty):
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt), guarded_decoder(Limits(), children=1) as decoder:
        decoder.look([bmp()])
        raise KeyboardInterrupt
    assert time.monotonic() - started < 30


def fill(root, deadly=""):
    for name in ("cat", "dog"):
        (root / name).mkdir(parents=True)
        for number in range(3):
            pixels = np.full((8, 8, 3), 40 * number + len(str(root)) + (name == "dog"), np.uint8)
            (root / name / f"{number}.png").write_bytes(encode_png(pixels))
    if deadly:
        (root / deadly).write_bytes(bmp(b"deadly"))


def test_check_names_it(faulty, tmp_path):
    fill(tmp_path / "images", "dog/killer.bmp")
    found = rayqc.check(str(tmp_path / "images"))
    assert (found["images"], found["decoded"]) == (7, 6)
    assert found["reasons"] == {"poison": 1}
    assert found["examples"]["poison"][0].startswith("images/dog/killer.bmp: takes its decoder")


@pytest.mark.parametrize("section", ["references", "test"])
def test_a_run_ends_before_training_and_names_it(ray_session, faulty, tmp_path, section):
    for name in ("references", "test"):
        fill(tmp_path / name, "cat/killer.bmp" if name == section else "")
    config = rayqc.make_config(
        {
            "references": {"path": str(tmp_path / "references")},
            "test": {"path": str(tmp_path / "test")},
            "pool": [{"kind": "augment"}],
            "classify": {"arms": []},
        }
    )
    with pytest.raises(InputError, match=r"real image cat/killer\.bmp cannot be used .poison."):
        rayqc.train(config, str(tmp_path / "run"))


def test_libtiff_keeps_off_the_terminal(capfd):
    sink = io.BytesIO()
    Image.fromarray(np.arange(4096, dtype=np.uint8).reshape(64, 64)).save(
        sink, "TIFF", compression="tiff_lzw"
    )
    torn = bytearray(sink.getvalue())
    torn[8:60] = bytes(byte ^ 0xFF for byte in torn[8:60])
    with pytest.raises(ImageError, match="decoder error"):
        decode_native(bytes(torn), Limits())
    if sys.platform == "linux":
        assert capfd.readouterr().err == ""


def test_where_no_child_can_start_no_image_is_blamed(tmp_path, monkeypatch):
    (tmp_path / "sitecustomize.py").write_text("import os; os._exit(7)")
    monkeypatch.syspath_prepend(str(tmp_path))
    with (
        guarded_decoder(Limits(), children=1) as decoder,
        pytest.raises(StoppedError, match="could not start: exit code 7"),
    ):
        decoder.look([bmp()])
