"""A Python package index on loopback, behind a certificate whose authority only those know who are given it.

So does a network look whose proxy inspects TLS. The index has the wheels that it is given, and its protocol is the
simple one of PEP 503.
"""

import datetime
import ipaddress
import ssl
import threading
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class PackageIndex:
    """Serves wheels at `url`; `asked` are the paths of the requests. `authority` is the certificate's, in PEM."""

    def __init__(self, wheels: Sequence[Path], folder: Path):
        self.wheels = {wheel.name: wheel for wheel in wheels}
        self.asked: list[str] = []
        self.authority, own = certificates()
        (folder / "own.pem").write_text(own)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("_Handler", (_Handler,), {"index": self}))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "own.pem")
        # The handshake is left to the request's thread: one who breaks it off holds nobody else up.
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self._server.server_address[1]}/simple/"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    index: PackageIndex

    def do_HEAD(self) -> None:  # uv asks first whether it may read a wheel in parts
        self.do_GET()

    def do_GET(self) -> None:
        self.index.asked.append(self.path)
        name = self.path.rstrip("/").rpartition("/")[2]
        if self.path.startswith("/files/") and name in self.index.wheels:
            self._answer(self.index.wheels[name].read_bytes(), "application/octet-stream")
            return
        found = [wheel for wheel in self.index.wheels if wheel.partition("-")[0] == name]
        if found:
            links = "".join(f'<a href="/files/{wheel}">{wheel}</a>' for wheel in found)
            self._answer(f"<!DOCTYPE html><html><body>{links}</body></html>".encode(), "text/html")
        else:
            self.send_error(404)

    def _answer(self, content: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, *arguments: Any) -> None:
        pass


def certificates() -> tuple[str, str]:
    """Returns an authority's certificate, and the key and certificate of 127.0.0.1 that it has signed, in PEM."""
    authority_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "An authority of Penstock's tests")])
    authority = (
        _certificate(issuer, issuer, authority_key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    own = (
        _certificate(subject, issuer, key)
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem = serialization.Encoding.PEM
    return authority.public_bytes(pem).decode(), private.decode() + own.public_bytes(pem).decode()


def _certificate(subject: x509.Name, issuer: x509.Name, key: Any) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
    )
