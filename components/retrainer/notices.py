"""What people are told of retrainings, by the channels of the Alerter and through its outbox.

Notices are made of what is written down, again after each window: so one that nobody was told of, since the process
died before it could, is told by the next. The outbox knows by their ids which ones are new.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from penstock.components.alerter import executor as alerter
from penstock.components.alerter import findings
from penstock.components.alerter import settings as settings_
from penstock.components.alerter.decisions import digest
from penstock.components.alerter.retrainings import News
from penstock.components.retrainer import policy as policies
from penstock.components.retrainer.policy import Policy
from penstock.components.retrainer.state import State, of_pipeline
from penstock.core.artifacts.retraining import (
    HoldKind,
    NoticeKind,
    Retraining,
    RetrainingDecision,
    RetrainingNotice,
    Status,
)
from penstock.core.errors import PenstockError

_NEWS = timedelta(days=7)  # what was decided before that and has ended is none any more
_KINDS: Mapping[Status, NoticeKind] = {"waiting": "waiting", "running": "started", "done": "done", "failed": "failed"}
_NO_NEWS: tuple[HoldKind, ...] = ("under_way", "waiting", "older_window")  # another retraining is, and was told


@dataclass(frozen=True)
class Audience:
    """Who is told of a pipeline's retrainings.

    Args:
        state: The Alerter's folder, which remembers what was told.
        settings: The Alerter's, as JSON.
        pipeline: The training pipeline's name.
        model: The model that is monitored; "" for the only one of a log.
        policy: By which windows are decided on.
        target: Where runs are started: local, kubeflow, vertex; "" where nobody does.
        report: The URI of the page of the window that is decided on.
    """

    state: str
    settings: str
    pipeline: str
    model: str
    policy: Policy
    target: str
    report: str = ""

    def tell(self, state: State, decision: RetrainingDecision | None, now: datetime) -> PenstockError | None:
        """Tells what is new of retrainings that are written down, and what holds back the one of a window.

        Returns why a channel did not take a message, which is kept for the next time. Raises a ConfigError for wrong
        settings.
        """
        parsed = settings_.read(self.settings)
        notices = list(self._of_runs(state, now))
        held_back = self._held_back(decision) if decision else None
        for notice in (*notices, *([held_back] if held_back else [])):
            notice["report"] = findings.address(notice["report"], parsed.links)
        is_free = decision is not None and decision["outcome"] != "held_back"
        news = News(self.pipeline, self.model or findings.UNNAMED, notices, held_back, is_free)
        return alerter.announce(news, self.state, parsed, now)

    def _of_runs(self, state: State, now: datetime) -> Iterator[RetrainingNotice]:
        for one in of_pipeline(state, self.pipeline):
            kind: NoticeKind | None = _KINDS.get(one["status"])
            if one["status"] == "due" and one["error"]:
                kind = "not_started"
            is_old = one["status"] in ("done", "failed") and now - datetime.fromisoformat(one["decided"]) > _NEWS
            if kind and not is_old:
                yield self._notice(kind, one)

    def _notice(self, kind: NoticeKind, one: Retraining) -> RetrainingNotice:
        is_persons = any(signal["kind"] == "person" for signal in one["signals"])
        elsewhere = f" --target {self.target}" if self.target not in ("", "local") else ""
        return RetrainingNotice(
            id=f"{one['id']}-{kind}",
            kind=kind,
            retraining=one["id"],
            pipeline=self.pipeline,
            model=self.model or findings.UNNAMED,
            signals=one["signals"],
            holds=[],
            policy="" if is_persons else policies.words(self.policy),
            begin=one["begin"],
            end=one["end"],
            spans=one["spans"],
            approval=f"penstock retrain --approve {one['id']}{elsewhere}" if kind == "waiting" else "",
            run=one["run"],
            link=one["link"],
            seconds=one["seconds"] if kind in ("done", "failed") else 0.0,
            error=one["error"],
            report=one["report"],
        )

    def _held_back(self, decision: RetrainingDecision) -> RetrainingNotice | None:
        """Returns what holds back the retraining of a window; None where that is no news."""
        holds = decision["holds"]
        if not holds or any(hold["kind"] in _NO_NEWS for hold in holds):
            return None
        return RetrainingNotice(
            id=f"{digest(self.pipeline, decision['model'], decision['begin'], decision['end'])}-held_back",
            kind="held_back",
            retraining="",
            pipeline=self.pipeline,
            model=self.model or findings.UNNAMED,
            signals=decision["signals"],
            holds=holds,
            policy=policies.words(self.policy),
            begin=decision["begin"],
            end=decision["end"],
            spans="",
            approval="",
            run="",
            link="",
            seconds=0.0,
            error="",
            report=self.report,
        )
