"""Every key figure of the product, defined once: what it means in words, how it follows from counted facts, and the list behind it.

A metric is a pure function of ``Facts``: sums and counts of a stretch of time that can be added up. The same facts give the figure, its
comparison, each step of its trend and each group of a breakdown, so these can never disagree.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Literal

from crm_core.kit.counted import Counted
from crm_core.services.analytics.periods import Period
from crm_core.vocabulary import DONE, SOLD, HandoverState, MetricUnit, StageKind

FEW_BEFORE = 10
"""Below so many records an earlier figure is no base to compare with: chance alone moves a count of nine by two thirds up or down (two standard
deviations of a Poisson count)."""
BARELY = 10
"""Nor is it when there were so many times fewer records than now: that says that the records began, not that something grew."""

Ast = Mapping[str, Any]
Card = Literal["always", "filled", "never"]


@dataclass
class Facts:
    """What was counted. Amounts in minor units; ``open_weighted`` in hundredths of them; durations as bags of numbers."""

    won: int = 0
    lost: int = 0
    won_minor: int = 0
    cycle_days: Counted = field(default_factory=Counted)
    open_deals: int = 0
    open_minor: int = 0
    open_weighted: int = 0
    leads: int = 0
    converted: int = 0
    orders: int = 0
    order_minor: int = 0
    tickets: int = 0
    response_minutes: Counted = field(default_factory=Counted)
    resolution_minutes: Counted = field(default_factory=Counted)
    open_tickets: int = 0
    response_promised: int = 0
    response_kept: int = 0
    resolution_promised: int = 0
    resolution_kept: int = 0
    response_work: Counted = field(default_factory=Counted)
    resolution_work: Counted = field(default_factory=Counted)
    first_solved: int = 0
    reopened: int = 0
    answered_solved: int = 0
    first_contact: int = 0
    rated: int = 0
    satisfied: int = 0
    open_handovers: int = 0
    campaigns: int = 0
    cost_minor: int = 0
    return_deals: int = 0
    return_minor: int = 0
    return_cost_minor: int = 0
    new_customers: int = 0

    def add(self, other: "Facts") -> "Facts":
        """Take the counts of another stretch in; returns itself."""
        for key, value in vars(other).items():
            if not value:
                continue
            if isinstance(value, Counted):
                getattr(self, key).add(value)
            else:
                setattr(self, key, getattr(self, key) + value)
        return self


def too_few_before(before: int, now: int) -> bool:
    """Whether a change against so many records of an earlier time would only mislead, with so many now."""
    return before < FEW_BEFORE or before * BARELY < now


def total(parts: Iterable[Facts]) -> Facts:
    """The facts of several stretches together."""
    whole = Facts()
    for part in parts:
        whole.add(part)
    return whole


@dataclass(frozen=True)
class Metric:
    """The definition of a key figure.

    ``value`` and ``counts`` (numerator, denominator) read facts; ``cases`` is the number of records that the value rests on.
    ``leaves`` gives the filter of the list behind it; ``needs`` the fields without which it must not be shown; ``now`` marks figures of
    this moment rather than of a period; ``better`` is "up", "down" or "" where neither is good in itself. ``card`` says when the overview has a
    card for it; ``least``: with fewer cases nothing is said about a single person; ``reads``: further entities that its list looks at.
    """

    key: str
    label: str
    area: str
    entity: str
    unit: MetricUnit
    better: str
    formula: str
    note: str
    value: Callable[[Facts], int | float | None]
    cases: Callable[[Facts], int]
    leaves: Callable[[Period], list[Ast]]
    missing: str
    counts: Callable[[Facts], tuple[int, int]] | None = None
    needs: tuple[tuple[str, str], ...] = ()
    now: bool = False
    history: bool = True
    breakdowns: tuple[str, ...] = ()
    owner_path: str = "owner_id"
    pipeline_path: str = ""
    card: Card = "always"
    least: int = 0
    reads: tuple[str, ...] = ()

    def few(self, facts: Facts) -> bool:
        """Whether these are too few cases to say something about one person."""
        return self.cases(facts) < self.least


def median(counted: Counted) -> float | None:
    """The exact median of counted values; None of none."""
    n, values = counted.total(), counted.ordered()
    if n == 0:
        return None
    return (int(values[(n - 1) // 2]) + int(values[n // 2])) / 2


def ninetieth(counted: Counted) -> float | None:
    """The exact 90th percentile of counted values, between two of them in proportion; None of none."""
    n, values = counted.total(), counted.ordered()
    if n == 0:
        return None
    place, tenths = divmod((n - 1) * 9, 10)
    low, high = int(values[place]), int(values[min(place + 1, n - 1)])
    return low + (high - low) * tenths / 10


def ratio_minor(amount: int, by: int) -> int | None:
    """An amount divided by a count, rounded once to a whole minor unit, half to even."""
    return round(Fraction(amount, by)) if by else None


def _median_seconds(counted: Counted) -> float | None:
    middle = median(counted)
    return None if middle is None else middle * 60


def _ninetieth_seconds(counted: Counted) -> float | None:
    late = ninetieth(counted)
    return None if late is None else late * 60


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def within(key: str, period: Period) -> list[Ast]:
    """Filter leaves for a day or an instant in a period; for all time, that it is filled at all."""
    if not period.bounded:
        return [{"field": key, "cmp": "not_empty"}]
    return [{"field": key, "cmp": "between", "value": [str(period.start), str(period.end)]}]


def _outcome(*kinds: StageKind) -> Ast:
    if len(kinds) == 1:
        return {"field": "outcome", "cmp": "eq", "value": kinds[0].value}
    return {"field": "outcome", "cmp": "in", "value": [kind.value for kind in kinds]}


def _won(period: Period) -> list[Ast]:
    return [_outcome(StageKind.WON), *within("closed_on", period)]


def _decided(period: Period) -> list[Ast]:
    return [_outcome(StageKind.WON, StageKind.LOST), *within("closed_on", period)]


def _open(_period: Period) -> list[Ast]:
    return [_outcome(StageKind.OPEN)]


def _leads(period: Period) -> list[Ast]:
    return within("created_at", period)


def _sold(period: Period) -> list[Ast]:
    return [{"field": "status", "cmp": "in", "value": [status.value for status in SOLD]}, *within("ordered_at", period)]


def _waiting(_period: Period) -> list[Ast]:
    return [{"field": "status", "cmp": "not_in", "value": [status.value for status in DONE]}]


def _handed_over(_period: Period) -> list[Ast]:
    return [{"field": "handover_state", "cmp": "eq", "value": HandoverState.PENDING.value}]


def _answered(period: Period) -> list[Ast]:
    return [*within("opened_at", period), {"field": "first_response_at", "cmp": "not_empty"}]


def _solved(period: Period) -> list[Ast]:
    return [
        {"field": "status", "cmp": "in", "value": [status.value for status in DONE]},
        {"field": "first_solved_at", "cmp": "not_empty"},  # one that was merged into another ticket was closed, but never solved
        *within("solved_at", period),
    ]


def _filled(leaves: Callable[[Period], list[Ast]], key: str) -> Callable[[Period], list[Ast]]:
    return lambda period: [*leaves(period), {"field": key, "cmp": "not_empty"}]


def _opened(period: Period) -> list[Ast]:
    return within("opened_at", period)


def _first_solved(period: Period) -> list[Ast]:
    return within("first_solved_at", period)


def _solved_with_answers(period: Period) -> list[Ast]:
    return [*_first_solved(period), {"field": "answer_count", "cmp": "ge", "value": 1}]


def _rated(period: Period) -> list[Ast]:
    return within("rated_at", period)


def _campaigns(period: Period) -> list[Ast]:
    return within("starts_on", period)


def _attributed(period: Period) -> list[Ast]:
    return [_outcome(StageKind.WON), *within("campaign.starts_on", period)]


def _first_won(period: Period) -> list[Ast]:
    """Accounts with a won deal in the period and none before."""

    def won(*leaves: Ast) -> Ast:
        return {"op": "and", "items": [_outcome(StageKind.WON), *leaves]}

    inside: Ast = {"agg": "count", "rel": "deals", "where": won(*within("closed_on", period)), "cmp": "ge", "value": 1}
    if period.start is None:
        return [inside]
    earlier = won({"field": "closed_on", "cmp": "lt", "value": str(period.start)})
    return [inside, {"agg": "count", "rel": "deals", "where": earlier, "cmp": "eq", "value": 0}]


WHOLE = ("campaign_return", "acquisition_cost")
"""Figures that set records against the costs of campaigns: they have no trend and no groups."""
_AMOUNT = (("deal", "amount_minor"),)
_COST = (("campaign", "budget_minor"), ("campaign", "starts_on"))
"""Who may not see a campaign's budget sees no sum of its costs either; nor does whoever may not see on which day it started."""
_CLOSED = ("owner_id", "product_id", "source")
_DEALS: dict[str, Any] = {"area": "sales", "entity": "deal", "pipeline_path": "pipeline_id"}
LEAST = 10
"""With fewer tickets nothing is said about a single agent."""
_TICKETS: dict[str, Any] = {"area": "service", "entity": "ticket", "breakdowns": ("owner_id", "category", "priority", "team_id")}
_OF_TICKETS: dict[str, Any] = {**_TICKETS, "least": LEAST}
_RANGE = "The range is the 95% Wilson interval."
_WORKED = (
    "Working hours of the service level, without the time spent waiting for others, by the hours that held when the promise was kept. Only "
    "tickets with a service level count."
)


def _durations(
    key: str,
    name: str,
    spent: str,
    minutes: Callable[[Facts], Counted],
    *,
    notes: tuple[str, str],
    of: str = "",
    card: Card = "always",
    **rest: Any,
) -> tuple[Metric, Metric]:
    """The median and the slowest tenth of one kind of time; ``spent``: from when to when, over which tickets; ``notes``: of each; ``of``: what
    the label says at its end."""
    shared = {**_OF_TICKETS, "unit": MetricUnit.SECONDS, "better": "down", "cases": lambda f: minutes(f).total(), **rest}
    return (
        Metric(
            key, f"Median {name}{of}", formula=f"Median {spent}.", note=notes[0], value=lambda f: _median_seconds(minutes(f)), card=card, **shared
        ),
        Metric(
            f"{key}_p90", f"{name.capitalize()}, slowest tenth{of}", formula=f"90th percentile of the {spent}.", note=notes[1],
            value=lambda f: _ninetieth_seconds(minutes(f)), card="never", **shared,
        ),
    )  # fmt: skip


_ALL = (
    Metric(
        "revenue_won", "Revenue won", unit=MetricUnit.MONEY, better="up", **_DEALS,
        formula="Sum of the amounts of all deals that were won with a closing day in the period.",
        note="A deal counts on its closing day, with the amount that it has now.",
        value=lambda f: f.won_minor, cases=lambda f: f.won, leaves=_won, needs=_AMOUNT, breakdowns=_CLOSED, missing="",
    ),
    Metric(
        "open_pipeline", "Open pipeline", unit=MetricUnit.MONEY, better="up", **_DEALS,
        formula="Sum of the amounts of all deals that are open now, whatever the period.",
        note="The trend counts a deal from the day it was opened to the day it was closed, at the amount that it has today.",
        value=lambda f: f.open_minor, cases=lambda f: f.open_deals, leaves=_open, needs=_AMOUNT, now=True,
        breakdowns=("stage_id", *_CLOSED), missing="",
    ),
    Metric(
        "weighted_pipeline", "Weighted pipeline", unit=MetricUnit.MONEY, better="up", **_DEALS,
        formula="Sum of amount × win probability over all deals that are open now, whatever the period.",
        note="The probability is that of the stage unless somebody set it by hand. Probabilities of the past are not kept, so there is no trend.",
        value=lambda f: round(Fraction(f.open_weighted, 100)), cases=lambda f: f.open_deals, leaves=_open,
        needs=(*_AMOUNT, ("deal", "probability_pct")), now=True, history=False, breakdowns=("stage_id", *_CLOSED), missing="",
    ),
    Metric(
        "win_rate", "Win rate", unit=MetricUnit.SHARE, better="up", **_DEALS,
        formula="Won deals divided by won and lost deals, both with a closing day in the period.",
        note="Open deals do not count. The range is the 95% Wilson interval: how far chance alone could move the figure.",
        value=lambda f: f.won / (f.won + f.lost) if f.won + f.lost else None, counts=lambda f: (f.won, f.won + f.lost),
        cases=lambda f: f.won + f.lost, leaves=_decided, breakdowns=_CLOSED, missing="No deal was won or lost in this period.",
    ),
    Metric(
        "average_deal", "Average deal", unit=MetricUnit.MONEY, better="up", **_DEALS,
        formula="Revenue won divided by the number of deals won in the period.",
        note="A mean: one very large deal moves it.",
        value=lambda f: ratio_minor(f.won_minor, f.won), cases=lambda f: f.won, leaves=_won, needs=_AMOUNT, breakdowns=_CLOSED,
        missing="No deal was won in this period.",
    ),
    Metric(
        "sales_cycle", "Sales cycle", unit=MetricUnit.DAYS, better="down", **_DEALS,
        formula="Median number of days from the opening to the closing day, over the deals won in the period.",
        note="The median: half of the deals took longer, half shorter. Calendar days, weekends included.",
        value=lambda f: median(f.cycle_days), cases=lambda f: f.cycle_days.total(), leaves=_won,
        needs=(("deal", "created_on"), ("deal", "closed_on")), missing="No deal was won in this period.",
    ),
    Metric(
        "new_leads", "New leads", "marketing", "lead", MetricUnit.COUNT, "up",
        formula="Number of leads that were created in the period.",
        note="Leads in the bin do not count.",
        value=lambda f: f.leads, cases=lambda f: f.leads, leaves=_leads, breakdowns=("source", "owner_id"), missing="",
    ),
    Metric(
        "lead_conversion", "Lead conversion", "marketing", "lead", MetricUnit.SHARE, "up",
        formula="Of the leads that were created in the period, the share that has been converted by now.",
        note="Recent leads had less time to convert, so a young period looks worse than it will. The range is the 95% Wilson interval.",
        value=lambda f: f.converted / f.leads if f.leads else None, counts=lambda f: (f.converted, f.leads), cases=lambda f: f.leads,
        leaves=_leads, breakdowns=("source", "owner_id"), missing="No lead was created in this period.",
    ),
    Metric(
        "campaign_cost", "Campaign cost", "marketing", "campaign", MetricUnit.MONEY, "",
        formula="Sum of the actual costs of all channels of the campaigns that started in the period.",
        note="Campaigns without a starting day do not count.",
        value=lambda f: f.cost_minor, cases=lambda f: f.campaigns, leaves=_campaigns, needs=_COST, missing="",
    ),
    Metric(
        "campaign_return", "Campaign return", "marketing", "deal", MetricUnit.RETURN, "up",
        formula="Amounts of the won deals that name a campaign which started in the period, minus its cost, divided by its cost.",
        note="Deals count whenever they were won. It describes what the deals say, not what the campaigns caused.",
        value=lambda f: (f.return_minor - f.return_cost_minor) / f.return_cost_minor if f.return_cost_minor else None,
        cases=lambda f: f.return_deals, leaves=_attributed, needs=(*_AMOUNT, *_COST), owner_path="campaign.owner_id",
        missing="No campaign that started in this period has a cost.",
    ),
    Metric(
        "acquisition_cost", "Cost per new customer", "marketing", "account", MetricUnit.MONEY, "down", card="filled",
        formula="CAC: actual costs of the channels of the campaigns that started in the period (numerator), divided by the number of accounts that became "
        "customers in the period (denominator): whose first won deal has its closing day in it.",
        note="Blended: every new customer counts, whoever won them, and only costs of campaigns do, no salaries. Without a cost nothing is divided. By campaign "
        "and by channel it stands under *Campaigns*, *Cost per customer*; there the channel is that of the last touch of the account's contacts in the 180 days "
        "up to the end of the closing day, in the workspace's time zone.",
        value=lambda f: ratio_minor(f.cost_minor, f.new_customers) if f.cost_minor else None, cases=lambda f: f.new_customers, leaves=_first_won,
        needs=(*_COST, ("deal", "outcome"), ("deal", "closed_on")), reads=("deal", "campaign"),
        missing="No campaign that started in this period has a cost, or nobody became a customer in it.",
    ),
    Metric(
        "orders", "Orders", "orders", "order", MetricUnit.COUNT, "up",
        formula="Number of orders placed in the period, those fulfilled since included.",
        note="Drafts and cancelled orders do not count.",
        value=lambda f: f.orders, cases=lambda f: f.orders, leaves=_sold, breakdowns=("source", "owner_id"), missing="",
    ),
    Metric(
        "order_revenue", "Order revenue", "orders", "order", MetricUnit.MONEY, "up",
        formula="Sum of the totals of the orders placed in the period, those fulfilled since included.",
        note="Drafts and cancelled orders do not count.",
        value=lambda f: f.order_minor, cases=lambda f: f.orders, leaves=_sold, needs=(("order", "total_minor"),),
        breakdowns=("source", "owner_id"), missing="",
    ),
    Metric(
        "average_order", "Average order", "orders", "order", MetricUnit.MONEY, "up",
        formula="Order revenue divided by the number of orders of the period.",
        note="A mean: one very large order moves it.",
        value=lambda f: ratio_minor(f.order_minor, f.orders), cases=lambda f: f.orders, leaves=_sold,
        needs=(("order", "total_minor"),), breakdowns=("source", "owner_id"), missing="No order was placed in this period.",
    ),
    Metric(
        "open_tickets", "Open tickets", unit=MetricUnit.COUNT, better="down", **_TICKETS,
        formula="Number of tickets that are neither solved nor closed now, whatever the period.",
        note="Tickets that wait for the customer or a third party are open too.",
        value=lambda f: f.open_tickets, cases=lambda f: f.open_tickets, leaves=_waiting, now=True, missing="",
    ),
    *_durations(
        "first_response", "first response",
        "time from the opening of a ticket to the first answer, over the tickets opened in the period and answered by now",
        lambda f: f.response_minutes, leaves=_answered, missing="No ticket of this period has been answered.",
        notes=(
            "Elapsed time, nights and weekends included, to the minute. Tickets that still wait for an answer do not count yet.",
            "One customer in ten waited longer than this. Elapsed time, nights and weekends included, to the minute.",
        ),
    ),
    *_durations(
        "first_response_work", "first response",
        "working time from the opening of a ticket to the first answer, over the tickets opened in the period and answered by now",
        lambda f: f.response_work, leaves=_filled(_opened, "response_minutes"), notes=(_WORKED, _WORKED), of=", working time", card="never",
        missing="No ticket of this period has an answer and a service level.",
    ),
    *_durations(
        "resolution", "resolution", "time from the opening of a ticket to its solution, over the tickets solved in the period",
        lambda f: f.resolution_minutes, leaves=_solved, missing="No ticket was solved in this period.",
        notes=(
            "Elapsed time, waiting for the customer included, to the minute. A re-opened ticket counts when it is solved again. Merged tickets do "
            "not count.",
            "One ticket in ten took longer than this. Elapsed time, waiting for the customer included, to the minute. Merged tickets do not count.",
        ),
    ),
    *_durations(
        "resolution_work", "resolution", "working time from the opening of a ticket to its solution, over the tickets solved in the period",
        lambda f: f.resolution_work, leaves=_filled(_solved, "resolution_minutes"), notes=(_WORKED, _WORKED), of=", working time", card="never",
        missing="No ticket with a service level was solved in this period.",
    ),
    Metric(
        "response_kept", "First responses in time", unit=MetricUnit.SHARE, better="up", **_OF_TICKETS, card="filled",
        formula="Of the tickets opened in the period whose promise of a first response was kept or broken by now, the share that was kept.",
        note=f"A promise that was broken and kept later is broken; one that still runs does not count yet. {_RANGE}",
        value=lambda f: _share(f.response_kept, f.response_promised), counts=lambda f: (f.response_kept, f.response_promised),
        cases=lambda f: f.response_promised, leaves=_filled(_opened, "response_promise"),
        missing="No service level promised a first response about tickets of this period.",
    ),
    Metric(
        "resolution_kept", "Resolutions in time", unit=MetricUnit.SHARE, better="up", **_OF_TICKETS, card="filled",
        formula="Of the tickets opened in the period whose promise of a resolution was kept or broken by now, the share that was kept.",
        note=f"A promise that was broken and kept later is broken; one that still runs does not count yet. {_RANGE}",
        value=lambda f: _share(f.resolution_kept, f.resolution_promised), counts=lambda f: (f.resolution_kept, f.resolution_promised),
        cases=lambda f: f.resolution_promised, leaves=_filled(_opened, "resolution_promise"),
        missing="No service level promised a resolution of tickets of this period.",
    ),
    Metric(
        "reopen_rate", "Re-open rate", unit=MetricUnit.SHARE, better="down", **_OF_TICKETS, needs=(("ticket", "reopened_count"),),
        formula="Of the tickets solved for the first time in the period, the share that was opened again.",
        note=f"A solved ticket can come back for 14 days, so the last two weeks look better than they will. Merged tickets do not count. {_RANGE}",
        value=lambda f: _share(f.reopened, f.first_solved), counts=lambda f: (f.reopened, f.first_solved), cases=lambda f: f.first_solved,
        leaves=_first_solved, missing="No ticket was solved for the first time in this period.",
    ),
    Metric(
        "first_contact", "Solved with one answer", unit=MetricUnit.SHARE, better="up", **_OF_TICKETS, card="never",
        needs=(("ticket", "reopened_count"),),
        formula="First-contact resolution: of the tickets solved for the first time in the period with at least one answer of ours, the share that "
        "took a single answer and was not opened again.",
        note=f"A solved ticket can come back for 14 days, so the last two weeks look better than they will. Merged tickets do not count. {_RANGE}",
        value=lambda f: _share(f.first_contact, f.answered_solved), counts=lambda f: (f.first_contact, f.answered_solved),
        cases=lambda f: f.answered_solved, leaves=_solved_with_answers, missing="No answered ticket was solved for the first time in this period.",
    ),
    Metric(
        "satisfaction", "Satisfaction", unit=MetricUnit.SHARE, better="up", **_OF_TICKETS, card="filled", needs=(("ticket", "satisfaction"),),
        formula="CSAT: of the tickets about which a customer answered a satisfaction survey in the period, the share with a happy answer (4 or 5 of 5).",
        note=f"The latest answer about each ticket; most customers say nothing. Single surveys stand on their own page. {_RANGE}",
        value=lambda f: _share(f.satisfied, f.rated), counts=lambda f: (f.satisfied, f.rated), cases=lambda f: f.rated, leaves=_rated,
        missing="No customer answered a satisfaction survey about a ticket in this period.",
    ),
    Metric(
        "open_handovers", "Hand-overs not accepted", "service", "account", MetricUnit.COUNT, "down",
        formula="Number of accounts that were offered to somebody who has not accepted or declined yet, whatever the period.",
        note="They still belong to the person who offered them. Accounts in the bin do not count.",
        value=lambda f: f.open_handovers, cases=lambda f: f.open_handovers, leaves=_handed_over, now=True, history=False, missing="",
    ),
)  # fmt: skip

METRICS: dict[str, Metric] = {metric.key: metric for metric in _ALL}
AREAS: dict[str, str] = {"sales": "Sales", "marketing": "Leads and marketing", "orders": "Orders", "service": "Service"}


def list_filter(metric: Metric, period: Period, *, owner_id: int | None = None, pipeline_id: int | None = None) -> dict[str, Any]:
    """The filter of the list behind a metric: exactly the records that it counts."""
    items = list(metric.leaves(period))
    if owner_id is not None:
        items.append({"field": metric.owner_path, "cmp": "eq", "value": owner_id})
    if pipeline_id is not None and metric.pipeline_path:
        items.append({"field": metric.pipeline_path, "cmp": "eq", "value": pipeline_id})
    return {"op": "and", "items": items}
