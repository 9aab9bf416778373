"""What an expression is, such as `trip_seconds > 0 or fare == 0`. Standard library only.

They are written as Python writes them, and read by Python's own parser; but only the parts that are listed here are
taken, and nothing is ever run but array operations of Arrow on columns. So an expression can do nothing else, and a
wrong one is found before any data is read.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from penstock.core.errors import ConfigError
from penstock.core.suggestions import did_you_mean

_LONGEST = 2000  # characters
_DEEPEST = 50
COMPARISONS: dict[type[ast.cmpop], str] = {
    ast.Eq: "equal",
    ast.NotEq: "not_equal",
    ast.Lt: "less",
    ast.LtE: "less_equal",
    ast.Gt: "greater",
    ast.GtE: "greater_equal",
}
ARITHMETIC: dict[type[ast.operator], str] = {
    ast.Add: "add",
    ast.Sub: "subtract",
    ast.Mult: "multiply",
    ast.Div: "divide",
}
# Functions of one argument, by Arrow's names; `column` takes the name of a column that is no name in Python.
FUNCTIONS = {"abs": "abs", "length": "utf8_length", "lower": "utf8_lower", "upper": "utf8_upper", "missing": "is_null"}
_COLUMN = "column"
_PARTS = "columns, numbers, texts, + - * /, comparisons, in [...], and, or, not, and the functions "
_NAMES = (*FUNCTIONS, _COLUMN)


@dataclass(frozen=True)
class Expression:
    """A condition on a row, by the text that a person wrote. A ConfigError says what in it is not understood."""

    text: str
    tree: ast.expr = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "tree", _parsed(self.text))

    def __reduce__(self) -> tuple[type, tuple[str]]:
        return type(self), (self.text,)

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The columns that it names, in their order."""
        return tuple(dict.fromkeys(name for node in ast.walk(self.tree) if (name := column_of(node))))


def column_of(node: ast.AST) -> str:
    """Returns the column that a part of an expression names; "" for any other part."""
    match node:
        case ast.Call(func=ast.Name(id="column"), args=[ast.Constant(value=str() as name)]):
            return name
        case ast.Name(id=name) if name not in _NAMES:
            return name
        case _:
            return ""


def _parsed(text: str) -> ast.expr:
    if not text.strip():
        raise ConfigError("expression: expected a condition such as trip_seconds > 0, received nothing")
    if len(text) > _LONGEST:
        raise ConfigError(f"expression: expected {_LONGEST:,} characters at most, received {len(text):,}")
    try:
        tree = ast.parse(text.strip(), mode="eval").body
        _check(tree, text, 0)
    except SyntaxError as error:
        place = f" at character {error.offset}" if error.offset else ""
        raise ConfigError(f"expression {text!r}: {error.msg}{place}") from None
    except (ValueError, RecursionError, MemoryError):
        raise ConfigError(f"expression {text[:100]!r}: expected a condition such as trip_seconds > 0") from None
    if not _is_condition(tree):
        raise ConfigError(f"expression {text!r}: expected a condition, which is true or false, such as fare >= 0")
    return tree


def _is_condition(node: ast.expr) -> bool:
    match node:
        case ast.Compare() | ast.BoolOp() | ast.UnaryOp(op=ast.Not()):
            return True
        case ast.Call(func=ast.Name(id="missing")):
            return True
        case _:
            return False


def _check(node: ast.expr, text: str, depth: int) -> None:
    """Raises a ConfigError for a part that expressions do not have."""
    if depth > _DEEPEST:
        raise ConfigError(f"expression {text[:100]!r}: expected {_DEEPEST} levels of parentheses at most")
    if column_of(node):
        return
    for inner in _inner(node, text):
        _check(inner, text, depth + 1)


def _inner(node: ast.expr, text: str) -> Iterator[ast.expr]:
    match node:
        case ast.Constant(value=bool()):
            raise ConfigError(f"expression {text!r}: columns hold 0 and 1 for false and true: expected one of these")
        case ast.Constant(value=int() | float() | str()):
            return
        case ast.BoolOp(values=values):
            for value in values:
                _require_condition(value, text)
            yield from values
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            _require_condition(operand, text)
            yield operand
        case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=operand):
            yield operand
        case ast.BinOp(left=left, op=operator, right=right) if type(operator) in ARITHMETIC:
            yield from (left, right)
        case ast.Compare(left=left, ops=ops, comparators=comparators):
            yield left
            for op, right in zip(ops, comparators, strict=True):
                if not isinstance(op, ast.In | ast.NotIn):
                    if type(op) not in COMPARISONS:
                        raise _not_understood(node, text)
                    yield right
                elif not isinstance(right, ast.List | ast.Tuple | ast.Set) or not right.elts or len(ops) > 1:
                    raise ConfigError(f"expression {text!r}: after `in` expected a list such as ['a', 'b']")
                elif not all(isinstance(item, ast.Constant) for item in right.elts):
                    raise ConfigError(f"expression {text!r}: after `in` expected a list of numbers or of texts")
        case ast.Call(func=ast.Name(id=name), args=[argument], keywords=[]) if name in FUNCTIONS:
            yield argument
        case ast.Call(func=ast.Name(id=name)):
            known = f"one argument for {name}" if name in FUNCTIONS else did_you_mean(name, _NAMES, "functions are")
            raise ConfigError(f"expression {text!r}: {name}(): {known}")
        case _:
            raise _not_understood(node, text)


def _require_condition(node: ast.expr, text: str) -> None:
    if not _is_condition(node):
        raise ConfigError(
            f"expression {text!r}: `and`, `or` and `not` take conditions: expected a comparison in place of "
            f"{ast.unparse(node)}"
        )


def _not_understood(node: ast.expr, text: str) -> ConfigError:
    return ConfigError(
        f"expression {text!r}: {ast.unparse(node)} is no part of an expression: expected {_PARTS}{', '.join(_NAMES)}"
    )
