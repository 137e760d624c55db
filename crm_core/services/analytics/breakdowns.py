"""A key figure split by stage, owner, product, source …; the groups add up to the figure, and each one has the list behind it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlmodel import Session, col, select

from crm_core import lists
from crm_core.access import Actor, require
from crm_core.entities import ENTITIES
from crm_core.errors import Invalid, NotFound
from crm_core.fields import FieldSpec, builtin
from crm_core.kit.text import sort_key
from crm_core.models import Pipeline, Stage
from crm_core.services.analytics import deal_facts, marketing_facts, order_facts, ticket_facts
from crm_core.services.analytics.metric_rules import METRICS, Facts, Metric, list_filter, total
from crm_core.services.analytics.metric_slots import Grouped, Slot
from crm_core.services.analytics.metrics import Number, Selection, hidden_reason, readable
from crm_core.vocabulary import Action, FieldKind

_LOADERS: dict[str, Callable[[Session, Actor, Slot], Grouped]] = {
    "revenue_won": deal_facts.closed_deals,
    "win_rate": deal_facts.closed_deals,
    "average_deal": deal_facts.closed_deals,
    "open_pipeline": deal_facts.open_deals,
    "weighted_pipeline": deal_facts.open_deals,
    "new_leads": marketing_facts.leads,
    "lead_conversion": marketing_facts.leads,
    "orders": order_facts.orders,
    "order_revenue": order_facts.orders,
    "average_order": order_facts.orders,
    "open_tickets": ticket_facts.open_tickets,
    **dict.fromkeys(
        (
            "first_response", "first_response_p90", "first_response_work", "first_response_work_p90", "response_kept", "resolution_kept",
        ),
        ticket_facts.tickets,
    ),
    **dict.fromkeys(("resolution", "resolution_p90", "resolution_work", "resolution_work_p90"), ticket_facts.solved_tickets),
    "reopen_rate": ticket_facts.first_solved_tickets,
    "first_contact": ticket_facts.first_solved_tickets,
    "satisfaction": ticket_facts.rated_tickets,
}  # fmt: skip


@dataclass(frozen=True)
class Part:
    """One group of a breakdown. ``key`` is the value of the column (None: not filled in); ``rest`` marks the sum of the smaller groups. Of a
    person with too few cases there is no value, and the label says so."""

    key: Any
    label: str
    value: Number | None
    cases: int
    filter: dict[str, Any]
    numerator: int | None = None
    denominator: int | None = None
    low: float | None = None
    high: float | None = None
    rest: bool = False


_TOWERS = 3


def towering(parts: Sequence[Part]) -> Part | None:
    """The sum of the smaller groups, where its bar would leave the bars of the others as slivers: charts tell it instead of drawing it."""
    longest = max((abs(part.value) for part in parts if not part.rest and part.value is not None), default=0)
    return next((part for part in parts if part.rest and part.value is not None and abs(part.value) > _TOWERS * longest > 0), None)


def breakdown(session: Session, actor: Actor, key: str, by: str, selection: Selection, *, limit: int = 10) -> tuple[Part, ...]:
    """A figure by a column: the largest groups first (stages in their order), smaller ones together as the last part.

    Empty when the person's role hides the figure or the column. Raises NotFound for an unknown figure, Invalid for a column that it can't
    be split by.
    """
    require(actor, "analytics", Action.READ)
    metric = METRICS.get(key)
    if metric is None or not readable(actor, metric):
        raise NotFound("There is no such figure.")
    if by not in metric.breakdowns:
        raise Invalid(f"“{metric.label}” can't be split this way.")
    if hidden_reason(actor, metric) or actor.masked(metric.entity, by):
        return ()
    slot = Slot(selection.period, selection.owner_id, selection.pipeline_id, by=by)
    base = list_filter(metric, selection.period, owner_id=selection.owner_id, pipeline_id=selection.pipeline_id)
    return arrange(session, actor, metric, builtin(metric.entity)[by], by, _LOADERS[key](session, actor, slot), base, limit=limit)


def arrange(
    session: Session,
    actor: Actor,
    metric: Metric,
    spec: FieldSpec,
    by: str,
    groups: Grouped,
    base: dict[str, Any],
    *,
    limit: int = 10,
) -> tuple[Part, ...]:
    """Counted groups as parts: named within what the actor may see, in their order, small ones together, each with its list."""
    require(actor, "analytics", Action.READ)
    groups = {value: facts for value, facts in merged(groups).items() if metric.cases(facts)}
    named = labels(session, actor, spec, list(groups))
    named |= {
        value: f"{named[value]} (too few: {metric.cases(groups[value])})" for value in groups if _few(metric, by, value, groups)
    }
    order = _order(session, metric, by, groups, named)
    shown, small = (order, []) if len(order) <= limit else (order[: limit - 1], order[limit - 1 :])
    parts = [
        _part(metric, value, named[value], groups[value], narrowed(base, by, value), few=_few(metric, by, value, groups))
        for value in shown
    ]
    if small:
        rest = total(groups[value] for value in small)
        parts.append(_part(metric, None, f"{len(small)} others", rest, _remaining(base, by, shown), rest=True))
    return _with_intervals(parts)


def _few(metric: Metric, by: str, value: Any, groups: Grouped) -> bool:
    """Whether a group is a single person of whom too few cases say nothing."""
    return by == metric.owner_path and value is not None and metric.few(groups[value])


def merged(groups: Grouped) -> dict[Any, Facts]:
    """Texts that differ by case are one group, as the filter does not tell them apart; empty text is the same as nothing."""
    spelled: dict[Any, Any] = {}
    found: dict[Any, Facts] = {}
    for value, facts in sorted(groups.items(), key=lambda item: str(item[0])):
        plain = value.lower() if type(value) is str else value
        name = None if plain in (None, "") else spelled.setdefault(plain, value)
        found.setdefault(name, Facts()).add(facts)
    return found


def labels(session: Session, actor: Actor, spec: FieldSpec, values: list[Any]) -> dict[Any, str]:
    """The words for values of a column; linked records that the actor may not see are “Hidden”."""
    nothing = f"No {spec.label.lower()}" if spec.key != "owner_id" or spec.entity != "ticket" else "Nobody"
    if spec.to in ENTITIES:
        titles = lists.titles(session, actor, spec.to or "", values)
        return {value: nothing if value is None else titles.get(value, "Hidden") for value in values}
    if spec.enum:
        return {value: nothing if value is None else spec.enum(value).label for value in values}
    if spec.kind is FieldKind.BOOLEAN:
        return {value: nothing if value is None else "Yes" if value else "No" for value in values}
    return {value: nothing if value is None else str(value) for value in values}


def _order(session: Session, metric: Metric, by: str, groups: dict[Any, Facts], labels: dict[Any, str]) -> list[Any]:
    if by == "stage_id":
        joined = select(Stage.id).join(Pipeline, col(Pipeline.id) == Stage.pipeline_id)
        rows = session.exec(joined.order_by(col(Pipeline.position), col(Pipeline.id), col(Stage.position)))
        position = {stage_id: number for number, stage_id in enumerate(rows)}
        return sorted(groups, key=lambda value: position.get(value, len(position)))
    size: Callable[[Facts], Any] = metric.cases if metric.counts else lambda facts: metric.value(facts) or 0

    def place(value: Any) -> Any:
        few = _few(metric, by, value, groups)
        return few, 0 if few else -size(groups[value]), sort_key(labels[value])

    return sorted(groups, key=place)


def narrowed(base: dict[str, Any], by: str, value: Any) -> dict[str, Any]:
    """The filter of a list cut down to one value of a column."""
    leaf = {"field": by, "cmp": "empty"} if value is None else {"field": by, "cmp": "eq", "value": value}
    return {"op": "and", "items": [*base["items"], leaf]}


def _remaining(base: dict[str, Any], by: str, shown: list[Any]) -> dict[str, Any]:
    leaves: list[dict[str, Any]] = [{"field": by, "cmp": "not_in", "value": [value for value in shown if value is not None]}]
    if None in shown:
        leaves.append({"field": by, "cmp": "not_empty"})
    return {"op": "and", "items": [*base["items"], *leaves]}


def _part(
    metric: Metric, key: Any, label: str, facts: Facts, ast: dict[str, Any], *, rest: bool = False, few: bool = False
) -> Part:
    if few:
        return Part(key, label, None, metric.cases(facts), ast)
    numerator, denominator = metric.counts(facts) if metric.counts else (None, None)
    return Part(key, label, metric.value(facts), metric.cases(facts), ast, numerator, denominator, rest=rest)


def _with_intervals(parts: list[Part]) -> tuple[Part, ...]:
    told = [n for n, part in enumerate(parts) if part.denominator]
    if not told:
        return tuple(parts)
    import numpy as np

    from ml.kpis import wilson  # brings scipy, which a start without figures need not wait for

    low, high = wilson(np.array([parts[n].numerator for n in told]), np.array([parts[n].denominator for n in told]))
    for n, a, b in zip(told, low, high, strict=True):
        parts[n] = replace(parts[n], low=float(a), high=float(b))
    return tuple(parts)
