"""Segments as a list: for marketers and managers, to see which groups of customers have a name, and who may be in them."""

from crm_core.vocabulary import Action, SegmentOf
from ui.components.header import empty_state, header
from ui.components.record_list import Quick, record_list
from ui.navigation import go
from ui.session import current_actor


def nothing_yet() -> None:
    box = empty_state(
        "No segments yet", "A segment keeps a group of customers under a name, by a rule that stays alive.", icon="groups_3"
    )
    if actor.can("segment", Action.CREATE) and box.button(
        "New segment", type="primary", icon=":material/add:", key="first_segment"
    ):
        go("segment")


actor = current_actor()
actions = header("Segments", "Groups of contacts, accounts and leads that campaigns and analyses use")
if actor.can("segment", Action.CREATE) and actions.button(
    "New segment", type="primary", icon=":material/add:", shortcut="n", key="new_segment"
):
    go("segment")

record_list("segment", quick=Quick("entity", "Of", SegmentOf.options()), on_empty=nothing_yet, bulk=False)
