"""The numbers of the default model and of its training, and the defaults that depend on the number of rows.

This module imports no Keras, so that a configuration or a search space can be checked without it.
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
    """Of the network: see penstock.trainer.network.model. Of its training: AdamW, the rate rising, then falling to 0.

    members: networks in the ensemble; they share all but a few of their weights.
    width, depth: units of a hidden layer, and the number of these.
    number_units, bins: units that embed a number, and pieces of its piecewise linear function.
    category_units: units that embed a category or a bag.
    dropout: share of hidden units left out at random in training.
    learning_rate: its peak, reached after `warmup` of the `decay_steps` batches; half a cosine leads down to 0.
    weight_decay: of the matrices; biases, scales and embeddings have none.
    class_weight: from 0, all rows weigh the same, to 1, all classes do (see penstock.trainer.network.losses); 0.5
        weighs a row of a class by one over the square root of the class's share.
    batch_size, epochs, patience: patience in epochs without a better result on the eval split.
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
    def for_rows(cls, rows: int, **given: Any) -> "Hyperparameters":
        """Returns the defaults for a training split of `rows` rows, but for those given.

        batch_size: the power of two nearest to a hundredth of the rows, within 32 and 512; all rows if they are fewer.
        epochs: as many as see 400,000 rows, within 2 and 30.
        patience: two fifths of the epochs, at least 3.
        decay_steps: the batches of all epochs, so that the learning rate ends at 0 where training ends.
        """
        rows = max(1, rows)
        if "batch_size" not in given:
            given["batch_size"] = min(rows, 512, max(32, 2 ** round(math.log2(max(1, rows / 100)))))
        if "epochs" not in given:
            given["epochs"] = min(30, max(2, round(400_000 / rows)))
        if "patience" not in given:
            given["patience"] = max(3, 2 * given["epochs"] // 5)
        if "decay_steps" not in given:
            given["decay_steps"] = max(1, given["epochs"] * math.ceil(rows / max(1, given["batch_size"])))
        return cls(**given)

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any], rows: int) -> "Hyperparameters":
        """Returns the defaults for `rows` training rows, but for those that `mapping` gives.

        The mapping is a plain one of names and numbers, or what `keras_tuner.HyperParameters.get_config()` returns; the
        names that KerasTuner keeps for itself ("tuner/epochs") are left out. Raises a ConfigError that names the
        hyperparameter if there is none of that name or if its value does not suit it.
        """
        values = mapping["values"] if isinstance(mapping.get("values"), Mapping) else mapping
        types = cls.kinds()
        given = {name: value for name, value in values.items() if not name.startswith("tuner/")}
        return cls.for_rows(rows, **{name: _number(name, value, types) for name, value in given.items()})


def _number(name: str, value: Any, types: Mapping[str, type]) -> Any:
    if name not in types:
        hint = did_you_mean(name, types, "there are")
        raise ConfigError(f"no hyperparameter {name!r} in the default model; {hint}")
    whole = types[name] is int
    if isinstance(value, bool) or not isinstance(value, int | float) or (whole and value != int(value)):
        expected = "a whole number" if whole else "a number"
        raise ConfigError(f"hyperparameter {name}: expected {expected}, received {value!r}")
    return types[name](value)
