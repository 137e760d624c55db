"""Records as they were: later changes of the log are taken back, within the reader's scope and masks."""

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
from sqlmodel import select

from crm_core.access import load
from crm_core.db import read_session, write_session
from crm_core.frames.as_of import as_of
from crm_core.kit import clock
from crm_core.models import CustomField, Event, Lead, RoleFieldMask, UserRole
from crm_core.services.sales import leads
from crm_core.vocabulary import FieldKind

T0 = datetime(2026, 1, 5, 9, tzinfo=UTC)


@pytest.fixture
def changed(any_cast, monkeypatch):
    """A lead of Alice's that changes day by day, and one of Charlie's."""
    alice = any_cast["alice"]
    with write_session() as session:
        session.add(CustomField(entity="lead", key="x_rooms", label="Rooms", kind=FieldKind.INTEGER))
        lead = leads.create(session, alice, {"name": "Ada", "source": "Website", "estimated_minor": 500_00, "x_rooms": 3})
        other = leads.create(session, any_cast["charlie"], {"name": "Bo", "source": "Event"})
    steps = [{"source": "Referral"}, {"source": None, "x_rooms": 7}, {"estimated_minor": 900_00, "country": "Peru"}]
    for changes in steps:
        with write_session() as session:
            leads.update(session, alice, lead.id, changes)
    with write_session() as session:
        log = session.exec(select(Event).where(Event.entity == "lead", Event.record_id == lead.id).order_by(Event.id)).all()
        for day, event in enumerate(log):
            event.at = T0 + timedelta(days=day)
            session.add(event)
    return any_cast, lead.id, other.id


def read(actor, *moments):
    with read_session() as session:
        index, values = zip(*moments, strict=True)
        return as_of(session, actor, "lead", ("source", "estimated_minor", "country", "x_rooms"), pd.Series(values, index=index))


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        (0.5, ("Website", 500.0, None, 3.0)),
        (1.5, ("Referral", 500.0, None, 3.0)),
        (2.5, (None, 500.0, None, 7.0)),
        (9.0, (None, 900.0, "Peru", 7.0)),
    ],
)
def test_a_record_stands_as_it_stood_at_the_moment(changed, day, expected):
    cast, lead_id, _ = changed
    found = read(cast["alice"], (lead_id, pd.Timestamp(T0 + timedelta(days=day))))
    assert tuple(None if pd.isna(value) else value for value in found.loc[lead_id]) == expected


def test_hidden_records_and_masked_fields_are_left_out(changed):
    cast, lead_id, other_id = changed
    now = pd.Timestamp(clock.utcnow())
    assert list(read(cast["alice"], (lead_id, now), (other_id, now)).index) == [lead_id]
    with write_session() as session:
        role_id = session.exec(select(UserRole.role_id).where(UserRole.user_id == cast["alice"].user_id)).one()
        session.add(RoleFieldMask(role_id=role_id, entity="lead", field_key="source"))
    with read_session() as session:
        masked = load(session, cast["alice"].user_id)
    assert "source" not in read(masked, (lead_id, now))
    with write_session() as session:
        session.get(Lead, lead_id).deleted_at = now.to_pydatetime()
    assert read(cast["root"], (lead_id, now)).empty
