"""What gates write: words of any language are read as they are."""

from pathlib import Path

import pytest

from penstock.core.artifacts import ModelValidation
from penstock.core.artifacts.gates import Reason, Verdict


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
