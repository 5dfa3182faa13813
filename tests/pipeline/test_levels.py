"""Levels are chosen on the references, written into the run, and hold for every image of it."""

import logging
import re

import numpy as np
import pytest

from rayqc.config import parse_config
from rayqc.config.settings import Image as ImageSettings
from rayqc.errors import ArtefactError, ConfigError
from rayqc.images.decode import Limits
from rayqc.pipeline.levels import choose_levels, levels_in, warn_of_other_levels
from rayqc.pipeline.run import Run
from rayqc.schema import candidate_table
from rayqc.sources.columns import image_array
from rayqc.sources.folder import open_folder
from rayqc.storage import Folder, write_json
from tests.images.test_odd_but_sound import tiff


def table_of(images):
    names = [str(number) for number in range(len(images))]
    return candidate_table(
        ("a",), ids=names, images=image_array(images, names), labels=[0] * len(names), sources=names
    )


def bits(most, rows=4):
    """TIFFs of 16 bits with values from 0 to `most`."""
    values = np.linspace(0, most, 64).reshape(8, 8, 1).astype("<u2")
    return [tiff(values)] * rows


@pytest.mark.parametrize(
    ("asked", "expected"), [("auto", (0, 4095)), ("full", None), ((0, 9000), (0, 9000))]
)
def test_levels_are_read_back_by_the_run(tmp_path, asked, expected, caplog):
    caplog.set_level(logging.INFO, "rayqc")
    model = Folder(str(tmp_path)).sub("model")
    assert choose_levels(table_of(bits(4000)), ImageSettings(range=asked), model) == expected
    assert levels_in(model) == expected
    config = parse_config("references: {path: x}\nimage: {range: auto}\n")
    run = Run(Folder(str(tmp_path)), config)
    assert run.limits.levels == expected
    assert run.with_filter(limit=3).limits.levels == expected
    assert run.asked.image.range == "auto"
    assert "4 of 4 have more than 8 bits, values 0 to 4000" in caplog.text
    assert ("nearly black" in caplog.text) == (asked == "full")


def test_a_run_of_before_has_the_full_range(tmp_path):
    run = Run(Folder(str(tmp_path)), parse_config("references: {path: x}"))
    assert run.limits.levels is None
    write_json(run.model, "levels.json", {"format_version": 99, "levels": None})
    run.forget()
    with pytest.raises(ArtefactError, match=r"format version 99, this rayqc reads 1"):
        _ = run.limits


@pytest.mark.parametrize(
    ("most", "levels", "expected"),
    [
        (4000, (0, 4095), ""),
        (900, (0, 4095), ""),
        (200, (0, 4095), "nearly black"),
        (60000, (0, 4095), r"cut off; if all images are alike, set `image: {range: \[0, 65535\]}`"),
        (4000, None, "nearly black"),
    ],
)
def test_a_pool_of_another_range_is_a_warning(tmp_path, most, levels, expected, caplog):
    for number, data in enumerate(bits(most)):
        (tmp_path / "a").mkdir(exist_ok=True)
        (tmp_path / "a" / f"{number}.tif").write_bytes(data)
    source = open_folder(str(tmp_path))
    warn_of_other_levels("pool", source, source.units(2), Limits(levels=levels))
    found = [record.getMessage() for record in caplog.records]
    assert len(found) == (1 if expected else 0)
    if expected:
        assert re.search(expected, found[0])


@pytest.mark.parametrize("range_", [[5, 3], [1, 1], [1], "narrow"])
def test_a_range_that_is_none_is_refused(range_):
    with pytest.raises(ConfigError, match=r"image"):
        parse_config(f"references: {{path: x}}\nimage: {{range: {range_}}}\n")
