"""The Beam engine: a pipeline of Create, Reshuffle and Map for each call, on any runner that Beam's options name.

As in TFX these are `beam_pipeline_args`: Flink, Spark and Prism by their job servers, Dataflow, or the processes of
this machine. Workers need what this process has: Python of the same minor version, penstock, and the storage of the
artifacts at the same paths. Results come as files (handover.py), which works on all runners alike, and is the only way
on those that give nothing back. What a runner does with a bundle whose worker was lost is the runner's own: most try
again, or end the pipeline, and then another one computes what is left. Beam's own waits for ever.
"""

import contextlib
import logging
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from threading import Event, Thread
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.runners.runner import PipelineState

from penstock.components.engines import settings
from penstock.components.engines.handover import UNSEEN, HandoverEngine, Work
from penstock.core.errors import ConfigError, NoServer, PenstockError, SystemFailure, WorkerLost
from penstock.core.text import printable

logger = logging.getLogger(__name__)
_LEAVING = 60.0  # seconds for a cancelled pipeline to end
_IN_PROCESS = ("DirectRunner", "FnApiRunner")
_AWAY = ("StatusCode.UNAVAILABLE", "failed to connect to all addresses", "FutureTimeoutError")
_LOST = (
    *("worker died", "worker disconnected", "Worker exited", "Socket closed", "SDK harness", "Connection reset"),
    "process exited",
)


class BeamEngine(HandoverEngine):
    """Runs a pipeline for each call."""

    variables_by = "set NAME where the runner's workers are started"

    def __init__(self, asked: settings.Beam, place: Path):
        super().__init__(place)
        name = "engine.beam.beam_pipeline_args"
        self._arguments = [settings.from_environment(name, argument) for argument in asked.beam_pipeline_args]

    @contextlib.contextmanager
    def job(self, work: Work, shards: Sequence[bytes]) -> Iterator[Future[str]]:
        job = Future[str]()
        running: list[Any] = []
        ended = Event()

        def run() -> None:
            try:
                try:
                    self._finish(running, work, list(enumerate(shards)))
                except Exception as error:
                    if ended.is_set() or not isinstance(_explained(error), WorkerLost):
                        raise
                    logger.warning("a worker of the runner was lost: what is left is computed by others, once more")
                    self._finish(running, work, self._left(work, shards))
                job.set_result("")
            except BaseException as error:
                job.set_exception(_explained(error))

        thread = Thread(target=run, name="beam", daemon=True)
        thread.start()
        try:
            yield job
        finally:
            ended.set()
            if not job.done() and running:
                with contextlib.suppress(Exception):  # runners that cannot cancel end at the next shard: see Work
                    running[-1].cancel()
            thread.join(_LEAVING)

    def _left(self, work: Work, shards: Sequence[bytes]) -> list[tuple[int, bytes]]:
        numbered = list(enumerate(shards))[self.taken :]
        return [(number, shard) for number, shard in numbered if not work.result(number).exists()]

    def _finish(self, running: list[Any], work: Work, numbered: Sequence[tuple[int, bytes]]) -> None:
        running.append(self._run(work, numbered))
        state = running[-1].wait_until_finish()
        if state not in (None, PipelineState.DONE):
            raise RuntimeError(f"the pipeline ended as {state}")

    def _run(self, work: Work, numbered: Sequence[tuple[int, bytes]]) -> Any:
        options = PipelineOptions(self._arguments)
        runner = options.view_as(StandardOptions).runner
        # Beam's own DirectRunner would first try to download a server, and compute all again where that fails.
        pipeline = beam.Pipeline(runner=FnApiRunner() if runner in (None, *_IN_PROCESS) else None, options=options)
        created = pipeline | "Shards" >> beam.Create(numbered, reshuffle=False)
        created | "Spread" >> beam.Reshuffle() | "Compute" >> beam.Map(_compute, work)
        return pipeline.run()


def _compute(numbered: tuple[int, bytes], work: Work) -> None:
    problem = work(numbered)
    if problem:
        raise ConfigError(problem)


def _explained(error: BaseException) -> PenstockError:
    """Returns what a pipeline's failure means to who configured it."""
    text = str(error)
    if unseen := re.search(rf"{re.escape(UNSEEN)}[^\n]+", text):
        return ConfigError(unseen[0])
    if "No module named 'penstock" in text:
        return ConfigError(
            "engine: beam: the workers have no penstock: expected this task's image or environment there, by "
            "sdk_container_image or what starts the workers"
        )
    first = printable.sentence(next(iter(text.strip().splitlines()), type(error).__name__))[:500]
    if isinstance(error, ValueError) and "Runner" in text:
        return ConfigError(f"engine: beam: {first}")
    if any(word in text or word in type(error).__name__ for word in _AWAY):
        return NoServer(f"engine: beam: the runner's server does not answer: {first}")
    if any(word in text for word in _LOST):
        return WorkerLost(f"engine: beam: a worker was lost, most likely for memory: {first}")
    return SystemFailure(f"engine: beam: the pipeline failed: {first}")
