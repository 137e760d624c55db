"""Whom a mail from a record may go to: the people of it with their addresses, and why some are not to be written to."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import or_
from sqlmodel import Session, col, select

from crm_core import records
from crm_core.access import Actor, visible
from crm_core.entities import entity
from crm_core.kit import clock
from crm_core.kit.text import email_key
from crm_core.models import Contact, ContactPoint, Deal, DealContact, Lead, MatchKey, Suppression
from crm_core.ordering import alphabetical
from crm_core.services.customers import reach_rules
from crm_core.services.customers.reach_rules import Wishes
from crm_core.vocabulary import Action, ContactWay, PointKind, SuppressionReason, Verdict, Way

MOST = 30
_PEOPLE: Any = entity("contact").table
_STOPS = {
    SuppressionReason.BOUNCED: "mail to this address came back",
    SuppressionReason.MANUAL: "this address is blocked",
    SuppressionReason.COMPLAINED: "its reader complained about our mail",
}


@dataclass(frozen=True)
class Addressee:
    """A person with an address. ``no``: why it must not be written to, "" when it may; ``think``: what speaks against it."""

    address: str
    name: str
    contact_id: int | None = None
    lead_id: int | None = None
    no: str = ""
    think: str = ""


def of_record(session: Session, actor: Actor, entity_key: str, record_id: int) -> list[Addressee]:
    """The people of a record with their addresses, the nearest first; those who must not be written to are among them, with the reason."""
    record = records.get(session, actor, entity_key, record_id)
    if entity_key == "lead":
        return (
            []
            if actor.masked("lead", "email") or not record.email
            else _with_stops(session, [Addressee(record.email, _named(actor, "lead", record.name), None, record.id)])
        )
    if not actor.can("contact", Action.READ) or actor.masked("contact", "email"):
        return []
    people = _people(session, actor, entity_key, record)
    return _with_stops(
        session, [one for person in people for one in _addresses(session, person, _named(actor, "contact", person.name))]
    )


def _named(actor: Actor, key: str, name: str) -> str:
    """The name that stands before an address; none where the writer's role hides names."""
    return "" if actor.masked(key, "name") else name


def _people(session: Session, actor: Actor, entity_key: str, record: Any) -> list[Contact]:
    seen = visible(actor, "contact", _PEOPLE)
    if entity_key == "contact":
        return [record]
    first: list[int] = []
    account_id = record.id if entity_key == "account" else getattr(record, "account_id", None)
    if isinstance(record, Deal):
        committee = session.exec(
            select(DealContact.contact_id).where(DealContact.deal_id == record.id).order_by(col(DealContact.id))
        )
        first = [*([record.contact_id] if record.contact_id else []), *committee]
    which = or_(col(Contact.id).in_(first), col(Contact.account_id) == account_id) if account_id else col(Contact.id).in_(first)
    query = select(Contact).where(which, seen).order_by(col(Contact.id).in_(first).desc(), alphabetical(Contact.name)).limit(MOST)
    place = {one: n for n, one in enumerate(first)}
    return sorted(session.exec(query), key=lambda one: place.get(one.id, MOST))


def _addresses(session: Session, person: Contact, name: str) -> list[Addressee]:
    query = select(ContactPoint).where(ContactPoint.contact_id == person.id, ContactPoint.kind == PointKind.EMAIL)
    points = list(session.exec(query.order_by(col(ContactPoint.is_primary).desc(), col(ContactPoint.id))))
    no, think = _wishes(person, name)
    found = [
        Addressee(
            one.value, name, person.id, None,
            no or ("this address does not work" if one.invalid else "mail is not wanted at this address" if one.opted_out else ""), think,
        )
        for one in points
    ]  # fmt: skip
    if person.email and email_key(person.email) not in {email_key(one.address) for one in found}:
        found.insert(0, Addressee(person.email, name, person.id, None, no, think))
    return found


def _wishes(person: Contact, name: str) -> tuple[str, str]:
    """Why this person must not be written to, and what speaks against it."""
    asked = Wishes(name or "This person", person.preferred_channel, no_email=person.do_not_email)
    answer = reach_rules.may_reach(asked, Way.EMAIL, clock.utcnow())
    reason = answer.reasons[0] if answer.reasons else ""
    return (reason, "") if answer.verdict is Verdict.NO else ("", reason)


def _with_stops(session: Session, found: Sequence[Addressee]) -> list[Addressee]:
    stopped = stops(session, (one.address for one in found))
    return [
        Addressee(one.address, one.name, one.contact_id, one.lead_id, one.no or stopped.get(email_key(one.address), ""), one.think)
        for one in found
    ]


def stops(session: Session, addresses: Iterable[str]) -> dict[str, str]:
    """Addresses on the list of those that are not to be written to, not even in person, with the reason."""
    keys = {email_key(one) for one in addresses}
    if not keys:
        return {}
    query = select(Suppression.address_key, Suppression.reason).where(
        col(Suppression.address_key).in_(keys), Suppression.way == ContactWay.EMAIL, col(Suppression.lifted_at).is_(None),
        col(Suppression.reason).in_(_STOPS),
    )  # fmt: skip
    return {key: _STOPS[SuppressionReason(reason)] for key, reason in session.exec(query)}


def known(session: Session, entity_key: str, address: str) -> list[int]:
    """The contacts or leads with an address, whoever may see them."""
    keys: Any = MatchKey.__table__  # type: ignore[attr-defined]
    query = select(keys.c.record_id).where(keys.c.kind == "email", keys.c.key == email_key(address), keys.c.entity == entity_key)
    return list(session.execute(query.limit(50)).scalars())  # type: ignore[arg-type]


def behind(session: Session, address: str) -> Addressee:
    """Whoever an address belongs to, whether or not the writer may see them: their no holds for every writer."""
    key = email_key(address)
    point = select(ContactPoint.contact_id).where(ContactPoint.kind == PointKind.EMAIL, ContactPoint.value_key == key)
    theirs = or_(col(Contact.id).in_(point), col(Contact.id).in_(known(session, "contact", address)))
    people = list(
        session.exec(select(Contact).where(theirs, col(Contact.deleted_at).is_(None)).order_by(col(Contact.id)).limit(20))
    )
    for person in people:
        listed = next((one for one in _addresses(session, person, person.name) if email_key(one.address) == key), None)
        if listed is not None and listed.no:
            return listed
    stop = stops(session, [address]).get(key, "")
    if people:
        return Addressee(address, people[0].name, people[0].id, None, stop)
    ids = known(session, "lead", address)
    open_lead = select(Lead).where(col(Lead.id).in_(ids), col(Lead.deleted_at).is_(None), col(Lead.converted_at).is_(None))
    lead = session.exec(open_lead.order_by(col(Lead.id).desc())).first() if ids else None
    return Addressee(address, lead.name if lead else "", None, lead.id if lead else None, stop)
