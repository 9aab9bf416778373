"""A worker of a search: a process that asks the chief's oracle for trials, and runs them one after the other.

    python -m penstock.trainer.tuning.cluster.worker <UserCode.arguments()> <file for its error> <file for its end>

KERASTUNER_TUNER_ID is its name; KERASTUNER_ORACLE_IP and KERASTUNER_ORACLE_PORT are the oracle's address,
PENSTOCK_SEARCH_TOKEN is the search's token.
"""

import json
import os
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import grpc  # type: ignore[import-untyped]
from keras_tuner.src import protos
from keras_tuner.src.distribute.oracle_client import OracleClient
from keras_tuner.src.engine.base_tuner import BaseTuner
from keras_tuner.src.engine.oracle import Oracle
from keras_tuner.src.engine.trial import Trial

from penstock.core import user_modules
from penstock.core.credentials import masks
from penstock.core.errors import PenstockError
from penstock.core.files import atomic
from penstock.trainer.tuning import failures, resuming
from penstock.trainer.tuning.cluster import protocol, tokens
from penstock.trainer.tuning.cluster.protocol import Chief
from penstock.trainer.tuning.user_code import UserCode

MODULE = "penstock.trainer.tuning.cluster.worker"


class Unconnected(BaseException):
    """The chief cannot be reached. KerasTuner, which takes an Exception for the trial's, lets it pass."""


def main(arguments: Sequence[str]) -> int:
    """Runs a worker; returns the exit code of its process.

    arguments: UserCode.arguments(), the file that gets the failures.FailureRecord of a PenstockError, and an empty file
        that is made when there are no more trials: the user's code may end this process with exit code 0, too.
    """
    text, failure, ended = arguments
    masks.mask_streams()
    try:
        _tell_messages(Chief(_oracle(), lambda: os.environ[tokens.VARIABLE]))
        _end_with_connection()
        work(UserCode.from_arguments(text))
    except PenstockError as error:
        atomic.write_text(Path(failure), json.dumps(failures.to_record(error)))
        return error.exit_code
    except Unconnected:
        return 1
    Path(ended).touch()
    return 0


def work(code: UserCode) -> None:
    """Runs trials, one after the other, until the chief's oracle has no more.

    Raises a ModuleError if the user's code raises outside of a trial.
    """
    resuming.prepare()
    _never_overwrite()
    _send_token()
    tuner, fit_kwargs = code.tuner()
    user_modules.call("tuner.search", tuner.search, **fit_kwargs)


def _never_overwrite() -> None:
    """Ignores `overwrite` of tuners: it is meant for the chief, and a worker would remove the search it belongs to."""
    init = BaseTuner.__init__

    def keep(self: BaseTuner, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **{**kwargs, "overwrite": False})

    BaseTuner.__init__ = keep


def _send_token() -> None:
    """Sends the search's token with KerasTuner's own requests; nothing where something else serves the oracle."""
    token = os.environ.get(tokens.VARIABLE)
    if not token:
        return
    init = OracleClient.__init__

    def connect(self: OracleClient, oracle: Oracle) -> None:
        init(self, oracle)
        self.stub = protos.get_service_grpc().OracleStub(protocol.channel(_oracle(), token))

    OracleClient.__init__ = connect


def _oracle() -> str:
    return f"{os.environ['KERASTUNER_ORACLE_IP']}:{os.environ['KERASTUNER_ORACLE_PORT']}"


def _tell_messages(chief: Chief) -> None:
    """Sends the error of a failed trial to the chief before the trial ends; KerasTuner's protocol does not hold it."""
    end_trial = OracleClient.end_trial

    def tell(self: OracleClient, trial: Trial) -> None:
        if trial.message:
            chief.ask("message", trial_id=trial.trial_id, message=trial.message)
        end_trial(self, trial)

    OracleClient.end_trial = tell


def _end_with_connection() -> None:
    """Ends this process when the connection to the chief breaks, or a new chief has another token; it is started again.

    Otherwise the trial would fail, through no fault of its own.
    """
    for name in ("get_space", "update_space", "create_trial", "update_trial", "end_trial", "get_trial"):
        setattr(OracleClient, name, _ending(getattr(OracleClient, name)))


def _ending[**P, R](request: Callable[P, R]) -> Callable[P, R]:
    """Returns the request, which now ends this process if the chief cannot be reached."""

    def ask(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return request(*args, **kwargs)
        except grpc.RpcError as error:
            if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNAUTHENTICATED):
                raise Unconnected from error
            raise

    return ask


def _end_with_keeper() -> None:
    """Ends this process when its standard input is closed: its keeper has ended.

    Otherwise it would wait for the oracle for an hour. A forked worker dies with its parent instead (processes.py).
    """
    os.read(sys.stdin.fileno(), 1)  # sys.stdin.read would hold a lock that delays the end of this process
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=_end_with_keeper, daemon=True).start()
    sys.exit(main(sys.argv[1:]))
