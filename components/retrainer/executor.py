"""The work of Retrainer: decides on a window, writes that down, starts the run that it leads to, and tells it."""

import json
import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from penstock.components.alerter import settings
from penstock.components.retrainer import decisions, new_data, runs, servers
from penstock.components.retrainer import package as packages
from penstock.components.retrainer import policy as policies
from penstock.components.retrainer.decisions import Observed
from penstock.components.retrainer.new_data import Source
from penstock.components.retrainer.notices import Audience
from penstock.components.retrainer.runs import Runs
from penstock.components.retrainer.state import RETRAININGS, State, of_pipeline
from penstock.core import artifacts, progress
from penstock.core.artifacts import TaskResult
from penstock.core.artifacts.monitoring import MonitoredWindow, MonitoringBaseline
from penstock.core.artifacts.retraining import Retraining, RetrainingRecord
from penstock.core.errors import DataError, PenstockError
from penstock.core.state import open_folder

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Changed[Result]:
    """What a change came to, the retrainings that were started after it, and why one could not be."""

    result: Result
    started: list[Retraining]
    error: PenstockError | None = None


def run(
    *,
    retraining: str,
    window: str,
    baseline: str,
    state: str,
    pipeline: str,
    input_base: str,
    input_config: str = "",
    range_config: str = "",
    policy: str = "",
    server: str = "",
    alert_state: str = "",
    alert_settings: str = "",
    report_uri: str = "",
) -> TaskResult:
    """Decides on a window, and starts what is due; component.py describes the arguments.

    Raises a ConfigError for a wrong policy, server, pipeline or settings, a DataError for what is no window or
    baseline, and what kept a run from being started, or a message from being taken: after the artifact is written and
    all else is done, with the retraining and the message kept for the next time.
    """
    parsed, package = policies.read(policy), packages.read(pipeline)
    settings.read(alert_settings)
    source, moment = Source(input_base, input_config, range_config), datetime.now(UTC)
    with progress.task("Retrainer") as counts:
        observed = observe(package.name, Path(window), Path(baseline), source, report_uri)
        runs_ = servers.open_runs(server, package)
        changed = change(state, package.name, runs_, lambda memory: decisions.decide(memory, observed, parsed, moment))
        decision = changed.result
        RetrainingRecord(Path(retraining)).write(decision)
        counts.update({"signals": len(decision["signals"]), "started": len(changed.started)})
        target = runs_.name if runs_ else ""
        audience = Audience(
            alert_state, alert_settings, package.name, observed.window["model"], parsed, target, report_uri
        )
        untold = audience.tell(open_folder(state, RETRAININGS).read(), decision, moment) if alert_state else None
    if changed.error and untold:
        logger.warning("%s", untold.message)
    if error := changed.error or untold:
        raise error
    name = decision["retraining"]["id"] if decision["retraining"] else ""
    return TaskResult({"retraining": artifacts.metadata(outcome=decision["outcome"], retraining=name)})


def observe(pipeline: str, window: Path, baseline: Path, source: Source, report: str) -> Observed:
    """Returns what is known of a window and of the pipeline's data; a DataError for what is no window or baseline."""
    file = MonitoredWindow(window)
    try:
        record, again = file.read(), file.read_again()
    except (OSError, ValueError) as error:
        raise DataError(f"{file.path}: expected a window from WindowMonitor: {' '.join(str(error).split())}") from None
    trained_on = MonitoringBaseline(baseline).read().get("trained_on")
    return Observed(
        pipeline=pipeline,
        window=record,
        data=new_data.look(source, trained_on),
        baseline=record["baseline"],
        report=report,
        again=again,
        fingerprint=trained_on["fingerprint"] if trained_on else "",
    )


def change[Result](folder: str, pipeline: str, server: Runs | None, edit: Callable[[State], Result]) -> Changed[Result]:
    """Changes the state of a pipeline's retrainings, and starts what is due: also what an earlier run could not start.

    The state is written before anything is started, and says which server is asked: so no other starts the same. What
    cannot be started stays due, and its error is returned.
    """
    opened = open_folder(folder, RETRAININGS)
    started: list[Retraining] = []
    with opened.held():
        state = opened.read()
        if server:
            runs.settle(of_pipeline(state, pipeline), server)
        result = edit(state)
        if not server:
            opened.write(state)
            return Changed(result, started)
        due = [one for one in of_pipeline(state, pipeline) if one["status"] == "due" and runs.may_start(server, one)]
        for one in due:
            one["server"] = server.name
        opened.write(state)
        for one in due:
            try:
                runs.start(one, server)
            except PenstockError as error:
                opened.write(state)
                return Changed(result, started, error)
            started.append(one)
            opened.write(state)
    return Changed(result, started)


if __name__ == "__main__":
    run(**json.loads(sys.argv[1]))
