"""People are told once, only of what they may see, and in the words that they may read."""

from datetime import UTC, datetime, timedelta

from sqlmodel import select

from crm_core import jobs
from crm_core.access import load
from crm_core.db import read_session, write_session
from crm_core.kit import clock
from crm_core.models import Notification, RoleFieldMask, UserRole
from crm_core.services.collaboration import notification_rules, notifications
from crm_core.services.collaboration.notification_rules import KINDS, Wishes
from crm_core.services.customers import contacts
from crm_core.services.sales import leads
from crm_core.vocabulary import MailWay
from tests.verbs import do


def see(verb, *args, **kwargs):
    with read_session() as session:
        return verb(session, *args, **kwargs)


def tell(user, key="k", kind="automation.message", **more):
    return do(notifications.notify, user.user_id, kind=kind, dedupe_key=key, **more)


def texts(actor, **more):
    return [told.text() for told in see(notifications.find, actor, **more)[0]]


def test_a_key_is_told_once_to_each_person(any_cast):
    alice, bob = any_cast["alice"], any_cast["bob"]
    assert tell(alice, params={"text": "Hello {title} <b>*x*</b>"}) and not tell(alice, params={"text": "again"})
    assert tell(bob, params={"text": "Hello"})
    assert texts(alice) == ["Hello {title} <b>*x*</b>"] and see(notifications.unread, alice) == 1


def test_nobody_is_told_what_they_did_themselves_nor_what_they_may_not_see(cast):
    alice, charlie, sam = cast["alice"], cast["charlie"], cast["sam"]
    lead = do(leads.create, alice, {"name": "Secret lead"})
    about = {"entity": "lead", "record_id": lead.id}
    assert not tell(alice, "own", kind="assigned.record", params={"by": alice.user_id}, **about)
    assert not tell(charlie, "other", kind="assigned.record", params={"by": alice.user_id}, **about)
    assert not tell(sam, "no right", kind="assigned.record", **about)
    assert tell(cast["bob"], "manager", kind="assigned.record", params={"by": alice.user_id}, **about)
    assert texts(cast["bob"]) == ["Alice Rep made you the owner of Secret lead"]


def test_words_follow_the_rights_of_the_day_on_which_they_are_read(cast):
    sam, root = cast["sam"], cast["root"]
    contact = do(contacts.create, root, {"name": "Maria Secret"})
    tell(sam, kind="reminder.birthday", entity="contact", record_id=contact.id)
    assert texts(sam) == ["Maria Secret has a birthday today"]
    with write_session() as session:
        role = session.exec(select(UserRole.role_id).where(UserRole.user_id == sam.user_id)).one()
        session.add(RoleFieldMask(role_id=role, entity="contact", field_key="name"))
    assert texts(see(load, sam.user_id)) == [f"Contact {contact.id} has a birthday today"]


def test_reading_snoozing_and_taking_it_back(cast):
    alice = cast["alice"]
    for n in range(3):
        tell(alice, f"k{n}", params={"text": f"Number {n}"})
    rows = see(notifications.find, alice)[0]
    assert do(notifications.mark, cast["bob"], [rows[0].id]) == 0
    assert do(notifications.mark, alice, [rows[0].id]) == 1 and see(notifications.unread, alice) == 2
    changed = do(notifications.mark_all, alice)
    assert len(changed) == 2 and see(notifications.unread, alice) == 0
    assert do(notifications.mark, alice, changed, read=False) == 2 and see(notifications.unread, alice) == 2
    later = clock.utcnow() + timedelta(hours=1)
    assert do(notifications.snooze, alice, rows[0].id, until=later) and len(texts(alice)) == 2
    with clock.frozen(later + timedelta(seconds=1)):
        assert see(notifications.unread, alice) == 3 and len(texts(alice)) == 3


def test_wishes_decide_the_channels(cast):
    alice = cast["alice"]
    do(notifications.choose, alice, channels={"automation.message": {"app": False, "mail": "weekly"}, "made.up": {"app": True}})
    assert tell(alice, params={"text": "Quietly"}) and texts(alice) == [] and see(notifications.unread, alice) == 0
    with read_session() as session:
        row = session.exec(select(Notification)).one()
    assert row.mail is MailWay.WEEKLY and row.mail_due_at is not None and row.mail_due_at.weekday() == 0
    assert not tell(alice, params={"text": "Twice"})


def test_quiet_hours_and_digests_follow_the_clock_on_the_wall():
    berlin = Wishes("Europe/Berlin", quiet_from=20 * 60, quiet_to=7 * 60, digest_minute=8 * 60, digest_weekday=4)
    due = notification_rules.mail_due

    def utc(*parts):
        return datetime(2026, *parts, tzinfo=UTC)

    assert due(MailWay.NOW, utc(7, 1, 12), berlin) == utc(7, 1, 12)
    assert due(MailWay.NOW, utc(7, 1, 19), berlin) == utc(7, 2, 5)
    assert due(MailWay.NOW, utc(7, 2, 3), berlin) == utc(7, 2, 5)
    assert due(MailWay.NOW, utc(3, 28, 22), berlin) == utc(3, 29, 5)  # the night in which the clocks go forward
    assert due(MailWay.DAILY, utc(7, 1, 6), berlin) == utc(7, 2, 6) and due(MailWay.DAILY, utc(7, 1, 5), berlin) == utc(7, 1, 6)
    assert due(MailWay.WEEKLY, utc(7, 1, 12), berlin) == utc(7, 3, 6)
    assert due(MailWay.OFF, utc(7, 1, 12), berlin) is None


def test_every_kind_has_a_sentence_that_can_be_said_without_any_facts():
    for kind in KINDS.values():
        assert "{" not in notification_rules.spoken(kind.words({}), {}) and len(kind.key) <= 60


def test_old_notifications_go(cast):
    tell(cast["alice"], params={"text": "Old"}, at=clock.utcnow() - timedelta(days=200))
    jobs.execute("purge", "collaboration.notifications_purge", ())
    assert texts(cast["alice"]) == []
