"""Dashboards of the demo company: one per role, each found by its role, and one for everybody."""

from datetime import date, timedelta

from sqlmodel import Session, select

from crm_core.access import load
from crm_core.kit import clock
from crm_core.models import Role
from crm_core.services.analytics import dashboard_starts, dashboards
from crm_core.vocabulary import ShownTo

OF_ROLE = {"manager": "team", "sales_rep": "sales", "marketer": "marketing", "support_agent": "service", "analyst": "orders"}
"""Role → the proposal that its dashboard is made of."""
COMPANY = ("revenue_won", "open_pipeline", "new_leads", "open_tickets")


def add(session: Session, people: dict[str, int]) -> list[int]:
    """Make them, owned by the administrator; ``people``: role key → user id. Gives their ids."""
    if "administrator" not in people:
        return []
    actor = load(session, people["administrator"])
    roles = {key: role_id for role_id, key in session.exec(select(Role.id, Role.key)).all() if key}
    made = [
        dashboards.create(
            session, actor, name=name, description=words, shown_to=ShownTo.ROLE, role_id=roles[role],
            tiles=dashboard_starts.tiles_for(actor, key),
        )
        for role, key in OF_ROLE.items()
        for name, words, _tiles in (dashboard_starts.STARTS[key],)
        if role in roles
    ]  # fmt: skip
    company = [{"kind": "figure", "spec": {"metric": key, "by": "", "chart": "number"}, "width": 3, "height": 1} for key in COMPANY]
    company += [
        {"kind": "figure", "spec": {"metric": "revenue_won", "by": "time", "chart": "bars"}, "width": 6, "height": 2},
        {"kind": "figure", "spec": {"metric": "order_revenue", "by": "time", "chart": "line"}, "width": 6, "height": 2},
        {"kind": "figure", "spec": {"metric": "revenue_won", "by": "account.industry", "chart": "bars"}, "width": 6, "height": 2},
        {"kind": "text", "spec": {"text": "The week’s figures for everybody. Each tile’s menu leads to the records behind it."}, "width": 6, "height": 1},
    ]  # fmt: skip
    board = dashboards.create(
        session, actor, name="Company", description="The week at a glance", shown_to=ShownTo.SHARED, tiles=company
    )
    dashboards.add_note(session, actor, board, day=_some_day(clock.today(actor.timezone)), text="New price list")
    return [*made, board]


def _some_day(today: date) -> date:
    return today - timedelta(days=80)
