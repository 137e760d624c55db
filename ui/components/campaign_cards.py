"""The parts of a campaign's page: status, figures, channels with their cost, members."""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from crm_core import lists
from crm_core.access import Actor
from crm_core.kit.money import exponent, most_major, to_major, to_minor
from crm_core.lists import ListQuery
from crm_core.services.collaboration import views
from crm_core.services.marketing import campaigns
from crm_core.services.marketing.campaigns import ChannelView
from crm_core.vocabulary import Action, CampaignStatus, Channel, MemberStatus
from ui import format as fmt
from ui.actions import load, perform, show_problems, show_refusal
from ui.cache import cached
from ui.components.picker import picker
from ui.components.rows_clash import begin, grid_of, mine_stay, save_rows
from ui.components.table import Cell, Column, table
from ui.navigation import go, page_of
from ui.session import current_actor

SIZE = 25
_BEHIND = ("campaign", "campaign_channel", "campaign_member", "contact", "lead", "deal", "sales_order")
_HELD_OUT = "Held out"
_VERBS = {
    CampaignStatus.DRAFT: "Back to draft",
    CampaignStatus.SCHEDULED: "Mark as scheduled",
    CampaignStatus.RUNNING: "Mark as running",
    CampaignStatus.PAUSED: "Pause",
    CampaignStatus.COMPLETED: "Complete",
}
_TONES = {
    MemberStatus.PLANNED: "gray", MemberStatus.SENT: "blue", MemberStatus.OPENED: "violet", MemberStatus.CLICKED: "violet",
    MemberStatus.RESPONDED: "green", MemberStatus.CONVERTED: "green", MemberStatus.DECLINED: "red",
}  # fmt: skip


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
    addressed = found.members - found.held_out
    rate = found.responded / addressed if addressed else None
    held = f", {found.held_out:,} held out" if found.held_out else ""
    named = "Attributed by the campaign named on the record, over what you may see"
    with st.grid(6, min_column_width=150):
        _metric("Members", f"{found.members:,}", f"{found.responded:,} responded{held}", "Contacts and leads in this campaign")
        _metric(
            "Response rate",
            fmt.percent(actor, rate),
            _expected(actor, row),
            "Members who responded or converted, of all who were not held out",
        )
        _metric(
            "Actual cost",
            fmt.money(actor, found.actual_cost_minor),
            f"{fmt.money(actor, found.planned_cost_minor)} planned",
            "Sum of its channels",
        )
        if actor.can("lead", Action.READ):
            _metric("Leads", f"{found.leads:,}", "", named)
        if actor.can("deal", Action.READ):
            _metric("Won deals", fmt.money(actor, found.won_minor, compact=True), "", named)
        if actor.can("order", Action.READ):
            _metric(
                "Order revenue",
                fmt.money(actor, found.order_minor, compact=True),
                "",
                f"{named}. Orders that came from won deals are in both figures",
            )
    st.caption("Leads, deals and orders are attributed by the campaign named on the record.")


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
    return f"{fmt.number(actor, row['expected_response_pct'])}% expected" if row["expected_response_pct"] is not None else ""


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


# --- members ----------------------------------------------------------------------------------------------------------------


@st.fragment
def members(campaign_id: int, may_edit: bool) -> None:
    """Who is in the campaign and how far they have come, page by page."""
    actor = current_actor()
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.subheader("Members", anchor=False, width="content")
        if may_edit and st.button("Add people", icon=":material/group_add:", key="add_members"):
            st.session_state.pop("_add_said", None)
            _add_dialog(campaign_id)
    held = counted(campaign_id).held_out > 0
    chosen = st.pills(
        "Status",
        [*MemberStatus, *([_HELD_OUT] if held else [])],
        format_func=lambda one: one.label if isinstance(one, MemberStatus) else one,
        key="member_status",
        label_visibility="collapsed",
        on_change=_first,
    )
    page = int(st.session_state.get("member_page") or 1)
    status = chosen if isinstance(chosen, MemberStatus) else None
    wanted = None if chosen is None else chosen == _HELD_OUT
    rows, total = load(campaigns.members, campaign_id, status=status, held_out=wanted, page=page, size=SIZE)
    if not rows:
        st.caption(
            f"Nobody is “{status.label}”." if status else "Nobody yet. Add contacts or leads, one by one or by a saved view."
        )
        return
    by_id = {row.id: row for row in rows}
    happened = table(
        [
            Column("name", "Name", sortable=False),
            Column("kind", "Kind", sortable=False),
            Column("status", "Status", sortable=False),
        ],
        [(row.id, [Cell(row.name), Cell(row.entity.capitalize()), _standing(row)]) for row in rows],
        key="members_table",
        label="Members of this campaign",
        hrefs={row.id: f"/{row.entity}?id={row.record_id}" for row in rows if page_of(actor, row.entity) is not None},
        selectable=may_edit,
    )
    _under(campaign_id, happened.selected, total)
    if happened.opened is not None:
        go(by_id[happened.opened].entity, id=by_id[happened.opened].record_id)


def _standing(row: campaigns.MemberRow) -> Cell:
    if not row.held_out:
        return Cell(row.status.label, tone=_TONES[row.status])
    return Cell(_HELD_OUT if row.status is MemberStatus.PLANNED else f"{row.status.label}, held out", tone="violet")


def _first() -> None:
    st.session_state["member_page"] = 1


def _under(campaign_id: int, selected: list[int], total: int) -> None:
    pages = max(1, -(-total // SIZE))
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        if selected:
            with st.container(horizontal=True, vertical_alignment="center", gap="small", width="content"):
                st.caption(f"{len(selected)} selected", width="content")
                status = st.selectbox("New status", list(MemberStatus), index=None, placeholder="Set status", format_func=lambda one: one.label, key="member_set", label_visibility="collapsed", width=160)  # fmt: skip
                if st.button("Set", key="member_set_yes", disabled=status is None) and status is not None:
                    _done(
                        perform(
                            campaigns.set_member_status,
                            campaign_id,
                            selected,
                            status,
                            success=f"{fmt.plural(len(selected), 'member')} set to {status.label}.",
                        )
                    )
                if st.button("Remove", key="member_remove", type="tertiary"):
                    _done(
                        perform(
                            campaigns.remove_members,
                            campaign_id,
                            selected,
                            success=f"{fmt.plural(len(selected), 'member')} removed.",
                        )
                    )
        else:
            st.caption(fmt.plural(total, "member"), width="content")
        if pages > 1:
            if int(st.session_state.get("member_page") or 1) > pages:
                st.session_state["member_page"] = pages
            st.pagination(pages, key="member_page")


def _done(result: Any) -> None:
    if result is not None:
        st.session_state.pop("members_table", None)
    st.rerun()


@st.dialog("Add people to this campaign")
def _add_dialog(campaign_id: int) -> None:
    actor = current_actor()
    kinds = {key: label for key, label in (("contact", "Contacts"), ("lead", "Leads")) if actor.can(key, Action.READ)}
    entity_key = st.segmented_control(
        "Who?", list(kinds), default=next(iter(kinds)), format_func=lambda one: kinds[one], required=True, key="add_kind"
    )
    ways = {"one": "One by one", "view": "By a saved view"}
    way = st.segmented_control("How?", list(ways), default="one", format_func=lambda one: ways[one], required=True, key="add_way")
    if way == "one":
        _add_one(campaign_id, entity_key or "contact")
    else:
        _add_view(campaign_id, entity_key or "contact")


def _add_one(campaign_id: int, entity_key: str) -> None:
    turn = st.session_state.get("_add_turn", 0)
    chosen = picker("Person", lambda q: load(lists.choices, entity_key, q, limit=20), key=f"add_{entity_key}_{turn}")
    if st.button("Add", type="primary", key="add_yes", disabled=chosen is None) and chosen is not None:
        result = perform(campaigns.add_members, campaign_id, entity_key, [chosen])
        show_problems()
        if result is not None:
            name = load(lists.titles, entity_key, [chosen]).get(chosen, "")
            st.session_state["_add_said"] = f"{name} added." if result[0] else f"{name} was in already."
            st.session_state["_add_turn"] = turn + 1
            st.rerun(scope="fragment")
    if chosen is None and (
        said := st.session_state.get("_add_said", "")
    ):  # until the next person: a second click must not take it away
        st.success(fmt.md(said), icon=":material/check:")
    if st.button("Done", key="add_done", type="tertiary"):
        st.rerun()


def _add_view(campaign_id: int, entity_key: str) -> None:
    found = {view.id: view for view in load(views.find, entity_key)}
    if not found:
        st.caption("There is no saved view yet. Filter the list, save it as a view, and come back.")
        return
    chosen = st.selectbox("View", list(found), format_func=lambda one: found[one].name, key=f"add_view_{entity_key}")
    layout = load(views.usable, found[chosen])
    query = ListQuery(filter=layout.get("filter"), q=layout.get("q", ""))
    count = load(lists.count, entity_key, query)
    st.caption(
        f"{fmt.plural(count, 'record')} that you may see match now. People who join the view later are not added by themselves."
    )
    if st.button(f"Add {count:,}", type="primary", key="add_view_yes", disabled=count == 0):
        result = perform(campaigns.add_matching, campaign_id, entity_key, query)
        if result is not None:
            st.session_state.setdefault("_toasts", []).append(
                ("ok", fmt.md(f"{result[0]:,} added, {result[1]:,} were in already."))
            )
            st.rerun()
        show_problems()
