"""Contract customers as they stood on earlier days, each with whether it left in the months after: what a risk of leaving is learned from."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
from sqlmodel import Session

from crm_core.access import Actor
from crm_core.fields import registry
from crm_core.frames import contracts as frames
from crm_core.frames.as_of import as_of
from crm_core.frames.customers import attributes
from crm_core.frames.orders import orders
from crm_core.vocabulary import Action, FieldKind

MOST_DAYS = 8
"""Snapshots taken: as many times the chosen months back."""
HORIZONS, WHOLE = (12, 6, 3), 3
"""Months that may be looked ahead, the longest first, and how many such stretches the record must hold: two to learn on, one to be judged on."""
BUILT_IN = ("industry", "country", "employees", "revenue_minor")
LABELS = {
    "tenure_months": "Months as a customer",
    "orders_90": "Orders in 90 days",
    "orders_365": "Orders in 12 months",
    "revenue_12m": "Revenue of 12 months",
    "silent_days": "Days since the last order",
    "tickets_90": "Tickets in 90 days",
    "tickets_365": "Tickets in 12 months",
}
DAY = pd.Timedelta(days=1)
MONTH_DAYS = 30.4375


@dataclass
class Snapshots:
    """``past``: rows with a known outcome (account_id, at, left, features); ``now``: those under contract today, the same without one;
    ``labels``: feature → its words; ``notice``: how many have given notice already and are not scored."""

    past: pd.DataFrame
    now: pd.DataFrame
    labels: dict[str, str] = field(default_factory=dict)
    notice: int = 0


def horizon_of(known: pd.DataFrame, moment: datetime, asked: str) -> int:
    """The months to look ahead: those asked for, else by the length of the record alone. It begins where a tenth of the customers had begun: one
    very old contract is no record."""
    if asked.isdecimal():
        return int(asked)
    begun = known["customer_since"].dropna().sort_values()
    if begun.empty:
        return HORIZONS[-1]
    start, end = begun.iloc[int(len(begun) * 0.1)], pd.Timestamp(moment)
    fitting = [months for months in HORIZONS if start + pd.DateOffset(months=months * WHOLE) <= end]
    return fitting[0] if fitting else HORIZONS[-1]


def days_of(known: pd.DataFrame, moment: pd.Timestamp, months: int) -> list[pd.Timestamp]:
    """The days on which customers are looked at, the earliest first: whole horizons back, so that no outcome is counted twice."""
    first = known["customer_since"].min()
    found = [moment - pd.DateOffset(months=months * n) for n in range(1, MOST_DAYS + 1)]
    return [day for day in reversed(found) if day > first]


def under_contract(known: pd.DataFrame, day: pd.Timestamp) -> pd.DataFrame:
    """Those whose contract had begun and not ended on a day."""
    ended = known["customer_until"]
    return known[(known["customer_since"] <= day) & (ended.isna() | (ended > day))]


def snapshots(session: Session, actor: Actor, known: pd.DataFrame, moment: datetime, months: int) -> Snapshots:
    """Every customer on every such day, with what was known about it then; and everybody of today."""
    instant = pd.Timestamp(moment)
    around = _Around(session, actor, instant)
    parts = []
    for day in days_of(known, instant, months):
        rows = around.facts(under_contract(known, day), day)
        horizon = day + pd.DateOffset(months=months)
        until = known.set_index("account_id")["customer_until"].reindex(rows["account_id"])
        parts.append(rows.assign(left=(until <= horizon).astype(float).to_numpy()))
    today = under_contract(known, instant)
    open_ended = today[today["customer_until"].isna()]
    now = around.facts(open_ended, instant)
    past = pd.concat(parts, ignore_index=True) if parts else now.head(0).assign(left=pd.Series(dtype=float))
    return Snapshots(past, now, around.labels, len(today) - len(open_ended))


class _Around:
    """What can be known about customers on a day: read once, counted per day."""

    def __init__(self, session: Session, actor: Actor, moment: pd.Timestamp) -> None:
        self.session, self.actor = session, actor
        specs = registry(session, "account")
        wanted = attributes(session, actor, "account")
        custom = [key for key, spec in wanted.items() if spec.custom and spec.kind is not FieldKind.LONG_TEXT]
        self.fields = [key for key in (*BUILT_IN, *custom) if key in specs and not actor.masked("account", key)]
        self.labels = {key: specs[key].label for key in self.fields} | {"tenure_months": LABELS["tenure_months"]}
        until = moment.to_pydatetime()
        self.orders = self._orders(until)
        self.tickets = frames.ticket_days(session, actor, until=until) if actor.can("ticket", Action.READ) else None

    def _orders(self, until: datetime) -> pd.DataFrame | None:
        if not self.actor.can("order", Action.READ) or self.actor.masked("order", "total_minor"):
            return None
        found = orders(self.session, self.actor, customer="account", until=until)
        return found.rename(columns={"customer_id": "account_id", "ordered_at": "at"})[["account_id", "at", "revenue"]]

    def facts(self, who: pd.DataFrame, day: pd.Timestamp) -> pd.DataFrame:
        """account_id, at and every feature as of the day."""
        ids = pd.Index(who["account_id"].astype("int64"), name="account_id")
        moments = pd.Series(day, index=ids)
        rows = as_of(self.session, self.actor, "account", self.fields, moments).reindex(ids)
        months = (day - who["customer_since"]).dt.total_seconds() / 86_400 / MONTH_DAYS
        rows["tenure_months"] = months.to_numpy()
        if self.orders is not None:
            self._bought(rows, ids, day)
        if self.tickets is not None:
            for days in (90, 365):
                self._counted(rows, f"tickets_{days}", self.tickets, day, days)
        return rows.assign(at=day).reset_index()

    def _bought(self, rows: pd.DataFrame, ids: pd.Index, day: pd.Timestamp) -> None:
        known = self.orders
        assert known is not None
        for days in (90, 365):
            self._counted(rows, f"orders_{days}", known, day, days)
        before = known[known["at"] <= day]
        year = before[before["at"] > day - 365 * DAY].groupby("account_id")["revenue"].sum()
        last = before.groupby("account_id")["at"].max().reindex(ids)
        rows["revenue_12m"] = year.reindex(ids).fillna(0.0).to_numpy()
        rows["silent_days"] = np.floor((day - last).dt.total_seconds() / 86_400).to_numpy()
        self.labels |= {key: LABELS[key] for key in ("revenue_12m", "silent_days")}

    def _counted(self, rows: pd.DataFrame, key: str, events: pd.DataFrame, day: pd.Timestamp, days: int) -> None:
        inside = events[(events["at"] <= day) & (events["at"] > day - days * DAY)]
        rows[key] = inside.groupby("account_id").size().reindex(rows.index).fillna(0.0).astype(float).to_numpy()
        self.labels[key] = LABELS[key]


def spells(known: pd.DataFrame, moment: datetime, groups: Any = None) -> pd.DataFrame:
    """account_id, age_months, ended (0 or 1), group: how long each contract has lasted by the moment."""
    instant = pd.Timestamp(moment)
    begun = known[known["customer_since"] <= instant]
    ended = begun["customer_until"].notna() & (begun["customer_until"] <= instant)
    last = begun["customer_until"].where(ended, instant)
    age = ((last - begun["customer_since"]).dt.total_seconds() / 86_400 / MONTH_DAYS).clip(lower=0)
    found = pd.DataFrame({"account_id": begun["account_id"], "age_months": age, "ended": ended.astype(int)})
    return found if groups is None else found.assign(group=groups.reindex(found["account_id"]).to_numpy())
