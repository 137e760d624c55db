"""Which leads and deals to take first: for reps and managers, with the evidence, the reasons, and a refusal where there is nothing to know."""

from typing import Any

import streamlit as st

from crm_core.services.analytics.methods import method
from crm_core.vocabulary import Action
from ui.components.analysis import analysis_page
from ui.components.score_views import drivers, evidence, left_out, quality, ranking, subject_switch, switch
from ui.navigation import go, page_of
from ui.session import current_actor

KINDS = {"lead": "lead_score", "deal": "deal_score"}
NEEDS = (
    "It needs at least 30 that turned out well and 30 that did not. Press Run: it learns from the closed ones as they were when they came in, "
    "and is judged on later ones."
)


def buttons(actions: Any) -> None:
    """Where more closed records come from."""
    if page_of(actor, "import") is not None and actions.button("Import a file", icon=":material/upload:", key="need_import"):
        go("import")


actor = current_actor()
labels = {
    key: words
    for key, words in (("lead", "Leads"), ("deal", "Deals"))
    if all(actor.can(needed, Action.READ) for needed in method(KINDS[key]).entities)
}
if not labels:
    st.info("Scores need the right to read leads, or deals with their customers and orders.", icon=":material/lock:")
    st.stop()
head = st.container(key="analysis_head")
subject = subject_switch(labels)
caption = "Which leads to call first" if subject == "lead" else "Which deals to work on first"
shown = analysis_page(
    KINDS[subject], title=f"{labels[subject][:-1]} score", caption=f"{caption}, and whether the score deserves it", nothing=NEEDS,
    on_nothing=buttons, head=head,
)  # fmt: skip
switch(shown)
quality(shown)
tabs = st.tabs(["Ranking", "Drivers", "Evidence", "Leaks and left out"], key="part", on_change="rerun", bind="query-params")
for tab, draw in zip(tabs, (ranking, drivers, evidence, left_out), strict=True):
    if tab.open:
        with tab:
            draw(shown)
shown.finish()
