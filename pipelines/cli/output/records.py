"""The records of commands that ask others: what a server says of runs and schedules, what serves models.

Those of this machine's runs are in pipelines/local/results.py, a key's in pipelines/config/key.py, a lint finding's in
lint_report.py.
"""

from typing import Any, NotRequired, TypedDict

from penstock.core.artifacts.alerts import AlertSummary
from penstock.core.artifacts.monitoring import WindowRecord
from penstock.core.artifacts.retraining import Retraining, RetrainingDecision
from penstock.pipelines.config.key import Key


class Validated(TypedDict):
    """A configuration in which nothing is wrong; with --keys the keys that it may have, and nothing else.

    `warnings` are sentences on the data and the module, `looked_at` says with --data which columns were looked at,
    `not_looked_at` what could not be checked here, `proposals` rules by which the data could be cleaned.
    """

    file: NotRequired[str]
    pipeline: NotRequired[str]
    valid: NotRequired[bool]
    warnings: NotRequired[list[str]]
    looked_at: NotRequired[list[str]]
    not_looked_at: NotRequired[list[str]]
    proposals: NotRequired[list[str]]
    keys: NotRequired[list[Key]]


class Compiled(TypedDict):
    """A compiled pipeline; `warnings` are sentences on the configuration and its module."""

    file: str
    pipeline: str
    target: str
    warnings: list[str]


class WrittenFiles(TypedDict):
    """The files that a command has written."""

    files: list[str]


class PredictedRow(TypedDict):
    """A row: its features, the model's outputs by their names, and what is true, null where the row does not say it."""

    features: dict[str, Any]
    prediction: dict[str, Any]
    label: Any


class ShownPredictions(TypedDict):
    """Rows of a run and what a model predicts. Probabilities are in the order of `classes`, of two of the second."""

    model: str
    examples: str
    label: str
    classes: list[Any]
    rows: list[PredictedRow]


class Scored(TypedDict):
    """A file of scores: `rejected` counts the rows that could not be read."""

    model: str
    output: str | None
    rows: int
    rejected: int
    seconds: float


class MonitoredRequests(TypedDict):
    """A window of requests, what it was compared with, and what was measured; `moved` counts features and the like.

    `alerts` is what came of the configuration's alerts; null where it has none, or where a channel did not take one.
    `retraining` is what was decided on one; null where the configuration has no policy.
    """

    folder: str
    report: str
    baseline: str
    moved: int
    window: WindowRecord
    alerts: AlertSummary | None
    retraining: RetrainingDecision | None


class Retrainings(TypedDict):
    """The retrainings of a pipeline, the newest first, and the id of the one that the command was about, or ""."""

    pipeline: str
    retrainings: list[Retraining]
    retraining: str


class RemoteTask(TypedDict):
    """A task of a run on a server: `state` is KFP's, `attempt` counts its tries."""

    id: str
    name: str
    state: str
    seconds: float | None
    error: str
    details: str
    attempt: int


class RemoteRun(TypedDict):
    """A run on a server. `state` is None, and `tasks` are none, where it was not followed to its end."""

    run: str
    link: str
    state: str | None
    tasks: list[RemoteTask]
    pushed: list[str]


class CancelledRun(TypedDict):
    """A run on a server that was asked to stop."""

    run: str
    link: str


class CreatedSchedule(TypedDict):
    """A new schedule, which fires by a cron expression or every so many seconds."""

    id: str
    name: str
    cron: str | None
    every: int | None


class ListedSchedule(CreatedSchedule):
    """A schedule of a server; `status` is enabled, disabled or the server's own word."""

    status: str


class Schedules(TypedDict):
    """The schedules of a server, sorted by name."""

    place: str
    schedules: list[ListedSchedule]


class ChangedSchedules(TypedDict):
    """What was done to the schedules of a name: paused, resumed or deleted."""

    name: str
    change: str
    count: int


class DeployedVersion(TypedDict):
    """A version of a model that a place serves, as components/pusher/destinations tells of it."""

    version: str
    percent: int
    digest: str
    uri: str
    created: str
    healthy: bool | None
    reason: str
    canary: bool
    reference: str


class Destination(TypedDict):
    """A place that models are pushed to, and what serves there; `endpoint` is None where nothing does yet."""

    destination: str
    place: str
    endpoint: str | None
    url: str | None
    deployments: list[DeployedVersion]


class ChangedDestination(TypedDict):
    """A place after a change: the version that it is about, and its percentage of the requests.

    `notes` are sentences that a person should read, such as about what could not be cleaned up.
    """

    destination: str
    place: str
    version: str
    percent: int
    notes: list[str]


class ChangedDestinations(TypedDict):
    """Every destination that was changed; where others failed there is an error as well."""

    destinations: list[ChangedDestination]


class Endpoints(TypedDict):
    """Every destination of a configuration that answered."""

    destinations: list[Destination]
