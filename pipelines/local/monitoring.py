"""A window of a model's requests on this machine: the baseline of a run, and WindowMonitor beside it."""

import contextlib
import hashlib
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from penstock.core.artifacts import Model, open_log
from penstock.core.artifacts.monitoring import MonitoredWindow, MonitoringBaseline, WindowRecord
from penstock.core.errors import ConfigError, PenstockError, UserError
from penstock.core.files import atomic, object_stores
from penstock.core.state import open_folder
from penstock.pipelines import registry
from penstock.pipelines.config.monitoring import Monitoring
from penstock.pipelines.config.section import json_text
from penstock.pipelines.config.training_pipeline import Config
from penstock.pipelines.local import runs
from penstock.pipelines.local.records import record
from penstock.pipelines.local.records.record import Artifact, RunRecord

if TYPE_CHECKING:
    from penstock.components.alerter.executor import Told

logger = logging.getLogger(__name__)
_FOLDER = "monitoring"  # below the pipeline root
_TIME = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True)
class Asked:
    """What a command line says of the window; "" and None leave it to the configuration.

    `run` and `baseline` are a run (a folder or a name) or a baseline's folder to compare with. `labels` are files.
    """

    requests: str = ""
    labels: str = ""
    model: str = ""
    version: int | None = None
    window: str = ""
    begin: str = ""
    end: str = ""
    run: str = ""
    baseline: str = ""
    output: str = ""


@dataclass(frozen=True)
class Monitored:
    """A window that was compared: where it is, and what was measured."""

    folder: MonitoredWindow
    record: WindowRecord
    baseline: Path


@contextlib.contextmanager
def _environment_kept() -> Iterator[None]:
    """Takes out again what libraries put into the environment as they are imported.

    A retraining of this process would find another environment than the run before, and nothing in the cache.
    """
    before = dict(os.environ)
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)


@_environment_kept()
def monitor(config: Config, asked: Asked) -> Monitored:
    """Compares a window; makes the baseline where the run has none.

    Raises a UserError if there is no run with a model, and what WindowMonitor raises.
    """
    from penstock.components.monitoring.windows.window import Window
    from penstock.components.window_monitor import executor

    settings = config.monitoring or Monitoring.model_validate({}, context={"folder": config.folder})
    requests, root = asked.requests or settings.requests, _root(config)
    times = Window.of(asked.window or settings.window, asked.begin, asked.end)
    model, version = asked.model or settings.model or _name(config, requests), asked.version or settings.version
    baseline = _baseline(config, settings, asked, _Served(requests, model, version))
    name = f"{times.begin.strftime(_TIME)}_{times.end.strftime(_TIME)}"
    if model not in ("", config.name):
        name += f"_{quote(model, safe='')}"
    if version is not None:
        name += f"_version_{version}"
    folder = MonitoredWindow(atomic.local_path(asked.output) if asked.output else root / "windows" / name)
    executor.run(
        window=str(folder.root),
        baseline=str(baseline),
        requests=requests,
        begin=times.begin.isoformat(),
        end=times.end.isoformat(),
        model=model,
        version=version or 0,
        history=str(root / "history"),
        **config.window_arguments(asked.labels),
        engine=config.engine,
    )
    return Monitored(folder, folder.read(), baseline)


def send_alerts(config: Config, monitored: Monitored) -> "Told | None":
    """Tells the channels of the configuration what comes of a window; None where it has no alerts.

    Says which channels did not take a message, which is kept for the next time.
    """
    from penstock.components.alerter import executor

    settings, folder = alert_settings(config), monitored.folder
    if settings is None:
        return None
    return executor.tell(folder.root, folder.root, alert_state(config), settings, str(folder.report))


def still_waiting(config: Config, model: str) -> dict[str, int]:
    """Returns how many messages of a model wait for each channel now."""
    from penstock.components.alerter import outbox
    from penstock.components.alerter.state import ALERTS

    return outbox.waiting(open_folder(alert_state(config), ALERTS).read(), model)


def alert_state(config: Config) -> str:
    """Returns the folder that remembers alerts; a ConfigError for a bucket that is not mounted here."""
    return str(_root(config) / "alerts")


def alert_settings(config: Config) -> str | None:
    """Returns who is told, as the Alerter takes it; None where the configuration has no alerts."""
    monitoring = config.monitoring
    return monitoring.alerts.settings if monitoring and "alerts" in monitoring.model_fields_set else None


@dataclass(frozen=True)
class _Served:
    """Whose requests are looked at: a model's in a log, of a version or of all; "" for the only model there is."""

    requests: str
    model: str
    version: int | None

    @property
    def versions(self) -> list[int]:
        """The versions that answer, the newest first."""
        if self.version is not None:
            return [self.version]
        found = {version for model, version in _versions(self.requests) if self.model in ("", model)}
        return sorted(found, reverse=True)


def _root(config: Config) -> Path:
    """Returns the folder of windows, baselines and alerts; a ConfigError for a bucket that is not mounted here."""
    return atomic.local_path(config.pipeline_root) / _FOLDER


def _name(config: Config, requests: str) -> str:
    """Returns the model's name: the pipeline's, if the log has it or nothing yet; else "", for the only one it has.

    Of a log without a request, too, alerts and history are the model's: else what waits for its channels would wait on.
    """
    if object_stores.is_remote(requests):
        return ""
    models = {model for model, _ in _versions(requests)}
    return config.name if not models or config.name in models else ""


def _versions(requests: str) -> list[tuple[str, int]]:
    """Returns the models and versions in a request log of this machine."""
    if object_stores.is_remote(requests):
        return []
    return open_log(atomic.local_path(requests)).models()


def _baseline(config: Config, settings: Monitoring, asked: Asked, served: _Served) -> Path:
    if asked.baseline and asked.run:
        raise ConfigError("expected either --run or --baseline, received both")
    if asked.baseline:
        return atomic.local_path(asked.baseline)
    if settings.baseline and not asked.run:
        return atomic.local_path(settings.baseline)
    run = runs.named(Path(config.pipeline_root), asked.run) if asked.run else _serving_run(config, served)
    for made in run.made("baseline"):
        if _fits(MonitoringBaseline(made.path), settings):
            return made.path
    return _made(config, settings, run)


def _serving_run(config: Config, served: _Served) -> RunRecord:
    """Returns the run that has pushed the newest version that answers, else the newest run with a model.

    Versions on trial come last: most requests are answered by another.
    """
    with_model = [run for run in record.earlier(Path(config.pipeline_root), config.name) if any(_models(run))]
    if not with_model:
        raise UserError(f"no model of {config.name} yet: `penstock run` trains one, and makes what is compared with")
    answer = served.versions
    on_trial = _on_trial(config) if len(answer) > 1 else set()
    for version in sorted(map(str, answer), key=lambda one: one in on_trial):  # stable: else the newest first
        for run in with_model:
            if any(one.version == version for one in run.pushed()):
                return run
    return with_model[0]


def _on_trial(config: Config) -> set[str]:
    """Returns the versions that are on trial where models are pushed; none of a place that cannot be asked."""
    if not config.push:
        return set()
    from penstock.components.pusher import destinations

    versions = set()
    for place in destinations.read(json_text(config.push.destination)):
        try:
            endpoint = place.endpoint()
        except PenstockError as error:
            logger.warning("%s cannot be asked which version is on trial: %s", place.place, error.message)
            continue
        if endpoint and endpoint.canary:
            versions.add(endpoint.canary.version)
    return versions


def _models(run: RunRecord) -> Iterator[Path]:
    return (made.path for made in run.made("model") if Model(made.path).serving_model() is not None)


def _fits(baseline: MonitoringBaseline, settings: Monitoring) -> bool:
    """Whether a run's baseline has the rate of false alarms and the thresholds that the configuration has now."""
    made = baseline.read()
    return made["false_alarm_rate"] == settings.false_alarm_rate and made["configured"] == settings.thresholds


def _made(config: Config, settings: Monitoring, run: RunRecord) -> Path:
    """Returns the baseline of a run's artifacts, made once for each run and each setting."""
    arguments = config.baseline_arguments
    digest = hashlib.sha256(json_text(arguments).encode()).hexdigest()[:8]
    target = MonitoringBaseline(_root(config) / "baselines" / f"{run.folder.name}-{digest}")
    if not target.path.is_file():
        from penstock.components.model_monitor import executor  # with TensorFlow

        evaluations = [made.path for made in run.made("evaluation")]
        examples = next(iter(run.made("cleaned_examples")), None) or _only(run, "examples")
        executor.run(
            baseline=str(target.root),
            examples=str(examples.path),
            schema=str(_only(run, "schema").path),
            model=str(next(_models(run))),
            evaluation=str(evaluations[0]) if evaluations else None,
            engine=config.engine,
            model_uri=str(next(_models(run))),
            examples_metadata=examples.metadata,
            **arguments,
        )
    return target.root


def _only(run: RunRecord, output: registry.Output) -> Artifact:
    for made in run.made(output):
        return made
    raise UserError(f"{run.folder}: expected {output} in the run, which a baseline is made of: name another by --run")
