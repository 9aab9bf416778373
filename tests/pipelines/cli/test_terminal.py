"""What others wrote goes to the terminal as text: it commands nothing, and can always be written."""

import io
import os
import sys
from pathlib import Path

import pytest

from penstock.pipelines.cli import main, terminal
from penstock.pipelines.local.records.record import RunRecord, TaskRecord

ESCAPE = "\x1b]31m"


def printed(capsys: pytest.CaptureFixture[str]) -> str:
    told = capsys.readouterr()
    text = told.out + told.err
    assert not any(ord(character) < 32 and character != "\n" for character in text)
    assert "\u202e" not in text
    return text


@pytest.mark.parametrize(
    "arguments",
    [
        [f"validate{ESCAPE}"],
        ["validate", f"--{ESCAPE}"],
        ["validate", f"{ESCAPE}\n\u202e.yaml"],
        ["validate", "CONFIG", "--label", f"{ESCAPE}\nlabel"],
        ["validate", "CONFIG", "--set", f"label.{ESCAPE}=1"],
        ["validate", "CONFIG", "--data", f"{ESCAPE}\n.csv"],
        ["lint", f"{ESCAPE}\n"],
        ["lint", "CONFIG", "--allow", f"{ESCAPE}\n"],
        ["compile", "CONFIG", "-o", "x.yaml", "--target", f"{ESCAPE}\n"],
        ["submit", "CONFIG", "--param", f"{ESCAPE}\n=1"],
        ["predict", f"{ESCAPE}\n"],
        ["explain", f"{ESCAPE}\n"],
    ],
)
def test_an_argument_is_told_as_it_can_be_seen(
    config: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert main.main([str(config) if argument == "CONFIG" else argument for argument in arguments]) == 2
    assert "\\x1b]31m" in printed(capsys)


def test_names_in_the_data_are_told_as_they_can_be_seen(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (config.parent / "data.csv").write_text(f'"{ESCAPE}a\nb",label\n1,0\n')
    assert main.main(["validate", str(config), "--label", "lable"]) == 2
    assert "the columns are \\x1b]31ma\\nb, label" in printed(capsys)


def test_what_a_run_left_is_told_as_it_can_be_seen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tasks = [TaskRecord("trainer", "done", reason=f"parameter {ESCAPE}a\nb is new")]
    RunRecord("flights", tmp_path, {}, "done", tasks=tasks).write()
    assert main.main(["explain", str(tmp_path)]) == 0
    assert printed(capsys).startswith("trainer  done     parameter \\x1b]31ma\\nb is new\n\nwhy ")


def test_a_terminal_without_the_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="latin-1"))
    terminal.ready()
    terminal.tell("✓ größe \udcff")
    sys.stdout.flush()
    assert written.getvalue() == b"\\u2713 gr\xf6\xdfe \\udcff\n"


@pytest.mark.parametrize("name", ["x" * 252, "ä" * 127, "/".join(["x" * 200] * 3), os.fsdecode(b"caf\xe9"), "a\nb"])
def test_a_project_may_have_any_name_that_a_folder_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main.main(["init", name]) == 0
    assert (tmp_path / name / "pipeline.yaml").is_file()
    printed(capsys)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("x" * 300, "the name is too long"), ("x/" * 3000, "the name is too long"), ("/proc/x", "No such file")],
)
@pytest.mark.parametrize("command", [["init"], ["components", "-o"]], ids=" ".join)
def test_a_name_that_no_folder_has(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: list[str],
    name: str,
    sentence: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main.main([*command, name]) == 2
    shown = printed(capsys)
    assert sentence in shown
    assert shown.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
