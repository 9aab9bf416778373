"""What gates write: words of any language are read as they are."""

from pathlib import Path

import pytest

from penstock.core.artifacts import ModelValidation
from penstock.core.artifacts.gates import OVERALL, Reason, Verdict, not_met


def test_a_verdict_is_read_in_its_language(tmp_path: Path) -> None:
    city, limit = "城市=北京", "at least 0.8"
    reason = Reason(metric="auc", slice=city, value=0.5, threshold=limit, passed=False, sentence=f"auc, {city}")
    verdict = Verdict(blessed=False, model="m", baseline_model=None, created="2026-11-30T02:50:00", reasons=[reason])
    validation = ModelValidation(tmp_path)
    validation.write(verdict)
    assert city in validation.path.read_text(encoding="utf-8")
    assert validation.read() == verdict
    with pytest.raises(ValueError, match="not JSON compliant"):
        validation.write(verdict | {"reasons": [reason | {"value": float("nan")}]})


def _reason(threshold: str, value: float | None, slice_name: str = "day=1", **more: float) -> Reason:
    reason = Reason(metric="m", slice=slice_name, value=value, threshold=threshold, passed=False, sentence="")
    return reason | more  # type: ignore[return-value]


def test_what_is_missed_by_the_largest_share_comes_first() -> None:
    """By the number, whatever the words: a change of -0.5 is missed by more than an AUC of 0.9."""
    margin = _reason("at most 61,200 to be 10% better than the trivial model's 68,000", 90_000, missed_by=0.47)
    change = _reason("at least -0.01 of the baseline", -0.5, missed_by=49.0)
    unsaid = _reason("at least 0.9", 0.1)  # as of an earlier version
    value, none = _reason("at least 0.9", 0.8, missed_by=0.1), _reason("at least 0.9", None)
    overall = _reason("at least 0.9", 0.89, OVERALL, missed_by=0.01)
    met = _reason("at least 0.9", 0.95) | {"passed": True}
    assert not_met([unsaid, value, met, margin, change, none, overall]) == [
        *(overall, none, change, margin, value, unsaid),
    ]
