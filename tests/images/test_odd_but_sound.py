"""Sound files that few programs meet: read, or said to be what they are, and never damaged."""

import io
import struct
import zlib

import numpy as np
import pytest
import simplejpeg
from PIL import Image, PngImagePlugin

from rayqc.images.decode import ImageError, Limits, decode_batch, decode_native
from rayqc.images.look import ImageShape

PIXELS = np.arange(64, dtype=np.uint8).reshape(8, 8)
NOTE = "workflow " * 250_000


def png(notes=None, profile=None):
    sink = io.BytesIO()
    Image.fromarray(PIXELS).save(sink, format="PNG", pnginfo=notes, icc_profile=profile)
    return sink.getvalue()


def noted(compressed):
    notes = PngImagePlugin.PngInfo()
    notes.add_text("workflow", NOTE, zip=compressed)
    return notes


def international():
    notes = PngImagePlugin.PngInfo()
    notes.add_itxt("workflow", NOTE, zip=True)
    return notes


@pytest.mark.parametrize(
    "data",
    [png(noted(False)), png(noted(True)), png(international()), png(profile=bytes(3_000_000))],
    ids=["tEXt", "zTXt", "iTXt", "iCCP"],
)
def test_notes_of_a_png_are_no_part_of_the_picture(data):
    np.testing.assert_array_equal(decode_native(data, Limits())[..., 0], PIXELS)


def test_a_note_that_unpacks_without_end_is_refused():
    data = png(noted(True))
    packed = zlib.compress(bytes(80_000_000))
    chunk = b"zTXt" + b"bomb\0\0" + packed
    bomb = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    with pytest.raises(ImageError, match="too large"):
        decode_native(data[:33] + bomb + data[33:], Limits())


def tiff(values_HWB, cut=0):
    """A TIFF of one strip, as GDAL writes one of any number of bands and any kind of values."""
    height, width, bands = values_HWB.shape
    kind = {"u": 1, "i": 2, "f": 3}[values_HWB.dtype.kind]
    bits, strip = values_HWB.dtype.itemsize * 8, values_HWB.tobytes()
    tags = [
        (256, 4, [width]),
        (257, 4, [height]),
        (258, 3, [bits] * bands),
        (259, 3, [1]),
        (262, 3, [1]),
        (273, 4, [8]),
        (277, 3, [bands]),
        (278, 4, [height]),
        (279, 4, [len(strip)]),
        (339, 3, [kind] * bands),
    ]
    more_at = 8 + len(strip) + 2 + 12 * len(tags) + 4
    directory, more = struct.pack("<H", len(tags)), b""
    for tag, type_, values in tags:
        packed = struct.pack(f"<{len(values)}{'H' if type_ == 3 else 'I'}", *values)
        place = packed.ljust(4, b"\0")
        if len(packed) > 4:
            place, more = struct.pack("<I", more_at + len(more)), more + packed
        directory += struct.pack("<HHI", tag, type_, len(values)) + place
    head = b"II*\0" + struct.pack("<I", 8 + len(strip))
    whole = head + strip + directory + bytes(4) + more
    return whole[: len(whole) - cut]


@pytest.mark.parametrize(
    ("bands", "kind", "expected"),
    [
        (5, np.uint8, "TIFF of 5 bands of 8 bits"),
        (3, np.float32, "TIFF of 3 bands of 32 bits float"),
        (1, np.float64, "TIFF of 1 band of 64 bits float"),
        (2, np.int16, "TIFF of 2 bands of 16 bits signed"),
    ],
)
def test_a_tiff_without_a_mode_is_said_to_be_what_it_is(bands, kind, expected):
    data = tiff(np.ones((6, 5, bands), kind))
    with pytest.raises(ImageError, match=f"^{expected}$") as raised:
        decode_native(data, Limits())
    assert raised.value.reason == "unsupported_mode"
    with pytest.raises(ImageError) as raised:
        decode_native(data[: len(data) // 2], Limits())
    assert raised.value.reason == "decode_error"


def test_a_tiff_of_gray_is_read():
    values = np.arange(30, dtype=np.uint8).reshape(6, 5, 1)
    np.testing.assert_array_equal(decode_native(tiff(values), Limits()), values)


def jpeg_441():
    """A JPEG of 4:4:1 sampling: colour at a quarter of the height, which few encoders write.

    One of 4:1:1 and 32 x 8 pixels is one unit of the same six blocks: its header is turned round.
    """
    ramp = np.linspace(0, 255, 32).astype(np.uint8)
    pixels = np.stack([np.tile(ramp, (8, 1)), np.full((8, 32), 128, np.uint8)] * 2, -1)[..., :3]
    data = bytearray(simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), 95, "RGB", "411"))
    start = data.index(b"\xff\xc0")
    assert struct.unpack_from(">HHB", data, start + 5) == (8, 32, 3)
    assert data[start + 11] == 0x41
    struct.pack_into(">HH", data, start + 5, 32, 8)
    data[start + 11] = 0x14
    return bytes(data)


def test_a_jpeg_of_441_sampling_is_read_as_pillow_reads_it():
    data = jpeg_441()
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    assert expected.shape == (32, 8, 3)
    np.testing.assert_array_equal(decode_native(data, Limits()), expected)
    images, problems = decode_batch([data, png()], ImageShape(size=8, channels=3), Limits())
    assert problems == [None, None]
    assert images[0].any()
