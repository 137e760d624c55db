"""Macros: for agents, to do what comes again and again with one click; for whoever runs the team, to see which of them are used."""

import streamlit as st

from crm_core.services.helpdesk import macros
from crm_core.services.helpdesk.macros import MacroView
from ui import format as fmt
from ui.actions import load, perform
from ui.components.header import empty_state, header
from ui.components.macro_dialogs import macro_dialog, steps_of
from ui.navigation import go, page_of
from ui.session import current_actor


def card(macro: MacroView) -> None:
    """One macro: what it does, whose it is, how often it was used."""
    with st.container(border=True, key=f"macro_{macro.id}", gap="xsmall"):
        with st.container(
            horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", key=f"card_head_{macro.id}"
        ):
            st.markdown(f"**{fmt.md(macro.name)}**" + ("" if macro.shared else " :gray-badge[Only me]"), width="content")
            with st.container(horizontal=True, width="content", vertical_alignment="center", gap="small"):
                order_buttons(macro)
                if macro.mine:
                    if st.button("Change", icon=":material/edit:", key=f"change_{macro.id}", type="tertiary"):
                        macro_dialog(macro)
                    with st.popover(
                        icon=":material/delete:",
                        key=f"remove_{macro.id}",
                        type="tertiary",
                        **fmt.icon_only("Remove this macro"),
                    ):
                        st.markdown("What it did stays.")
                        st.button("Remove", type="primary", key=f"remove_yes_{macro.id}", on_click=drop, args=(macro.id,))
        words = " · ".join(part for part in (macro.about, used(macro), macro.owner) if part)
        st.caption(fmt.md(words[:1].upper() + words[1:]))
        with st.expander("What it does"):
            steps_of(macro.steps)


def order_buttons(macro: MacroView) -> None:
    """Earlier and later, among everybody’s or among one’s own; a list that is searched shows too little to be put in order."""
    beside = [one.id for one in known if one.shared is macro.shared]
    if query or len(beside) < 2 or not macros.may_order(actor, shared=macro.shared):
        return
    place = beside.index(macro.id)
    st.button(icon=":material/arrow_upward:", key=f"up_{macro.id}", type="tertiary", disabled=place == 0, on_click=shift, args=(macro.id, True), **fmt.icon_only("Show it earlier"))  # fmt: skip
    st.button(icon=":material/arrow_downward:", key=f"down_{macro.id}", type="tertiary", disabled=place == len(beside) - 1, on_click=shift, args=(macro.id, False), **fmt.icon_only("Show it later"))  # fmt: skip


def shift(macro_id: int, up: bool) -> None:
    perform(macros.move, macro_id, up=up)


def used(macro: MacroView) -> str:
    if not macro.used_count:
        return "never used"
    return (
        f"used {fmt.written(macro.used_count)} times, last {fmt.ago(actor, macro.used_at)}"
        if macro.used_count > 1
        else f"used once, {fmt.ago(actor, macro.used_at)}"
    )


def drop(macro_id: int) -> None:
    perform(macros.remove, macro_id, success="Macro removed.")


actor = current_actor()
actions = header(
    "Macros",
    "Several steps on a ticket with one click. On a ticket, press M: they stand there in this order.",
    back=("Tickets", page_of(actor, "tickets")),
)
if page_of(actor, "letter-templates") is not None and actions.button(
    "Letter templates", icon=":material/library_books:", key="to_templates"
):
    go("letter-templates", use="service")
if actions.button("New macro", type="primary", icon=":material/add:", key="new_macro", shortcut="n"):
    macro_dialog(None)
known = load(macros.usable)
if not known:
    box = empty_state(
        "No macros yet",
        "Write an answer once, say what else should happen, and use both on any ticket with two clicks.",
        icon="bolt",
    )
    if box.button("Make the first one", icon=":material/add:", key="first_macro"):
        macro_dialog(None)
    st.stop()
query = st.text_input("Search", key="q", placeholder="Name or words", type="search", bind="query-params") if len(known) > 5 else ""
fits = [one for one in known if (query or "").casefold() in f"{one.name} {one.about} {one.answer}".casefold()]
for one in fits:
    card(one)
if not fits:
    empty_state("No macro matches", "Try another word.", icon="search_off")
