"""Dashboards to start from: one per kind of work, made of tiles that only show what the person may see."""

from typing import Any

from crm_core.access import Actor
from crm_core.services.analytics.metric_rules import METRICS
from crm_core.vocabulary import Action

Tile = dict[str, Any]


def _number(metric: str, **more: Any) -> Tile:
    return {"kind": "figure", "spec": {"metric": metric, "by": "", "chart": "number", **more}, "width": 3, "height": 1}


def _over(metric: str, chart: str = "bars", width: int = 8) -> Tile:
    return {"kind": "figure", "spec": {"metric": metric, "by": "time", "chart": chart}, "width": width, "height": 2}


def _by(metric: str, field: str, chart: str = "bars", width: int = 4, title: str = "") -> Tile:
    return {"kind": "figure", "title": title, "spec": {"metric": metric, "by": field, "chart": chart}, "width": width, "height": 2}


def _report(
    entity: str,
    rows: str,
    columns: str | None,
    chart: str,
    title: str,
    *,
    measure: str = "count",
    field: str = "",
    date: str = "",
    width: int = 6,
) -> Tile:
    axis = {"field": columns, "grain": ""} if columns else None
    spec = {
        "entity": entity,
        "rows": {"field": rows, "grain": ""},
        "columns": axis,
        "measure": measure,
        "field": field,
        "date": date,
        "chart": chart,
    }
    return {"kind": "pivot", "title": title, "spec": spec, "width": width, "height": 2}


STARTS: dict[str, tuple[str, str, tuple[Tile, ...]]] = {
    "sales": (
        "Sales", "What was won, what is open, and where it comes from",
        (
            _number("revenue_won"), _number("open_pipeline"), _number("win_rate"), _number("sales_cycle"),
            _over("revenue_won"), _by("open_pipeline", "stage_id", title="Open pipeline by stage"),
            _by("win_rate", "source", "dots", 6), _by("revenue_won", "account.industry", width=6, title="Revenue won by industry"),
        ),
    ),
    "team": (
        "Team", "How the team does, person by person, with the chance in it",
        (
            _number("revenue_won"), _number("weighted_pipeline"), _number("average_deal"), _number("new_leads"),
            _by("revenue_won", "owner_id", width=6), _by("win_rate", "owner_id", "dots", 6),
            _report("deal", "owner_id", "stage_id", "heat", "Deals by owner and stage", width=12),
        ),
    ),
    "marketing": (
        "Marketing", "Leads, what becomes of them, and what campaigns cost",
        (
            _number("new_leads"), _number("lead_conversion"), _number("campaign_cost"), _number("campaign_return"),
            _over("new_leads"), _by("lead_conversion", "source", "dots"),
            _by("new_leads", "campaign_id", width=6, title="Leads by campaign"), _report("lead", "source", "status_id", "stacked", "Leads by source and status", date="created_at"),
        ),
    ),
    "service": (
        "Service", "What waits, how quickly customers are answered, and about what they write",
        (
            _number("open_tickets"), _number("first_response"), _number("resolution"),
            _over("open_tickets", "line"), _by("open_tickets", "priority"),
            _by("resolution", "category", width=6), _report("ticket", "category", "priority", "heat", "Tickets by category and priority", date="opened_at"),
        ),
    ),
    "orders": (
        "Orders", "Orders and their value",
        (
            _number("orders"), _number("order_revenue"), _number("average_order"),
            _over("order_revenue", width=12), _by("order_revenue", "source", width=6), _by("average_order", "account.industry", width=6, title="Average order by industry"),
        ),
    ),
}  # fmt: skip
"""Key → name, what it answers, tiles."""


def offered(actor: Actor) -> dict[str, str]:
    """Key → name of the starts with at least one tile for this person."""
    return {key: name for key, (name, _words, _tiles) in STARTS.items() if tiles_for(actor, key)}


def tiles_for(actor: Actor, key: str) -> list[Tile]:
    """The tiles of a start that this person can see."""
    if not actor.can("analytics", Action.READ):
        return []
    return [tile for tile in STARTS[key][2] if actor.can(_entity(tile), Action.READ)]


def _entity(tile: Tile) -> str:
    spec = tile["spec"]
    return str(spec["entity"]) if tile["kind"] == "pivot" else METRICS[spec["metric"]].entity
