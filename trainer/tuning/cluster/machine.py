"""A machine of a search whose oracle another one has, the chief: its workers, and word of them to the chief.

The chief hands on the trials of a machine that it does not hear of. So a machine that does not hear of the chief for a
while ends its workers before that, and begins anew when there is a chief again: this one, or another after a restart.
"""

import logging
import time
import uuid
from collections.abc import Callable

from penstock.core.errors import PenstockError, ServerUnavailable
from penstock.trainer.hardware.distribution import Cluster
from penstock.trainer.tuning import failures
from penstock.trainer.tuning.cluster import serving
from penstock.trainer.tuning.cluster.keeper import Keeper
from penstock.trainer.tuning.cluster.processes import Source
from penstock.trainer.tuning.cluster.protocol import Chief
from penstock.trainer.tuning.user_code import UserCode

BEAT = 5.0  # seconds between two signs of life
PATIENCE = 1800.0  # seconds without a chief, after which a machine gives up
_POLL = 0.1
logger = logging.getLogger(__name__)


def work(code: UserCode, count: int, source: Source, cluster: Cluster, is_over: Callable[[], bool]) -> None:
    """Runs trials in `count` workers until the chief has no more; at once if `is_over` says that it has ended.

    The workers are started from `source`.

    Raises a ServerUnavailable if no chief answers, and what a worker says that cannot work, to the chief as well.
    """
    chief = Chief(cluster.addresses[0])
    logger.info("machine %d: waiting for the chief at %s", cluster.index, chief.address)
    try:
        with Keeper(code, count, chief.address, source, cluster.index) as keeper:
            _Machine(chief, keeper, cluster.index).run(is_over)
    except ServerUnavailable:  # the chief may be well, and this machine cut off from it
        raise
    except PenstockError as error:
        chief.ask("failed", **failures.said(error))
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
                self._wait()
                continue
            self._heard = time.monotonic()
            if answer["over"]:
                break
            if not answer["known"]:
                logger.info("the chief has begun anew, or given this machine up: its workers begin anew")
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
        """Answers silence: the workers end before the chief hands on their trials, and the machine later."""
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
