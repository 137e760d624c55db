"""Every verb of the services is called: who may only read changes nothing, and a guessed number is answered like one that does not exist."""

import enum
import importlib
import inspect
import pkgutil
import re
import shutil
import types
import typing
from collections import abc
from dataclasses import replace
from datetime import date, datetime, timedelta
from functools import cache

import pytest
from sqlalchemy import event
from sqlmodel import select

from crm_core import services
from crm_core.access import load
from crm_core.access.permissions import AREAS, RECORDS
from crm_core.db import read_session, write_engine, write_session
from crm_core.errors import CrmError
from crm_core.kit import clock
from crm_core.models import SavedView, User
from crm_core.vocabulary import Action, Scope, Visibility
from tests.conftest import _environment

NOT_ASKED = ("admin.demo", "admin.backups", "admin.restoring", "admin.founding", "admin.moving")
"""What builds or restores a whole workspace, at the command line."""
OWN = {
    "analytics.dashboards.create", "analytics.dashboards.duplicate", "collaboration.feeds.renew", "collaboration.feeds.revoke",
    "collaboration.following.begin", "collaboration.following.follow", "collaboration.following.stop", "collaboration.notifications.choose",
    "collaboration.notifications.mark", "collaboration.notifications.mark_all", "collaboration.notifications.snooze", "collaboration.view_choices.unpin",
    "collaboration.view_choices.choose", "collaboration.view_choices.pin", "collaboration.views.copy",
    "admin.users.update_me", "collaboration.views.choose_own", "collaboration.views.forget_choice", "collaboration.views.create", "collaboration.views.keep",
}  # fmt: skip
"""What everybody may have of their own: dashboards and views that nobody else sees, what they follow, their notifications and choices."""
PARTS = {
    "collaboration.interactions.answered": "of writing or talking to somebody, which asks",
    "collaboration.notifications.withdraw": "of the verb that settles the matter, which asks",
    "collaboration.outbox.recall": "of taking somebody out of a campaign or an automation, which asks",
    "collaboration.outbox.shift": "of pausing and stopping a campaign, which asks",
    "collaboration.suppressions.note": "of a bounce or of unsubscribing, which ask or speak for the person",
    "collaboration.timeline_mail.letters": "of reading a timeline, which asks",
    "collaboration.timeline_mail.touches": "of reading a timeline, which asks",
    "collaboration.webhooks.enqueue": "of an automation, which asks as its owner, and of trying a webhook out",
    "customers.consent.append": "of record, which asks, and of a person's own word",
    "customers.consent_files.log": "of taking the file, which asks",
    "customers.unsubscribing.agrees": "of a person's own page",
    "customers.unsubscribing.leave": "of a person's own word",
    "customers.unsubscribing.note_left": "of taking a complaint in",
    "customers.unsubscribing.objected": "of changing a contact, which asks",
    "marketing.segments.recount": "counting anew, for whoever sees the segment",
    "marketing.templates.note_used": "of writing with a letter, for whoever sees it",
}
"""Verbs that ask nobody themselves, and which ones around them do."""
SAID = {"entity_key": ("contact", "lead"), "kind": ("call", "x"), "address": ("a@example.com", "x"), "timezone": ("UTC", "x")}
"""Words that verbs understand; of any other text an x is as good."""
LOOKUPS = {
    "user_id",
    "team_id",
    "stage_id",
    "pipeline_id",
    "role_id",
    "status_id",
    "owner_id",
    "manager_id",
    "category_id",
    "product_id",
    "into_id",
}
"""Numbers of what everybody signed in may read."""
SHARED = ("helpdesk.macros.", "bulk.use_macro")
"""What lies there for everybody who works on tickets."""
MISSING = 987_654


@pytest.fixture
def demo(sqlite_demo, tmp_path):
    """The small demo company, and somebody who sells there."""
    shutil.copy(sqlite_demo / "rapport.db", tmp_path / "rapport.db")
    with _environment(f"sqlite:///{tmp_path / 'rapport.db'}", tmp_path), read_session() as session:
        people = (load(session, user_id) for user_id in session.exec(select(User.id)))
        yield next(one for one in people if "sales_rep" in one.roles)


@cache
def verbs():
    """(name, function, its parameters after the actor without a default, their types) of every verb."""
    found = []
    for place in pkgutil.walk_packages(services.__path__, "crm_core.services."):
        name = place.name.removeprefix("crm_core.services.")
        module = importlib.import_module(place.name)
        for verb, function in inspect.getmembers(module, inspect.isfunction):
            given = list(inspect.signature(function).parameters.values())
            if (
                not verb.startswith("_")
                and function.__module__ == place.name
                and [one.name for one in given[:2]] == ["session", "actor"]
            ):
                needed = [
                    one.name
                    for one in given[2:]
                    if one.default is one.empty and one.kind not in (one.VAR_KEYWORD, one.VAR_POSITIONAL)
                ]
                if not name.startswith(NOT_ASKED):
                    found.append((f"{name}.{verb}", function, needed, hints(function)))
    return found


def hints(function):
    """The types of a function's parameters; none where they are only known to who checks types."""
    try:
        return typing.get_type_hints(function)
    except NameError:
        return {}


def something(kind, name, n):
    """A value of a type, the n-th of it."""
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return something(next(one for one in parts if one is not type(None)), name, n)
    if origin is tuple:
        return tuple(something(one, name, n) for one in parts if one is not Ellipsis)
    if origin in (list, abc.Sequence, abc.Iterable, abc.Collection):
        return [something(parts[0], name, n)]
    if origin in (dict, abc.Mapping):
        return {"name": "X", "subject": "X"}
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return next(iter(kind))
    plain = {
        bool: True, int: n, float: 1.0, str: SAID.get(name, ("x", "x"))[n % 2], bytes: b"a,b\n1,2\n", date: clock.today() + timedelta(days=9),
        datetime: clock.utcnow() + timedelta(days=1),
    }  # fmt: skip
    return plain.get(kind)


class _Back(Exception):
    """Nothing of it stays."""


def answer(function, actor, given):
    """What a verb says: the kind of its error and the words without numbers; or that it did it."""
    try:
        with write_session() as session:
            said = function(session, actor, **given)
            session.flush()
            raise _Back
    except _Back:
        return "", re.sub(r"\d+", "#", repr(said)) if isinstance(said, list | tuple | dict | bool | None) else type(said).__name__
    except CrmError as error:
        return type(error).__name__, re.sub(r"\d+", "#", f"{error.message} {getattr(error, 'fields', '')}")
    except Exception as error:  # asked with something that makes no sense
        return f"!{type(error).__name__}", ""


def test_who_may_only_read_changes_nothing(demo):
    written, wrong, refused = [], {}, set()

    @event.listens_for(write_engine(), "before_cursor_execute")
    def note(_connection, _cursor, statement, *_):
        if statement.lstrip()[:6].upper() in ("INSERT", "UPDATE", "DELETE"):
            written.append(statement[:80])

    reader = replace(demo, grants={(key, Action.READ): frozenset({Scope.ALL}) for key in (*RECORDS, *AREAS)})
    for name, function, needed, types_ in verbs():
        if name.startswith("analytics.") and not {"create", "duplicate", "publish", "switch_off", "update", "archive"} & {
            name.rpartition(".")[2]
        }:
            continue  # figures, which take long
        for n in (1, 2):
            written.clear()
            told = answer(function, reader, {key: something(types_.get(key), key, n) for key in needed})
            if told[0] == "NotPermitted":
                refused.add(name)
            if written and told[0] in ("", "Conflict") and name not in OWN and name not in PARTS:
                wrong[name] = (told, written[0])
    assert wrong == {}
    assert len(refused) > 280, "the verbs are found and understood"


def test_a_guessed_number_of_anything_is_answered_like_one_that_does_not_exist(demo):
    grants = {(key, action): frozenset({Scope.OWN}) for key in RECORDS for action in Action}
    curious = replace(demo, user_id=99_999, team_id=None, grants=grants)
    with write_session() as session:
        for view in session.exec(select(SavedView)):  # those of a new workspace are there for all
            view.visibility = Visibility.PRIVATE
    wrong, asked = {}, 0
    for name, function, needed, types_ in verbs():
        numbers = [key for key in needed if (key.endswith("_id") and key not in LOOKUPS) or key in ("number", "record_ids", "ids")]
        if name.startswith(SHARED) or name in PARTS:
            continue
        for entity_key in ("contact", "lead", "deal", "ticket") if "entity_key" in needed else ("",):
            given = {key: something(types_.get(key), key, 1) for key in needed} | ({"entity_key": entity_key} if entity_key else {})
            for key in numbers:
                said = [
                    answer(function, curious, given | {key: [n] if isinstance(given[key], list) else n}) for n in (MISSING, 1, 2)
                ]
                asked += 1
                if set(said) != {said[0]}:
                    wrong[f"{name} {key} {entity_key}"] = said
    assert wrong == {}
    assert asked > 400, "the verbs are found"
