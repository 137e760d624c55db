"""The key figures: value, comparison, trend and breakdown, within what the reader may see. Definitions: metric_rules."""

from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlmodel import Session
from sqlmodel import select as select_rows

from crm_core.access import Actor, require, visible
from crm_core.entities import entity
from crm_core.errors import NotFound
from crm_core.kit import clock
from crm_core.models import Organisation
from crm_core.services.analytics import acquisition, metric_slots, periods
from crm_core.services.analytics.metric_measure import Measured, measure
from crm_core.services.analytics.metric_rules import AREAS, METRICS, WHOLE, Metric, list_filter, too_few_before
from crm_core.services.analytics.metric_slots import Selection, Slot
from crm_core.services.analytics.periods import Bucket, Period
from crm_core.vocabulary import Action, Against, MetricUnit, PeriodPreset, Scope

Number = int | float


@dataclass(frozen=True)
class Point:
    """One step of a trend; the value is None where nothing could be computed."""

    bucket: Bucket
    value: Number | None
    cases: int = 0


@dataclass(frozen=True)
class Figure:
    """A key figure as it is shown. Money in minor units, shares between 0 and 1.

    ``cases``: records behind it; ``low``/``high``: 95% interval of a share; ``relative``: change against ``before`` as a share of it;
    ``distinguishable``: whether the change is more than chance, None where that can't be told; ``filter``: the list behind it; ``reason``: why there is no value.
    """

    key: str
    value: Number | None
    cases: int
    filter: dict[str, Any]
    numerator: int | None = None
    denominator: int | None = None
    low: float | None = None
    high: float | None = None
    before: Number | None = None
    change: Number | None = None
    relative: float | None = None
    distinguishable: bool | None = None
    points: tuple[Point, ...] = ()
    before_points: tuple[Point, ...] = ()
    reason: str = ""
    hidden: bool = False
    before_cases: int = 0

    @property
    def metric(self) -> Metric:
        """The definition."""
        return METRICS[self.key]

    @property
    def too_few(self) -> bool:
        """Whether there is an earlier figure that rests on too few records to compare with."""
        return self.change is not None and too_few_before(self.before_cases, self.cases)


def select(
    session: Session,
    actor: Actor,
    preset: PeriodPreset = PeriodPreset.MONTHS_12,
    against: Against = Against.PREVIOUS,
    *,
    start: date | None = None,
    end: date | None = None,
    owner_id: int | None = None,
    pipeline_id: int | None = None,
) -> Selection:
    """Turn choices into days, in the actor's time zone and the workspace's fiscal year. Raises Invalid for a period that can't be."""
    require(actor, "analytics", Action.READ)
    month = session.exec(select_rows(Organisation.fiscal_year_start_month)).first() or 1
    today = clock.today(actor.timezone)
    chosen = periods.period(preset, today, fiscal_start_month=month, start=start, end=end)
    compared = periods.comparison(preset, chosen, against, fiscal_start_month=month)
    return Selection(chosen, compared, today, owner_id, pipeline_id, month, against)


def areas(actor: Actor) -> dict[str, str]:
    """Key → label of the areas with at least one figure for this person."""
    mine = {area: label for area, label in AREAS.items() if actor.can(metric_slots.leading(area), Action.READ)}
    return {area: label for area, label in mine.items() if offered(actor, area)}


def offered(actor: Actor, area: str) -> list[Metric]:
    """The metrics of an area whose records the person may read."""
    if not actor.can("analytics", Action.READ):
        return []
    return [metric for metric in METRICS.values() if metric.area == area and readable(actor, metric)]


def readable(actor: Actor, metric: Metric) -> bool:
    """Whether a person may read everything that a figure is about."""
    return all(actor.can(key, Action.READ) for key in (metric.entity, *metric.reads))


def overview(session: Session, actor: Actor, area: str, selection: Selection) -> tuple[Figure, ...]:
    """All figures of an area. Raises NotFound for an area that does not exist, NotPermitted without the right to read analytics."""
    require(actor, "analytics", Action.READ)
    if area not in AREAS:
        raise NotFound("There is no such page of figures.")
    wanted = offered(actor, area)
    if not wanted:
        return ()
    found, before = measure(session, actor, area, selection)
    return tuple(figure_of(actor, metric, selection, found, before) for metric in wanted)


def figure(session: Session, actor: Actor, key: str, selection: Selection) -> Figure:
    """One figure by its key. Raises NotFound for an unknown one or one of records that the person may not read."""
    require(actor, "analytics", Action.READ)
    metric = METRICS.get(key)
    if metric is None or not readable(actor, metric):
        raise NotFound("There is no such figure.")
    return next(found for found in overview(session, actor, metric.area, selection) if found.key == key)


def hidden_reason(actor: Actor, metric: Metric) -> str:
    """Why a person must not see a figure although they may read its records; empty when they may."""
    read = [(metric.entity, str(leaf["field"])) for leaf in metric.leaves(Period()) if "field" in leaf]
    for entity_key, field_key in (*metric.needs, *read):
        if actor.masked(entity_key, field_key):
            return f"Your role hides a field of {entity(entity_key).plural.lower()} that this figure is made of."
    if metric.key == "campaign_return" and Scope.ALL not in actor.scopes("deal", Action.READ):
        return "Your role sees only a part of the deals, so what campaigns brought in can't be told."
    return acquisition.hidden_reason(actor) if metric.key == "acquisition_cost" else ""


# --- from facts to figures --------------------------------------------------------------------------------------------


def figure_of(
    actor: Actor, metric: Metric, selection: Selection, found: Measured, before: Measured | None, only: dict[str, Any] | None = None
) -> Figure:
    """A figure from measured facts. ``only``: the further filter that they were measured with."""
    ast = list_filter(metric, selection.period, owner_id=selection.owner_id, pipeline_id=selection.pipeline_id)
    if only:
        ast = {"op": "and", "items": [*ast["items"], only]}
    reason = hidden_reason(actor, metric)
    if reason:
        return Figure(metric.key, None, 0, ast, reason=reason, hidden=True)
    if metric.key == "acquisition_cost" and selection.owner_id is not None:
        return Figure(
            metric.key,
            None,
            0,
            ast,
            reason="Campaigns win customers for everybody: what one person's customers cost can't be told.",
        )
    one = _one_person(actor, metric, selection)
    if one and metric.few(found.whole) and metric.cases(found.whole):
        records = entity(metric.entity).plural.lower()
        few = (
            f"Too few {records} of one person ({metric.cases(found.whole)}): below {metric.least} chance says more than the person."
        )
        return Figure(metric.key, None, metric.cases(found.whole), ast, reason=few, before_cases=_cases_before(metric, before))
    value = metric.value(found.whole)
    earlier = None if one and before and metric.few(before.whole) else _earlier(metric, before)
    numerator, denominator = metric.counts(found.whole) if metric.counts else (None, None)
    bounds = interval(numerator, denominator)
    return Figure(
        metric.key,
        value,
        metric.cases(found.whole),
        ast,
        numerator,
        denominator,
        *bounds,
        before=earlier,
        change=None if value is None or earlier is None else value - earlier,
        relative=(value - earlier) / abs(earlier) if value is not None and earlier else None,
        distinguishable=_distinguishable(metric, found, before),
        points=_points(metric, found, one=one),
        before_points=_points(metric, before, one=one) if before and not metric.now else (),
        reason=metric.missing if value is None else "",
        before_cases=_cases_before(metric, before),
    )


def _earlier(metric: Metric, before: Measured | None) -> Number | None:
    if before is None or (metric.now and not metric.history):
        return None
    if not metric.now:
        return metric.value(before.whole)
    return metric.value(before.standing[-1]) if before.standing else None


def _cases_before(metric: Metric, before: Measured | None) -> int:
    if before is None:
        return 0
    return metric.cases(before.standing[-1] if metric.now and before.standing else before.whole)


def _one_person(actor: Actor, metric: Metric, selection: Selection) -> bool:
    """Whether a figure is about a single person: one was chosen, or somebody sees nothing but their own."""
    return selection.owner_id is not None or actor.scopes(metric.entity, Action.READ) == {Scope.OWN}


def _points(metric: Metric, found: Measured, *, one: bool = False) -> tuple[Point, ...]:
    if not metric.history or metric.key in WHOLE:
        return ()
    parts = found.standing if metric.now else found.parts
    return tuple(
        Point(step, None if one and metric.few(part) else metric.value(part), metric.cases(part))
        for step, part in zip(found.steps, parts, strict=False)
    )


def interval(numerator: int | None, denominator: int | None) -> tuple[float | None, float | None]:
    """The 95% Wilson interval of a share; nothing without cases."""
    if numerator is None or not denominator:
        return None, None
    from ml.kpis import rate  # brings scipy, which a start without figures need not wait for

    found = rate(numerator, denominator)
    return found.low, found.high


def _distinguishable(metric: Metric, found: Measured, before: Measured | None) -> bool | None:
    """Whether the change is more than chance: of shares by their counts, of sums step by step; None where it can't be said."""
    if before is None or metric.now or metric.unit in _NOT_ADDITIVE:
        return None
    if metric.counts is not None:
        return _shares_differ(metric.counts(found.whole), metric.counts(before.whole))
    after, earlier = ([point.value for point in _points(metric, each)] for each in (found, before))
    if len(after) != len(earlier) or len(after) < 3 or None in after or None in earlier:
        return None
    from ml.kpis import compare

    return compare(earlier, after).distinguishable


_NOT_ADDITIVE = (MetricUnit.DAYS, MetricUnit.SECONDS, MetricUnit.RETURN)


def _shares_differ(after: tuple[int, int], earlier: tuple[int, int]) -> bool | None:
    if not after[1] or not earlier[1]:
        return None
    from ml.kpis import rate, rate_difference

    low, high, _p = rate_difference(rate(*after), rate(*earlier))
    return low > 0 or high < 0


# --- is there anything? ---------------------------------------------------------------------------------------------------


def has_records(session: Session, actor: Actor) -> bool:
    """False as long as there is nothing at all that the figures could be made of (in what the person may see)."""
    require(actor, "analytics", Action.READ)
    keys = dict.fromkeys(metric.entity for metric in METRICS.values() if actor.can(metric.entity, Action.READ))
    for key in keys:
        table = entity(key).table
        if session.execute(table.select().with_only_columns(table.c.id).where(visible(actor, key, table)).limit(1)).first():
            return True
    return False


def extent(session: Session, actor: Actor, area: str, selection: Selection) -> Period | None:
    """First and last day with records of an area, whatever the period; None without any. Says where to look when a period is empty."""
    require(actor, "analytics", Action.READ)
    if area not in AREAS:
        raise NotFound("There is no such page of figures.")
    return metric_slots.extent(session, actor, area, Slot(selection.period, selection.owner_id, selection.pipeline_id))
