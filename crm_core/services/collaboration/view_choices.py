"""What people do with saved views: keep them at hand, let their list or that of a role open with one; and who uses a view before it goes."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import delete
from sqlmodel import Session, col, select

from crm_core import lists
from crm_core.access import Actor, require
from crm_core.entities import ENTITIES
from crm_core.errors import Invalid, NotPermitted
from crm_core.kit.numerals import written
from crm_core.models import Role, SavedView, ViewDefault, ViewPin
from crm_core.services.collaboration import views
from crm_core.vocabulary import Action, Visibility

MOST_PINS = 12
"""More than the eye takes in at once are none at hand."""


@dataclass(frozen=True)
class Pinned:
    """A view that a person keeps at hand."""

    view_id: int
    entity: str
    name: str


@dataclass(frozen=True)
class Uses:
    """Who uses a view besides its owner: names of people who pinned it, of people and of roles whose list opens with it."""

    pinned: tuple[str, ...]
    people: tuple[str, ...]
    roles: tuple[str, ...]

    @property
    def words(self) -> str:
        """Who would miss it, as a sentence; "" when nobody would."""
        parts = [f"{_some(self.pinned)} pinned it"] if self.pinned else []
        parts += [f"the list of {_some(self.people)} opens with it"] if self.people else []
        parts += [f"it opens the list for the role {_some(self.roles)}"] if self.roles else []
        text = "; ".join(parts)
        return f"{text[0].upper()}{text[1:]}." if text else ""


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {written(len(names) - 3)} more" if len(names) > 3 else "")


def pins(session: Session, actor: Actor) -> list[Pinned]:
    """The person's pinned views of all lists in their order; one that is no longer shared with them is left out."""
    rows = session.exec(
        select(SavedView)
        .join(ViewPin, col(ViewPin.view_id) == SavedView.id)
        .where(ViewPin.user_id == actor.user_id, views.reach(actor))
        .order_by(col(ViewPin.position), col(ViewPin.id))
    )
    return [Pinned(row.id, row.entity, row.name) for row in rows if row.entity in ENTITIES and actor.can(row.entity, Action.READ)]


def pin(session: Session, actor: Actor, view_id: int) -> None:
    """Keep a view at hand, after those that are there. Twice is once."""
    row = views.row_of(session, actor, view_id)
    require(actor, row.entity, Action.READ)
    if actor.user_id is None:
        raise Invalid("Only a person can pin views.")
    there = _mine(session, actor)
    if row.id in {one.view_id for one in there}:
        return
    if len(pins(session, actor)) >= MOST_PINS:
        raise Invalid(f"{MOST_PINS} views are pinned already. Take one off first.")
    session.add(ViewPin(user_id=actor.user_id, view_id=row.id, position=there[-1].position + 1 if there else 0))
    session.flush()


def unpin(session: Session, actor: Actor, view_id: int) -> None:
    """Keep a view no longer at hand."""
    session.execute(delete(ViewPin).where(col(ViewPin.user_id) == actor.user_id, col(ViewPin.view_id) == view_id))


def move(session: Session, actor: Actor, view_id: int, *, up: bool) -> None:
    """Put a pinned view before or after its neighbour of the same list: that is the order in which a person sees them."""
    row = views.row_of(session, actor, view_id)
    same = [one.view_id for one in pins(session, actor) if one.entity == row.entity]
    if view_id not in same:
        raise Invalid("This view is not pinned.")
    to = same.index(view_id) + (-1 if up else 1)
    if not 0 <= to < len(same):
        return
    there = _mine(session, actor)
    by_view = {one.view_id: n for n, one in enumerate(there)}
    a, b = by_view[view_id], by_view[same[to]]
    there[a], there[b] = there[b], there[a]
    for n, one in enumerate(there):
        one.position = n
        session.add(one)
    session.flush()


def _mine(session: Session, actor: Actor) -> list[ViewPin]:
    own = select(ViewPin).where(ViewPin.user_id == actor.user_id)
    return list(session.exec(own.order_by(col(ViewPin.position), col(ViewPin.id))))


def choose(session: Session, actor: Actor, view_id: int, *, on: bool = True) -> None:
    """Let the person's list open with this view, whoever made it; ``on`` False: no longer."""
    row = views.row_of(session, actor, view_id)
    require(actor, row.entity, Action.READ)
    if row.owner_id == actor.user_id and row.visibility is Visibility.PRIVATE:
        views.update(session, actor, view_id, is_default=on)
        return
    if on:
        views.choose_own(session, actor, row.entity, row.id)
    else:
        views.forget_choice(session, actor, row.entity)


def roles_of(session: Session, actor: Actor, view_id: int) -> tuple[dict[int, str], list[int]]:
    """All roles by name, and those whose list opens with the view. For whoever manages shared views."""
    row = views.editable(session, actor, view_id)
    _may_manage(actor)
    names = {one.id: one.name for one in session.exec(select(Role).order_by(col(Role.id)))}
    chosen = session.exec(select(ViewDefault).where(ViewDefault.view_id == row.id, col(ViewDefault.role_id).is_not(None)))
    return names, [one.role_id for one in chosen if one.role_id is not None]


def set_roles(session: Session, actor: Actor, view_id: int, role_ids: Sequence[int]) -> None:
    """Let the lists of everyone with one of these roles open with the view, and of no other role. A role has one view per list: the last one
    that was set. A view that not everyone sees can't be it."""
    row = views.editable(session, actor, view_id)
    _may_manage(actor)
    if role_ids and row.visibility is not Visibility.SHARED:
        raise Invalid("Share the view with everyone first: not everybody with the role would see it.")
    if len(session.exec(select(Role.id).where(col(Role.id).in_(role_ids))).all()) != len(set(role_ids)):
        raise Invalid("One of these roles no longer exists.")
    old = (col(ViewDefault.view_id) == row.id) & col(ViewDefault.role_id).is_not(None)
    taken = (col(ViewDefault.entity) == row.entity) & col(ViewDefault.role_id).in_(role_ids)
    session.execute(delete(ViewDefault).where(old | taken))
    session.add_all(ViewDefault(entity=row.entity, view_id=row.id, role_id=role_id) for role_id in dict.fromkeys(role_ids))
    session.flush()


def _may_manage(actor: Actor) -> None:
    if not actor.can("view", Action.MANAGE):
        raise NotPermitted("Your role does not allow to choose views for others.")


def uses(session: Session, actor: Actor, view_id: int) -> Uses:
    """Who uses a view besides the asker, for whoever may delete it."""
    row = views.editable(session, actor, view_id)
    pinned = set(session.exec(select(ViewPin.user_id).where(ViewPin.view_id == row.id, ViewPin.user_id != actor.user_id)))
    chosen = session.exec(select(ViewDefault).where(ViewDefault.view_id == row.id)).all()
    people = {one.user_id for one in chosen if one.user_id is not None and one.user_id != actor.user_id}
    names = lists.titles(session, actor, "user", pinned | people)
    roles = session.exec(
        select(Role.name).where(col(Role.id).in_([one.role_id for one in chosen if one.role_id])).order_by(col(Role.id))
    )
    return Uses(_sorted(names, pinned), _sorted(names, people), tuple(roles))


def _sorted(names: dict[int, str], ids: set[int]) -> tuple[str, ...]:
    return tuple(sorted(names[one] for one in ids if one in names))
