"""Telling people: one row per thing and person, kept once whatever is tried twice, read with the rights of the day on which it is read."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, exists, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session

from crm_core import access, db, house, lists, persons
from crm_core.access import Actor, visible
from crm_core.entities import ENTITIES, entity, label_of
from crm_core.errors import NotPermitted
from crm_core.fields import to_json
from crm_core.jobs import Job, job
from crm_core.kit import week
from crm_core.kit.clock import utcnow
from crm_core.models import Notification, RolePermission, UserPreference, UserRole
from crm_core.services.collaboration import notification_rules
from crm_core.services.collaboration.notification_rules import KINDS, Kind, Wishes
from crm_core.vocabulary import Action, MailWay

NOTES: Any = Notification.__table__  # type: ignore[attr-defined]
MOST = 100
"""The count on the bell stops here."""
KEPT_DAYS = 180
_WISHES = "notification_wishes"
HIDDEN = "something that is no longer shared with you"


@dataclass(frozen=True)
class Told:
    """One notification as its reader may see it. ``words`` has {placeholders} in ``values``; ``page``: the screen it opens, "" for none."""

    id: int
    kind: Kind
    words: str
    values: Mapping[str, Any]
    at: datetime
    read: bool
    entity: str
    record_id: int | None
    page: str
    query: Mapping[str, Any]

    def text(self) -> str:
        """The plain sentence, for messages."""
        return notification_rules.spoken(self.words, self.values)


# --- telling ----------------------------------------------------------------------------------------------------------------


def notify(
    session: Session,
    user_id: int | None,
    *,
    kind: str,
    params: Mapping[str, Any] | None = None,
    entity: str | None = None,
    record_id: int | None = None,
    dedupe_key: str,
    at: datetime | None = None,
) -> bool:
    """Tell a person something when the session commits. False when that key was told before, or when there is nobody to tell.

    Nobody is told what they did themselves (``params["by"]``), nor about a record that they may not see; who left is told nothing. The
    record must be flushed. ``at``: when it happens, if not now. Other channels follow the person's wishes and quiet hours.
    """
    note = News(user_id or 0, kind, dedupe_key, params or {}, entity, record_id, at)
    if user_id is None or note.params.get("by") == user_id:
        return False
    actor = reader(session, user_id)
    return actor is not None and _news(session, actor, note) and _insert(session, [_values(session, actor, note)]) == 1


def notify_managers(session: Session, area: str, *, kind: str, params: Mapping[str, Any], dedupe_key: str) -> None:
    """Tell everybody whose roles let them manage an area."""
    grants = select(RolePermission.role_id).where(RolePermission.entity == area, RolePermission.action == Action.MANAGE)  # type: ignore[call-overload]
    people = select(UserRole.user_id).where(UserRole.role_id.in_(grants)).distinct()  # type: ignore[call-overload, attr-defined]
    for user_id in session.execute(people).scalars().all():
        notify(session, user_id, kind=kind, params=params, dedupe_key=dedupe_key)


@dataclass(frozen=True)
class News:
    """What one person is to be told (see ``notify``)."""

    user_id: int
    kind: str
    dedupe_key: str
    params: Mapping[str, Any]
    entity: str | None = None
    record_id: int | None = None
    at: datetime | None = None


def notify_many(session: Session, news: Sequence[News]) -> int:
    """Tell many things at once, as ``notify`` would one by one; gives how many were new."""
    rows = []
    for user_id in dict.fromkeys(note.user_id for note in news):
        actor = reader(session, user_id)
        if actor is not None:
            mine = [note for note in news if note.user_id == user_id and note.params.get("by") != user_id]
            rows += [_values(session, actor, note) for note in _seen_by(session, actor, mine)]
    return _insert(session, rows) if rows else 0


def _seen_by(session: Session, actor: Actor, news: Sequence[News]) -> list[News]:
    """Of what they are to be told, that about records which the person may see."""
    wanted: dict[str, set[int]] = {}
    for note in news:
        if note.entity is not None and note.record_id is not None:
            wanted.setdefault(note.entity, set()).add(note.record_id)
    seen = set()
    for key, ids in wanted.items():
        table = entity(key).table
        found = session.execute(select(table.c.id).where(table.c.id.in_(ids), visible(actor, key, table))).scalars()
        seen |= {(key, record_id) for record_id in found}
    return [note for note in news if note.entity is None or note.record_id is None or (note.entity, note.record_id) in seen]


def _values(session: Session, actor: Actor, note: News) -> dict[str, Any]:
    now, wishes = utcnow(), wishes_of(session, actor)
    when = note.at or now
    app, way = wishes.of(KINDS[note.kind])
    return {
        "user_id": note.user_id, "kind": note.kind, "entity": note.entity, "record_id": note.record_id,
        "params": {key: to_json(value) for key, value in note.params.items()}, "dedupe_key": note.dedupe_key[:200], "at": when, "show_at": when,
        "in_app": app, "mail": way, "mail_due_at": notification_rules.mail_due(way, when, wishes),
        "created_at": now, "updated_at": now, "version": 1,
    }  # fmt: skip


def _insert(session: Session, rows: Sequence[Mapping[str, Any]]) -> int:
    insert = sqlite.insert if db.is_sqlite(session) else postgresql.insert
    once = insert(NOTES).on_conflict_do_nothing(index_elements=["user_id", "dedupe_key"]).returning(NOTES.c.id)
    new = len(session.execute(once, list(rows)).all())
    if new:
        db.bump(session, NOTES.name)
    return new


def reader(session: Session, user_id: int) -> Actor | None:
    """The person with their rights, once per session; None for who left."""
    kept: dict[int, Actor | None] = session.info.setdefault("readers", {})
    if user_id not in kept:
        try:
            kept[user_id] = access.load(session, user_id)
        except NotPermitted:
            kept[user_id] = None
    return kept[user_id]


def _news(session: Session, actor: Actor, note: News) -> bool:
    """Whether the person was not told before, and may see the record."""
    before = and_(NOTES.c.user_id == actor.user_id, NOTES.c.dedupe_key == note.dedupe_key[:200])
    asked = [~exists(select(NOTES.c.id).where(before))]
    if note.entity is not None and note.record_id is not None:
        table = entity(note.entity).table
        asked.append(exists(select(table.c.id).where(table.c.id == note.record_id, visible(actor, note.entity, table))))
    return bool(session.execute(select(and_(*asked))).scalar_one())


def wishes_of(session: Session, actor: Actor) -> Wishes:
    """How a person wants to be told: what they chose, or the defaults; read once per session."""
    kept: dict[int | None, Wishes] = session.info.setdefault(_WISHES, {})
    if actor.user_id not in kept:
        row = session.get(UserPreference, actor.user_id)
        chosen = (row.channels, row.quiet_from, row.quiet_to, row.digest_minute, row.digest_weekday) if row is not None else ()
        kept[actor.user_id] = Wishes(actor.timezone, *chosen)
    return kept[actor.user_id]


# --- reading ----------------------------------------------------------------------------------------------------------------


def _mine(actor: Actor) -> Any:
    return and_(NOTES.c.user_id == actor.user_id, NOTES.c.in_app, NOTES.c.show_at <= utcnow())


def unread(session: Session, actor: Actor) -> int:
    """How many notifications the actor has not read, up to MOST. Kept until somebody is told something, at most a minute: every page asks."""

    def count() -> int:
        few = select(NOTES.c.id).where(_mine(actor), NOTES.c.read_at.is_(None)).limit(MOST).subquery()
        return int(session.execute(select(func.count()).select_from(few)).scalar_one())

    return db.shared(session, ("unread", actor.user_id), (NOTES.name,), count)


def find(
    session: Session,
    actor: Actor,
    *,
    unread_only: bool = False,
    kinds: Sequence[str] = (),
    page: int = 1,
    size: int = 20,
) -> tuple[list[Told], int]:
    """One page of the actor's notifications, the latest first, and how many there are."""
    parts = [_mine(actor), *([NOTES.c.read_at.is_(None)] if unread_only else []), *([NOTES.c.kind.in_(kinds)] if kinds else [])]
    total = session.execute(select(func.count()).select_from(NOTES).where(*parts)).scalar_one()
    size = min(max(1, size), 200)
    page = min(max(1, page), max(1, -(-total // size)))
    query = select(NOTES).where(*parts).order_by(NOTES.c.show_at.desc(), NOTES.c.id.desc())
    rows = session.execute(query.limit(size).offset((page - 1) * size)).all()
    return told(session, actor, rows), int(total)


def told(session: Session, actor: Actor, rows: Iterable[Any]) -> list[Told]:
    """Rows as the reader may see them today: hidden records have no name, masked names stay masked."""
    found = [row for row in rows if row.kind in KINDS]
    names = {
        key: lists.titles(session, actor, key, {row.record_id for row in found if row.entity == key})
        for key in {row.entity for row in found if row.entity in ENTITIES}
    }
    people = lists.titles(session, actor, "user", {row.params.get("by") for row in found})
    places = ((row.entity, row.record_id) for row in found if row.entity in ENTITIES and row.record_id is not None)
    covers = persons.covers(session, actor, places)
    return [
        _told(row, persons.told(actor, row.params, covers.get((row.entity, row.record_id))), names.get(row.entity, {}), people)
        for row in found
    ]


def _told(row: Any, params: Mapping[str, Any], names: Mapping[int, str], people: Mapping[int, str]) -> Told:
    kind = KINDS[row.kind]
    values = {**params, "by": people.get(row.params.get("by") or 0, "Rapport")}
    page = str(row.params.get(kind.page[1:], "")) if kind.page.startswith("@") else kind.page
    query = {name: row.params[key] for name, key in kind.query.items() if key in row.params}
    if row.entity in ENTITIES:
        values |= {"record": label_of(row.entity).lower(), "plural": label_of(row.entity, plural=True).lower()}
    if row.record_id is not None and row.entity in ENTITIES:
        values["title"] = names.get(row.record_id, HIDDEN)
        shown = row.record_id in names and bool(ENTITIES[row.entity].page)
        page, query = (ENTITIES[row.entity].page, {"id": row.record_id}) if shown else ("", {})
        if row.entity == "activity" and row.record_id in names:  # only meetings are told of, and the calendar shows them
            page, query = "calendar", {"meeting": row.record_id}
    elif row.entity in ENTITIES:
        page, query = kind.page or _list_page(row.entity), {}
    return Told(
        row.id,
        kind,
        kind.words(row.params),
        values,
        row.show_at,
        row.read_at is not None,
        row.entity or "",
        row.record_id,
        page,
        query,
    )


def _list_page(key: str) -> str:
    return {"activity": "", "segment": "segments"}.get(key, f"{key}s")


# --- the reader's own verbs -------------------------------------------------------------------------------------------------


def mark(session: Session, actor: Actor, ids: Sequence[int], *, read: bool = True) -> int:
    """Mark some of the actor's own notifications as read, or as unread again; gives how many changed."""
    state = NOTES.c.read_at.is_(None) if read else NOTES.c.read_at.is_not(None)
    return _set(session, and_(_mine(actor), NOTES.c.id.in_(list(ids)[:1000]), state), read_at=utcnow() if read else None)


def mark_all(session: Session, actor: Actor, *, kinds: Sequence[str] = ()) -> list[int]:
    """Mark everything as read (of some kinds, if named); gives what changed, to take it back."""
    clause = and_(_mine(actor), NOTES.c.read_at.is_(None), *([NOTES.c.kind.in_(kinds)] if kinds else []))
    ids = list(session.execute(select(NOTES.c.id).where(clause).order_by(NOTES.c.id.desc()).limit(1000)).scalars())
    _set(session, clause, read_at=utcnow())
    return ids


def snooze(session: Session, actor: Actor, note_id: int, *, until: datetime) -> bool:
    """Put one of the actor's notifications away; at that instant it stands in the list again, unread."""
    return _set(session, and_(_mine(actor), NOTES.c.id == note_id), show_at=max(until, utcnow()), read_at=None) == 1


def _set(session: Session, clause: Any, **values: Any) -> int:
    changed = session.execute(update(NOTES).where(clause).values(**values, updated_at=utcnow())).rowcount  # type: ignore[attr-defined]
    db.bump(session, NOTES.name)
    return int(changed)


def withdraw(session: Session, actor: Actor, *, key: str, record_id: int, kinds: Sequence[str]) -> None:
    """Take back what has not been read yet because it holds no longer (a reminder of a task that is done). The caller has asked."""
    clause = and_(NOTES.c.entity == key, NOTES.c.record_id == record_id, NOTES.c.kind.in_(kinds), NOTES.c.read_at.is_(None))
    _set(session, clause, read_at=utcnow(), mail_due_at=None)


# --- wishes -----------------------------------------------------------------------------------------------------------------


def preference(session: Session, actor: Actor) -> UserPreference:
    """What the actor chose, or the defaults as a row that is not stored yet: their week begins as that of the workspace."""
    found = session.get(UserPreference, actor.user_id)
    return found or UserPreference(user_id=actor.user_id or 0, first_weekday=week.first_day(house.days_off(session)))


def choose(session: Session, actor: Actor, **values: Any) -> UserPreference:
    """Keep the actor's own wishes: channels, quiet_from, quiet_to, digest_minute, digest_weekday, meeting_minutes, first_weekday.

    What waits for a message already goes by the wishes of the moment at which it was told.
    """
    row = preference(session, actor)
    for key in OWN_CHOICES & values.keys():
        setattr(row, key, _channels(values[key]) if key == "channels" else _minute(key, values[key]))
    session.add(row)
    session.flush()
    session.info.pop(_WISHES, None)
    return row


OWN_CHOICES = {"channels", "quiet_from", "quiet_to", "digest_minute", "digest_weekday", "meeting_minutes", "first_weekday"}
_LIMITS = {"digest_weekday": 6, "first_weekday": 6, "meeting_minutes": 24 * 60}


def _channels(given: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: {"app": bool(wish.get("app")), "mail": MailWay(wish.get("mail", "off")).value}
        for key, wish in given.items()
        if key in KINDS
    }


def _minute(key: str, value: Any) -> int | None:
    if value is None and key.startswith("quiet"):
        return None
    return min(max(0, int(value or 0)), _LIMITS.get(key, 24 * 60 - 1))


# --- jobs -------------------------------------------------------------------------------------------------------------------


@job("collaboration.notifications_purge", title="Forget old notifications", cron="25 3 * * *", keep_days=7)
def purge(job: Job) -> None:
    """Notifications that are older than half a year go, read or not."""
    with job.transaction() as session:
        session.execute(NOTES.delete().where(NOTES.c.show_at < utcnow() - timedelta(days=KEPT_DAYS)))


__all__ = ["KINDS", "Told", "choose", "find", "mark", "mark_all", "notify", "preference", "snooze", "told", "unread", "withdraw"]
