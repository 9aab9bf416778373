"""The commands that talk to a server: submit, cancel, schedule. Like all commands they import what they need."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from penstock.components.errors import ConfigError
from penstock.pipelines import options

if TYPE_CHECKING:
    from penstock.pipelines.deployment import Kubeflow
    from penstock.pipelines.kubeflow_server import Server
    from penstock.pipelines.submission import Submission

file_argument = click.argument(
    "config", default=options.DEFAULT_CONFIG, metavar="[CONFIG|FILE]", type=click.Path(path_type=Path)
)
param_option = click.option(
    "--param", "params", multiple=True, metavar="KEY=VALUE", help="A parameter of the pipeline. May be repeated."
)
cache_option = click.option("--no-cache", is_flag=True, help="Runs every task, also those that are in the cache.")


@dataclass(frozen=True)
class Remote:
    """What the command line says of the server and of the configuration, unread."""

    config: Path
    assignments: Sequence[str]
    host: str | None
    namespace: str | None
    experiment: str | None
    data: str | None = None
    label: str | None = None

    @property
    def flags(self) -> list[tuple[str, str, str]]:
        """The keys that the options stand for, their values, and the options."""
        given = {"host": self.host, "namespace": self.namespace, "experiment": self.experiment}
        return [(f"kubeflow.{key}", value, f"--{key}") for key, value in given.items() if value is not None]

    def settings(self) -> "Kubeflow":
        """Reads the configuration's section, or without a configuration what the options alone say."""
        file = options.config_file(self.config)
        if file.is_file() or str(self.config) != options.DEFAULT_CONFIG:
            return options.load(self.config, self.assignments, self.data, self.label, self.flags).kubeflow
        return self._settings_alone()

    def submission(self, params: Sequence[str], no_cache: bool) -> tuple["Kubeflow", "Submission"]:
        """Compiles the configuration for Kubeflow, or reads the compiled pipeline that was given in its place."""
        from penstock.pipelines import submission

        if submission.is_compiled(self.config):
            return self._settings_alone(), submission.read(self.config, params, no_cache)
        import tempfile

        loaded = options.load(self.config, self.assignments, self.data, self.label, self.flags)
        from penstock.pipelines import compile, targets

        with tempfile.TemporaryDirectory() as folder:
            compiled = compile.compile_config(loaded, targets.KUBEFLOW, Path(folder) / "pipeline.yaml")
            return loaded.kubeflow, submission.read(compiled.path, params, no_cache)

    def _settings_alone(self) -> "Kubeflow":
        from penstock.pipelines import config_file
        from penstock.pipelines.deployment import Kubeflow
        from penstock.pipelines.section import Section

        class Alone(Section):
            kubeflow: Kubeflow = Kubeflow()

        document = config_file.Document("the command line", {})
        config_file.override(document, self.assignments)
        for key, value, place in self.flags:
            config_file.assign(document, key.split("."), value, place)
        return config_file.validate(document, Alone, Path.cwd()).kubeflow


def server_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds --host, --namespace and --set, and hands the command a `Remote` in place of them and CONFIG."""

    @click.option("--host", metavar="URL", help="The server: kubeflow.host.")
    @click.option("--namespace", metavar="NAME", help="The profile's namespace: kubeflow.namespace.")
    @options.set_option
    @functools.wraps(command)
    def wrapped(
        config: Path,
        assignments: Sequence[str],
        host: str | None,
        namespace: str | None,
        experiment: str | None = None,
        data: str | None = None,
        label: str | None = None,
        **rest: Any,
    ) -> Any:
        return command(remote=Remote(config, assignments, host, namespace, experiment, data, label), **rest)

    return wrapped


def pipeline_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds what a pipeline is compiled and started with."""
    for option in (
        cache_option,
        param_option,
        options.label_option,
        options.data_option,
        click.option("--experiment", metavar="NAME", help="The experiment, by default the pipeline's name."),
    ):
        command = option(command)
    return command


@click.command()
@file_argument
@click.option("--target", default="kubeflow", show_default=True, help="Where the pipeline is to run.")
@click.option("--name", metavar="NAME", help="The run's name, by default the pipeline's with the time.")
@click.option("--wait", is_flag=True, help="Follows the run to its end; exit code 1 if it fails.")
@click.option(
    "--interval",
    default=5.0,
    show_default=True,
    type=click.FloatRange(min=0, min_open=True),
    help="With --wait: seconds between two looks.",
)
@pipeline_options
@server_options
def submit(
    remote: Remote, target: str, name: str | None, wait: bool, interval: float, params: Sequence[str], no_cache: bool
) -> int:
    """Starts a run on a server. FILE is a compiled pipeline; a CONFIG is compiled first."""
    from penstock.pipelines import targets

    if targets.named(target) is not targets.KUBEFLOW:
        raise ConfigError(f"--target {target}: expected kubeflow")
    settings, submission = remote.submission(params, no_cache)
    from penstock.pipelines import kubeflow, kubeflow_server
    from penstock.pipelines.submission import unique_name

    server = kubeflow_server.Server(settings)
    _warn_of_local_paths(submission)
    experiment = settings.experiment or submission.pipeline
    if name:
        kubeflow.require_new(server, name, experiment, settings.namespace)
    run_id = kubeflow.submit(
        server,
        submission,
        name=name or unique_name(submission.pipeline),
        experiment=experiment,
        namespace=settings.namespace,
    )
    click.echo(f"run   {run_id}\nlink  {kubeflow.run_link(server, run_id)}")
    return _wait(server, run_id, interval) if wait else 0


@click.command()
@click.argument("run_id")
@options.config_argument
@server_options
def cancel(remote: Remote, run_id: str) -> None:
    """Cancels a run on a server."""
    from penstock.pipelines import kubeflow, kubeflow_server

    kubeflow.cancel(kubeflow_server.Server(remote.settings()), run_id)
    click.echo(f"{run_id}: asked to stop")


@click.group()
def schedule() -> None:
    """Runs a pipeline again and again on a server."""


@schedule.command()
@file_argument
@click.option("--cron", metavar="FIELDS", help="When: second minute hour day month weekday, such as '0 0 6 * * *'.")
@click.option("--every", type=click.IntRange(min=1), metavar="SECONDS", help="How often, in place of --cron.")
@click.option("--name", metavar="NAME", help="The schedule's name, by default the pipeline's.")
@click.option("--replace", is_flag=True, help="Replaces the schedule that has the name already.")
@pipeline_options
@server_options
def create(
    remote: Remote,
    cron: str | None,
    every: int | None,
    name: str | None,
    replace: bool,
    params: Sequence[str],
    no_cache: bool,
) -> None:
    """Makes a schedule. A run that is late is not made up for, and none starts while the last one runs."""
    from penstock.pipelines import kubeflow, kubeflow_server

    trigger = kubeflow.trigger(cron, every)
    settings, submission = remote.submission(params, no_cache)
    server = kubeflow_server.Server(settings)
    _warn_of_local_paths(submission)
    name = name or submission.pipeline
    schedule_id = kubeflow.schedule(
        server,
        submission,
        name=name,
        trigger=trigger,
        experiment=settings.experiment or submission.pipeline,
        namespace=settings.namespace,
        replace=replace,
    )
    click.echo(f"schedule  {name}\nid        {schedule_id}")


@schedule.command("list")
@options.config_argument
@server_options
def list_schedules(remote: Remote) -> None:
    """Lists the schedules of the server, or of the namespace."""
    from penstock.pipelines import kubeflow, kubeflow_server

    settings = remote.settings()
    server = kubeflow_server.Server(settings)
    found = kubeflow.schedules(server, settings.namespace)
    for one in found:
        click.echo(f"{one.display_name:32} {(one.status or '').lower():9} {_when(one.trigger)}")
    if not found:
        click.echo(f"no schedule on {server.host} yet: `penstock schedule create` makes one")


@schedule.command()
@click.argument("name")
@options.config_argument
@server_options
def pause(remote: Remote, name: str) -> None:
    """Keeps a schedule from starting runs until it is resumed."""
    _change(remote, name, "disable")
    click.echo(f"{name}: paused")


@schedule.command()
@click.argument("name")
@options.config_argument
@server_options
def resume(remote: Remote, name: str) -> None:
    """Lets a paused schedule start runs again."""
    _change(remote, name, "enable")
    click.echo(f"{name}: resumed")


@schedule.command()
@click.argument("name")
@options.config_argument
@server_options
def delete(remote: Remote, name: str) -> None:
    """Deletes a schedule. The runs that it started stay."""
    _change(remote, name, "delete")
    click.echo(f"{name}: deleted")


def _change(remote: Remote, name: str, change: Any) -> None:
    from penstock.pipelines import kubeflow, kubeflow_server

    settings = remote.settings()
    kubeflow.change_schedule(kubeflow_server.Server(settings), settings.namespace, name, change)


def _wait(server: "Server", run_id: str, interval: float) -> int:
    from penstock.pipelines import kubeflow, watching

    try:
        ended = watching.watch(lambda: kubeflow.snapshot(server, run_id), click.echo, interval=interval)
    except KeyboardInterrupt:
        click.echo(f"\nthe run goes on; to cancel it: penstock cancel {run_id} --host {server.host}", err=True)
        raise
    if ended.succeeded:
        click.echo(watching.outcome(ended))
        return 0
    click.echo(f"penstock: {watching.outcome(ended)}", err=True)
    return 1


def _warn_of_local_paths(submission: "Submission") -> None:
    from penstock.pipelines.submission import places_of_this_machine

    found = places_of_this_machine(submission)
    if found:
        named = ", ".join(f"{name} ({value})" for name, value in found.items())
        click.echo(
            f"warning: {named}: the cluster does not see this machine's files: mount a volume there "
            "(kubernetes.default.volumes), or give a place that both see",
            err=True,
        )


def _when(trigger: Any) -> str:
    if trigger and trigger.cron_schedule:
        return f"cron {trigger.cron_schedule.cron}"
    if trigger and trigger.periodic_schedule:
        return f"every {trigger.periodic_schedule.interval_second} s"
    return ""


commands = (submit, cancel, schedule)
