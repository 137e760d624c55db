"""Deals as a list: for sales reps and managers, to find the deal to work on next."""

from crm_core.services.sales import deals
from crm_core.vocabulary import Action, StageKind
from ui.actions import load
from ui.components.deal_dialogs import new_deal
from ui.components.header import header
from ui.components.nothing_yet import nothing_yet
from ui.components.record_list import Quick, record_list
from ui.navigation import go, page_of
from ui.session import current_actor
from ui.tones import stage_tones

actor = current_actor()
stages = load(deals.stages)

actions = header("Deals", "What is being sold, to whom, and how far it has come")
if page_of(actor, "pipeline") is not None and actions.button("Board", icon=":material/view_kanban:", key="to_board"):
    go("pipeline")
if actor.can("deal", Action.CREATE) and actions.button(
    "New deal", type="primary", icon=":material/add:", shortcut="n", key="new_deal"
):
    new_deal()

record_list(
    "deal",
    quick=Quick("outcome", "State", StageKind.options(), first=(StageKind.OPEN.value,)),
    tones={"stage_id": stage_tones(stages)},
    on_empty=lambda: nothing_yet(
        actor, "deal", "Enter your first deal", new_deal, file_words=", or bring a whole pipeline in from a file"
    ),
)
