"""One survey's results: for managers and agents, to see how customers feel, how sure that is, and whom to talk to."""

import streamlit as st

from crm_core.services.feedback import inviting, results, surveys
from crm_core.vocabulary import Action
from ui import format as fmt
from ui.actions import load, perform
from ui.components.header import header
from ui.components.record_page import id_from_url
from ui.components.survey_dialogs import ask_dialog, survey_dialog
from ui.components.survey_views import by_group, further, headline, preview_link, said, trend
from ui.navigation import go, page_of
from ui.session import current_actor

PERIODS = {"90 days": 90, "12 months": 365, "Always": 0}

actor = current_actor()
survey = load(surveys.get, id_from_url())
badges = [(survey.kind.label, "blue"), ("On", "green") if survey.is_active else ("Switched off", "gray")]
actions = header(survey.name, survey.question, badges=badges, back=("Surveys", page_of(actor, "surveys")))
if survey.is_active and inviting.may_send(actor) and actions.button("Ask somebody", icon=":material/outgoing_mail:", key="ask"):
    ask_dialog(survey)
preview_link(survey.id, where=actions)
if actor.can("survey", Action.MANAGE):
    if actions.button("Change", icon=":material/edit:", key="change", shortcut="e"):
        survey_dialog(survey)
    with actions.popover(icon=":material/delete:", **fmt.icon_only("Delete this survey"), key="remove"):
        st.markdown(f"**{fmt.md(survey.name)}** goes with all its answers. This can't be undone.")
        if st.button("Delete", type="primary", key="remove_yes") and perform(surveys.remove, survey.id, success="Survey deleted."):
            go("surveys")
period = st.segmented_control(
    "Period", list(PERIODS), default="12 months", required=True, key="survey_period", label_visibility="collapsed"
)
since = load(results.beginning, PERIODS[str(period)])
found = load(results.overview, survey.id, since=since)
headline(survey, found)
trend(actor, survey, found)
further(actor, survey, since)
by_group(actor, survey, since)
said(actor, survey, since)
