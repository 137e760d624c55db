"""Who is in a campaign and how far they have come, all of them or those whom a number of the results counts; adding and taking out."""

from typing import Any
from urllib.parse import urlencode

import streamlit as st

from crm_core import lists
from crm_core.access import Actor
from crm_core.lists import ListQuery
from crm_core.services.collaboration import views
from crm_core.services.marketing import campaigns, outcomes, sending
from crm_core.services.marketing.campaigns import MemberRow
from crm_core.services.marketing.outcomes import Slice
from crm_core.vocabulary import SOLD, Action, Gate, MemberStatus, Outlet, StageKind
from ui import format as fmt
from ui.actions import load, perform, show_problems
from ui.components.campaign_cards import counted
from ui.components.list_link import list_link
from ui.components.picker import picker
from ui.components.table import Cell, Column, table
from ui.navigation import go, page_of
from ui.session import current_actor

SIZE = 25
PARAMS = ("show", "of", "wording", "way", "why")
_HELD_OUT = "Held out"
_TONES = {
    MemberStatus.PLANNED: "gray", MemberStatus.SENT: "blue", MemberStatus.OPENED: "violet", MemberStatus.CLICKED: "violet",
    MemberStatus.RESPONDED: "green", MemberStatus.CONVERTED: "green", MemberStatus.DECLINED: "red",
}  # fmt: skip
WORDS = {
    "people": "Everybody", "sent": "Delivered", "bounced": "Bounced", "opened": "Opened", "clicked": "Clicked", "replied": "Replied",
    "left": "Unsubscribed", "converted": "Converted", "responded": "Responded", "waiting": "Waiting", "outbox": "In the outbox", "failed": "Failed",
    "skipped": "Left out",
}  # fmt: skip
"""What a number of the results or of the sending counts."""
LEFT_OUT = {gate.value: gate.label for gate in Gate} | {
    "stopped": "Not sent: the campaign was stopped",
    "gone": "Deleted meanwhile",
    "removed": "Taken out of the campaign",
    sending.CALLED_BACK: "They left, or it was taken out, before its turn",
    sending.NO_COUPON: "Their discount code would not have worked any more",
    "no_letter": "No wording for them",
    "no_address": "No address",
}
"""Why somebody got no letter after the launch."""


# --- the numbers of the results ---------------------------------------------------------------------------------------------


def params_of(wanted: Slice) -> dict[str, str]:
    """How the address of a campaign says whom its list shows."""
    found = {
        "show": wanted.what,
        "of": "held_out" if wanted.held_out else "",
        "wording": wanted.wording,
        "way": wanted.way,
        "why": wanted.reason,
    }
    return {name: value for name, value in found.items() if value}


def address_of(campaign_id: int, wanted: Slice) -> str:
    """The address of the list of those whom a number counts."""
    return f"/campaign?{urlencode({'id': campaign_id, **params_of(wanted)})}"


def slice_from_url() -> Slice | None:
    """Whom the list shows; None: everybody."""
    asked = st.query_params
    if asked.get("show") not in WORDS:
        return None
    way = asked.get("way", "")
    return Slice(
        asked["show"],
        asked.get("of") == "held_out",
        asked.get("wording", "")[:1],
        way if way in {one.value for one in Outlet} else "",
        why if (why := asked.get("why", "")) in LEFT_OUT else "",
    )


def forget_slice() -> None:
    """The list shows everybody again."""
    for name in PARAMS:
        st.query_params.pop(name, None)


def opened_by_number(campaign_id: int) -> bool:
    """Whether somebody has just followed a number to its list, so that the page turns to it."""
    wanted, key = slice_from_url(), f"_slice_{campaign_id}"
    fresh = wanted is not None and st.session_state.get(key) != wanted
    st.session_state[key] = wanted
    if fresh:
        _first()
    return fresh


def figures_lists(actor: Actor, campaign_id: int) -> None:
    """The lists behind the figures on top of a campaign."""
    found = counted(campaign_id)
    people = [(found.responded, "responded", Slice("responded")), (found.held_out, "held out", Slice("people", held_out=True))]
    named: dict[str, Any] = {"field": "campaign_id", "cmp": "eq", "value": campaign_id}
    won: dict[str, Any] = {"op": "and", "items": [named, {"field": "outcome", "cmp": "eq", "value": StageKind.WON.value}]}
    sold: dict[str, Any] = {"op": "and", "items": [named, {"field": "status", "cmp": "in", "value": [one.value for one in SOLD]}]}
    behind = [
        ("lead", fmt.plural(found.leads, "lead"), named, found.leads), ("deal", "Won deals", won, found.won_minor),
        ("order", "Orders", sold, found.order_minor),
    ]  # fmt: skip
    st.caption("Leads, deals and orders are attributed by the campaign named on the record.")
    with st.container(horizontal=True, width="content", vertical_alignment="center", gap="small", key="figures_behind"):
        for count, words, wanted in people:  # a link to the page one is on would look like the one that is open
            if count and st.button(
                f"{fmt.written(count)} {words}", icon=":material/list:", key=f"behind_{wanted.what}", type="tertiary"
            ):
                go("campaign", id=campaign_id, **params_of(wanted))
        for key, label, ast, value in behind:
            if value:
                list_link(actor, key, label, ast, icon="list")


# --- the list ---------------------------------------------------------------------------------------------------------------


@st.fragment
def members(campaign_id: int, may_edit: bool) -> None:
    """Who is in the campaign and how far they have come, page by page."""
    actor = current_actor()
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.subheader("Members", anchor=False, width="content")
        if may_edit and st.button("Add people", icon=":material/group_add:", key="add_members"):
            st.session_state.pop("_add_said", None)
            _add_dialog(campaign_id)
    wanted = slice_from_url()
    rows, total = _counted(campaign_id, wanted) if wanted is not None else _of_status(campaign_id)
    if not rows:
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


def _of_status(campaign_id: int) -> tuple[list[MemberRow], int]:
    """The members of one state, or all of them."""
    held = counted(campaign_id).held_out > 0
    chosen = st.pills(
        "Status",
        [*MemberStatus, *([_HELD_OUT] if held else [])],
        format_func=lambda one: one.label if isinstance(one, MemberStatus) else one,
        key="member_status",
        label_visibility="collapsed",
        on_change=_first,
    )
    status = chosen if isinstance(chosen, MemberStatus) else None
    wanted = None if chosen is None else chosen == _HELD_OUT
    rows, total = load(campaigns.members, campaign_id, status=status, held_out=wanted, page=_page(), size=SIZE)
    if not rows:
        st.caption(
            f"Nobody is “{status.label}”." if status else "Nobody yet. Add contacts or leads, one by one or by a saved view."
        )
    return rows, total


def _counted(campaign_id: int, wanted: Slice) -> tuple[list[MemberRow], int]:
    """Those whom a number of the results counts, with what narrows the list down and the way back."""
    found = load(outcomes.members, campaign_id, wanted, page=_page(), size=SIZE)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f":material/filter_alt: {fmt.md(_of(wanted))}: **{fmt.written(found.total)}**", width="content")
        st.button("Show everybody", icon=":material/close:", key="members_everybody", type="tertiary", on_click=_everybody)
    if not found.total and not found.hidden:
        st.caption("Nobody is counted here.")
    if found.hidden:
        st.caption(f"{fmt.written(found.hidden)} more are counted, who are not shared with you, or in the bin.")
    return found.rows, found.total


def _of(wanted: Slice) -> str:
    """Whom a number counts, in words."""
    plain = wanted.what == "responded" or wanted.what in outcomes.UNDER_WAY
    group = "held out" if wanted.held_out else "" if plain else "addressed"
    way = Outlet(wanted.way).label if wanted.way else ""
    why = LEFT_OUT[wanted.reason].lower() if wanted.reason else ""
    parts = [WORDS[wanted.what], why, group, f"wording {wanted.wording}" if wanted.wording else "", way]
    return ", ".join(part for part in parts if part)


def _everybody() -> None:
    forget_slice()
    _first()


def _page() -> int:
    return int(st.session_state.get("member_page") or 1)


def _standing(row: MemberRow) -> Cell:
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
            if _page() > pages:
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
    if st.button(f"Add {fmt.written(count)}", type="primary", key="add_view_yes", disabled=count == 0):
        result = perform(campaigns.add_matching, campaign_id, entity_key, query)
        if result is not None:
            st.session_state.setdefault("_toasts", []).append(
                ("ok", fmt.md(f"{fmt.written(result[0])} added, {fmt.written(result[1])} were in already."))
            )
            st.rerun()
        show_problems()
