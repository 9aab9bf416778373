"""Reads the pickles that TFT's analyzer cache holds, and no others: a pickle may name any function to be called."""

import codecs
import contextlib
import io
import pickle
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

from tensorflow_transform import analyzers
from tfx_bsl.cc.tfx_bsl_extension import sketches

# What values are made of: numbers, texts, bytes, tuples, lists, dictionaries, and calls of what `find_class` gives. Not
# among them are extensions, persistent objects, and buffers, whose size a file can claim without having it.
_OPCODES = (
    *(pickle.PROTO, pickle.FRAME, pickle.STOP, pickle.MARK, pickle.POP, pickle.POP_MARK, pickle.MEMOIZE),
    *(pickle.PUT, pickle.BINPUT, pickle.LONG_BINPUT, pickle.GET, pickle.BINGET, pickle.LONG_BINGET),
    *(pickle.NONE, pickle.NEWTRUE, pickle.NEWFALSE, pickle.INT, pickle.LONG, pickle.LONG1, pickle.BININT),
    *(pickle.BININT1, pickle.BININT2, pickle.FLOAT, pickle.BINFLOAT),
    *(pickle.UNICODE, pickle.BINUNICODE, pickle.SHORT_BINUNICODE),
    *(pickle.BINBYTES, pickle.SHORT_BINBYTES, pickle.BINBYTES8),
    *(pickle.EMPTY_TUPLE, pickle.TUPLE, pickle.TUPLE1, pickle.TUPLE2, pickle.TUPLE3),
    *(pickle.EMPTY_LIST, pickle.LIST, pickle.APPEND, pickle.APPENDS),
    *(pickle.EMPTY_DICT, pickle.DICT, pickle.SETITEM, pickle.SETITEMS),
    *(pickle.GLOBAL, pickle.STACK_GLOBAL, pickle.REDUCE, pickle.NEWOBJ, pickle.BUILD),
)


def _encode(text: str, encoding: str) -> bytes:
    """Does what pickles without a type for bytes call: `_codecs.encode`, which could run any codec."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"expected the encoding latin1, found {encoding!r}")
    return codecs.latin_1_encode(text)[0]


_ALLOWED: dict[tuple[str, str], Callable[..., object]] = {
    ("_codecs", "encode"): _encode,
    (sketches.QuantilesSketch.__module__, sketches.QuantilesSketch.__name__): sketches.QuantilesSketch,
}


class _Unpickler(pickle._Unpickler):
    """Python's own in place of C's: that one makes room for as many objects as the file claims to have."""

    dispatch = {opcode[0]: pickle._Unpickler.dispatch[opcode[0]] for opcode in _OPCODES}  # noqa: RUF012

    def find_class(self, module: str, name: str) -> Any:
        allowed = _ALLOWED.get((module, name))
        if allowed is None:
            raise pickle.UnpicklingError(f"expected values of the analyzer cache, found {module}.{name}")
        return allowed


def loads(content: bytes) -> Any:
    """Returns the value of a pickle; a ValueError for one that holds more than values and quantile sketches."""
    try:
        return _Unpickler(io.BytesIO(content)).load()
    except Exception as error:  # a damaged pickle may ask for anything
        raise ValueError(f"this is no pickle of an analyzer cache: {type(error).__name__}: {error}") from None


@contextlib.contextmanager
def in_place_of_pickle() -> Iterator[None]:
    """Has TFT's coder of quantiles read its entries by `loads`."""
    original = analyzers.pickle
    analyzers.pickle = SimpleNamespace(loads=loads, dumps=pickle.dumps)
    try:
        yield
    finally:
        analyzers.pickle = original
