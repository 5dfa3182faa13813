"""`rayqc filter --retry-errors`: only what failed is judged again, and the rest stays as it is."""

import json
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import rayqc
from rayqc.cli.main import main
from rayqc.errors import ConfigError, ConflictError, ErrorBudgetExceeded, InputError
from rayqc.pipeline import retry
from rayqc.schema import candidate_schema
from rayqc.storage import Folder


def rows_of(judged, kind="scores"):
    shards = json.loads((judged / "manifest.json").read_text())["files"].get(kind, [])
    return [row for one in shards for row in pq.read_table(judged / one["path"]).to_pylist()]


def scores_of(judged):
    """Rows with scores to what arithmetic in another batch leaves the same."""
    found = []
    for row in rows_of(judged):
        numbers = [row["score"], *(row["latent"] or ())]
        about = [
            None if number is None else pytest.approx(number, rel=1e-3, abs=2e-3)
            for number in numbers
        ]
        found.append([row["id"], row["label"], row["verdict"], row["reason"], *about])
    return found


def named_are_all(judged):
    files = json.loads((judged / "manifest.json").read_text())["files"]
    named = {one["path"] for shards in files.values() for one in shards}
    lying = {
        path.relative_to(judged).as_posix()
        for folder in ("accepted", "rejected", "errors", "scores")
        for path in (judged / folder).glob("*")
    }
    return named == lying


@pytest.fixture
def pool(tiny_run, tmp_path):
    """A folder of images by class, of which three are damaged; and what they should be."""
    sound = {}
    table = pq.read_table(next((tiny_run / "pool").glob("train-*.parquet")))
    for number, row in enumerate(table.to_pylist()[:40]):
        path = tmp_path / "pool" / str(row["label"]) / f"{number:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(row["image"]["bytes"])
        if number in (5, 6, 21):
            sound[path] = row["image"]["bytes"]
            path.write_bytes(row["image"]["bytes"][:60])
    return tmp_path / "pool", sound


def filtered(tiny_run, pool, out, **options):
    try:
        return rayqc.filter_pool(str(tiny_run), str(pool), str(out), **options)
    except ErrorBudgetExceeded:
        return None


def test_what_was_mended_is_judged_and_the_rest_is_as_it_was(tiny_run, pool, tmp_path):
    folder, sound = pool
    out = tmp_path / "out"
    filtered(tiny_run, folder, out)
    before = scores_of(out)
    assert len(rows_of(out, "error")) == 3
    mended, *still_broken = sound
    mended.write_bytes(sound[mended])
    filtered(tiny_run, folder, out, retry_errors=True)
    assert len(rows_of(out, "error")) == 2
    assert named_are_all(out)
    for path in still_broken:
        path.write_bytes(sound[path])
    found = rayqc.filter_pool(str(tiny_run), str(folder), str(out), retry_errors=True)
    assert found["outcomes"]["error"] == 0
    assert found["read"] == 40
    assert named_are_all(out)
    assert not (out / "retry").exists() or not any((out / "retry").rglob("*.parquet"))
    fresh = tmp_path / "fresh"
    rayqc.filter_pool(str(tiny_run), str(folder), str(fresh))
    after = scores_of(out)
    assert [row[0] for row in after] == [row[0] for row in before]
    assert after == scores_of(fresh)
    for kind in ("accepted", "rejected"):
        got, want = (
            {row["id"]: row["image"] for row in rows_of(judged, kind)} for judged in (out, fresh)
        )
        assert got == want
    totals = json.loads((out / "manifest.json").read_text())["totals"]
    assert totals == json.loads((fresh / "manifest.json").read_text())["totals"]


@pytest.mark.long
def test_of_a_sample_the_right_rows_are_judged_again(tiny_run, pool, tmp_path):
    folder, sound = pool
    out, fresh = tmp_path / "out", tmp_path / "fresh"
    filtered(tiny_run, folder, out, limit=25)
    failed = len(rows_of(out, "error"))
    assert failed > 0
    for path, data in sound.items():
        path.write_bytes(data)
    rayqc.filter_pool(str(tiny_run), str(folder), str(out), limit=25, retry_errors=True)
    rayqc.filter_pool(str(tiny_run), str(folder), str(fresh), limit=25)
    assert scores_of(out) == scores_of(fresh)


@pytest.mark.long
def test_a_retry_that_was_stopped_goes_on(tiny_run, pool, tmp_path, monkeypatch):
    folder, sound = pool
    out = tmp_path / "out"
    filtered(tiny_run, folder, out)
    before = scores_of(out)
    for path, data in sound.items():
        path.write_bytes(data)
    with monkeypatch.context() as patch:
        patch.setattr(retry, "publish", lambda *arguments: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            rayqc.filter_pool(str(tiny_run), str(folder), str(out), retry_errors=True)
    assert not (out / "_SUCCESS").exists()
    assert scores_of(out) == before
    rayqc.filter_pool(str(tiny_run), str(folder), str(out), retry_errors=True)
    assert (out / "_SUCCESS").exists()
    assert named_are_all(out)
    assert not rows_of(out, "error")


def test_what_cannot_be_retried_is_said(tiny_run, pool, tmp_path, capsys):
    folder, sound = pool
    out = tmp_path / "out"
    words = ["filter", str(tiny_run), "--pool", str(folder), "--out", str(out)]
    assert main([*words, "--retry-errors"]) == 2
    assert "no finished filter" in capsys.readouterr().err
    filtered(tiny_run, folder, out)
    with pytest.raises(ConfigError, match="give one of them"):
        rayqc.filter_pool(str(tiny_run), str(folder), str(out), redo=True, retry_errors=True)
    assert (out / "_SUCCESS").exists()
    with pytest.raises(ConfigError, match="the statistic joint judged .* too, not label"):
        rayqc.filter_pool(
            str(tiny_run), str(folder), str(out), statistic="label", retry_errors=True
        )
    for path in sound:
        path.unlink()
    with pytest.raises(ErrorBudgetExceeded, match="3 of 40"):
        rayqc.filter_pool(str(tiny_run), str(folder), str(out), retry_errors=True)
    assert (out / "_SUCCESS").exists()
    assert len(rows_of(out, "error")) == 3
    shutil.rmtree(folder / "0")
    (folder / "0").mkdir()
    shutil.copy(next((folder / "1").iterdir()), folder / "0" / "other.png")
    with pytest.raises((InputError, ConflictError, ErrorBudgetExceeded)):
        rayqc.filter_pool(str(tiny_run), str(folder), str(out), retry_errors=True)
    assert (out / "_SUCCESS").exists()


def test_verdicts_of_other_rows_do_not_take_the_place_of_what_failed(tiny_run, tmp_path):
    """The pool's file has its rows in another order by now; --redo then judges all of it."""
    rows = pq.read_table(next((tiny_run / "pool").glob("train-*.parquet"))).slice(0, 20).to_pylist()
    for number in (3, 11):
        rows[number]["image"]["bytes"] = b"damaged"
    pool, out = tmp_path / "pool.parquet", tmp_path / "out"
    pq.write_table(pa.Table.from_pylist(rows, schema=candidate_schema(("0", "1"))), pool)
    filtered(tiny_run, pool, out)
    manifest = (out / "manifest.json").read_text()
    pq.write_table(pa.Table.from_pylist(rows[::-1], schema=candidate_schema(("0", "1"))), pool)
    with pytest.raises((InputError, ConflictError), match="are others now|changed"):
        rayqc.filter_pool(str(tiny_run), str(pool), str(out), retry_errors=True)
    assert (out / "manifest.json").read_text() == manifest
    filtered(tiny_run, pool, out, redo=True)
    assert not (out / "retry").exists() or not Folder(str(out / "retry")).names()


@pytest.mark.long
def test_of_a_runs_own_pool_what_the_old_verdicts_gave_is_cleared(tiny_run, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    (shard,) = (run / "pool").glob("train-*.parquet")
    sound = shard.read_bytes()
    table = pq.read_table(shard)
    rows = table["image"].to_pylist()
    for number in (3, 4, 100, 200):
        rows[number] = {"bytes": b"damaged", "path": None}
    broken = table.set_column(1, table.schema.field("image"), pa.array(rows, table["image"].type))
    pq.write_table(broken, shard)
    with pytest.raises(ErrorBudgetExceeded):
        rayqc.filter(str(run), redo=True)
    shard.write_bytes(sound)
    found = rayqc.filter(str(run), retry_errors=True)
    assert found["outcomes"]["error"] == 0
    assert scores_of(run / "filtered") == scores_of(tiny_run / "filtered")
    assert not (run / "result.json").exists()
    assert rayqc.status(str(run))["stages"][-1]["status"] == "not begun"


def test_what_follows_stays_where_nothing_is_to_be_judged_again(tiny_run, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    before = {path: path.read_bytes() for path in (run / "classify").iterdir()}
    assert before and (run / "result.json").exists()
    assert rayqc.filter(str(run), retry_errors=True)["outcomes"]["error"] == 0
    assert {path: path.read_bytes() for path in (run / "classify").iterdir()} == before
    assert rayqc.status(str(run))["stages"][-1]["status"] == "done"
    manifest = run / "filtered" / "manifest.json"
    facts = json.loads(manifest.read_text())
    facts["totals"]["outcomes"]["error"], facts["totals"]["reasons"]["over_cap"] = 1, 1
    manifest.write_text(json.dumps(facts))
    with pytest.raises(InputError, match="has a cap"):
        rayqc.filter(str(run), retry_errors=True)
    assert {path: path.read_bytes() for path in (run / "classify").iterdir()} == before
