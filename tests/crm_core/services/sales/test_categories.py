"""The groups of the catalogue: named once, merged with their products, taken out of use without losing any."""

import pytest

from crm_core import lists
from crm_core.db import read_session
from crm_core.errors import Conflict, Invalid, NotFound, NotPermitted
from crm_core.services import crud
from crm_core.services.sales import categories
from tests.verbs import do


def found(actor):
    with read_session() as session:
        return {view.name: (view.products, view.offered, view.is_active) for view in categories.find(session, actor)}


@pytest.fixture
def stocked(any_cast):
    root = any_cast["root"]
    coffee, tea = do(categories.create, root, "Coffee"), do(categories.create, root, "Tea")
    for name, category, active in (("Mocha", coffee, True), ("Java", coffee, False), ("Oolong", tea, True)):
        do(crud.create, root, "product", {"name": name, "price_minor": 1, "category_id": category.id, "is_active": active})
    do(crud.create, root, "product", {"name": "Cup", "price_minor": 1})
    return any_cast, coffee, tea


def test_merging_moves_every_product_and_removes_the_empty_one(stocked):
    cast, coffee, tea = stocked
    assert found(cast["alice"]) == {"Coffee": (2, 1, True), "Tea": (1, 1, True)}
    assert do(categories.merge, cast["bob"], tea.id, coffee.id, base_version=tea.version) == 1
    assert found(cast["alice"]) == {"Coffee": (3, 2, True)}
    with read_session() as session:
        assert categories.without(session, cast["alice"]) == 1
    with pytest.raises(NotFound):
        do(categories.merge, cast["bob"], tea.id, coffee.id)
    with pytest.raises(Invalid):
        do(categories.merge, cast["bob"], coffee.id, coffee.id)


def test_a_category_out_of_use_keeps_its_products_and_is_not_offered(stocked):
    cast, _, tea = stocked
    do(categories.archive, cast["root"], tea.id)
    with read_session() as session:
        assert list(lists.choices(session, cast["root"], "product_category").values()) == ["Coffee"]
        assert lists.choices(session, cast["root"], "product_category", include=[tea.id])[tea.id] == "Tea"
    assert found(cast["root"])["Tea"] == (1, 1, False)
    assert do(categories.create, cast["root"], " tea ").id == tea.id, "the same name comes back"
    assert found(cast["root"])["Tea"] == (1, 1, True)


def test_names_are_unique_whatever_their_case_and_a_stale_rename_is_refused(stocked):
    cast, _, tea = stocked
    for name in ("COFFEE", "", "x" * 301):
        with pytest.raises(Invalid):
            do(categories.create, cast["root"], name)
    with pytest.raises(Invalid):
        do(categories.rename, cast["root"], tea.id, "coffee")
    do(categories.rename, cast["root"], tea.id, "Teas", base_version=tea.version)
    with pytest.raises(Conflict):
        do(categories.rename, cast["root"], tea.id, "Infusions", base_version=tea.version)
    with pytest.raises(NotPermitted):
        do(categories.rename, cast["alice"], tea.id, "Mine")
