"""Who is asked, and when: due records are found by the clock, each person once in the quiet time, each record once for ever.

The invitation and its message commit together, and both have a key: a worker that dies in the middle leaves all of it or nothing, and what
runs twice sends once.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape
from typing import Any

from sqlalchemy import and_, exists, literal
from sqlalchemy import select as pick
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, col, select

from crm_core import db, events, records
from crm_core.access import Actor, require, system
from crm_core.entities import entity
from crm_core.errors import Conflict, Invalid
from crm_core.filters import unaskable, where
from crm_core.jobs import Job, job
from crm_core.kit.clock import utcnow
from crm_core.models import Contact, Organisation, OutreachRules, Survey, SurveyInvitation
from crm_core.services.collaboration import outbox
from crm_core.services.customers import consent
from crm_core.services.feedback import survey_rules, surveys, tokens
from crm_core.services.helpdesk.ticket_rules import DONE
from crm_core.services.marketing import letter_rules
from crm_core.settings import settings
from crm_core.vocabulary import Action, ContactWay, Gate, OrderStatus, Purpose, StageKind, SurveyTrigger, Via

log = logging.getLogger("rapport.surveys")

BATCH = 100
LOOK_BACK_DAYS = 14
"""What was due longer ago than this (a worker stood still) is not asked about any more."""

INVITATIONS: Any = SurveyInvitation.__table__  # type: ignore[attr-defined]
COOLDOWN, SAMPLED, NOBODY = "cooldown", "sample", "nobody"


@dataclass(frozen=True)
class Asked:
    """What came of asking somebody: sent, or why not (words for people)."""

    invitation_id: int
    sent: bool
    why: str = ""


def anything_due(session: Session) -> bool:
    """Whether the clock must start the job: some survey goes out by itself."""
    query = select(Survey.id).where(Survey.is_active, Survey.trigger != SurveyTrigger.MANUAL)
    return session.exec(query.limit(1)).first() is not None


@job("feedback.invite", title="Send surveys that are due", cron="*/5 * * * *", when=anything_due, keep_days=3)
def invite_due(job: Job) -> None:
    """Go through the active surveys, batch by batch, each batch one transaction."""
    with job.transaction() as session:
        ids = list(session.exec(select(Survey.id).where(Survey.is_active).order_by(col(Survey.id))))
    sent = 0
    for survey_id in ids:
        while True:
            with job.transaction() as session:
                count, made = invite_batch(session, survey_id)
                sent += made
                job.report(sent, message=f"{sent} sent")
            if count < BATCH:
                break


def invite_batch(session: Session, survey_id: int) -> tuple[int, int]:
    """Invite the next due records of a survey; gives how many were looked at and how many were sent."""
    survey = session.get(Survey, survey_id)
    if survey is None or not survey.is_active or survey.trigger is SurveyTrigger.MANUAL:
        return 0, 0
    rows = _due(session, survey)
    sent = 0
    for row in rows:
        key = _key(survey, row.entity, row.id)
        if survey.trigger is SurveyTrigger.QUARTERLY and not survey_rules.in_sample(survey.id, key, survey.sample_pct):
            continue  # whom a round leaves out leaves no row: there may be hundreds of thousands
        sent += ask(session, system(Via.SURVEY), survey, row, key).sent
    if survey.trigger is SurveyTrigger.QUARTERLY:
        _step_round(session, survey, rows)
    return len(rows), sent


@dataclass(frozen=True)
class Due:
    """A record about which somebody is asked."""

    entity: str
    id: int
    contact_id: int | None
    account_id: int | None
    owner_id: int | None
    team_id: int | None = None
    category: str | None = None


def _key(survey: Survey, entity_key: str, record_id: int) -> str:
    part = f":{survey_rules.quarter(utcnow())}" if survey.trigger is SurveyTrigger.QUARTERLY else ""
    return f"survey:{survey.id}:{entity_key}:{record_id}{part}"


def _due(session: Session, survey: Survey) -> list[Due]:
    name = survey_rules.ENTITY_OF[survey.trigger]
    table = entity(name).table
    parts = [table.c.deleted_at.is_(None), *_moment(session, survey, table)]
    if survey.filter:
        if why := unaskable(session, name, survey.filter):
            log.warning("the filter of survey %s can't be asked: %s", survey.id, why)
            return []
        parts.append(where(session, name, survey.filter, system()))
    if survey.trigger is not SurveyTrigger.QUARTERLY:
        parts.append(table.c.contact_id.is_not(None))
        known = INVITATIONS.c
        parts.append(~exists().where(known.survey_id == survey.id, known.entity == name, known.record_id == table.c.id))
    columns = [
        table.c.get(key, literal(None)).label(key) for key in ("contact_id", "account_id", "owner_id", "team_id", "category")
    ]
    found = session.execute(pick(table.c.id, *columns).where(and_(*parts)).order_by(table.c.id).limit(BATCH))
    return [
        Due(name, row.id, row.id if name == "contact" else row.contact_id, row.account_id, row.owner_id, row.team_id, row.category)
        for row in found
    ]


def _moment(session: Session, survey: Survey, table: Any) -> list[Any]:
    """What must have happened, and when, for a record to be due now."""
    until = utcnow() - timedelta(hours=survey.wait_hours)
    since = max(until - timedelta(days=LOOK_BACK_DAYS), survey.active_since or until)
    if survey.trigger is SurveyTrigger.TICKET_SOLVED:
        return [table.c.status.in_(DONE), table.c.solved_at <= until, table.c.solved_at >= since, table.c.merged_into_id.is_(None)]
    if survey.trigger is SurveyTrigger.DEAL_WON:
        return [table.c.outcome == StageKind.WON, table.c.closed_on <= until.date(), table.c.closed_on >= since.date()]
    if survey.trigger is SurveyTrigger.ORDER_FULFILLED:
        return [table.c.status == OrderStatus.FULFILLED, table.c.ordered_at <= until, table.c.ordered_at >= since]
    now = survey_rules.quarter(utcnow())
    if survey.round_name != now:
        survey.round_name, survey.round_after = now, 0
    return [table.c.id > survey.round_after]


def _step_round(session: Session, survey: Survey, rows: Sequence[Due]) -> None:
    if rows:
        survey.round_after = rows[-1].id
    session.add(survey)
    session.flush()


# --- one person -------------------------------------------------------------------------------------------------------------


def may_send(actor: Actor) -> bool:
    """Whether somebody may send surveys by hand: it writes to a customer, so whoever only reads may not."""
    needed = (("survey", Action.READ), ("contact", Action.READ), ("activity", Action.CREATE))
    return all(actor.can(name, action) for name, action in needed)


def send(
    session: Session,
    actor: Actor,
    survey_id: int,
    contact_id: int,
    *,
    entity_key: str = "contact",
    record_id: int | None = None,
    key: str = "",
) -> Asked:
    """Ask one person by hand, or as an automation does. Consent, blocks and the quiet time hold here too; says why somebody is not asked.
    ``key``: what asks once for ever; by hand a person can be asked once a day, and anew after a refusal. Events: survey.sent."""
    require(actor, "survey", Action.READ)
    require(actor, "activity", Action.CREATE)
    survey = surveys.known(session, survey_id)
    contact = records.get(session, actor, "contact", contact_id)
    if not survey.is_active:
        raise Conflict("This survey is switched off. Switch it on first.")
    if entity_key not in survey_rules.ENTITY_OF.values():
        raise Invalid("Surveys are about contacts, tickets, deals and orders.")
    record = contact if record_id is None else records.get(session, actor, entity_key, record_id)
    row = Due(
        entity_key if record_id is not None else "contact", record.id, contact.id, record.account_id, record.owner_id,
        getattr(record, "team_id", None), getattr(record, "category", None),
    )  # fmt: skip
    if key:
        return ask(session, actor, survey, row, f"survey:{survey.id}:{key}")
    return ask(session, actor, survey, row, f"{_key(survey, row.entity, row.id)}:{contact.id}:{utcnow():%Y%m%d}", by_hand=True)


def ask(session: Session, actor: Actor, survey: Survey, row: Due, key: str, *, by_hand: bool = False) -> Asked:
    """Make the invitation and queue its message, or keep why not. The same key asks once; ``by_hand``, a refusal under it may be tried
    again. Called by what has asked for permission."""
    contact = session.exec(select(Contact).where(Contact.id == row.contact_id).with_for_update()).first()
    why = _why_not(session, survey, contact, key)
    now = utcnow()
    values = {
        "survey_id": survey.id, "dedupe_key": key, "contact_id": row.contact_id, "entity": row.entity, "record_id": row.id,
        "account_id": row.account_id, "owner_id": row.owner_id, "team_id": row.team_id, "category": row.category, "skipped": why, "revision_no": survey.revision_no,
        "sent_at": None if why else now, "expires_at": now + timedelta(days=survey.expires_days), "created_at": now, "updated_at": now, "version": 1,
    }  # fmt: skip
    made = _keep(session, values, over_refusal=by_hand)
    if made is None:
        return Asked(0, False, "They have it already." if by_hand else "This person was asked about that already.")
    if why or contact is None:
        return Asked(made, False, why_words(why))
    _mail(session, actor, survey, contact, made, now)
    model = entity(row.entity).model
    events.record(session, actor, "survey.sent", session.get(model, row.id), data={"survey": survey.name})
    return Asked(made, True)


def _keep(session: Session, values: dict[str, Any], *, over_refusal: bool) -> int | None:
    """Write an invitation, ``over_refusal`` also in the place of a refusal; its id, or None when the key is taken."""
    row = (sqlite.insert if db.is_sqlite(session) else postgresql.insert)(INVITATIONS).values(**values)
    if over_refusal:
        once = row.on_conflict_do_update(index_elements=["dedupe_key"], set_=values, where=INVITATIONS.c.skipped != "")
    else:
        once = row.on_conflict_do_nothing(index_elements=["dedupe_key"])
    made = session.execute(once.returning(INVITATIONS.c.id)).scalar()
    return None if made is None else int(made)


def why_words(why: str) -> str:
    """Why somebody was not asked, for people."""
    own = {
        COOLDOWN: "They were asked lately: people are left alone for a while.",
        SAMPLED: "Not in the sample.",
        NOBODY: "There is nobody to ask.",
    }
    return own.get(why) or (f"{Gate(why).label}." if why else "")


def _why_not(session: Session, survey: Survey, contact: Contact | None, key: str) -> str:
    if contact is None or contact.deleted_at is not None:
        return NOBODY
    if survey.trigger is not SurveyTrigger.MANUAL and not survey_rules.in_sample(survey.id, key, survey.sample_pct):
        return SAMPLED
    if lately(session, contact.id, survey.cooldown_days):
        return COOLDOWN
    return _closed_gate(session, survey, contact)


def lately(session: Session, contact_id: int, days: int) -> bool:
    """Whether a person was asked by any survey within so many days."""
    since = utcnow() - timedelta(days=days)
    asked = (INVITATIONS.c.contact_id == contact_id, INVITATIONS.c.sent_at > since)
    return days > 0 and session.execute(pick(INVITATIONS.c.id).where(*asked).limit(1)).first() is not None


def _closed_gate(session: Session, survey: Survey, contact: Contact) -> str:
    """The gates of consent for surveys. The cap on campaigns is left out: the quiet time of surveys takes its place."""
    table = entity("contact").table
    workspace = OutreachRules(needs_consent=survey.needs_consent)
    found = consent.gates("contact", table, way=ContactWay.EMAIL, purpose=Purpose.RESEARCH, at=utcnow(), workspace=workspace)
    found.pop(Gate.OVER_CAP, None)
    closed = session.execute(pick(consent.first_closed(found)).where(table.c.id == contact.id)).scalar()
    return str(closed or "")


def _mail(session: Session, actor: Actor, survey: Survey, contact: Contact, invitation_id: int, now: datetime) -> None:
    workspace = session.exec(select(Organisation.name)).first() or ""
    link = f"{base_url(survey)}/q/{tokens.make(session, invitation_id)}"
    quiet = consent.from_when(session, actor, now, contact.preferred_hours, contact.timezone)
    subject = survey.mail_subject or f"A short question from {workspace}"
    outbox.queue(
        session, actor, to=str(contact.email), name=contact.name, subject=subject, text=_text(survey, contact, link), html=_html(survey, contact, link),
        kind="survey", purpose=Purpose.RESEARCH, dedupe_key=f"survey-invitation:{invitation_id}", contact_id=contact.id, not_before=quiet if quiet > now else None, secret=True,
        headers={"List-Unsubscribe": f"<{link}?stop=1>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"},
    )  # fmt: skip


def base_url(survey: Survey) -> str:
    """Where the links of a survey lead."""
    return settings().base_url(survey.base_url)


def _text(survey: Survey, contact: Contact, link: str) -> str:
    scale = survey_rules.SCALES[survey.kind]
    return (
        f"Hello {contact.name},\n\n{survey.mail_intro + chr(10) * 2 if survey.mail_intro else ''}{survey.question}\n\n"
        f"Answer here, from {scale.low} ({scale.low_words.lower()}) to {scale.high} ({scale.high_words.lower()}):\n{link}\n\n"
        f"No more surveys: {link}?stop=1\n"
    )


def _html(survey: Survey, contact: Contact, link: str) -> str:
    """The message with a link per score. A link only opens the page: the answer counts when the button there is pressed."""
    scale = survey_rules.SCALES[survey.kind]
    style = (
        "display:block;padding:10px 0;border:1px solid #C7CBD4;border-radius:6px;text-align:center;text-decoration:none;color:#4338CA;"
        "font-size:15px;font-weight:bold"
    )
    cells = "".join(
        f'<td style="padding:0 2px"><a href="{escape(link)}?s={score}" style="{style}">{score}</a></td>' for score in scale.scores
    )
    intro = f'<p style="margin:0 0 16px">{escape(survey.mail_intro)}</p>' if survey.mail_intro else ""
    width = min(520, 60 * len(scale.scores))
    body = (
        f'<p style="margin:0 0 16px">Hello {escape(contact.name)},</p>{intro}<p style="margin:0 0 16px;font-weight:bold">{escape(survey.question)}</p>'
        f'<table role="presentation" cellspacing="0" cellpadding="0" style="width:100%;max-width:{width}px;table-layout:fixed"><tr>{cells}</tr></table>'
        f'<p style="margin:8px 0 0;color:#6B7280;font-size:13px">{scale.low} = {escape(scale.low_words)}, {scale.high} = {escape(scale.high_words)}</p>'
    )
    return letter_rules.page(body, f'<a href="{escape(link)}?stop=1" style="color:#6B7280">No more surveys</a>')
