"""Automations in words: what two states of one are told apart by."""

from crm_core.services.automation.automations import Story
from ui.components.automation_words import to_compare


def test_a_nought_that_was_chosen_is_told_where_another_number_is_usual():
    offer = {"id": "o", "kind": "offer", "text": "Ten percent", "budget": 0}
    for days, told in ((0, ["  Not again within days: 0"]), (90, []), (None, [])):
        lines = list(to_compare(Story({}, "", {"o": "Offer “Ten percent”"}), [{**offer, "rest_days": days}]))
        assert lines == ["Offer “Ten percent”", *told]
