"""A worker of a search: a process that asks the chief's oracle for trials, and runs them one after the other.

    python -m penstock.trainer.tuning.cluster.worker <UserCode.arguments()> <file for what a person is to be told>

KERASTUNER_TUNER_ID, KERASTUNER_ORACLE_IP and KERASTUNER_ORACLE_PORT say who it is and where the oracle is.
"""

import json
import os
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import grpc  # type: ignore[import-untyped]
from keras_tuner.src.distribute import oracle_client
from keras_tuner.src.engine import base_tuner

from penstock.core import user_modules
from penstock.core.errors import PenstockError
from penstock.core.files import atomic
from penstock.trainer.tuning import failures
from penstock.trainer.tuning.cluster.protocol import Chief
from penstock.trainer.tuning.user_code import UserCode, write_whole_files

MODULE = "penstock.trainer.tuning.cluster.worker"


def main(arguments: Sequence[str]) -> int:
    """A worker process; returns its exit code, and leaves in a file what a person is to be told."""
    text, failure = arguments
    try:
        _tell_messages(Chief(f"{os.environ['KERASTUNER_ORACLE_IP']}:{os.environ['KERASTUNER_ORACLE_PORT']}"))
        _end_with_connection()
        work(UserCode.from_arguments(text))
    except PenstockError as error:
        atomic.write_text(Path(failure), json.dumps(failures.said(error)))
        return error.exit_code
    return 0


def work(code: UserCode) -> None:
    """A worker's part: trials, one after the other, until the chief's oracle has no more."""
    write_whole_files()
    _keep_what_is_there()
    tuner, fit_kwargs = code.tuner()
    user_modules.call("tuner.search", tuner.search, **fit_kwargs)


def _keep_what_is_there() -> None:
    """A tuner_fn that asks to overwrite an earlier search means the chief: a worker would remove this one."""
    init = base_tuner.BaseTuner.__init__

    def keep(self: Any, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **{**kwargs, "overwrite": False})

    base_tuner.BaseTuner.__init__ = keep


def _tell_messages(chief: Chief) -> None:
    """KerasTuner's protocol has no place for what a failed trial raised: the chief is told before."""
    end_trial = oracle_client.OracleClient.end_trial

    def tell(self: Any, trial: Any) -> None:
        if trial.message:
            chief.ask("message", trial_id=trial.trial_id, message=trial.message)
        end_trial(self, trial)

    oracle_client.OracleClient.end_trial = tell


def _end_with_connection() -> None:
    """A broken connection to the chief is no fault of the trial's, which would fail of it: this process ends, and is
    started again."""
    for name in ("get_space", "update_space", "create_trial", "update_trial", "end_trial", "get_trial"):
        setattr(oracle_client.OracleClient, name, _ending(getattr(oracle_client.OracleClient, name)))


def _ending(request: Callable[..., Any]) -> Callable[..., Any]:
    def ask(*args: Any, **kwargs: Any) -> Any:
        try:
            return request(*args, **kwargs)
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.UNAVAILABLE:
                raise SystemExit(1) from error
            raise

    return ask


def _end_with_keeper() -> None:
    """Ends this process, a new one, when its input does: what keeps it is gone, and an oracle would be waited for for
    an hour. A forked one dies with its parent (processes.py)."""
    os.read(sys.stdin.fileno(), 1)  # not sys.stdin's own reader, whose lock would hold up this process's own end
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=_end_with_keeper, daemon=True).start()
    sys.exit(main(sys.argv[1:]))
