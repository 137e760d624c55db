"""Long stories in a real browser, each on a workspace of its own."""

import os
import shutil
from pathlib import Path

import pytest
from PIL import Image

from tests.conftest import ROOT, leave_out
from tests.tools import browser as browsers
from tests.tools.app import started

PICTURES = ROOT / "docs" / "screens"


def pytest_collection_modifyitems(items):
    for item in items:
        if "tests/journeys" in str(item.path):
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.server)


@pytest.fixture(scope="session")
def chromium():
    """One browser for all journeys of a run; each page has a context of its own."""
    try:
        with browsers.browser() as found:
            yield found
    except FileNotFoundError as error:
        leave_out("a browser for the journeys", str(error))


@pytest.fixture
def empty_app(tmp_path, sqlite_template):
    """The app at its first visit: nothing in the workspace."""
    with _started(tmp_path / "app", sqlite_template) as app:
        yield app


@pytest.fixture(scope="module")
def demo_app(tmp_path_factory, sqlite_demo):
    """The app with the small demo company, one for the stories of a file."""
    with _started(tmp_path_factory.mktemp("demo") / "app", sqlite_demo / "rapport.db") as app:
        yield app


def _started(folder, database):
    """The app over a copy of a database."""
    folder.mkdir()
    shutil.copy(database, folder / "rapport.db")
    return started(folder, scale=None)


@pytest.fixture
def tab(chromium):
    """Callable: ``tab(app, "sales_rep")`` is a signed-in tab of that role, ``tab(app)`` one of a stranger, ``tab(app, 7)`` one of user 7.

    No journey ends with a script error in any tab.
    """
    opened = []

    def open_tab(app, who=None, **look):
        person = app.people()[who] if isinstance(who, str) else who
        page = browsers.signed_in(chromium, app.url, app.cookie(person) if person else None, **look)
        opened.append(page)
        return page

    yield open_tab
    for page in opened:
        page.page.context.close()
    assert [error for page in opened for error in page.errors] == []


@pytest.fixture
def picture():
    """Callable: ``picture(tab, "overview")`` saves docs/screens/overview.png when RAPPORT_SCREENS is set, for the README; a third of the bytes."""

    def save(page, name):
        if os.environ.get("RAPPORT_SCREENS"):
            path = Path(PICTURES) / f"{name}.png"
            page.picture(path)
            with Image.open(path) as found:
                found.convert("RGB").quantize(200).save(path, optimize=True)

    return save
