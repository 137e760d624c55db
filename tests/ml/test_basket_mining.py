"""Itemsets: published counts, hand-typed baskets, brute force, and what must never change them."""

from collections import Counter
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml import basket_mining
from ml.basket import association_rules, frequent_itemsets
from ml.basket_data import encode, split, threshold
from ml.basket_mining import mine
from ml.errors import DataError
from tests.ml.baskets_help import as_lines, groceries, lines_of


@pytest.fixture(scope="module")
def grocery_lines(reference):
    return groceries(reference("groceries.csv"))


@pytest.mark.parametrize(("support", "sets"), [(0.01, 333), (0.005, 1_001), (0.001, 13_492)])
def test_groceries_hold_the_published_number_of_itemsets(grocery_lines, support, sets):
    assert len(frequent_itemsets(grocery_lines, min_support=support)) == sets


@pytest.mark.parametrize("options", [{"min_support": 0.003}, {"min_count": 20, "max_len": 2}, {"min_support": 0.2}])
def test_mlxtend_finds_the_same_itemsets(grocery_lines, options):
    ours, theirs = (frequent_itemsets(grocery_lines, engine=engine, **options) for engine in ("own", "mlxtend"))
    columns = ["itemsets", "count", "support"]
    assert {row[0]: row[1:] for row in ours[columns].to_numpy().tolist()} == {
        row[0]: row[1:] for row in theirs[columns].to_numpy().tolist()
    }
    assert theirs.attrs == ours.attrs
    assert theirs["itemsets"].map(len).is_monotonic_increasing


def test_an_unknown_engine_is_refused():
    with pytest.raises(DataError, match="own or mlxtend"):
        frequent_itemsets(lines_of("a b"), min_count=1, engine="spark")


def brute_force(baskets, min_count):
    counts = Counter()
    for basket in baskets:
        items = sorted(set(basket))
        for size in range(1, len(items) + 1):
            counts.update(map(frozenset, combinations(items, size)))
    return {itemset: count for itemset, count in counts.items() if count >= min_count}


baskets_of_letters = st.lists(st.lists(st.sampled_from("abcdefg"), min_size=1, max_size=6), min_size=1, max_size=40)


@settings(max_examples=60, deadline=None)
@given(baskets_of_letters, st.integers(1, 5))
def test_counting_by_hand_gives_the_same(baskets, min_count):
    found = frequent_itemsets(as_lines(baskets), min_count=min_count)
    assert dict(zip(found.itemsets, found["count"], strict=True)) == brute_force(baskets, min_count)


@pytest.mark.parametrize(("chunk", "dense"), [(64, 6_000), (1 << 19, 0)])
def test_pieces_of_any_size_give_the_same_sets(monkeypatch, grocery_lines, chunk, dense):
    whole = frequent_itemsets(grocery_lines, min_support=0.004)
    monkeypatch.setattr(basket_mining, "_CHUNK_BYTES", chunk)
    monkeypatch.setattr(basket_mining, "_DENSE_PAIRS", dense)
    pd.testing.assert_frame_equal(frequent_itemsets(grocery_lines, min_support=0.004), whole)


def test_support_is_antitone(grocery_lines):
    found = frequent_itemsets(grocery_lines, min_support=0.005)
    count = dict(zip(found.itemsets, found["count"], strict=True))
    larger = [itemset for itemset in count if len(itemset) > 1]
    assert larger
    assert all(count[itemset] <= count[itemset - {item}] for itemset in larger for item in itemset)


def test_a_lower_limit_only_adds_sets(grocery_lines):
    few = frequent_itemsets(grocery_lines, min_support=0.01)
    many = frequent_itemsets(grocery_lines, min_support=0.005)
    assert set(few.itemsets) < set(many.itemsets)


def test_row_order_changes_nothing(grocery_lines):
    mixed = grocery_lines.sample(frac=1, random_state=3)
    pd.testing.assert_frame_equal(frequent_itemsets(mixed, min_support=0.005), frequent_itemsets(grocery_lines, min_support=0.005))


def test_max_len_is_the_same_as_leaving_out_the_longer_ones(grocery_lines):
    everything = frequent_itemsets(grocery_lines, min_support=0.005)
    for longest in (1, 2, 3):
        short = frequent_itemsets(grocery_lines, min_support=0.005, max_len=longest)
        assert set(short.itemsets) == {s for s in everything.itemsets if len(s) <= longest}


def test_returns_repetitions_and_excluded_products_are_left_out_and_said():
    lines = lines_of("a a b", "a post", "b post")
    lines.loc[len(lines)] = [9, "a", -1.0, -1.0]
    found = frequent_itemsets(lines, min_count=1, exclude=["post"])
    assert dict(zip(found.itemsets, found["count"], strict=True)) == {
        frozenset("a"): 2,
        frozenset("b"): 2,
        frozenset("ab"): 1,
    }
    assert found.attrs["n"] == 3
    for words in ("3 baskets", "1 returns", "2 lines of excluded", "1 repetitions"):
        assert words in found.attrs["note"]


def test_the_share_is_met_exactly_and_not_by_a_rounded_float():
    assert threshold(9_800, 0.01, None) == 98
    assert threshold(30, 0.1, None) == 3
    assert threshold(100, 0.07, None) == 7
    assert threshold(100, 0.07, 20) == 20
    assert threshold(100, None, None) == 20


def test_too_many_itemsets_are_refused_with_advice(monkeypatch):
    monkeypatch.setattr(basket_mining, "MAX_ITEMSETS", 500)
    lines = as_lines([list("abcdefghijkl")] * 3)
    with pytest.raises(DataError, match="higher minimum support, or a max_len"):
        frequent_itemsets(lines, min_count=1)


def test_ten_thousand_products_each_sold_once_are_no_problem():
    lines = as_lines([[f"p{i}"] for i in range(10_000)])
    assert frequent_itemsets(lines, min_count=2).empty
    assert association_rules(lines, min_support=0.001).empty


def test_progress_is_reported_up_to_the_end():
    seen = []
    lines = as_lines([[f"p{i % 600}", f"p{(i + 1) % 600}"] for i in range(1_200)])
    frequent_itemsets(lines, min_count=1, progress=lambda share, what: seen.append((share, what)))
    assert seen
    assert seen[-1] == (1.0, "counting itemsets")
    assert all(0 <= share <= 1 for share, _ in seen)


def test_mined_levels_count_the_candidates_that_were_looked_at():
    mined = mine(encode(lines_of("a b c", "a b", "a c", "b c")), 2)
    assert [len(level.sets) for level in mined.levels] == [3, 3]
    assert mined.candidates == [3, 3, 1]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d.iloc[:0], "at least one row"),
        (lambda d: d.drop(columns="product_id"), "product_id"),
        (lambda d: d.assign(quantity=np.nan), "quantity"),
        (lambda d: d.assign(revenue=np.inf), "infinite"),
        (lambda d: d.assign(quantity=0), "at least one bought product"),
        (lambda d: d.assign(order_id=None), "order_id"),
    ],
)
def test_bad_lines_are_refused_in_words(change, words):
    with pytest.raises(DataError, match=words):
        frequent_itemsets(change(lines_of("a b", "a")), min_count=1)


@pytest.mark.parametrize("limits", [{"min_support": 0}, {"min_support": 1.5}, {"min_count": 0}, {"min_count": 1, "max_len": 0}])
def test_limits_without_a_meaning_are_refused(limits):
    with pytest.raises(DataError):
        frequent_itemsets(lines_of("a b", "a"), **limits)


def test_one_row_is_one_set():
    found = frequent_itemsets(lines_of("a"), min_count=1)
    assert found.itemsets.tolist() == [frozenset("a")]
    assert found.support.tolist() == [1.0]


def test_the_earlier_part_is_the_earlier_one_whatever_the_row_order():
    lines = lines_of("a", "b", "c", "d").assign(ordered_at=pd.to_datetime(["2024-03-01", "2024-01-01", "2024-04-01", "2024-02-01"]))
    early, late = split(lines, 0.5)
    assert set(early.product_id) == {"b", "d"}
    assert set(late.product_id) == {"a", "c"}
    early, _ = split(lines, "2024-03-15")
    assert set(early.product_id) == {"a", "b", "d"}


@pytest.mark.parametrize("at", [0, 1, 1.5, "2030-01-01", 0.01])
def test_a_cut_that_leaves_a_side_empty_is_refused(at):
    lines = lines_of("a", "b").assign(ordered_at=pd.Timestamp("2024-01-01"))
    with pytest.raises(DataError):
        split(lines, at)


def test_a_date_needs_dated_lines():
    with pytest.raises(DataError, match="ordered_at"):
        split(lines_of("a", "b"), "2024-01-01")
