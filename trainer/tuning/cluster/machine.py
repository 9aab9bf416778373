"""A machine of a search other than the chief: it runs workers, and tells the chief that it is alive.

The chief gives the trials of a silent machine to others. So a machine that gets no answer from the chief ends its
workers before that happens. It starts them again when a chief answers: the same one, or one that was restarted.
"""

import functools
import logging
import os
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from penstock.core.errors import PenstockError, ServerError, ServerUnavailable
from penstock.trainer.hardware.distribution import Cluster
from penstock.trainer.tuning import failures
from penstock.trainer.tuning.cluster import serving, tokens
from penstock.trainer.tuning.cluster.keeper import Keeper
from penstock.trainer.tuning.cluster.processes import Source
from penstock.trainer.tuning.cluster.protocol import Chief
from penstock.trainer.tuning.user_code import UserCode

BEAT = 5.0  # seconds between two signs of life
PATIENCE = 1800.0  # seconds without an answer from the chief, after which a machine gives up
_POLL = 0.1
logger = logging.getLogger(__name__)


def work(code: UserCode, count: int, source: Source, cluster: Cluster, is_over: Callable[[], bool]) -> None:
    """Runs trials until the chief has no more.

    count: of the workers, which are started from `source`. is_over: asked while no chief answers; True if the search
        has ended.

    Raises a ServerUnavailable if no chief answers, a ServerError if it refuses this machine's token, and the error of a
    worker that cannot work, of which the chief is told as well.
    """
    read_token = functools.partial(tokens.read, Path(code.fn_args.working_dir or ""))
    chief = Chief(cluster.addresses[0], read_token)
    logger.info("machine %d: waiting for the chief at %s", cluster.index, chief.address)
    try:
        with Keeper(code, count, chief.address, source, read_token, cluster.index) as keeper:
            _Machine(chief, keeper, cluster.index).run(is_over)
    except (ServerUnavailable, ServerError):  # the chief may be fine, and only this machine cut off from it
        raise
    except PenstockError as error:
        chief.ask("failed", **failures.to_record(error))
        raise
    finally:
        chief.close()


class _Machine:
    def __init__(self, chief: Chief, keeper: Keeper, index: int) -> None:
        self._chief, self._keeper, self._index = chief, keeper, index
        self._id = uuid.uuid4().hex
        self._heard = time.monotonic()

    def run(self, is_over: Callable[[], bool]) -> None:
        while True:
            running = self._keeper.is_running
            answer = self._chief.ask("beat", machine=self._index, keeper=self._id, running=running)
            if answer is None:
                if is_over():
                    return
                if self._chief.refused and os.environ.get(tokens.VARIABLE):  # in a file, another may still appear
                    raise ServerError(
                        f"the chief of the search at {self._chief.address} refuses this machine's {tokens.VARIABLE}: "
                        "give all machines of a search the same"
                    )
                self._wait()
                continue
            self._heard = time.monotonic()
            if answer["over"]:
                break
            if not answer["known"]:
                logger.info("the chief was restarted, or gave this machine up: its workers start again")
                self._keeper.stop()
                continue
            if not running:
                self._keeper.start()
            self._look()
            if not self._keeper.is_running:
                break
        self._keeper.stop()
        self._chief.ask("end", machine=self._index, keeper=self._id)

    def _look(self) -> None:
        """Keeps the workers alive until the next sign of life is due."""
        end = time.monotonic() + BEAT
        while self._keeper.is_running and time.monotonic() < end:
            time.sleep(_POLL)
            self._keeper.look()

    def _wait(self) -> None:
        """Waits for a silent chief: ends the workers before it gives their trials to others, and gives up later."""
        silent = time.monotonic() - self._heard
        if silent > serving.SILENCE / 2 and self._keeper.is_running:
            logger.warning("the chief at %s has been silent for %.0f s: the workers end", self._chief.address, silent)
            self._keeper.stop()
        if silent > PATIENCE:
            raise ServerUnavailable(
                f"the chief of the search at {self._chief.address} has not answered for {PATIENCE / 60:g} minutes: see "
                "its log, and whether this machine can reach it"
            )
        self._keeper.look()
        time.sleep(_POLL)
