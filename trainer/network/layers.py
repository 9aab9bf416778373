"""The layers of the default model. They use keras.ops alone, so that they run on TensorFlow, JAX and PyTorch.

In shapes, `batch` is the size of the batch, and `members` the number of networks in the ensemble. Tensors of every
backend are annotated as keras.KerasTensor, for want of a common type.
"""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

_PACKAGE = "penstock"

type Config = dict[str, Any]  # the arguments of a layer's constructor, JSON


@keras.saving.register_keras_serializable(_PACKAGE)
class PiecewiseLinear(keras.layers.Layer):
    """Embeds numbers: [batch, numbers, 2] (value in [0, 1], 1.0 where missing) -> [batch, numbers, units].

    A number's embedding is a continuous function of its value, linear within each of `bins` equal bins. It is the
    piecewise linear encoding of Gorishniy et al., "On Embeddings for Numerical Features in Tabular Deep Learning"
    (2022), times a matrix for each number. Values are on a quantile scale, so equal bins are quantile bins. A missing
    number has an embedding of its own, whatever its value.
    """

    def __init__(self, units: int, bins: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.units, self.bins = units, bins

    def build(self, input_shape: Sequence[int | None]) -> None:
        numbers = input_shape[1]
        # The linear part starts as in a plain network. The bins' deviations from it start at zero, and grow only where
        # that lowers the loss (version "B" of Gorishniy et al. 2025).
        self.slope = self.add_weight((numbers, self.units), keras.initializers.RandomUniform(-1, 1), name="slope")
        self.kernel = self.add_weight((numbers, self.bins, self.units), "zeros", name="kernel")
        self.bias = self.add_weight((numbers, self.units), keras.initializers.RandomUniform(-1, 1), name="bias")
        self.missing = self.add_weight((numbers, self.units), "zeros", name="missing")

    def call(self, inputs: keras.KerasTensor) -> keras.KerasTensor:
        value, missing = inputs[..., :1], inputs[..., 1:]
        edges = ops.arange(self.bins, dtype=self.compute_dtype)
        encoding = ops.clip(value * self.bins - edges, 0.0, 1.0)
        embedding = ops.einsum("bnk,nku->bnu", encoding, self.kernel)
        embedding = embedding + (2.0 * value - 1.0) * self.slope + self.bias
        return (1.0 - missing) * embedding + missing * self.missing

    def get_config(self) -> Config:
        return {**super().get_config(), "units": self.units, "bins": self.bins}


@keras.saving.register_keras_serializable(_PACKAGE)
class Categories(keras.layers.Layer):
    """Embeds an id for each of several features: [batch, features] -> [batch, features, units].

    sizes: the number of ids of each feature.

    All features share one table, in which each has rows of its own, so that one look-up serves all. Id 0 means absent;
    its embedding is zeros.
    """

    def __init__(self, sizes: Sequence[int], units: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.sizes, self.units = list(sizes), units

    def build(self, input_shape: Sequence[int | None]) -> None:
        initializer = keras.initializers.RandomNormal(stddev=self.units**-0.5)
        self.embeddings = self.add_weight((sum(self.sizes), self.units), initializer, name="embeddings")

    def call(self, inputs: keras.KerasTensor) -> keras.KerasTensor:
        starts = ops.cast([sum(self.sizes[:index]) for index in range(len(self.sizes))], "int32")
        ids = ops.cast(inputs, "int32")
        present = ops.cast(ids > 0, self.compute_dtype)
        return ops.take(self.embeddings, ids + starts, axis=0) * present[..., None]

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        return (*input_shape, self.units)

    def get_config(self) -> Config:
        return {**super().get_config(), "sizes": self.sizes, "units": self.units}


@keras.saving.register_keras_serializable(_PACKAGE)
class Bag(keras.layers.Layer):
    """Embeds a bag of ids: [batch, width] -> [batch, units], the mean over the ids other than 0; zeros if all are 0."""

    def __init__(self, size: int, units: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.size, self.units = size, units

    def build(self, input_shape: Sequence[int | None]) -> None:
        initializer = keras.initializers.RandomNormal(stddev=self.units**-0.5)
        self.embeddings = self.add_weight((self.size, self.units), initializer, name="embeddings")

    def call(self, inputs: keras.KerasTensor) -> keras.KerasTensor:
        ids = ops.cast(inputs, "int32")
        present = ops.cast(ids > 0, self.compute_dtype)
        total = ops.einsum("bw,bwu->bu", present, ops.take(self.embeddings, ids, axis=0))
        return total / ops.maximum(ops.sum(present, axis=1, keepdims=True), 1.0)

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        return (input_shape[0], self.units)

    def get_config(self) -> Config:
        return {**super().get_config(), "size": self.size, "units": self.units}


@keras.saving.register_keras_serializable(_PACKAGE)
class Members(keras.layers.Layer):
    """Splits one hidden layer into the ensemble's members: [batch, units] -> [batch, members, units].

    Each member scales every unit by a weight of its own. That starts as 1 or -1 at random, so that members differ.
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

    def call(self, inputs: keras.KerasTensor) -> keras.KerasTensor:
        return inputs[:, None, :] * self.scale + self.bias

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        return (input_shape[0], self.members, input_shape[-1])

    def get_config(self) -> Config:
        return {**super().get_config(), "members": self.members}


@keras.saving.register_keras_serializable(_PACKAGE)
class MemberDense(keras.layers.Layer):
    """A dense layer whose matrix the members share: [batch, members, inputs] -> [batch, members, units].

    Each member has its own bias, and its own scales of the inputs and outputs: the rank-one adapters of BatchEnsemble
    (Wen et al. 2020), as in TabM (Gorishniy et al. 2025).
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

    def call(self, inputs: keras.KerasTensor) -> keras.KerasTensor:
        return ops.matmul(inputs * self.scale_in, self.kernel) * self.scale_out + self.bias

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        return (*input_shape[:-1], self.units)

    def get_config(self) -> Config:
        return {**super().get_config(), "units": self.units}


@keras.saving.register_keras_serializable(_PACKAGE)
class MemberOutputs(keras.layers.Layer):
    """A linear layer for each member: [batch, members, inputs] -> [batch, members, outputs].

    start: the initial bias of each output; zeros if empty.
    """

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

    def call(self, inputs: keras.KerasTensor) -> keras.KerasTensor:
        return ops.einsum("bmi,mio->bmo", inputs, self.kernel) + self.bias

    def get_config(self) -> Config:
        return {**super().get_config(), "outputs": self.outputs, "start": self.start}


@keras.saving.register_keras_serializable(_PACKAGE)
class Temperature(keras.layers.Layer):
    """Divides by a temperature, which is 1 until penstock.trainer.network.calibration sets it after training."""

    def build(self, input_shape: Sequence[int | None]) -> None:
        self.temperature = self.add_weight((), "ones", trainable=False, name="temperature")

    def call(self, inputs: keras.KerasTensor) -> keras.KerasTensor:
        return inputs / self.temperature
