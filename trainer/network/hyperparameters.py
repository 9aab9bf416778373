"""The hyperparameters of the default model and of its training; some defaults depend on the number of rows.

This module does not import Keras, so that configurations and search spaces can be checked without it.
"""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from penstock.core.errors import ConfigError
from penstock.core.suggestions import did_you_mean


@dataclass(frozen=True)
class Hyperparameters:
    """The hyperparameters of the network (penstock.trainer.network.model) and of its training with AdamW.

    members: the number of networks in the ensemble; they share most of their weights.
    width, depth: the units of a hidden layer, and the number of hidden layers.
    number_units, bins: the units of a number's embedding, and the pieces of its piecewise linear function.
    category_units: the units of the embedding of a category or a bag.
    dropout: the share of hidden units that training leaves out at random.
    learning_rate, warmup, decay_steps: the rate rises to its peak, `learning_rate`, over the share `warmup` of
        `decay_steps` batches. Then it falls to 0 along half a cosine.
    weight_decay: of the matrices; biases, scales and embeddings have none.
    class_weight: with 0 all rows weigh the same, with 1 all classes. A row weighs in proportion to one over its class's
        share to this power; see penstock.trainer.network.losses.
    batch_size, epochs, patience: as in penstock.trainer.loop.fitting.Settings.
    """

    members: int = 4
    width: int = 128
    depth: int = 2
    number_units: int = 8
    bins: int = 48
    category_units: int = 8
    dropout: float = 0.0
    learning_rate: float = 3e-3
    warmup: float = 0.15
    weight_decay: float = 1e-3
    class_weight: float = 0.5
    batch_size: int = 512
    epochs: int = 3
    patience: int = 3
    decay_steps: int = 1000

    def __post_init__(self) -> None:
        for name in ("members", "width", "depth", "number_units", "bins", "category_units", "batch_size", "epochs"):
            self._check(name, getattr(self, name) >= 1, "at least 1")
        self._check("decay_steps", self.decay_steps >= 1, "at least 1")
        self._check("patience", self.patience >= 0, "0 or more")
        self._check("learning_rate", 0 < self.learning_rate < math.inf, "above 0")
        self._check("weight_decay", 0 <= self.weight_decay < math.inf, "0 or more")
        self._check("dropout", 0 <= self.dropout < 1, "from 0 to less than 1")
        self._check("warmup", 0 <= self.warmup < 1, "from 0 to less than 1")
        self._check("class_weight", 0 <= self.class_weight <= 1, "from 0 to 1")

    def _check(self, name: str, holds: bool, expected: str) -> None:
        if not holds:
            raise ConfigError(f"hyperparameter {name}: expected {expected}, received {getattr(self, name)}")

    @classmethod
    def kinds(cls) -> dict[str, type]:
        """Returns the types of the hyperparameters by name: int or float."""
        return {field.name: type(field.default) for field in dataclasses.fields(cls)}

    @classmethod
    def for_rows(cls, rows: int, **overrides: Any) -> "Hyperparameters":
        """Returns the overrides, and the defaults for a training split of `rows` rows.

        batch_size: the power of two nearest to a hundredth of the rows, from 32 to 512; all rows if they are fewer.
        epochs: as many as it takes to see 400,000 rows, from 2 to 30.
        patience: two fifths of the epochs, at least 3.
        decay_steps: the batches of all epochs, so that the learning rate reaches 0 when training ends.
        """
        rows = max(1, rows)
        if "batch_size" not in overrides:
            overrides["batch_size"] = min(rows, 512, max(32, 2 ** round(math.log2(max(1, rows / 100)))))
        if "epochs" not in overrides:
            overrides["epochs"] = min(30, max(2, round(400_000 / rows)))
        if "patience" not in overrides:
            overrides["patience"] = max(3, 2 * overrides["epochs"] // 5)
        if "decay_steps" not in overrides:
            overrides["decay_steps"] = max(1, overrides["epochs"] * math.ceil(rows / max(1, overrides["batch_size"])))
        return cls(**overrides)

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any], rows: int) -> "Hyperparameters":
        """Returns the hyperparameters of `mapping`, and the defaults for `rows` training rows.

        The mapping is one of names and numbers, or what `keras_tuner.HyperParameters.get_config()` returns. Names that
        begin with "tuner/" are KerasTuner's own; they are left out. Raises a ConfigError for an unknown name or a wrong
        value.
        """
        values = mapping["values"] if isinstance(mapping.get("values"), Mapping) else mapping
        types = cls.kinds()
        overrides = {name: value for name, value in values.items() if not name.startswith("tuner/")}
        return cls.for_rows(rows, **{name: _number(name, value, types) for name, value in overrides.items()})


def _number(name: str, value: object, types: Mapping[str, type]) -> int | float:
    if name not in types:
        hint = did_you_mean(name, types, "there are")
        raise ConfigError(f"no hyperparameter {name!r} in the default model; {hint}")
    whole = types[name] is int
    if isinstance(value, bool) or not isinstance(value, int | float) or (whole and value != int(value)):
        expected = "a whole number" if whole else "a number"
        raise ConfigError(f"hyperparameter {name}: expected {expected}, received {value!r}")
    return types[name](value)  # type: ignore[no-any-return]
