"""The commands endpoints, promote and rollback: what they print, and what they answer to mistakes."""

import json
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from penstock.components.pusher import destinations
from penstock.core.artifacts import SavedModel
from penstock.core.services import retries, waiting
from penstock.pipelines.cli.main import main
from penstock.pipelines.cli.options import load
from penstock.pipelines.cli.output import schema
from tests.servers.loopback import Status
from tests.servers.mounts import as_mounted
from tests.servers.sagemaker import REGION, SageMaker

PAGE = Path(__file__).parents[3] / "docs" / "pushing.md"
PUSH = {
    "directory": "serving",
    "sagemaker": {
        "endpoint": "taxi",
        "storage": "s3://models/taxi",
        "role": "arn:aws:iam::123456789012:role/serving",
        "image": "123456789012.dkr.ecr.us-east-1.amazonaws.com/penstock-serving:1.0",
        "region": REGION,
        "canary": 10,
    },
}


def model(folder: Path) -> Path:
    """Makes a model, whatever it holds."""
    made = SavedModel(folder)
    made.root.mkdir(parents=True)
    made.path.write_text(folder.name)
    return folder


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SageMaker]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    as_mounted(monkeypatch, "s3", tmp_path / "s3", tmp_path / "mountinfo")
    for module in (waiting, retries):
        monkeypatch.setattr(module, "PAUSE", 0.0)
    with SageMaker() as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER", server.url)
        yield server


@pytest.fixture
def push(tmp_path: Path) -> Callable[[str], list[str]]:
    """Returns a function that pushes a model, whatever it holds, to every destination; returns its versions."""

    def push(name: str, *keys: str) -> list[str]:
        made = model(tmp_path / "models" / name)
        there = {"filesystem": {"base_directory": str(tmp_path / "serving")}, "sagemaker": PUSH["sagemaker"]}
        chosen = {key: value for key, value in there.items() if not keys or key in keys}
        return [destinations.push(one, made).version for one in destinations.read(json.dumps(chosen))]

    return push


@pytest.fixture
def pipeline(tmp_path: Path) -> Callable[..., Path]:
    """Returns a function that writes a configuration with a push section."""

    def write(push: dict[str, Any] | None) -> Path:
        (tmp_path / "data.csv").write_text("a,b\n1,2\n")
        values = {"data": {"path": "data.csv"}, "label": "b", "push": push}
        path = tmp_path / "pipeline.yaml"
        path.write_text(yaml.safe_dump(values))
        return path

    return write


def lines(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


def test_from_the_first_push_to_a_rollback(
    server: SageMaker,
    push: Callable[..., list[str]],
    pipeline: Callable[..., Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    config = str(pipeline(PUSH))
    assert main(["endpoints", config]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{tmp_path}/serving: nothing serves there yet",
        "",
        "SageMaker endpoint taxi: nothing serves there yet",
    ]
    old, new = push("old"), push("new")
    assert main(["endpoints", config]) == 0
    out = lines(capsys.readouterr().out)
    header = ["VERSION", "SHARE", "STATE", "CREATED", "MODEL"]
    assert out[:2] == [[f"{tmp_path}/serving"], header]
    assert [row[:4] for row in out[2:4]] == [[new[0], "100", "%", "serves"], [old[0], "0", "%", "previous"]]
    assert out[5:7] == [["SageMaker", "endpoint", "taxi"], header]
    assert [row[:4] for row in out[7:]] == [[old[1], "90", "%", "serves"], [new[1], "10", "%", "canary"]]

    assert main(["promote", config]) == 0
    assert capsys.readouterr().out == f"SageMaker endpoint taxi: version {new[1]} has 100 %\n"
    assert main(["promote", config]) == 2
    assert (
        f"penstock: SageMaker endpoint taxi: there is no canary: version {new[1]} has 100 %" in capsys.readouterr().err
    )
    assert main(["rollback", config, "--only", "sagemaker"]) == 0
    assert capsys.readouterr().out == f"SageMaker endpoint taxi: version {old[1]} has 100 %\n"

    assert main(["endpoints", config, "--json"]) == 0
    folder, service = json.loads(capsys.readouterr().out)["result"]["destinations"]
    assert (folder["destination"], folder["endpoint"]) == ("filesystem", f"{tmp_path}/serving")
    assert service["endpoint"] == f"arn:aws:sagemaker:{REGION}:123456789012:endpoint/taxi"
    deployments = [(one["version"], one["percent"], one["canary"], one["healthy"]) for one in service["deployments"]]
    assert deployments == [(old[1], 100, False, True), (new[1], 0, False, None)]
    assert len(service["deployments"][0]["digest"]) == 64

    assert main(["rollback", config]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith(f"{tmp_path}/serving: version ")
    assert out[1] == f"SageMaker endpoint taxi: version {new[1]} has 100 %"


def test_a_canary_in_a_folder(
    pipeline: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = pipeline({"directory": "serving", "canary": 10})
    (place,) = destinations.read(json.dumps(load(config).push.destination))  # type: ignore[union-attr]
    old, new = (destinations.push(place, model(tmp_path / name)).version for name in ("old", "new"))
    assert main(["endpoints", str(config)]) == 0
    rows = [row[:4] for row in lines(capsys.readouterr().out)[2:]]
    assert rows == [[old, "90", "%", "serves"], [new, "10", "%", "canary"]]
    assert main(["promote", str(config)]) == 0
    assert capsys.readouterr().out == f"{tmp_path}/serving: version {new} has 100 %\n"
    assert main(["rollback", str(config)]) == 0
    assert capsys.readouterr().out == f"{tmp_path}/serving: version {old} has 100 %\n"


def test_the_commands_of_the_page_run(
    server: SageMaker,
    push: Callable[..., list[str]],
    pipeline: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pipeline(PUSH)
    push("old"), push("new")
    monkeypatch.chdir(tmp_path)
    commands = [
        shlex.split(line, comments=True)[1:]
        for block in re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(), re.M | re.S)
        for line in block.splitlines()
    ]
    assert [words[0] for words in commands] == ["endpoints", "endpoints", "promote", "rollback", "rollback"]
    assert [main(words) for words in commands] == [0] * 5


def test_one_destination_that_fails_hides_nothing_of_the_others(
    server: SageMaker, push: Callable[..., list[str]], pipeline: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    config = str(pipeline(PUSH))
    push("old"), push("new", "filesystem")
    server.fail("POST", "DescribeEndpoint", *[Status(500, "InternalFailure")] * 9)
    assert main(["endpoints", config, "--only", "sagemaker"]) == 1
    assert capsys.readouterr().out == ""
    assert main(["endpoints", config]) == 1
    out, err = capsys.readouterr()
    assert "serves" in out
    assert err.startswith(f"penstock: {server.url} failed (500: ")
    assert main(["rollback", config, "--json"]) == 1
    out, err = capsys.readouterr()
    assert "/serving: version" in err, "at once, while the others are asked"
    assert "failed (500" in err
    document = json.loads(out)
    jsonschema.Draft202012Validator(schema.schema()).validate(document)
    (changed,) = document["result"]["destinations"]
    assert (changed["destination"], changed["percent"], changed["notes"]) == ("filesystem", 100, [])
    assert changed["version"] in err
    assert "failed (500" in document["error"]["message"]


@pytest.mark.parametrize(
    ("push_section", "arguments", "sentence"),
    [
        (None, ["endpoints"], "expected a push section, which says where models are served"),
        ({"directory": "serving"}, ["promote"], "the folder has no canary: expected push.canary"),
        ({"directory": "serving"}, ["rollback"], "serving: it holds no version: there is none to roll back to"),
        ({"directory": "serving"}, ["rollback", "--only", "folder"], "--only folder: the configuration pushes to no"),
        ({"directory": "serving"}, ["promote", "--only", "filesystem"], "a folder has no canary: its newest version"),
        (PUSH, ["promote"], "SageMaker endpoint taxi: no version serves there yet: the Pusher of a run pushes the"),
    ],
)
def test_mistakes(
    server: SageMaker,
    pipeline: Callable[..., Path],
    push_section: dict[str, Any] | None,
    arguments: list[str],
    sentence: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([*arguments[:1], str(pipeline(push_section)), *arguments[1:]]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert sentence in err
    assert err.count("\n") == 1
