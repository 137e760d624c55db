"""Figures of tickets from their daily summary are those of the records, for everybody who may see some of them."""

from dataclasses import replace
from datetime import date, timedelta
from random import Random

import pytest
from sqlmodel import select

from crm_core import summaries
from crm_core.db import read_session, write_session
from crm_core.models import Organisation, Ticket
from crm_core.services.analytics import metric_measure, ticket_facts
from crm_core.services.analytics.metric_rules import Facts
from crm_core.services.analytics.metric_slots import Slot
from crm_core.services.analytics.metrics import Selection
from crm_core.services.analytics.periods import Period
from crm_core.settings import settings
from tests.crm_core.services.analytics.company import NOW, TODAY, fill

PERIODS = (Period(TODAY - timedelta(days=364), TODAY), Period(date(2025, 1, 1), date(2025, 2, 28)), Period())
PEOPLE = ("root", "bob", "alice", "dana", "sam")


def slots(actor, owner_id):
    with read_session() as session:
        for period in PERIODS:
            steps = metric_measure.steps_of(session, actor, "service", Selection(period, None, TODAY, owner_id), period)
            yield Slot(period, owner_id, steps=steps)
            yield Slot(period, owner_id, by="owner_id")


def told(groups):
    """Groups in which something was counted: an empty one says the same as none."""
    return {key: facts for key, facts in groups.items() if facts != Facts()}


def standing(session, actor, slot):
    now = Facts(open_tickets=1_000)
    return [facts.open_tickets for facts in ticket_facts.tickets_at(session, actor, slot, now, [step.end for step in slot.steps])]


def assert_both_agree(cast, monkeypatch, *, least):
    """The summary answers in at least so many cases, and always says what the records say."""
    answered = 0
    for name in PEOPLE:
        for owner_id in (None, cast["alice"].user_id):
            for slot in slots(cast[name], owner_id):
                with read_session() as session:
                    kept = ticket_facts._from_days(session, cast[name], slot)
                    stood = standing(session, cast[name], slot)
                    with monkeypatch.context() as patch:
                        patch.setattr(ticket_facts, "ticket_daily_parts", lambda *_: None)
                        assert stood == standing(session, cast[name], slot)
                        read = ticket_facts.service(session, cast[name], slot)
                if kept is not None:
                    answered += 1
                    assert told(kept) == told(read), (name, owner_id, slot.period, slot.by)
    assert answered >= least


@pytest.mark.parametrize("seed", [1, 2])
def test_the_daily_summary_says_what_the_records_say_in_every_scope(any_cast, seed, monkeypatch):
    """On PostgreSQL each seed tries two of the three states of the summary (nothing, all, some days wait): what it says doesn't depend on the database."""
    postgres = not settings().is_sqlite
    fill(any_cast, seed)
    with write_session() as session:
        session.exec(select(Organisation)).one().timezone = any_cast["root"].timezone
    if seed == 1 or not postgres:
        assert_both_agree(any_cast, monkeypatch, least=0)  # everything waits: the records are read
    summaries.refresh()
    if seed == 2 or not postgres:
        assert_both_agree(any_cast, monkeypatch, least=60)
    random = Random(seed)
    with write_session() as session:
        for ticket in random.sample(session.exec(select(Ticket)).all(), 3):
            ticket.owner_id, ticket.response_minutes = any_cast["alice"].user_id, random.randrange(900)
            ticket.solved_at = NOW - timedelta(days=random.randrange(300))
    assert_both_agree(any_cast, monkeypatch, least=60)  # some days wait, and are read from the records


def test_a_reader_in_another_time_zone_than_the_workspace_gets_the_days_of_their_own(any_cast):
    fill(any_cast, 3)
    summaries.refresh()
    actor = replace(any_cast["root"], timezone="Pacific/Auckland")
    with read_session() as session:
        assert ticket_facts._from_days(session, actor, Slot(PERIODS[0], by="owner_id")) is None
