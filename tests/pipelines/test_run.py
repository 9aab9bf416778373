"""A new project, run whole on this machine: each branch of every condition, the cache, and what is told of failures."""

import itertools
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from penstock.core.artifacts import InferenceResult
from penstock.core.examples import records

pytestmark = pytest.mark.slow

UNCACHED = {"input-resolver", "latest-blessed-model", "pusher"}
CACHED = {
    "csv-example-gen",
    "statistics-gen",
    "schema-gen",
    "example-validator",
    "transform",
    "trainer",
    "evaluator",
    "infra-validator",
}
BULK = ("--set", "bulk_inference.data_spec.example_splits=[eval]")
QUICK = ("--set", "training.train_steps=60", "--set", "evaluation.thresholds.sparse_categorical_accuracy.min=0.7")


Command = Callable[..., subprocess.CompletedProcess[str]]


def penstock_of(interpreter: str) -> Command:
    def penstock(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [interpreter, "-m", "penstock.pipelines.cli.main", *arguments]
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=300)

    return penstock


@pytest.fixture(scope="session")
def penstock(python: str) -> Command:
    """Runs a command in a folder. Its imports, and those of its workers, are done: what they are is not looked at."""
    return penstock_of(python)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A new project's folder, and its first run: in interpreters of its own from the first import on."""
    parent, penstock = tmp_path_factory.mktemp("new"), penstock_of(sys.executable)
    assert penstock(parent, "init", "birds").returncode == 0
    for name in ("pipeline.yaml", "penguins.py"):  # with a module, whose code a test may change
        shutil.copyfile(Path(__file__).with_name("birds") / name, parent / "birds" / name)
    return parent / "birds", penstock(parent / "birds", "run", *QUICK)


@pytest.fixture
def project(first: tuple[Path, Any]) -> Iterator[Path]:
    """The project after its first run; what a test changes in its files is put back."""
    folder = first[0]
    kept = {name: (folder / name).read_bytes() for name in ("penguins.py", "data/penguins.csv")}
    yield folder
    for name, content in kept.items():
        (folder / name).write_bytes(content)


def newest(folder: Path) -> tuple[Path, dict[str, str]]:
    """Returns the newest run's folder and the status of each task."""
    record = max(folder.glob("runs/birds/birds-*/run.json"))
    return record.parent, {task["name"]: task["status"] for task in json.loads(record.read_text())["tasks"]}


def versions(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.name.isdecimal())


def test_first_run_trains_and_pushes(first: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    folder, done = first
    assert done.returncode == 0, done.stderr
    run, tasks = newest(folder)
    assert tasks == dict.fromkeys(UNCACHED | CACHED, "done")
    assert "model: BLESSED" in done.stdout
    assert f"run        {run}" in done.stdout
    (pushed,) = versions(folder / "serving")
    assert (pushed / "saved_model.pb").is_file()
    assert str(pushed) in done.stdout
    assert "\nmodel server: BLESSED\n" in done.stdout
    assert "20 of 20 answers are the model's own" in done.stdout
    assert (pushed / "assets.extra" / "tf_serving_warmup_requests").is_file()
    assert (run / "report.html").is_file()


def test_services_get_the_metrics_as_artifacts(first: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    run, _ = newest(first[0])
    tasks = {task["name"]: task["outputs"] for task in json.loads((run / "run.json").read_text())["tasks"]}
    outputs = tasks["evaluator"]
    accuracy = outputs["metrics"]["metadata"]["sparse_categorical_accuracy"]
    assert 0.7 < accuracy <= 1
    rows = outputs["classification_metrics"]["metadata"]["confusionMatrix"]["rows"]
    counts = [row["row"] for row in rows]
    hits = sum(counts[species][species] for species in range(3))
    assert hits / sum(map(sum, counts)) == pytest.approx(accuracy)
    table = r"^metrics +eval +trivial +train\nsparse_categorical_accuracy +[\d.]+ +[\d.]+ +[\d.]+\nexamples "
    assert re.search(table, first[1].stdout, re.MULTILINE)
    assert "<html" in Path(outputs["report"]["uri"]).read_text()


def test_only_tasks_are_shown_while_it_runs(first: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    lines = first[1].stderr.splitlines()
    ended = [line for line in lines if not line.startswith("… ")]  # what a slow machine is told of on the way
    assert [line for line in ended if not line.startswith("✓ ")] == []
    assert len(ended) == len(UNCACHED | CACHED)


def test_unchanged_rerun_is_answered_from_the_cache(penstock: Command, project: Path) -> None:
    penstock(project, "run", *QUICK)  # the first run had no earlier blessing to look at
    done = penstock(project, "run", *QUICK)
    assert done.returncode == 0, done.stderr
    _, tasks = newest(project)
    assert {name for name, status in tasks.items() if status == "cached"} == CACHED
    assert {name for name, status in tasks.items() if status == "done"} == UNCACHED
    assert len(versions(project / "serving")) == 1


def test_a_run_whose_standard_error_is_closed_ends_as_it_would(project: Path) -> None:
    command = ["sh", "-c", '"$@" 2>&-', "sh", sys.executable, "-m", "penstock.pipelines.cli.main", "run", *QUICK]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")
    assert "done in " in done.stdout
    assert set(newest(project)[1].values()) == {"cached", "done"}


def test_changed_parameter_reruns_what_depends_on_it(penstock: Command, project: Path) -> None:
    settings = ("--set", "training.train_steps=61", "--set", "training.workers=3", "--set", "push=null")
    done = penstock(project, "run", *QUICK, *settings)
    assert done.returncode == 0, done.stderr
    assert "training.workers: this machine trains alone, not 3 of them" in done.stderr
    _, tasks = newest(project)
    assert {name for name, status in tasks.items() if status == "done"} - UNCACHED == {"trainer", "evaluator"}
    told = penstock(project, "explain").stdout
    assert "unchanged since" in next(line for line in told.splitlines() if line.startswith("transform "))
    assert "train_args" in next(line for line in told.splitlines() if line.startswith("trainer "))


def test_changed_module_reruns_what_calls_it(penstock: Command, project: Path) -> None:
    module = project / "penguins.py"
    module.write_text(module.read_text().replace("Dense(16,", "Dense(8,"))
    done = penstock(project, "run", *QUICK, "--set", "push=null")
    assert done.returncode == 0, done.stderr
    _, tasks = newest(project)
    assert {name for name, status in tasks.items() if status == "done"} - UNCACHED == {
        "transform",
        "trainer",
        "evaluator",
    }
    assert "module file penguins.py, or a module beside it, changed" in penstock(project, "explain").stdout


def test_model_below_the_threshold_is_not_pushed(penstock: Command, project: Path) -> None:
    before = versions(project / "serving")
    threshold = ("--set", "evaluation.thresholds.sparse_categorical_accuracy.min=1.5")
    done = penstock(project, "run", *QUICK, *BULK, *threshold)
    assert done.returncode == 0, done.stderr
    assert "model: NOT BLESSED" in done.stdout
    run, tasks = newest(project)
    assert (tasks["pusher"], tasks["bulk-inferrer"]) == ("skipped", "done")
    assert versions(project / "serving") == before
    assert InferenceResult(run / "bulk-inferrer" / "inference_result").files() == []


def test_model_that_its_server_is_too_slow_with_is_not_pushed(penstock: Command, project: Path) -> None:
    before = versions(project / "serving")
    done = penstock(project, "run", *QUICK, "--set", "infra_validation={latency_p95_ms: 0.001, num_tries: 1}")
    assert done.returncode == 0, done.stderr
    assert "\nmodel: BLESSED\n" in done.stdout
    assert "\nmodel server: NOT BLESSED\n" in done.stdout
    assert re.search(r"✗ 95 % of the answers came within .* ms \(required: at most 0.001 ms\)", done.stdout)
    run, tasks = newest(project)
    assert (tasks["infra-validator"], tasks["pusher"]) == ("done", "skipped")
    assert versions(project / "serving") == before
    assert re.search(r"The model in a model server <[^>]*>not blessed<", (run / "report.html").read_text())
    assert "not blessed by the model server" in penstock(project, "runs").stdout
    penstock(project, "run", *QUICK, "--set", "infra_validation={latency_p95_ms: 0.001, num_tries: 1}")
    _, tasks = newest(project)  # what was slow once is asked again
    assert (tasks["infra-validator"], tasks["trainer"]) == ("done", "cached")


def test_model_that_is_not_evaluated_is_pushed(penstock: Command, project: Path) -> None:
    done = penstock(project, "run", *QUICK, *BULK, "--set", "evaluation=null", "--set", "push.directory=always")
    assert done.returncode == 0, done.stderr
    assert len(versions(project / "always")) == 1
    run, _ = newest(project)
    logs = InferenceResult(run / "bulk-inferrer" / "inference_result").files()
    examples = next(project.glob("runs/birds/birds-*/csv-example-gen/examples/Split-eval/*.gz"))
    assert sum(map(len, itertools.chain(*map(records.read, logs)))) == sum(map(len, records.read(examples)))


def test_pipeline_without_a_module_ends_with_validation(penstock: Command, project: Path) -> None:
    without = [
        option for key in ("module_file", "training", "evaluation", "push") for option in ("--set", f"{key}=null")
    ]
    done = penstock(project, "run", *without)
    assert done.returncode == 0, done.stderr
    _, tasks = newest(project)
    assert set(tasks) == {"input-resolver", "csv-example-gen", "statistics-gen", "schema-gen", "example-validator"}


@pytest.mark.parametrize("fails", [True, False])
def test_anomalies_end_the_run_on_request(penstock: Command, project: Path, fails: bool) -> None:
    schema = min(project.glob("runs/birds/birds-*/schema-gen/schema/schema.pbtxt"))
    (project / "strict.pbtxt").write_text(schema.read_text().replace('"Dream"', '"Nowhere"'))
    settings = ("schema.file=strict.pbtxt", f"validation.fail_on_anomalies={str(fails).lower()}", "evaluation=null")
    options = [option for setting in (*settings, "push=null") for option in ("--set", setting)]
    done = penstock(project, "run", *QUICK[:2], *options)
    _, tasks = newest(project)
    if fails:
        assert done.returncode == 2
        assert "penstock: example-validator failed: " in done.stderr
        assert f"report: {newest(project)[0] / 'report.html'}\n" in done.stderr
        assert (tasks["transform"], tasks["trainer"]) == ("skipped", "skipped")
    else:
        assert done.returncode == 0, done.stderr
        assert tasks["trainer"] == "done"
        assert "warning: example-validator: split 'train': feature 'island': unexpected string values" in done.stdout


def test_module_that_raises_is_shown_with_the_users_own_file(penstock: Command, project: Path) -> None:
    module = project / "penguins.py"
    module.write_text(
        module.read_text().replace("    outputs = {}\n", "    outputs = {}\n    raise KeyError('wings')\n")
    )
    done = penstock(project, "run", *QUICK)
    assert done.returncode == 2
    told = done.stderr[done.stderr.index("penstock: ") :]
    assert told.startswith("penstock: transform failed: ")
    assert "wings" in told
    assert f'File "{module}", line' in told
    assert "raise KeyError('wings')" in told
    assert "site-packages" not in told
    assert "Traceback" not in told
    assert f"log: {newest(project)[0] / 'transform' / 'log.txt'}" in told


def test_data_and_a_label_are_enough(penstock: Command, tmp_path: Path) -> None:
    """The new project as it is, and again as the module that it ejects, which says the same of every row."""
    assert penstock(tmp_path, "init", "easy").returncode == 0
    folder, quick = tmp_path / "easy", ("--set", "training={epochs: 12}")
    done = penstock(folder, "run", *quick)
    assert done.returncode == 0, done.stderr
    assert "model: BLESSED" in done.stdout
    asked = penstock(folder, "predict", "--rows", "5")
    assert asked.returncode == 0, asked.stderr
    assert len(re.findall(r"-> species +(Adelie|Chinstrap|Gentoo): \d", asked.stdout)) == 5
    ejected = penstock(folder, "eject", "-o", "penguins.py", *quick)
    assert ejected.returncode == 0, ejected.stderr
    assert "evaluation.label_key: species_xf" in ejected.stdout
    assert penstock(folder, "eject", "-o", "penguins.py").returncode == 2
    module = ("module_file=penguins.py", "training={}", "evaluation.label_key=species_xf", "push.directory=ejected")
    again = penstock(folder, "run", *(option for setting in module for option in ("--set", setting)))
    assert again.returncode == 0, again.stderr
    examples = min(folder.glob("runs/easy/*/csv-example-gen/examples/Split-eval/*.gz"))
    answers = [
        penstock(folder, "predict", str(path), "--rows", "50", "--examples", str(examples), "--label", "species").stdout
        for path in (folder / "serving", folder / "ejected")
    ]
    assert answers[0].count("-> species") == 50
    assert answers[0].splitlines()[2:] == answers[1].splitlines()[2:]


def test_changed_data_is_read_again(penstock: Command, project: Path) -> None:
    data = project / "data" / "penguins.csv"
    data.write_text(data.read_text() + "Gentoo,Biscoe,50.1,15.0,225,5000,male,2009\n")
    done = penstock(project, "run", "--set", "training=null", "--set", "evaluation=null", "--set", "push=null")
    assert done.returncode == 0, done.stderr
    _, tasks = newest(project)
    assert set(tasks.values()) == {"done"}
    assert "the data changed" in penstock(project, "explain").stdout


def test_wrong_label_ends_the_run_with_the_nearest_name(penstock: Command, project: Path) -> None:
    done = penstock(project, "run", "--label", "specie", *QUICK)
    assert done.returncode == 2
    assert done.stderr.startswith(
        "penstock: label: the data has no column 'specie'; did you mean 'species'? the columns"
    )


def test_predict_asks_the_pushed_model(penstock: Command, project: Path) -> None:
    done = penstock(project, "predict", "--rows", "2")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert f"model {versions(project / 'serving')[-1]}" in done.stdout
    assert done.stdout.count("bill_length_mm") == 2
    assert "row 3" not in done.stdout
    assert done.stdout.count("-> species") == 2
    features = [line.split()[0] for line in done.stdout.splitlines() if line.startswith("  ") and "->" not in line]
    assert "species" not in features
    inside = penstock(project, "predict", str(newest_model(project)), "--rows", "1", "--label", "species")
    assert inside.returncode == 0, inside.stderr
    assert inside.stdout.count("-> species") == 1


def test_predict_needs_rows(penstock: Command, project: Path, tmp_path: Path) -> None:
    shutil.copytree(versions(project / "serving")[-1], tmp_path / "model")
    done = penstock(project, "predict", str(tmp_path / "model"))
    assert done.returncode == 2
    assert "expected --examples FILE" in done.stderr


def test_runs_are_listed(penstock: Command, project: Path) -> None:
    done = penstock(project, "runs")
    assert done.returncode == 0, done.stderr
    header, newest_line, *_, oldest_line = done.stdout.splitlines()
    assert header.split() == ["run", "started", "status", "seconds", "rows", "metrics", "model"]
    assert newest_line.startswith(newest(project)[0].name)
    assert "pushed: " in oldest_line


def newest_model(folder: Path) -> Path:
    return max(folder.glob("runs/birds/birds-*/trainer/model/Format-Serving")).parent
