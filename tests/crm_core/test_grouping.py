"""Lists in groups: every record is in exactly one, in a sensible order, within what the reader may see; the columns of a board are the same counts."""

import pytest

from crm_core import grouping, lists
from crm_core.entities import ENTITIES, entity
from crm_core.errors import Invalid
from crm_core.lists import ListQuery
from crm_core.services import crud
from crm_core.services.sales import leads
from crm_core.vocabulary import TicketKind
from tests.verbs import do, look


def found(actor, entity_key, by, query=None, **more):
    query = query or ListQuery()
    total, sums = look(lists.totals, actor, entity_key, query)
    groups = look(grouping.groups, actor, entity_key, query, by, total=total, **more)
    for group in groups.rows:
        assert look(lists.totals, actor, entity_key, grouping.within(query, by, group.value))[0] == group.count
    return groups, total, sums


@pytest.fixture
def orders(any_cast):
    """Orders of three accounts and of none, entered by two people."""
    root = any_cast["root"]
    accounts = [do(crud.create, root, "account", {"name": name}).id for name in ("zeta", "Ångström", "Beta")]
    for n, account_id in enumerate([accounts[0], accounts[0], accounts[1], accounts[2], None]):
        owner = any_cast["alice" if n % 2 else "bob"].user_id
        do(crud.create, root, "order", {"account_id": account_id, "owner_id": owner, "ordered_at": "2026-01-01T10:00:00Z"})
    return any_cast


@pytest.mark.parametrize(
    ("at_once", "listed"),
    [(20_000, 0), (0, 20_000), (0, 0)],
    ids=["counted at once", "walked among those listed", "walked by name"],
)
def test_groups_of_accounts_stand_by_name_are_paged_and_end_with_those_of_none(orders, at_once, listed, monkeypatch):
    root = orders["root"]
    monkeypatch.setattr(grouping, "FEW_ROWS", at_once)
    monkeypatch.setattr(grouping, "FEW_LINKED", listed)
    monkeypatch.setattr(grouping, "PAGE", 2)
    first, total, sums = found(root, "order", "account_id")
    rest, *_ = found(root, "order", "account_id", page=2)
    assert [group.label for group in (*first.rows, *rest.rows)] == ["Ångström", "Beta", "zeta", "No account"]
    assert sum(group.count for group in (*first.rows, *rest.rows)) == total == 5 and first.more and not rest.more
    assert sum(group.sums["total_minor"] for group in (*first.rows, *rest.rows)) == sums["total_minor"]


def test_groups_that_follow_an_index_by_owner_add_up_over_all_owners(orders):
    root = orders["root"]
    mine = look(lists.find, root, "order", ListQuery()).rows
    for row, source in zip(mine, ("Shop", "Shop", "Website", "Website", None), strict=True):
        do(crud.update, root, "order", row["id"], {"source": source})
    assert [column.key for column in grouping._beside(entity("order").table, "source")] == ["owner_id", "status"]
    for by, labels in (("status", {"Placed"}), ("source", {"Shop", "Website", "No source"})):
        groups, total, sums = found(root, "order", by)
        assert {group.label for group in groups.rows} == labels and sum(group.count for group in groups.rows) == total == 5
        assert sum(group.sums["total_minor"] for group in groups.rows) == sums["total_minor"]


def test_an_index_that_groups_are_counted_by_begins_with_the_bin_and_the_columns_that_it_names():
    named = [index for found in ENTITIES.values() for index in found.table.indexes if "groups" in index.info]
    assert named
    for index in named:
        order = index.info["groups"]
        assert tuple(column.name for column in index.columns)[: len(order) + 1] == ("deleted_at", *order)


def test_a_reader_finds_the_groups_of_what_they_may_see_and_none_by_a_hidden_field(orders):
    alice = orders["alice"]
    groups, total, _ = found(alice, "order", "owner_id")
    assert [(group.label, group.count) for group in groups.rows] == [("Alice Rep", total)] and total == 2
    assert "email" not in look(grouping.groupable, orders["root"], "lead")
    with pytest.raises(Invalid, match="grouped"):
        look(grouping.groups, alice, "order", ListQuery(), "total_minor", total=total)


def test_leads_by_status_stand_in_its_order_and_a_board_counts_the_same(any_cast):
    root = any_cast["root"]
    statuses = look(leads.statuses, root)
    for n, status in enumerate(statuses[:3]):
        for _ in range(n + 1):
            do(
                crud.create,
                root,
                "lead",
                {"name": f"L{n}", "status_id": status.id, "estimated_minor": 100, "source": ["Referral", "", "Website"][n]},
            )
    groups, *_ = found(root, "lead", "status_id")
    assert [(group.value, group.count, group.sums) for group in groups.rows] == [
        (status.id, n + 1, {"estimated_minor": 100 * (n + 1)}) for n, status in enumerate(statuses[:3])
    ]
    by_source, *_ = found(root, "lead", "source")
    assert [(group.label, group.count) for group in by_source.rows] == [("Website", 3), ("Referral", 1), ("No source", 2)]
    asked = ListQuery(columns=("name", "status_id"))
    piles = look(grouping.piles, root, "lead", asked, "status_id", [status.id for status in statuses], {statuses[2].id: 2})
    assert [(pile.count, len(pile.rows)) for pile in piles][:4] == [(1, 1), (2, 2), (3, 2), (0, 0)]
    tickets = look(grouping.piles, root, "ticket", ListQuery(), "status", list(TicketKind.options()))
    assert [pile.count for pile in tickets] == [0] * len(TicketKind)


def test_groups_counts_and_sums_are_those_of_what_the_list_is_narrowed_to(orders):
    root = orders["root"]
    first = look(lists.find, root, "order", ListQuery(sort=("number", False))).rows[0]
    for n, row in enumerate(look(lists.find, root, "order", ListQuery()).rows):
        do(crud.update, root, "order", row["id"], {"status": "cancelled" if n % 2 else "placed"})
    for query in (
        ListQuery(q=first["number"]),
        ListQuery(filter={"field": "status", "cmp": "eq", "value": "placed"}),
        ListQuery(q=first["number"], filter={"field": "owner_id", "cmp": "eq", "value": first["owner_id"]}),
    ):
        groups, total, _ = found(root, "order", "owner_id", query)
        assert 0 < sum(group.count for group in groups.rows) == total == len(look(lists.find, root, "order", query).rows) < 5
