"""The commands that talk to a server: submit, cancel, schedule. Like all commands they import what they need."""

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from penstock.components.errors import ConfigError
from penstock.pipelines import options

if TYPE_CHECKING:
    from penstock.pipelines.service import Service
    from penstock.pipelines.submission import Submission

file_argument = click.argument(
    "config", default=options.DEFAULT_CONFIG, metavar="[CONFIG|FILE]", type=click.Path(path_type=Path)
)
param_option = click.option(
    "--param", "params", multiple=True, metavar="KEY=VALUE", help="A parameter of the pipeline. May be repeated."
)
cache_option = click.option("--no-cache", is_flag=True, help="Runs every task, also those that are in the cache.")


# The options that stand for keys of a target's section.
_OPTIONS = {"kubeflow": ("host", "namespace", "experiment"), "vertex": ("project", "location")}


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
    target: str = "kubeflow"
    project: str | None = None
    location: str | None = None

    @property
    def flags(self) -> list[tuple[str, str, str]]:
        """The keys that the options stand for, their values, and the options."""
        given = [
            (f"{target}.{key}", getattr(self, key), f"--{key}")
            for target, keys in _OPTIONS.items()
            for key in keys
            if getattr(self, key) is not None
        ]
        for key, _, option in given:
            if not key.startswith(f"{self.target}."):
                raise ConfigError(f"{option}: this is an option of target {key.partition('.')[0]}, not {self.target}")
        return given

    def service(self) -> "Service":
        """Connects to the server that the configuration names."""
        from penstock.pipelines.service import service_class

        return service_class(self.target)(self._settings())

    def _settings(self) -> Any:
        """Reads the configuration's section, or without a configuration what the options alone say."""
        file = options.config_file(self.config)
        if file.is_file() or str(self.config) != options.DEFAULT_CONFIG:
            loaded = options.load(self.config, self.assignments, self.data, self.label, self.flags)
            return getattr(loaded, self.target)
        return self._settings_alone()

    def submission(self, params: Sequence[str], no_cache: bool) -> tuple["Service", "Submission"]:
        """Compiles the configuration for the target, or reads the compiled pipeline that was given in its place."""
        from penstock.pipelines import submission
        from penstock.pipelines.service import service_class

        kind = service_class(self.target)
        if submission.is_compiled(self.config):
            return self._checked(kind(self._settings_alone()), submission.read(self.config, params, no_cache))
        import tempfile

        loaded = options.load(self.config, self.assignments, self.data, self.label, self.flags)
        from penstock.pipelines import compile, targets

        with tempfile.TemporaryDirectory() as folder:
            compiled = compile.compile_config(loaded, targets.named(self.target), Path(folder) / "pipeline.yaml")
            read = submission.read(compiled.path, params, no_cache)
        return self._checked(kind(getattr(loaded, self.target)), read)

    def _checked(self, service: "Service", submission: "Submission") -> tuple["Service", "Submission"]:
        for warning in (*_of_local_paths(service, submission), *service.check(submission)):
            click.echo(f"warning: {warning}", err=True)
        return service, submission

    def _settings_alone(self) -> Any:
        from penstock.pipelines import config_file
        from penstock.pipelines.deployment import Kubeflow, Vertex
        from penstock.pipelines.section import Section

        class Alone(Section):
            kubeflow: Kubeflow = Kubeflow()
            vertex: Vertex = Vertex()

        document = config_file.Document("the command line", {})
        config_file.override(document, self.assignments)
        for key, value, place in self.flags:
            config_file.assign(document, key.split("."), value, place)
        return getattr(config_file.validate(document, Alone, Path.cwd()), self.target)


def server_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds --target, the options that name a server, and --set; the command gets a `Remote` for them and CONFIG."""

    @click.option("--target", default="kubeflow", show_default=True, help="Where it is to run: kubeflow or vertex.")
    @click.option("--project", metavar="NAME", help="Vertex AI's project: vertex.project.")
    @click.option("--location", metavar="REGION", help="Vertex AI's region: vertex.location.")
    @click.option("--host", metavar="URL", help="The server: kubeflow.host.")
    @click.option("--namespace", metavar="NAME", help="The profile's namespace: kubeflow.namespace.")
    @options.set_option
    @functools.wraps(command)
    def wrapped(
        config: Path,
        assignments: Sequence[str],
        experiment: str | None = None,
        data: str | None = None,
        label: str | None = None,
        **rest: Any,
    ) -> Any:
        named = {key: rest.pop(key) for key in ("target", "host", "namespace", "project", "location")}
        remote = Remote(config, assignments, experiment=experiment, data=data, label=label, **named)
        return command(remote=remote, **rest)

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
def submit(remote: Remote, name: str | None, wait: bool, interval: float, params: Sequence[str], no_cache: bool) -> int:
    """Starts a run on a server. FILE is a compiled pipeline; a CONFIG is compiled first."""
    service, submission = remote.submission(params, no_cache)
    run_id = service.submit(submission, name)
    click.echo(f"run   {run_id}\nlink  {service.link(run_id)}")
    return _wait(service, run_id, interval) if wait else 0


@click.command()
@click.argument("run_id")
@options.config_argument
@server_options
def cancel(remote: Remote, run_id: str) -> None:
    """Cancels a run on a server."""
    remote.service().cancel(run_id)
    click.echo(f"{run_id}: asked to stop")


@click.group()
def schedule() -> None:
    """Runs a pipeline again and again on a server."""


@schedule.command()
@file_argument
@click.option(
    "--cron", metavar="FIELDS", help="When: Kubeflow's six fields, such as '0 0 6 * * *', or Vertex AI's five."
)
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
    from penstock.pipelines.service import service_class

    service_class(remote.target).check_trigger(cron, every)
    service, submission = remote.submission(params, no_cache)
    name = name or submission.pipeline
    schedule_id = service.schedule(submission, name, cron, every, replace=replace)
    click.echo(f"schedule  {name}\nid        {schedule_id}")


@schedule.command("list")
@options.config_argument
@server_options
def list_schedules(remote: Remote) -> None:
    """Lists the schedules of the server, or of the namespace."""
    service = remote.service()
    found = service.schedules()
    for one in found:
        click.echo(f"{one.name:32} {one.status:9} {one.when}")
    if not found:
        click.echo(f"no schedule on {service.place} yet: `penstock schedule create` makes one")


@schedule.command()
@click.argument("name")
@options.config_argument
@server_options
def pause(remote: Remote, name: str) -> None:
    """Keeps a schedule from starting runs until it is resumed."""
    remote.service().change_schedule(name, "disable")
    click.echo(f"{name}: paused")


@schedule.command()
@click.argument("name")
@options.config_argument
@server_options
def resume(remote: Remote, name: str) -> None:
    """Lets a paused schedule start runs again."""
    remote.service().change_schedule(name, "enable")
    click.echo(f"{name}: resumed")


@schedule.command()
@click.argument("name")
@options.config_argument
@server_options
def delete(remote: Remote, name: str) -> None:
    """Deletes a schedule. The runs that it started stay."""
    remote.service().change_schedule(name, "delete")
    click.echo(f"{name}: deleted")


def _wait(service: "Service", run_id: str, interval: float) -> int:
    from penstock.pipelines import watching

    try:
        ended = watching.watch(lambda: service.snapshot(run_id), click.echo, interval=interval)
    except KeyboardInterrupt:
        click.echo(f"\nthe run goes on; to cancel it: penstock cancel {run_id} {service.again()}", err=True)
        raise
    if ended.succeeded:
        click.echo(watching.outcome(ended))
        return 0
    click.echo(f"penstock: {watching.outcome(ended)}", err=True)
    return 1


def _of_local_paths(service: "Service", submission: "Submission") -> Iterator[str]:
    from penstock.pipelines.submission import places_of_this_machine

    found = places_of_this_machine(submission)
    if found:
        named = ", ".join(f"{name} ({value})" for name, value in found.items())
        yield f"{named}: {service.shared_places}"


commands = (submit, cancel, schedule)
