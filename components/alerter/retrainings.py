"""What is told of retrainings: each notice is put into the outbox once, whoever makes it anew.

The Retrainer makes notices of what it has written down, after it has done so. Where it dies in between, its next run
makes the same ones, and those that are new to the outbox are told.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from penstock.components.alerter import messages, notices
from penstock.components.alerter.channels.channel import Channel
from penstock.components.alerter.state import Noticed, State
from penstock.components.alerter.state import model as model_of
from penstock.components.alerter.state import retrainings as retrainings_of
from penstock.core.artifacts.retraining import RetrainingNotice

_KEPT = 1000  # ids of notices, of each pipeline


@dataclass(frozen=True)
class News:
    """What there is to tell of a pipeline's retrainings.

    Args:
        pipeline: The training pipeline's name.
        model: The model that is monitored.
        notices: What has become of each retraining.
        held_back: What a window shows and what holds a retraining back. It is told again only if another reason comes.
        is_free: Whether nothing holds one back any more: then what holds back the next one is told anew.
    """

    pipeline: str
    model: str
    notices: Sequence[RetrainingNotice]
    held_back: RetrainingNotice | None = None
    is_free: bool = False


def put(state: State, news: News, channels: Sequence[Channel], now: datetime) -> bool:
    """Puts into the outbox what nobody was told yet; returns whether the state has changed.

    The state is to be written before anything is delivered.
    """
    noticed = state.setdefault("noticed", {}).setdefault(news.pipeline, Noticed(ids=[], holds=[]))
    before = noticed["holds"]
    fresh = [notice for notice in news.notices if notice["id"] not in noticed["ids"]]
    if news.held_back:
        kinds = {hold["kind"] for hold in news.held_back["holds"]}
        if kinds - set(before) and news.held_back["id"] not in noticed["ids"]:
            fresh.append(news.held_back)
        noticed["holds"] = sorted(kinds | set(before))
    elif news.is_free:
        noticed["holds"] = []
    for notice in (notice for message in state["outbox"] for notice in retrainings_of(message)):
        if notice["pipeline"] == news.pipeline:
            notice["model"] = news.model  # that who asked for a retraining may not have known
    noticed["ids"] = [*noticed["ids"], *(notice["id"] for notice in fresh)][-_KEPT:]
    for notice in fresh:
        severity = notices.SEVERITIES[notice["kind"]]
        names = [one.name for one in channels if one.takes_retrainings and one.is_severe(severity)]
        if names:
            state["outbox"].append(messages.of_retraining(notice, names, now))
    return bool(fresh) or noticed["holds"] != before


def wait(state: State, model: str) -> bool:
    """Whether anything waits to be told of a model's retrainings."""
    return any(model_of(message) == model and retrainings_of(message) for message in state["outbox"])
