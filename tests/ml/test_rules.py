"""Rules: what the tree becomes, and that words, filter and rows agree."""

import numpy as np
import pandas as pd
import pytest

from ml import synthetic
from ml.errors import DataError
from ml.rules import describe, fit_rules, matches


def leaf(field, cmp, value=None):
    return {"field": field, "cmp": cmp, "value": value}


@pytest.fixture
def people():
    return pd.DataFrame({"age": [20, 35, 50, np.nan], "country": ["DE", "de", "FR", None], "vip": [True, False, True, None]})


@pytest.mark.parametrize(
    ("rule", "rows"),
    [
        (leaf("age", "le", 35), [1, 1, 0, 0]),
        (leaf("age", "lt", 35), [1, 0, 0, 0]),
        (leaf("age", "gt", 20), [0, 1, 1, 0]),
        (leaf("age", "ge", 20), [1, 1, 1, 0]),
        (leaf("country", "eq", "DE"), [1, 1, 0, 0]),
        (leaf("country", "ne", "DE"), [0, 0, 1, 1]),
        (leaf("country", "in", ["de", "fr"]), [1, 1, 1, 0]),
        (leaf("country", "not_in", ["FR"]), [1, 1, 0, 1]),
        (leaf("country", "empty"), [0, 0, 0, 1]),
        (leaf("country", "not_empty"), [1, 1, 1, 0]),
        (leaf("vip", "eq", True), [1, 0, 1, 0]),
        ({"op": "and", "items": [leaf("age", "le", 35), leaf("vip", "eq", True)]}, [1, 0, 0, 0]),
        ({"op": "or", "items": [leaf("age", "gt", 40), leaf("country", "empty")]}, [0, 0, 1, 1]),
        ({"op": "not", "items": [leaf("age", "le", 35)]}, [0, 0, 1, 1]),
        ({"op": "and", "items": []}, [1, 1, 1, 1]),
        ({"op": "or", "items": []}, [0, 0, 0, 0]),
    ],
)
def test_each_comparison_treats_empty_as_the_filters_of_the_crm_do(people, rule, rows):
    assert matches(rule, people).astype(int).tolist() == rows


def test_unknown_fields_and_comparisons_are_refused(people):
    with pytest.raises(DataError, match="no income"):
        matches(leaf("income", "gt", 1), people)
    with pytest.raises(DataError, match="'about'"):
        matches(leaf("age", "about", 1), people)


def test_a_rule_reads_as_a_sentence():
    rule = {
        "op": "or",
        "items": [
            {"op": "and", "items": [leaf("annual_income", "gt", 30000), leaf("vip", "eq", True)]},
            {"op": "and", "items": [leaf("country", "not_in", ["DE", "FR"])]},
        ],
    }
    assert describe(rule) == "(annual income is above 30,000 and vip is yes) or (country is none of DE, FR)"


def test_thresholds_are_the_roundest_numbers_that_split_alike():
    frame = pd.DataFrame({"x": [1.234, 2.345, 7.891, 9.123] * 10})
    rules = fit_rules(frame, np.tile([0, 0, 1, 1], 10))
    assert rules[0] == {"op": "or", "items": [{"op": "and", "items": [leaf("x", "le", 3)]}]}
    assert isinstance(rules[0]["items"][0]["items"][0]["value"], int)


def test_the_rules_divide_the_customers_and_reproduce_the_planted_kinds():
    company = synthetic.company("small", 2)
    kinds = company.membership["segment"].to_numpy()
    rules = fit_rules(company.customers.drop(columns="customer_id"), kinds)
    found = pd.DataFrame({kind: matches(rule, company.customers) for kind, rule in rules.items()})
    assert (found.sum(axis=1) == 1).all()
    assert (found.idxmax(axis=1).to_numpy() == kinds).mean() > 0.93


def test_categories_become_equalities_with_the_value_of_the_data():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"vip": rng.random(200) < 0.5, "country": rng.choice(["DE", "FR", "IT"], 200)})
    kinds = np.where(frame["vip"], "a", np.where(frame["country"] == "IT", "b", "c"))
    rules = fit_rules(frame, kinds)
    assert all((matches(rules[kind], frame) == (kinds == kind)).all() for kind in "abc")
    values = {str(item) for kind in "abc" for path in rules[kind]["items"] for item in path["items"]}
    assert any("'cmp': 'eq', 'value': 'IT'" in value for value in values)
    assert any("True" in value or "False" in value for value in values)


def test_a_missing_category_is_asked_for_as_empty():
    frame = pd.DataFrame({"country": ["DE", "FR", None] * 20})
    kinds = frame["country"].isna().to_numpy().astype(int)
    rules = fit_rules(frame, kinds)
    assert all((matches(rules[kind], frame) == (kinds == kind)).all() for kind in (0, 1))


def test_a_label_without_a_leaf_has_no_rule():
    rng = np.random.default_rng(1)
    kinds = np.where(rng.random(400) < 0.03, 1, 0)
    assert set(fit_rules(pd.DataFrame({"x": rng.normal(size=400)}), kinds, depth=1)) == {0}


@pytest.mark.parametrize("frame", [pd.DataFrame({"x": [1.0] * 20}), pd.DataFrame(index=range(20))])
def test_nothing_to_ask_is_refused(frame):
    with pytest.raises(DataError, match="at least one attribute"):
        fit_rules(frame, np.arange(20) % 2)


def test_one_label_is_refused():
    with pytest.raises(DataError, match="at least 2 groups"):
        fit_rules(pd.DataFrame({"x": np.arange(20.0)}), np.zeros(20))
