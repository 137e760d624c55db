"""The README's first steps: an own workspace, a real pipeline of another company brought in, and figures that agree with its source."""

import json

import pytest
from playwright.sync_api import expect

from tests.journeys.looks import one
from tests.tools.app import worker

FILES = (
    ("product", "products.csv", 7),
    ("account", "accounts.csv", 85),
    ("user", "sales_teams.csv", 35),
    ("deal", "sales_pipeline.csv", 8_800),
)
WON, LOST, WON_MINOR = 4_238, 2_473, 10_005_534_00


def found_workspace(page):
    """Answer the first visit: the second door, and one form."""
    page.page.goto(page.url)
    page.page.get_by_role("link", name="Start with my own data").click()
    page.page.get_by_label("Name of your company or team").fill("Maven & Sons")
    page.page.get_by_label("Currency").select_option("USD")
    page.page.get_by_label("Your name").fill("Jo Newcomer")
    page.page.get_by_label("Your e-mail address").fill("jo@example.com")
    page.page.get_by_label("Password", exact=True).fill("three quiet rivers")
    page.page.get_by_role("button", name="Create the workspace").click()
    page.idle()


def bring_in(page, entity, path, rows):
    """Through the wizard: upload, look at the columns, check, import, see the outcome."""
    page.open(f"/import?kind={entity}").heading("Import")
    page.page.locator(".st-key-import_start input[type=file]").set_input_files(path)
    expect(page.page.get_by_role("button", name="Check")).to_be_enabled(timeout=60_000)
    page.idle().click("Check")
    start = page.page.locator(".st-key-start button")
    expect(start).to_be_visible(timeout=180_000)
    expect(start).to_contain_text(f"Import {rows:,}")
    page.idle()
    start.click()
    expect(page.page.get_by_role("button", name="Undo this import")).to_be_visible(timeout=240_000)
    created = page.page.get_by_test_id("stMetric").filter(has_text="Created")
    expect(created).to_contain_text(f"{rows:,}")
    expect(page.page.get_by_test_id("stMetric").filter(has_text="Rejected")).to_contain_text("0")


@pytest.mark.slow
def test_a_newcomer_gets_from_nothing_to_figures_that_agree_with_the_source(empty_app, tab, picture, reference):
    page = tab(empty_app)
    found_workspace(page)
    assert one("select name from organisation") == "Maven & Sons"
    assert one("select count(*) from app_user where password_hash is not null") == 1

    with worker():
        for entity, name, rows in FILES:
            bring_in(page, entity, reference(f"maven_crm/{name}"), rows)
    picture(page, "import")
    assert one("select count(*) from deal where outcome = 'won'") == WON
    assert one("select count(*) from deal where outcome = 'lost'") == LOST
    assert one("select sum(amount_minor) from deal where outcome = 'won'") == WON_MINOR
    assert one("select count(*) from deal where account_id is null and deleted_at is null") == 1_425

    page.open("/overview").heading("Overview")
    page.sees("Nothing in this period. The records are from").click("Show all time")
    expect(page.page.get_by_test_id("stMetric").filter(has_text="Win rate")).to_contain_text(f"{100 * WON / (WON + LOST):.1f}")
    expect(page.page.get_by_test_id("stMetric").filter(has_text="Revenue won")).to_contain_text("$10")
    picture(page, "maven_overview")

    won_only = json.dumps({"field": "outcome", "cmp": "eq", "value": "won"})
    page.open("/deals?f=" + won_only).heading("Deals")
    expect(page.page.get_by_text("4,238 deals · US$10,005,534 in total")).to_be_visible()
    picture(page, "maven_deals")
