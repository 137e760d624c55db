"""Segments of the demo company: groups that a team would really keep, each showing another kind of condition."""

from typing import Any

from sqlalchemy import select, update
from sqlmodel import Session

from crm_core.access import load
from crm_core.models import ProductCategory, Segment
from crm_core.services.marketing import segments

_SEGMENTS: Any = Segment.__table__  # type: ignore[attr-defined]
_CATEGORIES: Any = ProductCategory.__table__  # type: ignore[attr-defined]


def add(session: Session, people: dict[str, int]) -> int:
    """Three segments of the first marketer; gives how many. ``people``: role key → user id."""
    actor = load(session, people["marketer"])
    coffee = session.execute(select(_CATEGORIES.c.id).order_by(_CATEGORIES.c.id).limit(1)).scalar()
    recent = {"field": "order.ordered_at", "cmp": "ge", "value": "-90d"}
    of_kind = {"field": "product.category_id", "cmp": "eq", "value": coffee}
    often = {"agg": "count", "rel": "purchases", "where": {"op": "and", "items": [recent, of_kind]}, "cmp": "ge", "value": 3}
    segments.create(
        session, actor, name="Coffee regulars", entity="contact", rule=often,
        description="Bought coffee at least three times in 90 days: the first to hear of a new roast.",
    )  # fmt: skip
    ever = {"agg": "count", "rel": "orders", "cmp": "ge", "value": 2}
    lately = {
        "agg": "count",
        "rel": "orders",
        "where": {"field": "ordered_at", "cmp": "ge", "value": "-120d"},
        "cmp": "eq",
        "value": 0,
    }
    segments.create(
        session, actor, name="Gone quiet", entity="contact", rule={"op": "and", "items": [ever, lately]},
        description="Ordered twice or more, but not in the last 120 days: a reason to ask how they are.",
    )  # fmt: skip
    large = {
        "op": "or",
        "items": [{"field": "employees", "cmp": "ge", "value": 50}, {"field": "revenue_minor", "cmp": "ge", "value": 500_000_000}],
    }
    no_deal = {"agg": "count", "rel": "deals", "where": {"field": "outcome", "cmp": "eq", "value": "open"}, "cmp": "eq", "value": 0}
    segments.create(
        session, actor, name="Large accounts without an open deal", entity="account", rule={"op": "and", "items": [large, no_deal]},
        description="Where sales could talk again: fifty people or five million in revenue, and nothing open.",
    )  # fmt: skip
    # How long counting took is of this machine: the same company is the same wherever it is built. The worker counts anew within a minute.
    session.execute(update(_SEGMENTS).values(progress={}))
    return 3
