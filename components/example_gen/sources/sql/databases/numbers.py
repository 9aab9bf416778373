"""Numbers and times that a database sends as text, or that no calendar has."""

import pyarrow as pa
import pyarrow.compute as pc

from penstock.core.errors import DataError

# 0001-01-01 to 9999-12-31: what people, and other programs that read the data, have dates of.
_FIRST_DAY, _LAST_DAY = -719_162, 2_932_896
_WORDS = "integers of 64 bits"
_PER_DAY = {"s": 86_400, "ms": 86_400_000, "us": 86_400_000_000}  # nanoseconds are within these years anyhow


def converted(column: pa.Array, to: pa.DataType, name: str, where: str) -> pa.Array:
    """Returns a column of another type; a DataError for a value that it cannot hold, and for times of no calendar."""
    try:
        values = column if column.type == to else column.cast(to)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        said = str(error).partition("\n")[0]
        words = "whole numbers" if pa.types.is_decimal(to) else "numbers" if pa.types.is_floating(to) else _WORDS
        raise DataError(f"{where}: column {name!r}: expected {words}, found another value ({said})") from None
    _check_times(values, name, where)
    return values


def _check_times(values: pa.Array, name: str, where: str) -> None:
    if pa.types.is_date32(values.type):
        whole, per_day = values.cast(pa.int32()), 1
    elif pa.types.is_timestamp(values.type) and values.type.unit in _PER_DAY:
        whole, per_day = values.cast(pa.int64()), _PER_DAY[values.type.unit]
    else:
        return
    span = pc.min_max(whole).as_py()
    if span["min"] is None:
        return
    if span["min"] < _FIRST_DAY * per_day or span["max"] >= (_LAST_DAY + 1) * per_day:
        raise DataError(
            f"{where}: column {name!r}: expected times between the years 1 and 9999, found infinity or one beyond: "
            "leave such rows out (where), or make text of them in a query"
        )
