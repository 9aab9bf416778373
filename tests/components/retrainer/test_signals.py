"""What speaks for a retraining: drift by importance times shift, a model that has become worse, age, new data."""

import pytest

from penstock.components.retrainer import signals
from penstock.components.retrainer.new_data import Data
from penstock.components.retrainer.policy import Policy
from penstock.core.artifacts.gates import OVERALL
from penstock.core.artifacts.monitoring import RealisedMetric, WindowRecord
from tests.components.retrainer.conftest import at, estimated, finding, window


def test_drift_is_importance_times_shift_over_the_features_that_alert() -> None:
    seen = window(
        0,
        finding("miles", 0.3, importance=0.5),  # 3 thresholds
        finding("miles", 0.2, importance=0.5),  # the same feature counts once
        finding("company", 0.2),  # 2 thresholds
        finding("unused", 0.9, importance=None),  # the model does not depend on it
        finding("fare", 0.09),  # does not alert
        finding("prediction", 0.9, subject="prediction"),
    )
    (drift,) = signals.of_window(seen, Policy(drift=3.4))
    assert (drift["kind"], drift["name"], drift["limit"]) == ("drift", "company", 3.4)
    assert abs((drift["value"] or 0.0) - 3.5) < 1e-9
    assert drift["sentence"] == (
        "drift of 3.5 (at most 3.4): company is 2 times its threshold away (importance 100%), miles is 3 times its "
        "threshold away (importance 50%)"
    )
    assert not list(signals.of_window(seen, Policy(drift=3.6)))
    assert not list(signals.of_window(seen, Policy(drift=None)))


def test_where_nobody_knows_what_matters_all_does() -> None:
    seen = window(0, finding("company", 0.25, importance=None), finding("miles", 0.1, importance=None))
    (drift,) = signals.of_window(seen, Policy())
    assert drift["sentence"].endswith("company is 2.5 times its threshold away (importance 100%)")


def test_a_threshold_of_zero_is_far_away_and_no_more() -> None:
    (drift,) = signals.of_window(window(0, finding("new", 0.5, threshold=0.0)), Policy())
    assert drift["value"] == 100.0


def test_performance_is_on_the_bad_side_with_all_of_its_interval() -> None:
    seen = window(
        0,
        performance=[
            estimated("accuracy", 0.70, 0.66, 0.74, evaluation=0.9),  # worse than 0.81
            estimated("auc", 0.80, 0.75, 0.85, evaluation=0.9),  # it may be better than 0.81
            estimated("mean_absolute_error", 0.5, 0.45, 0.55, evaluation=0.4),  # worse than 0.44
        ],
    )
    found = list(signals.of_window(seen, Policy()))
    assert [(one["kind"], one["name"]) for one in found] == [
        ("performance", "accuracy"),
        ("performance", "mean_absolute_error"),
    ]
    assert found[0]["sentence"] == ("accuracy is most likely 0.7 (0.66 to 0.74; at least 0.81), in the evaluation 0.9")
    limited = Policy(performance_loss=None, performance_limits={"auc": 0.9})
    assert [one["name"] for one in signals.of_window(seen, limited)] == ["auc"]


def realised(metric: str, value: float, slice_: str = OVERALL, half: float | None = 0.02) -> RealisedMetric:
    low, high = (None, None) if half is None else (value - half, value + half)
    return RealisedMetric(metric=metric, slice=slice_, value=value, low=low, high=high, evaluation=0.9, rows=500)


def test_labels_that_have_come_count_more_than_an_estimate() -> None:
    seen = window(0, performance=[estimated("accuracy", 0.5, 0.4, 0.6, evaluation=0.9)])
    assert list(signals.of_window(seen, Policy()))
    good = {**seen, "realised": [realised("accuracy", 0.9), realised("accuracy", 0.1, "company=blue")]}
    assert not list(signals.of_window(good, Policy()))
    bad = {**seen, "realised": [realised("accuracy", 0.7), realised("auc", 0.6, half=None)]}
    assert [one["sentence"] for one in signals.of_window(bad, Policy())] == [
        "accuracy is 0.7 (0.68 to 0.72; at least 0.81), in the evaluation 0.9",
    ]


def test_performance_that_alerts_is_a_signal() -> None:
    seen = window(0, *(finding(metric, 0.3, subject="performance") for metric in ("accuracy", "auc")))
    found = list(signals.of_window(seen, Policy(drift=None, performance_loss=None)))
    assert [(one["kind"], one["name"], one["sentence"]) for one in found] == [
        ("performance", "accuracy", "accuracy has moved."),
        ("performance", "auc", "auc has moved."),
    ]


def test_a_limit_needs_no_evaluation_and_a_metric_of_its_name(caplog: pytest.LogCaptureFixture) -> None:
    bad: RealisedMetric = {**realised("auc", 0.6), "evaluation": None}
    seen: WindowRecord = {**window(0), "realised": [bad]}
    (one,) = signals.of_window(seen, Policy(performance_limits={"auc": 0.8, "acu": 0.8}))
    assert one["sentence"] == "auc is 0.6 (0.58 to 0.62; at least 0.8)"
    assert [record.getMessage() for record in caplog.records] == [
        "performance_limits: the window has no metric 'acu'; it has auc"
    ]
    caplog.clear()
    assert not list(signals.of_window(window(0), Policy(performance_limits={"auc": 0.8})))  # no labels yet
    assert not caplog.records


def test_a_model_gets_too_old() -> None:
    assert not list(signals.of_age(at(0), at(24), Policy(max_age="1d")))
    assert not list(signals.of_age(at(0), at(1000), Policy()))
    (old,) = signals.of_age(at(0), at(36), Policy(max_age="1d"))
    assert old["sentence"] == "the model is 1 day 12 h old (at most 1d)"


def test_new_data_is_enough_from_its_limit_on() -> None:
    data = Data("new", newer_spans=2, newer_rows=12_000)
    assert [one["kind"] for one in signals.of_data(data, Policy(new_spans=2, new_rows=12_000))] == [
        "new_spans",
        "new_rows",
    ]
    assert not list(signals.of_data(data, Policy(new_spans=3, new_rows=12_001)))
    assert not list(signals.of_data(data, Policy()))
    assert not list(signals.of_data(Data("new"), Policy(new_spans=1, new_rows=1)))  # nobody knows what is new
