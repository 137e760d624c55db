"""How a contact wants to be treated: what they asked for, who noted it when, and whether they may be called or written to now."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select as pick
from sqlmodel import Session

from crm_core import house, lists, records
from crm_core.access import Actor
from crm_core.errors import NotFound
from crm_core.kit import clock
from crm_core.models import Contact, Event
from crm_core.services.customers import reach_rules
from crm_core.services.customers.reach_rules import Reach, Wishes
from crm_core.vocabulary import Action, PreferredChannel, Way

FIELDS = (
    "preferred_channel", "preferred_hours", "timezone", "language", "do_not_call", "do_not_email", "do_not", "goals",
)  # fmt: skip
_LOOK_BACK = 200
_EVENTS: Any = Event.__table__  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Noted:
    """Who wrote a preference down, and when."""

    who: str
    at: datetime


@dataclass(frozen=True)
class Preferences:
    """A contact's wishes with the answers for a call and an e-mail at this moment, and the last change of them."""

    contact_id: int
    version: int
    wishes: Wishes
    call: Reach
    email: Reach
    next_time: datetime | None
    noted: Noted | None


def of(session: Session, actor: Actor, contact_id: int, *, now: datetime | None = None) -> Preferences:
    """The preferences of a contact the actor may see. Masked fields tell nothing: neither a name nor the area of a number."""
    contact: Contact = records.get(session, actor, "contact", contact_id)
    wishes = _wishes(session, actor, contact)
    at = now or clock.utcnow()
    call, email = (reach_rules.may_reach(wishes, way, at, fallback_zone=actor.timezone) for way in (Way.CALL, Way.EMAIL))
    moment = reach_rules.next_time(wishes, at, fallback_zone=actor.timezone, days_off=house.days_off(session))
    noted = _noted(session, actor, contact) if _wishes_anything(wishes) else None
    return Preferences(contact_id, contact.version, wishes, call, email, moment, noted)


def of_some(session: Session, actor: Actor, contact_id: int | None) -> Preferences | None:
    """Like ``of``; None where there is no contact, or none that the actor may see."""
    if contact_id is None or not actor.can("contact", Action.READ):
        return None
    try:
        return of(session, actor, contact_id)
    except NotFound:
        return None


def _wishes(session: Session, actor: Actor, contact: Contact) -> Wishes:
    def shown(key: str) -> str:
        return "" if actor.masked("contact", key) else getattr(contact, key) or ""

    return Wishes(
        "This person" if actor.masked("contact", "name") else contact.name,
        PreferredChannel.ANY if actor.masked("contact", "preferred_channel") else contact.preferred_channel,
        shown("preferred_hours"),
        reach_rules.zones_of(shown("timezone"), shown("phone"), house.region(session)),
        shown("language"),
        shown("goals"),
        shown("do_not"),
        contact.do_not_call,
        contact.do_not_email,
    )


def _wishes_anything(wishes: Wishes) -> bool:
    """Whether anything is known of how they want to be treated; a time zone by itself is no wish."""
    asked = (wishes.hours, wishes.language, wishes.goals, wishes.do_not, wishes.no_call, wishes.no_email)
    return any(asked) or wishes.channel is not PreferredChannel.ANY


def _noted(session: Session, actor: Actor, contact: Contact) -> Noted | None:
    """The newest change of a preference, from the log; a preference that came with the contact counts as noted with it."""
    query = (
        pick(_EVENTS.c.type, _EVENTS.c.changes, _EVENTS.c.actor_id, _EVENTS.c.via, _EVENTS.c.at)
        .where(_EVENTS.c.entity == "contact", _EVENTS.c.record_id == contact.id)
        .order_by(_EVENTS.c.id.desc())
        .limit(_LOOK_BACK)
    )
    found = next((event for event in session.execute(query) if _about_wishes(event.type, event.changes)), None)
    if found is None:
        return None
    names = lists.titles(session, actor, "user", [found.actor_id])
    return Noted(names.get(found.actor_id or 0, found.via.label), found.at)


def _about_wishes(event_type: str, changed: Iterable[str]) -> bool:
    return event_type == "contact.created" or bool(set(changed) & set(FIELDS))
