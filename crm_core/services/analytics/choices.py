"""What analyses can be cut down to: people, pipelines, product categories, as value → label for a form. "All" comes first, under 0."""

from typing import Any

from sqlalchemy import select
from sqlmodel import Session

from crm_core.access import Actor, owned_within, require
from crm_core.models import Pipeline, ProductCategory, User
from crm_core.ordering import alphabetical
from crm_core.vocabulary import Action, Scope

_USERS: Any = User.__table__  # type: ignore[attr-defined]
_PIPELINES: Any = Pipeline.__table__  # type: ignore[attr-defined]
_CATEGORIES: Any = ProductCategory.__table__  # type: ignore[attr-defined]
OF_OWNERS = ("deal", "order", "lead", "ticket")


def owners(session: Session, actor: Actor) -> dict[int, str]:
    """Active people whose records the actor may see: nobody else's name, and nobody when only one's own are seen."""
    require(actor, "analytics", Action.READ)
    scopes = frozenset(scope for key in OF_OWNERS for scope in actor.scopes(key, Action.READ))
    everyone = {0: "Everyone" if Scope.ALL in scopes else "All that I see"}
    if scopes <= {Scope.OWN}:
        return everyone
    people = select(_USERS.c.id, _USERS.c.name).where(_USERS.c.is_active, owned_within(actor, _USERS.c.id, scopes))
    return everyone | dict(session.execute(people.order_by(alphabetical(_USERS.c.name))).tuples().all())


def pipelines(session: Session, actor: Actor) -> dict[int, str]:
    """Active pipelines, the default one first."""
    if not actor.can("deal", Action.READ):
        return {0: "All pipelines"}
    order = (_PIPELINES.c.is_default.desc(), _PIPELINES.c.position, _PIPELINES.c.id)
    rows = session.execute(select(_PIPELINES.c.id, _PIPELINES.c.name).where(_PIPELINES.c.is_active).order_by(*order))
    return {0: "All pipelines"} | dict(rows.tuples().all())


def categories(session: Session, actor: Actor) -> dict[int, str]:
    """Product categories by name."""
    if not actor.can("product", Action.READ):
        return {0: "All products"}
    rows = session.execute(select(_CATEGORIES.c.id, _CATEGORIES.c.name).order_by(alphabetical(_CATEGORIES.c.name)))
    return {0: "All products"} | dict(rows.tuples().all())
