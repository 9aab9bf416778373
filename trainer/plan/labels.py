"""The label of a table without code, from the statistics of the training split.

core/labels.py decides whether its values are classes, `problem` overrides. More than 20 numbers beside a few strings
are neither classes nor numbers, as the strings most often stand for missing values. Classes are in the order of their
values, so the greater one of two is what a binary model gives the probability of.
"""

from penstock.core.errors import ConfigError, DataError
from penstock.core.labels import FEW_CLASSES, MOST_CLASSES, PROBLEMS, Label, Problem
from penstock.core.statistics import exact
from penstock.core.suggestions import did_you_mean
from penstock.trainer.plan.columns import Column


def planned(column: Column, output: str, problem: str | None) -> Label:
    """Returns the label of a column, which Transform makes under the name `output`.

    Raises a DataError if nothing can be learnt of it, or not as `problem` asks for; a ConfigError for no such problem.
    """
    name = column.name
    asked = _asked(problem)
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
        return _string_label(column, output, asked)
    values = column.label_values
    chosen = asked or values.problem(column.values)
    if chosen == "binary" and not values.two:
        raise DataError(
            f"label {name}: problem: expected two values for binary, found more, {exact.text(column.least)} to "
            f"{exact.text(column.greatest)}"
        )
    if chosen == "multiclass" and not (column.is_integer and values.span <= MOST_CLASSES):
        raise DataError(
            f"label {name}: problem: expected strings or integers that span {MOST_CLASSES} values at most "
            f"for multiclass, found {exact.text(column.least)} to {exact.text(column.greatest)}"
        )
    if chosen == "regression":
        return Label(name, output, "regression")
    if column.is_integer and isinstance(column.least, float):
        raise DataError(
            f"label {name}: its integers, {column.least:.0f} and others, are larger than the statistics tell exactly: "
            "expected those of Penstock's StatisticsGen"
        )
    if chosen == "binary":
        return Label(name, output, "binary", (column.least, column.greatest))
    return Label(name, output, "multiclass", tuple(range(int(column.least), int(column.greatest) + 1)))


def _asked(problem: str | None) -> Problem | None:
    """Returns the problem that a person says it is; None if that is left to the values."""
    known = next((known for known in PROBLEMS if known == problem), None)
    if problem is not None and known is None:
        raise ConfigError(f"problem: unknown {problem!r}; {did_you_mean(problem, PROBLEMS)}")
    return known


def _string_label(column: Column, output: str, problem: Problem | None) -> Label:
    name, classes, hint = column.name, column.all_values, _numbers(column)
    if problem == "regression":
        raise DataError(
            f"label {name}: problem: expected numbers for regression, found strings such as {classes[0]!r}{hint}"
        )
    if len(classes) < column.unique or len(classes) > MOST_CLASSES:
        raise DataError(f"label {name}: expected {MOST_CLASSES} classes at most, found {column.unique} strings{hint}")
    if len(classes) * 2 > column.values and len(classes) > 2:
        raise DataError(
            f"label {name}: {len(classes)} different strings in {column.values} rows: expected classes that occur "
            f"again{hint}"
        )
    if hint and problem is None and len(classes) > FEW_CLASSES:
        raise DataError(
            f"label {name}: {column.unique} classes, nearly all of them numbers: expected a regression's numbers "
            f"alone, or training.problem: multiclass{hint}"
        )
    if problem == "binary" and len(classes) != 2:
        raise DataError(f"label {name}: problem: expected two values for binary, found {len(classes)}")
    values = tuple(int(v) for v in classes) if column.is_integer else classes  # integers that are categorical
    return Label(name, output, problem or column.label_values.problem(column.values), tuple(sorted(values)))


def _numbers(column: Column) -> str:
    """What to do about a label that would be a number, but for a few strings."""
    if not column.not_numbers:
        return ""
    texts = ", ".join(map(repr, column.not_numbers))
    return f"; it holds numbers beside {texts}: if those mean a missing value, data.csv.null_values tells it"
