"""What a webhook gets, how it is signed in to, and what its failures say."""

from collections.abc import Callable
from pathlib import Path

import pytest

from penstock.core.errors import ServerError
from tests.components.alerter.conftest import Alerter
from tests.servers import ports
from tests.servers.loopback import Status
from tests.servers.webhooks import Webhooks


def test_a_program_gets_all_that_is_known(alerter: Callable[..., Alerter], webhooks: Webhooks) -> None:
    summary = alerter(channels={"hook": {"webhook": {"url": f"{webhooks.url}/alerts?team=a"}}}).run(
        0, {"distance": 0.3}
    )
    body = webhooks.taken[0]
    assert {key: body[key] for key in ("kind", "severity", "title")} == {
        "kind": "opened",
        "severity": "critical",
        "title": "[critical] flights: alert: distance: jensen shannon is 0.3 (at most 0.1)",
    }
    assert body["events"] == summary["events"]
    assert webhooks.requests[0].query == {"team": "a"}
    assert webhooks.keys() == [body["id"]]


@pytest.mark.parametrize("source", ["env", "file"])
def test_the_address_and_the_token_may_be_secrets(
    source: str, alerter: Callable[..., Alerter], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Webhooks(token="Zk3vQ9xT7bLm2RwY") as server:
        values = {"url": f"{server.url}/alerts", "token": "Zk3vQ9xT7bLm2RwY"}
        settings = {}
        for name, value in values.items():
            if source == "env":
                monkeypatch.setenv(f"HOOK_{name.upper()}", f"{value}\n")
                settings[f"{name}_env"] = f"HOOK_{name.upper()}"
            else:
                (tmp_path / name).write_text(f"{value}\n")
                settings[f"{name}_file"] = str(tmp_path / name)
        alerter(channels={"hook": {"webhook": settings}}).run(0, {"distance": 0.3})
        assert len(server.taken) == 1


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (
            {"url": "https://127.0.0.1:{open}/x", "ca_cert": "/nowhere/ca"},
            "ca_cert: /nowhere/ca: No such file or directory",
        ),
        ({"url_env": "NOT_SET"}, "url_env: the environment variable NOT_SET is not set"),
        ({"url_file": "/nowhere/url"}, "url_file: /nowhere/url: No such file or directory"),
        ({"url": "http://127.0.0.1:{closed}/secret-path"}, "no server answers at http://127.0.0.1:{closed}: check"),
        ({"url": "http://hook.invalid/secret-path"}, "http://hook.invalid: there is no server of that name: check"),
        ({"url": "https://127.0.0.1:{open}/secret-path"}, "does not speak TLS: write http:// in the address of"),
        ({"url": "http://127.0.0.1:{open}/secret-path"}, r"wants a sign-in \(302\): check the address"),
    ],
)
def test_what_is_wrong_is_one_sentence_without_the_path(
    settings: dict[str, str],
    sentence: str,
    alerter: Callable[..., Alerter],
    webhooks: Webhooks,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("NOT_SET", raising=False)
    webhooks.fail("POST", "/secret-path", Status(302, headers={"Location": "/login"}))
    places = {"{closed}": str(ports.reserve()), "{open}": webhooks.url.rpartition(":")[2]}
    for place, port in places.items():
        settings = {key: value.replace(place, port) for key, value in settings.items()}
        sentence = sentence.replace(place, port)
    one = alerter(channels={"hook": {"webhook": settings}})
    with pytest.raises(ServerError, match=sentence) as error:
        one.run(0, {"distance": 0.3})
    assert "secret-path" not in str(error.value)
    assert len(one.waiting()["hook"]) == 1
