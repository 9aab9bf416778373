"""A version of a model that is loaded: it checks the inputs of requests, and has them computed."""

import asyncio
import concurrent.futures
from collections.abc import Mapping
from types import TracebackType

import numpy as np
import tensorflow as tf

from penstock.components.model_server.batching import Arrays, Batcher, Call, Shapes
from penstock.components.model_server.inference import (
    DEFAULT_SIGNATURE,
    Kind,
    Prediction,
    RequestError,
    ServedSignature,
)
from penstock.components.model_server.models.loading import LoadedModel
from penstock.components.model_server.operation import calls
from penstock.components.model_server.operation.metrics import Metrics
from penstock.components.model_server.settings import ServerSettings
from penstock.core.models.failures import cause
from penstock.core.suggestions import did_you_mean, listed

_OF_THE_INPUTS = (tf.errors.InvalidArgumentError, tf.errors.OutOfRangeError)


class ServedVersion:
    """A Servable, and the context of its own leases; used on the event loop alone."""

    def __init__(
        self,
        model: str,
        version: int,
        loaded: LoadedModel,
        settings: ServerSettings,
        executor: concurrent.futures.Executor,
        metrics: Metrics,
    ):
        self.model = model
        self.version = version
        self.signatures = loaded.signatures
        self._loaded = loaded
        self._timeout = settings.timeout
        self._leases = 0
        self._drained = asyncio.Event()
        computed = metrics.batches(model, version)
        self._entrances = {
            name: _Entrance(signature, Batcher(_explained(loaded.calls[name]), settings.batching, executor, computed))
            for name, signature in loaded.signatures.items()
        }

    def __enter__(self) -> "ServedVersion":
        calls.leased(self.model, self.version)
        self._leases += 1
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._leases -= 1
        if not self._leases:
            self._drained.set()

    @property
    def waiting(self) -> int:
        """How many requests wait to be computed."""
        return sum(entrance.batcher.waiting for entrance in self._entrances.values())

    def signature(self, name: str = "") -> ServedSignature:
        signature = self.signatures.get(name or DEFAULT_SIGNATURE)
        if signature is None and not name and len(self.signatures) == 1:
            (signature,) = self.signatures.values()
        if signature is None:
            names = sorted(self.signatures)
            advice = did_you_mean(name, names) if name else f"it has {listed(names)}"
            raise RequestError(
                Kind.INVALID, f"model {self.model!r} has no signature {name or DEFAULT_SIGNATURE!r}; {advice}"
            )
        return signature

    async def predict(
        self, signature: ServedSignature, inputs: Mapping[str, np.ndarray], timeout: float | None = None
    ) -> Prediction:
        entrance = self._entrances[signature.name]
        arrays, rows, shapes = entrance.checked(inputs)
        due = self._timeout if timeout is None else min(timeout, self._timeout)
        answer = await entrance.batcher.compute(arrays, rows, shapes, due)
        outputs = dict(zip(signature.outputs, answer.outputs, strict=True))
        prediction = Prediction(outputs, answer.batch, answer.queued, answer.computed)
        calls.predicted(signature.name, inputs, prediction)
        return prediction

    async def close(self) -> None:
        """Waits for the leases to end, and gives the memory back."""
        while self._leases:
            self._drained.clear()
            await self._drained.wait()
        await asyncio.get_running_loop().run_in_executor(None, self._loaded.close)


class _Entrance:
    """What the inputs of a signature have to be, and the batcher that takes them."""

    def __init__(self, signature: ServedSignature, batcher: Batcher):
        self.batcher = batcher
        self._inputs = [
            (name, np.dtype(tensor.dtype.as_numpy_dtype), tensor.shape) for name, tensor in signature.inputs.items()
        ]
        tensors = (*signature.inputs.values(), *signature.outputs.values())
        self._has_rows = bool(self._inputs) and all(
            tensor.shape is None or (tensor.shape and tensor.shape[0] is None) for tensor in tensors
        )

    def checked(self, inputs: Mapping[str, np.ndarray]) -> tuple[Arrays, int, Shapes | None]:
        """Returns the inputs in the signature's order, the number of their rows, and their shapes without it.

        There are no shapes if the signature has no rows that could be computed together with others.
        """
        if inputs.keys() != {name for name, _, _ in self._inputs}:
            self._complain_of_names(inputs)
        arrays = [_fitting(name, inputs[name], dtype, shape) for name, dtype, shape in self._inputs]
        if not self._has_rows or not all(array.ndim for array in arrays):
            return arrays, 1, None
        rows = {array.shape[0] for array in arrays}
        if len(rows) > 1:
            sizes = ", ".join(f"{name} {len(array)}" for (name, _, _), array in zip(self._inputs, arrays, strict=True))
            raise RequestError(Kind.INVALID, f"expected inputs with the same number of rows, received {sizes}")
        return arrays, rows.pop(), tuple(array.shape[1:] for array in arrays)

    def _complain_of_names(self, inputs: Mapping[str, np.ndarray]) -> None:
        names = [name for name, _, _ in self._inputs]
        for name in names:
            if name not in inputs:
                raise RequestError(Kind.INVALID, f"input {name!r} is missing: expected {listed(names)}")
        unknown = next(name for name in inputs if name not in names)
        raise RequestError(Kind.INVALID, f"unknown input {unknown!r}; {did_you_mean(unknown, names)}")


def _fitting(name: str, array: np.ndarray, dtype: np.dtype, shape: tuple[int | None, ...] | None) -> np.ndarray:
    """Returns an input as it is, if its type and shape are the signature's."""
    if array.dtype != dtype:
        if dtype.kind != "O" or array.dtype.kind != "S":
            raise RequestError(
                Kind.INVALID, f"input {name!r}: expected {_type(dtype)} values, received {_type(array.dtype)}"
            )
        array = array.astype(object)
    if shape is not None and (
        array.ndim != len(shape)
        or any(size is not None and size != actual for size, actual in zip(shape, array.shape, strict=True))
    ):
        expected = [-1 if size is None else size for size in shape]
        raise RequestError(
            Kind.INVALID,
            f"input {name!r}: expected the shape {expected} (-1: any size), received {list(array.shape)}",
        )
    return array


def _type(dtype: np.dtype) -> str:
    return "string" if dtype.kind == "O" else dtype.name


def _explained(call: Call) -> Call:
    """Returns a call whose errors are RequestErrors."""

    def explained(inputs: Arrays) -> Arrays:
        try:
            return call(inputs)
        except _OF_THE_INPUTS as error:
            raise RequestError(Kind.INVALID, f"the model refuses the inputs: {cause(error)}") from None
        except UnicodeDecodeError as error:  # what TensorFlow says of an example that is none quotes its bytes
            text = error.object.decode(errors="replace")
            raise RequestError(Kind.INVALID, f"the model refuses the inputs: {text}") from None
        except tf.errors.OpError as error:
            raise RequestError(Kind.INTERNAL, f"the model failed: {cause(error)}") from None
        except (MemoryError, ValueError, TypeError) as error:
            raise RequestError(Kind.INTERNAL, f"the model failed: {type(error).__name__}: {error}") from None

    return explained
