"""The one feed of a record: what people did (activities, tasks done, messages) and what changed, newest first, in sentences."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from sqlalchemy import and_, exists, false, func, not_, or_, select, true
from sqlmodel import Session

from crm_core import lists, merges, persons, records
from crm_core.access import Actor, visible
from crm_core.entities import ENTITIES, entity
from crm_core.events import sentence_of
from crm_core.fields import FieldSpec, registry
from crm_core.models import Activity, Event, Task, User
from crm_core.services.collaboration import timeline_mail, timeline_rules
from crm_core.vocabulary import Action, TaskStatus, Via

LINKS = {"account": "account_id", "contact": "contact_id", "deal": "deal_id", "lead": "lead_id", "ticket": "ticket_id"}
"""Entities on which an activity or a task can hang, and the column that says so."""

QUIET = {"stage_id", "stage_since", "last_activity_at", "version", "updated_at", "probability_own", "amount_locked", "outcome"}
"""Fields whose change is told otherwise (a stage has its own sentence), or follows from another one."""


@dataclass(frozen=True)
class Change:
    """A field that changed; values as stored (references as their titles)."""

    spec: FieldSpec
    old: Any
    new: Any


@dataclass(frozen=True)
class Item:
    """One entry. ``kind``: activity kind, ``task``, ``event``, ``letter`` or ``touch``; ``text`` is the user's own words; ``sentence`` has {placeholders} in ``data``."""

    kind: str
    at: datetime
    who: str
    title: str
    text: str = ""
    sentence: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    changes: tuple[Change, ...] = ()
    via: Via = Via.SCREEN
    entity: str = ""
    record_id: int = 0


def find(
    session: Session,
    actor: Actor,
    entity_key: str,
    record_id: int,
    *,
    kinds: str | Collection[str] = "all",
    team_id: int | None = None,
    limit: int = 30,
) -> tuple[list[Item], bool]:
    """The newest entries of a record the actor may see (an account's includes its deals, contacts and tickets), and whether there are more.

    ``kinds``: names of ``timeline_rules.NAMES``; ``team_id``: only what people of that team did.
    """
    records.get(session, actor, entity_key, record_id)
    wanted, by = timeline_rules.wanted(kinds), _of_team(session, team_id)
    items: list[Item] = []
    items += _activities(session, actor, entity_key, record_id, limit + 1, wanted, by)
    if timeline_rules.TASKS in wanted:
        items += _tasks(session, actor, entity_key, record_id, limit + 1, by)
    items += _events(session, actor, entity_key, record_id, limit + 1, wanted, by)
    items += _mail(session, actor, entity_key, record_id, limit + 1, wanted, by)
    if timeline_rules.TOUCHES in wanted and by is None:
        every = len(wanted) < len(timeline_rules.NAMES)
        items += [
            _touch_item(one) for one in timeline_mail.touches(session, actor, entity_key, record_id, every=every, limit=limit + 1)
        ]
    items.sort(key=lambda item: item.at, reverse=True)
    return items[:limit], len(items) > limit


def _of_team(session: Session, team_id: int | None) -> list[int] | None:
    if team_id is None:
        return None
    return list(session.execute(select(User.id).where(User.__table__.c.team_id == team_id)).scalars())  # type: ignore[attr-defined, call-overload]


def _mail(
    session: Session, actor: Actor, entity_key: str, record_id: int, limit: int, wanted: frozenset[str], by: list[int] | None
) -> list[Item]:
    if not wanted & {timeline_rules.MAILS, timeline_rules.TOUCHES}:
        return []
    link = Activity.__table__.c[LINKS[entity_key]] if entity_key in LINKS else None  # type: ignore[attr-defined]
    meetings = hangs_on(actor, "activity", Activity.__table__, entity_key, record_id) if link is not None else false()  # type: ignore[attr-defined]
    found = timeline_mail.letters(session, actor, entity_key, record_id, link=link, meetings=meetings, by=by, limit=limit)
    if timeline_rules.MAILS not in wanted:
        found = [one for one in found if one.kind == "campaign"]
    people = _people(session, actor, (one.user_id for one in found))
    return [
        Item(
            "letter",
            one.at,
            f"Campaign {one.campaign}" if one.campaign else people.get(one.user_id or 0, "Rapport"),
            one.subject,
            one.text,
            data={"label": timeline_rules.LETTERS.get(one.kind, "E-mail"), "state": one.state, "wrong": one.wrong},
            entity="mail",
            record_id=one.id,
        )
        for one in found
    ]


def _touch_item(one: timeline_mail.Touch) -> Item:
    data = {"label": one.words, "channel": one.channel, "campaign": one.campaign, "url": one.url}
    return Item("touch", one.at, "", one.campaign or one.channel, data=data, entity="touch", record_id=one.id)


OWNED = ("deal", "lead", "account", "contact", "ticket", "order")


LOOK = 5_000
"""So many of the latest events of others are looked through."""


def on_my_records(session: Session, actor: Actor, since: datetime, *, limit: int = 10) -> list[Item]:
    """What others did since then to records that the actor owns, newest first; of a busy house the latest few thousand events are looked through."""
    table = Event.__table__  # type: ignore[attr-defined]
    owned = _owned_kinds(session, actor)
    if not owned:
        return []
    order = (table.c.at.desc(), table.c.id.desc())
    others = func.coalesce(table.c.actor_id, 0) != actor.user_id
    kinds = table.c.entity.concat("").in_(owned)  # found by time, not by the index over entities
    columns = (table.c.id, table.c.at, table.c.entity, table.c.record_id)
    latest = select(*columns).where(table.c.at >= since, others, kinds).order_by(*order).limit(LOOK).subquery()
    mine = [_is_owned(actor, key, latest) for key in owned]
    query = select(latest.c.id).where(or_(false(), *mine)).order_by(latest.c.at.desc(), latest.c.id.desc()).limit(limit)
    found = session.execute(query).scalars().all()
    shown = list(session.execute(select(Event).where(table.c.id.in_(found)).order_by(*order)).scalars())
    people = _people(session, actor, (row.actor_id for row in shown))
    covers = persons.covers(session, actor, ((row.entity, row.record_id) for row in shown))
    return [_event_item(session, actor, row, people, covers, "", 0) for row in shown]


def _owned_kinds(session: Session, actor: Actor) -> list[str]:
    """The kinds of which the actor owns a record at all: most people own none of most."""
    kinds = [key for key in OWNED if actor.can(key, Action.READ)]
    if not kinds:
        return []
    any_of = [exists().where(entity(key).table.c.owner_id == actor.user_id).label(key) for key in kinds]
    found = session.execute(select(*any_of)).one()
    return [key for key, owns in zip(kinds, found, strict=True) if owns]


def _is_owned(actor: Actor, key: str, events: Any) -> Any:
    """An event is about a record of this entity that the actor owns and may see."""
    record = entity(key).table
    there = exists().where(record.c.id == events.c.record_id, record.c.owner_id == actor.user_id, visible(actor, key, record))
    return and_(events.c.entity == key, there)


_BELOW = {"account": ("contact", "deal", "ticket"), "contact": ("deal", "ticket")}
"""Whose activities and tasks hang on an entity as well: a call on a deal shows on the deal's account."""


def hangs_on(actor: Actor, kind: str, table: Any, entity_key: str, record_id: int) -> Any:
    """The activities or tasks (``kind``) of a record that whoever may see the record may read.

    The owner's scope narrows only their lists. But what was done about a deal and shows on its account too needs the deal in sight,
    unless it is one's own.
    """
    parts = []
    for key in _BELOW.get(entity_key, ()):
        link, below = table.c[LINKS[key]], entity(key).table
        # EXISTS looks up the few records that are linked; IN would list all that the actor may see.
        seen = exists().where(below.c.id == link, visible(actor, key, below, with_deleted=True)).correlate(table)
        parts.append(or_(link.is_(None), seen))
    mine = visible(actor, kind, table, with_deleted=True)
    return and_(table.c[LINKS[entity_key]] == record_id, or_(mine, and_(*parts)) if parts else true())


def _activities(
    session: Session, actor: Actor, entity_key: str, record_id: int, limit: int, wanted: frozenset[str], by: list[int] | None
) -> list[Item]:
    kinds = [kind for kind, name in timeline_rules.OF_ACTIVITY.items() if name in wanted]
    if entity_key not in LINKS or not kinds:
        return []
    table = Activity.__table__  # type: ignore[attr-defined]
    narrowed = [] if len(kinds) == len(timeline_rules.OF_ACTIVITY) else [table.c.kind.in_(kinds)]
    narrowed += [table.c.owner_id.in_(by)] if by is not None else []
    query = (
        select(Activity)
        .where(hangs_on(actor, "activity", table, entity_key, record_id), table.c.deleted_at.is_(None), *narrowed)
        .order_by(table.c.at.desc())
        .limit(limit)
    )
    return of_activities(session, actor, list(session.execute(query).scalars()))


def of_activities(session: Session, actor: Actor, found: Sequence[Activity]) -> list[Item]:
    """Entries of activities that the actor was found to see."""
    people = _people(session, actor, (row.owner_id for row in found))
    talks = timeline_mail.talks(session, [row.id for row in found])
    subjects = persons.subjects(session, actor, "activity", {row.id: row.subject for row in found})
    return [
        Item(
            row.kind.value,
            row.at,
            people.get(row.owner_id or 0, ""),
            subjects[row.id],
            persons.hidden(actor, "activity", "body", row.body or ""),
            data={
                "minutes": None if actor.masked("activity", "minutes") else row.minutes,
                "outcome": row.outcome.label if row.outcome else "",
                **({"talk": talks[row.id]} if row.id in talks else {}),
            },
            entity="activity",
            record_id=row.id,
        )
        for row in found
    ]


def _tasks(session: Session, actor: Actor, entity_key: str, record_id: int, limit: int, by: list[int] | None) -> list[Item]:
    if entity_key not in LINKS:
        return []
    table = Task.__table__  # type: ignore[attr-defined]
    query = (
        select(Task)
        .where(
            hangs_on(actor, "task", table, entity_key, record_id),
            table.c.status == TaskStatus.DONE,
            table.c.deleted_at.is_(None),
            table.c.done_at.is_not(None),
            *([table.c.owner_id.in_(by)] if by is not None else []),
        )
        .order_by(table.c.done_at.desc())
        .limit(limit)
    )
    found = list(session.execute(query).scalars())
    people = _people(session, actor, (row.owner_id for row in found))
    subjects = persons.subjects(session, actor, "task", {row.id: row.subject for row in found})
    return [
        Item(
            "task",
            row.done_at,
            people.get(row.owner_id or 0, ""),
            subjects[row.id],
            persons.hidden(actor, "task", "body", row.body or ""),
            entity="task",
            record_id=row.id,
        )
        for row in found
        if row.done_at is not None
    ]


QUIET_TYPES = ("activity.created", "activity.updated", "task.created", "task.updated", "deal.step_followed")
CHILDREN = ("contact", "deal", "order", "ticket")
MAX_ROUNDS = 6


def _events(
    session: Session, actor: Actor, entity_key: str, record_id: int, limit: int, wanted: frozenset[str], by: list[int] | None
) -> list[Item]:
    table = Event.__table__  # type: ignore[attr-defined]
    kinds = _event_clause(table, entity_key, wanted)
    if kinds is None:
        return []
    narrowed = and_(table.c.type.not_in(QUIET_TYPES), kinds, *([table.c.actor_id.in_(by)] if by is not None else []))
    found = [
        one
        for place in _event_places(session, table, entity_key, record_id, wanted)
        for one in _seen(session, actor, entity_key, place, narrowed, limit)
    ]
    found = sorted(found, key=lambda one: one.id, reverse=True)[:limit]
    people = _people(session, actor, (row.actor_id for row in found))
    for key in {row.entity for row in found} - {entity_key}:  # all names of a kind at once; the session remembers them
        lists.titles(session, actor, key, {row.record_id for row in found if row.entity == key})
    covers = persons.covers(session, actor, ((row.entity, row.record_id) for row in found))
    return [_event_item(session, actor, row, people, covers, entity_key, record_id) for row in found]


def _event_places(session: Session, table: Any, entity_key: str, record_id: int, wanted: frozenset[str]) -> list[Any]:
    """Where the log tells of a record: each place has an index of its own, and is asked by itself. What it says of records that were merged into this
    one belongs to it; that they went to the bin by it is no news."""
    merged = merges.came_in(session, entity_key, [record_id])
    column = table.c.account_id if entity_key == "account" else table.c.record_id
    kind = [] if entity_key == "account" else [table.c.entity == entity_key]
    places = [and_(*kind, column == record_id)]
    of_merges = [f"{entity_key}.{verb}" for verb in ("archived", "merged_away")]
    places += [and_(*kind, column == one, table.c.type.not_in(of_merges)) for one in merged]
    if entity_key == "account":
        return places
    for key, name in (("ticket", timeline_rules.TICKETS), ("order", timeline_rules.ORDERS)):
        if entity_key == "contact" and name in wanted:
            below = entity(key).table
            places.append(
                and_(table.c.entity == key, table.c.record_id.in_(select(below.c.id).where(below.c.contact_id == record_id)))
            )
    return places


_OF_EVENTS = frozenset({timeline_rules.TICKETS, timeline_rules.ORDERS, timeline_rules.STAGES, timeline_rules.CHANGES})


def _event_clause(table: Any, entity_key: str, wanted: frozenset[str]) -> Any:
    """The events of the kinds that were asked for; None when there can be none."""
    if wanted >= _OF_EVENTS:
        return true()
    of_tickets, of_orders = (table.c.entity == key if key != entity_key else false() for key in ("ticket", "order"))
    of_stages = table.c.type.in_(timeline_rules.STAGE_TYPES)
    parts = {
        timeline_rules.TICKETS: of_tickets,
        timeline_rules.ORDERS: of_orders,
        timeline_rules.STAGES: of_stages,
        timeline_rules.CHANGES: and_(not_(of_tickets), not_(of_orders), not_(of_stages)),
    }
    asked = [part for name, part in parts.items() if name in wanted]
    return or_(*asked) if asked else None


def _seen(session: Session, actor: Actor, entity_key: str, place: Any, narrowed: Any, limit: int) -> list[Event]:
    table = Event.__table__  # type: ignore[attr-defined]
    found: list[Event] = []
    before: int | None = None
    for _ in range(MAX_ROUNDS):  # slices, since visibility of an account's children is decided per slice, never over all of them
        clause = and_(place, narrowed, *([table.c.id < before] if before is not None else []))
        batch = list(session.execute(select(Event).where(clause).order_by(table.c.id.desc()).limit(limit * 2)).scalars())
        found += _within_sight(session, actor, entity_key, batch)
        if len(found) >= limit or len(batch) < limit * 2:
            break
        before = batch[-1].id
    return found[:limit]


def _within_sight(session: Session, actor: Actor, entity_key: str, batch: list[Event]) -> list[Event]:
    """The events of the record itself, and those of its children that the actor may see."""
    seen: set[tuple[str, int]] = set()
    for key in CHILDREN:
        ids = {event.record_id for event in batch if event.entity == key}
        if ids and key != entity_key:
            # whose name the actor may read (or would, were it not masked) they may see; the session keeps the names for the entries
            seen |= {(key, record_id) for record_id in lists.titles(session, actor, key, ids)}
    return [event for event in batch if event.entity == entity_key or (event.entity, event.record_id) in seen]


def _event_item(
    session: Session,
    actor: Actor,
    row: Event,
    people: Mapping[int, str],
    covers: Mapping[persons.Place, persons.Cover],
    entity_key: str,
    record_id: int,
) -> Item:
    changes = tuple(_changes(session, actor, row))
    other = row.entity != entity_key or row.record_id != record_id
    title = lists.titles(session, actor, row.entity, [row.record_id]).get(row.record_id, "") if other else ""
    data = {
        **persons.told(actor, row.data, covers.get((row.entity, row.record_id))),
        "entity": entity(row.entity).label.lower(),
        "fields": ", ".join(change.spec.label.lower() for change in changes),
    }
    return Item(
        "event",
        row.at,
        people.get(row.actor_id or 0, "Rapport" if row.actor_id is None else "Somebody"),
        title,
        sentence=sentence_of(row.type),
        data=data,
        changes=changes if row.type.endswith(".updated") or row.type.startswith("deal.") else (),
        via=row.via,
        entity=row.entity,
        record_id=row.record_id,
    )


def _changes(session: Session, actor: Actor, row: Event) -> Iterable[Change]:
    specs = registry(session, row.entity) if row.entity in ENTITIES else {}
    for key, (old, new) in row.changes.items():
        spec = specs.get(key)
        if spec is None or key in QUIET:
            continue
        if actor.masked(row.entity, key):
            yield Change(spec, *_veiled(actor, spec, old, new))
        elif spec.to in ENTITIES:
            known = lists.titles(session, actor, spec.to or "", [old, new])
            yield Change(spec, known.get(old), known.get(new))
        else:
            yield Change(spec, typed(spec, old), typed(spec, new))


def _veiled(actor: Actor, spec: FieldSpec, old: Any, new: Any) -> tuple[Any, Any]:
    """A change of a masked field. Where no trace is shown, not even that there was nothing before is told."""
    if not actor.veiled(spec.entity, spec.key):
        return lists.MASK, lists.MASK
    return lists.instead(actor, spec, old), lists.instead(actor, spec, new)


def typed(spec: FieldSpec, value: Any) -> Any:
    """A value of the log as the record holds it."""
    if value is None or not isinstance(value, str):
        return value
    if value == lists.MASK:  # taken out of the log by its retention
        return lists.MASK
    if spec.enum is not None:
        return spec.enum(value) if value in {one.value for one in spec.enum} else value
    kind = spec.kind.value
    return date.fromisoformat(value) if kind == "date" else datetime.fromisoformat(value) if kind == "datetime" else value


def _people(session: Session, actor: Actor, ids: Iterable[int | None]) -> dict[int, str]:
    return lists.titles(session, actor, "user", ids)


__all__ = ["LINKS", "Change", "Item", "find", "hangs_on", "of_activities", "on_my_records", "typed"]
