"""A newcomer opens the app for the first time and looks around in the demo company, without typing anything."""

import time

from playwright.sync_api import expect

from tests.journeys.looks import one, row


def test_a_newcomer_is_in_the_demo_company_after_one_click(empty_app, tab, picture):
    page = tab(empty_app)
    page.page.goto(empty_app.url)
    expect(page.page.get_by_role("heading", name="Welcome to Rapport")).to_be_visible()
    picture(page, "welcome")
    assert page.complaints() == []

    began = time.monotonic()
    page.page.get_by_role("button", name="Explore the demo company").click()
    expect(page.page.get_by_test_id("stSidebarNav")).to_be_visible(timeout=60_000)
    page.sees("Demo company")
    assert time.monotonic() - began < 30
    picture(page.idle(), "today")
    assert one("select is_demo from organisation") == 1

    page.go("Overview").heading("Overview")
    expect(page.page.get_by_test_id("stMetric").filter(has_text="Win rate")).to_be_visible()
    picture(page, "overview")
    page.go("Deals").heading("Deals")
    expect(page.page.get_by_text("deals ·").first).to_be_visible()


def test_the_demo_shows_the_figures_that_the_records_say(demo_app, tab):
    won, lost, minor = row("""
        select sum(outcome = 'won'), sum(outcome = 'lost'), sum(case outcome when 'won' then amount_minor else 0 end) from deal
    """)
    page = tab(demo_app, "administrator").open("/overview").heading("Overview")
    page.page.get_by_test_id("stMain").get_by_role("radio", name="All", exact=True).or_(
        page.page.get_by_role("button", name="All", exact=True)
    ).first.click()
    page.sees(f"{won} deals").sees(f"{won + lost} deals")
    expect(page.page.get_by_test_id("stMetric").filter(has_text="Win rate")).to_contain_text(f"{100 * won / (won + lost):.0f}"[:1])
    expect(page.page.get_by_test_id("stMetric").filter(has_text="Revenue won")).to_contain_text(f"{minor / 1e5:.0f}"[:2])


def test_a_second_visitor_does_not_get_a_second_company(empty_app, tab):
    first, second = tab(empty_app), tab(empty_app)
    for page in (first, second):
        page.page.goto(empty_app.url)
    for page in (first, second):
        page.page.get_by_role("button", name="Explore the demo company").click()
    expect(first.page.get_by_test_id("stSidebarNav")).to_be_visible(timeout=60_000)
    assert one("select count(*) from organisation") == 1
    assert one("select count(*) from account") == 60
