"""What a webhook gets, how it is signed in to, and what its failures say."""

import ssl
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


def test_a_token_counts_for_more_than_netrc(
    alerter: Callable[..., Alerter], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login someone password other\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("TOKEN", "Zk3vQ9xT7bLm2RwY")
    with Webhooks(token="Zk3vQ9xT7bLm2RwY") as server:
        one = alerter(channels={"hook": {"webhook": {"url": f"{server.url}/alerts", "token_env": "TOKEN"}}})
        one.run(0, {"distance": 0.3})
        assert len(server.taken) == 1
        monkeypatch.setenv("HOOK_URL", server.url.replace("//", "//me:own@"))
        one.settings["channels"] = {"hook": {"webhook": {"url_env": "HOOK_URL"}}}
        with pytest.raises(ServerError):
            one.run(1, {"carrier": 0.3})
        assert server.requests[-1].headers["Authorization"] == "Basic bWU6b3du"


def test_a_certificate_of_the_channel_counts_for_more_than_the_environments(
    alerter: Callable[..., Alerter], certificate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other.pem").write_text("")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "other.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with Webhooks(context=context) as server:
        url = f"https://localhost:{server.url.rpartition(':')[2]}/alerts"
        alerter(channels={"hook": {"webhook": {"url": url, "ca_cert": str(certificate)}}}).run(0, {"distance": 0.3})
        assert len(server.taken) == 1


def test_what_a_receiver_has_already_is_taken(alerter: Callable[..., Alerter], webhooks: Webhooks) -> None:
    webhooks.fail("POST", "/alerts", Status(409, "duplicate key"))
    one = alerter(channels={"hook": {"webhook": {"url": f"{webhooks.url}/alerts"}}})
    one.run(0, {"distance": 0.3})
    assert (len(webhooks.requests), one.waiting()) == (1, {})


@pytest.mark.parametrize("token", ["Zk3vQ9\u20ac", "Zk3vQ9\nX-Header: x"])
def test_a_token_that_no_header_holds_is_told_and_not_shown(
    token: str, alerter: Callable[..., Alerter], webhooks: Webhooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", token)
    one = alerter(channels={"hook": {"webhook": {"url": f"{webhooks.url}/alerts", "token_env": "TOKEN"}}})
    with pytest.raises(ServerError, match=r"token_env: the environment variable TOKEN: expected one line") as error:
        one.run(0, {"distance": 0.3})
    assert "Zk3vQ9" not in str(error.value)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (
            {"url": "https://127.0.0.1:{open}/x", "ca_cert": "/nowhere/ca"},
            "ca_cert: /nowhere/ca: No such file or directory",
        ),
        ({"url": "http://127.0.0.1:70000/secret-path"}, "expected an address that begins with .* a port below 65536"),
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
