"""A page that takes a number in its address says of a record out of reach what it says of none, and of what is no number that it is none."""

import ast
from pathlib import Path

import pytest
from sqlalchemy import delete
from sqlmodel import select

from crm_core.access import load
from crm_core.access.permissions import RECORDS
from crm_core.db import read_session, write_session
from crm_core.models import Role, RolePermission
from crm_core.services import crud
from crm_core.services.analytics import dashboards
from crm_core.vocabulary import Action, Scope
from tests.architecture import source
from tests.pages.app import open_screen, words

PAGES = ("account", "contact", "lead", "deal", "order", "ticket", "task", "campaign", "promotion", "article")
MISSING, SECRET = 987_654, "Zanzibar-4711"
NO_NUMBERS = ("x", "-1", "9" * 40)
TITLE = {"order": {"status": "placed"}, "ticket": {"subject": SECRET}, "task": {"subject": SECRET}, "article": {"title": SECRET}}


@pytest.fixture
def hidden(cast):
    """One of each that is Root's, and Charlie, who may do everything with his own."""
    with write_session() as session:
        given = {
            key: TITLE.get(key, {"name": SECRET, "percent_off": 5} if key == "promotion" else {"name": SECRET}) for key in PAGES
        }
        made = {key: crud.create(session, cast["root"], key, values).id for key, values in given.items()}
        made["dashboard"] = dashboards.create(session, cast["root"], name=SECRET, tiles=[])
        role = session.exec(select(Role.id).where(Role.key == "sales_rep")).one()
        session.execute(delete(RolePermission).where(RolePermission.role_id == role))
        grants = {*((key, action) for key in RECORDS for action in Action), ("analytics", Action.READ)}
        session.add_all(RolePermission(role_id=role, entity=key, action=action, scope=Scope.OWN) for key, action in grants)
    with read_session() as session:
        return load(session, cast["charlie"].user_id), made


def test_a_hidden_record_is_answered_like_one_that_does_not_exist(hidden):
    charlie, made = hidden
    for url, record_id in made.items():
        said = []
        for one in (record_id, MISSING) if url in ("deal", "dashboard") else (record_id,):
            app = open_screen(charlie, url, id=one)
            assert not app.exception and SECRET not in words(app), url
            said.append([error.value for error in app.error])
        assert said[0] == said[-1] and "does not exist, or is not sh" in said[0][0].replace("\\", ""), url
    for one in NO_NUMBERS:
        app = open_screen(charlie, "deal", id=one)
        assert not app.exception and "This address names no record" in app.error[0].value


def test_numbers_are_taken_out_of_addresses_in_one_place():
    """``ui.addresses.number`` knows what can't be one; a page that reads the text of an address itself makes no number of it."""
    found = [
        f"{source.name(path)}:{node.lineno}"
        for path in source.files("pages", "ui")
        if path != Path(source.ROOT / "ui" / "addresses.py")
        for node in ast.walk(source.tree(path))
        if isinstance(node, ast.Call) and source.dotted(node.func) in ("int", "float") and "query_params" in ast.dump(node)
    ]
    assert found == [], "use number(name) or id_from_url()"
