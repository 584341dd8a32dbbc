"""Conditions on the columns of an index, such as ``price < 300000 AND town IN ('Ulm', 'Bonn')``.

Conditions come from strangers, so no database gets one as text. A small grammar reads a condition
to its end, and makes an Arrow expression of it, which compares columns and can do nothing else.
"""

from __future__ import annotations

import difflib
import functools
import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import lark
import pyarrow as pa
import pyarrow.compute as pc

from photosieve.errors import UsageError

MAX_LENGTH = 1000
"""Characters of a condition."""

GRAMMAR = r"""
?start: either
?either: both | either "OR"i both
?both: negated | both "AND"i negated
?negated: test | "NOT"i negated -> negation
?test: "(" either ")"
    | column -> truth
    | column COMPARISON (column | literal) -> compare
    | literal COMPARISON column -> compare
    | column [NOT] "IN"i "(" literal ("," literal)* ")" -> among
    | column [NOT] "LIKE"i literal -> like
    | column [NOT] "BETWEEN"i literal "AND"i literal -> between
    | column "IS"i [NOT] "NULL"i -> null
column: NAME | QUOTED_NAME
?literal: NUMBER -> number | STRING -> text | "TRUE"i -> true | "FALSE"i -> false
NOT: "NOT"i
COMPARISON: "=" | "==" | "!=" | "<>" | "<=" | ">=" | "<" | ">"
NAME: /[^\W\d]\w*/i
QUOTED_NAME: /"[^"]+"/ | /`[^`]+`/
NUMBER: /[-+]?(\d+(\.\d*)?|\.\d+)(e[-+]?\d+)?(?!\w)/i
STRING: /'([^']|'')*'/
%ignore /\s+/
"""

COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}

Kind = Literal["numbers", "texts", "dates", "truth values", "other values"]


@dataclass(frozen=True)
class Condition:
    """A condition that was read.

    Parameters
    ----------
    expression : pyarrow.compute.Expression
        With the rules of SQL for missing values: a comparison with one is neither true nor false.
    columns : tuple of str
        Columns that it asks for.
    """

    expression: Any
    columns: tuple[str, ...]


@dataclass(frozen=True)
class _Value:
    """A column, which has a type, or a literal, which has a value."""

    shown: str
    kind: Kind
    type: Any = None
    value: Any = None

    @property
    def expression(self) -> Any:
        return pc.scalar(self.value) if self.type is None else pc.field(self.shown)


def read_condition(text: str, columns: pa.Schema) -> Condition:
    """Read a condition.

    Parameters
    ----------
    text : str
        Comparisons of columns with numbers, texts and dates in ``'...'``, TRUE, FALSE and other
        columns by =, !=, <, <=, >, >=, IN, LIKE, BETWEEN and IS NULL, joined by AND, OR, NOT and
        parentheses. A column whose name is not one word stands in ``"..."``.
    columns : pyarrow.Schema
        Columns that it may ask for.

    Raises
    ------
    UsageError
        If it contains anything else, is longer than `MAX_LENGTH`, names another column, or compares
        values of different kinds.
    """
    if len(text) > MAX_LENGTH:
        raise UsageError(
            f"the condition has {len(text)} characters; at most {MAX_LENGTH} are allowed"
        )
    reader = _Reader(columns)
    try:
        expression = reader.transform(_parser().parse(text))
    except lark.UnexpectedInput as error:
        rest = text[error.pos_in_stream or 0 :].split()
        at = f'at "{rest[0][:40]}"' if rest and error.pos_in_stream != -1 else "at its end"
        raise UsageError(
            f"the condition cannot be understood {at}; compare columns with numbers or 'texts' "
            "by =, !=, <, <=, >, >=, IN, LIKE, BETWEEN or IS NULL, and join comparisons by AND, "
            "OR, NOT and parentheses"
        ) from None
    except lark.exceptions.VisitError as error:
        raise error.orig_exc from None
    return Condition(expression, tuple(dict.fromkeys(reader.used)))


@functools.cache
def _parser() -> lark.Lark:
    return lark.Lark(GRAMMAR, parser="lalr")


@lark.v_args(inline=True)
class _Reader(lark.visitors.Transformer_NonRecursive[lark.Token, Any]):
    """Makes the expression of a syntax tree, from its leaves up, however deep it is."""

    def __init__(self, columns: pa.Schema) -> None:
        super().__init__()
        self._columns = columns
        self.used: list[str] = []

    def column(self, token: lark.Token) -> _Value:
        name = token[1:-1] if token.type == "QUOTED_NAME" else str(token)
        names = self._columns.names
        if name not in names:
            near = difflib.get_close_matches(name, names, 1)
            advice = f' (did you mean "{near[0]}"?)' if near else ""
            raise UsageError(
                f'there is no column "{name}"{advice}; the columns are {", ".join(names)}'
            )
        self.used.append(name)
        type_ = self._columns.field(name).type
        return _Value(name, _kind(type_), type_)

    def number(self, token: lark.Token) -> _Value:
        number = int(token) if token.lstrip("+-").isdecimal() else float(token)
        if not math.isfinite(number) or abs(number) >= 2**63:
            raise UsageError(f"the number {token} is too large for any column")
        return _Value(str(token), "numbers", value=number)

    def text(self, token: lark.Token) -> _Value:
        return _Value(str(token), "texts", value=token[1:-1].replace("''", "'"))

    def true(self) -> _Value:
        return _Value("TRUE", "truth values", value=True)

    def false(self) -> _Value:
        return _Value("FALSE", "truth values", value=False)

    def truth(self, column: _Value) -> Any:
        if column.kind != "truth values":
            raise UsageError(
                f'the column "{column.shown}" has {column.kind}: compare it with a value'
            )
        return column.expression

    def compare(self, left: _Value, sign: str, right: _Value) -> Any:
        left, right = _alike(left, right)
        return COMPARISONS[sign](left.expression, right.expression)

    def among(self, column: _Value, no: lark.Token | None, *values: _Value) -> Any:
        tests = [self.compare(column, "=", value) for value in values]
        return _unless(no, functools.reduce(operator.or_, tests))

    def like(self, column: _Value, no: lark.Token | None, pattern: _Value) -> Any:
        if column.kind != "texts" or pattern.kind != "texts":
            raise UsageError(f"LIKE compares texts: {column.shown} LIKE {pattern.shown} does not")
        return _unless(no, pc.match_like(column.expression, pattern.value))

    def between(self, column: _Value, no: lark.Token | None, low: _Value, high: _Value) -> Any:
        return _unless(no, self.compare(column, ">=", low) & self.compare(column, "<=", high))

    def null(self, column: _Value, no: lark.Token | None) -> Any:
        return _unless(no, column.expression.is_null())

    def negation(self, condition: Any) -> Any:
        return ~condition

    def both(self, left: Any, right: Any) -> Any:
        return left & right

    def either(self, left: Any, right: Any) -> Any:
        return left | right


def _unless(no: lark.Token | None, condition: Any) -> Any:
    return condition if no is None else ~condition


def _alike(left: _Value, right: _Value) -> tuple[_Value, _Value]:
    """Return two values in a form that can be compared: a text beside a date is a date."""
    if left.kind == "dates" and right.type is None:
        return left, _date(left, right)
    if right.kind == "dates" and left.type is None:
        return _date(right, left), right
    if left.kind != right.kind or left.kind == "other values":
        raise UsageError(
            f"{left.shown} and {right.shown} cannot be compared: "
            f"they are {left.kind} and {right.kind}"
        )
    return left, right


def _date(column: _Value, literal: _Value) -> _Value:
    try:
        moment = datetime.fromisoformat(literal.value if literal.kind == "texts" else "")
        zone = getattr(column.type, "tz", None)
        if zone is None:
            moment = moment.replace(tzinfo=None)
        elif moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        value = pa.scalar(moment, pa.timestamp("us", zone))
    except (ValueError, OverflowError):
        raise UsageError(
            f'the column "{column.shown}" has dates, and {literal.shown} is none: '
            "write it as '2026-01-31' or '2026-01-31 12:00'"
        ) from None
    return _Value(literal.shown, "dates", value=value)


def _kind(type_: pa.DataType) -> Kind:
    checks: dict[Kind, tuple[Callable[[pa.DataType], bool], ...]] = {
        "numbers": (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal),
        "texts": (pa.types.is_string, pa.types.is_large_string),
        "dates": (pa.types.is_date, pa.types.is_timestamp),
        "truth values": (pa.types.is_boolean,),
    }
    fitting = (kind for kind, tests in checks.items() if any(test(type_) for test in tests))
    return next(fitting, "other values")
