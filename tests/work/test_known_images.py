"""Which images a run knows byte for byte."""

import numpy as np
import pyarrow as pa

from rayqc.schema import candidate_table
from rayqc.work.known_images import digests_of, known_table


def table_of(ids, images):
    return candidate_table(
        ("a",), ids=ids, images=images, labels=np.zeros(len(ids), np.int64), sources=ids
    )


def test_a_reference_that_is_a_test_image_is_known_as_that():
    references = table_of(["r0", "r1"], [b"one", b"two"])
    tests = table_of(["t0", "t1"], [b"two", b"three"])
    pairs = zip(digests_of(tests), tests["id"].to_pylist(), strict=True)
    found = known_table(references, pairs).to_pydict()
    image_by_digest = dict(zip(found["digest"], found["image"], strict=True))
    one, two = digests_of(references)
    assert image_by_digest[one].endswith("r0")
    assert image_by_digest[two].endswith("t0")
    assert len(image_by_digest) == 3
    assert pa.types.is_string(known_table(references, []).schema.field("image").type)
