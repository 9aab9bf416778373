"""What is known of a window while its pieces are read."""

import pyarrow as pa

from penstock.components.monitoring.measures.reference import Reference
from penstock.components.monitoring.predictions import Predictions
from penstock.components.window_monitor.counting import Baseline, Counted


def test_rows_are_paired_until_an_answer_is_missing() -> None:
    rows = pa.RecordBatch.from_pydict({"x": [[1.0], [2.0]]})
    reference = Reference.of([rows])
    counted = Counted.empty(Baseline(reference, reference, Predictions()))
    assert counted.predictions is not None
    counted.features.add(rows)
    counted.predictions.add(rows)
    assert counted.is_paired
    counted.features.add(rows)
    assert not counted.is_paired
    assert not Counted.empty(Baseline(reference, None, Predictions())).is_paired
