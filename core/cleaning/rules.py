"""The rules of cleaning: what each looks at, what it does, and what of it a server can do. Standard library only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from penstock.core.cleaning.expressions.syntax import Expression

type Scalar = str | int | float
Type = Literal["integer", "float", "text"]  # of a column: int64, float32 and bytes of tf.Examples
TYPE_WORDS: dict[Type, str] = {"integer": "whole numbers", "float": "numbers", "text": "text"}
# What becomes of a value that does not fit: its row is dropped, or it is taken for missing, moved to the nearest bound,
# or kept, and the row marked in a column of its own.
Otherwise = Literal["drop", "missing", "clip", "flag"]

FLAG = "_flagged"  # the end of the name of a column that marks rows
_NO_ROW_IS_DROPPED = "a server answers for every row, so none is dropped"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A rule. `name` is what a person reads of it; `columns` are those that it mends.

    KIND is its name in a configuration. SAYS_OTHERWISE are the values of `otherwise` that it knows, the default first.
    """

    name: str = ""
    columns: tuple[str, ...] = ()

    KIND: ClassVar[str]
    SAYS_OTHERWISE: ClassVar[tuple[Otherwise, ...]] = ()
    otherwise: ClassVar[Otherwise | Literal[""]] = ""

    @property
    def reads(self) -> tuple[str, ...]:
        """The columns that it looks at."""
        return self.columns

    @property
    def learns(self) -> bool:
        """Whether something is learned of all rows before it is applied to one."""
        return False

    @property
    def drops(self) -> bool:
        """Whether it may drop rows."""
        return self.otherwise == "drop"

    @property
    def not_at_serving(self) -> str:
        """Why a server applies it in part or not at all; "" if it does."""
        return _NO_ROW_IS_DROPPED if self.drops else ""

    @property
    def at_serving(self) -> bool:
        """Whether a server applies at least a part of it."""
        return not self.drops

    @property
    def needs_learned(self) -> bool:
        """Whether a server that applies it needs more than the rule says."""
        return self.at_serving and self.learns

    @property
    def flags(self) -> tuple[str, ...]:
        """The columns that it adds, which mark rows."""
        return tuple(column + FLAG for column in self.columns) if self.otherwise == "flag" else ()


@dataclass(frozen=True, kw_only=True)
class Duplicates(Rule):
    """Rows that are equal in these columns, of all splits together: one of them is kept.

    Without columns all count. A row without any value in the columns that are named is no duplicate. With `newest` the
    row with the greatest value of the column `by` is kept, of several the first.
    """

    KIND = "duplicates"
    keep: Literal["first", "last", "newest"] = "first"
    by: str = ""

    @property
    def reads(self) -> tuple[str, ...]:
        return (*self.columns, *([self.by] if self.by else []))

    @property
    def learns(self) -> bool:
        return True

    @property
    def drops(self) -> bool:
        return True


@dataclass(frozen=True, kw_only=True)
class MissingValues(Rule):
    """Texts that mean a missing value, in these columns, by default in all of text."""

    KIND = "missing_values"
    values: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Missing(Rule):
    """Rows without a value, or with NaN alone.

    The row is dropped, or the column if more than the share `above` of the train splits' rows lack it; or it gets a
    value: `value` itself, the median or the mode of the train splits, or that of the row before in its split.
    """

    KIND = "missing"
    action: Literal["drop_row", "drop_column", "constant", "median", "mode", "previous"] = "drop_row"
    value: Scalar | None = None
    above: float = 0.5

    @property
    def learns(self) -> bool:
        return self.action in ("drop_column", "median", "mode", "previous")

    @property
    def drops(self) -> bool:
        return self.action == "drop_row"

    @property
    def fills(self) -> bool:
        """Whether a server fills these columns, so that requests may lack them."""
        return self.action in ("constant", "median", "mode")

    @property
    def not_at_serving(self) -> str:
        if self.action == "previous":
            return "a request has no row before it"
        return super().not_at_serving

    @property
    def at_serving(self) -> bool:
        return self.action not in ("drop_row", "previous")


@dataclass(frozen=True, kw_only=True)
class Text(Rule):
    """How texts are written: their case, and their spaces: those around them go (`trim`), those within become one."""

    KIND = "text"
    case: Literal["", "lower", "upper", "title"] = ""
    spaces: Literal["", "trim", "collapse"] = ""


@dataclass(frozen=True, kw_only=True)
class Values(Rule):
    """Values that are allowed, and others that mean one of these. Without `allowed`, all others stay as they are."""

    KIND = "values"
    SAYS_OTHERWISE = ("missing", "drop", "flag")
    allowed: tuple[Scalar, ...] = ()
    mapping: Mapping[str, Scalar] = field(default_factory=dict, hash=False)
    otherwise: Otherwise = "missing"  # type: ignore[misc]  # a field of those rules that check something

    @property
    def drops(self) -> bool:
        return bool(self.allowed) and self.otherwise == "drop"

    @property
    def at_serving(self) -> bool:
        return bool(self.mapping) or not self.drops

    @property
    def not_at_serving(self) -> str:
        if self.drops and self.mapping:
            return f"values are mapped; {_NO_ROW_IS_DROPPED}"
        return super().not_at_serving


@dataclass(frozen=True, kw_only=True)
class Pattern(Rule):
    """Texts of which the whole fits a regular expression (RE2's syntax)."""

    KIND = "pattern"
    SAYS_OTHERWISE = ("missing", "drop", "flag")
    regex: str = ""
    otherwise: Otherwise = "missing"  # type: ignore[misc]


@dataclass(frozen=True, kw_only=True)
class Convert(Rule):
    """The type of a column: texts become numbers, or numbers texts. Spaces around numbers do not count."""

    KIND = "type"
    SAYS_OTHERWISE = ("missing", "drop")
    to: Type = "float"
    decimal_point: str = "."
    otherwise: Otherwise = "missing"  # type: ignore[misc]

    @property
    def not_at_serving(self) -> str:
        if self.drops:
            return f"values are converted, or missing where they cannot be; {_NO_ROW_IS_DROPPED}"
        return ""

    @property
    def at_serving(self) -> bool:
        return True


@dataclass(frozen=True, kw_only=True)
class Unit(Rule):
    """Numbers in another unit: `value * factor + offset`.

    Which numbers are is said by the text in the column `by`, which becomes `to`; or by the range from `min` to `max`.
    """

    KIND = "unit"
    by: str = ""
    to: str = ""
    units: Mapping[str, tuple[float, float]] = field(default_factory=dict, hash=False)  # factor and offset, by unit
    min: float | None = None
    max: float | None = None
    factor: float = 1.0
    offset: float = 0.0

    @property
    def reads(self) -> tuple[str, ...]:
        return (*self.columns, *([self.by] if self.by else []))


@dataclass(frozen=True, kw_only=True)
class Range(Rule):
    """Numbers from `min` to `max`, both included."""

    KIND = "range"
    SAYS_OTHERWISE = ("missing", "clip", "drop", "flag")
    min: float | None = None
    max: float | None = None
    otherwise: Otherwise = "missing"  # type: ignore[misc]


@dataclass(frozen=True, kw_only=True)
class Outliers(Rule):
    """Numbers that are far from the others of the train splits.

    `quantiles`: below the quantile `low` or above `high`, which are interpolated as pandas does. `mad`: further from
    the median than `deviations` times the median absolute deviation, which is scaled by 1.4826, as a normal
    distribution's standard deviation is (Iglewicz and Hoaglin, How to Detect and Handle Outliers, 1993).
    """

    KIND = "outliers"
    SAYS_OTHERWISE = ("clip", "missing", "drop", "flag")
    method: Literal["quantiles", "mad"] = "quantiles"
    low: float = 0.01
    high: float = 0.99
    deviations: float = 3.5
    otherwise: Otherwise = "clip"  # type: ignore[misc]

    @property
    def learns(self) -> bool:
        return True


@dataclass(frozen=True, kw_only=True)
class Check(Rule):
    """What has to hold of several columns of a row. Where a value is missing it holds, as in SQL's CHECK.

    `missing` takes the values of `columns` for missing; `flag` marks the row in the column `<name>_flagged`.
    """

    KIND = "check"
    SAYS_OTHERWISE = ("drop", "missing", "flag")
    expression: Expression
    otherwise: Otherwise = "drop"  # type: ignore[misc]

    @property
    def reads(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self.expression.columns, *self.columns)))

    @property
    def flags(self) -> tuple[str, ...]:
        return (self.name + FLAG,) if self.otherwise == "flag" else ()


@dataclass(frozen=True, kw_only=True)
class Reference(Rule):
    """Values that stand in the column `key` of a CSV or Parquet file, by default in that of the same name.

    Servers have no file: what they need of it goes with the rules.
    """

    KIND = "reference"
    SAYS_OTHERWISE = ("missing", "drop", "flag")
    file: str = ""
    key: str = ""
    digest: str = ""  # of the file, so that a changed one is another rule
    otherwise: Otherwise = "missing"  # type: ignore[misc]

    @property
    def key_column(self) -> str:
        """The column of the file."""
        return self.key or self.columns[0]

    @property
    def needs_learned(self) -> bool:
        return self.at_serving


KINDS: dict[str, type[Rule]] = {
    kind.KIND: kind
    for kind in (
        Duplicates,
        MissingValues,
        Missing,
        Text,
        Values,
        Pattern,
        Convert,
        Unit,
        Range,
        Outliers,
        Check,
        Reference,
    )
}
