"""A search over several machines: processes on loopback with the TF_CONFIG of a cluster, some of which are killed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from penstock.components.tuner import executor
from tests.components.tuner.test_parallel import SOURCE, ended, started, until
from tests.servers import ports
from tests.trainer.tables import Table

pytestmark = [
    pytest.mark.usefixtures("forks"),
    pytest.mark.filterwarnings("default"),
    pytest.mark.slow,
]  # KerasTuner's warnings are its own
# A machine's command, with the patience that a test has.
COMMAND = """
import json, sys
from penstock.components.jobs import worker
from penstock.trainer.tuning.cluster import machine, protocol, serving
serving.SILENCE, machine.BEAT, machine.PATIENCE = {silence}, 0.5, {patience}
serving._FAREWELL, protocol._TIMEOUT = 5, {unanswered}
sys.exit(worker.main("tuner", sys.argv[1]))
"""


class Machines:
    """The machines of a search, each a session of processes that ends at once, as a machine does."""

    def __init__(self, arguments: dict[str, Any], folder: Path) -> None:
        self.arguments, self.folder = arguments, folder
        self.processes: dict[int, subprocess.Popen[bytes]] = {}
        self._chief = f"127.0.0.1:{ports.reserve()}"

    def start(
        self, *indices: int, count: int = 3, silence: float = 60, patience: float = 90, unanswered: float = 10
    ) -> None:
        others = [f"127.0.0.1:{number}" for number in range(1, count)]  # nothing listens there
        cluster = {"chief": [self._chief], "worker": others}
        for index in indices:
            task = {"type": "worker", "index": index - 1} if index else {"type": "chief", "index": 0}
            config = json.dumps({"cluster": cluster, "task": task})
            code = COMMAND.format(silence=silence, patience=patience, unanswered=unanswered)
            self.processes[index] = subprocess.Popen(
                [sys.executable, "-c", code, json.dumps({**self.arguments, "told": str(self.folder / "told")})],
                env={**os.environ, "TF_CONFIG": config},
                start_new_session=True,
            )

    def kill(self, *indices: int) -> None:
        for index in indices or tuple(self.processes):
            process = self.processes.pop(index)
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def codes(self, seconds: float = 240) -> list[int]:
        return [process.wait(timeout=seconds) for process in self.processes.values()]

    def told(self) -> dict[str, Any]:
        return {path.name: json.loads(path.read_text()) for path in (self.folder / "told").glob("*.json")}

    def rows(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(
            Path(self.arguments["tuner_results"], "tuner_results.json").read_text()
        )
        return found


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "trials.log"


@pytest.fixture
def machines(
    write_examples: Callable[..., Path],
    outputs: dict[str, str],
    module: Callable[[str], str],
    log: Path,
    tmp_path: Path,
) -> Iterator[Callable[..., Machines]]:
    """Returns a function that makes machines which run trials with this body."""
    examples = str(write_examples({"train": {"x": [1]}, "eval": {"x": [2]}}))
    made: list[Machines] = []

    def make(body: str = "pass", trials: int = 6, **arguments: Any) -> Machines:
        source = module(SOURCE.format(log=str(log), body=body, trials=trials, overwrite=True))
        given = {"examples": examples, **outputs, "module_file": source, "working_dir": str(tmp_path / "tuning")}
        given["own_process"] = True
        made.append(Machines({**given, **arguments}, tmp_path))
        return made[-1]

    yield make
    for one in made:
        one.kill()


def machines_of(starts: Sequence[tuple[str, int, str]]) -> set[str]:
    return {name.partition("-worker-")[0] for _, _, name in starts}


def test_trials_run_on_all_machines(machines: Callable[..., Machines], log: Path, outputs: dict[str, str]) -> None:
    """The first three trials wait for each other: they end only if three workers run at a time, one on a machine."""
    made = machines("while len(log.read_text().splitlines()) < 3: time.sleep(0.02)")
    made.start(0, 1, 2)
    assert made.codes() == [0, 0, 0]
    assert machines_of(started(log)) == {"machine-0", "machine-1", "machine-2"}
    assert len(made.rows()) == 6
    assert made.rows()[0]["score"] == min((row["x"] - 0.5) ** 2 for row in made.rows())
    assert sorted(trial for trial, _, _ in started(log)) == [str(index) for index in range(6)]
    told = made.told()
    assert list(told) == ["result.json"], "the chief alone, and no failure"
    assert told["result.json"]["tuner_results"]["trials"] == 6
    assert told["result.json"]["best_hyperparameters"]["objective"] == "val"
    assert (Path(outputs["best_hyperparameters"]) / "best_hyperparameters.txt").is_file()
    assert list((made.folder / "tuning").iterdir()) == []


def test_each_machine_runs_its_own_trials_in_parallel(machines: Callable[..., Machines], log: Path) -> None:
    """Four trials wait for each other, on two machines."""
    body = "while len(log.read_text().splitlines()) < 4: time.sleep(0.02)"
    made = machines(body, trials=4, tune_args='{"num_parallel_trials": 2}')
    made.start(0, 1, count=2)
    assert made.codes() == [0, 0]
    expected = {f"machine-{machine}-worker-{worker}" for machine in (0, 1) for worker in (0, 1)}
    assert {name for _, _, name in started(log)} == expected


def test_a_search_without_code(table: Table, outputs: dict[str, str], tmp_path: Path) -> None:
    """The trials are those of one machine, and both have run some."""
    rates = {"learning_rate": {"min": 1e-4, "max": 1e-1, "scale": "log"}}
    config = {
        "label": "species",
        "training": {"epochs": 3, "members": 2, "width": 16, "batch_size": 32},
        "tuning": {"parameters": rates, "trials": 6, "algorithm": "random", "early_stopping": False},
    }
    given = {
        **{name: str(table.root / name) for name in ("transform_graph", "schema", "statistics")},
        "examples": str(table.root / "transformed_examples"),
        "tuner_fn": "penstock.trainer.tuning.default.tuner_fn",
        "custom_config": json.dumps(config),
        "tune_args": '{"num_parallel_trials": 1}',
    }
    made = Machines({**given, **outputs, "working_dir": str(tmp_path / "tuning")}, tmp_path)
    try:
        made.start(0, 1, count=2)
        # KerasTuner keeps a file of each tuner that has ended a trial.
        both = {"machine-0-worker-0.json", "machine-1-worker-0.json"}
        until(lambda: both <= {path.name for path in (tmp_path / "tuning").glob("*/search/*.json")}, 240)
        assert made.codes() == [0, 0]
    finally:
        made.kill()
    alone = {name: str(tmp_path / "alone" / name) for name in outputs}
    executor.run(**given, **alone)
    expected = json.loads(Path(alone["tuner_results"], "tuner_results.json").read_text())
    assert {row["trial_id"]: row["learning_rate"] for row in made.rows()} == {
        row["trial_id"]: row["learning_rate"] for row in expected
    }
    assert [row["score"] for row in made.rows()] == pytest.approx([row["score"] for row in expected], rel=1e-3)


def test_a_killed_worker_of_another_machine_gets_its_trial_again(machines: Callable[..., Machines], log: Path) -> None:
    body = (
        "while len(log.read_text().splitlines()) < 2: time.sleep(0.02)\n"
        "        if self.tuner_id.startswith('machine-1') and log.read_text().count('machine-1') == 1: "
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    made = machines(body)
    made.start(0, 1, count=2)
    assert made.codes() == [0, 0]
    theirs = [start for start in started(log) if start[2] == "machine-1-worker-0"]
    assert theirs[0][0] == theirs[1][0], "the same trial"
    assert theirs[0][1] != theirs[1][1], "in a new process"
    assert len(made.rows()) == 6
    assert len(started(log)) == 7


def test_a_trial_that_always_kills_its_worker_fails(
    machines: Callable[..., Machines], log: Path, outputs: dict[str, str]
) -> None:
    """On a machine that has no oracle to tell it to."""
    body = (
        "while 'machine-1' not in log.read_text(): time.sleep(0.02)\n"
        "        if self.tuner_id.startswith('machine-1') and trial.trial_id == "
        "log.read_text().split(' machine-1')[0].splitlines()[-1].split()[0]: os.kill(os.getpid(), signal.SIGKILL)"
    )
    made = machines(body, trials=4)
    made.start(0, 1, count=2)
    assert made.codes() == [0, 0]
    assert len(made.rows()) == 3
    (killer,) = {str(index) for index in range(4)} - {row["trial_id"] for row in made.rows()}
    assert [trial for trial, _, _ in started(log)].count(killer) == 3
    assert "was killed by signal 9, 3 times in a row" in Path(outputs["report"]).read_text()


def test_a_machine_that_goes_away_loses_no_trial(machines: Callable[..., Machines], log: Path) -> None:
    """It is killed in its trial, when the chief's own worker has no more to do: that one comes back for it."""
    body = "while self.tuner_id.startswith('machine-1') or 'machine-1' not in log.read_text(): time.sleep(0.02)"
    made = machines(body, trials=3)
    made.start(0, 1, count=2, silence=6)
    working = made.folder / "tuning"
    until(lambda: ended(working) == 2 and "machine-1" in log.read_text())
    (lost,) = [trial for trial, _, name in started(log) if name.startswith("machine-1")]
    time.sleep(1)  # the chief's worker ends
    made.kill(1)
    assert made.codes() == [0]
    assert [name for trial, _, name in started(log) if trial == lost] == ["machine-1-worker-0", "machine-0-worker-0"]
    assert len(made.rows()) == 3


def test_a_machine_that_comes_back_goes_on(machines: Callable[..., Machines], log: Path) -> None:
    """Its trial is handed on at once, not only after a silence."""
    body = "while self.tuner_id.startswith('machine-1') and log.read_text().count('machine-1') == 1: time.sleep(0.02)"
    made = machines(body + "\n        time.sleep(0.3)", trials=30)
    made.start(0, 1, count=2, silence=200)
    until(lambda: log.exists() and "machine-1" in log.read_text())
    (lost,) = [trial for trial, _, name in started(log) if name.startswith("machine-1")]
    made.kill(1)
    made.start(1, count=2, silence=200)
    assert made.codes() == [0, 0]
    assert [trial for trial, _, _ in started(log)].count(lost) == 2
    assert len(made.rows()) == 30


def test_a_chief_that_is_started_again_goes_on(machines: Callable[..., Machines], log: Path) -> None:
    """The other machine stays, and works for the new one. Completed trials are not run again.

    From the fourth on trials wait until four processes have begun some: two workers before, two after.
    """
    later = "{line.split()[1] for line in log.read_text().splitlines() if line.split()[0] > '2'}"
    made = machines(f"while trial.trial_id > '2' and len({later}) < 4: time.sleep(0.02)", trials=9)
    made.arguments["module_file"] = keeps(Path(made.arguments["module_file"]))
    made.start(0, 1, count=2)
    until(lambda: len(started(log)) == 5 and ended(made.folder / "tuning") == 3)
    made.kill(0)
    before = started(log)
    made.start(0, count=2)
    assert made.codes() == [0, 0]
    assert len(made.rows()) == 9
    after = [trial for trial, _, _ in started(log)[len(before) :]]
    assert sorted(after) == [str(index) for index in range(3, 9)]
    assert machines_of(started(log)[len(before) :]) == {"machine-0", "machine-1"}


def keeps(module_file: Path) -> str:
    """Returns the module with a tuner that keeps what an earlier chief has found."""
    module_file.write_text(module_file.read_text().replace("overwrite=True", "overwrite=False"))
    return str(module_file)


def test_what_a_machine_fails_of_is_the_searchs(machines: Callable[..., Machines]) -> None:
    made = machines("pass", trials=4)
    source = Path(made.arguments["module_file"])
    broken = "def tuner_fn(fn_args):\n    if 'machine-1' in os.environ['KERASTUNER_TUNER_ID']: raise KeyError('bert')\n"
    waits = "while self.tuner_id.startswith('machine-0'): time.sleep(0.02)"
    text = (
        source.read_text().replace("def tuner_fn(fn_args):\n", broken).replace("        pass\n", f"        {waits}\n")
    )
    source.write_text(text)
    made.start(0, 1, count=2)
    assert made.codes() == [2, 2]
    told = made.told()
    assert set(told) == {"chief-0.failure.json", "worker-0.failure.json"}
    for failure in told.values():
        assert failure["message"].startswith("tuner_fn raised KeyError: 'bert'"), failure


def test_a_machine_that_finds_no_chief_says_so(machines: Callable[..., Machines]) -> None:
    made = machines()
    made.start(1, count=2, patience=1, unanswered=1)
    assert made.codes() == [1]
    ((_, failure),) = made.told().items()
    assert "the chief of the search at 127.0.0.1:" in failure["message"]
    assert "see its log, and whether this machine can reach it" in failure["message"]


def test_a_machine_that_comes_late_ends_well(machines: Callable[..., Machines], log: Path) -> None:
    made = machines(trials=2)
    made.start(0, count=2)
    assert made.codes() == [0]
    made.start(1, count=2, unanswered=1)
    assert made.codes() == [0, 0]
    assert machines_of(started(log)) == {"machine-0"}
    assert list((made.folder / "tuning").iterdir()) == []
