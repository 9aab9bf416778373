"""Tensors of the Open Inference Protocol, from lists and from bytes."""

import struct
from typing import Any

import numpy as np
import pytest

from penstock.components.model_server.inference import Kind, RequestError
from penstock.components.model_server.open_inference import datatypes, tensors


@pytest.mark.parametrize("datatype", [name for name in datatypes.NAMES if name != "BYTES"])
def test_numbers_cross_as_bytes(datatype: str) -> None:
    array = np.array([[0, 1], [1, 0], [1, 1]]).astype(datatypes.dtype(datatype))
    received = tensors.from_raw("x", datatype, [3, 2], tensors.to_raw(array))
    assert received.values.dtype == array.dtype
    np.testing.assert_array_equal(received.values, array)


def test_strings_cross_as_bytes() -> None:
    array = np.array([b"", b"abc", "ä".encode(), b"\x00\xff"], object).reshape(2, 2)
    raw = tensors.to_raw(array)
    assert raw == b"\0\0\0\0" + b"\3\0\0\0abc" + b"\2\0\0\0\xc3\xa4" + b"\2\0\0\0\0\xff"
    assert tensors.from_raw("x", "BYTES", [2, 2], raw).values.tolist() == array.tolist()


@pytest.mark.parametrize(
    ("datatype", "shape", "values", "expected"),
    [
        ("FP32", [2, 2], [1, 2.5, 3, 4], [[1.0, 2.5], [3.0, 4.0]]),
        ("FP32", [2, 2], [[1, 2.5], [3, 4]], [[1.0, 2.5], [3.0, 4.0]]),
        ("INT64", [1], [-(2**63)], [-(2**63)]),
        ("UINT64", [1], [2**64 - 1], [2**64 - 1]),
        ("BOOL", [2], [True, False], [True, False]),
        ("BYTES", [2, 1], ["ä", {"b64": "AP8="}], [["ä".encode()], [b"\0\xff"]]),
        ("BYTES", [0], [], []),
        ("FP64", [0, 3], [], []),
    ],
)
def test_values_of_json(datatype: str, shape: list[int], values: list[Any], expected: list[Any]) -> None:
    received = tensors.from_values("x", datatype, shape, values).values
    assert received.dtype == datatypes.dtype(datatype)
    assert list(received.shape) == shape
    assert received.tolist() == expected


@pytest.mark.parametrize(
    ("datatype", "shape", "values", "problem"),
    [
        ("FLOAT", [1], [1.0], r"expected a datatype \(BOOL, .*\), received 'FLOAT'"),
        ("FP32", [3], [1.0, 2.0], r"expected 3 values for the shape \[3\], received 2 values"),
        ("FP32", [-1], [1.0], r"expected a shape of .* whole numbers, received \[-1\]"),
        ("FP32", [True], [1.0], r"received \[True\]"),
        ("FP32", ["2"], [1.0], r"received \['2'\]"),
        ("FP32", [2**62, 2**62], [1.0], "received 1 values"),
        ("FP32", [1] * 40, [1.0], "at most 32 whole numbers"),
        ("FP32", [2], [1.0, "two"], "expected values of FP32, received 'two' at position 1"),
        ("FP32", [1], [True], "expected values of FP32, received True at position 0"),
        ("FP32", [1], [None], "received None"),
        ("FP32", [1], [1e300], "too large"),
        ("FP64", [1], [10**400], "too large"),
        ("INT8", [1], [128], "expected values of INT8, received one that is too large"),
        ("UINT8", [1], [-1], "expected values of UINT8"),
        ("INT32", [1], [1.5], r"expected values of INT32, received 1\.5"),
        ("BOOL", [1], [1], "expected values of BOOL, received 1"),
        ("BYTES", [1], [7], "expected values of BYTES, received 7"),
        ("BYTES", [1], [{"b64": "?"}], "expected base64"),
        ("BYTES", [1], [{"bytes": "AA=="}], "expected a text or"),
        ("FP32", [1], [[[1.0]]], "expected data in 1 dimensions as its shape has them, received deeper lists"),
        ("FP32", [2], [[1.0, [2.0]]], "deeper lists"),
    ],
)
def test_values_that_do_not_fit(datatype: str, shape: list[Any], values: list[Any], problem: str) -> None:
    with pytest.raises(RequestError, match=rf"^input 'x': .*{problem}") as raised:
        tensors.from_values("x", datatype, shape, values)
    assert raised.value.kind is Kind.INVALID


@pytest.mark.parametrize(
    ("datatype", "shape", "raw", "problem"),
    [
        ("FP32", [2], b"1234567", r"expected 8 bytes for FP32 of shape \[2\], received 7 bytes"),
        ("FP32", [2**60, 2**60], b"", "received 0 bytes"),
        ("BYTES", [1], b"\1\0\0", "fewer bytes"),
        ("BYTES", [1], struct.pack("<I", 2**32 - 1) + b"a", "fewer bytes"),
        ("BYTES", [2], struct.pack("<I", 1) + b"a", "expected 2 values"),
    ],
)
def test_bytes_that_do_not_fit(datatype: str, shape: list[int], raw: bytes, problem: str) -> None:
    with pytest.raises(RequestError, match=problem):
        tensors.from_raw("x", datatype, shape, raw)


def test_base64() -> None:
    tensor = tensors.from_values("x", "BYTES", [2], ["AP8=", ""])
    assert tensors.from_base64(tensor).values.tolist() == [b"\0\xff", b""]
