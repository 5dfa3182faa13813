"""A strip of images with captions: a judged image, and the images it is compared with."""

from __future__ import annotations

import io
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageOps

from rayqc.images.decode import ImageError, Limits, open_image, to_mode
from rayqc.printable import printable
from rayqc.report.font import font

SIDE = 128
GAP = 12
LINE = 14
LINES = 4
INK, PALE, PAPER = (30, 30, 34), (120, 120, 128), (250, 250, 248)


@dataclass(frozen=True, kw_only=True)
class Shown:
    """One image of the strip, None where there is none, and the lines below it."""

    image: bytes | None
    caption: list[str]


def comparison(images: list[Shown], limits: Limits) -> bytes:
    """PNG bytes; the gap after the first image is wider than the others."""
    width = len(images) * (SIDE + GAP) + 3 * GAP
    sheet = Image.new("RGB", (width, SIDE + 2 * GAP + LINES * LINE + GAP), PAPER)
    draw = ImageDraw.Draw(sheet)
    for number, shown in enumerate(images):
        left = GAP + number * (SIDE + GAP) + (GAP if number else 0)
        draw.rectangle((left - 1, GAP - 1, left + SIDE, GAP + SIDE), outline=PALE)
        try:
            picture = to_mode(open_image(shown.image, limits), 3)
            enlarged = max(picture.size) < SIDE  # small ones keep their pixels, which one looks at
            shown_at = Image.Resampling.NEAREST if enlarged else Image.Resampling.LANCZOS
            picture = ImageOps.contain(picture, (SIDE, SIDE), shown_at)
            middle = ((SIDE - picture.width) // 2, (SIDE - picture.height) // 2)
            sheet.paste(picture, (left + middle[0], GAP + middle[1]))
        except ImageError as error:
            draw.text((left + 6, GAP + SIDE // 2), error.reason, PALE, font(10))
        for line, text in enumerate(shown.caption[:LINES]):
            ink = PALE if number else INK
            draw.text((left, GAP + SIDE + 6 + line * LINE), printable(text), ink, font(10))
    sink = io.BytesIO()
    sheet.save(sink, format="PNG")
    return sink.getvalue()
