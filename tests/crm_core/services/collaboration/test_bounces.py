"""Delivery reports: read as mail servers write them, believed only about messages of ours."""

import pytest
from sqlmodel import select

from crm_core.channels import email
from crm_core.db import read_session, write_session
from crm_core.errors import Invalid, NotPermitted
from crm_core.jobs.run import begin
from crm_core.models import MailDelivery, Suppression
from crm_core.services.collaboration import bounces, mail_run, outbox
from crm_core.vocabulary import MailState

REPORT = """From: MAILER-DAEMON@mx.example.net
To: crm@example.com
Subject: Undelivered Mail Returned to Sender
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="B"

--B
Content-Type: text/plain

Sorry.
--B
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.net

Final-Recipient: rfc822; Ida@Example.com
Action: {action}
Status: {status}
Diagnostic-Code: smtp; 550 {status} no such user

--B
Content-Type: text/rfc822-headers

Message-ID: {message_id}
Subject: Hello
--B--
"""


def report(action="failed", status="5.1.1", message_id=None):
    return REPORT.format(action=action, status=status, message_id=message_id or email.message_id_of("k")).encode()


@pytest.fixture
def sent(cast):
    with write_session() as session:
        outbox.queue(
            session, cast["root"], to="ida@example.com", subject="Hello", text="T", kind="campaign", dedupe_key="k", start=False
        )
    mail_run.send_due(begin("mail.send:test", "mail.send"))
    return cast


def take(actor, raw):
    with write_session() as session:
        return bounces.take_in(session, actor, raw)


def test_a_dead_address_is_marked_and_blocked_and_twice_is_as_good_as_once(sent):
    for _ in range(2):
        assert take(sent["root"], report()).dead
    with read_session() as session:
        assert session.exec(select(MailDelivery.state)).one() is MailState.BOUNCED
        assert session.exec(select(Suppression.address_key)).all() == ["ida@example.com"]


def test_a_full_mailbox_is_marked_but_not_blocked(sent):
    assert not take(sent["root"], report(status="5.2.2")).dead
    with read_session() as session:
        assert session.exec(select(Suppression)).all() == []


@pytest.mark.parametrize(
    "raw", [b"", b"\xff\x00", report(action="delayed"), report(status="4.4.1"), report(message_id="<other@x>")]
)
def test_what_is_no_bounce_of_ours_changes_nothing(sent, raw):
    with pytest.raises(Invalid):
        take(sent["root"], raw)
    with read_session() as session:
        assert session.exec(select(MailDelivery.state)).one() is MailState.SENT


def test_others_may_not_hand_one_in(sent):
    with pytest.raises(NotPermitted):
        take(sent["dana"], report())
