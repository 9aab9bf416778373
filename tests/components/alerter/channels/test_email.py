"""Mail: what it says, how the server is signed in to, and what its replies mean."""

import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from penstock.core.errors import ServerError, SystemFailure
from penstock.core.services import retries
from tests.components.alerter.conftest import Alerter
from tests.servers import ports
from tests.servers.smtp import Smtp

PASSWORD = "Zk3vQ9xT7bLm2RwY"
ACCOUNT = {"user": "monitor", "password_env": "MAIL_PASSWORD"}


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "PAUSE", 0.01)
    monkeypatch.setenv("MAIL_PASSWORD", PASSWORD)


@pytest.fixture
def context(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


@pytest.fixture
def plain() -> Iterator[Smtp]:
    with Smtp() as server:
        yield server


def email(server: Smtp, **settings: Any) -> dict[str, Any]:
    team = {"sender": "penstock@example.com", "to": ["team@example.com", "boss@example.com"]}
    return {"team": {"email": {"host": "localhost", "port": server.port, **team, "security": "none", **settings}}}


def test_a_mail_says_what_a_person_needs(alerter: Callable[..., Alerter], plain: Smtp) -> None:
    alerter(channels=email(plain)).run(0, {"distance": 0.3})
    taken = plain.taken[0]
    assert (taken.sender, taken.recipients) == ("penstock@example.com", ["team@example.com", "boss@example.com"])
    assert taken.mail["Subject"] == "[critical] flights: alert: distance: jensen shannon is 0.3 (at most 0.1)"
    assert taken.mail["Date"] == "Mon, 02 Jun 2025 01:05:00 +0000"
    assert taken.mail["Auto-Submitted"] == "auto-generated"
    text = taken.mail.get_content()
    assert "Likely cause: distance is in another unit" in text
    assert "Report: https://reports.example.com/0#distance" in text


def test_mails_of_an_alert_are_a_thread(alerter: Callable[..., Alerter], plain: Smtp) -> None:
    one = alerter(close_after=1, channels=email(plain))
    summaries = [one.run(hour, {"distance": value}) for hour, value in enumerate([0.15, 0.3, 0.0])]
    first, *others = [taken.mail for taken in plain.taken]
    assert first["Message-ID"] == f"<{summaries[0]['open'][0]['id']}-opened@example.com>"
    assert [mail["References"] for mail in others] == [first["Message-ID"]] * 2
    assert len({mail["Message-ID"] for mail in (first, *others)}) == 3


def test_names_of_all_languages_come_through(alerter: Callable[..., Alerter], plain: Smtp) -> None:
    alerter(channels=email(plain)).run(0, {"größe\r\nBcc: all@example.com": 0.3})
    assert "größe\\r\\nBcc" in plain.taken[0].mail["Subject"]
    assert plain.taken[0].mail["Bcc"] is None


@pytest.mark.parametrize("implicit", [False, True], ids=["starttls", "tls"])
def test_over_tls_with_a_password(
    implicit: bool, context: ssl.SSLContext, certificate: Path, alerter: Callable[..., Alerter]
) -> None:
    security = "tls" if implicit else "starttls"
    with Smtp(context, {"monitor": PASSWORD}, implicit) as server:
        channels = email(server, security=security, ca_cert=str(certificate), **ACCOUNT)
        alerter(channels=channels).run(0, {"distance": 0.3})
        assert [(taken.tls, taken.user) for taken in server.taken] == [(True, "monitor")]


def test_a_certificate_that_nobody_trusts_gets_no_password(
    context: ssl.SSLContext, alerter: Callable[..., Alerter]
) -> None:
    with Smtp(context, {"monitor": PASSWORD}) as server:
        one = alerter(channels=email(server, security="starttls", **ACCOUNT))
        with pytest.raises(ServerError, match=r"its certificate is not trusted: name the certificates .*\.ca_cert"):
            one.run(0, {"distance": 0.3})
        assert server.taken == []


def test_a_server_without_tls_is_told(alerter: Callable[..., Alerter], plain: Smtp) -> None:
    with pytest.raises(ServerError, match=r"STARTTLS extension not supported by server: see .*security"):
        alerter(channels=email(plain, security="starttls")).run(0, {"distance": 0.3})


def test_a_wrong_password_is_told_and_not_shown(
    context: ssl.SSLContext, certificate: Path, alerter: Callable[..., Alerter], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAIL_PASSWORD", "wrong-password")
    with Smtp(context, {"monitor": PASSWORD}) as server:
        one = alerter(channels=email(server, security="starttls", ca_cert=str(certificate), **ACCOUNT))
        with pytest.raises(
            ServerError, match=r"wants a sign-in \(401\): check .*email\.user and its password"
        ) as error:
            one.run(0, {"distance": 0.3})
        assert "wrong-password" not in str(error.value)


@pytest.mark.parametrize("command", ["MAIL", "RCPT", "DATA"])
def test_a_reply_that_passes_is_tried_again(command: str, alerter: Callable[..., Alerter], plain: Smtp) -> None:
    plain.fail(command, "451 4.7.1 Greylisted, try again", "421 4.3.2 Service shutting down")
    alerter(channels=email(plain, to=["team@example.com"])).run(0, {"distance": 0.3})
    assert len(plain.taken) == 1


def test_a_lost_reply_comes_a_second_time_with_the_same_message_id(
    alerter: Callable[..., Alerter], plain: Smtp
) -> None:
    plain.cut_after_data = 1
    alerter(channels=email(plain)).run(0, {"distance": 0.3})
    assert len(plain.taken) == 2
    assert len({taken.mail.as_bytes() for taken in plain.taken}) == 1


def test_what_the_server_refuses_is_told_in_its_words(alerter: Callable[..., Alerter], plain: Smtp) -> None:
    plain.fail("RCPT", "550 5.1.1 No such user here")
    one = alerter(channels=email(plain, to=["nobody@example.com"]))
    with pytest.raises(ServerError, match=r"refuses the request \(400: 550 5.1.1 No such user here\)"):
        one.run(0, {"distance": 0.3})
    assert len(one.waiting()["team"]) == 1


def test_who_is_refused_is_named_where_another_gets_the_mail(
    alerter: Callable[..., Alerter], plain: Smtp, caplog: pytest.LogCaptureFixture
) -> None:
    plain.refuses["team@example.com"] = "550 5.1.1 No such user here"
    one = alerter(channels=email(plain))
    one.run(0, {"distance": 0.3})
    assert [taken.recipients for taken in plain.taken] == [["boss@example.com"]]
    assert caplog.messages[-1].endswith("takes no mail for team@example.com (550 5.1.1 No such user here)")
    assert one.waiting() == {}


def test_who_is_refused_for_a_while_gets_the_mail_with_the_next_try(
    alerter: Callable[..., Alerter], plain: Smtp
) -> None:
    plain.fail("RCPT", "451 4.7.1 Greylisted, try again")
    one = alerter(channels=email(plain))
    one.run(0, {"distance": 0.3})
    assert [taken.recipients for taken in plain.taken] == [["boss@example.com"], ["team@example.com"]]
    plain.refuses["boss@example.com"] = "452 4.2.2 Mailbox full"
    with pytest.raises(SystemFailure, match=r"452 4\.2\.2 Mailbox full"):
        one.run(1, {"carrier": 0.3})
    assert len(one.waiting()["team"]) == 1
    assert [taken.recipients for taken in plain.taken[2:]] == [["team@example.com"]]  # in three tries


def test_a_mail_that_is_taken_is_told_whatever_becomes_of_the_connection(
    alerter: Callable[..., Alerter], plain: Smtp
) -> None:
    plain.fail("QUIT", "421 4.3.2 Service shutting down")
    one = alerter(channels=email(plain))
    one.run(0, {"distance": 0.3})
    assert (len(plain.taken), one.waiting()) == (1, {})


def test_a_server_with_other_ways_to_sign_in_is_told(
    context: ssl.SSLContext, certificate: Path, alerter: Callable[..., Alerter]
) -> None:
    with Smtp(context, {"monitor": PASSWORD}, mechanisms="GSSAPI") as server:
        one = alerter(channels=email(server, security="starttls", ca_cert=str(certificate), **ACCOUNT))
        with pytest.raises(ServerError, match=r"No suitable authentication method found: see .*security and user"):
            one.run(0, {"distance": 0.3})


def test_nobody_at_the_address(alerter: Callable[..., Alerter]) -> None:
    closed = Smtp()
    closed.port = ports.reserve()
    with pytest.raises(ServerError, match=rf"no server answers at localhost:{closed.port}: check .*email.host, port"):
        alerter(channels=email(closed)).run(0, {"distance": 0.3})
    with pytest.raises(ServerError, match=r"mail.invalid:.*: there is no server of that name: check .*host"):
        alerter(channels=email(closed, host="mail.invalid")).run(1, {"distance": 0.3})


def test_a_server_that_is_busy_keeps_the_mail_waiting(alerter: Callable[..., Alerter], plain: Smtp) -> None:
    plain.fail("MAIL", *["452 4.3.1 Insufficient system storage"] * 3)
    one = alerter(channels=email(plain))
    with pytest.raises(SystemFailure, match=r"452 4.3.1 Insufficient system storage"):
        one.run(0, {"distance": 0.3})
    one.run(1, {"distance": 0.3})
    assert len(plain.taken) == 1
