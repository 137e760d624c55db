"""What a tile shows: its spec turned into numbers, within what the reader may see. Screens, shared pages and reports draw the same result."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from sqlmodel import Session

from crm_core import filters
from crm_core.access import Actor, require
from crm_core.entities import RECORDS, entity
from crm_core.errors import CrmError, Invalid, NotFound
from crm_core.fields import registry
from crm_core.services.analytics import (
    as_of,
    backlog,
    breakdowns,
    deal_facts,
    dimensions,
    metrics,
    periods,
    pivots,
    ticket_facts,
    tile_facts,
)
from crm_core.services.analytics.as_of import Moment
from crm_core.services.analytics.backlog import AGE
from crm_core.services.analytics.breakdowns import Part
from crm_core.services.analytics.metric_measure import Measured, steps_of
from crm_core.services.analytics.metric_rules import METRICS, Metric, total
from crm_core.services.analytics.metric_slots import Selection, Slot
from crm_core.services.analytics.metrics import Figure, readable
from crm_core.services.analytics.periods import Period
from crm_core.services.analytics.pivots import Pivot
from crm_core.services.analytics.tile_facts import Cut
from crm_core.services.analytics.tile_rules import TIME, checked, title_of
from crm_core.vocabulary import Action, PeriodPreset, TileKind

Overview = Callable[[Session, Actor, str, Selection], tuple[Figure, ...]]


@dataclass(frozen=True)
class Look:
    """With which choices a dashboard is seen: period, comparison, owner and pipeline, and the past day it is rebuilt for (None: now)."""

    selection: Selection
    as_of: date | None = None


@dataclass(frozen=True)
class Tile:
    """What a tile shows. Exactly one of ``figure`` (a number, with its steps over time), ``parts`` (groups), ``pivot`` and ``text`` is filled,
    or ``reason`` says in a sentence why there is nothing.
    """

    kind: TileKind
    chart: str
    title: str
    metric: str = ""
    by: str = ""
    entity: str = ""
    period: Period | None = None
    figure: Figure | None = None
    parts: tuple[Part, ...] = ()
    pivot: Pivot | None = None
    text: str = ""
    reason: str = ""
    filtered: bool = False
    suppressed: int = 0


def look(selection: Selection, day: date | None = None, preset: PeriodPreset | None = None) -> Look:
    """A look; with a past day the presets count back from it. ``preset``: the one that the selection was made with."""
    if day is None:
        return Look(selection)
    moved = replace(selection, today=day)
    if preset is not None and preset is not PeriodPreset.CUSTOM:
        moved = _with_preset(moved, preset)
    return Look(moved, day)


def _with_preset(selection: Selection, preset: PeriodPreset) -> Selection:
    month = selection.fiscal_start_month
    chosen = periods.period(preset, selection.today, fiscal_start_month=month)
    compared = periods.comparison(preset, chosen, selection.against, fiscal_start_month=month)
    return replace(selection, period=chosen, comparison=compared)


def evaluate(
    session: Session,
    actor: Actor,
    kind: TileKind,
    spec: dict[str, Any],
    seen: Look,
    title: str = "",
    overview: Overview = metrics.overview,
) -> Tile:
    """Compute a tile. What this person may not see, or what can't be computed, comes back as a tile with a reason, never as an error."""
    require(actor, "analytics", Action.READ)
    try:
        spec = checked(kind, spec)
        if kind is TileKind.TEXT:
            return Tile(kind, "text", title, text=spec["text"])
        own = _own_period(spec, seen)
        made = _pivot(session, actor, spec, own) if kind is TileKind.PIVOT else _figure(session, actor, spec, own, overview)
        return replace(made, title=title or made.title, period=own.selection.period)
    except CrmError as error:
        known = METRICS.get(str(spec.get("metric")))
        return Tile(kind, str(spec.get("chart") or ""), title or (known.label if known else "This tile"), reason=error.message)


def _own_period(spec: dict[str, Any], seen: Look) -> Look:
    if not spec.get("period"):
        return seen
    return replace(seen, selection=_with_preset(seen.selection, PeriodPreset(spec["period"])))


def _pivot(session: Session, actor: Actor, spec: dict[str, Any], seen: Look) -> Tile:
    if seen.as_of is not None:
        raise Invalid(as_of.PIVOT)
    made = pivots.pivot(session, actor, spec, seen.selection)
    return Tile(TileKind.PIVOT, spec["chart"], made.title, entity=spec["entity"], pivot=made, filtered=bool(spec["filter"]))


def _figure(session: Session, actor: Actor, spec: dict[str, Any], seen: Look, overview: Overview) -> Tile:
    metric = METRICS[spec["metric"]]
    if not readable(actor, metric):
        raise NotFound("There is no such figure.")
    hidden = metrics.hidden_reason(actor, metric)
    if hidden:
        raise Invalid(hidden)
    label = ""
    if spec["by"] and spec["by"] != TIME:
        aged = spec["by"] == AGE and metric.key == "open_tickets"
        label = AGE if aged else dimensions.one(session, actor, metric.entity, spec["by"]).label
    if spec["filter"]:
        filters.where(session, metric.entity, spec["filter"], actor)
    tile = Tile(
        TileKind.FIGURE, spec["chart"], title_of(TileKind.FIGURE, spec, label), metric.key, spec["by"], metric.entity,
        filtered=bool(spec["filter"]),
    )  # fmt: skip
    if label:
        return replace(tile, parts=_parts(session, actor, metric, spec, seen))
    if seen.as_of is None and not spec["filter"]:
        area = overview(session, actor, metric.area, seen.selection)
        found = next(each for each in area if each.key == metric.key)
    else:
        found = _measured(session, actor, metric, spec, seen)
    if spec["by"] == TIME and not found.points:
        raise Invalid(
            f"“{metric.label}” has no steps over time here."
            if not metric.history or found.metric.now
            else metric.missing or "Nothing in this period."
        )
    return replace(tile, figure=found)


# --- alone or over time, with a filter or for a past day --------------------------------------------------------------------


def _measured(session: Session, actor: Actor, metric: Metric, spec: dict[str, Any], seen: Look) -> Figure:
    chosen, only = seen.selection, spec["filter"]
    at = as_of.moment(actor, seen.as_of) if seen.as_of else None
    if metric.now:
        found, before = (
            (_standing_then(session, actor, metric, chosen, only, at), None)
            if at
            else _standing(session, actor, metric, chosen, only)
        )
    else:
        found = _stretch(session, actor, metric, chosen, chosen.period, only, at)
        before = _stretch(session, actor, metric, chosen, chosen.comparison, only, at) if chosen.comparison else None
    return metrics.figure_of(actor, metric, chosen, found, before, only)


def _stretch(
    session: Session, actor: Actor, metric: Metric, chosen: Selection, period: Period, only: Any, at: Moment | None
) -> Measured:
    steps = steps_of(session, actor, metric.area, chosen, period)
    cut = Cut(period, chosen.owner_id, chosen.pipeline_id, only, steps=steps)
    if not steps:
        return Measured(period, (), total([]), ())
    if at is None:
        parts = tile_facts.parts(session, actor, metric, cut)
    else:
        found = as_of.grouped(session, actor, metric, cut, at)
        parts = tuple(found.get(n, total([])) for n in range(len(steps)))
    return Measured(period, steps, total(parts), parts)


_NOW = {"deal": (deal_facts.open_deals, deal_facts.pipeline_at), "ticket": (ticket_facts.open_tickets, ticket_facts.tickets_at)}


def _standing(session: Session, actor: Actor, metric: Metric, chosen: Selection, only: Any) -> tuple[Measured, Measured | None]:
    """What is open now, and what stood open at the end of each step, with a further filter."""
    if metric.entity not in _NOW:
        cut = Cut(chosen.period, chosen.owner_id, chosen.pipeline_id, only)
        return Measured(chosen.period, (), total(tile_facts.grouped(session, actor, metric, cut).values()), ()), None
    now, then = _NOW[metric.entity]
    clause = filters.where(session, metric.entity, only, actor) if only else None
    slot = Slot(chosen.period, chosen.owner_id, chosen.pipeline_id, only=clause)
    present = total(now(session, actor, slot).values())
    steps = steps_of(session, actor, metric.area, chosen, chosen.period) if metric.history else ()
    earlier = chosen.comparison.end if chosen.comparison and metric.history else None
    ends = sorted({*(step.end for step in steps), *([earlier] if earlier else [])})
    stood = dict(zip(ends, then(session, actor, slot, present, ends), strict=True))
    found = Measured(chosen.period, steps, present, (), tuple(stood[step.end] for step in steps))
    before = Measured(chosen.comparison, (), total([]), (), (stood[earlier],)) if chosen.comparison and earlier else None
    return found, before


def _standing_then(session: Session, actor: Actor, metric: Metric, chosen: Selection, only: Any, at: Moment) -> Measured:
    cut = Cut(chosen.period, chosen.owner_id, chosen.pipeline_id, only)
    return Measured(chosen.period, (), total(as_of.grouped(session, actor, metric, cut, at).values()), ())


# --- by a field ----------------------------------------------------------------------------------------------------------


def _parts(session: Session, actor: Actor, metric: Metric, spec: dict[str, Any], seen: Look) -> tuple[Part, ...]:
    by, chosen = spec["by"], seen.selection
    if by == AGE:
        return _aged(session, actor, spec, seen)
    quick = seen.as_of is None and not spec["filter"] and by in metric.breakdowns
    if quick:
        return breakdowns.breakdown(session, actor, metric.key, by, chosen, limit=spec["limit"])
    cut = Cut(chosen.period, chosen.owner_id, chosen.pipeline_id, spec["filter"], by)
    if seen.as_of:
        groups = as_of.grouped(session, actor, metric, cut, as_of.moment(actor, seen.as_of))
    else:
        groups = tile_facts.grouped(session, actor, metric, cut)
    dimension = dimensions.one(session, actor, metric.entity, by)
    return breakdowns.arrange(
        session, actor, metric, dimension.spec, by, groups, tile_facts.listed(metric, cut), limit=spec["limit"]
    )


def _aged(session: Session, actor: Actor, spec: dict[str, Any], seen: Look) -> tuple[Part, ...]:
    """Open tickets by age; of a past day nothing kept would tell it."""
    if seen.as_of is not None:
        raise Invalid("How old the open tickets were can't be rebuilt for a past day.")
    clause = filters.where(session, "ticket", spec["filter"], actor) if spec["filter"] else None
    return backlog.by_age(session, actor, seen.selection, clause, spec["filter"])


# --- what a tile depends on ------------------------------------------------------------------------------------------------


def depends_on(session: Session, actor: Actor, kind: TileKind, spec: dict[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Entities whose visibility and tables whose changes a tile depends on: the key under which it may be remembered."""
    require(actor, "analytics", Action.READ)
    if kind is TileKind.TEXT:
        return (), ()
    metric = METRICS.get(str(spec.get("metric")))
    key = metric.entity if metric else str(spec.get("entity"))
    if key not in RECORDS or any(word in repr(spec.get("filter")) for word in ("'agg'", "'segment'", "'mark'", "'event'")):
        return RECORDS, tuple(
            sorted(
                {entity(name).table.name for name in RECORDS} | _ALWAYS | {"stage", "pipeline", "analysis_mark", "segment_member"}
            )
        )
    keys = {key, "account", "campaign"} | ({"lead", "deal", "campaign"} if metric and metric.area == "marketing" else set())
    for field in registry(session, key).values():
        keys |= {field.to} if field.to in RECORDS else set()
    tables = {entity(name).table.name for name in keys} | _ALWAYS | _EXTRA.get(key, set())
    return tuple(sorted(keys)), tuple(sorted(tables))


_ALWAYS = {"organisation", "custom_field", "pick_option", "product_category"}
_EXTRA = {"deal": {"stage", "pipeline"}, "lead": {"lead_status", "campaign_channel"}, "campaign": {"campaign_channel"}}
