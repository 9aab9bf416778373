"""TLS: which files are refused, and that a certificate that has changed is the next connection's."""

import os
import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from penstock.components.model_server.operation import settings
from penstock.components.model_server.operation.certificates import Certificate
from penstock.core.errors import ConfigError

PASSWORD = b"secret"


def write_pair(folder: Path, name: str = "localhost", password: bytes = b"") -> settings.Tls:
    """Writes a certificate that has signed itself, and its key."""
    folder.mkdir(exist_ok=True, parents=True)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    encryption = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    tls = settings.Tls(folder / "tls.crt", folder / "tls.key")
    tls.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    tls.key.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption))
    return tls


def served_name(certificate: Certificate) -> str:
    """Returns the common name of the certificate that a client is shown."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        accepted, _ = listener.accept()
        with certificate.context.wrap_socket(accepted, server_side=True):
            pass

    thread = threading.Thread(target=serve)
    thread.start()
    client = ssl.create_default_context()
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(listener.getsockname()) as plain, client.wrap_socket(plain) as secure:
        shown = x509.load_der_x509_certificate(secure.getpeercert(binary_form=True) or b"")
    thread.join(20)
    listener.close()
    return str(shown.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


def test_a_certificate_that_has_changed_is_the_next_connections(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    certificate = Certificate(write_pair(tmp_path, "first"))
    assert served_name(certificate) == "first"
    assert not certificate.renew()

    fresh = write_pair(tmp_path / "new", "second")
    os.replace(fresh.certificate, tmp_path / "tls.crt")
    assert not certificate.renew()  # its key has not come yet
    assert "is not that of the certificate" in caplog.text
    assert served_name(certificate) == "first"

    os.replace(fresh.key, tmp_path / "tls.key")
    assert certificate.renew()
    assert served_name(certificate) == "second"


def test_wrong_files_are_told_apart(tmp_path: Path) -> None:
    one, other = write_pair(tmp_path / "one"), write_pair(tmp_path / "other")
    locked = write_pair(tmp_path / "locked", password=PASSWORD)
    text = tmp_path / "text.pem"
    text.write_text("no certificate")
    for certificate, key, sentence in (
        (one.certificate, other.key, f"tls: the key {other.key} is not that of the certificate {one.certificate}: "),
        (one.certificate, text, f"tls: {text} is no key: expected PEM, which has '-----BEGIN PRIVATE KEY-----'"),
        (text, one.key, f"tls: {text} is no certificate: expected PEM, which has '-----BEGIN CERTIFICATE-----'"),
        (one.key, one.key, f"tls: {one.key} is no certificate: expected PEM"),
        (one.certificate, tmp_path / "none", f"tls: the key {tmp_path}/none cannot be read: No such file or directory"),
        (tmp_path, one.key, f"tls: the certificate {tmp_path} cannot be read: Is a directory"),
        (locked.certificate, locked.key, "tls: the key is encrypted: expected one without a password"),
    ):
        with pytest.raises(ConfigError) as error:
            Certificate(settings.Tls(certificate, key))
        assert error.value.message.startswith(sentence)
