"""Somebody who guesses the number of a run, segment, campaign, dashboard, link or report gets the answer for one that does not exist."""

import inspect
import pkgutil
import re
from dataclasses import replace
from datetime import date, timedelta
from importlib import import_module

import pytest
from sqlalchemy import true

from crm_core.access import Actor
from crm_core.db import read_session, write_session
from crm_core.errors import CrmError
from crm_core.kit import clock
from crm_core.lists import ListQuery
from crm_core.models import AnalysisRun
from crm_core.services import analytics, marketing
from crm_core.services.analytics import dashboards, reports, run_keys, runs, sharing
from crm_core.services.analytics.methods import method
from crm_core.services.marketing import segments
from crm_core.vocabulary import (
    Action,
    CampaignStatus,
    ContactWay,
    MemberStatus,
    Outlet,
    Purpose,
    ReportEvery,
    RunState,
    Scope,
    ShareKind,
)
from tests.crm_core.services.marketing.outreach import campaign, launch, no_quiet_hours, people

NUMBERS = ("run_id", "segment_id", "campaign_id", "dashboard_id", "schedule_id", "link_id")
MISSING = 987_654
TILE = {"kind": "figure", "spec": {"metric": "open_pipeline", "by": "", "chart": "number"}}
GIVEN = {
    "name": "x", "title": "x", "text": "x", "source": "x", "subject": "x", "words": "x", "variant_key": "A", "submit_key": "guess", "entity_key": "contact",
    "ids": [1], "record_ids": [1], "member_ids": [1], "wanted": [1], "bought": [1], "not_yet": [2], "rows": [], "recipients": ["a@example.com"],
    "changes": {}, "query": ListQuery(), "tile": TILE, "tile_id": 1, "note_id": 1, "by": 1, "persona": 0, "days": 7, "active": False,
    "role_id": 1, "day": date(2026, 3, 1), "at": clock.utcnow() + timedelta(days=1), "action": Action.READ, "purpose": Purpose.MARKETING,
    "way": ContactWay.EMAIL, "every": ReportEvery.WEEK, "kind": ShareKind.DASHBOARD, "cohort": "2025-01-01", "age": 1, "look": None, "shielded": True, "rule": None, "template": "x",
    "outlet": Outlet.EMAIL, "outlets": [Outlet.EMAIL], "found": [], "clause": true(),
}  # fmt: skip
"""What the functions want besides the number."""
STATUS = {"move": CampaignStatus.RUNNING, "set_member_status": MemberStatus.SENT}
QUIET = {"reaches": False}
"""Functions that answer without an error, and what."""


def doors():
    """Every function for people that takes such a number, and which."""
    for package in (analytics, marketing):
        for found in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            module = import_module(found.name)
            for name, function in inspect.getmembers(module, inspect.isfunction):
                parameters = list(inspect.signature(function).parameters.values())
                names = [one.name for one in parameters]
                number = next((one for one in NUMBERS if one in names), None)
                if function.__module__ == found.name and not name.startswith("_") and names[:2] == ["session", "actor"] and number:
                    yield f"{found.name.rpartition('.')[2]}.{name}", function, number


DOORS = {name: (function, number) for name, function, number in doors()}


class _Back(Exception):
    """Nothing of it stays."""


def asked(function, actor, number, value):
    """What somebody is told: the result, or the error's kind and words without the number itself."""
    wanted = {
        one.name: STATUS.get(function.__name__) if one.name == "status" else GIVEN[one.name]
        for one in list(inspect.signature(function).parameters.values())[2:]
        if one.default is inspect.Parameter.empty and one.name != number
    }
    told = None
    try:
        with write_session() as session:
            told = function(session, actor, **wanted, **{number: value})
            raise _Back
    except _Back:
        return told
    except CrmError as error:
        return type(error).__name__, re.sub(r"\d+", "#", f"{error.message} {error.fields if hasattr(error, 'fields') else ''}")


@pytest.fixture
def hidden(cast):
    """One of each, which belongs to somebody else and is shown to nobody."""
    no_quiet_hours(cast["root"])
    ids = people(3)
    made = {"campaign_id": campaign(cast["dana"], ids, holdout_pct=0)}
    launch(cast["dana"], made["campaign_id"])
    found = method("outlook")
    with write_session() as session:
        made["segment_id"] = segments.create(
            session, cast["dana"], name="S", entity="contact", kind="static", record_ids=ids, visibility="private"
        )
        made["dashboard_id"] = dashboards.create(session, cast["bob"], name="D", tiles=[TILE])
        made["schedule_id"] = reports.create(
            session, cast["bob"], made["dashboard_id"], every=ReportEvery.WEEK, recipients=["bob@example.com"]
        )
        made["link_id"] = sharing.create(session, cast["bob"], kind=ShareKind.DASHBOARD, target_id=made["dashboard_id"])
        params = found.normalise({}, session, cast["root"])
        run = AnalysisRun(
            kind="outlook", name="", key="k", code_version="1", params=params, scope=run_keys.scope(session, cast["root"], found, params),
            data_versions={}, as_of=date(2026, 3, 1), state=RunState.DONE, job_id="", verdict="Secret", warnings=[], result={},
            requested_by=cast["root"].user_id,
        )  # fmt: skip
        session.add(run)
        session.flush()
        made["run_id"] = run.id
    return made


def curious(cast) -> Actor:
    """Somebody who may do everything that a marketer or a manager may, with what is their own."""
    grants = {key: frozenset({Scope.OWN}) for who in ("dana", "bob", "root") for key in cast[who].grants if key[0] != "user"}
    return replace(cast["charlie"], grants=grants)


def test_a_guessed_number_is_answered_like_one_that_does_not_exist(cast, hidden):
    assert len(DOORS) > 60, "the doors are found"
    wrong = {}
    for who, actor in {"curious": curious(cast), "agent": cast["sam"]}.items():
        for name, (function, number) in DOORS.items():
            there, missing = (asked(function, actor, number, value) for value in (hidden[number], MISSING))
            refused = (
                isinstance(there, tuple)
                and len(there) == 2
                and str(there[0]) in ("NotFound", "NotPermitted", "Invalid", "Conflict")
            )
            expected = QUIET.get(function.__name__)
            if there != missing or not (refused or there is expected):
                wrong[f"{who}: {name}"] = (there, missing)
    assert wrong == {}


def test_whose_they_are_sees_them(cast, hidden):
    """The other half: the answers above are not those of things that nobody could see."""
    with read_session() as session:
        assert segments.get(session, cast["dana"], hidden["segment_id"]).name == "S"
        assert dashboards.get(session, cast["bob"], hidden["dashboard_id"]).name == "D"
        assert runs.get(session, cast["root"], hidden["run_id"]).verdict == "Secret"
        assert [row.id for row in reports.find(session, cast["bob"])] == [hidden["schedule_id"]]
        assert [row.id for row in sharing.find(session, cast["bob"])] == [hidden["link_id"]]
