"""Calling from a list: one person at a time, whom nobody else has before them, at an hour that suits them. What came of the call: ``dial_outcomes``."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, col
from sqlmodel import select as pick

from crm_core import db, lists, reads, records
from crm_core.access import Actor, require, visible
from crm_core.entities import entity
from crm_core.errors import Conflict, NotFound
from crm_core.kit.clock import utcnow
from crm_core.models import DialEntry, DialList, User
from crm_core.services.customers import consent, reach_rules
from crm_core.services.customers.reach_rules import Reach
from crm_core.services.telephony import dial_due, dial_lists, dial_people, dial_rules
from crm_core.services.telephony.dial_due import CLAIMS, ENTRIES, clock_of, hindered
from crm_core.vocabulary import Action, CallOutcome, DialWait, Way

CLAIM_MINUTES = 20
"""So long somebody has a person for themselves; who is still talking then keeps them unless a colleague takes them over."""
_BATCH = 50


@dataclass(frozen=True)
class Call:
    """The person to call now. ``value`` is what put them where they stand; ``reach``: whether they want the call at this moment, and their local time."""

    entry_id: int
    key: str
    record_id: int
    name: str
    company: str
    job_title: str
    phone: str
    account_id: int | None
    value: float | None
    wait: DialWait | None
    attempts: int
    outcome: CallOutcome | None
    last_at: datetime | None
    reach: Reach


def take_next(session: Session, actor: Actor, list_id: int) -> int | None:
    """The entry of the person to call now, kept from colleagues for a while; None when nobody is due. Who may not be called, sleeps or was called today is
    put where they belong on the way.

    Two callers never wait for each other: whom the one moves or takes at this moment, the other passes over."""
    dial = opened(session, actor, list_id)
    release(session, actor, list_id)
    clock, looked = clock_of(session, actor, dial), set[int]()
    while batch := _candidates(session, actor, dial, looked):
        moved: dict[int, dict[str, Any]] = {}
        taken = None
        for row in batch:
            looked.add(row.entry_id)
            change = hindered(actor, row, clock)
            if change:
                moved[row.entry_id] = change
            elif _claim(session, actor, row):
                taken = int(row.entry_id)
                break
        _move(session, moved)
        if taken is not None:
            return taken
    return None


def opened(session: Session, actor: Actor, list_id: int | None) -> DialList:
    """A list that the actor can call from. Raises Conflict when it is closed, or when their role does not see numbers."""
    dial = dial_lists.get(session, actor, list_id)
    if dial.closed_at is not None:
        raise Conflict("This list was closed. Fill it again to go on calling.")
    for key in consent.PEOPLE if not dial.entity else (dial.entity,):
        if actor.masked(key, "phone"):
            raise Conflict("Your role does not see phone numbers, so it can't call people.")
    return dial


def release(session: Session, actor: Actor, list_id: int) -> None:
    """Let go of whoever the actor has before them on this list."""
    require(actor, "activity", Action.CREATE)
    session.execute(delete(CLAIMS).where(CLAIMS.c.user_id == actor.user_id, CLAIMS.c.list_id == list_id))


def _move(session: Session, moved: dict[int, dict[str, Any]]) -> None:
    """Put people where they belong, in the order of their ids; whom somebody else moves right now stays with them."""
    if not moved:
        return
    mine = (
        select(ENTRIES.c.id)
        .where(ENTRIES.c.id.in_(sorted(moved)))
        .order_by(ENTRIES.c.id)
        .with_for_update(key_share=True, skip_locked=True)
    )
    for key in session.execute(mine).scalars().all():
        session.execute(update(ENTRIES).where(ENTRIES.c.id == key).values(**moved[key], updated_at=utcnow()))


def _candidates(session: Session, actor: Actor, dial: DialList, looked: Collection[int]) -> list[Any]:
    """The next ones that are due, promised calls first; with what decides whether they can be called."""
    found: list[Any] = []
    for key in dial_due.kinds(actor, dial):
        inner = dial_due.due(session, actor, dial, key).where(ENTRIES.c.id.not_in(sorted(looked))).subquery()
        free = select(inner).where(inner.c.seen == 1, inner.c.taken == 0)
        found += session.execute(free.order_by(inner.c.first, inner.c.rank, inner.c.entry_id).limit(_BATCH))
    return sorted(found, key=lambda row: (row.first, row.rank))[:_BATCH]


def _claim(session: Session, actor: Actor, row: Any) -> bool:
    """Keep somebody for the actor; False when a colleague has them, or takes them at this instant."""
    now, person = utcnow(), dial_rules.name_of(row.key, row.record_id)
    fresh = {"entry_id": row.entry_id, "user_id": actor.user_id, "until": now + timedelta(minutes=CLAIM_MINUTES)}
    fresh["list_id"] = select(ENTRIES.c.list_id).where(ENTRIES.c.id == row.entry_id).scalar_subquery()
    over = select(CLAIMS.c.person).where(CLAIMS.c.person == person, CLAIMS.c.until <= now).with_for_update(skip_locked=True)
    if session.execute(over).first() is not None:
        session.execute(update(CLAIMS).where(CLAIMS.c.person == person).values(**fresh))
        return True
    make = sqlite.insert if db.is_sqlite(session) else postgresql.insert
    statement: Any = make(CLAIMS).values(person=person, **fresh)
    statement = statement.on_conflict_do_nothing(index_elements=[CLAIMS.c.person])
    return session.execute(statement.returning(CLAIMS.c.person)).first() is not None


def current(session: Session, actor: Actor, list_id: int) -> Call | None:
    """Whom the actor has before them on this list."""
    dial = dial_lists.get(session, actor, list_id)
    entry_id = before_me(session, actor, list_id)
    entry = session.get(DialEntry, entry_id) if entry_id else None
    if entry is None:
        return None
    key, record_id = person_of(entry)
    try:
        record = records.get(session, actor, key, record_id)
    except NotFound:
        return None
    reads.looked(session, actor, key, record_id)
    company = "" if actor.masked(key, "company") else getattr(record, "company", None) or ""
    if key == "contact" and record.account_id and actor.can("account", Action.READ) and not actor.masked("account", "name"):
        accounts = entity("account").table
        company = (
            session.execute(
                select(accounts.c.name).where(accounts.c.id == record.account_id, visible(actor, "account", accounts))
            ).scalar()
            or ""
        )
    name = lists.titles(session, actor, key, [record_id]).get(record_id, "")
    wishes = replace(dial_due.wishes_of(record.model_dump(), clock_of(session, actor, dial).region), name=name)
    reach = reach_rules.may_reach(wishes, Way.CALL, utcnow(), fallback_zone=actor.timezone)
    value = entry.value if dial_people.may_know_order(session, actor, dial) else None
    return Call(
        entry.id, key, record_id, name, company, "" if actor.masked(key, "job_title") else record.job_title or "", record.phone or "", getattr(record, "account_id", None), value,
        entry.wait, entry.attempts, entry.outcome, entry.last_at, reach,
    )  # fmt: skip


def before_me(session: Session, actor: Actor, list_id: int) -> int | None:
    """The entry of whoever the actor has before them on this list."""
    require(actor, "activity", Action.CREATE)
    mine = (CLAIMS.c.user_id == actor.user_id, CLAIMS.c.list_id == list_id)
    return session.execute(select(CLAIMS.c.entry_id).where(*mine).order_by(CLAIMS.c.until.desc()).limit(1)).scalar()


def person_of(entry: DialEntry) -> tuple[str, int]:
    """Whom an entry is about: (contact or lead, id)."""
    return ("contact", entry.contact_id) if entry.contact_id else ("lead", entry.lead_id or 0)


def calling(session: Session, actor: Actor, list_id: int) -> list[str]:
    """Which colleagues have somebody of this list before them now."""
    dial_lists.get(session, actor, list_id)
    query = pick(User.name).where(
        col(User.id).in_(
            select(CLAIMS.c.user_id).where(
                CLAIMS.c.list_id == list_id, CLAIMS.c.until > utcnow(), CLAIMS.c.user_id != actor.user_id
            )
        )
    )
    return sorted(session.exec(query))
