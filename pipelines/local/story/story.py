"""What is known of a run's model, from the run's own records and from what monitoring has left beside the runs."""

from pathlib import Path
from typing import TypedDict

from penstock.components.alerter.decisions import open_alerts
from penstock.components.alerter.state import ALERTS
from penstock.components.retrainer.state import RETRAININGS, of_pipeline
from penstock.core.artifacts.alerts import Alert
from penstock.core.artifacts.monitoring import WindowRecord
from penstock.core.artifacts.retraining import Retraining
from penstock.core.artifacts.window_history import WindowHistory
from penstock.core.errors import DataError
from penstock.core.state import open_folder
from penstock.pipelines.local import results
from penstock.pipelines.local.records.reading import tell_passed_over
from penstock.pipelines.local.records.record import RunRecord
from penstock.pipelines.local.story import serving
from penstock.pipelines.local.story.serving import ServedVersion

_WINDOWS = 5  # the newest, which are told


class Reason(TypedDict):
    """A threshold of the evaluation, or a thing that was asked of a model server, with its value, in words."""

    passed: bool
    sentence: str


class Story(TypedDict):
    """The story of a run's model.

    Args:
        retraining: Why it was trained, where that was a retraining; else None: somebody has called `penstock run`.
        rows: How many rows it was trained and evaluated on; None if nobody counted them.
        spans: The spans of the data, in words; none of data without spans.
        fingerprint: Of the data's files.
        origin: Where rows that are of no file are from, such as their query or their offsets, in a line each.
        blessed: Whether it may be pushed; None where nothing decides on that.
        reasons: Why, or why not.
        serving: The places that it was pushed to, and what it has there now.
        windows: The newest windows of requests that were compared with it, the oldest first.
        alerts: What alerts in the newest of them.
        retrainings: Those that its windows have led to.
    """

    retraining: Retraining | None
    rows: int | None
    spans: list[str]
    fingerprint: str
    origin: list[str]
    blessed: bool | None
    reasons: list[Reason]
    serving: list[ServedVersion]
    windows: list[WindowRecord]
    alerts: list[Alert]
    retrainings: list[Retraining]


def of(run: RunRecord) -> Story:
    """Returns the story of a run's model. Destinations are asked what serves; one that does not answer is no error."""
    monitoring = run.folder.parent / "monitoring"
    windows = [one for one in WindowHistory(monitoring / "history").all() if _is_of(one["baseline"], run)]
    return Story(
        retraining=run.origin.retraining,
        rows=results.rows(run),
        spans=[spans for _, spans in run.spans()],
        fingerprint=_fingerprint(run),
        origin=[f"{name}: {value}" for made in run.made("examples") for name, value in made.origin()],
        blessed=results.result(run)["blessed"],
        reasons=_reasons(run),
        serving=list(serving.of(run)),
        windows=windows[-_WINDOWS:],
        alerts=_alerts(monitoring, run),
        retrainings=_retrainings(monitoring, run),
    )


def _is_of(baseline: str, run: RunRecord) -> bool:
    """Whether a baseline is of the run's model: the run has made it, or `penstock monitor` of its artifacts."""
    path = Path(baseline)
    return path.is_relative_to(run.folder) or path.name.rpartition("-")[0] == run.folder.name


def _fingerprint(run: RunRecord) -> str:
    return "\n".join(
        str(made.metadata["input_fingerprint"])
        for made in run.made("examples")
        if made.metadata.get("input_fingerprint")
    )


def _reasons(run: RunRecord) -> list[Reason]:
    thresholds = [reason for verdict in run.verdicts() for reason in verdict["reasons"]]
    checks = [check for verdict in run.infra_verdicts() for check in verdict["checks"]]
    return [
        *(Reason(passed=bool(one["passed"]), sentence=one["sentence"]) for one in thresholds),
        *(Reason(passed=bool(one["passed"]), sentence=one["sentence"]) for one in checks),
    ]


def _alerts(monitoring: Path, run: RunRecord) -> list[Alert]:
    folder = monitoring / "alerts"
    try:
        state = open_folder(str(folder), ALERTS).read()
    except DataError as error:
        tell_passed_over(folder, error.message)
        return []
    return [
        alert for tracks in state["tracks"].values() if _is_of(tracks["baseline"], run) for alert in open_alerts(tracks)
    ]


def _retrainings(monitoring: Path, run: RunRecord) -> list[Retraining]:
    folder = monitoring / "retraining"
    try:
        state = open_folder(str(folder), RETRAININGS).read()
    except DataError as error:
        tell_passed_over(folder, error.message)
        return []
    return [one for one in of_pipeline(state, run.name) if one["baseline"] and _is_of(one["baseline"], run)]
