"""Saved views of lists: how a list is laid out, its columns, order, filter and search under a name; for oneself, for teams or for everyone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, delete, or_
from sqlmodel import Session, col, select

from crm_core import grouping, lists
from crm_core.access import Actor, require
from crm_core.entities import entity
from crm_core.errors import Conflict, CrmError, Invalid, NotFound, NotPermitted
from crm_core.fields import registry
from crm_core.filters import Context, bind
from crm_core.kit.text import clean
from crm_core.models import Pipeline, SavedView, Team, UserRole, ViewDefault, ViewPin, ViewTeam
from crm_core.ordering import alphabetical
from crm_core.vocabulary import Action, Visibility

MAX_VIEWS = 100
SIZES = (25, 50, 100, 200)
OWN_NAME = "My list"
LIST, BOARD, GROUPS = "list", "board", "groups"
BOARDS = {"deal": "stage_id", "lead": "status_id", "ticket": "status"}
"""What can be laid out as a board, and the field that its columns are."""


@dataclass(frozen=True)
class View:
    """A saved view. ``layout``: ``show`` (list, board, groups), ``by`` (the field of the groups), ``pipeline`` (of a board of deals), ``columns``,
    ``sort`` (key, descending), ``filter``, ``q``, ``size``. ``may_edit``: whether the asker may change it; ``teams``: those that see it;
    ``pinned``: kept at hand by the asker; ``opens``: the asker's list opens with it; ``chosen``: because they chose that themselves."""

    id: int
    entity: str
    name: str
    layout: Mapping[str, Any]
    shared: bool
    is_default: bool
    mine: bool
    may_edit: bool
    owner: str
    teams: tuple[int, ...] = ()
    pinned: bool = False
    opens: bool = False
    chosen: bool = False


def find(session: Session, actor: Actor, entity_key: str) -> list[View]:
    """The person's own views and those that are shared with them, own ones first."""
    require(actor, entity_key, Action.READ)
    rows = session.exec(
        select(SavedView).where(SavedView.entity == entity_key, reach(actor)).order_by(alphabetical(SavedView.name))
    )
    return sorted(_views(session, actor, list(rows)), key=lambda view: not view.mine)


def get(session: Session, actor: Actor, view_id: int) -> View:
    """One view, or NotFound: somebody else's private view looks like a missing one."""
    row = row_of(session, actor, view_id)
    require(actor, row.entity, Action.READ)
    return _views(session, actor, [row])[0]


def default_of(session: Session, actor: Actor, entity_key: str) -> View | None:
    """The view with which the list opens: what the person chose, else what is meant for one of their roles, else for everyone."""
    return next((view for view in find(session, actor, entity_key) if view.opens), None)


def create(
    session: Session,
    actor: Actor,
    entity_key: str,
    *,
    name: str,
    layout: Mapping[str, Any],
    shared: bool = False,
    teams: Sequence[int] = (),
    is_default: bool = False,
) -> View:
    """Save a view under a name. Sharing it with everyone, or with other teams than one's own, needs the permission to manage shared views."""
    require(actor, entity_key, Action.READ)
    if actor.user_id is None:
        raise Invalid("Only a person can have views.")
    _may_share(actor, shared, teams)
    own = session.exec(select(SavedView).where(SavedView.entity == entity_key, SavedView.owner_id == actor.user_id)).all()
    if len(own) >= MAX_VIEWS:
        raise Invalid(f"You have {MAX_VIEWS} views of this list already. Delete one first.")
    row = SavedView(
        entity=entity_key,
        name=_free_name(session, actor.user_id, entity_key, name),
        owner_id=actor.user_id,
        visibility=Visibility.SHARED if shared else Visibility.PRIVATE,
        layout=checked(session, actor, entity_key, layout),
    )
    session.add(row)
    session.flush()
    _share(session, row, teams)
    if is_default:
        _make_default(session, actor, row)
    return _views(session, actor, [row])[0]


def copy(session: Session, actor: Actor, view_id: int) -> View:
    """A view of one's own that looks like this one, as far as one may use it."""
    seen = get(session, actor, view_id)
    if actor.user_id is None:
        raise Invalid("Only a person can have views.")
    name, n = f"{seen.name[:70]} (copy)", 1
    while _taken(session, actor.user_id, seen.entity, name):
        n += 1
        name = f"{seen.name[:70]} (copy {n})"
    return create(session, actor, seen.entity, name=name, layout=usable(session, actor, seen))


def keep(session: Session, actor: Actor, entity_key: str, *, layout: Mapping[str, Any]) -> View:
    """Let the list open like this for the person from now on: a view of their own under the usual name, made or overwritten."""
    mine = next((view for view in find(session, actor, entity_key) if view.mine and view.name == OWN_NAME), None)
    if mine is None:
        return create(session, actor, entity_key, name=OWN_NAME, layout=layout, is_default=True)
    if mine.shared:  # as its default it would open everybody's list
        update(session, actor, mine.id, layout=layout)
        choose_own(session, actor, entity_key, mine.id)
        return get(session, actor, mine.id)
    return update(session, actor, mine.id, layout=layout, is_default=True)


def update(
    session: Session,
    actor: Actor,
    view_id: int,
    *,
    name: str | None = None,
    layout: Mapping[str, Any] | None = None,
    shared: bool | None = None,
    teams: Sequence[int] | None = None,
    is_default: bool | None = None,
    seen: View | None = None,
) -> View:
    """Rename a view, store another layout, share it or make it the default; what is None stays. ``seen``: the view as the caller saw it; what they left
    as it was stays as others left it, and Conflict is raised for what both changed."""
    row = editable(session, actor, view_id)
    wanted = checked(session, actor, row.entity, layout) if layout is not None else None
    if seen is not None:
        now = _views(session, actor, [row])[0]
        name, wanted, shared, is_default = (
            _changed(now, seen, *part)
            for part in (("name", name), ("layout", wanted), ("shared", shared), ("is_default", is_default))
        )
        teams = _changed(now, seen, "teams", tuple(teams) if teams is not None else None)
    if name is not None and clean(name) != row.name:
        row.name = _free_name(session, row.owner_id, row.entity, name)
    if wanted is not None:
        row.layout = wanted
    if shared is not None:
        _may_share(actor, shared and row.visibility is not Visibility.SHARED)
        row.visibility = Visibility.SHARED if shared else Visibility.PRIVATE
        if not shared:  # the people of a role would not all see it
            session.execute(delete(ViewDefault).where(col(ViewDefault.view_id) == row.id, col(ViewDefault.role_id).is_not(None)))
    session.add(row)
    session.flush()
    if teams is not None:
        _may_share(actor, False, set(teams) - set(_teams(session, [row.id]).get(row.id, ())))
        _share(session, row, teams)
    if is_default is not None:
        if is_default and not row.is_default and row.visibility is Visibility.SHARED and not actor.can("view", Action.MANAGE):
            raise NotPermitted("Your role does not allow to choose with which view everybody’s list opens.")
        _make_default(session, actor, row) if is_default else _clear_default(session, row)
    return _views(session, actor, [row])[0]


def _changed(now: View, seen: View, part: str, wanted: Any) -> Any:
    """What the caller wants of a part of a view, None where they left it as they saw it. Raises Conflict when somebody else changed it too."""
    before, there = getattr(seen, part), getattr(now, part)
    if part == "teams":
        before, there, wanted = sorted(before), sorted(there), sorted(wanted) if wanted is not None else None
    if wanted is None or wanted == before:
        return None
    if there not in (before, wanted):
        raise Conflict(
            f"Somebody else changed the view “{now.name}” meanwhile. Open it again before you change it, or save yours under another name."
        )
    return wanted


def remove(session: Session, actor: Actor, view_id: int) -> None:
    """Delete a view; the records stay as they are."""
    session.delete(editable(session, actor, view_id))
    session.flush()


def checked(session: Session, actor: Actor, entity_key: str, layout: Mapping[str, Any]) -> dict[str, Any]:
    """A layout as it may be stored: known columns, a sort that works, a filter that binds for this person. Raises Invalid."""
    specs = registry(session, entity_key)
    columns = [key for key in layout.get("columns") or () if key in specs]
    if layout.get("columns") and not columns:
        raise Invalid("A view needs at least one column.")
    made: dict[str, Any] = {"columns": columns, "q": clean(str(layout.get("q") or ""))[:200]}
    sort = layout.get("sort")
    if sort and sort[0] in specs:
        made["sort"] = [str(sort[0]), bool(sort[1])]
    if layout.get("filter"):
        bind(session, entity_key, layout["filter"], Context(actor))
        made["filter"] = layout["filter"]
    if layout.get("size") in SIZES:
        made["size"] = layout["size"]
    return made | _laid_out(session, actor, entity_key, layout)


def _laid_out(session: Session, actor: Actor, entity_key: str, layout: Mapping[str, Any]) -> dict[str, Any]:
    """A board where there can be one, groups by a field that makes groups; else a list, which needs no word."""
    show, by, pipeline = layout.get("show"), layout.get("by"), layout.get("pipeline")
    if show == BOARD and entity_key in BOARDS:
        known = entity_key == "deal" and isinstance(pipeline, int) and session.get(Pipeline, pipeline) is not None
        return {"show": BOARD} | ({"pipeline": pipeline} if known else {})
    if show == GROUPS and by in grouping.groupable(session, actor, entity_key):
        return {"show": GROUPS, "by": by}
    return {}


def usable(session: Session, actor: Actor, view: View) -> dict[str, Any]:
    """The layout as this person can use it today: without columns that are gone and without a filter that their role may not use."""
    try:
        return checked(session, actor, view.entity, view.layout)
    except CrmError:
        return checked(session, actor, view.entity, {**view.layout, "filter": None, "columns": entity(view.entity).columns})


def reach(actor: Actor) -> ColumnElement[bool]:
    """The views that a person sees: their own, everybody's, those of their team."""
    parts: list[Any] = [col(SavedView.owner_id) == actor.user_id, col(SavedView.visibility) == Visibility.SHARED]
    if actor.team_id is not None:
        parts.append(col(SavedView.id).in_(select(ViewTeam.view_id).where(ViewTeam.team_id == actor.team_id)))
    return or_(*parts)


def row_of(session: Session, actor: Actor, view_id: int) -> SavedView:
    """The stored view, or NotFound."""
    row = session.exec(select(SavedView).where(SavedView.id == view_id, reach(actor))).first()
    if row is None:
        raise NotFound("This view does not exist, or is not shared with you.")
    return row


def editable(session: Session, actor: Actor, view_id: int) -> SavedView:
    """The stored view of somebody who may change it."""
    row = row_of(session, actor, view_id)
    require(actor, row.entity, Action.READ)
    if row.owner_id != actor.user_id and not actor.can("view", Action.MANAGE):
        raise NotPermitted("This view belongs to somebody else. Save it under a name of your own.")
    return row


def _may_share(actor: Actor, shared: bool, teams: Sequence[int] | set[int] = ()) -> None:
    if actor.can("view", Action.MANAGE):
        return
    if shared:
        raise NotPermitted("Your role does not allow to share views with everyone.")
    if set(teams) - {actor.team_id}:
        raise NotPermitted("Your role allows to share views with your own team only.")


def _share(session: Session, row: SavedView, teams: Sequence[int]) -> None:
    wanted = set(teams)
    if len(session.exec(select(Team.id).where(col(Team.id).in_(wanted))).all()) != len(wanted):
        raise Invalid("One of these teams no longer exists.")
    there = {one.team_id: one for one in session.exec(select(ViewTeam).where(ViewTeam.view_id == row.id))}
    for team_id in there.keys() - wanted:
        session.delete(there[team_id])
    session.add_all(ViewTeam(view_id=row.id, team_id=team_id) for team_id in sorted(wanted - there.keys()))
    session.flush()


def _teams(session: Session, ids: Sequence[int]) -> dict[int, tuple[int, ...]]:
    found: dict[int, tuple[int, ...]] = {}
    for one in session.exec(select(ViewTeam).where(col(ViewTeam.view_id).in_(ids)).order_by(col(ViewTeam.team_id))):
        found[one.view_id] = (*found.get(one.view_id, ()), one.team_id)
    return found


def _free_name(session: Session, owner_id: int, entity_key: str, name: str) -> str:
    wanted = clean(name)[:80]
    if not wanted:
        raise Invalid(fields={"name": "Give the view a name."})
    if _taken(session, owner_id, entity_key, wanted):
        raise Conflict(f"There is already a view “{wanted}”.")
    return wanted


def _taken(session: Session, owner_id: int, entity_key: str, name: str) -> bool:
    taken = select(SavedView.id).where(SavedView.entity == entity_key, SavedView.owner_id == owner_id, SavedView.name == name)
    return session.exec(taken).first() is not None


def _make_default(session: Session, actor: Actor, row: SavedView) -> None:
    others = session.exec(select(SavedView).where(SavedView.entity == row.entity, SavedView.owner_id == row.owner_id))
    for other in others:
        other.is_default = other.id == row.id
        session.add(other)
    if row.owner_id == actor.user_id:  # the last choice counts
        forget_choice(session, actor, row.entity)
    session.flush()


def forget_choice(session: Session, actor: Actor, entity_key: str) -> None:
    """The person no longer chose somebody else's view for their list."""
    own = (col(ViewDefault.entity) == entity_key, col(ViewDefault.user_id) == actor.user_id)
    session.execute(delete(ViewDefault).where(*own))


def choose_own(session: Session, actor: Actor, entity_key: str, view_id: int) -> None:
    """The person's list opens with this view, and nobody else's. The caller has asked."""
    forget_choice(session, actor, entity_key)
    session.add(ViewDefault(entity=entity_key, view_id=view_id, user_id=actor.user_id))
    session.flush()


def _clear_default(session: Session, row: SavedView) -> None:
    row.is_default = False
    session.add(row)
    session.flush()


def _views(session: Session, actor: Actor, rows: Sequence[SavedView]) -> list[View]:
    if not rows:
        return []
    people = lists.titles(session, actor, "user", {row.owner_id for row in rows})
    teams = _teams(session, [row.id for row in rows])
    pinned = set(session.exec(select(ViewPin.view_id).where(ViewPin.user_id == actor.user_id)))
    opening, chosen = _opening(session, actor, rows[0].entity)
    manages = actor.can("view", Action.MANAGE)
    return [
        View(
            row.id, row.entity, row.name, row.layout, row.visibility is Visibility.SHARED, row.is_default, row.owner_id == actor.user_id,
            row.owner_id == actor.user_id or manages, people.get(row.owner_id, ""), teams.get(row.id, ()), row.id in pinned, row.id == opening,
            row.id == chosen,
        )
        for row in rows
    ]  # fmt: skip


def _opening(session: Session, actor: Actor, entity_key: str) -> tuple[int | None, int | None]:
    """The view with which the person's list opens: their choice, their own default, that of a role, that of everyone. And the one that they chose."""
    roles = select(UserRole.role_id).where(UserRole.user_id == actor.user_id)
    chosen = session.exec(
        select(ViewDefault)
        .join(SavedView, col(SavedView.id) == ViewDefault.view_id)
        .where(ViewDefault.entity == entity_key, reach(actor))
        .where(or_(col(ViewDefault.user_id) == actor.user_id, col(ViewDefault.role_id).in_(roles)))
        .order_by(col(ViewDefault.role_id))
    ).all()
    meant = or_(
        col(SavedView.owner_id) == actor.user_id, col(SavedView.visibility) == Visibility.SHARED
    )  # not what a colleague of the team opens with
    usual = session.exec(
        select(SavedView.id, SavedView.owner_id)
        .where(SavedView.entity == entity_key, SavedView.is_default, meant)
        .order_by(alphabetical(SavedView.name))
    ).all()
    own = next((one.view_id for one in chosen if one.user_id is not None), None)
    ranked = [own] if own is not None else []
    ranked += [view_id for view_id, owner_id in usual if owner_id == actor.user_id]
    ranked += [one.view_id for one in chosen if one.user_id is None]
    ranked += [view_id for view_id, owner_id in usual if owner_id != actor.user_id]
    return (ranked[0] if ranked else None), own
