"""What tells whether a training's record is of these images."""

import numpy as np
import pytest

import rayqc
from rayqc.distributed.classify import _content
from rayqc.schema import candidate_table


def table_of(ids=("a", "b"), labels=(0, 1), images=(b"one", b"two")):
    return candidate_table(
        ("x", "y"), ids=list(ids), images=list(images), labels=np.array(labels), sources=list(ids)
    )


@pytest.mark.parametrize(
    "change", [{"labels": (1, 0)}, {"images": (b"one", b"three")}, {"ids": ("a", "c")}]
)
def test_another_label_image_or_id_is_another_test_set(change):
    config = rayqc.make_config({"references": {"kind": "bundled"}})
    assert _content(table_of(**change), config) != _content(table_of(), config)
    assert _content(table_of(), config) == _content(table_of(), config)
