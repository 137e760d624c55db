"""A search counts, adds up and sorts its hits at once: the same rows, in the same order, as one that asks for each of them anew."""

import itertools

import pytest

from crm_core import lists
from crm_core.lists import ListQuery
from crm_core.services import crud
from tests.verbs import do, look

NAMES = [
    "Machine upgrade",
    "machine Upgrade 2",
    "Upgrade of a machine",
    "Märchen",
    "Upgrade's end",
    "other",
    "machinery",
    "100% machine_x",
]


@pytest.fixture
def deals(any_cast):
    """Deals of two people with close dates, some of them without one, and three of the same day."""
    root = any_cast["root"]
    for n, name in enumerate(NAMES * 2):
        owner = any_cast["alice" if n % 3 else "charlie"].user_id
        day = None if n % 5 == 0 else f"2026-0{1 + n % 4}-01"
        do(crud.create, root, "deal", {"name": name, "owner_id": owner, "amount_minor": n * 100, "expected_close_on": day})
    return any_cast


@pytest.mark.parametrize("held", [5_000, 3], ids=["few hits", "more hits than are held"])
@pytest.mark.parametrize("mine", [5_000, 0], ids=["read mine", "ask the index"])
def test_the_hits_of_a_search_are_counted_and_sorted_at_once(deals, held, mine, monkeypatch):
    monkeypatch.setattr(lists, "OF_MINE", mine)
    monkeypatch.setattr(lists, "SOUGHT", held)
    monkeypatch.setattr(lists, "FEW", 5)  # so the later pages lie beyond the ids that are known
    sorts = [None, ("expected_close_on", True), ("name", False), ("owner_id", False)]
    for who, q, sort in itertools.product(("alice", "root"), ("machine", "upgr mach", "nothing"), sorts):
        query, actor = ListQuery(q=q, sort=sort, size=3), deals[who]
        known = look(lists.extent, actor, "deal", query)
        assert (known.total, known.sums) == look(lists.totals, actor, "deal", query)
        assert known.total == sum(
            all(any(word.startswith(part) for word in _words(row["name"])) for part in _words(q)) for row in everything(actor)
        )
        for page in range(1, 2 + -(-known.total // 3)):
            one = ListQuery(q=q, sort=sort, size=3, page=page)
            assert look(lists.find, actor, "deal", one, known=known) == look(lists.find, actor, "deal", one), (who, q, sort, page)


def test_a_search_that_reads_few_records_of_mine_finds_what_the_index_finds(deals, monkeypatch):
    alice = deals["alice"]
    for q in ("mach", "machine_", "100%", "%", "_", "upgrade's", "MÄRCHEN", "marchen", "x", '"', "ma up"):
        monkeypatch.setattr(lists, "OF_MINE", 5_000)
        read = [row["id"] for row in look(lists.find, alice, "deal", ListQuery(q=q)).rows]
        monkeypatch.setattr(lists, "OF_MINE", 0)
        assert read == [row["id"] for row in look(lists.find, alice, "deal", ListQuery(q=q)).rows], q


def everything(actor):
    return look(lists.find, actor, "deal", ListQuery(size=500)).rows


def _words(text):
    return text.lower().replace("ä", "a").replace("_", " ").replace("%", " ").replace("'", " ").split()
