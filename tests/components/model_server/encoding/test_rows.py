"""Rows of JSON as tf.Examples: what is encoded, and which feature a mistake is in."""

from typing import Any

import pytest
import tensorflow as tf

from penstock.components.model_server.encoding.rows import RowEncoder
from penstock.components.model_server.inference import Kind, RequestError, ServedFeature

FEATURES = {
    feature.name: feature
    for feature in (
        ServedFeature("miles", tf.float32, True, ()),
        ServedFeature("passengers", tf.int64, False, ()),
        ServedFeature("payment", tf.string, False, None),
        ServedFeature("corner", tf.float32, False, (2, 2)),
    )
}
ENCODER = RowEncoder(FEATURES, known=["tips"])


def encoded(row: dict[str, Any]) -> dict[str, Any]:
    example = tf.train.Example.FromString(ENCODER.encode(row))
    kinds = {name: feature.WhichOneof("kind") for name, feature in example.features.feature.items()}
    return {name: [*getattr(example.features.feature[name], kind).value] for name, kind in kinds.items()}


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"miles": 1.5, "passengers": 2, "payment": "Cash"}, {"miles": [1.5], "passengers": [2], "payment": [b"Cash"]}),
        ({"miles": 1}, {"miles": [1.0]}),
        ({"miles": [1.5], "payment": ["a", "é"]}, {"miles": [1.5], "payment": [b"a", "é".encode()]}),
        ({"miles": 1.5, "payment": {"b64": "/w=="}}, {"miles": [1.5], "payment": [b"\xff"]}),
        ({"miles": 1.5, "passengers": 3.0, "payment": None}, {"miles": [1.5], "passengers": [3]}),
        ({"miles": 1.5, "passengers": True, "payment": []}, {"miles": [1.5], "passengers": [1]}),
        ({"miles": 1.5, "corner": [[1, 2], [3, 4]]}, {"miles": [1.5], "corner": [1, 2, 3, 4]}),
        ({"miles": 1.5, "tips": 3.0}, {"miles": [1.5]}),
    ],
)
def test_rows_are_encoded(row: dict[str, Any], expected: dict[str, Any]) -> None:
    assert encoded(row) == expected


def test_every_missing_feature_is_named() -> None:
    encoder = RowEncoder({name: ServedFeature(name, tf.float32, name != "c", ()) for name in "abcd"})
    with pytest.raises(RequestError) as raised:
        encoder.encode({"a": 1, "b": None})
    assert raised.value.sentence == "features 'b', 'd' are missing"


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ({}, "feature 'miles' is missing"),
        ({"miles": None}, "feature 'miles' is missing"),
        ({"miles": 1, "pasengers": 2}, "unknown feature 'pasengers'; did you mean 'passengers'?"),
        ({"miles": "far"}, "feature 'miles': expected a number, received 'far'"),
        ({"miles": True}, "feature 'miles': expected a number, received True"),
        ({"miles": 1e39}, "feature 'miles': expected a number of 32 bits, received 1e+39"),
        ({"miles": [1, 2]}, "feature 'miles': expected 1 value, received 2"),
        ({"miles": 1, "corner": [1, 2, 3]}, "feature 'corner': expected 4 values, received 3"),
        ({"miles": 1, "passengers": 1.5}, "feature 'passengers': expected a whole number of 64 bits, received 1.5"),
        (
            {"miles": 1, "passengers": 2**63},
            "feature 'passengers': expected a whole number of 64 bits, received 9223372036854775808",
        ),
        ({"miles": 1, "payment": 3}, "feature 'payment': expected a text, or {\"b64\": …}, received 3"),
        ({"miles": 1, "payment": {"b64": "?"}}, "feature 'payment': expected base64, received '?'"),
        ({"miles": 1, "payment": ["a", {}]}, "feature 'payment': expected a text, or {\"b64\": …}, received {}"),
    ],
)
def test_a_mistake_names_the_feature(row: dict[str, Any], sentence: str) -> None:
    with pytest.raises(RequestError) as raised:
        ENCODER.encode(row)
    assert (raised.value.kind, raised.value.sentence) == (Kind.INVALID, sentence)
