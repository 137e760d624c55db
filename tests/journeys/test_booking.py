"""A rep makes a booking page; somebody from outside takes a time there, moves the meeting and calls it off."""

import re

from playwright.sync_api import expect

from crm_core.services.booking import tokens
from tests.journeys.looks import one
from tests.journeys.test_own_automation import press


def test_from_a_new_page_to_a_meeting_that_was_called_off(demo_app, tab):
    rep = tab(demo_app, "sales_rep")
    page = rep.open("/booking").page
    press(page, "new_page")
    name = page.get_by_label("What is booked *")
    name.fill("A first talk")
    name.press("Tab")
    press(page, "bp_save_new")
    rep.sees("Page saved.")
    address = page.get_by_text(re.compile("/book/a-first-talk")).first.inner_text()

    visitor = tab(demo_app).page
    visitor.goto(address)
    expect(visitor.get_by_role("heading", name="A first talk")).to_be_visible()
    visitor.locator(".times a").first.click()
    visitor.wait_for_timeout(1000 * tokens.QUICKEST + 100)  # nobody fills a form in faster
    visitor.get_by_label("Your name").fill("Ada <b>Lovelace</b>")
    visitor.get_by_label("E-mail").fill("ada@example.com")
    visitor.get_by_label("Telephone").fill("+49 30 1234567")  # who meets on the phone is called there
    visitor.get_by_role("button", name="Book this time").click()
    expect(visitor.get_by_role("heading", name="Booked")).to_be_visible()
    visitor.get_by_role("link", name="Move it").click()
    visitor.locator(".times a").last.click()
    visitor.get_by_role("button", name="Move it").click()
    expect(visitor.get_by_role("heading", name=re.compile("A first talk"))).to_be_visible()
    visitor.get_by_role("link", name="Call it off").click()
    visitor.get_by_role("button", name="Call it off").click()
    expect(visitor.get_by_role("heading", name="Called off")).to_be_visible()
    assert one("select count(*) from booking where name like 'Ada <b>%' and cancelled_at is not null") == 1
    press(page, "list_")
    expect(page.get_by_role("dialog").get_by_text("Ada <b>Lovelace</b>")).to_be_visible()
