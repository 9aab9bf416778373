"""What a run was made of: the configuration, the user's files, the commit."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from penstock.pipelines.config.training_pipeline import Config
from penstock.pipelines.local.records import origin, record
from penstock.pipelines.local.records.origin import Origin
from penstock.pipelines.local.records.record import RunRecord


def git(folder: Path, *words: str) -> None:
    settings = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
    subprocess.run(["git", *settings, *words], cwd=folder, check=True, capture_output=True)


def test_what_is_kept(load: Callable[..., Config], project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = load(["training.custom_config={password: hunter2hunter2}"])
    made = origin.of(config, {"/copies/module.py": "module.py"})
    assert made.configuration["label"] == "label"
    assert made.configuration["training"]["train_steps"] == 10
    assert "splits" not in made.configuration, "a default"
    assert {"Python", "kfp"} <= made.versions.keys()
    assert (made.commit, made.edited) == ("", False)
    RunRecord("small", project / "run", {}, origin=made).write()
    assert "hunter2" not in (project / "run" / record.FILE).read_text()
    assert record.read(project / "run").origin.modules == made.modules
    monkeypatch.setenv("PATH", "/nowhere")
    assert origin.of(config, {}).commit == ""


def test_the_commit_of_the_project(load: Callable[..., Config], project: Path) -> None:
    config = load()
    git(project, "init", "--quiet")
    git(project, "add", "module.py")
    git(project, "commit", "--quiet", "--message", "first")
    made = origin.of(config, {})
    assert len(made.commit) == 40
    assert not made.edited, "what Git is not told of does not count"
    (project / "module.py").write_text("pass\n")
    assert origin.of(config, {}).edited


def test_a_record_of_an_older_version_has_none(recorded: Callable[..., RunRecord]) -> None:
    run = recorded(1)
    path = run.folder / record.FILE
    path.write_text(path.read_text().replace('"origin"', '"unknown"'))
    assert record.read(run.folder).origin == Origin()
