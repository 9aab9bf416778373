"""Findings of a window, as the page, the command line and the metadata count and name them."""

from penstock.core.artifacts.monitoring import Finding, Subject, first_of_each, moved, titled


def finding(subject: Subject, name: str, measure: str, alerts: bool) -> Finding:
    return {
        "subject": subject, "name": name, "measure": measure, "value": 0.5, "threshold": 0.1, "alerts": alerts,
        "rows": 9, "sentence": "", "cause": "", "figure": "",
    }  # fmt: skip


def test_a_feature_and_a_prediction_of_one_name_move_apart() -> None:
    feature, again, output, quiet = (
        finding("feature", "fare", "missing", True),
        finding("feature", "fare", "l_infinity", True),
        finding("prediction", "fare", "missing", True),
        finding("feature", "miles", "missing", False),
    )
    assert moved([feature, again, output, quiet]) == [feature, output]
    assert first_of_each([quiet, again, feature]) == [quiet, again]


def test_a_models_output_is_called_a_prediction_once() -> None:
    assert titled("feature", "fare") == "fare"
    assert titled("prediction", "fare", "far…") == "prediction: far…"
    assert titled("prediction", "prediction") == "prediction"
