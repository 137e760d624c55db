"""The page of assignment for each role and on an empty database, its dialogs, what waits, and why a record is where it is."""

from crm_core.access import system
from crm_core.services.helpdesk import tickets
from crm_core.services.routing import assign, people, queues, rules
from crm_core.vocabulary import RouteMethod
from tests.pages.app import open_screen, words
from tests.verbs import do
from ui.navigation import screen_of, screens_for


def rule(cast, name="First *line*", **more):
    given = {"method": RouteMethod.CAPABLE, "people": [(cast["sam"].user_id, 1)], **more}
    return do(rules.save, cast["root"], None, name=name, entity="ticket", **given)


def test_an_empty_page_says_what_to_do_and_every_dialog_opens(cast):
    for tab, text in (
        ("Rules", "No assignment rules yet"),
        ("People", "Alice Rep"),
        ("Waiting", "Nothing waits"),
        ("Decisions", "Nothing was decided yet"),
    ):
        app = open_screen(cast["root"], "assignment", tab=tab)
        assert not app.exception and text in words(app), tab
    made = rule(cast, filter={"field": "category", "cmp": "eq", "value": "Billing"})
    queue = do(queues.save, cast["root"], None, name="Desk", max_wait_minutes=30)
    for tab, key in (
        ("Rules", "new_rule"), ("Rules", f"edit_{made.id}"), ("Waiting", "new_queue"), ("Waiting", f"q_edit_{queue.id}"),
        ("People", f"ap_edit_{cast['sam'].user_id}"), ("People", f"ap_away_{cast['sam'].user_id}"),
    ):  # fmt: skip
        app = open_screen(cast["root"], "assignment", tab=tab)
        app.button(key=key).click().run()
        assert not app.exception, key


def test_what_was_decided_is_told_on_the_record_and_in_the_log_and_what_waits_can_be_taken(cast):
    made = rule(cast)
    given, waits = (do(tickets.create, cast["root"], {"subject": f"T{n}", "owner_id": None}).id for n in (1, 2))
    do(assign.route, system(), "ticket", given)
    do(people.save, cast["root"], cast["sam"].user_id, takes_work=True, skills={}, capacity={"ticket": 1}, calendar_id=None)
    do(assign.route, system(), "ticket", waits)
    app = open_screen(cast["sam"], "ticket", id=given)
    assert not app.exception and "Why me?" in words(app) and "First *line*" in words(app)
    app.button(key="why_all").click().run()
    assert not app.exception
    app = open_screen(cast["sam"], "tickets")
    assert not app.exception
    app = open_screen(cast["sam"], "waiting")
    assert "1 record waits" in words(app)
    app.button(key=f"take_ticket_{waits}").click().run()
    assert not app.exception and "Nothing waits" in words(app)
    app = open_screen(cast["root"], "assignment", tab="Decisions")
    assert not app.exception and len(app.expander) == 3
    app = open_screen(cast["root"], "assignment")
    app.button(key=f"switch_{made.id}").click().run()
    assert "Switched off" in words(app)
    app.button(key=f"remove_{made.id}").click().run()
    assert "No assignment rules yet" in words(app)


def test_who_finds_the_page_and_what_a_manager_sees_of_it(cast):
    seen = {who for who, actor in cast.items() if screen_of("assignment") in screens_for(actor)}
    assert seen == {"root", "bob"}
    assert {who for who, actor in cast.items() if screen_of("waiting") in screens_for(actor)} == {
        "root",
        "bob",
        "alice",
        "charlie",
        "dana",
        "sam",
    }
    made = rule(cast)
    app = open_screen(cast["bob"], "assignment")
    assert not app.exception and not any(button.key in ("new_rule", f"edit_{made.id}") for button in app.button)
    app = open_screen(cast["bob"], "assignment", tab="People")
    assert "Alice Rep" in words(app) and "Charlie Rep" not in words(app)
