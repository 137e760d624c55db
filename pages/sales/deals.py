"""Deals as a list: for sales reps and managers, to find the deal to work on next."""

from crm_core.lists import ListQuery
from crm_core.services.sales import deals
from crm_core.vocabulary import Action, StageKind
from ui.actions import load
from ui.components.deal_board import choose_pipeline, deal_board, no_pipeline
from ui.components.deal_dialogs import new_deal
from ui.components.header import header
from ui.components.nothing_yet import nothing_yet
from ui.components.record_list import Quick, record_list
from ui.session import current_actor
from ui.tones import stage_tones


def board(query: ListQuery) -> None:
    """The list as the board of one pipeline."""
    pipelines = load(deals.pipelines)
    if pipelines:
        deal_board(choose_pipeline(pipelines), ast=query.filter, q=query.q)
    else:
        no_pipeline()


actor = current_actor()
stages = load(deals.stages)

actions = header("Deals", "What is being sold, to whom, and how far it has come")
if actor.can("deal", Action.CREATE) and actions.button(
    "New deal", type="primary", icon=":material/add:", shortcut="n", key="new_deal"
):
    new_deal()

record_list(
    "deal",
    quick=Quick("outcome", "State", StageKind.options(), first=(StageKind.OPEN.value,)),
    tones={"stage_id": stage_tones(stages)},
    board=board,
    on_empty=lambda: nothing_yet(
        actor, "deal", "Enter your first deal", new_deal, file_words=", or bring a whole pipeline in from a file"
    ),
)
