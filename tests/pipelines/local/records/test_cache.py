"""The cache of a local run: what a hit may and may not answer."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kfp import compiler, dsl
from kfp.dsl import Artifact, Input, Output

from penstock.components.pusher import pusher
from penstock.components.trainer import trainer
from penstock.components.wrapper import component
from penstock.pipelines import local
from penstock.pipelines.local.processes import imports
from penstock.pipelines.local.processes.task import Task
from penstock.pipelines.local.records import cache, reading
from tests.pipelines.local.records.test_record import Edit, damage

pytestmark = pytest.mark.usefixtures("forks")

Run = Callable[..., local.RunSummary]


@component
def train(model: Output[Artifact]) -> None:
    """Training that ends with another model each time."""
    import os
    import pathlib

    folder = pathlib.Path(model.path)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "weights").write_bytes(os.urandom(1 << 19))
    (folder / "empty").mkdir()


@component
def evaluate(validation: Output[Artifact], model: Input[Artifact], threshold: float = 0.5) -> bool:
    import hashlib
    import json
    import pathlib

    digest = hashlib.sha256((pathlib.Path(model.path) / "weights").read_bytes()).hexdigest()
    folder = pathlib.Path(validation.path)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "validation.json").write_text(json.dumps({"model": model.uri, "digest": digest}))
    validation.metadata["model"] = model.uri
    return True


@dsl.pipeline(name="gate")
def gate(threshold: float = 0.5) -> None:
    trained = train()
    evaluate(model=trained.outputs["model"], threshold=threshold)


@pytest.fixture
def run_gate(tmp_path: Path) -> Run:
    spec = tmp_path / "gate.yaml"
    compiler.Compiler().compile(gate, str(spec))

    def run(**arguments: Any) -> local.RunSummary:
        return local.run(spec, name="gate", pipeline_root=tmp_path / "rüns", arguments=arguments, sources={})

    return run


def source_of(component: Any) -> str:
    return str(component.component_spec.implementation.container.command[-1])


def statuses(summary: local.RunSummary) -> list[str]:
    return [task.status for task in summary.tasks]


def validation(summary: local.RunSummary) -> dict[str, str]:
    found = json.loads((summary.run_folder / "evaluate" / "validation" / "validation.json").read_text())
    assert isinstance(found, dict)
    return found


def weights(summary: local.RunSummary) -> Path:
    return summary.run_folder / "train" / "model" / "weights"


@pytest.mark.slow
def test_a_model_trained_anew_is_evaluated_anew(run_gate: Run) -> None:
    """The evaluation is in the cache under the same source, parameters and maker; but it is of another model."""
    first = run_gate()
    second = run_gate(threshold=0.9)
    assert statuses(second) == ["cached", "done"]
    for summary in (first, second):
        shutil.rmtree(summary.run_folder / "train")
    third = run_gate(threshold=0.9)
    assert statuses(third) == ["done", "done"]
    assert validation(third)["digest"] != validation(second)["digest"]


def test_a_run_answered_from_the_cache_needs_no_other_run(run_gate: Run) -> None:
    first = run_gate()
    content = weights(first).read_bytes()
    second = run_gate()
    assert statuses(second) == ["cached", "cached"]
    shutil.rmtree(first.run_folder)
    assert weights(second).read_bytes() == content
    assert (weights(second).parent / "empty").is_dir()
    model = str(second.run_folder / "train" / "model")
    assert validation(second)["model"] == model
    record = json.loads((second.run_folder / "run.json").read_text())
    assert record["tasks"][1]["outputs"]["validation"]["metadata"] == {"model": model}
    assert first.run_folder.name not in (second.run_folder / "evaluate" / "executor_output.json").read_text()
    third = run_gate()
    assert statuses(third) == ["cached", "cached"], "the second run's folder answers"
    assert weights(third).read_bytes() == content


def test_what_a_person_edits_stays_in_its_run_and_answers_nothing(run_gate: Run) -> None:
    first, second = run_gate(), run_gate()
    edited = second.run_folder / "evaluate" / "validation" / "validation.json"
    digest = validation(second)["digest"]
    edited.write_text(edited.read_text().replace(digest, digest[::-1]))  # as long as before
    assert validation(first)["digest"] != validation(second)["digest"]
    third = run_gate()
    assert statuses(third) == ["cached", "cached"]
    assert validation(third)["digest"] == validation(first)["digest"]


def test_a_large_file_is_not_stored_twice(run_gate: Run) -> None:
    first, second = run_gate(), run_gate()
    assert weights(first).samefile(weights(second))


def test_a_component_depends_on_the_sources_it_imports_and_no_others() -> None:
    digests = {imports.digest(source_of(pusher)), imports.digest(source_of(trainer)), imports.digest("import json")}
    assert len(digests) == 3
    assert imports.digest("import json") == ""


def test_a_component_depends_on_our_sources_that_its_parameters_lead_to(tmp_path: Path) -> None:
    component = "def f(run_fn):\n    pass\n"
    module = tmp_path / "module.py"
    module.write_text("from sibling import *\n")
    assert imports.digest(component, [str(module), 3, "penstock", "some.package.run_fn"]) == ""
    (tmp_path / "sibling.py").write_text("from penstock.trainer.network import model\n")
    found = imports.digest(component, [str(module)])
    assert len({"", found, imports.digest(component, ["penstock.trainer.default.run_fn"])}) == 3


def test_what_trains_depends_on_its_executor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which the component does not import itself: its launcher does, by a name that is made when it runs."""
    named: list[object] = []
    monkeypatch.setattr(imports, "digest", lambda _, values: str(named.extend(values)))
    cache.key(Task("trainer", source_of(trainer), {}, {}), tmp_path, {})
    assert "penstock.components.trainer.executor" in named


def test_an_edit_of_our_own_code_reruns_what_imports_it(run_gate: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run_gate()
    digest = imports.digest
    monkeypatch.setattr(imports, "digest", lambda source, _: "edited" if "def evaluate" in source else digest(source))
    assert statuses(run_gate()) == ["cached", "done"]


# What a person, a broken disk or a bad neighbour may make of an entry.
ENTRIES: dict[str, Edit | bytes] = {
    "no JSON": b"{",
    "nothing": b"",
    "depth": b"[" * 100_000,
    "a list": b"[]",
    "no folders": lambda entry: entry.pop("folders"),
    "folders in a map": lambda entry: entry.update(folders={"a": 1}),
    "folders of text": lambda entry: entry.update(folders=["a"]),
    "an origin that is a number": lambda entry: entry.update(origin=3),
    "files in a list": lambda entry: entry["folders"][0].update(files=["a"]),
    "files as an earlier version stored them": lambda entry: entry["folders"][0].update(files={"a": [1, 2]}),
    "a size in words": lambda entry: entry["folders"][0].update(files={"a": {"size": "big", "sha256": "0"}}),
    "a huge size": lambda entry: entry["folders"][0].update(files={"a": {"size": 1e400, "sha256": "0"}}),
    "a folder outside": lambda entry: entry["folders"][0].update(path="../elsewhere"),
    "a folder at the root": lambda entry: entry["folders"][0].update(path="/"),
    "the folder of all": lambda entry: entry["folders"][0].update(path=""),
    "a file outside": lambda entry: entry["folders"][0]["files"].update({"../../../f": {"size": 1, "sha256": "0"}}),
    "a file at the root": lambda entry: entry["folders"][0]["files"].update(
        {"/etc/passwd": {"size": 1, "sha256": "0"}}
    ),
    "a NUL": lambda entry: entry["folders"][0].update(path="a\0b"),
}


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    """The folder of a finished task, which the cache has under the key "key"."""
    folder = tmp_path / "small-1" / "source"
    (folder / "numbers").mkdir(parents=True)
    (folder / "numbers" / "numbers.txt").write_text("1234")
    cache.store(tmp_path, "key", folder, "small-1/source")
    reading.tell_passed_over.cache_clear()
    return folder


def restored(root: Path) -> str | None:
    """What the cache puts into a new folder under the key "key"; None if it answers nothing."""
    folder = root / "small-2" / "source"
    if cache.restore(root, "key", folder) is None:
        assert not folder.exists()
        return None
    return (folder / "numbers" / "numbers.txt").read_text()


def test_an_entry_answers_with_what_was_stored(stored: Path, tmp_path: Path) -> None:
    os.utime(stored / "numbers" / "numbers.txt", (1, 1))  # a copy of the pipeline root may not keep the times
    assert restored(tmp_path) == "1234"


@pytest.mark.parametrize("how", ENTRIES.values(), ids=list(ENTRIES))
def test_a_damaged_entry_answers_nothing(
    stored: Path, tmp_path: Path, how: Edit | bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "cache" / "key.json"
    damage(path, how)
    assert restored(tmp_path) is None
    assert restored(tmp_path) is None
    sentences = capsys.readouterr().err.splitlines()
    assert len(sentences) == 1, "once"
    assert sentences[0].startswith(f"penstock: {path} is damaged and passed over: ")
    cache.store(tmp_path, "key", stored, "small-1/source")
    assert restored(tmp_path) == "1234"


def test_a_run_goes_on_after_a_damaged_entry(run_gate: Run, tmp_path: Path) -> None:
    run_gate()
    for path in (tmp_path / "rüns" / "cache").iterdir():
        path.write_text("[1, 2]")
    assert statuses(run_gate()) == ["done", "done"]
    assert statuses(run_gate()) == ["cached", "cached"]


@pytest.mark.parametrize("linked", ["numbers/numbers.txt", "numbers", "."])
def test_a_link_that_leads_out_of_the_pipeline_root_is_not_followed(
    stored: Path, tmp_path: Path, linked: str, capsys: pytest.CaptureFixture[str]
) -> None:
    root, outside = tmp_path / "runs", tmp_path / "outside"
    folder = root / "small-1" / "source"
    shutil.copytree(stored, folder)
    cache.store(root, "key", folder, "small-1/source")
    (folder / linked).rename(outside)
    (folder / linked).symlink_to(outside)
    assert restored(root) is None
    assert "expected places below the pipeline root, found" in capsys.readouterr().err
    (root / "cache" / "key.json").unlink()
    cache.store(root, "key", folder, "small-1/source")
    assert restored(root) is None


def test_what_was_changed_with_its_size_and_time_kept_answers_nothing(stored: Path, tmp_path: Path) -> None:
    numbers = stored / "numbers" / "numbers.txt"
    times = numbers.stat()
    numbers.write_text("1239")
    os.utime(numbers, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert restored(tmp_path) is None
