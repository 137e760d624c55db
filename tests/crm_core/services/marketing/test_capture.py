"""Lead forms: a person becomes a lead once, a robot learns nothing, nothing that was sent is lost, and a tick never lifts a no."""

import re
from datetime import timedelta

import pytest
from sqlmodel import select

from crm_core.db import read_session, write_session
from crm_core.errors import Conflict, Invalid, NotFound, NotPermitted
from crm_core.kit import clock
from crm_core.models import Activity, Consent, CustomField, FormSubmission, Lead, LeadForm, MailDelivery, Touchpoint, User
from crm_core.services.admin import custom_fields
from crm_core.services.marketing import capture, lead_forms
from crm_core.services.marketing.capture import Sender
from crm_core.vocabulary import FieldKind
from crm_core.vocabulary import SubmissionState as State
from tests.verbs import do

FIELDS = [
    {"key": "name", "required": True},
    {"key": "email", "required": True},
    {"key": "company"},
    {"key": "description", "label": "How can we help?"},
]
ADA = {"name": "Ada", "email": "ada@example.com", "description": "=HYPERLINK(1) <b>hello</b>"}


def form(actor, **more):
    return do(lead_forms.save, actor, None, {"name": "Contact us", "fields": FIELDS, **more})


def sender(form_id, *, age=10, address="203.0.113.5"):
    with write_session() as session:
        now = int(clock.utcnow().timestamp()) - age
        mac = capture.signing.mac(session, capture.PURPOSE, f"{form_id}.{now}")
    return Sender(address, f"{now}.{mac}")


def send(made, values=None, **how):
    return do(capture.submit, made.slug, values or ADA, sender(made.id, **how))


def leads():
    with read_session() as session:
        return list(session.exec(select(Lead).order_by(Lead.id)))


def test_a_sending_becomes_a_lead_with_the_defaults_of_the_form_and_a_touch(any_cast):
    made = form(any_cast["dana"], defaults={"source": "Website", "owner_id": any_cast["alice"].user_id})
    assert send(made) is State.LEAD
    lead = leads()[0]
    assert (lead.name, lead.email, lead.source, lead.owner_id) == ("Ada", "ada@example.com", "Website", any_cast["alice"].user_id)
    with read_session() as session:
        assert session.exec(select(Touchpoint)).one().lead_id == lead.id
        assert session.exec(select(FormSubmission)).one().payload["description"] == ADA["description"]


def test_a_field_that_a_form_asks_for_stays_in_use_and_one_that_is_gone_is_asked_of_nobody(cast):
    root = cast["root"]
    size = do(custom_fields.create, root, "lead", label="Size", kind=FieldKind.INTEGER)
    made = form(cast["dana"], fields=[*FIELDS, {"key": size.key, "required": True}])
    with pytest.raises(Invalid):
        send(made)
    with pytest.raises(Conflict, match="the form “Contact us”"):
        do(custom_fields.deactivate, root, size.id)
    with write_session() as session:  # as an earlier version allowed
        session.get(CustomField, size.id).active = False
    assert send(made) is State.LEAD


def test_what_leads_must_have_is_asked_by_every_open_form(cast):
    root, dana = cast["root"], cast["dana"]
    made = form(dana)
    with pytest.raises(Invalid):
        do(custom_fields.create, root, "lead", label="Size", kind=FieldKind.INTEGER, required=True)
    size = do(custom_fields.create, root, "lead", label="Size", kind=FieldKind.INTEGER)
    with pytest.raises(Invalid) as refused:
        do(custom_fields.update, root, size.id, {"required": True})
    assert "The form does not ask for it (“Contact us”)" in refused.value.fields["required"]
    do(lead_forms.save, dana, made.id, {"fields": [*FIELDS, {"key": size.key}]})
    do(custom_fields.update, root, size.id, {"required": True})
    with pytest.raises(Invalid) as refused:
        send(made)
    assert refused.value.fields.keys() == {size.key}
    assert send(made, {**ADA, size.key: "12"}) is State.LEAD
    with pytest.raises(Invalid) as refused:
        do(lead_forms.save, dana, made.id, {"fields": FIELDS})
    assert "“Size”" in refused.value.fields["fields"]
    do(lead_forms.save, dana, made.id, {"fields": FIELDS, "is_active": False})
    do(custom_fields.deactivate, root, size.id)
    do(lead_forms.save, dana, made.id, {"is_active": True})
    with pytest.raises(Invalid):
        do(custom_fields.activate, root, size.id)


def test_the_same_click_three_times_is_one_lead_and_the_same_person_later_a_note_on_it(any_cast):
    made = form(any_cast["dana"])
    assert [send(made) for _ in range(3)] == [State.LEAD, State.TWICE, State.TWICE]
    assert send(made, {**ADA, "name": "Somebody else", "description": "Again"}) is State.KNOWN
    assert [lead.name for lead in leads()] == ["Ada"], "anybody can type anybody's address"
    with read_session() as session:
        assert "Again" in session.exec(select(Activity)).one().body


@pytest.mark.parametrize("how", [{"age": 1}, {"age": 0}])
def test_whoever_fills_it_in_too_quickly_is_a_robot_and_is_thanked(cast, how):
    made = form(cast["dana"])
    assert send(made, **how) is State.SPAM
    assert do(capture.submit, made.slug, {**ADA, capture.TRAP: "x"}, sender(made.id)) is State.TWICE, "the same payload"
    assert do(capture.submit, made.slug, {**ADA, "name": "B", capture.TRAP: "x"}, sender(made.id)) is State.SPAM
    assert do(capture.submit, made.slug, {**ADA, "name": "C"}, Sender("1.2.3.4", "1.forged")) is State.SPAM
    assert leads() == []


def test_many_from_one_place_are_kept_and_become_no_leads(cast):
    made = form(cast["dana"])
    states = [send(made, {"name": f"P{n}", "email": f"p{n}@example.com"}) for n in range(13)]
    assert states == [State.LEAD] * 10 + [State.SPAM] * 3
    assert send(made, {"name": "Other", "email": "other@example.com"}, address="198.51.100.7") is State.LEAD


def test_what_a_visitor_can_correct_is_told_and_nothing_is_kept(cast):
    made = form(cast["dana"])
    with pytest.raises(Invalid) as error:
        send(made, {"name": " ", "email": "not an address"})
    assert set(error.value.fields) == {"name", "email"}
    with read_session() as session:
        assert session.exec(select(FormSubmission)).all() == []


def test_what_goes_wrong_on_our_side_is_kept_and_can_be_tried_again(cast):
    made = form(cast["dana"], defaults={"owner_id": cast["charlie"].user_id})
    with write_session() as session:
        session.get(User, cast["charlie"].user_id).is_active = False
    assert send(made) is State.FAILED
    with read_session() as session:
        row = session.exec(select(FormSubmission)).one()
        assert row.message and leads() == []
    do(lead_forms.save, cast["dana"], made.id, {"defaults": {}})
    with pytest.raises(NotPermitted):
        do(capture.retry, cast["alice"], row.id)
    assert do(capture.retry, cast["dana"], row.id) is State.LEAD
    with pytest.raises(NotFound):
        do(capture.retry, cast["dana"], row.id)


def test_consent_holds_only_after_the_link_of_the_mail_was_followed(cast):
    made = form(cast["dana"], ask_consent=True)
    send(made, {**ADA, "consent": "yes"})
    with read_session() as session:
        assert session.exec(select(Consent)).all() == []
        mail = session.exec(select(MailDelivery)).one()
        token = re.search(r"/c/(\S+)", mail.content)[1]
    for wrong in ("x", token[:-1], token + "x"):
        with pytest.raises(NotFound):
            do(capture.confirm, wrong)
    do(capture.confirm, token)
    do(capture.confirm, token)
    with read_session() as session:
        assert len(session.exec(select(Consent)).all()) == 1
    with write_session() as session:
        session.exec(select(FormSubmission)).one().token_until = clock.utcnow() - timedelta(days=1)
    with pytest.raises(NotFound):
        do(capture.confirm, token)


def test_a_tick_alone_never_lifts_an_earlier_no(cast):
    made = form(cast["dana"], ask_consent=True, confirm_by_mail=False)
    send(made, {**ADA, "consent": "yes"})
    lead = leads()[0]
    with write_session() as session:
        capture.consent.record(
            session, cast["dana"], "lead", lead.id, purpose=capture.Purpose.MARKETING, way=capture.ContactWay.EMAIL,
            status=capture.ConsentStatus.WITHDRAWN, source="a call",
        )  # fmt: skip
    send(made, {**ADA, "company": "New", "consent": "yes"})
    with read_session() as session:
        latest = session.exec(select(Consent).where(Consent.is_latest)).one()
        assert latest.status is capture.ConsentStatus.WITHDRAWN


def test_a_program_sends_with_a_key_that_works_until_the_next_one(cast):
    made = form(cast["dana"])
    old = do(lead_forms.new_key, cast["dana"], made.id)
    assert do(capture.submit_by_key, old, ADA, Sender()) is State.LEAD
    do(lead_forms.new_key, cast["dana"], made.id)
    with pytest.raises(NotFound):
        do(capture.submit_by_key, old, ADA, Sender())


def test_forms_are_checked_and_belong_to_those_who_may(cast):
    dana = cast["dana"]
    made = form(dana)
    for values in (
        {"name": ""}, {"name": "contact US"}, {"fields": [{"key": "email"}]}, {"fields": [{"key": "score"}]}, {"fields": [*FIELDS, FIELDS[0]]},
        {"embed_hosts": ["no host"]}, {"defaults": {"owner_id": 999}}, {"ask_consent": True, "fields": FIELDS[:1]},
    ):  # fmt: skip
        with pytest.raises(Invalid):
            do(lead_forms.save, dana, None, {"name": "Other", "fields": FIELDS, **values})
    with pytest.raises(Conflict):
        do(lead_forms.save, dana, made.id, {"title": "x"}, base_version=made.version + 1)
    for verb, args in (
        (lead_forms.save, (None, {"name": "x", "fields": FIELDS})),
        (lead_forms.remove, (made.id,)),
        (lead_forms.new_key, (made.id,)),
    ):
        with pytest.raises(NotPermitted):
            do(verb, cast["alice"], *args)
    do(lead_forms.save, dana, made.id, {"is_active": False})
    with pytest.raises(NotFound):
        send(made)
    with read_session() as session:
        assert session.get(LeadForm, made.id).slug.startswith("contact-us-")
