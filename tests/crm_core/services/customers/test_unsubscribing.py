"""Every way out of marketing: the address is blocked where the person said so, their consent is withdrawn, and a letter that waits stays here."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import delete, insert
from sqlmodel import col, select

from crm_core import lists
from crm_core.access import system
from crm_core.db import read_session, write_session
from crm_core.errors import Conflict, Invalid, NotPermitted
from crm_core.jobs.run import begin
from crm_core.kit import clock
from crm_core.lists import ListQuery
from crm_core.models import CampaignMember, Consent, Contact, MailDelivery, OutreachRules, Suppression
from crm_core.services import bulk, crud
from crm_core.services.admin.imports.driver import Options, import_file
from crm_core.services.automation import record_runs
from crm_core.services.collaboration import mail_run, outbox, suppressions
from crm_core.services.customers import consent, consent_files, contacts, delivery_reports, unsubscribing
from crm_core.services.marketing import campaigns, signing, token_rules, tracking
from crm_core.services.sales import leads
from crm_core.vocabulary import (
    ConsentStatus,
    ContactWay,
    FlowState,
    Gate,
    LegalBasis,
    MailState,
    PreferredChannel,
    Purpose,
    RecipientStep,
    SuppressionReason,
)
from tests.crm_core.services.automation.automating import TASK, all_of, runs, switched_on, work
from tests.crm_core.services.inbox.post import box, letter
from tests.crm_core.services.inbox.post import take as take_mail
from tests.crm_core.services.marketing.outreach import campaign, launch, members, no_quiet_hours, people, run
from tests.verbs import do, look

UNSUBSCRIBED, COMPLAINED, BOUNCED, MANUAL = (
    SuppressionReason.UNSUBSCRIBED, SuppressionReason.COMPLAINED, SuppressionReason.BOUNCED, SuppressionReason.MANUAL,
)  # fmt: skip
COMPLAINT = """From: fbl@provider.example
To: crm@example.com
Subject: complaint
Message-ID: <fbl-{n}@provider.example>
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="B"

--B
Content-Type: text/plain

An e-mail abuse report.
--B
Content-Type: message/feedback-report

Feedback-Type: {kind}
User-Agent: Provider/1.0
Version: 1

--B
Content-Type: message/rfc822

Message-ID: {message_id}
Subject: Hello

Hello
--B--
"""


def says(contact_id):
    """What holds by e-mail for a contact: purpose → agreed."""
    with read_session() as session:
        rows = session.exec(
            select(Consent).where(Consent.contact_id == contact_id, Consent.way == ContactWay.EMAIL, Consent.is_latest)
        )
        return {row.purpose: row.status is ConsentStatus.GRANTED for row in rows}


def gate_without_consent(session, _actor, contact_id, purpose):
    """The gate that stops somebody where nobody has to have agreed first, as surveys may be set up."""
    table, free = Contact.__table__, OutreachRules(needs_consent=False)
    found = consent.gates("contact", table, way=ContactWay.EMAIL, purpose=purpose, at=clock.utcnow(), workspace=free)
    shut = session.execute(select(consent.first_closed(found)).where(table.c.id == contact_id)).scalar()
    return Gate(shut) if shut else None


def blocked(address):
    with read_session() as session:
        return set(
            session.exec(
                select(Suppression.reason).where(Suppression.address_key == address, Suppression.lifted_at.is_(None))
            ).all()
        )


@pytest.fixture
def sent(cast, tmp_path):
    """Ten people who agreed to offers and to surveys, and a campaign that went out to them: who, their members and the campaign."""
    root = cast["root"]
    no_quiet_hours(root)
    ids = people(10)
    with write_session() as session:
        said = {
            "purpose": Purpose.RESEARCH,
            "way": ContactWay.EMAIL,
            "status": ConsentStatus.GRANTED,
            "source": "t",
            "is_latest": True,
        }
        session.execute(insert(Consent), [{"contact_id": one, "at": clock.utcnow(), **said} for one in ids])
    made = campaign(cast["dana"], ids)
    launch(cast["dana"], made)
    run(made)
    return ids, {row.contact_id: row for row in members(made)}, made


def mail_of(member):
    with read_session() as session:
        return session.get(MailDelivery, member.mail_id)


def test_every_way_out_blocks_the_address_and_takes_the_consent_back(cast, sent, tmp_path):
    ids, rows, _ = sent
    root, dana = cast["root"], cast["dana"]
    mailbox = box(root, becomes="timeline")

    def token(one):
        with read_session() as session:
            return token_rules.make(signing.key(session), token_rules.LEAVE, rows[one].id, 0, clock.today())

    def in_public(verb, *args):
        with write_session() as session:
            verb(session, *args)

    def complaint(one, n):
        return COMPLAINT.format(kind="abuse", message_id=mail_of(rows[one]).message_id, n=n).encode()

    def bring(one):
        path = tmp_path / "left.csv"
        path.write_text(f"E-mail,Name,Do not e-mail\n{rows[one].address},Someone,yes\n")
        import_file(path, "contact", actor=root, options=Options(mode="update", match=("email",)))

    ways = {
        "one click and the page": (lambda one: in_public(tracking.leave, token(one)), {UNSUBSCRIBED}),
        "nothing ticked on the preference page": (lambda one: in_public(tracking.choose, token(one), frozenset()), {UNSUBSCRIBED}),
        "“stop” as an answer": (
            lambda one: take_mail(mailbox, letter("Stop", sender=rows[one].address, number=70, In_Reply_To=mail_of(rows[one]).message_id)),
            {UNSUBSCRIBED},
        ),
        "a complaint in the mailbox": (lambda one: take_mail(mailbox, complaint(one, 1)), {COMPLAINED}),
        "a complaint handed in": (lambda one: do(delivery_reports.take_in, root, complaint(one, 2)), {COMPLAINED}),
        "written down in a list": (lambda one: do(unsubscribing.block, dana, f"x@example.com, {rows[one].address.upper()}", reason=UNSUBSCRIBED), {UNSUBSCRIBED}),
        "a colleague's own block": (lambda one: do(unsubscribing.block, dana, rows[one].address), {MANUAL}),
        "a tick on the record": (lambda one: do(contacts.update, root, one, {"do_not_email": True}), set()),
        "the API and bulk changes": (lambda one: do(lambda s, a: crud.update(s, a, "contact", one, {"preferred_channel": "none"}), root), set()),
        "an import": (bring, set()),
    }  # fmt: skip
    for one, (what, (way, reasons)) in zip(ids, ways.items(), strict=True):
        assert set(says(one).values()) == {True}, what
        way(one)
        assert blocked(rows[one].address) == reasons, what
        own = what != "a colleague's own block"
        assert says(one) == (dict.fromkeys(Purpose, False) if own else {Purpose.MARKETING: True, Purpose.RESEARCH: True}), what
        assert look(consent.may_contact, root, one).gate is not None, what
        if UNSUBSCRIBED in reasons or COMPLAINED in reasons:
            gone = members(sent[2])[ids.index(one)].unsubscribed_at
            assert (gone is not None) == (what != "written down in a list"), what
        do(
            lambda s, a, one=one: s.get(Contact, one).sqlmodel_update(
                {"do_not_email": False, "preferred_channel": PreferredChannel.ANY}
            ),
            root,
        )
        for row in look(suppressions.find, root, q=rows[one].address).rows:
            do(suppressions.lift, root, row["id"])
        expected = None if not own else Gate.NO_CONSENT
        assert look(consent.may_contact, root, one).gate in (expected, Gate.OVER_CAP if not own else expected), f"{what}: lifted"


def test_reasons_stand_side_by_side_and_wanting_news_again_lifts_only_ones_own(cast, sent):
    ids, rows, _ = sent
    address = rows[ids[0]].address
    with read_session() as session:
        text = token_rules.make(signing.key(session), token_rules.LEAVE, rows[ids[0]].id, 0, clock.today())
    with write_session() as session:
        suppressions.note(session, system(), address, BOUNCED, source="550")
        tracking.leave(session, text)
        tracking.leave(session, text)
    assert blocked(address) == {BOUNCED, UNSUBSCRIBED}
    assert look(consent.taken_back, cast["root"], "contact", ids[0]) in (Gate.NO_CONSENT, Gate.SUPPRESSED)
    found = look(lambda s, a: tracking.reader(s, text), cast["root"])
    assert (found.left, found.stopped, found.agreed) == (True, False, frozenset())
    with write_session() as session:
        tracking.choose(session, text, frozenset({Purpose.EVENTS}))
    assert blocked(address) == {BOUNCED}
    assert says(ids[0]) == {Purpose.MARKETING: False, Purpose.RESEARCH: False, Purpose.EVENTS: True}
    found = look(lambda s, a: tracking.reader(s, text), cast["root"])
    assert (found.left, found.stopped, found.agreed) == (False, True, frozenset({Purpose.EVENTS}))


def test_everybody_with_the_address_leaves_and_what_is_no_complaint_of_ours_changes_nothing(cast, sent):
    ids, rows, _ = sent
    root, dana = cast["root"], cast["dana"]
    address = rows[ids[0]].address
    lead = do(leads.create, root, {"name": "Same", "email": f" {address.upper()} "}).id
    say = {"purpose": Purpose.MARKETING, "way": ContactWay.EMAIL, "status": ConsentStatus.GRANTED, "source": "Fair"}
    do(consent.record, root, "lead", lead, **say)
    second = people(1, first=90)[0]
    points = [{"kind": "email", "value": one, "is_primary": n == 0} for n, one in enumerate(("ida90@example.com", address))]
    do(contacts.set_points, root, second, points)
    inner = f"--C\nContent-Type: message/rfc822\n\nMessage-ID: {mail_of(rows[ids[1]]).message_id}\n\nHello\n--C--"
    within = f'Message-ID: <theirs@x>\nContent-Type: multipart/mixed; boundary="C"\n\n{inner}'
    complaint_within = COMPLAINT.format(kind="abuse", message_id="<theirs@x>", n=1).replace(
        "Message-ID: <theirs@x>\nSubject: Hello\n\nHello", within
    )
    for raw in (b"", COMPLAINT.format(kind="abuse", message_id="<nobody@x>", n=1).encode(),
                complaint_within.encode(), COMPLAINT.format(kind="not-spam", message_id=mail_of(rows[ids[1]]).message_id, n=1).encode()):  # fmt: skip
        with pytest.raises(Invalid):
            do(delivery_reports.take_in, root, raw)
    assert set(says(ids[1]).values()) == {True}
    with pytest.raises(NotPermitted):
        do(delivery_reports.take_in, dana, b"")
    do(unsubscribing.block, dana, address, reason=COMPLAINED)
    assert says(second) == {Purpose.MARKETING: True}, "a second address may be a whole office's: the block is enough"
    assert not any(says(ids[0]).values())
    assert look(consent.history, root, "lead", lead)[0]["status"] is ConsentStatus.WITHDRAWN
    for text, words in (("", "not an e-mail"), ("nonsense", "not an e-mail"), (f"{address}\nnonsense", "“nonsense”")):
        with pytest.raises(Invalid, match=words):
            do(unsubscribing.block, dana, text)
    with pytest.raises(Conflict):
        do(unsubscribing.block, dana, address, reason=COMPLAINED)
    do(consent.record, root, "lead", lead, **say)
    assert do(unsubscribing.block, dana, address, reason=COMPLAINED) == 0, (
        "their word counts also if the address was blocked before"
    )
    assert look(consent.history, root, "lead", lead)[0]["status"] is ConsentStatus.WITHDRAWN
    with pytest.raises(NotPermitted):
        do(unsubscribing.block, cast["sam"], address)


def test_a_no_holds_on_every_record_with_the_main_address_and_no_later_import_of_agreement_takes_it_back(cast, sent, tmp_path):
    ids, rows, _ = sent
    root, dana = cast["root"], cast["dana"]
    ways = {}

    def known(n):
        """Two records of one person besides the member: a contact who said nothing, and a lead that agreed."""
        address = rows[ids[n]].address
        silent = do(contacts.create, root, {"name": "Silent", "email": address.upper()}).id
        lead = do(leads.create, root, {"name": "Lead", "email": f" {address} "}).id
        say = {"purpose": Purpose.MARKETING, "way": ContactWay.EMAIL, "status": ConsentStatus.GRANTED, "source": "Fair"}
        do(consent.record, root, "lead", lead, **say)
        return address, silent, lead

    def choose(n, address):
        with write_session() as session:
            text = token_rules.make(signing.key(session), token_rules.LEAVE, rows[ids[n]].id, 0, clock.today())
            tracking.choose(session, text, frozenset({Purpose.EVENTS}))

    def bring(n, address):
        path = tmp_path / "new.csv"
        path.write_text(f"E-mail,Name,Do not e-mail\n{address},Anew,yes\n")
        import_file(path, "contact", actor=root, options=Options(mode="create", match=()))

    ways["left out on the preference page"] = choose
    ways["a tick on the record"] = lambda n, address: do(contacts.update, root, ids[n], {"do_not_email": True})
    ways["made with the tick"] = lambda n, address: do(
        contacts.create, root, {"name": "Anew", "email": address, "do_not_email": True}
    )
    ways["brought with the tick"] = bring
    ways["noted by a colleague"] = lambda n, address: do(
        consent.record, root, "contact", ids[n], purpose=Purpose.MARKETING, way=ContactWay.EMAIL, status=ConsentStatus.WITHDRAWN, source="Call"
    )  # fmt: skip
    ways["written down in a list"] = lambda n, address: do(unsubscribing.block, dana, address, reason=UNSUBSCRIBED)
    silents = []
    for n, (what, way) in enumerate(ways.items()):
        address, silent, lead = known(n)
        way(n, address)
        silents.append(silent)
        assert says(ids[n])[Purpose.MARKETING] is False and says(silent)[Purpose.MARKETING] is False, what
        assert look(consent.may_contact, root, lead, entity_key="lead").gate in (Gate.NO_CONSENT, Gate.OBJECTED), what
        assert look(consent.history, root, "lead", lead)[0]["status"] is ConsentStatus.WITHDRAWN, what
    assert says(ids[0]) == {Purpose.MARKETING: False, Purpose.RESEARCH: False, Purpose.EVENTS: True}
    assert Purpose.EVENTS not in says(silents[0]), "a yes is said for the own record alone"
    with write_session() as session:  # as it was before such words were written down on every record
        session.execute(delete(Consent).where(col(Consent.contact_id).in_(silents)))
    table = Contact.__table__
    everybody = {"purpose": Purpose.MARKETING, "way": ContactWay.EMAIL, "source": "The old newsletter"}
    agreed = do(consent.record_for_all, root, "contact", table.c.id.in_(silents), **everybody)
    assert (agreed, says(silents[-1])) == (0, {}), (
        "who is blocked by their own word, objected or said no on another record, did not agree"
    )
    late = do(contacts.create, root, {"name": "Made later", "email": f" {rows[ids[0]].address.upper()}"}).id
    answered = {purpose: look(gate_without_consent, root, late, purpose) for purpose in Purpose}
    assert answered == {Purpose.MARKETING: Gate.NO_CONSENT, Purpose.RESEARCH: Gate.NO_CONSENT, Purpose.EVENTS: None}, (
        "what they said no to holds on a record that is made later"
    )
    assert do(consent.record_for_all, root, "contact", table.c.id == late, **everybody) == 0
    do(
        consent.record,
        root,
        "contact",
        late,
        purpose=Purpose.RESEARCH,
        way=ContactWay.EMAIL,
        status=ConsentStatus.GRANTED,
        source="Call",
    )
    assert look(gate_without_consent, root, late, Purpose.RESEARCH) is None, "until they say yes again"
    wanted = do(bulk.preview, root, "contact", [ids[8]], "do_not_email", True)
    done = do(bulk.change, root, "contact", wanted.versions, "do_not_email", True)
    assert "stays ended" in do(bulk.undo, root, done.operation_id).note and says(ids[8])[Purpose.MARKETING] is False
    became = do(leads.convert, root, do(leads.create, root, {"name": "Was", "email": "was@example.com"}).id).contact_id
    do(contacts.update, root, became, {"email": "now@example.com"})
    do(contacts.update, root, became, {"do_not_email": True})
    with read_session() as session:
        lead = session.exec(select(Consent.status).where(Consent.purpose == Purpose.MARKETING, col(Consent.lead_id).is_not(None)).order_by(col(Consent.id).desc())).first()  # fmt: skip
    assert lead is ConsentStatus.WITHDRAWN, "the lead that a contact was is the same person"


def test_what_a_lead_said_holds_for_the_contact_it_becomes(cast):
    root = cast["root"]
    say = {"purpose": Purpose.MARKETING, "way": ContactWay.EMAIL, "source": "Form"}
    made = [do(leads.create, root, {"name": f"L{n}", "email": f"l{n}@example.com"}).id for n in range(3)]
    for one, status in zip(made, (ConsentStatus.GRANTED, ConsentStatus.WITHDRAWN, ConsentStatus.GRANTED), strict=True):
        do(consent.record, root, "lead", one, status=status, **say)
    contact = do(contacts.create, root, {"name": "Known", "email": "l2@example.com"}).id
    do(consent.record, root, "contact", contact, status=ConsentStatus.WITHDRAWN, **say)
    became = [do(leads.convert, root, one).contact_id for one in made[:2]]
    do(leads.convert, root, made[2], contact_id=contact)
    assert [says(one) for one in became] == [{Purpose.MARKETING: True}, {Purpose.MARKETING: False}]
    assert says(contact) == {Purpose.MARKETING: False}, "their later word on the contact stands"


def test_a_waiting_letter_is_asked_for_once_more_when_its_turn_comes(any_cast):
    root = any_cast["root"]
    no_quiet_hours(root)
    ids = people(6)
    lead = do(leads.create, root, {"name": "Gone", "email": "gone@example.com"}).id
    who = [*({"contact_id": one} for one in ids), {"lead_id": lead}]
    for n, one in enumerate(who):
        keys = {"kind": "automation", "purpose": Purpose.MARKETING, "dedupe_key": f"k{n}", "start": False}
        do(outbox.queue, root, to=f"to{n}@example.com", subject="News", text="T", **keys, **one)
        service = {"kind": "automation", "dedupe_key": f"s{n}", "start": False}
        do(outbox.queue, root, to=f"to{n}@example.com", subject="Your order", text="T", **service, **one)
    do(unsubscribing.block, root, "to0@example.com", reason=UNSUBSCRIBED)
    say = {"way": ContactWay.EMAIL, "status": ConsentStatus.WITHDRAWN, "source": "On the phone"}
    do(consent.record, root, "contact", ids[1], purpose=Purpose.MARKETING, **say)
    do(contacts.update, root, ids[2], {"do_not_email": True})
    do(consent.record, root, "contact", ids[3], purpose=Purpose.EVENTS, **say)
    do(lambda s, a: crud.archive(s, a, "contact", ids[4]), root)
    do(lambda s, a: crud.archive(s, a, "lead", lead), root)
    mail_run.send_due(begin("mail.send:test", "mail.send"))
    went = {mail.dedupe_key for mail in all_of(MailDelivery) if mail.state is MailState.SENT}
    assert went == {f"s{n}" for n in range(7)} | {"k3", "k5"}
    reasons = {mail.dedupe_key: mail.message for mail in all_of(MailDelivery) if mail.state is MailState.CANCELLED}
    assert "unsubscribed" in reasons["k0"] and "consent" in reasons["k1"] and "archived" in reasons["k4"]
    with pytest.raises(Conflict, match="left it since"):
        do(outbox.retry, root, next(mail.id for mail in all_of(MailDelivery) if mail.dedupe_key == "k0"))
    mail_run.send_due(begin("mail.send:again", "mail.send"))
    assert next(mail.state for mail in all_of(MailDelivery) if mail.dedupe_key == "k0") is MailState.CANCELLED


def test_a_letter_that_waits_is_called_back_with_its_reader_and_none_waits_through_the_night(cast, monkeypatch):
    root = cast["root"]
    no_quiet_hours(root, quiet_from="20:00", quiet_until="08:00")
    mail = {"id": "m", "kind": "mail", "purpose": "service", "subject": "Hello", "body": "Hello"}
    does = [mail, {"id": "w", "kind": "wait", "amount": 1, "unit": "days"}, TASK]
    goal = {"op": "and", "items": [{"field": "job_title", "cmp": "eq", "value": "hot"}]}
    switched_on(root, does=does, goal=goal)
    night = datetime(2026, 6, 3, 21, tzinfo=UTC)
    with clock.frozen(night):
        ids = [do(leads.create, root, {"name": f"N{n}", "email": f"n{n}@example.com"}).id for n in range(3)]
        work()
        assert all_of(MailDelivery) == [] and {one.state for one in runs()} == {FlowState.WAITING}
        do(leads.update, root, ids[0], {"job_title": "hot"})
    with clock.frozen(night + timedelta(hours=11, minutes=1)):
        work()
        assert [one.lead_id for one in all_of(MailDelivery)] == ids[1:], "who reached the goal at night gets nothing in the morning"
        stopped = next(one for one in runs(FlowState.WAITING) if one.record_id == ids[1])
        do(record_runs.leave, root, stopped.id)
        do(leads.update, root, ids[2], {"job_title": "hot"})
    with clock.frozen(night + timedelta(days=2)):
        work()
    states = {one.lead_id: one.state for one in all_of(MailDelivery)}
    assert states == {ids[1]: MailState.CANCELLED, ids[2]: MailState.PENDING}, (
        "a goal calls back news, never mail about business under way"
    )
    assert "took the record out" in all_of(MailDelivery)[0].message


def test_who_is_taken_out_of_a_campaign_gets_no_letter_that_waits_in_the_outbox(cast, sent):
    ids, rows, made = sent
    first, second = rows[ids[0]], rows[ids[1]]
    with write_session() as session:
        session.get(MailDelivery, first.mail_id).state = MailState.PENDING
    assert do(campaigns.leave_out, cast["dana"], made, [first.id, second.id]) == 1
    assert mail_of(first).state is MailState.CANCELLED and mail_of(second).state is MailState.SENT
    with read_session() as session:
        found = session.get(CampaignMember, first.id)
        assert (found.step, found.skip_reason) == (RecipientStep.SKIPPED, "removed")


def test_a_legal_basis_opens_offers_or_does_not_and_no_file_lifts_a_no(cast, tmp_path):
    """Consent and legitimate interest carry offers; a contract carries none and refuses none; an import brings both, and never turns a no into a yes."""
    root = cast["root"]
    ids = [do(contacts.create, root, {"name": f"P{n}", "email": f"p{n}@example.com"}).id for n in range(4)]

    def said(one, basis, status=ConsentStatus.GRANTED):
        words = {"purpose": Purpose.MARKETING, "way": ContactWay.EMAIL, "status": status, "source": "Order", "basis": basis}
        do(consent.record, root, "contact", ids[one], **words)

    said(0, LegalBasis.LEGITIMATE_INTEREST)
    said(1, LegalBasis.CONTRACT)
    said(2, LegalBasis.CONSENT, ConsentStatus.WITHDRAWN)
    allowed = [look(consent.may_contact, root, one).gate for one in ids]
    assert allowed == [None, Gate.NO_CONSENT, Gate.NO_CONSENT, Gate.NO_CONSENT]
    do(consent.set_rules, root, {"needs_consent": False})
    assert [look(consent.may_contact, root, one).gate for one in ids] == [None, None, Gate.NO_CONSENT, None]
    twin = do(contacts.create, root, {"name": "P2 again", "email": "p2@example.com"}).id
    for basis in (LegalBasis.CONTRACT, LegalBasis.LEGITIMATE_INTEREST):
        with pytest.raises(Invalid, match="declined"):
            said(2, basis)
        with pytest.raises(Invalid, match="declined"):
            do(consent.record, root, "contact", twin, purpose=Purpose.MARKETING, way=ContactWay.EMAIL, status=ConsentStatus.GRANTED, source="Order", basis=basis)  # fmt: skip
    assert look(consent.may_contact, root, ids[2]).gate is Gate.NO_CONSENT, "a no stays a no"
    do(consent.set_rules, root, {"needs_consent": True})
    path = tmp_path / "basis.csv"
    lines = [f"P{n},p{n}@example.com,Agreed,{basis},The fair" for n, basis in ((2, "Consent"), (3, "Legitimate interest"))]
    path.write_text("\n".join(["Name,E-mail,Consent: news by e-mail,Consent: legal basis,Consent: how we know", *lines]))
    for _ in range(2):
        import_file(path, "contact", actor=root, options=Options(mode="update", match=("email",)))
    assert [look(consent.may_contact, root, one).gate for one in ids[2:]] == [Gate.NO_CONSENT, None]
    assert [(row["basis"], row["source"]) for row in look(consent.history, root, "contact", ids[3])] == [
        (LegalBasis.LEGITIMATE_INTEREST, "The fair")
    ]
    rule = {"agg": "count", "rel": "consents", "cmp": "ge", "value": 1, "where": {"op": "and", "items": [
        {"field": "basis", "cmp": "eq", "value": "legitimate_interest"}, {"field": "is_latest", "cmp": "eq", "value": True}]}}  # fmt: skip
    for who in (root, cast["alice"]):
        with read_session() as session:
            assert lists.count(session, who, "contact", ListQuery(filter=rule)) == 2
    text = look(consent_files.latest, root).decode()
    assert "Legitimate interest" in text and "p1@example.com" in text and text.count("\n") == 5
    with pytest.raises(NotPermitted):
        look(consent_files.latest, replace(root, grants={}))


def test_a_contract_of_a_lead_is_no_agreement_of_the_contact_it_becomes(cast):
    """The legal basis comes along, and a contract takes back no no that the contact said before."""
    root = cast["root"]
    lead = do(leads.create, root, {"name": "Ida", "email": "ida@lead.example"}).id
    known = do(contacts.create, root, {"name": "Ola", "email": "ola@own.example"}).id
    other = do(leads.create, root, {"name": "Ola", "email": "ola@lead.example"}).id
    word = {"purpose": Purpose.MARKETING, "way": ContactWay.EMAIL, "source": "Order"}
    do(consent.record, root, "contact", known, status=ConsentStatus.WITHDRAWN, **word)
    for one in (lead, other):
        do(consent.record, root, "lead", one, status=ConsentStatus.GRANTED, basis=LegalBasis.CONTRACT, **word)
    made = do(leads.convert, root, lead).contact_id
    do(leads.convert, root, other, contact_id=known)
    assert [row["basis"] for row in look(consent.history, root, "contact", made)] == [LegalBasis.CONTRACT]
    assert look(consent.may_contact, root, made).gate is Gate.NO_CONSENT
    assert [row["status"] for row in look(consent.history, root, "contact", known) if row["is_latest"]] == [ConsentStatus.WITHDRAWN]
