"""`penstock retrain`: the retrainings of a pipeline, what waits for a person, and one that a person asks for."""

import getpass
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from penstock.core.errors import UserError
from penstock.core.page import numbers
from penstock.core.text.aligned import aligned
from penstock.pipelines.cli.options import config_argument, load, set_option
from penstock.pipelines.cli.output.answer import Answer, Failure, json_option
from penstock.pipelines.cli.output.records import Retrainings
from penstock.pipelines.cli.terminal import note, warn

if TYPE_CHECKING:
    from penstock.components.retrainer.state import State
    from penstock.core.artifacts.retraining import Retraining, RetrainingDecision
    from penstock.pipelines.config.training_pipeline import Config
    from penstock.pipelines.local.retraining import Ended

_HEADER = ("RETRAINING", "STATUS", "DECIDED (UTC)", "WHY")
_OUTCOMES = {"not_needed": "not needed", "held_back": "held back", "waiting": "waits for approval"}


@click.command()
@config_argument
@click.option("--approve", default="", metavar="ID", help="Starts a retraining that waits for approval.")
@click.option("--reject", default="", metavar="ID", help="Drops one that waits, or that no server takes.")
@click.option("--reason", default=None, metavar="TEXT", help="Trains anew now, whatever the policy says.")
@click.option("--target", default="local", show_default=True, help="Where the run is started: local, kubeflow, vertex.")
@set_option
@json_option
def retrain(
    config: Path, approve: str, reject: str, reason: str | None, target: str, assignments: Sequence[str]
) -> Answer:
    """Lists the retrainings of the pipeline, the newest first; approves or rejects one, or starts one.

    What monitored windows lead to is decided by `penstock monitor` and the monitoring pipeline, by the policy in
    monitoring.retraining.
    """
    if reason is not None and not reason.strip():
        raise UserError("--reason: expected a sentence that says why, received none")
    reason = (reason or "").strip()
    if sum(map(bool, (approve, reject, reason))) > 1:
        raise UserError("retrain: expected one of --approve, --reject and --reason, received several")
    loaded = load(config, assignments)
    from penstock.pipelines.local import retraining

    if not (approve or reject or reason):
        return _answer(loaded, _listed(loaded, target), "", [])
    edit = _edit(loaded, approve, reject, reason, target)
    if reject:
        retraining.change_only(loaded, edit)
        return _answer(loaded, retraining.listed(loaded), reject, [])
    if target != "local":
        from penstock.pipelines.servers import retraining as remote

        changed = remote.change(loaded, target, edit)
        answer = _answer(loaded, retraining.listed(loaded), changed.result["id"], [])
        return replace(answer, failure=Failure.of(changed.error)) if changed.error else answer
    from penstock.pipelines import local

    local.require_runtime()
    here = retraining.after_answer(loaded, edit, warn, note)
    answer = _answer(loaded, retraining.listed(loaded), here.result["id"], here.ended)
    return replace(answer, failure=Failure.of(here.untold[0])) if here.untold and not answer.failure else answer


def _listed(config: "Config", target: str) -> "list[Retraining]":
    if target == "local":
        from penstock.pipelines.local import retraining

        return retraining.listed(config)
    from penstock.pipelines.servers import retraining as remote

    return remote.listed(config, target)


def _edit(config: "Config", approve: str, reject: str, reason: str, target: str) -> "Callable[[State], Retraining]":
    """Returns what a person wants to be changed."""
    from penstock.components.retrainer import decisions
    from penstock.pipelines.local import retraining

    now = datetime.now(UTC)
    if not reason:
        name, who = approve or reject, _user()
        return lambda state: decisions.answer(state, config.name, name, who, now, approved=bool(approve))
    data = retraining.data(config)

    def ask(state: "State") -> "Retraining":
        one = decisions.ask(state, config.name, reason, data, now)
        server = one.get("server") or target
        if server != target:
            raise UserError(f"{one['id']} is to be started on {server}: name it by --target {server}, or --reject it")
        return one

    return ask


def _user() -> str:
    """Returns who answers: in a container a number may have no name."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return f"user {os.getuid()}"


def decision_lines(decision: "RetrainingDecision", ended: "Sequence[Ended]") -> Iterator[str]:
    """Yields what was decided on a window, and what came of the runs."""
    outcome, made = _OUTCOMES.get(decision["outcome"], ""), decision["retraining"]
    if outcome:
        yield f"retraining {outcome}"
    elif made and made["id"] not in {one.retraining["id"] for one in ended}:  # another process runs it, or has
        yield f"retraining {made['id']}: {_status(made)}"
    for signal in decision["signals"]:
        yield f"  because: {signal['sentence']}"
    for hold in decision["holds"]:
        yield f"  held back: {hold['sentence']}"
    if decision["outcome"] == "waiting" and made:
        yield f"  `penstock retrain --approve {made['id']}` starts it, --reject drops it"
    yield from _run_lines(ended)


def _answer(config: "Config", listed: "list[Retraining]", name: str, ended: "Sequence[Ended]") -> Answer:
    result = Retrainings(pipeline=config.name, retrainings=listed, retraining=name)
    error = next((one.error for one in ended if one.error), None)
    return Answer(result, lambda: "\n".join(_lines(config, listed, name, ended)), Failure.of(error) if error else None)


def _lines(config: "Config", listed: "list[Retraining]", name: str, ended: "Sequence[Ended]") -> Iterator[str]:
    if ended:
        yield from _run_lines(ended)
    elif name:
        one = next(one for one in listed if one["id"] == name)
        yield f"retraining {name}: {_status(one)}"
        if one["link"]:
            yield f"  run       {one['link']}"
    elif listed:
        yield from aligned([_HEADER, *map(_row, listed)])
    else:
        yield f"no retraining of {config.name} yet"


def _row(one: "Retraining") -> tuple[str, ...]:
    from penstock.core.artifacts.retraining import sentence

    decided = datetime.fromisoformat(one["decided"]).astimezone(UTC)
    return one["id"], _status(one), f"{decided:%Y-%m-%d %H:%M}", sentence(one["signals"])


def _status(one: "Retraining") -> str:
    """Returns how a retraining stands, and of one that another server has where that is."""
    server = one.get("server", "")
    return f"{one['status']} on {server}" if server not in ("", "local") else one["status"]


def _run_lines(ended: "Sequence[Ended]") -> Iterator[str]:
    for one in ended:
        retraining = one.retraining
        took = f" in {numbers.number(retraining['seconds'])} s" if retraining["seconds"] else ""
        yield f"retraining {retraining['id']}: {retraining['status']}{took}"
        if retraining["run"]:
            yield f"  run       {retraining['run']}"
