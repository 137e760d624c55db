"""Recipes: each can be tried on the past and switched on with one click, once."""

import pytest
from sqlmodel import select

from crm_core.db import read_session, write_session
from crm_core.errors import NotPermitted
from crm_core.models import Automation, Task
from crm_core.services.automation import automations, flow_rules, recipes, replay
from crm_core.services.sales import deals
from crm_core.vocabulary import AutomationState
from tests.crm_core.services.automation.automating import all_of, work
from tests.verbs import do


def test_every_recipe_can_be_tried_and_switched_on_once(cast):
    root = cast["root"]
    for recipe in recipes.RECIPES:
        with read_session() as session:
            assert replay.run(session, root, recipe.flow).starts == 0
        for _ in range(2):
            with write_session() as session:
                recipes.switch_on(session, root, recipe.key)
    with read_session() as session:
        rows = list(session.execute(select(Automation)).scalars())
        assert len(rows) == len(recipes.RECIPES)
        assert {row.state for row in rows} == {AutomationState.ACTIVE}
        assert recipes.open_to(session, root) == []
        for row in rows:
            shown = automations.flow(session, root, row.id)
            assert flow_rules.when(shown, {}) and all(automations.describe(session, root, shown).values())
    with pytest.raises(NotPermitted), write_session() as session:
        recipes.switch_on(session, cast["alice"], "new_lead")


def test_a_deal_that_is_won_again_welcomes_its_customer_once(cast):
    alice = cast["alice"]
    with write_session() as session:
        recipes.switch_on(session, cast["root"], "won_deal")
    deal = do(deals.create, alice, {"name": "Twice won"})
    for again in (False, True):
        if again:
            do(deals.reopen, alice, deal.id)
        do(deals.win, alice, deal.id)
        work()
        assert [task.subject for task in all_of(Task)] == ["Welcome call", "Kick-off", "Ask how it goes"]
