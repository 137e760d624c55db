"""What a driver analysis may ask and what may explain it: outcomes, the fields that give the answer away, words. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from crm_core.fields import FieldSpec
from crm_core.vocabulary import FieldKind


@dataclass(frozen=True)
class Goal:
    """One outcome. ``entity``: a row is one of its records; ``binary``: yes or no; ``unit``: of a number; ``rows``: which records count."""

    key: str
    label: str
    entity: str
    binary: bool
    unit: str
    rows: str
    y: str


GOALS: dict[str, Goal] = {
    goal.key: goal
    for goal in (
        Goal("deal_won", "Whether a deal is won", "deal", True, "", "closed deals", "Won"),
        Goal("deal_amount", "Amount of a won deal", "deal", False, "money", "won deals", "Amount"),
        Goal("cycle_days", "Days from opening to winning", "deal", False, "days", "won deals", "Days to win"),
        Goal("order_revenue", "Value of an order", "order", False, "money", "orders", "Order value"),
        Goal(
            "account_churned",
            "Whether a company stopped ordering",
            "account",
            True,
            "",
            "companies that ordered before",
            "Stopped ordering",
        ),
        Goal(
            "contact_churned",
            "Whether a person stopped ordering",
            "contact",
            True,
            "",
            "people who ordered before",
            "Stopped ordering",
        ),
    )
}

EXPLAINING = (
    FieldKind.INTEGER,
    FieldKind.DECIMAL,
    FieldKind.MONEY,
    FieldKind.PERCENT,
    FieldKind.BOOLEAN,
    FieldKind.CHOICE,
    FieldKind.PICK,
)
"""Kinds of fields that can explain something as they are."""
REFERENCES = {
    "deal": ("owner_id", "product_id", "pipeline_id"),
    "order": ("owner_id",),
    "account": ("owner_id",),
    "contact": ("owner_id",),
}
"""Links that are compared by what they lead to."""

LEAKS: dict[tuple[str, str], str] = {
    ("deal", "outcome"): "is the outcome",
    ("deal", "stage_id"): "ends in won or lost",
    ("deal", "probability_pct"): "becomes 100 or 0 when the deal is closed",
    ("deal", "probability_own"): "is reset when the deal is closed",
    ("deal", "forecast_category"): "is set while the outcome shows",
    ("deal", "lost_reason"): "is filled in for lost deals only",
    ("deal", "won_reason"): "is filled in for won deals only",
    ("deal", "competitor"): "is mostly filled in when a deal is lost",
    ("deal", "amount_locked"): "is set while the deal is negotiated",
    ("account", "kind"): "turns into “customer” by the purchase itself",
    ("lead", "score"): "is computed from outcomes",
}
"""Fields that are filled in with or after the outcome: never offered, and named on the page with the reason."""

COMPUTED: dict[str, tuple[tuple[str, str], ...]] = {
    "deal": (("committee", "People in the buying committee"), ("lines", "Products on the deal"), ("discount_pct", "Average discount (%)"), ("touches", "Touches of campaigns before it opened")),
    "order": (("lines", "Lines on the order"), ("discount_pct", "Average discount (%)"), ("nth", "Which order of the customer")),
    "account": (("purchases", "Orders before"), ("mean_order", "Average order before"), ("tickets", "Tickets in the months before"), ("customer_months", "Months as a customer")),
    "contact": (("purchases", "Orders before"), ("mean_order", "Average order before"), ("tickets", "Tickets in the months before"), ("customer_months", "Months as a customer")),
}  # fmt: skip
"""Numbers made from related records, all of what was known before the outcome."""

LINKED = {"deal": "account", "order": "account", "contact": "account"}
"""The record whose fields may explain too."""

EMPTY, OTHER = "Not filled in", "Other"
MOST_LEVELS, LEAST_ROWS = 8, 10
AUTOMATIC = 8
"""How many factors are taken when nobody chose any."""


def offered(entity: str, specs: Mapping[str, FieldSpec]) -> dict[str, FieldSpec]:
    """Fields of an entity that may explain something, without those that give the answer away."""
    return {
        key: spec
        for key, spec in specs.items()
        if (entity, key) not in LEAKS and not spec.pii and (spec.kind in EXPLAINING or key in REFERENCES.get(entity, ()))
    }


def left_out(goal: Goal, specs: Mapping[str, FieldSpec]) -> list[str]:
    """One sentence per field that was kept out because it knows the outcome."""
    entities = (goal.entity, *([LINKED[goal.entity]] if goal.entity in LINKED else []))
    return [
        f"{specs[key].label} {why}."
        for (entity, key), why in LEAKS.items()
        if entity in entities and entity == goal.entity and key in specs
    ]


def belongs(goal: Goal, factor: str) -> bool:
    """Whether a factor (``deal:source``, ``deal:=committee``) says something about the records of a goal."""
    entity = factor.partition(":")[0]
    return entity == goal.entity or (LINKED.get(goal.entity) == entity and "=" not in factor)
