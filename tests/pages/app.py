"""Opens screens in Streamlit's test runner, signed in as somebody of the cast."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from streamlit.components.v2 import manifest_scanner
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import TESTING_KEY
from streamlit.util import calc_hash

from crm_core.access import Actor
from crm_core.db import write_session
from crm_core.services.admin import sessions
from crm_core.vocabulary import SigninMethod
from ui.navigation import PAGES

ROOT = Path(__file__).resolve().parent.parent.parent

manifest_scanner.scan_component_manifests = cache(manifest_scanner.scan_component_manifests)
"""A server reads the installed packages once; Streamlit's test runner would do it for each app."""


def open_screen(actor: Actor, url: str, **params: object) -> AppTest:
    """Run the app as ``actor`` at the address of a screen that they have; the page's elements are in the result."""
    app = _signed_in(AppTest.from_file(str(ROOT / "ui" / "main.py"), default_timeout=60), actor)
    for name, value in params.items():
        app.query_params[name] = str(value)
    screen = next(page for page in PAGES if page.url == url)
    if not screen.allowed(actor):
        raise ValueError(f"{url} is no screen of this person")
    if not screen.default:
        app._page_hash = calc_hash(screen.url)  # arrives by a link: one run, as in a browser
    app.run()
    return app


def draw_alone(actor: Actor, draw: Callable[..., Any], *args: object) -> AppTest:
    """Draw one part of a screen, or a dialog, as ``actor`` with these arguments, which stay the same however often it is drawn."""
    return _signed_in(AppTest.from_function(_drawn, default_timeout=60, args=(draw, *args)), actor).run()


def _drawn(draw, *args):
    draw(*args)


def _signed_in(app: AppTest, actor: Actor) -> AppTest:
    with write_session() as session:
        token = sessions.start(session, actor.user_id or 0, SigninMethod.LOCAL)
        found = sessions.lookup(session, token)
    app.user = {"id": str(actor.user_id), "sid": str(found.session_id), "is_logged_in": True}
    return app


def words(app: AppTest) -> str:
    """All the text that the page shows, in one string, without what nobody sees: the marks that keep names from being read as Markdown or as links."""
    kinds = ("title", "markdown", "caption", "error", "warning", "info", "success", "text", "metric", "button")
    shown = []
    for kind in kinds:
        for element in app.get(kind):
            shown += [str(getattr(element, name, "") or "") for name in ("label", "value", "body")]
    return "\n".join(shown).replace("\\", "").replace("\u2060", "")


def rare(app: AppTest) -> set[str]:
    """What the header of a record offers beside its buttons, by key: the entries of its menu, or the one that stands there by itself."""
    menus = [menu for menu in app.get("menu_button") if menu.key == "more_actions"]
    asked = app.session_state[TESTING_KEY]
    return {str(one) for menu in menus for one in asked[menu.id]["options"]} | {str(button.key) for button in app.button}


def press(app: AppTest, key: str) -> AppTest:
    """Choose something that ``rare`` tells of; to be run."""
    if any(button.key == key for button in app.button):
        app.button(key=key).click()
    else:
        app.menu_button(key="more_actions").click(key)
    return app
