"""The page of automations."""

from crm_core.db import write_session
from crm_core.jobs.run import begin
from crm_core.services.automation import automations, recipes, upkeep
from crm_core.services.sales import leads
from crm_core.vocabulary import AutomationState
from tests.pages.app import open_screen, words
from ui.navigation import screen_of, screens_for


def test_a_recipe_is_tried_switched_on_seen_at_work_and_removed(cast):
    dana = cast["dana"]
    app = open_screen(dana, "automations")
    assert not app.exception and "Call new leads today" in words(app)
    app.button(key="try_new_lead").click().run()
    assert not app.exception and "Nothing was changed." in words(app)
    with write_session() as session:
        row = recipes.switch_on(session, dana, "new_lead")
    with write_session() as session:
        leads.create(session, dana, {"name": "Gr<b>ace</b> [x](http://y)"})
    upkeep.work(begin("automation.work:test", "automation.work"))
    app = open_screen(dana, "automations")
    shown = words(app)
    assert "A lead is created" in shown and "Call the new lead" in shown and "1 run in 30 days" in shown
    app.button(key=f"runs_{row.id}").click().run()
    assert not app.exception and any("Gr" in link.proto.label for link in app.get("page_link"))
    app = open_screen(dana, "automations")
    app.button(key=f"pause_{row.id}").click().run()
    assert not app.exception and "by Dana Marketer" in words(app)
    app.button(key=f"remove_yes_{row.id}").click().run()
    assert not app.exception and "try_new_lead" in {button.key for button in app.button}


def test_those_who_only_read_see_what_runs_and_no_buttons(cast):
    with write_session() as session:
        row = recipes.switch_on(session, cast["bob"], "won_deal")
        assert row.state is AutomationState.ACTIVE
    for who in ("alice", "sam", "ana"):
        assert screen_of("automations") in screens_for(cast[who])
        app = open_screen(cast[who], "automations")
        assert not app.exception and "A deal is won" in words(app)
        assert {button.key for button in app.button if button.key and f"_{row.id}" in button.key} == {f"runs_{row.id}"}
    with write_session() as session:
        automations.pause(session, cast["bob"], row.id)
        automations.remove(session, cast["bob"], row.id)
    assert "No automations yet" in words(open_screen(cast["alice"], "automations"))
