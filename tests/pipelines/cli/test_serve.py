"""`penstock serve`: which model it takes, by the command line or a container's environment, and how it ends."""

import json
import os
import signal
import subprocess
import urllib.request
from pathlib import Path

import pytest

from penstock.components.model_server.operation.settings import Events
from penstock.components.model_server.settings import ServerSettings
from penstock.core.errors import ConfigError, PenstockError, UserError
from penstock.pipelines.cli import serve
from tests.components.model_server.conftest import save_linear


def write_model(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "saved_model.pb").touch()
    return folder


def served(argument: str, name: str | None = None) -> tuple[str, str]:
    model = serve.model_of(None, argument, name)
    return model.name, model.path


def test_a_models_name_is_its_folders(tmp_path: Path) -> None:
    write_model(tmp_path / "taxi" / "serving" / "17")
    for folder in (tmp_path / "taxi", tmp_path / "taxi" / "serving", tmp_path / "taxi" / "serving" / "17")[1:]:
        assert served(str(folder)) == ("taxi", str(folder))
    assert served(str(tmp_path / "taxi" / "serving"), "fares")[0] == "fares"
    assert served("gs://bucket/models/taxi/") == ("taxi", "gs://bucket/models/taxi/")
    assert served("gs://models/")[0] == "model"


def test_what_a_configuration_has_pushed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.csv").write_text("a,b\n1,2\n")
    config = tmp_path / "pipeline.yaml"
    config.write_text("name: fares\ndata: {path: data.csv}\nlabel: b\npush: {directory: pushed}\n")
    with pytest.raises(UserError, match=r"no model of fares in .*pushed yet: `penstock run` pushes one"):
        served("")
    (tmp_path / "pushed" / "2").mkdir(parents=True)
    (tmp_path / "pushed" / "2" / "model.pkl").touch()
    with pytest.raises(UserError, match="pushed holds no SavedModel"):
        served("")
    write_model(tmp_path / "pushed" / "3")
    for argument in ("", "pipeline.yaml", str(tmp_path)):
        assert served(argument) == ("fares", str(tmp_path / "pushed"))


@pytest.mark.parametrize("option", [["taxi"], ["--name", "taxi"], ["--version", "3"]])
def test_a_file_of_models_names_all_of_them(tmp_path: Path, option: list[str]) -> None:
    file = tmp_path / "models.yaml"
    file.write_text("models:\n  - {name: taxi, path: taxi}\n")
    with pytest.raises(UserError, match="expected no PATH, --name or --version"):
        serve.serve.main([*option, "--models", str(file)], standalone_mode=False)


@pytest.mark.parametrize(
    ("argument", "sentence"),
    [
        ("nothing", "nothing does not exist: expected a model's folder"),
        (".", "holds no model: expected a SavedModel"),
        ("other.yaml", "no configuration at other.yaml"),
        ("", "no configuration at pipeline.yaml"),
    ],
)
def test_no_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, argument: str, sentence: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PenstockError, match=sentence):
        served(argument)


def test_the_contracts_of_containers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    vertex = serve.contract_of("", {"AIP_STORAGE_URI": "gs://bucket/model", "AIP_HTTP_PORT": "8085"})
    assert vertex == serve.Contract("gs://bucket/model", 8085)
    assert serve.contract_of("serve", {}) == serve.Contract("/opt/ml/model", 8080)
    assert serve.contract_of("serve", {"SAGEMAKER_BIND_TO_PORT": "8081"}) == serve.Contract("/opt/ml/model", 8081)
    assert serve.contract_of("model", {}) is None
    assert serve.contract_of("", {}) is None  # there is no /mnt/models
    monkeypatch.setattr(serve, "_KSERVE", str(tmp_path))
    assert serve.contract_of("", {}) == serve.Contract(str(tmp_path), 8080)
    assert serve.model_of(serve.contract_of("", {}), "", None).name == "model"
    with pytest.raises(ConfigError, match="AIP_HTTP_PORT: expected a port, received 'x'"):
        serve.contract_of("", {"AIP_STORAGE_URI": "gs://bucket/model", "AIP_HTTP_PORT": "x"})


def test_a_server_from_its_start_to_its_end(python: str, tmp_path: Path) -> None:
    save_linear(tmp_path / "linear")
    command = [python, "-m", "penstock.pipelines.cli.main", "serve", str(tmp_path / "linear"), "--port", "0"]
    with (
        open(tmp_path / "errors", "w+") as errors,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True) as process,
    ):
        assert process.stdout is not None
        url = json.loads(process.stdout.readline())["http"]
        while not _is_ready(url):
            assert process.poll() is None
        body = json.dumps({"instances": [1]}).encode()
        with urllib.request.urlopen(f"{url}/v1/models/linear:predict", body) as answer:
            assert json.load(answer) == {"predictions": [3.0]}
        taken = subprocess.run(
            [*command[:-1], url.rpartition(":")[2]], capture_output=True, text=True, env=os.environ, check=False
        )
        assert (taken.returncode, "cannot listen at 127.0.0.1" in taken.stderr) == (2, True)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        errors.seek(0)
        log = errors.read()
    assert f"ready at {url} after " in log
    assert "Traceback" not in log


def _is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/v2/health/ready") as answer:
            return bool(answer.status == 200)
    except urllib.error.HTTPError:
        return False


@pytest.mark.parametrize(
    ("written", "options", "service"),
    [("", [], "taxi"), ("", ["--name", "cabs"], "cabs"), ("events: {url: 'http://x/', service: own}", [], "own")],
)
def test_events_have_the_name_of_the_only_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str, options: list[str], service: str
) -> None:
    asked: list[ServerSettings] = []
    monkeypatch.setattr(serve, "_run", asked.append)
    (tmp_path / "operation.yaml").write_text(written)
    write_model(tmp_path / "taxi" / "1")
    arguments = [str(tmp_path / "taxi"), "--events", "http://sink/", *options]
    arguments += ["--operation", str(tmp_path / "operation.yaml")] if written else []
    serve.serve.main(arguments, standalone_mode=False)
    assert asked[0].operation.events == Events("http://sink/", service=service)
