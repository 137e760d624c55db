"""Every screen of the menu, light and dark: nothing serious that axe can find by WCAG 2 A and AA."""

import pytest

from ui.navigation import PAGES

SHELL = {
    "list": "Streamlit's own navigation draws a div between ul and li",
    "listitem": "Streamlit's own navigation draws a div between ul and li",
    "svg-img-alt": "the sparkline of st.metric is drawn without a title",
}
"""Rules that the frame around our screens breaks, with the reason."""

SCREENS = [screen for screen in PAGES if not screen.default]


@pytest.mark.slow
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_no_screen_has_serious_barriers(demo_app, tab, dark):
    page = tab(demo_app, "administrator", dark=dark)
    found = {}
    for screen in SCREENS:
        page.open(f"/{screen.url}?id=1" if screen.hidden else f"/{screen.url}")
        page.page.wait_for_timeout(300)
        if complaints := page.complaints(*SHELL):
            found[screen.url] = sorted(set(complaints))[:6]
    assert found == {}
