"""Loads Penstock's model server, and the Python servers that people use, in turn, with rows of the taxi model.

    python benchmarks/serving [--rounds 3] [--seconds 10] [--only penstock kserve mlserver] [--requests 200000]

Each request is one row, as a serialized tf.Example. The bare SavedModel, called in a loop in one process, is what all
are measured against. Prints a table of medians over the rounds and what they are asked to be, and ends with one line of
JSON that holds the same. Needs wrk.
"""

import argparse
import base64
import itertools
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from load import Generator, Load
from servers import HERE, SERVERS, Running, started

from penstock.core.examples import records
from penstock.pipelines.cli.predictions import show_predictions
from penstock.pipelines.config import training_pipeline

TAXI = HERE.parent.parent / "examples" / "taxi" / "pipeline.yaml"
ROWS = 200
MANY = 1000  # connections at once


@dataclass(frozen=True)
class Bare:
    """The loop of calls in one process. Milliseconds of a call, and the output for the first example."""

    rate: float
    p50: float
    p99: float
    prediction: float


@dataclass(frozen=True)
class Measurement:
    """One round of a server. Memory in MB, of all its processes, as the requests went on."""

    start: float  # seconds
    alone: Load  # one connection
    busy: Load  # 64
    crowded: Load
    memory: Sequence[float]


@dataclass(frozen=True)
class Task:
    """What all are asked to do."""

    model: Path
    examples: Sequence[str]  # tf.Examples in base64
    seconds: float
    requests: int  # while memory is watched


def main() -> None:
    arguments = _arguments()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(8 * MANY, hard), hard))  # a file for each connection
    task = _taxi(arguments.seconds, arguments.requests)
    bares: list[Bare] = []
    measured: dict[str, list[Measurement]] = {name: [] for name in arguments.only}
    for _ in range(arguments.rounds):
        bares.append(_bare(task))
        print(bares[-1], file=sys.stderr, flush=True)
        for name, rounds in measured.items():
            rounds.append(_measure(name, task, bares[-1].prediction))
            print(name, rounds[-1], file=sys.stderr, flush=True)
    print("\n".join([*_table(bares, measured), "", *_asked(bares, measured)]))
    figures = {name: [asdict(one) for one in rounds] for name, rounds in measured.items()}
    print(json.dumps({"bare": [asdict(one) for one in bares], **figures}))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3, help="of which the medians are printed")
    parser.add_argument("--seconds", type=float, default=10, help="of each load")
    parser.add_argument("--requests", type=int, default=200_000, help="during which Penstock's memory is watched")
    parser.add_argument("--only", nargs="+", choices=list(SERVERS), default=list(SERVERS))
    return parser.parse_args()


def _taxi(seconds: float, requests: int) -> Task:
    """Trains the taxi model, if the demo has not, and returns what is asked of it."""
    subprocess.run([Path(sys.executable).with_name("penstock"), "run", TAXI], check=True, stdout=sys.stderr)
    config = training_pipeline.load(TAXI)
    file = show_predictions.newest_examples(config, "eval")
    examples = itertools.islice(itertools.chain.from_iterable(records.read(file)), ROWS)
    texts = [base64.b64encode(example).decode() for example in examples]
    return Task(show_predictions.newest_model(config).resolve(), texts, seconds, requests)


def _bare(task: Task) -> Bare:
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(task.examples, file)
        file.flush()
        command = [sys.executable, str(HERE / "bare.py"), str(task.model), file.name, str(task.seconds)]
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"}
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
    return Bare(**json.loads(done.stdout))


def _measure(name: str, task: Task, expected: float) -> Measurement:
    with tempfile.TemporaryDirectory() as folder, started(SERVERS[name], task.model, Path(folder)) as running:
        prediction = running.predict(task.examples[0])
        if not math.isclose(prediction, expected, rel_tol=1e-4):
            raise SystemExit(f"{name} answers {prediction}, the bare model {expected}")
        bodies = [json.dumps(running.server.body(example)) for example in task.examples]
        generator = Generator(running.url, bodies, Path(folder))
        generator.run(64, 3)
        alone, busy = generator.run(1, task.seconds), generator.run(64, task.seconds)
        memory = list(_memory(running, generator, busy.rate, task.requests)) if name == "penstock" else []
        return Measurement(running.start, alone, busy, generator.run(MANY, task.seconds), memory)


def _memory(running: Running, generator: Generator, rate: float, requests: int) -> Iterator[float]:
    """Yields the memory before, and after each fifth of the requests."""
    yield running.memory
    answered = 0
    for part in range(1, 6):
        while answered < part * requests / 5:
            answered += generator.run(64, max(1, (part * requests / 5 - answered) / rate)).requests
        yield running.memory


def _table(bares: Sequence[Bare], measured: dict[str, list[Measurement]]) -> Iterator[str]:
    yield "| | 1 connection: p50 ms | p99 ms | 64 connections: answers/s | p50 ms | p99 ms | failures of 1,000 |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: |"
    p50, p99, rate = (median(getattr(bare, name) for bare in bares) for name in ("p50", "p99", "rate"))
    yield f"| bare calls in a loop | {p50:.2f} | {p99:.2f} | {rate:,.0f} | | | |"
    for name, rounds in measured.items():
        alone, busy = [one.alone for one in rounds], [one.busy for one in rounds]
        figures = [median(load.p50 for load in alone), median(load.p99 for load in alone)]
        later = [median(load.p50 for load in busy), median(load.p99 for load in busy)]
        failures = sum(one.crowded.failures for one in rounds)
        requests = sum(one.crowded.requests for one in rounds)
        cells = [*map("{:.2f}".format, figures), f"{median(load.rate for load in busy):,.0f}"]
        cells += [*map("{:.1f}".format, later), f"{failures:,} of {requests:,}"]
        yield f"| {name} | {' | '.join(cells)} |"


def _asked(bares: Sequence[Bare], measured: dict[str, list[Measurement]]) -> Iterator[str]:
    """Yields what is asked of Penstock, each ratio within a round."""
    rounds = measured.get("penstock", [])
    pairs = list(zip(bares, rounds, strict=False))
    if not pairs:
        return
    alone = median(one.alone.p50 / bare.p50 for bare, one in pairs)
    busy = median(one.busy.rate / bare.rate for bare, one in pairs)
    yield f"one connection: p50 {alone:.2f} times the bare call's (at most 2)"
    yield f"64 connections: {busy:.2f} times the bare loop's calls (at least 2)"
    if others := measured.get("kserve"):
        ratio = median(one.busy.rate / other.busy.rate for one, other in zip(rounds, others, strict=True))
        yield f"64 connections: {ratio:.2f} times kserve's answers (at least 3)"
    yield f"64 connections: p99 {median(one.busy.p99 / one.busy.p50 for one in rounds):.2f} times p50 (at most 5)"
    yield f"1,000 connections: {sum(one.crowded.failures for one in rounds)} failures (none)"
    yield f"memory, MB: {', '.join(f'{value:.0f}' for one in rounds[:1] for value in one.memory)}"


if __name__ == "__main__":
    main()
