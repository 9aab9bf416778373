"""Models in the real model server, a process of its own: blessed, or why not."""

import json
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from penstock.components.infra_validator import executor, process, trial
from penstock.core.artifacts import InfraBlessing, InfraValidation, InfraVerdict, Model, SavedModel
from penstock.core.errors import ModelError
from tests.components.infra_validator.conftest import FEATURES, counted, doubled, drawn, save
from tests.servers import forked, ports

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("forks")]

REQUESTS = json.dumps({"split_name": "eval", "num_examples": 8, "make_warmup": True})
ONCE = json.dumps({"num_tries": 1})

Validate = Callable[..., tuple[bool, InfraVerdict]]


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "output"


@pytest.fixture
def validate(output: Path, examples: Path) -> Validate:
    """Returns a function that runs InfraValidator; it returns whether the model is blessed, and the verdict."""

    def run(model: Path, **arguments: Any) -> tuple[bool, InfraVerdict]:
        outputs = {name: str(output / name) for name in ("blessing", "infra_validation", "report")}
        defaults = {"examples": str(examples), "request_spec": REQUESTS, "label": "y", "model_uri": "gs://b/model"}
        result = executor.run(**outputs, model=str(model), **{**defaults, **arguments})
        blessed = InfraBlessing(output / "blessing").read()
        verdict = InfraValidation(output / "infra_validation").read()
        metadata = result.metadata["blessing"]
        assert result.blessed == blessed == verdict["blessed"] == bool(metadata["blessed"])
        assert bool(metadata["has_model"]) == InfraBlessing(output / "blessing").stamped_model.exists
        assert (metadata["tfx_version"], metadata["current_model"]) == ("1.21.0", "gs://b/model")
        return blessed, verdict

    return run


def refusals(verdict: InfraVerdict) -> dict[str, str]:
    return {check["name"]: check["sentence"] for check in verdict["checks"] if not check["passed"]}


def test_a_model_that_answers_as_it_does_itself_is_blessed(validate: Validate, steady: Path, output: Path) -> None:
    budgets = {"latency_p50_ms": 5000, "latency_p95_ms": 5000, "memory": "64Gi", "cold_start_seconds": 300}
    blessed, verdict = validate(steady, budgets=json.dumps(budgets))
    assert blessed, verdict
    checks = {check["name"]: check for check in verdict["checks"]}
    assert list(checks) == ["cold_start_seconds", "answers", "latency_p50_ms", "latency_p95_ms", "memory_mib"]
    assert checks["answers"]["sentence"] == "8 of 8 answers are the model's own"
    assert checks["memory_mib"]["limit"] == 64 * 1024
    assert 0 < (checks["latency_p50_ms"]["value"] or 0) <= (checks["latency_p95_ms"]["value"] or 0) < 5000
    assert "(required: at most 300 s)" in checks["cold_start_seconds"]["sentence"]
    assert any("http://127.0.0.1:" in line for line in verdict["log"])
    stamped, own = InfraBlessing(output / "blessing").stamped_model, SavedModel(Model(steady).serving)
    assert stamped.path.samefile(own.path)  # no second copy on the same disk
    assert stamped.digest() == own.digest()
    assert len(list(tf.data.TFRecordDataset(str(stamped.warm_up_requests)))) == 8
    assert not own.warm_up_requests.exists()
    page = (output / "report").read_text()
    assert "8 of 8 answers are the model&#x27;s own" in page
    assert "The server's last lines" in page


def test_budgets_that_are_exceeded_are_told_with_both_figures(validate: Validate, steady: Path, output: Path) -> None:
    budgets = {"latency_p50_ms": 0.001, "latency_p95_ms": 0.002, "memory": "1Mi", "cold_start_seconds": 0.001}
    blessed, verdict = validate(steady, budgets=json.dumps(budgets), validation_spec=ONCE)
    assert not blessed
    said = refusals(verdict)
    assert list(said) == ["cold_start_seconds", "latency_p50_ms", "latency_p95_ms", "memory_mib"]
    for name, ending in {
        "cold_start_seconds": " s (required: at most 0.001 s)",
        "latency_p50_ms": " ms (required: at most 0.001 ms)",
        "latency_p95_ms": " ms (required: at most 0.002 ms)",
        "memory_mib": " MiB of memory at most (required: at most 1 MiB)",
    }.items():
        assert said[name].endswith(ending)
    assert not (output / "blessing" / "stamped_model").exists()
    assert said["memory_mib"] in (output / "report").read_text()


@pytest.mark.parametrize("answer", [drawn, counted])
def test_answers_that_are_not_the_models_own(validate: Validate, tmp_path: Path, answer: Any) -> None:
    """It draws random numbers, or keeps a state."""
    blessed, verdict = validate(save(tmp_path / "model", answer, FEATURES))
    assert not blessed
    said = refusals(verdict)["answers"]
    assert said.startswith("row 1: output 'double' is ")
    assert "the model itself answers differently from call to call" in said
    assert said.endswith("(8 of 8 answers differ)")


def test_examples_that_the_model_refuses(validate: Validate, tmp_path: Path) -> None:
    """It wants the feature age, which no example has: also its server cannot warm it up by them."""
    model = save(tmp_path / "model", doubled, {**FEATURES, "age": tf.io.FixedLenFeature([], tf.int64)})
    blessed, verdict = validate(model)
    assert not blessed
    assert refusals(verdict)["answers"].startswith("row 1: the model refuses it: ")
    assert "age" in refusals(verdict)["answers"]


def test_a_model_that_does_not_load(validate: Validate, steady: Path, tmp_path: Path) -> None:
    """Its variables are cut off. It is only loaded, so no answer of its own is asked for."""
    serving = Model(tmp_path / "model").serving
    for path in Model(steady).serving.rglob("*"):
        if path.is_file():
            copy = serving / path.relative_to(Model(steady).serving)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes()[:8] if "data-00000" in path.name else path.read_bytes())
    started = time.monotonic()
    blessed, verdict = validate(tmp_path / "model", request_spec="")
    assert not blessed
    assert refusals(verdict)["ready"].startswith("the model server refuses the model: ")
    assert verdict["log"]
    assert time.monotonic() - started < 60  # it is tried once: the next time would be the same


def test_warm_up_requests_that_the_model_brings_along_stay(
    validate: Validate, steady: Path, tmp_path: Path, output: Path
) -> None:
    model = Model(shutil.copytree(steady, tmp_path / "model"))
    with tf.io.TFRecordWriter(str(tmp_path / "none")):
        pass
    own = SavedModel(model.serving).warm_up_requests
    own.parent.mkdir(exist_ok=True)
    shutil.move(tmp_path / "none", own)
    blessed, _ = validate(model.root)
    assert blessed
    assert not InfraBlessing(output / "blessing").stamped_model.exists
    assert own.read_bytes() == b""


def test_without_a_request_spec_the_model_is_only_loaded(validate: Validate, steady: Path) -> None:
    blessed, verdict = validate(steady, request_spec="", serving_spec='{"model_name": "taxi model"}')
    assert blessed
    assert [check["name"] for check in verdict["checks"]] == ["cold_start_seconds", "memory_mib"]


def test_a_server_that_is_killed_while_it_answers_is_started_again(
    validate: Validate, steady: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="penstock")
    wait, killed = trial._wait_for_process, []

    def killing(server: process.Server, seconds: float) -> Any:
        url = wait(server, seconds)
        if not killed:
            server.process.kill()
            server.process.wait()
            killed.append(server.process.pid)
        return url

    monkeypatch.setattr(trial, "_wait_for_process", killing)
    blessed, _ = validate(steady)
    assert blessed
    assert killed
    assert "attempt 1 of 5: the model server ended: it was killed, most often because" in caplog.text


def test_a_server_that_never_gets_ready(
    validate: Validate, steady: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "silent.py").write_text("import time\nprint('thinking', flush=True)\ntime.sleep(60)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))  # which an interpreter reads at its start
    monkeypatch.setattr(sys, "executable", forked._INTERPRETER)
    monkeypatch.setattr(process, "MODULE", "silent")
    blessed, verdict = validate(steady, validation_spec='{"num_tries": 2, "max_loading_time_seconds": 1}')
    assert not blessed
    assert refusals(verdict) == {
        "ready": "the model server was not ready within 1 s (max_loading_time_seconds): it has not said its port"
    }
    assert verdict["log"] == ["thinking"]


def test_a_server_that_runs_already(validate: Validate, steady: Path, output: Path) -> None:
    """Which has this model, or another one, or which is not there."""
    with process.started(Model(steady).serving, "taxi", {}) as server:
        url = str(trial._wait_for_process(server, 60))
        blessed, verdict = validate(steady, server_url=url)
        assert blessed, verdict
        names = [check["name"] for check in verdict["checks"]]
        assert names == ["ready", "answers", "latency_p50_ms", "latency_p95_ms"]
        assert (verdict["server"], verdict["log"]) == (url, [])
        assert (output / "blessing" / "stamped_model").is_dir()
    blessed, verdict = validate(
        steady,
        server_url=f"http://127.0.0.1:{ports.reserve()}/v1/models/taxi",
        validation_spec='{"num_tries": 1, "max_loading_time_seconds": 1}',
    )
    assert not blessed
    assert "was not ready within 1 s: [Errno 111] Connection refused" in refusals(verdict)["ready"]


def test_a_model_that_is_no_savedmodel_is_not_checked(validate: Validate, tmp_path: Path, output: Path) -> None:
    serving = Model(tmp_path / "model").serving
    serving.mkdir(parents=True)
    (serving / "model.pkl").write_bytes(b"\x80\x05N.")
    blessed, verdict = validate(tmp_path / "model")
    assert blessed
    assert not verdict["checked"]
    (check,) = verdict["checks"]
    assert check["sentence"] == ("the model is no SavedModel (model.pkl): no model server of TensorFlow's takes it")
    assert "not checked" in (output / "report").read_text()


def test_no_model_is_an_error(validate: Validate, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no model at"):
        validate(tmp_path)
