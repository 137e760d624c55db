"""A real browser on the app: started once, with pages that know when the app has finished drawing."""

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, expect, sync_playwright

QUIET = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--hide-scrollbars",
)  # fmt: skip
IDLE = '[data-testid="stApp"][data-test-connection-state="CONNECTED"][data-test-script-state="notRunning"]'
NOISE = ("_stcore/health", "_stcore/host-config", "favicon")
FRAME = ('[data-testid="stSidebar"]', '[data-testid="stHeader"]')
PATIENCE_MS = 30_000
FEW_ROWS = """() => {
  const roots = [document]
  for (const root of roots) {
    for (const row of root.querySelectorAll('tbody tr:nth-child(n+7)')) row.style.display = 'none'
    for (const each of root.querySelectorAll('*')) if (each.shadowRoot) roots.push(each.shadowRoot)
  } }"""
"""Hides all rows of tables but six."""


def called(name: str) -> re.Pattern[str]:
    """What a button is called, whether or not its key stands on it."""
    return re.compile(rf"^{re.escape(name)}( Shortcut .*)?$")


@contextmanager
def browser() -> Iterator[Browser]:
    """Chromium, found or fetched by tests/tools/chromium.py (RAPPORT_CHROMIUM)."""
    from tests.tools import chromium

    path = os.environ.get("RAPPORT_CHROMIUM") or chromium.find((chromium.installed, chromium.from_registry))
    if not path:
        raise FileNotFoundError("no Chromium; run: python tests/tools/chromium.py")
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=path, args=list(QUIET))
        yield found
        found.close()


class AppPage:
    """A tab of the app. ``errors`` collects what scripts threw in it."""

    def __init__(self, page: Page, url: str) -> None:
        self.page, self.url = page, url
        self.errors: list[str] = []
        page.set_default_timeout(PATIENCE_MS)
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def open(self, path: str = "/") -> "AppPage":
        """Load an address and wait until it is drawn."""
        self.page.goto(self.url + path, wait_until="domcontentloaded")
        return self.idle()

    def visit(self, path: str) -> "AppPage":
        """Go on to an address within the loaded app, as a link or the back button does; much cheaper than ``open``."""
        self.page.evaluate(
            """async path => {
                 const app = document.querySelector('[data-testid="stApp"]')
                 const begun = new Promise(done => {
                   const watch = new MutationObserver(() => { if (app.dataset.testScriptState === 'running') { watch.disconnect(); done() } })
                   watch.observe(app, {attributes: true})
                   setTimeout(done, 5000) })
                 history.pushState({}, '', path)
                 dispatchEvent(new PopStateEvent('popstate', {state: {}}))
                 await begun }""",
            path,
        )
        return self.idle()

    def idle(self) -> "AppPage":
        """Wait until nothing runs. A click's run may not have begun yet: after a click expect a text instead."""
        self.page.locator(IDLE).wait_for(state="attached", timeout=PATIENCE_MS)
        self.page.wait_for_function("() => !document.querySelector('[data-testid=\"stSkeleton\"]')", timeout=PATIENCE_MS)
        return self

    def heading(self, name: str) -> "AppPage":
        """Expect the screen's title."""
        expect(self.page.get_by_role("heading", name=name, exact=True).first).to_be_visible(timeout=PATIENCE_MS)
        return self.idle()

    def go(self, name: str) -> "AppPage":
        """Open a screen by its entry in the menu."""
        self.page.get_by_test_id("stSidebarNav").get_by_role("link", name=name, exact=True).click()
        return self

    def sees(self, text: str) -> "AppPage":
        """Expect a text somewhere on the page."""
        expect(self.page.get_by_text(text).first).to_be_visible(timeout=PATIENCE_MS)
        return self

    def click(self, name: str) -> "AppPage":
        """Click a button by its words."""
        self.page.get_by_role("button", name=called(name)).first.click()
        return self

    def picture(self, path: Path) -> None:
        """Save what is to be seen, without the toasts that cover it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.page.wait_for_timeout(400)
        self.page.screenshot(path=path)

    def settled(self) -> "AppPage":
        """Wait until nothing has been drawn for a moment (charts come after the script has ended), two seconds at most."""
        self.page.evaluate(
            """() => new Promise(done => {
                 let timer = setTimeout(done, 100)
                 const watch = new MutationObserver(() => { clearTimeout(timer); timer = setTimeout(done, 100) })
                 watch.observe(document.body, {subtree: true, childList: true, attributes: true})
                 setTimeout(done, 2000) })"""
        )
        return self

    def dark(self, on: bool = True) -> "AppPage":
        """Switch the system's colours, and wait until the app has followed."""
        ground = "() => getComputedStyle(document.querySelector('[data-testid=\"stApp\"]')).backgroundColor"
        before = self.page.evaluate(ground)
        self.page.emulate_media(color_scheme="dark" if on else "light", reduced_motion="reduce")
        self.page.wait_for_function(f"before => ({ground})() !== before", arg=before)
        return self.idle()

    def complaints(self, *rules: str, only: tuple[str, ...] = (), menu: bool = True) -> list[str]:
        """What axe finds wrong on the page, as sentences: serious and critical ones of WCAG 2 A and AA, inactive controls left out (1.4.3).

        Of a table only the first rows are looked at: the others are drawn alike, and each costs as much again. ``rules`` are left out; with ``only``, no other rules are tried; without ``menu``, the frame that all screens share isn't looked at again.
        """
        from axe_playwright_python.sync_playwright import Axe

        chosen: Any = {"type": "rule", "values": list(only)} if only else {"type": "tag", "values": ["wcag2a", "wcag2aa"]}
        if not self.page.evaluate("() => 'axe' in window"):  # once per document
            self.page.evaluate(Axe().axe_script)
        self.page.evaluate(FEW_ROWS)
        found: Any = self.page.evaluate(
            """([where, options]) => axe.run(where, options).then(({violations}) => ({violations}))""",
            [
                {"exclude": [] if menu else [[each] for each in FRAME]},
                {"runOnly": chosen, "resultTypes": ["violations"], "preload": False, "iframes": False},
            ],
        )
        return [
            f"{entry['id']}: {entry['help']} ({node['html'][:160]} {json.dumps(node['any'][0]['data'])[:160] if node['any'] else ''})"
            for entry in found["violations"]
            for node in entry["nodes"]
            if entry["impact"] in ("serious", "critical") and entry["id"] not in rules
            if not (entry["id"] == "color-contrast" and self._inactive(node["target"][0]))
        ]

    def _inactive(self, selector: str) -> bool:
        """True for parts of disabled controls, and for the shortcut that Streamlit prints on a button."""
        return bool(
            self.page.evaluate(
                """selector => { const el = document.querySelector(selector)
                     const control = el?.closest('[data-testid^="st"][class*="st-key"], [data-testid$="Input"], [data-testid="stSelectbox"]')
                     return el?.tagName === 'KBD' || !!control?.querySelector('[disabled], [aria-disabled="true"]') }""",
                selector,
            )
        )


def signed_in(
    found: Browser, url: str, cookie: dict[str, str] | None, *, width: int = 1440, height: int = 900, dark: bool = False
) -> AppPage:
    """A new tab in a context of its own; with the cookie of a session, or a stranger without one."""
    context = found.new_context(
        viewport={"width": width, "height": height},
        reduced_motion="reduce",
        color_scheme="dark" if dark else "light",
        locale="en-GB",
        timezone_id="Europe/Berlin",
        is_mobile=width < 600,
        has_touch=width < 600,
    )
    if cookie is not None:
        context.add_cookies([cookie])  # type: ignore[list-item]
    return AppPage(context.new_page(), url)
