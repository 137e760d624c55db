"""Pages: where they lie, that each is in the menu's list and the reverse, and how little they do."""

import ast
import importlib
import importlib.util
from collections import Counter

from tests.architecture import source
from ui.components.header import STEP_BACK
from ui.navigation import PAGES

FOLDER = source.ROOT / "pages"
LONGEST = 220


def test_there_is_no_page_directly_in_pages():
    """A file beside the folders would be served by its name before anybody asked who is there, were the entry script ever moved up."""
    assert [path.name for path in FOLDER.glob("*.py")] == []


def test_every_page_is_in_the_list_of_screens_and_the_reverse():
    listed, present = {screen.path for screen in PAGES}, {path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*.py")}
    assert present - listed == set(), "add these to ui.navigation.PAGES"
    assert listed - present == set(), "these screens have no file"


def test_addresses_and_files_are_listed_once():
    for key in ("url", "path"):
        twice = [value for value, count in Counter(getattr(screen, key) for screen in PAGES).items() if count > 1]
        assert twice == []
    assert sum(screen.default for screen in PAGES) == 1


def test_every_page_says_for_whom_it_is():
    assert [source.name(path) for path in FOLDER.rglob("*.py") if not ast.get_docstring(source.tree(path))] == []


def test_pages_stay_short():
    long = {source.name(path): lines for path in FOLDER.rglob("*.py") if (lines := len(path.read_text().splitlines())) > LONGEST}
    assert long == {}, "move drawing to ui/components, deciding to a service"


def test_pages_catch_no_errors():
    """Errors become words in ui.actions, once."""
    found = [
        f"{source.name(path)}:{node.lineno}"
        for path in FOLDER.rglob("*.py")
        for node in ast.walk(source.tree(path))
        if isinstance(node, ast.Try)
    ]
    assert found == []


def test_days_are_typed_in_the_readers_order_everywhere():
    found = [
        f"{source.name(path)}:{line}"
        for path in source.files("pages", "ui")
        for line, called in source.calls(path)
        if called.rpartition(".")[2] in ("date_input", "datetime_input") and path.name != "day_input.py"
    ]
    assert found == [], "use ui.components.day_input"


def test_what_pages_import_is_there():
    """A page runs when somebody opens it: a name that moved would only be missed by them."""
    missing = [
        f"{source.name(path)}:{node.lineno} {node.module}.{name.name}"
        for path in FOLDER.rglob("*.py")
        for node in ast.walk(source.tree(path))
        if isinstance(node, ast.ImportFrom) and str(node.module).partition(".")[0] in ("crm_core", "ml", "ui")
        for name in node.names
        if not _is_there(str(node.module), name.name)
    ]
    assert missing == []


def _is_there(module: str, name: str) -> bool:
    return hasattr(importlib.import_module(module), name) or importlib.util.find_spec(f"{module}.{name}") is not None


def test_every_button_has_words_even_where_only_its_sign_is_drawn():
    """Streamlit reads a button without a label aloud as "delete icon"."""
    kinds = {"button", "popover", "menu_button", "download_button", "link_button", "form_submit_button"}
    silent = [
        f"{source.name(path)}:{node.lineno}"
        for path in source.files("pages", "ui")
        for node in ast.walk(source.tree(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in kinds
        if node.args and isinstance(node.args[0], ast.Constant) and not node.args[0].value
    ]
    assert silent == [], "name them with ui.format.icon_only"


def test_the_buttons_that_step_back_on_phones_are_those_of_the_style_sheet():
    css = (source.ROOT / "ui" / "static" / "contrast.css").read_text()
    line = next(line for line in css.splitlines() if "st-key-narrow_more" in line)
    assert {name.strip(" .,)").removeprefix("st-key-") for name in line.split(":is(")[1].split(")")[0].split(",")} == STEP_BACK
