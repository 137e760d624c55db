"""A newcomer opens the app for the first time and looks around in the demo company, without typing anything."""

import time

from playwright.sync_api import expect

from tests.journeys.looks import one


def test_a_newcomer_is_in_the_demo_company_after_one_click(empty_app, tab, picture):
    page = tab(empty_app)
    page.page.goto(empty_app.url)
    expect(page.page.get_by_role("heading", name="Welcome to Rapport")).to_be_visible()
    picture(page, "welcome")
    assert page.complaints() == []

    began = time.monotonic()
    page.page.get_by_role("button", name="Explore the demo company").click()
    page.heading("Overview")
    assert time.monotonic() - began < 20
    page.sees("Demo company")
    picture(page, "overview")
    assert one("select is_demo from organisation") == 1

    page.go("Deals").heading("Deals")
    expect(page.page.get_by_text("Installation and training").first).to_be_visible()


def test_the_demo_shows_the_figures_that_the_records_say(demo_app, tab):
    won = one("select count(*) from deal where outcome = 'won'")
    lost = one("select count(*) from deal where outcome = 'lost'")
    page = tab(demo_app, "administrator").open("/").heading("Overview")
    assert won and lost
    page.sees("Win rate")


def test_a_second_visitor_does_not_get_a_second_company(empty_app, tab):
    first, second = tab(empty_app), tab(empty_app)
    for page in (first, second):
        page.page.goto(empty_app.url)
    for page in (first, second):
        page.page.get_by_role("button", name="Explore the demo company").click()
    first.heading("Overview")
    assert one("select count(*) from organisation") == 1
    assert one("select count(*) from account") == 60
