"""Churn and lifetime value: the published fit through orders of the app, whose customers, cohorts, and tasks for owners."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import insert
from sqlmodel import select

from crm_core.db import read_session, write_session
from crm_core.errors import Invalid, NotPermitted
from crm_core.kit import clock
from crm_core.models import Contact, Order, Task
from crm_core.services import bulk
from crm_core.services.analytics import cohorts, follow_ups
from crm_core.services.analytics.methods import value
from crm_core.vocabulary import OrderStatus
from ml.errors import DataError
from tests.crm_core.services.analytics.methods.asking import ask
from tests.ml.reference_help import cdnow_orders

SPLIT, LAST = date(1997, 9, 30), date(1998, 6, 30)


@pytest.fixture
def cdnow(cast, reference):
    """The CDNOW sample as contacts and orders of the workspace."""
    frame = cdnow_orders(reference("cdnow/CDNOW_sample.txt"))
    now, ids = clock.utcnow(), sorted(frame["customer_id"].unique().tolist())
    common = {"created_at": now, "updated_at": now, "version": 1, "extra": {}}
    with write_session() as session:
        people = [
            {"id": n, "name": f"Customer {n}", "preferred_channel": "any", "do_not_call": False, "do_not_email": False, **common}
            for n in ids
        ]
        session.execute(insert(Contact.__table__), people)
        rows = [
            {
                "number": f"C{n}", "contact_id": row.customer_id, "owner_id": cast["alice"].user_id, "status": OrderStatus.FULFILLED,
                "ordered_at": row.ordered_at.to_pydatetime(), "currency": "USD", "total_minor": round(row.revenue * 100), **common,
            }
            for n, row in enumerate(frame.itertuples())
        ]  # fmt: skip
        session.execute(insert(Order.__table__), rows)
    return cast


def test_cdnow_through_the_app_gives_the_published_parameters_and_the_published_hold_out(cdnow):
    found = ask("value", cdnow["root"], SPLIT, silence="26")
    said = {model: {k: round(v, 3) for k, v in values.items()} for model, values in found.summary["parameters"].items()}
    assert {k: said["BG/NBD"][k] for k in ("r", "alpha", "a", "b", "loglik")} == {
        "r": 0.243,
        "alpha": 4.414,
        "a": 0.793,
        "b": 2.426,
        "loglik": -9582.429,
    }
    assert {k: said["Pareto/NBD"][k] for k in ("r", "alpha", "s", "beta")} == {
        "r": 0.553,
        "alpha": 10.578,
        "s": 0.606,
        "beta": 11.669,
    }
    assert {k: round(said["Gamma-Gamma"][k], 2) for k in ("p", "q", "v")} == {"p": 6.25, "q": 3.74, "v": 15.44}
    customers = found.tables["customers"]
    assert len(customers) == 2_357 and customers["risk"].between(0, 1).all()
    once = customers[customers["purchases"] == 1]
    assert once["risk"].mean() > 0.7  # the model calls each of them alive for certain: that must never become the score
    assert len(found.marks) == 2 * 2_357
    later = ask("value", cdnow["root"], LAST, silence="52")
    assert later.summary["held"]["customers"] == 2_357 and later.summary["held"]["weeks"] == pytest.approx(26, abs=0.5)
    assert later.reliable in ("yes", "partly") and "were held back" in later.verdict
    ranks = later.tables["ranking"].set_index("score")["auc"]
    assert ranks.filter(like="expected purchases").max() > 0.7 > ranks["BG/NBD: P(alive)"]


def test_whoever_sees_no_order_of_them_gets_no_value_of_them(cdnow):
    with pytest.raises(DataError) as nothing:
        ask("value", cdnow["charlie"], SPLIT)
    assert "orders of people" in nothing.value.needed
    assert len(ask("value", cdnow["alice"], SPLIT).tables["customers"]) == 2_357


# --- cohorts ------------------------------------------------------------------------------------------------------------------


def bought(owner, who, *days):
    with write_session() as session:
        for n, day in enumerate(days):
            at = datetime.combine(date.fromisoformat(day), datetime.min.time(), UTC)
            session.add(
                Order(
                    number=f"{who}-{n}-{day}",
                    contact_id=who,
                    owner_id=owner,
                    status=OrderStatus.PLACED,
                    ordered_at=at,
                    total_minor=5_00,
                )
            )


def person(name, owner):
    with write_session() as session:
        contact = Contact(name=name, owner_id=owner)
        session.add(contact)
        session.flush()
        return contact.id


def test_the_people_behind_a_cell_are_those_that_the_table_counts(cast):
    alice, charlie = cast["alice"].user_id, cast["charlie"].user_id
    again, gone, other = person("Again", alice), person("Gone", alice), person("Other", charlie)
    bought(alice, again, "2025-01-31", "2025-03-01")
    bought(alice, gone, "2025-01-01", "2025-02-28")
    bought(charlie, other, "2025-01-15", "2025-03-31")

    def members(actor, **cell):
        with read_session() as session:
            return cohorts.members(session, actor, "contact", date(2025, 1, 1), **cell)

    assert members(cast["root"]) == [again, gone, other]
    assert members(cast["root"], age=2, active=True) == [again, other]
    assert members(cast["root"], age=2, active=False) == [gone]
    assert members(cast["alice"], age=2, active=True) == [again]
    assert members(cast["root"], age=2, active=True, until=date(2025, 3, 30)) == [again]
    assert members(cast["root"], period="quarter", age=1, active=True) == []
    new_york = replace(cast["root"], timezone="America/New_York")  # the first of January and of March are the evenings before there
    assert members(new_york) == [again, other] and members(new_york, age=1, active=True) == [again]
    with read_session() as session:
        found, *_ = value._orders(session, new_york, {"customer": "contact", "filter": None}, datetime(2025, 4, 2, tzinfo=UTC))
    assert sorted(found["ordered_at"].dt.strftime("%m-%d")) == ["01-14", "01-30", "02-27", "02-28", "03-30", "12-31"]
    for wrong in ({"period": "day"}, {"age": 0}):
        with pytest.raises(Invalid):
            members(cast["root"], **wrong)
    with pytest.raises(Invalid), read_session() as session:
        cohorts.members(session, cast["dana"], "lead", date(2025, 1, 1))


# --- tasks --------------------------------------------------------------------------------------------------------------------

SOON = clock.today() + timedelta(days=7)


def create(actor, ids, **more):
    with write_session() as session:
        given = {"subject": "Call: at risk", "due_on": SOON, **more}
        return follow_ups.create(session, actor, "contact", ids, **given)


def open_tasks():
    with read_session() as session:
        rows = session.exec(select(Task).where(Task.deleted_at.is_(None)).order_by(Task.id))
        return [(row.contact_id, row.owner_id, row.body) for row in rows]


def test_tasks_go_to_the_owners_once_and_come_back_out_whole(cast):
    alice, charlie, root = (cast[who].user_id for who in ("alice", "charlie", "root"))
    one, two, free = person("One", alice), person("Two", charlie), person("Free", None)
    with read_session() as session:
        plan = follow_ups.plan(session, cast["root"], "contact", [one, two, free, 999], "Call: at risk")
    assert plan.owners == {"Alice Rep": 1, "Charlie Rep": 1, "Root": 1} and (plan.waiting, plan.hidden) == (0, 1)
    made = create(cast["root"], [one, two, free], notes={one: "Silent for 90 days"}, submit_key="k1")
    assert made.done == 3 and create(cast["root"], [one, two, free], submit_key="k1") == made
    assert open_tasks() == [(one, alice, "Silent for 90 days"), (two, charlie, None), (free, root, None)]
    with pytest.raises(Invalid, match="nobody left"):
        create(cast["root"], [one, two, free])
    with write_session() as session:
        session.exec(select(Task).where(Task.contact_id == two)).one().subject = "Already on it"
    with write_session() as session:
        undone = bulk.undo(session, cast["root"], made.operation_id)
    assert undone.done == 2 and [row[0] for row in open_tasks()] == [two] and "worked on it" in undone.refused[0][1]


def test_nobody_makes_tasks_about_customers_out_of_sight_or_in_the_past(cast):
    one = person("One", cast["alice"].user_id)
    with pytest.raises(Invalid):
        create(cast["alice"], [one], due_on=clock.today() - timedelta(days=2))
    for bad in ("", "x" * 201):
        with pytest.raises(Invalid):
            create(cast["alice"], [one], subject=bad)
    with pytest.raises(NotPermitted):
        create(cast["ana"], [one])
    with write_session() as session:
        session.get(Contact, one).deleted_at = clock.utcnow()
    with pytest.raises(Invalid, match="nobody left"):
        create(cast["root"], [one])
    assert open_tasks() == []
