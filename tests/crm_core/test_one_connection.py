"""The read sessions of one page share a connection: they see one moment, what the page itself wrote, and never a transaction that failed."""

from threading import Thread

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError

from crm_core import records
from crm_core.db import dispose, let_go, one_connection, read_engine, read_session, shared, write_session
from crm_core.models import Organisation


@pytest.fixture
def began(any_cast):
    """What the reading engine began, transaction by transaction."""
    found = []
    event.listen(read_engine(), "begin", lambda connection: found.append(connection))
    return found


def name_of(actor, record_id):
    with read_session() as session:
        return records.get(session, actor, "account", record_id).name


def made(actor, name="Northwind"):
    with write_session() as session:
        return records.create(session, actor, "account", {"name": name}).id


def rename(actor, record_id, name):
    with write_session() as session:
        records.update(session, actor, "account", record_id, {"name": name})


def test_all_loads_of_a_page_begin_once_and_what_it_writes_is_seen_by_the_next(any_cast, began):
    alice = any_cast["alice"]
    record_id = made(alice)
    began.clear()
    with one_connection():
        assert [name_of(alice, record_id) for _ in range(3)] == ["Northwind"] * 3
        assert len([one for one in began if one.engine is read_engine()]) == 1
        rename(alice, record_id, "Southwind")
        assert name_of(alice, record_id) == "Southwind"
    assert read_engine().pool.checkedout() == 0


def test_outside_each_session_begins_by_itself(any_cast, began):
    alice = any_cast["alice"]
    record_id = made(alice)
    began.clear()
    for _ in range(3):
        name_of(alice, record_id)
    assert len(began) == 3


def test_a_page_goes_on_after_a_statement_that_failed(any_cast):
    alice = any_cast["alice"]
    record_id = made(alice)
    with one_connection():
        assert name_of(alice, record_id) == "Northwind"
        with pytest.raises(DBAPIError), read_session() as session:
            session.connection().execute(text("SELECT nothing FROM nowhere"))
        assert name_of(alice, record_id) == "Northwind"


def test_who_waits_holds_no_connection(any_cast):
    alice = any_cast["alice"]
    record_id = made(alice)
    with one_connection():
        name_of(alice, record_id)
        assert read_engine().pool.checkedout() == 1
        let_go()
        assert read_engine().pool.checkedout() == 0
        assert name_of(alice, record_id) == "Northwind"


def test_a_page_in_which_the_database_was_replaced_reads_the_new_one(any_cast):
    alice = any_cast["alice"]
    record_id = made(alice)
    with one_connection():
        name_of(alice, record_id)
        dispose()
        assert name_of(alice, record_id) == "Northwind"


def test_on_sqlite_a_page_shows_one_moment(cast):
    alice = cast["alice"]
    record_id = made(alice)
    with one_connection():
        assert name_of(alice, record_id) == "Northwind"
        _from_elsewhere(alice, record_id)
        assert name_of(alice, record_id) == "Northwind"
    assert name_of(alice, record_id) == "Eastwind"


def _from_elsewhere(actor, record_id):
    """Written by another thread, as another person's page would."""
    thread = Thread(target=rename, args=(actor, record_id, "Eastwind"))
    thread.start()
    thread.join()


def test_what_is_shared_is_shared_whichever_way_it_was_read(any_cast):
    asked = []

    def name(session):
        return shared(session, "name of the house", ("organisation",), lambda: asked.append(1) or session.get(Organisation, 1))

    with read_session() as session:
        first = name(session)
    with one_connection(), read_session() as session:
        assert name(session) is first
    assert asked == [1]
