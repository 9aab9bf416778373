"""All labels by their keys, in a file that workers map into memory, and which of them a window's rows have."""

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from penstock.components.monitoring.labels.files import LABEL
from penstock.components.monitoring.windows.account import Reasons
from penstock.core.text import printable

_REPEATED = "a label that is there more than once: it counts once"
_CONTRADICTING = "labels of the same key that contradict one another: none of them counts"
_PLACE = "place of the label"  # columns of joins: no feature is named so
_ROW = "place of the row"
_NONE = -1

type Places = npt.NDArray[np.int64]


@dataclass(frozen=True)
class LabelTable:
    """Labels, one for each key. Picklable: workers open the file themselves.

    Args:
        path: An Arrow file with the columns of the key, and LABEL.
        key: The names of the key's columns.
        rows: How many labels there are.
    """

    path: Path
    key: tuple[str, ...]
    rows: int

    @classmethod
    def write(cls, tables: Iterable[pa.Table], schema: pa.Schema, path: Path, reasons: Reasons) -> "LabelTable":
        """Writes the labels of tables as `files.read` yields them; counts repeated and contradicting ones."""
        labels = pa.concat_tables([schema.empty_table(), *tables]).combine_chunks()
        key = tuple(name for name in schema.names if name != LABEL)
        one_each = _one_each(labels, key, reasons) if labels.num_rows else labels
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, one_each.schema) as writer:
            writer.write_table(one_each)
        return cls(path, key, one_each.num_rows)

    def places(self, keys: pa.Table) -> Places:
        """Returns for each row of `keys`, which has the key's columns, the place of its label; -1 without one."""
        result: Places = np.full(keys.num_rows, _NONE)
        if not self.rows or not keys.num_rows:
            return result
        numbered = _mapped(self.path).select(list(self.key)).append_column(_PLACE, pa.array(np.arange(self.rows)))
        asked = keys.select(list(self.key)).append_column(_ROW, pa.array(np.arange(keys.num_rows)))
        joined = numbered.join(asked, keys=list(self.key), join_type="inner", use_threads=False)
        result[joined[_ROW].to_numpy()] = joined[_PLACE].to_numpy()
        return result

    def labels(self, places: Places) -> pa.Array:
        """Returns the labels at these places."""
        return _mapped(self.path)[LABEL].take(pa.array(places)).combine_chunks()


def _one_each(labels: pa.Table, key: Sequence[str], reasons: Reasons) -> pa.Table:
    """Returns one label for each key, if all that it has are the same."""
    encoded = pc.dictionary_encode(labels[LABEL].combine_chunks())
    numbered = labels.select(list(key)).append_column(LABEL, encoded.indices)
    grouped = numbered.group_by(list(key), use_threads=False).aggregate(
        [(LABEL, "min"), (LABEL, "max"), (LABEL, "count")]
    )
    least, most, counts = (grouped[f"{LABEL}_{name}"].to_numpy() for name in ("min", "max", "count"))
    same = least == most
    odd, again = ~same, same & (counts > 1)
    reasons.add("labels", _CONTRADICTING, _shown(grouped, key, odd), int(counts[odd].sum()))
    reasons.add("labels", _REPEATED, _shown(grouped, key, again), int((counts[again] - 1).sum()))
    kept = grouped.filter(pa.array(same)).select(list(key))
    return kept.append_column(LABEL, encoded.dictionary.take(pa.array(least[same])))


def _shown(table: pa.Table, key: Sequence[str], which: np.ndarray) -> str:
    """Returns the first of these keys in words, such as `trip_id 17`."""
    rows = np.flatnonzero(which)
    if not len(rows):
        return ""
    first = table.select(list(key)).slice(rows[0], 1).to_pylist()[0]
    texts = {
        name: value.decode(errors="replace") if isinstance(value, bytes) else value for name, value in first.items()
    }
    return ", ".join(f"{name} {printable.value(value)}" for name, value in texts.items())


@functools.lru_cache(maxsize=1)
def _mapped(path: Path) -> pa.Table:
    return pa.ipc.open_file(pa.memory_map(str(path))).read_all()
