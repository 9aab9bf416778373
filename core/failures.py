"""What a failed task says of itself, and where whoever watches its run finds it.

On a cluster nothing but a pod's log tells why a task failed, and that ends with the pod. So a task that an error ends
says one sentence in three places: at the end of its log; in /dev/termination-log, from which Kubernetes takes it into
the pod's status; and in failure.json beside its outputs in the pipeline root, where its pod may write there.
"""

import contextlib
import errno
import json
import sys
import threading
import traceback
from pathlib import Path
from types import TracebackType
from typing import TypedDict

from penstock.core import errors, user_modules
from penstock.core.files import atomic, object_stores

FAILURE_FILE = "failure.json"
# How libraries that do not raise an OSError tell of a full disk.
_FULL = ("No space left on device", "Disk quota exceeded")
# The files that hold a component's own source: KFP's executor writes one, the local run names one.
_WRAPPERS = ("ephemeral_component.py", "<component ")
_TERMINATION_LOG = Path("/dev/termination-log")
_TERMINATION_BYTES = 4096  # what Kubernetes reads of it
_PATIENCE = 20.0  # seconds that a store has to take the file


class Failure(TypedDict):
    """What a person is told of an error: its type's name, a sentence, lines below it, and the exit code."""

    type: str
    message: str
    details: str
    exit_code: int


def describe(error: BaseException) -> Failure:
    """Returns what a person is told of an error, the user's own lines among it where it is none of ours."""
    explained: BaseException = error
    if isinstance(error, OSError):
        explained = errors.explain_os_error(error) or error
    elif is_full(error):
        explained = errors.explain_os_error(OSError(errno.ENOSPC, "No space left on device")) or error
    elif isinstance(error, MemoryError):
        explained = errors.SystemFailure("the task ran out of memory: give it more, or less data at once")
    name = type(explained).__name__
    if isinstance(explained, errors.PenstockError):
        return Failure(type=name, message=explained.message, details=explained.details, exit_code=explained.exit_code)
    message = f"{type(error).__name__}: {error}".strip().rstrip(":")
    return Failure(type=name, message=message.splitlines()[0], details=_user_lines(error), exit_code=1)


def is_full(error: BaseException) -> bool:
    """Whether an error, or the one that it tells of, came from a full disk."""
    number = error.errno if isinstance(error, OSError) else None
    return number in (errno.ENOSPC, errno.EDQUOT) or any(text in str(error) for text in _FULL)


def tell_uncaught() -> None:
    """Makes an error that nothing catches end this process with its sentence and its exit code.

    A user's mistake needs no traceback. Where the task's runner catches errors, as the local run does, that is the one
    who tells them.
    """
    sys.excepthook = _tell


def _tell(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if not isinstance(error, Exception):  # Ctrl-C, and what asks for an exit
        sys.__excepthook__(kind, error, trace)
        return
    failure = describe(error)
    if failure["exit_code"] != errors.UserError.exit_code:
        traceback.print_exception(kind, error, trace)
    sentence = f"penstock: {failure['message']}"
    print("\n".join([sentence, *_indented(failure["details"])]), file=sys.stderr, flush=True)
    with contextlib.suppress(OSError):  # no pod, or one that may not write it
        if _TERMINATION_LOG.exists():
            _TERMINATION_LOG.write_bytes(failure["message"].encode()[:_TERMINATION_BYTES])
    _leave(json.dumps(failure).encode())
    raise SystemExit(failure["exit_code"])  # from an excepthook: Python exits with it


def _indented(details: str) -> list[str]:
    return [f"  {line}" for line in details.splitlines()]


def _leave(content: bytes) -> None:
    """Writes failure.json beside the task's outputs, if this process knows them and may write there."""
    folder = _outputs_folder(sys.argv)
    if folder is None:
        return

    def write() -> None:
        with contextlib.suppress(Exception):  # no credentials, no leave, no network: the log has the sentence
            if object_stores.is_remote(folder):
                with object_stores.open_store(folder) as store:
                    store.write(object_stores.join(folder, FAILURE_FILE), content)
            else:
                atomic.write_bytes(atomic.local_path(folder) / FAILURE_FILE, content)

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    writer.join(_PATIENCE)


def _outputs_folder(arguments: list[str]) -> str | None:
    """Returns the URI of the folder that a task's outputs lie in, by the ExecutorInput among its arguments."""
    try:
        executor_input = json.loads(arguments[arguments.index("--executor_input") + 1])
        outputs = [entry["artifacts"][0]["uri"] for entry in executor_input["outputs"]["artifacts"].values()]
        return str(outputs[0]).rpartition("/")[0] or None
    except (ValueError, LookupError, TypeError, AttributeError):  # no task of KFP, or one without artifacts
        return None


def _user_lines(error: BaseException) -> str:
    """Returns the user's own lines of a traceback; the component's own source is not theirs."""
    lines: list[str] = []
    theirs = False
    for line in user_modules.user_lines(error).splitlines():
        if line.startswith('  File "'):
            theirs = not any(name in line for name in _WRAPPERS)
        if theirs:
            lines.append(line)
    return "\n".join(lines)
