"""The settings of a server: in JSON for whoever starts it, and the YAML file that lists models."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from penstock.components.model_server.settings import (
    Batching,
    ModelSettings,
    ServerSettings,
    Versions,
    parse,
    read_models,
)
from penstock.core.errors import ConfigError

TAXI = {"name": "taxi", "path": "/models/taxi"}


def test_settings_in_json() -> None:
    assert parse(json.dumps({"models": [TAXI]})) == ServerSettings((ModelSettings("taxi", "/models/taxi"),))
    text = {"models": [TAXI], "port": 0, "host": "::1", "timeout": 2, "batching": {"parallel": 2, "together": False}}
    settings = parse(json.dumps(text))
    assert (settings.port, settings.host, settings.timeout) == (0, "::1", 2.0)
    assert settings.batching == Batching(parallel=2, together=False)


def test_a_models_file(tmp_path: Path) -> None:
    file = tmp_path / "models.yaml"
    file.write_text(
        "models:\n"
        "  - {name: taxi, path: gs://bucket/taxi, versions: {latest: 2}, labels: {stable: 3, canary: 4}}\n"
        "  - {name: penguins, path: /models/penguins, versions: [3, 4]}\n"
        "  - {name: flights, path: /models/flights, versions: all}\n"
        "  - {name: one, path: one, versions: 7}\n"
    )
    models = (
        ModelSettings("taxi", "gs://bucket/taxi", Versions(latest=2), {"stable": 3, "canary": 4}),
        ModelSettings("penguins", "/models/penguins", Versions(pinned=frozenset({3, 4}))),
        ModelSettings("flights", "/models/flights", Versions(all=True)),
        ModelSettings("one", "one", Versions(pinned=frozenset({7}))),
    )
    assert read_models(file) == models
    assert parse(json.dumps({"models_file": str(file)})) == ServerSettings(models, file)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("models: []", "models: expected at least one, each with a name of its own, received []"),
        ("models: 3", "models: expected a list, received 3"),
        ("model: []", "unknown key 'model'; did you mean 'models'?"),
        ("models: [{name: a}]", "models[0].path: expected a folder, or gs:// or s3://, received None"),
        ("models: [{name: a/b, path: x}]", "models[0].name: expected a name without / and :, which stands in URLs"),
        ("models: [{name: a, path: x}, {name: a, path: y}]", "each with a name of its own, received ['a', 'a']"),
        ("models: [{name: a, path: x, versions: new}]", "models[0].versions: expected all, {latest: 2} or numbers"),
        ("models: [{name: a, path: x, versions: []}]", "models[0].versions: expected all, {latest: 2} or numbers"),
        ("models: [{name: a, path: x, versions: {latest: 0}}]", "versions.latest: expected a whole number, 1 or more"),
        ("models: [{name: a, path: x, labels: {s: x}}]", "models[0].labels.s: expected a whole number, 0 or more"),
        ("models: [", "models.yaml:1: "),
    ],
)
def test_a_mistake_in_a_models_file_is_named(tmp_path: Path, text: str, sentence: str) -> None:
    file = tmp_path / "models.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as raised:
        read_models(file)
    assert str(raised.value).startswith(str(file))
    assert sentence in str(raised.value)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"prot": 3}, "settings: unknown key 'prot'; did you mean 'port'?"),
        ({"port": "x"}, "port: expected a whole number, 0 or more, received 'x'"),
        ({"host": ""}, "host: expected a text, received ''"),
        ({"grpc": 1}, "grpc: expected true or false, received 1"),
        ({"timeout": 0}, "timeout: expected a number of seconds above 0, received 0"),
        ({"batching": {"rows": 3}}, "batching: unknown key 'rows'"),
        ({"batching": {"parallel": -1}}, "batching.parallel: expected a whole number, 0 or more, received -1"),
    ],
)
def test_a_mistake_in_settings_is_named(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse(json.dumps({"models": [TAXI], **values}))
    assert str(raised.value).startswith(sentence)


def test_a_models_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist: expected a YAML file that lists models"):
        read_models(tmp_path / "models.yaml")


def test_the_file_of_the_page_is_one(tmp_path: Path) -> None:
    page = (Path(__file__).resolve().parents[3] / "docs" / "serving.md").read_text()
    (block,) = re.findall(r"^```yaml\n(# models.yaml.*?)^```$", page, re.M | re.S)
    (tmp_path / "models.yaml").write_text(block)
    taxi, birds = read_models(tmp_path / "models.yaml")
    assert (taxi.versions, taxi.labels) == (Versions(latest=2), {"stable": 17, "canary": 18})
    assert birds == ModelSettings("birds", "s3://team-data/serving/birds")


def test_which_versions_are_chosen() -> None:
    existing = [3, 1, 12, 2]
    assert Versions().chosen(existing) == {12}
    assert Versions(latest=2).chosen(existing) == {3, 12}
    assert Versions(all=True).chosen(existing) == {1, 2, 3, 12}
    assert Versions(pinned=frozenset({2, 5})).chosen(existing) == {2}
    assert Versions().chosen([]) == set()
