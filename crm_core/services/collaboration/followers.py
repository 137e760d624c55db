"""Telling followers what happened on a record: read from the log of events each minute, with the assignments.

Of each record a follower is told once an hour; what decides something (won, another owner, a customer wrote) takes the place of what merely
happened and was not read yet. Many records at once are one sentence.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select
from sqlmodel import Session

from crm_core import db
from crm_core.access import visible
from crm_core.entities import entity
from crm_core.models import Activity, Event, Follow
from crm_core.services.collaboration import follow_rules, notifications, timeline
from crm_core.services.collaboration.notifications import NOTES, News
from crm_core.vocabulary import Via

MANY = 5
"""More records of one kind in one look are told in one sentence."""

_EVENTS: Any = Event.__table__  # type: ignore[attr-defined]
_FOLLOW: Any = Follow.__table__  # type: ignore[attr-defined]
_ACTIVITY: Any = Activity.__table__  # type: ignore[attr-defined]
_SILENT = (Via.IMPORT, Via.DEMO)


@dataclass(frozen=True)
class Heard:
    """One thing that happened on a record, for one of its followers."""

    user_id: int
    entity: str
    record_id: int
    event_id: int
    type: str
    by: int | None
    at: datetime
    what: str
    entry_id: int = 0

    @property
    def hour(self) -> str:
        """The key under which the person is told of the record in this hour."""
        return f"follow:{self.entity}:{self.record_id}:{self.at:%Y%m%d%H}"

    @property
    def rank(self) -> tuple[int, int]:
        """What is told when several things happened: the weightiest, of these the last."""
        return follow_rules.weight(self.type), self.event_id


def tell_news(session: Session, since: datetime, until: datetime) -> int:
    """Tell followers what happened between two whole minutes; gives how many sentences that were."""
    if session.execute(select(_FOLLOW.c.id).limit(1)).first() is None:
        return 0
    best: dict[tuple[int, str, int], Heard] = {}
    for one in _not_told_anyway(session, [*_changes(session, since, until), *_entries(session, since, until)]):
        place = one.user_id, one.entity, one.record_id
        if place not in best or best[place].rank < one.rank:
            best[place] = one
    return notifications.notify_many(session, list(_news(session, list(best.values()))))


def _changes(session: Session, since: datetime, until: datetime) -> Iterable[Heard]:
    of_record = (_FOLLOW.c.entity == _EVENTS.c.entity.concat("")) & (_FOLLOW.c.record_id == _EVENTS.c.record_id)
    for row in session.execute(_happened(since, until, _FOLLOW.c.entity, _FOLLOW.c.record_id).join(_FOLLOW, of_record)):
        what = follow_rules.words(row.type, row.changes)
        if what:
            yield Heard(row.user_id, row.entity, row.record_id, row.id, row.type, row.actor_id, row.at, what)


def _entries(session: Session, since: datetime, until: datetime) -> Iterable[Heard]:
    """What was logged, for the followers of each record on which it hangs and shows."""
    for key, link in timeline.LINKS.items():
        query = _happened(
            since, until, _ACTIVITY.c.kind, _ACTIVITY.c[link].label("record_id"), _EVENTS.c.record_id.label("entry_id")
        )
        query = query.join(_ACTIVITY, _ACTIVITY.c.id == _EVENTS.c.record_id)
        query = query.join(_FOLLOW, (_FOLLOW.c.entity == key) & (_FOLLOW.c.record_id == _ACTIVITY.c[link]))
        for row in session.execute(query.where(_EVENTS.c.type == follow_rules.ENTRY, _ACTIVITY.c.deleted_at.is_(None))):
            what = follow_rules.words(row.type, {}, row.kind.value)
            one = Heard(row.user_id, key, row.record_id, row.id, row.type, row.actor_id, row.at, what, row.entry_id)
            if _shows(session, one):
                yield one


def _happened(since: datetime, until: datetime, *columns: Any) -> Any:
    """The events of that time that matter, of others, with who follows; whoever follows since then is told nothing of before."""
    log = _EVENTS.c
    query = select(_FOLLOW.c.user_id, log.id, log.type, log.actor_id, log.at, log.changes, *columns).select_from(_EVENTS)
    return query.where(
        log.at >= since, log.at < until, log.type.in_(follow_rules.TYPES), log.via.not_in(_SILENT), _FOLLOW.c.created_at <= log.at,
        log.actor_id.is_distinct_from(_FOLLOW.c.user_id),
    )  # fmt: skip


def _shows(session: Session, one: Heard) -> bool:
    """Whether an entry stands on the timeline as the follower sees it: a call on a deal shows on its account only with the deal."""
    actor = notifications.reader(session, one.user_id)
    if actor is None:
        return False
    there = _ACTIVITY.c.id == one.entry_id, timeline.hangs_on(actor, "activity", _ACTIVITY, one.entity, one.record_id)
    return session.execute(select(_ACTIVITY.c.id).where(*there)).first() is not None


def _not_told_anyway(session: Session, found: Sequence[Heard]) -> Iterable[Heard]:
    """Without that of which the owner of a record is told as its owner: that it is theirs, and that the customer wrote."""
    owners: dict[tuple[str, int], int | None] = {}
    for key in {one.entity for one in found}:
        table = entity(key).table
        if "owner_id" in table.c:
            ids = sorted({one.record_id for one in found if one.entity == key})
            for start in range(0, len(ids), 500):
                query = select(table.c.id, table.c.owner_id).where(table.c.id.in_(ids[start : start + 500]))
                owners |= {(key, row.id): row.owner_id for row in session.execute(query)}
    for one in found:
        as_owner = one.type == follow_rules.ANSWER or one.type.endswith(".owner_changed")
        if not (as_owner and owners.get((one.entity, one.record_id)) == one.user_id):
            yield one


def _news(session: Session, found: Sequence[Heard]) -> Iterable[News]:
    groups: dict[tuple[int, str], list[Heard]] = {}
    for one in found:
        groups.setdefault((one.user_id, one.entity), []).append(one)
    for (user_id, key), everything in groups.items():
        group = _within_sight(session, user_id, key, everything)
        if len(group) > MANY:
            last = max(group, key=lambda one: one.event_id)
            yield News(user_id, "follow.news", f"follow:{key}:many:{last.at:%Y%m%d%H}", {"count": len(group)}, key, None, last.at)
            continue
        for one in group:
            if _makes_room(session, one):
                yield _of(one)


def _within_sight(session: Session, user_id: int, key: str, found: Sequence[Heard]) -> list[Heard]:
    """What happened to records that the follower may still see: how many others there were is told to nobody."""
    actor, table = notifications.reader(session, user_id), entity(key).table
    if actor is None:
        return []
    mine = table.c.id.in_({one.record_id for one in found}), visible(actor, key, table)
    seen = set(session.execute(select(table.c.id).where(*mine)).scalars())
    return [one for one in found if one.record_id in seen]


def _of(one: Heard) -> News:
    kind = "follow.answer" if one.type == follow_rules.ANSWER else "follow.news"
    key = f"{one.hour}!" if one.rank[0] > 1 else one.hour
    params = {"by": one.by, "what": one.what}
    return News(one.user_id, kind, key, params, one.entity, one.record_id, one.at)


def _makes_room(session: Session, one: Heard) -> bool:
    """Whether there is still something to tell in this hour; what decides replaces what merely happened, unless that was read or mailed."""
    mine = NOTES.c.user_id == one.user_id
    if one.rank[0] == 1:
        return session.execute(select(NOTES.c.id).where(mine, NOTES.c.dedupe_key == f"{one.hour}!")).first() is None
    unread = NOTES.c.read_at.is_(None), NOTES.c.mailed_at.is_(None)
    if session.execute(delete(NOTES).where(mine, NOTES.c.dedupe_key == one.hour, *unread)).rowcount:  # type: ignore[attr-defined]
        db.bump(session, NOTES.name)
    return True
