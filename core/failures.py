"""How a failed task reports its error, and where those who watch the run find the report.

On a cluster only the log of a pod tells why a task failed, and the log is lost with the pod. So a failed task writes
its sentence to three places:
- the end of its log;
- /dev/termination-log, from which Kubernetes copies it into the pod's status;
- failure.json beside its outputs in the pipeline root, if the pod may write there.
"""

import contextlib
import errno
import json
import os
import sys
import threading
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypedDict

from penstock.core import errors, user_modules
from penstock.core.credentials import masks
from penstock.core.files import atomic, documents, object_stores
from penstock.core.text import printable

FAILURE_FILE = "failure.json"
# How libraries that raise no OSError report a full disk.
_FULL = ("No space left on device", "Disk quota exceeded")
# How an import, an allocation in C++ and a thread report that the address space is used up.
_NO_MEMORY = ("failed to map segment", os.strerror(errno.ENOMEM), "std::bad_alloc", "can't start new thread")
# The files that hold a component's own source: KFP's executor writes one, the local run names one.
_WRAPPERS = ("ephemeral_component.py", "<component ")
_TERMINATION_LOG = Path("/dev/termination-log")
_TERMINATION_BYTES = 4096  # what Kubernetes reads of it
_WRITE_SECONDS = 20.0  # how long a store may take to write the file


class Failure(TypedDict):
    """What failure.json holds: the error's type, its sentence, lines of detail, and the exit code."""

    type: str
    message: str
    details: str
    exit_code: int


def describe(error: BaseException) -> Failure:
    """Returns an error as the user is to read it.

    A full disk, too little memory and the like get a sentence of ours. Any other error is described by its type and
    first line, with the user's own lines of the traceback as details. Libraries may quote credentials: they are masked.
    """
    failure = _described(error)
    return {**failure, "message": masks.masked(failure["message"]), "details": masks.masked(failure["details"])}


def _described(error: BaseException) -> Failure:
    explained: BaseException = error
    if isinstance(error, MemoryError) or (errors.address_space() and any(text in str(error) for text in _NO_MEMORY)):
        explained = errors.explain_memory()
    elif isinstance(error, OSError):
        explained = errors.explain_os_error(error) or error
    elif is_full(error):
        explained = errors.explain_os_error(OSError(errno.ENOSPC, "No space left on device")) or error
    elif isinstance(error, SystemExit):  # else the task would count as done
        code = "" if error.code is None else repr(error.code)
        explained = errors.UserError(
            f"the task called sys.exit({code}): expected its function to return, or to raise an error"
        )
    name = type(explained).__name__
    if isinstance(explained, errors.PenstockError):
        return Failure(type=name, message=explained.message, details=explained.details, exit_code=explained.exit_code)
    message = f"{name}: {error}".strip().rstrip(":")
    first, details = printable.sentence(message.splitlines()[0]), printable.paragraph(_user_lines(error))
    return Failure(type=name, message=first, details=details, exit_code=1)


def read_failure(path: Path) -> Failure:
    """Reads a failure.json; an OSError if there is none, a ValueError if it is something else of that name."""
    from pydantic import TypeAdapter

    return TypeAdapter(Failure).validate_json(path.read_bytes())


def is_full(error: BaseException) -> bool:
    """Whether an error was caused by a full disk or quota, also if only its text says so."""
    number = error.errno if isinstance(error, OSError) else None
    return number in (errno.ENOSPC, errno.EDQUOT) or any(text in str(error) for text in _FULL)


def tell_uncaught() -> None:
    """Sets sys.excepthook: an uncaught error ends this process with its sentence and its exit code.

    A user's mistake is shown without a traceback. From now on, credentials are masked in all that this process prints.
    A runner that catches the errors of its tasks, as the local run does, reports them itself.
    """
    sys.excepthook = _tell
    masks.mask_streams()


def _tell(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if not isinstance(error, Exception):  # Ctrl-C and SystemExit
        sys.__excepthook__(kind, error, trace)
        return
    if describe(error)["exit_code"] != errors.UserError.exit_code:
        traceback.print_exception(kind, error, trace)
    raise SystemExit(tell(error))  # raised in an excepthook, it sets the exit code


def tell(error: Exception) -> int:
    """Tells an error in the three places; returns the exit code that the task is to end with."""
    failure = describe(error)
    sentence = f"penstock: {failure['message']}"
    print("\n".join([sentence, *_indented(failure["details"])]), file=sys.stderr, flush=True)
    with contextlib.suppress(OSError):  # not in a pod, or it may not write there
        if _TERMINATION_LOG.exists():
            _TERMINATION_LOG.write_bytes(failure["message"].encode()[:_TERMINATION_BYTES])
    _write_beside_outputs(documents.json_text(failure).encode())
    return failure["exit_code"]


def _indented(details: str) -> list[str]:
    return [f"  {line}" for line in details.splitlines()]


def _write_beside_outputs(content: bytes) -> None:
    """Writes failure.json beside the task's outputs, if this process knows their place and may write there."""
    folder = _outputs_folder(sys.argv)
    if folder is None:
        return

    def write() -> None:
        with contextlib.suppress(Exception):  # no credentials, permission or network: the log has the sentence
            if object_stores.is_remote(folder):
                with object_stores.open_store(folder) as store:
                    store.write(object_stores.join(folder, FAILURE_FILE), content)
            else:
                atomic.write_bytes(atomic.local_path(folder) / FAILURE_FILE, content)

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    writer.join(_WRITE_SECONDS)


def executor_input(arguments: Sequence[str]) -> dict[str, Any] | None:
    """Returns the ExecutorInput in a command's arguments; None if it is no task of KFP's."""
    try:
        document = json.loads(arguments[arguments.index("--executor_input") + 1])
    except (ValueError, LookupError):
        return None
    is_whole = isinstance(document, dict) and "outputFile" in document.get("outputs", {})
    return document if is_whole else None


def _outputs_folder(arguments: Sequence[str]) -> str | None:
    """Returns the URI of the folder that holds a task's outputs; None if the arguments name none."""
    outputs = (executor_input(arguments) or {}).get("outputs", {})
    try:
        uris = [entry["artifacts"][0]["uri"] for entry in outputs["artifacts"].values()]
        return str(uris[0]).rpartition("/")[0] or None
    except (LookupError, TypeError, AttributeError):  # it has no artifacts
        return None


def _user_lines(error: BaseException) -> str:
    """Returns the lines of a traceback that are the user's, without the component's own source."""
    lines: list[str] = []
    is_users = False
    for line in user_modules.user_lines(error).splitlines():
        if line.startswith('  File "'):
            is_users = not any(name in line for name in _WRAPPERS)
        if is_users:
            lines.append(line)
    return "\n".join(lines)
