"""Entries that stand on top of a record's timeline, and which entries their reader may put right."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import select
from sqlmodel import Session

from crm_core import records
from crm_core.access import Actor, visible
from crm_core.db import shared
from crm_core.entities import entity
from crm_core.errors import Invalid, NotFound
from crm_core.models import Activity, Pin
from crm_core.services.collaboration import timeline
from crm_core.vocabulary import Action

MOST = 3
"""What stands on top is what everybody must know: more of it is none."""

_PIN: Any = Pin.__table__  # type: ignore[attr-defined]
_ACTIVITY: Any = Activity.__table__  # type: ignore[attr-defined]


def find(session: Session, actor: Actor, entity_key: str, record_id: int) -> list[timeline.Item]:
    """The pinned entries of a record the actor may see, in the order in which they were pinned."""
    records.get(session, actor, entity_key, record_id)
    if (entity_key, record_id) not in shared(session, "pinned", ("pin",), lambda: _pinned(session)):
        return []
    rows = select(Activity).join(_PIN, _PIN.c.activity_id == _ACTIVITY.c.id).where(*_on(actor, entity_key, record_id))
    return timeline.of_activities(session, actor, list(session.execute(rows.order_by(_PIN.c.id)).scalars()))


def _pinned(session: Session) -> set[tuple[str, int]]:
    """Records that have a pin: every timeline asks, few have one."""
    return set(session.execute(select(_PIN.c.entity, _PIN.c.record_id).distinct()).tuples())


def _on(actor: Actor, entity_key: str, record_id: int) -> tuple[Any, ...]:
    seen = timeline.hangs_on(actor, "activity", _ACTIVITY, entity_key, record_id)
    return _PIN.c.entity == entity_key, _PIN.c.record_id == record_id, seen, _ACTIVITY.c.deleted_at.is_(None)


def pin(session: Session, actor: Actor, entity_key: str, record_id: int, activity_id: int) -> None:
    """Put an entry on top of a record's timeline for everybody who sees it. Takes the right to edit the record; three at most. Twice is once."""
    record = records.get(session, actor, entity_key, record_id, action=Action.EDIT)
    if entity_key not in timeline.LINKS:
        raise Invalid("Nothing is pinned here.")
    _one_at_a_time(session, entity_key, record.id)
    hangs = timeline.hangs_on(actor, "activity", _ACTIVITY, entity_key, record_id)
    there = select(_ACTIVITY.c.id).where(_ACTIVITY.c.id == activity_id, hangs, _ACTIVITY.c.deleted_at.is_(None))
    if session.execute(there).first() is None:
        raise NotFound("This entry is gone, or is not shared with you.")
    mine = (_PIN.c.entity == entity_key, _PIN.c.record_id == record_id)
    live = (
        select(_PIN.c.activity_id)
        .join(_ACTIVITY, _ACTIVITY.c.id == _PIN.c.activity_id)
        .where(*mine, _ACTIVITY.c[timeline.LINKS[entity_key]] == record_id, _ACTIVITY.c.deleted_at.is_(None))
    )
    pinned = set(session.execute(live).scalars())
    if activity_id in pinned:
        return
    if len(pinned) >= MOST:
        raise Invalid(f"{MOST} entries are pinned already. Take one off first.")
    session.add(Pin(entity=entity_key, record_id=record_id, activity_id=activity_id))
    session.flush()


def _one_at_a_time(session: Session, entity_key: str, record_id: int) -> None:
    table = entity(entity_key).table
    session.execute(select(table.c.id).where(table.c.id == record_id).with_for_update())


def unpin(session: Session, actor: Actor, entity_key: str, record_id: int, activity_id: int) -> None:
    """Take an entry off the top. Takes the right to edit the record."""
    records.get(session, actor, entity_key, record_id, action=Action.EDIT)
    mine = (Pin.entity == entity_key, Pin.record_id == record_id, Pin.activity_id == activity_id)
    for row in session.execute(select(Pin).where(*mine)).scalars():  # type: ignore[arg-type]
        session.delete(row)
    session.flush()


def mine_to_change(session: Session, actor: Actor, ids: Iterable[int]) -> tuple[set[int], set[int]]:
    """Those of these activities that the actor may edit, and those that the actor may delete."""

    def reached(action: Action) -> set[int]:
        clause = visible(actor, "activity", _ACTIVITY, action)
        return set(session.execute(select(_ACTIVITY.c.id).where(_ACTIVITY.c.id.in_(wanted), clause)).scalars())

    wanted = list(ids)
    return reached(Action.EDIT), reached(Action.DELETE)
