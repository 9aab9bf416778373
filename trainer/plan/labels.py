"""What the label of a table asks for, from the statistics of the training split.

Strings are classes, two of them binary. Numbers that take exactly two values are binary (by the
variance, which for a mean m between a and b is (m - a)(b - m) only then: Bhatia and Davis 2000). Integers that span up
to 20 values with ten rows or more for each are classes; all other numbers are a regression. More than 20 numbers beside
a few strings are neither, as the strings most often stand for missing values. `problem` overrides.
Classes are in the order of their values, so the greater one of two is what a binary model gives the probability of.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, get_args

from penstock.core.artifacts import SavedModel
from penstock.core.errors import ConfigError, DataError
from penstock.core.files import atomic
from penstock.core.suggestions import did_you_mean
from penstock.trainer.plan.columns import Column

Problem = Literal["binary", "multiclass", "regression"]
PROBLEMS: tuple[str, ...] = get_args(Problem)
_FEW_CLASSES = 20
_MOST_CLASSES = 1000
_ROWS_FOR_A_CLASS = 10


@dataclass(frozen=True)
class Label:
    """What is predicted. `classes` in their order, as the data has them; none of a regression.

    Transformed it is float32 [batch, 1], 0 or 1 (binary) or the value (regression), or int64 [batch, 1], the index of
    the class. Where it is missing, or no class of the training data, it is NaN, or -1.
    """

    name: str
    output: str
    problem: Problem
    classes: tuple[str | int | float, ...] = ()

    def write(self, saved_model: Path) -> None:
        """Puts it beside a SavedModel's graph, whose outputs do not name the classes of two."""
        atomic.write_text(SavedModel(saved_model).label, json.dumps(asdict(self), ensure_ascii=False))

    @classmethod
    def read(cls, saved_model: Path) -> "Label | None":
        """Returns the label of a model without code; None of any other."""
        path = SavedModel(saved_model).label
        if not path.is_file():
            return None
        fields = json.loads(path.read_text(encoding="utf-8"))
        return cls(**{**fields, "classes": tuple(fields["classes"])})


def planned(column: Column, output: str, problem: str | None) -> Label:
    """Returns the label of a column; a DataError if nothing can be learnt of it, a ConfigError for no such problem."""
    name = column.name
    if problem is not None and problem not in PROBLEMS:
        raise ConfigError(f"problem: unknown {problem!r}; {did_you_mean(problem, PROBLEMS)}")
    if column.most_values > 1 or column.sparse_size or column.unreadable:
        raise DataError(f"label {name}: expected one value in a row, found {column.unreadable or 'several'}")
    if not column.values:
        raise DataError(f"label {name}: expected values, found none in the training data")
    if column.constant:
        raise DataError(
            f"label {name} is {column.constant} in every row of the training data: expected two values or more to "
            "learn from"
        )
    if column.is_string:
        return _string_label(column, output, problem)
    two = column.two_values
    if problem is None:
        few = column.is_integer and column.span <= _FEW_CLASSES and column.values >= _ROWS_FOR_A_CLASS * column.span
        problem = "binary" if two else "multiclass" if few else "regression"
    if problem == "binary" and not two:
        raise DataError(
            f"label {name}: problem: expected two values for binary, found more, {column.least:g} to "
            f"{column.greatest:g}"
        )
    if problem == "multiclass" and not (column.is_integer and column.span <= _MOST_CLASSES):
        raise DataError(
            f"label {name}: problem: expected strings or integers that span {_MOST_CLASSES} values at most "
            f"for multiclass, found {column.least:g} to {column.greatest:g}"
        )
    if problem == "regression":
        return Label(name, output, "regression")
    least, greatest = (int(v) if column.is_integer else v for v in (column.least, column.greatest))
    if problem == "binary":
        return Label(name, output, "binary", (least, greatest))
    return Label(name, output, "multiclass", tuple(range(int(least), int(greatest) + 1)))


def _string_label(column: Column, output: str, problem: str | None) -> Label:
    name, classes, hint = column.name, column.all_values, _numbers(column)
    if problem == "regression":
        found = f"strings such as {classes[0]!r}"
        raise DataError(f"label {name}: problem: expected numbers for regression, found {found}{hint}")
    if len(classes) < column.unique or len(classes) > _MOST_CLASSES:
        raise DataError(f"label {name}: expected {_MOST_CLASSES} classes at most, found {column.unique} strings{hint}")
    if len(classes) * 2 > column.values and len(classes) > 2:
        raise DataError(
            f"label {name}: {len(classes)} different strings in {column.values} rows: expected classes that occur "
            f"again{hint}"
        )
    if hint and problem is None and len(classes) > _FEW_CLASSES:
        raise DataError(
            f"label {name}: {column.unique} classes, nearly all of them numbers: expected a regression's numbers "
            f"alone, or training.problem: multiclass{hint}"
        )
    if problem == "binary" and len(classes) != 2:
        raise DataError(f"label {name}: problem: expected two values for binary, found {len(classes)}")
    values = tuple(int(v) for v in classes) if column.is_integer else classes  # integers that are categorical
    chosen: Problem = "binary" if len(classes) == 2 and problem is None else problem or "multiclass"  # type: ignore[assignment]
    return Label(name, output, chosen, tuple(sorted(values)))


def _numbers(column: Column) -> str:
    """What to do about a label that would be a number, but for a few strings."""
    if not column.not_numbers:
        return ""
    texts = ", ".join(map(repr, column.not_numbers))
    return f"; it holds numbers beside {texts}: if those mean a missing value, data.csv.null_values tells it"
