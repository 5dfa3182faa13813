"""The commit reader, on any bytes: a record as published, or `ArtefactError`."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayqc.errors import ArtefactError
from rayqc.ledger.commit import Commit, Part, commit_name, parse_commit
from rayqc.storage import canonical_json

SOUND = Commit(
    unit=7,
    work="ab" * 32,
    read=3,
    outcomes={"accepted": 2, "error": 1},
    reasons={"poison": 1},
    by_class={"cat": {"accepted": 2}, "": {"error": 1}},
    parts=(
        Part(kind="accepted", path="accepted/unit-0000007-x.parquet", rows=2, bytes=9, sha256="00"),
    ),
)
NAME = commit_name(7)


def read(data: bytes) -> Commit | None:
    try:
        return parse_commit(data, NAME)
    except ArtefactError as error:
        assert NAME in str(error)
        return None


def test_what_was_published_reads_back():
    assert read(canonical_json(asdict(SOUND))) == SOUND


@given(st.binary(max_size=200))
def test_any_bytes(data):
    assert read(data) is None


@given(st.integers(0, 600), st.binary(max_size=4), st.integers(0, 8))
def test_damaged_records_never_pass_for_others(place, put, cut):
    whole = canonical_json(asdict(SOUND))
    place %= len(whole)
    found = read(whole[:place] + put + whole[place + cut :])
    if found is not None:  # the damage was white space, or inside a name or a digest or a figure
        assert isinstance(found.read, int) and found.unit == 7
        assert all(isinstance(count, int) for count in found.outcomes.values())
        assert all(part.path.startswith("accepted/unit-") for part in found.parts)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@given(st.sampled_from([*asdict(SOUND)]), JSON)
def test_fields_of_another_type(field, value):
    changed = {**asdict(SOUND), field: value}
    found = read(json.dumps(changed).encode())
    assert found is None or json.loads(canonical_json(asdict(found)))[field] == value


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"unit": 8}, "is a commit record of unit 8"),
        ({"parts": [{**asdict(SOUND)["parts"][0], "path": "../x.parquet"}]}, "no part of a unit"),
        ({"parts": [{**asdict(SOUND)["parts"][0], "kind": "odd"}]}, "no part of a unit"),
        ({"read": "3"}, "read: Input should be a valid integer"),
    ],
)
def test_what_is_wrong_is_said(change, said):
    with pytest.raises(ArtefactError, match=said):
        parse_commit(json.dumps({**asdict(SOUND), **change}).encode(), NAME)
