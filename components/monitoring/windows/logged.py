"""Rows as a request log holds them, whatever its format: nothing is decoded yet."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

BATCH_ROWS = 8192
INPUTS, OUTPUTS = "inputs.", "outputs."  # what the names of tensors begin with
ABOUT = pa.schema(
    [
        ("time", pa.timestamp("us", "UTC")),
        ("request_id", pa.string()),
        ("row", pa.int32()),
        ("sample", pa.float64()),
    ]
)


@dataclass(frozen=True)
class LoggedRows:
    """Rows of requests: what is known of each (ABOUT), and its tensors by name, a list or a value in each row."""

    about: pa.RecordBatch
    inputs: Mapping[str, pa.Array]
    outputs: Mapping[str, pa.Array]

    def filter(self, kept: np.ndarray) -> "LoggedRows":
        """Returns the rows that are kept, a bool for each."""
        if kept.all():
            return self
        mask = pa.array(kept)
        return LoggedRows(
            self.about.filter(mask),
            {name: column.filter(mask) for name, column in self.inputs.items()},
            {name: column.filter(mask) for name, column in self.outputs.items()},
        )
