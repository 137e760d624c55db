"""Segments as a list: for marketers and managers, to see which groups of customers have a name, and how many they may see of each."""

from collections.abc import Mapping

from crm_core.services.marketing import segment_insights
from crm_core.vocabulary import Action, SegmentOf
from ui import format as fmt
from ui.cache import cached
from ui.components.header import empty_state, header
from ui.components.record_list import Extra, Quick, record_list
from ui.navigation import go
from ui.session import current_actor

BEHIND = ("segment", "segment_member", "contact", "account", "lead")


def nothing_yet() -> None:
    may = actor.can("segment", Action.CREATE)
    text = "A segment keeps a group of customers under a name, by a rule that stays alive or as a list."
    box = empty_state("No segments yet", text if may else f"{text} Those that others share will stand here.", icon="groups_3")
    if may and box.button("New segment", type="primary", icon=":material/add:", key="first_segment"):
        go("segment")


def members(ids: list[int]) -> Mapping[int, str]:
    """How many members the person may see, per segment of the page."""
    sizes = cached(segment_insights.sizes, tuple(ids), entities=("segment", "contact", "account", "lead"), tables=BEHIND)
    return {segment_id: fmt.number(actor, sizes.get(segment_id, 0)) for segment_id in ids}


actor = current_actor()
actions = header("Segments", "Groups of contacts, accounts and leads that campaigns and analyses use")
if actor.can("segment", Action.CREATE) and actions.button(
    "New segment", type="primary", icon=":material/add:", shortcut="n", key="new_segment"
):
    go("segment")

record_list(
    "segment", quick=Quick("entity", "Of", SegmentOf.options()), on_empty=nothing_yet, bulk=False, extra=Extra("Members", members)
)
