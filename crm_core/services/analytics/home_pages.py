"""Where a person lands after signing in: their own choice, else what their role was given, else the usual start."""

from sqlmodel import Session, col, select

from crm_core.access import Actor, require
from crm_core.errors import Invalid, NotPermitted
from crm_core.models import Dashboard, HomePage, Role, UserRole
from crm_core.services.analytics import dashboards
from crm_core.vocabulary import Action, ShownTo

PAGES = {"today": "Today", "overview": "Overview"}
"""Pages that may be a start page beside dashboards."""


def target(session: Session, actor: Actor) -> tuple[str, int | None]:
    """Address and dashboard of the start page; an empty address means the usual one. A dashboard that one no longer sees is passed over."""
    if not actor.can("analytics", Action.READ):
        return "", None
    roles = select(UserRole.role_id).where(UserRole.user_id == actor.user_id)
    found = session.exec(
        select(HomePage)
        .where((col(HomePage.user_id) == actor.user_id) | col(HomePage.role_id).in_(roles))
        .order_by(col(HomePage.user_id).is_(None), col(HomePage.id))
    ).all()
    seen = {row.id for row in dashboards.find(session, actor)} if found else set()
    for row in found:
        if row.dashboard_id in seen:
            return "dashboard", row.dashboard_id
        if row.page in PAGES:
            return row.page, None
    return "", None


def own(session: Session, actor: Actor) -> str:
    """A person's own choice: an address, the number of a dashboard as text, or empty for none."""
    require(actor, "analytics", Action.READ)
    row = session.exec(select(HomePage).where(HomePage.user_id == actor.user_id)).first()
    return "" if row is None else row.page or str(row.dashboard_id or "")


def choose(session: Session, actor: Actor, *, dashboard_id: int | None = None, page: str = "") -> None:
    """Set one's own start page; neither a dashboard nor a page: back to what the role has."""
    require(actor, "analytics", Action.READ)
    if dashboard_id is not None:
        dashboards.get(session, actor, dashboard_id)
    _put(session, HomePage(user_id=actor.user_id), dashboard_id, page)


def of_roles(session: Session, actor: Actor) -> dict[int, int]:
    """Role → the dashboard that its people start with."""
    require(actor, "analytics", Action.READ)
    rows = session.exec(select(HomePage).where(col(HomePage.role_id).is_not(None), col(HomePage.dashboard_id).is_not(None)))
    return {int(row.role_id or 0): int(row.dashboard_id or 0) for row in rows}


def roles(session: Session, actor: Actor) -> dict[int, str]:
    """The roles of the workspace by name, for choosing whom a dashboard is for."""
    require(actor, "analytics", Action.READ)
    return dict(session.exec(select(Role.id, Role.name).order_by(col(Role.key).is_(None), col(Role.id))).all())


def set_for_role(session: Session, actor: Actor, role_id: int, dashboard_id: int | None) -> None:
    """Let the people of a role start with a dashboard that they can see (None: the usual start). Needs the right to manage people."""
    if not actor.can("user", Action.MANAGE):
        raise NotPermitted("Only who manages people can choose the start page of a role.")
    require(actor, "analytics", Action.MANAGE)
    if session.get(Role, role_id) is None:
        raise Invalid("This role does not exist any more.")
    if dashboard_id is not None:
        dashboards.get(session, actor, dashboard_id)
        row = session.get(Dashboard, dashboard_id)
        if row is None or not (row.shown_to is ShownTo.SHARED or (row.shown_to is ShownTo.ROLE and row.role_id == role_id)):
            raise Invalid("The people of this role don't see this dashboard. Show it to everyone, or to this role, first.")
    _put(session, HomePage(role_id=role_id), dashboard_id, "")


def _put(session: Session, wanted: HomePage, dashboard_id: int | None, page: str) -> None:
    whose = col(HomePage.role_id) == wanted.role_id if wanted.role_id is not None else col(HomePage.user_id) == wanted.user_id
    row = session.exec(select(HomePage).where(whose)).first()
    if dashboard_id is None and page not in PAGES:
        if row is not None:
            session.delete(row)
            session.flush()
        return
    row = row or wanted
    row.dashboard_id, row.page = dashboard_id, page if dashboard_id is None else ""
    session.add(row)
    session.flush()
