"""Windows of a model that is monitored, and runs of the Alerter over them."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from penstock.components.alerter import executor, settings
from penstock.components.alerter.decisions import Measured, Window
from penstock.core.artifacts.alerts import Alerts, AlertState, AlertSummary
from penstock.core.services import retries
from tests.servers.webhooks import Webhooks

BEGIN = datetime(2025, 6, 2, tzinfo=UTC)


def window(hour: int, values: Mapping[str, float], model: str = "flights") -> Window:
    """Returns a window of an hour with a distance for each feature; 0.1 is the threshold of each."""
    begin = BEGIN + timedelta(hours=hour)
    measured = [
        Measured(
            feature,
            "jensen_shannon",
            value,
            0.1,
            value > 0.1,
            rows=1000,
            sentence=f"The values of {feature} have moved.",
            cause=f"{feature} is in another unit",
            report=f"https://reports.example.com/{hour}#{feature}",
        )
        for feature, value in values.items()
    ]
    return Window(model, begin.isoformat(), (begin + timedelta(hours=1)).isoformat(), "baseline", measured)


@dataclass
class Alerter:
    """A monitored model, with the state that its runs share."""

    folder: Path
    settings: dict[str, Any] = field(default_factory=dict)
    uri: str = ""  # of a state that is in no folder

    @property
    def state(self) -> Path:
        return self.folder / "state"

    def run(
        self, hour: int, values: Mapping[str, float], now: datetime | None = None, model: str = "flights"
    ) -> AlertSummary:
        """Tells of a window, five minutes after its end unless `now` says otherwise."""
        moment = now or BEGIN + timedelta(hours=hour + 1, minutes=5)
        alerts = self.folder / f"alerts-{hour}"
        parsed = settings.read(json.dumps(self.settings))
        told = executor.tell_windows(alerts, [window(hour, values, model)], self.uri or str(self.state), parsed, moment)
        assert told.summary == Alerts(alerts).read()
        if told.error:
            raise told.error
        return told.summary

    def waiting(self) -> dict[str, list[str]]:
        """Returns the ids of the messages that wait, by channel."""
        outbox = json.loads(AlertState(self.state).path.read_text())["outbox"]
        names = sorted({name for message in outbox for name in message["waits"]})
        return {name: [message["id"] for message in outbox if name in message["waits"]] for name in names}


@pytest.fixture
def alerter(tmp_path: Path) -> Callable[..., Alerter]:
    """Returns a function that makes an Alerter of the settings."""

    def make(**settings: Any) -> Alerter:
        return Alerter(tmp_path, settings)

    return make


@pytest.fixture
def webhooks(monkeypatch: pytest.MonkeyPatch) -> Iterator[Webhooks]:
    """A server that takes alerts; tries follow one another at once."""
    monkeypatch.setattr(retries, "PAUSE", 0.01)
    with Webhooks() as server:
        yield server


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PEM file with a key, and its certificate for localhost."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now).not_valid_after(now + timedelta(days=1))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    signed = builder.sign(key, hashes.SHA256())
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = tmp_path_factory.mktemp("certificate") / "localhost.pem"
    path.write_bytes(private + signed.public_bytes(pem))
    return path
