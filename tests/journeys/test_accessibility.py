"""Every screen of the menu, light and dark: nothing serious that axe can find by WCAG 2 A and AA."""

import pytest
from playwright.sync_api import expect

from tests.journeys.hands import settled
from tests.journeys.looks import one, row
from ui.navigation import PAGES

SHELL = {
    "list": "Streamlit's own navigation draws a div between ul and li",
    "listitem": "Streamlit's own navigation draws a div between ul and li",
    "svg-img-alt": "the sparkline of st.metric is drawn without a title",
}
"""Rules that the frame around our screens breaks, with the reason."""

SCREENS = [screen for screen in PAGES if not screen.default]


COLOURS = ("color-contrast", "link-in-text-block")
"""Rules whose answer depends on the theme."""


@pytest.mark.slow
def test_no_screen_has_serious_barriers(demo_app, tab):
    """One document for all screens, and one change of colours for each: every second one is looked at in the dark first."""
    page = tab(demo_app, "administrator")
    found, before, dark = {}, "", False
    for screen in SCREENS:
        address = f"/{screen.url}?id=1" if screen.hidden else f"/{screen.url}"
        (page.visit if before else page.open)(address).settled()
        first = page.complaints(*SHELL, menu=not before)
        heading = page.page.get_by_test_id("stHeading").first.inner_text()
        assert heading != before, f"{screen.url} did not open"
        dark = not dark
        second = page.dark(dark).settled().complaints(only=COLOURS, menu=not before)
        if first or second:
            found[screen.url] = (sorted(set(first))[:6], sorted(set(second))[:6])
        before = heading
    assert found == {}


@pytest.mark.slow
def test_a_list_a_record_and_a_dialog_work_without_a_mouse(demo_app, tab):
    page = tab(demo_app, "sales_rep").open("/accounts").heading("Accounts")
    first = page.page.locator("tbody a").first
    name = first.inner_text()
    _tab_to(page, first)
    page.page.keyboard.press("Enter")
    expect(page.page.get_by_role("heading", name=name)).to_be_visible()
    page.idle()
    page.page.keyboard.press("ControlOrMeta+k")
    field = page.page.get_by_role("dialog").get_by_role("searchbox")
    expect(field).to_be_visible()
    expect(field).to_be_focused()
    page.page.keyboard.type(name[:6])
    expect(page.page.get_by_role("dialog").get_by_role("button", name=name).first).to_be_visible()
    page.page.keyboard.press("ArrowDown")
    expect(page.page.get_by_role("dialog").get_by_role("button", name=name).first).to_be_focused()
    page.page.keyboard.press("ArrowUp")
    expect(field).to_be_focused()
    page.page.keyboard.press("Escape")
    expect(page.page.get_by_role("dialog")).to_have_count(0)
    page.go("Contacts").heading("Contacts")
    page.page.keyboard.press("ControlOrMeta+k")
    expect(field).to_be_focused()
    page.page.keyboard.type(name)
    page.page.keyboard.press("Enter")  # faster than what was typed is answered
    heading = page.page.get_by_role("heading", name=name)
    expect(heading).to_be_visible()
    expect(heading).to_be_focused()
    page.go("Contacts").heading("Contacts")
    page.page.keyboard.press("n")
    dialog = page.page.get_by_role("dialog")
    expect(dialog.get_by_label("Name *")).to_be_focused()
    expect(dialog.get_by_label("Account", exact=True)).to_be_visible()
    for key, there in (("Tab", "Account"), ("Tab", "Job title"), ("Shift+Tab", "Account"), ("Shift+Tab", "Name *")):
        page.page.keyboard.press(key)
        expect(dialog.get_by_label(there, exact=True)).to_be_focused()


@pytest.mark.slow
def test_keys_belong_to_the_dialog_that_is_open_and_the_cursor_is_where_one_writes(demo_app, tab):
    ticket = row("select id, subject from ticket where status = 'open' order by id limit 1")
    page = tab(demo_app, "support_agent").open(f"/ticket?id={ticket.id}").heading(ticket.subject)
    keys, dialog = page.page.keyboard, page.page.get_by_role("dialog")
    said = "select count(*) from ticket_message where ticket_id = :id"
    before = one(said, id=ticket.id)
    box = page.page.get_by_placeholder("Write to the customer")
    box.fill("Not finished yet")
    settled(page)
    keys.press("e")
    expect(dialog.get_by_label("Subject *")).to_be_focused()
    page.idle()
    keys.press("End")
    keys.type(" again")
    keys.press("ControlOrMeta+Enter")
    page.heading(f"{ticket.subject} again")
    expect(box).to_have_value("Not finished yet")
    assert one(said, id=ticket.id) == before, "the answer behind the dialog went out"

    deal = row("select id, name from deal where outcome = 'open' order by id limit 1")
    page = tab(demo_app, "administrator").open(f"/deal?id={deal.id}").heading(deal.name)
    keys, dialog = page.page.keyboard, page.page.get_by_role("dialog")
    log = page.page.get_by_placeholder("What happened?")
    log.press_sequentially("Spoke with them")
    keys.press("ControlOrMeta+Enter")
    page.sees("Note logged.")
    expect(log).to_have_value("")
    expect(log).to_be_focused()
    log.blur()
    keys.press("w")
    expect(dialog.get_by_label("Why did we win?")).to_be_focused()
    page.idle()  # the page behind the dialog may still be drawn
    keys.press("ControlOrMeta+Enter")
    page.sees("Re-open")


def _tab_to(page, target, most=120):
    """Reach something with the Tab key alone, and see that it is marked."""
    for _ in range(most):
        if target.evaluate("el => el.getRootNode().activeElement === el"):
            assert target.evaluate("el => getComputedStyle(el).outlineStyle") != "none", "one can't see where one is"
            return
        page.page.keyboard.press("Tab")
    raise AssertionError("the Tab key does not lead there")
