"""From touches and conversions to the journeys that attribution shares out: which period, which names, what it all cost."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pandas as pd
from sqlmodel import Session

from crm_core.access import Actor
from crm_core.frames import customers, orders, touchpoints
from crm_core.vocabulary import Action, Channel, Scope
from ml.attribution import paths_from_touches
from ml.errors import DataError

MONTH_DAYS = 30.4375
EVERYTHING = "all"
SOURCE = {"deals": "deal", "orders": "order"}
COUNTED = {"deals": "won deals with a main contact", "orders": "orders of known contacts"}
_AMOUNT = {"deals": "amount_minor", "orders": "total_minor"}
_CHANNELS = Channel.options()


@dataclass(frozen=True)
class Cut:
    """Journeys of a period. ``paths``: PATHS of ``ml.contracts`` over the names in ``channels`` (channel, campaign_id, touches, cost);
    ``since``: where the period begins, None for no beginning; ``partial``: the actor sees only some of the conversions."""

    paths: pd.DataFrame
    channels: pd.DataFrame
    since: datetime | None
    partial: bool


def cut(session: Session, actor: Actor, params: dict[str, Any], as_of: datetime) -> Cut:
    """Read touches and conversions of the period within the actor's scope, and cut them into journeys.

    Raises DataError naming the input that is missing.
    """
    window = timedelta(days=params["lookback_days"])
    since = None if params["months"] == EVERYTHING else as_of - timedelta(days=int(params["months"]) * MONTH_DAYS)
    lead_in = None if since is None else since - window
    touches = touchpoints.touchpoints(session, actor, since=lead_in, until=as_of)
    if touches.empty:
        raise DataError("none", "touches of contacts: from campaigns, tracked links, events, or an import")
    won = orders.conversions(session, actor, of=params["conversion"], since=lead_in, until=as_of)
    if params["filter"]:
        among = customers.customers(session, actor, "contact", rule=params["filter"], now=as_of)["customer_id"]
        touches, won = (frame[frame["customer_id"].isin(among)].reset_index(drop=True) for frame in (touches, won))
        if touches.empty:
            raise DataError("none of people who match the filter", "touches of the chosen people")
    if (won if since is None else won[won["at"] >= since]).empty:
        raise DataError("none in this period", COUNTED[params["conversion"]])
    if actor.masked(SOURCE[params["conversion"]], _AMOUNT[params["conversion"]]):
        won["value"] = 0.0
    inside = won if since is None else won[won["at"] >= since]
    touches["channel"] = names(touches, params["level"])
    if since is not None:
        touches = _belonging(touches, won, pd.Timestamp(since), window)
    partial = Scope.ALL not in actor.scopes(SOURCE[params["conversion"]], Action.READ)
    paths = paths_from_touches(
        touches,
        inside,
        lookback_days=params["lookback_days"],
        keep_nulls=params["open_journeys"] and not partial,
        collapse_direct=_direct(touches) if params["direct"] == "last_resort" else None,
        as_of=as_of,
    )
    return Cut(paths, _channels(touches, since, params["level"]), since, partial)


def names(touches: pd.DataFrame, level: str) -> pd.Series:
    """What each touch is called: its channel, or its campaign (and the channel where there is none). Two campaigns never share a name."""
    channel = touches["channel"].map(lambda value: _CHANNELS.get(value, value))
    if level == "channel":
        return channel
    known = touches.dropna(subset="campaign_id").drop_duplicates("campaign_id").sort_values("campaign_id")
    by_id: dict[int, str] = {}
    for key, name in zip(known["campaign_id"].astype(int), known["campaign"], strict=True):
        by_id[key] = _free(name, set(by_id.values()))
    return touches["campaign_id"].map(by_id).astype(object).where(touches["campaign_id"].notna(), channel + ", no campaign")


def _belonging(touches: pd.DataFrame, won: pd.DataFrame, since: pd.Timestamp, window: timedelta) -> pd.DataFrame:
    """Touches of the period, and those before it that led to a conversion in it."""
    early = touches["at"] < since
    before = touches[early].reset_index().sort_values("at")
    ends = won[["customer_id", "at"]].rename(columns={"at": "won_at"}).sort_values("won_at")
    if before.empty or ends.empty:
        return touches[~early].reset_index(drop=True)
    met = pd.merge_asof(before, ends, left_on="at", right_on="won_at", by="customer_id", direction="forward", tolerance=window)
    kept = met.loc[met["won_at"] >= since, "index"]
    return touches[~early | touches.index.isin(kept)].reset_index(drop=True)


def _direct(touches: pd.DataFrame) -> str | None:
    label = _CHANNELS[Channel.DIRECT.value]
    present = set(touches["channel"].unique())
    return next((name for name in (label, f"{label}, no campaign") if name in present), None)


def _channels(touches: pd.DataFrame, since: datetime | None, level: str) -> pd.DataFrame:
    """One row per name: its campaign where it stands for one, touches and their cost within the period."""
    inside = touches if since is None else touches[touches["at"] >= since]
    groups = inside.groupby("channel", sort=True)
    frame = groups.agg(campaign_id=("campaign_id", "first"), touches=("at", "size"), cost=("cost", "sum")).reset_index()
    frame["campaign_id"] = frame["campaign_id"].astype("Int64").mask(pd.Series(level == "channel", index=frame.index))
    return frame


def spent(session: Session, actor: Actor, found: Cut, params: dict[str, Any], as_of: datetime) -> pd.DataFrame:
    """What was spent per name of the journeys: channel, campaign_id, cost. From the campaigns' books, or from the touches themselves."""
    if params["costs"] == "touches":
        costs = found.channels[["channel", "campaign_id", "cost"]]
        return costs[costs["cost"] > 0].reset_index(drop=True)
    since = None if found.since is None else found.since.date()
    booked = touchpoints.campaign_costs(session, actor, since=since, until=as_of.date())
    if params["level"] == "channel":
        booked["channel"] = booked["channel"].map(lambda value: _CHANNELS.get(value, value))
        summed = pd.DataFrame(booked.groupby("channel", as_index=False)["cost"].sum())
        return summed.assign(campaign_id=pd.array([pd.NA] * len(summed), dtype="Int64"))[["channel", "campaign_id", "cost"]]
    named = dict(zip(found.channels["campaign_id"].dropna().astype(int), found.channels.dropna()["channel"], strict=True))
    costs = pd.DataFrame(booked.groupby(["campaign_id", "campaign"], as_index=False)["cost"].sum())
    for key, name in zip(costs["campaign_id"].astype(int), costs["campaign"], strict=True):
        named.setdefault(key, _free(name, set(named.values())))
    costs["channel"] = costs["campaign_id"].astype(int).map(named)
    return costs[["channel", "campaign_id", "cost"]].astype({"campaign_id": "Int64"})


def _free(name: str, taken: set[str]) -> str:
    """The name, numbered when another campaign has it already."""
    again = (f"{name} ({n})" for n in range(2, len(taken) + 3))
    return name if name not in taken else next(other for other in again if other not in taken)
