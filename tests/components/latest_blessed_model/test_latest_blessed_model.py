"""The search for a baseline, among the folders that earlier runs leave."""

import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kfp import dsl, local

from penstock.components.latest_blessed_model import executor, latest_blessed_model
from penstock.core.artifacts import Model, ModelBlessing
from penstock.core.errors import ConfigError, ModelError
from tests.servers.object_stores import ObjectStore

Run = Callable[..., Path]


def save(folder: Path, content: str) -> None:
    """A serving model that differs by its content; its fingerprint is new every time, as TensorFlow's."""
    serving = Model(folder).serving
    (serving / "variables").mkdir(parents=True)
    (serving / "saved_model.pb").write_text(content)
    (serving / "variables" / "variables.index").write_text("variables")
    (serving / "fingerprint.pb").write_text(str(folder))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


@pytest.fixture
def candidate(root: Path) -> Path:
    save(root / "taxi-now" / "trainer" / "model", "candidate")
    return root / "taxi-now" / "trainer" / "model"


@pytest.fixture
def run(root: Path) -> Run:
    """Returns a function that leaves a run's folder with a model and its blessing, and returns the model."""

    def leave(name: str, day: int, content: str = "", blessed: bool = True, **validation: Any) -> Path:
        model, evaluator = root / name / "trainer" / "model", root / name / "evaluator"
        save(model, content or name)
        ModelBlessing(evaluator / "blessing").write(blessed)
        (evaluator / "validation").mkdir()
        facts = {"blessed": blessed, "model": str(model), "created": f"2026-11-{day:02d}T10:00:00+00:00", "reasons": []}
        (evaluator / "validation" / "validation.json").write_text(json.dumps({**facts, **validation}))
        return model

    return leave


def search(candidate: Path, root: Path) -> str | None:
    result = executor.run(candidate=str(candidate), pipeline_root=str(root), model=str(root / "found"))
    assert result.metadata == {"model": {"tfx_version": "1.21.0", "found": 0 if result.uri is None else 1}}
    return result.uri


def test_the_newest_blessed_model(run: Run, candidate: Path, root: Path) -> None:
    assert search(candidate, root) is None
    run("taxi-1", 1)
    newest = run("taxi-2", 3)
    run("taxi-3", 2)
    run("taxi-4", 9, blessed=False)
    assert search(candidate, root) == str(newest)


def test_the_candidate_is_no_baseline_of_itself(run: Run, candidate: Path, root: Path) -> None:
    """After the candidate was blessed, a rerun finds the baseline that the run before found."""
    before = run("taxi-1", 1)
    run("taxi-2", 2, content="candidate")
    assert search(candidate, root) == str(before)
    shutil.rmtree(before)
    assert search(candidate, root) is None


def test_a_model_that_is_gone_is_passed_over(
    run: Run, candidate: Path, root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    older, gone, emptied = run("taxi-1", 1), run("taxi-2", 2), run("taxi-3", 3)
    shutil.rmtree(gone)
    (emptied / "Format-Serving" / "saved_model.pb").unlink()
    assert search(candidate, root) == str(older)
    warned = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert [str(path) in text for path, text in zip((emptied, gone), warned, strict=True)] == [True, True]


def test_ties_are_broken_alike(run: Run, candidate: Path, root: Path) -> None:
    for name in ("taxi-b", "taxi-c", "taxi-a"):
        run(name, 5)
    assert search(candidate, root) == str(root / "taxi-c" / "trainer" / "model")


def test_times_of_other_zones_and_of_none_compare(run: Run, candidate: Path, root: Path) -> None:
    run("taxi-1", 1, created="2026-11-05T12:00:00+02:00")  # 10:00 UTC
    newest = run("taxi-2", 1, created="2026-11-05T10:30:00")  # taken for UTC
    run("taxi-3", 1, created="2026-11-05T08:00:00-02:00")  # 10:00 UTC
    assert search(candidate, root) == str(newest)


@pytest.mark.parametrize(
    "content",
    [
        "{not json",
        '"blessed"',
        "{}",
        '{"blessed": false, "model": "m", "created": "2026-11-09T10:00:00"}',
        '{"blessed": true, "model": "", "created": "2026-11-09T10:00:00"}',
        '{"blessed": true, "model": "m", "created": "yesterday"}',
        '{"blessed": true, "model": "m", "created": 5}',
        None,
    ],
)
def test_a_damaged_validation_is_passed_over_by_name(
    run: Run, candidate: Path, root: Path, caplog: pytest.LogCaptureFixture, content: str | None
) -> None:
    older = run("taxi-1", 1)
    run("taxi-2", 2)
    validation = root / "taxi-2" / "evaluator" / "validation" / "validation.json"
    validation.unlink() if content is None else validation.write_text(content)
    assert search(candidate, root) == str(older)
    (warning,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert warning.startswith(f"passed over {validation}: ")


def test_both_marks_are_damage(run: Run, candidate: Path, root: Path, caplog: pytest.LogCaptureFixture) -> None:
    run("taxi-1", 1)
    (root / "taxi-1" / "evaluator" / "blessing" / "NOT_BLESSED").touch()
    assert search(candidate, root) is None
    assert "found BLESSED and NOT_BLESSED" in caplog.text


def test_deeper_trees_and_models_that_look_like_runs(run: Run, candidate: Path, root: Path) -> None:
    """Kubeflow's tree is deeper; what lies inside a model is no run."""
    deep = run("namespace/taxi/0f3c", 2)
    run("other/trainer/model/Format-Serving/assets", 9)
    assert search(candidate, root) == str(deep)


def test_a_model_in_a_bucket_that_is_not_mounted_is_passed_over(
    run: Run, candidate: Path, root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    older = run("taxi-1", 1)
    run("taxi-2", 2, model="hdfs://cluster/model")
    assert search(candidate, root) == str(older)
    assert "hdfs://cluster/model" in caplog.text


def test_runs_in_an_object_store(
    run: Run, candidate: Path, root: Path, object_store: ObjectStore, caplog: pytest.LogCaptureFixture
) -> None:
    """The tree of local runs, copied there: the newest other model is found, whether sizes or contents differ."""
    store_root = object_store.uri("runs", "taxi")
    for name, day, content in (("taxi-1", 1, "other"), ("taxi-2", 2, "different"), ("taxi-3", 3, "candidate")):
        run(name, day, content=content, model=f"{store_root}/{name}/trainer/model")
    run("taxi-4", 4, model=f"{store_root}/gone")
    run("taxi-5", 9, blessed=False)
    with pytest.raises(ConfigError, match="expected an existing folder, received"):
        executor.run(candidate=str(candidate), pipeline_root=store_root, model="none")
    files = [path for path in root.rglob("*") if path.is_file()]
    object_store.write({path.relative_to(root).as_posix(): path.read_bytes() for path in files}, "runs", "taxi")
    caplog.clear()
    found = executor.run(candidate=str(candidate), pipeline_root=store_root, model="none")
    assert found.uri == f"{store_root}/taxi-2/trainer/model", "as long as the candidate, but another content"
    assert f"no model at {store_root}/gone/Format-Serving" in caplog.text
    object_store.write({"taxi-2/evaluator/validation/validation.json": "{not json"}, "runs", "taxi")
    found = executor.run(candidate=str(candidate), pipeline_root=store_root, model="none")
    assert found.uri == f"{store_root}/taxi-1/trainer/model"
    assert f"passed over {store_root}/taxi-2/evaluator/validation/validation.json" in caplog.text


@pytest.mark.parametrize("found_in", ["store", "folder"])
def test_where_outputs_are_uploaded_the_model_is_copied(
    run: Run, candidate: Path, root: Path, tmp_path: Path, object_store: ObjectStore, found_in: str
) -> None:
    """KFP's launcher fails a task whose output names a URI outside of its run, and uploads what lies in its folder."""
    store_root = object_store.uri("runs", "taxi")
    uri = f"{store_root}/taxi-1/trainer/model" if found_in == "store" else str(root / "taxi-1" / "trainer" / "model")
    run("taxi-1", 1, model=uri)
    files = {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}
    object_store.write(files, "runs", "taxi")
    output = tmp_path / "scratch" / "model"
    result = executor.run(
        candidate=str(candidate),
        pipeline_root=store_root,
        model=str(output),
        model_uri=f"{store_root}/taxi/run/latest-blessed-model/model",
    )
    assert result.uri is None
    assert result.metadata["model"] == {"tfx_version": "1.21.0", "found": 1, "copied_from": uri}
    copied = {path.relative_to(output).as_posix() for path in output.rglob("*") if path.is_file()}
    assert copied == {
        f"Format-Serving/{name}" for name in ("saved_model.pb", "fingerprint.pb", "variables/variables.index")
    }
    assert (output / "Format-Serving" / "saved_model.pb").read_text() == "taxi-1"


def test_wrong_arguments(candidate: Path, root: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"pipeline_root: expected an existing folder, received '.*nowhere'"):
        search(candidate, tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="expected a local folder, or a bucket that is mounted"):
        executor.run(candidate=str(candidate), pipeline_root="hdfs://cluster/root", model="none")
    run_of_nothing = tmp_path / "empty"
    with pytest.raises(ModelError, match="no model at"):
        search(run_of_nothing, root)


@pytest.mark.parametrize("found", [True, False])
def test_the_component_hands_the_models_uri_on(run: Run, candidate: Path, root: Path, found: bool) -> None:
    """Through KFP's local runner: what comes after gets the found model's folder, or an empty one."""
    older = run("taxi-1", 1) if found else None
    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(root / "kfp"), raise_on_error=True)

    @dsl.pipeline
    def search_only(folder: str, pipeline_root: str) -> dsl.Model:  # type: ignore[empty-body]
        importer = dsl.importer(artifact_uri=folder, artifact_class=dsl.Model)
        return latest_blessed_model(candidate=importer.output, pipeline_root=pipeline_root).outputs["model"]

    model = search_only(folder=str(candidate), pipeline_root=str(root)).output
    if found:
        assert model.uri == str(older)
    else:
        assert model.uri.startswith(str(root / "kfp"))
        assert not Path(model.uri).exists() or not list(Path(model.uri).iterdir())
    assert model.metadata == {"tfx_version": "1.21.0", "found": int(found)}
