"""Whether a model is trained anew: a function of what a window shows, of the policy, and of the retrainings before.

A window leads to one retraining at most, however often it is decided on: the retraining's id comes of the window.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from penstock.components.retrainer import signals as signals_
from penstock.components.retrainer import state as states
from penstock.components.retrainer.new_data import Data
from penstock.components.retrainer.policy import BUDGET, WEEK, Policy, length
from penstock.components.retrainer.state import State
from penstock.core.artifacts.monitoring import WindowRecord
from penstock.core.artifacts.retraining import Hold, HoldKind, Outcome, Retraining, RetrainingDecision, Signal, Status
from penstock.core.errors import UserError
from penstock.core.page import numbers

_TIMES = range(1_000_000_000, 10_000_000_000)  # versions of these numbers are the seconds that they were pushed in
_LONGEST_PIPELINE = 80  # characters of its name in a run's name, of which servers take 128
_HOUR = 3600.0


@dataclass(frozen=True)
class Observed:
    """A window of a model, and the data of its pipeline.

    `pipeline` is the training pipeline's name, `baseline` the URI of what the window was compared with, `report` the
    address of its page, `fingerprint` that of the data that the model was trained on, "" where nobody knows. `again`
    are earlier windows whose labels have come since, the oldest first.
    """

    pipeline: str
    window: WindowRecord
    data: Data
    baseline: str = ""
    report: str = ""
    fingerprint: str = ""
    again: Sequence[WindowRecord] = ()


def decide(state: State, observed: Observed, policy: Policy, now: datetime) -> RetrainingDecision:
    """Decides on a window, and adds the retraining that comes of it to the state."""
    window, before = observed.window, states.of_pipeline(state, observed.pipeline)
    found = [
        *signals_.of_window(window, policy),
        *_labelled(observed, before, policy),
        *signals_.of_age(_since(state, before, observed, now), now, policy),
        *signals_.of_data(observed.data, policy),
    ]
    name = _id(observed)
    known = next((one for one in before if one["id"] == name), None)
    if known:
        return _decision(window, known["signals"], [], known)
    if not found:
        return _decision(window, [], [], None)
    open_ = next((one for one in before if one["status"] in ("waiting", "due", "running")), None)
    holds = list(_holds(state, before, observed, policy, now))
    if holds:
        return _decision(window, found, holds, open_)
    made = _of_window(name, observed, found, "waiting" if policy.approval else "due", now)
    _add(state, made)
    return _decision(window, found, [], made)


def ask(state: State, pipeline: str, reason: str, data: Data, now: datetime) -> Retraining:
    """Adds the retraining that a person asks for, whatever the policy says; a UserError if one is under way already.

    One that is due, since no server has taken it yet, is the person's as well.
    """
    for one in states.of_pipeline(state, pipeline):
        if one["status"] == "due":
            one["signals"].append(signals_.of_person(reason))
            return one
        if one["status"] == "running":
            raise UserError(f"{one['id']} is under way already: wait for its end")
        if one["status"] == "waiting":
            raise UserError(f"{one['id']} waits for approval: `penstock retrain --approve {one['id']}`, or --reject it")
    name = f"{pipeline[:_LONGEST_PIPELINE]}-retrain-{now.astimezone(UTC):%Y%m%d-%H%M%S}-{_digest(pipeline, reason)}"
    made = _new(name, pipeline, [signals_.of_person(reason)], data, "due", now)
    _add(state, made)
    return made


def answer(state: State, pipeline: str, name: str, who: str, now: datetime, *, approved: bool) -> Retraining:
    """Approves or rejects a retraining that waits; a UserError if it does not.

    One that is due may be rejected as well: the server that it is for may refuse it for ever.
    """
    known = states.of_pipeline(state, pipeline)
    chosen = next((one for one in known if one["id"] == name), None)
    if chosen is None:
        waiting = ", ".join(one["id"] for one in known if one["status"] == "waiting")
        raise UserError(f"{name}: no such retraining; {'expected ' + waiting if waiting else 'none waits'}")
    if approved and chosen["status"] in ("due", "running"):  # by an answer before, whose process may have been killed
        return chosen
    if chosen["status"] != "waiting" and (approved or chosen["status"] != "due"):
        expected = "waits for approval" if approved else "waits for approval or is due"
        raise UserError(f"{name}: expected a retraining that {expected}; it is {chosen['status']}")
    word = "approved" if approved else "rejected"
    chosen.update({"status": "due" if approved else "rejected", "answered": f"{word} by {who}, {now.isoformat()}"})
    return chosen


def _labelled(observed: Observed, before: list[Retraining], policy: Policy) -> Iterator[Signal]:
    """Yields how bad the model was in earlier windows, each metric once: in the newest, and none of before the last
    retraining."""
    last = max((_begun(one) for one in _started(before)), default=None)
    told = set()
    for record in reversed(observed.again):
        if last and datetime.fromisoformat(record["end"]) <= last:
            return
        for signal in signals_.of_performance(record, policy):
            if signal["name"] not in told:
                told.add(signal["name"])
                end = numbers.date(datetime.fromisoformat(record["end"]).astimezone(UTC))
                yield {**signal, "sentence": f"in the window to {end} (UTC): {signal['sentence']}"}


def _holds(state: State, before: list[Retraining], observed: Observed, policy: Policy, now: datetime) -> Iterator[Hold]:
    for one in before:
        if one["status"] in ("due", "running"):
            yield _hold("under_way", f"{one['id']} is under way")
        if one["status"] == "waiting":
            yield _hold("waiting", f"{one['id']} waits for approval")
    started = _started(before)
    last = started[-1] if started else None
    if last and datetime.fromisoformat(observed.window["end"]) <= _begun(last):
        yield _hold("older_window", f"the window is of before {last['id']}")
    outliving = next((one for one in reversed(_done(before)) if _is_outlived(state, observed, one)), None)
    if outliving:
        yield _hold(
            "old_baseline",
            f"a model that was pushed after {outliving['id']} answers, and the window is compared with the baseline of "
            "before: name the new run's in monitoring.baseline",
        )
    yield from _same_data(started, observed)
    yield from _too_often(before, started, policy, now)


def _is_outlived(state: State, observed: Observed, one: Retraining) -> bool:
    """Whether a window is compared with a baseline of before a retraining, and a model of after it answers."""
    pushed = max((version for version in observed.window["versions"] if version in _TIMES), default=0)
    first = datetime.fromisoformat(state["since"][observed.baseline])
    is_older = one["baseline"] == observed.baseline or first <= _begun(one)
    return is_older and pushed > _begun(one).timestamp()


def _same_data(started: Iterable[Retraining], observed: Observed) -> Iterator[Hold]:
    """A training with the same data comes to the same model."""
    fingerprint = observed.data.fingerprint
    if fingerprint and fingerprint == observed.fingerprint:
        yield _hold("same_data", "there is no other data than the model was trained on")
        return
    for one in started:
        if fingerprint and one["fingerprint"] == fingerprint and one["status"] == "done":
            yield _hold("same_data", f"there is no other data than {one['id']} has trained on")
            return


def _too_often(
    before: Iterable[Retraining], started: Iterable[Retraining], policy: Policy, now: datetime
) -> Iterator[Hold]:
    cool_down = length(policy.cool_down)
    for one in before:
        last = _begun(one)
        if one["status"] != "waiting" and now - last < cool_down:
            kind: HoldKind = "rejected" if one["status"] == "rejected" else "cool_down"
            word, end = "rejected" if kind == "rejected" else "started", numbers.date(last + cool_down)
            yield _hold(kind, f"{one['id']} was {word} less than {policy.cool_down} ago: not before {end} (UTC)")
    week = [one for one in started if now - _begun(one) < WEEK]
    if policy.max_per_week is not None and len(week) >= policy.max_per_week:
        yield _hold("max_per_week", f"{len(week)} in the last seven days (at most {policy.max_per_week})")
    hours = sum(one["seconds"] for one in started if now - _begun(one) < BUDGET) / _HOUR
    if policy.budget_hours is not None and hours >= policy.budget_hours:
        used, most = numbers.duration(hours * _HOUR), numbers.duration(policy.budget_hours * _HOUR)
        yield _hold("budget", f"{used} of training in the last thirty days (at most {most})")


def _since(state: State, before: list[Retraining], observed: Observed, now: datetime) -> datetime:
    """Returns when the model was pushed, as its version says, else when it was first monitored.

    On a server the baseline may stay that of the first model, so the last retraining counts as well.
    """
    if observed.baseline not in state["since"]:
        state["since"] = dict([*state["since"].items(), (observed.baseline, now.isoformat())][-states.KEPT :])
    versions = observed.window["versions"]
    if versions and max(versions) in _TIMES:
        return datetime.fromtimestamp(max(versions), UTC)
    return max([datetime.fromisoformat(state["since"][observed.baseline]), *map(_begun, _done(before))])


def _begun(one: Retraining) -> datetime:
    """Returns when a person has answered, else when it was decided: from then on it may run, or is rejected."""
    return datetime.fromisoformat(one["answered"].rpartition(", ")[2] or one["decided"])


def _started(before: Iterable[Retraining]) -> list[Retraining]:
    return [one for one in before if one["status"] not in ("waiting", "rejected")]


def _done(before: Iterable[Retraining]) -> list[Retraining]:
    return [one for one in before if one["status"] == "done"]


def _id(observed: Observed) -> str:
    """Returns the name of the run that a window leads to: of small letters, digits and dashes, for any server."""
    window, pipeline = observed.window, observed.pipeline
    end = datetime.fromisoformat(window["end"]).astimezone(UTC)
    what = _digest(pipeline, window["model"], window["begin"], window["end"], observed.baseline)
    return f"{pipeline[:_LONGEST_PIPELINE]}-retrain-{end:%Y%m%d-%H%M%S}-{what}"


def _digest(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode(errors="surrogatepass")).hexdigest()[:6]


def _of_window(name: str, observed: Observed, found: list[Signal], status: Status, now: datetime) -> Retraining:
    window = observed.window
    made = _new(name, observed.pipeline, found, observed.data, status, now)
    made.update({"model": window["model"], "begin": window["begin"], "end": window["end"]})
    made.update({"report": observed.report, "baseline": observed.baseline})
    return made


def _new(name: str, pipeline: str, found: list[Signal], data: Data, status: Status, now: datetime) -> Retraining:
    return Retraining(
        id=name,
        pipeline=pipeline,
        model="",
        signals=found,
        begin="",
        end="",
        report="",
        baseline="",
        fingerprint=data.fingerprint,
        spans=data.spans,
        status=status,
        decided=now.isoformat(),
        answered="",
        server="",
        run="",
        link="",
        attempts=0,
        seconds=0.0,
        error="",
    )


def _add(state: State, made: Retraining) -> None:
    """Adds a retraining, and forgets the oldest ones that have ended, of any pipeline."""
    known = state["retrainings"]
    ended = [one["id"] for one in known if one["status"] in ("done", "failed", "rejected")]
    forgotten = set(ended[: max(0, len(known) + 1 - states.KEPT)])
    state["retrainings"] = [*(one for one in known if one["id"] not in forgotten), made]


def _decision(
    window: WindowRecord, found: list[Signal], holds: list[Hold], retraining: Retraining | None
) -> RetrainingDecision:
    return RetrainingDecision(
        model=window["model"],
        begin=window["begin"],
        end=window["end"],
        outcome=_outcome(holds, retraining),
        signals=found,
        holds=holds,
        retraining=retraining,
    )


def _outcome(holds: list[Hold], retraining: Retraining | None) -> Outcome:
    if retraining and retraining["status"] == "waiting":
        return "waiting"
    if holds or (retraining and retraining["status"] == "rejected"):
        return "held_back"
    return "retrains" if retraining else "not_needed"


def _hold(kind: HoldKind, sentence: str) -> Hold:
    return Hold(kind=kind, sentence=sentence)
