"""Asking the customer of a ticket, deal, order or contact how it went, by hand, from the record itself."""

from functools import partial
from typing import Any

import streamlit as st

from crm_core.services.feedback import inviting, surveys
from ui import format as fmt
from ui.actions import load, perform, show_problems, tell
from ui.components.header import Rare
from ui.navigation import page_of
from ui.session import current_actor

HOW = "They get it by e-mail, at once or when their quiet hours end. Consent, blocks and the pause between surveys hold here too."


def survey_entry(entity_key: str, record_id: int, contact_id: int | None) -> list[Rare]:
    """The entry of the record's menu for whoever may send surveys, on a record that has a person; empty otherwise."""
    if contact_id is None or not inviting.may_send(current_actor()):
        return []
    return [Rare("ask_survey", "Send a survey", "reviews", partial(_ask_dialog, entity_key, record_id, contact_id))]


@st.dialog("Send a survey", icon=":material/reviews:")
def _ask_dialog(entity_key: str, record_id: int, contact_id: int) -> None:
    known = load(surveys.choices)
    if not known:
        st.markdown("No survey is switched on yet.")
        page = page_of(current_actor(), "surveys")
        if page is not None:
            st.page_link(page, label="Surveys", icon=":material/reviews:")
        return
    chosen = st.selectbox("Which one?", list(known), format_func=lambda one: known[one], key=f"ask_survey_{entity_key}_{record_id}")
    st.caption(HOW)
    if st.button("Send", type="primary", key="ask_survey_yes"):
        about: dict[str, Any] = {} if entity_key == "contact" else {"entity_key": entity_key, "record_id": record_id}
        done = perform(inviting.send, chosen, contact_id, **about)
        if done is not None and done.sent:
            tell(f"“{known[chosen]}” is on its way.", "ok")
            st.rerun()
        if done is not None:
            st.warning(fmt.md(f"Not sent. {done.why}"), icon=":material/block:")
        show_problems()
