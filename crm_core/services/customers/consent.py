"""Consent and the one gate before every marketing contact.

A person's word is given per purpose and way and only ever added to; the latest counts. ``may_contact`` answers for one person,
``contactable`` as a clause for a list, and both are made of the same ``gates``, so they can't disagree.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    and_,
    bindparam,
    case,
    exists,
    false,
    func,
    insert,
    literal,
    or_,
    select,
    true,
    union_all,
    update,
)
from sqlmodel import Session

from crm_core import db, events, records
from crm_core.access import Actor, require, visible
from crm_core.entities import entity
from crm_core.errors import Invalid
from crm_core.kit.best_time import parse_time
from crm_core.kit.clock import utcnow
from crm_core.kit.text import clean, clip
from crm_core.models import Account, Contact, ContactPoint, MailDelivery, MatchKey, OutreachRules
from crm_core.services.collaboration import quiet_hours, suppressions
from crm_core.services.customers import withdrawing
from crm_core.services.customers.withdrawing import CONSENT, PEOPLE
from crm_core.vocabulary import (
    Action,
    ConsentStatus,
    ContactWay,
    Gate,
    LegalBasis,
    MailState,
    PointKind,
    PreferredChannel,
    Purpose,
    SuppressionReason,
)

MAIL: Any = MailDelivery.__table__  # type: ignore[attr-defined]
_POINTS: Any = ContactPoint.__table__  # type: ignore[attr-defined]
_CONTACTS: Any = Contact.__table__  # type: ignore[attr-defined]
_KEYS: Any = MatchKey.__table__  # type: ignore[attr-defined]
OWN_WORD = (SuppressionReason.UNSUBSCRIBED, SuppressionReason.COMPLAINED, SuppressionReason.ERASED)
"""Blocks by which a person says themselves that they want nothing more."""
OPENING = tuple(basis for basis in LegalBasis if basis.opens)
"""A word that rests on a contract or a law is no agreement to offers and news, and no refusal either."""
_COUNTED = (MailState.PENDING, MailState.SENDING, MailState.HANDED, MailState.SENT)
NEWS = ("campaign", "automation")
"""Kinds of mail that count towards the cap, where they have a purpose; surveys have a quiet time of their own."""


# --- rules of the workspace -------------------------------------------------------------------------------------------------


def rules(session: Session, actor: Actor) -> OutreachRules:
    """How often and when people may be contacted. Everybody signed in may read them."""
    return quiet_hours.rules(session)


def set_rules(session: Session, actor: Actor, changes: dict[str, Any]) -> OutreachRules:
    """Change the rules of the workspace. Events: organisation.outreach_changed."""
    require(actor, "organisation", Action.MANAGE)
    _check_rules(changes)
    row = rules(session, actor)
    before = {key: getattr(row, key) for key in changes}
    for key, value in changes.items():
        setattr(row, key, value)
    session.add(row)
    session.flush()
    changed = {key: (before[key], value) for key, value in changes.items() if before[key] != value}
    if changed:
        events.record(session, actor, "organisation.outreach_changed", entity="organisation", record_id=1, changes=changed)
    return row


def _check_rules(changes: dict[str, Any]) -> None:
    wrong: dict[str, str] = {}
    for key in ("quiet_from", "quiet_until"):
        if key in changes and changes[key] and parse_time(str(changes[key])) is None:
            wrong[key] = "Write the time of day as 20:00, or leave it empty."
    for key, low, high in (("cap_7_days", 1, 50), ("cap_30_days", 1, 100), ("holdout_pct", 0, 50)):
        if key in changes and not low <= int(changes[key]) <= high:
            wrong[key] = f"Choose a number from {low} to {high}."
    if wrong:
        raise Invalid(fields=wrong)


# --- what people said -------------------------------------------------------------------------------------------------------


def record(
    session: Session,
    actor: Actor,
    entity_key: str,
    record_id: int,
    *,
    purpose: Purpose,
    way: ContactWay,
    status: ConsentStatus,
    source: str,
    at: datetime | None = None,
    basis: LegalBasis = LegalBasis.CONSENT,
) -> None:
    """Write down what a person said, or on which other legal basis they may be contacted. Nothing that was written before is changed. A no by e-mail
    holds on every record with their address. Events: <entity>.consent_changed."""
    person = records.get(session, actor, _person(entity_key), record_id, action=Action.EDIT)
    if not clean(source):
        raise Invalid(fields={"source": "Say how you know: a form, a call, a fair …"})
    if (
        status is ConsentStatus.GRANTED
        and basis is not LegalBasis.CONSENT
        and _said_no(session, entity_key, person.id, purpose, way)
    ):
        raise Invalid(fields={"basis": "They declined this. Only their own agreement takes that back, no other legal basis."})
    append(session, actor, entity_key, person.id, purpose, way, status, source, at, basis=basis)
    words = {"status": status_words(status, basis).lower(), "purpose": purpose.label, "way": way.label}
    events.record(session, actor, f"{entity_key}.consent_changed", person, data=words)
    if status is ConsentStatus.WITHDRAWN and way is ContactWay.EMAIL:
        theirs = withdrawing.everywhere(session, [(entity_key, person.id)])
        silence = not rules(session, actor).needs_consent
        withdrawing.withdraw(session, actor, theirs, purposes=[purpose], source=source, silence=silence, at=at)


def _said_no(session: Session, entity_key: str, record_id: int, purpose: Purpose, way: ContactWay) -> bool:
    """Whether the last word of this person is no; by e-mail on any record with their address."""
    theirs = [(entity_key, record_id)]
    theirs = withdrawing.everywhere(session, theirs) if way is ContactWay.EMAIL else theirs
    mine = or_(*(CONSENT.c[f"{key}_id"].in_([one for name, one in theirs if name == key]) for key in PEOPLE))
    no = (CONSENT.c.purpose == purpose, CONSENT.c.way == way, CONSENT.c.is_latest, CONSENT.c.status == ConsentStatus.WITHDRAWN)
    return session.execute(select(CONSENT.c.id).where(mine, *no).limit(1)).first() is not None


def append(
    session: Session, actor: Actor, entity_key: str, record_id: int, purpose: Purpose, way: ContactWay, status: ConsentStatus, source: str,
    at: datetime | None = None, *, basis: LegalBasis = LegalBasis.CONSENT,
) -> None:  # fmt: skip
    """Add a word of a person; the caller has asked, and records the event."""
    column = CONSENT.c[f"{entity_key}_id"]
    same = and_(column == record_id, CONSENT.c.purpose == purpose, CONSENT.c.way == way, CONSENT.c.is_latest)
    session.execute(update(CONSENT).where(same).values(is_latest=False))
    values = {
        f"{entity_key}_id": record_id, "purpose": purpose, "way": way, "status": status, "source": clip(clean(source), 300),
        "at": at or utcnow(), "by_id": actor.user_id, "is_latest": True, "basis": basis if status is ConsentStatus.GRANTED else LegalBasis.CONSENT,
    }  # fmt: skip
    session.execute(insert(CONSENT).values(**values))
    db.bump(session, CONSENT.name)


def status_words(status: ConsentStatus, basis: LegalBasis) -> str:
    """``Agreed``, ``Declined``, or the other basis on which somebody may be contacted: ``Contract``."""
    return basis.label if status is ConsentStatus.GRANTED and basis is not LegalBasis.CONSENT else status.label


def record_for_all(
    session: Session, actor: Actor, entity_key: str, clause: Any, *, purpose: Purpose, way: ContactWay, source: str,
    basis: LegalBasis = LegalBasis.CONSENT,
) -> int:  # fmt: skip
    """Write down that everybody in ``clause`` who said nothing yet agreed, or may be contacted on another basis; gives how many. Who declined stays declined, also on a record made
    later with the same address, and so does who unsubscribed, complained or doesn't want to be contacted this way."""
    require(actor, _person(entity_key), Action.EDIT)
    if len(clean(source)) < 5:
        raise Invalid(fields={"source": "Say where this consent was given, so that you can answer for it later."})
    table = entity(entity_key).table
    said = select(CONSENT.c[f"{entity_key}_id"]).where(
        CONSENT.c.purpose == purpose, CONSENT.c.way == way, CONSENT.c[f"{entity_key}_id"].is_not(None)
    )
    silent = (table.c.id.not_in(said), *open_to_yes(entity_key, table, way, purpose))
    wanted = and_(clause, visible(actor, entity_key, table, Action.EDIT), *silent)
    count = int(session.execute(select(func.count()).select_from(table).where(wanted)).scalar_one())
    fixed = {
        "purpose": purpose, "way": way, "status": ConsentStatus.GRANTED, "source": clip(clean(source), 300), "at": utcnow(),
        "by_id": actor.user_id, "is_latest": True, "basis": basis,
    }  # fmt: skip
    rows = select(table.c.id, *(literal(value, CONSENT.c[key].type) for key, value in fixed.items())).where(wanted)
    session.execute(insert(CONSENT).from_select([f"{entity_key}_id", *fixed], rows))
    db.bump(session, CONSENT.name)
    if count:
        events.record(
            session, actor, "campaign.consent_recorded", entity="campaign", data={"count": count, "source": clean(source)}
        )
    return count


def open_to_yes(entity_key: str, table: Any, way: ContactWay, purpose: Purpose) -> list[ColumnElement[bool]]:
    """Clauses that hold for whoever took nothing back: no objection, no block by their own word, no no on another record with their address."""
    return [_unrefused(table, way, purpose), *_own_word(entity_key, table, way).values()]


def history(session: Session, actor: Actor, entity_key: str, record_id: int) -> list[dict[str, Any]]:
    """Everything a person ever said, the latest first."""
    records.get(session, actor, _person(entity_key), record_id)
    found = session.execute(
        select(CONSENT).where(CONSENT.c[f"{entity_key}_id"] == record_id).order_by(CONSENT.c.id.desc()).limit(200)
    )
    return [dict(row._mapping) for row in found]


def _person(entity_key: str) -> str:
    if entity_key not in PEOPLE:
        raise Invalid("Consent belongs to contacts and leads.")
    return entity_key


# --- the gate ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Verdict:
    """Whether a person may be contacted: the first gate that is closed (none: they may), and from when on (quiet hours)."""

    gate: Gate | None
    from_at: datetime

    @property
    def allowed(self) -> bool:
        return self.gate is None


def gates(
    entity_key: str, table: Any, *, way: ContactWay, purpose: Purpose, at: datetime, workspace: OutreachRules
) -> dict[Gate, ColumnElement[bool]]:
    """Every gate as a clause that holds where it is open, in the order in which a closed one is named."""
    return _gates(entity_key, table, way, purpose, {name: at - timedelta(days=days) for name, days in _AGO.items()}, workspace)


_AGO = {"ago_7": 7, "ago_30": 30}
"""Days of which a limit counts the mail."""


def _gates(
    entity_key: str, table: Any, way: ContactWay, purpose: Purpose, ago: Mapping[str, Any], workspace: OutreachRules
) -> dict[Gate, ColumnElement[bool]]:
    """``ago``: when the days of ``_AGO`` began, instants or parameters that stand for them."""
    found: dict[Gate, ColumnElement[bool]] = {}
    found[Gate.NO_ADDRESS] = _has_address(entity_key, table, way)
    if entity_key == "contact":
        found[Gate.OBJECTED] = and_(_not_objected(table, way), ~_same_objects(table, way))
        found[Gate.BAD_ADDRESS] = _good_point(table, way)
    elif way in (ContactWay.EMAIL, ContactWay.ADS):
        found[Gate.OBJECTED] = ~_same_objects(table, way)
    elif way is ContactWay.PHONE:
        found[Gate.BAD_ADDRESS] = ~table.c.phone_invalid
    found[Gate.NO_CONSENT] = _consented(entity_key, table, way, purpose, workspace.needs_consent)
    if way is not ContactWay.POST:
        found[Gate.SUPPRESSED] = key_of(_address(table, way)).not_in(suppressions.keys(way))
    if way is ContactWay.EMAIL:
        found[Gate.OVER_CAP] = _under_cap(entity_key, table, workspace, **ago)
    return found


def _address(table: Any, way: ContactWay) -> Any:
    return table.c.phone if way is ContactWay.PHONE else table.c.email


def _has_address(entity_key: str, table: Any, way: ContactWay) -> Any:
    if way is ContactWay.POST:
        if entity_key != "contact":
            return table.c.city.is_not(None)
        accounts: Any = Account.__table__.alias()  # type: ignore[attr-defined]  # a list that joins accounts asks this too
        return exists().where(accounts.c.id == table.c.account_id, accounts.c.city.is_not(None))
    if way is ContactWay.PHONE:
        return func.coalesce(table.c.phone, "") != ""
    return func.coalesce(table.c.email, "").like("%_@_%")


def _not_objected(table: Any, way: ContactWay) -> Any:
    wants = table.c.preferred_channel != PreferredChannel.NONE
    if way is ContactWay.EMAIL:
        return and_(wants, ~table.c.do_not_email)
    return and_(wants, ~table.c.do_not_call) if way is ContactWay.PHONE else wants


def _same_objects(table: Any, way: ContactWay) -> Any:
    """Whether a contact with the same address doesn't want this: they are that person."""
    if way not in (ContactWay.EMAIL, ContactWay.ADS):
        return false()
    other, keys = _CONTACTS.alias(), _KEYS.alias()
    same = and_(
        keys.c.entity == "contact", keys.c.kind == "email", keys.c.key == key_of(table.c.email), keys.c.record_id == other.c.id
    )
    return exists().where(same, ~_not_objected(other, way))


def key_of(column: Any) -> Any:
    """SQL: an address as lists of addresses hold it."""
    return func.lower(func.trim(func.coalesce(column, "")))


def _good_point(table: Any, way: ContactWay) -> Any:
    if way not in (ContactWay.EMAIL, ContactWay.PHONE):
        return true()
    kind = PointKind.EMAIL if way is ContactWay.EMAIL else PointKind.PHONE
    spoilt = or_(_POINTS.c.opted_out, _POINTS.c.invalid)
    return ~exists().where(_POINTS.c.contact_id == table.c.id, _POINTS.c.kind == kind, _POINTS.c.is_primary, spoilt)


def _consented(entity_key: str, table: Any, way: ContactWay, purpose: Purpose, needed: bool) -> Any:
    said = and_(
        CONSENT.c[f"{entity_key}_id"] == table.c.id, CONSENT.c.purpose == purpose, CONSENT.c.way == way, CONSENT.c.is_latest
    )
    agreed = exists().where(said, CONSENT.c.status == ConsentStatus.GRANTED, CONSENT.c.basis.in_(OPENING))
    if needed:
        return agreed
    never = ~exists().where(said, CONSENT.c.status == ConsentStatus.WITHDRAWN)
    return and_(never, or_(agreed, _unrefused(table, way, purpose)))


def _unrefused(table: Any, way: ContactWay, purpose: Purpose) -> Any:
    """Nobody with this address said no to it, on a record that may be older than this one: it is the same person, who asked us once already."""
    return key_of(table.c.email).not_in(refused(purpose)) if way is ContactWay.EMAIL else true()


def refused(purpose: Purpose) -> Any:
    """SELECT of the addresses that somebody has as their main one whose last word by e-mail about this purpose is no."""
    last = and_(
        CONSENT.c.purpose == purpose, CONSENT.c.way == ContactWay.EMAIL, CONSENT.c.is_latest, CONSENT.c.status == ConsentStatus.WITHDRAWN
    )  # fmt: skip
    each = (
        select(_KEYS.c.key)
        .join(CONSENT, CONSENT.c[f"{name}_id"] == _KEYS.c.record_id)
        .where(_KEYS.c.entity == name, _KEYS.c.kind == "email", last)
        for name in PEOPLE
    )
    return union_all(*each)


def _under_cap(entity_key: str, table: Any, workspace: OutreachRules, *, ago_7: Any, ago_30: Any) -> Any:
    who = MAIL.c[f"{entity_key}_id"]
    when = func.coalesce(MAIL.c.sent_at, MAIL.c.created_at)
    recent = func.sum(case((when >= ago_7, 1), else_=0))
    tired = (
        select(who)
        .where(
            MAIL.c.kind.in_(NEWS),
            MAIL.c.purpose.is_not(None),
            MAIL.c.state.in_(_COUNTED),
            when >= ago_30,
            who.is_not(None),
        )
        .group_by(who)
        .having(or_(func.count() >= workspace.cap_30_days, recent >= workspace.cap_7_days))
    )
    return table.c.id.not_in(tired)


def first_closed(found: dict[Gate, ColumnElement[bool]]) -> Any:
    """SQL: the first closed gate, or null."""
    if not found:
        return literal(None)
    return case(*((~func.coalesce(clause, False), literal(gate.value)) for gate, clause in found.items()), else_=None)


def contactable(
    session: Session,
    actor: Actor,
    entity_key: str,
    table: Any,
    *,
    way: ContactWay = ContactWay.EMAIL,
    purpose: Purpose = Purpose.MARKETING,
    at: datetime | None = None,
) -> ColumnElement[bool]:
    """The rows of ``table`` (contacts or leads that the actor may see) who may be contacted; quiet hours aside, as those pass."""
    found = gates(_person(entity_key), table, way=way, purpose=purpose, at=at or utcnow(), workspace=rules(session, actor))
    return and_(visible(actor, entity_key, table), *found.values())


def may_contact(
    session: Session,
    actor: Actor,
    record_id: int,
    *,
    entity_key: str = "contact",
    way: ContactWay = ContactWay.EMAIL,
    purpose: Purpose = Purpose.MARKETING,
    at: datetime | None = None,
) -> Verdict:
    """Whether one person may be contacted now, and if so from when on. Every sender of marketing asks this right before it sends."""
    person = records.get(session, actor, _person(entity_key), record_id)
    now, workspace = at or utcnow(), rules(session, actor)
    query = _first_closed_of_one(entity_key, way, purpose, workspace.needs_consent, workspace.cap_7_days, workspace.cap_30_days)
    closed = session.execute(
        query, {"who": record_id, **{name: now - timedelta(days=days) for name, days in _AGO.items()}}
    ).scalar()
    hours = (getattr(person, "preferred_hours", None), getattr(person, "timezone", None))
    return Verdict(Gate(closed) if closed else None, from_when(session, actor, now, *hours))


@lru_cache(maxsize=64)
def _first_closed_of_one(entity_key: str, way: ContactWay, purpose: Purpose, needs_consent: bool, cap_7: int, cap_30: int) -> Any:
    """SELECT of the first closed gate of the person ``who``; mail counts that is younger than ``ago_7`` and ``ago_30``. Written once: putting it
    together costs more than the database needs for the answer."""
    table, workspace = entity(entity_key).table, OutreachRules(needs_consent=needs_consent, cap_7_days=cap_7, cap_30_days=cap_30)
    ago = {name: bindparam(name, type_=MAIL.c.sent_at.type) for name in _AGO}
    return select(first_closed(_gates(entity_key, table, way, purpose, ago, workspace))).where(table.c.id == bindparam("who"))


def taken_back(session: Session, actor: Actor, entity_key: str, record_id: int) -> Gate | None:
    """Why somebody can't be written news and offers any more by their own word: they objected, withdrew their consent, unsubscribed, complained, or were
    erased on request.
    Whoever never agreed took nothing back; neither did whoever has no address, or one that failed or was blocked by a colleague."""
    table = entity(_person(entity_key)).table
    theirs = _own_word(entity_key, table, ContactWay.EMAIL)
    theirs[Gate.NO_CONSENT] = _consented(entity_key, table, ContactWay.EMAIL, Purpose.MARKETING, needed=False)
    mine = (table.c.id == record_id, visible(actor, entity_key, table))
    closed = session.execute(select(first_closed(theirs)).where(*mine)).scalar()
    return Gate(closed) if closed else None


def _own_word(entity_key: str, table: Any, way: ContactWay) -> dict[Gate, ColumnElement[bool]]:
    """Gates that a person closes themselves, whatever they agreed to: an objection, and a block of their address that is their own."""
    asked = OutreachRules(needs_consent=False)
    found = gates(entity_key, table, way=way, purpose=Purpose.MARKETING, at=utcnow(), workspace=asked)
    theirs: dict[Gate, ColumnElement[bool]] = {gate: clause for gate, clause in found.items() if gate == Gate.OBJECTED}
    if Gate.SUPPRESSED in found:
        theirs[Gate.SUPPRESSED] = key_of(_address(table, way)).not_in(suppressions.keys(way, reasons=OWN_WORD))
    return theirs


def from_when(session: Session, actor: Actor, at: datetime, preferred: str | None, zone: str | None = None) -> datetime:
    """The first instant from ``at`` on outside quiet hours and within the hours a person prefers, in their time zone if it is known, else
    in the workspace's."""
    return quiet_hours.of_workspace(session).from_when(at, preferred, zone)
