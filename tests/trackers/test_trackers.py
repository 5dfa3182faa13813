"""Trackers hear of a run; the run does not hear of their troubles."""

import json
import logging
import shutil

import pytest

import rayqc
from rayqc.kinds import TRACKERS
from rayqc.storage import Folder
from rayqc.trackers.base import TrackedRun
from rayqc.trackers.beside import Beside, numbers_in
from tests.conftest import tiny


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    """No test depends on how fast a tracker answers."""
    monkeypatch.setattr("rayqc.trackers.beside.SECONDS_TO_END", 300.0)


@pytest.fixture
def warnings():
    """What is logged of trackers while a test runs, once each, whatever else listens."""
    found = []
    handler = logging.Handler()
    handler.emit = lambda record: found.append(record.getMessage())
    logger = logging.getLogger("rayqc.trackers.beside")
    logger.addHandler(handler)
    logger.setLevel(logging.WARNING)  # whatever a test before has set for the package
    yield found
    logger.setLevel(logging.NOTSET)
    logger.removeHandler(handler)


@pytest.fixture
def almost_done(tiny_run, tmp_path):
    """A run whose last stage is to do."""
    folder = tmp_path / "run"
    shutil.copytree(tiny_run, folder)
    (folder / "stages" / "classify.json").unlink()
    return folder


def go_on(folder, *trackers):
    return rayqc.run(rayqc.make_config(tiny(resources={"trackers": list(trackers)})), str(folder))


def events(folder):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    found = accumulator.EventAccumulator(str(folder))
    found.Reload()
    return found


def test_both_have_settings_values_and_pictures(ray_session, almost_done, tmp_path, monkeypatch):
    client = pytest.importorskip("mlflow.tracking")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "store").as_uri())
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "digits")
    result = go_on(almost_done, "tensorboard", "mlflow")
    real = result["classify"]["arms"]["real"]["accuracy"]["mean"]

    found = events(almost_done / "tensorboard")
    (accuracy,) = found.Scalars("classify/arms/real/accuracy/mean")
    assert accuracy.value == pytest.approx(real)
    assert found.Scalars("classify/seconds")[0].value > 0
    assert {"acceptance.png", "contact_sheet.png"} <= set(found.Tags()["images"])
    text = found.Tensors("settings/text_summary")[0].tensor_proto.string_val[0].decode()
    assert "| references.kind | bundled |" in text

    mlflow = client.MlflowClient()
    (run,) = mlflow.search_runs([mlflow.get_experiment_by_name("digits").experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.metrics["classify/arms/real/accuracy/mean"] == pytest.approx(real)
    assert run.data.params["references.kind"] == "bundled"
    kept = {file.path for file in mlflow.list_artifacts(run.info.run_id)}
    assert {"report.html", "result.json", "acceptance.png"} <= kept

    # The same run goes on with the same record.
    (almost_done / "stages" / "classify.json").unlink()
    go_on(almost_done, "mlflow")
    (again,) = mlflow.search_runs([run.info.experiment_id])
    assert (
        again.info.run_id
        == run.info.run_id
        == json.loads((almost_done / "mlflow.json").read_text())["run_id"]
    )


def test_a_server_that_is_not_there_stops_nothing(ray_session, almost_done, monkeypatch, warnings):
    pytest.importorskip("mlflow.tracking")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    result = go_on(almost_done, "mlflow")
    assert result["classify"]["arms"]["real"]["accuracy"]["mean"] > 0
    (told,) = warnings
    assert told.startswith("tracker mlflow: ")
    assert told.endswith("the run goes on without it")


class Stubborn:
    """Fails at its second value."""

    def __init__(self, run):
        self.values = 0

    def measured(self, name, value, step):
        self.values += 1
        if self.values == 2:
            raise OSError("disk\x1b[2J full")

    def file(self, name, data):
        raise AssertionError("it was left out")

    def close(self, whole):
        raise AssertionError("it was left out")


def test_one_that_fails_is_warned_of_once(tmp_path, monkeypatch, warnings):
    monkeypatch.setitem(
        TRACKERS.entries, "mlflow", type(TRACKERS.entries["mlflow"])(f"{__name__}:Stubborn")
    )
    beside = Beside("mlflow", TrackedRun(folder=Folder(str(tmp_path)), settings={}))
    for step in range(5):
        beside.measured("a", step, step)
    beside.file("report.html", b"")
    beside.close(True)
    (told,) = warnings
    assert told == r"tracker mlflow: OSError: disk\x1b[2J full; the run goes on without it"


def test_an_unknown_one_is_refused():
    with pytest.raises(rayqc.UserError, match="tensorboard"):
        rayqc.make_config(tiny(resources={"trackers": ["comet"]}))


def test_numbers_are_found_at_any_depth():
    facts = {"a": 1, "b": {"c": 0.5, "d": [1, 2], "e": None, "f": True}, "g": "text"}
    assert numbers_in(facts, "fit") == {"fit/a": 1.0, "fit/b/c": 0.5}
