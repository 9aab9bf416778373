"""KFP's ExecutorOutput: the file in which a task tells its outputs once it has done its work.

An exit code of 0 says less: `os._exit(0)` in a user's module, or a library that calls C's `exit`, ends a process that
has done nothing yet. So a task has succeeded if this file is there and whole.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from penstock.core.errors import ModuleError

_CHIEFS = ("workerpool0", "chief", "master")


def read(executor_input: Mapping[str, Any]) -> dict[str, Any] | None:
    """Returns the ExecutorOutput of the task with this ExecutorInput; None if it is missing, cut short, or lacks one of
    the task's artifacts."""
    outputs = executor_input["outputs"]
    try:
        output = json.loads(Path(outputs["outputFile"]).read_bytes())
        uris = {name: written["artifacts"][0]["uri"] for name, written in output.get("artifacts", {}).items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None
    whole = isinstance(output, dict) and outputs.get("artifacts", {}).keys() <= uris.keys()
    return output if whole and all(isinstance(uri, str) for uri in uris.values()) else None


def is_expected() -> bool:
    """Whether KFP's executor writes an output in this process: of several replicas only the chief does."""
    try:
        replica = json.loads(os.environ["CLUSTER_SPEC"])["task"]["type"]
    except (ValueError, LookupError, TypeError):
        return True
    return replica in _CHIEFS


def missing(code: int = 0) -> ModuleError:
    """Returns the error of a task whose process ended with this exit code, without its outputs and without an error."""
    return ModuleError(
        f"the task's process ended with exit code {code} before it had written its outputs, and without an error: "
        "something in it calls os._exit, most likely the module: raise an error there instead"
    )
