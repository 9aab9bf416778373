"""docs/notebook.md in a real kernel: its cells in one notebook, in the project that `penstock init` writes."""

import asyncio
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

from penstock.pipelines.cli import init
from tests.servers import ports

PAGE = Path(__file__).resolve().parents[3] / "docs" / "notebook.md"

MISTAKES = (
    'few = eval.head(3).set_axis(["a", "b", "c"]).assign(mass=1.0)\nrun.predict(few).index.tolist()',
    'try:\n    run.predict(few.drop(columns="island"))\nexcept Exception as error:\n    print(repr(error))',
    "bad = few.assign(body_mass_g='heavy')\ntry:\n    run.predict(bad)\nexcept Exception as error:\n    print(error)",
)


@pytest.fixture(scope="module")
def cells(python: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The page's cells and MISTAKES, run, by what they begin with, in a kernel that has done the imports."""
    folder = tmp_path_factory.mktemp("notebook")
    init.write_project(str(folder / "birds"))
    config = folder / "birds" / "pipeline.yaml"
    config.write_text(config.read_text().replace("push:\n  directory: serving\n", ""))
    sources = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    notebook.cells += map(nbformat.v4.new_code_cell, MISTAKES)
    manager = AsyncKernelManager(kernel_name="python3", connection_file=str(folder / "kernel.json"))
    assert manager.kernel_spec is not None
    manager.kernel_spec.argv[0] = python
    for channel in ("shell", "iopub", "stdin", "hb", "control"):
        setattr(manager, f"{channel}_port", ports.reserve())
    there = {"metadata": {"path": str(folder / "birds")}}
    try:
        NotebookClient(notebook, km=manager, timeout=400, startup_timeout=200, resources=there).execute()
    finally:  # the client ends no kernel of somebody else's manager
        asyncio.run(manager.shutdown_kernel())
    return {cell.source.splitlines()[0]: cell for cell in notebook.cells}


def result(cell: Any, kind: str = "text/plain") -> str:
    """Returns the last value of a cell."""
    (output,) = [one for one in cell.outputs if one.output_type == "execute_result"]
    text: str = output.data[kind]
    return text


def printed(cell: Any, name: str = "stdout") -> str:
    return "".join(one.text for one in cell.outputs if one.output_type == "stream" and one.name == name)


def test_a_run_tells_its_metrics_and_its_progress(cells: dict[str, Any]) -> None:
    cell = cells["import penstock"]
    assert re.match(r"\{'sparse_categorical_accuracy': 0\.\d+, ", result(cell))
    assert re.search(r"^✓ trainer +\d+\.\d s", printed(cell, "stderr"), re.MULTILINE)


def test_the_report_shows_itself(cells: dict[str, Any]) -> None:
    shown = result(cells["run.report"], "text/html")
    assert shown.startswith('<iframe srcdoc="&lt;!DOCTYPE html&gt;')
    assert "sparse categorical accuracy" in shown or "sparse_categorical_accuracy" in shown


def test_data_frames(cells: dict[str, Any]) -> None:
    assert "body_mass_g" in result(cells['eval = run.examples("eval")'], "text/html")
    predicted = result(cells["predicted = run.predict(eval)"], "text/html")
    assert {"predicted", "probability", "species"} <= set(re.findall(r"<th>(\w+)</th>", predicted))
    assert "Adelie" in predicted


def test_artifacts_and_runs(cells: dict[str, Any]) -> None:
    assert "'flipper_length_mm'" in result(cells['schema = run.artifact("schema")'])
    assert re.match(r"birds-\S+ done \{'sparse_", printed(cells['for earlier in penstock.runs("pipeline.yaml"):']))


def test_a_mistake_is_one_sentence(cells: dict[str, Any]) -> None:
    told = printed(cells["from penstock.core.errors import ConfigError"])
    assert told == "training.epoch: unknown key 'training.epoch'; did you mean 'epochs'?\n"


def test_a_frame_keeps_its_index_and_other_columns_are_named(cells: dict[str, Any]) -> None:
    cell = cells[MISTAKES[0].splitlines()[0]]
    assert result(cell) == "['a', 'b', 'c']"
    assert "columns that the model does not know, and ignores: mass" in printed(cell, "stderr")


def test_columns_that_do_not_fit(cells: dict[str, Any]) -> None:
    assert printed(cells["try:"]).startswith("DataError(\"the data frame: there is no column 'island'")
    told = printed(cells["bad = few.assign(body_mass_g='heavy')"])
    assert told.startswith("column 'body_mass_g' of the data frame: expected a whole number in each row")
