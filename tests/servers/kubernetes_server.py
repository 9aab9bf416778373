"""A real Kubernetes API server: etcd and kube-apiserver of the folder that KUBEBUILDER_ASSETS names (envtest's way).

    with KubernetesServer(folder, binaries) as server:
        server.call("GET", "/api/v1/namespaces/team/pods", token=server.ADMIN)

There is no kubelet and no controller: objects are stored and checked, and nothing comes of them.
"""

import json
import os
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Self

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.servers import ports
from tests.servers.loopback import Refusal

VARIABLE = "KUBEBUILDER_ASSETS"
_SECONDS = 120


def binaries() -> Path | None:
    """Returns the folder of the binaries; None where there is none."""
    folder = os.environ.get(VARIABLE)
    return Path(folder) if folder and (Path(folder) / "kube-apiserver").is_file() else None


class KubernetesServer:
    """`ADMIN` may do everything, `ACCOUNT` what roles let the user `account` do."""

    ADMIN, ACCOUNT = "admin-token", "account-token"

    def __init__(self, folder: Path, assets: Path) -> None:
        self._folder, self._assets = folder, assets
        self._port = ports.reserve()
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        try:
            self._start_both()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _start_both(self) -> None:
        folder, clients, peers = self._folder, ports.reserve(), ports.reserve()
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        form = serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        (folder / "account.key").write_bytes(key.private_bytes(*form))
        tokens = f"{self.ADMIN},admin,1,system:masters\n{self.ACCOUNT},account,2\n"
        (folder / "tokens.csv").write_text(tokens)
        etcd = f"http://127.0.0.1:{clients}"
        peer = f"http://127.0.0.1:{peers}"
        self._start(
            "etcd",
            *("--data-dir", str(folder / "etcd"), "--listen-client-urls", etcd, "--advertise-client-urls", etcd),
            *(
                "--listen-peer-urls",
                peer,
                "--initial-advertise-peer-urls",
                peer,
                "--initial-cluster",
                f"default={peer}",
            ),
            "--unsafe-no-fsync",
        )
        self._start(
            "kube-apiserver",
            *(f"--etcd-servers={etcd}", f"--secure-port={self._port}", "--bind-address=127.0.0.1"),
            *(f"--cert-dir={folder / 'certificates'}", f"--token-auth-file={folder / 'tokens.csv'}"),
            *("--authorization-mode=RBAC", "--service-cluster-ip-range=10.0.0.0/24"),
            "--service-account-issuer=https://kubernetes.default.svc",
            *(f"--service-account-key-file={folder / 'account.key'}",),
            f"--service-account-signing-key-file={folder / 'account.key'}",
        )
        end = time.monotonic() + _SECONDS
        while not self._is_ready():
            failed = next((process for process in self._processes if process.poll() is not None), None)
            assert failed is None, (self._folder / "kube-apiserver.log").read_text()[-2000:]
            assert time.monotonic() < end, "the API server does not become ready"
            time.sleep(0.2)

    def __exit__(self, *_: object) -> None:
        for process in reversed(self._processes):
            process.terminate()
            process.wait()

    def call(self, method: str, path: str, body: Any = None, token: str = ADMIN, kind: str = "application/json") -> Any:
        """Makes a request; returns its JSON, or raises the Refusal that it is answered with."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {token}", "Content-Type": kind}
        url = f"https://127.0.0.1:{self._port}{path}"
        request = urllib.request.Request(url, data, headers, method=method)
        context = ssl.create_default_context(cafile=str(self._folder / "certificates" / "apiserver.crt"))
        try:
            with urllib.request.urlopen(request, context=context) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            told = _decoded(error.read())
            raise Refusal(error.code, told["message"] if isinstance(told, dict) else told) from None
        return _decoded(text)

    def _start(self, name: str, *arguments: str) -> None:
        with open(self._folder / f"{name}.log", "wb") as log:
            command = [str(self._assets / name), *arguments]
            self._processes.append(subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT))

    def _is_ready(self) -> bool:
        try:
            return bool(self.call("GET", "/readyz") == "ok")
        except (OSError, Refusal):
            return False


def _decoded(text: bytes) -> Any:
    return json.loads(text) if text.startswith(b"{") else text.decode()
