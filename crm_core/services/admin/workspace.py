"""The workspace as every page needs it."""

from dataclasses import dataclass

from sqlmodel import Session, select

from crm_core import house
from crm_core.access import Actor
from crm_core.access.permissions import ROLES
from crm_core.models import AuthSession, Organisation
from crm_core.services.admin import people
from crm_core.vocabulary import SigninMethod


@dataclass(frozen=True)
class Workspace:
    """Name and kind of the workspace; nothing in it is secret to somebody signed in."""

    name: str
    is_demo: bool
    currency: str
    fiscal_year_start_month: int
    single_threaded_minor: int
    tax_rate_pct: float = 0.0


@dataclass(frozen=True)
class DemoRole:
    """A role as whom a visitor of the demo company may look around: its key, its name, and the person who shows it."""

    key: str
    name: str
    person: str
    user_id: int


def zone(session: Session, _actor: Actor) -> str:
    """The time zone of the workspace, by its name."""
    return house.zone(session)


def days_off(session: Session, _actor: Actor) -> frozenset[int]:
    """The weekdays on which the workspace does not work, Monday 0."""
    return house.days_off(session)


def demo_roles(session: Session, actor: Actor) -> list[DemoRole]:
    """The roles to look through in the demo company, for its visitors; nothing in any other workspace, or for somebody with an own account."""
    row = session.exec(select(Organisation)).first()
    came = session.get(AuthSession, actor.session_id) if actor.session_id is not None else None
    if row is None or not row.is_demo or came is None or came.method is not SigninMethod.DEMO:
        return []
    shown = people.demo_people(session)
    return [DemoRole(role.key, role.name, shown[role.key][1], shown[role.key][0]) for role in ROLES if role.key in shown]


def summary(session: Session, actor: Actor) -> Workspace:
    """The workspace's settings as pages show them. Everybody signed in may read them."""
    row = session.exec(select(Organisation)).first()
    if row is None:
        return Workspace("Rapport", False, actor.currency, 1, 1_000_000)
    return Workspace(row.name, row.is_demo, row.currency, row.fiscal_year_start_month, row.single_threaded_minor, row.tax_rate_pct)
