"""The workspace as every page needs it."""

from dataclasses import dataclass

from sqlmodel import Session, select

from crm_core.access import Actor
from crm_core.models import Organisation


@dataclass(frozen=True)
class Workspace:
    """Name and kind of the workspace; nothing in it is secret to somebody signed in."""

    name: str
    is_demo: bool
    currency: str
    fiscal_year_start_month: int
    single_threaded_minor: int


def summary(session: Session, actor: Actor) -> Workspace:
    """The workspace's settings as pages show them. Everybody signed in may read them."""
    row = session.exec(select(Organisation)).first()
    if row is None:
        return Workspace("Rapport", False, actor.currency, 1, 1_000_000)
    return Workspace(row.name, row.is_demo, row.currency, row.fiscal_year_start_month, row.single_threaded_minor)
