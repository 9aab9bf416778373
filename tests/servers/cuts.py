"""A way to a server on which connections are cut half way through an answer, a given number of times."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

_CHUNK = 4096


@dataclass
class Cuts:
    """The address `host:port` that leads to the server; `left` answers of more than `after` bytes are cut there."""

    port: int
    after: int
    left: int = 0
    made: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def cut(self) -> bool:
        """Whether an answer that has come so far is cut now."""
        with self._lock:
            if not self.left:
                return False
            self.left, self.made = self.left - 1, self.made + 1
            return True


@contextlib.contextmanager
def cutting(server: int, after: int) -> Iterator[Cuts]:
    """Leads to the server on a loopback port, from a free port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        cuts = Cuts(listener.getsockname()[1], after)
        threading.Thread(target=_accept, args=(listener, server, cuts), daemon=True).start()
        yield cuts
        listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, server: int, cuts: Cuts) -> None:
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        try:
            behind = socket.create_connection(("127.0.0.1", server))
        except OSError:
            client.close()
            continue
        threading.Thread(target=_pass_on, args=(client, behind, None), daemon=True).start()
        threading.Thread(target=_pass_on, args=(behind, client, cuts), daemon=True).start()


def _pass_on(source: socket.socket, target: socket.socket, cuts: Cuts | None) -> None:
    """Passes bytes on until the source ends."""
    passed = 0
    with contextlib.suppress(OSError):
        while content := source.recv(_CHUNK):
            passed = 0 if content.startswith(b"HTTP/") else passed
            passed += len(content)
            if cuts and passed > cuts.after and cuts.cut():
                break
            target.sendall(content)
    for one in (source, target):
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
            one.close()
