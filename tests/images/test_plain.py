"""The fast decoders give the pixels that Pillow gives, or leave an image to it."""

import random
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from rayqc.images import decode as decoder
from rayqc.images.decode import ImageError, Limits, decode, decode_looks
from rayqc.images.detail import Tiles
from rayqc.images.look import ImageShape
from rayqc.images.plain import factor_of, plain_pixels
from rayqc.sources import open_source
from tests.conftest import shared
from tests.images.corpus import bad_images, encoded

MUTANTS = 6000
LIMITS = Limits()


def ordinary():
    """Gray and colour, noise and smooth, PNG and JPEG of several makes."""
    rng = np.random.default_rng(0)
    for shape in ((8, 8), (30, 20), (64, 64, 3), (20, 30, 3)):
        noise = Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8))
        for image in (noise, noise.resize((3, 3)).resize((24, 24))):
            yield encoded(image, "PNG")
            yield encoded(image, "PNG", dpi=(72, 72))
            yield encoded(image, "PNG", compress_level=0)
            yield encoded(image, "JPEG")
            yield encoded(image, "JPEG", progressive=True)
            yield encoded(image, "JPEG", quality=97, subsampling=0)


def outcome(data, shape):
    try:
        return decode(data, shape, LIMITS).tobytes()
    except ImageError as error:
        return error.reason, str(error)


@pytest.fixture
def by_pillow(monkeypatch):
    """The decoder without its fast part."""

    def judge(data, shape):
        with monkeypatch.context() as patch:
            patch.setattr(decoder, "plain_pixels", lambda *arguments: None)
            return outcome(data, shape)

    return judge


SHAPES = [ImageShape(size=size, channels=channels) for size in (8, 24) for channels in (1, 3)]


def test_ordinary_images_take_the_fast_way_to_the_same_pixels(by_pillow):
    for data in ordinary():
        assert plain_pixels(data, LIMITS.formats, LIMITS.max_pixels) is not None
        assert plain_pixels(data, (), LIMITS.max_pixels) is None
        assert plain_pixels(data, LIMITS.formats, 63) is None
        for shape in SHAPES:
            assert outcome(data, shape) == by_pillow(data, shape)


@pytest.mark.parametrize("name", bad_images())
def test_odd_and_bad_images_end_as_with_pillow(name, by_pillow):
    data, _ = bad_images()[name]
    for shape in SHAPES:
        assert outcome(data, shape) == by_pillow(data, shape)


@pytest.mark.parametrize("channels", [1, 3])
def test_orientation_is_left_to_pillow(channels, by_pillow):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
    image = Image.fromarray(pixels if channels == 3 else pixels[..., 0])
    exif = Image.Exif()
    exif[0x0112] = 6
    for kind in ("PNG", "JPEG"):
        data = encoded(image, kind, exif=exif)
        assert plain_pixels(data, LIMITS.formats, LIMITS.max_pixels) is None


def mutant(data, rng):
    """The bytes with up to three things done to them, and often a PNG's checksums put right."""
    found = bytearray(data)
    for _ in range(rng.randint(1, 3)):
        place = rng.randrange(8, len(found))
        match rng.randrange(4):
            case 0:
                found[place] = rng.randrange(256)
            case 1:
                found[place] ^= 1 << rng.randrange(8)
            case 2:
                del found[place : place + rng.randint(1, 20)]
            case _:
                found[place:place] = rng.randbytes(rng.randint(1, 9))
    return mended(bytes(found)) if rng.random() < 0.5 else bytes(found)


def mended(data):
    place, found = 8, data[:8]
    while place + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, place)
        if place + 12 + length > len(data):
            break
        body = data[place + 4 : place + 8 + length]
        found += data[place : place + 8 + length] + struct.pack(">I", zlib.crc32(body))
        place += 12 + length
    return found + data[place:]


def test_damaged_images_end_as_with_pillow(by_pillow):
    rng = random.Random(0)
    sound = list(ordinary())
    fast = 0
    for _ in range(MUTANTS):
        data = mutant(rng.choice(sound), rng)
        fast += plain_pixels(data, LIMITS.formats, LIMITS.max_pixels) is not None
        shape = rng.choice(SHAPES)
        assert outcome(data, shape) == by_pillow(data, shape), data
    assert fast > MUTANTS / 50  # else this shows nothing


@pytest.mark.parametrize("name", ["cifar10", "mnist-gan"])
def test_real_pools(name, by_pillow):
    from rayqc.config import Data
    from rayqc.schema import image_bytes

    source = open_source(Data(path=shared(name) + "/train*.parquet"))
    (unit, *_) = source.units(2000)
    shape = ImageShape(size=32, channels=3)
    for data in image_bytes(source.read(unit)):
        assert plain_pixels(data, LIMITS.formats, LIMITS.max_pixels) is not None
        assert outcome(data, shape) == by_pillow(data, shape)


def grainy(width, height):
    """A photograph's stand-in: smooth colours with a grain."""
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)).astype(float)
    pixels = np.clip(smooth + rng.normal(0, 4, smooth.shape), 0, 255)
    return Image.fromarray(pixels.astype(np.uint8))


@pytest.mark.parametrize("size", [(640, 480), (488, 1208), (1040, 520)])
def test_large_jpegs_are_scaled_while_they_are_decoded(size, by_pillow, monkeypatch):
    """By either decoder to the same pixels, and hardly other ones than those of the whole image."""
    shape = ImageShape(size=32, channels=3)
    data = encoded(grainy(*size), "JPEG", quality=92)
    pixels = plain_pixels(data, ("JPEG",), 10**9, shape.enough)
    assert shape.enough <= min(pixels.shape[:2]) < 2 * shape.enough
    found = decode(data, shape, LIMITS)
    assert by_pillow(data, shape) == found.tobytes()
    whole = plain_pixels(data, ("JPEG",), 10**9)
    assert whole.shape[:2] == size[::-1]
    expected = shape.cut(Image.fromarray(whole))
    away = np.abs(found.astype(int) - expected.astype(int))
    assert away.mean() < 0.5
    assert away.max() <= 4


@pytest.mark.parametrize(
    ("size", "enough", "factor"),
    [
        ((4000, 3000), 512, 4),
        ((4000, 3000), 128, 8),
        ((4000, 3000), None, 1),
        ((4001, 3000), 128, 1),
        ((4002, 3000), 128, 2),
        ((500, 375), 128, 1),
        ((510, 256), 128, 2),
        ((510, 254), 128, 1),
    ],
)
def test_a_side_that_is_not_divided_is_not_scaled(size, enough, factor):
    """It would be continued to a whole block, and the image stretched."""
    assert factor_of(*size, enough) == factor


def test_tiles_are_of_all_pixels():
    """Beside tiles, views are made of the whole image, too: it is decoded once."""
    data = encoded(grainy(640, 480), "JPEG", quality=92)
    tiles = Tiles(channels=3)
    view, found = decode_looks(data, (ImageShape(size=32, channels=3), tiles), LIMITS)
    whole = Image.fromarray(plain_pixels(data, ("JPEG",), 10**9))
    np.testing.assert_array_equal(found, tiles.cut(whole))
    np.testing.assert_array_equal(view, ImageShape(size=32, channels=3).cut(whole))
