"""The charts of the overview: key figures turned into frames for ``ml.charts.overview``, kept until a table behind them changes."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go
from sqlmodel import Session

from crm_core.access import Actor
from crm_core.entities import entity
from crm_core.kit.money import to_major
from crm_core.services.analytics import backlog, breakdowns, metrics
from crm_core.services.analytics.breakdowns import Part, towering
from crm_core.services.analytics.metric_rules import METRICS, list_filter
from crm_core.services.analytics.metrics import Figure, Number, Point, Selection
from crm_core.services.analytics.periods import Period
from crm_core.services.analytics.wording import step_text, value_text
from crm_core.vocabulary import Against, MetricUnit
from ml.charts import overview as charts
from ui import format as fmt
from ui.cache import cached
from ui.components.chart_words import axis_words
from ui.components.figure import Behind
from ui.drawn import dumps

ENTITIES: dict[str, tuple[str, ...]] = {
    "sales": ("deal", "product"),
    "marketing": ("lead", "campaign", "deal", "account"),
    "orders": ("order",),
    "service": ("ticket", "account"),
}
TABLES: dict[str, tuple[str, ...]] = {
    "sales": ("deal", "stage", "pipeline", "product", "organisation"),
    "marketing": ("lead", "campaign", "campaign_channel", "deal", "account", "organisation"),
    "orders": ("sales_order", "organisation"),
    "service": ("ticket", "account", "organisation"),
}
_GRAIN = {"day": "Daily", "week": "Weekly", "month": "Monthly", "quarter": "Quarterly", "year": "Yearly"}


def figures(area: str, selection: Selection) -> tuple[Figure, ...]:
    """The key figures of an area, remembered."""
    return cached(metrics.overview, area, selection, entities=ENTITIES[area], tables=TABLES[area])


def parts(key: str, by: str, selection: Selection) -> tuple[Part, ...]:
    """A breakdown, remembered."""
    area = METRICS[key].area
    if by == backlog.AGE:
        return cached(backlog.by_age, selection, entities=ENTITIES[area], tables=TABLES[area])
    return cached(breakdowns.breakdown, key, by, selection, entities=ENTITIES[area], tables=TABLES[area])


def trend(actor: Actor, figure: Figure, selection: Selection) -> tuple[go.Figure, str, list[Behind]]:
    """A figure step by step beside its comparison: the chart, its subtitle, and the list behind each step."""
    area = figure.metric.area
    fig = cached(_trend, figure.key, selection, actor.locale, entities=ENTITIES[area], tables=TABLES[area])
    grain = _GRAIN[figure.points[0].bucket.grain] if figure.points else ""
    if figure.metric.now:  # what stood open on a past day is not what a list could show today
        return fig, f"{grain}, at the end of each step", []
    unfinished = any(not point.bucket.complete for point in figure.points)
    subtitle = grain + (", paler where the period cuts a step short" if unfinished else "")
    return fig, subtitle, [_behind(actor, figure, point, selection) for point in figure.points]


def _trend(_session: Session, actor: Actor, key: str, selection: Selection, _locale: str) -> go.Figure:
    figure = next(found for found in figures(METRICS[key].area, selection) if found.key == key)
    compared = {Against.LAST_YEAR: "Last year"}.get(selection.against, "Period before")
    return charts.trend_bars(
        trend_frame(actor, figure),
        y=_axis(actor, figure.metric.unit),
        before_name=compared,
        written=axis_words(actor, money=figure.metric.unit is MetricUnit.MONEY),
        tickformat=charts.SHARE if figure.metric.unit is MetricUnit.SHARE else None,
        nothing=f"{figure.metric.label}: nothing in this period.",
    )


def trend_frame(actor: Actor, figure: Figure) -> pd.DataFrame:
    """The steps of a figure as the chart wants them; the comparison stands at the same place of its own period."""
    unit = figure.metric.unit
    rows: list[dict[str, Any]] = []
    for n, point in enumerate(figure.points):
        row = {
            "label": step_text(actor, point.bucket),
            "value": plotted(actor, unit, point.value),
            "text": value_text(actor, unit, point.value),
            "complete": point.bucket.complete or figure.metric.now,
        }
        if figure.before_points:
            other = figure.before_points[n] if n < len(figure.before_points) else None
            row["before"] = plotted(actor, unit, other.value) if other else None
            row["before_text"] = value_text(actor, unit, other.value) if other else fmt.NOTHING
            row["before_label"] = step_text(actor, other.bucket) if other else ""
        rows.append(row)
    return pd.DataFrame(rows, columns=None if rows else ["label", "value", "text", "complete"])


def _behind(actor: Actor, figure: Figure, point: Point, selection: Selection) -> Behind:
    step = Period(point.bucket.start, point.bucket.end)
    ast = list_filter(figure.metric, step, owner_id=selection.owner_id, pipeline_id=selection.pipeline_id)
    text = value_text(actor, figure.metric.unit, point.value)
    return Behind(step_text(actor, point.bucket), text, figure.metric.entity, ast)


def groups(actor: Actor, key: str, by: str, selection: Selection, overall: float | None = None) -> tuple[go.Figure, list[Behind]]:
    """A figure by a column: the chart and the list behind each group."""
    area = METRICS[key].area
    fig = cached(_groups, key, by, selection, overall, actor.locale, entities=ENTITIES[area], tables=TABLES[area])
    metric = METRICS[key]
    return fig, [Behind(part.label, part_text(actor, key, part), metric.entity, part.filter) for part in parts(key, by, selection)]


def _groups(
    _session: Session, actor: Actor, key: str, by: str, selection: Selection, overall: float | None, _locale: str
) -> go.Figure:
    metric, found = METRICS[key], parts(key, by, selection)
    nothing = f"{metric.label}: nothing to show here."
    if metric.unit is MetricUnit.SHARE:
        return charts.rate_dots(
            part_frame(actor, key, found), x=f"{metric.label} with 95% interval", overall=overall, nothing=nothing
        )
    written = axis_words(actor, money=metric.unit is MetricUnit.MONEY)
    return charts.part_bars(
        part_frame(actor, key, found),
        x=_axis(actor, metric.unit),
        written=written,
        nothing=nothing,
        height=300 if by == "stage_id" else None,
    )


def part_frame(actor: Actor, key: str, found: Sequence[Part]) -> pd.DataFrame:
    """The groups of a breakdown as the chart wants them."""
    metric = METRICS[key]
    noun = entity(metric.entity)
    told = towering(found) if metric.unit is not MetricUnit.SHARE else None
    rows = [
        {
            "label": f"{part.label}: {value_text(actor, metric.unit, part.value)}" if part is told else part.label,
            "value": None if part is told else plotted(actor, metric.unit, part.value),
            "low": part.low,
            "high": part.high,
            "text": value_text(actor, metric.unit, part.value),
            "hover": part_text(actor, key, part)
            if part.denominator
            else fmt.plural(part.cases, noun.label.lower(), noun.plural.lower()),
        }
        for part in found
    ]
    return pd.DataFrame(rows, columns=["label", "value", "low", "high", "text", "hover"])


def part_text(actor: Actor, key: str, part: Part) -> str:
    """A group's value with what it rests on."""
    metric = METRICS[key]
    value = value_text(actor, metric.unit, part.value)
    if part.denominator:
        return f"{value} ({fmt.number(actor, part.numerator)} of {fmt.number(actor, part.denominator)})"
    noun = entity(metric.entity)
    count = fmt.plural(part.cases, noun.label.lower(), noun.plural.lower())
    return value if metric.unit is MetricUnit.COUNT else f"{value}, {count}"


def draw_once() -> None:
    """Draw each kind of chart for nobody: the first one in a process loads what Plotly needs for it."""
    texts = pd.DataFrame(
        {"label": ["a"], "text": ["1"], "hover": ["1"], "complete": [True], "before_text": ["1"], "before_label": ["b"]}
    )
    frame = texts.assign(value=1.0, low=0.5, high=1.0, before=1.0)
    drawn = (charts.trend_bars(frame, y=""), charts.part_bars(frame, x=""), charts.rate_dots(frame, x="", overall=0.5))
    dumps([*drawn, charts.trend_bars(frame.head(0), y="")])


def plotted(actor: Actor, unit: MetricUnit, value: Number | None) -> float | None:
    """A value on the axis: money in major units, durations in hours."""
    if value is None:
        return None
    if unit is MetricUnit.MONEY:
        return float(to_major(int(value), actor.currency))
    return value / 3600 if unit is MetricUnit.SECONDS else float(value)


def _axis(actor: Actor, unit: MetricUnit) -> str:
    return {MetricUnit.MONEY: actor.currency, MetricUnit.SECONDS: "Hours", MetricUnit.DAYS: "Days"}.get(unit, "")
