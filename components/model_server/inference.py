"""What protocols ask for, and what answers them: the contract between http/, grpc/ and the models.

A protocol reads its request as far as the `Target`, leases a version, and asks it:

    with models.lease(Target("taxi", label="stable")) as servable:
        signature = servable.signature(name)
        inputs = signature.json.inputs_from_rows(instances)
        prediction = await servable.predict(signature, inputs)
        answer = signature.json.rows(prediction.outputs)

All of it runs on the server's event loop; only TensorFlow's work is done on other threads. Whatever goes wrong is a
`RequestError`, which each protocol renders in its own shape.
"""

import enum
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf.meta_graph_pb2 import SignatureDef

from penstock.components.model_server.failures import Kind as Kind
from penstock.components.model_server.failures import RequestError as RequestError
from penstock.core.models.signatures import Tensor

DEFAULT_SIGNATURE = "serving_default"


@dataclass(frozen=True, slots=True)
class Target:
    """Which version of which model a request is for.

    An empty model is the only one there is. Without a version and a label it is the newest version that is loaded. A
    version and a label exclude each other.
    """

    model: str = ""
    version: int | None = None
    label: str = ""


@dataclass(frozen=True)
class ServedFeature:
    """A feature that a signature parses out of tf.Examples, as the model's schema, or else its graph, describes it.

    `shape` is that of one row: () for one value, (3,) for three, None for any number of values. `values` are all that
    a string may be, as far as the schema lists them; `minimum` and `maximum` are the schema's. With `also_text` a row
    may have a text in place of a number: the rules of cleaning that go with the model make one of it.
    """

    name: str
    dtype: tf.DType  # tf.int64, tf.float32 or tf.string, the types of tf.Examples
    required: bool
    shape: tuple[int, ...] | None = None
    values: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    also_text: bool = False


class JsonCodec(Protocol):
    """Turns JSON's values into the inputs of one signature, and its outputs into JSON's values.

    Texts are strings; bytes are `{"b64": "…"}`. What does not fit raises a RequestError (INVALID) that names the input
    or the feature. For a signature that parses tf.Examples, rows and columns of features are encoded to tf.Examples;
    serialized ones, as `{"b64": "…"}`, are taken as well.
    """

    def inputs_from_rows(self, rows: Sequence[object]) -> dict[str, np.ndarray]:
        """Returns the inputs of rows: each an object with a value for each input or feature, or the only input's."""

    def inputs_from_columns(self, columns: object) -> dict[str, np.ndarray]:
        """Returns the inputs of an object with an array for each input or feature, or of the only input's array."""

    def rows(self, outputs: Mapping[str, np.ndarray]) -> list[object]:
        """Returns an object with a value for each output in each row; of an only output, the values themselves.

        Raises a RequestError (INVALID) if the outputs have no common number of rows.
        """

    def columns(self, outputs: Mapping[str, np.ndarray]) -> object:
        """Returns an object with an array for each output; of an only output, the array itself."""


@dataclass(frozen=True, eq=False)
class ServedSignature:
    """A signature of a loaded model.

    `inputs` and `outputs` have dtypes and shapes, the batch included (None first); `definition` is TensorFlow's own
    description, for metadata. `features` are what the signature parses out of tf.Examples, in the schema's order; if
    there are any, its only input takes serialized tf.Examples.
    """

    name: str
    inputs: Mapping[str, Tensor]
    outputs: Mapping[str, Tensor]
    features: Mapping[str, ServedFeature]
    definition: SignatureDef
    json: JsonCodec = field(repr=False)

    @property
    def method(self) -> str:
        """TensorFlow Serving's name of what it does, such as "tensorflow/serving/predict"."""
        method: str = self.definition.method_name
        return method


@dataclass(frozen=True, slots=True)
class Prediction:
    """The outputs by name, in arrays with a row for each row of the inputs, and how they came about.

    `batch` is how many rows TensorFlow computed at once, of this request and others; `queued` and `computed` are
    seconds.
    """

    outputs: Mapping[str, np.ndarray]
    batch: int
    queued: float
    computed: float


class State(enum.Enum):
    """TensorFlow Serving's states of a version; the values are those of its ModelVersionStatus.State."""

    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


@dataclass(frozen=True)
class VersionStatus:
    """What became of a version. `error` says why it could not be loaded; it is empty for one that could."""

    version: int
    state: State
    labels: tuple[str, ...] = ()
    error: str = ""


class Servable(Protocol):
    """A version of a model, loaded and warm, for as long as it is leased."""

    @property
    def model(self) -> str: ...

    @property
    def version(self) -> int: ...

    @property
    def signatures(self) -> Mapping[str, ServedSignature]: ...

    def signature(self, name: str = "") -> ServedSignature:
        """Returns a signature; "" is serving_default, or the only one. INVALID names those that there are."""

    async def predict(
        self, signature: ServedSignature, inputs: Mapping[str, np.ndarray], timeout: float | None = None
    ) -> Prediction:
        """Computes the outputs, together with the rows of other requests.

        Inputs have the signature's names; strings are arrays of bytes (dtype object). Their dtypes are checked here,
        and their shapes. The answer is due in `timeout` seconds, or in the server's own limit if that is sooner.

        Raises a RequestError: INVALID if the inputs do not fit or TensorFlow refuses them, BUSY if too many requests
        are waiting, LATE if the answer came too late.
        """


class Models(Protocol):
    """All models of the server."""

    @property
    def names(self) -> Sequence[str]:
        """The names of all models, sorted, loaded or not."""

    @property
    def ready(self) -> bool:
        """Whether every model has a version that is loaded and warm, and the server is not shutting down."""

    def lease(self, target: Target) -> AbstractContextManager[Servable]:
        """Holds a version until the context ends: it is not unloaded before.

        Raises a RequestError: NOT_FOUND if there is no such model, version or label, NOT_READY if it is not loaded
        yet or could not be loaded.
        """

    def status(self, model: str = "") -> Sequence[VersionStatus]:
        """Returns the versions of a model, the highest first; a RequestError (NOT_FOUND) if there is no such model."""

    def set_labels(self, model: str, labels: Mapping[str, int]) -> None:
        """Points labels at versions that are loaded, in one step; others stay. INVALID if a version is not loaded."""
