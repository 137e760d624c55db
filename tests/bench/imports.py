"""How fast an import is, beside a raw bulk insert of the same rows measured in the same run.

``cases()`` gives, for each kind of file, a callable that runs in an empty workspace of its own. The import's time is all of it: reading the
file twice, proposing a plan, validating, writing. The limit is measured in two ways: inserting again every row that the import left behind
(records, history, search and match keys, outcomes), and inserting the bare records alone, which no import with a history can come near to.
The goal is a fifth of the first.
"""

import csv
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import delete, insert, select

from crm_core import db, schema
from crm_core.access import Actor
from crm_core.access.actor import system
from crm_core.db import read_session, write_session
from crm_core.entities import entity
from crm_core.models import Base
from crm_core.services.admin import setup
from crm_core.services.admin.imports.driver import Options, import_file
from crm_core.settings import settings
from crm_core.vocabulary import Via

ROWS = 20_000
GOAL = 0.2


@dataclass(frozen=True)
class Figure:
    """What was measured, in records per second: the import, the raw insert of all rows it wrote, the raw insert of the records alone."""

    name: str
    rows: int
    import_rows_per_second: float
    raw_rows_per_second: float
    bare_rows_per_second: float

    @property
    def share(self) -> float:
        return self.import_rows_per_second / self.raw_rows_per_second

    @property
    def share_of_bare(self) -> float:
        return self.import_rows_per_second / self.bare_rows_per_second

    @property
    def reached(self) -> bool:
        return self.share >= GOAL


def cases(rows: int = ROWS) -> dict[str, Callable[[], Figure]]:
    """Name → callable that measures one kind of file on the database that the settings name (an empty, migrated one)."""
    return {
        f"import {rows:,} accounts": lambda: _measure("account", _accounts, rows),
        f"import {rows:,} contacts": lambda: _measure("contact", _contacts, rows),
        f"import {rows:,} deals": lambda: _measure("deal", _deals, rows),
    }


def _measure(entity_key: str, make: Callable[[int], tuple[list[str], Iterator[list[Any]]]], rows: int) -> Figure:
    actor = _workspace()
    headers, data = make(rows)
    with tempfile.NamedTemporaryFile("w", suffix=".csv", newline="", encoding="utf-8", delete=False) as file:
        writer = csv.writer(file)
        writer.writerow(headers)
        writer.writerows(data)
    started = time.perf_counter()
    run = import_file(
        Path(file.name), entity_key, actor=actor, options=Options(unknown={"Industry": "add"} if entity_key == "account" else {})
    )
    taken = time.perf_counter() - started
    Path(file.name).unlink()
    if (run.created, run.rejected) != (rows, 0):
        raise RuntimeError(f"the import created {run.created} of {rows} rows and rejected {run.rejected}")
    tables = _written_tables(entity_key)
    raw, bare = _reinsert(tables), _reinsert(tables[:1])
    return Figure(f"{entity_key} import", rows, rows / taken, rows / raw, rows / bare)


def _written_tables(entity_key: str) -> list[Any]:
    """The tables that the import filled, parents first."""
    beside = {"contact": ("contact_point",), "deal": ("stage_event",)}.get(entity_key, ())
    names = (entity(entity_key).table.name, *beside, "match_key", "search_document", "event_log", "import_row")
    return [Base.metadata.tables[name] for name in names]


def _reinsert(tables: list[Any]) -> float:
    """Seconds that it takes to insert all rows of some tables again, one statement each, in one transaction."""
    with read_session() as session:
        kept = [(table, [dict(row) for row in session.execute(select(table)).mappings()]) for table in tables]
    with db.write_engine().connect() as connection:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA defer_foreign_keys=ON")
        for table, _rows in reversed(kept):
            connection.execute(delete(table))
        connection.commit()
        started = time.perf_counter()
        for table, rows in kept:
            if rows:
                connection.execute(insert(table), rows)
        connection.commit()
        return time.perf_counter() - started


def _workspace() -> Actor:
    schema.upgrade()
    with write_session() as session:
        setup.install(session)
        if setup.organisation(session) is None:
            setup.create_organisation(session, "Bench Ltd")
    return system(Via.CLI)


def _accounts(rows: int) -> tuple[list[str], Iterator[list[Any]]]:
    industries = ("Software", "Retail", "Manufacturing", "Education", "Energy")
    cities = ("Århus", "Lyon", "Đà Nẵng", "Osaka", "Austin")
    made = (
        [
            f"Company {n}",
            industries[n % 5],
            cities[n % 5],
            n % 900 + 1,
            f"{n * 37}.50",
            f"https://company{n}.example",
            1950 + n % 70,
        ]
        for n in range(rows)
    )
    return ["Name", "Industry", "City", "Employees", "Annual revenue", "Website", "Founded"], made


def _contacts(rows: int) -> tuple[list[str], Iterator[list[Any]]]:
    made = (
        [
            f"Ann {n}",
            f"Smith {n % 977}",
            f"ann.{n}@example.com",
            f"+1 415 555 {n % 10_000:04d}",
            "Buyer",
            f"{n % 28 + 1}/{n % 12 + 1}/19{n % 50 + 50}",
        ]
        for n in range(rows)
    )
    return ["First name", "Last name", "E-mail", "Phone", "Job title", "Birthday"], made


def _deals(rows: int) -> tuple[list[str], Iterator[list[Any]]]:
    stages = ("Won", "Lost", "Prospecting", "Qualified", "Proposal")
    made = (
        [
            f"D-{n:07d}",
            f"Deal {n}",
            stages[n % 5],
            f"{n % 28 + 1:02d}-{n % 12 + 1:02d}-2023",
            f"15-{n % 12 + 1:02d}-2024" if n % 5 < 2 else "",
            n % 5000,
        ]
        for n in range(rows)
    )
    return ["Reference ID", "Deal", "Stage", "Opened on", "Closed on", "Amount"], made


@contextmanager
def empty_database() -> Iterator[None]:
    """An empty SQLite database of its own, for a measurement on this machine."""
    import os

    kept = {key: os.environ.get(key) for key in ("RAPPORT_DATABASE_URL", "RAPPORT_DATA_DIR")}
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(RAPPORT_DATABASE_URL=f"sqlite:///{folder}/rapport.db", RAPPORT_DATA_DIR=folder)
        settings.cache_clear()
        try:
            yield
        finally:
            db.dispose()
            for key, value in kept.items():
                os.environ.pop(key, None) if value is None else os.environ.update({key: value})
            settings.cache_clear()


def main() -> None:
    """Measure all cases and print them."""
    for name, case in cases().items():
        with empty_database():
            figure = case()
        print(
            f"{name}: {figure.import_rows_per_second:,.0f} rows/s; raw insert of the same rows {figure.raw_rows_per_second:,.0f} ({figure.share:.0%}), "
            f"of the bare records {figure.bare_rows_per_second:,.0f} ({figure.share_of_bare:.0%})"
        )


if __name__ == "__main__":
    main()
