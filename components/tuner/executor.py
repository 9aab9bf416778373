"""The Tuner's executor: it makes FnArgs of the artifacts, runs the user's tuner, and writes its trials."""

import contextlib
import fcntl
import functools
import hashlib
import json
import logging
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
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
from penstock.trainer.tuning.cluster import search, tokens
from penstock.trainer.tuning.cluster.processes import Source
from penstock.trainer.tuning.results import Results
from penstock.trainer.tuning.settings import CUSTOM_CONFIG
from penstock.trainer.tuning.user_code import UserCode

FOLDERS = ("examples", "transform_graph", "schema", "statistics", "base_model", "raw_examples")
_WHOLE_BYTES = 8 << 20  # of an input file are hashed; of a larger one, its size and its end as well
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Inputs:
    """The component's inputs of which FnArgs are made: artifacts, which are folders, and parameters, JSON."""

    examples: str
    transform_graph: str | None = None
    schema: str | None = None
    statistics: str | None = None
    base_model: str | None = None
    raw_examples: str | None = None
    train_args: str = ""
    eval_args: str = ""
    custom_config: str = ""
    payload_format: str = ""

    def folders(self) -> list[Path]:
        """Returns the folders of the artifacts."""
        return [Path(getattr(self, name)) for name in FOLDERS if getattr(self, name) is not None]

    def fn_args(self) -> FnArgs:
        """Returns the argument of tuner_fn, without the working_dir.

        Raises a ConfigError for a wrong parameter, a DataError for a split that is missing or empty, and a UserError
        for a folder without such an artifact.
        """
        train = parse_step_args("train_args", self.train_args, "train")
        evaluate = parse_step_args("eval_args", self.eval_args, "eval")
        fn_args = FnArgs(custom_config=parse_custom_config(self.custom_config))
        inputs.set_examples(fn_args, Examples(Path(self.examples)), train, evaluate, self.payload_format)
        inputs.set_artifacts(fn_args, self.transform_graph, self.schema, self.base_model, None)
        fn_args.schema_file = fn_args.transform_output = None  # as in TFX, whose Tuner does not set the old names
        if self.statistics is not None:
            inputs.set_statistics(fn_args, ExampleStatistics(Path(self.statistics)))
        if self.raw_examples is not None:
            raw = Examples(Path(self.raw_examples))
            files = list(map(raw.pattern, train.splits))
            fn_args.raw_train_files = files  # type: ignore[attr-defined]
        return fn_args


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
    payload_format: str = "",
    own_process: bool = False,
) -> TaskResult:
    """Searches with the user's tuner_fn, and writes the best hyperparameters, all trials, and a page about them.

    The arguments are those of the component; artifacts are paths of folders, and `report` is a file, or a folder that
    gets a report.html. Of several machines (TF_CONFIG), or several processes that were started as one search
    (KERASTUNER_TUNER_ID and the variables beside it), only the chief writes the outputs.

    The search has a folder in `working_dir`, whose name is a digest of all that the search depends on. So a rerun after
    a kill resumes, and a changed module starts anew.

    own_process: whether this process runs this task only, and nothing has run in it yet. Then workers can be forked
        from it.

    Raises a ConfigError for a wrong parameter, and a DataError for a split that is missing or empty. Raises a
    ModuleError if the module has no such function, if that raises, or if no trial succeeds. Raises a ServerUnavailable
    if a machine gets no answer from the chief.
    """
    parallel_trials, machines = parse_tune_args(tune_args), search.machines()
    has_workers = parallel_trials != 1 or machines is not None
    # The source comes first, since what follows lets TensorFlow look at the devices.
    with Source(fork=own_process and has_workers) as source, progress.task("Tuner") as counts:
        task_inputs = Inputs(
            examples=examples,
            transform_graph=transform_graph,
            schema=schema,
            statistics=statistics,
            base_model=base_model,
            raw_examples=raw_examples,
            train_args=train_args,
            eval_args=eval_args,
            custom_config=custom_config,
            payload_format=payload_format,
        )
        fn_args = task_inputs.fn_args()
        if parallel_trials is None:
            parallel_trials = search.places() if CUSTOM_CONFIG in (fn_args.custom_config or {}) else 1
        output = TunerResults(Path(tuner_results))
        has_results = search.has_results(machines)
        if has_results:
            output.path.unlink(missing_ok=True)  # for a machine without a chief, it marks the end of the search
        parameters = [module_file, tuner_fn, train_args, eval_args, tune_args, custom_config]
        name = functools.partial(_digest, parameters, task_inputs.folders())
        with _search_folder(working_dir, name, has_results, machines is not None) as folder:
            fn_args.working_dir = str(folder)
            code = UserCode(module_file, tuner_fn, fn_args)
            tuner = search.run(code, parallel_trials, machines, output.path.is_file, source)
            if tuner is None:
                logger.info("there are no more trials: the chief writes the results")
                return TaskResult({name: artifacts.metadata() for name in ("best_hyperparameters", "tuner_results")})
            trials, best = results.of(tuner.oracle), tuner.get_best_hyperparameters()[0].get_config()
            counts.show(trials=len(trials.trials))
            return write(trials, best, best_hyperparameters, tuner_results, report)


def write(
    search_results: Results, best: dict[str, Any], best_hyperparameters: str, tuner_results: str, report: str
) -> TaskResult:
    """Writes the outputs of a search, and returns their metadata.

    best: KerasTuner's HyperParameters.get_config() for the best trial. The other arguments are paths, as in `run`.
    """
    HyperParameters(Path(best_hyperparameters)).write(best)
    page.write(Path(report), search_results)
    TunerResults(Path(tuner_results)).write(search_results.rows())  # last, since it marks the end of the search
    score = search_results.best[0].score
    assert score is not None  # the best trials are those with a score
    logger.info("best of %d trials: %s %s", len(search_results.trials), search_results.objective, score)
    return TaskResult(
        {
            "best_hyperparameters": artifacts.metadata(objective=search_results.objective, score=score),
            "tuner_results": artifacts.metadata(trials=len(search_results.trials)),
        }
    )


def _digest(parameters: list[str], folders: list[Path]) -> str:
    """Returns a digest of a search's parameters, of which the first is the module file, and of its files' contents.

    The places of the files do not count: the local run copies cached outputs into the folder of a new run.
    """
    total = hashlib.sha256(json.dumps(parameters).encode())
    module_file = Path(parameters[0])
    # A module file in an object store has its digest in its path.
    for root in [*folders, module_file] if module_file.is_file() else folders:
        files = [root] if root.is_file() else sorted(path for path in root.rglob("*") if path.is_file())
        for path in files:
            size = path.stat().st_size
            total.update(f"{path.relative_to(root).as_posix()} {size} ".encode())
            with open(path, "rb") as file:
                total.update(file.read(_WHOLE_BYTES))
                if size > _WHOLE_BYTES:  # a gzip file ends with a checksum of its content
                    file.seek(-8, 2)
                    total.update(file.read())
    return total.hexdigest()[:16]


@contextlib.contextmanager
def _search_folder(working_dir: str, search_name: Callable[[], str], is_owner: bool, is_shared: bool) -> Iterator[Path]:
    """Yields the folder of a search; without a working_dir on this machine, it is a temporary one.

    Several machines share it: a ConfigError says so if they cannot, and have no token either.

    Its owner locks it, and removes it after the search has succeeded or failed by a user's mistake. After a kill or a
    failure of the system it stays, so that a rerun resumes.
    """
    try:
        parent = atomic.local_path(working_dir) if working_dir else None
    except ConfigError:
        logger.info("working_dir %s is not mounted: a search that is killed starts from its beginning", working_dir)
        parent = None
    if parent is None:
        if is_shared and not os.environ.get(tokens.VARIABLE):
            raise ConfigError(
                "working_dir: expected a folder that all machines of the search see, where the first leaves the token "
                f"by which it knows the others, received {working_dir!r}; or set {tokens.VARIABLE} to the same secret "
                "on each"
            )
        with tempfile.TemporaryDirectory(prefix="penstock-tuner-") as scratch:
            yield Path(scratch)
        return
    name = search_name()
    folder = parent / name
    if not is_owner:  # the chief is, and may have removed it already
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
            search.remove(folder)
            raise
        search.remove(folder)
    (parent / f"{name}.lock").unlink(missing_ok=True)


if __name__ == "__main__":
    run(**{**json.loads(sys.argv[1]), "own_process": True})
