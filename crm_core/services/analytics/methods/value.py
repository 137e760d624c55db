"""Churn and lifetime value of customers without a contract: who will buy again, what that is worth, and how cohorts fade."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from sqlmodel import Session

from crm_core.access import Actor
from crm_core.services.analytics.methods.base import Method, Outcome, Param, Report

if TYPE_CHECKING:
    import pandas as pd

    from ml.lifetime import HoldoutReport

CUSTOMERS = {"contact": "People", "account": "Companies"}
SILENCE = {"13": "3 months", "26": "6 months", "52": "12 months"}
AHEAD = {"12": "12 months", "24": "24 months", "36": "36 months"}
COHORTS = {"month": "Month", "quarter": "Quarter", "year": "Year"}
LEVELS = ((0.7, "High"), (0.4, "Medium"), (0.0, "Low"))
"""Risk from which a customer counts as such."""
BINS = 10


def level_of(risk: float) -> str:
    """High, medium or low."""
    return next(name for least, name in LEVELS if risk >= least)


def _compute(session: Session, actor: Actor, params: dict[str, Any], as_of: datetime, report: Report) -> Outcome:
    from crm_core.frames.read import sql_of
    from ml import lifetime

    moment, weeks = _by_the_clock(as_of - timedelta(microseconds=1), actor), float(params["silence"])
    orders, query, left_out = _orders(session, actor, params, as_of)
    report(0.15, "Fitting how often customers buy")
    table = lifetime.summary(orders, as_of=moment)
    fits = [lifetime.fit_bgnbd(table), lifetime.fit_pareto_nbd(table)]
    fit = lifetime.fit_purchases(orders, as_of=moment, horizon=weeks)
    spend, spend_tried = lifetime.fit_spend(table), lifetime.fit_gamma_gamma(table)
    report(0.5, "Judging it on held-back weeks")
    held, calibration = _holdout(orders, table, moment, weeks, fit.model)
    report(0.8, "Values and cohorts")
    customers = _customers(orders, table, fit, spend, moment, params)
    cohorts, cohort_note = _cohorts(orders, moment, params["cohort"])
    fallbacks = [f"{one.model}: {one.reason}." for one in (*fits, spend_tried) if not one.converged]
    return Outcome(
        verdict=_verdict(held, fit.model),
        reliable=_reliable(held, fit.model),
        summary=_summary(fit, spend, fits, spend_tried, held, customers, calibration, params),
        tables={"customers": customers, "cohorts": cohorts, "calibration": calibration, **_evidence(held)},
        warnings=[*fit.advice, *spend.advice, *(held.advice[1:] if held else []), *fallbacks, *cohort_note],
        missing=left_out
        if held
        else [*left_out, "Twice the chosen months of orders are needed to hold some back and judge the model."],
        sql=sql_of(session, query),
        python=_snippet(moment, weeks, params),
        marks=_marks(customers, params["customer"]),
    )


def _by_the_clock(moment: datetime, actor: Actor) -> datetime:
    """What the actor's clock shows, called UTC: the maths reckon days and months in that, and figures belong to the days of their reader."""
    return moment.astimezone(ZoneInfo(actor.timezone)).replace(tzinfo=UTC)


def _orders(session: Session, actor: Actor, params: dict[str, Any], as_of: datetime) -> tuple["pd.DataFrame", Any, list[str]]:
    """Orders of the chosen customers, refunds beyond an order as nothing; the SELECT, and what was left out."""
    from crm_core.frames import customers as customer_frames
    from crm_core.frames.orders import orders, orders_query
    from ml.errors import DataError

    customer = params["customer"]
    found = orders(session, actor, customer=customer, until=as_of)
    found["ordered_at"] = found["ordered_at"].dt.tz_convert(actor.timezone).dt.tz_localize(None).dt.tz_localize("UTC")
    people = customer_frames.customers(session, actor, customer, rule=params["filter"], now=as_of)
    kept = found[found["customer_id"].isin(people["customer_id"])]
    if kept.empty:
        raise DataError("none", f"orders of {CUSTOMERS[customer].lower()}: enter or import orders that name their customer")
    silent = len(people) - kept["customer_id"].nunique()
    notes = [f"{silent:,} of {len(people):,} customers never ordered and are not part of this."] if silent > 0 else []
    clean = kept.assign(revenue=kept["revenue"].clip(lower=0), customer_id=kept["customer_id"].astype("int64"))
    return clean, orders_query(actor, customer=customer, until=as_of), notes


def _holdout(
    orders: "pd.DataFrame", table: "pd.DataFrame", moment: datetime, weeks: float, model: str
) -> tuple["HoldoutReport | None", "pd.DataFrame"]:
    """The judgement on the last weeks (as many as are asked for, at most a third of the history), and whether chances came true."""
    import pandas as pd

    from ml import lifetime
    from ml.errors import DataError
    from ml.evaluation import calibration_table
    from ml.lifetime_summary import purchases_between

    span = min(weeks, float(table["T"].max()) / 3)
    split = moment - timedelta(weeks=span)
    nothing = pd.DataFrame(columns=["bin", "n", "predicted", "observed", "low", "high"], dtype=float)
    try:
        held = lifetime.holdout_report(orders, split, as_of=moment)
        before = lifetime.summary(orders, as_of=split)
        fit = held.models[_judged(held, model)]
        bought = purchases_between(orders, before["customer_id"], split, moment) > 0
        chance = lifetime.probability_purchase(fit, before, held.periods)
        found = calibration_table(bought.astype(int), chance.to_numpy().clip(0, 1), bins=BINS)
    except (DataError, KeyError):
        return None, nothing
    return held, found.assign(ece=found.attrs["ece"], brier=found.attrs["brier"])


def _customers(
    orders: "pd.DataFrame", table: "pd.DataFrame", fit: Any, spend: Any, moment: datetime, params: dict[str, Any]
) -> "pd.DataFrame":
    """One row per customer, what is at stake first."""
    import numpy as np

    from ml import lifetime

    value = lifetime.customer_value(
        fit, spend, table, months=int(params["months"]), discount_rate=params["discount"] / 100, margin=params["margin"] / 100
    )
    chance = lifetime.probability_purchase(fit, table, float(params["silence"])).to_numpy().clip(0, 1)
    recent = orders[orders["ordered_at"] > moment - timedelta(days=365)].groupby("customer_id")["revenue"].sum()
    found = value.assign(
        purchases=(table["x"] + 1).astype(int).to_numpy(),
        silent_days=((table["T"] - table["t_x"]) * 7).round().astype(int).to_numpy(),
        usual_gap_days=np.where(table["x"] > 0, table["t_x"] * 7 / table["x"].clip(lower=1), np.nan),
        customer_days=(table["T"] * 7).round().astype(int).to_numpy(),
        revenue_12m=recent.reindex(table["customer_id"]).fillna(0).to_numpy(),
        risk=1 - chance,
    )
    found["at_stake"] = found["risk"] * found["revenue_12m"] * params["margin"] / 100
    return found.sort_values(["at_stake", "customer_id"], ascending=[False, True], kind="stable").reset_index(drop=True)


def _cohorts(orders: "pd.DataFrame", moment: datetime, period: str) -> tuple["pd.DataFrame", list[str]]:
    import pandas as pd

    from ml.churn import cohort_retention
    from ml.errors import DataError

    try:
        return cohort_retention(orders, as_of=moment, period=period, at="ordered_at"), []
    except DataError as error:
        return pd.DataFrame(columns=["cohort", "age", "customers", "active", "retention", "low", "high"]), [
            f"No cohorts: they need {error.needed}, found {error.found}."
        ]


def _evidence(held: "HoldoutReport | None") -> dict[str, "pd.DataFrame"]:
    if held is None:
        return {}
    return {"totals": held.totals, "ranking": held.ranking, "by_frequency": held.by_frequency, "tracking": held.tracking}


def _verdict(held: "HoldoutReport | None", model: str) -> str:
    if held is None:
        return f"{model} was fitted, but the history is too short to hold anything back: nothing says how wrong it is."
    if held.actual == 0 or not held.models:
        return held.advice[0]
    judged = _judged(held, model)
    row = held.totals.set_index("method").loc[judged]
    told = (
        f"In the {held.periods:g} weeks that were held back, {held.actual:,.0f} repeat purchases happened; {judged} had expected "
        f"{row['predicted']:,.0f} ({row['error']:+.0%})."
    )
    return told if judged == model else f"{told} {model}, which fits today, had no solution before them."


def _judged(held: "HoldoutReport", model: str) -> str:
    """The method whose record counts: the one that is used today, where it could be fitted before the hold-out."""
    return model if model in held.models else held.best


def _reliable(held: "HoldoutReport | None", model: str) -> Any:
    """By the total of the hold-out, and whether the order of customers beats a coin."""
    if held is None or not held.models or held.actual == 0 or held.ranking.empty:
        return "no"
    judged = _judged(held, model)
    error = abs(dict(zip(held.totals["method"], held.totals["error"].astype(float), strict=True))[judged])
    scores = held.ranking[~held.ranking["score"].str.contains("alive")]
    best = scores.sort_values("auc", ascending=False).iloc[0]
    if float(best["low"]) <= 0.5 or error > 0.5:
        return "no"
    return "yes" if error <= 0.15 and held.customers >= 200 and judged == model else "partly"


def _summary(
    fit: Any, spend: Any, fits: list[Any], spend_tried: Any, held: "HoldoutReport | None", customers: "pd.DataFrame",
    calibration: "pd.DataFrame", params: dict[str, Any],
) -> dict[str, Any]:  # fmt: skip
    summary: dict[str, Any] = {
        "model": fit.model,
        "spend_model": spend.model,
        "parameters": {one.model: {"converged": one.converged, "loglik": one.loglik, **one.params} for one in (*fits, spend_tried)},
        "customers": len(customers),
        "value": float(customers["value"].sum()),
        "at_stake": float(customers["at_stake"].sum()),
        "high": int((customers["risk"] >= LEVELS[0][0]).sum()),
        "expected_purchases": float(customers["expected_purchases"].sum()),
        "purchases": float(customers["purchases"].sum()),
        "ece": float(calibration["ece"].iloc[0]) if len(calibration) else None,
    }
    if held is not None:
        summary["held"] = {
            "split": held.split_at.isoformat(), "end": held.end.isoformat(), "weeks": held.periods, "actual": held.actual,
            "customers": held.customers, "best": held.best, "tracked": held.tracked,
            "judged": _judged(held, fit.model), "revenue_actual": held.revenue_actual, "revenue_predicted": held.revenue_predicted,
        }  # fmt: skip
    return summary


def _marks(customers: "pd.DataFrame", entity: str) -> "pd.DataFrame":
    """Risk of staying away, and the value still expected."""
    import pandas as pd

    detail = (
        '{"silent_days":' + customers["silent_days"].astype(str) + ',"at_stake":' + customers["at_stake"].round(2).astype(str) + "}"
    ).to_numpy()
    common = {"entity": entity, "record_id": customers["customer_id"]}
    risk = pd.DataFrame(
        {"kind": "churn_risk", **common, "number": customers["risk"], "label": customers["risk"].map(level_of), "detail": detail}
    )
    value = pd.DataFrame({"kind": "clv", **common, "number": customers["value"].round(2), "label": "", "detail": None})
    return pd.concat([risk, value], ignore_index=True)


def _snippet(moment: datetime, weeks: float, params: dict[str, Any]) -> str:
    return f"""import pandas as pd
from ml import lifetime

orders = pd.read_csv("orders.csv")  # order_id, customer_id, ordered_at, revenue: the SQL above, money divided by its minor unit
table = lifetime.summary(orders, as_of="{moment.isoformat()}")
fit, spend = lifetime.fit_purchases(orders, as_of="{moment.isoformat()}", horizon={weeks:g}), lifetime.fit_spend(table)
value = lifetime.customer_value(fit, spend, table, months={params["months"]}, discount_rate={params["discount"] / 100:g}, margin={params["margin"] / 100:g})
value["risk"] = 1 - lifetime.probability_purchase(fit, table, {weeks:g})
print(lifetime.holdout_report(orders, "{(moment - timedelta(weeks=weeks)).date().isoformat()}", as_of="{moment.isoformat()}").advice)
"""


METHOD = Method(
    kind="value",
    part="Without a contract",
    title="Churn and lifetime value",
    entities=("contact", "account", "order"),
    tables=("contact", "account", "sales_order"),
    params=(
        Param("customer", "Customers", "choice", "contact", CUSTOMERS),
        Param("silence", "Lost means: no order for", "choice", "26", SILENCE),
        Param("months", "Value over the next", "choice", "12", AHEAD),
        Param("cohort", "Cohorts by", "choice", "month", COHORTS),
        Param("filter", "Only customers that match", "filter", None, entity="@customer"),
        Param("discount", "Discount rate", "float", 10.0, low=0, high=100, advanced=True, help="Percent per year"),
        Param("margin", "Margin", "float", 100.0, low=1, high=100, advanced=True, help="Percent of revenue that counts as value"),
    ),
    compute=_compute,
    how=(
        "From how often, how lately and how long each customer has bought, a model says how many purchases are still to come (BG/NBD or "
        "Pareto/NBD, whichever fits better; a regression on past behaviour where neither has a solution) and Gamma-Gamma what one is worth. "
        "Risk is the chance of no purchase in the chosen months: one minus P(at least one purchase), never 'probability alive'. At stake is "
        "that risk times what the customer brought in over the last twelve months. The last weeks are held back to see how wrong it is."
    ),
)
