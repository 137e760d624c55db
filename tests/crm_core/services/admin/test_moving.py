"""A workspace moves from SQLite to PostgreSQL whole: rows, links, numbers, jobs, indexes; or not at all."""

import os
from datetime import timedelta

import pytest
from sqlalchemy import create_engine, text
from sqlmodel import select

from crm_core import db, jobs, lists, records, summaries
from crm_core.db import read_session, write_session
from crm_core.errors import Conflict, Invalid, Unavailable
from crm_core.lists import ListQuery
from crm_core.models import Account, Order, Organisation
from crm_core.services.admin import custom_fields, moving
from crm_core.settings import settings
from tests.crm_core.test_summaries import AT, assert_exact

pytestmark = pytest.mark.postgres


@pytest.fixture
def empty_postgres(postgres_server):
    from tests.conftest import _postgres

    name = f"move_{os.urandom(6).hex()}"
    _postgres(postgres_server, f"CREATE DATABASE {name} STRATEGY file_copy")
    return postgres_server.format(name=name).replace("+psycopg", "")


@pytest.fixture
def workspace(cast):
    with write_session() as session:
        custom_fields.create(session, cast["root"], "account", label="Sites", kind="integer")
        child = records.create(session, cast["root"], "account", {"name": "Ängelholm AB 🚀", "x_sites": 3})
        parent = records.create(session, cast["root"], "account", {"name": "Parent"})
        child.parent_id = parent.id  # points at a later row of its own table
        for n in range(5):
            session.add(
                Order(number=f"O{n}", ordered_at=AT + timedelta(days=n, microseconds=n), total_minor=9_007_199_254_740_993 + n)
            )
        jobs.enqueue(session, "some.work", 7, job_id="waits")
        jobs.enqueue(session, "some.work", 8, job_id="later", delay_seconds=86_400)
    return cast


def there(url):
    """Let this process work on the other database, as after the setting was changed."""
    db.dispose()
    os.environ["RAPPORT_DATABASE_URL"] = url
    settings.cache_clear()


def test_everything_arrives_and_work_goes_on(workspace, empty_postgres):
    steps = []
    report = moving.move(empty_postgres, progress=lambda table, rows: steps.append((table, rows)))
    assert all(each.equal for each in report)
    assert {each.table: each.rows for each in report}["sales_order"] == 5
    assert sum(rows for _, rows in steps) == sum(each.rows for each in report) > 100
    there(empty_postgres)
    with read_session() as session:
        row = lists.find(
            session, workspace["root"], "account", ListQuery(q="angelholm", columns=("name", "parent_id", "x_sites"))
        ).rows[0]
        assert (row["name"], row["parent_id.title"], row["x_sites"]) == ("Ängelholm AB 🚀", "Parent", 3)
        assert session.exec(select(Order.total_minor).order_by(Order.id)).first() == 9_007_199_254_740_993
        assert session.exec(select(Order.ordered_at).where(Order.number == "O3")).one() == AT + timedelta(days=3, microseconds=3)
        assert [jobs.status(session, job_id).state for job_id in ("waits", "later")] == ["waiting", "delayed"]
        assert session.execute(text("select count(*) from pg_indexes where indexname like 'ix_x_account%'")).scalar_one() == 1
    with write_session() as session:  # new rows get numbers of their own
        assert records.create(session, workspace["root"], "account", {"name": "New"}).id == 3
    assert_exact()
    summaries.refresh()
    assert_exact()


def test_a_database_that_holds_a_workspace_is_refused(workspace, empty_postgres):
    moving.move(empty_postgres)
    with pytest.raises(Conflict, match="holds a workspace already"):
        moving.move(empty_postgres)


def test_a_copy_that_differs_is_taken_back(workspace, empty_postgres, monkeypatch):
    real = moving._batches

    def lossy(connection, table):
        for batch in real(connection, table):
            yield batch[1:] if table.name == "sales_order" and connection.dialect.name == "postgresql" else batch

    monkeypatch.setattr(moving, "_batches", lossy)
    with pytest.raises(Unavailable, match="sales_order differs"):
        moving.move(empty_postgres)
    engine = create_engine(settings().model_copy(update={"database_url": empty_postgres}).url)
    with engine.connect() as connection:
        assert connection.execute(text("select count(*) from account")).scalar_one() == 0
    engine.dispose()


def test_the_database_itself_and_a_wrong_address_are_refused(workspace):
    with pytest.raises(Invalid, match="already"):
        moving.move(settings().url)
    with pytest.raises(Unavailable, match="could not be prepared"):
        moving.move("postgresql://nobody@127.0.0.1:1/none")
    with read_session() as session:
        assert session.exec(select(Organisation)).one()
        assert len(session.exec(select(Account)).all()) == 2
