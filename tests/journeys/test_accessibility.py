"""Every screen of the menu, light and dark: nothing serious that axe can find by WCAG 2 A and AA."""

import pytest
from playwright.sync_api import expect

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
    page.page.keyboard.press("Escape")
    expect(page.page.get_by_role("dialog")).to_have_count(0)
    page.go("Contacts").heading("Contacts")
    page.page.keyboard.press("n")
    dialog = page.page.get_by_role("dialog")
    expect(dialog.get_by_label("Name *")).to_be_focused()
    for key, there in (("Tab", "Account"), ("Tab", "Job title"), ("Shift+Tab", "Account"), ("Shift+Tab", "Name *")):
        page.page.keyboard.press(key)
        expect(dialog.get_by_label(there, exact=True)).to_be_focused()


def _tab_to(page, target, most=120):
    """Reach something with the Tab key alone, and see that it is marked."""
    for _ in range(most):
        if target.evaluate("el => el.getRootNode().activeElement === el"):
            assert target.evaluate("el => getComputedStyle(el).outlineStyle") != "none", "one can't see where one is"
            return
        page.page.keyboard.press("Tab")
    raise AssertionError("the Tab key does not lead there")
