"""Fetching mail from a real IMAP server: each message once, whatever happens in between; and mail that comes over the web."""

import hashlib
import hmac
import json

import pytest
from sqlmodel import select

from crm_core.channels import imap
from crm_core.db import write_session
from crm_core.errors import Conflict, Invalid, NotFound, NotPermitted
from crm_core.jobs.run import begin
from crm_core.kit import clock, secret
from crm_core.models import InboundMail, Mailbox, Ticket
from crm_core.services.inbox import intake, mailboxes, pulling, webhook
from crm_core.services.inbox.webhook import Post
from crm_core.vocabulary import InboundState
from tests.crm_core.services.inbox.post import BOX, box, letter
from tests.imap_server import imap as imap_server
from tests.verbs import do, look


@pytest.fixture(scope="module")
def running():
    with imap_server() as found:
        yield found


@pytest.fixture
def server(running):
    running.renew()
    return running


def pull(name="t"):
    pulling.pull_due(begin(f"mailbox.pull:{name}", "mailbox.pull"))


def now(mailbox):
    """Its turn comes at once."""
    do(lambda session: session.execute(Mailbox.__table__.update().values(next_pull_at=None, lease_until=None)))


def state(mailbox):
    return look(lambda session: session.get(Mailbox, mailbox.id))


def subjects():
    return look(lambda session: list(session.exec(select(InboundMail.subject).order_by(InboundMail.id))))


def test_every_message_of_the_folder_becomes_one_ticket_and_the_place_is_kept(any_cast, server):
    server.put(*[letter(number=n, subject=f"S{n}") for n in range(3)], letter(number=1, subject="S1"))
    mailbox = box(any_cast["root"], **server.values)
    pull()
    assert subjects() == ["S0", "S1", "S2"]
    kept = state(mailbox)
    assert kept.last_uid > 0 and kept.failures == 0 and kept.last_good_at and kept.lease_until is None
    with server.inside() as found:
        found.select("Support", readonly=True)
        assert found.search(None, "UNSEEN")[1][0].split() != [], "nothing is marked as read"
    server.put(letter(number=9, subject="S9"))
    now(mailbox)
    pull("2")
    assert subjects()[-1] == "S9" and len(subjects()) == 4


def test_a_folder_whose_numbers_begin_anew_doubles_nothing_and_misses_nothing(cast, server):
    server.put(letter(number=1, subject="old"))
    mailbox = box(cast["root"], **server.values)
    pull()
    before = state(mailbox).uid_validity
    server.renew(letter(number=1, subject="old"), letter(number=2, subject="new"))
    now(mailbox)
    pull("2")
    assert subjects() == ["old", "new"] and state(mailbox).uid_validity != before


def test_a_crash_between_two_messages_loses_and_doubles_nothing(cast, server, monkeypatch):
    server.put(*[letter(number=n, subject=f"S{n}") for n in range(4)])
    mailbox = box(cast["root"], **server.values)
    real, seen = pulling._step, []

    def dying(session, row, validity, uid):
        real(session, row, validity, uid)
        seen.append(uid)
        if len(seen) == 3:
            raise KeyboardInterrupt  # after everything was written, before it was committed

    monkeypatch.setattr(pulling, "_step", dying)
    with pytest.raises(KeyboardInterrupt):
        pull()
    monkeypatch.undo()
    assert len(subjects()) == 1, "the begin of the folder, one message; the third step did not count"
    now(mailbox)
    pull("2")
    assert subjects() == ["S0", "S1", "S2", "S3"]


def test_a_message_on_which_the_program_fails_waits_in_the_tray_and_the_next_ones_come(cast, server, monkeypatch):
    server.put(letter(number=1, subject="poison"), letter(number=2, subject="fine"))
    box(cast["root"], **server.values)
    real = intake.decide

    def failing(session, mailbox, found, row, raw):
        if found.subject == "poison":
            raise ZeroDivisionError
        real(session, mailbox, found, row, raw)

    monkeypatch.setattr(intake, "decide", failing)
    pull()
    rows = look(lambda session: list(session.exec(select(InboundMail).order_by(InboundMail.id))))
    assert [(row.subject, row.state) for row in rows] == [("poison", InboundState.TRAY), ("fine", InboundState.TICKET)]
    assert "unforeseen" in rows[0].reason and rows[0].raw


def test_a_message_that_is_too_large_is_known_by_its_head(cast, server, monkeypatch):
    monkeypatch.setattr(intake, "MAX_BYTES", 2_000)
    server.put(letter("x" * 5_000, subject="huge"), letter(number=2, subject="small"))
    box(cast["root"], **server.values)
    pull()
    rows = look(lambda session: list(session.exec(select(InboundMail).order_by(InboundMail.id))))
    assert [(row.subject, row.state) for row in rows] == [("huge", InboundState.TRAY), ("small", InboundState.TICKET)]
    assert rows[0].reason.startswith("Larger than")


def test_trouble_is_written_on_the_mailbox_and_tried_again_later_and_later(cast, server):
    mailbox = box(cast["root"], **{**server.values, "secret": "wrong"})
    for failures, minutes in ((1, 1), (2, 2), (3, 5)):
        before = clock.utcnow()
        pull(str(failures))
        found = state(mailbox)
        assert found.failures == failures and "refused the user name or the password" in found.message
        assert minutes - 0.1 < (found.next_pull_at - before).total_seconds() / 60 < minutes + 0.5
        now(mailbox)
    do(mailboxes.pause, cast["root"], mailbox.id, paused=True)
    assert not look(pulling.anything_due)
    do(mailboxes.pause, cast["root"], mailbox.id, paused=False)
    assert look(pulling.anything_due) and state(mailbox).failures == 0


def test_trying_a_mailbox_out_says_what_is_wrong(cast, server):
    root, values = cast["root"], server.values
    probe = lambda **more: look(mailboxes.probe, root, None, {**values, **more})  # noqa: E731
    good = probe()
    assert good.good and good.words == "It works: demouser is signed in, and “Support” holds 0 messages."
    assert probe(secret="x").words.startswith("The mail server refused the user name or the password")
    assert probe(folder="Nowhere").words == "There is no folder “Nowhere” in this mailbox."
    assert probe(port=1).words == "Nothing listens at 127.0.0.1:1. Check the port."
    assert "on this machine only" in probe(host="mail.example.com").words
    assert "does not speak TLS" in probe(tls="tls").words
    assert probe(secret="").words == "The password is needed to sign in."


def test_the_password_is_kept_sealed_never_shown_and_never_sent_to_another_server(cast, server, monkeypatch):
    root = cast["root"]
    mailbox = box(root, **{**server.values, "secret": "tr0ub4dor"})
    stored = look(lambda session: session.get(Mailbox, mailbox.id).secret_sealed)
    assert (
        "tr0ub4dor" not in stored
        and look(mailboxes.find, root)[0].box.secret_sealed == ""
        and look(mailboxes.find, root)[0].has_secret
    )
    do(mailboxes.save, root, mailbox.id, {"name": "Renamed"})
    assert mailboxes.account_of(state(mailbox)).secret == "tr0ub4dor"
    with pytest.raises(Invalid) as caught:
        do(mailboxes.save, root, mailbox.id, {"host": "localhost"})
    assert "not sent to another server" in caught.value.fields["secret"]
    monkeypatch.setattr(secret, "key", lambda: "another installation")
    with pytest.raises(imap.ImapError, match="another installation"):
        mailboxes.account_of(state(mailbox))


def test_only_administrators_set_mailboxes_up_and_what_is_wrong_is_told_per_field(cast):
    for who in ("sam", "bob", "dana", "ana"):
        with pytest.raises(NotPermitted):
            do(mailboxes.save, cast[who], None, BOX)
    with pytest.raises(NotPermitted):
        look(mailboxes.find, cast["dana"])
    with pytest.raises(Invalid) as caught:
        do(
            mailboxes.save,
            cast["root"],
            None,
            {"address": "nonsense", "source": "imap", "port": 0, "ack_body": "{{nope}}", "first_days": 99},
        )
    assert {"address", "host", "username", "secret", "port", "ack_body", "first_days"} == set(caught.value.fields)
    made = box(cast["root"])
    with pytest.raises(Invalid, match="") as caught:
        box(cast["root"], address="SUPPORT@example.com")
    assert "already" in caught.value.fields["address"]
    with pytest.raises(Conflict):
        do(mailboxes.save, cast["root"], made.id, {"name": "x"}, base_version=99)
    do(mailboxes.remove, cast["root"], made.id)
    with pytest.raises(NotFound):
        do(mailboxes.remove, cast["root"], made.id)


def test_a_folder_is_read_too_and_each_file_laid_aside(cast):
    mailbox = box(cast["root"])
    folder = pulling.folder_of(mailbox)
    folder.mkdir(parents=True)
    (folder / "a.eml").write_bytes(letter())
    (folder / "note.txt").write_text("not mail")
    pull()
    assert subjects() == ["Broken pump"] and (folder / "done" / "a.eml").exists() and (folder / "note.txt").exists()
    assert len(look(lambda session: list(session.exec(select(Ticket))))) == 1


# --- over the web ---------------------------------------------------------------------------------------------------------


def post(key, **values):
    with write_session() as session:
        return webhook.take(session, key, Post(**values))


def test_the_web_address_takes_raw_mail_and_the_forms_of_providers(cast):
    mailbox = box(cast["root"])
    key = do(mailboxes.new_key, cast["root"], mailbox.id)
    assert post(key, body=letter()).state is InboundState.TICKET
    assert not post(key, body=letter()).new
    assert post(key, fields={"body-mime": letter(number=2, subject="mime").decode()}).new
    assert post(key, files=[("message", "m.eml", "message/rfc822", letter(number=3, subject="file"))]).new
    parsed = {"from": "Bo <bo@x.example>", "to": "support@example.com", "subject": "parsed", "text": "Hello", "html": "<b>Hello</b>",
              "headers": "Message-ID: <p@x.example>\nDate: Wed, 25 Nov 2026 10:00:00 +0100\nReceived: from\n x"}  # fmt: skip
    assert post(key, fields=parsed, files=[("attachment1", "a.csv", "text/csv", b"1,2")]).new
    assert not post(key, fields=parsed).new
    assert subjects() == ["Broken pump", "mime", "file", "parsed"]
    for wrong in ({"body": b"  "}, {"fields": {"hello": "world"}}):
        with pytest.raises(Invalid):
            post(key, **wrong)
    with pytest.raises(NotFound):
        post("wrong", body=letter())
    do(mailboxes.pause, cast["root"], mailbox.id, paused=True)
    with pytest.raises(NotFound):
        post(key, body=letter(number=5))


def test_a_signing_key_refuses_what_is_not_signed(cast):
    mailbox = box(cast["root"], signing="s3cret")
    key = do(mailboxes.new_key, cast["root"], mailbox.id)
    sign = lambda text: hmac.new(b"s3cret", text, hashlib.sha256).hexdigest()  # noqa: E731
    for signature in ("", "sha256=" + "0" * 64, "ünsigned"):
        with pytest.raises(NotPermitted):
            post(key, body=letter(), signature=signature)
    assert post(key, body=letter(), signature="sha256=" + sign(letter())).new
    stamp = str(int(clock.utcnow().timestamp()))
    mailgun = {
        "timestamp": stamp,
        "token": "tok",
        "signature": sign(f"{stamp}tok".encode()),
        "body-mime": letter(number=2).decode(),
    }
    assert post(key, fields=mailgun).new
    with pytest.raises(NotPermitted):
        post(key, fields={**mailgun, "timestamp": "1000000000"})
    assert "s3cret" not in json.dumps(look(lambda session: session.get(Mailbox, mailbox.id).signing_sealed))
