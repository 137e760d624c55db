"""Small pieces of SQL that key figures need: the step of a trend a value falls into, many numbers in one text, and a hint to SQLite."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Integer, case, literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import GenericFunction
from sqlalchemy.types import NULLTYPE


def step_of(column: Any, starts: Sequence[Any]) -> ColumnElement[int]:
    """The index of the step that a value falls into, given where each step begins; what lies before the first counts as step 0."""
    if len(starts) < 2:
        return literal(0, Integer())
    return case(*((column < begin, index) for index, begin in enumerate(starts[1:])), else_=len(starts) - 1)


def unpacked(text: str | None) -> Counter[int]:
    """How often each number occurs in a packed text."""
    return Counter(map(int, text.split(","))) if text else Counter()


class broad(GenericFunction):  # noqa: N801
    """A condition that most rows meet: SQLite's planner takes each bound of a range for a narrow one, and leaves the index that holds all columns."""

    type = NULLTYPE  # of a Boolean, SQLite would be asked whether it equals 1
    inherit_cache = True
    name = "broad"


@compiles(broad, "sqlite")
def _broad_sqlite(element: Any, compiler: Any, **kw: Any) -> str:
    return f"likely({compiler.process(element.clauses, **kw)})"


@compiles(broad)
def _broad(element: Any, compiler: Any, **kw: Any) -> str:
    return f"({compiler.process(element.clauses, **kw)})"
