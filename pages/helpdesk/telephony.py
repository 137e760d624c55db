"""Telephone menus and the log of calls: for whoever runs service, to say what callers hear, to try it, and to see what they did."""

import streamlit as st

from crm_core.services.telephony import calls, drop_off, menus
from crm_core.services.telephony.menus import MenuRow
from crm_core.vocabulary import Action, CallEnd
from ui import format as fmt
from ui.actions import load, perform
from ui.cache import cached
from ui.components.header import empty_state, header
from ui.components.table import Cell, Column, table
from ui.components.voice_dialogs import open_steps, settings_dialog
from ui.components.voice_files import files_dialog
from ui.components.voice_trial import try_dialog, versions_dialog
from ui.navigation import go
from ui.session import current_actor

PAGE = 20


def card(row: MenuRow) -> None:
    """One menu: its state, what is wrong with it, what can be done."""
    menu = row.menu
    with st.container(border=True, key=f"menu_{menu.id}"):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            with st.container(width="content", gap=None):
                state = ":green-badge[In use]" if menu.published_no and menu.is_active else ":gray-badge[Not in use]"
                st.markdown(
                    f"**{fmt.md(menu.name)}** {state}"
                    + (" :orange-badge[Changes not in use yet]" if row.changed and menu.published_no else "")
                )
                st.caption(
                    fmt.md(f"{menu.number or 'No number yet'} · version {menu.published_no} · {fmt.written(row.calls)} calls")
                )
            with st.container(horizontal=True, width="content", gap="small"):
                if st.button("Try it", icon=":material/dialpad:", key=f"try_{menu.id}"):
                    st.session_state.pop(f"_sim_{menu.id}", None)
                    try_dialog(menu)
                if menu.published_no and st.button(
                    icon=":material/history:", key=f"versions_{menu.id}", type="tertiary", **fmt.icon_only("Versions")
                ):
                    versions_dialog(menu)
                if st.button(
                    icon=":material/swap_vert:",
                    key=f"files_{menu.id}",
                    type="tertiary",
                    **fmt.icon_only("Export and import: TwiML, JSON"),
                ):
                    files_dialog(menu.id)
                if may_edit:
                    if st.button("Steps", icon=":material/account_tree:", key=f"steps_{menu.id}", type="tertiary"):
                        open_steps(menu.id)
                    if st.button("Settings", icon=":material/settings:", key=f"set_{menu.id}", type="tertiary"):
                        settings_dialog(menu)
                    with st.popover(
                        icon=":material/delete:",
                        key=f"drop_{menu.id}",
                        type="tertiary",
                        **fmt.icon_only("Delete this menu"),
                    ):
                        st.markdown("The menu and its log of calls go. Tickets, tasks and activities stay. This can't be undone.")
                        st.button("Delete", type="primary", key=f"drop_yes_{menu.id}", on_click=drop, args=(menu.id,))
        for sentence in row.problems[:5]:
            st.warning(fmt.md(sentence), icon=":material/warning:")
        for sentence in row.hints:
            st.caption(f":orange[:material/translate:] {fmt.md(sentence)}")
        if not row.has_token:
            st.caption("No auth token of the telephone provider yet: calls are refused until there is one. See Settings.")
        if may_edit and row.changed and not row.problems:
            st.button(
                "Put to use", type="primary", icon=":material/publish:", key=f"publish_{menu.id}", on_click=publish, args=(menu.id,)
            )


def hung_up(row: MenuRow) -> None:
    """Where callers leave the menu, counted when somebody unfolds it."""
    if not row.calls:
        return
    with st.expander("Where callers hang up", icon=":material/filter_alt:", key=f"left_{row.menu.id}", on_change="rerun") as fold:
        if not fold.open:
            return
        calls_of, steps = cached(drop_off.of_menu, row.menu.id, entities=(), tables=("voice_call", "voice_menu"), own=True)
        if not steps:
            st.caption(f"No call ended in the last {drop_off.DAYS} days.")
            return
        columns = [
            Column("step", "Step", sortable=False),
            Column("reached", "Calls that came here", right=True, sortable=False, named=True),
            Column("left", "Hung up here", right=True, sortable=False, named=True),
            Column("share", "Share", right=True, sortable=False, named=True),
        ]
        cells = [
            (n, [Cell(one.title), Cell(fmt.written(one.reached), share=100 * one.reached / calls_of), *left_there(one)])
            for n, one in enumerate(steps)
        ]  # fmt: skip
        table(columns, cells, key=f"steps_left_{row.menu.id}", label="Where callers hang up")
        st.caption(
            f"{fmt.written(calls_of)} calls of the last {drop_off.DAYS} days. Below {drop_off.LEAST} a share says nothing; who hangs up while waiting to be put through, or before speaking, is not known."
        )


def left_there(step: drop_off.Step) -> tuple[Cell, Cell]:
    if step.hands_on:
        return Cell(fmt.NOTHING), Cell("put through")
    return Cell(fmt.written(step.left)), Cell("too few" if step.share is None else fmt.percent(actor, step.share))


def publish(menu_id: int) -> None:
    perform(menus.publish, menu_id, success="Callers hear this version from now on.")


def drop(menu_id: int) -> None:
    perform(menus.remove, menu_id, success="Menu deleted.")


def log() -> None:
    """The calls, the latest first."""
    st.subheader("Calls", anchor=False)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        outcome = st.pills(
            "What became of it", list(CallEnd), format_func=lambda one: one.label, key="call_outcome", label_visibility="collapsed"
        )
        q = st.text_input("Number", key="call_q", placeholder="Part of a number", label_visibility="collapsed", max_chars=30)
    page = int(st.session_state.get("call_page") or 1)
    found, total = load(calls.find, outcome=outcome, q=q or "", page=page, size=PAGE)
    if not found:
        st.caption("Nothing like that." if outcome or q else "No calls yet. They show up here as soon as the number rings.")
        return
    columns = [
        Column("who", "Caller", sortable=False),
        Column("outcome", "What became of it", sortable=False),
        Column("path", "Path", sortable=False),
        Column("length", "Length", right=True, sortable=False, named=True),
        Column("at", "When", sortable=False, muted=True),
    ]
    cells = [
        (row.id, [Cell(row.who), Cell(row.outcome.label if row.outcome else "In the menu", tone=TONE.get(row.outcome, "gray")), Cell(row.path), Cell(f"{row.seconds // 60}:{row.seconds % 60:02}" if row.seconds is not None else "–"), Cell(fmt.ago(actor, row.at))])
        for row in found
    ]  # fmt: skip
    happened = table(columns, cells, key="calls", label="Calls")
    if total > PAGE:
        st.pagination(-(-total // PAGE), key="call_page")
    opened = next((row for row in found if row.id == happened.opened), None)
    if opened is not None:
        target = next(
            (
                (url, key)
                for url, key in (("ticket", opened.ticket_id), ("task", opened.task_id), ("contact", opened.contact_id))
                if key
            ),
            None,
        )
        if target is not None:
            go(target[0], id=target[1])


TONE = {CallEnd.QUEUED: "green", CallEnd.CALLBACK: "blue", CallEnd.VOICEMAIL: "violet", CallEnd.ABANDONED: "red"}
actor = current_actor()
may_edit = actor.can("telephony", Action.MANAGE)
actions = header(
    "Telephone",
    "What callers hear and where their keys lead. Calls land on the contact, messages become tickets, wishes to be called back tasks.",
)
if may_edit and actions.button("New menu", type="primary", icon=":material/add:", key="new_menu", shortcut="n"):
    settings_dialog(None)
rows = load(menus.find)
if not rows:
    box = empty_state(
        "No telephone menu yet",
        "Make one, walk through it here in the browser, and connect a number when it sounds right."
        if may_edit
        else "Managers and administrators set it up; what callers did will stand here.",
        icon="call",
    )
    if may_edit and box.button("Make a menu", type="primary", icon=":material/add:", key="first_menu"):
        settings_dialog(None)
for row in rows:
    card(row)
    hung_up(row)
if rows:
    log()
