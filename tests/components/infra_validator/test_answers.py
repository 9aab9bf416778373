"""Which row and output differs between a server's answer and the model's own, and both values."""

from typing import Any

import numpy as np
import pytest

from penstock.components.infra_validator import answers
from penstock.components.infra_validator.requests import Request

REQUEST = Request("serving_default", 3, {})


@pytest.mark.parametrize(
    ("own", "served"),
    [
        (np.array([0.25], np.float32), 0.25),
        (np.array([0.1], np.float32), 0.1),  # 0.1 as float32 is another number than JSON's
        (np.array([1000.0]), 1000.9),  # a thousandth: another processor, or other rows in the batch
        (np.array([[1.0, 2.0]]), [1.0, 2.0]),
        (np.array([np.nan, np.inf])[None], [None, None]),  # JSON has neither
        (np.array([np.nan]), float("nan")),
        (np.array([7], np.int64), 7),
        (np.array([True]), True),
        (np.array([b"a\xff"], object), b"a\xff"),
        (np.zeros([1, 0]), []),
    ],
)
def test_the_same_answer(own: np.ndarray, served: Any) -> None:
    assert answers.difference(REQUEST, {"y": own}, {"y": served, "more": 1}) == ""


@pytest.mark.parametrize(
    ("own", "served", "sentence"),
    [
        (np.array([0.25]), 0.31, "row 3: output 'y' is 0.31 from the server and 0.25 from the model"),
        (np.array([[1.0, 2.0]]), [1.0, 5.0], "row 3: output 'y'[1] is 5 from the server and 2 from the model"),
        (np.array([[1.0, 2.0]]), [1.0], "row 3: output 'y' has 1 values from the server and 2 from the model"),
        (np.array([1.0]), None, "row 3: output 'y' is None from the server and 1 from the model"),
        (np.array([1.0]), True, "row 3: output 'y' is True from the server and 1 from the model"),
        (np.array([np.nan]), 1.0, "row 3: output 'y' is 1 from the server and nan from the model"),
        (np.array([7], np.int64), 8, "row 3: output 'y' is 8 from the server and 7 from the model"),
        (np.array([b"cat"], object), b"dog", "row 3: output 'y' is 'dog' from the server and 'cat' from the model"),
    ],
)
def test_another_answer(own: np.ndarray, served: Any, sentence: str) -> None:
    assert answers.difference(REQUEST, {"y": own}, {"y": served}) == sentence


def test_an_output_that_is_not_there() -> None:
    request = Request("tune", 1, {})
    said = answers.difference(request, {"y": np.array([1.0])}, {"z": 1.0})
    assert said == "row 1 of signature tune: the server's answer has no output 'y': it has z"
