"""docs/kserve_collector.yaml: what Kubernetes takes, and a command that there is."""

import shlex
from pathlib import Path
from typing import Any

import yaml
from click.testing import CliRunner

from penstock.components.event_collector import server
from penstock.components.event_collector.settings import Settings
from penstock.pipelines.cli.main import cli
from tests.servers.openapi_models import check

FILE = Path(__file__).parents[3] / "docs" / "kserve_collector.yaml"


def test_the_manifest_is_what_kubernetes_takes() -> None:
    deployment, service, claim = yaml.safe_load_all(FILE.read_text())
    check("V1Deployment", deployment)
    check("V1Service", service)
    check("V1PersistentVolumeClaim", claim)
    pod = deployment["spec"]["template"]
    assert deployment["spec"]["selector"]["matchLabels"] == service["spec"]["selector"] == pod["metadata"]["labels"]
    (volume,) = pod["spec"]["volumes"]
    assert volume["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]


def test_its_command_is_one(monkeypatch: Any) -> None:
    deployment = next(yaml.safe_load_all(FILE.read_text()))
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    asked: list[Settings] = []
    monkeypatch.setattr(server, "collect", asked.append)
    *interpreter, command = container["command"]
    assert shlex.join(interpreter) == "python3 -m penstock.pipelines.cli.main"
    result = CliRunner().invoke(cli, [command, *container["args"]])
    assert result.exit_code == 0, result.output
    assert asked == [Settings("/data/requests", Path("/data/journals"), "$(NAMESPACE)", "0.0.0.0", 8080)]
    assert container["ports"][0]["containerPort"] == asked[0].port
