"""``make screens``: every page for every role, wide and narrow, light and dark, as pictures in the git-ignored ``.screens/``.

``python -m tests.tools.screens --role sales_rep --page deals --size 390 --theme dark`` takes few of them; ``--empty`` shows an empty
workspace, ``--scale large`` the large demo (cached in data/local/bench).
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from crm_core.access import load
from crm_core.db import read_session, write_session
from crm_core.services.admin import setup
from tests.cast import create
from tests.tools.app import App, started
from tests.tools.browser import AppPage, browser, signed_in
from ui.navigation import PAGES, Screen

ROOT = Path(__file__).resolve().parents[2]
TARGET = ROOT / ".screens"
SIZES = {"1440": (1440, 900), "390": (390, 844)}
THEMES = ("light", "dark")
CAST_ROLES = {
    "root": "administrator",
    "bob": "manager",
    "alice": "sales_rep",
    "dana": "marketer",
    "sam": "support_agent",
    "ana": "analyst",
}


def main() -> int:
    wanted = _arguments()
    if wanted.scale == "large":
        from tests.bench.large import folder

        where = folder()
    else:
        where = Path(tempfile.mkdtemp(prefix="rapport-screens-"))
    failures = 0
    with started(where, scale=None if wanted.empty else wanted.scale) as app, browser() as found:
        people = _cast() if wanted.empty else app.people()
        for role in wanted.role or list(people):
            for size in wanted.size or list(SIZES):
                for theme in wanted.theme or THEMES:
                    width, height = SIZES[size]
                    tab = signed_in(found, app.url, app.cookie(people[role]), width=width, height=height, dark=theme == "dark")
                    failures += _walk(app, tab, people[role], wanted.page, TARGET / role / f"{size}-{theme}")
                    tab.page.context.close()
    print(
        f"Pictures are in {TARGET.relative_to(ROOT)}/ROLE/SIZE-THEME/PAGE.png"
        + (f"; {failures} pages had errors" if failures else "")
    )
    return 1 if failures else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make screens", description="Picture every page for every role.")
    parser.add_argument("--role", action="append", choices=sorted(CAST_ROLES.values()), help="only this role (may be repeated)")
    parser.add_argument("--page", action="append", help="only the page at this address, such as deals (may be repeated)")
    parser.add_argument("--size", action="append", choices=SIZES, help="only this width")
    parser.add_argument("--theme", action="append", choices=THEMES, help="only this theme")
    parser.add_argument("--scale", default="small", choices=("small", "medium", "large"), help="which demo company")
    parser.add_argument("--empty", action="store_true", help="a workspace without any data")
    return parser.parse_args()


def _cast() -> dict[str, int]:
    """People of every role in an otherwise empty workspace."""
    with write_session() as session:
        setup.create_organisation(session, "New workspace")
        actors = create(session)
    return {role: int(actors[key].user_id or 0) for key, role in CAST_ROLES.items()}


def _walk(app: App, tab: AppPage, user_id: int, only: list[str] | None, folder: Path) -> int:
    with read_session() as session:
        actor = load(session, user_id)
    failures = 0
    for screen in PAGES:
        if not screen.allowed(actor) or (only and screen.url not in only):
            continue
        for address in _addresses(screen):
            tab.open(address)
            tab.picture(folder / f"{screen.url}.png")
            wrong = tab.page.get_by_test_id("stException").count() + len(tab.errors)
            failures += bool(wrong)
            print(
                f"{'!!' if wrong else 'ok'} {folder.parent.name} {folder.name} {screen.url}",
                file=sys.stderr if wrong else sys.stdout,
            )
            tab.errors.clear()
    return failures


def _addresses(screen: Screen) -> Iterator[str]:
    """The address to open; a record page shows record 1 (a page that does not exist for this person says so, which is a picture too)."""
    if screen.default:
        yield "/"
    elif screen.hidden:
        yield f"/{screen.url}?id=1"
    else:
        yield f"/{screen.url}"


if __name__ == "__main__":
    raise SystemExit(main())
