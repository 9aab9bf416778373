"""The command line: exit codes, and one sentence for each mistake."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from penstock.core import artifacts
from penstock.core.errors import SystemFailure
from penstock.core.examples import records
from penstock.core.files import atomic
from penstock.pipelines import local
from penstock.pipelines.cli import main
from penstock.pipelines.cli.init import TEMPLATE
from penstock.pipelines.local.records.cache import Key
from penstock.pipelines.local.records.record import Output, RunRecord, TaskRecord


def test_validate(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["validate", str(config)]) == 0
    assert main.main(["validate", str(config.parent)]) == 0
    assert capsys.readouterr().out == f"{config}: valid\n" * 2
    assert not (config.parent / "runs").exists()


def test_config_is_pipeline_yaml_of_the_current_folder(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(config.parent)
    assert main.main(["validate"]) == 0
    config.unlink()
    assert main.main(["validate"]) == 2


def test_validate_lists_the_keys(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["validate", "--keys"]) == 0
    lines = capsys.readouterr().out.splitlines()
    told = {line.split()[0]: " ".join(line.split()[1:]) for line in lines}
    assert told["training.train_steps"].startswith("whole number, by default 0: FnArgs.train_steps;")
    assert told["training.train_splits"].startswith('[text], by default ["train"]: Splits')
    assert told["evaluation.slices"].startswith("[text or [text] or {name: text or whole number}]: Slices")
    assert told["data.path"].startswith("text or [text]: A file, a folder")
    assert told["data.format"].startswith("avro or csv or json or orc or parquet or tfrecord: ")
    assert told["training"].startswith("section: ")
    assert told["splits.hash_buckets"].startswith('{name: whole number}, by default {"train": 2, "eval": 1}: ')
    assert told["name"].startswith("text: The pipeline's name")


def test_mistake_in_the_configuration(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config.write_text(config.read_text().replace("train_steps", "train_step"))
    assert main.main(["validate", str(config)]) == 2
    told = capsys.readouterr()
    assert told.err == "penstock: pipeline.yaml:7: unknown key 'training.train_step'; did you mean 'train_steps'?\n"
    assert told.out == ""


def test_several_mistakes_are_listed_below(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["validate", str(config), "--set", "labell=x", "--set", "training.train_steps=x"]) == 2
    first, *others = capsys.readouterr().err.splitlines()
    assert first == "penstock: pipeline.yaml has 2 mistakes"
    assert sorted(line.split(":")[0] for line in others) == ["  --set labell", "  --set training.train_steps"]


def test_missing_function_of_the_module(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (config.parent / "module.py").write_text("def run_func(fn_args): ...\n")
    assert main.main(["compile", str(config), "-o", str(config.parent / "ir.yaml")]) == 2
    assert "module.py: expected a function 'run_fn'; did you mean 'run_func'?" in capsys.readouterr().err
    assert not (config.parent / "ir.yaml").exists()


def test_details_are_indented(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (config.parent / "module.py").write_text("def run_fn(:\n")
    assert main.main(["validate", str(config)]) == 2
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
        (["init", ""], "expected the name of a new folder, such as `penstock init myproject`"),
        (["explain", "nix"], "no configuration at nix"),
        (["compile", "nix.yaml", "-o", "x.yaml", "--target", "locl"], "unknown target 'locl'; did you mean 'local'?"),
        (["compile", "nix.yaml", "-o", "x.json"], "-o x.json: expected a name that ends in .yaml"),
        (["components", "-o", "x", "--image", "reg/foo"], "image reg/foo: without a tag a node may run any version"),
    ],
)
def test_wrong_usage(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(arguments) == 2
    told = capsys.readouterr().err
    assert told.startswith("penstock: ")
    assert message in told


@pytest.mark.parametrize("command", ["validate", "run", "submit", "lint", "explain", "runs", "predict"])
def test_a_pipe_is_not_waited_for(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(tmp_path / "pipeline.yaml")
    assert main.main([command, str(tmp_path / "pipeline.yaml")]) == 2
    assert "/pipeline.yaml is a named pipe: expected a " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("module.py", ["module_file=module.py"]),
        ("helper.py", []),
        ("data.bin", []),
        ("schema.pbtxt", ["schema.file=schema.pbtxt"]),
    ],
)
def test_a_file_that_opens_but_cannot_be_read(
    config: Path, name: str, settings: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    module = config.parent / "module.py"
    module.write_text(f"import helper\n_PLACE = __file__\n{module.read_text()}")
    (config.parent / "helper.py").write_text("")
    (config.parent / name).unlink(missing_ok=True)
    (config.parent / name).symlink_to("/proc/self/mem")  # its first byte is an error, as on a disk that fails
    sets = [argument for setting in settings for argument in ("--set", setting)]
    assert main.main(["compile", str(config), "-o", str(config.parent / "ir.yaml"), *sets]) == 2
    assert "it cannot be read: Input/output error" in capsys.readouterr().err


def test_the_end_of_a_file_is_no_interrupt(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To click, EOFError is Ctrl-D. Where it is ours, it is no less a defect than any other error."""

    def read(*_: object) -> None:
        raise EOFError("Ran out of input")

    monkeypatch.setattr("penstock.pipelines.modules.published.check", read)
    with pytest.raises(EOFError, match="Ran out of input"):
        main.main(["validate", str(config)])


def test_no_command_is_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main([]) == 2
    told = capsys.readouterr()
    assert told.err.startswith("Usage: penstock [OPTIONS] COMMAND")
    assert "see `penstock --help`" not in told.err


def test_compile_writes_kfps_yaml(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = config.parent / "out" / "ir.yaml"
    assert main.main(["compile", str(config), "--target", "local", "-o", str(target), "--label", "a"]) == 0
    spec = yaml.safe_load(target.read_text())
    assert spec["pipelineInfo"]["name"] == "small"
    reader = spec["root"]["dag"]["tasks"]["csv-example-gen"]["inputs"]["parameters"]
    assert reader["label"]["runtimeValue"]["constant"] == "a"
    assert "small for target local" in capsys.readouterr().out


def test_compile_tells_what_the_target_leaves_out(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = config.parent / "ir.yaml"
    command = ["compile", str(config), "-o", str(target), "--set", "kubernetes.trainer={timeout: 60}"]
    assert main.main([*command, "--target", "vertex"]) == 0
    assert "warning: kubernetes: target vertex does not run on Kubernetes and leaves out trainer.timeout" in (
        capsys.readouterr().err
    )
    assert main.main([*command, "--target", "kubeflow"]) == 0
    assert "leaves out" not in capsys.readouterr().err


def test_data_is_relative_to_the_current_folder(config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere.csv").write_text("a,label\n1,0\n")
    monkeypatch.chdir(tmp_path)
    target = tmp_path / "ir.yaml"
    assert main.main(["compile", str(config), "-o", str(target), "--data", "elsewhere.csv"]) == 0
    defaults = yaml.safe_load(target.read_text())["root"]["inputDefinitions"]["parameters"]
    assert defaults["input_base"]["defaultValue"] == str(tmp_path)
    assert main.main(["validate", str(config), "--set", "data.path=elsewhere.csv"]) == 2


def test_init_says_what_a_shell_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main.main(["init", "my birds"]) == 0
    assert capsys.readouterr().out.endswith("\ncd 'my birds' && penstock run\n")


def test_init_writes_the_template_and_overwrites_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "birds"
    assert main.main(["init", str(folder)]) == 0
    written = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert written == {"README.md", "pipeline.yaml", "pipeline.schema.json", "data/penguins.csv"}
    hint = (folder / "pipeline.yaml").read_text().splitlines()[0]
    assert hint == "# yaml-language-server: $schema=pipeline.schema.json"
    assert (folder / "data" / "penguins.csv").read_bytes() == (TEMPLATE / "data" / "penguins.csv").read_bytes()
    assert main.main(["validate", str(folder)]) == 0
    (folder / "pipeline.yaml").write_text("mine")
    capsys.readouterr()
    assert main.main(["init", str(folder)]) == 2
    assert "exists already" in capsys.readouterr().err
    assert (folder / "pipeline.yaml").read_text() == "mine"


def test_shipped_penguins_are_the_packages(penguins_csv: Path) -> None:
    assert (TEMPLATE / "data" / "penguins.csv").read_bytes() == penguins_csv.read_bytes()


def test_nothing_to_show_before_the_first_run(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["runs", str(config)]) == 0
    assert "no run of small in" in capsys.readouterr().out
    assert main.main(["explain", str(config)]) == 2
    assert "no run of small in" in capsys.readouterr().err
    assert main.main(["predict", str(config)]) == 2
    assert "no model of small yet" in capsys.readouterr().err


def test_predict_says_what_it_expects(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = config.parent / "runs" / "small" / "small-2026-01-02"
    examples = artifacts.Examples(run / "csv-example-gen" / "examples")
    for split in ("train", "eval"):
        records.write(examples.shard(split, 0, 1), [b"x"])
    pushed = config.parent / "serving" / "17"
    for model in (pushed, run / "trainer" / "model" / "Format-Serving"):
        atomic.write_bytes(model / "saved_model.pb", b"")
    key, outputs = Key("csv_example_gen", "", "", {}, {}), {"examples": Output(uri=str(examples.root), metadata={})}
    task = TaskRecord("csv-example-gen", "done", key=key, outputs=outputs)
    RunRecord("small", run, {}, status="done", tasks=[task]).write()
    inside = str(run / "trainer" / "model")
    for arguments, told in [
        ([str(config), "--split", "foo"], "no split 'foo' in small-2026-01-02: expected --split to be one of eval, tr"),
        ([inside, "--split", "foo"], "no split 'foo' in small-2026-01-02: expected --split to be one of eval, train"),
        (["nope"], "penstock: nope does not exist: expected a configuration (a YAML file, or a folder with pipeline.y"),
        ([str(config.parent / "serving" / "x")], "x does not exist: expected a configuration"),
        ([str(run)], "small-2026-01-02: this run has no model: expected one that has trained"),
        ([str(pushed)], "17 is in no run's folder, so it has no examples beside it: expected --examples FILE"),
    ]:
        assert main.main(["predict", *arguments]) == 2
        assert told in capsys.readouterr().err


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
    assert main.main(["run", str(config)]) == code
    assert capsys.readouterr().err.lstrip("\n").startswith(told)  # click ends the line of ^C


@pytest.mark.slow
def test_an_interrupted_run_says_how_to_go_on(config: Path) -> None:
    command = [sys.executable, "-m", "penstock.pipelines.cli.main", "run", str(config)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not (found := list(config.parent.glob("runs/small/small-*/run.json"))):  # its imports take longer
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "penstock: interrupted\n  run again to go on: finished tasks come from the cache\n" in told
    assert told.endswith(f"  run {found[0].parent}\n")


@pytest.mark.slow
def test_without_the_runtime_the_extra_is_named(config: Path) -> None:
    """In an interpreter that cannot find TensorFlow, as after an install without extras."""
    code = (
        "import importlib.util, sys\n"
        "find, missing = importlib.util.find_spec, ('tensorflow', 'tfx_bsl')\n"
        "importlib.util.find_spec = lambda name, *rest: None if name.startswith(missing) else find(name, *rest)\n"
        "from penstock.pipelines.cli.main import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, "run", str(config)], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("penstock: ")
    assert "-m pip install '.[runtime]'" in done.stderr
    assert len(done.stderr.splitlines()) == 1
