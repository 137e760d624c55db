"""The contract customers of a churn run as rows of a table: filtered, a page at a time, named as the reader may see them."""

import json
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from sqlmodel import Session

from crm_core.access import Actor
from crm_core.errors import Invalid
from crm_core.kit.numerals import written
from crm_core.services.analytics import customer_rows, runs

if TYPE_CHECKING:
    import pandas as pd

LEVELS = ("High", "Medium", "Low")
SORTS = {"at_stake": False, "risk": False, "renews_on": True, "revenue_12m": False, "tenure_months": True}
"""Column → ascending."""


@dataclass(frozen=True)
class Row:
    """One customer. Money in major units, None where orders are hidden; ``reasons``: field, words, value, log-odds, the strongest first."""

    id: int
    title: str
    owner: str
    risk: float
    low: float
    high: float
    level: str
    tenure_months: float
    revenue_12m: float | None
    at_stake: float | None
    renews_on: date | None
    reasons: tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class Page:
    """Rows of a page, with how many match and what they carry together."""

    rows: tuple[Row, ...]
    total: int
    at_stake: float


def page(
    session: Session, actor: Actor, run_id: int, *, level: str = "", sort: str = "at_stake", mine: bool = False, start: int = 0, size: int = 20
) -> Page:  # fmt: skip
    """A page of the run's customers whom the reader may see, by one of ``SORTS``; beyond the last one it is the last one."""
    kept = _kept(session, actor, run_id, level, mine, sort)
    start = min(start, max(0, len(kept) - 1) // size * size)
    return Page(tuple(_rows(session, actor, kept.iloc[start : start + size])), len(kept), float(kept["at_stake"].sum()))


def ids(session: Session, actor: Actor, run_id: int, *, level: str = "", sort: str = "at_stake", mine: bool = False) -> list[int]:
    """Ids of the customers that match, in the order of the table."""
    return [int(value) for value in _kept(session, actor, run_id, level, mine, sort)["account_id"]]


def notes(session: Session, actor: Actor, run_id: int, wanted: list[int]) -> dict[int, str]:
    """What a task should say about each customer: its risk, its renewal and its reasons, in words."""
    months = runs.get(session, actor, run_id, "churn").summary["months"]
    table = runs.table(session, actor, run_id, "customers")
    said = {}
    for row in table[table["account_id"].isin(wanted)].to_dict("records"):
        parts = [f"Chance of leaving within {months} months: {row['risk']:.0%}."]
        if isinstance(row["renews_on"], str):
            parts.append(f"The contract renews on {row['renews_on']}.")
        if row["revenue_12m"] == row["revenue_12m"]:
            parts.append(f"Brought in {written(row['revenue_12m'], ',.0f')} {actor.currency} over the last twelve months.")
        raised = [reason_words(one) for one in json.loads(row["reasons"]) if one["log_odds"] > 0][:3]
        parts += [f"Raised by: {'; '.join(raised)}."] if raised else []
        said[int(row["account_id"])] = " ".join(parts)
    return said


def reason_words(reason: dict[str, Any]) -> str:
    """One reason: the fact and its value."""
    value = reason.get("value")
    if value is None:
        return f"{reason['label']} unknown"
    return f"{reason['label']}: {written(value, ',.0f')}" if isinstance(value, int | float) else f"{reason['label']}: {value}"


def _kept(session: Session, actor: Actor, run_id: int, level: str, mine: bool, sort: str) -> "pd.DataFrame":
    from crm_core.services.analytics.churn_fit import level_of

    if sort not in SORTS or (level and level not in LEVELS):
        raise Invalid("The table can't be shown that way.")
    run = runs.get(session, actor, run_id, "churn")
    table = runs.table(session, actor, run_id, "customers")
    base = float(run.summary["base"][0])
    table["level"] = table["risk"].map(lambda risk: level_of(risk, base))
    if level:
        table = table[table["level"] == level]
    table = table[table["account_id"].isin(customer_rows.seen(session, actor, "account", table["account_id"].tolist(), mine))]
    return table.sort_values([sort, "account_id"], ascending=[SORTS[sort], True], kind="stable")


def _rows(session: Session, actor: Actor, part: "pd.DataFrame") -> list[Row]:
    named = customer_rows.named(session, actor, "account", part["account_id"].tolist())
    found = []
    for row in part.to_dict("records"):
        key = int(row["account_id"])
        name, owner = named[key]
        money = [float(row[column]) if row[column] == row[column] else None for column in ("revenue_12m", "at_stake")]
        renews = date.fromisoformat(row["renews_on"]) if isinstance(row["renews_on"], str) else None
        found.append(
            Row(
                key, name, owner, float(row["risk"]), float(row["low"]), float(row["high"]),
                str(row["level"]), float(row["tenure_months"]), money[0], money[1], renews, tuple(json.loads(row["reasons"])),
            )
        )  # fmt: skip
    return found
