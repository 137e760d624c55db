"""Forms that two people save, drawn as they are: what both changed is asked, what only one changed is kept, and nothing typed is lost."""

from datetime import UTC, datetime
from functools import partial

import pytest
import streamlit as st
from sqlmodel import select

from crm_core.db import write_session
from crm_core.errors import Conflict, NotFound
from crm_core.kit import clock
from crm_core.models import Role, RolePermission, User
from crm_core.services import bulk, crud
from crm_core.services.admin import custom_fields, organisation, pick_lists, pipelines, retention, roles, teams, users
from crm_core.services.feedback import surveys
from crm_core.services.helpdesk import help_centre
from crm_core.services.marketing import plans, segments, templates
from crm_core.services.sales import deals, leads, promotions
from crm_core.services.telephony import dial_lists, menus
from crm_core.vocabulary import Action, CommitteeRole, GateStrictness, Priority, Scope, StageKind, Via
from tests.crm_core.services.marketing.outreach import campaign, people
from tests.pages.app import draw_alone, open_screen, words
from tests.verbs import do, look
from ui.actions import load
from ui.components import (
    article_cards,
    bulk_bar,
    campaign_plan,
    deal_committee,
    deal_dialogs,
    dial_dialogs,
    entity_form,
    field_dialogs,
    letter_desk,
    letter_merge,
    people_dialogs,
    promotion_cards,
    record_page,
    rule_draft,
    rule_editor,
    segment_dialogs,
    segment_workbench,
    stage_gates,
    survey_dialogs,
    voice_dialogs,
)
from ui.components.filter_inputs import bare
from ui.components.parts_clash import merged


@pytest.fixture(autouse=True)
def whole_runs(monkeypatch):
    """A dialog that is drawn alone is drawn anew with the script around it."""
    again = st.rerun
    monkeypatch.setattr(st, "rerun", lambda scope="app": again())


@pytest.fixture
def root(cast):
    """The administrator, who has been here: rights are changed only while one can come in."""
    with write_session() as session:
        session.get(User, cast["root"].user_id).last_seen_at = clock.utcnow()
    return cast["root"]


def picked(app, name, part, whose):
    """Answer the question of one part."""
    app.radio(key=f"{name}_parts_{part}").set_value(whose)


def test_a_person_whom_two_change_keeps_the_roles_that_the_other_one_gave(root, cast):
    sam = cast["sam"].user_id
    seen = look(users.one, root, sam)
    more = next(row.id for row in look(roles.find, root) if row.id not in seen["role_ids"] and row.key != "admin")
    do(users.set_roles, root, sam, [*seen["role_ids"], more])
    do(users.update, root, sam, {"name": "Sam the Second"})
    with pytest.raises(Conflict) as refused:
        do(users.save, root, sam, {"name": "Sam"}, role_ids=seen["role_ids"], base_version=seen["version"])
    assert refused.value.details["rows"] == [look(users.one, root, sam)]

    app = draw_alone(root, people_dialogs._person_form, seen)
    name = f"person_{sam}_{seen['version']}"
    app.text_input(key=f"{name}_email").set_value("sam.new@example.com")
    app.button(key=f"{name}_save").click().run()
    now = look(users.one, root, sam)
    assert not app.exception
    assert (now["name"], now["email"]) == ("Sam the Second", "sam.new@example.com")
    assert set(now["role_ids"]) == {*seen["role_ids"], more}


def test_a_change_of_roles_alone_makes_an_older_form_ask(root, cast):
    sam = cast["sam"].user_id
    seen = look(users.one, root, sam)
    other = next(row.id for row in look(roles.find, root) if row.id not in seen["role_ids"] and row.key == "sales_rep")
    do(users.set_roles, root, sam, [other])
    app = draw_alone(root, people_dialogs._person_form, seen)
    name = f"person_{sam}_{seen['version']}"
    third = next(row.id for row in look(roles.find, root) if row.id not in {*seen["role_ids"], other} and row.key != "admin")
    app.multiselect(key=f"{name}_roles").set_value([third])
    app.text_input(key=f"{name}_name").set_value("Sam Typed")
    app.button(key=f"{name}_save").click().run()
    assert look(users.one, root, sam)["role_ids"] == [other], "nothing is saved before the answer"
    assert "Roles" in words(app) and app.text_input(key=f"{name}_name").value == "Sam Typed"
    picked(app, name, "role_ids", "theirs")
    app.button(key=f"{name}_parts_save").click().run()
    now = look(users.one, root, sam)
    assert (now["name"], now["role_ids"]) == ("Sam Typed", [other])


def test_a_team_that_two_change_is_merged_or_asked(root):
    do(teams.create, root, name="Nordic", office="Oslo")
    seen = next(row for row in look(teams.find, root) if row.name == "Nordic")
    do(teams.update, root, seen.id, name="Far North", office="Oslo")
    app, key = draw_alone(root, people_dialogs.team_dialog, seen), f"team_{seen.id}_{seen.version}"
    app.text_input(key=f"{key}_office").set_value("Tromsø")
    app.button(key=f"{key}_save").click().run()
    now = next(row for row in look(teams.find, root) if row.id == seen.id)
    assert not app.exception and (now.name, now.office) == ("Far North", "Tromsø")

    app.text_input(key=f"{key}_name").set_value("Mine")
    app.button(key=f"{key}_save").click().run()
    assert "Far North" in str(app.radio(key=f"{key}_parts_name").options)
    app.button(key=f"{key}_parts_save").click().run()
    assert next(row for row in look(teams.find, root) if row.id == seen.id).name == "Mine"


def test_a_letter_template_is_merged_and_its_text_is_asked_as_one_part(root):
    given = {"name": "Thanks", "about": "", "use": "marketing", "subject": "Thank you", "body": "Hello\n\nThanks.", "shared": True}
    row = do(templates.save, root, None, given)
    app = draw_alone(root, lambda: letter_desk.desk(load(templates.get, row.id), disabled=False))
    name = f"tpl_{row.id}_{row.version}_0"
    app.text_input(key=f"{name}_name").set_value("Mine").run()
    do(templates.save, root, row.id, {**given, "subject": "Many thanks", "body": "Hello\n\nMany thanks."})
    app.text_area(key=f"{name}_body").set_value("Good day\n\nThanks.")
    app.button(key="template_save").click().run()
    said = words(app)
    assert not app.exception and "Choose what stays" in said
    assert ":orange-background[Good day]" in said and ":orange-background[Many thanks" in said
    stands = look(templates.get, root, row.id)
    assert (stands.name, stands.body) == ("Thanks", "Hello\n\nMany thanks."), "nothing is saved before the answer"
    assert app.text_area(key=f"{name}_body").value == "Good day\n\nThanks."
    app.button(key=f"template_{row.id}_parts_save").click().run()
    stands = look(templates.get, root, row.id)
    assert (stands.name, stands.subject, stands.body) == ("Mine", "Many thanks", "Good day\n\nThanks.")
    assert "Not saved yet" not in words(app) and not app.exception


def test_the_letter_of_a_campaign_merges_its_wordings(root, cast):
    dana = cast["dana"]
    made = campaign(dana, people(1), subject="Old", body="Hello")
    app = open_screen(dana, "campaign", id=made)
    app.session_state[f"tabs_{made}"] = "Letter"
    app.run()
    name = f"letter_{made}_1_0_0"
    app.text_input(key=f"{name}_subject").set_value("Mine").run()
    do(plans.set_variants, root, made, [{"subject": "Old", "body": "Theirs"}])
    app.button(key="letter_save").click().run()
    assert [(one.subject, one.body) for one in look(plans.variants, dana, made)] == [("Mine", "Theirs")]

    app.text_area[0].set_value("Mine too").run()
    do(plans.set_variants, root, made, [{"subject": "Mine", "body": "Theirs"}, {"subject": "B", "body": "Another"}])
    app.button(key="letter_save").click().run()
    said = words(app)
    assert "Choose what stays" in said and "Another" in said, "the number of wordings changed: the letter is one whole"
    assert len(look(plans.variants, dana, made)) == 2
    app.radio(key=f"letter_{made}_parts_letter").set_value("theirs")
    app.button(key=f"letter_{made}_parts_save").click().run()
    assert [(one.subject, one.body) for one in look(plans.variants, dana, made)] == [("Mine", "Theirs"), ("B", "Another")]
    assert not app.exception


def test_wordings_that_one_leaves_out_and_another_edits_are_asked_about():
    typed = [{"subject": "A", "body": "a", "weight": 1, "drop": True, "template_id": 7}, {"subject": "B", "body": "b", "weight": 2}]
    mine, seen, theirs = letter_merge.each(typed), letter_merge.each([{**typed[0], "drop": False}, typed[1]]), {}
    theirs = {**seen, "0_body": "changed"}
    values, both = merged(seen, theirs, mine)
    assert both == ["0_body"]
    assert letter_merge.letter(values, typed, []) == [{"subject": "B", "body": "b", "weight": 2, "template_id": None}]
    base = [{"subject": "A", "body": "changed", "weight": 1, "template_id": 8}, typed[1]]
    kept = letter_merge.letter({**values, "0_body": "changed"}, typed, base)
    assert kept[0] == {"subject": "A", "body": "changed", "weight": 1, "template_id": 8} and len(kept) == 2


def test_the_same_choice_of_a_plan_made_twice_is_asked(root, cast):
    dana = cast["dana"]
    made = campaign(dana, people(1), subject="Old", body="Hello", holdout_pct=10)
    app = open_screen(dana, "campaign", id=made)
    plan = look(plans.get, dana, made)
    key = f"plan_{made}_holdout_pct_{plan.version}_0"
    do(plans.save, root, made, {"holdout_pct": 30, "goal": "deal"})
    app.slider(key=key).set_value(20).run()
    assert look(plans.get, dana, made).holdout_pct == 30 and "Choose what stays" in words(app)
    app.button(key=f"plan_{made}_parts_save").click().run()
    plan = look(plans.get, dana, made)
    assert (plan.holdout_pct, plan.goal) == (20, "deal") and "Choose what stays" not in words(app)
    do(plans.save, root, made, {"window_days": 9})
    app.slider[0].set_value(25).run()
    plan = look(plans.get, dana, made)
    assert (plan.holdout_pct, plan.window_days) == (25, 9) and not app.exception


def test_quick_choices_of_one_person_are_no_clash_and_keep_their_widgets(root, cast):
    dana = cast["dana"]
    made = campaign(dana, people(1), subject="Old", body="Hello", holdout_pct=10)
    app = draw_alone(
        dana, _held_out, made, look(plans.get, dana, made)
    )  # each choice is made in the first drawing, as its run is cut short
    app.slider(key="held").set_value(15).run()
    app.slider(key="held").set_value(20).run()
    assert look(plans.get, dana, made).holdout_pct == 20 and "Choose what stays" not in words(app)
    do(plans.save, root, made, {"holdout_pct": 40})
    app.slider(key="held").set_value(25).run()
    assert look(plans.get, dana, made).holdout_pct == 40 and "Choose what stays" in words(app) and not app.exception

    page = open_screen(dana, "campaign", id=made)
    key = f"plan_{made}_holdout_pct_{look(plans.get, dana, made).version}_0"
    for value in (30, 35):
        page.slider(key=key).set_value(value).run()
        assert look(plans.get, dana, made).holdout_pct == page.slider(key=key).value == value
    do(plans.save, root, made, {"holdout_pct": 5})
    assert {one.value for one in page.run().slider} == {5}


def _held_out(campaign_id, plan):
    campaign_plan.question(campaign_id)
    key = "held"
    st.slider("Hold-out", 0, 50, 10, key=key, on_change=campaign_plan.choose, args=(campaign_id, "holdout_pct", key, plan))


def test_what_a_stage_asks_for_is_merged(root):
    condition = {"field": "next_step", "cmp": "not_empty"}
    stage = next(one for row in look(pipelines.find, root) for one in row.stages if one.kind is StageKind.OPEN)
    do(pipelines.set_gate, root, stage.id, condition, message="Write the next step.")
    seen = next(one for row in look(pipelines.find, root) for one in row.stages if one.id == stage.id)
    do(pipelines.set_gate, root, stage.id, condition, message="Theirs.")
    app, tag = draw_alone(root, stage_gates.gate_dialog, [seen]), f"{seen.id}_{seen.version}"
    app.radio(key=f"gate_strict_{tag}").set_value(GateStrictness.WARN)
    app.text_area(key=f"gate_message_{tag}").set_value("Mine.")
    app.button(key=f"gate_save_{tag}").click().run()
    assert "Choose what stays" in words(app) and not app.exception
    picked(app, f"gate_{tag}", "message", "theirs")
    app.button(key=f"gate_{tag}_parts_save").click().run()
    now = next(one for row in look(pipelines.find, root) for one in row.stages if one.id == stage.id)
    assert (now.gate_message, now.gate_strictness, bare(now.gate)) == ("Theirs.", GateStrictness.WARN, condition)


def test_a_custom_field_is_merged(root):
    made = do(custom_fields.create, root, "lead", label="Colour", kind="choice", options=["Red", "Blue"])
    seen = look(custom_fields.get, root, made.id)
    do(custom_fields.update, root, made.id, {"help": "As on the box", "options": ["Red", "Green"]})
    app = draw_alone(root, field_dialogs.edit_field, seen, [made.id])
    app.text_input(key="field_label").set_value("Paint")
    app.text_area(key="field_options").set_value("Red\nBlack")
    app.button(key="field_save").click().run()
    assert "Red, Green" in str(app.radio[0].options) and app.text_area(key="field_options").value == "Red\nBlack"
    app.button(key=f"field_{made.id}_{seen.version}_parts_save").click().run()
    now = look(custom_fields.get, root, made.id)
    assert (now.label, now.options, now.help) == ("Paint", ["Red", "Black"], "As on the box") and not app.exception


def test_a_segment_is_merged_and_its_rule_outlives_what_others_save(root):
    by = {"field": "name", "cmp": "not_empty"}
    made = do(segments.create, root, name="Named", entity="contact", kind="live", rule=by)
    seen = look(segments.get, root, made)
    do(segments.update, root, made, description="Theirs")
    app = draw_alone(root, segment_dialogs.change, seen)
    app.text_input[0].set_value("Mine")
    app.text_area[0].set_value("Mine too")
    app.button(key="change_yes").click().run()
    assert "Choose what stays" in words(app)
    app.radio(key=f"segment_{made}_{seen.version}_parts_description").set_value("theirs")
    app.button(key=f"segment_{made}_{seen.version}_parts_save").click().run()
    now = look(segments.get, root, made)
    assert (now.name, now.description) == ("Mine", "Theirs") and not app.exception

    def edit(of):
        shown = load(segments.get, of)
        segment_workbench.begin(shown)
        st.text(str(rule_editor.current()[0]))
        segment_workbench._save_bar(shown, st.session_state.get("typed") or rule_editor.current()[0])

    app = draw_alone(root, edit, made)
    app.session_state["_rule"]["root"] = rule_draft.draft_of(
        {"field": "phone", "cmp": "not_empty"}, app.session_state["_rule"]["numbers"]
    )
    do(segments.update, root, made, rule={"field": "email", "cmp": "not_empty"})
    app.run()
    assert "phone" in app.text[0].value, "what was typed stays"
    app.button(key="save_rule").click().run()
    said = words(app)
    assert "Choose what stays" in said and look(segments.get, root, made).rule["field"] == "email"
    app.button(key=f"segment_rule_{made}_parts_save").click().run()
    assert look(segments.get, root, made).rule["field"] == "phone" and not app.exception


def test_a_survey_is_merged_and_its_questions_are_one_part(root):
    first, second = ({"label": text, "kind": "text"} for text in ("What else?", "And then?"))
    seen = do(surveys.save, root, None, {"name": "After support", "base_url": "https://crm.example.com"})
    do(surveys.save, root, seen.id, {"questions": [first], "thanks": "Thank you!", "base_url": "https://crm.example.com"})
    app, tag = draw_alone(root, survey_dialogs.survey_dialog, seen), f"{seen.id}_{seen.version}"
    app.session_state[f"_sv_questions_{tag}"].append({**second, "n": 0})
    app.number_input(key=f"sv_exp_{tag}").set_value(50)
    app.button(key=f"sv_save_{tag}").click().run()
    said = words(app)
    assert not app.exception and "Further questions" in said and "What else?" in said and "And then?" in said
    app.radio(key=f"survey_{tag}_parts_questions").set_value("theirs")
    app.button(key=f"survey_{tag}_parts_save").click().run()
    now = look(surveys.get, root, seen.id)
    assert ([one["label"] for one in now.questions], now.thanks, now.expires_days) == (["What else?"], "Thank you!", 50)

    long = "Thank you for your time, which is more than we could ask for. " * 3
    do(surveys.save, root, seen.id, {"thanks": "Theirs", "mail_subject": "Their subject"})
    app, tag = draw_alone(root, survey_dialogs.survey_dialog, now), f"{seen.id}_{now.version}"
    app.text_input(key=f"sv_t_{tag}").set_value(long)
    app.text_input(key=f"sv_s_{tag}").set_value("My subject")
    app.button(key=f"sv_save_{tag}").click().run()
    shown = {part: app.radio(key=f"survey_{tag}_parts_{part}").options for part in ("thanks", "mail_subject")}
    assert shown["thanks"] == ["Mine", "Theirs", "Before"] and long.strip() in words(app), "long words stand beside each other"
    assert shown["mail_subject"][0] == "Mine: My subject"


def test_a_telephone_menu_and_its_steps_are_merged(root):
    seen = do(menus.save, root, None, {"name": "Main", "language": "en-US"})
    do(menus.save, root, seen.id, {"number": "+49 30 123456", "token": "kept"})
    app, tag = draw_alone(root, voice_dialogs.settings_dialog, seen), f"{seen.id}_{seen.version}"
    app.text_input(key=f"vm_name_{tag}").set_value("Front desk")
    app.button(key=f"vm_save_{tag}").click().run()
    now = look(menus.get, root, seen.id)
    assert (now.name, now.number, bool(now.token_sealed)) == ("Front desk", "+49 30 123456", True) and not app.exception

    start = now.flow["start"]
    app, tag = draw_alone(root, voice_dialogs.menu_dialog, seen.id), f"{seen.id}_{start}_{now.version}"
    app.text_area(key=f"vn_prompt_{tag}").set_value("Mine to say.").run()
    do(menus.set_node, root, seen.id, "n9", {"kind": "say", "title": "Theirs", "prompt": "Hi"})
    app.run()
    assert app.text_area(key=f"vn_prompt_{tag}").value == "Mine to say."
    do(menus.set_node, root, seen.id, start, {**now.flow["nodes"][start], "prompt": "Theirs to say."})
    app.button(key=f"vn_save_{tag}").click().run()
    assert "Theirs to say." in words(app) and not app.exception
    app.button(key=f"step_{seen.id}_{start}_parts_save").click().run()
    nodes = look(menus.get, root, seen.id).flow["nodes"]
    assert nodes[start]["prompt"] == "Mine to say." and "n9" in nodes and not app.exception


def test_the_help_centre_the_settings_and_the_rules_of_the_trail_are_merged(root):
    seen = look(help_centre.get, root)
    do(help_centre.save, root, {"title": "Answers"})
    app = draw_alone(root, article_cards.centre_dialog, root, seen)
    app.text_area(key=f"hc_intro_{seen.version}").set_value("Ask away.")
    app.button(key="hc_save").click().run()
    now = look(help_centre.get, root)
    assert (now.title, now.intro) == ("Answers", "Ask away.") and not app.exception

    app = open_screen(root, "settings")
    tag = f"{look(organisation.get, root).version}_0"
    app.text_input(key=f"name_{tag}").set_value("Mine").run()
    do(organisation.update, root, {"name": "Theirs", "tax_rate_pct": 19.0})
    app.button(key="save_settings").click().run()
    assert "Choose what stays" in words(app) and look(organisation.get, root).name == "Theirs"
    app.button(key="settings_parts_save").click().run()
    now = look(organisation.get, root)
    assert (now.name, now.tax_rate_pct) == ("Mine", 19.0) and not app.exception

    do(retention.change, root, {"log_reads": False})
    app = open_screen(root, "audit", part="How long it is kept")
    version = look(retention.get, root).version
    app.selectbox(key=f"keep_signins_months_{version}").set_value(12).run()
    do(retention.change, root, {"log_reads": True, "keep_reads_months": 24})
    app.button(key="save_policy").click().run()
    now = look(retention.get, root)
    assert (now.log_reads, now.keep_reads_months, now.keep_signins_months) == (True, 24, 12) and not app.exception


def test_a_list_to_call_and_who_may_use_a_promotion_are_merged(root, cast):
    people(1)
    given = {
        "name": "North",
        "source": "filter",
        "entity": "contact",
        "retry_hours": 4,
        "max_attempts": 3,
        "from_minute": 480,
        "until_minute": 1440,
    }
    made, _ = do(dial_lists.save, root, None, given)
    seen = look(dial_lists.get, root, made)
    do(dial_lists.save, root, made, {"name": "Far north"})
    app, tag = draw_alone(root, dial_dialogs.list_dialog, seen), f"{made}_{seen.version}"
    app.number_input(key=f"dl_retry_{tag}").set_value(8)
    app.button(key=f"dl_save_{tag}").click().run()
    now = look(dial_lists.get, root, made)
    assert (now.name, now.retry_hours, now.until_minute) == ("Far north", 8, 1440) and not app.exception

    offer = do(promotions.create, root, {"name": "Spring", "code": "spring 26", "percent_off": 10})
    do(promotions.set_audience, root, offer.id, of="contact", rule={"field": "city", "cmp": "not_empty"})
    app, tag = draw_alone(root, promotion_cards._audience_dialog, root, offer), f"{offer.id}_{offer.version}"
    app.button(key=f"audience_save_{tag}").click().run()
    assert look(promotions.get, root, offer.id).rule == {"field": "city", "cmp": "not_empty"}, (
        "an older dialog does not put everybody back"
    )
    assert not app.exception


def test_a_part_in_the_buying_committee_that_two_change_is_asked_about(cast):
    alice, root = cast["alice"], cast["root"]
    deal, person = do(crud.create, alice, "deal", {"name": "Big one"}), do(crud.create, alice, "contact", {"name": "Maria"})
    seen = do(deals.set_committee_member, alice, deal.id, person.id, influence=4)
    assert f"member_{person.id}" in {button.key for button in open_screen(alice, "deal", id=deal.id).button}
    app = draw_alone(alice, deal_committee.change_dialog, deal.id, seen, "Maria")
    place = f"{person.id}_{seen.version}"
    assert app.slider(key=f"member_influence_{place}").value == 4
    do(deals.set_committee_member, root, deal.id, person.id, influence=2, role=CommitteeRole.CHAMPION)
    app.slider(key=f"member_influence_{place}").set_value(5)
    app.button(key="member_save").click().run()
    assert not app.exception and "Theirs: 2" in [
        one.replace("\\", "") for one in app.radio(key=f"member_{place}_parts_influence").options
    ]
    app.button(key=f"member_{place}_parts_save").click().run()
    kept = look(deals.committee, alice, deal.id)[0]
    assert not app.exception and (kept.influence, kept.role) == (5, CommitteeRole.CHAMPION)  # theirs where they alone changed it
    app.button(key="member_out").click().run()
    assert look(deals.committee, alice, deal.id) and "Somebody else changed" in words(app)  # the dialog is of an earlier state


def test_hidden_people_are_taken_out_of_a_buying_committee(cast):
    alice, root = cast["alice"], cast["root"]
    deal, person = (
        do(crud.create, alice, "deal", {"name": "Big one"}),
        do(crud.create, cast["charlie"], "contact", {"name": "Maria"}),
    )
    do(deals.set_committee_member, root, deal.id, person.id)
    with write_session() as session:
        role = session.exec(select(Role).where(Role.key == "sales_rep")).one()
        for grant in session.exec(
            select(RolePermission).where(RolePermission.role_id == role.id, RolePermission.entity == "contact")
        ):
            grant.scope = Scope.OWN if grant.action is Action.READ else grant.scope
    app = open_screen(alice, "deal", id=deal.id)
    app.button(key=f"member_out_{person.id}").click().run()
    assert not app.exception and look(deals.committee, alice, deal.id) == []


def test_a_deal_is_lost_to_nobody_where_the_list_of_competitors_lacks_that(cast):
    alice, root = cast["alice"], cast["root"]
    do(pick_lists.deactivate, root, "deal", "competitor", "None")
    deal = do(crud.create, alice, "deal", {"name": "Big one"})
    app = draw_alone(alice, deal_dialogs.lose_dialog, deal.id, deal.version, "Big one")
    app.selectbox(key="lose_reason").select("Price")
    app.selectbox(key="lose_to").select("None")
    app.button(key="lose_yes").click().run()
    lost = look(deals.get, alice, deal.id)
    assert not app.exception and (lost.outcome, lost.competitor) == (StageKind.LOST, None)


def test_a_form_that_clashes_and_then_meets_a_gate_asks_each_question_once(root, cast):
    """Another person saves the same field, and the stage asks for more by then: the choices stay, and what is missing can be filled in."""
    alice = cast["alice"]
    deal = do(crud.create, alice, "deal", {"name": "Big one", "amount_minor": 100})
    target = next(one.id for row in look(pipelines.find, root) for one in row.stages if one.name == "Proposal")
    app, name = draw_alone(alice, entity_form.edit_form, "deal", deal.id), f"edit_deal_{deal.id}"
    app.text_input(key=f"{name}_1_name").set_value("Mine")
    app.text_area(key=f"{name}_1_description").set_value("Fair")
    app.selectbox(key=f"{name}_1_stage_id_{deal.pipeline_id}").set_value(target)
    do(crud.update, root, "deal", deal.id, {"name": "Theirs", "amount_minor": 200})
    do(pipelines.set_gate, root, target, {"field": "next_step", "cmp": "not_empty"}, message="Say what comes next.")
    app.button(key=f"{name}_save").click().run()
    assert "Choose what stays" in words(app) and not app.exception
    app.button(key=f"{name}_resolve").click().run()
    assert "Say what comes next." in words(app) and not app.exception
    assert (
        app.text_input(key=f"{name}_2_name").value == "Mine"
        and app.selectbox(key=f"{name}_2_stage_id_{deal.pipeline_id}").value == target
    )
    app.text_input(key=f"{name}_2_next_step").set_value("Call Ida")
    app.button(key=f"{name}_save").click().run()
    now = look(deals.get, alice, deal.id)
    assert not app.exception and "Choose what stays" not in words(app)
    assert (now.name, now.stage_id, now.next_step, now.amount_minor, now.description) == ("Mine", target, "Call Ida", 200, "Fair")


def test_what_is_typed_for_a_gate_stays_when_another_stage_is_chosen(root):
    stages = [one for row in look(pipelines.find, root) for one in row.stages if one.kind is StageKind.OPEN][:2]
    app = draw_alone(root, stage_gates.gate_dialog, stages)
    app.text_area(key="gate_message_new").set_value("Say what comes next.")
    app.radio(key="gate_strict_new").set_value(GateStrictness.WARN)
    app.selectbox(key="gate_stage").set_value(1).run()
    assert app.text_area(key="gate_message_new").value == "Say what comes next." and not app.exception
    assert app.radio(key="gate_strict_new").value is GateStrictness.WARN


def _opened(entity_key, record_id):
    """The form of a record, and what opens it anew: pressed while it is open, it stands for a dialog that was closed without saving."""
    if st.button("Open", key="open"):
        entity_form.open_form(entity_key, record_id)
    entity_form.edit_form(entity_key, record_id)


def test_a_form_that_is_closed_without_saving_opens_with_what_was_typed(cast):
    alice = cast["alice"]
    late = datetime(2026, 3, 4, 22, 30, tzinfo=UTC)
    task = do(crud.create, alice, "task", {"subject": "Call", "due_at": late, "body": "Old"})
    app, name = draw_alone(alice, _opened, "task", task.id), f"edit_task_{task.id}"
    app.text_area(key=f"{name}_1_body").set_value("Typed")
    app.selectbox(key=f"{name}_1_priority").set_value(Priority.HIGH.value)
    app.datetime_input(key=f"{name}_1_due_at").set_value(datetime(2026, 3, 5, 9, 15)).run()
    do(crud.update, cast["root"], "task", task.id, {"subject": "Call Ida"})
    app.button(key="open").click().run()
    assert not app.exception and "is here again" in words(app)
    assert app.text_input(key=f"{name}_2_subject").value == "Call Ida"  # what nobody typed is as it stands now
    assert app.text_area(key=f"{name}_2_body").value == "Typed"
    assert app.selectbox(key=f"{name}_2_priority").value == Priority.HIGH.value
    assert app.datetime_input(key=f"{name}_2_due_at").value == datetime(2026, 3, 5, 9, 15)  # in one's own time, as it was typed
    app.button(key=f"{name}_anew").click().run()
    assert app.text_area(key=f"{name}_2n_body").value == "Old" and "is here again" not in words(
        app
    )  # a browser would keep an old input's text


def test_a_question_that_was_closed_is_asked_again_with_all_that_was_typed(cast):
    alice, root = cast["alice"], cast["root"]
    text = "First line\nSecond line"
    lead = do(crud.create, alice, "lead", {"name": "Ida", "description": text, "estimated_minor": 100_00})
    app, name = draw_alone(alice, _opened, "lead", lead.id), f"edit_lead_{lead.id}"
    app.text_area(key=f"{name}_1_description").set_value(text + "\nMine")
    app.number_input(key=f"{name}_1_estimated_minor").set_value(99.5)
    app.text_input(key=f"{name}_1_company").set_value("Acme")
    do(crud.update, root, "lead", lead.id, {"description": text + "\nTheirs", "estimated_minor": None})
    app.button(key=f"{name}_save").click().run()
    for _ in range(2):
        said = words(app)
        assert "Root saved the same fields" in said and not app.exception
        assert (
            ":orange-background[Mine]" in said and ":orange-background[Theirs]" in said and ":orange-background[First" not in said
        )
        options = [one.replace("\\", "") for one in app.radio(key=f"{name}_estimated_minor_2").options]
        assert options == ["Mine: $99.50", "Theirs: –", "Before: $100"]
        app.button(key="open").click().run()
    app.radio(key=f"{name}_description_2").set_value("theirs")
    app.radio(key=f"{name}_estimated_minor_2").set_value("original")
    app.button(key=f"{name}_resolve").click().run()
    now = look(leads.get, alice, lead.id)
    assert (now.description, now.estimated_minor, now.company) == (text + "\nTheirs", 100_00, "Acme") and not app.exception


def test_the_question_tells_who_saved_and_knows_oneself_in_another_tab(cast):
    alice, root = cast["alice"], cast["root"]
    said = partial(entity_form.who_did, alice, what="saved it", meanwhile="meanwhile")
    drawn = draw_alone(alice, lambda: st.text(said(((alice.user_id, Via.SCREEN),))))
    assert drawn.text[0].value == "You saved it in another tab while this one was open."
    drawn = draw_alone(alice, lambda: st.text(said(((root.user_id, Via.SCREEN), (alice.user_id, Via.WORKER)))))
    assert drawn.text[0].value == "Root and an automation saved it meanwhile."


def test_whoever_deletes_what_was_changed_meanwhile_is_shown_what_and_decides(cast):
    alice, root = cast["alice"], cast["root"]
    lead = do(crud.create, alice, "lead", {"name": "Ida", "city": "Oslo", "owner_id": alice.user_id})
    app = draw_alone(alice, record_page._deleting, "lead", lead.id, lead.version, "Ida", "leads")
    do(crud.update, root, "lead", lead.id, {"city": "Bergen", "estimated_minor": 500_00, "description": "word " * 60})
    app.button(key="delete_yes").click().run()
    said = words(app)
    assert (
        "Root changed it meanwhile" in said
        and "Oslo → **Bergen**" in said
        and "– → **$500**" in said
        and "word…**" in said
        and not app.exception
    )
    assert look(leads.get, alice, lead.id).deleted_at is None and "Delete all the same" in said
    app.button(key="delete_yes").click().run()
    with pytest.raises(NotFound):
        look(leads.get, alice, lead.id)


def test_records_that_others_changed_during_a_bulk_change_are_decided_one_by_one(cast):
    alice, root = cast["alice"], cast["root"]
    leads_ = [do(crud.create, alice, "lead", {"name": name, "city": "Oslo"}) for name in ("Ida", "Per")]
    for one in leads_:
        do(crud.update, root, "lead", one.id, {"city": "Bergen"})
    clashed = do(bulk.change, alice, "lead", {one.id: one.version for one in leads_}, "city", "Bonn").clashed
    app = draw_alone(
        alice,
        bulk_bar._decide_dialog,
        "lead",
        clashed,
        "City → **Bonn**",
        lambda chosen: do(bulk.change, alice, "lead", chosen, "city", "Bonn"),
    )
    said = words(app)
    assert (
        "Root changed it meanwhile" in said
        and "Oslo → **Bergen**" in said
        and "City → **Bonn**" in said
        and app.button(key="bulk_decide_yes").disabled
    )
    app.checkbox(key=f"bulk_decide_{leads_[1].id}_{clashed[1].version}").check().run()
    app.button(key="bulk_decide_yes").click().run()
    assert [look(leads.get, alice, one.id).city for one in leads_] == ["Bergen", "Bonn"] and not app.exception
