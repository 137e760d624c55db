"""Every screen of the menu, light and dark: nothing serious that axe can find by WCAG 2 A and AA."""

import re

import pytest

from ui.navigation import PAGES

SHELL = {
    "list": "Streamlit's own navigation draws a div between ul and li",
    "listitem": "Streamlit's own navigation draws a div between ul and li",
    "svg-img-alt": "the sparkline of st.metric is drawn without a title",
}
"""Rules that the frame around our screens breaks, with the reason."""

PRIMARY_ON_DARK = "#6366f1"
"""Streamlit takes one colour as the ground of white words (buttons) and as the words of a chosen pill on its own tint. On a dark ground no colour
reaches 4.5 in both: the first needs a luminance below 0.183, the second above 0.22. Ours has 4.46 and 3.84; anything else must reach AA."""

SCREENS = [screen for screen in PAGES if not screen.default]


@pytest.mark.slow
@pytest.mark.xfail(reason="the e-mail link on the profile page, and the accent on dark grounds, still miss AA", strict=False)
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_no_screen_has_serious_barriers(demo_app, tab, dark):
    page = tab(demo_app, "administrator", dark=dark)
    found = {}
    for screen in SCREENS:
        page.open(f"/{screen.url}?id=1" if screen.hidden else f"/{screen.url}")
        page.page.wait_for_timeout(300)
        complaints = [each for each in page.complaints(*SHELL) if not (dark and _primary_on_dark(each))]
        if complaints:
            found[screen.url] = sorted(set(complaints))[:6]
    assert found == {}


def _primary_on_dark(complaint):
    ratio = re.search(r'"contrastRatio": ([\d.]+)', complaint)
    return PRIMARY_ON_DARK in complaint and ratio is not None and float(ratio[1]) > 3.8
