"""What a person is told does not depend on what their role hides: every service that only reads is asked twice, with other people in the same places."""

import dataclasses
import importlib
import inspect
import itertools
import pkgutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.orm.exc import DetachedInstanceError
from sqlmodel import SQLModel, select

from crm_core import lists, search, services
from crm_core.access.actor import SUBJECTS
from crm_core.db import read_session, write_session
from crm_core.entities import RECORDS, entity
from crm_core.errors import CrmError
from crm_core.fields import registry
from crm_core.kit import clock
from crm_core.lists import ListQuery
from crm_core.services import crud
from crm_core.services.analytics import metrics
from crm_core.services.analytics.metric_rules import AREAS
from crm_core.services.collaboration import activities, tasks
from crm_core.services.feedback.results import DIMENSIONS
from crm_core.services.sales import deals, leads
from crm_core.vocabulary import ActivityKind, PeriodPreset

NOW = datetime(2026, 6, 1, 10, tzinfo=UTC)
HIDDEN = {"contact": ("name", "email", "phone", "birthday"), "lead": ("name", "email", "phone")}
NOT_ASKED = (
    "admin.demo",
    "admin.backups",
    "admin.restoring",
    "admin.founding",
    "admin.retention",
    "admin.upkeep",
    "analytics.methods",
)
"""What builds, restores or mines."""
BY_THE_CLOCK = {
    "telephony.dial_lists": "a number says by whose clock somebody is called; who may not see numbers can't call",
    "admin.health": "the size of the file",
}
MOST = 2
"""So many sets of arguments are tried of each service."""


@pytest.fixture
def world(cast):
    root = cast["root"]
    with clock.frozen(NOW - timedelta(days=3)), write_session() as session:
        firm = crud.create(session, root, "account", {"name": "Firm"}).id
        for n, who in enumerate(PEOPLE[0]):
            values = {"name": who, "email": f"p{n}@old.example", "phone": f"+49 30 90182{n}"}
            contact = crud.create(session, root, "contact", {**values, "account_id": firm, "birthday": f"1980-01-0{n + 1}"}).id
            lead = leads.create(session, root, {**values, "email": f"l{n}@old.example", "company": "Firm"}).id
            about = {"contact_id": contact, "account_id": firm}
            deal = deals.create(session, root, {"name": f"Chance {n}", "amount_minor": 100, **about}).id
            crud.create(session, root, "ticket", {"subject": f"A word from {who}", **about})
            tasks.create(session, root, {"subject": f"Call {who}", **about})
            for key, record_id in (("contact", contact), ("lead", lead), ("deal", deal)):
                activities.log(session, root, key, record_id, kind=ActivityKind.CALL, text=f"Talked to {who}")
    return root


PEOPLE = (("Maria Anders", "Abe Brandt", "Zoe Carlsen"), ("Quentin Nowak", "Xenia Olsen", "Bea Petri"))


def with_others():
    """Put other people in the places of those who are there, as if it had always been them; nothing else changes."""
    with write_session() as session:
        for key in ("activity", "task", "ticket"):
            table = entity(key).table
            for row in session.execute(select(table.c.id, table.c.subject)).all():
                told = row.subject
                for old, new in zip(*PEOPLE, strict=True):
                    told = told.replace(old, new)
                _put(session, table, row.id, subject=told)
        for key, fields in HIDDEN.items():
            table = entity(key).table
            for n, record_id in enumerate(session.execute(select(table.c.id).order_by(table.c.id)).scalars().all()):
                others = {"name": PEOPLE[1][n], "email": f"{key}.q{n}@new.example", "phone": f"+49 89 33182{n}"}
                _put(
                    session, table, record_id, **others, **({"birthday": datetime(1990, 5, 5 - n)} if "birthday" in fields else {})
                )
        for key in RECORDS:
            for record in session.exec(select(entity(key).model)):
                search.index(session, key, record)


def _put(session, table, record_id, **values):
    kept = {"updated_at": table.c.updated_at} if "updated_at" in table.c else {}
    session.execute(table.update().where(table.c.id == record_id).values(**values, **kept))


def plain(value):
    """An answer as text that can be compared; rows of the database are told by their number: screens read them by the registry."""
    if isinstance(value, SQLModel):
        return f"{type(value).__name__} {getattr(value, 'id', '')}"
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value) if field.name != "_hash"}
    if isinstance(value, Mapping):
        return {str(plain(key)): plain(one) for key, one in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(str(plain(one)) for one in value)
    if isinstance(value, list | tuple | Iterator):
        return [plain(one) for one in value]
    return plain(dict(value._mapping)) if hasattr(value, "_mapping") else str(value)


def questions(actor):
    """(name, question) of every service that takes what is at hand: records by kind and number, words, a period."""
    with clock.frozen(NOW), read_session() as session:
        selection = metrics.select(session, actor, PeriodPreset.MONTHS_12)
    at_hand = {
        "selection": [selection], "period": [selection.period], "q": ["anders"], "query": ["maria"], "words": ["maria"], "entity_key": ["contact", "lead", "task", "ticket"],
        "area": [*AREAS], "dimension": [*DIMENSIONS], "code": ["CODE"], "key": ["contact", "lead"], "since": [NOW - timedelta(days=9)], "ids": [[1, 2, 3]], "record_ids": [[1, 2, 3]], "day": [NOW.date()],
    }  # fmt: skip
    for found in pkgutil.walk_packages(services.__path__, "crm_core.services."):
        name = found.name.removeprefix("crm_core.services.")
        if name.startswith(NOT_ASKED) or name in BY_THE_CLOCK:
            continue
        module = importlib.import_module(found.name)
        for verb, service in inspect.getmembers(module, inspect.isfunction):
            given = list(inspect.signature(service).parameters.values())
            if verb.startswith("_") or service.__module__ != found.name or [one.name for one in given[:2]] != ["session", "actor"]:
                continue
            needed = [one.name for one in given[2:] if one.default is inspect.Parameter.empty]
            choices = [at_hand.get(one, [1, 2] if one.endswith("_id") else []) for one in needed]
            for chosen in itertools.islice(itertools.product(*choices), MOST):
                arguments = dict(zip(needed, chosen, strict=True))
                yield (
                    f"{name}.{verb}{chosen}",
                    lambda session, service=service, arguments=arguments: service(session, actor, **arguments),
                )
    for key in RECORDS:
        for field in [None, *(registry_of(key) if key in (*HIDDEN, *SUBJECTS) else ())]:
            query = ListQuery(sort=(field, False) if field else None, columns=tuple(registry_of(key)))
            yield f"list of {key} by {field}", lambda session, key=key, query=query: lists.find(session, actor, key, query)
        for word in ("maria", "anders", "quentin", "nowak", "new", "call", "talked", "a word from m"):
            yield f"{key} with {word}", lambda session, key=key, word=word: lists.find(session, actor, key, ListQuery(q=word))


def registry_of(key):
    with read_session() as session:
        return list(registry(session, key))


def answers(actor, only="", asked=None):
    found = {}
    for name, question in asked or questions(actor):
        if only not in name:
            continue
        try:
            with clock.frozen(NOW), read_session() as session:
                found[name] = plain(question(session))
        except CrmError as error:
            found[name] = f"{error.message} {error.fields if hasattr(error, 'fields') else ''}"
        except DetachedInstanceError:
            found[name] = WRITES
        except Exception as error:
            found[name] = type(error).__name__  # asked with something that makes no sense
    return {
        name: WRITES if str(answer).startswith("The database can't be written to") else answer for name, answer in found.items()
    }


WRITES = "writes, which this session does not"
"""What a verb comes to when it is asked like something that reads: refused when it writes, or when what it wrote is looked at, whichever is first."""


def test_nothing_that_a_person_is_told_depends_on_what_their_role_hides(world):
    masks = frozenset((key, field) for key, fields in HIDDEN.items() for field in fields)
    blind = replace(world, masks=masks)
    seen, told = answers(world, " with "), answers(blind)
    assert len(told) > 500, "the services are found"
    with_others()
    assert {name for name, answer in answers(blind).items() if answer != told[name]} == set()
    differs = {name for name, answer in answers(world, " with ").items() if answer != seen[name]}
    assert len(differs) > 10, "whoever may know is told of others now"
