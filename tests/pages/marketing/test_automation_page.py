"""The editor of automations."""

import pytest

from crm_core.db import read_session, write_session
from crm_core.jobs.run import begin
from crm_core.services.automation import automations, steps, upkeep
from crm_core.services.sales import leads, promotions
from crm_core.vocabulary import AutomationState
from tests.pages.app import open_screen, words
from tests.verbs import do
from ui.navigation import screen_of, screens_for

EVIL = "![x](http://e) <b>own</b> :red[y]"


def flow(*does, **more):
    return {"entity": "lead", "trigger": {"kind": "event", "events": ["lead.created"]}, "steps": list(does), **more}


TASK = {"id": "t", "kind": "task", "subject": "Call them", "who": "owner", "days": 1}


def saved(actor, name="Mine", **kwargs):
    with write_session() as session:
        return automations.save(session, actor, kwargs.pop("automation_id", None), name=name, **({"flow": flow(TASK)} | kwargs))


def kept(actor, automation_id):
    with read_session() as session:
        return automations.get(session, actor, automation_id), automations.flow(session, actor, automation_id)


def add(app, place, kind):
    """Put a step somewhere; gives its name, which its form bears."""
    before = names(app)
    app.button(key=f"au0_add_{place}").click().run()
    app.button(key=f"auto_kind_{kind}").click().run()
    assert not app.exception
    (new,) = names(app) - before
    return new


def names(app):
    return {button.key.removeprefix("au0_open_") for button in app.button if str(button.key).startswith("au0_open_")}


def test_an_automation_with_a_branch_and_a_wait_is_written_from_nothing(cast):
    dana = cast["dana"]
    app = open_screen(dana, "automations")
    assert any(button.key == "new_automation" for button in app.button)
    app = open_screen(dana, "automation")
    assert not app.exception and "Nothing is saved yet" in words(app) and "Add at least one step" in words(app)
    assert app.button(key="auto_on").disabled
    app.text_input(key="au0_name").set_value(EVIL).run()
    app.multiselect(key="au0_lead_events").set_value(["lead.created"]).run()
    wait = add(app, "end_", "wait")
    app.number_input(key=f"au0_{wait}_amount").set_value(3).run()
    branch = add(app, "end_", "branch")
    assert "Say what the branch asks for" in words(app), "the problem stands at its step"
    (leaf,) = [button for button in app.button if str(button.key).startswith("fadd_")][2:3] or [None]
    leaf.click().run()
    (field,) = [box for box in app.selectbox if str(box.key).startswith("ff_")]
    field.set_value("company").run()
    assert "unfinished" in words(app) and app.button(key="auto_save_button").disabled, "half a condition is not saved as none"
    (value,) = [box for box in app.text_input if str(box.key).startswith("fv_")]
    value.set_value("Acme").run()
    tell = add(app, f"yes_{branch}", "tell")
    assert "Fill in: What to say" in words(app)
    app.text_input(key=f"au0_{tell}_text").set_value("*Look*").run()
    task = add(app, f"no_{branch}", "task")
    app.text_input(key=f"au0_{task}_subject").set_value("Call").run()
    app.selectbox(key=f"au0_{task}_who").set_value(dana.user_id).run()
    shown = words(app)
    assert "If Company is Acme" in shown and "Otherwise" in shown and "Wait 3 days" in shown and "Before it can be" not in shown
    app.button(key="auto_try").click().run()
    assert not app.exception and "Nothing was changed." in words(app)
    app.menu_button(key=f"au0_menu_{wait}").click("copy").run()
    app.button(key="auto_undo").click().run()
    app.button(key="auto_save_button").click().run()
    assert not app.exception
    with read_session() as session:
        (row,) = [one.automation for one in automations.find(session, dana)]
    row, told = kept(dana, row.id)
    assert (row.name, row.current, row.state) == (EVIL, 1, AutomationState.DRAFT)
    assert [step["kind"] for step in told["steps"]] == ["wait", "branch"]
    assert (told["steps"][0]["amount"], told["steps"][1]["yes"][0]["text"]) == (3, "*Look*")
    assert told["steps"][1]["no"][0]["who"] == dana.user_id and told["steps"][1]["if"]["items"][0]["value"] == "Acme"
    app = open_screen(dana, "automation", id=row.id)
    assert not app.exception and app.title[0].value.replace("\\", "").replace("\u2060", "") == EVIL


def test_every_way_to_begin_can_be_chosen_from_lists(cast):
    dana = cast["dana"]
    row = saved(dana, flow={"entity": "deal", "steps": [TASK]})
    app = open_screen(dana, "automation", id=row.id)
    app.button_group(key="au0_kind").set_value("changed").run()
    app.multiselect(key="au0_deal_watched").set_value(["outcome", "amount_minor"]).run()
    app.multiselect(key="au0_outcome_to").set_value(["lost"]).run()
    assert "Changed: State to Lost, Amount" in words(app) or "Changed: Amount, State to Lost" in words(app)
    app.button_group(key="au0_kind").set_value("date").run()
    assert "Choose the date to count from" in words(app) and "Choose the field to watch" not in words(app), (
        "never the words of before"
    )
    app.selectbox(key="au0_deal_date").set_value("close_on").run() if "close_on" in app.selectbox(
        key="au0_deal_date"
    ).options else None
    app.selectbox(key="au0_deal_date").select_index(0).run()
    assert "Choose the date to count from" not in words(app), "what is mended is no longer said to be wrong"
    app.selectbox(key="au0_side").set_value("before").run()
    app.number_input(key="au0_days").set_value(60).run()
    assert "60 days before" in words(app)
    app.button_group(key="au0_kind").set_value("schedule").run()
    app.button_group(key="au0_every").set_value("week").run()
    app.selectbox(key="au0_weekday").set_value(4).run()
    app.selectbox(key="au0_hour").set_value(7).run()
    assert "Every Friday at 07:00" in words(app) and "Add a condition" in words(app)
    app.button_group(key="au0_kind").set_value("date").run()
    assert "60 days before" in words(app), "what was said about the other way is still there"
    app.button_group(key="au0_kind").set_value("manual").run()
    app.button(key="auto_save_button").click().run()
    assert not app.exception and kept(dana, row.id)[1]["trigger"] == {"kind": "manual"}


def test_each_kind_of_step_has_a_form_made_of_its_parameters(cast):
    root = cast["root"]
    for entity in ("deal", "contact"):
        offered = [kind for kind in steps.kinds().values() if not kind.entities or entity in kind.entities]
        does = [{"id": f"s{n}", "kind": kind.key} for n, kind in enumerate(offered)]
        row = saved(root, name=entity, flow={"entity": entity, "trigger": {"kind": "manual"}, "steps": does})
        app = open_screen(root, "automation", id=row.id)
        for n, kind in enumerate(offered):
            app.button(key=f"au0_open_s{n}").click().run()
            assert not app.exception, kind.key
        assert "Not saved" not in words(app) and "Changed, not saved" not in words(app), "looking changes nothing"
    app.button(key=f"au0_open_s{[kind.key for kind in offered].index('set')}").click().run()
    n = [kind.key for kind in offered].index("set")
    for field, value in (("city", "Rome"), ("birthday", None), ("owner_id", root.user_id)):
        app.selectbox(key=f"au0_s{n}_field").set_value(field).run()
        assert not app.exception, field
        widgets = [*app.text_input, *app.selectbox, *app.date_input]
        (box,) = [one for one in widgets if one.key == f"au0_s{n}_value_{field}"]
        if value is not None:
            box.set_value(value).run()
    assert "Set Owner to" in words(app) and not app.exception


def test_what_is_typed_outlives_a_reload_and_a_colleague_who_saves_first(cast):
    dana, bob = cast["dana"], cast["bob"]
    row = saved(dana)
    app = open_screen(dana, "automation", id=row.id)
    app.text_input(key="au0_name").set_value("My words").run()
    app = open_screen(dana, "automation", id=row.id)
    assert app.text_input(key="au0_name").value == "My words", "a new session, as after a reload"
    with write_session() as session:
        automations.activate(session, bob, row.id)
    saved(bob, automation_id=row.id, flow=flow(TASK, {**TASK, "id": "u", "subject": "Bob's"}))
    app.run()
    shown = words(app)
    assert "saved version 2" in shown and "Bob's" in shown and app.text_input(key="au0_name").value == "My words"
    assert "fits beside it" in shown
    app.button(key=f"automation_{row.id}_parts_save").click().run()
    row, told = kept(dana, row.id)
    assert (row.name, row.current, len(told["steps"])) == ("My words", 2, 2), "my name, and the steps of the other one"
    app = open_screen(dana, "automation", id=row.id)
    assert "Saved" in words(app)
    app.text_input(key="au0_name").set_value("").run()
    app.button(key="auto_save_button").click().run()
    assert "Give the automation a name" in words(app) and kept(dana, row.id)[0].name == "My words"
    app.text_input(key="au0_name").set_value("Other words").run()
    assert "Give the automation a name" not in words(app), "what was missing is there"
    app.button(key="auto_discard_yes").click().run()
    assert app.text_input(key="au1_name").value == "My words"


def test_the_first_words_outlive_a_colleague_who_saved_before_they_were_typed(cast):
    dana, bob = cast["dana"], cast["bob"]
    row = saved(dana)
    app = open_screen(dana, "automation", id=row.id)
    saved(bob, automation_id=row.id, flow=flow({**TASK, "subject": "Bob's"}))
    app.text_input(key="au0_name").set_value("My words").run()
    assert app.text_input(key="au0_name").value == "My words" and "saved version 2" in words(app), (
        "the page did not know of his yet"
    )
    app.button(key=f"automation_{row.id}_parts_save").click().run()
    row, told = kept(dana, row.id)
    assert (row.name, row.current, told["steps"][0]["subject"]) == ("My words", 2, "Bob's") and not app.exception


def test_a_page_on_which_nothing_was_typed_follows_a_colleague(cast):
    dana, bob = cast["dana"], cast["bob"]
    row = saved(dana)
    app = open_screen(dana, "automation", id=row.id)
    saved(bob, automation_id=row.id, name="Bob's name", flow=flow({**TASK, "subject": "Bob's"}))
    app.run()
    shown = words(app)
    assert "Version 2" in shown and "Bob's" in shown and "while you were writing" not in shown and not app.exception
    assert app.text_input(key="au1_name").value == "Bob's name"


def test_whoever_changes_what_acts_for_a_colleague_is_told_before_and_the_history_tells_it_after(cast):
    dana, bob = cast["dana"], cast["bob"]
    row = saved(dana)
    do(automations.activate, dana, row.id)
    app = open_screen(bob, "automation", id=row.id)
    assert "From then on it acts with yours" not in words(app), "looking changes nothing"
    app.text_input(key="au0_name").set_value("Ours").run()
    assert "It acts with the rights of Dana Marketer. From then on it acts with yours." in words(app)
    app.button(key="auto_save_button").click().run()
    assert kept(dana, row.id)[0].owner_id == bob.user_id and not app.exception
    with read_session() as session:
        assert [one[1:] for one in automations.taken_over(session, dana, row.id)] == [("Bob Manager", "Dana Marketer")]
    app = open_screen(dana, "automation", id=row.id)
    app.session_state[f"auto_tab_{row.id}"] = "Versions"
    app.run()
    assert "acts with the rights of Bob Manager from then on, until then of Dana Marketer" in words(app) and not app.exception
    app.text_input(key="au0_name").set_value("Mine again").run()
    app.button(key="auto_save_button").click().run()
    saved(dana, automation_id=row.id, name="Still mine")
    with read_session() as session:
        assert len(automations.taken_over(session, dana, row.id)) == 2, "one's own is not taken over"


def test_steps_that_two_people_change_are_asked_about_as_a_whole_and_a_name_of_another_is_kept(cast):
    dana, bob = cast["dana"], cast["bob"]
    row = saved(dana)
    app = open_screen(dana, "automation", id=row.id)
    app.session_state["_automation_drafts"][str(row.id)].flow["steps"][0]["subject"] = "Mine to do"
    app.run()
    saved(bob, automation_id=row.id, name="Bob's name", flow=flow({**TASK, "subject": "Bob's to do"}))
    app.run()
    shown = words(app)
    assert "Choose what stays" in shown and "Mine to do" in shown and "Bob's to do" in shown
    app.button(key=f"automation_{row.id}_parts_save").click().run()
    row, told = kept(dana, row.id)
    assert (row.name, row.current, told["steps"][0]["subject"]) == ("Bob's name", 3, "Mine to do") and not app.exception

    app = open_screen(dana, "automation", id=row.id)
    app.session_state["_automation_drafts"][str(row.id)].flow["steps"][0]["subject"] = "Again"
    app.run()
    saved(bob, automation_id=row.id, name="Another name", flow=told)  # the same version, only called otherwise
    app.run()
    assert "fits beside it" in words(app)
    app.button(key=f"automation_{row.id}_parts_save").click().run()
    row, told = kept(dana, row.id)
    assert (row.name, told["steps"][0]["subject"]) == ("Another name", "Again") and not app.exception


def test_a_choice_and_a_number_of_a_step_that_two_people_change_are_told_apart_in_the_question(cast):
    dana, bob = cast["dana"], cast["bob"]
    spring = do(promotions.create, cast["root"], {"name": "Spring", "code": "SPR", "percent_off": 5, "state": "running"}).id
    letter = {"id": "m", "kind": "mail", "purpose": "service", "subject": "For you", "body": "Hello"}
    row = saved(dana, flow=flow(letter, TASK))
    app = open_screen(dana, "automation", id=row.id)
    mine = app.session_state["_automation_drafts"][str(row.id)].flow["steps"]
    mine[0]["promotion"], mine[1]["priority"] = spring, "high"
    app.run()
    saved(bob, automation_id=row.id, flow=flow(letter, {**TASK, "days": 5}))
    app.run()
    shown = words(app)
    assert not app.exception and "Choose what stays" in shown
    assert "Send the e-mail “For you” with a code of Spring" in shown and "Priority: High" in shown and "due in 5 days" in shown


def test_what_was_typed_is_still_there_when_a_colleague_removes_the_automation(cast):
    dana = cast["dana"]
    row = saved(dana)
    app = open_screen(dana, "automation", id=row.id)
    app.text_input(key="au0_name").set_value("My words").run()
    with write_session() as session:
        automations.remove(session, cast["bob"], row.id)
    app.run()
    assert not app.exception and "save it as a new one" in words(app)
    app.button(key="auto_save_button").click().run()
    with read_session() as session:
        (kept_one,) = [one.automation for one in automations.find(session, dana)]
    assert (kept_one.name, kept_one.id != row.id) == ("My words", True)
    assert "no longer exists" in words(open_screen(dana, "automation", id=row.id))


def test_versions_runs_and_a_pause_that_needs_a_look(cast):
    dana = cast["dana"]
    row = saved(dana)
    saved(dana, automation_id=row.id, flow=flow({"id": "e", "kind": "end"}))
    app = open_screen(dana, "automation", id=row.id)
    app.session_state[f"auto_tab_{row.id}"] = "Versions"
    app.session_state[f"auto_version_{row.id}_1"] = True
    app.run()
    assert not app.exception and "Call them" in words(app)
    app.button(key="auto_back_1").click().run()
    assert not app.exception and "Changed, not saved" in words(app) and "Call them" in words(app)
    app.button(key="auto_save_button").click().run()
    assert kept(dana, row.id)[0].current == 3
    app = open_screen(dana, "automation", id=row.id)
    app.button(key="auto_on").click().run()
    assert not app.exception and "It acts with your rights" in words(app)
    with write_session() as session:
        automations.activate(session, dana, row.id)
        automations.save(session, dana, row.id, name="Mine", flow=flow(TASK), hourly_cap=1)
    with write_session() as session:
        for name in ("Ada", EVIL):
            leads.create(session, dana, {"name": name})
    upkeep.work(begin("automation.work:test", "automation.work"))
    app = open_screen(dana, "automation", id=row.id)
    assert "Needs a look" in words(app) and "raise the limit" in words(app)
    app.session_state[f"auto_tab_{row.id}"] = "Runs"
    app.run()
    assert not app.exception and "version 3" in words(app)
    assert "Ada" in {link.proto.label for link in app.get("page_link")}


@pytest.mark.parametrize("who", ["alice", "ana"])
def test_those_who_only_read_see_what_it_does_and_no_inputs(cast, who):
    row = saved(cast["dana"], name=EVIL)
    assert screen_of("automation") in screens_for(cast[who])
    app = open_screen(cast[who], "automation", id=row.id)
    assert not app.exception and "Create the task “Call them”" in words(app) and EVIL in words(app)
    assert not app.text_input and not any(str(button.key).startswith(("au", "auto_")) for button in app.button)
    assert "writes no automations" in words(open_screen(cast[who], "automation"))


def test_a_draft_on_the_list_shows_its_past_before_it_is_switched_on(cast):
    dana = cast["dana"]
    good, bad = saved(dana), saved(dana, name="Unfinished", flow=flow())
    app = open_screen(dana, "automations")
    app.button(key=f"on_{good.id}").click().run()
    assert not app.exception and "would not have started once" in words(app) and "It acts with your rights" in words(app)
    app = open_screen(dana, "automations")
    app.button(key=f"on_{bad.id}").click().run()
    assert not app.exception and "Add at least one step" in words(app)
    assert kept(dana, good.id)[0].state is AutomationState.DRAFT


def test_a_recipe_and_a_copy_are_beginnings(cast):
    dana = cast["dana"]
    app = open_screen(dana, "automation", recipe="new_lead")
    assert not app.exception and app.text_input(key="au0_name").value == "Call new leads today"
    app.button(key="auto_save_button").click().run()
    with read_session() as session:
        (row,) = [one.automation for one in automations.find(session, dana)]
    assert row.recipe == "new_lead"
    app = open_screen(dana, "automation", copy=row.id)
    assert not app.exception and app.text_input(key="au0_name").value == "Call new leads today (copy)"
    assert "no longer exists" in words(open_screen(dana, "automation", copy=99_999))
