"""The command line: exit codes, and one sentence for each mistake."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from penstock.components.errors import SystemFailure
from penstock.pipelines import cli, local
from penstock.pipelines.init import TEMPLATE


def test_validate(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["validate", str(config)]) == 0
    assert cli.main(["validate", str(config.parent)]) == 0
    assert capsys.readouterr().out == f"{config}: valid\n" * 2
    assert not (config.parent / "runs").exists()


def test_config_is_pipeline_yaml_of_the_current_folder(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(config.parent)
    assert cli.main(["validate"]) == 0
    config.unlink()
    assert cli.main(["validate"]) == 2


def test_validate_lists_the_keys(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["validate", "--keys"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("training.train_steps ") for line in lines)


def test_mistake_in_the_configuration(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config.write_text(config.read_text().replace("train_steps", "train_step"))
    assert cli.main(["validate", str(config)]) == 2
    told = capsys.readouterr()
    assert told.err == "penstock: pipeline.yaml:7: unknown key 'training.train_step'; did you mean 'train_steps'?\n"
    assert told.out == ""


def test_several_mistakes_are_listed_below(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["validate", str(config), "--set", "labell=x", "--set", "training.train_steps=x"]) == 2
    first, *others = capsys.readouterr().err.splitlines()
    assert first == "penstock: pipeline.yaml has 2 mistakes"
    assert sorted(line.split(":")[0] for line in others) == ["  --set labell", "  --set training.train_steps"]


def test_missing_function_of_the_module(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (config.parent / "module.py").write_text("def run_func(fn_args): ...\n")
    assert cli.main(["compile", str(config), "-o", str(config.parent / "ir.yaml")]) == 2
    assert "module.py: expected a function 'run_fn'; did you mean 'run_func'?" in capsys.readouterr().err
    assert not (config.parent / "ir.yaml").exists()


def test_details_are_indented(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (config.parent / "module.py").write_text("def run_fn(:\n")
    assert cli.main(["validate", str(config)]) == 2
    sentence, detail = capsys.readouterr().err.splitlines()
    assert "module.py:1: this is not Python" in sentence
    assert detail == "  def run_fn(:"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["runn"], "No such command 'runn'"),
        (["validate", "--sett", "a=b"], "No such option"),
        (["compile"], "Missing option"),
        (["validate", "nix.yaml"], "no configuration at nix.yaml: expected a YAML file"),
        (["explain", "nix"], "no configuration at nix"),
        (["compile", "nix.yaml", "-o", "x", "--target", "locl"], "unknown target 'locl'; did you mean 'local'?"),
    ],
)
def test_wrong_usage(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(arguments) == 2
    told = capsys.readouterr().err
    assert told.startswith("penstock: ")
    assert message in told


def test_compile_writes_kfps_yaml(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = config.parent / "out" / "ir.yaml"
    assert cli.main(["compile", str(config), "--target", "local", "-o", str(target), "--label", "a"]) == 0
    spec = yaml.safe_load(target.read_text())
    assert spec["pipelineInfo"]["name"] == "small"
    reader = spec["root"]["dag"]["tasks"]["csv-example-gen"]["inputs"]["parameters"]
    assert reader["label"]["runtimeValue"]["constant"] == "a"
    assert "small for target local" in capsys.readouterr().out


def test_data_is_relative_to_the_current_folder(config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere.csv").write_text("a,label\n1,0\n")
    monkeypatch.chdir(tmp_path)
    target = tmp_path / "ir.yaml"
    assert cli.main(["compile", str(config), "-o", str(target), "--data", "elsewhere.csv"]) == 0
    defaults = yaml.safe_load(target.read_text())["root"]["inputDefinitions"]["parameters"]
    assert defaults["input_base"]["defaultValue"] == str(tmp_path)
    assert cli.main(["validate", str(config), "--set", "data.path=elsewhere.csv"]) == 2


def test_init_says_what_a_shell_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["init", "my birds"]) == 0
    assert capsys.readouterr().out.endswith("\ncd 'my birds' && penstock run\n")


def test_init_writes_the_template_and_overwrites_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "birds"
    assert cli.main(["init", str(folder)]) == 0
    written = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert written == {"README.md", "pipeline.yaml", "pipeline.schema.json", "penguins.py", "data/penguins.csv"}
    hint = (folder / "pipeline.yaml").read_text().splitlines()[0]
    assert hint == "# yaml-language-server: $schema=pipeline.schema.json"
    assert (folder / "data" / "penguins.csv").read_bytes() == (TEMPLATE / "data" / "penguins.csv").read_bytes()
    assert cli.main(["validate", str(folder)]) == 0
    (folder / "pipeline.yaml").write_text("mine")
    capsys.readouterr()
    assert cli.main(["init", str(folder)]) == 2
    assert "exists already" in capsys.readouterr().err
    assert (folder / "pipeline.yaml").read_text() == "mine"


def test_shipped_penguins_are_the_packages(penguins_csv: Path) -> None:
    assert (TEMPLATE / "data" / "penguins.csv").read_bytes() == penguins_csv.read_bytes()


def test_nothing_to_show_before_the_first_run(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["runs", str(config)]) == 0
    assert "no run of small in" in capsys.readouterr().out
    assert cli.main(["explain", str(config)]) == 2
    assert "no run of small in" in capsys.readouterr().err
    assert cli.main(["predict", str(config)]) == 2
    assert "no model of small yet" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (KeyboardInterrupt(), 130, "penstock: interrupted\n"),
        (SystemFailure("a worker was lost", "log"), 1, "penstock: a worker was lost\n  log\n"),
        (OSError(28, "No space left on device", "/x"), 2, "penstock: the disk is full while writing /x"),
    ],
)
def test_exit_codes(
    config: Path,
    error: BaseException,
    code: int,
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(local, "run", fail)
    assert cli.main(["run", str(config)]) == code
    assert capsys.readouterr().err.lstrip("\n").startswith(told)  # click ends the line of ^C


def test_without_the_runtime_the_extra_is_named(config: Path) -> None:
    """In an interpreter that cannot find TensorFlow, as after a plain `pip install penstock`."""
    code = (
        "import importlib.util, sys\n"
        "find, missing = importlib.util.find_spec, ('tensorflow', 'tfx_bsl')\n"
        "importlib.util.find_spec = lambda name, *rest: None if name.startswith(missing) else find(name, *rest)\n"
        "from penstock.pipelines.cli import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, "run", str(config)], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("penstock: ")
    assert "'penstock[runtime]'" in done.stderr
    assert len(done.stderr.splitlines()) == 1
