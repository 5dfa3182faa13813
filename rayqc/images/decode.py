"""Decode reference images and candidates: encoded bytes to pixels, within limits.

The format is read from the bytes, never from a name. Size is checked before pixels are decoded.
EXIF orientation is applied, an animation gives its first frame, alpha is laid on white, and
pixels of more than 8 bits are scaled to 8 (see `images.deep`).

Shape suffixes: N images, H W C pixels.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps, PngImagePlugin, UnidentifiedImageError

from rayqc.config.settings import Image as ImageSettings
from rayqc.images.deep import (
    PNG_DEPTH,
    DeepPixels,
    Levels,
    UnreadableDepthError,
    deep_pixels,
)
from rayqc.images.look import ImageShape, Look
from rayqc.images.plain import factor_of, plain_pixels
from rayqc.images.tiff import layout_of, quiet_libtiff

SIGNATURES = {
    "PNG": (b"\x89PNG\r\n\x1a\n",),
    "JPEG": (b"\xff\xd8\xff",),
    "WEBP": (b"RIFF",),
    "BMP": (b"BM",),
    "GIF": (b"GIF87a", b"GIF89a"),
    "TIFF": (b"II*\0", b"MM\0*"),
}
"""First bytes of files, by format. A file that has them and yet is not recognised is damaged."""

RAW_PIXELS = b"raw pixels of shape "
"""Begins what stands for pixels of a shape that no image has; the shape follows."""
MOST_NOTE_BYTES = 64_000_000
"""Most bytes of one note in a PNG, such as a workflow or an ICC profile, when unpacked. Pillow's
own limit is 1 MB, which sound files pass."""
PngImagePlugin.MAX_TEXT_CHUNK = MOST_NOTE_BYTES

Wrong = tuple[str, str]
"""Reason and message of an image that cannot be decoded."""


class ImageError(Exception):
    """An image cannot be used; `reason` is a code that is counted, and the text is for people."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits that an image must keep before it is decoded: pixels (H * W), bytes and formats."""

    max_pixels: int = 50_000_000
    max_bytes: int = 64_000_000
    formats: tuple[str, ...] = ImageSettings().formats
    """Formats that are decoded, as Pillow names them; others are refused."""
    levels: Levels | None = None
    """The values of deep pixels that become black and white; None takes their type's full range."""


def limits_of(settings: ImageSettings) -> Limits:
    """The limits that a configuration's `image` section sets."""
    return Limits(
        max_pixels=settings.max_pixels,
        max_bytes=settings.max_bytes,
        formats=settings.formats,
        levels=settings.range if isinstance(settings.range, tuple) else None,
    )


def decode(data: bytes | None, shape: ImageShape, limits: Limits) -> np.ndarray:
    """Pixels of an encoded image in the model's shape.

    Gray is repeated to RGB, or RGB is weighted to gray (ITU-R 601), as the shape asks. An image of
    another size is resized, bilinear with antialiasing, each side by itself.

    Returns:
        (H, W, C) uint8.

    Raises:
        ImageError: `empty`, `too_large`, `unsupported_format`, `unsupported_mode`,
            `nonfinite` or `decode_error`.
    """
    return decode_looks(data, (shape,), limits)[0]


def decode_looks(data: bytes | None, looks: Sequence[Look], limits: Limits) -> list[np.ndarray]:
    """What each of several looks takes of an encoded image; it is decoded once.

    A JPEG is scaled while it is decoded where that is enough for all looks.

    Raises:
        ImageError: as `decode`.
    """
    wanted = [look.enough for look in looks]
    enough = None if None in wanted else max(side for side in wanted if side is not None)
    pixels = fast_pixels(data, limits, enough)
    image: Image.Image | None = None
    by_channels: dict[int, Image.Image] = {}
    found = []
    for look in looks:
        whole = isinstance(look, ImageShape) and look.kept_share is None
        if pixels is not None and whole and pixels.shape == look.pixels:
            found.append(pixels)
            continue
        if look.channels not in by_channels:
            if image is None:
                image = open_image(data, limits, enough) if pixels is None else as_image(pixels)
            by_channels[look.channels] = to_mode(image, look.channels)
        found.append(look.cut(by_channels[look.channels]))
    return found


def decode_batch(
    data: Sequence[bytes | None], shape: ImageShape, limits: Limits
) -> tuple[np.ndarray, list[Wrong | None]]:
    """Pixels of many encoded images in the model's shape; a failure is returned, not raised.

    Returns:
        (N, H, W, C) uint8, zero where decoding failed; and N items, (reason, message) where
        decoding failed and None elsewhere.
    """
    (images_NHWC,), failures = decode_batch_looks(data, (shape,), limits)
    return images_NHWC, failures


def decode_batch_looks(
    data: Sequence[bytes | None], looks: Sequence[Look], limits: Limits
) -> tuple[list[np.ndarray], list[Wrong | None]]:
    """Pixels of many encoded images for each of several looks; see `decode_batch`."""
    images = [np.zeros((len(data), *look.pixels), look.dtype) for look in looks]
    failures: list[Wrong | None] = [None] * len(data)
    for row, encoded in enumerate(data):
        try:
            for images_NHWC, pixels in zip(
                images, decode_looks(encoded, looks, limits), strict=True
            ):
                images_NHWC[row] = pixels
        except ImageError as error:
            failures[row] = (error.reason, str(error))
        except Exception as error:  # of a mode, size or file that no decoder was made for
            failures[row] = ("decode_error", f"{type(error).__name__}: {error}")
    return images, failures


def decode_native(data: bytes | None, limits: Limits) -> np.ndarray:
    """Pixels of an encoded image at its own size.

    Returns:
        (H, W, 1) uint8 for gray, (H, W, 3) uint8 otherwise.

    Raises:
        ImageError: as `decode`.
    """
    pixels = fast_pixels(data, limits)
    if pixels is not None:
        return pixels
    image = open_image(data, limits)
    channels = 1 if is_gray(image) else 3
    pixels = np.asarray(to_mode(image, channels), dtype=np.uint8)
    return pixels.reshape(image.height, image.width, channels)


def fast_pixels(data: bytes | None, limits: Limits, enough: int | None = None) -> np.ndarray | None:
    """Pixels of an image that needs no Pillow, (H, W, 1) or (H, W, 3) uint8; else None.

    Args:
        enough: as for `plain_pixels`.
    """
    if not data or len(data) > limits.max_bytes:
        return None
    try:
        return plain_pixels(data, limits.formats, limits.max_pixels, enough)
    except Exception:  # whatever a fast decoder makes of it, Pillow is asked
        return None


def as_image(pixels: np.ndarray) -> Image.Image:
    """An image of (H, W, 1) or (H, W, 3) uint8 pixels."""
    return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)


def open_image(data: bytes | None, limits: Limits, enough: int | None = None) -> Image.Image:
    """The first frame of an encoded image, of 8 bits a channel and with its EXIF orientation.

    Args:
        enough: as for `plain_pixels`.

    Raises:
        ImageError: `empty`, `too_large`, `unsupported_format`, `unsupported_mode`, `nonfinite` or
            `decode_error`.
    """
    return opened(data, limits, enough).image


def values_of(data: bytes | None, limits: Limits) -> DeepPixels | None:
    """The values of an image of more than 8 bits; None of any other.

    Raises:
        ImageError: as `open_image`.
    """
    if not data or not _may_be_deep(data):
        return None
    return opened(data, limits).deep


def _may_be_deep(data: bytes) -> bool:
    if data.startswith(SIGNATURES["PNG"]):
        return data[PNG_DEPTH : PNG_DEPTH + 1] == b"\x10"
    return data.startswith(SIGNATURES["TIFF"])


@dataclass(frozen=True, kw_only=True)
class Opened:
    """An image, its values if it has more than 8 bits, and what its file says of it."""

    image: Image.Image
    deep: DeepPixels | None
    format: str
    mode: str


def opened(data: bytes | None, limits: Limits, enough: int | None = None) -> Opened:
    """The first frame of an encoded image, and what is known of it; as `open_image`."""
    if not data:
        raise ImageError("empty", "no bytes")
    if len(data) > limits.max_bytes:
        raise ImageError("too_large", f"{len(data):,} bytes, limit {limits.max_bytes:,}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an odd file is decoded or refused, without warnings
            return _decoded(data, limits, enough)
    except ImageError:
        raise
    except Image.DecompressionBombError as error:
        raise ImageError("too_large", str(error)) from error
    except UnidentifiedImageError as error:
        raise _of_no_format(data, limits.formats) from error
    except Exception as error:  # decoders of hostile bytes raise anything
        raise ImageError("decode_error", f"{type(error).__name__}: {error}") from error


def _decoded(data: bytes, limits: Limits, enough: int | None) -> Opened:
    if data.startswith(SIGNATURES["TIFF"]):
        quiet_libtiff()
    file = Image.open(io.BytesIO(data), formats=limits.formats)
    if file.width * file.height > limits.max_pixels:
        message = f"{file.width} x {file.height} pixels, limit {limits.max_pixels:,}"
        raise ImageError("too_large", message)
    factor = factor_of(file.width, file.height, enough)
    if factor > 1:  # of a JPEG; other formats have no draft
        file.draft(None, (file.width // factor, file.height // factor))
    file.load()
    try:
        deep = deep_pixels(file, data)
    except UnreadableDepthError as error:
        message = f"{file.format} in colour of 16 bits: {error}"
        raise ImageError("unsupported_mode", message) from error
    image: Image.Image = file
    if deep is not None:
        image = _to_8_bit(file, deep, limits.levels)
    return Opened(
        image=ImageOps.exif_transpose(image), deep=deep, format=file.format or "", mode=file.mode
    )


def _to_8_bit(file: Image.Image, deep: DeepPixels, levels: Levels | None) -> Image.Image:
    if not np.isfinite(deep.values_HWC).all():
        raise ImageError("nonfinite", "NaN or infinite pixels")
    image = deep.to_8_bit(levels)
    image.getexif().update(file.getexif())
    return image


def _of_no_format(data: bytes, formats: tuple[str, ...]) -> ImageError:
    """Why Pillow has no decoder for the bytes: of no format, of no known mode, or damaged."""
    if data.startswith(RAW_PIXELS):
        message = f"{data.decode(errors='replace')}; expected (H, W), (H, W, C) or (C, H, W)"
        return ImageError("unsupported_format", message)
    for name in formats:
        if data.startswith(SIGNATURES[name]):
            layout = layout_of(data) if name == "TIFF" else None
            if layout is not None:
                return ImageError("unsupported_mode", f"TIFF of {layout}")
            return ImageError("decode_error", f"begins like {name} and is damaged")
    return ImageError("unsupported_format", f"not one of {', '.join(formats)}")


def is_gray(image: Image.Image) -> bool:
    """Whether the image's mode has one channel of brightness, alpha not counted."""
    return image.mode in ("1", "L", "LA")


def to_mode(image: Image.Image, channels: int) -> Image.Image:
    """The image as 8-bit gray (1 channel) or RGB (3 channels), alpha laid on white.

    Raises:
        ImageError: `unsupported_mode`.
    """
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        opaque = image.convert("RGBA")
        white = Image.new("RGBA", opaque.size, "white")
        image = Image.alpha_composite(white, opaque)
    mode = "L" if channels == 1 else "RGB"
    if image.mode == mode:
        return image
    try:
        return image.convert(mode)
    except ValueError as error:
        raise ImageError("unsupported_mode", f"mode {image.mode} to {mode}: {error}") from error
