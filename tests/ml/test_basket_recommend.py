"""Recommendations and upsell: which method wins on real baskets, and what a suggestion says about itself."""

import numpy as np
import pandas as pd
import pytest

from ml import basket_recommend
from ml.basket import METHODS, Recommender, evaluate, upsell
from ml.errors import DataError
from ml.synthetic import company, independent_baskets, truth
from tests.ml.baskets_help import as_lines, groceries, lines_of


@pytest.fixture(scope="module")
def grocery_lines(reference):
    return groceries(reference("groceries.csv"))


def test_on_groceries_ease_wins_popularity_is_close_and_lift_is_useless(grocery_lines):
    table = evaluate(grocery_lines, split_at=0.8)
    hit = table.set_index("method")["hit@5"]
    assert table.method[0] == "ease"
    assert hit["ease"] == pytest.approx(0.28, abs=0.005)
    assert hit["confidence"] == pytest.approx(0.27, abs=0.01)
    assert hit["popularity"] == pytest.approx(0.255, abs=0.006)
    assert hit["lift"] < 0.05
    assert ((table.low < table["hit@5"]) & (table["hit@5"] < table.high)).all()


def test_ease_is_the_closed_form_of_the_paper():
    lines = as_lines([list(row) for row in ("abc", "ab", "bc", "acd", "bd", "abd", "c")])
    model = Recommender(lines, regularization=2.0)
    x = np.array([[item in row for item in "abcd"] for row in ("abc", "ab", "bc", "acd", "bd", "abd", "c")], float)
    # each column of B is the ridge regression of that product on the others
    for j, name in enumerate("abcd"):
        rest = [i for i in range(4) if i != j]
        expected = np.linalg.solve(x[:, rest].T @ x[:, rest] + 2 * np.eye(3), x[:, rest].T @ x[:, j])
        for i, weight in zip(rest, expected, strict=True):
            scores = model.recommend(["abcd"[i]], n=3).set_index("product_id").score
            assert scores[name] == pytest.approx(weight)


def test_the_inverse_made_in_blocks_is_the_inverse(monkeypatch, grocery_lines):
    import numpy.linalg as la

    monkeypatch.setattr(basket_recommend, "_BLOCK", 50)
    model = Recommender(grocery_lines)
    inverse = la.inv(model._pairs.toarray() + 300 * np.eye(169))
    expected = np.eye(169) - inverse / np.diag(inverse)
    np.testing.assert_allclose(model._weights, expected, atol=1e-12)


def test_a_suggestion_explains_itself(grocery_lines):
    best = Recommender(grocery_lines, method="confidence").recommend(["butter", "curd"], n=1).iloc[0]
    assert best.product_id == "whole milk"
    assert best.because == "butter"
    assert best["count"] == 271
    assert best.confidence == pytest.approx(271 / 545)
    assert best.lift == pytest.approx(271 / 545 / (2_513 / 9_835))


def test_the_planted_partner_is_suggested_first():
    lines = company("medium", seed=1).order_lines
    for method in ("ease", "confidence", "cosine"):
        best = Recommender(lines, method=method).recommend(sorted(truth().rule_if), n=1)
        assert best.product_id[0] == truth().rule_then, method


def test_on_independent_baskets_nothing_beats_popularity():
    table = evaluate(independent_baskets(4_000, 60, 4), split_at=0.7).set_index("method")
    assert (table["hit@5"] <= table.loc["popularity", "high"]).all()


@pytest.mark.parametrize("method", METHODS)
def test_never_suggests_what_is_in_the_basket_or_excluded(grocery_lines, method):
    model = Recommender(grocery_lines, method=method)
    found = model.recommend(["whole milk", "yogurt"], n=300, exclude=["rolls/buns"])
    assert not {"whole milk", "yogurt", "rolls/buns"} & set(found.product_id)
    assert len(found) == 169 - 3
    assert found["rank"].tolist() == list(range(1, 167))


def test_one_basket_many_baskets_and_named_baskets_agree(grocery_lines):
    model = Recommender(grocery_lines)
    one = model.recommend(["curd"])
    many = model.recommend([["curd"], ["butter", "curd"]])
    named = model.recommend({"anna": ["curd"]})
    pd.testing.assert_frame_equal(many[many.basket == 0].reset_index(drop=True), one)
    assert named.basket.unique().tolist() == ["anna"]
    assert named.product_id.tolist() == one.product_id.tolist()


def test_an_empty_or_unknown_basket_gets_the_most_popular(grocery_lines):
    model = Recommender(grocery_lines)
    for basket in ([], ["no such thing"]):
        found = model.recommend(basket, n=2)
        assert found.product_id.tolist() == ["whole milk", "other vegetables"]
        assert found.because.isna().all()


def test_row_order_changes_nothing(grocery_lines):
    mixed = grocery_lines.sample(frac=1, random_state=2)
    pd.testing.assert_frame_equal(
        Recommender(mixed).recommend(["curd", "butter"]), Recommender(grocery_lines).recommend(["curd", "butter"])
    )


def test_the_judge_agrees_with_asking_one_by_one():
    lines = independent_baskets(120, 12, 4, seed=3)
    table = evaluate(lines, split_at=0.5, methods=METHODS, k=3, regularization=5).set_index("method")
    from ml.basket import split

    early, late = split(lines, 0.5)
    baskets = late.groupby("order_id").product_id.apply(set)
    known = set(early.product_id)
    for method in METHODS:
        model = Recommender(early, method=method, regularization=5)
        hits = []
        for basket in baskets:
            basket = basket & known
            if len(basket) < 2:
                continue
            hits += [item in set(model.recommend(basket - {item}, n=3).product_id) for item in basket]
        assert table.loc[method, "hit@3"] == pytest.approx(np.mean(hits)), method


def test_too_many_products_are_cut_to_the_most_bought_and_said(monkeypatch, grocery_lines):
    monkeypatch.setattr(basket_recommend, "MAX_EASE_ITEMS", 20)
    model = Recommender(grocery_lines)
    assert len(model.products) == 20
    assert "Only the 20 most bought" in model.note
    with pytest.raises(DataError, match="at most 20"):
        evaluate(grocery_lines, split_at=0.8)


@pytest.mark.parametrize(
    "act",
    [
        lambda: Recommender(lines_of("a", "a")),
        lambda: Recommender(lines_of("a b"), method="lift"),
        lambda: Recommender(lines_of("a b"), regularization=0),
        lambda: Recommender(lines_of("a b")).recommend(["a"], n=0),
        lambda: Recommender(lines_of("a b")).recommend("a"),
        lambda: evaluate(lines_of("a b", "c d"), split_at=0.5),
        lambda: evaluate(lines_of("a b", "a b"), split_at=0.5, methods=["magic"]),
        lambda: evaluate(lines_of("a b", "a b"), split_at=0.5, methods=[]),
    ],
)
def test_what_cannot_be_answered_is_refused(act):
    with pytest.raises(DataError):
        act()


CATALOGUE = pd.DataFrame(
    {
        "product_id": ["basic", "better", "best", "gold", "tea"],
        "category": ["coffee", "coffee", "coffee", "coffee", "tea"],
        "unit_price": [5.0, 8.0, 12.0, 50.0, 6.0],
    }
)


def sales():
    return as_lines(
        [["basic"]] * 60
        + [["better"]] * 40
        + [["best"]] * 25
        + [["gold"]] * 30
        + [["basic", "tea"]] * 10
        + [["best", "tea"]] * 30
        + [["tea"]] * 5
    )


def test_an_upsell_is_dearer_of_the_same_category_and_not_out_of_reach():
    found = upsell(sales(), CATALOGUE)
    assert set(zip(found.product_id, found.offer_id, strict=True)) == {
        ("basic", "better"),
        ("basic", "best"),
        ("better", "best"),
    }
    pair = found[(found.product_id == "basic") & (found.offer_id == "better")].iloc[0]
    assert (pair.chose_offer, pair.buyers) == (40, 110)
    assert pair.extra == 3.0
    assert pair.low < pair.share == 40 / 110 < pair.high
    assert pair.expected_extra == pytest.approx(pair.low * 3.0)


def test_the_basket_changes_the_offer():
    alone = upsell(sales(), CATALOGUE, basket=["basic"]).set_index("offer_id")
    with_tea = upsell(sales(), CATALOGUE, basket=["basic", "tea"]).set_index("offer_id")
    assert with_tea.loc["best", "share"] > alone.loc["best", "share"]
    assert with_tea.index[0] == "best"
    assert set(with_tea.product_id) == {"basic"}


def test_rarely_bought_offers_and_long_lists_are_cut():
    assert set(upsell(sales(), CATALOGUE, min_count=50).offer_id) == {"best"}
    assert upsell(sales(), CATALOGUE, n=1).groupby("product_id").size().max() == 1
    assert upsell(sales(), CATALOGUE, min_count=5_000).empty


@pytest.mark.parametrize(
    "products",
    [
        CATALOGUE.drop(columns="category"),
        CATALOGUE.assign(unit_price=0.0),
        CATALOGUE.assign(unit_price=np.nan),
        pd.concat([CATALOGUE, CATALOGUE.head(1)]),
    ],
)
def test_a_broken_catalogue_is_refused(products):
    with pytest.raises(DataError):
        upsell(sales(), products)
