"""Texts stand in lists as in an address book, in the same order on both databases, along an index where there are many."""

from random import Random

import pytest
from sqlalchemy import select, text

from crm_core import lists, records
from crm_core.db import is_sqlite, read_session, write_session
from crm_core.entities import entity
from crm_core.kit.text import sort_key
from crm_core.lists import ListQuery
from crm_core.models import Base
from crm_core.models.base import sort_columns
from crm_core.ordering import alphabetical
from crm_core.services import crud
from crm_core.services.collaboration import outward

ORDERED = [
    "123 Logistics", "42", "Ærø", "Ångström", "anna", "Anna B", "ANNA C", "Äpfel & Birnen", "apple", "Čapek", "Celik", "iRobot", "Łódź Labs", "Straße 1",
    "strasse 2", "Zebra", "ZOOM", "Ёлка", "Жук", "אבגד", "شركة", "日本", "🚀 Rockets",
]  # fmt: skip


@pytest.fixture
def names(any_cast):
    """The actor who sees everything; an account and a contact of each name, written in no order, each with an order without a name."""
    root = any_cast["root"]
    shuffled = Random(7).sample(ORDERED, len(ORDERED))
    with write_session() as session:
        for n, name in enumerate(shuffled):
            account = crud.create(session, root, "account", {"name": name, "city": name})
            crud.create(session, root, "contact", {"name": name, "account_id": account.id, "job_title": name})
            if n < 3:
                crud.create(session, root, "contact", {"name": f"~{n}"})
    return root


def read(actor, entity_key, sort, column, **query):
    with read_session() as session:
        page = lists.find(session, actor, entity_key, ListQuery(sort=sort, columns=(column,), size=100, **query))
        return [row[f"{column}.title"] if column.endswith("_id") else row[column] for row in page.rows]


def test_every_way_to_sort_a_list_gives_the_order_of_an_address_book(names):
    assert read(names, "account", ("name", False), "name") == ORDERED
    assert read(names, "account", ("name", True), "name") == ORDERED[::-1]
    assert read(names, "account", ("city", False), "city") == ORDERED, "a text without a place of its own"
    assert read(names, "account", ("city", True), "city") == ORDERED[::-1]
    few = {"field": "name", "cmp": "ne", "value": "Zebra"}
    assert read(names, "account", ("name", False), "name", filter=few) == [name for name in ORDERED if name != "Zebra"]
    assert read(names, "contact", ("account_id", False), "account_id") == [*ORDERED, None, None, None]
    assert read(names, "contact", ("job_title", False), "job_title") == [*ORDERED, None, None, None], "empty ones last"
    assert read(names, "contact", ("job_title", True), "job_title") == [*ORDERED[::-1], None, None, None]


def test_pickers_and_programs_get_the_same_order(names):
    with read_session() as session:
        assert list(lists.choices(session, names, "account").values()) == ORDERED
        table, position, found = entity("account").table, None, []
        while True:
            ids, position = outward.ids_after(session, names, "account", ListQuery(sort=("name", False)), position=position, size=5)
            known = lists.titles(session, names, "account", ids)
            found += [known[each] for each in ids]
            if position is None:
                break
        assert found == ORDERED
        as_sql = session.execute(select(table.c.name, alphabetical(table.c.city))).all()
    assert [key for _, key in as_sql] == [sort_key(name) for name, _ in as_sql]


def test_what_looks_alike_stands_in_the_order_of_its_numbers(any_cast):
    root = any_cast["root"]
    with write_session() as session:
        made = [crud.create(session, root, "product", {"name": name}).id for name in ("Zürich", "ZURICH", "zurich")]
    with read_session() as session:
        for descending, expected in ((False, made), (True, made[::-1])):
            page = lists.find(session, root, "product", ListQuery(sort=("name", descending)))
            assert [row["id"] for row in page.rows] == expected


def test_a_changed_name_takes_its_new_place(any_cast):
    root = any_cast["root"]
    with write_session() as session:
        first, second = [crud.create(session, root, "lead", {"name": name}).id for name in ("Berta", "Émile")]
        crud.update(session, root, "lead", first, {"name": "zoé"})
    assert read(root, "lead", ("name", False), "name") == ["Émile", "zoé"]
    with write_session() as session:
        crud.update(session, root, "lead", second, {"job_title": "Chef"})
        assert_kept(session)


def test_a_list_by_name_follows_an_index(database):
    with read_session() as session:
        assert is_sqlite(session)
        for name, condition in (
            ("account", "deleted_at is null"),
            ("contact", "deleted_at is null and owner_id = 1"),
            ("lead", "1"),
            ("deal", "deleted_at is null"),
        ):
            query = f"explain query plan select id from {name} where {condition} order by name_sort, id limit 50"
            plan = " ".join(str(row) for row in session.execute(text(query)))
            assert f"ix_{name}_" in plan
            assert "TEMP B-TREE" not in plan


def test_a_very_long_name_is_kept_in_order_too(any_cast):
    root = any_cast["root"]
    with write_session() as session:
        crud.create(session, root, "account", {"name": "ﷺ" * 300})
        crud.create(session, root, "account", {"name": "x" * 300})
        assert_kept(session)
    assert read(root, "account", ("name", False), "name")[0][0] == "x"


def assert_kept(session):
    """Every row stands where its text belongs."""
    for table in Base.metadata.tables.values():
        for key, of in sort_columns(table):
            rows = session.execute(select(table.c.id, table.c[of], table.c[key])).all()
            assert [row for row in rows if row[2] != sort_key(row[1])] == []


@pytest.mark.parametrize(
    "sort", [None, ("name", True), ("owner_id", False), ("parent_id", False), ("revenue_minor", True), lists.BY_ID]
)
@pytest.mark.parametrize("most", [lists.IN_ORDER, 3])
def test_an_export_comes_in_the_order_of_its_list_unless_it_is_too_long(any_cast, monkeypatch, sort, most):
    monkeypatch.setattr(lists, "IN_ORDER", most)
    root = any_cast["root"]
    with write_session() as session:
        before = None
        for n, name in enumerate(("Örn", "apple", "Zebra", "Ost", "apple", "Berg", "10 Ways", "9 Ways")):
            values = {"name": name, "parent_id": before if n % 2 else None, "revenue_minor": n % 3 * 100 or None}
            before = records.create(session, root, "account", values).id
    query = ListQuery(columns=("name",), sort=sort)
    with read_session() as session:
        shown = [row["id"] for row in lists.find(session, root, "account", query).rows]
        given = [row["id"] for rows in lists.iterate(session, root, "account", query, batch=3) for row in rows]
    assert given == (shown if most > len(shown) else sorted(shown)) and len(set(given)) == len(shown) >= 8
