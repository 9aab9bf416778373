"""A label that leaks through a feature: one that all but gives the label away, and is most often not known in time.

Each input alone predicts the label (core/statistics/leaks.py). Such a feature is told and stays in: whether it is known
when the model is asked is what nobody but a person knows.
"""

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from penstock.core.statistics import leaks
from penstock.trainer.plan.features import Date, Sparse
from penstock.trainer.plan.plan import Plan

logger = logging.getLogger(__name__)
_ROWS = 20_000  # that are looked at
_FEWEST = 5_000  # of many inputs
_VALUES = 2_000_000

type Array = npt.NDArray[Any]


def warn(plan: Plan, inputs: Mapping[str, Array], label: Array) -> list[str]:
    """Logs a warning for each column that gives the label away, and returns their names.

    inputs: model inputs by name, [rows, …]; label: [rows, 1].
    """
    phrases: dict[str, str] = {}  # by column
    rows = min(len(label), _ROWS, max(_FEWEST, _VALUES // max(len(inputs), 1)))
    chosen = np.linspace(0, len(label) - 1, rows).astype(np.int64)
    target = label[chosen, 0]
    for feature in plan.features:
        for name in feature.outputs if isinstance(feature, Date | Sparse) else (feature.output,):
            values = inputs[name][chosen]
            if values.shape[1] > 1 and values.dtype.kind != "f":  # a bag of ids has no groups
                continue
            phrase = leaks.find(_values(values), target, plan.label.problem)
            if phrase:
                phrases.setdefault(feature.name, phrase)
    for column, phrase in phrases.items():
        logger.warning(
            "feature %s alone gives the label %s away %s: is it known when the model is asked? if not, features: {%s: "
            "{ignore: true}}",
            column,
            plan.label.name,
            phrase,
            column,
        )
    return list(phrases)


def _values(values: Array) -> leaks.Values:
    """Returns the values of a model input: numbers and whether they are missing, or ids, of which 0 is missing."""
    if values.dtype.kind == "f":
        return leaks.Values.of_numbers(values[:, 0], values[:, 1] > 0)
    return leaks.Values.of_ids(values[:, 0], values[:, 0] == 0)
