"""Guests of meetings: invited once, told of every change that matters and of no other, and their calendars' answers are read."""

from datetime import UTC, datetime, timedelta

import pytest
from icalendar import Calendar
from sqlmodel import select

from crm_core import records
from crm_core.channels import email
from crm_core.channels.email import Enclosure, Letter
from crm_core.db import read_session, write_session
from crm_core.errors import Conflict, Invalid, NotFound
from crm_core.kit import clock
from crm_core.models import MailDelivery, MeetingGuest, Notification
from crm_core.services.collaboration import activities, agenda, invitation_rules, invitations
from crm_core.services.customers import contacts
from crm_core.vocabulary import GuestState
from tests.verbs import do

NOW = datetime(2026, 7, 6, 7, tzinfo=UTC)
AT = NOW + timedelta(days=1)


@pytest.fixture(autouse=True)
def monday():
    with clock.frozen(NOW):
        yield


@pytest.fixture
def ida(cast):
    return do(records.create, cast["alice"], "contact", {"name": "Ida", "email": "ida@example.com"})


def told():
    do(invitations.tell)
    with read_session() as session:
        return list(session.exec(select(MailDelivery).where(MailDelivery.kind == "invitation").order_by(MailDelivery.id)))


def event(mail):
    calendar = Calendar.from_ical(mail.attachments[0]["text"])
    return str(calendar["method"]), calendar.walk("VEVENT")[0]


def test_guests_hear_of_what_changes_for_them_and_of_nothing_else(cast, ida):
    alice = cast["alice"]
    meeting = do(
        invitations.plan, alice, {"subject": "Demo", "at": AT, "body": "They haggle", "place": "Room 1"}, contact_ids=[ida.id],
        addresses=["Max@Example.org", "ida@example.com"],
    )  # fmt: skip
    first = told()
    assert [one.address for one in first] == ["ida@example.com", "Max@Example.org"] and told() == first
    method, invited = event(first[0])
    assert method == "REQUEST" and str(invited["location"]) == "Room 1" and "haggle" not in first[0].content + str(invited)
    assert str(invited["organizer"]) == "MAILTO:alice@example.com" and invited["attendee"].params["RSVP"] == "TRUE"
    do(activities.update, alice, meeting.id, {"body": "They still haggle"})
    assert len(told()) == 2
    do(agenda.move, alice, "meeting", meeting.id, AT + timedelta(hours=1))
    do(agenda.move, alice, "meeting", meeting.id, AT + timedelta(hours=2))
    moved = told()[2:]
    assert len(moved) == 2, "two moves within a minute are one message"
    assert event(moved[0])[1]["uid"] == invited["uid"] and event(moved[0])[1]["sequence"] > invited["sequence"]
    guests = do(invitations.of, alice, meeting.id)
    do(invitations.uninvite, alice, guests[1].id)
    do(activities.remove, alice, meeting.id)
    off = told()[4:]
    assert [(one.address, event(one)[0]) for one in off] == [("ida@example.com", "CANCEL"), ("Max@Example.org", "CANCEL")]
    with write_session() as session:
        records.restore(session, alice, "activity", meeting.id)
    assert [event(one)[0] for one in told()[6:]] == ["REQUEST"], "who was taken off stays so"


def test_only_who_may_change_the_meeting_invites_and_only_to_what_is_to_come(cast, ida):
    meeting = do(agenda.meet, cast["alice"], {"subject": "Demo", "at": AT})
    with pytest.raises(NotFound):
        do(invitations.invite, cast["charlie"], meeting.id, addresses=["x@example.com"])
    for wrong in ("nobody", "a b@example.com", "x@y"):
        with pytest.raises(Invalid):
            do(invitations.invite, cast["alice"], meeting.id, addresses=[wrong])
    with pytest.raises(Invalid):
        do(invitations.invite, cast["alice"], meeting.id, addresses=[f"p{n}@example.com" for n in range(31)])
    past = do(agenda.meet, cast["alice"], {"subject": "Past", "at": NOW - timedelta(days=1)})
    with pytest.raises(Conflict):
        do(invitations.invite, cast["alice"], past.id, addresses=["x@example.com"])
    assert told() == []


def test_nobody_is_invited_by_e_mail_who_asked_not_to_get_any(cast, ida):
    alice = cast["alice"]
    meeting = do(agenda.meet, alice, {"subject": "Demo", "at": AT})
    no_mail = do(records.create, cast["charlie"], "contact", {"name": "Nora", "email": "nora@example.com", "do_not_email": True})
    nothing = do(records.create, alice, "contact", {"name": "Nils", "email": "nils@example.com", "preferred_channel": "none"})
    private = {"kind": "email", "value": "private@example.com", "opted_out": True}
    do(contacts.set_points, alice, ida.id, [{"kind": "email", "value": "ida@example.com", "is_primary": True}, private])
    for chosen in ({"contact_ids": [nothing.id]}, {"addresses": ["Nora@example.com"]}, {"addresses": ["private@example.com"]}):
        with pytest.raises(Invalid, match="No e-mail is wanted") as refused:
            do(invitations.invite, alice, meeting.id, **chosen)
        assert list(refused.value.fields) == list(chosen) and "Nora " not in str(refused.value)
    assert told() == [] and no_mail.id
    do(invitations.invite, alice, meeting.id, contact_ids=[ida.id])
    assert [mail.address for mail in told()] == ["ida@example.com"]


def test_the_answer_of_a_calendar_is_read_once_and_a_broken_one_harms_nothing(cast, ida):
    alice = cast["alice"]
    meeting = do(invitations.plan, alice, {"subject": "Demo", "at": AT}, contact_ids=[ida.id])
    [mail] = told()
    text = (
        mail.attachments[0]["text"].replace("METHOD:REQUEST", "METHOD:REPLY").replace("PARTSTAT=NEEDS-ACTION", "PARTSTAT=ACCEPTED")
    )
    reply = invitation_rules.read_reply(text.encode())
    assert reply is not None and reply.state is GuestState.ACCEPTED
    for _ in range(2):
        do(invitations.answered, alice, reply, "ida@example.com")
    with read_session() as session:
        assert session.exec(select(MeetingGuest.state)).one() is GuestState.ACCEPTED
        assert [one.kind for one in session.exec(select(Notification))] == ["meeting.answered"]
    do(agenda.move, alice, "meeting", meeting.id, AT + timedelta(hours=1))
    told()
    with read_session() as session:
        assert session.exec(select(MeetingGuest.state)).one() is GuestState.INVITED, "they said yes to another time"
    for broken in (
        b"",
        b"x",
        text.encode()[:200],
        text.replace("meeting-", "task-").encode(),
        text.replace("REPLY", "REQUEST").encode(),
        b"\xff" * 50,
    ):
        assert invitation_rules.read_reply(broken) is None


def test_calendars_and_people_find_the_invitation_in_the_message(setting_mail):
    file = Enclosure("meeting.ics", "text/calendar; method=REQUEST", b"BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n")
    found = email.compose(Letter("ida@example.com", "Hello", "Text", enclosures=[file]), "key")
    parts = [
        (part.get_content_type(), part.get_param("method"), part.get_filename()) for part in found.walk() if not part.is_multipart()
    ]
    assert parts == [("text/plain", None, None), ("text/calendar", "REQUEST", None), ("text/calendar", "REQUEST", "meeting.ics")]


@pytest.fixture
def setting_mail(database):
    """Settings of a workspace."""
