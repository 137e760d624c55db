"""Lists to call: for whoever calls people, to make one of a segment, a view or a campaign, and to go on where they stopped."""

from typing import Any

import streamlit as st

from crm_core.services.customers import consent
from crm_core.services.telephony import dial_lists
from crm_core.services.telephony.dial_lists import ListRow
from crm_core.vocabulary import DialSource
from ui import format as fmt
from ui.actions import load, perform
from ui.addresses import number
from ui.components.dial_dialogs import list_dialog
from ui.components.dial_views import stand, waits_words
from ui.components.filter_bar import PARAM, filter_from_url
from ui.components.header import empty_state, header
from ui.navigation import go
from ui.session import current_actor

_ICONS = {"Results": ":material/bar_chart:", "Call": ":material/phone_forwarded:", "Go on": ":material/phone_forwarded:"}


def card(row: ListRow) -> None:
    """One list: how far it is, and what can be done with it."""
    dial, found = row.dial, row.progress
    with st.container(border=True, key=f"dial_{dial.id}", gap="small"):
        with st.container(
            horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", key=f"card_head_{dial.id}"
        ):
            with st.container(width="content", gap=None):
                st.markdown(f"**{fmt.md(dial.name)}**")
                st.caption(fmt.md(f"{dial.source.label}: {dial.source_name} · {row.owner or 'nobody'} · {dial.reach.label}"))
            with st.container(horizontal=True, width="content", vertical_alignment="center", gap="small"):
                over = dial.closed_at is not None or not found.total - found.done
                label = "Results" if over else "Open" if not found.due else "Go on" if found.done else "Call"
                if st.button(
                    label,
                    type="primary" if found.due and not over else "secondary",
                    icon=_ICONS.get(label),
                    key=f"open_{dial.id}",
                ):
                    go("dial", id=dial.id, tab="results" if over else "")
                if row.may_edit:
                    buttons(row)
        st.progress(found.done / found.total if found.total else 1.0, text=fmt.md(stand(found)))
        if words := waits_words(actor, found):
            st.caption(fmt.md(words))


def buttons(row: ListRow) -> None:
    """Change, fill again, close, remove."""
    dial = row.dial
    with st.popover(icon=":material/more_vert:", key=f"more_{dial.id}", type="tertiary", **fmt.icon_only("More")):
        if st.button("Change", icon=":material/edit:", key=f"change_{dial.id}", type="tertiary"):
            list_dialog(dial)
        st.button(
            "Fill it again",
            icon=":material/refresh:",
            key=f"refill_{dial.id}",
            type="tertiary",
            on_click=refill,
            args=(dial.id,),
            help="New people come in; who no longer matches and was never called goes",
        )
        if dial.closed_at is None:
            st.button(
                "Close",
                icon=":material/done_all:",
                key=f"close_{dial.id}",
                type="tertiary",
                on_click=close,
                args=(dial.id,),
                help="Nobody is called from it any more; results stay",
            )
        with st.expander("Delete", icon=":material/delete:"):
            st.caption("The list and its results go. The calls stay on the people.")
            st.button("Delete the list", type="primary", key=f"drop_{dial.id}", on_click=drop, args=(dial.id,))


def refill(list_id: int) -> None:
    perform(dial_lists.refill, list_id, success="Filled again.")


def close(list_id: int) -> None:
    perform(dial_lists.close, list_id, success="List closed.")


def drop(list_id: int) -> None:
    perform(dial_lists.remove, list_id, success="List deleted.")


def asked() -> dict[str, Any] | None:
    """What another page sent here to be called; taken out of the address, so that a reload asks for nothing."""
    source = st.query_params.get("source")
    if not source:
        return None
    key, raw = st.query_params.get("entity", ""), st.query_params.get(PARAM)
    given: dict[str, Any] = {"source": source, "source_id": number("source_id"), "entity": key, "q": st.query_params.get("q", "")}
    people = key in consent.PEOPLE
    given["filter"] = filter_from_url(key) if people and raw else None
    for name in ("source", "source_id", "entity", "q", PARAM):
        st.query_params.pop(name, None)
    if source != DialSource.FILTER:
        return given
    return given if people and (given["filter"] or not raw) else None  # of a filter that can't be read, nobody is called


actor = current_actor()
may = dial_lists.may_call(actor)
actions = header("Call lists", "People to call, one after the other, at an hour that suits them")
if may and actions.button("New list", type="primary", icon=":material/add:", key="new_dial", shortcut="n"):
    list_dialog(None)
if may and (given := asked()) is not None:
    list_dialog(None, given)
closed = (
    st.segmented_control("Show", ["Open", "Closed"], default="Open", required=True, key="dial_state", label_visibility="collapsed")
    == "Closed"
)
rows = load(dial_lists.find, closed=closed)
if not rows and closed:
    st.caption("No list was closed yet.")
elif not rows:
    box = empty_state(
        "No lists to call yet",
        "Make one of a saved view, a segment or a campaign: each person comes up once, with what you know of them, and whoever sleeps or wants no calls is passed over.",
        icon="phone_forwarded",
    )
    if may and box.button("Make a list", icon=":material/add:", key="first_dial"):
        list_dialog(None)
for row in rows:
    card(row)
