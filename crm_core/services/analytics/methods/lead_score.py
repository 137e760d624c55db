"""Lead score: which leads will convert, learned from those that did and did not, refused when it can't be told from chance."""

from datetime import datetime
from typing import Any

from sqlmodel import Session

from crm_core.access import Actor
from crm_core.services.analytics.methods.base import Method, Outcome, Param, Report

HOW = (
    "A logistic regression learns from leads as they were when they came in, rebuilt from the change log. It is fitted on the earlier three "
    "quarters and judged on the later quarter, which it has not seen. Fields that leak the answer are looked for and left out. When the "
    "interval of the AUC includes one half, the score is refused. A score is a sum: its reasons add up to it."
)
AGE = Param(
    "age_days", "Scored", "choice", 0, {0: "When it comes in", 7: "After a week", 14: "After two weeks", 30: "After a month"},
    help="Only what was known by then is used, in learning and in scoring",
)  # fmt: skip
LEARN = Param(
    "months", "Learn from", "choice", "0", {"0": "All there are", "12": "The last 12 months", "24": "The last 24 months", "36": "The last 36 months"},
    help="By the day on which they came in",
)  # fmt: skip
OWNER = Param(
    "owner", "Let it matter who owns the record", "bool", False, help="Tells more, and says something about people", advanced=True
)


def compute(session: Session, actor: Actor, params: dict[str, Any], as_of: datetime, report: Report) -> Outcome:
    """Fit and judge on leads."""
    from crm_core.services.analytics.score_fit import LEADS, learn

    return learn(session, actor, LEADS, params, as_of, report)


METHOD = Method(
    kind="lead_score",
    page="scoring",
    part="Leads",
    title="Lead score",
    entities=("lead", "deal"),
    tables=("lead", "lead_status", "touchpoint", "custom_field", "deal"),
    params=(AGE, LEARN, Param("filter", "Only leads that match", "filter", None, entity="lead"), OWNER),
    compute=compute,
    how=HOW,
)
