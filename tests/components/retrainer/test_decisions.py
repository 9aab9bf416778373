"""Whether a model is trained anew: what holds it back, once for a window, and what a person says."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from penstock.components.retrainer import decisions
from penstock.components.retrainer import state as states
from penstock.components.retrainer.new_data import Data
from penstock.components.retrainer.policy import Policy
from penstock.components.retrainer.state import State, empty
from penstock.core.artifacts.retraining import RetrainingDecision, Status
from penstock.core.errors import UserError
from tests.components.retrainer.conftest import NEW, OLD, at, estimated, observed, window

POLICY = Policy(cool_down="6h", max_per_week=3)


def decide(state: State, hour: int, policy: Policy = POLICY, **options: Any) -> RetrainingDecision:
    """Decides on the window of an hour, five minutes after it."""
    return decisions.decide(state, observed(hour, **options), policy, at(hour + 1.1))


def end(state: State, status: Status = "done", hours: float = 0.5) -> None:
    """Has the newest retraining end."""
    state["retrainings"][-1].update({"status": status, "seconds": 3600 * hours})


def held(decision: RetrainingDecision) -> list[str]:
    assert decision["outcome"] == "held_back"
    return [hold["kind"] for hold in decision["holds"]]


def test_a_window_leads_to_one_retraining_however_often_it_is_decided_on() -> None:
    state = empty()
    first = decide(state, 0)
    assert (first["outcome"], first["holds"]) == ("retrains", [])
    made = first["retraining"]
    assert made
    assert made["id"].startswith("taxi-retrain-20260601-010000-")
    assert (made["status"], made["fingerprint"], made["spans"]) == ("due", "new", "7")
    assert decide(state, 0)["retraining"] == made
    end(state)
    assert decide(state, 0)["outcome"] == "retrains"
    assert len(state["retrainings"]) == 1


def test_without_a_signal_there_is_none() -> None:
    state = empty()
    decision = decide(state, 0, value=0.05)
    assert (decision["outcome"], decision["signals"], state["retrainings"]) == ("not_needed", [], [])


def test_nothing_new_can_be_learnt_from_the_same_data() -> None:
    state = empty()
    assert held(decide(state, 0, data=OLD)) == ["same_data"]
    decide(state, 1)
    end(state)
    assert held(decide(state, 20)) == ["same_data"]
    assert decide(state, 40, data=Data("newer"))["outcome"] == "retrains"


def test_what_failed_is_tried_again_with_the_same_data() -> None:
    state = empty()
    decide(state, 0)
    end(state, "failed")
    assert decide(state, 20)["outcome"] == "retrains"


def test_one_at_a_time_and_a_cool_down_after_it() -> None:
    state = empty()
    decide(state, 0)
    assert held(decide(state, 1, data=Data("newer"))) == ["under_way", "cool_down"]
    end(state)
    decision = decide(state, 5, data=Data("newer"))
    assert held(decision) == ["cool_down"]
    assert decision["holds"][0]["sentence"].endswith("less than 6h ago: not before 1 June 2026, 07:06 (UTC)")
    assert decide(state, 7, data=Data("newer"))["outcome"] == "retrains"


def test_a_window_of_before_the_last_retraining_is_old() -> None:
    state = empty()
    decide(state, 10)
    end(state)
    late = observed(0, data=Data("newer"))
    assert held(decisions.decide(state, late, POLICY, at(100))) == ["older_window"]


def test_a_baseline_that_its_model_has_outlived_tells_nothing() -> None:
    """On a server the monitoring pipeline is told its baseline, and nobody may have named the new one yet."""
    state = empty()
    decide(state, 0)
    end(state)
    later = observed(20, data=Data("newer"))
    later.window["versions"] = [3, int(at(5).timestamp())]
    assert held(decisions.decide(state, later, POLICY, at(22))) == ["old_baseline"]
    later.window["versions"] = [3]  # the new model was not blessed
    assert decisions.decide(state, later, POLICY, at(22))["outcome"] == "retrains"


@pytest.mark.parametrize("next_", ["failed", "a person's"])
def test_a_baseline_is_outlived_whatever_came_after(next_: str) -> None:
    state = empty()
    decide(state, 0)
    if next_ == "failed":
        end(state)
        decide(state, 20, data=Data("newer"))
        end(state, "failed")
    else:
        end(state, "failed")
        decisions.ask(state, "taxi", "a new column", NEW, at(4))
        end(state)
    later = observed(60, data=Data("newest"))
    later.window["versions"] = [3, int(at(5).timestamp())]
    assert held(decisions.decide(state, later, POLICY, at(62))) == ["old_baseline"]
    named = observed(60, data=Data("newest"))
    renamed = replace(named, baseline="new", window={**later.window, "baseline": "new"})
    assert decisions.decide(state, renamed, POLICY, at(62))["outcome"] == "retrains"


def test_labels_that_come_late_tell_of_the_windows_since_the_last_retraining() -> None:
    state = empty()
    decide(state, 0)
    end(state)
    bad = [estimated("accuracy", 0.5, 0.4, 0.6, evaluation=0.9)]
    again = [window(hour, performance=bad) for hour in (-5, 20, 21)]
    late = observed(30, value=0.05, data=Data("newer"), again=again)
    decision = decisions.decide(state, late, POLICY, at(32))
    assert [signal["sentence"][:45] for signal in decision["signals"]] == [
        "in the window to 1 June 2026, 22:00 (UTC): ac"
    ]
    assert decision["outcome"] == "retrains"
    old = observed(40, value=0.05, data=Data("newest"), again=again[:1])
    assert decisions.decide(state, old, POLICY, at(42))["signals"] == []


def test_at_most_so_many_a_week() -> None:
    state, policy = empty(), Policy(cool_down="1h", max_per_week=2)
    for hour in (0, 24):
        assert decide(state, hour, policy, data=Data(f"of {hour}"))["outcome"] == "retrains"
        end(state)
    assert held(decide(state, 48, policy, data=Data("newer"))) == ["max_per_week"]
    assert decide(state, 7 * 24 + 2, policy, data=Data("newer"))["outcome"] == "retrains"


def test_the_budget_is_the_hours_of_thirty_days() -> None:
    state, policy = empty(), Policy(cool_down="1h", max_per_week=None, budget_hours=5.0)
    for hour in (0, 24):
        assert decide(state, hour, policy, data=Data(f"of {hour}"))["outcome"] == "retrains"
        end(state, hours=2.5)
    decision = decide(state, 48, policy, data=Data("newer"))
    assert held(decision) == ["budget"]
    assert decision["holds"][0]["sentence"] == "5 h of training in the last thirty days (at most 5 h)"
    assert decide(state, 30 * 24 + 2, policy, data=Data("newer"))["outcome"] == "retrains"


def test_a_person_is_asked_once() -> None:
    state, policy = empty(), Policy(cool_down="6h", approval=True)
    first = decide(state, 0, policy)
    assert first["outcome"] == "waiting"
    assert first["retraining"]
    later = decide(state, 1, policy, data=Data("newer"))
    assert (later["outcome"], later["retraining"]) == ("waiting", first["retraining"])
    name = first["retraining"]["id"]
    approved = decisions.answer(state, "taxi", name, "ada", at(3), approved=True)
    assert (approved["status"], approved["answered"]) == ("due", f"approved by ada, {at(3).isoformat()}")
    assert decisions.answer(state, "taxi", name, "eve", at(3), approved=True) == approved  # once more, after a kill
    assert approved["answered"].startswith("approved by ada")
    rejected = decisions.answer(state, "taxi", name, "ada", at(4), approved=False)  # which no server takes
    assert rejected["status"] == "rejected"
    with pytest.raises(UserError, match="expected a retraining that waits for approval or is due; it is rejected"):
        decisions.answer(state, "taxi", name, "ada", at(4), approved=False)


def test_what_is_approved_late_counts_from_then_on() -> None:
    state, policy = empty(), Policy(cool_down="6h", max_per_week=1, budget_hours=1.0, approval=True)
    name = decide(state, 0, policy)["retraining"]["id"]  # type: ignore[index]
    decisions.answer(state, "taxi", name, "ada", at(8 * 24), approved=True)
    end(state, hours=1)
    late = decide(state, 8 * 24 + 2, policy, data=Data("newer"))
    assert held(late) == ["cool_down", "max_per_week", "budget"]
    bad = [estimated("accuracy", 0.5, 0.4, 0.6, evaluation=0.9)]
    again = observed(7 * 24, data=Data("newer"), again=[window(7 * 24, performance=bad)])  # of before the answer
    again.window["versions"] = [int(at(7 * 24).timestamp())]
    decision = decisions.decide(state, again, policy, at(8 * 24 + 10))
    assert held(decision) == ["older_window", "max_per_week", "budget"]
    assert [signal["kind"] for signal in decision["signals"]] == ["drift"]
    month = decide(state, 33 * 24, policy, data=Data("newer"))  # 25 days after the answer
    assert held(month) == ["budget"]


def test_what_was_rejected_is_not_asked_again_for_a_while() -> None:
    state, policy = empty(), Policy(cool_down="6h", approval=True)
    waiting = decide(state, 0, policy)["retraining"]
    assert waiting
    decisions.answer(state, "taxi", waiting["id"], "ada", at(5), approved=False)
    assert decide(state, 0, policy)["outcome"] == "held_back"
    assert held(decide(state, 9, policy)) == ["rejected"]
    assert decide(state, 11, policy)["outcome"] == "waiting"


def test_a_person_asks_whatever_the_policy_says() -> None:
    state = empty()
    due = decide(state, 0)["retraining"]
    assert decisions.ask(state, "taxi", "me, too", NEW, at(1)) is due  # which no server has taken yet
    assert due["signals"][-1]["sentence"] == "me, too"
    end(state, "running")
    with pytest.raises(UserError, match="is under way already"):
        decisions.ask(state, "taxi", "a new column", NEW, at(1))
    end(state)
    made = decisions.ask(state, "taxi", "a new column", OLD, at(1.5))
    assert (made["status"], made["signals"][0]["sentence"]) == ("due", "a new column")
    assert decisions.ask(state, "other", "why not", OLD, at(1.5))["pipeline"] == "other"  # of the same folder


def test_what_does_not_wait_is_named() -> None:
    with pytest.raises(UserError, match="nope: no such retraining; none waits"):
        decisions.answer(empty(), "taxi", "nope", "ada", at(0), approved=True)


def test_the_age_is_that_of_the_version_or_of_the_first_look() -> None:
    state, policy = empty(), Policy(drift=None, max_age="2d")
    assert decide(state, 0, policy)["outcome"] == "not_needed"
    assert decide(state, 47, policy)["outcome"] == "not_needed"
    assert decide(state, 49, policy)["signals"][0]["kind"] == "age"
    young = observed(49)
    young.window["versions"] = [int(at(48).timestamp())]
    assert decisions.decide(empty(), young, policy, at(50))["outcome"] == "not_needed"
    assert datetime.fromisoformat(state["since"]["baseline"]).tzinfo == UTC
    end(state)
    assert decide(state, 90, policy)["signals"] == []  # a younger model, although the baseline is not renamed
    assert decide(state, 98, policy)["signals"][0]["kind"] == "age"


def test_what_is_kept_never_forgets_one_that_has_not_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(states, "KEPT", 3)
    state = empty()
    waiting = decide(state, 0, Policy(approval=True))["retraining"]
    for number in range(4):
        decisions.ask(state, "other", f"{number}", OLD, at(number))
        end(state)
        seen = replace(observed(number, value=0.0), baseline=f"baseline {number}")
        decisions.decide(state, seen, POLICY, at(number + 2))
    assert state["retrainings"][0] is waiting
    assert [one["signals"][0]["sentence"] for one in state["retrainings"][1:]] == ["2", "3"]
    assert list(state["since"]) == [f"baseline {number}" for number in (1, 2, 3)]
