"""Values of JSON as columns: any mixture of them is one, and each value keeps its row."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tensorflow_metadata.proto.v0 import schema_pb2

from penstock.components.monitoring.windows import columns
from penstock.components.monitoring.windows.columns import TYPES
from penstock.components.monitoring.windows.payloads import cells

FLOAT, INT, BYTES = (TYPES[kind] for kind in (schema_pb2.FLOAT, schema_pb2.INT, schema_pb2.BYTES))


@pytest.mark.parametrize(
    ("values", "kind", "expected", "unfit"),
    [
        ([1, 2.5, None], FLOAT, [[1.0], [2.5], None], 0),
        ([True, 3, 4.0], INT, [[1], [3], [4]], 0),
        (["1.5", "x", 2], FLOAT, [[1.5], None, [2.0]], 1),
        (["a", 7, {"b64": "/w=="}, {"b64": "?"}], BYTES, [[b"a"], [b"7"], [b"\xff"], [b"?"]], 0),
        ([[1, [2, None]], [], None, 3], INT, [[1, 2], None, None, [3]], 0),
        ([1 << 70, 1], FLOAT, [[float(1 << 70)], [1.0]], 0),
        ([1 << 70, 1], INT, [None, [1]], 1),
        (
            [12345678901234567890, 12345678901234567891],
            BYTES,
            [[b"12345678901234567890"], [b"12345678901234567891"]],
            0,
        ),
        ([9007199254740993, 0.5], BYTES, [[b"9007199254740993"], [b"0.5"]], 0),
        (["\ud800", "a"], BYTES, [[b"?"], [b"a"]], 0),
        ([{"a": 1}, "b"], BYTES, [[b'{"a": 1}'], [b"b"]], 0),
        ([{"a": 1}, {"a": 2}], FLOAT, [None, None], 2),
        ([b"\xff", b"a"], BYTES, [[b"\xff"], [b"a"]], 0),
        ([None, None], FLOAT, [None, None], 0),
    ],
)
def test_any_values_are_a_column(values: list[Any], kind: Any, expected: list[Any], unfit: int) -> None:
    lists = columns.to_lists(cells.column(values), kind)
    assert (lists.column.to_pylist(), lists.unfit) == (expected, unfit)


def test_a_float32_has_its_shortest_text() -> None:
    values = np.array([0.1, 3, 16777216, 1e20, np.inf], np.float32)
    lists = columns.to_lists(pa.array(values), BYTES)
    assert lists.column.to_pylist() == [[b"0.1"], [b"3"], [b"16777216"], [b"1e+20"], [b"inf"]]


@pytest.mark.parametrize("kind", [FLOAT, INT, BYTES], ids=["float", "int", "text"])
@pytest.mark.parametrize("value", [True, 3, 3.0, 1.5, -2, float("inf"), 1 << 70, 12345678901234567890, 1e300, "4", "x"])
def test_what_a_value_is_does_not_depend_on_those_beside_it(value: Any, kind: Any) -> None:
    alone = columns.to_lists(cells.column([value]), kind).column.to_pylist()[0]
    for other in (False, 7, 0.5, "y", "8", [1, "z"], {"a": 1}, None):
        assert columns.to_lists(cells.column([value, other]), kind).column.to_pylist()[0] == alone, other
