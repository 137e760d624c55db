"""One comparison as a SQL clause, on columns of one table."""

from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, false, not_, or_, true
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import GenericFunction
from sqlalchemy.types import Text

from crm_core import persons
from crm_core.fields import Reckoned
from crm_core.filters.nodes import POSITIVE, Leaf, compare
from crm_core.vocabulary import FieldKind

_TEXTUAL = (FieldKind.TEXT, FieldKind.LONG_TEXT, FieldKind.EMAIL, FieldKind.PHONE, FieldKind.URL, FieldKind.PICK)


class folded(GenericFunction):  # noqa: N801
    """Lower case in the same way on both databases: a registered function on SQLite (its own knows ASCII only), ``lower`` elsewhere."""

    type = Text()
    inherit_cache = True
    name = "folded"


@compiles(folded, "sqlite")
def _folded_sqlite(element: Any, compiler: Any, **kw: Any) -> str:
    return f"rapport_lower({compiler.process(element.clauses, **kw)})"


@compiles(folded)
def _folded(element: Any, compiler: Any, **kw: Any) -> str:
    return f"lower({compiler.process(element.clauses, **kw)})"


def leaf_sql(leaf: Leaf, table: Any) -> ColumnElement[bool]:
    """The clause of a comparison with a field of the table itself. What the field says of the records ``leaf.misread`` the reader does not know: to them
    it says something else."""
    clause = _compared(leaf, table)
    if not leaf.misread:
        return clause
    if leaf.cmp in POSITIVE:
        return or_(clause, table.c.id.in_(persons.numbers(leaf.misread)))
    return and_(clause, table.c.id.not_in(persons.numbers(leaf.misread)))


def _compared(leaf: Leaf, table: Any) -> ColumnElement[bool]:
    column = leaf.spec.expression(table)
    value = leaf.value
    if isinstance(leaf.spec, Reckoned) and leaf.cmp in (
        "eq",
        "ne",
    ):  # a condition as it stands leads to an index, one that is compared does not
        return column if value == (leaf.cmp == "eq") else not_(column)
    textual = leaf.spec.kind in _TEXTUAL or (leaf.spec.kind is FieldKind.CHOICE and leaf.spec.enum is None)
    if leaf.cmp == "empty":
        return or_(column.is_(None), column == "") if textual else column.is_(None)
    if textual:
        column = folded(column)
    if leaf.cmp == "contains":
        return column.contains(value, autoescape=True)
    if leaf.cmp == "not_contains":
        return or_(column.is_(None), not_(column.contains(value, autoescape=True)))
    if leaf.cmp == "starts":
        return column.startswith(value, autoescape=True)
    if leaf.cmp == "ends":
        return column.endswith(value, autoescape=True)
    if leaf.spec.enum is not None and (leaf.cmp == "eq" or (leaf.cmp == "in" and len(value) == 1)):
        return is_choice(column, value if leaf.cmp == "eq" else value[0])
    if leaf.cmp == "in":
        return column.in_(value) if value else false()
    if leaf.cmp == "not_in":
        return or_(column.is_(None), column.not_in(value)) if value else true()
    if leaf.cmp == "ne":
        return or_(column.is_(None), column != value)
    return compare(column, leaf.cmp, value)  # type: ignore[return-value]


def is_choice(column: Any, value: Any) -> ColumnElement[bool]:
    """A column that holds this word of a closed vocabulary. The word is written into the statement: SQLite finds an index over a part of the rows
    only by a condition that it can read."""
    clause: ColumnElement[bool] = column == bindparam(None, value, type_=column.type, unique=True, literal_execute=True)
    return clause
