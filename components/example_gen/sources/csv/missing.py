"""Which cells of a CSV file mean that there is no value."""

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from penstock.core import csv_format

_ANYWHERE = pa.array(sorted(csv_format.MISSING_ANYWHERE), pa.string())
_AMONG_NUMBERS = pa.array(sorted(csv_format.MISSING_AMONG_NUMBERS), pa.string())


@dataclass(frozen=True)
class Missing:
    """The empty cell always means it, and so do `cells`, exactly as they are written.

    With `auto`, so does what tools and people write for it, with or without spaces around (csv_format.is_missing):
    "NA" in any column, "none" and "-" among numbers alone.
    """

    cells: tuple[str, ...] = ()
    auto: bool = False

    def present(self, column: pa.StringArray, among_numbers: bool = False) -> pa.BooleanArray:
        """Returns which cells are values."""
        if self.auto:
            words = pc.ascii_trim_whitespace(column)
            return pc.invert(
                pc.is_in(pc.ascii_lower(words), _AMONG_NUMBERS) if among_numbers else pc.is_in(words, _ANYWHERE)
            )
        present = pc.greater(pc.binary_length(column), 0)
        return pc.and_not(present, pc.is_in(column, pa.array(self.cells, pa.string()))) if self.cells else present


ONLY_EMPTY = Missing()  # as in TFX
