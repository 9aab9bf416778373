"""The commands about what serves: endpoints, promote, rollback. They ask the destinations of the configuration."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from penstock.core.errors import ConfigError, PenstockError, SystemFailure, UserError
from penstock.core.suggestions import did_you_mean
from penstock.core.text.aligned import aligned
from penstock.pipelines.cli.options import config_argument, config_file, load, set_option
from penstock.pipelines.cli.output.answer import Answer, Failure, json_option
from penstock.pipelines.cli.output.records import (
    ChangedDestination,
    ChangedDestinations,
    DeployedVersion,
    Destination,
    Endpoints,
)
from penstock.pipelines.cli.terminal import tell, warn

if TYPE_CHECKING:
    from penstock.components.pusher.destinations import Folder, Pushed, Service
    from penstock.components.pusher.destinations.destination import Deployment, Endpoint

type Row = tuple[str, ...]

_HEADER: Row = ("VERSION", "SHARE", "STATE", "CREATED", "MODEL")
_DIGITS = 12  # of a model's digest, as the table shows it
only_option = click.option(
    "--only", metavar="KEY", help="One destination of the configuration's push, such as kserve; by default all."
)


@click.command()
@config_argument
@json_option
@only_option
@set_option
def endpoints(config: Path, only: str | None, assignments: Sequence[str]) -> Answer:
    """Shows which version serves what share, on every destination of the pipeline."""
    asked: list[tuple[Folder | Service, Endpoint | None]] = []
    failures: list[PenstockError] = []
    for place in _places(config, assignments, only):
        try:
            asked.append((place, place.endpoint()))
        except PenstockError as error:
            failures.append(error)
    combined = _combined(failures)
    return Answer(
        Endpoints(destinations=[_destination(place, endpoint) for place, endpoint in asked]),
        lambda: "\n\n".join(_text(place, endpoint) for place, endpoint in asked),
        Failure.of(combined) if combined else None,
    )


@click.command()
@config_argument
@json_option
@only_option
@set_option
def promote(config: Path, only: str | None, assignments: Sequence[str]) -> Answer:
    """Gives the canary all requests, on every destination that has one."""
    from penstock.components.pusher import destinations

    places = _places(config, assignments, only)
    if not only:
        places = [place for place in places if not isinstance(place, destinations.Folder) or place.canary]
    if not places:
        raise ConfigError(
            f"{config_file(config)}: the folder has no canary: expected push.canary, the percentage of a new version's "
            "requests, or a service in push"
        )
    return _change(places, destinations.promote)


@click.command()
@config_argument
@json_option
@only_option
@set_option
def rollback(config: Path, only: str | None, assignments: Sequence[str]) -> Answer:
    """Takes the canary away; without one brings the previous version back, on every destination."""
    from penstock.components.pusher import destinations

    return _change(_places(config, assignments, only), destinations.rollback)


def _places(config: Path, assignments: Sequence[str], only: str | None) -> "list[Folder | Service]":
    loaded = load(config, assignments)
    from penstock.components.pusher import destinations

    if not loaded.push:
        raise ConfigError(f"{config_file(config)}: expected a push section, which says where models are served")
    places = destinations.read(json.dumps(loaded.push.destination))
    keys = [place.key for place in places]
    if only and only not in keys:
        raise ConfigError(f"--only {only}: the configuration pushes to no such place; {did_you_mean(only, keys)}")
    return [place for place in places if only in (None, place.key)]


def _change(places: "Sequence[Folder | Service]", change: "Callable[[Folder | Service], Pushed]") -> Answer:
    """Changes one place after the other, and tells each at once; where some fail, the others are changed."""
    done: list[ChangedDestination] = []
    failures: list[PenstockError] = []
    for place in places:
        try:
            changed = change(place)
        except PenstockError as error:
            failures.append(error)
            continue
        tell(f"{place.place}: version {changed.version} has {changed.percent} %")
        for note in changed.notes:
            warn(note)
        done.append(
            ChangedDestination(
                destination=place.key,
                place=changed.place,
                version=changed.version,
                percent=changed.percent,
                notes=list(changed.notes),
            )
        )
    combined = _combined(failures)
    return Answer(ChangedDestinations(destinations=done), failure=Failure.of(combined) if combined else None)


def _combined(failures: Sequence[PenstockError]) -> PenstockError | None:
    """Returns one error that tells of all; None for none."""
    if len(failures) < 2:
        return next(iter(failures), None)
    kind = UserError if all(isinstance(error, UserError) for error in failures) else SystemFailure
    first, *more = failures
    lines = [first.details, *(f"{error.message}\n{error.details}" for error in more)]
    return kind(first.message, "\n".join(line for line in lines if line))


def _text(place: "Folder | Service", endpoint: "Endpoint | None") -> str:
    """Returns a place's table, below a line that says what it is."""
    if endpoint is None or not endpoint.deployments:
        return f"{place.place}: nothing serves there yet"
    rows = [_HEADER, *map(_row, endpoint.deployments)]
    return "\n".join([place.place, *(f"  {line}" for line in aligned(rows))])


def _row(deployment: "Deployment") -> Row:
    return (
        deployment.version,
        f"{deployment.percent} %",
        _state(deployment),
        deployment.created.removesuffix("+00:00") or "-",
        deployment.digest[:_DIGITS] or "-",
    )


def _state(deployment: "Deployment") -> str:
    role = "canary" if deployment.canary else "serves" if deployment.percent else "previous"
    if deployment.healthy is False:
        return f"{role}, not healthy: {deployment.reason}"
    return f"{role}, {deployment.reason}" if deployment.reason else role


def _destination(place: "Folder | Service", endpoint: "Endpoint | None") -> Destination:
    return Destination(
        destination=place.key,
        place=place.place,
        endpoint=endpoint.name if endpoint else None,
        url=endpoint.url or None if endpoint else None,
        deployments=[cast(DeployedVersion, asdict(one)) for one in endpoint.deployments] if endpoint else [],
    )


commands = (endpoints, promote, rollback)
