"""The import screen: who has it, what each step shows and does. The steps in a real browser with a worker are a journey."""

import io

import pytest

from crm_core import lists
from crm_core.db import read_session, write_session
from crm_core.lists import ListQuery
from crm_core.models import ImportRun
from crm_core.services.admin.imports import desk, runs
from crm_core.services.admin.imports.driver import run_batches, undo_batches
from crm_core.vocabulary import ImportState
from tests.pages.app import open_screen, words
from ui.navigation import screen_of, screens_for

EVIL = "![x](http://evil.example/i.png) <script>alert(1)</script>"
FIRMS = f'Firm,Industry,Since,Revenue,Colour\nAcme,technolgy,01/02/2020,"1,234",{EVIL}\nBeta,Fishing,03/04/2020,"2,345",blue\n,Retail,05/06/2020,"1,000",red\n'


@pytest.mark.parametrize(
    ("who", "has"), [("root", True), ("bob", True), ("dana", True), ("alice", False), ("sam", False), ("ana", False)]
)
def test_only_who_may_import_something_has_the_screen(cast, who, has):
    assert (screen_of("import") in screens_for(cast[who])) is has


def test_an_empty_workspace_says_what_will_stand_here(cast):
    app = open_screen(cast["root"], "import")
    assert not app.exception
    assert "No imports yet" in words(app)


def uploaded(actor, content=FIRMS, entity="account"):
    with write_session() as session:
        run = runs.upload(session, actor, entity, io.BytesIO(content.encode()), f"{EVIL}.csv")
        if entity == "account" and content is FIRMS:
            for header, target in (("Firm", "name"), ("Since", "customer_since"), ("Revenue", "revenue_minor")):
                desk.match_column(session, actor, run.id, header, target)
        return run.id


def run_of(run_id):
    with read_session() as session:
        return session.get_one(ImportRun, run_id)


def test_an_upload_leads_to_its_columns(cast):
    app = open_screen(cast["root"], "import", kind="account")
    app.get("file_uploader")[0].upload("firms.csv", b"Name,City\nAcme,Oslo\n", "text/csv").run()
    assert not app.exception
    assert app.query_params["run"]
    assert "2 of 2 columns are imported" in words(app)


def test_a_file_of_companies_read_as_products_is_one_click_from_being_read_as_accounts(cast):
    run_id = uploaded(cast["root"], "Name,Phone,Website,City,Employees\nAcme,+49 30 1,acme.example,Oslo,7\n", "product")
    app = open_screen(cast["root"], "import", run=run_id)
    assert "Are these really products? More of the columns fit accounts." in words(app)
    app.button(key="read_as_account").click().run()
    assert not app.exception
    assert run_of(run_id).entity == "account" and "Are these really" not in words(app)
    assert "5 of 5 columns are imported" in words(app)


def test_a_file_that_is_no_table_stays_at_the_start_with_a_sentence(cast):
    app = open_screen(cast["root"], "import", kind="account")
    app.get("file_uploader")[0].upload("firms.csv", b"%PDF-1.7", "text/csv").run()
    assert "run" not in app.query_params
    assert any("a PDF" in toast.value for toast in app.toast)


def test_the_columns_show_doubt_suggestions_and_what_will_not_be_imported(cast):
    app = open_screen(cast["root"], "import", run=uploaded(cast["root"]))
    shown = words(app)
    assert not app.exception
    assert "Please check" in shown and "Not imported: “Colour”" in shown
    assert "![x](" not in "".join(element.value for kind in ("markdown", "caption", "title") for element in app.get(kind))
    assert app.selectbox(key="to_1").value == "industry"
    meanings = {box.label: box.value for box in app.selectbox if box.label.startswith("Meaning of")}
    assert meanings == {"Meaning of technolgy": "Technology", "Meaning of Fishing": "\0rule"}


def test_every_control_of_a_column_is_kept_at_once(cast):
    root = cast["root"]
    run_id = uploaded(root)
    app = open_screen(root, "import", run=run_id)
    app.selectbox(key="to_4").set_value("new").run()
    app.selectbox(key="date_2").set_value("mdy").run()
    app.selectbox(key="decimal_3").set_value(",").run()
    app.selectbox(key="factor_3").set_value("1000000").run()
    app.selectbox(key="unknown_1").set_value(app.selectbox(key="unknown_1").options and "reject").run()
    app.text_input(key="new_label_4").set_value("House colour").run()
    assert not app.exception
    plan = {column.header: column for column in runs.plan_of(run_of(run_id)).columns}
    assert (plan["Since"].date, plan["Revenue"].decimal, plan["Revenue"].factor, plan["Industry"].unknown) == (
        "mdy",
        ",",
        "1000000",
        "reject",
    )
    assert plan["Colour"].new.label == "House colour"
    app.selectbox(key="to_1").set_value("").run()
    assert runs.plan_of(run_of(run_id)).dropped == ("Industry",)


def test_a_field_that_another_column_takes_is_shown_as_free(cast):
    app = open_screen(cast["root"], "import", run=uploaded(cast["root"]))
    app.selectbox(key="to_4").set_value("industry").run()
    assert (app.selectbox(key="to_1").value, app.selectbox(key="to_4").value) == ("", "industry")


def test_problems_keep_the_check_button_shut_until_they_are_solved(cast):
    app = open_screen(cast["root"], "import", run=uploaded(cast["root"], "City\nOslo\n"))
    assert app.button(key="check").disabled
    assert "“Name” is needed" in words(app)
    app.text_input(key="constant_name").set_value("Firm in {City}").run()
    assert not app.button(key="check").disabled


def test_the_check_tells_what_would_happen_and_keeps_nothing(cast):
    root = cast["root"]
    run_id = uploaded(root)
    app = open_screen(root, "import", run=run_id)
    app.button(key="check").click().run()
    assert not app.exception
    shown = words(app)
    assert {metric.label: metric.value for metric in app.metric} == {
        "Created": "2",
        "Updated": "0",
        "Unchanged": "0",
        "Rejected": "1",
        "Rows": "3",
    }
    assert "“technolgy” as “Technology”" in shown
    assert run_of(run_id).state is ImportState.CHECKED
    with read_session() as session:
        assert lists.count(session, root, "account", ListQuery()) == 0
    app.button(key="back").click().run()
    assert app.selectbox(key="to_0").value == "name"


def test_the_whole_way_from_check_to_undo(cast):
    root = cast["root"]
    run_id = uploaded(root)
    app = open_screen(root, "import", run=run_id)
    app.button(key="check").click().run()
    app.button(key="start").click().run()
    assert not app.exception
    assert "No worker is running" in words(app)
    assert run_of(run_id).state is ImportState.RUNNING
    run_batches(run_id)
    app = open_screen(root, "import", run=run_id)
    assert [metric.value for metric in app.metric] == ["2", "0", "0", "1", "3"]
    assert "![x](" not in "".join(element.value for kind in ("markdown", "caption", "title") for element in app.get(kind))
    app.button(key="undo").click().run()
    app.button(key="undo_now").click().run()
    assert run_of(run_id).state is ImportState.REVERTING
    undo_batches(run_id)
    app = open_screen(root, "import", run=run_id)
    assert "2 created records were deleted" in words(app)
    with read_session() as session:
        assert lists.count(session, root, "account", ListQuery()) == 0


def test_a_stopped_import_says_why_and_can_go_on(cast):
    root = cast["root"]
    run_id = uploaded(root)
    with write_session() as session:
        runs.start(session, root, run_id)
    app = open_screen(root, "import", run=run_id)
    app.button(key="stop").click().run()
    assert "Stopped by Root" in words(app)
    app.button(key="resume").click().run()
    assert run_of(run_id).state is ImportState.RUNNING


def test_a_file_can_be_read_again_in_another_way_and_as_other_records(cast):
    root = cast["root"]
    run_id = uploaded(root, "Name;City\nAcme;Oslo\n", "product")
    app = open_screen(root, "import", run=run_id)
    next(box for box in app.selectbox if box.label == "The rows are").set_value("account")
    next(button for button in app.button if button.label == "Read the file again").click().run()
    assert (run_of(run_id).entity, runs.plan_of(run_of(run_id)).target_of("City")) == ("account", "city")


def test_an_import_of_somebody_else_does_not_exist(cast):
    app = open_screen(cast["dana"], "import", run=uploaded(cast["root"]))
    assert "does not exist, or is not yours" in words(app)


def test_an_unstarted_import_can_be_thrown_away(cast):
    app = open_screen(cast["root"], "import", run=uploaded(cast["root"]))
    app.button(key="discard").click().run()
    assert "No imports yet" in words(app)
