"""A worker of a search: a process that asks the chief's oracle for trials, and runs them one after the other.

    python -m penstock.trainer.tuning.worker <UserCode.arguments()> <file for what a person is to be told>

KERASTUNER_TUNER_ID, KERASTUNER_ORACLE_IP and KERASTUNER_ORACLE_PORT say who it is and where the oracle is.
"""

import json
import os
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keras_tuner.src.distribute import oracle_client
from keras_tuner.src.engine import base_tuner

from penstock.components import errors, modules, storage
from penstock.components.errors import ModuleError, PenstockError
from penstock.trainer.tuning.user_code import UserCode, write_whole_files

MODULE = "penstock.trainer.tuning.worker"


def main(arguments: Sequence[str]) -> int:
    """A worker process; returns its exit code, and leaves in a file what a person is to be told."""
    text, failure = arguments
    threading.Thread(target=_end_with_chief, daemon=True).start()
    try:
        _tell_messages(Path(failure).parent)
        work(UserCode.from_arguments(text))
    except PenstockError as error:
        told = {"type": type(error).__name__, "message": error.message, "details": error.details}
        storage.write_text(Path(failure), json.dumps(told))
        return error.exit_code
    return 0


def read_failure(path: Path) -> PenstockError:
    """Returns the error that a worker left for the chief."""
    told = json.loads(path.read_text())
    kind = getattr(errors, told["type"], ModuleError)
    return kind(told["message"], told["details"])  # type: ignore[no-any-return]


def work(code: UserCode) -> None:
    """A worker's part: trials, one after the other, until the chief's oracle has no more."""
    write_whole_files()
    _keep_what_is_there()
    tuner, fit_kwargs = code.tuner()
    modules.call("tuner.search", tuner.search, **fit_kwargs)


def _keep_what_is_there() -> None:
    """A tuner_fn that asks to overwrite an earlier search means the chief: a worker would remove this one."""
    init = base_tuner.BaseTuner.__init__

    def keep(self: Any, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **{**kwargs, "overwrite": False})

    base_tuner.BaseTuner.__init__ = keep


def _tell_messages(folder: Path) -> None:
    """KerasTuner's protocol has no place for what a failed trial raised: it goes into a file of the trial's name."""
    end_trial = oracle_client.OracleClient.end_trial

    def tell(self: Any, trial: Any) -> None:
        if trial.message:
            storage.write_text(folder / f"{trial.trial_id}.txt", trial.message)
        end_trial(self, trial)

    oracle_client.OracleClient.end_trial = tell


def _end_with_chief() -> None:
    """Ends this process when its input does: the chief is gone, and its oracle would be waited for for an hour."""
    os.read(sys.stdin.fileno(), 1)  # not sys.stdin's own reader, whose lock would hold up this process's own end
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
