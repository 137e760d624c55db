"""The parts of a campaign's page: status, figures, channels with their cost."""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from crm_core.access import Actor
from crm_core.kit.money import exponent, most_major, to_major, to_minor
from crm_core.services.marketing import campaigns
from crm_core.services.marketing.campaigns import ChannelView
from crm_core.vocabulary import Action, CampaignStatus, Channel
from ui import format as fmt
from ui.actions import load, perform, show_refusal
from ui.cache import cached
from ui.components.rows_clash import begin, grid_of, mine_stay, save_rows
from ui.components.table import Cell, Column, table

_BEHIND = ("campaign", "campaign_channel", "campaign_member", "contact", "lead", "deal", "sales_order")
_VERBS = {
    CampaignStatus.DRAFT: "Back to draft",
    CampaignStatus.SCHEDULED: "Mark as scheduled",
    CampaignStatus.RUNNING: "Mark as running",
    CampaignStatus.PAUSED: "Pause",
    CampaignStatus.COMPLETED: "Complete",
}


def status_buttons(where: Any, row: Mapping[str, Any]) -> None:
    """What can become of the campaign from here; the usual next state first."""
    fresh = row["status"] is CampaignStatus.DRAFT  # what comes next is an audience, on the page below
    back = (CampaignStatus.DRAFT,) if load(campaigns.may_go_back, row["id"]) else ()
    for place, status in enumerate((*campaigns.next_states(row["status"]), *back)):
        words = "Resume" if status is CampaignStatus.RUNNING and row["status"] is not CampaignStatus.DRAFT else _VERBS[status]
        words = "Run again" if row["status"] is CampaignStatus.COMPLETED else words
        only = "Changes the state alone, for campaigns that go out elsewhere: nothing is sent from here"
        if where.button(words, key=f"move_{status.value}", help=only, type="secondary" if place or fresh else "primary"):
            perform(
                campaigns.move,
                row["id"],
                status,
                base_version=row["version"],
                success=f"{status.label}. Nothing was sent." if fresh else f"{status.label}.",
            )
            st.rerun()


def counted(campaign_id: int) -> campaigns.CampaignFigures:
    """The figures of a campaign, shared by its cards."""
    return cached(campaigns.figures, campaign_id, entities=("campaign", "contact", "lead", "deal", "order"), tables=_BEHIND)


def figures(actor: Actor, campaign_id: int, row: Mapping[str, Any]) -> None:
    """What it cost and what came of it."""
    found = counted(campaign_id)
    rate = found.rate
    named = "Attributed by the campaign named on the record, over what you may see"
    with st.grid(6, min_column_width=150):
        _metric(
            "Members",
            fmt.written(found.members),
            f"{fmt.written(found.responded)} responded",
            "Contacts and leads in this campaign",
        )
        _metric(
            "Response rate",
            fmt.percent(actor, rate[0] if rate else None),
            f"{fmt.percent(actor, rate[1])} to {fmt.percent(actor, rate[2])}" if rate else "",
            f"Members who responded or converted, of all who were not held out{_expected(actor, row)}. Below: the 95% interval of the share",
        )
        _metric(
            "Actual cost",
            fmt.money(actor, found.actual_cost_minor),
            f"{fmt.money(actor, found.planned_cost_minor)} planned",
            "Sum of its channels",
        )
        if actor.can("lead", Action.READ):
            _metric("Leads", fmt.written(found.leads), "", named)
        if actor.can("deal", Action.READ):
            _metric("Won deals", fmt.money(actor, found.won_minor, compact=True), "", named)
        if actor.can("order", Action.READ):
            _metric(
                "Order revenue",
                fmt.money(actor, found.order_minor, compact=True),
                "",
                f"{named}. Orders that came from won deals are in both figures",
            )


def _metric(label: str, value: str, note: str, help_text: str) -> None:
    st.metric(
        label,
        value,
        delta=fmt.md(note) or None,
        delta_color="off",
        delta_arrow="off",
        border=True,
        height="stretch",
        help=help_text,
    )


def _expected(actor: Actor, row: Mapping[str, Any]) -> str:
    expected = row["expected_response_pct"]
    return f"; {fmt.number(actor, expected)}% were expected" if expected is not None else ""


# --- channels ---------------------------------------------------------------------------------------------------------------


def channels(actor: Actor, row: Mapping[str, Any], may_edit: bool) -> None:
    """The card with planned and actual cost per channel."""
    rows = load(campaigns.channels, row["id"])
    hidden = actor.masked("campaign", "budget_minor")
    may_edit = may_edit and not hidden
    with st.container(border=True, gap="small", key="channels"):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            st.markdown("**Channels**", width="content")
            if may_edit and st.button("Change" if rows else "Add", icon=":material/edit:", type="tertiary", key="edit_channels"):
                begin("channels", rows)
                _channels_dialog(actor, row["id"])
        if not rows:
            st.caption("No channels yet. Their cost is what the return is measured against.")
            return
        costs = (
            ()
            if hidden
            else (Column("planned", "Planned", right=True, sortable=False), Column("actual", "Actual", right=True, sortable=False))
        )
        table(
            [Column("channel", "Channel", sortable=False), *costs],
            [(one.id, _channel_cells(actor, one)) for one in rows],
            key="channels_table",
            label="Channels of this campaign",
        )  # fmt: skip
        spent = sum(one.actual_cost_minor or 0 for one in rows)
        if not hidden and row["budget_minor"] is not None and spent > row["budget_minor"]:
            st.markdown(
                f":red[:small[:material/warning: {fmt.md(fmt.money(actor, spent - row['budget_minor']))} above the budget]]"
            )


def _channel_cells(actor: Actor, one: ChannelView) -> list[Cell]:
    if one.planned_cost_minor is None or one.actual_cost_minor is None:
        return [Cell(one.channel.label)]
    planned, actual = (fmt.money(actor, cost) for cost in (one.planned_cost_minor, one.actual_cost_minor))
    return [
        Cell(one.channel.label),
        Cell(f"{planned} planned"),
        Cell(f"{actual} spent", hot=one.actual_cost_minor > one.planned_cost_minor),
    ]


@st.dialog("Channels of this campaign", width="large")
def _channels_dialog(actor: Actor, campaign_id: int) -> None:
    words, grid = Channel.options(), grid_of("channels")
    places = exponent(actor.currency)
    money = st.column_config.NumberColumn
    start = [
        {
            "channel": one.channel.value,
            "planned": float(to_major(one.planned_cost_minor or 0, actor.currency)),
            "actual": float(to_major(one.actual_cost_minor or 0, actor.currency)),
            "starts_on": one.starts_on,
            "ends_on": one.ends_on,
        }
        for one in grid.seen
    ] or [{"channel": "email", "planned": 0.0, "actual": 0.0, "starts_on": None, "ends_on": None}]
    edited = st.data_editor(
        start,
        num_rows="dynamic",
        placeholder=fmt.NOTHING,
        hide_index=True,
        key=f"channels_editor_{grid.turn}",
        column_config={
            "channel": st.column_config.SelectboxColumn("Channel", options=list(words), format_func=lambda one: words.get(str(one), ""), required=True, default="email"),
            "planned": money(f"Planned cost ({actor.currency})", min_value=0.0, max_value=most_major(actor.currency), format=f"%.{places}f", default=0.0),
            "actual": money(f"Actual cost ({actor.currency})", min_value=0.0, max_value=most_major(actor.currency), format=f"%.{places}f", default=0.0),
            "starts_on": st.column_config.DateColumn("Starts"),
            "ends_on": st.column_config.DateColumn("Ends"),
        },
    )  # fmt: skip
    pressed = st.button("Save channels", type="primary", key="channels_save", disabled=grid.theirs is not None)
    if mine_stay("channels", "these channels", lambda rows: _listed(actor, rows)) or pressed:
        given = [
            {
                "channel": one.get("channel"),
                "planned_cost_minor": to_minor(str(one.get("planned") or 0), actor.currency),
                "actual_cost_minor": to_minor(str(one.get("actual") or 0), actor.currency),
                "starts_on": one.get("starts_on"),
                "ends_on": one.get("ends_on"),
            }
            for one in edited
            if one.get("channel")
        ]
        done = "Channels saved."
        save_rows("channels", lambda seen: perform(campaigns.set_channels, campaign_id, given, base_channels=seen, success=done))
    show_refusal()


def _listed(actor: Actor, rows: Sequence[ChannelView]) -> str:
    shown = [
        f"{one.channel.label} ({fmt.money(actor, one.planned_cost_minor)} planned, {fmt.money(actor, one.actual_cost_minor)} spent)"
        for one in rows
    ]
    return ", ".join(shown) or "no channels"
