"""Dialogs and fragments draw only themselves: what a service refused must be said in them, or nobody reads it before the next whole page."""

import ast

from tests.architecture import source

SHOWS = {"show_problems", "show_refusal", "show_messages"}
WHOLE = {
    "pages/admin/jobs.py:details",
    "pages/admin/outbox.py:details",
    "pages/analytics/links.py:withdraw",
    "pages/analytics/links.py:end_report",
    "ui/components/campaign_launch.py:_stop_dialog",
    "ui/components/import_report.py:ask_undo",
    "ui/components/record_page.py:show",
    "ui/components/sidebar.py:_leave",
    "ui/components/notes.py:_drawer",
}
"""These draw the whole page anew after every verb, worked or refused (or, the last one, have only verbs that refuse nothing)."""


def test_a_dialog_or_fragment_that_changes_something_says_what_was_refused():
    silent = {
        f"{source.name(path)}:{function.name}"
        for path in source.files("pages", "ui")
        for function in _apart(path)
        if "perform" in (used := _used(function, _functions(path), {function.name})) and not SHOWS & used
    }
    assert silent - WHOLE == set(), "call ui.actions.show_problems (or show_refusal) at its end"
    assert WHOLE - silent == set(), "no longer needed in the list"


def _functions(path):
    return {node.name: node for node in ast.walk(source.tree(path)) if isinstance(node, ast.FunctionDef)}


def _apart(path):
    for node in ast.walk(source.tree(path)):
        if isinstance(node, ast.FunctionDef) and any(
            word in ast.unparse(decorator) for decorator in node.decorator_list for word in ("st.dialog", "st.fragment")
        ):
            yield node


def _used(function, known, seen):
    """Every name that a function uses, those of the functions beside it that it calls included."""
    used = {node.id for node in ast.walk(function) if isinstance(node, ast.Name)}
    for name in (used & known.keys()) - seen:
        seen.add(name)
        used |= _used(known[name], known, seen)
    return used
