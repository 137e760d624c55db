"""Mail and touches on a timeline: letters that left, how far they came, and where somebody met one of our channels. Read where they lie, by contact."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import or_, select
from sqlmodel import Session

from crm_core import lists, persons
from crm_core.access import Actor, visible
from crm_core.entities import ENTITIES, entity
from crm_core.kit.text import clip
from crm_core.models import Activity, CampaignMember, Interaction, MailDelivery, SurveyAnswer, SurveyInvitation, Touchpoint
from crm_core.services.collaboration import timeline_rules as rules
from crm_core.vocabulary import Action, MailState, MessageDirection

_MAIL: Any = MailDelivery.__table__  # type: ignore[attr-defined]
_MEMBERS: Any = CampaignMember.__table__  # type: ignore[attr-defined]
_TOUCHES: Any = Touchpoint.__table__  # type: ignore[attr-defined]
_TALKS: Any = Interaction.__table__  # type: ignore[attr-defined]
_DONE: Any = Activity.__table__  # type: ignore[attr-defined]
_INVITED: Any = SurveyInvitation.__table__  # type: ignore[attr-defined]
_ANSWERS: Any = SurveyAnswer.__table__  # type: ignore[attr-defined]
TEXT = 1_200
_SURVEY = "survey-invitation:"


@dataclass(frozen=True)
class Letter:
    """A message that left for somebody, or was to. ``state``: in words; ``wrong``: it did not arrive."""

    id: int
    at: datetime
    kind: str
    subject: str
    text: str
    state: str
    wrong: bool
    user_id: int | None
    campaign: str


@dataclass(frozen=True)
class Touch:
    """Where a person met one of our channels."""

    id: int
    at: datetime
    words: str
    channel: str
    campaign: str
    url: str


@dataclass(frozen=True)
class Talk:
    """What is known of an entry that was exchanged with somebody. ``state``: how far our mail has come, in words, "" for what came in."""

    channel: str
    inbound: bool
    state: str
    wrong: bool
    open: bool


def _persons(actor: Actor, table: Any, entity_key: str, record_id: int) -> Any:
    """Rows about the person of a record, or about the people of an account whom the actor may see; None where a record has no such person."""
    if entity_key in ("contact", "lead"):
        return table.c[f"{entity_key}_id"] == record_id
    if entity_key != "account" or not actor.can("contact", Action.READ):
        return None
    return table.c.contact_id.in_(_people_of(actor, record_id))


def _people_of(actor: Actor, account_id: int) -> Any:
    people = entity("contact").table
    return select(people.c.id).where(people.c.account_id == account_id, visible(actor, "contact", people))


def _addressed(session: Session, actor: Actor, entity_key: str, record_id: int) -> Any:
    """Mail to the persons of a record, what they were sent as leads included where the actor may see those leads; None where there is no person."""
    who = _persons(actor, _MAIL, entity_key, record_id)
    if who is None or entity_key == "lead" or not actor.can("lead", Action.READ):
        return who
    lead = entity("lead").table
    contact = lead.c.converted_contact_id
    became = contact == record_id if entity_key == "contact" else contact.in_(_people_of(actor, record_id))
    leads = list(session.execute(select(lead.c.id).where(became, visible(actor, "lead", lead))).scalars())
    return or_(who, _MAIL.c.lead_id.in_(leads)) if leads else who


# --- letters ----------------------------------------------------------------------------------------------------------------


def letters(
    session: Session,
    actor: Actor,
    entity_key: str,
    record_id: int,
    *,
    link: Any = None,
    meetings: Any = None,
    by: Collection[int] | None = None,
    limit: int = 30,
) -> list[Letter]:
    """The latest letters to the people of a record that the caller was found to see. ``link``: the column by which activities hang on it; a mail
    that stands there as an activity is not told twice. ``meetings``: which ones it shows besides those that the actor may see, invitations to others stay out of sight. ``by``: only those of these colleagues."""
    who = _addressed(session, actor, entity_key, record_id)
    if who is None:
        return []
    clause = [who, _MAIL.c.kind.not_in(rules.UNLISTED), *([_MAIL.c.user_id.in_(by)] if by is not None else [])]
    names = (
        "id",
        "kind",
        "state",
        "batch",
        "subject",
        "content",
        "secret",
        "message",
        "user_id",
        "sent_at",
        "created_at",
        "dedupe_key",
        "contact_id",
        "lead_id",
    )
    # Sorted by an expression, since the index of the person is wanted and never a walk through everything that was ever sent.
    query = select(*(_MAIL.c[name] for name in names)).where(*clause).order_by((_MAIL.c.id + 0).desc()).limit(2 * limit)
    rows = _told_once(session, actor, list(session.execute(query)), link, record_id)
    rows = _of_meetings_in_sight(session, actor, rows, meetings)[:limit]
    seen = _what_readers_did(session, rows)
    campaigns = _campaigns(session, actor, (_campaign_of(row.batch) for row in rows))
    covers = persons.covers(session, actor, (place for row in rows for place in _reader_of(row)))
    return [
        _letter(row, seen.get(row.id, ""), campaigns.get(_campaign_of(row.batch) or 0, ""), [covers[one] for one in _reader_of(row) if one in covers])
        for row in rows
    ]  # fmt: skip


def _reader_of(row: Any) -> list[persons.Place]:
    return [(key, number) for key, number in (("contact", row.contact_id), ("lead", row.lead_id)) if number is not None]


def _letter(row: Any, seen: str, campaign: str, covers: Sequence[persons.Cover]) -> Letter:
    state = MailState(row.state)
    wrong = state in rules.WRONG
    words = rules.state_words(state) + (f": {row.message}" if wrong and row.message else "")
    words_of = row.content.strip() if row.kind == rules.PERSONAL else rules.without_links(row.content.strip())
    open_text = "" if row.secret or row.kind in rules.CONFIDENTIAL else clip(words_of, TEXT)
    subject = row.subject
    for cover in covers:
        subject, open_text = cover(subject), cover(open_text)
    return Letter(row.id, row.sent_at or row.created_at, row.kind, subject, open_text, seen or words, wrong, row.user_id, campaign)


def _told_once(session: Session, actor: Actor, rows: list[Any], link: Any, record_id: int) -> list[Any]:
    """Without what stands on this timeline as an activity, without further copies, and without what was written on a record out of sight."""
    ids = {found for row in rows if row.kind == rules.PERSONAL and (found := rules.activity_of(row.batch)) is not None}
    if not ids:
        return [row for row in rows if row.kind != rules.PERSONAL]
    here = (
        set(session.execute(select(_DONE.c.id).where(_DONE.c.id.in_(ids), link == record_id)).scalars())
        if link is not None
        else set()
    )
    places = session.execute(
        select(_TALKS.c.activity_id, _TALKS.c.entity, _TALKS.c.record_id)
        .join(_DONE, _DONE.c.id == _TALKS.c.activity_id)
        .where(_TALKS.c.activity_id.in_(ids - here), _DONE.c.deleted_at.is_(None))
    ).all()
    shown = {
        place.activity_id
        for place in places
        if place.entity in ENTITIES
        and actor.can(place.entity, Action.READ)
        and lists.titles(session, actor, place.entity, [place.record_id])
    }
    kept: list[Any] = []
    for row in rows:
        number = rules.activity_of(row.batch) if row.kind == rules.PERSONAL else None
        if row.kind != rules.PERSONAL or number in shown:
            kept.append(row)
            shown.discard(number or 0)
    return kept


def _of_meetings_in_sight(session: Session, actor: Actor, rows: list[Any], meetings: Any) -> list[Any]:
    """Without invitations to meetings that are about something out of sight: a deal that is not shared, say."""
    about = {row.id: found for row in rows if (found := rules.meeting_of(row.kind, row.dedupe_key)) is not None}
    if not about:
        return rows
    mine = visible(actor, "activity", _DONE, with_deleted=True)
    seen = or_(mine, meetings) if meetings is not None else mine
    known = set(session.execute(select(_DONE.c.id).where(_DONE.c.id.in_(set(about.values())), seen)).scalars())
    return [row for row in rows if row.id not in about or about[row.id] in known]


def _what_readers_did(session: Session, rows: Sequence[Any]) -> dict[int, str]:
    """Mail → what its reader did with it, where that is known."""
    ids = [row.id for row in rows if row.kind in ("campaign", "automation")]
    found: dict[int, str] = {}
    if ids:
        names = ("mail_id", "opened_at", "clicked_at", "replied_at", "unsubscribed_at")
        for one in session.execute(select(*(_MEMBERS.c[name] for name in names)).where(_MEMBERS.c.mail_id.in_(ids))):
            words = (
                "unsubscribed by it" if one.unsubscribed_at else "answered" if one.replied_at else "clicked" if one.clicked_at else "opened" if one.opened_at else ""
            )  # fmt: skip
            found |= {one.mail_id: words} if words else {}
    asked = {int(number): row.id for row in rows if (number := row.dedupe_key.removeprefix(_SURVEY)).isdecimal()}
    if asked:
        query = select(_INVITED.c.id, _INVITED.c.opened_at, _ANSWERS.c.id.label("answer")).outerjoin(
            _ANSWERS, _ANSWERS.c.invitation_id == _INVITED.c.id
        )
        for one in session.execute(query.where(_INVITED.c.id.in_(asked))):
            words = "answered" if one.answer else "opened" if one.opened_at else ""
            found |= {asked[one.id]: words} if words else {}
    return found


def _campaign_of(batch: str | None) -> int | None:
    number = (batch or "").removeprefix("campaign:")
    return int(number) if number.isdecimal() and (batch or "").startswith("campaign:") else None


def _campaigns(session: Session, actor: Actor, ids: Iterable[int | None]) -> dict[int, str]:
    return lists.titles(session, actor, "campaign", ids) if actor.can("campaign", Action.READ) else {}


# --- touches ----------------------------------------------------------------------------------------------------------------


def touches(session: Session, actor: Actor, entity_key: str, record_id: int, *, every: bool, limit: int = 30) -> list[Touch]:
    """The latest touches of the people of a record that the caller was found to see; ``every``: with each page that they looked at."""
    who = _persons(actor, _TOUCHES, entity_key, record_id)
    if who is None:
        return []
    clause = [who, *([] if every else [_TOUCHES.c.kind.not_in(rules.FLEETING)])]
    names = ("id", "at", "kind", "channel", "campaign_id", "url")
    # Of one contact the index brings them in their order; of several people they are sorted, never looked for in the order of all.
    order = _TOUCHES.c.at if entity_key == "contact" else _TOUCHES.c.id + 0
    query = select(*(_TOUCHES.c[name] for name in names)).where(*clause).order_by(order.desc()).limit(limit)
    rows = list(session.execute(query))
    campaigns = _campaigns(session, actor, (row.campaign_id for row in rows))
    return [
        Touch(row.id, row.at, rules.TOUCH_WORDS.get(row.kind, row.kind.replace("_", " ")), row.channel.label, campaigns.get(row.campaign_id or 0, ""), row.url or "")
        for row in rows
    ]  # fmt: skip


# --- what is known of activities that were mail ---------------------------------------------------------------------------------


def talks(session: Session, activity_ids: Collection[int]) -> dict[int, Talk]:
    """Activity → what is known of it as something that was exchanged; for the entries of a timeline that the caller was found to see."""
    if not activity_ids:
        return {}
    names = ("activity_id", "channel", "direction", "settled_at")
    rows = list(session.execute(select(*(_TALKS.c[name] for name in names)).where(_TALKS.c.activity_id.in_(activity_ids))))
    ours = {rules.batch_of(row.activity_id): row.activity_id for row in rows if row.direction is MessageDirection.OUTBOUND}
    states: dict[int, list[Any]] = {}
    if ours:
        query = select(_MAIL.c.batch, _MAIL.c.state, _MAIL.c.message).where(_MAIL.c.batch.in_(ours))
        for mail in session.execute(query):
            states.setdefault(ours[mail.batch], []).append(mail)
    return {row.activity_id: _talk(row, states.get(row.activity_id, ())) for row in rows}


def _talk(row: Any, copies: Sequence[Any]) -> Talk:
    inbound = row.direction is MessageDirection.INBOUND
    if not copies:
        return Talk(row.channel.label, inbound, "", False, inbound and row.settled_at is None)
    state = rules.worst([mail.state for mail in copies])
    reason = next((mail.message for mail in copies if mail.state == state and mail.message), "") if state in rules.WRONG else ""
    words = rules.state_words(state) + (f": {reason}" if reason else "")
    return Talk(row.channel.label, inbound, words, state in rules.WRONG, False)
