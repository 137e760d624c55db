"""How the work of each agent looks in figures, side by side: never a ranking of a few tickets, and no colour for what chance explains.

The numbers are those of the registry (``metric_rules``), for the same period and within what the reader may see.
"""

from dataclasses import dataclass
from typing import Any

from sqlmodel import Session

from crm_core.access import Actor, require
from crm_core.errors import Invalid, NotFound
from crm_core.fields import builtin
from crm_core.kit.csvio import to_csv, to_xlsx
from crm_core.kit.text import sort_key
from crm_core.services.analytics import breakdowns, metrics, ticket_facts
from crm_core.services.analytics.metric_rules import METRICS, Facts, Metric, list_filter, total
from crm_core.services.analytics.metric_slots import Grouped, Selection, Slot
from crm_core.services.analytics.metrics import Number
from crm_core.vocabulary import Action, MetricUnit

COLUMNS = ("first_response", "response_kept", "resolution_kept", "reopen_rate", "satisfaction")
ALPHA = 0.05
"""How often, over the whole table, chance alone may mark anything."""
_SOLVED = METRICS["resolution"]


@dataclass(frozen=True)
class Measure:
    """One figure of one agent. ``few``: fewer cases than say something about a person, so there is no value; ``apart``: "better" or "worse"
    than everybody else by more than chance explains, else empty."""

    value: Number | None
    cases: int
    low: float | None = None
    high: float | None = None
    few: bool = False
    apart: str = ""


@dataclass(frozen=True)
class Agent:
    """One line. ``key``: the person, None for tickets that are nobody's; ``filter``: the list of the tickets that were solved."""

    key: int | None
    name: str
    solved: int
    measures: dict[str, Measure]
    filter: dict[str, Any]


@dataclass(frozen=True)
class Quality:
    """The table: its columns, the agents by name, and all of them together."""

    columns: tuple[str, ...]
    agents: tuple[Agent, ...]
    everybody: Agent


def table(session: Session, actor: Actor, selection: Selection) -> Quality:
    """One line per agent with tickets in the period, by name, and all of them together. Figures that the reader's role hides are left out."""
    require(actor, "analytics", Action.READ)
    if not actor.can("ticket", Action.READ):
        raise NotFound("There are no such figures.")
    groups = ticket_facts.service(session, actor, Slot(selection.period, selection.owner_id, by="owner_id"))
    columns = tuple(key for key in COLUMNS if not metrics.hidden_reason(actor, METRICS[key]))
    whole = total(groups.values())
    columns = tuple(key for key in columns if METRICS[key].cases(whole) or METRICS[key].card == "always")
    names = breakdowns.labels(session, actor, builtin("ticket")["owner_id"], list(groups))
    apart = _apart(groups, columns)
    base = list_filter(_SOLVED, selection.period, owner_id=selection.owner_id)
    found = [
        Agent(
            key, names[key], _SOLVED.cases(facts),
            {name: _measure(METRICS[name], facts, person=key is not None, apart=apart.get((key, name), "")) for name in columns},
            breakdowns.narrowed(base, "owner_id", key),
        )
        for key, facts in groups.items()
        if any(METRICS[name].cases(facts) for name in (*columns, _SOLVED.key))
    ]  # fmt: skip
    found.sort(key=lambda one: (one.key is None, sort_key(one.name)))
    together = {name: _measure(METRICS[name], whole, person=False) for name in columns}
    return Quality(columns, tuple(found), Agent(None, "All together", _SOLVED.cases(whole), together, base))


def ordered(found: Quality, by: str, *, down: bool) -> list[Agent]:
    """The agents by a column; those without a value, because too few tickets say nothing, come last in any order, by name."""

    def value(one: Agent) -> Number | None:
        return one.solved if by == "solved" else one.measures[by].value if by in one.measures else None

    told = [one for one in found.agents if value(one) is not None]
    silent = [one for one in found.agents if value(one) is None]
    if by not in ("solved", *found.columns):
        return sorted(found.agents, key=lambda one: sort_key(one.name), reverse=down)
    return sorted(told, key=lambda one: value(one) or 0, reverse=down) + silent


def _measure(metric: Metric, facts: Facts, *, person: bool, apart: str = "") -> Measure:
    cases = metric.cases(facts)
    if person and metric.few(facts):
        return Measure(None, cases, few=True)
    low, high = metrics.interval(*metric.counts(facts)) if metric.counts else (None, None)
    return Measure(metric.value(facts), cases, low, high, apart=apart)


def _apart(groups: Grouped, columns: tuple[str, ...]) -> dict[tuple[Any, str], str]:
    """Which shares of which agents differ from those of everybody else: Fisher's exact test, with Holm's correction over the whole table."""
    tested: list[tuple[float, tuple[Any, str], bool]] = []
    for name in columns:
        metric = METRICS[name]
        if metric.counts is None:
            continue
        counted = {key: metric.counts(facts) for key, facts in groups.items()}
        hits, cases = (sum(pair[n] for pair in counted.values()) for n in (0, 1))
        for key, (mine, of) in counted.items():
            if key is None or metric.few(groups[key]) or not cases - of:
                continue
            tested.append((_p_value(mine, of, hits - mine, cases - of), (key, name), mine * (cases - of) > (hits - mine) * of))
    marked: dict[tuple[Any, str], str] = {}
    for rank, (p_value, place, more) in enumerate(sorted(tested, key=lambda one: one[0])):
        if p_value * (len(tested) - rank) > ALPHA:
            break
        marked[place] = "better" if more == (METRICS[place[1]].better == "up") else "worse"
    return marked


def _p_value(mine: int, of: int, others: int, of_others: int) -> float:
    from ml.kpis import fisher  # brings scipy, which a start without figures need not wait for

    return fisher(mine, of, others, of_others)


# --- as a file --------------------------------------------------------------------------------------------------------------


def file(session: Session, actor: Actor, selection: Selection, form: str) -> bytes:
    """The table as CSV or XLSX: shares between 0 and 1 with their ranges, times in seconds, empty where too few tickets say nothing."""
    if form not in ("csv", "xlsx"):
        raise Invalid("Choose CSV or XLSX.")
    found = table(session, actor, selection)
    header = ["Agent", "Tickets solved"]
    for name in found.columns:
        metric = METRICS[name]
        unit = " (seconds)" if metric.unit is MetricUnit.SECONDS else ""
        header += [metric.label + unit, f"{metric.label}: tickets"]
        header += [f"{metric.label}: low", f"{metric.label}: high"] if metric.counts else []
    rows = [_row(one, found.columns) for one in (*found.agents, found.everybody)]
    return (to_csv if form == "csv" else to_xlsx)(header, rows)


def _row(one: Agent, columns: tuple[str, ...]) -> list[Any]:
    row: list[Any] = [one.name, one.solved]
    for name in columns:
        measure = one.measures[name]
        row += [measure.value, measure.cases]
        row += [measure.low, measure.high] if METRICS[name].counts else []
    return row
