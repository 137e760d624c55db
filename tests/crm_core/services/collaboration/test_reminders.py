"""What falls due, is handed over or mentions somebody is told once, and goes out by mail once."""

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy.event import listen
from sqlmodel import select

from crm_core import jobs
from crm_core.db import read_session, write_session
from crm_core.kit import clock
from crm_core.models import MailDelivery, Notification, User
from crm_core.services import bulk
from crm_core.services.admin import custom_fields
from crm_core.services.collaboration import activities, assignments, mentions, notification_mail, notifications, reminders, tasks
from crm_core.services.customers import accounts, contacts, handovers
from crm_core.services.helpdesk import tickets
from crm_core.services.sales import leads
from crm_core.vocabulary import ActivityKind, FieldKind, Via
from tests.verbs import do

NOON = datetime(2026, 3, 27, 12, tzinfo=UTC)


def texts(actor):
    with read_session() as session:
        return [told.text() for told in notifications.find(session, actor)[0]]


def mails():
    with read_session() as session:
        return [(mail.subject, mail.content) for mail in session.exec(select(MailDelivery).order_by(MailDelivery.id))]


def test_a_task_is_due_once_moved_again_and_never_when_it_is_done(any_cast):
    alice = any_cast["alice"]
    with clock.frozen(NOON):
        task = do(tasks.create, alice, {"subject": "Call Maria", "due_at": NOON + timedelta(minutes=5)})
        assert do(reminders.remind_now, NOON) == 0
    for minute in (5, 6, 7):
        with clock.frozen(NOON + timedelta(minutes=minute)):
            jobs.execute(f"r{minute}", "collaboration.remind", ())
            assert texts(alice) == ["Due now: Call Maria"]
    later = NOON + timedelta(hours=2)
    with clock.frozen(NOON + timedelta(minutes=8)):
        do(tasks.update, alice, task.id, {"due_at": later})
        assert do(reminders.remind_now, clock.utcnow()) == 0
    with clock.frozen(later + timedelta(minutes=1)):
        assert do(reminders.remind_now, clock.utcnow()) == 1 and len(texts(alice)) == 2
    with clock.frozen(later + timedelta(hours=25)):
        assert do(reminders.remind_now, clock.utcnow()) == 1 and texts(alice)[0] == "Overdue since yesterday: Call Maria"
        do(tasks.complete, alice, task.id)
        assert do(reminders.remind_now, clock.utcnow()) == 0
        with read_session() as session:
            assert notifications.unread(session, alice) == 0


def test_a_minute_in_which_nothing_is_new_costs_the_same_however_much_was_told_before(cast):
    alice, asked = cast["alice"], []
    with clock.frozen(NOON):
        for n in range(12):
            do(tasks.create, alice, {"subject": f"Call {n}", "due_at": NOON - timedelta(minutes=n)})
        assert do(reminders.remind_now, NOON) == 12
        with write_session() as session:
            listen(session.connection(), "before_cursor_execute", lambda _c, _cursor, statement, *_: asked.append(statement))
            assert reminders.remind_now(session, NOON) == 0
    assert len([one for one in asked if "notification" in one]) == 1 and len(asked) < 10


def test_a_meeting_is_announced_as_early_as_its_owner_wants(cast):
    alice = cast["alice"]
    with clock.frozen(NOON):
        account = do(accounts.create, alice, {"name": "Acme"})
        at = NOON + timedelta(minutes=40)
        do(activities.log, alice, "account", account.id, kind=ActivityKind.MEETING, text="Demo", at=at)
        assert do(reminders.remind_now, NOON) == 0
        do(notifications.choose, alice, meeting_minutes=60)
        assert do(reminders.remind_now, NOON) == 1 and texts(alice) == ["Demo begins soon"]
        with read_session() as session:
            assert notifications.find(session, alice)[0][0].page == "calendar"
        assert do(reminders.remind_now, NOON) == 0


def test_birthdays_contracts_and_silence(cast):
    alice, root = cast["alice"], cast["root"]
    do(contacts.create, alice, {"name": "Leap", "birthday": date(2000, 2, 29)})
    do(custom_fields.create, root, "account", label="Contract end", kind=FieldKind.DATE)
    account = do(accounts.create, alice, {"name": "Acme", "x_contract_end": date(2026, 4, 26)})
    with clock.frozen(NOON - timedelta(hours=30)):
        do(leads.create, alice, {"name": "Waiting lead"})
        do(leads.create, alice.through(Via.IMPORT), {"name": "From a list"})
    with clock.frozen(NOON):
        assert do(reminders.birthdays, date(2026, 2, 28)) == 1 and do(reminders.birthdays, date(2026, 2, 28)) == 0
        assert do(reminders.birthdays, date(2028, 2, 28)) == 0 and do(reminders.birthdays, date(2028, 2, 29)) == 1
        do(accounts.create, alice, {"name": "Beta", "renews_on": date(2026, 4, 26)})
        do(accounts.create, alice, {"name": "Gone", "renews_on": date(2026, 4, 26), "customer_until": date(2026, 3, 1)})
        assert do(reminders.renewals, date(2026, 3, 27)) == 2 and do(reminders.renewals, date(2026, 3, 28)) == 0
        assert "The contract of Beta ends in 30 days" in texts(alice)
        assert do(reminders.unanswered_leads, date(2026, 3, 27)) == 1
        assert f"The contract of {account.name} ends in 30 days" in texts(alice)


def tell_given():
    with clock.frozen(clock.utcnow() + timedelta(minutes=2)):
        jobs.execute(f"a{clock.utcnow():%f}", assignments.NAME, ())


def test_what_becomes_mine_is_told_and_many_at_once_in_one_sentence(cast):
    alice, bob = cast["alice"], cast["bob"]
    do(tasks.create, bob, {"subject": "Write the offer", "owner_id": alice.user_id})
    do(tasks.create, alice, {"subject": "My own idea"})
    moved = do(leads.create, bob, {"name": "Moved on", "owner_id": alice.user_id})
    do(leads.update, bob, moved.id, {"owner_id": bob.user_id})
    few = [do(leads.create, bob, {"name": f"Lead {n}"}) for n in range(5)]
    do(bulk.change, bob, "lead", {lead.id: lead.version for lead in few}, "owner_id", alice.user_id)
    tell_given()
    tell_given()
    assert sorted(texts(alice)) == ["Bob Manager gave you the task Write the offer", "Bob Manager made you the owner of 5 leads"]
    assert texts(bob) == []


def test_whom_a_note_means(cast):
    alice, bob = cast["alice"], cast["bob"]
    with write_session() as session:
        session.add(User(name="Bob Other", email="bobo@example.com", email_key="bobo@example.com"))
        for text, who in (
            ("@Bob Manager, please", [bob.user_id]), ("ask @bob", []), ("mail bob@example.com", []), ("(@SAM)", [cast["sam"].user_id]),
            ("@bobo @charlie.", None), ("@nobody", []), ("@", []),
        ):  # fmt: skip
            found = mentions.mentioned(session, alice, text)
            assert (len(found) == 2) if who is None else (found == who), text
        session.rollback()
    account = do(accounts.create, alice, {"name": "Acme"})
    do(activities.log, alice, "account", account.id, kind=ActivityKind.NOTE, text="@Bob Manager look at this")
    ticket = do(tickets.create, cast["sam"], {"subject": "Broken"})
    do(tickets.reply, cast["sam"], ticket.id, "@alice knows more", internal=True)
    assert texts(bob) == ["Alice Rep mentioned you on Acme"] and texts(alice) == ["Sam Agent mentioned you on Broken"]


def test_hand_overs_are_told_to_the_other_one(cast):
    alice, sam = cast["alice"], cast["sam"]
    account = do(accounts.create, alice, {"name": "Acme"})
    offer = do(handovers.offer, alice, account.id, to_user_id=sam.user_id)
    assert texts(sam) == ["Alice Rep wants to hand Acme over to you"]
    do(handovers.decline, sam, offer.id, reason="Not yet")
    assert texts(alice) == ["Sam Agent declined to take Acme over"]


@pytest.fixture
def inbox(cast):
    """Alice gets one kind at once and another once a day."""
    alice = cast["alice"]
    wishes = {"mention": {"app": True, "mail": "now"}, "automation.message": {"app": True, "mail": "daily"}}
    do(notifications.choose, alice, channels=wishes, digest_minute=8 * 60)
    return alice


def test_mail_goes_out_once_at_once_or_as_one_summary(inbox):
    with clock.frozen(NOON):
        for n in range(3):
            do(notifications.notify, inbox.user_id, kind="automation.message", params={"text": f"Thing {n}"}, dedupe_key=f"t{n}")
        do(notifications.notify, inbox.user_id, kind="mention", params={"by": None}, dedupe_key="m")
    with clock.frozen(NOON + timedelta(minutes=1)):
        assert notification_mail.send
        jobs.execute("m1", "collaboration.notification_mail", ())
        jobs.execute("m2", "collaboration.notification_mail", ())
        assert len(mails()) == 1 and mails()[0][0].startswith("Rapport mentioned you")
    with clock.frozen(NOON + timedelta(days=1)):
        with write_session() as session:
            session.exec(select(Notification).where(Notification.dedupe_key == "t0")).one().read_at = NOON
        jobs.execute("m3", "collaboration.notification_mail", ())
        jobs.execute("m4", "collaboration.notification_mail", ())
        subject, text = mails()[1]
        assert len(mails()) == 2 and subject == "2 notifications for you" and "Thing 1" in text and "Thing 0" not in text
