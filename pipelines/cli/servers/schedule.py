"""The commands about schedules on a server: create, list, pause, resume, delete."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from penstock.pipelines.cli import options
from penstock.pipelines.cli.output.answer import Answer, json_option
from penstock.pipelines.cli.output.records import ChangedSchedules, CreatedSchedule, ListedSchedule, Schedules
from penstock.pipelines.cli.servers.remote import Remote, file_argument, name_of, pipeline_options, server_options

if TYPE_CHECKING:
    from penstock.pipelines.servers.service import Change


@click.group()
def schedule() -> None:
    """Runs a pipeline again and again on a server."""


@schedule.command()
@file_argument
@click.option(
    "--cron", metavar="FIELDS", help="When: Kubeflow's six fields, such as '0 0 6 * * *', or Vertex AI's five."
)
@click.option("--every", type=click.IntRange(min=1), metavar="SECONDS", help="How often, in place of --cron.")
@click.option("--name", callback=name_of, metavar="NAME", help="The schedule's name, by default the pipeline's.")
@click.option("--replace", is_flag=True, help="Replaces the schedule that has the name already.")
@pipeline_options
@json_option
@server_options
def create(
    remote: Remote,
    cron: str | None,
    every: int | None,
    name: str | None,
    replace: bool,
    params: Sequence[str],
    no_cache: bool,
) -> Answer:
    """Makes a schedule. A run that is late is not made up for, and none starts while the last one runs."""
    from penstock.pipelines.servers.service import Trigger, service_class

    trigger = Trigger(cron, every)
    service_class(remote.target).check_trigger(trigger)
    service, submission = remote.submission(params, no_cache)
    name = name or submission.pipeline
    schedule_id = service.schedule(submission, name, trigger, replace=replace)
    created = CreatedSchedule(id=schedule_id, name=name, cron=cron, every=every)
    return Answer(created, lambda: f"schedule  {name}\nid        {schedule_id}")


@schedule.command("list")
@options.config_argument
@json_option
@server_options
def list_schedules(remote: Remote) -> Answer:
    """Lists the schedules of the server, or of the namespace."""
    service = remote.service()
    schedules = service.schedules()
    lines = [f"{one.name:32} {one.status:9} {one.trigger}" for one in schedules]
    nothing = f"no schedule on {service.place} yet: `penstock schedule create` makes one"
    result = Schedules(
        place=service.place,
        schedules=[
            ListedSchedule(id=one.id, name=one.name, status=one.status, cron=one.trigger.cron, every=one.trigger.every)
            for one in schedules
        ],
    )
    return Answer(result, lambda: "\n".join(lines) or nothing)


def _change(remote: Remote, name: str, change: "Change", done: str) -> Answer:
    count = remote.service().change_schedule(name, change)
    more = f", all {count} schedules of this name" if count > 1 else ""
    return Answer(ChangedSchedules(name=name, change=done, count=count), lambda: f"{name}: {done}{more}")


@schedule.command()
@click.argument("name")
@options.config_argument
@json_option
@server_options
def pause(remote: Remote, name: str) -> Answer:
    """Keeps a schedule from starting runs until it is resumed."""
    return _change(remote, name, "disable", "paused")


@schedule.command()
@click.argument("name")
@options.config_argument
@json_option
@server_options
def resume(remote: Remote, name: str) -> Answer:
    """Lets a paused schedule start runs again."""
    return _change(remote, name, "enable", "resumed")


@schedule.command()
@click.argument("name")
@options.config_argument
@json_option
@server_options
def delete(remote: Remote, name: str) -> Answer:
    """Deletes a schedule. The runs that it started stay."""
    return _change(remote, name, "delete", "deleted")
