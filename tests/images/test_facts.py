"""What a file's header says of an image: format and size, as the image is shown."""

import io

import numpy as np
import pytest
from PIL import Image

from rayqc.images.decode import Limits, open_image
from rayqc.images.facts import header_of, own_sizes

ORIENTATION = 274


def encoded(kind, orientation=None, **options):
    image = Image.fromarray(np.arange(40 * 24 * 3, dtype=np.uint8).reshape(24, 40, 3))
    if orientation is not None:
        exif = Image.Exif()
        exif[ORIENTATION] = orientation
        options["exif"] = exif
    sink = io.BytesIO()
    image.save(sink, kind, **options)
    return sink.getvalue()


@pytest.mark.parametrize("orientation", [None, 1, 3, 5, 6, 7, 8])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_a_header_has_the_size_that_is_shown(kind, orientation):
    data = encoded(kind, orientation)
    header = header_of(data)
    shown = open_image(data, Limits()).size
    assert header is not None
    assert (header.width, header.height) == shown
    assert header.format == kind
    assert header.shorter_side == 24
    assert shown == ((24, 40) if (orientation or 1) >= 5 else (40, 24))


def test_what_is_no_image_has_no_size():
    assert header_of(None) is None
    for data in (b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"II*\0abc"):
        assert header_of(data) is None
    sizes_N2 = own_sizes([encoded("BMP"), None, encoded("GIF"), b"\xff\xd8\xff"])
    assert sizes_N2.tolist() == [[40, 24], [0, 0], [40, 24], [0, 0]]
    assert own_sizes([]).shape == (0, 2)
