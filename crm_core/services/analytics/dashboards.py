"""Dashboards that people compose of tiles: who finds them, who may change them, and every change of their tiles with its undo."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, or_
from sqlalchemy import select as core_select
from sqlmodel import Session, col, select

from crm_core import lists
from crm_core.access import Actor, require
from crm_core.errors import Conflict, Invalid, NotFound, NotPermitted
from crm_core.kit.clock import utcnow
from crm_core.kit.text import clean
from crm_core.models import (
    Dashboard,
    DashboardChange,
    DashboardNote,
    DashboardTile,
    Role,
    SubmitKey,
    UserRole,
)
from crm_core.ordering import alphabetical
from crm_core.services.analytics.tile_rules import HEIGHTS, MAX_TILES, WIDTHS, checked, moved
from crm_core.vocabulary import Action, Against, PeriodPreset, ShownTo, TileKind

MAX_DASHBOARDS = 200
KEPT_CHANGES = 30


@dataclass(frozen=True)
class DashboardRow:
    """A dashboard as a list shows it. ``may_edit``: whether the asker may change it; ``role``: the role that it is for."""

    id: int
    name: str
    description: str
    owner_id: int
    owner: str
    shown_to: ShownTo
    role_id: int | None
    role: str
    mine: bool
    may_edit: bool
    version: int
    updated_at: datetime
    tiles: int
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class TileRow:
    """A stored tile."""

    id: int
    kind: TileKind
    title: str
    spec: dict[str, Any]
    width: int
    height: int


@dataclass(frozen=True)
class Note:
    """A note on a day."""

    id: int
    day: date
    text: str
    by: str


# --- who sees what ------------------------------------------------------------------------------------------------------


def _reach(session: Session, actor: Actor) -> ColumnElement[bool]:
    mine = col(Dashboard.owner_id) == actor.user_id
    roles = core_select(UserRole.__table__.c.role_id).where(UserRole.__table__.c.user_id == actor.user_id)  # type: ignore[attr-defined]
    for_role = and_(col(Dashboard.shown_to) == ShownTo.ROLE, col(Dashboard.role_id).in_(roles))
    return and_(col(Dashboard.deleted_at).is_(None), or_(mine, col(Dashboard.shown_to) == ShownTo.SHARED, for_role))


def may_publish(actor: Actor) -> bool:
    """Whether a person may show dashboards to others, inside and outside."""
    return actor.can("analytics", Action.MANAGE)


def find(session: Session, actor: Actor, q: str = "") -> list[DashboardRow]:
    """The dashboards that a person finds: own ones first, then by name."""
    require(actor, "analytics", Action.READ)
    statement = select(Dashboard).where(_reach(session, actor)).order_by(alphabetical(Dashboard.name), col(Dashboard.id))
    rows = [row for row in session.exec(statement) if clean(q).casefold() in f"{row.name} {row.description}".casefold()]
    return sorted(_rows(session, actor, rows), key=lambda row: not row.mine)


def get(session: Session, actor: Actor, dashboard_id: int) -> DashboardRow:
    """One dashboard, or NotFound: one that is not for this person looks like a missing one."""
    require(actor, "analytics", Action.READ)
    return _rows(session, actor, [_visible(session, actor, dashboard_id)])[0]


def tiles(session: Session, actor: Actor, dashboard_id: int) -> list[TileRow]:
    """The tiles of a dashboard in their order."""
    require(actor, "analytics", Action.READ)
    _visible(session, actor, dashboard_id)
    return [TileRow(row.id, row.kind, row.title, dict(row.spec), row.width, row.height) for row in _stored(session, dashboard_id)]


def _visible(session: Session, actor: Actor, dashboard_id: int) -> Dashboard:
    row = session.exec(select(Dashboard).where(Dashboard.id == dashboard_id, _reach(session, actor))).first()
    if row is None:
        raise NotFound("This dashboard does not exist, or is not shown to you.")
    return row


def _editable(session: Session, actor: Actor, dashboard_id: int, base_version: int | None = None) -> Dashboard:
    require(actor, "analytics", Action.READ)
    row = _visible(session, actor, dashboard_id)
    if not _may_edit(actor, row):
        raise NotPermitted("This dashboard belongs to somebody else. Duplicate it and change the copy.")
    if base_version is not None and base_version != row.version:
        raise Conflict("Somebody changed this dashboard meanwhile. Look at the new state and try again.")
    return row


def _may_edit(actor: Actor, row: Dashboard) -> bool:
    return row.owner_id == actor.user_id or (row.shown_to is not ShownTo.PRIVATE and may_publish(actor))


def _stored(session: Session, dashboard_id: int) -> Sequence[DashboardTile]:
    order = (col(DashboardTile.position), col(DashboardTile.id))
    return session.exec(select(DashboardTile).where(DashboardTile.dashboard_id == dashboard_id).order_by(*order)).all()


def _rows(session: Session, actor: Actor, rows: Sequence[Dashboard]) -> list[DashboardRow]:
    people = lists.titles(session, actor, "user", (row.owner_id for row in rows))
    names = dict(session.exec(select(Role.id, Role.name)).all())
    table = DashboardTile.__table__  # type: ignore[attr-defined]
    ids = [row.id for row in rows]
    counted: dict[int, int] = {}
    for (dashboard_id,) in session.execute(core_select(table.c.dashboard_id).where(table.c.dashboard_id.in_(ids))):
        counted[dashboard_id] = counted.get(dashboard_id, 0) + 1
    return [
        DashboardRow(
            row.id, row.name, row.description, row.owner_id, people.get(row.owner_id, ""), row.shown_to, row.role_id,
            names.get(row.role_id or 0, ""), row.owner_id == actor.user_id, _may_edit(actor, row), row.version, row.updated_at,
            counted.get(row.id, 0), dict(row.settings),
        )
        for row in rows
    ]  # fmt: skip


# --- dashboards -----------------------------------------------------------------------------------------------------------


def create(
    session: Session,
    actor: Actor,
    *,
    name: str,
    description: str = "",
    shown_to: ShownTo = ShownTo.PRIVATE,
    role_id: int | None = None,
    settings: Mapping[str, Any] | None = None,
    tiles: Sequence[Mapping[str, Any]] = (),
    submit_key: str | None = None,
) -> int:
    """Make a dashboard; the same ``submit_key`` again gives the first one. Showing it to others needs the right to manage analytics."""
    require(actor, "analytics", Action.READ)
    if actor.user_id is None:
        raise Invalid("Only a person can have dashboards.")
    earlier = session.get(SubmitKey, submit_key) if submit_key else None
    if earlier is not None:
        return int(earlier.result.get("id", 0))
    own = session.exec(select(Dashboard.id).where(Dashboard.owner_id == actor.user_id, col(Dashboard.deleted_at).is_(None))).all()
    if len(own) >= MAX_DASHBOARDS:
        raise Invalid(f"You have {MAX_DASHBOARDS} dashboards already. Remove one first.")
    row = Dashboard(owner_id=actor.user_id, name=_name(name), description=clean(description)[:300], settings=_settings(settings))
    _show_to(session, actor, row, shown_to, role_id)
    session.add(row)
    session.flush()
    for n, tile in enumerate(tiles[:MAX_TILES]):
        session.add(_tile(row.id, n, tile))
    if submit_key:
        session.add(SubmitKey(key=submit_key, at=utcnow(), result={"id": row.id}))
    session.flush()
    return row.id


def update(
    session: Session,
    actor: Actor,
    dashboard_id: int,
    *,
    name: str | None = None,
    description: str | None = None,
    shown_to: ShownTo | None = None,
    role_id: int | None = None,
    settings: Mapping[str, Any] | None = None,
    base_version: int | None = None,
) -> None:
    """Rename a dashboard, show it to others, keep the period it opens with; what is None stays."""
    row = _editable(session, actor, dashboard_id, base_version)
    if name is not None:
        row.name = _name(name)
    if description is not None:
        row.description = clean(description)[:300]
    if settings is not None:
        row.settings = _settings(settings)
    if shown_to is not None and (shown_to is not row.shown_to or role_id != row.role_id):
        _show_to(session, actor, row, shown_to, role_id)
    row.updated_at = utcnow()
    session.add(row)
    session.flush()


def archive(session: Session, actor: Actor, dashboard_id: int) -> None:
    """Remove a dashboard. Links to it and reports of it end; it can be restored for as long as nothing purges it."""
    row = _editable(session, actor, dashboard_id)
    row.deleted_at = utcnow()
    session.add(row)
    session.flush()


def restore(session: Session, actor: Actor, dashboard_id: int) -> None:
    """Take an own dashboard back that was removed."""
    require(actor, "analytics", Action.READ)
    row = session.exec(select(Dashboard).where(Dashboard.id == dashboard_id, Dashboard.owner_id == actor.user_id)).first()
    if row is None:
        raise NotFound("This dashboard does not exist, or is not shown to you.")
    row.deleted_at = None
    session.add(row)
    session.flush()


def duplicate(session: Session, actor: Actor, dashboard_id: int, *, submit_key: str | None = None) -> int:
    """Copy a dashboard that one may see into an own, private one."""
    found = get(session, actor, dashboard_id)
    copies = [_plain(row) for row in _stored(session, dashboard_id)]
    return create(
        session, actor, name=f"Copy of {found.name}"[:80], description=found.description, settings=found.settings, tiles=copies,
        submit_key=submit_key,
    )  # fmt: skip


def _name(name: str) -> str:
    wanted = clean(name)[:80]
    if not wanted:
        raise Invalid(fields={"name": "Give the dashboard a name."})
    return wanted


def _settings(raw: Mapping[str, Any] | None) -> dict[str, Any]:
    raw = raw or {}
    found = {}
    if raw.get("period") in PeriodPreset.options() and raw["period"] != PeriodPreset.CUSTOM.value:
        found["period"] = str(raw["period"])
    if raw.get("against") in Against.options():
        found["against"] = str(raw["against"])
    return found


def _show_to(session: Session, actor: Actor, row: Dashboard, shown_to: ShownTo, role_id: int | None) -> None:
    if shown_to is not ShownTo.PRIVATE and not may_publish(actor):
        raise NotPermitted("Your role does not allow to show dashboards to others.")
    if shown_to is ShownTo.ROLE and (role_id is None or session.get(Role, role_id) is None):
        raise Invalid(fields={"role_id": "Choose the role that finds this dashboard."})
    row.shown_to, row.role_id = shown_to, role_id if shown_to is ShownTo.ROLE else None


# --- tiles ---------------------------------------------------------------------------------------------------------------


def _tile(dashboard_id: int, position: int, raw: Mapping[str, Any]) -> DashboardTile:
    kind = TileKind(raw["kind"])
    return DashboardTile(
        dashboard_id=dashboard_id,
        position=position,
        kind=kind,
        title=clean(str(raw.get("title") or ""))[:120],
        spec=checked(kind, raw["spec"]),
        width=_size(raw.get("width", 6), tuple(WIDTHS)),
        height=_size(raw.get("height", 2), tuple(HEIGHTS)),
    )


def _size(raw: Any, allowed: Sequence[int]) -> int:
    if raw not in allowed:
        raise Invalid("A tile can't have this size.")
    return int(raw)


def _plain(row: DashboardTile) -> dict[str, Any]:
    return {"kind": row.kind.value, "title": row.title, "spec": dict(row.spec), "width": row.width, "height": row.height}


def _change(
    session: Session,
    actor: Actor,
    dashboard_id: int,
    base_version: int | None,
    words: str,
    act: Callable[[list[DashboardTile]], Any],
) -> Any:
    """One change of the tiles: what was before is kept for the undo, and the dashboard's version rises."""
    row = _editable(session, actor, dashboard_id, base_version)
    before = list(_stored(session, dashboard_id))
    session.add(
        DashboardChange(
            dashboard_id=dashboard_id, words=words[:120], tiles=[{**_plain(tile), "id": tile.id} for tile in before],
            by_id=actor.user_id, at=utcnow(),
        )
    )  # fmt: skip
    result = act(before)
    session.flush()
    for n, tile in enumerate(sorted(_stored(session, dashboard_id), key=lambda each: (each.position, each.id))):
        tile.position = n
        session.add(tile)
    row.updated_at = utcnow()
    session.add(row)
    session.flush()
    _forget_old(session, dashboard_id)
    return result


def _forget_old(session: Session, dashboard_id: int) -> None:
    table = DashboardChange.__table__  # type: ignore[attr-defined]
    kept = core_select(table.c.id).where(table.c.dashboard_id == dashboard_id).order_by(table.c.id.desc()).limit(KEPT_CHANGES)
    ids = list(session.execute(kept).scalars())
    if len(ids) == KEPT_CHANGES:
        session.execute(delete(table).where(table.c.dashboard_id == dashboard_id, table.c.id < ids[-1]))


def _index(tiles: Sequence[DashboardTile], tile_id: int) -> int:
    for n, tile in enumerate(tiles):
        if tile.id == tile_id:
            return n
    raise NotFound("This tile is not on the dashboard any more.")


def add_tile(
    session: Session,
    actor: Actor,
    dashboard_id: int,
    tile: Mapping[str, Any],
    *,
    base_version: int | None = None,
    submit_key: str | None = None,
) -> int:
    """Put a tile (kind, title, spec, width, height) at the end. The same ``submit_key`` again adds nothing."""
    earlier = session.get(SubmitKey, submit_key) if submit_key else None
    if earlier is not None:
        return int(earlier.result.get("id", 0))

    def act(before: list[DashboardTile]) -> int:
        if len(before) >= MAX_TILES:
            raise Invalid(f"A dashboard holds at most {MAX_TILES} tiles. Remove one, or start another dashboard.")
        made = _tile(dashboard_id, len(before), tile)
        session.add(made)
        session.flush()
        return made.id

    made = int(_change(session, actor, dashboard_id, base_version, "Tile added", act))
    if submit_key:
        session.add(SubmitKey(key=submit_key, at=utcnow(), result={"id": made}))
        session.flush()
    return made


def update_tile(
    session: Session, actor: Actor, dashboard_id: int, tile_id: int, tile: Mapping[str, Any], *, base_version: int | None = None
) -> None:
    """Change what a tile shows, its title or its size; what is missing stays."""

    def act(before: list[DashboardTile]) -> None:
        row = before[_index(before, tile_id)]
        made = _tile(dashboard_id, row.position, {**_plain(row), **tile})
        row.kind, row.title, row.spec, row.width, row.height = made.kind, made.title, made.spec, made.width, made.height
        session.add(row)

    _change(session, actor, dashboard_id, base_version, "Tile changed", act)


def move_tile(session: Session, actor: Actor, dashboard_id: int, tile_id: int, *, by: int, base_version: int | None = None) -> None:
    """Move a tile earlier (negative) or later in the order."""

    def act(before: list[DashboardTile]) -> None:
        index = _index(before, tile_id)
        for n, old in enumerate(moved(len(before), index, index + by)):
            before[old].position = n
            session.add(before[old])

    _change(session, actor, dashboard_id, base_version, "Tile moved", act)


def duplicate_tile(session: Session, actor: Actor, dashboard_id: int, tile_id: int, *, base_version: int | None = None) -> int:
    """Put a copy right after a tile."""

    def act(before: list[DashboardTile]) -> int:
        if len(before) >= MAX_TILES:
            raise Invalid(f"A dashboard holds at most {MAX_TILES} tiles. Remove one first.")
        index = _index(before, tile_id)
        for tile in before[index + 1 :]:
            tile.position += 1
            session.add(tile)
        made = _tile(dashboard_id, index + 1, _plain(before[index]))
        session.add(made)
        session.flush()
        return made.id

    return int(_change(session, actor, dashboard_id, base_version, "Tile copied", act))


def remove_tile(session: Session, actor: Actor, dashboard_id: int, tile_id: int, *, base_version: int | None = None) -> None:
    """Take a tile off; an undo brings it back."""
    _change(
        session, actor, dashboard_id, base_version, "Tile removed", lambda before: session.delete(before[_index(before, tile_id)])
    )


def undo(session: Session, actor: Actor, dashboard_id: int) -> str:
    """Put the tiles back as they were before the latest change; gives the words of what was undone. Raises Invalid when there is nothing."""
    row = _editable(session, actor, dashboard_id)
    order = col(DashboardChange.id).desc()
    change = session.exec(select(DashboardChange).where(DashboardChange.dashboard_id == dashboard_id).order_by(order)).first()
    if change is None:
        raise Invalid("There is nothing to undo.")
    kept = {tile["id"]: (n, tile) for n, tile in enumerate(change.tiles)}
    for stored in _stored(session, dashboard_id):
        if stored.id not in kept:
            session.delete(stored)
            continue
        position, tile = kept.pop(stored.id)
        made = _tile(dashboard_id, position, tile)
        stored.kind, stored.title, stored.spec, stored.position = made.kind, made.title, made.spec, position
        stored.width, stored.height = made.width, made.height
        session.add(stored)
    for position, tile in kept.values():
        made = _tile(dashboard_id, position, tile)
        made.id = tile["id"]  # earlier changes know it by this key
        session.add(made)
    words = change.words
    session.delete(change)
    row.updated_at = utcnow()
    session.add(row)
    session.flush()
    return words


def last_change(session: Session, actor: Actor, dashboard_id: int) -> str:
    """The words of what an undo would take back; empty when there is nothing."""
    _visible(session, actor, dashboard_id)
    require(actor, "analytics", Action.READ)
    order = col(DashboardChange.id).desc()
    words = select(DashboardChange.words).where(DashboardChange.dashboard_id == dashboard_id)
    return session.exec(words.order_by(order)).first() or ""


# --- notes on days -------------------------------------------------------------------------------------------------------


def notes(session: Session, actor: Actor, dashboard_id: int) -> list[Note]:
    """The notes of a dashboard, the latest day first."""
    require(actor, "analytics", Action.READ)
    _visible(session, actor, dashboard_id)
    found = session.exec(
        select(DashboardNote)
        .where(DashboardNote.dashboard_id == dashboard_id)
        .order_by(col(DashboardNote.day).desc(), col(DashboardNote.id))
    ).all()
    people = lists.titles(session, actor, "user", (note.by_id for note in found))
    return [Note(note.id, note.day, note.text, people.get(note.by_id or 0, "")) for note in found]


def add_note(session: Session, actor: Actor, dashboard_id: int, *, day: date, text: str) -> int:
    """Write on a day what happened; every chart over time of the dashboard shows it."""
    _editable(session, actor, dashboard_id)
    words = clean(text)[:200]
    if not words:
        raise Invalid(fields={"text": "Write what happened on that day."})
    made = DashboardNote(dashboard_id=dashboard_id, day=day, text=words, by_id=actor.user_id)
    session.add(made)
    session.flush()
    return made.id


def remove_note(session: Session, actor: Actor, dashboard_id: int, note_id: int) -> None:
    """Take a note off."""
    _editable(session, actor, dashboard_id)
    note = session.exec(
        select(DashboardNote).where(DashboardNote.id == note_id, DashboardNote.dashboard_id == dashboard_id)
    ).first()
    if note is not None:
        session.delete(note)
        session.flush()
