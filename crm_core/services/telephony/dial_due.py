"""Who of a list is due, and what keeps somebody from being called at this moment: asked by the press that takes the next person and by the count
beside it alike, so that the one never promises what the other does not find."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import String, and_, case, cast, exists, false, func, literal, or_, select
from sqlmodel import Session

from crm_core import house
from crm_core.access import Actor, require, visible
from crm_core.entities import entity
from crm_core.kit.clock import utcnow
from crm_core.models import Activity, DialAttempt, DialClaim, DialEntry, DialList
from crm_core.services.customers import consent, reach_rules
from crm_core.services.customers.reach_rules import Wishes
from crm_core.services.helpdesk import calendars
from crm_core.services.telephony import dial_people, dial_rules
from crm_core.services.telephony.dial_rules import Hours
from crm_core.vocabulary import Action, ActivityKind, DialState, DialWait, PreferredChannel

CALLBACK_GRACE = timedelta(minutes=30)
"""So long a promised call back waits for whoever promised it."""
GONE = "gone"
ENTRIES: Any = DialEntry.__table__  # type: ignore[attr-defined]
CLAIMS: Any = DialClaim.__table__  # type: ignore[attr-defined]
_TRIED: Any = DialAttempt.__table__  # type: ignore[attr-defined]
_CALLS: Any = Activity.__table__  # type: ignore[attr-defined]
_opens_at = lru_cache(maxsize=4_000)(dial_rules.opens_at)


@dataclass(frozen=True)
class Clock:
    """What the hours of a list are asked with: its own, the region of numbers without a country, the time zone of the caller, and now."""

    hours: Hours
    region: str
    zone: str
    now: datetime


@dataclass(frozen=True)
class Due:
    """Of those who are due: ``ready`` can be called now by whoever asks, ``callbacks`` of them asked for it; ``taken`` a colleague has before them or
    promised to call; ``hidden`` could be called by somebody who may see them. ``waits``: who has to wait after all → how many; ``left_out``: who is
    to be called no more; ``next_at``: when the first of those who wait can be."""

    ready: int = 0
    callbacks: int = 0
    taken: int = 0
    hidden: int = 0
    waits: Mapping[DialWait, int] | None = None
    left_out: int = 0
    next_at: datetime | None = None


def clock_of(session: Session, actor: Actor, dial: DialList) -> Clock:
    """The hours of a list as they hold now, with the special days of the working hours that it names."""
    require(actor, "activity", Action.CREATE)
    now, known = utcnow(), calendars.calendar_of(session, dial.calendar_id).exceptions
    special = tuple(one for one in known if one.last >= now.date() - timedelta(days=2))
    hours = Hours(dial.from_minute, dial.until_minute, dial.weekdays_only, special, house.days_off(session))
    return Clock(hours, house.region(session), actor.timezone, now)


_CLOCK_OF = ("phone", "timezone", "preferred_hours")
"""What says by whose clock, and when, somebody is called: to whom a role hides one of these, the hour counts nobody out."""


def timeless(actor: Actor) -> list[str]:
    """The kinds of people of whom the actor does not know when they may be called: neither the hour nor that somebody waits for it counts for these."""
    return [key for key in consent.PEOPLE if any(actor.masked(key, field) for field in _CLOCK_OF)]


def kinds(actor: Actor, dial: DialList) -> list[str]:
    """What the people of a list are, of what the actor reads: contacts, leads."""
    return [key for key in (consent.PEOPLE if not dial.entity else (dial.entity,)) if actor.can(key, Action.READ)]


def due(session: Session, actor: Actor, dial: DialList, key: str, *, asleep: bool = False) -> Any:
    """SELECT of the contacts or leads of a list whose time has come, whoever may see them: ``seen``, ``taken`` and what ``hindered`` asks. ``asleep``:
    with those who only wait for the hours in which they may be called."""
    table, now = entity(key).table, utcnow()
    promised = ENTRIES.c.wait == DialWait.CALLBACK
    reserved = and_(
        promised,
        ENTRIES.c.callback_by_id.is_not(None),
        ENTRIES.c.callback_by_id != actor.user_id,
        ENTRIES.c.due_at > now - CALLBACK_GRACE,
    )
    person = literal(f"{key}:").concat(cast(table.c.id, String))
    elsewhere = or_(CLAIMS.c.user_id != actor.user_id, CLAIMS.c.list_id != dial.id)
    held = exists().where(CLAIMS.c.person == person, CLAIMS.c.until > now, elsewhere)
    shut = consent.first_closed(dial_people.gates(session, actor, key, table, dial.purpose, now))
    wishes = [table.c[name] for name in ("preferred_channel", "preferred_hours", "timezone", "do_not")] if key == "contact" else []
    columns = (
        ENTRIES.c.id.label("entry_id"), ENTRIES.c.rank, ENTRIES.c.wait, literal(key).label("key"), table.c.id.label("record_id"), table.c.name,
        table.c.phone, table.c.deleted_at, case((promised, 0), else_=1).label("first"), shut.label("shut"), _called_today(actor, key, table).label("called"),
        _flag(or_(func.coalesce(reserved, False), held), "taken"),
        _flag(or_(table.c.deleted_at.is_not(None), visible(actor, key, table)), "seen"),
    )  # fmt: skip
    return (
        select(*columns, *wishes)
        .select_from(ENTRIES.join(table, table.c.id == ENTRIES.c[f"{key}_id"]))
        .where(
            ENTRIES.c.list_id == dial.id,
            ENTRIES.c.state == DialState.WAITING,
            or_(ENTRIES.c.due_at.is_(None), ENTRIES.c.due_at <= now, ENTRIES.c.wait == DialWait.HOURS if asleep else false()),
        )
        .order_by(case((promised, 0), else_=1), ENTRIES.c.rank, ENTRIES.c.id)
    )


def _flag(clause: Any, name: str) -> Any:
    return case((clause, 1), else_=0).label(name)


def _called_today(actor: Actor, key: str, table: Any) -> Any:
    """Whether somebody called them today, otherwise than from this very entry."""
    since = midnight(actor)
    ours = select(_TRIED.c.activity_id).where(_TRIED.c.entry_id == ENTRIES.c.id, _TRIED.c.activity_id == _CALLS.c.id)
    mine = (
        _CALLS.c[f"{key}_id"] == table.c.id,
        _CALLS.c.kind == ActivityKind.CALL,
        _CALLS.c.at >= since,
        _CALLS.c.deleted_at.is_(None),
    )
    return exists().where(*mine, ~ours.exists())


def hindered(actor: Actor, row: Any, clock: Clock, *, by_hours: bool = True) -> dict[str, Any]:
    """What keeps somebody from being called now, as a change of their entry; nothing when they can be. ``by_hours``: whether the hour counts."""
    if row.deleted_at is not None or row.shut:
        return {"state": DialState.LEFT_OUT, "left_out": row.shut or GONE}
    if row.wait is DialWait.CALLBACK:
        return {}
    if row.called:
        return {"wait": DialWait.CALLED, "due_at": midnight(actor, 1)}
    if not by_hours:
        return {}
    wishes = wishes_of({**row._mapping, "name": ""}, clock.region)
    opens = _opens_at(wishes, clock.now, clock.hours, fallback_zone=clock.zone)
    return {"wait": DialWait.HOURS, "due_at": opens} if opens is not None else {}


def wishes_of(row: Mapping[str, Any], region: str) -> Wishes:
    """What a contact or lead wishes, with the time zones that they may be in."""
    return Wishes(
        row["name"],
        row.get("preferred_channel") or PreferredChannel.ANY,
        row.get("preferred_hours") or "",
        reach_rules.zones_of(row.get("timezone"), row["phone"], region),
        do_not=row.get("do_not") or "",
    )


def midnight(actor: Actor, days: int = 0) -> datetime:
    """When the actor's day begins, or one that many days later."""
    zone = ZoneInfo(actor.timezone)
    return datetime.combine(utcnow().astimezone(zone).date() + timedelta(days=days), time(), zone)


def stands(session: Session, actor: Actor, dials: Iterable[DialList]) -> dict[int, Due]:
    """Who of each list can be called now, asked as the press asks that takes the next person. People of a kind that the actor does not read are hidden."""
    require(actor, "activity", Action.CREATE)
    return {dial.id: _stand(session, actor, dial) for dial in dials}


def _stand(session: Session, actor: Actor, dial: DialList) -> Due:
    clock, read = clock_of(session, actor, dial), kinds(actor, dial)
    counts = dict.fromkeys(("ready", "callbacks", "taken", "hidden", "left_out"), 0)
    waits: dict[DialWait, int] = {}
    opens: list[datetime] = []
    for key in consent.PEOPLE if not dial.entity else (dial.entity,):
        by_hours = key not in timeless(actor)
        for row in session.execute(due(session, actor, dial, key, asleep=not by_hours)):
            change = hindered(actor, row, clock, by_hours=by_hours)
            if "wait" in change:
                waits[change["wait"]] = waits.get(change["wait"], 0) + 1
                opens.append(change["due_at"])
                continue
            kind = "left_out" if change else "hidden" if key not in read or not row.seen else "taken" if row.taken else "ready"
            counts[kind] += 1
            counts["callbacks"] += kind == "ready" and row.wait is DialWait.CALLBACK
    return Due(**counts, waits=waits, next_at=min(opens) if opens else None)
