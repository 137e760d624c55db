"""Saved views of lists: columns, order, filter and search under a name, for oneself or for everyone."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, or_
from sqlmodel import Session, col, select

from crm_core import lists
from crm_core.access import Actor, require
from crm_core.entities import entity
from crm_core.errors import Conflict, CrmError, Invalid, NotFound, NotPermitted
from crm_core.fields import registry
from crm_core.filters import Context, bind
from crm_core.kit.text import clean
from crm_core.models import SavedView
from crm_core.ordering import alphabetical
from crm_core.vocabulary import Action, Visibility

MAX_VIEWS = 100
SIZES = (25, 50, 100, 200)
OWN_NAME = "My list"


@dataclass(frozen=True)
class View:
    """A saved view. ``layout``: ``columns``, ``sort`` (key, descending), ``filter``, ``q``, ``size``. ``may_edit``: whether the asker may change it."""

    id: int
    entity: str
    name: str
    layout: Mapping[str, Any]
    shared: bool
    is_default: bool
    mine: bool
    may_edit: bool
    owner: str


def find(session: Session, actor: Actor, entity_key: str) -> list[View]:
    """The person's own views and those that are shared with everyone, own ones first."""
    require(actor, entity_key, Action.READ)
    rows = session.exec(
        select(SavedView).where(SavedView.entity == entity_key, _reach(actor)).order_by(alphabetical(SavedView.name))
    )
    found = list(rows)
    people = lists.titles(session, actor, "user", (row.owner_id for row in found))
    views = [_view(actor, row, people.get(row.owner_id, "")) for row in found]
    return sorted(views, key=lambda view: not view.mine)


def get(session: Session, actor: Actor, view_id: int) -> View:
    """One view, or NotFound: somebody else's private view looks like a missing one."""
    row = _row(session, actor, view_id)
    require(actor, row.entity, Action.READ)
    return _view(actor, row, lists.titles(session, actor, "user", [row.owner_id]).get(row.owner_id, ""))


def default_of(session: Session, actor: Actor, entity_key: str) -> View | None:
    """The view with which the list opens: one's own default, else one that was shared as default."""
    views = [view for view in find(session, actor, entity_key) if view.is_default]
    return views[0] if views else None


def create(
    session: Session,
    actor: Actor,
    entity_key: str,
    *,
    name: str,
    layout: Mapping[str, Any],
    shared: bool = False,
    is_default: bool = False,
) -> View:
    """Save a view under a name. Sharing needs the permission to manage shared views."""
    require(actor, entity_key, Action.READ)
    if actor.user_id is None:
        raise Invalid("Only a person can have views.")
    _may_share(actor, shared)
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
    if is_default:
        _make_default(session, row)
    return _view(actor, row, actor.name)


def keep(session: Session, actor: Actor, entity_key: str, *, layout: Mapping[str, Any]) -> View:
    """Let the list open like this for the person from now on: a view of their own under the usual name, made or overwritten."""
    mine = next((view for view in find(session, actor, entity_key) if view.mine and view.name == OWN_NAME), None)
    if mine is None:
        return create(session, actor, entity_key, name=OWN_NAME, layout=layout, is_default=True)
    return update(session, actor, mine.id, layout=layout, is_default=True)


def update(
    session: Session,
    actor: Actor,
    view_id: int,
    *,
    name: str | None = None,
    layout: Mapping[str, Any] | None = None,
    shared: bool | None = None,
    is_default: bool | None = None,
) -> View:
    """Rename a view, store another layout, share it or make it the default; what is None stays."""
    row = _editable(session, actor, view_id)
    if name is not None and clean(name) != row.name:
        row.name = _free_name(session, row.owner_id, row.entity, name)
    if layout is not None:
        row.layout = checked(session, actor, row.entity, layout)
    if shared is not None:
        _may_share(actor, shared and row.visibility is not Visibility.SHARED)
        row.visibility = Visibility.SHARED if shared else Visibility.PRIVATE
    session.add(row)
    session.flush()
    if is_default is not None:
        _make_default(session, row) if is_default else _clear_default(session, row)
    return _view(actor, row, lists.titles(session, actor, "user", [row.owner_id]).get(row.owner_id, ""))


def remove(session: Session, actor: Actor, view_id: int) -> None:
    """Delete a view; the records stay as they are."""
    session.delete(_editable(session, actor, view_id))
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
    return made


def usable(session: Session, actor: Actor, view: View) -> dict[str, Any]:
    """The layout as this person can use it today: without columns that are gone and without a filter that their role may not use."""
    try:
        return checked(session, actor, view.entity, view.layout)
    except CrmError:
        return checked(session, actor, view.entity, {**view.layout, "filter": None, "columns": entity(view.entity).columns})


def _reach(actor: Actor) -> ColumnElement[bool]:
    return or_(col(SavedView.owner_id) == actor.user_id, col(SavedView.visibility) == Visibility.SHARED)


def _row(session: Session, actor: Actor, view_id: int) -> SavedView:
    row = session.exec(select(SavedView).where(SavedView.id == view_id, _reach(actor))).first()
    if row is None:
        raise NotFound("This view does not exist, or is not shared with you.")
    return row


def _editable(session: Session, actor: Actor, view_id: int) -> SavedView:
    row = _row(session, actor, view_id)
    require(actor, row.entity, Action.READ)
    if row.owner_id != actor.user_id and not actor.can("view", Action.MANAGE):
        raise NotPermitted("This view belongs to somebody else. Save it under a name of your own.")
    return row


def _may_share(actor: Actor, shared: bool) -> None:
    if shared and not actor.can("view", Action.MANAGE):
        raise NotPermitted("Your role does not allow to share views with everyone.")


def _free_name(session: Session, owner_id: int, entity_key: str, name: str) -> str:
    wanted = clean(name)[:80]
    if not wanted:
        raise Invalid(fields={"name": "Give the view a name."})
    taken = select(SavedView.id).where(SavedView.entity == entity_key, SavedView.owner_id == owner_id, SavedView.name == wanted)
    if session.exec(taken).first() is not None:
        raise Conflict(f"There is already a view “{wanted}”.")
    return wanted


def _make_default(session: Session, row: SavedView) -> None:
    others = session.exec(select(SavedView).where(SavedView.entity == row.entity, SavedView.owner_id == row.owner_id))
    for other in others:
        other.is_default = other.id == row.id
        session.add(other)
    session.flush()


def _clear_default(session: Session, row: SavedView) -> None:
    row.is_default = False
    session.add(row)
    session.flush()


def _view(actor: Actor, row: SavedView, owner: str) -> View:
    mine = row.owner_id == actor.user_id
    may_edit = mine or actor.can("view", Action.MANAGE)
    return View(
        row.id, row.entity, row.name, row.layout, row.visibility is Visibility.SHARED, row.is_default, mine, may_edit, owner
    )
