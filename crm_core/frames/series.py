"""Figures by day, week or month as the SERIES frame of ``ml.contracts``, in the workspace's calendar and within the actor's scope."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Literal

import pandas as pd
from sqlalchemy import Select, cast, func, literal, select
from sqlmodel import Session

from crm_core.access import Actor, owned_within, require, visible
from crm_core.entities import entity
from crm_core.errors import NotPermitted
from crm_core.filters import where
from crm_core.frames.read import read_frame
from crm_core.kit.money import exponent
from crm_core.models import Lead, OrderLine, Product, Ticket
from crm_core.summaries import deal_daily_exact, order_daily_exact, sale_daily_exact
from crm_core.summary_marks import bounds, zone_of
from crm_core.vocabulary import SOLD, Action, StageKind

Grain = Literal["day", "week", "month"]
_WEEKDAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")

_LEADS: Any = Lead.__table__  # type: ignore[attr-defined]
_TICKETS: Any = Ticket.__table__  # type: ignore[attr-defined]
_LINES: Any = OrderLine.__table__  # type: ignore[attr-defined]
_PRODUCTS: Any = Product.__table__  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Choice:
    """What narrows a series down; a choice that a series does not know is ignored."""

    owner_id: int | None = None
    pipeline_id: int | None = None
    category_id: int | None = None


@dataclass(frozen=True)
class Series:
    """One figure that can be followed through time. ``money``: whether its unit is the workspace's currency."""

    key: str
    label: str
    entity: str
    money: bool
    by: tuple[str, ...]
    daily: Callable[[Session, Actor, Choice, date], Select[Any]]


def _owned(actor: Actor, entity_key: str, owner: Any) -> Any:
    return owned_within(actor, owner, actor.scopes(entity_key, Action.READ))


def _orders(_session: Session, actor: Actor, choice: Choice, until: date) -> Select[Any]:
    if choice.category_id is not None:
        daily = sale_daily_exact(until=until)
        kept = [daily.c.category_id == choice.category_id]
    else:
        daily, kept = order_daily_exact(until=until), []
    kept += [daily.c.owner_id == choice.owner_id] if choice.owner_id is not None else []
    return _sums(daily, daily.c.revenue_minor).where(_owned(actor, "order", daily.c.owner_id), *kept)


def _order_count(_session: Session, actor: Actor, choice: Choice, until: date) -> Select[Any]:
    daily = order_daily_exact(until=until)
    kept = [daily.c.owner_id == choice.owner_id] if choice.owner_id is not None else []
    return _sums(daily, daily.c.orders).where(_owned(actor, "order", daily.c.owner_id), *kept)


def _won(figure: str) -> Callable[[Session, Actor, Choice, date], Select[Any]]:
    def daily_of(_session: Session, actor: Actor, choice: Choice, until: date) -> Select[Any]:
        daily = deal_daily_exact(until=until)
        kept = [daily.c.outcome == StageKind.WON, _owned(actor, "deal", daily.c.owner_id)]
        kept += [daily.c.owner_id == choice.owner_id] if choice.owner_id is not None else []
        kept += [daily.c.pipeline_id == choice.pipeline_id] if choice.pipeline_id is not None else []
        return _sums(daily, daily.c[figure]).where(*kept)

    return daily_of


def _sums(daily: Any, figure: Any) -> Select[Any]:
    return select(daily.c.day, cast(func.sum(figure), figure.type).label("y")).group_by(daily.c.day)


def _instants(entity_key: str, table: Any, column: str) -> Callable[[Session, Actor, Choice, date], Select[Any]]:
    """Records counted by an instant: the rows themselves, since no summary holds them; their day is found in Python."""

    def rows_of(session: Session, actor: Actor, choice: Choice, until: date) -> Select[Any]:
        at = table.c[column]
        kept = [visible(actor, entity_key, table), at < bounds(until, zone_of(session))[1]]
        kept += [table.c.owner_id == choice.owner_id] if choice.owner_id is not None else []
        return select(at.label("at")).where(*kept)

    return rows_of


SERIES: dict[str, Series] = {
    found.key: found
    for found in (
        Series("order_revenue", "Order revenue", "order", True, ("owner_id", "category_id"), _orders),
        Series("orders", "Orders", "order", False, ("owner_id",), _order_count),
        Series("won_revenue", "Revenue of won deals", "deal", True, ("owner_id", "pipeline_id"), _won("amount_minor")),
        Series("won_deals", "Won deals", "deal", False, ("owner_id", "pipeline_id"), _won("deals")),
        Series("new_leads", "New leads", "lead", False, ("owner_id",), _instants("lead", _LEADS, "created_at")),
        Series("tickets", "New tickets", "ticket", False, ("owner_id",), _instants("ticket", _TICKETS, "opened_at")),
    )
}


def query(
    session: Session, actor: Actor, key: str, choice: Choice, until: date, rule: Mapping[str, Any] | None = None
) -> Select[Any]:
    """The SELECT behind ``series``: a day and its figure (minor units for money), or the instants of single records (with ``y`` for a sum).
    With a filter the records themselves are read, since no summary knows it."""
    found = SERIES[key]
    require(actor, found.entity, Action.READ)
    amount = {"order": "total_minor", "deal": "amount_minor"}.get(found.entity, "")
    if found.money and actor.masked(found.entity, amount):
        raise NotPermitted("Your role hides the amounts that this series is made of.")
    return found.daily(session, actor, choice, until) if not rule else _filtered(session, actor, found, choice, until, rule)


def _filtered(session: Session, actor: Actor, found: Series, choice: Choice, until: date, rule: Mapping[str, Any]) -> Select[Any]:
    table = entity(found.entity).table
    kept = [visible(actor, found.entity, table), where(session, found.entity, rule, actor)]
    kept += [table.c.owner_id == choice.owner_id] if choice.owner_id is not None else []
    kept += [table.c.pipeline_id == choice.pipeline_id] if choice.pipeline_id is not None else []
    end = bounds(until, zone_of(session))[1]
    if found.entity == "deal":
        amount = table.c.amount_minor if found.money else literal(1)
        won = [table.c.outcome == StageKind.WON, table.c.closed_on <= until]
        return select(table.c.closed_on.label("day"), func.sum(amount).label("y")).where(*won, *kept).group_by(table.c.closed_on)
    if found.entity != "order":
        at = table.c.created_at if found.entity == "lead" else table.c.opened_at
        return select(at.label("at")).where(at < end, *kept)
    sold = [table.c.status.in_(SOLD), table.c.ordered_at < end]
    if choice.category_id is None:
        amount = table.c.total_minor if found.money else literal(1)
        return select(table.c.ordered_at.label("at"), amount.label("y")).where(*sold, *kept)
    lines = table.join(_LINES, _LINES.c.order_id == table.c.id).join(_PRODUCTS, _PRODUCTS.c.id == _LINES.c.product_id)
    statement = select(table.c.ordered_at.label("at"), _LINES.c.total_minor.label("y")).select_from(lines)
    return statement.where(*sold, *kept, _PRODUCTS.c.category_id == choice.category_id)


def series(
    session: Session, actor: Actor, key: str, *, grain: Grain, until: date, since: date | None = None, choice: Choice | None = None,
    rule: Mapping[str, Any] | None = None,
) -> pd.DataFrame:  # fmt: skip
    """SERIES: ds (first day of each day, week of the workspace, or month) and y (major units for money).

    From the first period with a record (or the first whole one from ``since``) to the last that is over by the evening of ``until``. A
    period without a record is a zero: nothing was sold. Empty without any record.
    """
    found = SERIES[key]
    frame = read_frame(session, query(session, actor, key, choice or Choice(), until, rule))
    daily = _by_day(session, frame)
    if found.money:
        daily = daily / 10 ** exponent(actor.currency)
    return _regular(daily, grain, until, since, actor.first_weekday)


def freq(grain: Grain, first_weekday: int) -> str:
    """The pandas frequency of the first days of a grain."""
    return {"day": "D", "week": f"W-{_WEEKDAYS[first_weekday]}", "month": "MS"}[grain]


def _by_day(session: Session, frame: pd.DataFrame) -> pd.Series:
    if "at" in frame:
        days = frame["at"].dt.tz_convert(str(zone_of(session))).dt.tz_localize(None).dt.normalize().dt.as_unit("s")
        return frame.groupby(days)["y"].sum().astype(float) if "y" in frame else days.value_counts().sort_index().astype(float)
    summed = frame.groupby("day")["y"].sum()
    return summed.astype(float).sort_index()


def _regular(daily: pd.Series, grain: Grain, until: date, since: date | None, first_weekday: int) -> pd.DataFrame:
    if daily.empty:
        return pd.DataFrame({"ds": pd.to_datetime([]), "y": pd.Series(dtype=float)})
    last = pd.Timestamp(until)
    daily = daily[daily.index <= last]
    starts = _starts(pd.DatetimeIndex(daily.index), grain, first_weekday)
    periods = daily.groupby(starts).sum()
    first = (
        max(periods.index[0], _first_whole(since, grain, first_weekday))
        if since and len(periods)
        else (periods.index[0] if len(periods) else last)
    )
    whole = pd.date_range(first, last, freq=freq(grain, first_weekday))
    whole = whole[[_end(start, grain) <= last for start in whole]]
    return pd.DataFrame({"ds": whole, "y": periods.reindex(whole, fill_value=0.0).to_numpy(dtype=float)})


def _starts(days: pd.DatetimeIndex, grain: Grain, first_weekday: int) -> pd.DatetimeIndex:
    if grain == "week":
        return days - pd.to_timedelta((days.weekday - first_weekday) % 7, unit="D")
    return days.to_period("M").to_timestamp() if grain == "month" else days


def _first_whole(since: date, grain: Grain, first_weekday: int) -> pd.Timestamp:
    start = _starts(pd.DatetimeIndex([pd.Timestamp(since)]), grain, first_weekday)[0]
    return start if start == pd.Timestamp(since) else start + pd.tseries.frequencies.to_offset(freq(grain, first_weekday))


def _end(start: pd.Timestamp, grain: Grain) -> pd.Timestamp:
    if grain == "month":
        return start + pd.offsets.MonthEnd(0)
    return start + timedelta(days=6 if grain == "week" else 0)
