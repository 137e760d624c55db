"""Surveys: for whoever runs service or marketing, to ask customers how it went and to see what they say."""

import streamlit as st

from crm_core.services.feedback import surveys
from crm_core.services.feedback.surveys import SurveyRow
from crm_core.vocabulary import Action
from ui import format as fmt
from ui.actions import load
from ui.components.header import empty_state, header
from ui.components.survey_dialogs import survey_dialog
from ui.components.survey_views import preview_link
from ui.navigation import page_of
from ui.session import current_actor


def card(row: SurveyRow) -> None:
    """One survey: what it measures, when it goes out, what came back."""
    survey = row.survey
    with st.container(border=True, key=f"survey_{survey.id}"):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            with st.container(width="content", gap=None):
                st.markdown(f"**{fmt.md(survey.name)}**" + ("" if survey.is_active else " :gray-badge[Switched off]"))
                st.caption(fmt.md(f"{survey.kind.label} · {survey.trigger.label}"))
            with st.container(horizontal=True, width="content", vertical_alignment="center", gap="small"):
                page = page_of(actor, "survey")
                if page is not None:
                    st.page_link(page, label="Results", icon=":material/insights:", query_params={"id": str(survey.id)})
                preview_link(survey.id)
                if may_edit and st.button("Change", icon=":material/edit:", key=f"change_{survey.id}", type="tertiary"):
                    survey_dialog(survey)
        more = f" · and {fmt.plural(len(survey.questions), 'further question')}" if survey.questions else ""
        st.caption(fmt.md(survey.question + more))
        share = f" ({row.answered / row.asked:.0%})" if row.asked else ""
        st.markdown(f"{fmt.written(row.asked)} asked · {fmt.written(row.answered)} answered{share}")


actor = current_actor()
may_edit = actor.can("survey", Action.MANAGE)
actions = header(
    "Surveys",
    "Short questions by e-mail after something happened. An unhappy answer becomes a task for whoever looks after the customer.",
)
if may_edit and actions.button("New survey", type="primary", icon=":material/add:", key="new_survey", shortcut="n"):
    survey_dialog(None)
rows = load(surveys.find)
if not rows:
    box = empty_state(
        "No surveys yet",
        "Ask customers how it went after a ticket is solved: one click in the mail is an answer."
        if may_edit
        else "Marketers, managers and administrators set them up; what customers answer will stand here.",
        icon="reviews",
    )
    if may_edit and box.button("Make the first one", icon=":material/add:", key="first_survey"):
        survey_dialog(None)
for row in rows:
    card(row)
