"""Faults made in photographs at their own size: in what is shown, and in how it is made.

Each takes an RGB image and a random generator, and gives an RGB image. They were written down
before anything was measured with them.

Shape suffixes: H W C pixels.
"""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageFilter, ImageOps

Fault = Callable[[Image.Image, np.random.Generator], Image.Image]


def _image(values_HWC: np.ndarray) -> Image.Image:
    return Image.fromarray(np.clip(np.round(values_HWC), 0, 255).astype(np.uint8))


def noise(deviation: float) -> Fault:
    """Gaussian noise of so many levels on each pixel and channel."""
    return lambda image, rng: _image(
        np.asarray(image, float) + rng.normal(0, deviation, np.shape(image))
    )


def jpeg(quality: int) -> Fault:
    """Compressed as JPEG of this quality."""

    def fault(image: Image.Image, rng: np.random.Generator) -> Image.Image:
        sink = io.BytesIO()
        image.save(sink, "JPEG", quality=quality)
        return Image.open(io.BytesIO(sink.getvalue())).convert("RGB")

    return fault


def enlarged(factor: float) -> Fault:
    """A thumbnail, enlarged by this factor to the image's size."""

    def fault(image: Image.Image, rng: np.random.Generator) -> Image.Image:
        small = (max(4, round(image.width / factor)), max(4, round(image.height / factor)))
        return image.resize(small, Image.Resampling.BICUBIC).resize(
            image.size, Image.Resampling.BICUBIC
        )

    return fault


def blur(share: float) -> Fault:
    """Gaussian blur whose deviation is this share of the shorter side."""
    return lambda image, rng: image.filter(ImageFilter.GaussianBlur(share * min(image.size)))


def occlude(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """A square of 0.4 of the shorter side, at random, of one random colour."""
    pixels = np.array(image)
    side = int(0.4 * min(image.size))
    top, left = rng.integers(0, image.height - side + 1), rng.integers(0, image.width - side + 1)
    pixels[top : top + side, left : left + side] = rng.integers(0, 256, 3)
    return Image.fromarray(pixels)


def disorder(grid: int) -> Fault:
    """Cut into grid x grid tiles, put in another order."""

    def fault(image: Image.Image, rng: np.random.Generator) -> Image.Image:
        height, width = image.height // grid, image.width // grid
        pixels = np.asarray(image)[: height * grid, : width * grid]
        tiles = pixels.reshape(grid, height, grid, width, 3).swapaxes(1, 2)
        tiles = tiles.reshape(grid * grid, height, width, 3)
        order = np.arange(grid * grid)
        while (order == np.arange(grid * grid)).all():
            order = rng.permutation(grid * grid)
        mixed = tiles[order].reshape(grid, grid, height, width, 3).swapaxes(1, 2)
        return Image.fromarray(mixed.reshape(height * grid, width * grid, 3))

    return fault


def zoom(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """A quarter of each side near a corner, enlarged to the image's size."""
    width, height = image.size
    corner = image.crop((width // 20, height // 20, width * 3 // 10, height * 3 // 10))
    return corner.resize(image.size, Image.Resampling.BICUBIC)


def swirl(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Turned round its middle, most there."""
    from skimage.transform import swirl as turned

    radius = 0.7 * min(image.size)
    return _image(turned(np.asarray(image, float), strength=4, radius=radius, preserve_range=True))


def hue(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """All hues turned by a quarter to three quarters of the circle."""
    turned = np.array(image.convert("HSV"))
    turned[..., 0] = (turned[..., 0].astype(int) + rng.integers(64, 192)) % 256
    return Image.fromarray(turned, "HSV").convert("RGB")


def salt_and_pepper(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """One pixel in 50 black, one in 50 white."""
    pixels, draw_HW = np.array(image), rng.random((image.height, image.width))
    pixels[draw_HW < 0.02], pixels[draw_HW > 0.98] = 0, 255
    return Image.fromarray(pixels)


def blank(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """One gray, with a grain of 2 levels."""
    return _image(rng.integers(0, 256) + rng.normal(0, 2, (image.height, image.width, 3)))


def torn(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Six bands of a sixtieth of the height shifted sideways by a third of the width."""
    pixels, band = np.array(image), max(1, image.height // 60)
    for top in rng.integers(0, image.height, 6):
        pixels[top : top + band] = np.roll(pixels[top : top + band], image.width // 3, 1)
    return Image.fromarray(pixels)


FAULTS: dict[str, Fault] = {
    "noise": noise(25),
    "slight noise": noise(10),
    "JPEG 5": jpeg(5),
    "JPEG 15": jpeg(15),
    "enlarged 6x": enlarged(6),
    "enlarged 3x": enlarged(3),
    "slight blur": blur(0.008),
    "blur": blur(0.03),
    "occlusion": occlude,
    "quarters disordered": disorder(2),
    "64 tiles disordered": disorder(8),
    "zoom": zoom,
    "swirl": swirl,
    "negative": lambda image, rng: ImageOps.invert(image),
    "posterised": lambda image, rng: ImageOps.posterize(image, 2),
    "hue": hue,
    "salt and pepper": salt_and_pepper,
    "upside down": lambda image, rng: ImageOps.flip(image),
    "blank": blank,
    "dark": lambda image, rng: image.point(lambda level: level // 4),
    "torn": torn,
}
"""By name. Wrong labels, blends and images of another data set need more than one image."""
