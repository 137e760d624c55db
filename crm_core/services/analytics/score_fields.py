"""What a score may look at: the fields of leads and deals as they stood at the moment of scoring, and what had happened before it.

Fields that are filled as the outcome comes near are never looked at: KEPT_OUT names them with the reason.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from sqlmodel import Session

from crm_core.access import Actor
from crm_core.fields import FieldSpec, registry
from crm_core.frames import orders, scoring
from crm_core.frames.as_of import FEW, as_of
from crm_core.lists import titles
from crm_core.vocabulary import Action, Channel, FieldKind

TOUCH_DAYS = 90
_WORDS = (
    FieldKind.CHOICE,
    FieldKind.PICK,
    FieldKind.BOOLEAN,
    FieldKind.INTEGER,
    FieldKind.DECIMAL,
    FieldKind.PERCENT,
    FieldKind.MONEY,
)
_LEAD = ("source", "country", "job_title", "estimated_minor")
_LEAD_PRESENT = ("company", "email", "phone", "website", "campaign_id")
_DEAL = ("source", "amount_minor", "pipeline_id", "product_id", "campaign_id")
_ACCOUNT = ("industry", "country", "employees")
KEPT_OUT = {
    "lead": {
        "Status": "it is the outcome itself",
        "Reason": "filled when a lead is given up",
        "First response": "comes later than the scoring",
        "Score": "it would learn from itself",
    },
    "deal": {
        "Stage, win probability, forecast category": "they follow the outcome",
        "Expected close, next step, last activity": "kept up to date as the outcome comes near",
        "Lost reason, won reason, competitor": "filled when a deal is closed",
        "Products and discounts of the lines": "the log does not keep how they were",
    },
}


@dataclass
class Fields:
    """Columns by key (index: record id) and their labels for people."""

    table: pd.DataFrame
    labels: dict[str, str] = field(default_factory=dict)

    def add(self, key: str, label: str, values: pd.Series) -> None:
        """One more column; records that it does not know stay empty."""
        self.table[key] = values.reindex(self.table.index)
        self.labels[key] = label


def fields_of(session: Session, actor: Actor, entity_key: str, moments: pd.Series, *, owner: bool = False) -> Fields:
    """The fields of each record in ``moments`` (index: record id, value: instant) as they stood then, within the actor's scope and masks."""
    return _BUILDERS[entity_key](session, actor, moments, owner)


def _lead(session: Session, actor: Actor, moments: pd.Series, owner: bool) -> Fields:
    specs = registry(session, "lead")
    wanted = (*_LEAD, *_LEAD_PRESENT, *_customs(specs), *(("owner_id",) if owner else ()))
    raw = as_of(session, actor, "lead", wanted, moments)
    found = Fields(pd.DataFrame(index=raw.index))
    for key in (*_LEAD, *_customs(specs)):
        if key in raw:
            found.add(key, specs[key].label, raw[key])
    for key in _LEAD_PRESENT:
        if key in raw:
            found.add(f"has_{key}", f"{specs[key].label} known", raw[key].notna().astype(float))
    _add_owner(session, actor, found, raw)
    _add_touches(found, scoring.lead_touches(session, actor, _few(moments)), moments)
    return found


def _deal(session: Session, actor: Actor, moments: pd.Series, owner: bool) -> Fields:
    specs = registry(session, "deal")
    wanted = (*_DEAL, "account_id", *_customs(specs), *(("owner_id",) if owner else ()))
    raw = as_of(session, actor, "deal", wanted, moments)
    found = Fields(pd.DataFrame(index=raw.index))
    for key in ("source", "amount_minor", *_customs(specs)):
        if key in raw:
            found.add(key, specs[key].label, raw[key])
    _add_named(session, actor, found, raw, specs)
    _add_owner(session, actor, found, raw)
    seats = scoring.committee_days(session, actor, _few(moments))
    found.add("committee", "Buying committee", _before(seats, "id", moments, moments.index.to_series()))
    if actor.can("contact", Action.READ):
        _add_touches(found, scoring.deal_touches(session, actor, _few(moments)), moments)
    if "account_id" in raw:
        _add_account(session, actor, found, raw["account_id"], moments)
    return found


_BUILDERS: dict[str, Callable[[Session, Actor, pd.Series, bool], Fields]] = {"lead": _lead, "deal": _deal}


def _customs(specs: Any) -> list[str]:
    return [key for key, spec in specs.items() if _usable_custom(spec)]


def _usable_custom(spec: FieldSpec) -> bool:
    return spec.custom and not spec.pii and spec.kind in _WORDS


def _few(moments: pd.Series) -> list[int] | None:
    return [int(key) for key in moments.index] if len(moments) <= FEW else None


def _add_owner(session: Session, actor: Actor, found: Fields, raw: pd.DataFrame) -> None:
    if "owner_id" in raw:
        found.add("owner_id", "Owner", _names(session, actor, "user", raw["owner_id"]))


def _add_named(session: Session, actor: Actor, found: Fields, raw: pd.DataFrame, specs: Any) -> None:
    if "pipeline_id" in raw:
        found.add("pipeline_id", specs["pipeline_id"].label, _names(session, actor, "pipeline", raw["pipeline_id"]))
    if "product_id" in raw and actor.can("product", Action.READ):
        known = orders.product_names(session, actor)
        found.add("product_id", specs["product_id"].label, raw["product_id"].map(known).astype(object))
    if "campaign_id" in raw:
        found.add("has_campaign_id", "Came from a campaign", raw["campaign_id"].notna().astype(float))


def _names(session: Session, actor: Actor, entity_key: str, ids: pd.Series) -> pd.Series:
    known = titles(session, actor, entity_key, {int(value) for value in ids.dropna().unique()})
    return ids.map(known).astype(object)


def _add_account(session: Session, actor: Actor, found: Fields, account: pd.Series, moments: pd.Series) -> None:
    """What the account is, and what it had bought and decided before the moment."""
    of = account.dropna().astype("int64")
    if actor.can("account", Action.READ) and len(of):
        _add_account_fields(session, actor, found, of, moments)
    few = sorted({int(each) for each in of}) if len(moments) <= FEW else None
    if actor.can("order", Action.READ):
        bought = scoring.account_orders(session, actor, few)
        found.add("orders_before", "Earlier orders", _before(bought, "account_id", moments, of))
    won = scoring.account_wins(session, actor, few)
    found.add("wins_before", "Earlier wins", _before(won, "account_id", moments, of))


def _add_account_fields(session: Session, actor: Actor, found: Fields, of: pd.Series, moments: pd.Series) -> None:
    """Each account as it stood at the first of its deals' moments: one reading of the log for all of them."""
    specs = registry(session, "account")
    first = moments.reindex(of.index).groupby(of.to_numpy()).min()
    known = as_of(session, actor, "account", (*_ACCOUNT, *_customs(specs)), first)
    for key in known.columns:
        found.add(f"account_{key}", f"{specs[key].label} of the account", of.map(known[key]))


def _before(rows: pd.DataFrame, key: str, moments: pd.Series, of: pd.Series) -> pd.Series:
    """How many ``rows`` of its group each record had by its moment. ``of``: record → group."""
    wanted = pd.DataFrame({"group": of, "at": moments.reindex(of.index)}).dropna().rename_axis("record").reset_index()
    if wanted.empty:
        return pd.Series(dtype=float)
    wanted = wanted.astype({"group": "int64"}).sort_values("at")
    done = rows.rename(columns={key: "group"})[["group", "at"]].dropna().astype({"group": "int64"}).sort_values("at")
    done["count"] = done.groupby("group").cumcount() + 1.0
    if done.empty:
        return pd.Series(0.0, index=wanted["record"])
    met = pd.merge_asof(wanted, done, on="at", by="group")
    return met.set_index("record")["count"].fillna(0.0)


def _add_touches(found: Fields, touches: pd.DataFrame, moments: pd.Series) -> None:
    """How often, and by which channels, a person was reached in the weeks before."""
    at = touches["id"].map(moments)
    age = at - touches["at"]
    near = touches[(age >= pd.Timedelta(0)) & (age <= pd.Timedelta(days=TOUCH_DAYS))]
    count = near.groupby("id").size()
    found.add("touches", f"Touches in {TOUCH_DAYS} days", count.reindex(found.table.index).fillna(0.0))
    for channel in sorted(near["channel"].unique()):
        by = near.loc[near["channel"] == channel, "id"].unique()
        values = pd.Series(np.isin(found.table.index, by).astype(float), index=found.table.index)
        found.add(f"touch_{channel}", f"Touched by {Channel(channel).label.lower()}", values)
