"""Tracker `mlflow`: a run of MLflow, on the server that MLFLOW_TRACKING_URI names.

The experiment is that of MLFLOW_EXPERIMENT_NAME, or `rayqc`. A run that goes on keeps its run of
MLflow, whose id is in RUN/mlflow.json.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from rayqc.storage import read_json, write_json
from rayqc.trackers.base import TrackedRun

RECORD = "mlflow.json"
LONGEST_VALUE = 500
"""Characters of a setting's value."""
AT_ONCE = 100
"""Settings that are sent together, as many as MLflow takes."""


class MLflow:
    """Tells an MLflow server of one run."""

    def __init__(self, run: TrackedRun) -> None:
        # Imported here, since it takes a second that only runs with this tracker should pay.
        from mlflow.entities import Param  # noqa: PLC0415
        from mlflow.tracking import MlflowClient  # noqa: PLC0415

        self._client: Any = MlflowClient()
        if run.folder.exists(RECORD):
            self._id = str(read_json(run.folder, RECORD)["run_id"])
            self._client.update_run(self._id, status="RUNNING")
            return
        name = Path(run.folder.location).name
        created = self._client.create_run(self._experiment(), run_name=name)
        self._id = created.info.run_id
        settings = [Param(key, text[:LONGEST_VALUE]) for key, text in run.settings.items()]
        for start in range(0, len(settings), AT_ONCE):
            self._client.log_batch(self._id, params=settings[start : start + AT_ONCE])
        write_json(run.folder, RECORD, {"run_id": self._id})

    def _experiment(self) -> str:
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "rayqc")
        found = self._client.get_experiment_by_name(name)
        return str(found.experiment_id if found else self._client.create_experiment(name))

    def measured(self, name: str, value: float, step: int) -> None:
        """See `Tracker`."""
        self._client.log_metric(self._id, name, value, step=step)

    def file(self, name: str, data: bytes) -> None:
        """See `Tracker`."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, name)
            path.write_bytes(data)
            self._client.log_artifact(self._id, str(path))

    def close(self, whole: bool) -> None:
        """See `Tracker`."""
        self._client.set_terminated(self._id, "FINISHED" if whole else "KILLED")


KIND = MLflow
