"""What the Retrainer tells: of what is written down each once, and of windows that say nothing nothing."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from penstock.components.retrainer import decisions
from penstock.components.retrainer.notices import Audience
from penstock.components.retrainer.policy import Policy
from penstock.components.retrainer.state import State, empty
from penstock.core.errors import ConfigError
from tests.components.retrainer.conftest import NEW, at, observed

POLICY = Policy(cool_down="6h")


class Told:
    """A pipeline whose retrainings are told to a file."""

    def __init__(self, folder: Path, target: str = "kubeflow") -> None:
        self._file, self._state = folder / "told.jsonl", folder / "alerts"
        self._target = target
        self.settings = {"channels": {"file": {"log": {"path": str(self._file)}}}, "links": {"s3://": "https://files/"}}

    def window(self, state: State, hour: int, policy: Policy = POLICY, **options: Any) -> None:
        """Decides on the window of an hour, and tells it."""
        audience = Audience(
            str(self._state), json.dumps(self.settings), "taxi", "taxi", policy, self._target, f"s3://{hour}"
        )
        decision = decisions.decide(state, observed(hour, report=f"s3://{hour}", **options), policy, at(hour + 1.1))
        assert audience.tell(state, decision, at(hour + 1.1)) is None

    def kinds(self) -> list[str]:
        return [notice["kind"] for notice in self.notices()]

    def notices(self) -> list[dict[str, Any]]:
        lines = self._file.read_text().splitlines() if self._file.exists() else []
        return [json.loads(line)["retrainings"][0] for line in lines]


def test_a_retraining_is_told_from_the_approval_to_its_end(tmp_path: Path) -> None:
    told, state, policy = Told(tmp_path), empty(), Policy(approval=True)
    told.window(state, 0, policy, value=0.05)
    assert told.kinds() == []
    told.window(state, 1, policy)
    (one,) = state["retrainings"]
    (waiting,) = told.notices()
    assert waiting["approval"] == f"penstock retrain --approve {one['id']} --target kubeflow"
    assert (waiting["retraining"], waiting["report"]) == (one["id"], "https://files/1")
    assert waiting["policy"] == "drift: 2, performance_loss: 0.1, cool_down: 1d, max_per_week: 2, approval: true"
    told.window(state, 2, policy)  # held back by the one that waits, which was told
    decisions.answer(state, "taxi", one["id"], "ada", at(3), approved=True)
    told.window(state, 3, policy)
    one.update(status="running", run="7", link="https://runs/7")
    told.window(state, 4, policy)
    one.update(status="done", seconds=60.0)
    told.window(state, 5, policy, value=0.05)
    assert told.kinds() == ["waiting", "started", "done"]
    assert [(notice["link"], notice["seconds"]) for notice in told.notices()[1:]] == [
        ("https://runs/7", 0.0),
        ("https://runs/7", 60.0),
    ]


def test_one_that_no_server_takes_is_told_once_and_that_it_has_failed(tmp_path: Path) -> None:
    told, state = Told(tmp_path), empty()
    told.window(state, 0)
    state["retrainings"][0]["error"] = "503: later"
    for hour in range(2):
        told.window(state, hour)
    state["retrainings"][0].update(status="failed", error="no such image")
    told.window(state, 0)
    assert [(notice["kind"], notice["error"]) for notice in told.notices()] == [
        ("not_started", "503: later"),
        ("failed", "no such image"),
    ]


def test_what_holds_one_back_is_told_with_its_window(tmp_path: Path) -> None:
    told, state = Told(tmp_path), empty()
    told.window(state, 0)
    state["retrainings"][0]["status"] = "done"
    for hour in (1, 2):
        told.window(state, hour)
    told.window(state, -3)  # before the retraining, which is no reason to tell anybody
    told.window(state, 3, Policy(cool_down="6h", max_per_week=1))
    assert told.kinds() == ["done", "held_back", "held_back"]
    first, second = told.notices()[1:]
    assert [hold["kind"] for hold in first["holds"]] == ["same_data", "cool_down"]
    assert [hold["kind"] for hold in second["holds"]] == ["same_data", "cool_down", "max_per_week"]
    assert (first["report"], first["begin"], first["retraining"]) == ("https://files/1", at(1).isoformat(), "")


def test_what_has_ended_long_ago_is_no_news(tmp_path: Path) -> None:
    """As where channels are configured for a pipeline that was retrained before."""
    state = empty()
    old = decisions.ask(state, "taxi", "new data", NEW, at(0) - timedelta(days=8))
    old["status"] = "done"
    waits = decisions.ask(state, "taxi", "newer data", NEW, at(0) - timedelta(days=8))
    waits["status"] = "waiting"
    told = Told(tmp_path, target="local")
    told.window(state, 0, value=0.05)
    (notice,) = told.notices()
    assert (notice["approval"], notice["policy"]) == (f"penstock retrain --approve {waits['id']}", "")


def test_settings_that_do_not_fit_are_told(tmp_path: Path) -> None:
    audience = Audience(str(tmp_path), '{"chanels": {}}', "taxi", "", POLICY, "local")
    with pytest.raises(ConfigError, match="did you mean 'channels'"):
        audience.tell(empty(), None, at(0))
