"""Pixels of more than 8 bits: their levels, transparency and photometric interpretation."""

import io
import struct
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image

from rayqc.images.decode import ImageError, Limits, decode, decode_native, values_of
from rayqc.images.deep import levels_of
from rayqc.images.look import ImageShape
from tests.images.test_odd_but_sound import tiff

VALUES = np.arange(64).reshape(8, 8) * 64
"""12 bits: 0 to 4032."""


def tiff16(values_HWC):
    """A TIFF of 16 bits a channel."""
    sink = io.BytesIO()
    tifffile.imwrite(sink, values_HWC.astype("u2"), photometric="rgb")
    return sink.getvalue()


def png16(values_HWC, colour, transparent=None):
    """A PNG of 16 bits a channel, straight from the definition of the format."""

    def chunk(name, data):
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    height, width = values_HWC.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values_HWC)
    marked = b"" if transparent is None else chunk(b"tRNS", np.array(transparent, ">u2").tobytes())
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + marked
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def colour(values):
    return np.stack([values, values[::-1], values.T], axis=-1)


SAME_PICTURE = {
    "png gray": (png16(VALUES, 0), (0, 4095)),
    "tiff gray": (tiff(VALUES.astype("<u2")[..., None]), (0, 4095)),
    "tiff float": (tiff((VALUES / 4095 * 255).astype("<f4")[..., None]), (0, 255)),
    "tiff float to 1": (tiff((VALUES / 4095).astype("<f4")[..., None]), (0, 1)),
    "tiff int32": (tiff((VALUES // 16).astype("<i4")[..., None]), (0, 255)),
}


@pytest.mark.parametrize("name", SAME_PICTURE)
def test_the_same_picture_of_any_depth_gives_the_same_pixels(name):
    data, expected_levels = SAME_PICTURE[name]
    levels = levels_of([values_of(data, Limits())])
    assert levels == expected_levels
    pixels = decode_native(data, Limits(levels=levels))[..., 0]
    expected = np.rint(VALUES * (255 / 4095))
    assert np.abs(pixels - expected).max() <= 1


@pytest.mark.parametrize(
    "make",
    [lambda v: png16(v, 2), tiff16],
    ids=["png", "tiff"],
)
def test_colour_of_12_bits_in_16(make):
    data = make(colour(VALUES))
    levels = levels_of([values_of(data, Limits())])
    assert levels == (0, 4095)
    pixels = decode_native(data, Limits(levels=levels))
    np.testing.assert_array_equal(pixels, np.rint(colour(VALUES) * (255 / 4095)))
    np.testing.assert_array_equal(decode_native(data, Limits()), np.rint(colour(VALUES) / 257))


def slow_levels(low, high, is_float):
    """docs/data.md, sentence by sentence."""
    if is_float and low >= 0 and high <= 1:
        return (0, 1)
    if is_float and low >= -1 and high <= 1:
        return (-1, 1)
    if low >= 0 and high <= 65535:
        return (0, min(white for white in (255, 1023, 4095, 16383, 65535) if white >= high))
    return (low, high)


SPREADS = {
    "<u2": [(0, 1), (0, 255), (0, 256), (3, 1023), (0, 1024), (0, 4095), (0, 16383), (0, 65535)],
    "<i4": [(0, 255), (0, 4096), (-1, 1), (-1000, 3000), (0, 70000)],
    "<f4": [(0, 1), (0.25, 0.5), (0, 1.5), (-1, 1), (-0.5, 0), (-2, 1), (0, 255), (0, 70000)],
}


@pytest.mark.parametrize("dtype", SPREADS)
def test_the_rule_of_levels(dtype):
    for low, high in SPREADS[dtype]:
        values = np.linspace(low, high, 64).reshape(8, 8, 1).astype(dtype)
        found = levels_of([values_of(tiff(values), Limits())])
        assert found == slow_levels(low, high, dtype == "<f4"), (low, high)


def test_levels_are_of_all_images_together_and_none_of_a_mixture():
    dark, light = (tiff(np.full((8, 8, 1), value, "<u2")) for value in (90, 3000))
    floats = tiff(np.full((8, 8, 1), 0.5, "<f4"))
    values = [values_of(data, Limits()) for data in (dark, light, floats)]
    assert levels_of(values[:2]) == (0, 4095)
    assert levels_of(values) is None
    assert levels_of([]) is None
    eight_bits = io.BytesIO()
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(eight_bits, "PNG")
    assert values_of(eight_bits.getvalue(), Limits()) is None


@pytest.mark.parametrize("channels", [0, 2])
def test_a_transparent_value_of_16_bits_is_white_and_its_neighbours_are_not(channels):
    values = VALUES + 20000
    values[0, :3] = (20000, 20001, 20002)  # of equal high bytes
    if channels:
        values = np.stack([values] * 3, axis=-1)
    data = png16(values, channels, [20001] * (3 if channels else 1))
    pixels = decode_native(data, Limits())
    assert pixels[0, :3, 0].tolist() == [78, 255, 78]


def test_a_tiff_whose_least_value_is_white():
    values = (VALUES * 16).astype("<u2")
    white_is_zero = tiff(values[..., None]).replace(
        struct.pack("<HHIHH", 262, 3, 1, 1, 0), struct.pack("<HHIHH", 262, 3, 1, 0, 0)
    )
    usual, turned = tiff(values[..., None]), white_is_zero
    assert usual != turned
    np.testing.assert_array_equal(
        decode_native(turned, Limits()), 255 - decode_native(usual, Limits())
    )


def test_orientation_holds_at_any_depth():
    sink = io.BytesIO()
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray((VALUES * 16).astype(np.uint16)[:4]).save(sink, "TIFF", exif=exif)
    pixels = decode_native(sink.getvalue(), Limits())[..., 0]
    expected = np.rint(np.rot90((VALUES * 16)[:4], -1) / 257)
    np.testing.assert_array_equal(pixels, expected)


def tiff16_turned(values, orientation, **options):
    """A TIFF in colour of 16 bits that says how it is turned."""
    sink = io.BytesIO()
    turned = [(274, "H", 1, orientation, True)]
    tifffile.imwrite(sink, values.astype("u2"), photometric="rgb", extratags=turned, **options)
    return sink.getvalue()


@pytest.mark.parametrize("compression", [None, "zlib", "lzw"])
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("height", [4, 8])
def test_a_tiff_in_deep_colour_is_turned_as_one_of_8_bits_is(height, orientation, compression):
    values = colour(VALUES)[:height] * 16
    eight_bits = io.BytesIO()
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(np.rint(values / 257).astype(np.uint8)).save(eight_bits, "TIFF", exif=exif)
    expected = decode_native(eight_bits.getvalue(), Limits())
    for planes in (values, np.moveaxis(values, 2, 0)):  # tifffile writes the second in planes
        data = tiff16_turned(planes, orientation, compression=compression)
        assert (data.count(b"\x1c\x01\x03\0\x01\0\0\0\x02\0") == 1) == (planes is not values)
        np.testing.assert_array_equal(decode_native(data, Limits()), expected)


def test_deep_colour_that_cannot_be_read_is_said_to_be_so(monkeypatch):
    def fail(data):
        raise ValueError("no codec")

    monkeypatch.setattr("imagecodecs.tiff_decode", fail)
    with pytest.raises(
        ImageError, match="TIFF in colour of 16 bits: ValueError: no codec"
    ) as caught:
        decode_native(tiff16(colour(VALUES)), Limits())
    assert caught.value.reason == "unsupported_mode"


def test_infinite_values_are_an_error_at_any_levels():
    values = np.full((8, 8, 1), np.inf, "<f4")
    with pytest.raises(ImageError, match="NaN or infinite"):
        decode(tiff(values), ImageShape(size=8, channels=1), Limits(levels=(0, 255)))


NOTES = {"iCCP": b"x\0\0" + zlib.compress(b"junk"), "sRGB": b"\x09", "bKGD": b"\0", "tEXt": b"\0"}


@pytest.mark.parametrize("name", NOTES)
def test_odd_notes_change_no_pixel_and_keep_off_the_terminal(name, capfd):
    data, note = png16(colour(VALUES), 2, [64, 64, 64]), NOTES[name]
    head = name.encode() + note
    chunk = struct.pack(">I", len(note)) + head + struct.pack(">I", zlib.crc32(head))
    found = decode_native(data[:33] + chunk + data[33:], Limits())
    np.testing.assert_array_equal(found, decode_native(data, Limits()))
    assert capfd.readouterr().err == ""
