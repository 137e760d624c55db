"""What a person is told does not depend on what fields of any kind hold that their role hides: names, amounts, days, numbers, addresses, notes, fields
of one's own. One company is built twice by the same steps, with other values in the fields that are hidden, and everything that reads is asked of both."""

import pickle
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlmodel import select

from crm_core import db, grouping, lists, records, search
from crm_core.db import read_session, write_session
from crm_core.entities import RECORDS, entity
from crm_core.fields import registry
from crm_core.kit import clock
from crm_core.lists import ListQuery
from crm_core.services import crud, exports, finder, setting_back
from crm_core.services.admin import custom_fields
from crm_core.services.analytics import breakdowns, metrics
from crm_core.services.analytics.metric_rules import METRICS
from crm_core.services.collaboration import following, outward, timeline
from crm_core.services.collaboration import tasks as task_verbs
from crm_core.services.helpdesk import articles, tickets
from crm_core.services.marketing import campaigns
from crm_core.services.sales import deals, leads, orders, promotions
from crm_core.vocabulary import FieldKind, PeriodPreset
from tests.conftest import _copied, _environment
from tests.crm_core.services.test_nothing_depends_on_it import NOW, answers, questions

NOT_TOLD = ("customers.consent.may_contact", "analytics.offer_worth.everyones", "analytics.metric_measure.measure")
"""What services ask to act by and show nobody: when a person wants to be written to, what an offer is worth, and what figures are made of before it is known which of
them may be shown."""

EACH = ("account", "contact", "lead", "product", "campaign", "deal", "order", "ticket", "promotion", "activity", "task", "article")
"""Kinds of records that are there three times, with something in every field that a role can hide."""


def said(spec, n, other):
    """What a field holds of the n-th record: something else, and in another order, if it is one of the ``other``."""
    other = (spec.entity, spec.key) in other
    place = 7 - 2 * n if other else n + 2
    if spec.key == "timezone":
        return ("Asia/Tokyo", "America/New_York", "Europe/Paris")[(n if other else -n) % 3]
    if spec.key in ("starts_on", "ends_on"):
        return date(2026, 5 if spec.key == "starts_on" else 7, place * 3)
    if spec.options:
        keys = list(spec.options)
        return keys[(n + 1 if other else -n) % len(keys)]
    if spec.kind is FieldKind.EMAIL:
        return f"{spec.entity}{place}@{'new' if other else 'old'}.example"
    if spec.kind is FieldKind.PHONE:
        return f"+49 {'89' if other else '30'} 901823{place}"
    if spec.kind is FieldKind.DATE:
        return date(2026, 5, 1) + timedelta(days=place * 11)
    if spec.kind is FieldKind.DATETIME:
        return datetime(2026, 5, place, 8, tzinfo=UTC)
    if spec.kind is FieldKind.BOOLEAN:
        return other
    if spec.key in ("postcode", "sku", "code"):
        return f"{'Y' if other else 'H'}{spec.key}{place}"
    if spec.kind is FieldKind.URL:
        return f"https://{'new' if other else 'old'}{place}.example"
    if spec.key == "founded_year":
        return 1900 + place
    if spec.key == "amount_off_minor":
        return None
    if spec.numeric:
        return place * (10 if other else 9)
    if spec.key in ("country", "language", "grade"):
        return {
            "country": ("DE", "FR", "IT", "ES", "AT", "CH"),
            "language": ("de", "fr", "it", "es", "en", "nl"),
            "grade": "ABCDEF",
        }[spec.key][place % 6]
    return f"{'Yon' if other else 'Hit'}{spec.entity}{spec.key}{chr(64 + place)} wordof{spec.entity}"


def fill(root, other):
    """A company with something in every field that a role can hide."""
    with clock.frozen(NOW - timedelta(days=3)), write_session() as session:
        for key in ("account", "contact", "lead", "deal", "product", "order", "ticket", "campaign"):
            for kind in ("text", "integer", "money", "date", "choice", "boolean"):
                more = {"options": ["One", "Two", "Three"]} if kind == "choice" else {}
                custom_fields.create(session, root, key, label=f"Own {kind}", kind=FieldKind(kind), **more)
    ids = {}
    with clock.frozen(NOW - timedelta(days=2)), write_session() as session:
        for n in range(3):
            about = {}
            for key in EACH:
                values = {
                    spec.key: said(spec, n, other) for spec in registry(session, key).values() if spec.maskable and spec.editable
                }
                linked = {name: about[name] for name in LINKED.get(key, ())}
                values |= {f"{name}_id": one for name, one in linked.items()} | ALWAYS.get(key, {})
                ids[key, n] = about[key] = MAKERS.get(key, _made(key))(session, root, values).id
            for key, verbs in (("deal", deals), ("order", orders)):
                line = {"product_id": about["product"], "unit_price_minor": 500, "tax_rate_pct": 1, "quantity": 2}
                verbs.set_lines(session, root, about[key], [line])
            campaigns.set_channels(
                session, root, about["campaign"], [{"channel": "email", "actual_cost_minor": 300, "planned_cost_minor": 100}]
            )
            tickets.reply(session, root, about["ticket"], "A word", internal=True)
            following.follow(session, root, "deal", about["deal"])
    with clock.frozen(NOW - timedelta(days=1)), write_session() as session:
        for (key, n), record_id in ids.items():
            specs = registry(session, key).values()
            changed = {
                spec.key: said(spec, n + 1, other)
                for spec in specs
                if spec.maskable and spec.editable and spec.key not in ("email", "code", "slug", "sku", "number")
            }
            records.update(session, root, key, record_id, changed)
            table = entity(key).table
            rest = {spec.key: said(spec, n, other) for spec in specs if spec.maskable and not spec.editable and not spec.custom}
            if rest:
                session.execute(table.update().where(table.c.id == record_id).values(**rest))
                db.bump(session, table.name)
        for key in EACH:
            for record in session.exec(select(entity(key).model).order_by(entity(key).table.c.id)):
                search.index(session, key, record)


def _made(key):
    return lambda session, root, values: crud.create(session, root, key, values)


LINKED = {
    "contact": ("account",), "deal": ("account", "contact", "product", "campaign"), "order": ("account", "contact", "deal", "campaign"),
    "ticket": ("account", "contact", "product"), "activity": ("account", "contact", "deal"), "task": ("account", "contact", "deal"),
}  # fmt: skip
ALWAYS = {
    "activity": {"kind": "call", "at": NOW - timedelta(days=2)},
    "promotion": {"effect": "percent", "amount_off_minor": None, "code_kind": "shared"},
}
MAKERS = {
    "lead": leads.create, "deal": deals.create, "order": orders.create, "ticket": tickets.create, "campaign": campaigns.create,
    "promotion": promotions.create, "task": task_verbs.create, "article": articles.create,
}  # fmt: skip


def everything(actor):
    """(name, question) of all that reads."""
    yield from questions(actor)
    with clock.frozen(NOW), read_session() as session:
        selection = metrics.select(session, actor, PeriodPreset.MONTHS_12)
        fields = {key: list(registry(session, key)) for key in RECORDS}
    for metric in METRICS.values():
        for by in metric.breakdowns:
            yield (
                f"{metric.key} by {by}",
                lambda session, key=metric.key, by=by: breakdowns.breakdown(session, actor, key, by, selection),
            )
    for key in RECORDS:
        query = ListQuery(columns=tuple(fields[key]))
        yield f"export of {key}", lambda session, key=key, query=query: exports.build(session, actor, key, query).data.decode()
        yield f"interface to {key}", lambda session, key=key: outward.records_of(session, actor, key, [1, 2, 3])
        yield f"choices of {key}", lambda session, key=key: lists.choices(session, actor, key)
        for one in (1, 2, 3):
            yield f"timeline of {key} {one}", lambda session, key=key, one=one: timeline.find(session, actor, key, one)
            yield f"earlier values of {key} {one}", lambda session, key=key, one=one: setting_back.find(session, actor, key, one)
        for field in fields[key]:
            asked = ListQuery(filter={"field": field, "cmp": "not_empty"}, sort=(field, False))
            yield (
                f"{key} with {field}",
                lambda session, key=key, asked=asked: [row["id"] for row in lists.find(session, actor, key, asked).rows],
            )
            yield (
                f"{key} in groups by {field}",
                lambda session, key=key, by=field: grouping.groups(session, actor, key, ListQuery(), by, total=3),
            )
    for word in ("hit", "yon", "wordofcontact", "hcode", "new2"):
        yield f"finder of {word}", lambda session, word=word: finder.find(session, actor, word)


class Fields(frozenset):
    """All fields of some kinds of records."""

    def __contains__(self, field):
        return super().__contains__(field[0])


@pytest.mark.parametrize("kinds", [EACH[::2], EACH[1::2]], ids=" ".join)
def test_nothing_depends_on_what_a_hidden_field_holds(sqlite_cast, tmp_path, kinds):
    root = pickle.loads((sqlite_cast / "cast").read_bytes())["root"]
    told = []
    for name, other in (("this", Fields()), ("that", Fields(kinds))):
        folder = tmp_path / name
        folder.mkdir()
        with _environment(_copied(sqlite_cast / "rapport.db", folder), folder):
            fill(root, other)
            with read_session() as session:
                hidden = {(key, spec.key) for key in kinds for spec in registry(session, key).values() if spec.maskable}
            blind = replace(root, masks=frozenset(hidden))
            told.append(answers(blind, asked=everything(blind)))
    this, that = told
    assert len(this) > 1500 and this.keys() == that.keys(), "the services are found"
    assert {name for name, answer in this.items() if answer != that[name] and not name.startswith(NOT_TOLD)} == set()
