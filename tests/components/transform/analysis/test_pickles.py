"""What may be unpickled of an analyzer cache: TFT's own values, and nothing that runs code or claims too much."""

import os
import pickle
from typing import Any

import pytest
from tfx_bsl.cc.tfx_bsl_extension import sketches

from penstock.components.transform.analysis import pickles


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("value", [{b"\xff\x00key": 0, b"other": 1}, {"dataset_size": 2**40}, [1.5, None, "ü", (1, 2)]])
def test_values_are_read(value: object, protocol: int) -> None:
    assert pickles.loads(pickle.dumps(value, protocol)) == value


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_quantiles_are_read(protocol: int) -> None:
    sketch = sketches.QuantilesSketch(0.01, 1000, 1)
    assert isinstance(pickles.loads(pickle.dumps(sketch, protocol)), sketches.QuantilesSketch)


class Call:
    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return self.call


@pytest.mark.parametrize(
    "content",
    [
        *(pickle.dumps(Call(os.system, "true"), protocol) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)),
        pickle.dumps(Call(eval, "1")),
        pickle.dumps(Call(__import__, "os")),
        b"c_codecs\nencode\n(Vx\nVzip\ntR.",
        b"",
        b"no pickle",
        pickle.dumps({b"a": 1})[:-4],
        pickle.PROTO + b"\x05" + pickle.BYTEARRAY8 + (2**62).to_bytes(8, "little") + b".",
        pickle.PROTO + b"\x04" + pickle.BINBYTES8 + (2**62).to_bytes(8, "little") + b".",
        pickle.PERSID + b"a\n.",
        pickle.EXT1 + b"\x01.",
    ],
)
def test_nothing_else_is(content: bytes) -> None:
    with pytest.raises(ValueError, match="this is no pickle of an analyzer cache: "):
        pickles.loads(content)


def test_an_index_of_a_large_number_takes_no_memory() -> None:
    content = pickle.NONE + pickle.LONG_BINPUT + (2**32 - 1).to_bytes(4, "little") + pickle.STOP
    assert pickles.loads(content) is None
