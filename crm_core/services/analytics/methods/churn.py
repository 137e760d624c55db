"""Contract customers: who will leave in the months ahead, why, what that puts at stake, and how long customers stay."""

from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session

from crm_core.access import Actor
from crm_core.services.analytics.methods.base import Method, Outcome, Param, Report
from crm_core.vocabulary import FieldKind

AUTO = "auto"
AHEAD = {AUTO: "By the length of the record", "3": "3 months", "6": "6 months", "12": "12 months"}


def compute(session: Session, actor: Actor, params: dict[str, Any], as_of: datetime, report: Report) -> Outcome:
    """Fit, judge, and score everybody who is under contract today."""
    from crm_core.services.analytics.churn_fit import learn

    return learn(session, actor, params, as_of - timedelta(microseconds=1), report)


def group_choices(session: Session, actor: Actor) -> dict[str, str]:
    """Fields of companies with few values: a curve for each of them."""
    from crm_core.frames.customers import attributes

    found = attributes(session, actor, "account")
    few = (FieldKind.CHOICE, FieldKind.PICK, FieldKind.BOOLEAN)
    return {key: spec.label for key, spec in found.items() if spec.kind in few and key not in ("kind", "handover_state")}


METHOD = Method(
    kind="churn",
    page="value",
    part="Under contract",
    title="Contracts at risk",
    entities=("account",),
    also=("order", "ticket"),
    tables=("account", "sales_order", "ticket", "custom_field"),
    params=(
        Param(
            "horizon",
            "Leaves within",
            "choice",
            AUTO,
            AHEAD,
            help="By the length of the record: the longest that fits into it three times, so that it learns on two and is judged on one",
        ),
        Param("group", "Compare by", "choice", None, group_choices, help="A curve and a rate of leaving for each value"),
        Param("filter", "Only companies that match", "filter", None, entity="account"),
    ),
    compute=compute,
    how=(
        "Companies are under contract from “Customer since” until “Customer until”. They are looked at as they stood on earlier days, rebuilt "
        "from the change log, orders and tickets, always a whole horizon apart. Unless chosen, the horizon is the longest of 12, 6 and 3 months that fits "
        "three times into the time since a tenth of the customers had begun: a rule about dates alone, settled before any outcome is seen. A "
        "logistic regression learns who left within it. It is fitted on the earlier days and judged on the later ones, which it has not seen, beside simple rules. When the interval of its AUC includes one "
        "half it is refused. At stake is the risk times what the customer brought in over the last twelve months. How long customers stay is "
        "drawn by Kaplan and Meier, who count those still there up to today only; the rate of leaving is leavers per hundred customer years."
    ),
)
