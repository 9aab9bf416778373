"""Tries a model in a server: is it loaded, does it answer as the model itself does, and within its budgets?"""

import logging
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from penstock.components.infra_validator import answers, process
from penstock.components.infra_validator.answers import Direct, Outputs
from penstock.components.infra_validator.client import Client, RefusedByServer, Unanswered
from penstock.components.infra_validator.process import Server
from penstock.components.infra_validator.requests import Request
from penstock.components.infra_validator.settings import Settings, Url
from penstock.core import progress
from penstock.core.artifacts import Check

_INTERVAL = 0.05  # seconds between two looks whether the server is ready
_READY_SECONDS = 10.0  # for an answer to that
_MEASURED = 100  # requests whose latency is measured, after all have been sent once
_LEAST_MEASURED = 20
_MEASURED_SECONDS = 2.0  # after which the least number is enough
logger = logging.getLogger(__name__)


@dataclass
class Result:
    """What came of a trial. `final` says that trying once more would come to the same."""

    checks: list[Check] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    final: bool = True

    @property
    def blessed(self) -> bool:
        return all(check["passed"] for check in self.checks)


class _Failed(Exception):
    """A check that ends a trial."""

    def __init__(self, name: str, sentence: str, final: bool = True):
        super().__init__(sentence)
        self.name, self.sentence, self.final = name, sentence, final


class Trial:
    """A model that is tried with requests; there may be none."""

    def __init__(self, model: Path, settings: Settings, requests: Sequence[Request]):
        self._model, self._settings, self._requests = model, settings, requests
        self._direct: Direct | None = None
        self._own: list[Outputs] = []

    def run(self) -> Result:
        """Tries the model until it is blessed, as often as the settings allow; returns the last result."""
        result = Result()
        for number in range(1, self._settings.tries + 1):
            result = self._once()
            if result.blessed or result.final:
                break
            (refused,) = [check["sentence"] for check in result.checks if not check["passed"]][:1]
            logger.info("attempt %d of %d: %s", number, self._settings.tries, refused)
        return result

    def _once(self) -> Result:
        result, url = Result(), self._settings.url
        try:
            if url:
                self._ask_own()
                _wait(url, self._settings.max_loading_seconds)
                result.checks.append(_check("ready", None, None, f"{url} was ready"))
                self._ask(url, result)
                return result
            progress.say("starting the model server")
            with process.started(self._model, self._settings.model_name, self._settings.variables) as server:
                try:
                    self._started(server, result)
                finally:
                    result.log = server.last_lines()
        except _Failed as failed:
            result.checks.append(_check(failed.name, None, None, failed.sentence, passed=False))
            result.final = failed.final
        return result

    def _started(self, server: Server, result: Result) -> None:
        self._ask_own()  # while the server starts
        budgets = self._settings.budgets
        url = _wait_for_process(server, self._settings.max_loading_seconds)
        seconds = time.monotonic() - server.started
        what = f"the model server was ready after {seconds:.1f} s"
        result.checks.append(_limited("cold_start_seconds", seconds, budgets.cold_start_seconds, what, "s"))
        try:
            self._ask(url, result)
        except _Failed as failed:
            how = server.ended()
            raise _Failed(failed.name, f"the model server ended: {how}", final=False) if how else failed from None
        peak = server.peak_memory()
        if peak is None and budgets.memory:
            raise _Failed("memory", "this system does not tell how much memory a process has had: expected no budget")
        if peak is not None:
            mebibytes, limit = peak / 2**20, budgets.memory and budgets.memory / 2**20
            what = f"the model server had {mebibytes:,.0f} MiB of memory at most"
            result.checks.append(_limited("memory_mib", mebibytes, limit, what, "MiB"))
        slow = [check for check in result.checks if not check["passed"]]
        result.final = not slow or any(check["name"] in ("answers", "memory_mib") for check in slow)

    def _ask_own(self) -> None:
        """Asks the model itself, once for all attempts."""
        if self._own or not self._requests:
            return
        self._direct = Direct(self._model)
        try:
            self._own = [self._direct.predict(request) for request in self._requests]
        except answers.Refused as refused:
            raise _Failed("answers", str(refused)) from None

    def _ask(self, url: Url, result: Result) -> None:
        if not self._requests:
            return
        progress.say(f"asking the model server {len(self._requests)} times")
        with Client(url) as client:
            compared = self._compared(client)
            result.checks.append(compared)
            if compared["passed"]:
                result.checks += self._measured(client)

    def _compared(self, client: Client) -> Check:
        different = []
        for request, own in zip(self._requests, self._own, strict=True):
            difference = answers.difference(request, own, self._answer(client, request, own))
            if difference:
                different.append((request, own, difference))
        total = len(self._requests)
        same = total - len(different)
        if not different:
            return _check("answers", same, total, f"{same} of {total} answers are the model's own")
        request, own, sentence = different[0]
        assert self._direct is not None
        if not self._direct.is_steady(request, own):
            sentence += "; the model itself answers differently from call to call, since it draws random numbers or "
            sentence += "keeps a state"
        more = f" ({len(different)} of {total} answers differ)" if len(different) > 1 else ""
        return _check("answers", same, total, sentence + more, passed=False)

    def _answer(self, client: Client, request: Request, own: Outputs) -> dict[str, object]:
        try:
            return client.predict(request.signature, request.inputs, own)
        except RefusedByServer as refused:
            raise _Failed("answers", f"row {request.row}: the model server refuses it: {refused}") from None
        except Unanswered as unanswered:
            raise _Failed("answers", f"row {request.row}: no answer: {unanswered}", final=False) from None

    def _measured(self, client: Client) -> list[Check]:
        """Measures latencies of single rows, one after the other, as a client sees them."""
        milliseconds: list[float] = []
        began = time.perf_counter()
        while len(milliseconds) < _MEASURED:
            sent = time.perf_counter()
            if len(milliseconds) >= _LEAST_MEASURED and sent - began > _MEASURED_SECONDS:
                break
            index = len(milliseconds) % len(self._requests)
            self._answer(client, self._requests[index], self._own[index])
            milliseconds.append(1000 * (time.perf_counter() - sent))
        budgets = self._settings.budgets
        half, most = _percentile(milliseconds, 50), _percentile(milliseconds, 95)
        return [
            _limited(
                "latency_p50_ms", half, budgets.latency_p50_ms, f"half of the answers came within {half:.1f} ms", "ms"
            ),
            _limited(
                "latency_p95_ms", most, budgets.latency_p95_ms, f"95 % of the answers came within {most:.1f} ms", "ms"
            ),
        ]


def _wait(url: Url, seconds: float) -> None:
    """Waits until a server that runs already has the model."""
    deadline = time.monotonic() + seconds
    while True:
        state = _loading(url)
        if not state:
            return
        if time.monotonic() > deadline:
            raise _Failed("ready", f"{url} was not ready within {seconds:.0f} s: {state}", final=False)
        time.sleep(_INTERVAL)


def _wait_for_process(server: Server, seconds: float) -> Url:
    """Waits until the server that was started has the model; returns the model's URL."""
    deadline, state = time.monotonic() + seconds, "it has not said its port"
    while True:
        how = server.ended()
        if how:
            last = next((line for line in reversed(server.last_lines()) if line), "it has said nothing")
            if server.refused:
                raise _Failed("ready", f"the model server refuses the model: {last.removeprefix('penstock: ')}")
            raise _Failed("ready", f"the model server did not get ready: {how}: {last}", final=False)
        url = server.url()
        state = _loading(url) if url else state
        if url and not state:
            return url
        if time.monotonic() > deadline:
            raise _Failed(
                "ready",
                f"the model server was not ready within {seconds:.0f} s (max_loading_time_seconds): {state}",
                final=False,
            )
        time.sleep(_INTERVAL)


def _loading(url: Url) -> str:
    """Returns how the loading stands; "" once it is done."""
    try:
        with Client(url, _READY_SECONDS) as client:
            return client.loading()
    except Unanswered as unanswered:
        return str(unanswered)
    except RefusedByServer as refused:
        raise _Failed("ready", f"the model server refuses the model: {refused}") from None


def _check(name: str, value: float | None, limit: float | None, sentence: str, passed: bool = True) -> Check:
    return Check(name=name, value=value, limit=limit, passed=passed, sentence=sentence)


def _limited(name: str, value: float, limit: float | None, what: str, unit: str) -> Check:
    if limit is None:
        return _check(name, value, None, what)
    return _check(name, value, limit, f"{what} (required: at most {limit:g} {unit})", passed=value <= limit)


def _percentile(values: Sequence[float], percent: int) -> float:
    """Returns the value that so many percent of all do not exceed: the nearest rank."""
    return sorted(values)[max(math.ceil(len(values) * percent / 100) - 1, 0)]
