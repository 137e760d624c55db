"""What a campaign added, first; what can only be counted, after that."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import streamlit as st

from crm_core.access import Actor
from crm_core.services.marketing import outcomes, plans
from crm_core.services.marketing.outcomes import Group, Outcome, Slice, WayOutcome
from crm_core.vocabulary import Outlet
from ml.lift import Difference
from ui import format as fmt
from ui.cache import cached
from ui.components.campaign_members import WORDS, address_of
from ui.components.header import empty_state
from ui.components.table import Cell, Column, table
from ui.navigation import go, page_of

TABLES = ("campaign_member", "campaign_plan", "campaign_channel", "mail_delivery", "sales_order", "deal", "lead")


def results_tab(actor: Actor, campaign_id: int) -> None:
    """The verdict, its figures, and the groups side by side."""
    found = cached(outcomes.get, campaign_id, entities=("campaign", "order", "deal", "lead", "contact"), tables=TABLES)
    if found is None:
        empty_state("No result yet", "Results appear once the campaign is launched.", icon="query_stats")
        return
    goal, mailed = cached(_planned, campaign_id, entities=("campaign",), tables=("campaign_plan",))
    _verdict(actor, found, goal)
    _figures(actor, found)
    _groups(actor, campaign_id, found, mailed=mailed)
    _by_way(actor, campaign_id, found)
    _wordings(actor, campaign_id, found)
    _how(actor, found)


def _planned(session: Any, actor: Actor, campaign_id: int) -> tuple[str, bool]:
    """What counts as success, in words; and whether messages went out by mail."""
    plan = plans.get(session, actor, campaign_id)
    return plans.GOALS[plan.goal], plan.outlet is Outlet.EMAIL


def _points(actor: Actor, found: Difference) -> str:
    return _spread(found, lambda value: fmt.number(actor, value * 100, digits=1))


def _spread(found: Difference, shown: Callable[[float], str]) -> str:
    return f"{shown(found.low)} to {shown(found.high)}"


def _verdict(actor: Actor, found: Outcome, goal: str) -> None:
    if not found.control.people:
        st.warning(
            "Nobody was held out, so it can't be told what this campaign added. Everything below only counts.",
            icon=":material/help:",
        )
        return
    preliminary = (
        "" if found.final else f" Preliminary: the window ends {fmt.day(actor, fmt.local(actor, found.window_ends_at).date())}."
    )
    if not found.share.enough:
        st.info(fmt.md(f"Not enough data yet. {fmt.as_read(found.share.missing)}{preliminary}"), icon=":material/hourglass_empty:")
        return
    span = f"{_points(actor, found.share)} points, 95% interval"
    if found.share.clear and found.share.value > 0:
        words = f"It worked: {fmt.number(actor, found.share.value * 100, digits=1)} points more people ({span}) reached “{goal}” than in the hold-out."
        st.success(fmt.md(words + preliminary), icon=":material/trending_up:")
    elif found.share.clear:
        words = f"It did harm: {fmt.number(actor, -found.share.value * 100, digits=1)} points fewer people ({span}) reached “{goal}” than in the hold-out."
        st.error(fmt.md(words + preliminary), icon=":material/trending_down:")
    else:
        st.info(
            fmt.md(f"No effect can be told from chance: the difference lies anywhere from {span}.{preliminary}"),
            icon=":material/balance:",
        )


def _figures(actor: Actor, found: Outcome) -> None:
    extra, money = found.extra_conversions, found.extra_revenue
    known = bool(found.control.people)
    with st.grid(4, min_column_width=170):
        _metric(
            "Extra conversions", fmt.number(actor, extra.value, digits=0) if known and extra.enough else fmt.NOTHING,
            _spread(extra, lambda value: fmt.number(actor, value, digits=0)) if known and extra.enough else "not enough data yet", "What the campaign added against the hold-out, with its 95% interval",
        )  # fmt: skip
        if found.may_see_money:
            _metric(
                "Extra revenue", fmt.money(actor, round(money.value), compact=True) if known and money.enough else fmt.NOTHING,
                _spread(money, lambda value: fmt.money(actor, round(value), compact=True)) if known and money.enough else "not enough data yet",
                "Revenue per person against the hold-out, times the people addressed, with its 95% interval",
            )  # fmt: skip
        if found.cost_minor is not None:
            _metric(
                "Cost",
                fmt.money(actor, found.cost_minor),
                "actual, of its channels",
                "Change it under Overview, Channels",
            )
        if found.may_see_money and found.cost_minor is not None:
            back = found.return_on_cost
            words = "needs cost and data" if back is None else _spread(back, lambda value: fmt.percent(actor, value, 0))
            _metric(
                "Return on cost",
                fmt.NOTHING if back is None else fmt.percent(actor, back.value, 0),
                words,
                "Extra revenue less cost, per cost, with its 95% interval. From the extra revenue alone, not from everything that people bought",
            )


def _metric(label: str, value: str, note: str, help_text: str) -> None:
    st.metric(label, value, delta=fmt.md(note), delta_color="off", delta_arrow="off", border=True, height="stretch", help=help_text)


BY_MAIL = ("sent", "bounced", "opened", "clicked", "replied", "left")
"""What is known of a message that went out by mail, and of nothing else."""


def _count(actor: Actor, campaign_id: int, count: int, behind: Slice, *, of: int = 0, spelt: bool = False) -> Cell:
    """A number of members, which leads to them; ``of``: how many could have been, ``spelt`` out beside their share."""
    share = f" ({fmt.percent(actor, count / of)})" if of else ""
    return Cell(
        f"{fmt.written(count)} of {fmt.written(of)}{share}" if spelt else f"{fmt.written(count)}{share}",
        href=address_of(campaign_id, behind) if count else None,
    )


def _cells(actor: Actor, campaign_id: int, group: Group, behind: Slice, *, money: bool, mailed: bool = True) -> dict[str, Cell]:
    def part(what: str) -> Cell:
        return _count(actor, campaign_id, getattr(group, what), replace(behind, what=what), of=group.people)

    found = {"Group": Cell(group.name), "People": _count(actor, campaign_id, group.people, behind)}
    if mailed:
        found |= {WORDS[what]: Cell(fmt.NOTHING) if behind.held_out else part(what) for what in BY_MAIL}
    found["Converted"] = part("converted")
    return found | ({"Revenue": Cell(fmt.money(actor, group.revenue_minor, compact=True))} if money else {})


def _groups(actor: Actor, campaign_id: int, found: Outcome, *, mailed: bool) -> None:
    with st.container(border=True, gap="small", key="result_groups"):
        st.markdown("**Addressed and held out, side by side**")
        sides = [(found.treated, Slice("people"))]
        if found.control.people:
            sides.append((found.control, Slice("people", held_out=True)))
        rows = [_cells(actor, campaign_id, group, behind, money=found.may_see_money, mailed=mailed) for group, behind in sides]
        _table(rows, key="groups_table", label="Addressed and held out, side by side")
        if found.treated.bounced:
            st.caption("Addresses that bounced will not be written to again.")


def _table(rows: list[dict[str, Cell]], *, key: str, label: str) -> None:
    first, *others = rows[0]
    happened = table(
        [Column(first, first, sortable=False), *(Column(name, name, right=True, sortable=False, named=True) for name in others)],
        [(place, list(row.values())) for place, row in enumerate(rows)],
        key=key,
        label=label,
    )
    if happened.followed:
        go("campaign", **dict(parse_qsl(urlsplit(happened.followed).query)))


def _by_way(actor: Actor, campaign_id: int, found: Outcome) -> None:
    """Each way of several, against those of the same people who were held out of all of them."""
    if not found.by_way:
        return
    with st.container(border=True, gap="small", key="result_ways"):
        st.markdown("**By channel**")
        rows = [_way_cells(actor, campaign_id, one, found) for one in found.by_way]
        _table(rows, key="ways_table", label="What came of each channel")
        st.caption(
            "Chance held a person out of every channel or of none, so each line compares the people of that channel alone. Who is reached by two is in both "
            "lines: what the one adds to the other can't be told apart."
        )


def _way_cells(actor: Actor, campaign_id: int, one: WayOutcome, found: Outcome) -> dict[str, Cell]:
    def part(group: Group, *, held_out: bool = False) -> Cell:
        behind = Slice("converted", held_out, way=one.outlet.value)
        return _count(actor, campaign_id, group.converted, behind, of=group.people, spelt=True)

    added = (
        f"{fmt.number(actor, one.share.value * 100, digits=1)} points ({_points(actor, one.share)})"
        if one.share.enough
        else "not enough data"
    )
    cells = {
        "Channel": Cell(one.outlet.label), "Converted": part(one.treated), "Held out": part(one.control, held_out=True), "Added": Cell(added),
    }  # fmt: skip
    if one.cost_minor is not None:
        spent, planned = (fmt.money(actor, cost, compact=True) for cost in (one.cost_minor, one.planned_minor))
        cells["Cost"] = Cell(f"{spent} of {planned} planned")
    if found.may_see_money and one.cost_minor is not None:
        back = one.return_on_cost if one.control.people else None
        cells["Return on cost"] = Cell(fmt.NOTHING if back is None else fmt.percent(actor, back.value, 0))
    return cells


def _wordings(actor: Actor, campaign_id: int, found: Outcome) -> None:
    if len(found.variants) < 2:
        return
    with st.container(border=True, gap="small", key="result_wordings"):
        st.markdown("**Wordings**")
        rows = [
            _cells(actor, campaign_id, one, Slice("people", wording=one.name), money=found.may_see_money) for one in found.variants
        ]
        _table(rows, key="wordings_table", label="What came of each wording")
        for one in found.comparisons:
            for what, difference in (("clicks", one.clicks), ("conversions", one.conversions)):
                st.caption(
                    fmt.md(f"{one.first} against {one.second}, {what}: {_compared(actor, one.first, one.second, difference)}")
                )


def _compared(actor: Actor, first: str, second: str, found: Difference) -> str:
    if not found.enough:
        return f"not enough data yet. {fmt.as_read(found.missing)}"
    if not found.clear:
        return f"no difference that can be told from chance ({_points(actor, found)} points)."
    better = first if found.value > 0 else second
    return f"{better} is ahead by {fmt.number(actor, abs(found.value) * 100, digits=1)} points ({_points(actor, found)})."


def _how(actor: Actor, found: Outcome) -> None:
    with st.expander("How this is computed"):
        st.markdown(
            "At the launch, chance put every recipient into one of two groups. Both are counted alike, from the launch to the end of the window, by the group they "
            "were put in, whether or not a message reached them. The interval of the difference of shares is Newcombe's, of the revenue per person "
            "Welch's, both at 95%. Nothing is said before 20 people are in each group and 10 conversions are seen. Purchases count for the person "
            "named on the order or deal. Opens are a hint: some mail programs fetch pictures unread, others never do; clicks of machines are left out as far "
            "as they can be recognised."
        )  # fmt: skip
        st.caption(fmt.md(f"As of {fmt.instant(actor, found.at)}, over the records that you may see."))
    page = page_of(actor, "attribution")
    if page is not None:
        st.page_link(page, label="How attribution would have credited it", icon=":material/account_tree:")
