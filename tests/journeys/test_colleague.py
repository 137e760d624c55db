"""A workspace from its first visit: its founder invites a colleague, who joins by the link, and is locked out again."""

import re

from playwright.sync_api import expect

from crm_core.access import load
from crm_core.db import write_session
from crm_core.services.admin import organisation
from tests.journeys.hands import becomes, settled
from tests.journeys.looks import one

PASSWORD = "quiet river stone"


def found_workspace(app, tab):
    page = tab(app)
    page.page.goto(app.url)
    page.page.get_by_role("link", name="Start with my own data").click()
    page.page.get_by_label("Name of your company or team").fill("Nordwind GmbH")
    assert page.page.get_by_label("Time zone").input_value() == "Europe/Berlin", "guessed from the browser"
    assert page.page.get_by_label("Currency").input_value() == "EUR", "what people there pay with"
    page.page.get_by_label("Your name").fill("Nora Founder")
    page.page.get_by_label("Your e-mail address").fill("nora@example.com")
    page.page.get_by_label("Password", exact=True).fill(PASSWORD)
    assert page.complaints() == []
    page.page.get_by_role("button", name="Create the workspace").click()
    page.idle()
    return page


def invite(page, name, email):
    page.open("/people").heading("People")
    page.page.get_by_role("button", name="Invite").first.click()
    dialog = page.page.get_by_role("dialog")
    dialog.get_by_label("Name", exact=True).fill(name)
    dialog.get_by_label("E-mail address").fill("nowhere")
    dialog.get_by_role("button", name="Make the invitation").click()  # bad input
    expect(dialog.get_by_text("e-mail address").last).to_be_visible()
    dialog.get_by_label("E-mail address").fill(email)
    dialog.get_by_role("button", name="Make the invitation").click(click_count=2, delay=20)
    link = dialog.locator("code")
    expect(link).to_be_visible()
    address = link.inner_text().strip()
    dialog.get_by_role("button", name="Done").click()
    return address


def test_a_colleague_is_invited_joins_and_is_locked_out_on_the_next_click(empty_app, tab):
    nora = found_workspace(empty_app, tab)
    assert one("select currency from organisation") == "EUR"
    address = invite(nora, "Otto New", "otto@example.com")
    assert address.startswith(f"{empty_app.url}/invite/")

    otto = tab(empty_app)
    otto.page.goto(address)
    expect(otto.page.get_by_role("heading", name="Welcome, Otto New")).to_be_visible()
    assert otto.complaints() == []
    otto.page.get_by_label("New password").fill(PASSWORD)
    otto.page.get_by_role("button", name="Join").click()
    otto.idle()
    otto.go("Accounts").heading("Accounts")
    assert otto.page.get_by_test_id("stSidebarNav").get_by_role("link", name="People", exact=True).count() == 0
    stranger = tab(empty_app)
    stranger.page.goto(address)
    expect(stranger.page.get_by_role("heading", name="This link does not work")).to_be_visible()

    assert one("select count(*) from app_user where email = 'otto@example.com'") == 1
    nora.open("/settings").heading("Workspace settings")
    with write_session() as session:  # a second administrator is at the same page
        organisation.update(session, load(session, 1), {"name": "Nordwind SE"})
    nora.page.get_by_label("Name", exact=True).fill("Nordwind AG")
    settled(nora)
    nora.click("Save settings")
    nora.sees("Somebody else saved this while you were editing. Choose what stays.")
    assert one("select name from organisation") == "Nordwind SE"

    nora.open("/people").heading("People")
    nora.page.get_by_text("Otto New").first.click()
    nora.page.get_by_role("dialog").get_by_role("button", name="Deactivate").click()
    becomes(nora, lambda: one("select is_active from app_user where email = 'otto@example.com'"), 0)
    otto.page.get_by_test_id("stSidebarNav").get_by_role("link", name="Deals", exact=True).click()
    expect(otto.page).to_have_url(re.compile(r"/signin"), timeout=15_000)


def test_a_deep_link_is_found_again_after_signing_in_and_signing_out_reaches_the_other_tab(empty_app, tab):
    nora = found_workspace(empty_app, tab)
    second = tab(empty_app)
    second.page.goto(f"{empty_app.url}/accounts?q=acme")
    expect(second.page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert second.complaints() == []
    second.page.get_by_label("E-mail address").fill("nora@example.com")
    second.page.get_by_label("Password", exact=True).fill(PASSWORD)
    second.page.keyboard.press("Enter")
    second.heading("Accounts")
    assert "q=acme" in second.page.url

    other = second.page.context.new_page()
    other.goto(f"{empty_app.url}/contacts")
    expect(other.get_by_role("heading", name="Contacts", exact=True).first).to_be_visible()
    second.click("Sign out")
    expect(second.page).to_have_url(re.compile(r"/signin$"))
    other.get_by_test_id("stSidebarNav").get_by_role("link", name="Deals", exact=True).click()
    expect(other).to_have_url(re.compile(r"/signin\?why=ended&next="))
    expect(other.get_by_text("You were signed out.")).to_be_visible()
    nora.open("/deals").heading("Deals")
