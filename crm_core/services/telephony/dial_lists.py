"""Lists of people to call: made from a segment, a saved view, a filtered list or a campaign's call list, ranked, shared with those who call."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, case, delete, false, func, insert, not_, or_, select, update
from sqlmodel import Session

from crm_core import db, events, lists
from crm_core.access import Actor, require
from crm_core.access.scope import owned_within
from crm_core.errors import Invalid, NotFound, NotPermitted
from crm_core.kit.clock import utcnow
from crm_core.kit.text import clean
from crm_core.models import Campaign, CampaignChannel, CampaignPlan, DialList, ServiceCalendar, WorkProfile
from crm_core.ordering import alphabetical
from crm_core.records import refuse_stale
from crm_core.services.helpdesk.calendars import hours_of
from crm_core.services.marketing import campaigns, segments
from crm_core.services.telephony import dial_due, dial_people
from crm_core.services.telephony.dial_due import CLAIMS, ENTRIES, Due
from crm_core.services.telephony.dial_people import MOST
from crm_core.vocabulary import Action, DialReach, DialSource, DialState, DialWait, Outlet, PlanState, Purpose

LISTS: Any = DialList.__table__  # type: ignore[attr-defined]
NUMBERS = {"retry_hours": (1, 240), "max_attempts": (1, 10), "from_minute": (0, 1439), "until_minute": (1, 1440)}
_WORDS = {
    "retry_hours": "Try again after 1 to 240 hours.",
    "max_attempts": "Try between once and ten times.",
    "from_minute": "Say from when on people may be called.",
    "until_minute": "Say until when people may be called.",
}


@dataclass(frozen=True)
class Progress:
    """Where a list stands for whoever asks. ``total`` are those who are to be called at all; ``due``: whom they can call now, of whom ``callbacks_due``
    asked for it; ``taken`` colleagues have before them or promised to call; ``hidden`` only others may see; ``waits``: why others are not due yet →
    how many; ``next_at``: when the first of them is."""

    total: int = 0
    done: int = 0
    due: int = 0
    callbacks_due: int = 0
    taken: int = 0
    hidden: int = 0
    waits: Mapping[DialWait, int] | None = None
    left_out: int = 0
    next_at: datetime | None = None

    @property
    def waiting(self) -> int:
        return sum((self.waits or {}).values())


@dataclass(frozen=True)
class ListRow:
    """A list with how far it is, and whether the asker may change it."""

    dial: DialList
    owner: str
    progress: Progress
    may_edit: bool


def may_call(actor: Actor) -> bool:
    """Whether somebody calls people at all: logs activities, and sees contacts or leads."""
    return actor.can("activity", Action.CREATE) and (actor.can("contact", Action.READ) or actor.can("lead", Action.READ))


def find(session: Session, actor: Actor, *, closed: bool = False) -> list[ListRow]:
    """The lists that the actor may call from or look after, the youngest first; those that are closed if asked."""
    require(actor, "activity", Action.CREATE)
    state = LISTS.c.closed_at.is_not(None) if closed else LISTS.c.closed_at.is_(None)
    editable = case((_editable(actor), 1), else_=0)
    found = session.execute(select(DialList, editable).where(_seen(actor), state).order_by(LISTS.c.id.desc()).limit(200)).all()
    stands = progress_of(session, actor, [row[0] for row in found])
    names = lists.titles(session, actor, "user", (row[0].owner_id for row in found))
    return [ListRow(row, names.get(row.owner_id or 0, ""), stands.get(row.id, Progress()), bool(mine)) for row, mine in found]


def get(session: Session, actor: Actor, list_id: int | None, *, action: Action = Action.READ) -> DialList:
    """One list, or NotFound: somebody else's private list looks like a missing one."""
    require(actor, "activity", Action.CREATE)
    key = list_id if isinstance(list_id, int) and 0 < list_id < 2**31 else 0
    found = session.execute(select(DialList).where(LISTS.c.id == key, _seen(actor))).scalar()
    if found is None:
        raise NotFound("This list no longer exists, or is not shared with you.")
    if action is not Action.READ and session.execute(select(LISTS.c.id).where(LISTS.c.id == key, _editable(actor))).first() is None:
        raise NotPermitted("Only the person who made this list, or their manager, can change it.")
    return found


def may_edit(session: Session, actor: Actor, list_id: int) -> bool:
    """Whether the actor may change this list; for buttons."""
    require(actor, "activity", Action.CREATE)
    return session.execute(select(LISTS.c.id).where(LISTS.c.id == list_id, _editable(actor))).first() is not None


def _seen(actor: Actor) -> Any:
    """“Only me” holds against every role; shared lists are seen by those who call from them, and by the managers of the owner."""
    shared = LISTS.c.reach != DialReach.PRIVATE
    team = and_(LISTS.c.reach == DialReach.TEAM, LISTS.c.team_id == actor.team_id) if actor.team_id else false()
    mine = LISTS.c.owner_id == actor.user_id
    managed = and_(shared, owned_within(actor, LISTS.c.owner_id, actor.scopes("activity", Action.READ)))
    return or_(mine, team, LISTS.c.reach == DialReach.SHARED, managed)


def _editable(actor: Actor) -> Any:
    managed = owned_within(actor, LISTS.c.owner_id, actor.scopes("activity", Action.EDIT))
    return or_(LISTS.c.owner_id == actor.user_id, and_(LISTS.c.reach != DialReach.PRIVATE, managed))


def launched(session: Session, actor: Actor) -> dict[int, str]:
    """The campaigns whose call list can be called from here: id → name."""
    if not actor.can("campaign", Action.READ):
        return {}
    mine = select(Campaign.id, Campaign.name).join(CampaignPlan, CampaignPlan.campaign_id == Campaign.id)  # type: ignore[call-overload, arg-type]
    plan: Any = CampaignPlan.__table__  # type: ignore[attr-defined]
    channel: Any = CampaignChannel.__table__  # type: ignore[attr-defined]
    beside = select(channel.c.campaign_id).where(channel.c.outlet == Outlet.CALL_LIST)
    ready = (
        or_(plan.c.outlet == Outlet.CALL_LIST, plan.c.campaign_id.in_(beside)),
        plan.c.launched_at.is_not(None),
        plan.c.state != PlanState.STOPPED,
    )
    found = session.execute(mine.where(*ready).order_by(alphabetical(Campaign.name)).limit(200)).all()
    return {key: name for key, name in found if key in lists.titles(session, actor, "campaign", [key])}


def save(
    session: Session, actor: Actor, list_id: int | None, values: Mapping[str, Any], *, base_version: int | None = None
) -> tuple[int, int]:
    """Make a list and fill it, or change one: (its id, how many can be called). People, order and purpose of a list that exists stay as they are; ``refill`` looks anew.

    Events: dial_list.saved.
    """
    require(actor, "activity", Action.CREATE)
    row = get(session, actor, list_id, action=Action.EDIT) if list_id else DialList(name="", owner_id=actor.user_id)
    refuse_stale("this list", row, base_version)
    made = _checked(session, actor, {**row.model_dump(), **values})
    if list_id is None:
        made |= _source(session, actor, values)
    other_hours = any(made[key] != getattr(row, key) for key in ("from_minute", "until_minute", "weekdays_only", "calendar_id"))
    for key, value in made.items():
        setattr(row, key, value)
    session.add(row)
    session.flush()
    if list_id is not None and other_hours:  # whoever waits for the hours of before is looked at anew
        asleep = (ENTRIES.c.list_id == row.id, ENTRIES.c.wait == DialWait.HOURS)
        session.execute(update(ENTRIES).where(*asleep).values(due_at=None, wait=None))
    events.record(session, actor, "dial_list.saved", entity="dial_list", record_id=row.id, data={"name": row.name})
    return row.id, (_fill(session, actor, row) if list_id is None else progress(session, actor, row.id).total)


def _checked(session: Session, actor: Actor, given: Mapping[str, Any]) -> dict[str, Any]:
    wrong: dict[str, str] = {}
    made: dict[str, Any] = {"name": clean(str(given.get("name") or ""))[:120], "weekdays_only": bool(given.get("weekdays_only"))}
    if not made["name"]:
        wrong["name"] = "Give the list a name."
    for key, (low, high) in NUMBERS.items():
        value = given.get(key)
        made[key] = value if isinstance(value, int) else low - 1
        if not low <= made[key] <= high:
            wrong[key] = _WORDS[key]
    if not wrong and made["from_minute"] >= made["until_minute"]:
        wrong["until_minute"] = "The end of the calling hours comes after their beginning."
    reach = given.get("reach")
    made["reach"] = DialReach(reach) if reach in DialReach.options() else DialReach.PRIVATE
    if made["reach"] is DialReach.TEAM and not (given.get("team_id") or actor.team_id):
        wrong["reach"] = "You are in no team. Share the list with everyone who calls, or keep it for yourself."
    made["team_id"] = (given.get("team_id") or actor.team_id) if made["reach"] is DialReach.TEAM else None
    made["calendar_id"] = given.get("calendar_id")
    if made["calendar_id"] is not None and session.get(ServiceCalendar, made["calendar_id"]) is None:
        wrong["calendar_id"] = "These working hours no longer exist."
    if wrong:
        raise Invalid(fields=wrong)
    return made


def holiday_sets(session: Session, actor: Actor) -> tuple[dict[int, str], int | None]:
    """The working hours whose special days a list can keep: id → name; and those that a new list of the actor begins with: of their own shift, else the
    first that know a holiday."""
    require(actor, "activity", Action.CREATE)
    rows = session.execute(select(ServiceCalendar).order_by(alphabetical(ServiceCalendar.name))).scalars().all()
    shift = session.execute(select(WorkProfile.calendar_id).where(WorkProfile.user_id == actor.user_id)).scalar()  # type: ignore[call-overload]
    first = next((row.id for row in rows if any(not day.hours for day in hours_of(row).exceptions)), None)
    return {row.id: row.name for row in rows}, shift if shift is not None else first


def _source(session: Session, actor: Actor, given: Mapping[str, Any]) -> dict[str, Any]:
    """Where the people come from, looked at with the eyes of whoever makes the list."""
    source, key = given.get("source"), given.get("source_id")
    if source not in DialSource.options():
        raise Invalid(fields={"source": "Say whom the list is made of."})
    purpose = given.get("purpose")
    made: dict[str, Any] = {"source": DialSource(source), "source_id": key, "q": clean(str(given.get("q") or ""))[:200]}
    made |= {"filter": given.get("filter") or None, "entity": str(given.get("entity") or ""), "campaign_id": None}
    made["purpose"] = Purpose(purpose) if purpose in Purpose.options() else None
    if source == DialSource.CAMPAIGN:
        campaign = campaigns.get(session, actor, key)
        made |= {"source_name": campaign.name, "campaign_id": campaign.id, "entity": "", "filter": None, "q": ""}
    elif source == DialSource.SEGMENT:
        segment = segments.get(session, actor, key)
        made |= {"source_name": segment.name, "entity": "lead" if segment.entity == "lead" else "contact", "filter": None, "q": ""}
    else:
        made |= dial_people.from_list(session, actor, made)
    order = str(given.get("order_by") or "")
    made["order_by"] = order if order in dial_people.orders(session, actor, made["entity"]) else ""
    return made


def preview(session: Session, actor: Actor, values: Mapping[str, Any]) -> dict[str, int]:
    """How many people a list made like this would have: gate that keeps them out (empty: none) → people."""
    require(actor, "activity", Action.CREATE)
    return dial_people.closed(session, actor, DialList(name="", **_source(session, actor, values)))


# --- fill -------------------------------------------------------------------------------------------------------------------


def refill(session: Session, actor: Actor, list_id: int) -> int:
    """Look anew who belongs on the list: new people come in, those who no longer match and were never tried go, ranks follow. Gives how many are
    to be called now. Events: dial_list.saved."""
    row = get(session, actor, list_id, action=Action.EDIT)
    events.record(session, actor, "dial_list.saved", entity="dial_list", record_id=row.id, data={"name": row.name})
    return _fill(session, actor, row)


def _fill(session: Session, actor: Actor, row: DialList) -> int:
    """Whoever fills a list waits for who fills it already. What is locked, is locked in the order in which calls lock it: list, who has whom before
    them, people by id."""
    now = utcnow()
    session.execute(select(DialList).where(LISTS.c.id == row.id).with_for_update().execution_options(populate_existing=True)).all()
    session.execute(select(CLAIMS.c.person).where(CLAIMS.c.list_id == row.id).order_by(CLAIMS.c.person).with_for_update()).all()
    people = dial_people.ranked(session, actor, row)
    there = {
        (("contact", one.contact_id) if one.contact_id else ("lead", one.lead_id)): one
        for one in session.execute(select(ENTRIES).where(ENTRIES.c.list_id == row.id))
    }
    fresh, known = [], []
    for rank, person in enumerate(people):
        state = DialState.LEFT_OUT if person.closed else DialState.WAITING
        values = {"rank": rank, "value": person.value, "left_out": person.closed, "updated_at": now}
        before = there.pop((person.key, person.id), None)
        if before is None:
            ids = {
                "contact_id": person.id if person.key == "contact" else None,
                "lead_id": person.id if person.key == "lead" else None,
            }
            fresh.append({**values, **ids, "list_id": row.id, "state": state, "attempts": 0, "created_at": now, "version": 1})
        else:
            known.append({**values, "b_id": before.id, "state": before.state if before.state is DialState.DONE else state})
    if fresh:
        session.execute(insert(ENTRIES), fresh)
    for values in sorted(known, key=lambda one: one["b_id"]):
        key = values.pop("b_id")
        session.execute(update(ENTRIES).where(ENTRIES.c.id == key).values(**values))
    untried = [one.id for one in there.values() if one.attempts == 0 and one.state is not DialState.DONE]
    untried.sort()
    for start in range(0, len(untried), 500):
        session.execute(delete(ENTRIES).where(ENTRIES.c.id.in_(untried[start : start + 500])))
    row.filled_at, row.closed_at = now, None
    session.add(row)
    session.flush()
    db.bump(session, ENTRIES.name)
    return sum(1 for person in people if not person.closed)


def close(session: Session, actor: Actor, list_id: int) -> None:
    """End a list: nobody is called from it any more; what was done stays to be read. Twice is the same as once."""
    row = get(session, actor, list_id, action=Action.EDIT)
    row.closed_at = row.closed_at or utcnow()
    session.add(row)
    session.flush()


def remove(session: Session, actor: Actor, list_id: int) -> None:
    """Delete a list with its results. The calls stay on the people. Events: dial_list.removed."""
    row = get(session, actor, list_id, action=Action.EDIT)
    events.record(session, actor, "dial_list.removed", entity="dial_list", record_id=row.id, data={"name": row.name})
    session.delete(row)
    session.flush()


# --- how far ----------------------------------------------------------------------------------------------------------------


def progress(session: Session, actor: Actor, list_id: int) -> Progress:
    """Where one list stands."""
    return progress_of(session, actor, [get(session, actor, list_id)]).get(list_id, Progress())


def progress_of(session: Session, actor: Actor, dials: Sequence[DialList]) -> dict[int, Progress]:
    """Where lists stand that the actor may see: whom they can call now is asked as the press asks that takes the next person."""
    require(actor, "activity", Action.CREATE)
    person = case((ENTRIES.c.contact_id.is_not(None), "contact"), else_="lead")
    untold = and_(ENTRIES.c.wait == DialWait.HOURS, person.in_(dial_due.timeless(actor)))
    late = case((and_(ENTRIES.c.due_at.is_not(None), ENTRIES.c.due_at > utcnow(), not_(func.coalesce(untold, False))), 1), else_=0)
    query = (
        select(ENTRIES.c.list_id, ENTRIES.c.state, ENTRIES.c.wait, late, func.count(), func.min(ENTRIES.c.due_at))
        .where(ENTRIES.c.list_id.in_([dial.id for dial in dials]))
        .group_by(ENTRIES.c.list_id, ENTRIES.c.state, ENTRIES.c.wait, late)
    )
    found: dict[int, list[Any]] = {}
    for list_id, *rest in session.execute(query):
        found.setdefault(list_id, []).append(rest)
    asked = {key for key, rows in found.items() if any(state is DialState.WAITING and not late for state, _, late, *_ in rows)}
    now = dial_due.stands(session, actor, [dial for dial in dials if dial.id in asked])
    return {list_id: _progress(rows, now.get(list_id, Due())) for list_id, rows in found.items()}


def _progress(rows: list[Any], now: Due) -> Progress:
    counts = {"total": 0, "done": 0, "left_out": now.left_out}
    waits = dict(now.waits or {})
    dues = [now.next_at] if now.next_at is not None else []
    for state, wait, late, count, first in rows:
        counts["left_out" if state is DialState.LEFT_OUT else "total"] += count
        if state is DialState.DONE:
            counts["done"] += count
        elif state is DialState.WAITING and late:
            waits[wait or DialWait.LATER] = waits.get(wait or DialWait.LATER, 0) + count
            dues.append(first)
    counts["total"] -= now.left_out
    return Progress(
        **counts, due=now.ready, callbacks_due=now.callbacks, taken=now.taken, hidden=now.hidden, waits=waits,
        next_at=min(dues) if dues else None,
    )  # fmt: skip


def left_out(session: Session, actor: Actor, list_id: int) -> dict[str, int]:
    """Why people of a list are not called: gate → how many."""
    row = get(session, actor, list_id)
    query = select(ENTRIES.c.left_out, func.count()).where(ENTRIES.c.list_id == row.id, ENTRIES.c.state == DialState.LEFT_OUT)
    return dict(session.execute(query.group_by(ENTRIES.c.left_out)).tuples().all())


__all__ = ["MOST", "ListRow", "Progress", "close", "find", "get", "holiday_sets", "launched", "left_out", "may_call", "may_edit", "preview", "progress", "progress_of", "refill", "remove", "save"]  # fmt: skip
