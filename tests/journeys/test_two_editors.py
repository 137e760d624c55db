"""Two people edit the same deal: different fields merge, the same field is a question with three answers."""

import pytest
from playwright.sync_api import expect

from crm_core.access import load
from crm_core.db import write_session
from crm_core.services.feedback import surveys
from crm_core.services.sales import deals
from tests.journeys.looks import one, row
from tests.journeys.test_sales_rep import eventually


@pytest.fixture
def deal(demo_app):
    """An open deal of the sales rep, whom the administrator helps."""
    rep = demo_app.people()["sales_rep"]
    return row(
        "select id, name, next_step, source from deal where owner_id = :rep and outcome = 'open' order by id limit 1", rep=rep
    )


def edit(page, deal):
    page.open(f"/deal?id={deal.id}")
    page.page.locator(".st-key-edit button").click()
    dialog = page.page.get_by_role("dialog")
    expect(dialog.get_by_role("button", name="Save")).to_be_visible()
    page.idle()
    return dialog


def fill(page, dialog, label, value):
    field = dialog.get_by_label(label, exact=True).first
    field.fill(value)
    field.press("Tab")
    page.page.wait_for_timeout(300)
    page.idle()


def test_the_same_field_twice_is_a_question_not_a_loss(demo_app, tab, deal):
    rep, helper = tab(demo_app, "sales_rep"), tab(demo_app, "administrator")
    mine, theirs = edit(rep, deal), edit(helper, deal)
    fill(helper, theirs, "Next step", "Visit on Thursday")
    theirs.get_by_role("button", name="Save").click()
    eventually(helper, lambda: one("select next_step from deal where id = :id", id=deal.id), "Visit on Thursday")

    fill(rep, mine, "Next step", "Send the contract")
    mine.get_by_role("button", name="Save").click()
    expect(mine.get_by_text("saved the same fields while you were editing")).to_be_visible()
    expect(mine.get_by_text("Mine: Send the contract")).to_be_visible()
    expect(mine.get_by_text("Theirs: Visit on Thursday")).to_be_visible()
    assert one("select next_step from deal where id = :id", id=deal.id) == "Visit on Thursday"

    mine.get_by_text("Mine: Send the contract").click()
    rep.idle()
    mine.get_by_role("button", name="Save this").click()
    eventually(rep, lambda: one("select next_step from deal where id = :id", id=deal.id), "Send the contract")


def test_different_fields_merge_and_the_second_editor_is_told(demo_app, tab, deal):
    rep, helper = tab(demo_app, "sales_rep"), tab(demo_app, "administrator")
    mine, theirs = edit(rep, deal), edit(helper, deal)
    fill(helper, theirs, "Deal *", "Renamed by a colleague")
    theirs.get_by_role("button", name="Save").click()
    eventually(helper, lambda: one("select name from deal where id = :id", id=deal.id), "Renamed by a colleague")

    fill(rep, mine, "Next step", "Send the offer")
    mine.get_by_role("button", name="Save").click()
    rep.sees("Kept what was changed meanwhile")
    assert one("select next_step from deal where id = :id", id=deal.id) == "Send the offer"
    assert one("select name from deal where id = :id", id=deal.id) == "Renamed by a colleague"


def test_a_stale_win_is_refused_and_nothing_is_won(demo_app, tab, deal):
    rep, helper = tab(demo_app, "sales_rep"), tab(demo_app, "administrator")
    rep.open(f"/deal?id={deal.id}")
    rep.page.locator(".st-key-lose button").click()
    expect(rep.page.get_by_role("dialog")).to_be_visible()
    rep.idle()
    helper.open(f"/deal?id={deal.id}")
    helper.page.locator(".st-key-win button").click()
    helper.page.get_by_role("dialog").get_by_role("button", name="Mark as won").click()
    eventually(helper, lambda: one("select outcome from deal where id = :id", id=deal.id), "won")

    dialog = rep.page.get_by_role("dialog")
    dialog.get_by_label("Why was it lost? *").click()
    rep.page.get_by_role("option", name="Price").click()
    rep.idle()
    dialog.get_by_role("button", name="Mark as lost").click()
    rep.sees("already won")
    assert one("select outcome from deal where id = :id", id=deal.id) == "won"


def test_a_card_that_somebody_else_has_moved_meanwhile_asks_whose_move_counts(demo_app, tab):
    rep = demo_app.people()["sales_rep"]
    stage_of = "select stage.name from deal join stage on stage.id = stage_id where deal.id = :id"
    found = row(
        "select deal.id, deal.name from deal join stage on stage.id = stage_id where owner_id = :rep and outcome = 'open'"
        " and stage.name = 'Prospecting' and next_step_on is not null order by expected_close_on, deal.id limit 1",
        rep=rep,
    )
    page = tab(demo_app, "sales_rep").open("/pipeline?mine=true")
    card = page.page.locator(".card", has_text=found.name).first
    expect(card).to_be_visible()
    with write_session() as session:
        deals.move(session, load(session, rep), found.id, one("select id from stage where name = 'Negotiation'"))
    card.focus()
    page.page.keyboard.press("Shift+ArrowRight")
    dialog = page.page.get_by_role("dialog")
    expect(dialog.get_by_text("Somebody else moved this meanwhile")).to_be_visible()
    assert one(stage_of, id=found.id) == "Negotiation"
    dialog.get_by_role("button", name="Move to Qualified").click()
    eventually(page, lambda: one(stage_of, id=found.id), "Qualified")


def test_products_and_bulk_changes_in_two_tabs_lose_nothing_unasked(demo_app, tab):
    """The same person in two tabs: the second one to save is shown what the first one saved, and decides."""
    first, second = tab(demo_app, "sales_rep"), tab(demo_app, "sales_rep")
    rep = demo_app.people()["sales_rep"]
    where = "owner_id = :rep and outcome = 'open' and id in (select deal_id from deal_line)"
    found = one(f"select id from deal where {where} order by id desc limit 1", rep=rep)
    quantity = "select quantity from deal_line where deal_id = :id order by position limit 1"
    dialogs = []
    for page, number in ((first, "7"), (second, "9")):
        page.open(f"/deal?id={found}")
        page.page.locator(".st-key-edit_lines button").click()
        dialogs.append(page.page.get_by_role("dialog"))
        expect(dialogs[-1].get_by_role("button", name="Save products")).to_be_visible()
        page.idle()
        fill(page, dialogs[-1], "Quantity", number)
    dialogs[0].get_by_role("button", name="Save products").click()
    eventually(first, lambda: one(quantity, id=found), 7)
    dialogs[1].get_by_role("button", name="Save products").click()
    expect(dialogs[1].get_by_text("Theirs: 7 ×")).to_be_visible()
    assert one(quantity, id=found) == 7
    dialogs[1].get_by_role("button", name="Save mine").click()
    eventually(second, lambda: one(quantity, id=found), 9)

    lead = one("select id from lead where owner_id = :rep order by created_at desc limit 1", rep=rep)
    for page in (first, second):
        page.open("/leads?sort=-created_at")
        box = page.page.locator("tbody input[type=checkbox]").first
        box.check()
        page.page.locator(".st-key-bulk_edit button").click()
        page.page.get_by_role("dialog").get_by_label("Field").click()
        page.page.get_by_role("option", name="City", exact=True).click()
        expect(page.page.get_by_role("dialog").get_by_label("City", exact=True)).to_be_visible()
    for page, city in ((first, "Bergen"), (second, "Bremen")):
        fill(page, page.page.get_by_role("dialog"), "City", city)
        expect(page.page.get_by_role("button", name="Change 1", exact=True)).to_be_enabled()
    for page in (first, second):
        page.click("Change 1")
        expect(page.page.get_by_role("dialog")).to_have_count(0)
    second.sees("1 stayed as they were")
    assert one("select city from lead where id = :id", id=lead) == "Bergen"


def test_a_question_below_the_edge_of_a_dialog_comes_into_sight_with_the_cursor(demo_app, tab):
    page = tab(demo_app, "administrator")
    page.page.set_viewport_size({"width": 1200, "height": 600})
    page.open("/surveys").click("Change")
    dialog = page.page.get_by_role("dialog")
    expect(dialog.get_by_role("button", name="Save")).to_be_attached()
    page.idle()
    fill(page, dialog, "Subject", "Mine")
    with write_session() as session:
        surveys.save(
            session,
            load(session, demo_app.people()["administrator"]),
            one("select min(id) from survey"),
            {"mail_subject": "Theirs"},
        )
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_text("Choose what stays")).to_be_in_viewport()
    expect(dialog.get_by_role("radio", name="Mine: Mine")).to_be_focused()
