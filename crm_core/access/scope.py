"""Which rows a person may see: one clause per entity, used by lists, counts, figures, exports, search and record pages alike."""

from typing import Any

from sqlalchemy import ColumnElement, and_, false, or_, select, true

from crm_core.access.actor import Actor
from crm_core.models import User, UserClosure
from crm_core.vocabulary import Action, Scope, Visibility


def owned_within(actor: Actor, owner: Any, scopes: frozenset[Scope]) -> ColumnElement[bool]:
    """Clause on an owner column for a set of scopes. Records without an owner are seen with scope "all" only."""
    if Scope.ALL in scopes:
        return true()
    parts: list[ColumnElement[bool]] = []
    if Scope.OWN in scopes or scopes:
        parts.append(owner == actor.user_id)
    if Scope.TEAM in scopes and actor.team_id is not None:
        parts.append(owner.in_(select(User.__table__.c.id).where(User.__table__.c.team_id == actor.team_id)))  # type: ignore[attr-defined]
    if Scope.SUBTREE in scopes:
        closure = UserClosure.__table__  # type: ignore[attr-defined]
        parts.append(owner.in_(select(closure.c.descendant_id).where(closure.c.ancestor_id == actor.user_id)))
    return or_(*parts) if parts else false()


def visible(
    actor: Actor, entity: str, table: Any, action: Action = Action.READ, *, with_deleted: bool = False
) -> ColumnElement[bool]:
    """The rows of ``table`` (a model, alias or Table of the entity) on which the actor may perform the action."""
    columns = table.c if hasattr(table, "c") else table
    scopes = actor.scopes(entity, action)
    if not scopes:
        return false()
    owner: Any = getattr(columns, "owner_id", None)
    reach = owned_within(actor, owner, scopes) if owner is not None else true()
    private = getattr(columns, "visibility", None)
    if private is not None and not actor.is_system:  # "only me" holds against every role
        reach = and_(reach, or_(private == Visibility.SHARED, owner == actor.user_id))
    deleted = getattr(columns, "deleted_at", None)
    if deleted is None or with_deleted:
        return reach
    return and_(deleted.is_(None), reach)
