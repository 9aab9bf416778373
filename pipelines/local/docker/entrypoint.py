"""What runs in a task's container: the same code as in a worker's fork.

    python3 -P -m penstock.pipelines.local.docker.entrypoint <folder>

The run has left the task in `<folder>/task.json`. A child runs it, so that this process, the container's first one,
outlives it and writes its exit code to `<folder>/exit_code`: of a container that removes itself, Docker may not say any
more how it ended.
"""

import json
import os
import sys
from pathlib import Path

from penstock.core.files import atomic
from penstock.pipelines.local.processes.task import Task, execute

TASK_FILE = "task.json"
EXIT_CODE_FILE = "exit_code"


def main(folder: Path) -> int:
    """Runs the task; returns its exit code as a shell does, 128 and more for signals."""
    task = Task(**json.loads((folder / TASK_FILE).read_text(encoding="utf-8")))
    child = os.fork()
    if child == 0:
        os._exit(execute(task))
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    atomic.write_text(folder / EXIT_CODE_FILE, str(code))
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
