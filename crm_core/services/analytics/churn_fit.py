"""The risk of contract customers to leave: learned from earlier days, judged on later ones beside simple rules, refused when it knows nothing."""

from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats
from scipy.optimize import brentq
from sqlmodel import Session

from crm_core.access import Actor
from crm_core.frames import contracts as frames
from crm_core.frames.customers import customers
from crm_core.frames.read import sql_of
from crm_core.services.analytics import contract_snapshots
from crm_core.services.analytics.contract_snapshots import Snapshots
from crm_core.services.analytics.methods.base import Outcome, Report
from crm_core.services.analytics.score_fit import Subject, in_words, reliable, score, strict, term_words
from ml import churn
from ml.errors import DataError
from ml.evaluation import auc_interval
from ml.lead_model import ScoreModel
from ml.lead_rows import MIN_EACH, TEST_SHARE

CONTRACTS = Subject("account", "churn", "customers", "left", "left", "stayed")
MIN_GROUP = 5
RULES = (
    ("tenure_months", -1, "Newest customers first"),
    ("silent_days", 1, "Longest without an order first"),
    ("tickets_90", 1, "Most tickets first"),
)
"""What one would do without a model: a fact, its direction, and its words."""
HIGH, MEDIUM = 1.5, 1.0
"""How many times the usual share of leavers counts as high and as medium: few contracts end in any half year, so 50% would be nobody."""


def level_of(risk: float, base: float) -> str:
    """High, medium or low, against the share that usually leaves."""
    return "High" if risk >= HIGH * base else "Medium" if risk >= MEDIUM * base else "Low"


def learn(session: Session, actor: Actor, params: dict[str, Any], moment: datetime, report: Report) -> Outcome:
    """The whole analysis for one moment."""
    known = frames.contracts(session, actor, rule=params["filter"], now=moment)
    _enough(actor, known, moment)
    months = contract_snapshots.horizon_of(known, moment, str(params["horizon"]))
    report(0.2, "Rebuilding customers as they were")
    found = contract_snapshots.snapshots(session, actor, known, moment, months)
    _enough_outcomes(found, months)
    report(0.6, "Learning from earlier days, judging on later ones")
    model = _fit(found)
    report(0.85, "Who is under contract today")
    groups = _groups(session, actor, params["group"], moment)
    curve, rates, differ = _staying(known, moment, groups)
    scored = _scored(model, found, known)
    return Outcome(
        verdict=model.verdict,
        reliable=reliable(model),
        summary=_summary(model, found, scored, rates, months, differ),
        tables={
            "customers": scored, "survival": curve, "groups": rates, "compared": _compared(model, found), "calibration": model.calibration,
            "lift": model.lift, "coefficients": _terms(model, found), "drift": _named(model.drift, found),
            "left_out": _left_out(model, found),
        },
        warnings=[*_chosen(months, params), *_moved(model, found), *(in_words(one, found.labels) for one in model.advice[1:]), *_notes(found)],
        missing=_missing(model, found),
        sql=sql_of(session, frames.contracts_query(session, actor, rule=params["filter"], now=moment)),
        python=_python(months),
        marks=_marks(scored, model.base_rate) if model.usable else [],
    )  # fmt: skip


def _enough(actor: Actor, known: pd.DataFrame, moment: datetime) -> None:
    hidden = [key for key in ("customer_since", "customer_until") if actor.masked("account", key)]
    if hidden:
        raise DataError("they are hidden from your role", "“Customer since” and “Customer until” of companies")
    gone = int((known["customer_until"] <= pd.Timestamp(moment)).sum())
    if gone < MIN_EACH:
        raise DataError(
            f"{len(known):,} with a beginning, {gone:,} with an end",
            f"companies with “Customer since” filled in, and at least {MIN_EACH} whose “Customer until” says when their contract ended",
        )


def _enough_outcomes(found: Snapshots, months: int) -> None:
    left, stayed = (int((found.past["left"] == value).sum()) for value in (1.0, 0.0))
    if min(left, stayed) < MIN_EACH or found.past["at"].nunique() < 2:
        raise DataError(
            f"{left:,} leavings and {stayed:,} stays on {found.past['at'].nunique()} earlier days",
            f"two or more periods of {months} months with at least {MIN_EACH} customers who left in one and {MIN_EACH} who stayed",
        )


def _fit(found: Snapshots) -> ScoreModel:
    fitted = churn.fit_churn(found.past, outcome="left", at="at", id="account_id", features=list(found.labels))
    model = strict(fitted, CONTRACTS)
    if not model.usable:
        return model
    metrics = model.metrics
    words = (
        f"It knows something: on {metrics['n']:,.0f} later cases that it had not seen, the tenth at highest risk left "
        f"{metrics['top_decile_lift']:.1f} times as often as usual (AUC {metrics['auc']:.2f}, interval {metrics['auc_low']:.2f} to "
        f"{metrics['auc_high']:.2f}; a coin has .50)."
    )
    return replace(model, verdict=words)


def _compared(model: ScoreModel, found: Snapshots) -> pd.DataFrame:
    """The score beside simple rules, on the later cases that were held back: AUC with its interval, n."""
    ordered = found.past.sort_values("at", kind="stable")
    late = ordered[ordered["at"] >= ordered["at"].iloc[int(len(ordered) * (1 - TEST_SHARE))]]
    rows = [("This score", model.metrics["auc"], model.metrics["auc_low"], model.metrics["auc_high"])]
    for key, direction, words in RULES:
        if key in late:
            values = direction * late[key].astype(float)
            worst = values.max() if key == "silent_days" else values.min()
            span = auc_interval(late["left"].to_numpy(), values.fillna(worst if worst == worst else 0.0).to_numpy())
            rows.append((words, span.estimate, span.low, span.high))
    frame = pd.DataFrame(rows, columns=["method", "auc", "low", "high"]).assign(n=len(late))
    return frame.sort_values("auc", ascending=False, kind="stable", ignore_index=True)


def _scored(model: ScoreModel, found: Snapshots, known: pd.DataFrame) -> pd.DataFrame:
    """Everybody under contract: risk with its range, reasons, revenue and what is at stake, most first."""
    rows = found.now.rename(columns={"account_id": "id"})
    if rows.empty:
        return pd.DataFrame(columns=["account_id", "risk", "low", "high", "revenue_12m", "at_stake", "renews_on", "reasons"])
    scored = _believable(score(model, rows, found.labels).set_index("id"), model)
    facts = rows.set_index("id").reindex(scored.index)
    renews = known.set_index("account_id")["renews_on"].reindex(scored.index)
    table = pd.DataFrame(
        {
            "risk": scored["p"], "low": scored["p_low"], "high": scored["p_high"], "revenue_12m": facts.get("revenue_12m", np.nan),
            "tenure_months": facts["tenure_months"], "renews_on": renews.dt.strftime("%Y-%m-%d"), "reasons": scored["reasons"],
        },
        index=scored.index,
    )  # fmt: skip
    table["at_stake"] = table["risk"] * table["revenue_12m"]
    table = table.rename_axis("account_id").reset_index()
    return table.sort_values(["at_stake", "risk", "account_id"], ascending=[False, False, True], ignore_index=True)


def _believable(scored: pd.DataFrame, model: ScoreModel) -> pd.DataFrame:
    """The risks of today, moved together until their mean lies within what usually leaves: customers are older than those it learned from,
    and a line drawn on beyond them would promise a wave of leaving. Their order stays."""
    mean = float(scored["p"].mean())
    target = min(max(mean, model.base_low), model.base_high)
    if not model.usable or abs(mean - target) < 1e-9:
        return scored
    odds = {key: np.log(scored[key] / (1 - scored[key])) for key in ("p", "p_low", "p_high")}
    shift = brentq(lambda by: float((1 / (1 + np.exp(-(odds["p"] + by)))).mean()) - target, -12, 12)
    return scored.assign(**{key: 1 / (1 + np.exp(-(values + shift))) for key, values in odds.items()})


def _moved(model: ScoreModel, found: Snapshots) -> list[str]:
    """What to know when the risks had to be moved together."""
    if not model.usable or found.now.empty:
        return []
    mean = float(model.score(found.now, top=1)["p"].mean())
    if model.base_low <= mean <= model.base_high:
        return []
    return [
        f"Taken at its word, the score expects {mean:.0%} of today's customers to leave, where {model.base_low:.0%} to {model.base_high:.0%} usually do. "
        "All risks were moved together to the nearer end of that; their order stays."
    ]


def _groups(session: Session, actor: Actor, key: str | None, moment: datetime) -> pd.Series | None:
    if not key:
        return None
    frame = customers(session, actor, "account", fields=[key], now=moment).set_index("customer_id")
    values = frame[key]
    return values.map({True: "Yes", False: "No"}) if pd.api.types.is_bool_dtype(values) else values


def _staying(
    known: pd.DataFrame, moment: datetime, groups: pd.Series | None
) -> tuple[pd.DataFrame, pd.DataFrame, churn.LogRank | None]:
    """Kaplan–Meier's curve, the rate of leaving, and whether groups differ; each by group where one was chosen."""
    rows = contract_snapshots.spells(known, moment, groups)
    names = None
    if groups is not None:
        rows = rows.assign(group=rows["group"].fillna("Not said").astype(str))
        large = rows["group"].value_counts()
        rows = rows[rows["group"].isin(large[large >= MIN_GROUP].index)]
        names = rows["group"].to_numpy()
    curve = churn.kaplan_meier(rows["age_months"], rows["ended"], groups=names)
    several = names is not None and len(set(names)) > 1
    differ = churn.log_rank(rows["age_months"], rows["ended"], names) if several else None
    return curve, _rates(rows), differ


def _rates(rows: pd.DataFrame) -> pd.DataFrame:
    """group, customers, left, years, rate (leavers per hundred customer years) with Poisson's exact interval."""
    keyed = rows if "group" in rows else rows.assign(group="All")
    found = keyed.groupby("group").agg(
        customers=("ended", "size"), left=("ended", "sum"), years=("age_months", lambda ages: ages.sum() / 12)
    )
    left, years = found["left"].to_numpy(dtype=float), found["years"].clip(lower=1e-9).to_numpy(dtype=float)
    low = np.where(left > 0, stats.chi2.ppf(0.025, 2 * np.maximum(left, 0.5)) / 2, 0.0)
    high = stats.chi2.ppf(0.975, 2 * (left + 1)) / 2
    found = found.assign(rate=100 * left / years, low=100 * low / years, high=100 * high / years)
    return found.sort_values("rate", ascending=False).reset_index()


def _terms(model: ScoreModel, found: Snapshots) -> pd.DataFrame:
    words = [term_words(term, found.labels) for term in model.coefficients.get("term", [])]
    return model.coefficients.assign(term=words)


def _named(table: pd.DataFrame, found: Snapshots) -> pd.DataFrame:
    words = found.labels | {"(outcome)": "Share that left"}
    return table.assign(field=[words.get(key, key) for key in table["field"]])


def _left_out(model: ScoreModel, found: Snapshots) -> pd.DataFrame:
    rows = [(found.labels.get(key, key), why) for key, why in model.dropped.items()]
    rows.append(("Type, hand-over", "they follow the leaving"))
    return pd.DataFrame(rows, columns=["field", "why"])


def _summary(
    model: ScoreModel, found: Snapshots, scored: pd.DataFrame, rates: pd.DataFrame, months: int, differ: Any
) -> dict[str, Any]:
    base = model.base_rate
    return {
        **{key: round(float(value), 6) for key, value in model.metrics.items()},
        "usable": model.usable,
        "base": [base, model.base_low, model.base_high],
        "customers": len(scored),
        "expected": float(scored["risk"].sum()),
        "at_stake": float(scored["at_stake"].sum()),
        "high": int((scored["risk"] >= HIGH * base).sum()) if model.usable else 0,
        "notice": found.notice,
        "cases": len(found.past),
        "days": int(found.past["at"].nunique()),
        "months": months,
        "p_groups": float(differ.p_value) if differ is not None else None,
        "left": int(rates["left"].sum()),
    }


def _chosen(months: int, params: dict[str, Any]) -> list[str]:
    if str(params["horizon"]).isdecimal():
        return []
    return [f"It looks {months} months ahead: chosen by the length of the record alone, before any outcome was seen."]


def _notes(found: Snapshots) -> list[str]:
    if not found.notice:
        return []
    return [f"{found.notice:,} have a day of leaving ahead of them already and are not scored."]


def _missing(model: ScoreModel, found: Snapshots) -> list[str]:
    if "tickets_90" not in found.labels or "orders_90" not in found.labels:
        return ["Orders and tickets that you may see would tell more: your role reads only one of them, or neither."]
    if model.usable:
        return []
    return ["More leavings, or fields that tell leavers from others early: the term, the contact person, use of the product."]


def _marks(scored: pd.DataFrame, base: float) -> pd.DataFrame:
    """Risk of leaving, for lists, filters and rules."""
    money = scored["at_stake"].round(2)
    detail = ('{"at_stake":' + money.astype(str) + "}").where(money.notna(), None)
    levels = scored["risk"].map(lambda risk: level_of(risk, base))
    common = {"kind": "churn_risk", "entity": "account", "record_id": scored["account_id"]}
    return pd.DataFrame({**common, "number": scored["risk"], "label": levels, "detail": detail})


def _python(months: int) -> str:
    return f"""import pandas as pd
from ml.churn import fit_churn, kaplan_meier

# snapshots.csv: one row per customer and day, as it stood then; left: 1 when it ended within {months} months, else 0
table = pd.read_csv("snapshots.csv", parse_dates=["at"])
model = fit_churn(table, outcome="left", at="at", id="account_id")
print(model.verdict, model.metrics)
contracts = pd.read_csv("contracts.csv", parse_dates=["customer_since", "customer_until"])  # the SQL above
end = contracts.customer_until.fillna(pd.Timestamp.now())
kaplan_meier((end - contracts.customer_since).dt.days / 30.4375, contracts.customer_until.notna().astype(int))
"""
