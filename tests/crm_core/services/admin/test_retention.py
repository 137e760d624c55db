"""What is old goes out of the trail, what must stay stays, and the seals still tell a later edit."""

from datetime import timedelta

import pytest
from sqlalchemy import text, update
from sqlmodel import select

from crm_core.db import read_session, write_session
from crm_core.errors import Conflict, Invalid, NotPermitted
from crm_core.kit.clock import frozen, utcnow
from crm_core.lists import MASK
from crm_core.models import AuditSeal, Event, PersonalRead
from crm_core.services import crud, setting_back
from crm_core.services.admin import audit, retention
from crm_core.services.admin.retention import Going
from crm_core.services.collaboration import timeline
from crm_core.vocabulary import ReadWay
from tests.verbs import do, look

OLD = timedelta(days=800)
RULES = {"keep_reads_months": 12, "keep_signins_months": 12, "keep_settings_months": 12, "keep_values_months": 12}


@pytest.fixture
def trail(cast):
    return two_runs(cast["root"])


def two_runs(root):
    """Two sealed runs: an old one (a sign-in, a setting, a change of a contact) and one of today."""
    contact = do(crud.create, root, "contact", {"name": "Ida", "birthday": "1990-05-01", "city": "Oslo"}).id
    do(crud.update, root, "contact", contact, {"name": "Ida Berg", "birthday": "1991-05-01", "city": "Bergen"})
    with write_session() as session:
        for kind, entity in (("user.signed_in", "user"), ("user.signin_failed", "user"), ("organisation.updated", "organisation")):
            session.add(Event(type=kind, entity=entity, record_id=root.user_id, actor_id=root.user_id, at=utcnow()))
        session.add(
            PersonalRead(at=utcnow() - OLD, slot=1, user_id=root.user_id, entity="contact", record_id=contact, way=ReadWay.PAGE)
        )
        session.flush()
        session.execute(update(Event).values(at=utcnow() - OLD))
    seal()
    do(crud.update, root, "contact", contact, {"name": "Ida Holm"})
    seal()
    return root, contact


def seal():
    until = audit.settled_until()
    with write_session() as session:
        audit.seal(session, until)


def trim():
    """As the nightly job does it."""
    after, total, begun = 0, retention.Trimmed(0), do(retention.values_before)
    while do(retention.forget_reads):
        pass
    while (done := do(retention.trim_run, after)) is not None:
        after, total = done.last_id, retention.Trimmed(0, total.removed + done.removed, total.redacted + done.redacted)
    do(retention.finish, total, "x", begun)
    return total.removed, total.redacted


def types(entity):
    with read_session() as session:
        return [row.type for row in session.exec(select(Event).where(Event.entity == entity).order_by(Event.id))]


def test_the_next_night_takes_what_the_preview_says_and_the_seals_hold(any_cast):
    root, contact = two_runs(any_cast["root"])
    assert look(retention.going, root) == Going(1, 0, 0, 0), "only looks are not kept for ever from the start"
    assert look(retention.going, root, RULES) == Going(1, 2, 1, 1)
    do(retention.change, root, RULES)
    assert trim() == (3, 1)
    assert look(audit.verify).broken is None and look(audit.verify).sealed > 0
    assert types("user") == [] and types("organisation") == ["audit.policy_changed", "audit.trimmed"]
    assert types("contact") == ["contact.created", "contact.updated", "contact.updated"], "that a record was changed stays"
    assert look(retention.going, root) == Going(0, 0, 0, 0) and trim() == (0, 0)
    changes = {
        one.spec.key: (one.old, one.new) for item in look(timeline.find, root, "contact", contact)[0] for one in item.changes
    }
    assert changes["birthday"] == (MASK, MASK) and changes["city"] == ("Oslo", "Bergen")
    assert {one.old for one in look(setting_back.find, root, "contact", contact)} == {"Oslo", "Ida Berg"}
    entries = [row["entry"] for row in look(audit.find, root, entity="contact").rows]
    assert any(change.old == MASK for change in entries[1].changes) and look(audit.find, root).total == len(
        look(audit.find, root).rows
    )


def test_what_grows_old_while_the_job_works_is_the_next_night_s(cast):
    root = cast["root"]
    contact = do(crud.create, root, "contact", {"name": "Ida"}).id
    do(crud.update, root, "contact", contact, {"name": "Ida Berg"})
    seal()
    do(retention.change, root, RULES)
    with read_session() as session:
        noted = session.exec(select(Event.at).where(Event.type == "contact.updated")).one()
    year = timedelta(days=round(12 * 30.4375))
    with frozen(noted + year - timedelta(minutes=1)):
        begun = do(retention.values_before)
        assert do(retention.trim_run) is None
    with frozen(noted + year + timedelta(minutes=1)):
        do(retention.finish, retention.Trimmed(0), "x", begun)
        assert look(retention.going, root).values == 1 and trim() == (0, 1)


def test_after_a_night_a_later_edit_still_shows(trail):
    root, _ = trail
    do(retention.change, root, RULES)
    trim()
    seal()
    with write_session() as session:
        session.execute(text("delete from event_log where type = 'contact.created'"))
    assert look(audit.verify).broken is not None


def test_a_run_that_was_edited_stays_as_evidence(trail):
    root, _ = trail
    with write_session() as session:
        session.execute(text("update event_log set record_id = 99 where type = 'user.signed_in'"))
    do(retention.change, root, RULES)
    assert trim() == (0, 0) and "user.signed_in" in types("user")
    with read_session() as session:
        assert {one.kept_sha256 for one in session.exec(select(AuditSeal))} == {None}


def test_rules_are_checked_and_belong_to_whoever_manages_the_trail(cast):
    root = cast["root"]
    for wrong in ({"keep_reads_months": 2}, {"keep_settings_months": 6}, {"keep_values_months": 3}, {"nonsense": 1}):
        with pytest.raises(Invalid):
            do(retention.change, root, wrong)
    with pytest.raises(NotPermitted):
        do(retention.change, cast["bob"], {"log_reads": False})
    row = do(retention.change, root, {"log_reads": False})
    do(retention.change, root, {"log_reads": True}, base_version=row.version)
    with pytest.raises(Conflict):
        do(retention.change, root, {"log_reads": False}, base_version=row.version - 1)


def test_sign_ins_have_a_part_of_their_own_with_their_address(cast):
    root = cast["root"]
    with write_session() as session:
        session.add(
            Event(type="user.signin_failed", entity="user", record_id=root.user_id, at=utcnow(), data={"address": "10.0.0.7"})
        )
    found = [row["entry"] for row in look(audit.find, root, signins=True).rows]
    assert [(one.title, one.sentence, one.note) for one in found] == [("Root", "failed to sign in", "from 10.0.0.7")]
    assert look(audit.find, cast["bob"], signins=True).total == 0
