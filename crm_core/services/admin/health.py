"""Is everything in order? A quick look for the page, and the thorough check of ``python -m crm_core check``."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.engine import make_url
from sqlmodel import Session
from sqlmodel import select as load

from crm_core import __version__, jobs, schema, search, summaries
from crm_core.access import Actor, require
from crm_core.db import is_sqlite, write_session
from crm_core.entities import ENTITIES, Entity
from crm_core.format import instant, plural
from crm_core.jobs.board import ready
from crm_core.kit.clock import utcnow
from crm_core.models import SearchDocument
from crm_core.services.admin import audit, backups
from crm_core.services.collaboration import halts
from crm_core.settings import settings
from crm_core.vocabulary import Action


@dataclass(frozen=True)
class Check:
    """One thing that was looked at. ``state``: ok, warning or wrong; ``detail``: a sentence."""

    name: str
    state: str
    detail: str


@dataclass(frozen=True)
class Health:
    """What the health page shows."""

    version: str
    database: str
    database_version: str
    size_bytes: int
    checks: tuple[Check, ...]


def overview(session: Session, actor: Actor) -> Health:
    """The quick look."""
    require(actor, "organisation", Action.MANAGE)
    name, version, size = _database(session)
    checks = (
        *_stopped(session, actor), _schema(session), _jobs(session, actor), _workers(session, actor), _backup(session),
        _summaries_pending(session),
    )  # fmt: skip
    return Health(__version__, name, version, size, checks)


def _stopped(session: Session, actor: Actor) -> list[Check]:
    """What somebody stopped for the whole workspace."""
    return [
        Check(one.kind.label, "warning", f"Stopped by {one.by or 'the command line'} since {instant(actor, one.at)}: {one.reason}")
        for one in halts.standing(session, actor)
    ]


def _database(session: Session) -> tuple[str, str, int]:
    if is_sqlite(session):
        path = Path(make_url(settings().url).database or "")
        size = sum(each.stat().st_size for each in (path, Path(f"{path}-wal")) if each.exists())
        return "SQLite", session.execute(text("select sqlite_version()")).scalar_one(), size
    size = session.execute(text("select pg_database_size(current_database())")).scalar_one()
    return "PostgreSQL", session.execute(text("show server_version")).scalar_one().split()[0], size


def _schema(_session: Session) -> Check:
    found, newest = schema.current(), schema.newest()
    if found == newest:
        return Check("Shape of the database", "ok", f"Revision {found}, as this version expects.")
    return Check(
        "Shape of the database", "wrong", f"Revision {found}, but this version expects {newest}. Run: python -m crm_core migrate."
    )


def _jobs(session: Session, actor: Actor) -> Check:
    if not ready(session):
        return Check("Jobs", "wrong", "The job queue is not set up. Run: python -m crm_core migrate.")
    found, waiting = jobs.counts(session, actor), jobs.lag(session, actor)
    words = f"{found['running']} running, {found['waiting']} waiting, {found['failed']} failed."
    if waiting > 120:
        return Check("Jobs", "warning", f"{words} The oldest has been waiting for {waiting / 60:.0f} minutes: is a worker running?")
    return Check("Jobs", "warning" if found["failed"] else "ok", words)


def _workers(session: Session, actor: Actor) -> Check:
    alive = [each for each in jobs.workers(session, actor) if each.alive]
    if not alive:
        return Check(
            "Workers",
            "wrong",
            "No worker is running, so imports, backups and refreshes wait. Start one: python -m crm_core worker.",
        )
    return Check("Workers", "ok", f"{len(alive)} running.")


def _backup(session: Session) -> Check:
    latest = backups.latest(session)
    if latest is None:
        return Check("Last backup", "warning", "There is none yet; one is made every night while a worker runs.")
    hours = (utcnow() - latest.at).total_seconds() / 3600
    if not latest.exists:
        return Check(
            "Last backup", "warning", f"{latest.path.name} was made {hours:.0f} hours ago, but the file is not there any more."
        )
    return Check("Last backup", "ok" if hours < 48 else "warning", f"{latest.path.name}, {hours:.0f} hours ago, verified.")


def _summaries_pending(session: Session) -> Check:
    count = summaries.pending(session)
    state = "ok" if count < 400 else "warning"
    words = "Every day is summed up."
    if count:
        words = f"{plural(count, 'day waits', 'days wait')} for the refresh; figures are exact meanwhile."
    return Check("Daily figures", state, words)


# --- the thorough check ---------------------------------------------------------------------------------------------------------


def thorough(session: Session) -> Iterator[Check]:
    """Everything that can be proven: shape, integrity, references, figures, seals, search. Slow on a large database."""
    steps: tuple[Callable[[Session], Check], ...] = (_schema, _integrity, _references, _figures, _seals, _search)
    for step in steps:
        yield step(session)


def _integrity(session: Session) -> Check:
    name, version, _size = _database(session)
    if not is_sqlite(session):
        return Check("Database", "ok", f"{name} {version} answers.")
    result = session.execute(text("pragma quick_check(1)")).scalar_one()
    return Check("Database", "ok" if result == "ok" else "wrong", f"{name} {version}: {'sound' if result == 'ok' else result}.")


def _references(session: Session) -> Check:
    if not is_sqlite(session):
        invalid = session.execute(text("select count(*) from pg_constraint where contype = 'f' and not convalidated")).scalar_one()
        state = "wrong" if invalid else "ok"
        return Check("References", state, "Enforced by the database." if not invalid else f"{invalid} references are not enforced.")
    broken = len(session.execute(text("pragma foreign_key_check")).all())
    return Check(
        "References", "wrong" if broken else "ok", f"{broken} rows point at nothing." if broken else "Every one leads somewhere."
    )


def _figures(session: Session) -> Check:
    wrong = {name: count for name, count in summaries.differences(session).items() if count}
    if wrong:
        return Check("Daily figures", "wrong", f"They differ from the records in {wrong}. Run: python -m crm_core check --repair.")
    return Check("Daily figures", "ok", "Equal to the records.")


def _seals(session: Session) -> Check:
    found = audit.verify(session)
    if found.broken:
        return Check("Audit trail", "wrong", f"The sealed events {found.broken[0]} to {found.broken[1]} were changed afterwards.")
    return Check("Audit trail", "ok", f"{found.sealed} events are as they were sealed; {found.unsealed} are not sealed yet.")


def _search(session: Session) -> Check:
    docs: Any = SearchDocument.__table__  # type: ignore[attr-defined]
    wrong = []
    for entity in ENTITIES.values():
        if not entity.search or "deleted_at" not in entity.table.c:
            continue
        known = select(docs.c.record_id).where(docs.c.entity == entity.key)
        missing = session.execute(
            select(func.count()).select_from(entity.table).where(entity.table.c.id.not_in(known))
        ).scalar_one()
        if missing:
            wrong.append(f"{missing} {entity.plural.lower()}")
    if is_sqlite(session):
        rows, indexed = (
            session.execute(text(f"select count(*) from {name}")).scalar_one()  # noqa: S608
            for name in ("search_document", "search_fts_docsize")
        )
        wrong += [f"{rows - indexed} texts"] if rows != indexed else []
    if wrong:
        return Check("Search", "wrong", f"Not found by search: {', '.join(wrong)}. Run: python -m crm_core check --repair.")
    return Check("Search", "ok", "Every record is in the index.")


def repair(names: list[str]) -> list[str]:
    """Compute anew what can be computed: daily figures and the search index; returns what was done."""
    done = []
    if "Daily figures" in names:
        summaries.rebuild()
        done.append("Daily figures")
    if "Search" in names:
        for entity in ENTITIES.values():
            _index_missing(entity)
        done.append("Search")
    return done


def _index_missing(entity: Entity) -> None:
    if not entity.search or "deleted_at" not in entity.table.c:
        return
    docs: Any = SearchDocument.__table__  # type: ignore[attr-defined]
    known = select(docs.c.record_id).where(docs.c.entity == entity.key)
    while True:
        with write_session() as session:
            missing = session.exec(load(entity.model).where(entity.table.c.id.not_in(known)).limit(2_000)).all()
            if missing:
                search.index_many(session, entity.key, missing)
            elif is_sqlite(session):
                session.execute(text("insert into search_fts(search_fts) values ('rebuild')"))
        if not missing:
            return
