"""What evidence says of a cause, in words."""

import pytest

from penstock.components.alerter import causes
from penstock.core.artifacts.alerts import Evidence, Finding


def likely(evidence: Evidence) -> str:
    return causes.likely(Finding(feature="x", measure="m", value=1.0, threshold=0.1, sample_size=10, evidence=evidence))


@pytest.mark.parametrize(
    ("evidence", "words"),
    [
        ({"scale": 1.609}, "values are 1.61 times those in training: perhaps kilometres for miles"),
        ({"scale": 0.6214}, "values are 0.621 times those in training: perhaps the reverse of kilometres for miles"),
        (
            {"scale": 60.1},
            "values are 60.1 times those in training: perhaps minutes for hours, or seconds for minutes",
        ),
        ({"scale": 7.0}, "values are 7 times those in training: perhaps another unit or scale"),
        (
            {"scale": 1.8, "offset": 32.0},
            "values are 1.8 times those in training plus 32: degrees Fahrenheit for Celsius",
        ),
        ({"scale": 1.0, "offset": -5.0}, "values are shifted by -5"),
        ({"scale": -1.0}, "values have the other sign"),
        ({"scale": 1.0}, ""),
        (
            {"missing": 1.0, "missing_before": 0.01},
            "the source of the feature is missing: 100% of the rows have no value (1% in training)",
        ),
        (
            {"missing": 0.2, "missing_before": 0.01},
            "values are missing in 20% of the rows (1% in training): a part of the sources may not deliver",
        ),
        ({"missing": 0.011, "missing_before": 0.01}, ""),
        (
            {"new": 0.31, "new_values": ["XX"], "lost_values": ["AA"]},
            "31% of the rows have values that training has not seen, such as 'XX', while 'AA' no longer comes",
        ),
        (
            {"new": 0.5, "new_values": ["a", "b", "c", "d", "e"]},
            "50% of the rows have values that training has not seen, such as 'a', 'b', 'c' and 2 more",
        ),
        ({"lost_values": ["AA"]}, "values of the training data no longer come: 'AA'"),
        ({"out_of_range": 0.05}, "5% of the rows lie beyond the training data's range"),
        ({"partner": "air_time"}, "its dependence on air_time has changed, though both look alike by themselves"),
        ({}, ""),
    ],
)
def test_evidence_in_words(evidence: Evidence, words: str) -> None:
    assert likely(evidence) == words


def test_a_source_that_is_missing_explains_all_else() -> None:
    assert likely({"missing": 1.0, "out_of_range": 0.5, "lost_values": ["AA"]}).startswith("the source of the feature")


def test_a_findings_own_cause_comes_first() -> None:
    finding = Finding(feature="x", measure="m", value=1.0, threshold=0.1, sample_size=10, cause="a strike")
    assert causes.likely(finding | {"evidence": {"scale": 60.0}}) == "a strike"
