"""Arrays of Python objects, which are what strings are in NumPy: each element is bytes."""

from collections.abc import Sequence

import numpy as np


def array(values: Sequence[object], shape: tuple[int, ...] | None = None) -> np.ndarray:
    """Returns an array of the values, whatever they are; of one dimension unless a shape is named."""
    result: np.ndarray = np.empty(len(values), dtype=object)
    result[:] = values
    return result if shape is None else result.reshape(shape)
