"""The Tuner's work: the artifacts become FnArgs, the user's tuner searches, and its trials become artifacts."""

import contextlib
import fcntl
import hashlib
import json
import logging
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from penstock.components.trainer import inputs
from penstock.components.trainer.arguments import parse_custom_config, parse_step_args, parse_tune_args
from penstock.components.tuner import report as page
from penstock.core import artifacts, progress
from penstock.core.artifacts import Examples, ExampleStatistics, HyperParameters, TaskResult, TunerResults
from penstock.core.errors import ConfigError, UserError
from penstock.core.files import atomic
from penstock.trainer.fn_args import FnArgs
from penstock.trainer.tuning import results
from penstock.trainer.tuning.cluster import search
from penstock.trainer.tuning.cluster.processes import Source
from penstock.trainer.tuning.results import Results
from penstock.trainer.tuning.settings import CUSTOM_CONFIG
from penstock.trainer.tuning.user_code import UserCode

_WHOLE_BYTES = 8 << 20  # of an input's file; beyond, its size and its end stand for it
logger = logging.getLogger(__name__)


def run(
    *,
    best_hyperparameters: str,
    tuner_results: str,
    report: str,
    examples: str,
    transform_graph: str | None = None,
    schema: str | None = None,
    statistics: str | None = None,
    base_model: str | None = None,
    raw_examples: str | None = None,
    module_file: str = "",
    tuner_fn: str = "",
    train_args: str = "",
    eval_args: str = "",
    tune_args: str = "",
    custom_config: str = "",
    working_dir: str = "",
    own_process: bool = False,
) -> TaskResult:
    """Searches with the user's tuner_fn, and writes the best hyperparameters, all trials, and a page about them.

    The arguments are the component's (component.py describes them), artifacts being folders; `report` is a file, or a
    folder that gets a report.html. Of several machines that search together (TF_CONFIG), and of several processes of
    one search (KERASTUNER_TUNER_ID and its kin, set from outside), the chief alone writes them. The search's own folder
    is named by all that it depends on: a rerun of a killed task finds it, a changed module does not. With
    `own_process`, this process is the task's and nothing has run in it yet: workers are forked from it as it is.

    Raises a ConfigError for a wrong parameter, a DataError for a split that is missing or empty, a ModuleError if the
    module has no such function, if it raises, or if no trial succeeds, a ServerUnavailable if a machine finds no chief.
    """
    parallel_trials, machines = parse_tune_args(tune_args), search.machines()
    has_workers = parallel_trials != 1 or machines is not None
    # The source comes first: what follows looks at the devices.
    with Source(fork=own_process and has_workers) as source, progress.task("Tuner") as counts:
        given = examples, transform_graph, schema, statistics, base_model, raw_examples
        fn_args = read_inputs(*given, train_args, eval_args, custom_config)
        if parallel_trials is None:
            parallel_trials = search.places() if CUSTOM_CONFIG in (fn_args.custom_config or {}) else 1
        parameters = [module_file, tuner_fn, train_args, eval_args, tune_args, custom_config]
        written = TunerResults(Path(tuner_results))
        has_results = search.has_results(machines)
        if has_results:
            written.path.unlink(missing_ok=True)  # a machine that finds no chief takes it for the end of the search
        with _folder(working_dir, lambda: _search_is(parameters, list(given)), has_results) as folder:
            fn_args.working_dir = str(folder)
            code = UserCode(module_file, tuner_fn, fn_args)
            tuner = search.run(code, parallel_trials, machines, written.path.is_file, source)
            if tuner is None:
                logger.info("there are no more trials: the chief writes the results")
                return TaskResult({name: artifacts.metadata() for name in ("best_hyperparameters", "tuner_results")})
            found, best = results.of(tuner.oracle), tuner.get_best_hyperparameters()[0].get_config()
            counts.show(trials=len(found.trials))
            return write(found, best, best_hyperparameters, tuner_results, report)


def read_inputs(
    examples: str,
    transform_graph: str | None,
    schema: str | None,
    statistics: str | None,
    base_model: str | None,
    raw_examples: str | None,
    train_args: str,
    eval_args: str,
    custom_config: str,
) -> FnArgs:
    """Returns what tuner_fn is called with, but for the working_dir; the arguments are those of `run`."""
    train, evaluate = (
        parse_step_args("train_args", train_args, "train"),
        parse_step_args("eval_args", eval_args, "eval"),
    )
    fn_args = FnArgs(custom_config=parse_custom_config(custom_config))
    inputs.set_examples(fn_args, Examples(Path(examples)), train, evaluate)
    inputs.set_artifacts(fn_args, transform_graph, schema, base_model, None)
    fn_args.schema_file = fn_args.transform_output = None  # as in TFX, whose Tuner never knew the old names
    if statistics is not None:
        inputs.set_statistics(fn_args, ExampleStatistics(Path(statistics)))
    if raw_examples is not None:
        raw = Examples(Path(raw_examples))
        fn_args.raw_train_files = [str(raw.split(split) / "*") for split in train.splits]  # type: ignore[attr-defined]
    return fn_args


def write(
    found: Results, best: dict[str, Any], best_hyperparameters: str, tuner_results: str, report: str
) -> TaskResult:
    """Writes the outputs of a search. `best` is KerasTuner's HyperParameters.get_config() of the best trial."""
    HyperParameters(Path(best_hyperparameters)).write(best)
    page.write(Path(report), found)
    TunerResults(Path(tuner_results)).write(found.rows())  # last: other machines take it for the end of the search
    score = found.best[0].score
    assert score is not None  # the best trials are those with a score
    logger.info("best of %d trials: %s %s", len(found.trials), found.objective, score)
    return TaskResult(
        {
            "best_hyperparameters": artifacts.metadata(objective=found.objective, score=score),
            "tuner_results": artifacts.metadata(trials=len(found.trials)),
        }
    )


def _search_is(parameters: list[Any], given: list[str | None]) -> str:
    """Returns a name for a search: the digest of its parameters and of what its inputs hold, wherever they lie.

    A rerun may find them elsewhere: the local runner puts what its cache answers into the new run's folder.
    """
    total = hashlib.sha256(json.dumps(parameters).encode())
    folders = [Path(folder) for folder in given if folder is not None]
    if Path(parameters[0]).is_file():  # one in an object store has its digest in its path
        folders.append(Path(parameters[0]))
    for root in folders:
        files = [root] if root.is_file() else sorted(path for path in root.rglob("*") if path.is_file())
        for path in files:
            size = path.stat().st_size
            total.update(f"{path.relative_to(root).as_posix()} {size} ".encode())
            with open(path, "rb") as file:
                total.update(file.read(_WHOLE_BYTES))
                if size > _WHOLE_BYTES:  # the end of a gzip file has a checksum of all that it holds
                    file.seek(-8, 2)
                    total.update(file.read())
    return total.hexdigest()[:16]


@contextlib.contextmanager
def _folder(working_dir: str, search_is: Callable[[], str], owned: bool) -> Iterator[Path]:
    """Gives the folder of a search; who owns it removes it when the search is done, or failed by the user's mistake.

    What was killed, or failed by the machine's fault, keeps it: a rerun goes on there.
    """
    try:
        parent = atomic.local_path(working_dir) if working_dir else None
    except ConfigError:
        logger.info("working_dir %s is not mounted: a search that is killed starts from its beginning", working_dir)
        parent = None
    if parent is None:
        with tempfile.TemporaryDirectory(prefix="penstock-tuner-") as scratch:
            yield Path(scratch)
        return
    name = search_is()
    folder = parent / name
    if not owned:  # it is the chief's, which may have removed it already
        yield folder
        return
    folder.mkdir(parents=True, exist_ok=True)
    with open(parent / f"{name}.lock", "w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"the same search is under way in {folder}: wait for it or end it") from None
        except OSError:  # a file system without locks, such as a mounted bucket
            logger.info("%s cannot be locked: two runs of the same search at a time would mix", folder)
        if any(folder.iterdir()):
            logger.info("an earlier search goes on: %s", folder)
        try:
            yield folder
        except UserError:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        shutil.rmtree(folder, ignore_errors=True)
    (parent / f"{name}.lock").unlink(missing_ok=True)


if __name__ == "__main__":
    run(**{**json.loads(sys.argv[1]), "own_process": True})
