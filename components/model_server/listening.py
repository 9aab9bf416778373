"""Where a server listens, and uvicorn without signals of its own: for servers that end when they choose to."""

import contextlib
import socket
from collections.abc import Iterator

import uvicorn

from penstock.core.errors import UserError

BACKLOG = 2048  # connections that wait to be accepted


class Server(uvicorn.Server):
    """A server of HTTP that `should_exit` ends."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are ours: uvicorn would end the process by them once more, after it has ended well."""
        yield


@contextlib.contextmanager
def listening(host: str, port: int) -> Iterator[socket.socket]:
    """Yields a socket that listens there, at a free port for 0; a UserError if it cannot."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise UserError(
            f"cannot listen at {host}:{port}: {error.strerror}: choose another port, or 0 for a free one"
        ) from None
    with listener:
        yield listener


def address(listener: socket.socket, scheme: str = "http") -> str:
    """Returns the URL of the server at a socket."""
    host, port = listener.getsockname()[:2]
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
