"""Requests that are computed together, apart, too late and too many, with a call that records its batches."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from penstock.components.model_server.batching import Answer, Batcher
from penstock.components.model_server.inference import Kind, RequestError
from penstock.components.model_server.settings import Batching

ONE_COLUMN = ((),)


class Doubling:
    """Doubles its input, refuses numbers below zero, and waits for `gate` when it meets a zero."""

    def __init__(self) -> None:
        self.batches: list[list[float]] = []
        self.gate = threading.Event()

    def __call__(self, inputs: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
        (values,) = inputs
        self.batches.append(values.reshape(-1).tolist())
        if (values < 0).any():
            raise RequestError(Kind.INVALID, f"{values.min():g} is below zero")
        if (values == 0).any():
            assert self.gate.wait(10)
        return [2 * values]


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as executor:
        yield executor


def asked(batcher: Batcher, *values: float, timeout: float = 10) -> Awaitable[Answer]:
    return batcher.compute([np.array(values)], len(values), ONE_COLUMN, timeout)


def outputs(answers: Sequence[Any]) -> list[Any]:
    return [answer.outputs[0].tolist() if isinstance(answer, Answer) else answer for answer in answers]


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        await asyncio.wait_for(scenario(), 20)

    asyncio.run(limited())


def test_a_lone_request_waits_for_nobody(executor: ThreadPoolExecutor) -> None:
    call = Doubling()

    async def scenario() -> None:
        answer = await asked(Batcher(call, Batching(), executor), 1, 2)
        assert (outputs([answer]), answer.batch) == ([[2, 4]], 2)
        assert answer.queued < 1
        assert answer.computed < 1

    run(scenario)


def test_what_comes_meanwhile_is_computed_together(executor: ThreadPoolExecutor) -> None:
    call = Doubling()

    async def scenario() -> None:
        batcher = Batcher(call, Batching(most_rows=6), executor)
        first = asyncio.ensure_future(asked(batcher, 0))
        while not call.batches:
            await asyncio.sleep(0.001)
        others = [asyncio.ensure_future(asked(batcher, *([float(n)] * 2))) for n in range(1, 6)]
        await asyncio.sleep(0.01)
        assert batcher.waiting == 5
        call.gate.set()
        answers = await asyncio.gather(first, *others)
        assert outputs(answers) == [[0], [2, 2], [4, 4], [6, 6], [8, 8], [10, 10]]
        assert call.batches == [[0], [1, 1, 2, 2, 3, 3], [4, 4, 5, 5]]
        assert [answer.batch for answer in answers] == [1, 6, 6, 6, 4, 4]

    run(scenario)


def test_shapes_that_do_not_fit_are_computed_apart_and_in_turn(executor: ThreadPoolExecutor) -> None:
    call = Doubling()

    async def scenario() -> None:
        batcher = Batcher(call, Batching(), executor)
        first = asyncio.ensure_future(asked(batcher, 0))
        while not call.batches:
            await asyncio.sleep(0.001)
        rest = [
            asyncio.ensure_future(batcher.compute([np.full((1, size), n)], 1, ((size,),), 10))
            for n, size in enumerate([2, 3, 2, 3], 1)
        ]
        rest.append(asyncio.ensure_future(batcher.compute([np.array([5.0])], 1, None, 10)))
        await asyncio.sleep(0.01)
        call.gate.set()
        answers = await asyncio.gather(first, *rest)
        assert call.batches[1:] == [[1, 1, 3, 3], [2, 2, 2, 4, 4, 4], [5]]
        assert outputs(answers)[1:] == [[[2, 2]], [[4, 4, 4]], [[6, 6]], [[8, 8, 8]], [10]]

    run(scenario)


def test_one_that_fails_does_not_fail_its_neighbours(executor: ThreadPoolExecutor) -> None:
    call = Doubling()

    async def scenario() -> None:
        batcher = Batcher(call, Batching(), executor)
        answers = await asyncio.gather(*(asked(batcher, value) for value in (1, -2, 3)), return_exceptions=True)
        assert outputs([answers[0], answers[2]]) == [[2], [6]]
        assert isinstance(answers[1], RequestError)
        assert answers[1].sentence == "-2 is below zero"
        assert call.batches == [[1, -2, 3], [1], [-2], [3]]

    run(scenario)


def test_outputs_without_rows_are_not_shared_out(executor: ThreadPoolExecutor) -> None:
    sizes: list[int] = []

    def total(inputs: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
        sizes.append(len(inputs[0]))
        return [inputs[0].sum()]

    async def scenario() -> None:
        batcher = Batcher(total, Batching(), executor)
        for _ in range(2):
            answers = await asyncio.gather(*(asked(batcher, value) for value in (1, 2)))
            assert outputs(answers) == [1, 2]
        assert sizes == [2, 1, 1, 1, 1]  # it is tried once

    run(scenario)


def test_too_many_are_refused_and_too_late_is_said(executor: ThreadPoolExecutor) -> None:
    call = Doubling()

    async def scenario() -> None:
        batcher = Batcher(call, Batching(most_waiting=2), executor)
        running = asyncio.ensure_future(asked(batcher, 0, timeout=0.05))
        while not call.batches:
            await asyncio.sleep(0.001)
        waiting = [asyncio.ensure_future(asked(batcher, n, timeout=limit)) for n, limit in ((1, 0.05), (2, 10))]
        await asyncio.sleep(0)
        with pytest.raises(RequestError, match="2 requests are waiting already") as busy:
            await asked(batcher, 3)
        assert busy.value.kind is Kind.BUSY
        for late in (running, waiting[0]):
            with pytest.raises(RequestError, match=r"no answer within 0\.05 seconds") as raised:
                await late
            assert raised.value.kind is Kind.LATE
        call.gate.set()
        assert outputs([await waiting[1]]) == [[4]]
        assert call.batches == [[0], [2]]  # what is too late is not computed

    run(scenario)


def test_who_has_gone_is_not_waited_for(executor: ThreadPoolExecutor) -> None:
    call = Doubling()

    async def scenario() -> None:
        batcher = Batcher(call, replace(Batching(), together=False), executor)
        first = asyncio.ensure_future(asked(batcher, 0))
        while not call.batches:
            await asyncio.sleep(0.001)
        gone, stays = (asyncio.ensure_future(asked(batcher, n)) for n in (1, 2))
        await asyncio.sleep(0)
        gone.cancel()
        call.gate.set()
        assert outputs(await asyncio.gather(first, stays)) == [[0], [4]]
        assert call.batches == [[0], [2]]

    run(scenario)
