"""What a model says of rows, in the columns by which its predictions are monitored, with their labels."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from penstock.components.monitoring.predictions import Predictions
from penstock.core.examples import records
from penstock.core.models import loaded

_BATCH = 4096


def predictions(model: Path, serialized: Sequence[bytes], wanted: Predictions) -> pa.RecordBatch:
    """Returns the predictions for rows; a ModelError if the model takes no tf.Examples, or fails on them."""
    (signature,) = loaded.load(model)
    batches = [
        wanted.columns({name: _column(array) for name, array in signature.predict(part).items()})
        for part in (serialized[start : start + _BATCH] for start in range(0, len(serialized), _BATCH))
    ]
    return pa.Table.from_batches(batches).combine_chunks().to_batches()[0]


def labels(serialized: Sequence[bytes], label: str) -> pa.Array | None:
    """Returns the label of each row, a list; None if no row has one."""
    batch = records.decode(serialized)
    place = batch.schema.get_field_index(label)
    return batch.column(place) if place >= 0 and not pa.types.is_null(batch.column(place).type) else None


def _column(output: np.ndarray) -> pa.Array:
    """Returns an output with a list for each row, as a request log has it."""
    rows = output.reshape(len(output), -1)
    flat = rows.reshape(-1)
    if flat.dtype.kind in "OS":
        values = pa.array(flat.tolist(), pa.large_binary())
    else:
        values = pa.array(flat.astype(np.float32) if flat.dtype.kind == "V" else flat)
    offsets: np.ndarray = np.arange(len(rows) + 1, dtype=np.int64) * rows.shape[1]
    return pa.LargeListArray.from_arrays(pa.array(offsets), values)
