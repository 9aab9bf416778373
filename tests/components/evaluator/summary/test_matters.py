"""Which columns matter to functions whose answers are known, and models that cannot be asked."""

import numpy as np
import pyarrow as pa
import pytest
from google.protobuf import text_format
from tensorflow_model_analysis.proto.config_pb2 import EvalConfig

from penstock.components.evaluator.summary import matters
from penstock.components.evaluator.summary.matters import Question, Refused, Rows
from penstock.components.evaluator.summary.scores import Compared
from penstock.components.evaluator.tfma.extracts import ModelFailure
from penstock.core.examples import records

CONFIG = text_format.Parse(
    "model_specs { label_key: 'label' } metrics_specs { metrics { class_name: 'MeanAbsoluteError' } }", EvalConfig()
)
QUESTION = Question("mean_absolute_error", True, None, frozenset(), frozenset(), "")


@pytest.fixture
def rows() -> Rows:
    sizes = np.arange(1.0, 51.0, dtype=np.float32)
    batch = pa.RecordBatch.from_arrays(
        [pa.array([[size] for size in values], pa.list_(pa.float32())) for values in (sizes, sizes[::-1])],
        ["size", "other"],
    )
    return Rows(batch, Compared(sizes[:, None], None))


def column(serialized: list[bytes], name: str) -> np.ndarray:
    return records.decode(serialized).column(name).flatten().to_numpy()


def test_a_column_matters_by_how_much_worse_the_metric_gets(rows: Rows) -> None:
    answer = matters.ask(QUESTION, rows, CONFIG, lambda serialized: column(serialized, "size")[:, None])
    assert answer is not None
    size, other = answer.importance
    assert (size["column"], other["column"]) == ("size", "other")
    assert min(size["worse_by"]) > 10
    assert set(other["worse_by"]) == {0.0}


def test_predictions_that_are_no_numbers_are_no_answer(rows: Rows) -> None:
    def ratio(serialized: list[bytes]) -> np.ndarray:
        size, other = column(serialized, "size"), column(serialized, "other")
        return np.where(size + other == 51, size, np.inf)[:, None]  # no real row has another sum

    with pytest.raises(Refused, match="predicts NaN or infinity for sampled rows"):
        matters.ask(QUESTION, rows, CONFIG, ratio)


def test_a_model_that_fails_is_no_answer_and_another_fault_is_an_error(rows: Rows) -> None:
    def fails(error: Exception) -> None:
        def predict(serialized: list[bytes]) -> np.ndarray:
            raise error

        matters.ask(QUESTION, rows, CONFIG, predict)

    with pytest.raises(Refused, match=r"the model fails on sampled rows.*no such size"):
        fails(ModelFailure("no such size"))
    with pytest.raises(ValueError, match="ours"):
        fails(ValueError("ours"))
