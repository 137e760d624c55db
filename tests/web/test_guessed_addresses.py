"""Every address that takes a number or a key, asked by a stranger, by somebody of another reach, by somebody who left, and with what is none."""

import re

import pytest
from sqlalchemy import delete
from sqlmodel import select

from crm_core.access.permissions import RECORDS
from crm_core.db import read_session, write_session
from crm_core.models import Product, Role, RolePermission, User
from crm_core.services import crud
from crm_core.services.collaboration import feeds
from crm_core.vocabulary import Action, ReportEvery, Scope, ShareKind
from tests.verbs import do
from tests.web.conftest import PASSWORD, visitor
from tests.web.test_api import Program, fresh_pace  # noqa: F401
from tests.web.test_share import make
from web import share, visits
from web.api import app, verbs
from web.routes import ROUTES

SECRET = "Zanzibar-4711"
MISSING = 987_654
NO_NUMBERS = ("x", "-1", "0", "1.5", str(2**31), "9" * 400, "1%20or%201=1", "٣")
GUESSES = ("1", "0", "-1", "x", "1.x", "9" * 300, "<b>", "' or 1=1 --", "ü", "a.b.c")
TITLES = {"order": {"status": "placed"}, "ticket": {"subject": SECRET}, "task": {"subject": SECRET}, "activity": {"subject": SECRET, "kind": "note", "at": "2026-05-01T09:00:00Z"},
          "article": {"title": SECRET}, "segment": None, "product": {"name": SECRET, "price_minor": 1}, "promotion": {"name": SECRET, "percent_off": 5}}  # fmt: skip
"""What a new record needs; others have a name."""
SAMPLES = {"text": "x", "whole": 1, "yes": True, "day": "2026-05-31", "instant": "2026-05-31T09:30:00Z", "ids": [1]}


def operations():
    """(method, path, body) of every address of the API that takes the number of a record."""
    told = {f"/{verbs.path_of(one.entity)}/{{record_id}}/{one.name}": one for one in verbs.VERBS}
    for path, ways in app.build().openapi()["paths"].items():
        for method in ways if "{record_id}" in path else ():
            needed = [one for one in told[path].params if one.needed] if path in told else []
            body = {one.key: SAMPLES[one.kind] if isinstance(one.kind, str) else next(iter(one.kind)).value for one in needed}
            yield method.upper(), path, ({"items": []} if method == "put" else body) if method in ("post", "put", "patch") else None


@pytest.fixture
def world(staff):
    """One of each kind that is Root's, and one in the bin; Charlie, who may do everything with his own; their numbers by kind."""
    there, gone = {}, {}
    with write_session() as session:
        for key in RECORDS:
            values = TITLES.get(key, {"name": SECRET, **({"email": "z@zanzibar.example"} if key in ("contact", "lead") else {})})
            if values is not None:
                there[key], gone[key] = (crud.create(session, staff["root"], key, values).id for _ in range(2))
                crud.archive(session, staff["root"], key, gone[key])
        role = session.exec(select(Role.id).where(Role.key == "sales_rep")).one()
        session.execute(delete(RolePermission).where(RolePermission.role_id == role))
        grants = {
            *((key, action) for key in RECORDS for action in Action if key != "product"),
            ("integration", Action.READ),
            ("analytics", Action.READ),
        }
        session.add_all(RolePermission(role_id=role, entity=key, action=action, scope=Scope.OWN) for key, action in grants)
    return staff, there, gone


def told(answer):
    """What somebody learns of an answer, apart from the number that they asked for."""
    return answer.status_code, re.sub(r"\d{3,}|/\d+", "#", answer.text)


def test_the_api_tells_of_a_hidden_or_deleted_record_what_it_tells_of_none(world):
    staff, there, gone = world
    charlie, wrong, asked = Program(staff["charlie"]), {}, 0
    with read_session() as session:
        assert session.exec(select(Product.id)).first(), "what nobody owns is there too"
    for method, path, body in operations():
        key = next(key for key in RECORDS if path.startswith(f"/{verbs.path_of(key)}/"))
        kinds = (there, gone) if method in ("GET", "PATCH") else (there,)
        numbers = [MISSING, *(found[key] for found in kinds if key in found)]
        said = [told(charlie(method, path.format(record_id=one), body, if_match='"v1"')) for one in numbers]
        none = [
            charlie(method, path.format(record_id=one), body, if_match='"v1"')
            for one in (("x",) if asked > 60 else ("x", "-1", str(2**31)))
        ]
        asked += len(said) + len(none)
        if set(said) != {said[0]} or said[0][0] not in ((403, 404) if key == "product" else (404,)) or SECRET in str(said):
            wrong[f"{method} {path}"] = said
        if any(one.status_code != 422 or "Part of the address is not valid" not in one.text for one in none):
            wrong[f"{method} {path} with no number"] = [told(one) for one in none]
    assert wrong == {}
    assert asked > 240, "the addresses are found"


def test_a_stranger_and_somebody_who_left_get_one_answer_from_the_api_whatever_they_ask(world):
    staff, there, _ = world
    alice = Program(staff["alice"])
    with write_session() as session:
        session.get(User, staff["alice"].user_id).is_active = False
    told_of = {told(alice(method, path.format(record_id=1), body)) for method, path, body in list(operations())[::9]}
    told_of |= {told(alice("GET", f"/accounts/{one}")) for one in (*NO_NUMBERS, there["account"], MISSING)}
    assert {status for status, _ in told_of} == {401} and len(told_of) == 1
    stranger = visitor()
    assert {stranger.get(f"/api/v1/accounts/{one}").status_code for one in ("1", "x", MISSING)} == {401}


def test_what_is_no_number_is_said_to_be_none(world):
    staff, _, _ = world
    root = Program(staff["root"])
    for one in NO_NUMBERS:
        answer = root("GET", f"/deals/{one}")
        assert answer.status_code in (404, 422) and answer.json()["detail"].endswith("."), one
    for path in ("/fields/secret", "/lookups/deal", "/lookups/x", "/nothing/1", "/deals/1/nothing"):
        assert root("GET", path).status_code == 404, path


# --- addresses with a key or a signature --------------------------------------------------------------------------------------------


KEYED = sorted(route.path.partition("{")[0] for route in ROUTES if "{" in getattr(route, "path", ""))
"""``/s/``, ``/book/`` and so on."""


@pytest.mark.parametrize("door", KEYED)
def test_a_guessed_key_is_answered_in_one_way(staff, door, monkeypatch):
    monkeypatch.setattr(share, "PER_MINUTE", 1_000)
    visits._seen.clear()
    stranger = visitor()
    for method in ("GET", "POST"):
        said = set()
        for guess in GUESSES:
            answer = stranger.request(
                method,
                f"{door}{guess}",
                headers={"origin": "http://localhost:8501"},
                data={"password": "x" * 12} if method == "POST" else None,
            )
            assert answer.status_code in (200, 403, 404, 405, 422), f"{method} {door}{guess}: {answer.status_code}"
            assert SECRET not in answer.text and "Traceback" not in answer.text
            said.add((answer.status_code, re.sub(r"[0-9a-f]{8,}|reference \w+", "#", answer.text)))
        assert len(said) == 1, f"{method} {door}: {said}"
        status = said.pop()[0]
        assert status != 200 or door in ("/o/", "/v/"), "a picture looks the same whatever was guessed"


def test_what_somebody_gave_out_ends_when_they_leave(staff):
    """Their calendar, their shared pages and their sessions: with a deactivated person the answer is that of a link that never was."""
    from crm_core.services.analytics import dashboards, reports

    bob = staff["bob"]
    with write_session() as session:
        board = dashboards.create(session, bob, name=SECRET, tiles=[])
        reports.create(session, bob, board, every=ReportEvery.WEEK, recipients=["bob@example.com"])
        calendar = feeds.renew(session, bob)
    link, stranger, browser = make(bob, board), visitor(), visitor()
    assert browser.sign_in("bob", PASSWORD).status_code == 303
    open_ones = (f"/s/{link.token}", f"/ical/{calendar}.ics")
    assert link.kind is ShareKind.DASHBOARD and [stranger.get(one).status_code for one in open_ones] == [200, 200]
    do(lambda session: setattr(session.get(User, bob.user_id), "is_active", False))
    for one, none in zip(open_ones, ("/s/nothing", "/ical/nothing.ics"), strict=True):
        assert told(stranger.get(one)) == told(stranger.get(none)) and stranger.get(one).status_code == 404
    assert browser.get("/deals").status_code == 401 and browser.page("/deals").status_code == 303
