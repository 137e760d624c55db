"""Records that were created although something like them was here: why, by whom, how often."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlmodel import Session

from crm_core import events, lists
from crm_core.access import Actor, owned_within, require
from crm_core.entities import ENTITIES
from crm_core.errors import Invalid
from crm_core.kit import clock
from crm_core.kit.text import clean
from crm_core.matching import MATCHED
from crm_core.models import Event, User
from crm_core.services.customers import duplicates
from crm_core.vocabulary import Action, DuplicateReason

_EVENTS: Any = Event.__table__  # type: ignore[attr-defined]
_USERS: Any = User.__table__  # type: ignore[attr-defined]
MAX_WORDS = 300
DAYS, SHOWN = 90, 100


@dataclass(frozen=True)
class Why:
    """Why a record is a new one after all."""

    reason: DuplicateReason | None = None
    words: str = ""


@dataclass(frozen=True)
class Case:
    """One record that was created anyway. ``title`` as the reader may see it, "" where they may not; ``found``: how many looked the same."""

    at: datetime
    who: str
    entity: str
    record_id: int
    title: str
    reason: str
    words: str
    found: int


@dataclass(frozen=True)
class Summary:
    """What was created anyway within the last days: how many by whom and why, and the latest ones."""

    days: int
    total: int
    by_person: tuple[tuple[str, int], ...]
    by_reason: tuple[tuple[str, int], ...]
    latest: tuple[Case, ...]


def matches(session: Session, actor: Actor, entity_key: str, values: Mapping[str, Any]) -> duplicates.Found:
    """What is like these values and already here, within the actor's sight; asked before the record exists."""
    return duplicates.check(session, actor, entity_key, values)


def settle(why: Why) -> Why:
    """The reason, checked. Raises Invalid: a reason is chosen, and "something else" is said in words."""
    words = clean(why.words)[:MAX_WORDS]
    if why.reason is None:
        raise Invalid(fields={"why": "Say why this is a new one, or use the one that is here."})
    if why.reason is DuplicateReason.OTHER and not words:
        raise Invalid(fields={"why": "Say in your own words why this is a new one."})
    return Why(why.reason, words)


def note(session: Session, actor: Actor, record: Any, found: duplicates.Found, why: Why) -> None:
    """Write the reason into the timeline of the new record and the audit trail. Records out of the actor's sight are counted only.
    Events: <entity>.created_anyway."""
    reason = why.reason.label if why.reason is not None else ""
    count = len(found.shown) + found.hidden
    data = {
        "found": f"{count} like it {'was' if count == 1 else 'were'} here", "reason": f"{reason}: {why.words}" if why.words else reason,
        "choice": why.reason.value if why.reason is not None else "", "words": why.words, "count": count,
        "like": [[hit.entity, hit.id] for hit in found.shown],
    }  # fmt: skip
    events.record(session, actor, f"{ENTITIES[_key(record)].key}.created_anyway", record, data=data)


def _key(record: Any) -> str:
    return next(key for key in MATCHED if isinstance(record, ENTITIES[key].model))


def summary(session: Session, actor: Actor, *, days: int = DAYS) -> Summary:
    """Who created what anyway within the last days, and why. Needs the audit permission; its reach decides whose deeds are shown."""
    require(actor, "audit", Action.READ)
    since = clock.utcnow() - timedelta(days=days)
    kinds = [f"{key}.created_anyway" for key in MATCHED]
    mine = owned_within(actor, _EVENTS.c.actor_id, actor.scopes("audit", Action.READ))
    query = (
        select(_EVENTS.c.at, _EVENTS.c.entity, _EVENTS.c.record_id, _EVENTS.c.data, _USERS.c.name)
        .outerjoin(_USERS, _USERS.c.id == _EVENTS.c.actor_id)
        .where(_EVENTS.c.type.in_(kinds), _EVENTS.c.at >= since, mine)
        .order_by(_EVENTS.c.at.desc(), _EVENTS.c.id.desc())
    )
    rows = session.execute(query).all()
    people, reasons = Counter(row.name or "Rapport" for row in rows), Counter(_reason(row.data) for row in rows)
    return Summary(days, len(rows), tuple(people.most_common()), tuple(reasons.most_common()), _cases(session, actor, rows[:SHOWN]))


def _reason(data: Mapping[str, Any]) -> str:
    return DuplicateReason.options().get(str(data.get("choice")), "Something else")


def _cases(session: Session, actor: Actor, rows: Any) -> tuple[Case, ...]:
    titles = {
        key: lists.titles(session, actor, key, {row.record_id for row in rows if row.entity == key})
        for key in {row.entity for row in rows}
    }
    return tuple(
        Case(
            row.at, row.name or "Rapport", row.entity, row.record_id, titles[row.entity].get(row.record_id, ""), _reason(row.data),
            str(row.data.get("words") or ""), int(row.data.get("count") or 0),
        )
        for row in rows
    )  # fmt: skip
