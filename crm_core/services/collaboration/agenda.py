"""The calendar: meetings, tasks, due times of tickets, expected closes and campaigns of the people one may see, as one list of entries."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import func, select
from sqlmodel import Session

from crm_core import lists, persons, records
from crm_core.access import Actor, owned_within, visible
from crm_core.entities import entity
from crm_core.errors import Invalid
from crm_core.models import Activity, User
from crm_core.ordering import alphabetical
from crm_core.services.collaboration import activities, tasks
from crm_core.vocabulary import DONE, Action, ActivityKind, StageKind, TaskStatus

KINDS = {"meeting": "Meetings", "task": "Tasks", "ticket": "Ticket due times", "deal": "Expected closes", "campaign": "Campaigns"}
ENTITY = {"meeting": "activity", "task": "task", "ticket": "ticket", "deal": "deal", "campaign": "campaign"}
MOST = 400
"""Entries of one kind that are read at once; a month of a large team is cut here, and the page says so."""
DEFAULT_MINUTES = 30


@dataclass(frozen=True)
class Entry:
    """One thing on the calendar. All-day entries have days (``last`` inclusive), others instants. ``opens``: entity and id that a press opens."""

    kind: str
    record_id: int
    title: str
    start: datetime | None
    end: datetime | None
    first: date | None
    last: date | None
    owner_id: int | None
    done: bool
    movable: bool
    version: int
    opens: tuple[str, int] | None
    updated_at: datetime


def kinds(session: Session, actor: Actor) -> dict[str, str]:
    """The kinds that the actor may see, with their words."""
    return {kind: label for kind, label in KINDS.items() if actor.can(ENTITY[kind], Action.READ)}


def people(session: Session, actor: Actor) -> dict[int, str]:
    """Id → name of the active colleagues whose meetings the actor may see, themselves first."""
    table = User.__table__  # type: ignore[attr-defined]
    owners = select(table.c.id, table.c.name).where(table.c.is_active).order_by(alphabetical(table.c.name))
    scopes = actor.scopes("activity", Action.READ)
    seen = owners.where(owned_within(actor, table.c.id, scopes)) if scopes else owners.where(table.c.id == actor.user_id)
    found = dict(session.execute(seen.limit(500)).tuples().all())
    own = {actor.user_id or 0: found.pop(actor.user_id or 0, actor.name)}
    return own | found


def find(
    session: Session,
    actor: Actor,
    since: date,
    until: date,
    *,
    owners: Sequence[int] | None = None,
    only: Sequence[str] | None = None,
) -> tuple[list[Entry], bool]:
    """Entries of the days from ``since`` to ``until`` (exclusive, the actor's days) in order, and whether some were cut off.

    ``owners``: of these people only; None means of everybody whom the actor may see.
    """
    zone = ZoneInfo(actor.timezone)
    start, end = (datetime.combine(day, time(), zone).astimezone(UTC) for day in (since, until))
    found: list[Entry] = []
    cut = False
    for kind in kinds(session, actor):
        if only is None or kind in only:
            rows = _READERS[kind](session, actor, (start, end), (since, until), owners)
            cut = cut or len(rows) >= MOST
            found += rows
    return sorted(found, key=lambda entry: _order(entry, zone)), cut


def _order(entry: Entry, zone: ZoneInfo) -> tuple[datetime, bool, str, int]:
    start = entry.start or datetime.combine(entry.first or date.min, time(), zone)
    return start, entry.start is not None, entry.kind, entry.record_id


def _rows(
    session: Session, actor: Actor, kind: str, names: Sequence[str], owners: Sequence[int] | None, order: str, *clauses: Any
) -> list[Any]:
    table = entity(ENTITY[kind]).table
    mine = [table.c.owner_id.in_(list(owners))] if owners is not None else []
    columns = [table.c[name] for name in ("id", "owner_id", "version", "updated_at", *names)]
    query = select(*columns).where(visible(actor, ENTITY[kind], table), *mine, *clauses).order_by(table.c[order]).limit(MOST)
    return list(session.execute(query).all())


def _may_edit(actor: Actor, kind: str) -> bool:
    return actor.can(ENTITY[kind], Action.EDIT)


Span = tuple[Any, Any]


def _meetings(session: Session, actor: Actor, at: Span, days: Span, owners: Sequence[int] | None) -> list[Entry]:
    table = entity("activity").table
    links = ("deal_id", "ticket_id", "lead_id", "contact_id", "account_id")
    lasting = not actor.masked("activity", "minutes")
    early = at[0] - timedelta(days=1)  # one that began yesterday may still go on; none is longer than a day
    rows = _rows(
        session, actor, "meeting", ("subject", "at", "minutes", *links), owners, "at",
        table.c.kind == ActivityKind.MEETING, table.c.at >= early, table.c.at < at[1],
    )  # fmt: skip
    entries = []
    subjects = persons.subjects(session, actor, "activity", {row.id: row.subject for row in rows})
    for row in rows:
        end = row.at + timedelta(minutes=(row.minutes if lasting else None) or DEFAULT_MINUTES)
        opens = next(((link.removesuffix("_id"), getattr(row, link)) for link in links if getattr(row, link)), None)
        if end > at[0]:
            entries.append(_timed("meeting", row, subjects[row.id], row.at, end, _may_edit(actor, "meeting"), opens))
    return entries


def _tasks(session: Session, actor: Actor, at: Span, days: Span, owners: Sequence[int] | None) -> list[Entry]:
    table = entity("task").table
    rows = _rows(
        session, actor, "task", ("subject", "due_at", "status"), owners, "due_at",
        table.c.status != TaskStatus.CANCELLED, table.c.due_at >= at[0], table.c.due_at < at[1],
    )  # fmt: skip
    subjects = persons.subjects(session, actor, "task", {row.id: row.subject for row in rows})
    return [
        _timed(
            "task", row, subjects[row.id], row.due_at, row.due_at + timedelta(minutes=DEFAULT_MINUTES),
            _may_edit(actor, "task") and row.status is TaskStatus.OPEN, ("task", row.id), done=row.status is TaskStatus.DONE,
        )
        for row in rows
    ]  # fmt: skip


def _tickets(session: Session, actor: Actor, at: Span, days: Span, owners: Sequence[int] | None) -> list[Entry]:
    table = entity("ticket").table
    rows = _rows(
        session, actor, "ticket", ("subject", "number", "sla_due_at"), owners, "sla_due_at",
        table.c.sla_due_at >= at[0], table.c.sla_due_at < at[1], table.c.status.not_in(DONE),
    )  # fmt: skip
    subjects = persons.subjects(session, actor, "ticket", {row.id: row.subject for row in rows})
    return [
        _timed(
            "ticket", row, f"{persons.hidden(actor, 'ticket', 'number', row.number)} {subjects[row.id]}", row.sla_due_at, row.sla_due_at + timedelta(minutes=DEFAULT_MINUTES), False,
            ("ticket", row.id),
        )
        for row in rows
    ]  # fmt: skip


def _deals(session: Session, actor: Actor, at: Span, days: Span, owners: Sequence[int] | None) -> list[Entry]:
    table = entity("deal").table
    rows = _rows(
        session, actor, "deal", ("name", "expected_close_on"), owners, "expected_close_on",
        table.c.outcome == StageKind.OPEN, table.c.expected_close_on >= days[0], table.c.expected_close_on < days[1],
    )  # fmt: skip
    return [_whole("deal", row, _named(actor, "deal", row), row.expected_close_on, row.expected_close_on) for row in rows]


def _campaigns(session: Session, actor: Actor, at: Span, days: Span, owners: Sequence[int] | None) -> list[Entry]:
    table = entity("campaign").table
    ends = func.coalesce(table.c.ends_on, table.c.starts_on)
    rows = _rows(
        session, actor, "campaign", ("name", "starts_on", "ends_on"), owners, "starts_on",
        table.c.starts_on < days[1], ends >= days[0],
    )  # fmt: skip
    return [_whole("campaign", row, _named(actor, "campaign", row), row.starts_on, row.ends_on or row.starts_on) for row in rows]


def _named(actor: Actor, key: str, row: Any) -> str:
    return persons.called(actor, key, row.id, row.name)


def _timed(
    kind: str,
    row: Any,
    title: str,
    start: datetime,
    end: datetime,
    movable: bool,
    opens: tuple[str, int] | None,
    *,
    done: bool = False,
) -> Entry:
    return Entry(kind, row.id, title, start, end, None, None, row.owner_id, done, movable, row.version, opens, row.updated_at)


def _whole(kind: str, row: Any, title: str, first: date, last: date) -> Entry:
    return Entry(
        kind, row.id, title, None, None, first, last, row.owner_id, False, False, row.version, (kind, row.id), row.updated_at
    )


_READERS: dict[str, Callable[..., list[Entry]]] = {
    "meeting": _meetings, "task": _tasks, "ticket": _tickets, "deal": _deals, "campaign": _campaigns,
}  # fmt: skip


# --- planning ---------------------------------------------------------------------------------------------------------------


def meet(session: Session, actor: Actor, values: Mapping[str, Any], *, submit_key: str | None = None) -> Activity:
    """Plan a meeting: subject, at, minutes, body, and the records it is about (account_id, contact_id, deal_id, lead_id, ticket_id, owner_id)."""
    if not str(values.get("subject") or "").strip():
        raise Invalid(fields={"subject": "Say what the meeting is about."})
    given = {"minutes": DEFAULT_MINUTES, **values, "kind": ActivityKind.MEETING}
    return records.create(session, actor, "activity", given, submit_key=submit_key, filled=given.keys() - values.keys() | {"kind"})


def move(
    session: Session,
    actor: Actor,
    kind: str,
    record_id: int,
    start: datetime,
    *,
    minutes: int | None = None,
    base_version: int | None = None,
) -> records.Saved:
    """Move a meeting (``minutes``: and make it longer or shorter) or the due time of an open task."""
    if kind == "meeting":
        changes: dict[str, Any] = {"at": start} | ({"minutes": max(5, min(minutes, 1440))} if minutes else {})
        return activities.update(session, actor, record_id, changes, base_version=base_version)
    if kind == "task":
        return tasks.update(session, actor, record_id, {"due_at": start}, base_version=base_version)
    raise Invalid("This can’t be moved here. Open it to change its date.")


def meeting(session: Session, actor: Actor, record_id: int) -> dict[str, Any]:
    """A meeting with its facts and the names of the records it is about."""
    row: Activity = records.get(session, actor, "activity", record_id)
    about = {}
    for key in ("account", "contact", "deal", "lead", "ticket"):
        linked = getattr(row, f"{key}_id")
        if linked and (name := lists.titles(session, actor, key, [linked]).get(linked)):
            about[key] = (linked, name)
    owner = lists.titles(session, actor, "user", [row.owner_id]).get(row.owner_id or 0, "")
    said = persons.subjects(session, actor, "activity", {row.id: row.subject})
    body, place = (persons.hidden(actor, "activity", key, getattr(row, key) or "") for key in ("body", "place"))
    minutes = DEFAULT_MINUTES if actor.masked("activity", "minutes") else row.minutes or DEFAULT_MINUTES
    return {
        "id": row.id, "subject": said[row.id], "at": row.at, "minutes": minutes, "body": body, "place": place, "version": row.version, "owner": owner, "about": about,
    }  # fmt: skip
