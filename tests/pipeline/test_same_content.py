"""Data copied or mounted anew: with equal content the work goes on, changed it does not."""

import os
import shutil

import numpy as np
import pytest

import rayqc
from rayqc.config import Data
from rayqc.errors import ConflictError
from rayqc.images.decode import Limits
from rayqc.images.encode import encode_png
from rayqc.ledger.commit import load_commits
from rayqc.ledger.manifest import balance
from rayqc.ledger.plan import clear, start_or_resume, work_digest
from rayqc.pipeline import leaks
from rayqc.pipeline.leaks import content_of_test
from rayqc.pipeline.same_content import go_on_with_copies
from rayqc.progress import Progress
from rayqc.regions.statistic_choice import StatisticChoice
from rayqc.sources import open_source
from rayqc.storage import Folder
from rayqc.work.filter_unit import FilterSpec, FilterWorker
from rayqc.work.match_classes import PoolSource
from tests.conftest import MEANS

PIXELS = np.random.default_rng(0).integers(0, 256, (40, 28, 28, 1), dtype=np.uint8)


def fill(root, first, count):
    for name in ("cat", "dog"):
        (root / name).mkdir(parents=True)
        for i in range(count):
            number = first + i + (20 if name == "dog" else 0)
            (root / name / f"{i}.png").write_bytes(encode_png(PIXELS[number]))


def settings(root, **places):
    place = {name: str(places.get(name, root / name)) for name in ("references", "test", "pool")}
    return rayqc.make_config(
        {
            "references": {"path": place["references"]},
            "test": {"path": place["test"]},
            "pool": [{"path": place["pool"], "name": "made"}],
            "encoder": {"kind": "python", "target": MEANS},
            "regions": {"kind": "sphere"},
            "classify": {"arms": []},
        }
    )


@pytest.fixture(scope="module")
def done(ray_session, tmp_path_factory):
    """A finished run on folders."""
    root = tmp_path_factory.mktemp("copied")
    for number, name in enumerate(("references", "test", "pool")):
        fill(root / name, 6 * number, 6)
    result = rayqc.run(settings(root), str(root / "run"))
    return root, result


def test_a_finished_run_takes_copies_for_what_they_are(done, tmp_path, caplog):
    caplog.set_level("INFO", "rayqc")
    root, result = done
    places = {}
    for name in ("references", "test", "pool"):
        places[name] = shutil.copytree(root / name, tmp_path / name, copy_function=shutil.copy)
    assert rayqc.run(settings(root, **places), str(root / "run")) == result
    for name, images in (("references", 12), ("test", 12), ("pool", 12)):
        assert f"{name}: copied or mounted anew; {images} images were compared in" in caplog.text
    caplog.clear()
    assert (
        rayqc.run(settings(root, **places), str(root / "run")) == result
    )  # and says no more of it
    assert "copied" not in caplog.text
    for path in (places["pool"] / "cat").iterdir():  # touched: other times, the same bytes
        os.utime(path, (1, 1))
    assert rayqc.run(settings(root, **places), str(root / "run")) == result
    assert "pool: copied or mounted anew; 12 images" in caplog.text


@pytest.mark.parametrize("name", ["references", "test", "pool"])
def test_one_image_that_differs_is_a_change(done, tmp_path, name):
    root, _ = done
    copy = shutil.copytree(root / name, tmp_path / name)
    (copy / "cat" / "3.png").write_bytes(encode_png(255 - PIXELS[0]))
    with pytest.raises(ConflictError, match=f"{name}.*: oth.*this affects"):
        rayqc.run(settings(root, **{name: copy}), str(root / "run"))


def worker_of(run, out, source):
    return FilterWorker(
        FilterSpec(
            out=out,
            model=Folder(str(run / "model")),
            trusted=None,
            regions=Folder(str(run / "regions")),
            run=Folder(str(run)),
            sources=(source,),
            limits=Limits(),
            micro_batch=16,
            keep=("accepted", "rejected", "error"),
            statistics=StatisticChoice(),
        )
    )


def pool_source(path):
    source = open_source(Data(path=str(path)))
    return PoolSource(source=source, prefix="", to_class=tuple(range(10)))


@pytest.mark.parametrize("changed", ["", "judged", "to come", "renamed"])
def test_a_filter_that_was_cut_off_goes_on_with_a_copy(tiny_run, tmp_path, changed):
    digits = open_source(Data(path=str(tiny_run / "pool")))
    table = digits.read(digits.units(40)[0])
    first, copy = tmp_path / "first", tmp_path / "copy"
    for number, row in enumerate(table.to_pylist()):
        (first / str(row["label"])).mkdir(parents=True, exist_ok=True)
        (first / str(row["label"]) / f"{number:02}.png").write_bytes(row["image"]["bytes"])
    out = Folder(str(tmp_path / "out"))
    source = pool_source(first)
    plan = start_or_resume(out, {"stage": "filter"}, source.source.units(10))
    worker_of(tiny_run, out, source)(0, plan[0], {})
    shutil.copytree(first, copy, copy_function=shutil.copy)
    shutil.rmtree(first)
    judged, to_come = copy / plan[0].names[3], copy / plan[2].names[3]
    if changed == "renamed":
        to_come.rename(to_come.with_name("zz.png"))
    elif changed:
        path = judged if changed == "judged" else to_come
        path.write_bytes(encode_png(PIXELS[0]))
    source = pool_source(copy)
    units = source.source.units(10)
    go_on_with_copies(out, [source], units, 10**9, Progress())
    if changed in ("judged", "renamed"):
        with pytest.raises(ConflictError, match="holds work made otherwise .inputs"):
            start_or_resume(out, {"stage": "filter"}, units)
        return
    plan = start_or_resume(out, {"stage": "filter"}, units)
    worker = worker_of(tiny_run, out, source)
    for index in range(1, len(plan)):
        worker(index, plan[index], {})
    assert balance(plan, load_commits(out), work_digest(out)).read == table.num_rows
    clear(out)
    assert out.names() == []


def test_commits_of_before_cannot_be_compared(tiny_run, tmp_path):
    """Records of 0.1.0 name no content: the copy is refused, as it was."""
    source = pool_source(tiny_run / "pool")
    out = Folder(str(tmp_path / "out"))
    plan = start_or_resume(out, {"stage": "filter"}, source.source.units(40))
    worker_of(tiny_run, out, source)(0, plan[0], {})
    record = out.read("commits/0000000.json")
    out.write("commits/0000000.json", record.replace(b'"content"', b'"later"'))
    copy = shutil.copytree(tiny_run / "pool", tmp_path / "copy")
    moved = pool_source(copy)
    units = moved.source.units(40)
    if units[0].fingerprint == plan[0].fingerprint:
        pytest.skip("the copy has the same fingerprint")
    go_on_with_copies(out, [moved], units, 10**9, Progress())
    with pytest.raises(ConflictError):
        start_or_resume(out, {"stage": "filter"}, units)


def test_another_label_is_another_test_set():
    images = [
        leaks.TestImage("d1", "1.png", "cat", "c1"),
        leaks.TestImage("d2", "2.png", "dog", "c2"),
    ]
    content = content_of_test(images)
    assert content_of_test(list(images)) == content
    for other in (
        images[:1],
        images[::-1],
        [*images[:1], images[1]._replace(class_name="cat")],
        [],
    ):
        assert content_of_test(other) != content
