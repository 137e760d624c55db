"""Spans of time in SQL, the same on both databases: always from the second value to the first one; and many of them in one text."""

from typing import Any, ClassVar

from sqlalchemy import BigInteger, Integer, String, cast, func
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import GenericFunction


class _Span(GenericFunction):
    """``sqlite`` and ``elsewhere``: how the databases write it, of ``later`` and ``earlier``."""

    _register = False
    inherit_cache = True
    sqlite: ClassVar[str]
    elsewhere: ClassVar[str]


@compiles(_Span, "sqlite")
def _sqlite(element: Any, compiler: Any, **kw: Any) -> str:
    later, earlier = (compiler.process(clause, **kw) for clause in element.clauses)
    return str(element.sqlite.format(later=later, earlier=earlier))


@compiles(_Span)
def _elsewhere(element: Any, compiler: Any, **kw: Any) -> str:
    later, earlier = (compiler.process(clause, **kw) for clause in element.clauses)
    return str(element.elsewhere.format(later=later, earlier=earlier))


class days_between(_Span):  # noqa: N801  (these read like SQL functions)
    """Whole days from the second date to the first one."""

    type = Integer()
    inherit_cache = True
    sqlite = "CAST(julianday({later}) - julianday({earlier}) AS INTEGER)"
    elsewhere = "({later} - {earlier})"


class minutes_between(_Span):  # noqa: N801
    """Minutes from the second instant to the first one, rounded to the nearest."""

    type = BigInteger()
    inherit_cache = True
    sqlite = "CAST(round((julianday({later}) - julianday({earlier})) * 1440) AS INTEGER)"
    elsewhere = "CAST(round(extract(epoch FROM {later} - {earlier}) / 60) AS BIGINT)"


class seconds_between(_Span):  # noqa: N801
    """Whole seconds from the second instant to the first one."""

    type = BigInteger()
    inherit_cache = True
    sqlite = "CAST(round((julianday({later}) - julianday({earlier})) * 86400) AS INTEGER)"
    elsewhere = "CAST(round(extract(epoch FROM {later} - {earlier})) AS BIGINT)"


def packed(value: Any) -> Any:
    """Whole numbers of a group as one text with commas: one row per group, where grouping by the number too would give a row for each."""
    return joined(cast(value, String))


def joined(texts: Any) -> Any:
    """Packed texts of a group as one of them."""
    return func.aggregate_strings(texts, ",")
