"""What a person does on a page, counted: a click, a gesture, a key, or the filling of one field is an action. Seconds depend on the machine; these don't.

``seconds`` is the time of the hands alone by the keystroke-level model (Card, Moran and Newell 1980): 1.1 s to point at something and 0.2 s to press
it, 0.12 s per character of somebody who types well. What the app takes is measured by ``make bench``.
"""

from collections.abc import Callable
from typing import Any

from playwright.sync_api import Locator, expect

from tests.tools.browser import called


class Hands:
    """Counts ``actions`` (clicks, gestures, filled fields, pressed keys) and ``keystrokes`` (every character, too)."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.actions = self.keystrokes = 0

    @property
    def seconds(self) -> float:
        """How long hands need for what was done so far."""
        return 1.3 * self.actions + 0.12 * self.keystrokes

    def click(self, where: Locator | str, **how: Any) -> "Hands":
        self.actions += 1
        self._find(where).click(**how)
        return self

    def write(self, where: Locator | str, text: str) -> "Hands":
        """Fill a field as a person does: into it, and write. Leaving it costs nothing, the next action does that."""
        self.actions += 1
        self.keystrokes += len(text)
        field = self.page.page.get_by_label(where, exact=True).first if isinstance(where, str) else where
        field.click()
        field.press_sequentially(text, delay=2)
        return self

    def press(self, key: str) -> "Hands":
        self.actions += 1
        self.keystrokes += 1
        self.page.page.keyboard.press(key)
        return self

    def drag(self, what: Locator, where: Locator) -> "Hands":
        self.actions += 1
        what.drag_to(where)
        return self

    def _find(self, where: Locator | str) -> Locator:
        return self.page.page.get_by_role("button", name=called(where)).first if isinstance(where, str) else where


def settled(page: Any) -> None:
    """Leave the field, and wait until its value has arrived."""
    page.page.keyboard.press("Tab")
    page.page.wait_for_timeout(250)
    page.idle()


def becomes(page: Any, question: Callable[[], Any], answer: Any) -> None:
    """Wait until the database says so."""
    for _ in range(150):
        if question() == answer:
            return
        page.page.wait_for_timeout(100)
    assert question() == answer


def says(page: Any, text: str) -> None:
    expect(page.page.get_by_text(text).first).to_be_visible()
