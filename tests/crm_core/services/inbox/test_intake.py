"""What becomes of mail: threads, people, machines, loops, and everything that can be wrong with a message."""

import base64
from datetime import timedelta

import pytest
from sqlmodel import func, select

from crm_core.kit import clock
from crm_core.models import (
    Attachment,
    CampaignMember,
    Contact,
    InboundMail,
    MailDelivery,
    Notification,
    Suppression,
    Ticket,
    TicketMessage,
    Touchpoint,
)
from crm_core.services.collaboration import invitations
from crm_core.services.customers import contacts
from crm_core.services.helpdesk import answer_rules, answers, ticket_rules, tickets
from crm_core.services.inbox import loop_rules, message_rules, quote_rules, tray
from crm_core.services.sales import leads
from crm_core.vocabulary import GuestState, InboundState, MailState, MessageDirection, TicketKind
from tests.crm_core.services.inbox.post import box, letter, take
from tests.verbs import do, look


def all_of(model, *clauses):
    return look(lambda session: list(session.exec(select(model).where(*clauses).order_by(model.id))))


def ticket():
    return all_of(Ticket)[-1]


def said(ticket_id):
    return all_of(TicketMessage, TicketMessage.ticket_id == ticket_id)


@pytest.fixture
def support(cast):
    return box(cast["root"])


def test_a_letter_becomes_a_ticket_of_its_sender_and_of_the_company_of_their_domain(any_cast):
    mailbox = box(any_cast["root"], impact="high", urgency="high")
    account = do(leads.accounts.create, any_cast["alice"], {"name": "Customer Ltd", "website": "https://www.customer.example"})
    taken = take(mailbox, letter("The pump is broken.\n\n-- \nIda Berg\nHead of pumps"))
    made = ticket()
    person = all_of(Contact)[0]
    assert (taken.state, made.subject, made.status, made.account_id) == (
        InboundState.TICKET,
        "Broken pump",
        TicketKind.NEW,
        account.id,
    )
    assert (person.name, person.email, person.account_id, made.contact_id) == (
        "Ida Berg",
        "ida@customer.example",
        account.id,
        person.id,
    )
    assert made.priority.value == "urgent" and made.owner_id is None
    (first,) = said(made.id)
    assert (first.body, first.quoted) == ("The pump is broken.", "-- \nIda Berg\nHead of pumps")
    again = take(mailbox, letter("The pump is broken.\n\n-- \nIda Berg\nHead of pumps"))
    assert not again.new and again.id == taken.id and len(all_of(Ticket)) == 1


def test_whose_answer_it_is_is_found_by_what_it_answers_then_by_the_signed_address_then_by_the_number(support, cast):
    take(support, letter())
    first = ticket()
    answer = do(answers.send, cast["sam"], first.id, "Try turning it.", to="ida@customer.example")
    mark = answer_rules.reply_address("support@example.com", first.id)
    forged = mark.replace(answer_rules.mark(first.id), "0" * 16)
    ways = [
        ({"In_Reply_To": answer.message_id, "subject": "Re: whatever"}, first.id),
        ({"References": f"<x@y.example> {answer.message_id} <z@y.example>", "subject": "AW: x"}, first.id),
        ({"References": "<m1@customer.example>", "subject": "more"}, first.id),
        ({"To": mark, "subject": "new subject", "sender": "other@elsewhere.example"}, first.id),
        ({"To": "support@example.com", "Delivered_To": mark.upper(), "subject": "mine"}, first.id),
        ({"To": forged, "subject": "forged", "sender": "thief@elsewhere.example"}, None),
        ({"subject": f"Re: Broken pump [#{first.number}]"}, first.id),
        ({"subject": f"about [{first.number}]"}, first.id),
        ({"subject": f"[#{first.number}]", "sender": "thief@elsewhere.example"}, None),
        ({"subject": "Re: Broken pump"}, first.id),
        ({"subject": "Broken pump"}, None),
        ({"In_Reply_To": "<unknown@customer.example>", "subject": "Re: something else"}, None),
    ]
    for number, (values, expected) in enumerate(ways, 10):
        taken = take(support, letter(number=number, **values))
        row = all_of(InboundMail, InboundMail.id == taken.id)[0]
        assert (row.ticket_id == first.id) == (expected == first.id), (values, row.reason)
        assert taken.state is (InboundState.THREAD if expected else InboundState.TICKET), values


def test_an_answer_to_a_solved_ticket_opens_it_again_and_after_two_weeks_begins_a_new_one_that_names_it(support, cast):
    take(support, letter())
    first = ticket()
    do(tickets.solve, cast["sam"], first.id)
    take(support, letter("Still broken", number=2, In_Reply_To="<m1@customer.example>"))
    assert ticket().status is TicketKind.OPEN and ticket().reopened_count == 1
    do(tickets.solve, cast["sam"], first.id)
    with clock.frozen(clock.utcnow() + timedelta(days=ticket_rules.REOPEN_DAYS, hours=1)):
        taken = take(support, letter("And again", number=3, In_Reply_To="<m1@customer.example>"))
    second = ticket()
    assert taken.state is InboundState.TICKET and second.follows_id == first.id and second.contact_id == first.contact_id
    assert all_of(Ticket)[0].status is TicketKind.SOLVED


def test_machines_are_kept_apart_from_people(support, cast):
    take(support, letter())
    first = ticket()
    do(answers.send, cast["sam"], first.id, "Done.", to="ida@customer.example", then=TicketKind.SOLVED)
    thread = {"In_Reply_To": "<m1@customer.example>"}
    ways = [
        ({**thread, "Auto_Submitted": "auto-replied", "subject": "Out of office"}, InboundState.AUTO),
        ({**thread, "X_Autoreply": "yes"}, InboundState.AUTO),
        ({**thread, "Precedence": "auto_reply"}, InboundState.AUTO),
        ({**thread, "X_Auto_Response_Suppress": "All", "subject": "Automatische Antwort: x"}, InboundState.AUTO),
        ({"Auto_Submitted": "auto-replied", "sender": "new@else.example"}, InboundState.AUTO),
        ({"Auto_Submitted": "auto-generated", "sender": "shop@else.example"}, InboundState.TRAY),
        ({"Precedence": "bulk", "sender": "news@else.example"}, InboundState.TRAY),
        ({"List_Id": "<x.example>", "sender": "list@else.example"}, InboundState.TRAY),
        ({"Return_Path": "<>", "sender": "odd@else.example"}, InboundState.TRAY),
        ({"sender": "MAILER-DAEMON@else.example", "subject": "Undelivered"}, InboundState.AUTO),
        ({"sender": "support@example.com"}, InboundState.OWN),
        ({"X_Rapport": "ticket T-000001", "sender": "copy@else.example"}, InboundState.OWN),
        ({"sender": "sam@example.com"}, InboundState.TRAY),
        ({"Auto_Submitted": "no", "subject": "I was out of office last week", "sender": "real@else.example"}, InboundState.TICKET),
    ]
    for number, (values, expected) in enumerate(ways, 50):
        assert take(support, letter(number=number, **values)).state is expected, values
    assert look(tickets.get, cast["sam"], first.id).status is TicketKind.SOLVED, "no machine opens a ticket again"
    notes = [message for message in said(first.id) if message.direction is MessageDirection.INTERNAL]
    assert len(notes) == 4 and notes[0].author_name == "Automatic answer from Ida Berg"


def test_two_machines_that_answer_everything_fall_silent(support, cast):
    mailbox = box(cast["root"], address="help@example.com", acknowledge=True)
    rounds = 0
    for rounds in range(1, 40):
        raw = letter("I am away", sender="robot@silly.example", subject=f"I am away {rounds}", number=900 + rounds)
        take(mailbox, raw)  # it sets no header that gives it away, and answers every acknowledgement with a new subject
        acknowledged = [mail for mail in all_of(MailDelivery) if mail.kind == "ticket_ack"]
        if len(acknowledged) < rounds:
            break
    assert rounds == 2, "the second one within ten minutes is not acknowledged"
    assert acknowledged[0].headers["Auto-Submitted"] == "auto-replied"
    for number in range(loop_rules.PER_SENDER_HOUR + 3):
        last = take(mailbox, letter(sender="robot@silly.example", subject=f"x{number}", number=2000 + number))
    assert last.state is InboundState.TRAY, "a flood waits for a person"
    polite = letter(sender="polite@auto.example", number=3000, Auto_Submitted="auto-replied")
    assert take(mailbox, polite).state is InboundState.AUTO and len(acknowledged) == 1


def test_a_bounce_is_noted_on_the_message_and_beside_the_ticket(support, cast):
    take(support, letter())
    first = ticket()
    answer = do(answers.send, cast["sam"], first.id, "Hello", to="ida@customer.example")
    mail = all_of(MailDelivery)[-1]
    do(
        lambda session: session.execute(
            MailDelivery.__table__.update()
            .where(MailDelivery.__table__.c.id == mail.id)
            .values(state=MailState.SENT, message_id=answer.message_id)
        )
    )
    report = (
        "From: MAILER-DAEMON@mx.example\r\nTo: support@example.com\r\nSubject: Undelivered\r\nMessage-ID: <b1@mx.example>\r\nAuto-Submitted: auto-replied\r\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nSorry\r\n--b\r\n'
        "Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example\r\n\r\nFinal-Recipient: rfc822; ida@customer.example\r\nAction: failed\r\n"
        f"Status: 5.1.1\r\nDiagnostic-Code: smtp; 550 no such user\r\n\r\n--b\r\nContent-Type: text/rfc822-headers\r\n\r\nMessage-ID: {answer.message_id}\r\n\r\n--b--\r\n"
    ).encode()
    assert take(support, report).state is InboundState.BOUNCE
    assert all_of(MailDelivery)[-1].state is MailState.BOUNCED and len(all_of(Suppression)) == 1
    note = said(first.id)[-1]
    assert note.direction is MessageDirection.INTERNAL and "did not reach ida@customer.example" in note.body
    found = look(answers.deliveries, cast["sam"], first.id, said(first.id))[answer.id]
    assert (found.words, found.good) == ("came back", False)


def test_the_answer_to_a_campaigns_letter_counts_as_a_reply_once_and_who_writes_unsubscribe_is_unsubscribed(cast):
    from tests.crm_core.services.marketing.outreach import campaign, launch, no_quiet_hours, people, run

    no_quiet_hours(cast["root"])
    made = campaign(cast["dana"], people(3))
    launch(cast["dana"], made)
    run(made)
    mailbox = box(cast["root"], becomes="timeline")
    mails = [mail for mail in all_of(MailDelivery) if mail.kind == "campaign"]
    for number, mail in enumerate(mails):
        words = ("Tell me more", "Unsubscribe", "Out of office")[number]
        auto = {"Auto_Submitted": "auto-replied"} if number == 2 else {}
        raw = letter(words, sender=mail.address, subject="Re: News", number=70 + number, In_Reply_To=mail.message_id, **auto)
        expected = InboundState.AUTO if number == 2 else InboundState.REPLY
        assert take(mailbox, raw).state is expected
    take(mailbox, letter("One more", sender=mails[0].address, subject="Re: News", number=80, In_Reply_To=mails[0].message_id))
    members = {member.mail_id: member for member in all_of(CampaignMember)}
    assert [members[mail.id].replied_at is not None for mail in mails] == [True, False, False], "to leave is no response"
    assert [members[mail.id].status.value for mail in mails][:2] == ["responded", "opened"]
    assert [members[mail.id].unsubscribed_at is not None for mail in mails] == [False, True, False]
    assert len([touch for touch in all_of(Touchpoint) if touch.kind == "reply"]) == 1


PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")


def test_html_is_cleaned_files_get_safe_names_and_pictures_stay_in_their_place(support, cast):
    html = '<p>See <img src="cid:pic1"> and <img src="https://spy.example/x.gif"><script>alert(1)</script><a href="javascript:x">no</a></p>'
    raw = (
        'From: Ida <ida@customer.example>\r\nSubject: =?utf-8?b?w6TDtsO8?= \r\nMessage-ID: <h@c.example>\r\nContent-Type: multipart/mixed; boundary="a"\r\n\r\n'
        '--a\r\nContent-Type: multipart/related; boundary="r"\r\n\r\n--r\r\nContent-Type: text/html; charset=utf-8\r\n\r\n'
        + html
        + "\r\n"
        "--r\r\nContent-Type: image/png; name=p.png\r\nContent-ID: <pic1>\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + base64.b64encode(PNG).decode()
        + "\r\n--r--\r\n"
        '--a\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename="../../etc/pass<wd>.pdf"\r\n\r\n%PDF-1\r\n--a--\r\n'
    ).encode()
    take(support, raw)
    made = ticket()
    (message,) = said(made.id)
    assert (
        made.subject == "äöü"
        and "spy.example" not in message.html
        and "script" not in message.html
        and "javascript" not in message.html
    )
    assert sorted(row.name for row in all_of(Attachment)) == ["p.png", "pass_wd_.pdf"]
    assert "data:image/png;base64," in look(answers.html_of, cast["sam"], made.id, message.id)
    assert look(answers.names_of, cast["sam"], made.id, [message])[message.id] == ["pass_wd_.pdf"]


def _multipart(*parts, head="From: a@b.example\r\nMessage-ID: <x>\r\n"):
    body = "".join(f"--z\r\n{part}\r\n" for part in parts)
    return (head + 'Content-Type: multipart/mixed; boundary="z"\r\n\r\n' + body + "--z--\r\n").encode()


HOSTILE = {
    "nothing at all": b"",
    "only noise": bytes(range(256)) * 20,
    "no sender": b"Subject: x\r\n\r\nhello",
    "a sender that is none": b"From: <<<>>>@@\r\nSubject: x\r\n\r\nhello",
    "a sender with a line break": b"From: =?utf-8?q?a=0d=0aBcc:_v@x.example?= <a@b.example>\r\nSubject: =?utf-8?q?x=0d=0aTo:_y?=\r\n\r\nhi",
    "a charset nobody knows": b"From: a@b.example\r\nContent-Type: text/plain; charset=klingon\r\n\r\nqapla \xff",
    "a lie about the charset": b"From: a@b.example\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n\xe4\xf6\xfc \xa4",
    "UTF-7": b"From: a@b.example\r\nContent-Type: text/plain; charset=utf-7\r\n\r\n+ADw-script+AD4-",
    "broken encoded words": b"From: =?utf-8?b?////?= <a@b.example>\r\nSubject: =?x?q?=ZZ?= =?utf-8?b?w6?=\r\n\r\nhi",
    "naked eight-bit headers": b"From: \xc4rger <a@b.example>\r\nSubject: \xfcber \xff\xfe\r\n\r\nhi",
    "broken base64": _multipart("Content-Type: application/pdf; name=x.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n!!!!not base64===="),
    "an unknown encoding": b"From: a@b.example\r\nContent-Transfer-Encoding: x-magic\r\n\r\nhi",
    "a boundary that never comes": b'From: a@b.example\r\nContent-Type: multipart/mixed; boundary="never"\r\n\r\nhello',
    "a multipart without a boundary": b"From: a@b.example\r\nContent-Type: multipart/mixed\r\n\r\nhello",
    "an end that is missing": b'From: a@b.example\r\nContent-Type: multipart/mixed; boundary="z"\r\n\r\n--z\r\nContent-Type: text/plain\r\n\r\ncut off',
    "a hundred levels": b"From: a@b.example\r\n" + b"".join(b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (n, n) for n in range(100)) + b"\r\nhi",
    "five thousand levels": b"From: a@b.example\r\n" + b"".join(b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (n, n) for n in range(5000)) + b"\r\nhi",
    "two hundred files": _multipart(*[f"Content-Type: text/csv; name=f{n}.csv\r\n\r\n{n}" for n in range(200)]),
    "a date of the year 0": b"From: a@b.example\r\nDate: Mon, 0 Jan 0000 99:99:99 +9999\r\n\r\nhi",
    "a date of the year 9999": b"From: a@b.example\r\nDate: Fri, 31 Dec 9999 23:59:59 -1200\r\n\r\nhi",
    "a megabyte of subject": b"From: a@b.example\r\nSubject: " + b"x" * 1_000_000 + b"\r\n\r\nhi",
    "ten thousand readers": b"From: a@b.example\r\nTo: " + b", ".join(b"p%d@x.example" % n for n in range(10_000)) + b"\r\n\r\nhi",
    "ten thousand references": b"From: a@b.example\r\nReferences: " + b" ".join(b"<%d@x>" % n for n in range(10_000)) + b"\r\n\r\nhi",
    "a Message-ID that is none": b"From: a@b.example\r\nMessage-ID: hello world\r\n\r\nhi",
    "an endless Message-ID": b"From: a@b.example\r\nMessage-ID: <" + b"m" * 5_000 + b"@x>\r\n\r\nhi",
    "zeros in the text": b"From: a@b.example\r\n\r\nhe\x00llo\x00 \x1b[31m",
    "a million lines": b"From: a@b.example\r\n\r\n" + b"> x\r\n" * 300_000,
    "a parenthesis bomb": b"From: " + b"(" * 5_000 + b"a@b.example\r\n\r\nhi",
    "html that is broken": b"From: a@b.example\r\nContent-Type: text/html\r\n\r\n<p><b><table><td><<<a href=\"x\"><img src=x onerror=alert(1)<!-- <![CDATA[",
    "only a script": b"From: a@b.example\r\nContent-Type: text/html\r\n\r\n<script>while(1){}</script>",
    "a file without a name": _multipart("Content-Type: application/octet-stream\r\n\r\nxyz"),
    "a name that is a path": _multipart('Content-Type: text/x-sh; name="/../../../bin/\u202esh.exe"\r\n\r\nxyz'),
    "names in pieces": _multipart("Content-Type: text/csv; name*0*=utf-8''%C3%A4; name*1=b; name*9*=%ZZ\r\n\r\nxyz"),
    "a message in a message in a message": _multipart("Content-Type: message/rfc822\r\n\r\nFrom: c@d\r\nContent-Type: message/rfc822\r\n\r\nFrom: e@f\r\n\r\ninner"),
    "encrypted": b'From: a@b.example\r\nContent-Type: multipart/encrypted; boundary="z"\r\n\r\n--z\r\nContent-Type: application/octet-stream\r\n\r\nabc\r\n--z--',
    "a delivery report about nothing": b'From: mailer-daemon@x.example\r\nContent-Type: multipart/report; boundary="z"\r\n\r\n--z\r\nContent-Type: message/delivery-status\r\n\r\n:::\r\n--z--',
    "an address of a thousand letters": b"From: " + b"a" * 1_000 + b"@b.example\r\n\r\nhi",
    "the same header forty times": b"From: a@b.example\r\n" + b"Subject: again\r\n" * 40 + b"\r\nhi",
}  # fmt: skip


ONE_SENDER = [
    ("Ida Berg <IDA@customer.example>", "Ida Berg"),
    ("ida@customer.example", ""),
    ("<ida@customer.example>", ""),
    ('"Berg, Ida (\\"home\\") <x>" <ida@customer.example>', 'Berg, Ida ("home") <x>'),
    ("=?utf-8?q?Ida_B=C3=A9rg?=\r\n <ida@customer.example>", "Ida Bérg"),
    ("Ida Bérg <ida@customer.example>", "Ida Bérg"),
    ("Ida (at home) <ida@customer.example>", "Ida (at home)"),
    ('"Berg, Ida" (Sales) (EMEA)\r\n <ida@customer.example>', "Berg, Ida (Sales EMEA)"),
]
NO_CERTAIN_SENDER = [
    '(") <eve@evil.example> (") <ida@customer.example>',
    'ida@customer.example "<eve@evil.example>"',
    "ida@customer.example <eve@evil.example>",
    "Ida (eve@evil.example) <ida@customer.example>",
    "Ida (a (b)) <ida@customer.example>",
    "Ida (a\\) <ida@customer.example>",
    "Ida (at home, away) <ida@customer.example>",
    "Ida (at home <ida@customer.example>",
    "Ida (at home) Berg <ida@customer.example>",
    "ida@customer.example (Ida)",
    "Ida <ida@customer.example> (Berg)",
    "Ida <ida@customer.example> Berg",
    "Ida <ida@customer.example>,",
    "Friends: ida@customer.example;",
    'Ida "at home" <ida@customer.example>',
    "Ida <ida @customer.example>",
    "Ida\0 <ida@customer.example>",
    "=?utf-8?q?ida?=@customer.example",
    "ida@customer.example, eve@evil.example",
    "Ida <ida@customer.example>\r\nFrom: Ida <ida@customer.example>",
    "",
]


def test_a_sender_is_certain_only_where_every_mail_program_reads_the_same(monkeypatch):
    for head, name in ONE_SENDER:
        found = message_rules.read(letter(sender=head))
        assert (found.certain, found.sender, found.sender_name) == (True, "ida@customer.example", name), head
    for head in NO_CERTAIN_SENDER:
        assert not message_rules.read(letter(sender=head)).certain, head
    address = " <ida@customer.example>"
    room = message_rules.MAX_FROM - len(address)
    for letters, certain in ((room, True), (room + 1, False)):
        found = message_rules.read(letter(sender="I" * letters + address))
        assert (found.certain, found.sender) == (certain, "ida@customer.example")
    monkeypatch.setattr(message_rules, "_PLAIN_FROM", None)  # what is longer than the cap never comes to the expression
    assert not message_rules.read(letter(sender="(" * 5_000 + "ida@customer.example")).certain


def test_no_message_however_broken_stops_the_others_or_is_lost(support, cast):
    for name, raw in HOSTILE.items():
        with_mark = raw.replace(b"\r\n\r\n", b"\r\nX-N: " + name.encode() + b"\r\n\r\n", 1) if b"\r\n\r\n" in raw else raw
        taken = take(support, with_mark)
        assert taken.new and taken.state in (InboundState.TICKET, InboundState.TRAY, InboundState.AUTO, InboundState.THREAD), name
        assert look(tray.source, cast["sam"], taken.id) == with_mark, name
        look(tray.get, cast["sam"], taken.id)
    rows = {row.id: row for row in all_of(InboundMail)}
    assert len(rows) == len(HOSTILE)
    waiting = [row for row in rows.values() if row.state is InboundState.TRAY]
    assert all(row.reason for row in waiting) and 3 <= len(waiting) <= 25
    for message in all_of(TicketMessage):
        assert "\x00" not in message.body and "\x1b" not in message.body and len(message.body) <= tickets.MAX_BODY
        assert "<script" not in (message.html or "") and "onerror" not in (message.html or "")
    assert not [row.name for row in all_of(Attachment) if "/" in row.name or "\u202e" in row.name]
    assert look(lambda session: session.exec(select(func.count()).select_from(Ticket)).one()) >= 5


@pytest.mark.parametrize(
    ("text", "fresh"),
    [
        ("Thanks!\n\nOn Mon, 3 Nov 2025 at 10:00, Sam\n<s@x.example> wrote:\n> hi\n> there", "Thanks!"),
        ("Danke\n\nAm Mo., 3. Nov. 2025 um 10:00 schrieb Sam <s@x.example>:\n> hi", "Danke"),
        ("Merci\n\nLe lun. 3 nov. 2025 à 10:00, Sam <s@x.example> a écrit :\n> hi", "Merci"),
        ("Yes\n\n-----Original Message-----\nFrom: Sam\nSent: Monday\nTo: Ida\n\nold", "Yes"),
        ("Ja\n\nVon: Sam\nGesendet: Montag\nAn: Ida\nBetreff: x\n\nalt", "Ja"),
        ("Ok\n\n________________________________\nFrom: Sam <s@x.example>\nSent: x", "Ok"),
        ("> one?\nfirst answer\n> two?\nsecond answer", "> one?\nfirst answer\n> two?\nsecond answer"),
        (
            "On Monday they wrote:\nnothing quoted here, but all is mine",
            "On Monday they wrote:\nnothing quoted here, but all is mine",
        ),
        ("> only quoted", "> only quoted"),
        ("Bye\n\nSent from my iPhone", "Bye"),
        ("From: here to there, all fine", "From: here to there, all fine"),
        ("", ""),
    ],
)
def test_earlier_words_and_signatures_fold_away_and_answers_between_the_lines_stay(text, fresh):
    assert quote_rules.split(text)[0] == fresh


def test_the_subject_is_compared_without_its_marks():
    assert message_rules.plain_subject("Re: AW: [#T-000012] Fwd: Broken ") == "broken"
    assert answer_rules.tag("T-000012", "RE: Re: Broken [#T-000012]") == "Re: Broken [#T-000012]"


def test_the_tray_is_settled_by_people_and_every_choice_can_be_taken_back(cast):
    mailbox, sam = box(cast["root"], unknown="tray"), cast["sam"]
    ids = [
        take(mailbox, letter(f"Text {n}", sender=f"Who {n} <w{n}@else.example>", subject=f"S{n}", number=100 + n)).id
        for n in range(4)
    ]
    assert look(tray.count, sam) == 4 and look(tray.count, cast["dana"]) == 0
    made = do(tray.make_ticket, sam, ids[0], new_contact=True)
    assert made.owner_id == sam.user_id and all_of(Contact)[0].email == "w0@else.example"
    person = do(contacts.create, sam, {"name": "Known"})
    other = do(tickets.create, sam, {"subject": "Other"})
    do(tickets.solve, sam, other.id)
    solved = look(tickets.get, sam, other.id)
    do(tray.add_to_ticket, sam, ids[1], other.id)
    assert look(tickets.get, sam, other.id).status is TicketKind.OPEN and said(other.id)[0].body == "Text 1"
    do(tray.add_to_contact, sam, ids[2], person.id)
    assert do(tray.discard, sam, [ids[3]]) == 1 and look(tray.count, sam) == 0
    for mail_id in ids:
        do(tray.undo, sam, mail_id)
    assert look(tray.count, sam) == 4
    again = look(tickets.get, sam, other.id)
    assert again.status is TicketKind.SOLVED and said(other.id) == []
    assert (again.solved_at, again.first_solved_at) == (solved.solved_at, solved.first_solved_at)  # not when it was taken back
    assert (
        all_of(Ticket, Ticket.id == made.id)[0].deleted_at is not None
        and all_of(Contact, Contact.email == "w0@else.example")[0].deleted_at
    )
    with pytest.raises(Exception, match="nothing to take back"):
        do(tray.undo, sam, ids[0])


def test_what_a_guests_calendar_answers_by_mail_stands_at_the_meeting_and_is_nobodys_request(cast):
    mailbox, alice = box(cast["root"]), cast["alice"]
    ida = do(contacts.create, alice, {"name": "Ida Berg", "email": "ida@customer.example"})
    meeting = do(invitations.plan, alice, {"subject": "Demo", "at": clock.utcnow() + timedelta(days=1)}, contact_ids=[ida.id])
    do(invitations.tell)
    (invited,) = all_of(MailDelivery, MailDelivery.kind == "invitation")
    file = invited.attachments[0]["text"].replace("METHOD:REQUEST", "METHOD:REPLY")

    def reply(number, state, **more):
        said = file.replace("PARTSTAT=NEEDS-ACTION", f"PARTSTAT={state}")
        parts = ["--b", "Content-Type: text/plain; charset=utf-8", "", "Ida Berg answered.", "--b"]
        parts += ["Content-Type: text/calendar; charset=utf-8; method=REPLY", "Content-Transfer-Encoding: base64", ""]
        body = "\r\n".join([*parts, base64.encodebytes(said.encode()).decode().replace("\n", "\r\n"), "--b--", ""])
        raw = letter(body, subject=f"{state.title()}: Demo", number=number, **more)
        return raw.replace(
            b"text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit", b'multipart/alternative; boundary="b"', 1
        )

    for number, state, kept in ((1, "ACCEPTED", GuestState.ACCEPTED), (2, "DECLINED", GuestState.DECLINED)):
        taken = take(mailbox, reply(number, state))
        assert taken.state is InboundState.REPLY
        assert [guest.state for guest in look(invitations.of, alice, meeting.id)] == [kept]
    row = all_of(InboundMail)[-1]
    assert (row.activity_id, row.contact_id) == (meeting.id, ida.id) and "not coming" in row.reason
    assert take(mailbox, reply(3, "ACCEPTED", sender="Ida <ida@home.example>")).state is InboundState.TRAY
    points = [
        {"kind": "email", "value": one, "is_primary": n == 0} for n, one in enumerate(("ida@customer.example", "ida@home.example"))
    ]
    do(contacts.set_points, alice, ida.id, points)
    passed = "mx.example; dmarc=pass header.from=elsewhere.example"
    eve = "eve@elsewhere.example"
    strange = [
        ({"sender": eve}, "another address"),
        ({"sender": f"ida@customer.example <{eve}>", "Authentication_Results": passed}, "another address"),
        ({"sender": f"=?utf-8?q?ida=40customer=2Eexample=2C?= <{eve}>", "Authentication_Results": passed}, "another address"),
        ({"sender": f"ida@customer.example, {eve}", "Authentication_Results": passed}, "could not be confirmed"),
        ({"sender": f"Ida <ida@customer.example>\r\nFrom: <{eve}>", "Authentication_Results": passed}, "could not be confirmed"),
        ({"sender": '(") <eve@evil.example> (") <ida@customer.example>'}, "another address"),
        ({"sender": 'ida@customer.example "<eve@evil.example>"'}, "another address"),
        ({"sender": "Ida (at (home)) <ida@home.example>"}, "could not be confirmed"),
        ({"sender": f"Ida ({eve}) <ida@home.example>"}, "could not be confirmed"),
        ({"Authentication_Results": "mx.example; spf=fail; dmarc=fail header.from=customer.example"}, "could not be confirmed"),
        ({"Authentication_Results": "mx.example; dmarc=none; spf=softfail (not one of its servers)"}, "could not be confirmed"),
    ]
    for number, (more, why) in enumerate(strange, start=4):
        assert take(mailbox, reply(number, "ACCEPTED", **more)).state is InboundState.TRAY, more
        row = all_of(InboundMail)[-1]
        assert why in row.reason and "Ida" not in row.reason and "Demo" not in row.reason, (
            "whoever reads the tray need not see the meeting"
        )
        assert (row.activity_id, row.contact_id) == (meeting.id, None), "it may be anybody's"
        assert [guest.state for guest in look(invitations.of, alice, meeting.id)] == [GuestState.DECLINED]
    assert [note.user_id for note in all_of(Notification, Notification.kind == "meeting.unsure")] == [alice.user_id]
    opened = look(tray.get, cast["root"], all_of(InboundMail)[-1].id)
    assert (opened.meeting_title, opened.contact_title) == ("Demo", ""), "the meeting for who may see it"
    honest = [
        {"Authentication_Results": "mx.example; dmarc=pass\r\nAuthentication-Results: before.example; dmarc=fail"},
        {"Authentication_Results": "mx.example; dkim=pass header.d=customer.example; spf=softfail"},
        {"sender": '"Berg, Ida \\"at home\\"" <IDA@home.example>'},
    ]
    for number, more in enumerate(honest, start=20):
        state, kept = (("DECLINED", GuestState.DECLINED), ("ACCEPTED", GuestState.ACCEPTED))[number % 2 == 0]
        assert take(mailbox, reply(number, state, **more)).state is InboundState.REPLY, more
        assert [guest.state for guest in look(invitations.of, alice, meeting.id)] == [kept]
    assert all_of(Ticket) == []
