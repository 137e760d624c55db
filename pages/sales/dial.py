"""Calling from a list: for whoever has the telephone in hand, one person at a time, with what is known of them and one press for what came of it."""

import streamlit as st

from crm_core.services.telephony import dial_lists, dialling
from crm_core.vocabulary import DialState
from ui import format as fmt
from ui.actions import load, perform
from ui.components import dial_call, dial_views
from ui.components.dial_dialogs import list_dialog
from ui.components.header import empty_state, header
from ui.components.record_page import id_from_url
from ui.navigation import go, page_of
from ui.session import current_actor

TABS = {"call": "Call", "people": "People", "results": "Results"}


def begin(list_id: int) -> None:
    perform(dialling.take_next, list_id)


def stop(list_id: int) -> None:
    perform(dialling.release, list_id)


def refill(list_id: int) -> None:
    perform(dial_lists.refill, list_id, success="Filled again.")


def nobody() -> None:
    """Nobody is before this person: begin, wait, or look at what came of it."""
    if dial.closed_at is not None:
        empty_state(
            "This list is closed", "Nobody is called from it any more. What came of it stands under Results.", icon="done_all"
        )
        return
    if found.due:
        words = "You get one person after the other. Each comes with what is known of them; one press says what came of the call, and the next one is there."
        box = empty_state(f"{fmt.written(found.due)} to call now", words, icon="call")
        box.button(
            "Start calling", type="primary", icon=":material/call:", key="dial_start", shortcut="s", on_click=begin, args=(dial.id,)
        )
        return
    if found.hidden and not found.taken and not found.waiting:
        words = f"{fmt.plural(found.hidden, 'person', 'people')} on this list {'is' if found.hidden == 1 else 'are'} not yours to see: a colleague who may see them calls them."
        empty_state("Nobody here for you", words, icon="visibility_off")
    elif found.waiting or found.taken:
        box = empty_state("Nobody is due right now", f"{dial_views.waits_words(actor, found)}.", icon="hourglass_top")
        box.button("Look again", icon=":material/refresh:", key="dial_again")
    elif found.total:
        box = empty_state(
            "Everybody is called",
            f"{fmt.written(found.done)} people are done. What came of it stands under Results.",
            icon="task_alt",
        )
        if box.button("Results", type="primary", icon=":material/bar_chart:", key="dial_results"):
            go("dial", id=dial.id, tab="results")
    else:
        box = empty_state(
            "Nobody can be called",
            "Everybody of the source is left out; People says why. Fill the list again when that has changed.",
            icon="person_off",
        )
        if mine:
            box.button("Fill it again", icon=":material/refresh:", key="dial_refill", on_click=refill, args=(dial.id,))
        if box.button("Why?", key="dial_why"):
            st.session_state["dial_people_state"] = DialState.LEFT_OUT
            go("dial", id=dial.id, tab="people")


actor = current_actor()
dial = load(dial_lists.get, id_from_url())
found = load(dial_lists.progress, dial.id)
mine = load(dial_lists.may_edit, dial.id)
call = load(dialling.current, dial.id) if dial.closed_at is None else None
actions = header(
    dial.name, f"{dial.source.label}: {dial.source_name} · {dial.reach.label}", back=("Call lists", page_of(actor, "calls"))
)
if call is not None:
    actions.button(
        "Stop calling",
        icon=":material/pause:",
        key="dial_stop",
        on_click=stop,
        args=(dial.id,),
        help="The person goes back on the list",
    )
if mine and actions.button(icon=":material/tune:", key="dial_change", **fmt.icon_only("Hours, retries, who calls")):
    list_dialog(dial)
tab = st.segmented_control(
    "Part", list(TABS), default=st.query_params.get("tab") if st.query_params.get("tab") in TABS else "call", format_func=lambda one: TABS[one],
    required=True, key=f"dial_tab_{dial.id}_{st.query_params.get('tab', '')}", label_visibility="collapsed",
)  # fmt: skip
st.progress(found.done / found.total if found.total else 1.0, text=fmt.md(dial_views.stand(found)))
if tab == "people":
    dial_views.people(actor, dial)
elif tab == "results":
    dial_views.results(actor, dial)
else:
    if (words := dial_views.waits_words(actor, found)) and (call is not None or found.due):
        st.caption(fmt.md(words))
    if others := load(dialling.calling, dial.id):
        st.caption(fmt.md(f":material/group: {', '.join(others)} {'is' if len(others) == 1 else 'are'} calling from this list too"))
    dial_call.undo(dial.id)
    if call is not None:
        dial_call.card(actor, dial, call)
    else:
        dial_call.unsaved()
        nobody()
