"""The screen for custom fields and lists: who has it, what it shows, what its buttons do."""

import pytest

from crm_core import records
from crm_core.db import read_session, write_session
from crm_core.fields import registry
from crm_core.services.admin import custom_fields, pick_lists
from crm_core.vocabulary import FieldKind
from tests.pages.app import open_screen, words
from ui.navigation import screen_of, screens_for

EVIL = "![x](http://evil.example/i.png)"


@pytest.mark.parametrize("who", ["bob", "alice", "dana", "sam", "ana"])
def test_only_administrators_have_the_screen(cast, who):
    assert screen_of("fields") not in screens_for(cast[who])


def test_an_empty_workspace_says_what_a_field_is_good_for(cast):
    app = open_screen(cast["root"], "fields")
    assert not app.exception
    assert "No custom fields yet" in words(app)


def test_a_field_is_added_in_the_dialog_and_a_wrong_one_gets_a_sentence(cast):
    app = open_screen(cast["root"], "fields")
    app.button(key="new_field").click().run()
    app.text_input(key="field_label").set_value("City").run()
    app.button(key="field_add").click().run()
    assert any("already have a field" in error.value.replace("\\", "") for error in app.error)
    app.text_input(key="field_label").set_value("Tier").run()
    app.selectbox(key="field_kind").set_value(FieldKind.CHOICE).run()
    app.text_area(key="field_options").set_value("Gold\nSilver\n\n").run()
    app.button(key="field_add").click().run()
    assert not app.exception
    with read_session() as session:
        assert list(registry(session, "account")["x_tier"].options) == ["Gold", "Silver"]


def test_the_address_says_of_which_records(cast):
    with write_session() as session:
        custom_fields.create(session, cast["root"], "ticket", label="Machine", kind="text")
    app = open_screen(cast["root"], "fields", of="ticket")
    assert not app.exception and app.button_group(key="of").value == "ticket" and "No custom fields yet" not in words(app)
    app.button_group(key="of").set_value("deal").run()
    assert not app.exception and app.query_params["of"] == "deal"
    app = open_screen(cast["root"], "fields", of="nonsense")
    assert not app.exception and app.button_group(key="of").value == app.query_params["of"] == "account"


def test_a_field_with_a_hostile_name_is_shown_as_text(cast):
    with write_session() as session:
        custom_fields.create(session, cast["root"], "account", label=EVIL, kind="text", help=EVIL)
        acme = records.create(session, cast["root"], "account", {"name": "Acme"})
    app = open_screen(cast["root"], "fields")
    assert not app.exception
    assert "![x](" not in "".join(element.value for kind in ("markdown", "caption") for element in app.get(kind))
    app = open_screen(cast["root"], "account", id=acme.id)
    app.button(key="edit").click().run()
    shown = [text for box in app.text_input for text in (box.label, box.help) if text and "evil" in text]
    assert len(shown) == 2 and not any("![x](" in text for text in shown)


def test_a_value_is_added_to_a_list(cast):
    app = open_screen(cast["root"], "fields", area="Lists")
    app.session_state["list"] = "account.industry"
    app.run()
    app.text_input(key="new_value").set_value("Fishing")
    next(button for button in app.button if button.label == "Add").click().run()
    assert not app.exception
    with read_session() as session:
        assert "Fishing" in {value.value for value in pick_lists.values(session, cast["root"], "account", "industry")}


def test_a_value_is_renamed_in_the_records_and_offered_no_longer(cast):
    root = cast["root"]
    with write_session() as session:
        acme = records.create(session, root, "account", {"name": "Acme", "industry": "Retail"})
    app = open_screen(root, "fields", area="Lists", value="Retail")
    assert "Held by 1 record." in words(app)
    app.text_input(key="value_name").set_value("Retail trade").run()
    app.button(key="value_rename").click().run()
    with read_session() as session:
        assert records.get(session, root, "account", acme.id).industry == "Retail trade"
    app = open_screen(root, "fields", area="Lists", value="Retail trade")
    app.button(key="value_remove").click().run()
    with read_session() as session:
        assert "Retail trade" not in registry(session, "account")["industry"].options


def test_a_field_is_changed_moved_and_taken_out_of_use(cast):
    root = cast["root"]
    with write_session() as session:
        made = [custom_fields.create(session, root, "account", label=label, kind="text").id for label in ("One", "Two")]
    app = open_screen(root, "fields", field=made[1])
    app.text_input(key="field_label").set_value("Second").run()
    app.button(key="field_save").click().run()
    app = open_screen(root, "fields", field=made[1])
    app.button(key="field_move_-1").click().run()
    with read_session() as session:
        assert [row.label for row in custom_fields.find(session, root, "account")] == ["Second", "One"]
    app = open_screen(root, "fields", field=made[0])
    app.button(key="field_active").click().run()
    with read_session() as session:
        assert [row.label for row in custom_fields.find(session, root, "account")] == ["Second"]
