"""A survey and a solved ticket, for the tests of surveys."""

from datetime import UTC, datetime, timedelta

from crm_core import records
from crm_core.db import read_session, write_session
from crm_core.kit import clock
from crm_core.services.feedback import inviting, surveys, tokens
from crm_core.services.helpdesk import tickets

NOON = datetime(2026, 11, 24, 11, 0, tzinfo=UTC)


def do(verb, *args, at=NOON, **kwargs):
    with clock.frozen(at), write_session() as session:
        return verb(session, *args, **kwargs)


def read(verb, *args, at=NOON, **kwargs):
    with clock.frozen(at), read_session() as session:
        return verb(session, *args, **kwargs)


def survey(actor, at=NOON - timedelta(days=2), **values):
    given = {"name": "After support", "kind": "csat", "trigger": "ticket_solved", "is_active": True, **values}
    return do(surveys.save, actor, None, given, at=at)


def person(actor, name="Ida", **values):
    return do(records.create, actor, "contact", {"name": name, "email": f"{name.lower()}@example.com", **values})


def solved(actor, contact, at=NOON - timedelta(hours=2), **values):
    def make(session):
        ticket = tickets.create(session, actor, {"subject": "It squeaks", "contact_id": contact.id, **values})
        return tickets.solve(session, actor, ticket.id)

    return do(make, at=at)


def sweep(survey_id, at=NOON):
    return do(inviting.invite_batch, survey_id, at=at)


def token_of(invitation_id):
    return do(tokens.make, invitation_id)
