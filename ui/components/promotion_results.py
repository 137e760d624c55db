"""What a promotion came to, said honestly, and the orders that used it."""

import streamlit as st

from crm_core.access import Actor
from crm_core.models import Promotion
from crm_core.services.sales import promotion_results, promotion_rules, redeeming
from crm_core.services.sales.promotion_results import Results
from crm_core.vocabulary import Action
from ml.lift import ENOUGH_PEOPLE
from ui import format as fmt
from ui.actions import load
from ui.cache import cached
from ui.components.table import Cell, Column, table
from ui.navigation import go, page_of

TABLES = ("promotion", "promotion_code", "promotion_redemption", "sales_order", "campaign_plan", "organisation")
SIZE = 6


def results_card(actor: Actor, promotion: Promotion) -> None:
    """Uses and money against what was allowed, and orders with it beside orders without it."""
    if not actor.can("order", Action.READ):
        _budget(actor, promotion)
        return
    found: Results = cached(promotion_results.of, promotion.id, entities=("order", "promotion"), tables=TABLES)
    beside = f"{fmt.money(actor, found.without_minor, compact=True)} without" if found.without else "none without to compare"
    with st.grid(4, min_column_width=150):
        _uses(actor, promotion, found)
        _discount(actor, promotion)
        st.metric(
            "Revenue with it", fmt.money(actor, found.revenue_minor, compact=True), delta=fmt.plural(found.sold, "order"), delta_color="off", delta_arrow="off",
            border=True, height="stretch", help="Orders that used it and are placed or fulfilled, after the discount",
        )  # fmt: skip
        st.metric(
            "Average order", fmt.money(actor, found.with_minor, compact=True), delta=beside, delta_color="off",
            delta_arrow="off", border=True, height="stretch", help=f"Beside {fmt.written(found.without)} orders of the same days that did not use it",
        )  # fmt: skip
    _budget(actor, promotion)
    _honest(actor, found)


def _uses(actor: Actor, promotion: Promotion, found: Results) -> None:
    if found.redeemed is None:
        return
    most = None if actor.masked("promotion", "max_redemptions") else promotion.max_redemptions
    parts = [
        f"of {fmt.written(found.given)} given out" if found.given is not None else "",
        f"at most {fmt.written(most)}" if most else "",
    ]
    st.metric(
        "Redeemed", fmt.written(found.redeemed), delta=" · ".join(part for part in parts if part) or "no limit set", delta_color="off",
        delta_arrow="off", border=True, height="stretch",
    )  # fmt: skip


def _discount(actor: Actor, promotion: Promotion) -> None:
    if actor.masked("promotion", "spent_minor"):
        return
    shown = promotion.budget_minor is not None and not actor.masked("promotion", "budget_minor")
    of = f"of {fmt.money(actor, promotion.budget_minor)}" if shown else "no budget set"
    st.metric(
        "Discount given",
        fmt.money(actor, promotion.spent_minor),
        delta=of,
        delta_color="off",
        delta_arrow="off",
        border=True,
        height="stretch",
    )


def _budget(actor: Actor, promotion: Promotion) -> None:
    left = promotion_rules.left_of(promotion)
    hidden = any(actor.masked("promotion", key) for key in ("spent_minor", "budget_minor"))
    if left is None or not promotion.budget_minor or hidden:
        return
    st.progress(
        min(1.0, promotion.spent_minor / promotion.budget_minor), text=fmt.md(f"{fmt.money(actor, left)} of the budget is left")
    )


def _beside(actor: Actor, found: Results) -> str:
    """How far orders with it and orders without it lie apart on average, and how sure that is."""
    gap = found.difference
    if gap is None or not found.sold:
        return ""
    customers = (found.customers_with, found.customers_without)
    if not gap.enough and min(customers) >= ENOUGH_PEOPLE:
        return ""  # all orders came to the same
    if not gap.enough:
        return f"How orders with and without it differ: not enough data yet. From {ENOUGH_PEOPLE} customers with each on there is a range; now there are {fmt.written(customers[0])} and {fmt.written(customers[1])}."
    near, far = sorted((gap.low, gap.high), key=abs)
    ends = (
        f"{_amount(actor, near)} and {_lean(actor, far)}" if gap.clear else f"{_lean(actor, gap.low)} and {_lean(actor, gap.high)}"
    )
    chance = "" if gap.clear else ": that may be chance"
    return (
        f"Orders with it came to {_lean(actor, gap.value)} on average than those without, with 95% certainty between {ends}{chance}. "
        "The range knows that orders of one customer resemble each other, not why customers chose to use it."
    )


def _amount(actor: Actor, minor: float) -> str:
    return fmt.money(actor, round(abs(minor)), decimals=False)


def _lean(actor: Actor, minor: float) -> str:
    return f"{_amount(actor, minor)} {'less' if minor < 0 else 'more'}"


def _honest(actor: Actor, found: Results) -> None:
    """The sentence that keeps these figures from being read as success."""
    if not found.redeemed and not found.sold:
        return
    who = (
        f"{fmt.plural(found.new, 'new customer')} and {fmt.plural(found.returning, 'returning one')}. "
        if found.new + found.returning
        else ""
    )
    part = "" if found.whole else "Counted over the orders that you may see. "
    if words := _beside(actor, found):
        st.caption(fmt.md(words))
    page = page_of(actor, "campaign")
    linked = found.campaign_id is not None and page is not None
    how = "the hold-out of its campaign measures that" if found.measured and linked else "only a campaign with a hold-out can tell"
    st.caption(fmt.md(f"{who}{part}This is no lift: some of these customers would have bought anyway, at the full price; {how}."))
    if linked and page is not None:
        st.page_link(page, label="Results of the campaign", icon=":material/campaign:", query_params={"id": str(found.campaign_id)})


def orders_card(actor: Actor, promotion_id: int) -> None:
    """The latest orders that used it."""
    if not actor.can("order", Action.READ):
        return
    rows, total = load(redeeming.orders_of, promotion_id, size=SIZE, page=int(st.session_state.get("uses_page") or 1))
    with st.container(border=True, gap="small", key="promotion_orders"):
        st.markdown(f"**Orders that used it**  :gray[{fmt.written(total)}]")
        if not total:
            st.caption(
                "None yet. On an order, type the code under its products; orders of connected shops and of programs bring theirs along."
            )
            return
        happened = table(
            [
                Column("number", "Order", sortable=False), Column("customer", "Customer", sortable=False), Column("code", "Code", sortable=False, named=True),
                Column("at", "Used", sortable=False, named=True), Column("off", "Off", right=True, sortable=False, named=True),
            ],
            [
                (row.order_id, [Cell(row.number), Cell(row.customer or "–"), Cell(row.code), Cell(fmt.day(actor, fmt.local(actor, row.at).date())), Cell(fmt.money(actor, row.amount_minor))])
                for row in rows
            ],
            key="uses_table", label="Orders that used this promotion", href="/order?id={id}",
        )  # fmt: skip
        if total > SIZE:
            st.pagination(-(-total // SIZE), key="uses_page")
    if happened.opened is not None:
        go("order", id=happened.opened)
