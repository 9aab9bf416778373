"""Expressions over the columns of rows, by Arrow's array functions."""

import ast
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from penstock.core.cleaning.expressions import kinds
from penstock.core.cleaning.expressions.syntax import ARITHMETIC, COMPARISONS, FUNCTIONS, Expression, column_of
from penstock.core.cleaning.rows import Mask, Rows
from penstock.core.cleaning.rules import Check
from penstock.core.errors import DataError


def check(rule: Check, rows: Rows) -> None:
    failing = fails(rule.expression, rows)
    if rule.otherwise == "drop":
        rows.drop(failing)
    elif rule.otherwise == "flag":
        rows.mark(rule.name, failing)
    else:
        for column in rule.columns:
            values = rows.values(column)
            rows.refuse(column, values, failing[values.rows], "missing")


def fails(expression: Expression, rows: Rows) -> Mask:
    """Returns for which rows an expression is false; not those for which a value that it needs is missing.

    Raises a DataError if the columns are of other types than the expression takes, or have several values in a row.
    """
    if wrong := kinds.misfit(expression, {name: rows.type(name) for name in expression.columns}):
        raise DataError(f"expression {expression.text!r}: {wrong}")
    holds = _value(expression.tree, rows)
    if isinstance(holds, pa.Scalar):
        return np.full(rows.count, holds.is_valid and not holds.as_py())
    mask: Mask = ~pc.fill_null(holds, True).to_numpy(zero_copy_only=False).astype(bool)
    return mask


def _value(node: ast.expr, rows: Rows) -> Any:
    """Returns the value of a part in each row, an array, or a scalar of what is the same in all."""
    if name := column_of(node):
        return _column(name, rows)
    match node:
        case ast.Constant(value=value):
            return pa.scalar(_constant(value))
        case ast.BoolOp(op=op, values=operands):
            joined = pc.and_kleene if isinstance(op, ast.And) else pc.or_kleene
            total = _value(operands[0], rows)
            for part in operands[1:]:
                total = joined(total, _value(part, rows))
            return total
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return pc.invert(_value(operand, rows))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return pc.negate(_of_type(pa.float64(), _value(operand, rows)))
        case ast.UnaryOp(operand=operand):
            return _value(operand, rows)
        case ast.BinOp(left=left, op=op, right=right):
            return _arithmetic(ARITHMETIC[type(op)], _value(left, rows), _value(right, rows))
        case ast.Compare(left=left, ops=ops, comparators=comparators):
            return _comparison(left, ops, comparators, rows)
        case ast.Call(func=ast.Name(id=function), args=[argument]):
            return _call(function, _value(argument, rows))
    raise AssertionError(ast.dump(node))


def _column(name: str, rows: Rows) -> pa.Array:
    kind = rows.type(name)
    if kind is None:
        return pa.nulls(rows.count)
    values = rows.single(name)
    if kind == "float":
        return pc.if_else(pc.is_nan(values), None, values).cast(pa.float64())
    if kind == "integer":
        return values
    try:
        return values.cast(pa.string())
    except pa.ArrowInvalid:
        raise DataError(
            f"column {name!r} holds bytes that are no text in UTF-8, and an expression takes text"
        ) from None


def _alike(left: Any, right: Any) -> tuple[Any, Any]:
    """Returns whole numbers as floats where they are compared with floats; Arrow refuses those beyond 2**53."""
    if pa.types.is_floating(left.type) and pa.types.is_integer(right.type):
        return left, _as_float(right)
    if pa.types.is_integer(left.type) and pa.types.is_floating(right.type):
        return _as_float(left), right
    return left, right


def _as_float(values: Any) -> Any:
    return pc.cast(values, pa.float64(), safe=False)


def _arithmetic(function: str, left: Any, right: Any) -> Any:
    """Whole numbers become floats, which do not overflow, and whose division by zero is infinite or NaN."""
    return pc.call_function(function, [_as_float(value) for value in (left, right)])


def _comparison(left: ast.expr, ops: list[ast.cmpop], comparators: list[ast.expr], rows: Rows) -> Any:
    before, total = _value(left, rows), None
    for op, node in zip(ops, comparators, strict=True):
        if isinstance(op, ast.In | ast.NotIn):
            held = _is_in(before, node, rows)
            held = pc.invert(held) if isinstance(op, ast.NotIn) else held
            value = before
        else:
            value = _value(node, rows)
            held = pc.call_function(COMPARISONS[type(op)], list(_alike(before, value)))
        total = held if total is None else pc.and_kleene(total, held)
        before = value
    return total


def _constant(value: Any) -> Any:
    """Returns what Arrow takes of a constant: whole numbers beyond 64 bits as floats."""
    return float(value) if isinstance(value, int) and abs(value) >= 2**63 else value


def _is_in(values: Any, node: ast.expr, rows: Rows) -> Any:
    items = [_constant(item.value) for item in node.elts if isinstance(item, ast.Constant)]  # type: ignore[attr-defined]
    if pa.types.is_null(values.type):
        return pa.nulls(rows.count, pa.bool_())
    values, among = _alike(values, pa.array(items))
    found = pc.is_in(values, value_set=among.cast(values.type))
    return pc.if_else(pc.is_valid(values), found, None)


def _call(function: str, value: Any) -> Any:
    if function == "missing":
        return pc.is_null(value)
    return pc.call_function(FUNCTIONS[function], [_of_type(pa.float64() if function == "abs" else pa.string(), value)])


def _of_type(kind: pa.DataType, value: Any) -> Any:
    """Returns what has no value in any row as of a type: Arrow's functions take none that has no type."""
    return value.cast(kind) if pa.types.is_null(value.type) else value
