"""One decoder for all: formats, modes, limits, and a reason for what it cannot use."""

import io

import numpy as np
import pytest
from PIL import Image

from rayqc.errors import InputError
from rayqc.images.decode import ImageError, Limits, decode, decode_batch, decode_native
from rayqc.images.encode import encode_png
from rayqc.images.look import ImageShape
from rayqc.images.references import decode_real, infer_shape

NOISE = encode_png(np.random.default_rng(0).integers(0, 256, (30, 30, 1), dtype=np.uint8))
GRAY, RGB = ImageShape(size=8, channels=1), ImageShape(size=8, channels=3)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    sink = io.BytesIO()
    image.save(sink, format=kind, **options)
    return sink.getvalue()


@pytest.mark.parametrize("channels", [1, 3])
def test_png_round_trip_is_exact_and_stable(rng, channels):
    pixels = rng.integers(0, 256, (8, 8, channels), dtype=np.uint8)
    data = encode_png(pixels)
    assert data == encode_png(pixels.copy())
    shape = ImageShape(size=8, channels=channels)
    np.testing.assert_array_equal(decode(data, shape, Limits()), pixels)
    np.testing.assert_array_equal(decode_native(data, Limits()), pixels)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF"])
def test_formats_are_sniffed(kind):
    data = encoded(Image.new("RGB", (20, 12), (250, 10, 10)), kind)
    pixels = decode(data, RGB, Limits())
    assert pixels.shape == (8, 8, 3)
    assert pixels[..., 0].min() > 200 > pixels[..., 1].max()


def test_gray_and_colour_convert_both_ways():
    red = encoded(Image.new("RGB", (8, 8), (255, 0, 0)), "PNG")
    assert decode(red, GRAY, Limits())[0, 0, 0] == 76  # ITU-R 601: 0.299 * 255
    gray = encoded(Image.new("L", (8, 8), 100), "PNG")
    np.testing.assert_array_equal(decode(gray, RGB, Limits())[0, 0], [100, 100, 100])


def test_alpha_is_laid_on_white():
    clear = encoded(Image.new("RGBA", (8, 8), (0, 0, 0, 0)), "PNG")
    assert decode(clear, GRAY, Limits()).min() == 255


def test_sixteen_bits_are_scaled_not_cut():
    values = np.full((8, 8), 257 * 100, np.uint16)
    data = encoded(Image.fromarray(values), "PNG")
    assert set(decode(data, GRAY, Limits()).ravel()) == {100}


def test_orientation_is_applied():
    image = Image.new("L", (8, 8), 0)
    image.paste(255, (0, 0, 8, 4))  # upper half white
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    pixels = decode(encoded(image, "PNG", exif=exif), GRAY, Limits())[..., 0]
    assert pixels[:4].max() == 0
    assert pixels[4:].min() == 255


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (None, "empty"),
        (b"", "empty"),
        (b"no image at all", "unsupported_format"),
        (NOISE[:300], "decode_error"),
        (encode_png(np.zeros((40, 40, 1), np.uint8)), "too_large"),
        (encoded(Image.new("L", (8, 8)), "ICO"), "unsupported_format"),
        (encoded(Image.fromarray(np.full((8, 8), np.nan, np.float32)), "TIFF"), "nonfinite"),
    ],
)
def test_what_cannot_be_used_has_a_reason(data, reason):
    limits = Limits(max_pixels=1000)
    with pytest.raises(ImageError) as caught:
        decode(data, GRAY, limits)
    assert caught.value.reason == reason
    images, wrong = decode_batch([data, encode_png(np.ones((8, 8, 1), np.uint8))], GRAY, limits)
    assert wrong[0] is not None and wrong[0][0] == reason
    assert wrong[1] is None
    assert images[0].max() == 0 and images[1].min() == 1


def test_byte_limit():
    with pytest.raises(ImageError, match="limit 10"):
        decode(encode_png(np.zeros((8, 8, 1), np.uint8)), GRAY, Limits(max_bytes=10))


def test_shape_comes_from_the_references():
    def png(h, w, c):
        return "x", encode_png(np.zeros((h, w, c), np.uint8))

    gray = [png(28, 28, 1), png(28, 20, 1), png(5, 5, 1)]
    assert infer_shape(gray, Limits(), None, None) == ImageShape(size=28, channels=1)
    assert infer_shape([png(30, 30, 3)], Limits(), None, None).size == 32
    assert infer_shape([png(3, 2, 3)], Limits(), None, None).size == 8
    assert infer_shape([png(300, 200, 3)], Limits(), None, None).size == 64
    assert infer_shape(gray, Limits(), 16, 3) == ImageShape(size=16, channels=3)
    with pytest.raises(
        InputError, match=r"real image broken cannot be used \(unsupported_format\)"
    ):
        infer_shape([("broken", b"x")], Limits(), None, None)
    with pytest.raises(InputError, match="real image b cannot be used"):
        decode_real(["a", "b"], [png(8, 8, 1)[1], b""], GRAY, Limits())
