"""Predictions as data frames."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import tensorflow as tf

from penstock.components.scoring import frames
from tests.components.scoring import conftest


def test_names_of_columns_may_be_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conftest, "SPEC", {"0": tf.io.FixedLenFeature([1], tf.float32)})

    def outputs(**features: tf.Tensor) -> dict[str, Any]:
        return {"twice": 2 * features["0"]}

    model = conftest.save(tmp_path / "model", outputs)
    frame = pd.DataFrame({0: [1.0, 2.5]}, index=["a", "b"])
    assert frames.predictions(model, frame)["twice"].to_dict() == {"a": 2, "b": 5}
    assert list(frame.columns) == [0]
