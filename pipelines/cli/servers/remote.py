"""The commands that talk to a server about runs: submit, watch, cancel. They import what they need."""

import functools
import shlex
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from penstock.core.errors import ConfigError, SystemFailure
from penstock.core.files import documents
from penstock.pipelines.cli import options
from penstock.pipelines.cli.output.answer import Answer, Failure, json_option
from penstock.pipelines.cli.output.records import CancelledRun, RemoteRun, RemoteTask
from penstock.pipelines.cli.terminal import note, tell, warn

if TYPE_CHECKING:
    from penstock.pipelines.servers.service import Service
    from penstock.pipelines.servers.submission import Submission
    from penstock.pipelines.servers.watch import Snapshot

file_argument = click.argument(
    "config", default=options.DEFAULT_CONFIG, metavar="[CONFIG|FILE]", type=click.Path(path_type=Path)
)
run_argument = click.argument("run", metavar="RUN")
param_option = click.option(
    "--param", "params", multiple=True, metavar="KEY=VALUE", help="A parameter of the pipeline. May be repeated."
)
interval_option = click.option(
    "--interval",
    default=5.0,
    show_default=True,
    type=click.FloatRange(min=0, min_open=True),
    help="Seconds between two looks at the run.",
)


def name_of(_context: click.Context, option: click.Parameter, value: str | None) -> str | None:
    """Reads a name without spaces around it, which nobody sees and everybody would have to repeat."""
    if value is not None and not value.strip():
        raise ConfigError(f"--{option.name}: expected a name, received {value!r}")
    return value.strip() if value else None


cache_option = click.option("--no-cache", is_flag=True, help="Runs every task, also those that are in the cache.")


# The options that stand for keys of a configuration, and the pipelines' parameters that do so once it is compiled.
_PARAMETERS = {"data": "input_base", "label": "label"}
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
        flags = [
            (f"{target}.{key}", getattr(self, key), f"--{key}")
            for target, keys in _OPTIONS.items()
            for key in keys
            if getattr(self, key) is not None
        ]
        for key, _, option in flags:
            if not key.startswith(f"{self.target}."):
                raise ConfigError(f"{option}: this is an option of target {key.partition('.')[0]}, not {self.target}")
        return flags

    def service(self) -> "Service":
        """Connects to the server that the configuration names."""
        from penstock.pipelines.servers.service import service_class

        return service_class(self.target)(self._settings())

    def command(self, words: Sequence[str], service: "Service") -> str:
        """Returns a command that reaches the same server with the same sign-in, as a shell takes it."""
        from penstock.pipelines.config import section
        from penstock.pipelines.servers import submission

        assignments = list(self.assignments)
        place = []
        if submission.is_compiled(self.config):  # it brings no settings, and those of a file beside it are not meant
            assignments[:0] = (
                [f"{self.target}={{}}"] if options.config_file(Path(options.DEFAULT_CONFIG)).is_file() else []
            )
        elif str(self.config) != options.DEFAULT_CONFIG:
            place = [str(self.config)]
        if self.data is not None:
            assignments.append(f"data.path={documents.json_text(section.from_here(self.data))}")
        if self.label is not None:
            assignments.append(f"label={documents.json_text(self.label)}")
        sets = [word for assignment in assignments for word in ("--set", assignment)]
        return shlex.join(["penstock", *words, *place, *service.options(), *sets])

    def _settings(self) -> Any:
        """Reads the configuration's section, or without a configuration what the options alone say."""
        file = options.config_file(self.config)
        if file.is_file() or str(self.config) != options.DEFAULT_CONFIG:
            loaded = options.load(self.config, self.assignments, self.data, self.label, self.flags)
            return getattr(loaded, self.target)
        return getattr(self._alone(), self.target)

    def submission(self, params: Sequence[str], no_cache: bool) -> tuple["Service", "Submission"]:
        """Compiles the configuration for the target, or reads the compiled pipeline that was given in its place."""
        from penstock.pipelines import lint
        from penstock.pipelines.lint import local_paths, stores
        from penstock.pipelines.servers import submission
        from penstock.pipelines.servers.service import service_class
        from penstock.pipelines.targets import target as targets

        kind = service_class(self.target)
        user_files = None
        if submission.is_compiled(self.config):
            self._require_target(submission.compiled_for(self.config))
            read = submission.read(self.config, params, no_cache)
            self._require_compilable(read)
            settings = self._alone()
        else:
            settings = options.load(self.config, self.assignments, self.data, self.label, self.flags)
            from penstock.core.files import temporary
            from penstock.pipelines.compiling import compile
            from penstock.pipelines.modules import published

            with temporary.folder() as folder:
                path = folder / "pipeline.yaml"
                target = targets.named(self.target)
                compiled = compile.compile_unpublished(settings, target, path)
                warn(settings.idle_settings)
                warn(target.unused(settings))
                read = submission.read(compiled.path, params, no_cache)
            read = replace(read, publish=functools.partial(published.write, compiled.published))
            user_files = compiled.published
        section = getattr(settings, self.target)
        allowed = list(settings.lint.allow)
        if getattr(section, "service_account", None):
            allowed.append(stores.store_credentials.id)  # its role may be the pods'
        for finding in lint.check(read.documents, targets.named(self.target), allowed, read.parameters):
            warn(str(finding))
        service = kind(section)
        warnings = service.check(read)
        unreadable = local_paths.sentence(read.documents, self.target, section.shared_folders, read.parameters)
        if unreadable:
            raise ConfigError(unreadable)
        for warning in warnings:
            warn(warning)
        if user_files:
            warn(user_files.left_out)
            note(user_files.keras_note)
        return service, read

    def _require_target(self, compiled_for: str) -> None:
        """Refuses a pipeline that was compiled for this machine: it lacks all that the server's target decides."""
        from penstock.pipelines.targets.target import DOCKER, LOCAL

        if compiled_for in (LOCAL.name, DOCKER.name):
            raise ConfigError(
                f"{self.config}: it was compiled for {compiled_for}: compile it with --target {self.target}, or submit "
                "the configuration"
            )

    def _require_compilable(self, submission: "Submission") -> None:
        """Refuses the options that change a configuration: a compiled pipeline has it in it."""
        for name, parameter in _PARAMETERS.items():
            if getattr(self, name) is not None:
                known = parameter in submission.declared
                way = f"give --param {parameter}=VALUE" if known else "compile the configuration with it"
                raise ConfigError(f"--{name}: {self.config} is compiled already, with its own {name}: {way}")

    def _alone(self) -> Any:
        """Returns what the options alone say."""
        from penstock.pipelines.config import file as config_file
        from penstock.pipelines.config.section import Section
        from penstock.pipelines.config.servers import Kubeflow, Vertex
        from penstock.pipelines.config.training_pipeline import Lint

        class Alone(Section):
            kubeflow: Kubeflow = Kubeflow()
            vertex: Vertex = Vertex()
            lint: Lint = Lint()

        document = config_file.Document("the command line", {})
        config_file.override(document, self.assignments)
        for key, value, place in self.flags:
            config_file.assign(document, key.split("."), value, place)
        return config_file.validate(document, Alone, Path.cwd())


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
        click.option(
            "--experiment", callback=name_of, metavar="NAME", help="The experiment, by default the pipeline's name."
        ),
    ):
        command = option(command)
    return command


@click.command()
@file_argument
@click.option(
    "--name", callback=name_of, metavar="NAME", help="The run's name, by default the pipeline's with the time."
)
@click.option("--wait", is_flag=True, help="Follows the run to its end; exit code 1 if it fails.")
@interval_option
@pipeline_options
@json_option
@server_options
def submit(
    remote: Remote, name: str | None, wait: bool, interval: float, params: Sequence[str], no_cache: bool
) -> Answer:
    """Starts a run on a server. FILE is a compiled pipeline; a CONFIG is compiled first."""
    service, submission = remote.submission(params, no_cache)
    if name and (run_id := service.id_of_name(name)) not in (None, name):
        tell(f"the run {name!r} gets the id {run_id}: an id has small letters, digits and dashes", err=True)
    run_id = service.submit(submission, name)
    if wait:
        return _wait(remote, service, run_id, interval, submission)
    return Answer(_remote_run(service, run_id), lambda: _run_text(service, run_id))


@click.command()
@run_argument
@options.config_argument
@interval_option
@json_option
@server_options
def watch(remote: Remote, run: str, interval: float) -> Answer:
    """Follows a run on a server to its end, as submit --wait does. RUN is its id or its name."""
    service = remote.service()
    run_id = service.find(run)
    return _wait(remote, service, run_id, interval)


@click.command()
@run_argument
@options.config_argument
@json_option
@server_options
def cancel(remote: Remote, run: str) -> Answer:
    """Cancels a run on a server. RUN is its id or its name."""
    service = remote.service()
    run_id = service.find(run)
    service.cancel(run_id)
    return Answer(CancelledRun(run=run_id, link=service.link(run_id)), lambda: f"{run_id}: asked to stop")


def _run_text(service: "Service", run_id: str) -> str:
    return f"run   {run_id}\nlink  {service.link(run_id)}"


def _remote_run(
    service: "Service", run_id: str, ended: "Snapshot | None" = None, pushed: Sequence[str] = ()
) -> RemoteRun:
    tasks = ended.tasks if ended else ()
    return RemoteRun(
        run=run_id,
        link=service.link(run_id),
        state=ended.state if ended else None,
        tasks=[cast(RemoteTask, asdict(task)) for task in tasks],
        pushed=list(pushed),
    )


def _wait(
    remote: Remote, service: "Service", run_id: str, interval: float, submission: "Submission | None" = None
) -> Answer:
    """Follows a run to its end; returns how it ended. `submission` is what was started just now, and so is there."""
    from penstock.core.services.retries import Interrupted
    from penstock.pipelines.servers import watch as watching

    def how_to_go_on() -> str:
        watch, cancel = (remote.command([verb, run_id], service) for verb in ("watch", "cancel"))
        return f"to watch it:  {watch}\nto cancel it: {cancel}"

    def warn(sentence: str) -> None:
        tell(sentence, err=True)

    tell(_run_text(service, run_id))
    try:
        known = submission is not None
        ended = watching.watch(lambda: service.snapshot(run_id), tell, warn, known=known, interval=interval)
    except KeyboardInterrupt:
        raise Interrupted("interrupted: the run goes on", how_to_go_on()) from None
    except watching.Unwatched as error:
        raise watching.Unwatched(error.message, f"run {run_id}, {service.link(run_id)}\n{how_to_go_on()}") from None
    if ended.succeeded:
        folders = _pushed(submission, ended) if submission else []
        lines = [watching.outcome(ended), *(f"pushed to  {folder}" for folder in folders)]
        return Answer(_remote_run(service, run_id, ended, folders), lambda: "\n".join(lines))
    ended = service.explained(run_id, ended)
    message, *details = watching.outcome(ended).splitlines()
    failure = Failure(SystemFailure.__name__, message, details, indent="")  # a line for each task that failed
    return Answer(_remote_run(service, run_id, ended), failure=failure)


def _pushed(submission: "Submission", ended: "Snapshot") -> list[str]:
    """Returns the folders that a run's Pushers have put a version into."""
    from penstock.pipelines.lint import places
    from penstock.pipelines.lint.pipeline import Pipeline

    done = {f"exec-{task.name}" for task in ended.tasks if task.state == "SUCCEEDED"}
    named = places.named(Pipeline.of(submission.documents, submission.parameters))
    return [place.value for place in named if place.parameter == "push_destination" and place.executor in done]


commands = (submit, watch, cancel)
