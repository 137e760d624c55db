"""What the database's planner knows of its tables. PostgreSQL counts by itself as rows come; SQLite only when it is told to, and without counts it guesses."""

from sqlalchemy import Connection, text

from crm_core import db
from crm_core.models import Base

GROWTH, FEW = 3, 1000
"""Counted anew when a table holds so many times the rows of the last count; below so many rows any plan is good."""


def count_anew() -> list[str]:
    """Count the tables that grew a lot since they were last counted, or got an index that was not; their names, none on PostgreSQL."""
    with db.read_engine().connect() as connection:
        grown = _grown(connection) if connection.dialect.name == "sqlite" else []
    if grown:
        with db.write_engine().begin() as connection:
            for name in grown:
                connection.execute(text(f'ANALYZE "{name}"'))
            connection.execute(text("CREATE TABLE counted_anew (n)"))  # open connections read the counts when the schema changes
            connection.execute(text("DROP TABLE counted_anew"))
    return grown


def _grown(connection: Connection) -> list[str]:
    known: dict[str, int] = {}
    counted: set[str] = set()
    if connection.execute(text("select 1 from sqlite_master where name = 'sqlite_stat1'")).first():
        for name, index, stat in connection.execute(text("select tbl, idx, stat from sqlite_stat1")):
            known[name] = max(known.get(name, 0), int(str(stat).split()[0]))
            counted.add(index)
    keys = [name for name, table in Base.metadata.tables.items() if "id" in table.c]
    newest = {name: connection.execute(text(f'select max(rowid) from "{name}"')).scalar() or 0 for name in keys}  # noqa: S608
    return sorted(
        name
        for name, rows in newest.items()
        if rows > GROWTH * known.get(name, 0) + FEW or (rows > FEW and _whole_indexes(connection, name) - counted)
    )


def _whole_indexes(connection: Connection, table: str) -> set[str]:
    """The indexes of a table that hold all of its rows: those of a few rows may have nothing to count."""
    listed = text("select name from pragma_index_list(:table) where not partial")
    return set(connection.execute(listed, {"table": table}).scalars())
