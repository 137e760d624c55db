"""Facts of one key figure straight from its records: for filters and dimensions that no summary knows. The clause is that of its list.

Agrees with the quick loaders (deal_facts and its sisters) wherever both can answer; a test compares them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from typing import Any

from sqlalchemy import case, func, literal, select
from sqlmodel import Session

from crm_core import filters, ticket_measures
from crm_core.access import Actor, visible
from crm_core.entities import entity
from crm_core.errors import Invalid
from crm_core.fields import resolve
from crm_core.kit.counted import Counted
from crm_core.models import CampaignChannel, Ticket
from crm_core.services.analytics import dimensions
from crm_core.services.analytics.metric_rules import WHOLE, Facts, Metric, list_filter, within
from crm_core.services.analytics.metric_slots import Grouped, beginning
from crm_core.services.analytics.metric_sql import broad, step_of
from crm_core.services.analytics.periods import Bucket, Period
from crm_core.spans import days_between, minutes_between, packed
from crm_core.vocabulary import PromiseOutcome, StageKind

_CHANNEL = CampaignChannel.__table__  # type: ignore[attr-defined]
_PROBE = Period(date(2000, 1, 1), date(2000, 1, 2))
_LONG = 60
"""Days from which on a period is taken to hold most of the records."""


@dataclass(frozen=True)
class Cut:
    """What to count: the period, owner and pipeline, a further filter, and how to group (a path, or steps of a trend; neither: all in one)."""

    period: Period
    owner_id: int | None = None
    pipeline_id: int | None = None
    only: dict[str, Any] | None = None
    by: str = ""
    steps: tuple[Bucket, ...] = ()


def day_field(metric: Metric) -> str:
    """The field by which a metric's records lie in time; empty for what is open now."""
    return next((str(leaf["field"]) for leaf in metric.leaves(_PROBE) if "field" in leaf and leaf["cmp"] == "between"), "")


def listed(metric: Metric, cut: Cut) -> dict[str, Any]:
    """The filter of the list behind a cut: what the metric counts, and the further filter."""
    base = list_filter(metric, cut.period, owner_id=cut.owner_id, pipeline_id=cut.pipeline_id)
    return {"op": "and", "items": [*base["items"], cut.only]} if cut.only else base


def grouped(
    session: Session, actor: Actor, metric: Metric, cut: Cut, *, clause: Any = None, group: Any = None, leaves: bool = True
) -> Grouped:
    """Facts by group. ``clause`` narrows further, ``group`` replaces the dimension's column; ``leaves=False``: the clause says what counts."""
    if metric.key in WHOLE:
        raise Invalid(f"“{metric.label}” sets records against costs, which have no such field: it can be shown as a whole only.")
    table, read = entity(metric.entity).table, _READERS[metric.key]
    ast = listed(metric, cut) if leaves else (cut.only or {"op": "and", "items": []})
    where = [visible(actor, metric.entity, table)]
    if clause is not None:
        where.append(clause)
    link = dimensions.link(session, actor, metric.entity, cut.by) if cut.by and group is None else None
    if link is not None and isinstance(read, _Sums):
        far = partial(dimensions.column, session, actor, metric.entity, cut.by)
        return read.linked(session, table, link, far, [*where, *_ranges(session, actor, metric, cut, ast)])
    where.append(filters.where(session, metric.entity, ast, actor))
    key, source = literal(None), table
    if group is not None:
        key = group
    elif cut.by:
        found = dimensions.column(session, actor, metric.entity, cut.by)
        key, source = found.expression, found.source
    elif cut.steps:
        key = _step(session, actor, metric, cut)
    return read(session, table, source, key, where)


def _ranges(session: Session, actor: Actor, metric: Metric, cut: Cut, ast: dict[str, Any]) -> list[Any]:
    """The clauses of a filter; a long period is told to be one, so that all records pass in the order of their link."""
    start, end, name = cut.period.start, cut.period.end, day_field(metric)
    if start is None or end is None or (end - start).days < _LONG or not name:
        return [filters.where(session, metric.entity, ast, actor)]
    others = [item for item in ast["items"] if item not in within(name, cut.period)]
    spec, _ = resolve(session, metric.entity, name)
    column = spec.expression(entity(metric.entity).table)
    begin = beginning(actor, spec.kind)
    bounds = [broad(column >= begin(start)), broad(column < begin(end + timedelta(days=1)))]
    return [filters.where(session, metric.entity, {"op": "and", "items": others}, actor), *bounds]


def _step(session: Session, actor: Actor, metric: Metric, cut: Cut) -> Any:
    spec, _ = resolve(session, metric.entity, day_field(metric))
    begin = beginning(actor, spec.kind)
    return step_of(spec.expression(entity(metric.entity).table), [begin(step.start) for step in cut.steps])


def parts(session: Session, actor: Actor, metric: Metric, cut: Cut, **more: Any) -> tuple[Facts, ...]:
    """Facts of each step of a trend, in order."""
    found = grouped(session, actor, metric, cut, **more)
    return tuple(found.get(n, Facts()) for n in range(len(cut.steps)))


# --- what is read of each kind of figure -----------------------------------------------------------------------------------

Reader = Callable[[Session, Any, Any, Any, Sequence[Any]], Grouped]


@dataclass(frozen=True)
class _Sums:
    """A reader that adds up a few columns per group (PostgreSQL may give several rows of one key; they add up too)."""

    columns: Callable[[Any], Sequence[Any]]
    put: Callable[[Facts, Sequence[Any]], None]

    def __call__(self, session: Session, table: Any, source: Any, key: Any, where: Sequence[Any]) -> Grouped:
        statement = select(key.label("grp"), *self.columns(table)).select_from(source).where(*where)
        return self._read(session, statement if _constant(key) else statement.group_by("grp"))

    def linked(self, session: Session, table: Any, link: Any, far: Callable[..., Any], where: Sequence[Any]) -> Grouped:
        """Per linked record first, then per value of its field: a million records point to a few thousand."""
        sums = [column.label(f"n{n}") for n, column in enumerate(self.columns(table))]
        inner = select(link.label("link"), *sums).where(*where).group_by(link).subquery()
        found = far(inner, by=inner.c.link)
        outer = [func.sum(inner.c[column.name]) for column in sums]
        return self._read(session, select(found.expression.label("grp"), *outer).select_from(found.source).group_by("grp"))

    def _read(self, session: Session, statement: Any) -> Grouped:
        found: Grouped = {}
        for row in session.execute(statement):
            self.put(found.setdefault(row[0], Facts()), [int(value or 0) for value in row[1:]])
        return found


def _constant(key: Any) -> bool:
    return key.__class__.__name__ == "BindParameter"


def _spread(value: Callable[[Any], Any], target: str) -> Reader:
    """A reader of how many records have which value."""

    def read(session: Session, table: Any, source: Any, key: Any, where: Sequence[Any]) -> Grouped:
        statement = select(key.label("grp"), packed(value(table))).select_from(source).where(*where)
        found: Grouped = {}
        for group, text in session.execute(statement if _constant(key) else statement.group_by("grp")):
            if text:
                getattr(found.setdefault(group, Facts()), target).add(Counted.read(text))
        return found

    return read


def _open_deals(session: Session, table: Any, source: Any, key: Any, where: Sequence[Any]) -> Grouped:
    """Grouped by probability too: amount × probability summed in SQL could leave the range of a whole number."""
    statement = select(key.label("grp"), table.c.probability_pct.label("pct"), func.count(), func.sum(table.c.amount_minor))
    statement = statement.select_from(source).where(*where)
    found: Grouped = {}
    for group, pct, count, amount in session.execute(
        statement.group_by("pct") if _constant(key) else statement.group_by("grp", "pct")
    ):
        facts = found.setdefault(group, Facts())
        facts.open_deals += count
        facts.open_minor += int(amount)
        facts.open_weighted += int(amount) * pct
    return found


def _campaign_cost(session: Session, table: Any, source: Any, key: Any, where: Sequence[Any]) -> Grouped:
    cost = (
        select(func.coalesce(func.sum(_CHANNEL.c.actual_cost_minor), 0))
        .where(_CHANNEL.c.campaign_id == table.c.id)
        .scalar_subquery()
    )
    return _Sums(lambda _table: (func.count(), func.sum(cost)), _put("campaigns", "cost_minor"))(session, table, source, key, where)


def _put(*names: str) -> Callable[[Facts, Sequence[Any]], None]:
    def put(facts: Facts, values: Sequence[Any]) -> None:
        for name, value in zip(names, values, strict=True):
            setattr(facts, name, getattr(facts, name) + value)

    return put


def _closed(table: Any) -> Sequence[Any]:
    won = table.c.outcome == StageKind.WON
    lost = table.c.outcome == StageKind.LOST
    return (func.count(case((won, 1))), func.count(case((lost, 1))), func.sum(case((won, table.c.amount_minor), else_=0)))


def _kept(name: str) -> Callable[[Any], Sequence[Any]]:
    return lambda table: (func.count(), func.count(case((table.c[name] == PromiseOutcome.KEPT, 1))))


def _counted(measures: Callable[[Any], dict[str, Any]]) -> _Sums:
    """Measures of a moment of tickets that are counts alone."""
    return _Sums(lambda table: tuple(measures(table).values()), _put(*measures(Ticket.__table__)))  # type: ignore[attr-defined]


_CLOSED = _Sums(_closed, _put("won", "lost", "won_minor"))
_LEADS = _Sums(lambda table: (func.count(), func.count(table.c.converted_at)), _put("leads", "converted"))
_ORDERS = _Sums(lambda table: (func.count(), func.sum(table.c.total_minor)), _put("orders", "order_minor"))
_RESPONSE = _spread(lambda table: minutes_between(table.c.first_response_at, table.c.opened_at), "response_minutes")
_RESOLUTION = _spread(lambda table: minutes_between(table.c.solved_at, table.c.opened_at), "resolution_minutes")
_RESPONSE_WORK = _spread(lambda table: table.c.response_minutes, "response_work")
_RESOLUTION_WORK = _spread(lambda table: table.c.resolution_minutes, "resolution_work")
_SOLVED_ONCE, _RATED = (_counted(measures) for measures in (ticket_measures.first_solved, ticket_measures.rated))
_READERS: dict[str, Reader] = {
    "revenue_won": _CLOSED,
    "win_rate": _CLOSED,
    "average_deal": _CLOSED,
    "sales_cycle": _spread(lambda table: days_between(table.c.closed_on, table.c.created_on), "cycle_days"),
    "open_pipeline": _open_deals,
    "weighted_pipeline": _open_deals,
    "new_leads": _LEADS,
    "lead_conversion": _LEADS,
    "campaign_cost": _campaign_cost,
    "orders": _ORDERS,
    "order_revenue": _ORDERS,
    "average_order": _ORDERS,
    "open_handovers": _Sums(lambda _table: (func.count(),), _put("open_handovers")),
    "open_tickets": _Sums(lambda _table: (func.count(),), _put("open_tickets")),
    "first_response": _RESPONSE,
    "first_response_p90": _RESPONSE,
    "first_response_work": _RESPONSE_WORK,
    "first_response_work_p90": _RESPONSE_WORK,
    "resolution": _RESOLUTION,
    "resolution_p90": _RESOLUTION,
    "resolution_work": _RESOLUTION_WORK,
    "resolution_work_p90": _RESOLUTION_WORK,
    "response_kept": _Sums(_kept("response_promise"), _put("response_promised", "response_kept")),
    "resolution_kept": _Sums(_kept("resolution_promise"), _put("resolution_promised", "resolution_kept")),
    "reopen_rate": _SOLVED_ONCE,
    "first_contact": _SOLVED_ONCE,
    "satisfaction": _RATED,
}

COUNTED = frozenset(_READERS)
"""Figures that can be counted from their records."""


def of_row(metric: Metric, row: dict[str, Any]) -> Facts:
    """The facts of a single record, from its values."""
    facts = Facts()
    match metric.key:
        case "revenue_won" | "win_rate" | "average_deal":
            won = row["outcome"] is StageKind.WON
            facts.won, facts.lost, facts.won_minor = int(won), int(not won), row["amount_minor"] if won else 0
        case "sales_cycle":
            facts.cycle_days = Counted([(row["closed_on"] - row["created_on"]).days])
        case "open_pipeline":
            facts.open_deals, facts.open_minor = 1, row["amount_minor"]
        case "new_leads" | "lead_conversion":
            facts.leads, facts.converted = 1, int(row["converted_at"] is not None)
        case "orders" | "order_revenue" | "average_order":
            facts.orders, facts.order_minor = 1, row["total_minor"]
        case "open_tickets":
            facts.open_tickets = 1
        case "first_response" | "first_response_p90":
            facts.response_minutes = Counted([_minutes(row["first_response_at"] - row["opened_at"])])
        case "resolution" | "resolution_p90":
            facts.resolution_minutes = Counted([_minutes(row["solved_at"] - row["opened_at"])])
    return facts


def _minutes(span: timedelta) -> int:
    return round(span.total_seconds() / 60)
