"""Are a server's answers the model's own? Which row and output differ, and both values."""

import contextlib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from penstock.components.infra_validator.client import Answer
from penstock.components.infra_validator.requests import Request
from penstock.core.models import cleaned
from penstock.core.models.failures import cause
from penstock.core.models.loaded import SIGNATURE
from penstock.core.text import printable

# What may lie between two computations of the same: batches of another size, another processor, JSON's digits.
RELATIVE, ABSOLUTE = 1e-3, 1e-5

type Outputs = dict[str, np.ndarray]


class Refused(Exception):
    """The model itself cannot answer a request."""


class Direct:
    """The model itself, called without a server."""

    def __init__(self, folder: Path):
        with contextlib.suppress(RuntimeError):  # TensorFlow has run something already
            tf.config.set_visible_devices([], "GPU")  # as the server, which runs on the processor
        self._model = tf.saved_model.load(str(folder))
        self._cleaner = cleaned.cleaner(folder)

    def predict(self, request: Request) -> Outputs:
        """Returns the outputs of one row; Refused if the model cannot take it."""
        signature = self._model.signatures[request.signature]
        specs = signature.structured_input_signature[1]
        inputs = {
            name: tf.constant(self._cleaned(value, len(specs)), specs[name].dtype)
            for name, value in request.inputs.items()
        }
        try:
            return {name: value.numpy() for name, value in sorted(signature(**inputs).items())}
        except (tf.errors.OpError, TypeError, ValueError) as error:
            reason = cause(error) if isinstance(error, tf.errors.OpError) else str(error)
            raise Refused(f"{_where(request)}: the model refuses it: {reason}") from None

    def _cleaned(self, value: np.ndarray, inputs: int) -> Any:
        """Returns serialized tf.Examples as a server gives them to the model; other values as they are."""
        takes_examples = inputs == 1 and value.dtype == object and value.ndim == 1
        return self._cleaner.clean(value.tolist()) if self._cleaner and takes_examples else value

    def is_steady(self, request: Request, before: Outputs) -> bool:
        """Whether the model answers a request once more as it did before."""
        again = self.predict(request)
        return all(map(_same, *(_flat([values.tolist() for values in each.values()]) for each in (before, again))))


def difference(request: Request, expected: Outputs, answer: Answer) -> str:
    """Says where an answer differs from the model's own; "" if it does not."""
    where = _where(request)
    for name, own in sorted(expected.items()):
        if name not in answer:
            return f"{where}: the server's answer has no output {name!r}: it has {', '.join(sorted(answer)) or 'none'}"
        served = answer[name]
        flat = _flat(served)
        if len(flat) != own.size:
            return f"{where}: output {name!r} has {len(flat)} values from the server and {own.size} from the model"
        for index, (mine, theirs) in enumerate(zip(own.reshape(-1).tolist(), flat, strict=True)):
            if not _same(mine, theirs):
                place = f"{name!r}" + (f"[{index}]" if own.size > 1 else "")
                return f"{where}: output {place} is {_shown(theirs)} from the server and {_shown(mine)} from the model"
    return ""


def _where(request: Request) -> str:
    return f"row {request.row}" + (f" of signature {request.signature}" if request.signature != SIGNATURE else "")


def _same(own: Any, served: Any) -> bool:
    if isinstance(own, bytes):
        return bool(own == served)
    if isinstance(own, float):
        if served is None:  # as JSON has no NaN and no infinity, some servers answer null
            return not math.isfinite(own)
        if isinstance(served, bool) or not isinstance(served, int | float):
            return False
        if math.isnan(own) or math.isnan(served):
            return math.isnan(own) and math.isnan(served)
        return math.isclose(own, served, rel_tol=RELATIVE, abs_tol=ABSOLUTE)
    return bool(own == served)


def _flat(value: Any) -> Sequence[Any]:
    """Returns the values of nested lists, in their order."""
    if not isinstance(value, list):
        return [value]
    return [item for part in value for item in _flat(part)]


def _shown(value: Any) -> str:
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    return f"{value:.6g}" if isinstance(value, float) else printable.value(value)
