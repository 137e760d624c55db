"""What a new customer costs, by campaign and by channel: for marketers, to see where money wins customers."""

from collections.abc import Sequence

import streamlit as st
from sqlmodel import Session

from crm_core.access import Actor
from crm_core.services.analytics import acquisition, metrics
from crm_core.services.analytics.acquisition import Acquisition, Source
from crm_core.vocabulary import Action, PeriodPreset
from ui import format as fmt
from ui.cache import cached
from ui.components.table import Cell, Column, table

PRESETS = (PeriodPreset.DAYS_90, PeriodPreset.MONTHS_12, PeriodPreset.YEAR, PeriodPreset.ALL)


def acquisition_button(actor: Actor, actions: object) -> None:
    """The way to it, for whoever may see costs, deals and customers in full."""
    if not actor.can("analytics", Action.READ) or acquisition.hidden_reason(actor):
        return
    if actions.button("Cost per customer", icon=":material/person_add:", key="acquisition"):  # type: ignore[attr-defined]
        _dialog()


def _found(session: Session, actor: Actor, preset: str) -> Acquisition:
    return acquisition.of_period(session, actor, metrics.select(session, actor, PeriodPreset(preset)).period)


@st.dialog("What a new customer costs", width="large", icon=":material/person_add:")
def _dialog() -> None:
    from ui.session import current_actor

    actor = current_actor()
    preset = st.segmented_control(
        "Period", [one.value for one in PRESETS], default=PeriodPreset.MONTHS_12.value, format_func=lambda one: PeriodPreset(one).label, required=True,
        key="acquisition_period", label_visibility="collapsed",
    )  # fmt: skip
    found = cached(
        _found, preset or PeriodPreset.MONTHS_12.value, entities=("deal", "account", "campaign", "contact"),
        tables=("deal", "account", "campaign", "campaign_channel", "touchpoint", "contact"),
    )  # fmt: skip
    with st.grid(3, min_column_width=150):
        st.metric(
            "Cost of campaigns",
            fmt.money(actor, found.cost_minor),
            border=True,
            help="Actual costs of the channels of campaigns that started in the period",
        )
        st.metric(
            "New customers",
            fmt.number(actor, found.customers),
            border=True,
            help="Accounts whose first won deal was closed in the period",
        )
        st.metric(
            "Cost per new customer",
            fmt.money(actor, found.each_minor) if found.each_minor is not None else fmt.NOTHING,
            border=True,
            help="CAC: the one divided by the other, whoever won the customer",
        )
    for sentence in _notes(found):
        st.caption(f":orange[:material/info:] {sentence}")
    campaigns, channels = st.tabs(["By campaign", "By channel"])
    with campaigns:
        _table(actor, found.by_campaign, "Campaign", "campaigns", href="/campaign?id={id}")
        st.caption("A customer is a campaign's when their first won deal names it.")
    with channels:
        _table(actor, found.by_channel, "Channel", "channels")
        st.caption(
            f"By the last touch: a customer is the channel's through which one of their contacts was touched last, at most {acquisition.TOUCH_DAYS} days before "
            "the end of the day (in the workspace's time zone) on which the first deal was won. Earlier touches count for nothing here, whatever they did."
        )


def _notes(found: Acquisition) -> list[str]:
    """What is missing, so that nobody takes a part for the whole."""
    notes = []
    if not found.cost_minor:
        notes.append("No campaign that started in this period has an actual cost: write costs down on its channels.")
    if not found.customers:
        notes.append("No account won us for the first time in this period.")
    if found.costless and found.cost_minor:
        notes.append(
            f"{fmt.plural(found.costless, 'campaign')} of this period {'has' if found.costless == 1 else 'have'} no actual cost, so customers look cheaper than they were."
        )
    if found.undated:
        notes.append(
            f"{fmt.plural(found.undated, 'campaign')} with a cost {'has' if found.undated == 1 else 'have'} no starting day and {'counts' if found.undated == 1 else 'count'} in no period."
        )
    return notes


def _table(actor: Actor, sources: Sequence[Source], word: str, key: str, href: str = "") -> None:
    if not sources:
        st.caption("Nothing in this period.")
        return
    rows = [
        (
            int(one.key) if isinstance(one.key, int) else -n,
            [
                Cell(one.name), Cell(fmt.money(actor, one.cost_minor) if one.cost_minor else "not recorded"), Cell(fmt.number(actor, one.customers)),
                Cell(_each(actor, one)),
            ],
        )
        for n, one in enumerate(sources[:100], 1)
    ]  # fmt: skip
    columns = [
        Column("name", word, sortable=False), Column("cost", "Cost", right=True, sortable=False, named=True),
        Column("customers", "New customers", right=True, sortable=False, named=True), Column("each", "Each", right=True, sortable=False, named=True),
    ]  # fmt: skip
    links = {row_id: href.format(id=row_id) for row_id, _cells in rows if row_id > 0} if href else None
    table(columns, rows, key=f"table_acquisition_{key}", label=f"Cost per new customer by {word.lower()}", hrefs=links)


def _each(actor: Actor, one: Source) -> str:
    if one.each_minor is not None:
        return fmt.money(actor, one.each_minor)
    return "won none" if one.cost_minor else "cost unknown"
