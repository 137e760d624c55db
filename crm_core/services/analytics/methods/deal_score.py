"""Deal score: which deals will be won, learned from closed ones as they were when they were opened, refused when nothing tells them apart."""

from datetime import datetime
from typing import Any

from sqlmodel import Session

from crm_core.access import Actor
from crm_core.services.analytics.methods.base import Method, Outcome, Param, Report
from crm_core.services.analytics.methods.lead_score import AGE, LEARN, OWNER

HOW = (
    "A logistic regression learns from deals as they were at the end of the day on which they were opened (or some weeks later), rebuilt from "
    "the change log. It is fitted on the earlier three quarters and judged on the later quarter, which it has not seen. Fields that leak the "
    "answer are looked for and left out. When the interval of the AUC includes one half, the score is refused and the base rate stands. "
    "Expected value is the chance times what such deals were worth when they were won."
)


def compute(session: Session, actor: Actor, params: dict[str, Any], as_of: datetime, report: Report) -> Outcome:
    """Fit and judge on deals."""
    from crm_core.services.analytics.score_fit import DEALS, learn

    return learn(session, actor, DEALS, params, as_of, report)


METHOD = Method(
    kind="deal_score",
    page="scoring",
    part="Deals",
    title="Deal score",
    entities=("deal", "account", "contact", "order", "product"),
    tables=("deal", "deal_contact", "touchpoint", "account", "sales_order", "custom_field", "product"),
    params=(AGE, LEARN, Param("filter", "Only deals that match", "filter", None, entity="deal"), OWNER),
    compute=compute,
    how=HOW,
)
