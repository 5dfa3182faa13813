"""No image stops a unit: whatever it makes any step raise, it alone is an error."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rayqc.config import Data
from rayqc.images.decode import Limits
from rayqc.images.encode import encode_png
from rayqc.ledger.commit import load_commits
from rayqc.ledger.manifest import balance
from rayqc.ledger.plan import start_or_resume, work_digest
from rayqc.regions.statistic_choice import StatisticChoice
from rayqc.sources import open_source
from rayqc.sources.select import read_all
from rayqc.storage import Folder, read_table
from rayqc.units import number
from rayqc.work.filter_unit import FilterSpec, FilterWorker
from rayqc.work.match_classes import PoolSource
from rayqc.work.sparing import failures_of

COUNT = 60
MARK = 100
"""First pixel of the image that is to fail with the first exception; the others' follow."""

RAISED = (
    ValueError("a value"),
    KeyError("4:4:1"),
    IndexError(),
    TypeError("a type\nof two lines"),
    MemoryError("too much"),
    RuntimeError("of torch"),
    OSError(5, "of a disk"),
    AssertionError(),
    RecursionError("deep"),
    StopIteration(),
    UnicodeDecodeError("utf-8", b"x", 0, 1, "bad"),
    ZeroDivisionError("division"),
    NotADirectoryError("of a decoder"),
)


FAILING = dict(zip(np.random.default_rng(0).permutation(COUNT).tolist(), RAISED, strict=False))
"""Rows, and what each makes a step raise."""


def marked(images_NHWC) -> Exception | None:
    """What the first marked image raises; None where none is marked."""
    marks_N = np.asarray(images_NHWC)[:, 0, 0, 0].astype(int) - MARK
    found = [mark for mark in marks_N if 0 <= mark < len(RAISED)]
    return RAISED[found[0]] if found else None


def failing(method, images_of):
    """The method, which raises where a marked image is among those it is given."""

    def work(*arguments, **options):
        error = marked(images_of(*arguments))
        if error is not None:
            raise error
        return method(*arguments, **options)

    return work


def decoding(patch):
    import rayqc.images.decode as module

    decode = module.decode_looks

    def work(data, shapes, limits):
        found = decode(data, shapes, limits)
        error = marked(found[0][None])
        if error is not None:
            raise error
        return found

    patch.setattr(module, "decode_looks", work)


def encoding(patch):
    from rayqc.encoders.batches import LatentEncoder

    method = failing(LatentEncoder.encode_all, lambda self, images: images)
    patch.setattr(LatentEncoder, "encode_all", method)


def statistics(patch):
    import rayqc.regions.scores.quality as module

    patch.setattr(
        module,
        "image_statistics",
        failing(module.image_statistics, lambda images: images),
    )


def views(patch):
    from rayqc.regions.scores.label import LabelScore

    method = failing(LabelScore.log_probability, lambda self, candidates: candidates.images_NHWC)
    patch.setattr(LabelScore, "log_probability", method)


def judging(patch):
    from rayqc.regions.calibrated import CalibratedRegions

    method = failing(
        CalibratedRegions.judge, lambda self, candidates, statistic: candidates.images_NHWC
    )
    patch.setattr(CalibratedRegions, "judge", method)


STEPS = {
    "decode_error": [decoding],
    "encoder_error": [encoding],
    "score_error": [statistics, views, judging],
}


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    """Digits, of which some begin with a mark that no other has."""
    table = read_all(open_source(Data(kind="bundled", split="test")), COUNT)
    from rayqc.images.decode import decode_native

    rows = []
    for row, found in enumerate(table.to_pylist()):
        pixels = decode_native(found["image"]["bytes"], Limits()).copy()
        pixels[0, 0, 0] = MARK + RAISED.index(FAILING[row]) if row in FAILING else 0
        rows.append({"image": encode_png(pixels), "label": found["label"]})
    path = tmp_path_factory.mktemp("marked") / "pool.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path)
    return str(path)


def judged(run, pool, folder, threads=1):
    """Rows that the filter's worker writes of the pool, in units of 25, and the balanced totals."""
    source = open_source(Data(path=pool))
    units = number(source.units(25), None)
    out = Folder(str(folder))
    start_or_resume(out, {}, units)
    worker = FilterWorker(
        FilterSpec(
            out=out,
            model=Folder(str(run / "model")),
            trusted=None,
            regions=Folder(str(run / "regions")),
            run=Folder(str(run)),
            sources=(PoolSource(source=source, prefix="", to_class=tuple(range(10))),),
            limits=Limits(),
            micro_batch=16,
            keep=("accepted", "rejected", "error"),
            statistics=StatisticChoice(),
            threads=threads,
        )
    )
    for index, unit in enumerate(units):
        worker(index, unit, {})
    commits = load_commits(out)
    parts = [part.path for commit in commits for part in commit.parts if part.kind == "scores"]
    rows = [row for part in parts for row in read_table(out, part).to_pylist()]
    return rows, balance(units, commits, work_digest(out))


def test_threads_change_nothing(unharmed, tiny_run, pool, tmp_path, monkeypatch):
    """Beside a GPU threads decode and score; what comes out is what one thread gives."""
    monkeypatch.setattr("rayqc.work.filter_unit.SCORED_ROWS", 7)
    rows, _ = judged(tiny_run, pool, tmp_path, threads=3)
    assert [row["id"] for row in rows] == [row["id"] for row in unharmed]
    for row, same in zip(rows, unharmed, strict=True):
        assert {key: row[key] for key in ("verdict", "reason", "nearest_reference")} == {
            key: same[key] for key in ("verdict", "reason", "nearest_reference")
        }
        assert row["score"] == pytest.approx(same["score"], rel=1e-4)


@pytest.fixture(scope="module")
def unharmed(tiny_run, pool, tmp_path_factory):
    rows, _ = judged(tiny_run, pool, tmp_path_factory.mktemp("unharmed"))
    return rows


@pytest.mark.parametrize(
    ("reason", "step"), [(reason, step) for reason, steps in STEPS.items() for step in steps]
)
def test_only_what_fails_is_an_error(tiny_run, pool, unharmed, tmp_path, monkeypatch, reason, step):
    step(monkeypatch)
    rows, totals = judged(tiny_run, pool, tmp_path / "out")
    assert totals.outcomes["error"] == totals.reasons[reason] == len(FAILING) == len(RAISED)
    assert totals.read == COUNT
    for row, (found, expected) in enumerate(zip(rows, unharmed, strict=True)):
        assert found["id"] == expected["id"]
        if row in FAILING:
            assert (found["verdict"], found["reason"]) == ("error", reason)
            assert type(FAILING[row]).__name__ in found["message"]
            assert found["score"] is None
        else:
            assert found["verdict"] == expected["verdict"]
            assert found["score"] == pytest.approx(expected["score"], rel=1e-4)
    json.dumps(rows, default=bytes.hex)  # what is written is plain


@pytest.mark.parametrize("step", [encoding, judging])
def test_what_fails_on_a_blank_image_too_is_no_images_fault(
    tiny_run, pool, tmp_path, monkeypatch, step
):
    monkeypatch.setattr("tests.work.test_sparing.marked", lambda images: RuntimeError("broken"))
    step(monkeypatch)
    with pytest.raises(RuntimeError, match="broken"):
        judged(tiny_run, pool, tmp_path / "out")


def test_a_failure_is_found_in_few_steps():
    asked = []

    def work(rows):
        asked.append(len(rows))
        if 5 in rows or 90 in rows:
            raise ValueError(rows)

    assert sorted(failures_of(work, np.arange(128))) == [5, 90]
    assert len(asked) < 4 * 7 + 2


def test_rows_that_fail_only_together_are_no_failures():
    def work(rows):
        if len(rows) > 1:
            raise ValueError

    assert failures_of(work, np.arange(8)) == {}
