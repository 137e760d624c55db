"""Small pieces of SQL that key figures need and that differ between the databases: spans of time, and the step of a trend a value falls into."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Integer, case, literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import GenericFunction


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


def step_of(column: Any, starts: Sequence[Any]) -> ColumnElement[int]:
    """The index of the step that a value falls into, given where each step begins; what lies before the first counts as step 0."""
    if len(starts) < 2:
        return literal(0, Integer())
    return case(*((column < begin, index) for index, begin in enumerate(starts[1:])), else_=len(starts) - 1)
