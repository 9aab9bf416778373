"""What each worker of a job runs: an executor, and word of how it went for the task that waits for the job.

    python -m penstock.components.jobs.worker trainer '{"examples": …, "model": …, "told": FOLDER}'

The cluster is that of TF_CONFIG.
"""

import importlib
import json
import logging
import os
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from penstock.components.jobs.follow import RESULT, TOLD, Failure
from penstock.core.credentials import masks
from penstock.core.errors import PenstockError
from penstock.core.files import atomic
from penstock.trainer.hardware import distribution


def main(component: str, argument: str) -> int:
    """Runs a component's executor; returns 0, or the exit code of what failed, which is told before."""
    masks.mask_streams()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    arguments = json.loads(argument)
    reports = Path(arguments.pop(TOLD))
    try:
        result = importlib.import_module(f"penstock.components.{component}.executor").run(**arguments)
        cluster = distribution.cluster()
        if cluster is None or cluster.is_chief:
            atomic.write_text(reports / RESULT, json.dumps(result.metadata))
    except PenstockError as error:
        Failure(_worker(), error.exit_code, error.message, error.details, time.time()).write(reports)
        print(f"penstock: {error}", file=sys.stderr)
        return error.exit_code
    except Exception as error:
        message = f"{type(error).__name__}: {error}"
        Failure(_worker(), 1, message, traceback.format_exc(), time.time()).write(reports)
        raise
    return 0


def _worker() -> str:
    """Returns the worker's name in TF_CONFIG, as chief-0, also where the rest of it is wrong."""
    try:
        task: Any = json.loads(os.environ.get("TF_CONFIG", ""))["task"]
        return f"{task['type']}-{task['index']}"
    except (ValueError, KeyError, TypeError):
        return "chief-0"


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
