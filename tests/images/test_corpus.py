"""The decoder meets odd and bad images: each decodes or has its reason, and none does harm."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rayqc.images.decode import ImageError, Limits, decode
from rayqc.images.look import ImageShape
from tests.images.corpus import bad_images

CORPUS = bad_images()
SHAPES = [ImageShape(size=12, channels=channels) for channels in (1, 3)]
LIMITS = Limits(max_pixels=1_000_000)
REASONS = {
    "empty",
    "decode_error",
    "too_large",
    "unsupported_format",
    "unsupported_mode",
    "nonfinite",
}


def reason_of(data: bytes, shape: ImageShape) -> str | None:
    try:
        pixels = decode(data, shape, LIMITS)
    except ImageError as error:
        assert str(error)
        return error.reason
    assert pixels.shape == shape.pixels
    assert pixels.dtype == np.uint8
    return None


@pytest.mark.parametrize("name", CORPUS)
def test_each_decodes_or_has_its_reason(name):
    data, expected = CORPUS[name]
    assert [reason_of(data, shape) for shape in SHAPES] == [expected] * 2


@settings(max_examples=400, deadline=None, derandomize=True)
@given(
    st.sampled_from(sorted(CORPUS)),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=8),
    st.floats(0, 1),
)
def test_spoiled_bytes_never_escape_the_decoder(name, changes, cut):
    """Bytes of the corpus changed and cut off at random: pixels or a known reason, nothing else."""
    data = bytearray(CORPUS[name][0])
    for place, value in changes:
        if data:
            data[int(place * (len(data) - 1))] = value
    kept = bytes(data[: max(1, round(cut * len(data)))]) if changes and data else bytes(data)
    found = reason_of(kept, SHAPES[1])
    assert found is None or found in REASONS


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.binary(max_size=300))
def test_any_bytes_at_all(data):
    assert reason_of(data, SHAPES[0]) in REASONS | {None}
