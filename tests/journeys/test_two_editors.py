"""Two people edit the same deal: different fields merge, the same field is a question with three answers."""

import pytest
from playwright.sync_api import expect

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
    expect(mine.get_by_text("Somebody else saved the same fields")).to_be_visible()
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
    rep.sees("Kept what somebody else changed meanwhile")
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
