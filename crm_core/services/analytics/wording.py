"""Figures in words: values by their unit, changes with their sign, periods and steps. Screens, shared pages and reports say the same."""

from datetime import date

from babel.dates import format_date

from crm_core import format as fmt
from crm_core.access import Actor
from crm_core.services.analytics.metrics import Figure, Number
from crm_core.services.analytics.periods import Bucket, Period
from crm_core.vocabulary import FieldKind, MetricUnit


def value_text(actor: Actor, unit: MetricUnit, value: Number | None, *, compact: bool = True) -> str:
    """A figure as people read it."""
    if value is None:
        return fmt.NOTHING
    match unit:
        case MetricUnit.MONEY:
            return fmt.money(actor, int(value), compact=compact)
        case MetricUnit.SHARE:
            return fmt.percent(actor, value)
        case MetricUnit.RETURN:
            return fmt.percent(actor, value, 0)
        case MetricUnit.DAYS:
            return fmt.number(actor, value, digits=1) + (" day" if value == 1 else " days")
        case MetricUnit.SECONDS:
            return fmt.duration(value)
    return fmt.number(actor, value, compact=compact)


NO_CHANGE = "no change"
TOO_FEW = "too few before to compare"
QUIET = (NO_CHANGE, TOO_FEW)
"""What stands for a change without being one: no colour, no arrow."""


def change_text(actor: Actor, figure: Figure) -> str | None:
    """The change with its sign, against the comparison; None without one. What rounds to nothing is none, and what rests on a nearly empty time before
    is not told."""
    if figure.change is None:
        return None
    if figure.too_few:
        return TOO_FEW
    size = _size(actor, figure, abs(figure.change))
    if not any(digit in size for digit in "123456789"):
        return NO_CHANGE
    return ("-" if figure.change < 0 else "+") + size


def _size(actor: Actor, figure: Figure, size: Number) -> str:
    unit = figure.metric.unit
    if unit in (MetricUnit.SHARE, MetricUnit.RETURN):
        return f"{fmt.number(actor, size * 100, digits=1)} pp"
    if unit in (MetricUnit.DAYS, MetricUnit.SECONDS) or figure.relative is None:
        return value_text(actor, unit, size)
    return fmt.percent(actor, abs(figure.relative))


def period_text(actor: Actor, period: Period) -> str:
    """The days of a period."""
    if period.start is None or period.end is None:
        return "All time"
    return fmt.days(actor, period.start, period.end)


def step_text(actor: Actor, step: Bucket) -> str:
    """The name of a step: ``Mar 5``, ``Mar 2 – 8``, ``Mar 2026``, ``Jan – Mar 2026``, ``2026``."""

    def show(day: date, pattern: str) -> str:
        return format_date(day, pattern, locale=actor.locale)

    match step.grain:
        case "day":
            return show(step.start, "MMM d")
        case "week":
            end = show(step.end, "d" if step.start.month == step.end.month else "MMM d")
            return f"{show(step.start, 'MMM d')} – {end}"
        case "month":
            return show(step.start, "MMM y")
        case "quarter":
            return f"{show(step.start, 'MMM')} – {show(step.end, 'MMM y')}"
    return show(step.end, "y")


def number_text(actor: Actor, kind: FieldKind, value: Number | None, *, compact: bool = False) -> str:
    """A number of a report as people read it, by the kind of its field."""
    if value is None:
        return fmt.NOTHING
    if kind is FieldKind.MONEY:
        return fmt.money(actor, round(value), compact=compact)
    if kind is FieldKind.PERCENT:
        return fmt.number(actor, value, digits=1) + "%"
    return fmt.number(actor, value, compact=compact)
