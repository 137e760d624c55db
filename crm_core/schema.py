"""The shape of the database: bring it up to date, say how old it is, refuse one that is newer than the code."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import JSON, Connection, Engine, create_engine, event, insert, inspect, select, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from crm_core import db
from crm_core.errors import Unavailable
from crm_core.models import Base, TableVersion
from crm_core.settings import settings

if TYPE_CHECKING:
    from alembic.config import Config

_HERE = Path(__file__).resolve().parent / "migrations"


def include_object(_object: Any, name: str | None, kind: str, reflected: bool, _compare_to: Any) -> bool:
    """What autogenerate compares: our own tables only, not those of the search index, the job engine or custom-field indexes."""
    if kind == "table" and reflected:
        return name in Base.metadata.tables
    return not (kind == "index" and reflected and (name or "").startswith(("ix_search_document_fts", "ix_x_")))


def render_item(kind: str, item: Any, _context: Any) -> str | Literal[False]:
    """How autogenerate writes our JSON columns (its own rendering forgets a prefix)."""
    if kind == "type" and isinstance(item, JSON) and not isinstance(item, JSONB):
        return "sa.JSON().with_variant(postgresql.JSONB(), 'postgresql')"
    return False


def config(connection: Connection | None = None) -> "Config":
    """Alembic's configuration, bound to an open connection."""
    from alembic.config import Config  # Alembic is needed only where something is migrated; loading it would delay each start

    found = Config()
    found.set_main_option("script_location", str(_HERE))
    found.attributes["connection"] = connection
    return found


def _engine() -> Engine:
    """An engine for migrations: on SQLite without foreign keys, as a rebuilt parent table would otherwise take its children along."""
    if not settings().is_sqlite:
        return db.write_engine()
    db.write_engine().connect().close()  # makes the folder and sets WAL
    db.write_engine().dispose()
    engine = create_engine(settings().url, connect_args={"timeout": 30}, poolclass=NullPool)  # nothing holds the file afterwards
    # As all our connections (crm_core.db): each of a thousand statements would otherwise wait for the disk.
    event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous=NORMAL"))
    return engine


def upgrade(revision: str = "head") -> None:
    """Migrate to a revision (the newest by default), create the job engine's tables, and register every table's version row."""
    from alembic import command

    refuse_newer()
    before = current() if _exists() else None
    _run(lambda connection: command.upgrade(config(connection), revision))
    if before not in (None, current()):  # a new index is chosen well only when its table was counted
        with db.write_engine().begin() as connection:
            connection.execute(text("ANALYZE"))
    if revision == "head":
        from crm_core.jobs import prepare

        prepare()
        with db.write_engine().begin() as connection:
            _register_versions(connection)


def downgrade(revision: str) -> None:
    """Migrate back to a revision; ``base`` leaves an empty database."""
    from alembic import command

    _run(lambda connection: command.downgrade(config(connection), revision))


def _run(step: Any) -> None:
    engine = _engine()
    with engine.connect() as connection:
        if connection.dialect.name == "postgresql":  # an index on a large table takes its time
            connection.exec_driver_sql("SET statement_timeout = 0")
        step(connection)
        if connection.dialect.name == "sqlite":
            broken = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
            if broken:
                raise Unavailable(f"The database has {len(broken)} rows that point at nothing; restore a backup.", permanent=True)
        connection.commit()


def _register_versions(connection: Connection) -> None:
    table = TableVersion.__table__  # type: ignore[attr-defined]
    known = set(connection.execute(select(table.c.name)).scalars())
    missing = [{"name": name, "version": 1} for name in sorted(Base.metadata.tables) if name not in known]
    if missing:
        connection.execute(insert(table), missing)


def current() -> str | None:
    """The revision of the database; None when it is empty. The first thing that anybody asks it, so raises Unavailable when it does not answer."""
    try:
        with db.read_engine().connect() as connection:
            if not inspect(connection).has_table("alembic_version"):
                return None
            return connection.execute(text("select version_num from alembic_version")).scalar()
    except (SQLAlchemyError, ImportError) as error:
        raise Unavailable(_no_answer(error), permanent=True) from error


def _no_answer(error: Exception) -> str:
    """Why nobody gets at the database and what to do, without the address: it may hold a password."""
    if not isinstance(error, DBAPIError):
        return (
            "RAPPORT_DATABASE_URL is not an address of a database that Rapport knows. It should look like "
            "postgresql://user:password@host/name, or be left out."
        )
    reason = (str(error.orig).strip().splitlines() or [""])[0]
    if settings().is_sqlite:
        return (
            f"The database file {make_url(settings().url).database} can't be opened ({reason}). Check that the folder is the right one and that "
            "this user may read and write it; if it is damaged, restore a backup."
        )
    return f"The database does not answer ({reason}). Check that the server runs and that RAPPORT_DATABASE_URL is right. Nothing was changed."


def revisions() -> list[str]:
    """The revisions that this code knows, the oldest first: the numbers in the files' names (tests compare them with Alembic's answer)."""
    return sorted(path.name[:4] for path in (_HERE / "versions").glob("[0-9][0-9][0-9][0-9]_*.py"))


def newest() -> str:
    """The revision that this code expects."""
    return revisions()[-1]


def refuse_newer() -> None:
    """Raise Unavailable when the database was made by a newer version than this code."""
    found = current() if _exists() else None
    if found is not None and found not in revisions():
        raise Unavailable(
            "This database was made by a newer version of Rapport. Update the program, or restore a backup of this version. Nothing was changed.",
            permanent=True,
        )


def _exists() -> bool:
    url = settings().url
    return not url.startswith("sqlite") or Path(url.removeprefix("sqlite:///")).exists()


def is_current() -> bool:
    """True when the database is at the newest revision."""
    return _exists() and current() == newest()
