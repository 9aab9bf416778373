"""The command line. Every command imports what it needs itself, so that `penstock --help` is there at once."""

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from penstock.core.credentials import masks
from penstock.core.errors import ConfigError, PenstockError, UserError, explain_memory, explain_os_error
from penstock.pipelines.cli.checking.lint import lint
from penstock.pipelines.cli.checking.validate import validate
from penstock.pipelines.cli.collect import collect
from penstock.pipelines.cli.endpoints import commands as endpoint_commands
from penstock.pipelines.cli.monitor import monitor
from penstock.pipelines.cli.options import (
    DEFAULT_CONFIG,
    config_argument,
    data_option,
    label_option,
    load,
    set_option,
)
from penstock.pipelines.cli.output import answer as answers
from penstock.pipelines.cli.output.answer import Answer, Failure, json_option
from penstock.pipelines.cli.predictions.predict import predict
from penstock.pipelines.cli.retrain import retrain
from penstock.pipelines.cli.serve import serve
from penstock.pipelines.cli.servers.remote import commands as remote_commands
from penstock.pipelines.cli.servers.schedule import schedule
from penstock.pipelines.cli.streams import StandardStreams
from penstock.pipelines.cli.terminal import note, ready, tell, warn

if TYPE_CHECKING:
    from penstock.pipelines.local.launch import Runner

_INTERRUPTED = 130


@click.group(
    invoke_without_command=True,
    subcommand_metavar="COMMAND [ARGS]...",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="penstock", message="%(prog)s %(version)s")
@click.pass_context
def cli(context: click.Context) -> None:
    """TFX-style pipelines from one configuration file. CONFIG is pipeline.yaml where it is left out."""
    if context.invoked_subcommand is None:
        tell(context.get_help(), err=True)
        context.exit(2)


@cli.command()
@config_argument
@set_option
@data_option
@label_option
@click.option("--no-cache", is_flag=True, help="Runs every task, also those that are in the cache.")
@click.option("-v", "--verbose", is_flag=True, help="Shows kfp's own log as well.")
@click.option(
    "--runner",
    type=click.Choice(["subprocess", "docker"]),
    default="subprocess",
    show_default=True,
    help="What runs a task: a process of this environment, or a container of the image.",
)
@json_option
def run(
    config: Path,
    assignments: Sequence[str],
    data: str | None,
    label: str | None,
    no_cache: bool,
    verbose: bool,
    runner: "Runner",
) -> Answer:
    """Runs the pipeline on this machine."""
    loaded = load(config, assignments, data, label)
    from penstock.pipelines.local import launch

    root = Path(loaded.pipeline_root)
    try:
        summary = launch.launch(loaded, warn, note, runner=runner, no_cache=no_cache, verbose=verbose)
    except KeyboardInterrupt:
        tell(err=True)  # ends the line of ^C
        return _interrupted(_how_to_go_on(root, loaded.name))
    from penstock.pipelines.cli.output import of_runs

    return of_runs.ended(summary)


@cli.command("compile")
@config_argument
@click.option("--target", default="local", show_default=True, help="Where the pipeline is to run.")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path, dir_okay=False), help="The YAML file.")
@click.option(
    "--pipeline",
    type=click.Choice(["training", "monitoring"]),
    default="training",
    show_default=True,
    help="Which one: that of `penstock run`, or the one that monitors a window of requests.",
)
@set_option
@data_option
@label_option
@json_option
def compile_command(
    config: Path,
    target: str,
    output: Path,
    pipeline: str,
    assignments: Sequence[str],
    data: str | None,
    label: str | None,
) -> Answer:
    """Compiles the pipeline to KFP's YAML."""
    from penstock.pipelines.targets import target as targets

    if output.suffix not in (".yaml", ".yml"):
        raise ConfigError(f"-o {output}: expected a name that ends in .yaml, as KFP's clients do")
    chosen = targets.named(target)
    loaded = load(config, assignments, data, label)
    from penstock.pipelines.compiling import compile

    if pipeline == "monitoring":
        name, keras_note = compile.compile_monitoring(loaded, chosen, output), ""
        sentences = [chosen.unused(loaded), loaded.pushes_any]
    else:
        published = compile.compile_config(loaded, chosen, output).published
        name, keras_note = loaded.name, published.keras_note
        sentences = [loaded.idle_settings, chosen.unused(loaded), published.left_out]
    from penstock.pipelines.cli.output.records import Compiled
    from penstock.pipelines.lint import local_paths
    from penstock.pipelines.servers import submission

    sentences.append(local_paths.sentence(submission.read(output).documents, chosen.name))  # submitting refuses it
    warnings = list(filter(None, sentences))
    for sentence in warnings:
        warn(sentence)
    note(keras_note)
    result = Compiled(file=str(output), pipeline=name, target=chosen.name, warnings=warnings)
    return Answer(result, lambda: f"{output}: {name} for target {chosen.name}")


@cli.command()
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path, file_okay=False), help="The folder.")
@click.option("--image", metavar="NAME", help="The image the components run in, by default this version's.")
@json_option
def components(output: Path, image: str | None) -> Answer:
    """Exports every component as component.yaml, for pipelines written without Penstock."""
    from penstock.pipelines.cli.output.records import WrittenFiles
    from penstock.pipelines.compiling import catalog
    from penstock.pipelines.lint import platforms

    if image is not None:
        platforms.require_version(image)
    files = [str(path) for path in catalog.export(output, image)]
    return Answer(WrittenFiles(files=files), lambda: "\n".join(files))


@cli.command()
@config_argument
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path, dir_okay=False), help="The module file.")
@click.option("--run", metavar="RUN", help="The run whose schema and statistics decide, by default the newest.")
@click.option("--force", is_flag=True, help="Overwrites the file if it is there.")
@set_option
def eject(config: Path, output: Path, run: str | None, force: bool, assignments: Sequence[str]) -> None:
    """Writes the model without code as a module file that does the same, to go on from."""
    from penstock.pipelines.cli import eject as module

    tell(module.eject(load(config, assignments), output, run, force))


@cli.command()
@click.argument("name")
@click.option("--data", metavar="FILE", help="The CSV or Parquet file to look at. By default the one in NAME.")
@click.option("--label", metavar="COLUMN", help="The column to predict.")
@json_option
def init(name: str, data: str | None, label: str | None) -> Answer:
    """Writes a project into the folder NAME: a pipeline.yaml for a data file, or an example that runs as it is.

    The data file is looked at, for its delimiter, encoding, decimal point, missing values and dates, and stays where it
    is. NAME may be the folder of the data, such as . for the current one.
    """
    from penstock.pipelines.cli.init import write_project
    from penstock.pipelines.cli.output.records import WrittenFiles

    files = [str(path) for path in write_project(name, data, label)]
    here = "" if Path(name) == Path() else f"cd {shlex.quote(name)} && "
    go_on = f"{here}penstock validate && penstock run" if data or label else f"{here}penstock run"
    return Answer(WrittenFiles(files=files), lambda: "\n".join([*files, "", go_on]))


@cli.command()
@click.argument("run", default=DEFAULT_CONFIG, metavar="[RUN]", type=click.Path(path_type=Path))
@json_option
def explain(run: Path) -> Answer:
    """Says why each task of a run ran, or did not, and the story of its model: why it was trained and on what, why it
    was blessed, who serves it, what its monitor says.

    RUN is a run's folder, or a configuration for its newest run.
    """
    from penstock.pipelines.cli.output import of_runs
    from penstock.pipelines.local import runs
    from penstock.pipelines.local.records import record

    return of_runs.explained(record.require(run) if (run / record.FILE).is_file() else runs.newest(load(run)))


@cli.command()
@config_argument
@json_option
def runs(config: Path) -> Answer:
    """Lists the pipeline's runs, the newest first."""
    from penstock.pipelines.cli.output import of_runs

    return of_runs.listed(load(config))


@cli.command()
@click.argument("chosen", nargs=-1, metavar="[RUN RUN]")
@click.option("--config", default=DEFAULT_CONFIG, type=click.Path(path_type=Path), help="The pipeline that has run.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The page; by default it is in the second run.")
@json_option
def diff(chosen: Sequence[str], config: Path, output: Path | None) -> Answer:
    """Compares two runs, by default the two newest ones: metrics, curves, columns, configuration, code and data.

    RUN is a run's folder, or its name.
    """
    from penstock.pipelines.cli.output import of_runs
    from penstock.pipelines.local import runs
    from penstock.pipelines.local.records import record

    if len(chosen) not in (0, 2):
        raise UserError(f"diff: expected two runs, or none for the two newest, received {len(chosen)}")
    if not chosen:
        return of_runs.compared(*runs.newest_two(load(config)), output)
    folders = [Path(run) for run in chosen]
    if all((folder / record.FILE).is_file() for folder in folders):  # which need no configuration
        first, second = map(record.require, folders)
    else:
        root = Path(load(config).pipeline_root)
        first, second = (runs.named(root, run) for run in chosen)
    return of_runs.compared(first, second, output)


for command in (
    collect,
    lint,
    monitor,
    predict,
    retrain,
    serve,
    schedule,
    validate,
    *endpoint_commands,
    *remote_commands,
):
    cli.add_command(command)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; returns its exit code: 0, 2 for what the user can mend, 1 for other failures, 130 for Ctrl-C.

    3 is for a run on a server that goes on, although watching it failed. A command whose output was not taken fails.
    """
    ready()
    try:
        with StandardStreams() as streams:
            code = _command(arguments)
            lost = streams.lost()
            if lost is None:
                return code
            if not isinstance(lost, BrokenPipeError):  # else its reader has seen enough, as in `penstock runs | head`
                tell(f"penstock: standard output could not be written: {lost.strerror}", err=True)
            return code or 1
    except Exception:
        masks.mask_streams()  # for the traceback that Python prints of what nothing explains
        raise


def _command(arguments: Sequence[str] | None) -> int:
    masks.mask_streams()
    words = list(sys.argv[1:] if arguments is None else arguments)
    as_json = answers.wants_json(words)
    with answers.standard_output_for(as_json):
        answer = _answer(words, as_json)
    return answer if isinstance(answer, int) else answers.render(answer, _named(words), as_json)


def _answer(words: list[str], as_json: bool) -> Answer | int:
    """Returns what a command answers, also to what it cannot do; or its exit code alone."""
    try:
        answer: Any = cli.main(args=words, prog_name="penstock", standalone_mode=False)
        if isinstance(answer, Answer) and not as_json:
            return answer.with_text()
        return answer if isinstance(answer, Answer | int) else Answer()
    except (KeyboardInterrupt, click.Abort) as error:
        if isinstance(error.__cause__, EOFError):  # to click that is Ctrl-D, but no command asks for anything
            raise error.__cause__ from None
        return _interrupted()
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        hint = [f"see `{context.command_path} --help`"] if context else []
        kind = click.UsageError.__name__ if isinstance(error, click.UsageError) else type(error).__name__
        return Answer(failure=Failure(kind, error.format_message().rstrip("."), hint, error.exit_code))
    except PenstockError as error:
        if error.exit_code == _INTERRUPTED:
            tell(err=True)  # ends the line of ^C
        return Answer(failure=Failure.of(error))
    except (OSError, MemoryError) as error:
        explained = _explained(error)
        if explained is None:
            raise
        return Answer(failure=Failure.of(explained))


def _named(words: Sequence[str]) -> str:
    """Returns the name of the command that a command line is of; "" if it is of none."""
    names: list[str] = []
    group: click.Command | None = cli
    for word in words:
        group = group.commands.get(word) if isinstance(group, click.Group) else None
        if group is None:
            break
        names.append(word)
    return " ".join(names)


def _explained(error: OSError | MemoryError) -> PenstockError | None:
    if isinstance(error, MemoryError):
        return explain_memory()
    if error.filename:
        return explain_os_error(error) or UserError(f"{error.filename}: {error.strerror}")
    return explain_os_error(error)


def _interrupted(how_to_go_on: str = "") -> Answer:
    return Answer(failure=Failure("Interrupted", "interrupted", how_to_go_on.splitlines(), _INTERRUPTED))


def _how_to_go_on(root: Path, name: str) -> str:
    """Returns what to do after an interrupted run of this process; "" if it ended before its first task."""
    from penstock.pipelines.local.records import record

    newest = next(record.earlier(root, name), None)
    if newest is None or newest.process != os.getpid():
        return ""
    return f"run again to go on: finished tasks come from the cache\nrun {newest.folder}"


if __name__ == "__main__":
    sys.exit(main())
