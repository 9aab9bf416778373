"""What is known of a window while its pieces are read."""

from pathlib import Path

import pyarrow as pa

from penstock.components.monitoring.measures.reference import Reference
from penstock.components.monitoring.predictions import Predictions
from penstock.components.window_monitor.counting import Baseline, Counted
from penstock.core.cleaning import cleaning as cleaning_
from penstock.core.cleaning import parsing


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


def test_requests_are_compared_as_the_model_sees_them(tmp_path: Path) -> None:
    rules = parsing.rules(
        [
            {"rule": "text", "columns": ["place"], "case": "lower"},
            {"rule": "missing_values", "values": ["?"]},
            {"rule": "range", "columns": ["x"], "min": 0, "otherwise": "flag"},
            {"rule": "missing", "columns": ["x"], "action": "constant", "value": 3},
            {"rule": "reference", "columns": ["place"], "file": "/elsewhere/places.csv"},
        ]
    )
    learned = cleaning_.of(rules, {"place": "text", "x": "float"}).with_learned({4: {"place": ["here"]}})
    learned.write(tmp_path / "cleaning.json")
    cleaning = cleaning_.Cleaning.read(tmp_path / "cleaning.json")
    reference = Reference.of([pa.RecordBatch.from_pydict({"x": [[1.0]]})])
    requests = pa.RecordBatch.from_pydict(
        {
            "place": pa.array([[b"Here"], [b"?"], [b"there"]], pa.list_(pa.binary())),
            "x": pa.array([[-1.0], None, [1.0]], pa.large_list(pa.float32())),
            "x_flagged": pa.nulls(3, pa.large_list(pa.int64())),
        }
    )
    seen = Baseline(reference, None, Predictions(), cleaning).cleaned(requests)
    assert seen.to_pydict() == {
        "place": [[b"here"], None, None],
        "x": [[-1.0], [3.0], [1.0]],
        "x_flagged": [[1], [0], [0]],
    }
    assert Baseline(reference, None, Predictions()).cleaned(requests) is requests
