"""A process that decides on a retraining in children, each of which is killed at a step.

There is a step before and after every file that is renamed to its place. It reads a line for each child, the number of
its step, 0 for none, and answers with its exit status; -9 is a kill. Runs are records only, as `launch` writes them.
"""

import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from penstock.components.retrainer import decisions
from penstock.components.retrainer.new_data import Data
from penstock.components.retrainer.policy import Policy
from penstock.components.retrainer.state import State
from penstock.core.artifacts.retraining import Retraining, RetrainingDecision
from penstock.pipelines.config import training_pipeline
from penstock.pipelines.config.training_pipeline import Config
from penstock.pipelines.local import retraining as retraining_
from penstock.pipelines.local.records.origin import Origin
from penstock.pipelines.local.records.record import RunRecord
from penstock.pipelines.local.summary import RunSummary
from tests.components.retrainer.conftest import observed


def decide(state: State) -> RetrainingDecision:
    """Decides on a window that speaks for a retraining."""
    return decisions.decide(state, observed(0, data=Data("new")), Policy(), datetime.now(UTC))


def silent(sentence: str) -> None: ...


def launch(config: Config, *_: object, retraining: Retraining) -> RunSummary:
    """Writes what a run writes: a record when it begins, and one when it has ended."""
    root = Path(config.pipeline_root)
    name = f"{config.name}-{len(list(root.glob(f'{config.name}-*'))):06d}"
    run = RunRecord(config.name, root / name, {}, origin=Origin(retraining=retraining))
    run.write()
    run.status, run.seconds = "done", 1.0
    run.write()
    return RunSummary.of(run, {})


def child(path: Path, last: int) -> None:
    count, replace = 0, os.replace

    def step() -> None:
        nonlocal count
        count += 1
        if count == last:
            os.kill(os.getpid(), signal.SIGKILL)

    def stepped(*arguments: Any) -> None:
        step()
        replace(*arguments)
        step()

    os.replace = stepped
    retraining_.launch.launch = launch
    retraining_.change(training_pipeline.load(path), decide, silent, silent)


def main() -> None:
    for line in sys.stdin:
        number = os.fork()
        if not number:
            child(Path(sys.argv[1]), int(line))
            os._exit(0)
        print(os.waitstatus_to_exitcode(os.waitpid(number, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
