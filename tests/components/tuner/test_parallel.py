"""Trials in worker processes: over KerasTuner's gRPC oracle, with workers and whole searches that are killed."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from penstock.components.tuner import executor
from penstock.core.errors import ModuleError, UserError
from penstock.trainer.tuning.cluster import chief
from penstock.trainer.tuning.cluster.keeper import Keeper
from penstock.trainer.tuning.user_code import UserCode
from tests.servers import ports

pytestmark = [pytest.mark.usefixtures("forks"), pytest.mark.filterwarnings("default")]  # KerasTuner's are its own

# Every trial leaves a line in a log, and may be told to wait, die or raise by files of that name.
SOURCE = """
import os, signal, time
from pathlib import Path
import keras_tuner
from penstock.trainer.fn_args import TunerFnResult

log = Path({log!r})

class Parabola(keras_tuner.RandomSearch):
    def run_trial(self, trial, **kwargs):
        x = trial.hyperparameters.get("x")
        with open(log, "a") as file:
            file.write(f"{{trial.trial_id}} {{os.getpid()}} {{self.tuner_id}}\\n")
        {body}
        return (x - 0.5) ** 2

def tuner_fn(fn_args):
    space = keras_tuner.HyperParameters()
    space.Float("x", 0.0, 1.0)
    tuner = Parabola(hyperparameters=space, objective=keras_tuner.Objective("val", "min"), max_trials={trials},
                     directory=fn_args.working_dir, overwrite={overwrite}, seed=7, project_name="search")
    return TunerFnResult(tuner, dict(verbose=0))
"""
PARALLEL = '{"num_parallel_trials": 2}'


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "trials.log"


@pytest.fixture
def source(module: Callable[[str], str], log: Path) -> Callable[..., str]:
    def write(body: str = "pass", trials: int = 6, overwrite: bool = False) -> str:
        return module(SOURCE.format(log=str(log), body=body, trials=trials, overwrite=overwrite))

    return write


@pytest.fixture
def examples(write_examples: Callable[..., Path]) -> str:
    return str(write_examples({"train": {"x": [1]}, "eval": {"x": [2]}}))


@pytest.fixture
def tune(examples: str, outputs: dict[str, str]) -> Callable[..., list[dict[str, Any]]]:
    """Returns a function that runs the Tuner and returns its tuner_results."""

    def run(module_file: str, **arguments: Any) -> list[dict[str, Any]]:
        executor.run(examples=examples, **outputs, module_file=module_file, **arguments)
        return list(json.loads(Path(outputs["tuner_results"], "tuner_results.json").read_text()))

    return run


def started(log: Path) -> list[tuple[str, int, str]]:
    lines = log.read_text().splitlines() if log.exists() else []
    return [(trial, int(pid), name) for trial, pid, name in (line.split() for line in lines)]


def until[Found](condition: Callable[[], Found], seconds: float = 90) -> Found:
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)
    return found


@pytest.mark.slow
def test_trials_run_in_workers(tune: Callable[..., Any], source: Callable[..., str], log: Path) -> None:
    # The first two trials wait for each other: they end only if they run at a time.
    body = "while len(log.read_text().splitlines()) < 2: time.sleep(0.02)"
    found = tune(source(body, overwrite=True), tune_args=PARALLEL)
    assert len(found) == 6
    assert found[0]["score"] == min((row["x"] - 0.5) ** 2 for row in found)
    assert {name for _, _, name in started(log)} == {"worker-0", "worker-1"}
    assert os.getpid() not in {pid for _, pid, _ in started(log)}
    assert sorted(trial for trial, _, _ in started(log)) == [str(index) for index in range(6)]


def test_cores_are_not_kept_for_workers_without_a_trial(
    tune: Callable[..., Any], source: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = []

    class Counting(Keeper):
        def __init__(self, code: UserCode, count: int, *more: Any) -> None:
            counts.append(count)
            super().__init__(code, count, *more)

    monkeypatch.setattr(chief, "Keeper", Counting)
    assert len(tune(source(trials=2), tune_args='{"num_parallel_trials": 500}')) == 2
    assert counts == [2]


def test_the_trials_are_those_of_one_process(tune: Callable[..., Any], source: Callable[..., str]) -> None:
    parallel, alone = (tune(source(), tune_args=args) for args in (PARALLEL, ""))
    assert parallel == alone


@pytest.mark.slow
def test_a_killed_worker_loses_nothing(tune: Callable[..., Any], source: Callable[..., str], log: Path) -> None:
    """The second trial to start kills its process, the first time: kill -9, as the kernel does for want of memory."""
    body = "if len(log.read_text().splitlines()) == 2: os.kill(os.getpid(), signal.SIGKILL)"
    found = tune(source(body), tune_args=PARALLEL)
    starts = started(log)
    killed = starts[1]
    assert len(found) == 6
    assert len(starts) == 7
    assert [trial for trial, _, _ in starts].count(killed[0]) == 2
    again = next(start for start in starts[2:] if start[0] == killed[0])
    assert again[2] == killed[2]  # the worker of that name
    assert again[1] != killed[1]  # in a new process


@pytest.mark.slow
def test_a_trial_that_always_kills_its_worker_fails(
    tune: Callable[..., Any], source: Callable[..., str], log: Path, outputs: dict[str, str]
) -> None:
    body = "if trial.trial_id == '1': os.kill(os.getpid(), signal.SIGKILL)"
    found = tune(source(body, trials=3), tune_args=PARALLEL)
    assert sorted(row["trial_id"] for row in found) == ["0", "2"]
    assert [trial for trial, _, _ in started(log)].count("1") == 3
    assert "was killed by signal 9, 3 times in a row" in Path(outputs["report"]).read_text()


@pytest.mark.slow
def test_a_worker_that_ends_with_exit_code_0_has_not_done_its_work(
    tune: Callable[..., Any], source: Callable[..., str], log: Path
) -> None:
    """In a trial, and after each, when it has none: it is started again, and no trial is lost."""
    module_file = Path(source("if len(log.read_text().splitlines()) == 2: os._exit(0)", trials=3))
    module_file.write_text(
        module_file.read_text()
        + "def on_trial_end(self, trial):\n    keras_tuner.RandomSearch.on_trial_end(self, trial)\n    os._exit(0)\n"
        + "Parabola.on_trial_end = on_trial_end\n"
    )
    rows = tune(str(module_file), tune_args=PARALLEL)
    assert sorted(row["trial_id"] for row in rows) == ["0", "1", "2"]
    assert len(started(log)) == 4


def test_what_workers_raise_is_told(tune: Callable[..., Any], source: Callable[..., str]) -> None:
    with pytest.raises(ModuleError, match=r"3 trials in a row failed; the last one: ValueError: no such thing") as told:
        tune(source('raise ValueError("no such thing")'), tune_args=PARALLEL)
    assert "run_trial" in told.value.details


@pytest.mark.parametrize("begun_by", ["tuner0", "chief"])
def test_an_interrupted_search_goes_on_wherever_its_inputs_lie(
    outputs: dict[str, str],
    write_examples: Callable[..., Path],
    source: Callable[..., str],
    log: Path,
    tmp_path: Path,
    begun_by: str,
) -> None:
    """As the local runner has it: what its cache answers lies in the new run's folder."""
    go_on = tmp_path / "go-on"
    module_file = source(
        f"if trial.trial_id == '3' and not Path({str(go_on)!r}).exists(): raise KeyboardInterrupt", trials=5
    )
    rows = {"train": {"x": [1]}, "eval": {"x": [2]}}
    given = {**outputs, "module_file": module_file, "working_dir": str(tmp_path / "tuning")}
    with pytest.raises(KeyboardInterrupt):
        executor.run(examples=str(write_examples(rows)), **given)
    (own,) = (tmp_path / "tuning").glob("*/search/tuner0.json")
    own.rename(own.with_name(f"{begun_by}.json"))
    go_on.touch()
    executor.run(examples=str(write_examples(rows, name="elsewhere")), **given)
    assert [trial for trial, _, _ in started(log)] == ["0", "1", "2", "3", "3", "4"]


def test_other_inputs_are_another_search(
    outputs: dict[str, str], write_examples: Callable[..., Path], source: Callable[..., str], log: Path, tmp_path: Path
) -> None:
    module_file = source("if len(log.read_text().splitlines()) == 2: raise KeyboardInterrupt", trials=3)
    given = {**outputs, "module_file": module_file, "working_dir": str(tmp_path / "tuning")}
    with pytest.raises(KeyboardInterrupt):
        executor.run(examples=str(write_examples({"train": {"x": [1]}, "eval": {"x": [2]}})), **given)
    executor.run(examples=str(write_examples({"train": {"x": [3]}, "eval": {"x": [2]}}, name="other")), **given)
    assert [trial for trial, _, _ in started(log)] == ["0", "1", "0", "1", "2"]


def test_a_search_that_is_under_way_is_left_alone(
    outputs: dict[str, str], examples: str, source: Callable[..., str], tmp_path: Path
) -> None:
    given = {**outputs, "examples": examples, "module_file": source("raise KeyboardInterrupt")}
    given["working_dir"] = str(tmp_path / "tuning")
    with pytest.raises(KeyboardInterrupt):
        executor.run(**given)
    (lock,) = (tmp_path / "tuning").glob("*.lock")
    with open(lock, "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="the same search is under way in"):
            executor.run(**given)


@pytest.fixture
def search(examples: str, outputs: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Returns a function that starts the Tuner in a process of its own, with a folder that outlives it."""
    processes = []

    def start(module_file: str, tune_args: str) -> subprocess.Popen[bytes]:
        arguments = {"examples": examples, **outputs, "module_file": module_file, "tune_args": tune_args}
        arguments["working_dir"] = str(tmp_path / "tuning")
        command = [sys.executable, "-m", "penstock.components.tuner.executor", json.dumps(arguments)]
        processes.append(subprocess.Popen(command))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.wait()


def ended(working_dir: Path) -> int:
    """How many trials the search there has kept."""
    states = list(working_dir.glob("*/search/oracle.json"))
    return len(json.loads(states[0].read_text())["end_order"]) if states else 0


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
@pytest.mark.parametrize("tune_args", ["", PARALLEL])
def test_a_killed_search_goes_on(
    search: Callable[..., subprocess.Popen[bytes]],
    source: Callable[..., str],
    log: Path,
    outputs: dict[str, str],
    tmp_path: Path,
    tune_args: str,
) -> None:
    """Killed in the fourth trial, which waits for ever; the three that are done are not run again."""
    go_on = tmp_path / "go-on"
    body = f"while trial.trial_id == '3' and not Path({str(go_on)!r}).exists(): time.sleep(0.02)"
    module_file = source(body)
    first = search(module_file, tune_args)
    # With two workers the other one goes on to the end.
    enough = 3 if not tune_args else 5
    until(lambda: ended(tmp_path / "tuning") == enough and "3" in {trial for trial, _, _ in started(log)})
    first.send_signal(signal.SIGKILL)
    first.wait()
    workers = {pid for _, pid, _ in started(log)} - {first.pid}
    until(lambda: not any(alive(pid) for pid in workers), 10)  # none is left behind
    go_on.touch()
    assert search(module_file, tune_args).wait() == 0
    found = json.loads(Path(outputs["tuner_results"], "tuner_results.json").read_text())
    assert sorted(row["trial_id"] for row in found) == [str(index) for index in range(6)]
    trials = [trial for trial, _, _ in started(log)]
    assert {trial: trials.count(trial) for trial in trials} == {**{str(index): 1 for index in range(6)}, "3": 2}
    assert list((tmp_path / "tuning").iterdir()) == []


@pytest.mark.slow
def test_workers_that_die_with_what_forks_them_are_started_anew(
    search: Callable[..., subprocess.Popen[bytes]], source: Callable[..., str], log: Path, outputs: dict[str, str]
) -> None:
    """The first trial kills its worker's parent, which is not the search's own process."""
    first = "[line.split()[0] for line in log.read_text().splitlines()].count('0') == 1"
    body = f"if trial.trial_id == '0' and {first}: os.kill(os.getppid(), signal.SIGKILL); time.sleep(60)"
    assert search(source(body), PARALLEL).wait(timeout=200) == 0
    found = json.loads(Path(outputs["tuner_results"], "tuner_results.json").read_text())
    assert sorted(row["trial_id"] for row in found) == [str(index) for index in range(6)]
    trials = [trial for trial, _, _ in started(log)]
    assert trials.count("0") == 2
    assert len({pid for _, pid, _ in started(log)}) >= 3, "the trial was run again by another process"


@pytest.mark.slow
def test_a_search_of_several_machines_has_one_that_writes(
    penguins: dict[str, str], outputs: dict[str, str], source: Callable[..., str], log: Path, tmp_path: Path
) -> None:
    """A chief and a worker as KerasTuner's variables describe them, each with the executor's own command."""
    port = ports.reserve()
    arguments = {**penguins, "module_file": source(trials=3, overwrite=True), "working_dir": str(tmp_path / "tuning")}
    processes, folders = {}, {}
    for name in ("chief", "worker-0"):
        folders[name] = {key: path.replace("/outputs/", f"/{name}/") for key, path in outputs.items()}
        for key in ("best_hyperparameters", "tuner_results"):
            Path(folders[name][key]).mkdir(parents=True)
        variables = {"TUNER_ID": name, "ORACLE_IP": "127.0.0.1", "ORACLE_PORT": str(port)}
        token = {"PENSTOCK_SEARCH_TOKEN": "of both"}
        processes[name] = subprocess.Popen(
            [sys.executable, "-m", "penstock.components.tuner.executor", json.dumps({**arguments, **folders[name]})],
            env={**os.environ, **token, **{f"KERASTUNER_{key}": value for key, value in variables.items()}},
        )
    try:
        assert [process.wait(timeout=200) for process in processes.values()] == [0, 0]
    finally:
        for process in processes.values():
            process.kill()
    assert [line.split()[2] for line in log.read_text().splitlines()] == ["worker-0"] * 3
    assert (Path(folders["chief"]["best_hyperparameters"]) / "best_hyperparameters.txt").is_file()
    assert list((tmp_path / "worker-0").rglob("*.*")) == [], "the worker writes nothing"
    assert list((tmp_path / "tuning").iterdir()) == [], "the chief has removed the search's folder"
