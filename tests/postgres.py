"""Copies of PostgreSQL databases for tests. Making one copies a thousand files; putting a used one back to what it was takes a tenth of that.

Each test gets a database of a name that was never used before. What a test left is found by the server's own counters, which are exact once
all connections have ended: only tables that were written to are filled anew. A database whose tables, columns, indexes, triggers or functions
were changed is thrown away.
"""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import psycopg

OURS = "n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_toast'"
TABLES = f"""
    SELECT c.oid, format('%I.%I', n.nspname, c.relname), c.relfilenode,
           pg_stat_get_tuples_inserted(c.oid) + pg_stat_get_tuples_updated(c.oid) + pg_stat_get_tuples_deleted(c.oid)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r' AND {OURS}"""
CATALOGS = """
    SELECT sum(pg_stat_get_tuples_inserted(oid) + pg_stat_get_tuples_updated(oid) + pg_stat_get_tuples_deleted(oid)) FROM unnest(
        '{pg_class,pg_attribute,pg_constraint,pg_trigger,pg_attrdef,pg_proc}'::regclass[]) oid"""
SEQUENCES = "SELECT format('%I.%I', schemaname, sequencename), last_value FROM pg_sequences"
SHAPE = f"""
    WITH c AS (SELECT c.oid, c.relname, c.relkind FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {OURS})
    SELECT md5(concat(
        (SELECT string_agg(concat(oid, relname, relkind), ',' ORDER BY oid) FROM c),
        (SELECT string_agg(concat(attrelid, attname, attnum, atttypid, atttypmod, attnotnull), ',' ORDER BY attrelid, attnum)
           FROM pg_attribute JOIN c ON c.oid = attrelid),
        (SELECT string_agg(concat(k.oid, k.conname, k.convalidated), ',' ORDER BY k.oid) FROM pg_constraint k JOIN c ON c.oid = k.conrelid),
        (SELECT string_agg(concat(t.oid, t.tgname, t.tgenabled), ',' ORDER BY t.oid) FROM pg_trigger t JOIN c ON c.oid = t.tgrelid),
        (SELECT string_agg(concat(d.oid, pg_get_expr(d.adbin, d.adrelid)), ',' ORDER BY d.oid) FROM pg_attrdef d JOIN c ON c.oid = d.adrelid),
        (SELECT string_agg(concat(p.oid, md5(p.prosrc)), ',' ORDER BY p.oid) FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE {OURS})
    ))"""  # fmt: skip


def statement(server: str, words: str) -> None:
    """Run one statement on the server, outside a transaction."""
    with _connected(server, "postgres") as connection:
        connection.execute(words)


def _connected(server: str, name: str) -> Any:
    return psycopg.connect(server.format(name=name).replace("+psycopg", ""), autocommit=True)


@dataclass
class _State:
    """What a database looks like: its shape, what its sequences give next, and how often each table was written to, those of its shape too."""

    shape: str
    shaped: int
    sequences: dict[str, int | None]
    tables: dict[int, tuple[str, int, int]]

    @classmethod
    def of(cls, connection: Any, before: "_State | None" = None) -> "_State":
        """Its state now. To work out the shape takes longer than all the rest: what it was ``before`` it is still where nobody wrote to the catalogs."""
        shaped = connection.execute(CATALOGS).fetchone()[0]
        shape = before.shape if before and before.shaped == shaped else connection.execute(SHAPE).fetchone()[0]
        sequences = dict(connection.execute(SEQUENCES).fetchall())
        tables = {oid: (name, node, writes) for oid, name, node, writes in connection.execute(TABLES).fetchall()}
        return cls(shape, shaped, sequences, tables)


@dataclass
class _Used:
    name: str
    state: _State


class Copies:
    """The copies of one template in this process."""

    def __init__(self, server: str, template: str) -> None:
        self.server, self.template = server, template
        self.rows: dict[str, bytes] = {}
        self.kept: _Used | None = None

    @contextmanager
    def one(self) -> Iterator[str]:
        """URL of a copy, as long as it is needed."""
        name = f"t_{uuid.uuid4().hex[:12]}"
        used, self.kept = self.kept, None
        if used is None:
            statement(self.server, f"CREATE DATABASE {name} TEMPLATE {self.template} STRATEGY file_copy")
            with _connected(self.server, name) as connection:
                state = _State.of(connection)
        else:
            statement(self.server, f"ALTER DATABASE {used.name} RENAME TO {name}")
            state = used.state
        try:
            yield self.server.format(name=name)
        finally:
            self._give_back(_Used(name, state))

    def _give_back(self, used: _Used) -> None:
        with _connected(self.server, used.name) as connection:
            others = "datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
            connection.execute(f"SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE {others}")
            now = _State.of(connection, used.state)
            if sound := now.shape == used.state.shape:
                self._restore(connection, used, now)
        if sound and self.kept is None:
            self.kept = used
        else:
            statement(self.server, f"DROP DATABASE {used.name} WITH (FORCE)")

    def _restore(self, connection: Any, used: _Used, now: _State) -> None:
        written = [name for oid, (name, *marks) in now.tables.items() if marks != list(used.state.tables[oid][1:])]
        with connection.transaction():
            connection.execute("SET LOCAL session_replication_role = replica")  # rows come and go without asking each other
            for name in written:
                connection.execute(f"DELETE FROM {name}")
                if rows := self._content(name):
                    with connection.cursor().copy(f"COPY {name} FROM STDIN") as copy:
                        copy.write(rows)
            for name, value in used.state.sequences.items():
                if now.sequences[name] != value:
                    connection.execute("SELECT setval(%s, %s, %s)", [name, value or 1, value is not None])
        if written:
            connection.execute(f"VACUUM {', '.join(written)}")
        connection.execute("SELECT pg_stat_force_next_flush()")
        connection.execute("SELECT 1")
        used.state = _State.of(connection, now)

    def _content(self, table: str) -> bytes:
        """The rows of a table in the template, as the server writes them down."""
        if table not in self.rows:
            with _connected(self.server, self.template) as connection, connection.cursor().copy(f"COPY {table} TO STDOUT") as copy:
                self.rows[table] = b"".join(copy)
        return self.rows[table]


@cache
def copies(server: str, template: str) -> Copies:
    """The copies of a template, for as long as this process runs."""
    return Copies(server, template)
