"""What campaigns changed, measured: everybody whom a campaign addressed against those whom it left out at random.

Compared as drawn: who was meant to get it counts as treated, sent or not, since dropping people afterwards would compare two kinds of people.
"""

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
from sqlalchemy import and_, func, or_, select
from sqlmodel import Session

from crm_core.access import Actor, require, visible
from crm_core.frames import orders
from crm_core.frames.read import read_frame
from crm_core.models import Campaign, CampaignMember, Contact
from crm_core.vocabulary import Action, MemberStatus
from ml.evaluation import Uplift, uplift

COLUMNS = (
    "campaign_id", "campaign", "outcome", "treated", "control", "difference", "low", "high", "n_treated", "n_control", "n_needed",
    "p_value", "conclusive", "extra", "extra_low", "extra_high", "verdict",
)  # fmt: skip
SMALLEST = 2
_MEMBERS: Any = CampaignMember.__table__  # type: ignore[attr-defined]
_CAMPAIGNS: Any = Campaign.__table__  # type: ignore[attr-defined]
_CONTACTS: Any = Contact.__table__  # type: ignore[attr-defined]
_ANSWERED = (MemberStatus.RESPONDED, MemberStatus.CONVERTED)


def measured(session: Session, actor: Actor, *, of: str, since: datetime | None, until: datetime, days: int = 30) -> pd.DataFrame:
    """One row per campaign with a hold-out × outcome, over the people that the actor may see.

    ``outcome``: ``converted`` (the chosen conversion within ``days`` of being addressed), ``value`` (its worth per person) and, where the
    hold-out's answers are noted at all, ``responded``. ``extra``: difference × treated people, with its interval. Columns: COLUMNS.
    """
    require(actor, "campaign", Action.READ)
    people = _people(session, actor, since, until)
    won = orders.conversions(session, actor, of=of, since=since, until=until)  # type: ignore[arg-type]
    people = _with_conversions(people, won, timedelta(days=days))
    rows = []
    for (campaign_id, name), group in people.groupby(["campaign_id", "campaign"], sort=True):
        control = group["is_control"].to_numpy(dtype=bool)
        if min(control.sum(), (~control).sum()) >= SMALLEST:
            rows += [_row(campaign_id, name, outcome, group[outcome], control) for outcome in _outcomes(group, control)]
    return _against_luck(pd.DataFrame(rows, columns=list(COLUMNS)))


def _against_luck(lifts: pd.DataFrame) -> pd.DataFrame:
    """Conclusive only where it stands beside all the other campaigns (Holm): of twenty without any effect, one would look clear."""
    sure = pd.Series(False, index=lifts.index)
    for _outcome, group in lifts.groupby("outcome"):
        ordered = group["p_value"].sort_values()
        passed = (ordered.to_numpy() * np.arange(len(ordered), 0, -1) <= 0.05).cumprod().astype(bool)
        sure[ordered.index[passed]] = True
    return lifts.assign(conclusive=sure)


def _people(session: Session, actor: Actor, since: datetime | None, until: datetime) -> pd.DataFrame:
    """Members (contacts) of the campaigns that hold somebody out."""
    held_out = select(_MEMBERS.c.campaign_id).where(_MEMBERS.c.is_control)
    starts = and_(_CAMPAIGNS.c.starts_on.is_not(None), _CAMPAIGNS.c.starts_on <= until.date())
    statement = (
        select(
            _MEMBERS.c.campaign_id,
            _CAMPAIGNS.c.name.label("campaign"),
            _CAMPAIGNS.c.starts_on,
            _MEMBERS.c.contact_id,
            _MEMBERS.c.is_control,
            _MEMBERS.c.created_at,
            or_(_MEMBERS.c.status.in_(_ANSWERED), _MEMBERS.c.responded_at.is_not(None)).label("responded"),
        )
        .join(_CAMPAIGNS, _CAMPAIGNS.c.id == _MEMBERS.c.campaign_id)
        .join(_CONTACTS, _CONTACTS.c.id == _MEMBERS.c.contact_id)
        .where(
            _MEMBERS.c.campaign_id.in_(held_out),
            _MEMBERS.c.created_at < until,
            starts,
            visible(actor, "campaign", _CAMPAIGNS),
            visible(actor, "contact", _CONTACTS),
        )
        .order_by(_MEMBERS.c.id)
    )
    statement = statement.where(func.coalesce(_CAMPAIGNS.c.ends_on, _CAMPAIGNS.c.starts_on) >= since.date()) if since else statement
    frame = read_frame(session, statement)
    began = frame.pop("starts_on").dt.tz_localize("UTC").dt.as_unit("us")
    frame["at"] = frame.pop("created_at").where(lambda at: at >= began, began)
    return frame.astype({"responded": float})


def _with_conversions(people: pd.DataFrame, won: pd.DataFrame, window: timedelta) -> pd.DataFrame:
    """Whether each person converted within the window, and what that was worth."""
    merged = (
        people[["contact_id", "at"]].reset_index().merge(won, left_on="contact_id", right_on="customer_id", suffixes=("", "_won"))
    )
    late = merged["at_won"] - merged["at"]
    hits = merged[(late >= timedelta(0)) & (late <= window)].groupby("index")["value"].sum()
    value = hits.reindex(people.index).fillna(0.0)
    return people.assign(converted=people.index.isin(hits.index).astype(float), value=value)


def _outcomes(group: pd.DataFrame, control: np.ndarray) -> list[str]:
    """Responses count only where a person held out can have one: otherwise the difference is true by definition."""
    noted = bool((group["responded"].to_numpy()[control] > 0).any())
    return ["converted", "value", *(["responded"] if noted else [])]


def _row(campaign_id: Any, name: Any, outcome: str, values: pd.Series, control: np.ndarray) -> tuple[Any, ...]:
    numbers = values.to_numpy(dtype=float)
    found: Uplift = uplift(numbers[~control], numbers[control])
    n = found.n_treated
    return (
        int(campaign_id), name, outcome, found.treated, found.control, found.difference, found.low, found.high, n, found.n_control,
        found.n_needed, found.p_value, found.conclusive, found.difference * n, found.low * n, found.high * n, found.verdict,
    )  # fmt: skip


def pooled(lifts: pd.DataFrame, outcome: str) -> tuple[float, float, float] | None:
    """Difference over all campaigns together with its 95% interval, each weighted by how much it knows; None without any.

    Mantel–Haenszel weights n₁n₀/(n₁+n₀), with the variance of shares.
    """
    part = lifts[lifts["outcome"] == outcome]
    if part.empty:
        return None
    a, b = part["n_treated"].to_numpy(dtype=float), part["n_control"].to_numpy(dtype=float)
    p, q = part["treated"].to_numpy(dtype=float), part["control"].to_numpy(dtype=float)
    weight = a * b / (a + b)
    difference = float((weight * (p - q)).sum() / weight.sum())
    error = float(np.sqrt((weight**2 * (p * (1 - p) / a + q * (1 - q) / b)).sum()) / weight.sum())
    return difference, difference - 1.96 * error, difference + 1.96 * error
