"""Migrations run up and down with data in the tables, on both databases, and lose nothing that both shapes can hold."""

import contextlib
import json
from datetime import timedelta

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import MetaData, insert, inspect, select, text
from sqlmodel import Session

from crm_core import db, records, schema
from crm_core.cli import supervisor
from crm_core.db import read_session, write_session
from crm_core.errors import Unavailable
from crm_core.kit import clock
from crm_core.models import Automation, AutomationRun, AutomationStep, Base, Deal, Order, Pipeline, Stage, Ticket
from crm_core.services.helpdesk import tickets
from crm_core.vocabulary import StageKind, StepOutcome, TicketKind
from tests.crm_core.test_ordering import assert_kept
from tests.crm_core.test_summaries import AT, DAY, assert_exact


@pytest.fixture
def filled(any_cast):
    """A workspace with a row or more in the tables that hold links, JSON, money and instants."""
    with write_session() as session:
        account = records.create(session, any_cast["alice"], "account", {"name": "Ångström & Co"})
        child = records.create(session, any_cast["alice"], "account", {"name": "Child", "parent_id": account.id})
        records.create(session, any_cast["alice"], "contact", {"name": "Ida", "email": "ida@example.com", "account_id": child.id})
        stage = session.execute(select(Stage.__table__).where(Stage.__table__.c.kind == StageKind.WON)).first()
        session.add(
            Deal(
                name="D", pipeline_id=stage.pipeline_id, stage_id=stage.id, outcome=StageKind.WON, amount_minor=10**15, created_on=DAY,
                closed_on=DAY, stage_since=AT, extra={"x_a": [1, "ü"]},
            )
        )  # fmt: skip
        session.add(Order(number="O1", ordered_at=AT, total_minor=7, account_id=account.id))
    return any_cast


def everything(connection):
    """All rows of all tables of ours, in a form that can be compared."""
    found = {}
    for name in sorted(set(inspect(connection).get_table_names()) & set(Base.metadata.tables)):
        names = [column["name"] for column in inspect(connection).get_columns(name)]
        rows = connection.execute(text(f"select {', '.join(names)} from {name}")).all()
        found[name] = (names, sorted(json.dumps([str(value) for value in row]) for row in rows))
    return found


def revisions():
    return [script.revision for script in ScriptDirectory.from_config(schema.config()).walk_revisions()][::-1]


def test_the_newest_migration_gives_the_tables_of_the_models(any_database):
    with db.write_engine().connect() as connection:
        options = {"include_object": schema.include_object, "compare_type": True}
        assert compare_metadata(MigrationContext.configure(connection, opts=options), Base.metadata) == []


def test_down_to_the_first_and_up_again_with_data_loses_nothing(filled):
    with read_session() as session:
        before = everything(session.connection())
    chain = revisions()
    for revision in chain[-2::-1]:
        schema.downgrade(revision)
        assert schema.current() == revision
    schema.upgrade()
    assert schema.is_current()
    with read_session() as session:
        after = everything(session.connection())
        assert session.execute(text("select name from account order by id")).scalars().all() == ["Ångström & Co", "Child"]
    new_marks = {"summary_dirty", "table_version"}
    changed = {name for name in before if before[name] != after.get(name)} - new_marks
    assert changed <= TABLES_ADDED_LATER
    assert_exact()
    with read_session() as session:
        assert_kept(session)


@pytest.mark.parametrize("how", ["answer", "form"])
def test_a_ticket_that_came_back_is_told_when_it_was_first_solved(any_cast, how):
    sam = any_cast["sam"]
    with clock.frozen(AT), write_session() as session:
        ticket = tickets.create(session, sam, {"subject": "Lamp"}, message="broken")
    with clock.frozen(AT + timedelta(days=1)), write_session() as session:
        if how == "answer":
            tickets.reply(session, sam, ticket.id, "Swap it", then=TicketKind.SOLVED)
        else:
            tickets.update(session, sam, ticket.id, {"status": "solved"})
    with clock.frozen(AT + timedelta(days=2)), write_session() as session:
        tickets.receive(session, sam, ticket.id, "It broke again")
    schema.downgrade("0040")
    schema.upgrade()
    with read_session() as session:
        assert session.execute(select(Ticket.first_solved_at)).scalar_one() == AT + timedelta(days=1)


TABLES_ADDED_LATER = {"job_run", "deal_daily", "order_daily", "sale_daily", "product_daily"}
"""Tables that an older shape does not have; their rows are gone after the way down, as announced."""


def test_down_to_nothing_and_up_again_gives_an_empty_sound_database(filled):
    schema.downgrade("base")
    with db.read_engine().connect() as connection:
        assert set(inspect(connection).get_table_names()) & set(Base.metadata.tables) == set()
    schema.upgrade()
    with read_session() as session:
        assert session.execute(select(Pipeline.__table__)).all() == []


def test_each_step_up_takes_data_of_the_step_before(any_database):
    """Rows written at the first shape arrive at the newest one."""
    schema.downgrade(revisions()[0])
    metadata = MetaData()
    with db.write_engine().begin() as connection:
        metadata.reflect(connection, only=["product_category"])
        table = metadata.tables["product_category"]
        connection.execute(
            insert(table).values(name="Old", created_at=_plain(connection), updated_at=_plain(connection), version=1)
        )
        connection.execute(text("insert into summary_dirty (summary, day) values ('deal', '2024-01-01')"))
    schema.upgrade()
    with read_session() as session:
        assert session.execute(text("select name from product_category")).scalars().all() == ["Old"]


def _plain(connection):
    return AT.replace(tzinfo=None) if connection.dialect.name == "sqlite" else AT


def test_a_migration_that_fails_leaves_the_database_as_it_was(filled, monkeypatch):
    schema.downgrade(revisions()[-2])
    real = command.upgrade

    def interrupted(config, revision):
        real(config, revision)
        raise ZeroDivisionError

    monkeypatch.setattr(command, "upgrade", interrupted)
    with contextlib.suppress(ZeroDivisionError):
        schema.upgrade()
    monkeypatch.undo()
    assert schema.current() in revisions()[-2:]
    schema.upgrade()
    assert schema.is_current()
    assert_exact()


def test_a_database_of_a_newer_version_is_refused_with_a_sentence(filled):
    with write_session() as session:
        session.execute(text("update alembic_version set version_num = '9999'"))
    with pytest.raises(Unavailable, match=r"newer version of Rapport\. Update the program"):
        schema.upgrade()
    with read_session() as session:
        assert session.execute(text("select version_num from alembic_version")).scalar_one() == "9999"


def test_the_quick_look_of_serve_agrees_with_alembic(database):
    assert supervisor._newest() == schema.newest() == ScriptDirectory.from_config(schema.config()).get_current_head()
    assert set(schema.revisions()) == {one.revision for one in ScriptDirectory.from_config(schema.config()).walk_revisions()}
    assert supervisor._revision() == schema.current()


def test_a_foreign_key_broken_by_hand_stops_the_migration(database):
    with Session(db.write_engine()) as session:
        raw = session.connection().connection.dbapi_connection
        raw.rollback()
        raw.execute("pragma foreign_keys=off")
        raw.execute("insert into user_role (user_id, role_id) values (999, 1)")
        raw.commit()
    db.dispose()
    with pytest.raises(Unavailable, match="point at nothing"):
        schema.upgrade()


def test_what_a_waiting_step_waits_for_is_words_before_and_an_instant_after(any_cast):
    with write_session() as session:
        rests = Automation(name="Rests", entity="account")
        session.add(rests)
        session.flush()
        run = AutomationRun(automation_id=rests.id, version_number=1, trigger_key="x", entity="account", record_id=1)
        session.add(run)
        session.flush()
        step = {"run_id": run.id, "automation_id": rests.id, "step_id": "w", "kind": "wait", "record_id": 1, "at": AT}
        session.add(AutomationStep(**step, key="1", outcome=StepOutcome.DONE, until=AT))
        session.add(AutomationStep(**step, key="2", outcome=StepOutcome.DONE, message="Until further notice UTC"))
    said = text("select message from automation_step order by id")
    schema.downgrade("0033")
    with read_session() as session:
        assert session.execute(said).scalars().all() == ["Until 2024-03-30 12:00 UTC", "Until further notice UTC"]
    schema.upgrade()
    with read_session() as session:
        assert session.execute(said).scalars().all() == ["", "Until further notice UTC"]
        assert session.execute(select(AutomationStep.until).order_by(AutomationStep.id)).scalars().all() == [AT, None]
