"""Mail: queued in the transaction that causes it, sent once per key, kept in the outbox folder when no server is set."""

from datetime import UTC, datetime, timedelta
from email import message_from_string, policy

import pytest
from sqlmodel import select

from crm_core.channels import email
from crm_core.db import read_session, write_session
from crm_core.errors import Conflict, Invalid, NotFound, NotPermitted
from crm_core.jobs.run import begin
from crm_core.kit import clock
from crm_core.models import Contact, MailDelivery
from crm_core.services.admin import users
from crm_core.services.collaboration import mail_run, outbox, suppressions
from crm_core.settings import settings
from crm_core.vocabulary import MailState, Purpose, SuppressionReason
from tests.crm_core.services.marketing.outreach import no_quiet_hours
from tests.smtp_server import kept, smtp_in_settings


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A mail server on loopback that is set in the settings; gives the file with what arrived."""
    with smtp_in_settings(tmp_path / "arrived", monkeypatch) as arrived:
        yield arrived


def put(actor, to="ida@example.com", key="k1", **values):
    given = {"subject": "Hello", "text": "Words\n.hidden line\n", "kind": "test", "start": False, **values}
    with write_session() as session:
        return outbox.queue(session, actor, to=to, dedupe_key=key, **given)


def run(job_id="mail.send:test"):
    mail_run.send_due(begin(job_id, "mail.send"))


def row(mail_id):
    with read_session() as session:
        return session.get(MailDelivery, mail_id)


def test_without_a_server_a_message_becomes_a_file_that_administrators_can_read(cast):
    mail_id = put(cast["dana"], name="Ida Øst", subject="Bcc: x@example.com\r\nCc: y@example.com")
    run()
    found = row(mail_id)
    assert found.state is MailState.SENT and found.message_id.startswith("<")
    with read_session() as session:
        text = outbox.source(session, cast["root"], mail_id).decode()
        assert outbox.counts(session, cast["root"])[MailState.SENT] == 1
        assert outbox.find(session, cast["root"], q="IDA@").total == 1 and outbox.find(session, cast["root"], q="nobody").total == 0
        with pytest.raises(NotPermitted):
            outbox.find(session, cast["dana"])
        with pytest.raises(NotFound):
            outbox.get(session, cast["root"], 999)
    message = message_from_string(text, policy=policy.default)
    assert message["To"] == "Ida Øst <ida@example.com>" and message["Cc"] is None and message["Bcc"] is None
    assert len(list(email.outbox_folder().rglob("*.eml"))) == 1


def test_the_same_key_is_the_same_message(cast, server):
    first, second = put(cast["dana"]), put(cast["dana"], to="other@example.com")
    assert first == second
    run()
    run("mail.send:again")
    arrived = kept(server)
    assert [one["to"] for one in arrived] == [["ida@example.com"]]
    assert "\r\n.hidden line" in arrived[0]["text"]


def test_a_rolled_back_use_case_sends_nothing(cast, server):
    with pytest.raises(RuntimeError), write_session() as session:
        outbox.queue(session, cast["dana"], to="a@example.com", subject="S", text="T", kind="test", dedupe_key="k")
        raise RuntimeError
    run()
    assert kept(server) == []


def test_refusals_are_told_apart(cast, server):
    gone, later, policy_id = (put(cast["dana"], to=f"{who}@example.com", key=who) for who in ("nobody", "later", "spam"))
    fine, broken = put(cast["dana"], key="fine"), put(cast["dana"], to="ü@x@", key="broken")
    run()
    assert row(gone).state is MailState.BOUNCED and "5.1.1" in row(gone).message
    assert row(policy_id).state is MailState.FAILED
    assert row(broken).state is MailState.BOUNCED
    assert row(fine).state is MailState.SENT
    waiting = row(later)
    assert waiting.state is MailState.PENDING and waiting.next_at > clock.utcnow() + timedelta(seconds=50)


def test_a_message_that_is_put_off_too_often_has_failed_and_can_be_sent_again(cast, server):
    mail_id = put(cast["dana"], to="later@example.com")
    with write_session() as session:
        session.get(MailDelivery, mail_id).attempts = len(mail_run.PAUSES_MINUTES)
    run()
    assert row(mail_id).state is MailState.FAILED
    with write_session() as session:
        assert outbox.retry_failed(session, cast["root"]) == 1
    assert row(mail_id).state is MailState.PENDING and row(mail_id).attempts == 0


def test_a_server_that_is_away_costs_no_message(cast, monkeypatch):
    monkeypatch.setenv("RAPPORT_SMTP_URL", "smtp://127.0.0.1:1")
    monkeypatch.setenv("RAPPORT_MAIL_FROM", "crm@example.com")
    settings.cache_clear()
    ids = [put(cast["dana"], key=f"k{n}") for n in range(3)]
    run()
    assert {row(one).state for one in ids} == {MailState.PENDING}
    assert "can't be reached" in row(ids[0]).message


def test_a_sender_whose_claim_was_taken_over_can_not_close_the_message(cast, server):
    mail_id = put(cast["dana"])
    asleep = begin("mail.send:1", "mail.send")
    rows = mail_run.claim(asleep)
    with write_session() as session:
        session.get(MailDelivery, mail_id).claimed_at = clock.utcnow() - timedelta(hours=1)
    run("mail.send:2")
    assert mail_run.deliver(asleep, rows).sent == 0
    assert len(kept(server)) == 1 and row(mail_id).state is MailState.SENT


def test_news_never_leaves_at_night_however_long_it_waited_and_business_does(cast, server):
    no_quiet_hours(cast["root"], quiet_from="20:00", quiet_until="08:00")
    evening = datetime(2026, 6, 3, 19, 58, tzinfo=UTC)
    with write_session() as session:
        early = Contact(name="Early", email="e@example.com", preferred_hours="Thu 10-12")
        session.add(early)
        session.flush()
        early_id = early.id
    with clock.frozen(evening):
        news = put(cast["dana"], to="n@example.com", key="news", purpose=Purpose.MARKETING)
        theirs = put(cast["dana"], to="e@example.com", key="theirs", purpose=Purpose.MARKETING, contact_id=early_id)
        service = put(cast["dana"], to="s@example.com", key="service")
    with clock.frozen(evening + timedelta(minutes=3)):
        run()
        assert [one["to"] for one in kept(server)] == [["s@example.com"]] and row(service).state is MailState.SENT
        assert (row(news).state, row(news).next_at) == (MailState.PENDING, evening.replace(day=4, hour=8, minute=0))
        assert row(theirs).next_at == evening.replace(day=4, hour=10, minute=0)
    with clock.frozen(evening + timedelta(hours=12, minutes=3)):
        run("mail.send:morning")
    assert row(news).state is MailState.SENT and row(theirs).state is MailState.PENDING


def test_news_is_asked_for_again_after_a_senders_death_and_right_before_it_leaves(cast, server):
    """Who unsubscribed after the claim gets nothing: of a sender that died, of an earlier try of the same job, the last of a handful."""
    no_quiet_hours(cast["root"])
    news = {"purpose": Purpose.MARKETING}
    died, again, last, service = (
        put(cast["dana"], to=f"{key}@example.com", key=key, **more)
        for key, more in (("died", news), ("again", news), ("last", news), ("service", {}))
    )
    claimed = mail_run.claim(begin("mail.send:1", "mail.send"))
    with write_session() as session:
        session.get(MailDelivery, died).claimed_at = clock.utcnow() - timedelta(hours=1)
        session.get(MailDelivery, died).claim = "gone:1"
        for mail_id in (last, service):
            session.get(MailDelivery, mail_id).claim = "asleep:1"
        for key in ("died", "again", "last", "service"):
            suppressions.note(session, cast["dana"], f"{key}@example.com", SuppressionReason.UNSUBSCRIBED)
    run("mail.send:1")
    assert (row(died).state, row(again).state) == (MailState.CANCELLED, MailState.CANCELLED)
    assert "unsubscribed" in row(again).message
    late = [one for one in claimed if one.id in (last, service)]
    with read_session() as session:
        late = list(
            session.execute(outbox.MAIL.select().where(outbox.MAIL.c.id.in_([one.id for one in late])).order_by(outbox.MAIL.c.id))
        )
    assert mail_run.deliver(begin("asleep", "mail.send"), late) == mail_run.Delivered(1)
    assert row(last).state is MailState.CANCELLED and row(service).state is MailState.SENT
    assert [one["to"] for one in kept(server)] == [["service@example.com"]]
    with write_session() as session:
        outbox._again(session, outbox.MAIL.c.id == last)
        session.get(MailDelivery, last).state = MailState.SENDING
        session.get(MailDelivery, last).claim = "close:1"
    with read_session() as session:
        closing = session.execute(outbox.MAIL.select().where(outbox.MAIL.c.id == last)).one()
    with pytest.raises(mail_run._Taken):
        mail_run._mark(begin("close", "mail.send"), closing)


def test_handed_over_but_not_confirmed_is_never_repeated_by_itself(cast, server):
    mail_id = put(cast["dana"])
    with write_session() as session:
        found = session.get(MailDelivery, mail_id)
        found.state, found.claim, found.claimed_at = MailState.HANDED, "gone:1", clock.utcnow() - timedelta(days=1)
    run()
    assert kept(server) == [] and row(mail_id).state is MailState.HANDED
    with write_session() as session:
        outbox.retry(session, cast["root"], mail_id)
    run("mail.send:2")
    assert len(kept(server)) == 1
    with write_session() as session, pytest.raises(Conflict):
        outbox.retry(session, cast["root"], mail_id)


def test_what_waits_can_be_taken_out_once(cast, server):
    mail_id = put(cast["dana"])
    with write_session() as session:
        outbox.cancel(session, cast["root"], mail_id)
    with write_session() as session, pytest.raises(Conflict):
        outbox.cancel(session, cast["root"], mail_id)
    run()
    assert kept(server) == []


def test_news_taken_out_by_mistake_can_go_after_all_unless_it_was_called_back_since(cast, server):
    no_quiet_hours(cast["root"])
    mistake, gone = (put(cast["dana"], to=f"{key}@example.com", key=key, purpose=Purpose.MARKETING) for key in ("mistake", "gone"))
    with write_session() as session:
        for one in (mistake, gone):
            outbox.cancel(session, cast["root"], one)
        assert outbox.recall(session, cast["root"], "The campaign was stopped.", ids=[gone]) == []
    run()
    assert kept(server) == []
    with write_session() as session:
        assert outbox.may_go_again(outbox.get(session, cast["root"], mistake))
        outbox.retry(session, cast["root"], mistake)
        with pytest.raises(Conflict, match="left it since"):
            outbox.retry(session, cast["root"], gone)
    run("mail.send:again")
    assert [one["to"] for one in kept(server)] == [["mistake@example.com"]]


def test_an_address_must_be_one(cast):
    with pytest.raises(Invalid):
        put(cast["dana"], to="no address")


def test_an_invitation_is_mailed_when_a_server_is_set_and_its_link_is_kept_nowhere(cast, server):
    with write_session() as session:
        role = session.exec(select(users.Role.id).where(users.Role.key == "sales_rep")).one()
        given = {"name": "New", "email": "new@example.com", "role_ids": [role]}
        made = users.invite(session, cast["root"], **given, base_url="https://crm.example.com/")
    assert made.mailed
    with read_session() as session:
        mail = session.exec(select(MailDelivery)).one()
        assert outbox.get(session, cast["root"], mail.id)["content"] == ""
    run()
    link = f"https://crm.example.com{made.path}"
    assert link in message_from_string(kept(server)[0]["text"], policy=policy.default).get_content()
    assert row(mail.id).content == "" and made.path.rsplit("/", 1)[1] not in str(row(mail.id))


def test_without_a_server_or_an_address_the_link_is_only_shown(cast, monkeypatch):
    with write_session() as session:
        assert not users.link_again(session, cast["root"], cast["alice"].user_id, base_url="https://x.example.com").mailed
