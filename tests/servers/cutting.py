"""A proxy on loopback that cuts connections: after so many bytes of the server's, as often as it is told to."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass
class Proxy:
    """A running proxy. It cuts the next `cuts` connections that carry more than `after` bytes to the client."""

    port: int
    after: int = 0
    cuts: int = 0
    connections: int = 0


@contextlib.contextmanager
def before(port: int) -> Iterator[Proxy]:
    """Starts a proxy before a server's port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        proxy = Proxy(listener.getsockname()[1])
        threading.Thread(target=_accept, args=(listener, port, proxy), daemon=True).start()
        yield proxy
        listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, port: int, proxy: Proxy) -> None:
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        proxy.connections += 1
        server = socket.create_connection(("127.0.0.1", port))
        threading.Thread(target=_forward, args=(client, server, None), daemon=True).start()
        threading.Thread(target=_forward, args=(server, client, proxy), daemon=True).start()


def _forward(source: socket.socket, target: socket.socket, proxy: Proxy | None) -> None:
    carried = 0
    with contextlib.suppress(OSError):
        while data := source.recv(4096):
            carried += len(data)
            if proxy and proxy.cuts and carried > proxy.after:
                proxy.cuts -= 1
                break
            target.sendall(data)
    for end in (source, target):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()
