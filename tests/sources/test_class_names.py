"""Class names are strings, checked wherever they come from."""

import json

import pytest

from rayqc.errors import InputError
from rayqc.sources.parquet import open_parquet
from tests.sources.test_damage import table_of, write

NAMES = [
    (["a", "a"], "found class name 'a' more than once; classes are matched by name, so give each"),
    (["a", ""], "found class name ''; expected strings that are not blank"),
    (["a", "  "], "found class name '  '; expected"),
    (["a", 1], "found class name 1; expected"),
    (["a", None], "found class name None; expected"),
    (["a", "\ud800"], r"found class name '\\ud800'; expected"),
    ("ab", "found class names of type str, expected a list of strings"),
    ({"0": "a"}, "found class names of type dict, expected a list of strings"),
]


@pytest.mark.parametrize(("names", "message"), NAMES)
def test_class_names_in_metadata_are_checked(tmp_path, names, message):
    found = json.dumps({"info": {"features": {"label": {"names": names}}}})
    write(tmp_path / "a.parquet", table_of(4).replace_schema_metadata({"huggingface": found}))
    with pytest.raises(InputError, match=rf"a\.parquet: {message}"):
        open_parquet(str(tmp_path))


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"{", "its Hugging Face metadata is not JSON: "),
        (b"\xff", "its Hugging Face metadata is not JSON: "),
        (b"[" * 100_000, "its Hugging Face metadata is not JSON: "),
        (b"[]", "its Hugging Face metadata holds no object where 'info' is looked up; expected"),
        (b'{"info": {"features": []}}', "holds no object where 'label' is looked up"),
    ],
)
def test_metadata_of_another_make_is_refused(tmp_path, raw, message):
    write(tmp_path / "a.parquet", table_of(4).replace_schema_metadata({"huggingface": raw}))
    with pytest.raises(InputError, match=rf"a\.parquet: .*{message}"):
        open_parquet(str(tmp_path))


@pytest.mark.parametrize(
    "found", [{}, {"info": None}, {"info": {"features": {"label": {"dtype": "int64"}}}}]
)
def test_metadata_without_names_numbers_the_classes(tmp_path, found):
    metadata = {"huggingface": json.dumps(found)}
    write(tmp_path / "a.parquet", table_of(4).replace_schema_metadata(metadata))
    assert open_parquet(str(tmp_path)).classes == ("0", "1")


def test_class_names_with_control_characters_are_data(tmp_path):
    names = ("a\x1b[31m", "b\n")
    write(tmp_path / "a.parquet", table_of(4, names))
    assert open_parquet(str(tmp_path)).classes == names
