"""The layers of the default model, in keras.ops alone, so that they run on TensorFlow, JAX and PyTorch.

`batch` is the batch's size, `members` the number of networks in the ensemble that share their weights.
"""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

_PACKAGE = "penstock"


@keras.saving.register_keras_serializable(_PACKAGE)
class PiecewiseLinear(keras.layers.Layer):
    """Embeds numbers: [batch, numbers, 2] (value in [0, 1], 1.0 where missing) -> [batch, numbers, units].

    A number's embedding is a continuous function of its value, linear within each of `bins` equal bins: the piecewise
    linear encoding of Gorishniy et al., "On Embeddings for Numerical Features in Tabular Deep Learning" (2022), times
    a matrix of its own. The value being on a quantile scale, equal bins are its quantile bins. A missing number has
    an embedding of its own, whatever its value.
    """

    def __init__(self, units: int, bins: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.units, self.bins = units, bins

    def build(self, input_shape: Sequence[int | None]) -> None:
        numbers = input_shape[1]
        # The linear part starts as it does in a plain network; the bins' deviations from it start at zero, and move
        # where the data asks for it (version "B" of Gorishniy et al. 2025).
        self.slope = self.add_weight((numbers, self.units), keras.initializers.RandomUniform(-1, 1), name="slope")
        self.kernel = self.add_weight((numbers, self.bins, self.units), "zeros", name="kernel")
        self.bias = self.add_weight((numbers, self.units), keras.initializers.RandomUniform(-1, 1), name="bias")
        self.missing = self.add_weight((numbers, self.units), "zeros", name="missing")

    def call(self, inputs: Any) -> Any:
        value, missing = inputs[..., :1], inputs[..., 1:]
        edges = ops.arange(self.bins, dtype=self.compute_dtype)
        encoding = ops.clip(value * self.bins - edges, 0.0, 1.0)
        embedding = ops.einsum("bnk,nku->bnu", encoding, self.kernel)
        embedding = embedding + (2.0 * value - 1.0) * self.slope + self.bias
        return (1.0 - missing) * embedding + missing * self.missing

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units, "bins": self.bins}


@keras.saving.register_keras_serializable(_PACKAGE)
class Categories(keras.layers.Layer):
    """Embeds one id of each of several features: [batch, features] -> [batch, features, units].

    The features share one table, each with rows of its own, so that there is one look-up whatever their number. Id 0
    is absent: zeros.
    """

    def __init__(self, sizes: Sequence[int], units: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.sizes, self.units = list(sizes), units

    def build(self, input_shape: Sequence[int | None]) -> None:
        initializer = keras.initializers.RandomNormal(stddev=self.units**-0.5)
        self.embeddings = self.add_weight((sum(self.sizes), self.units), initializer, name="embeddings")

    def call(self, inputs: Any) -> Any:
        starts = ops.cast([sum(self.sizes[:index]) for index in range(len(self.sizes))], "int32")
        ids = ops.cast(inputs, "int32")
        present = ops.cast(ids > 0, self.compute_dtype)
        return ops.take(self.embeddings, ids + starts, axis=0) * present[..., None]

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        return (*input_shape, self.units)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "sizes": self.sizes, "units": self.units}


@keras.saving.register_keras_serializable(_PACKAGE)
class Bag(keras.layers.Layer):
    """Embeds a bag of ids: [batch, width] -> [batch, units], the mean over the ids that are not 0, or zeros."""

    def __init__(self, size: int, units: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.size, self.units = size, units

    def build(self, input_shape: Sequence[int | None]) -> None:
        initializer = keras.initializers.RandomNormal(stddev=self.units**-0.5)
        self.embeddings = self.add_weight((self.size, self.units), initializer, name="embeddings")

    def call(self, inputs: Any) -> Any:
        ids = ops.cast(inputs, "int32")
        present = ops.cast(ids > 0, self.compute_dtype)
        total = ops.einsum("bw,bwu->bu", present, ops.take(self.embeddings, ids, axis=0))
        return total / ops.maximum(ops.sum(present, axis=1, keepdims=True), 1.0)

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        return (input_shape[0], self.units)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "size": self.size, "units": self.units}


@keras.saving.register_keras_serializable(_PACKAGE)
class Members(keras.layers.Layer):
    """Splits one hidden layer into the ensemble's members: [batch, units] -> [batch, members, units].

    Each member scales every unit by a weight of its own, at first 1 or -1 at random, which makes the members differ.
    """

    def __init__(self, members: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.members = members

    def build(self, input_shape: Sequence[int | None]) -> None:
        shape = (self.members, input_shape[-1])
        seed = keras.random.SeedGenerator()
        signs = ops.where(keras.random.uniform(shape, seed=seed) < 0.5, -1.0, 1.0)
        self.scale = self.add_weight(shape, lambda shape, dtype=None: ops.cast(signs, dtype or "float32"), name="scale")
        self.bias = self.add_weight(shape, keras.initializers.RandomUniform(-0.05, 0.05), name="bias")

    def call(self, inputs: Any) -> Any:
        return inputs[:, None, :] * self.scale + self.bias

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        return (input_shape[0], self.members, input_shape[-1])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "members": self.members}


@keras.saving.register_keras_serializable(_PACKAGE)
class MemberDense(keras.layers.Layer):
    """A dense layer that the members share, but for a scale of each input and output and the bias of their own.

    [batch, members, inputs] -> [batch, members, units]. BatchEnsemble's rank-one adapters (Wen et al. 2020) as in TabM
    (Gorishniy et al. 2025).
    """

    def __init__(self, units: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.units = units

    def build(self, input_shape: Sequence[int | None]) -> None:
        members, inputs = input_shape[1:]
        self.kernel = self.add_weight((inputs, self.units), "he_uniform", name="kernel")
        self.scale_in = self.add_weight((members, inputs), "ones", name="scale_in")
        self.scale_out = self.add_weight((members, self.units), "ones", name="scale_out")
        self.bias = self.add_weight((members, self.units), keras.initializers.RandomUniform(-0.05, 0.05), name="bias")

    def call(self, inputs: Any) -> Any:
        return ops.matmul(inputs * self.scale_in, self.kernel) * self.scale_out + self.bias

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        return (*input_shape[:-1], self.units)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}


@keras.saving.register_keras_serializable(_PACKAGE)
class MemberOutputs(keras.layers.Layer):
    """Each member's own linear outputs: [batch, members, inputs] -> [batch, members, outputs]."""

    def __init__(self, outputs: int, start: Sequence[float] = (), **kwargs: Any):
        super().__init__(**kwargs)
        self.outputs, self.start = outputs, list(start)

    def build(self, input_shape: Sequence[int | None]) -> None:
        members, inputs = input_shape[1:]
        assert inputs is not None
        limit = inputs**-0.5
        self.kernel = self.add_weight(
            (members, inputs, self.outputs), keras.initializers.RandomUniform(-limit, limit), name="kernel"
        )
        start = self.start or [0.0] * self.outputs
        self.bias = self.add_weight(
            (members, self.outputs),
            lambda shape, dtype=None: ops.ones(shape, dtype) * ops.convert_to_tensor(start, dtype),
            name="bias",
        )

    def call(self, inputs: Any) -> Any:
        return ops.einsum("bmi,mio->bmo", inputs, self.kernel) + self.bias

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "outputs": self.outputs, "start": self.start}


@keras.saving.register_keras_serializable(_PACKAGE)
class Temperature(keras.layers.Layer):
    """Divides by a temperature that training leaves at 1: calibration sets it, and it is exported with the model."""

    def build(self, input_shape: Sequence[int | None]) -> None:
        self.temperature = self.add_weight((), "ones", trainable=False, name="temperature")

    def call(self, inputs: Any) -> Any:
        return inputs / self.temperature
