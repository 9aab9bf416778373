"""Adaptive batching: the requests that come while TensorFlow computes are computed together next.

A request that finds nothing running is computed at once, so that a lone client waits for nobody; if the model has been
quick lately, by the event loop itself, which saves the way to a thread and back. The busier the server, the larger the
batches, up to a limit; past a number of waiting requests, others are refused.
"""

import asyncio
import concurrent.futures
import time
from collections import deque
from collections.abc import Callable, Sequence

import numpy as np

from penstock.components.model_server.inference import Kind, RequestError
from penstock.components.model_server.settings import Batching

_QUICK = 0.002  # seconds that the event loop may be kept from all else
_FEW_ROWS = 8
_FORGETTING = 0.7  # by this factor for each lone request

type Arrays = Sequence[np.ndarray]
type Call = Callable[[Arrays], Arrays]
type Shapes = tuple[tuple[int, ...], ...]  # of the inputs without their rows: requests of the same fit together


class Answer:
    """The outputs of one request, and how they came about: the fields of a Prediction."""

    __slots__ = ("batch", "computed", "outputs", "queued")

    def __init__(self, outputs: Arrays, batch: int, queued: float, computed: float):
        self.outputs, self.batch, self.queued, self.computed = outputs, batch, queued, computed


class _Request:
    """A request that waits: its inputs, how many rows they have, and the future of its answer."""

    __slots__ = ("came", "future", "inputs", "rows", "shapes")

    def __init__(self, inputs: Arrays, rows: int, shapes: Shapes | None, future: "asyncio.Future[Answer]"):
        self.inputs, self.rows, self.shapes, self.future = inputs, rows, shapes, future
        self.came = time.perf_counter()


class Batcher:
    """Computes the requests of one signature. Its methods are called on the event loop."""

    def __init__(
        self,
        call: Call,
        settings: Batching,
        executor: concurrent.futures.Executor,
        computed: Callable[[int, float], None] = lambda rows, seconds: None,
    ):
        """`computed` is told of each batch: its rows, and the seconds that it took."""
        self._call = call
        self._computed = computed
        self._settings = settings
        self._executor = executor
        self._waiting: deque[_Request] = deque()
        self._running = 0
        self._scheduled = False
        self._together = settings.together
        self._lately = 1.0  # the most seconds that a lone request has taken, forgotten by and by

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        return len(self._waiting)

    async def compute(self, inputs: Arrays, rows: int, shapes: Shapes | None, timeout: float) -> Answer:
        """Returns the outputs of a request, which has this many rows.

        Only requests of the same shapes are computed together; one without is computed alone.

        Raises a RequestError: BUSY, LATE, or what the call raised for these inputs.
        """
        if len(self._waiting) >= self._settings.most_waiting:
            raise RequestError(Kind.BUSY, f"{len(self._waiting):,} requests are waiting already: try again later")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        self._waiting.append(_Request(inputs, rows, shapes if self._together else None, future))
        timer = loop.call_later(timeout, _expire, future, timeout)
        if self._running < self._settings.parallel and not self._scheduled:
            self._scheduled = True
            loop.call_soon(self._start, loop)  # after the other requests that have arrived by now
        try:
            return await future
        finally:
            timer.cancel()

    def _start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begins to compute the requests that wait, as many as may be computed now."""
        self._scheduled = False
        while self._running < self._settings.parallel:
            batch = self._next_batch()
            if not batch:
                return
            self._running += 1
            if self._is_quick(batch):
                self._finish(batch, self._results(batch), loop)
            else:
                self._executor.submit(self._run, batch, loop)

    def _is_quick(self, batch: list[_Request]) -> bool:
        """Whether a batch is a lone request that will not keep the event loop long."""
        alone = len(batch) == 1 and self._running == 1 and not self._waiting
        return alone and batch[0].rows <= _FEW_ROWS and self._lately < _QUICK

    def _next_batch(self) -> list[_Request]:
        """Takes the longest waiting request, and those that fit to it."""
        waiting = self._waiting
        while waiting and waiting[0].future.done():  # too late, or whoever asked has gone
            waiting.popleft()
        if not waiting:
            return []
        first = waiting.popleft()
        batch, rows = [first], first.rows
        if first.shapes is None:
            return batch
        passed: list[_Request] = []
        while waiting and rows < self._settings.most_rows:
            request = waiting.popleft()
            if request.future.done():
                continue
            if request.shapes == first.shapes and rows + request.rows <= self._settings.most_rows:
                batch.append(request)
                rows += request.rows
            else:
                passed.append(request)
        waiting.extendleft(reversed(passed))
        return batch

    def _run(self, batch: list[_Request], loop: asyncio.AbstractEventLoop) -> None:
        """Computes a batch, on a thread of the executor."""
        results = self._results(batch)
        loop.call_soon_threadsafe(self._finish, batch, results, loop)

    def _finish(
        self, batch: list[_Request], results: list[Answer | BaseException], loop: asyncio.AbstractEventLoop
    ) -> None:
        self._running -= 1
        if self._waiting:
            self._start(loop)  # before the answers are sent
        for request, result in zip(batch, results, strict=True):
            if request.future.done():
                continue
            if isinstance(result, BaseException):
                request.future.set_exception(result)
            else:
                request.future.set_result(result)

    def _results(self, batch: list[_Request]) -> list[Answer | BaseException]:
        """Returns an answer or an error for each request of a batch; one that fails does not fail the others."""
        started = time.perf_counter()
        try:
            outputs = [self._call(batch[0].inputs)] if len(batch) == 1 else _compute_together(self._call, batch)
        except Exception as error:
            if len(batch) == 1:
                return [error]
            if isinstance(error, _OutputsOfNoRows):
                self._together = False
            return [result for request in batch for result in self._results([request])]
        computed = time.perf_counter() - started
        if len(batch) == 1:
            self._lately = max(computed, self._lately * _FORGETTING)
        rows = sum(request.rows for request in batch)
        self._computed(rows, computed)
        return [
            Answer(of_request, rows, started - request.came, computed)
            for request, of_request in zip(batch, outputs, strict=True)
        ]


def _expire(future: "asyncio.Future[Answer]", timeout: float) -> None:
    if not future.done():
        future.set_exception(RequestError(Kind.LATE, f"no answer within {timeout:g} seconds: try again later"))


class _OutputsOfNoRows(Exception):
    """An output has not a value for each row, so it cannot be shared out: the requests are computed alone."""


def _compute_together(call: Call, batch: list[_Request]) -> list[Arrays]:
    """Computes the rows of several requests at once, and returns the outputs of each."""
    inputs = [np.concatenate(arrays) for arrays in zip(*(request.inputs for request in batch), strict=True)]
    outputs = call(inputs)
    ends = np.cumsum([request.rows for request in batch]).tolist()
    if any(not output.ndim or output.shape[0] != ends[-1] for output in outputs):
        raise _OutputsOfNoRows
    return [[output[start:end] for output in outputs] for start, end in zip([0, *ends[:-1]], ends, strict=True)]
