"""Mail written from a record: whom it may go to, how its answer comes home, copies from other programs, and what the inbox makes of it all."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlmodel import select

from crm_core import records
from crm_core.access import system
from crm_core.errors import Conflict, Invalid, NotFound
from crm_core.kit import clock
from crm_core.models import Activity, Contact, InboundMail, Interaction, Lead, MailDelivery, Notification, Task, Ticket
from crm_core.services.collaboration import activities, files, interactions, outbox, suppressions, timeline
from crm_core.services.customers import contacts
from crm_core.services.helpdesk import tickets
from crm_core.services.inbox import arrivals, by_hand, correspondence, filing, mark_rules, tray
from crm_core.services.routing import assign, rules
from crm_core.services.sales import deals, leads
from crm_core.vocabulary import ActivityKind, InboundChannel, InboundState, MailState, RouteMethod, SuppressionReason
from tests.crm_core.services.inbox.post import box, letter, take
from tests.verbs import do, look


def all_of(model):
    return look(lambda session: list(session.exec(select(model).order_by(model.id))))


def write(actor, key, record_id, to, **more):
    values = {"subject": "Our offer", "text": "Here it is.", "submit_key": "k1", **more}
    return do(correspondence.send, actor, key, record_id, to=to, **values)


def feed(actor, key, record_id, **narrow):
    return look(timeline.find, actor, key, record_id, **narrow)[0]


@pytest.fixture
def acme(cast):
    return company(cast["alice"])


@pytest.fixture
def any_acme(any_cast):
    return company(any_cast["alice"])


def company(alice):
    """An account of Alice with three people, one of whom wants no mail, and a deal."""
    account = do(records.create, alice, "account", {"name": "Acme"})
    people = {
        name: do(
            contacts.create, alice, {"name": name, "email": f"{name.lower()}@customer.example", "account_id": account.id, **more}
        )
        for name, more in (("Ida", {}), ("Bo", {}), ("Nora", {"do_not_email": True}))
    }
    deal = do(deals.create, alice, {"name": "Pumps", "account_id": account.id, "contact_id": people["Ida"].id})
    return {"account": account, "deal": deal, **people}


def test_a_mail_from_a_deal_reaches_its_people_once_and_never_those_who_want_none(cast, acme):
    alice, deal = cast["alice"], acme["deal"]
    box(cast["root"], plus_address=True)
    draft = look(correspondence.draft, alice, "deal", deal.id)
    assert draft.to == ("ida@customer.example",) and draft.comes_back and draft.by_mail
    assert {one.name for one in draft.people if one.no} == {"Nora"}
    for to, said in (("", "who it goes to"), ("nonsense", "not an e-mail"), ("nora@customer.example", "asked not to get e-mail")):
        with pytest.raises(Invalid) as refused:
            write(alice, "deal", deal.id, to)
        assert said in refused.value.fields["to"]
    do(suppressions.note, cast["root"], "bo@customer.example", SuppressionReason.BOUNCED)
    with pytest.raises(Invalid):
        write(alice, "deal", deal.id, ["bo@customer.example"])
    assert all_of(MailDelivery) == []
    nameless = replace(alice, masks=frozenset({("contact", "name")}))
    shown = look(correspondence.draft, nameless, "deal", deal.id)
    with pytest.raises(Invalid) as refused:
        write(nameless, "deal", deal.id, "nora@customer.example")
    assert "Nora" not in str((shown.people, refused.value.fields)), "a name that is hidden stays hidden in reasons too"
    with pytest.raises(NotFound):
        write(cast["charlie"], "deal", deal.id, "ida@customer.example")  # not shared with him
    paper = do(files.attach, alice, "deal", deal.id, name="offer.txt", content=b"42")
    both = ["ida@customer.example", "new@customer.example"]
    sent = [
        write(alice, "deal", deal.id, both, file_ids=[paper.id], follow_up="Call", follow_up_on=clock.today()) for _ in range(2)
    ]
    one, other = all_of(MailDelivery)
    assert sent[0].id == sent[1].id and len(all_of(Activity)) == len(all_of(Task)) == 1
    assert one.headers["To"] == ", ".join(both) and "+w" in one.headers["Reply-To"] and one.attachments[0]["name"] == "offer.txt"
    assert (one.contact_id, other.contact_id, one.next_at > clock.utcnow()) == (acme["Ida"].id, None, True)
    assert [(item.title, item.data["talk"].state) for item in feed(alice, "contact", acme["Ida"].id, kinds=["mails"])] == [
        ("To Ida, new@customer.example: Our offer", "waiting to be sent")
    ]
    words = do(correspondence.take_back, alice, sent[0].id, submit_key="k1")
    assert words.startswith("Here it is.") and {mail.state for mail in all_of(MailDelivery)} == {MailState.CANCELLED}
    assert all_of(Task)[0].deleted_at is not None and feed(alice, "deal", deal.id, kinds=["mails"]) == []
    with pytest.raises(Conflict):
        do(correspondence.take_back, alice, sent[0].id)


def test_the_answer_comes_home_to_the_record_waits_there_and_is_answered(cast, acme):
    alice, deal, mailbox = cast["alice"], acme["deal"], box(cast["root"], plus_address=True)
    sent = write(alice, "deal", deal.id, "ida@customer.example")
    talk, mail = all_of(Interaction)[0], all_of(MailDelivery)[0]
    away = letter("I am away.", number=1, In_Reply_To=talk.message_id, Auto_Submitted="auto-replied")
    assert take(mailbox, away).state is InboundState.AUTO and look(arrivals.count, alice) == 0
    answer = take(mailbox, letter("Too dear.", subject="Re: Our offer", number=2, In_Reply_To=talk.message_id))
    by_address = take(
        mailbox, letter("And late.", subject="Hm", number=3, Date=None, To=mark_rules.address("support@example.com", "w", talk.id))
    )
    assert answer.state is by_address.state is InboundState.TIMELINE and all_of(Ticket) == []
    assert [note.kind for note in all_of(Notification)] == ["mail.reply"] * 2
    assert [(one.who, one.page, one.owner) for one in look(arrivals.find, alice, whose="mine").rows] == [
        ("Pumps", "deal", "Alice Rep")
    ] * 2
    assert feed(alice, "account", acme["account"].id, kinds=["mails"])[0].title == "From Ida Berg: Hm"
    first = look(interactions.open_of, alice, "deal", deal.id)[0]
    draft = look(correspondence.draft, alice, "deal", deal.id, answers=first.id)
    assert draft.to == ("ida@customer.example",) and draft.subject == "Re: Our offer" and "> Too dear." in draft.quoted
    write(alice, "deal", deal.id, draft.to, subject=draft.subject, text="Less, then.", answers=first.id, submit_key="k2")
    head = all_of(MailDelivery)[-1].headers
    assert head["In-Reply-To"] in ("<m2@customer.example>", "<m3@customer.example>") and look(arrivals.count, alice) == 0
    bounced = f"From: mailer-daemon@x.example\r\nTo: support@example.com\r\nMessage-ID: <b@x>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/report; boundary=b\r\n\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; x\r\n\r\nFinal-Recipient: rfc822; ida@customer.example\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n--b\r\nContent-Type: text/rfc822-headers\r\n\r\nMessage-ID: {talk.message_id}\r\n--b--\r\n"
    db_mail = mail.id
    do(
        lambda session: session.execute(
            MailDelivery.__table__.update()
            .where(MailDelivery.id == db_mail)
            .values(state=MailState.SENT, message_id=talk.message_id)
        )
    )
    assert take(mailbox, bounced.encode()).state is InboundState.BOUNCE
    assert all_of(Notification)[-1].kind == "mail.unreachable"
    state = next(item.data["talk"] for item in feed(alice, "deal", deal.id, kinds=["mails"]) if item.record_id == sent.id)
    assert state.wrong and state.state.startswith("came back")


def test_a_blind_copy_is_filed_for_its_sender_on_everybody_whom_it_went_to(cast, acme):
    alice, mailbox = cast["alice"], box(cast["root"], plus_address=True)
    lead = do(leads.create, alice, {"name": "Lee", "email": "lee@prospect.example"})
    address = look(filing.address_of, alice).address
    head = {
        "To": "Ida <ida@customer.example>, bo@customer.example",
        "Cc": "lee@prospect.example, bob@example.com",
        "Delivered_To": address,
    }
    copy = letter("As we said.", sender="Alice Rep <alice@example.com>", subject="Minutes", number=7, **head)
    assert take(mailbox, copy).state is InboundState.FILED and not take(mailbox, copy).new
    assert all_of(Ticket) == all_of(MailDelivery) == [] and len(all_of(Contact)) == 3
    made = all_of(Activity)
    assert {(one.contact_id, one.lead_id, one.owner_id) for one in made} == {
        (acme["Ida"].id, None, alice.user_id), (acme["Bo"].id, None, alice.user_id), (None, lead.id, alice.user_id)
    }  # fmt: skip
    assert [item.title for item in feed(alice, "account", acme["account"].id, kinds=["mails"])] == ["To Ida, Bo, Lee: Minutes"]
    assert next(one.deal_id for one in made if one.contact_id == acme["Ida"].id) == acme["deal"].id
    reply = take(
        mailbox,
        letter("Thanks.", sender="bo@customer.example", subject="Re: Minutes", number=8, In_Reply_To="<m7@customer.example>"),
    )
    assert reply.state is InboundState.TIMELINE and all_of(Interaction)[-1].record_id == acme["Bo"].id
    copied = {"sender": "Bob <bob@example.com>", "To": "bo@customer.example", "Cc": "support@example.com"}
    assert take(mailbox, letter("Welcome.", number=9, In_Reply_To="<m8@customer.example>", **copied)).state is InboundState.FILED
    assert (
        all_of(Interaction)[-1].user_id == cast["bob"].user_id and look(interactions.open_of, alice, "contact", acme["Bo"].id) == []
    )
    wrong = (
        ("not from the address", {**head, "sender": "Bob <bob@example.com>"}),
        ("not from the address", {**head, "sender": "ida@customer.example"}),
        ("not from this sender", {**head, "Authentication_Results": "mx; dmarc=fail"}),
        ("nobody here has", {**head, "To": "x@y.example", "Cc": None}),
    )
    for number, (said, values) in enumerate(wrong, start=20):
        taken = take(mailbox, letter(number=number, subject="x", **{"sender": "Alice Rep <alice@example.com>", **values}))
        assert taken.state is InboundState.TRAY and said in all_of(InboundMail)[-1].reason
    assert len(all_of(Activity)) == 5 and all_of(Ticket) == []


def test_a_filing_address_can_be_renewed_and_the_old_one_files_nothing(cast, acme):
    alice, mailbox = cast["alice"], box(cast["root"], plus_address=True)
    old = look(filing.address_of, alice)
    head = {"sender": "Alice Rep <alice@example.com>", "To": "ida@customer.example"}
    new = do(filing.renew, alice, turn=old.turn)
    assert new.address != old.address and look(filing.address_of, alice) == new
    with pytest.raises(Conflict, match="meanwhile"):
        do(filing.renew, alice, turn=old.turn)
    assert take(mailbox, letter(number=1, Delivered_To=old.address, **head)).state is InboundState.TRAY
    assert "replaced by a new one" in all_of(InboundMail)[-1].reason and all_of(Activity) == all_of(Ticket) == []
    assert take(mailbox, letter(number=2, Delivered_To=new.address, **head)).state is InboundState.FILED
    assert take(mailbox, letter(number=3, Delivered_To=f"{old.address}, {new.address}", **head)).state is InboundState.FILED
    third = do(filing.renew, alice, turn=new.turn)
    for number, outdated in ((4, old), (5, new)):
        assert take(mailbox, letter(number=number, Delivered_To=outdated.address, **head)).state is InboundState.TRAY
    assert take(mailbox, letter(number=6, Delivered_To=third.address, **head)).state is InboundState.FILED
    forged = third.address.replace(third.address.split("-")[-1][:3], "000")
    assert take(mailbox, letter(number=7, Delivered_To=forged, **head)).state is not InboundState.FILED
    assert look(filing.address_of, cast["bob"]).turn == 0, "everybody else keeps theirs"


def test_a_ticket_that_is_logged_goes_by_the_rules_unless_the_writer_takes_it(cast):
    sam, root = cast["sam"], cast["root"]
    call = {"channel": InboundChannel.PHONE, "text": "It leaks", "into": "ticket"}
    assert not look(by_hand.ruled, sam, "ticket")
    given = {"name": "All", "method": RouteMethod.TURNS, "entity": "ticket", "people": [(root.user_id, 1)]}
    do(rules.save, root, None, **given)
    assert look(by_hand.ruled, sam, "ticket")
    made, mine = (do(by_hand.log, sam, submit_key=key, take=take, **call) for key, take in (("a", False), ("b", True)))
    by_id = {ticket.id: ticket for ticket in all_of(Ticket)}
    assert (by_id[made.record_id].owner_id, by_id[mine.record_id].owner_id) == (None, sam.user_id)
    do(assign.route, system(), "ticket", made.record_id, why="New")
    assert look(tickets.get, root, made.record_id).owner_id == root.user_id


def test_a_lead_that_is_logged_goes_by_the_rules_unless_the_writer_takes_it_and_says_what_they_wrote(cast):
    alice, charlie = cast["alice"], cast["charlie"]
    call = {"channel": InboundChannel.PHONE, "text": "Wants a price", "into": "lead", "name": "Lea"}
    assert not look(by_hand.ruled, alice, "lead")
    alone = do(by_hand.log, alice, submit_key="a", **call)
    assert look(leads.get, alice, alone.record_id).owner_id == alice.user_id, "without rules nobody else would see it"
    given = {"name": "All", "method": RouteMethod.TURNS, "entity": "lead", "people": [(charlie.user_id, 1)]}
    do(rules.save, cast["root"], None, **given)
    assert look(by_hand.ruled, alice, "lead")
    made, mine = (do(by_hand.log, alice, submit_key=key, take=take, **call) for key, take in (("b", False), ("c", True)))
    by_id = {lead.id: lead for lead in all_of(Lead)}
    assert (by_id[made.record_id].owner_id, by_id[mine.record_id].owner_id) == (None, alice.user_id)
    do(assign.route, system(), "lead", made.record_id, why="New")
    assert look(leads.get, charlie, made.record_id).owner_id == charlie.user_id
    with pytest.raises(NotFound):
        look(leads.get, alice, made.record_id)
    (said,) = [one for one in look(timeline.find, charlie, "lead", made.record_id)[0] if one.kind == "call"]
    assert (said.title, said.who) == ("Wants a price", "Alice Rep")


def test_the_inbox_holds_what_waits_over_all_channels_within_what_one_may(any_cast, any_acme):
    sam, alice, dana = any_cast["sam"], any_cast["alice"], any_cast["dana"]
    mailbox = box(any_cast["root"], unknown="tray")
    take(mailbox, letter(sender="who@else.example", number=1))
    chat = {"channel": InboundChannel.CHAT, "text": "Is it on stock?\nPlease tell me.", "submit_key": "a"}
    made = [do(by_hand.log, sam, into="ticket", name="Joe", reach="+1 415 555 0100", **chat) for _ in range(2)]
    assert made[0] == made[1] and all_of(Ticket)[0].channel is InboundChannel.CHAT
    do(
        by_hand.log,
        alice,
        into="timeline",
        contact_id=any_acme["Ida"].id,
        channel=InboundChannel.SOCIAL,
        text="Liked the pump",
        submit_key="b",
    )
    do(
        by_hand.log,
        dana,
        into="lead",
        name="Lea",
        reach="lea@x.example",
        channel=InboundChannel.PHONE,
        text="Wants a price",
        submit_key="c",
    )
    for wrong in ({"into": "lead", "name": ""}, {"into": "timeline"}, {"into": "ticket", "text": " "}):
        with pytest.raises(Invalid):
            do(by_hand.log, sam if wrong["into"] == "ticket" else dana, **{"channel": InboundChannel.PHONE, "text": "x", **wrong})
    found = look(arrivals.find, sam)
    assert [(one.kind, one.channel.value) for one in found.rows] == [("talk", "social"), ("ticket", "chat"), ("mail", "email")]
    assert {one.kind for one in look(arrivals.find, dana).rows} == {"talk"} and look(arrivals.find, any_cast["ana"]).rows == ()
    assert [one.kind for one in look(arrivals.find, sam, q="stock").rows] == ["ticket"]
    assert [one.kind for one in look(arrivals.find, sam, whose="unassigned", channel=InboundChannel.CHAT).rows] == ["ticket"]
    do(arrivals.take, sam, "ticket", made[0].record_id)
    assert [one.kind for one in look(arrivals.find, sam, whose="mine").rows] == ["ticket"]
    talk = next(one for one in found.rows if one.kind == "talk")
    do(arrivals.settle, sam, "talk", talk.id)
    assert look(arrivals.count, alice) == 0
    do(arrivals.unsettle, sam, "talk", talk.id)
    assert look(arrivals.count, alice) == 1
    with pytest.raises(NotFound):
        do(arrivals.settle, any_cast["charlie"], "talk", max(one.id for one in all_of(Interaction)))  # Dana's lead
    mail = all_of(InboundMail)[0]
    do(tray.discard, sam, [mail.id])
    assert "mail" not in {one.kind for one in look(arrivals.find, sam).rows}


def test_letters_stand_on_the_timeline_without_words_that_are_their_readers_alone(any_cast, any_acme):
    alice, ida = any_cast["alice"], any_acme["Ida"]
    for number, (kind, more) in enumerate((("automation", {}), ("survey", {"secret": True}), ("confirmation", {}), ("ticket", {}))):
        do(
            outbox.queue, alice, to="ida@customer.example", subject=f"S{number}", text="private https://crm.example/p/token", kind=kind, dedupe_key=f"d{number}", contact_id=ida.id,
            not_before=clock.utcnow() + timedelta(days=1), **more,
        )  # fmt: skip
    for key, record_id in (("contact", ida.id), ("account", any_acme["account"].id)):
        found = feed(alice, key, record_id, kinds=["mails"])
        assert [(item.title, item.text, item.data["state"]) for item in found] == [
            ("S2", "", "waiting to be sent"), ("S1", "", "waiting to be sent"), ("S0", "private (link)", "waiting to be sent")
        ]  # fmt: skip
    assert feed(alice, "contact", ida.id, kinds=["calls"]) == []
    everything = feed(alice, "contact", ida.id)
    assert len(everything) == 4 and feed(alice, "contact", ida.id, team_id=alice.team_id) == everything
    assert feed(alice, "contact", ida.id, team_id=any_cast["charlie"].team_id) == []


def test_what_was_written_to_a_lead_follows_it_into_the_contact_and_back(cast):
    alice, mailbox = cast["alice"], box(cast["root"], plus_address=True)
    lead = do(leads.create, alice, {"name": "Lee", "email": "lee@prospect.example"})
    write(alice, "lead", lead.id, "lee@prospect.example")
    talk = all_of(Interaction)[0]
    reply = {"sender": "Lee <lee@prospect.example>", "In_Reply_To": talk.message_id}
    take(mailbox, letter("Tell me more.", number=1, **reply))
    made = do(leads.convert, alice, lead.id)
    assert [one.text for one in look(interactions.open_of, alice, "contact", made.contact_id)] == ["Tell me more."]
    assert take(mailbox, letter("And?", number=2, **reply)).state is InboundState.TIMELINE
    home = all_of(Interaction)[-1]
    assert (home.entity, home.record_id) == ("contact", made.contact_id), "nobody looks at a lead that was converted"
    again = do(leads.create, alice, {"name": "Ann", "email": "ann@prospect.example"})
    write(alice, "lead", again.id, "ann@prospect.example", submit_key="k2")
    do(leads.convert, alice, again.id)
    do(leads.undo_conversion, alice, again.id)
    assert (all_of(Interaction)[-1].entity, all_of(Interaction)[-1].record_id) == ("lead", again.id)


def test_an_invitation_shows_to_those_who_see_what_the_meeting_is_about(cast):
    root, alice, charlie = cast["root"], cast["alice"], cast["charlie"]
    ida = do(contacts.create, root, {"name": "Ida", "email": "ida@customer.example", "owner_id": charlie.user_id})
    deal = do(deals.create, root, {"name": "Secret", "contact_id": ida.id, "owner_id": alice.user_id})
    meeting = do(activities.log, root, "deal", deal.id, kind=ActivityKind.MEETING, text="Secret terms")
    key = f"meeting:{meeting.id}:1:1"
    do(
        outbox.queue,
        root,
        to="ida@customer.example",
        subject="Invitation: Secret terms",
        text="x",
        kind="invitation",
        dedupe_key=key,
        contact_id=ida.id,
    )
    assert [item.title for item in feed(root, "contact", ida.id, kinds=["mails"])] == ["Invitation: Secret terms"]
    assert feed(charlie, "contact", ida.id, kinds=["mails"]) == []
