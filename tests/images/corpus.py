"""Some forty small images, bad and odd, made anew each time: name to bytes and expected reason."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

Corpus = dict[str, tuple[bytes, str | None]]


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    sink = io.BytesIO()
    image.save(sink, format=kind, **options)
    return sink.getvalue()


def noise(size: int, mode: str = "RGB") -> Image.Image:
    channels = {"L": (), "RGB": (3,), "RGBA": (4,), "CMYK": (4,), "LA": (2,)}[mode]
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (size, size, *channels), dtype=np.uint8)
    return Image.frombytes(mode, (size, size), pixels.tobytes())


def png_chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png_of(width: int, height: int, depth: int = 8, colour: int = 0, data: bytes = b"") -> bytes:
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = png_chunk(b"IHDR", head) + png_chunk(b"IDAT", zlib.compress(data))
    return b"\x89PNG\r\n\x1a\n" + body + png_chunk(b"IEND", b"")


def bad_images() -> Corpus:
    """None as a reason: must decode. Limits: a million pixels, 64 MB."""
    png, jpeg = encoded(noise(24), "PNG"), encoded(noise(24), "JPEG")
    webp, gif = encoded(noise(24), "WEBP"), encoded(noise(24, "L"), "GIF")
    tiff, bmp = encoded(noise(24), "TIFF"), encoded(noise(24), "BMP")
    flipped = bytearray(png)
    flipped[len(png) // 2] ^= 0xFF
    exif = Image.Exif()
    exif[0x0112] = 99  # no such orientation
    frames = [noise(8, "L"), Image.new("L", (8, 8), 255)]
    nan = np.full((8, 8), np.nan, np.float32)
    infinite = np.full((8, 8), np.inf, np.float32)
    ok: Corpus = {
        "rgb.png": (png, None),
        "gray.jpg": (encoded(noise(24, "L"), "JPEG"), None),
        "cmyk.jpg": (encoded(noise(24, "CMYK"), "JPEG"), None),
        "named_wrongly.jpg": (webp, None),
        "alpha.png": (encoded(noise(24, "RGBA"), "PNG"), None),
        "gray_alpha.png": (encoded(noise(24, "LA"), "PNG"), None),
        "palette.png": (encoded(noise(24).convert("P"), "PNG"), None),
        "palette_clear.png": (encoded(noise(24).convert("P"), "PNG", transparency=3), None),
        "one_bit.png": (encoded(noise(24, "L").convert("1"), "PNG"), None),
        "sixteen_bits.png": (
            encoded(Image.fromarray(np.arange(64, dtype=np.uint16).reshape(8, 8) * 1000), "PNG"),
            None,
        ),
        "float.tif": (encoded(Image.fromarray(np.full((8, 8), 0.5, np.float32)), "TIFF"), None),
        "thirty_two_bits.tif": (
            encoded(Image.fromarray(np.full((8, 8), 70000, np.int32)), "TIFF"),
            None,
        ),
        "one_pixel.png": (encoded(Image.new("L", (1, 1)), "PNG"), None),
        "thin.png": (encoded(Image.new("L", (3000, 1)), "PNG"), None),
        "animated.gif": (encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]), None),
        "animated.webp": (
            encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:]),
            None,
        ),
        "odd_orientation.jpg": (encoded(noise(24), "JPEG", exif=exif), None),
        "plain.bmp": (bmp, None),
        "plain.tif": (tiff, None),
        "plain.gif": (gif, None),
        # A whole stream of too few pixels: Pillow takes the missing ones for black.
        "short_data.png": (png_of(8, 8, data=bytes(9)), None),
        "trailing.png": (png + b"what follows the end", None),
        "progressive.jpg": (encoded(noise(24), "JPEG", progressive=True), None),
    }
    wrong: Corpus = {
        "empty.png": (b"", "empty"),
        "text.png": (b"this is no image", "unsupported_format"),
        "html.jpg": (b"<html><body>404</body></html>", "unsupported_format"),
        "zeros.jpg": (bytes(500), "unsupported_format"),
        "icon.png": (encoded(noise(16), "ICO"), "unsupported_format"),
        "netpbm.png": (encoded(noise(16), "PPM"), "unsupported_format"),
        "script.svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "unsupported_format"),
        "header_only.png": (png[:33], "decode_error"),
        "cut.png": (png[: len(png) // 2], "decode_error"),
        "cut.jpg": (jpeg[: len(jpeg) // 2], "decode_error"),
        "cut.webp": (webp[: len(webp) // 2], "decode_error"),
        "cut.bmp": (bmp[: len(bmp) // 2], "decode_error"),
        "cut.tif": (tiff[: len(tiff) // 2], "decode_error"),
        "flipped_bit.png": (bytes(flipped), "decode_error"),
        "no_data.png": (png_of(8, 8), "decode_error"),
        "zero_wide.png": (png_of(0, 8, data=b"x"), "decode_error"),
        "bomb.png": (png_of(60_000, 60_000), "too_large"),
        "wide_bomb.png": (png_of(2_000_000, 1), "too_large"),
        "nan.tif": (encoded(Image.fromarray(nan), "TIFF"), "nonfinite"),
        "infinite.tif": (encoded(Image.fromarray(infinite), "TIFF"), "nonfinite"),
    }
    return ok | wrong
