"""TLS for HTTP and gRPC, of one certificate and its key; both are read again when their files change."""

import asyncio
import logging
import ssl
from pathlib import Path

import grpc

from penstock.components.model_server.operation import settings
from penstock.core.errors import ConfigError

_logger = logging.getLogger(__name__)

_INTERVAL = 10.0  # seconds between two looks at the files

type _State = tuple[tuple[int, int], ...]


class Certificate:
    """The certificate of the server. A ConfigError if its files are none, or do not belong together."""

    def __init__(self, tls: settings.Tls):
        self._tls = tls
        self._state = self._files_state()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._load()

    def renew(self) -> bool:
        """Reads the files again if they have changed; new connections get the new certificate. It never raises."""
        try:
            state = self._files_state()
            if state == self._state:
                return False
            self._state = state
            self._load()
        except ConfigError as error:
            _logger.warning("%s: the certificate that it had is used still", error.message)
            return False
        _logger.info("the certificate %s has changed: new connections get it", self._tls.certificate)
        return True

    async def watch(self) -> None:
        """Renews the certificate whenever its files have changed, until it is cancelled."""
        while True:
            await asyncio.sleep(_INTERVAL)
            self.renew()

    def grpc_credentials(self) -> grpc.ServerCredentials:
        """Returns credentials for a port of gRPC, which take the new certificate when the files change."""
        state = self._state

        def changed() -> grpc.ServerCertificateConfiguration | None:
            nonlocal state
            if state == self._state:
                return None  # keep what there is
            state = self._state
            return self._configuration()

        return grpc.dynamic_ssl_server_credentials(self._configuration(), changed)

    def _configuration(self) -> grpc.ServerCertificateConfiguration:
        return grpc.ssl_server_certificate_configuration([(self._key, self._chain)])

    def _load(self) -> None:
        certificate, key = self._tls.certificate, self._tls.key
        chain_bytes, key_bytes = _read(certificate, "certificate"), _read(key, "key")
        fresh = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            for context in (fresh, self.context):  # the one in use gets only what has proven to fit
                context.load_cert_chain(certificate, key, password=_refuse_password)
        except ssl.SSLError as error:
            raise ConfigError(_explained(certificate, key, error)) from None
        except OSError as error:
            raise ConfigError(f"tls: {error.filename or certificate} cannot be read: {error.strerror}") from None
        self._chain, self._key = chain_bytes, key_bytes

    def _files_state(self) -> _State:
        states = []
        for path, what in ((self._tls.certificate, "certificate"), (self._tls.key, "key")):
            try:
                status = path.stat()
            except OSError as error:
                raise ConfigError(f"tls: the {what} {path} cannot be read: {error.strerror}") from None
            states.append((status.st_ino, status.st_mtime_ns))
        return tuple(states)


def _read(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"tls: the {what} {path} cannot be read: {error.strerror}") from None


def _refuse_password() -> str:
    """OpenSSL would ask at the terminal for the password of an encrypted key, and the server would wait."""
    raise ConfigError(
        "tls: the key is encrypted: expected one without a password, in a file that only the server reads"
    )


def _explained(certificate: Path, key: Path, error: ssl.SSLError) -> str:
    if error.reason == "KEY_VALUES_MISMATCH":
        return f"tls: the key {key} is not that of the certificate {certificate}: name the two that belong together"
    if b"-----BEGIN CERTIFICATE-----" not in _read(certificate, "certificate"):
        return f"tls: {certificate} is no certificate: expected PEM, which has '-----BEGIN CERTIFICATE-----'"
    if b"PRIVATE KEY-----" not in _read(key, "key"):
        return f"tls: {key} is no key: expected PEM, which has '-----BEGIN PRIVATE KEY-----'"
    return f"tls: {certificate} and {key} cannot be used: {error.reason or error}"
