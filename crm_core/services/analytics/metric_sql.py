"""Small pieces of SQL that key figures need and that differ between the databases: spans of time, the step of a trend a value falls
into, and many numbers in one text."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Integer, String, case, cast, func, literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import GenericFunction
from sqlalchemy.types import NULLTYPE


class days_between(GenericFunction):  # noqa: N801
    """Whole days from the second date to the first one."""

    type = Integer()
    inherit_cache = True
    name = "days_between"


@compiles(days_between, "sqlite")
def _days_sqlite(element: Any, compiler: Any, **kw: Any) -> str:
    later, earlier = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"CAST(julianday({later}) - julianday({earlier}) AS INTEGER)"


@compiles(days_between)
def _days(element: Any, compiler: Any, **kw: Any) -> str:
    later, earlier = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"({later} - {earlier})"


class minutes_between(GenericFunction):  # noqa: N801
    """Minutes from the second instant to the first one, rounded to the nearest."""

    type = BigInteger()
    inherit_cache = True
    name = "minutes_between"


@compiles(minutes_between, "sqlite")
def _minutes_sqlite(element: Any, compiler: Any, **kw: Any) -> str:
    later, earlier = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"CAST(round((julianday({later}) - julianday({earlier})) * 1440) AS INTEGER)"


@compiles(minutes_between)
def _minutes(element: Any, compiler: Any, **kw: Any) -> str:
    later, earlier = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"CAST(round(extract(epoch FROM {later} - {earlier}) / 60) AS BIGINT)"


class seconds_between(GenericFunction):  # noqa: N801
    """Whole seconds from the second instant to the first one."""

    type = BigInteger()
    inherit_cache = True
    name = "seconds_between"


@compiles(seconds_between, "sqlite")
def _seconds_sqlite(element: Any, compiler: Any, **kw: Any) -> str:
    later, earlier = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"CAST(round((julianday({later}) - julianday({earlier})) * 86400) AS INTEGER)"


@compiles(seconds_between)
def _seconds(element: Any, compiler: Any, **kw: Any) -> str:
    later, earlier = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"CAST(round(extract(epoch FROM {later} - {earlier})) AS BIGINT)"


def step_of(column: Any, starts: Sequence[Any]) -> ColumnElement[int]:
    """The index of the step that a value falls into, given where each step begins; what lies before the first counts as step 0."""
    if len(starts) < 2:
        return literal(0, Integer())
    return case(*((column < begin, index) for index, begin in enumerate(starts[1:])), else_=len(starts) - 1)


def packed(value: Any) -> Any:
    """Whole numbers of a group as one text with commas: one row per group, where grouping by the number too would give a row for each."""
    return func.aggregate_strings(cast(value, String), ",")


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
