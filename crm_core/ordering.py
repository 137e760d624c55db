"""The order of texts in lists: that of an address book, whatever their case and diacritics, the same on both databases.

See docs/decisions/0031-order-of-names.md.
"""

from typing import Any

from sqlalchemy import Column, ColumnElement, Enum, String
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import GenericFunction
from sqlalchemy.types import Text
from sqlmodel import AutoString

from crm_core.kit.text import SORTED

_MARKS = (
    r"\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e4"
    r"\u06e7\u06e8\u06ea-\u06ed\u093c\u094d\u09bc\u09cd\u0e38-\u0e3a\u0e48-\u0e4b\u1ab0-\u1abd\u1dc0-\u1dff\u20d0-\u20dc\u3099\u309a\ufe20-\ufe2f"
)
"""What ``kit.text.fold`` leaves out of a text, for PostgreSQL: marks over and under letters of the scripts that people have names in."""
_CAPITALS = "".join(chr(n) for n in (*range(0x391, 0x3AA), *range(0x400, 0x430), *range(0x531, 0x557)) if chr(n).isupper())
"""Greek, Cyrillic and Armenian ones: a database whose locale is C makes only Latin letters small."""


class sort_text(GenericFunction):  # noqa: N801  (reads like an SQL function)
    """``kit.text.sort_key`` of a text: the very function on SQLite, the same in words of its own on PostgreSQL."""

    type = Text()
    inherit_cache = True
    name = "sort_text"


@compiles(sort_text, "sqlite")
def _sqlite(element: Any, compiler: Any, **kw: Any) -> str:
    given = compiler.process(element.clauses, **kw)
    plain = f"length({given}) = length(CAST({given} AS BLOB))"  # a function of Python's costs as much as the rest of reading a row
    return f"(CASE WHEN {plain} THEN lower(substr({given}, 1, {SORTED})) ELSE rapport_sort_key({given}) END)"


@compiles(sort_text)
def _postgres(element: Any, compiler: Any, **kw: Any) -> str:
    given = f"left({compiler.process(element.clauses, **kw)}, {SORTED})"
    plain = f"translate({given}, 'đĐłŁøØ', 'ddlloo')"
    for letter, letters in (("ß", "ss"), ("ẞ", "ss"), ("æ", "ae"), ("Æ", "ae"), ("œ", "oe"), ("Œ", "oe")):
        plain = f"replace({plain}, '{letter}', '{letters}')"
    small = f"translate(lower(normalize({plain}, NFKD)), '{_CAPITALS}ς', '{_CAPITALS.lower()}σ')"
    bare = f"left(regexp_replace({small}, '[{_MARKS}]', '', 'g'), {SORTED})"
    ascii_only = f'lower({given} COLLATE "C")'
    return f'(CASE WHEN octet_length({given}) = char_length({given}) THEN {ascii_only} ELSE {bare} END COLLATE "C")'


def alphabetical(column: Any) -> ColumnElement[Any]:
    """What a statement is ordered by, to be ordered by a text: the column that keeps its place where there is one, so that an index is followed.
    Anything but a text is its own order."""
    column = getattr(column, "expression", column)
    kept = next((base.info.get("sorted_by") for base in column.base_columns if isinstance(base, Column)), None)
    if kept:
        return column.table.c[kept]  # type: ignore[no-any-return]
    textual = isinstance(column.type, String | AutoString) and not isinstance(column.type, Enum)
    return sort_text(column) if textual else column
