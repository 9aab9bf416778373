"""The default model for tables: an ensemble of small networks that share most of their weights, in Keras 3.

Numbers on a quantile scale are embedded by piecewise linear functions (Gorishniy et al. 2022), categories and bags of
ids by tables. All members share the first hidden layer and the matrices of the others. Each member has scales, biases
and outputs of its own (BatchEnsemble, Wen et al. 2020, as in TabM, Gorishniy et al. 2025). Training averages the
members' losses, serving their predictions. TabM splits the members before the first layer; splitting after it makes
that layer's cost independent of their number. The figures behind the defaults are in benchmarks/README.md.

The model uses keras.ops only: TensorFlow, JAX and PyTorch train it, and a `.keras` file from one opens in the others.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import keras
from keras import ops

from penstock.core.errors import DataError
from penstock.trainer.network.hyperparameters import Hyperparameters
from penstock.trainer.network.layers import (
    Bag,
    Categories,
    MemberDense,
    MemberOutputs,
    Members,
    PiecewiseLinear,
    Temperature,
)
from penstock.trainer.network.losses import Head, MembersLoss, metrics, predictions

__all__ = ["Head", "Hyperparameters", "Ids", "Number", "build", "predictions"]


@dataclass(frozen=True)
class Number:
    """An input float32 [batch, 2]: a value in [0, 1], on the training data's quantile scale, and 1.0 where missing."""

    name: str


@dataclass(frozen=True)
class Ids:
    """An input int64 or int32 [batch, width]: ids 1 to size - 1 of a vocabulary; 0 is padding, or absent.

    With a width above 1 it is a bag: the order of the ids and the place of the padding do not count. An id's embedding
    has `embedding_dim` units; for None, as many as the hyperparameter category_units.
    """

    name: str
    size: int
    width: int = 1
    embedding_dim: int | None = None


def build(inputs: Sequence[Number | Ids], head: Head, hyperparameters: Hyperparameters) -> keras.Model:
    """Returns the compiled model, from a dict of tensors by input to raw outputs, float32 [batch, members, outputs].

    `predictions` turns raw outputs into predictions. Labels are [batch, 1]: float32 0 or 1 for a binary problem, the
    float32 value for a regression, and the int64 index of the class for a multi-class problem.

    The initial weights come from Keras's random generator; set `keras.utils.set_random_seed` to repeat them. Raises a
    DataError if there is no input.
    """
    if not inputs:
        raise DataError("the default model has no feature to learn from: expected one at least beside the label")
    tensors = {
        feature.name: keras.Input((2,), name=feature.name, dtype="float32")
        if isinstance(feature, Number)
        else keras.Input((feature.width,), name=feature.name, dtype="int32")
        for feature in inputs
    }
    hidden = _joined(_embedded(inputs, tensors, hyperparameters))
    hidden = keras.layers.Dense(hyperparameters.width, use_bias=False, kernel_initializer="he_uniform", name="common")(
        hidden
    )
    hidden = Members(hyperparameters.members, name="members")(hidden)
    for layer in range(hyperparameters.depth):
        if layer:
            hidden = MemberDense(hyperparameters.width, name=f"hidden_{layer}")(hidden)
        hidden = keras.layers.ReLU(name=f"relu_{layer}")(hidden)
        if hyperparameters.dropout:
            hidden = keras.layers.Dropout(hyperparameters.dropout, name=f"dropout_{layer}")(hidden)
    # The outputs are float32, whatever the precision of the layers below.
    outputs = MemberOutputs(head.outputs, _start(head), dtype="float32", name="outputs")(hidden)
    model = keras.Model(tensors, Temperature(dtype="float32", name="temperature")(outputs), name="default")
    model.compile(
        optimizer=_optimizer(hyperparameters),
        loss=MembersLoss(head, hyperparameters.class_weight),
        metrics=metrics(head),
        # For Keras's own training loop, which JAX uses; on TensorFlow, fitting.py decides by the device.
        jit_compile=keras.backend.backend() == "jax",
    )
    return model


def _embedded(
    inputs: Sequence[Number | Ids], tensors: dict[str, keras.KerasTensor], hyperparameters: Hyperparameters
) -> list[keras.KerasTensor]:
    """Returns the embeddings of all features, as tensors [batch, units]."""
    units = hyperparameters.category_units
    numbers = [tensors[feature.name] for feature in inputs if isinstance(feature, Number)]
    single: dict[int, list[Ids]] = {}  # by their units: features with the same number share a table
    for feature in inputs:
        if isinstance(feature, Ids) and feature.width == 1:
            single.setdefault(feature.embedding_dim or units, []).append(feature)
    embedded = []
    if numbers:
        stacked = ops.stack(numbers, axis=1)
        layer = PiecewiseLinear(hyperparameters.number_units, hyperparameters.bins, dtype="float32", name="numbers")
        embedded.append(keras.layers.Flatten()(layer(stacked)))
    for dim, features in single.items():
        ids = _joined([tensors[feature.name] for feature in features])
        name = "categories" if dim == units else f"categories_{dim}"
        layer = Categories([feature.size for feature in features], dim, name=name)
        embedded.append(keras.layers.Flatten()(layer(ids)))
    embedded += [
        Bag(feature.size, feature.embedding_dim or units, name=f"bag_{index}")(tensors[feature.name])
        for index, feature in enumerate(inputs)
        if isinstance(feature, Ids) and feature.width > 1
    ]
    return embedded


def _joined(tensors: list[keras.KerasTensor]) -> keras.KerasTensor:
    return keras.layers.Concatenate()(tensors) if len(tensors) > 1 else tensors[0]


def _start(head: Head) -> list[float]:
    """Returns the raw outputs that predict the frequencies of the classes; zeros for a regression."""
    shares = [max(share, 1e-6) for share in head.frequencies]
    if not shares or head.problem == "regression":
        return [0.0] * head.outputs
    logits = [math.log(share) for share in shares]
    return logits if head.problem == "multiclass" else [logits[1] - logits[0]]


def _optimizer(hyperparameters: Hyperparameters) -> keras.optimizers.Optimizer:
    warmup = int(hyperparameters.warmup * hyperparameters.decay_steps)
    peak = hyperparameters.learning_rate
    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=peak / 10 if warmup else peak,
        decay_steps=max(1, hyperparameters.decay_steps - warmup),
        warmup_target=peak if warmup else None,
        warmup_steps=warmup,
    )
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=hyperparameters.weight_decay)
    optimizer.exclude_from_weight_decay(var_names=["bias", "scale", "slope", "missing", "embeddings"])
    return optimizer
