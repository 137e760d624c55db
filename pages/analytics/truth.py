"""What was planted in the demo company and what each analysis made of it: for newcomers, to learn how far a tool can be trusted."""

from collections import Counter

import streamlit as st

from crm_core.entities import ENTITIES
from crm_core.services.admin.demo import recovery
from crm_core.services.admin.demo.recovery import Finding
from crm_core.vocabulary import Recovery
from ui import format as fmt
from ui.actions import load, perform
from ui.cache import cached
from ui.components.header import header
from ui.navigation import page_of
from ui.session import current_actor

LOOK = {
    Recovery.FOUND: ("green", "check_circle"),
    Recovery.SILENT: ("green", "volume_off"),
    Recovery.MISSED: ("red", "cancel"),
    Recovery.FALSE_ALARM: ("red", "notification_important"),
    Recovery.UNSURE: ("orange", "help"),
    Recovery.OPEN: ("gray", "hourglass_empty"),
}


def counts(found: list[Finding]) -> None:
    """The score of the tools in four numbers."""
    by = Counter(one.state for one in found)
    with st.grid(4, min_column_width=150):
        good = by[Recovery.FOUND] + by[Recovery.SILENT]
        st.metric(
            "Recovered", f"{good} of {len(found)}", border=True, help="Found what is there, or stayed silent where nothing is"
        )
        st.metric("Missed or wrong", by[Recovery.MISSED] + by[Recovery.FALSE_ALARM], border=True)
        st.metric("Too little data", by[Recovery.UNSURE], border=True, help="Refused, or an interval that includes nothing at all")
        st.metric("Not run yet", by[Recovery.OPEN], border=True)


def card(one: Finding) -> None:
    """One planted thing: the truth left, what was found right."""
    colour, icon = LOOK[one.state]
    with st.container(border=True, gap="small", key=f"truth_{one.key}"):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", gap="small"):
            st.markdown(f"**{fmt.md(one.title)}**", width="content")
            st.badge("Being computed" if one.active else one.state.label, icon=f":material/{icon}:", color=colour)  # type: ignore[arg-type]
        left, right = st.columns(2, gap="medium")
        left.caption("Planted")
        left.markdown(fmt.md(one.planted))
        right.caption("Found")
        right.markdown(fmt.md(one.found))
        page = page_of(actor, one.page)
        if page is not None:
            st.page_link(page, label="Open the analysis", icon=":material/arrow_forward:", query_params=address(one))


def address(one: Finding) -> dict[str, str]:
    """Where the run stands that was read."""
    return ({"run": str(one.run_id)} if one.run_id is not None else {}) | one.address


def judged(key: str, run_id: int) -> tuple[Recovery, str]:
    """What a run says, kept: a run that is done never changes, and reading the tables of a large one takes seconds."""
    return cached(recovery.judgement, key, run_id, entities=tuple(ENTITIES), tables=("organisation", "product"))


@st.fragment(run_every=2.0)
def waiting(active: int) -> None:
    """Looks again while something is being computed."""
    now = sum(one.active for one in load(recovery.standing))
    if now != active:
        st.rerun()
    st.caption(f":material/hourglass_top: {fmt.plural(now, 'analysis', 'analyses')} being computed. You can leave this page.")


actor = current_actor()
actions = header("What was planted", "The demo company's truth, and what each analysis made of it")
found = recovery.told(load(recovery.standing), judged)
active = sum(one.active for one in found)
if any(one.state is Recovery.OPEN and not one.active for one in found):
    if actions.button("Run them all", type="primary", icon=":material/play_arrow:", key="run_all"):
        perform(recovery.run_all, success="The analyses are on their way.")
        st.rerun()
elif actions.button("Run again", icon=":material/refresh:", key="run_all", help="Only what has changed since is computed anew"):
    perform(recovery.run_all, success="Whatever has changed is computed anew.")
    st.rerun()
st.caption(
    "The company is made up, so the truth is known. A tool that misses something, or sees what is not there, says so here too. The small demo "
    "has a few hundred orders: most honest answers there are “too little data”. The medium one finds more."
)
counts(found)
if active:
    waiting(active)
for one in found:
    card(one)
