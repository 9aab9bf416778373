"""Stands in for an interpreter: `forked_client.py <program> [-P] [-W how] (-m module | -c code | file) arguments …`.

The program is who runs this; the socket lies beside it.

Has the process forked by tests/servers/forked.py, with this process' environment, folder and open files; passes
signals on, and ends as that process does. The standard library alone, and little of it: it has to be there at once.
"""

import json
import os
import signal
import socket
import sys
from types import FrameType

_PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main(program: str, arguments: list[str]) -> None:
    opened = [int(name) for name in os.listdir("/proc/self/fd")]
    descriptors = [number for number in opened if _is_open(number)]
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(f"{os.path.dirname(program)}/socket")
    request = {
        "program": program,
        "arguments": arguments,
        "folder": os.getcwd(),
        "environment": dict(os.environ),
        "descriptors": descriptors,
        "leads": os.getsid(0) == os.getpid(),
    }
    body = json.dumps(request).encode()
    socket.send_fds(connection, [len(body).to_bytes(8, "big")], descriptors)
    connection.sendall(body)
    with connection.makefile("r") as answers:
        process = int(answers.readline() or 0)

        def pass_on(number: int, frame: FrameType | None) -> None:
            os.kill(process, number)

        if process:
            for number in _PASSED_ON:
                signal.signal(number, pass_on)
        status = int(answers.readline() or 1)
    if status < 0:
        signal.signal(-status, signal.SIG_DFL) if -status != signal.SIGKILL else None
        os.kill(os.getpid(), -status)
    os._exit(status)


def _is_open(number: int) -> bool:
    """Whether this is more than the descriptor that listed the others."""
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
