"""The pipeline as a board: for the team's daily look at what moves and what stands still."""

import streamlit as st

from crm_core.services.sales import deals
from crm_core.vocabulary import Action, Scope
from ui.actions import load
from ui.components.deal_board import choose_pipeline, deal_board, no_pipeline
from ui.components.deal_dialogs import new_deal
from ui.components.filter_bar import filter_button, filter_from_url, filter_words
from ui.components.header import header
from ui.navigation import go
from ui.session import current_actor

actor = current_actor()
may_edit = actor.can("deal", Action.EDIT) and not actor.locked("deal", "stage_id")
pipelines = load(deals.pipelines)

actions = header(
    "Pipeline",
    "Drag a card to its stage, or press Shift and an arrow key" if may_edit else "Open deals by stage",
)
if actions.button("List", icon=":material/view_list:", key="to_list"):
    go("deals")
if actor.can("deal", Action.CREATE) and actions.button(
    "New deal", type="primary", icon=":material/add:", shortcut="n", key="new_deal"
):
    new_deal(st.session_state.get("pipeline"))
if not pipelines:
    no_pipeline()
    st.stop()

with st.container(horizontal=True, vertical_alignment="center", gap="small"):
    pipeline_id = choose_pipeline(pipelines)
    narrowed = filter_from_url("deal")
    others = actor.scopes("deal", Action.READ) != {Scope.OWN}  # else there is nothing to choose
    mine = others and st.toggle("Only mine", key="mine", bind="query-params")
    filter_button("deal", narrowed)
filter_words("deal", narrowed)
parts = [part for part in (narrowed, {"field": "owner_id", "cmp": "eq", "value": "@me"} if mine else None) if part]
deal_board(pipeline_id, ast={"op": "and", "items": parts} if parts else None)
