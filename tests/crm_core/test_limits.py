"""PostgreSQL: a process that draws pages lets no statement run for ever; jobs and the command line do."""

import pytest
from sqlalchemy import text

from crm_core import db
from crm_core.errors import Unavailable


@pytest.fixture
def limited(any_database, request):
    """The database opened anew with a limit of a second."""
    if db.read_engine().dialect.name != "postgresql":
        pytest.skip("SQLite has no limit of statements")
    db.dispose()
    db.limit_statements(1)
    yield
    db.dispose()
    db.limit_statements(0)


def test_a_page_whose_statement_takes_too_long_gets_a_sentence(limited):
    with pytest.raises(Unavailable, match="took the database too long"), db.read_session() as session:
        session.execute(text("select pg_sleep(5)"))
    with db.read_session() as session:
        limits = [session.execute(text(f"show {name}")).scalar() for name in ("statement_timeout", "lock_timeout")]
    assert limits == ["1s", "30s"]
