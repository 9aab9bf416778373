"""Of what kind the parts of an expression are: whether its columns, numbers and texts go together.

Standard library only: it is known from the columns' types, before any row is looked at.
"""

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from penstock.core import csv_format
from penstock.core.cleaning.expressions.syntax import Expression, column_of
from penstock.core.cleaning.rules import TYPE_WORDS, Type

type Kind = Literal["number", "text", "condition"]
_OF_TEXT = ("length", "lower", "upper")
_ARE: dict[Kind, str] = {"number": "a number", "text": "a text", "condition": "true or false"}


def misfit(expression: Expression, types: Mapping[str, Type | None]) -> str:
    """Returns a sentence on the first part that does not fit, with the column, its type and what to write; "" if none.

    Columns that are not in `types`, or have no value, may be of any kind.
    """
    try:
        _Kinds(types).of(expression.tree)
    except _Misfit as error:
        return str(error)
    return ""


class _Misfit(Exception):
    """A part is of another kind than it has to be."""


@dataclass(frozen=True)
class _Kinds:
    types: Mapping[str, Type | None]

    def of(self, node: ast.expr) -> Kind | None:
        """Returns the kind of a part, None if it is not known; raises a _Misfit for one whose parts do not fit."""
        if name := column_of(node):
            known = self.types.get(name)
            return None if known is None else "text" if known == "text" else "number"
        match node:
            case ast.Constant(value=value):
                return "text" if isinstance(value, str) else "number"
            case ast.BoolOp(values=operands):
                for operand in operands:
                    self.of(operand)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                self.of(operand)
            case ast.UnaryOp(operand=operand):
                return self._require("number", operand, node)
            case ast.BinOp(left=left, right=right):
                self._require("number", left, node)
                return self._require("number", right, node)
            case ast.Compare(left=left, ops=ops, comparators=comparators):
                self._compare(left, ops, comparators)
            case ast.Call(func=ast.Name(id="missing"), args=[argument]):
                self.of(argument)
            case ast.Call(func=ast.Name(id=function), args=[argument]):
                kind = self._require("text" if function in _OF_TEXT else "number", argument, node)
                return "number" if function == "length" else kind
        return "condition"

    def _require(self, kind: Kind, part: ast.expr, whole: ast.expr) -> Kind:
        found = self.of(part)
        if found and found != kind:
            raise _Misfit(f"{ast.unparse(whole)} takes {kind}s, and {self._said(part, found)}{_advice(part, kind)}")
        return kind

    def _compare(self, left: ast.expr, ops: list[ast.cmpop], comparators: list[ast.expr]) -> None:
        for op, right in zip(ops, comparators, strict=True):
            if isinstance(op, ast.In | ast.NotIn):
                items = right.elts if isinstance(right, ast.List | ast.Tuple | ast.Set) else []
                for item in items:
                    self._compare_two(left, item)
                for item in items[1:]:
                    self._compare_two(items[0], item)
            else:
                self._compare_two(left, right)
            left = right

    def _compare_two(self, left: ast.expr, right: ast.expr) -> None:
        one, other = self.of(left), self.of(right)
        if not one or not other or one == other:
            return
        advice = _advice(left, other, right) or _advice(right, one, left) or ": expected two of a kind"
        raise _Misfit(f"{self._said(left, one)}, and {self._said(right, other)}{advice}")

    def _said(self, part: ast.expr, kind: Kind) -> str:
        name = column_of(part)
        known = self.types.get(name) if name else None
        return f"column {name!r} holds {TYPE_WORDS[known]}" if known else f"{ast.unparse(part)} is {_ARE[kind]}"


def _advice(part: ast.expr, kind: Kind, beside: ast.expr | None = None) -> str:
    """Returns how a column becomes of a kind, or what is written beside it instead; "" where there is no such way."""
    name = column_of(part)
    if not name or kind == "condition":
        return ""
    to, what = ("float", "numbers") if kind == "number" else ("text", "text")
    rule = f"{{rule: type, columns: [{name}], to: {to}}} before this rule makes {what} of it"
    match beside:
        case ast.Constant(value=int() | float() as value):
            return f": write {str(value)!r}, or {rule}"
        case ast.Constant(value=str() as value):
            return f": write {'a number' if csv_format.number(value) is None else value}, or {rule}"
        case _:
            return f": {rule}"
