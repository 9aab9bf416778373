"""What each worker of a job runs: the executor, and word of a failure for the task that waits for the job.

    python -m penstock.components.trainer.worker '{"examples": …, "model": …, "failures": FOLDER}'

The cluster is that of TF_CONFIG.
"""

import json
import logging
import os
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from penstock.components import storage
from penstock.components.errors import PenstockError
from penstock.components.trainer import executor
from penstock.components.trainer.following import FAILURES


def main(argument: str) -> int:
    """Trains; returns 0, or the exit code of what failed, which is written to `failures` before."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    arguments = json.loads(argument)
    failures = Path(arguments.pop(FAILURES))
    try:
        executor.run(**arguments)
    except PenstockError as error:
        _tell(failures, error.exit_code, error.message, error.details)
        print(f"penstock: {error}", file=sys.stderr)
        return error.exit_code
    except Exception as error:
        _tell(failures, 1, f"{type(error).__name__}: {error}", traceback.format_exc())
        raise
    return 0


def _tell(folder: Path, exit_code: int, message: str, details: str) -> None:
    worker = _worker()
    told = {"worker": worker, "exit_code": exit_code, "message": message, "details": details, "time": time.time()}
    storage.write_text(folder / f"{worker}.json", json.dumps(told))


def _worker() -> str:
    """Returns the worker's name in TF_CONFIG, as chief-0, also where the rest of it is wrong."""
    try:
        task: Any = json.loads(os.environ.get("TF_CONFIG", ""))["task"]
        return f"{task['type']}-{task['index']}"
    except (ValueError, KeyError, TypeError):
        return "chief-0"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
