"""What a stranger sends through a lead form: kept as it came, weighed, and turned into a lead once.

A visitor always sees success, whether they are a person, a robot or the same click again: a robot must not learn what gave it away.
"""

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sqlalchemy import func, or_
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from crm_core.access import Actor, require, system
from crm_core.errors import CrmError, Invalid, NotFound
from crm_core.fields import FieldSpec, parse_all, registry
from crm_core.kit.clock import utcnow
from crm_core.kit.text import clip, email_key
from crm_core.models import Consent, FormSubmission, Lead, LeadForm, LeadSource, Organisation, Touchpoint
from crm_core.services.collaboration import activities, interactions, outbox
from crm_core.services.customers import consent, withdrawing
from crm_core.services.marketing import lead_forms, pull_rules, signing, tracking
from crm_core.services.sales import leads
from crm_core.settings import settings
from crm_core.vocabulary import (
    Action,
    ActivityKind,
    Channel,
    ConsentStatus,
    ContactWay,
    InboundChannel,
    MessageDirection,
    Purpose,
    SubmissionState,
    Via,
)

PURPOSE = "lead_forms"
QUICKEST = 3
"""Seconds within which nobody fills a form in."""
SAME_SECONDS = 300
PER_SOURCE, PER_SOURCE_MINUTES = 10, 10
TRAP = "fax_number"
"""A field that people don't see; what fills it in is no person."""
CONSENT, RAW = "consent", "raw"
"""Keys of a payload that are no fields: whether they agreed, and what was fetched as long as it needs a look."""
CONFIRM_DAYS = 7
MAX_TEXT = 5_000
CLOSED = "There is no form here, or it takes nothing in at the moment."


@dataclass(frozen=True)
class Sender:
    """What the door knows of a sending besides its fields."""

    address: str = ""
    stamp: str | None = None
    visitor: str = ""
    page: str = ""


@dataclass(frozen=True)
class PublicForm:
    """A form as a stranger sees it."""

    id: int
    slug: str
    title: str
    intro: str
    thanks: str
    fields: list[tuple[FieldSpec, str, bool]] = field(default_factory=list)
    ask_consent: bool = False
    embed_hosts: tuple[str, ...] = ()
    workspace: str = ""


def public(session: Session, slug: str) -> PublicForm:
    """The form at an address; NotFound when there is none or it is switched off."""
    form = session.exec(select(LeadForm).where(LeadForm.slug == slug, LeadForm.is_active)).first()
    if form is None:
        raise NotFound(CLOSED)
    specs = registry(session, "lead")
    asked = [
        (specs[row["key"]], row["label"] or specs[row["key"]].label, row["required"] or lead_forms.needed(specs[row["key"]]))
        for row in form.fields
        if row["key"] in specs
    ]
    organisation = session.exec(select(Organisation)).first()
    return PublicForm(
        form.id or 0, form.slug, form.title or form.name, form.intro, form.thanks or "Thank you. We will get back to you.", asked,
        form.ask_consent, tuple(form.embed_hosts), organisation.name if organisation else "",
    )  # fmt: skip


def stamp(session: Session, form_id: int) -> str:
    """When a form was drawn, signed: it comes back with the sending."""
    return signing.stamp(session, PURPOSE, form_id)


def submit(session: Session, slug: str, values: Mapping[str, str], sender: Sender) -> SubmissionState:
    """Take a sending of the page in. Raises Invalid with a sentence per field that the visitor can correct."""
    form = session.exec(select(LeadForm).where(LeadForm.slug == slug, LeadForm.is_active)).first()
    if form is None:
        raise NotFound(CLOSED)
    suspicious = bool(values.get(TRAP)) or not signing.waited(session, PURPOSE, form.id or 0, sender.stamp or "", QUICKEST)
    return _take(session, form, values, sender, Via.FORM, suspicious)


def submit_by_key(session: Session, key: str, values: Mapping[str, Any], sender: Sender) -> SubmissionState:
    """Take a lead in that a program sends with a form's key. Raises NotFound for a wrong key, Invalid for fields that can't be read."""
    digest = hashlib.sha256(key.encode()).hexdigest()
    form = session.exec(select(LeadForm).where(LeadForm.key_sha256 == digest, LeadForm.is_active)).first()
    if form is None:
        raise NotFound("This key opens no form.")
    return _take(session, form, {name: str(value) for name, value in values.items() if value is not None}, sender, Via.API, False)


def take_pulled(session: Session, source: LeadSource, entry: Any) -> SubmissionState:
    """Take an entry in that was fetched from a source: once, whatever is fetched again. What can't become a lead waits in the log of the form."""
    form, number = session.get_one(LeadForm, source.form_id), pull_rules.id_of(entry, source.id_path)
    if (
        number
        and session.exec(
            select(FormSubmission.id).where(FormSubmission.source_id == source.id, FormSubmission.external_id == number)
        ).first()
    ):
        return SubmissionState.TWICE
    payload: dict[str, Any] = {
        **pull_rules.mapped(entry, source.mapping),
        CONSENT: form.ask_consent and pull_rules.agreed(entry, source.consent_path),
    }
    row = _keep(
        session, form, payload, Sender(), Via.API, source=source, external_id=number or f"without:{pull_rules.raw_of(entry)}"
    )
    if row is None:
        return SubmissionState.TWICE
    if number:
        _weigh_pulled(session, form, row)
    else:
        row.message = f"It has no number at “{source.id_path}”, so that nobody could tell whether it comes again."
    if row.state is SubmissionState.FAILED:
        row.payload = {**row.payload, RAW: pull_rules.raw_of(entry)}
    session.add(row)
    session.flush()
    return row.state


def _weigh_pulled(session: Session, form: LeadForm, row: FormSubmission) -> None:
    """A lead, or the sentence why not."""
    texts = {one["key"]: str(row.payload.get(one["key"]) or "") for one in form.fields}
    try:
        typed = _typed(session, form, texts)
    except Invalid as error:
        row.message = clip(" ".join(dict.fromkeys((error.fields or {}).values())) or error.message, 500)
        return
    _become_lead(session, form, row, typed, bool(row.payload.get(CONSENT)), Sender())


def _take(
    session: Session, form: LeadForm, values: Mapping[str, str], sender: Sender, via: Via, suspicious: bool
) -> SubmissionState:
    payload = {row["key"]: clip(str(values.get(row["key"]) or ""), MAX_TEXT) for row in form.fields}
    agreed = form.ask_consent and str(values.get(CONSENT) or "") == "yes"
    typed = {} if suspicious else _typed(session, form, payload)
    row = _keep(session, form, {**payload, CONSENT: agreed}, sender, via)
    if row is None:
        return SubmissionState.TWICE
    if suspicious or (via is Via.FORM and _too_many(session, row)):
        row.state, row.message = SubmissionState.SPAM, "" if suspicious else "Too many from one place"
    else:
        _become_lead(session, form, row, typed, agreed, sender)
    session.add(row)
    session.flush()
    return row.state


def _typed(session: Session, form: LeadForm, payload: Mapping[str, str]) -> dict[str, Any]:
    """The fields as leads keep them. Raises Invalid with a sentence per field."""
    specs = registry(session, "lead")
    wrong = {
        row["key"]: f"{row['label'] or specs[row['key']].label} is needed."
        for row in form.fields
        if row["key"] in specs
        and (row["required"] or lead_forms.needed(specs[row["key"]]))
        and not payload[row["key"]].strip()  # one out of use is asked of nobody
    }
    given = {key: value for key, value in payload.items() if value.strip() and key in specs}
    try:
        typed = parse_all({key: specs[key] for key in given}, given, partial=True)
    except Invalid as error:
        raise Invalid(fields={**(error.fields or {}), **wrong}) from error
    if wrong:
        raise Invalid(fields=wrong)
    return typed


def _keep(
    session: Session,
    form: LeadForm,
    payload: dict[str, Any],
    sender: Sender,
    via: Via,
    *,
    source: LeadSource | None = None,
    external_id: str = "",
) -> FormSubmission | None:
    """The sending as it came; None when the very same came within five minutes, even at the same instant. What was fetched is the same by its
    number in its source, whenever it comes."""
    told = json.dumps(payload, sort_keys=True) if source is None else f"source:{source.id}:{external_id}"
    digest = hashlib.sha256(told.encode()).hexdigest()
    if external_id.startswith("without:"):
        external_id = f"without:{digest}"
    now = utcnow()
    since = now - timedelta(seconds=SAME_SECONDS)
    same = select(FormSubmission.id).where(
        FormSubmission.form_id == form.id, FormSubmission.digest == digest, FormSubmission.created_at >= since
    )
    if session.exec(same).first() is not None:
        return None
    row = FormSubmission(
        form_id=form.id, payload=payload, digest=digest, slot=int(now.timestamp()) // SAME_SECONDS, via=via, state=SubmissionState.FAILED,
        source_hash=signing.mac(session, PURPOSE, f"source.{sender.address}"), created_at=now,
        source_id=source.id if source is not None else None, external_id=external_id or None,
    )  # fmt: skip
    try:
        with session.begin_nested():
            session.add(row)
            session.flush()
    except IntegrityError:
        return None
    return row


def _become_lead(
    session: Session, form: LeadForm, row: FormSubmission, typed: Mapping[str, Any], agreed: bool, sender: Sender
) -> None:
    """A new lead, or a note on the one that is known; what goes wrong on our side is kept for a person to look at. Events:
    lead.price_asked, through a form that asks for it."""
    actor = system(Via.FORM)
    try:
        with session.begin_nested():
            known = _known(session, typed.get("email"))
            lead = known or leads.create(session, actor, {**typed, **form.defaults})
            if known is not None:
                text = "\n".join(f"{key}: {value}" for key, value in row.payload.items() if value and key not in (CONSENT, RAW))
                again = activities.log(
                    session,
                    actor,
                    "lead",
                    known.id,
                    kind=ActivityKind.NOTE,
                    subject=f"Filled in “{form.name}” again",
                    text=text,
                    incoming=True,
                )
                interactions.note(
                    session,
                    again,
                    entity_key="lead",
                    record_id=known.id,
                    channel=InboundChannel.FORM,
                    direction=MessageDirection.INBOUND,
                )
            row.lead_id, row.state = lead.id, SubmissionState.LEAD if known is None else SubmissionState.KNOWN
            if known is None:
                tracking.join(session, sender.visitor, lead_id=lead.id)
            _touch(session, form, lead.id, sender)
            if form.asks_price:
                activities.price_asked(session, actor, "lead", lead)
            if agreed:
                _agree(session, form, row, lead)
    except CrmError as error:
        row.state, row.lead_id = SubmissionState.FAILED, None
        row.message = clip(" ".join(error.fields.values()) if isinstance(error, Invalid) and error.fields else error.message, 500)


def _known(session: Session, email: str | None) -> Lead | None:
    """The open lead with this address, the newest. Nothing of it is overwritten: anybody can type anybody's address."""
    if not email:
        return None
    query = select(Lead).where(
        func.lower(Lead.email) == email_key(email), col(Lead.deleted_at).is_(None), col(Lead.converted_at).is_(None)
    )
    return session.exec(query.order_by(col(Lead.id).desc())).first()


def _touch(session: Session, form: LeadForm, lead_id: int, sender: Sender) -> None:
    campaign = form.defaults.get("campaign_id")
    session.add(
        Touchpoint(lead_id=lead_id, anonymous_id=sender.visitor or None, channel=Channel.WEB, campaign_id=campaign, at=utcnow(), kind="form", url=clip(sender.page, 1000) or None)
    )  # fmt: skip


# --- consent ------------------------------------------------------------------------------------------------------------------


def _agree(session: Session, form: LeadForm, row: FormSubmission, lead: Lead) -> None:
    """Consent by a tick, or only after the link in a mail was followed. A tick alone never lifts an earlier no."""
    if form.confirm_by_mail:
        _ask_to_confirm(session, form, row, lead)
    elif not _declined(session, lead.id):
        _consent(session, lead.id, f"Form “{form.name}”")


def _declined(session: Session, lead_id: int) -> bool:
    """Whether this person said no, on any record with their address."""
    theirs = withdrawing.everywhere(session, [("lead", lead_id)])
    contacts, leads = ([one for key, one in theirs if key == name] for name in withdrawing.PEOPLE)
    mine = or_(col(Consent.contact_id).in_(contacts), col(Consent.lead_id).in_(leads))
    query = select(Consent.id).where(mine, Consent.is_latest, Consent.status == ConsentStatus.WITHDRAWN)
    return session.exec(query).first() is not None


def _consent(session: Session, lead_id: int, source: str) -> None:
    consent.record(
        session, system(Via.FORM), "lead", lead_id, purpose=Purpose.MARKETING, way=ContactWay.EMAIL, status=ConsentStatus.GRANTED, source=source
    )  # fmt: skip


def _ask_to_confirm(session: Session, form: LeadForm, row: FormSubmission, lead: Lead) -> None:
    address = str(row.payload.get("email") or "")
    if "@" not in address:
        return
    token = secrets.token_urlsafe(24)
    row.token_sha256, row.token_until = hashlib.sha256(token.encode()).hexdigest(), utcnow() + timedelta(days=CONFIRM_DAYS)
    link = f"{settings().base_url()}/c/{token}"
    organisation = session.exec(select(Organisation)).first()
    us = organisation.name if organisation else ""
    text = (
        f"Hello,\n\nyou asked for news and offers{f' from {us}' if us else ''}. Please say that it was you:\n\n{link}\n\n"
        f"The link works for {CONFIRM_DAYS} days. If it was not you, do nothing: you will hear nothing more.\n\n{us}".rstrip()
        + "\n"
    )
    subject = f"Please confirm: news from {us}" if us else "Please confirm"
    outbox.queue(
        session, system(Via.FORM), to=address, subject=subject, text=text, kind="confirmation", dedupe_key=f"confirm-{row.id}",
        lead_id=lead.id, secret=True,
    )  # fmt: skip


def confirm(session: Session, token: str) -> None:
    """Somebody followed the link in the mail and pressed the button: consent holds from now on. Twice is the same as once."""
    row = pending(session, token)
    if row.confirmed_at is None and row.lead_id is not None:
        form = session.get(LeadForm, row.form_id)
        _consent(session, row.lead_id, f"Form “{form.name if form else ''}”, confirmed by mail")
        row.confirmed_at = utcnow()
        session.add(row)


def pending(session: Session, token: str) -> FormSubmission:
    """The sending that a link of a mail means; NotFound when the link is wrong or too old."""
    digest = hashlib.sha256(token.encode()).hexdigest()
    row = session.exec(select(FormSubmission).where(FormSubmission.token_sha256 == digest)).first()
    if row is None or row.token_until is None or row.token_until < utcnow():
        raise NotFound(f"It is not complete, or older than {CONFIRM_DAYS} days. Fill the form in once more, and you get a new one.")
    return row


# --- who sends ----------------------------------------------------------------------------------------------------------------


def _too_many(session: Session, row: FormSubmission) -> bool:
    since = utcnow() - timedelta(minutes=PER_SOURCE_MINUTES)
    query = select(func.count()).where(FormSubmission.source_hash == row.source_hash, FormSubmission.created_at >= since)
    return int(session.exec(query).one()) > PER_SOURCE


def retry(session: Session, actor: Actor, submission_id: int) -> SubmissionState:
    """Try a sending again that failed on our side, after its reason is gone."""
    require(actor, "lead_form", Action.MANAGE)
    row = session.get(FormSubmission, submission_id)
    form = session.get(LeadForm, row.form_id) if row is not None else None
    if row is None or form is None or row.state is not SubmissionState.FAILED:
        raise NotFound("This sending no longer waits for anybody.")
    if _came_since(session, form, row):
        return row.state
    payload = {one["key"]: str(row.payload.get(one["key"]) or "") for one in form.fields}
    _become_lead(session, form, row, _typed(session, form, payload), bool(row.payload.get(CONSENT)), Sender())
    if row.state is not SubmissionState.FAILED:
        row.payload = {key: value for key, value in row.payload.items() if key != RAW}
    session.add(row)
    session.flush()
    return row.state


def _came_since(session: Session, form: LeadForm, row: FormSubmission) -> bool:
    """What was fetched is read as the source is set up now: perhaps a path was mended. True when the same entry came in with its number meanwhile:
    then there is nothing left to do."""
    source, raw = session.get(LeadSource, row.source_id or 0), row.payload.get(RAW)
    if source is None or not raw:
        return False
    entry = json.loads(raw)
    number = pull_rules.id_of(entry, source.id_path)
    same = select(FormSubmission.lead_id).where(FormSubmission.source_id == source.id, FormSubmission.external_id == number)
    found = session.exec(same.where(FormSubmission.id != row.id)).all() if number else []
    if found:
        row.state, row.lead_id, row.message, row.payload = SubmissionState.TWICE, found[0], "", {}
        session.add(row)
        session.flush()
        return True
    agreed = form.ask_consent and pull_rules.agreed(entry, source.consent_path)
    row.payload = {**pull_rules.mapped(entry, source.mapping), CONSENT: agreed, RAW: raw}
    row.external_id = number or row.external_id
    return False
