"""Rules: the published counts, the famous trap, the statistics against their definitions."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import fisher_exact, hypergeom

from ml.basket import association_rules, frequent_itemsets
from ml.basket_rules import MLXTEND_COLUMNS, benjamini_hochberg, hypergeometric_tail
from ml.errors import DataError
from ml.synthetic import company, independent_baskets, truth
from tests.ml.baskets_help import as_lines, groceries, lines_of


@pytest.fixture(scope="module")
def grocery_lines(reference):
    return groceries(reference("groceries.csv"))


def test_the_famous_setting_gives_410_rules_and_not_the_406_of_floating_point(grocery_lines):
    rules = association_rules(grocery_lines, min_support=0.001, min_confidence=0.8)
    assert len(rules) == 410
    lengths = rules.antecedents.map(len).value_counts().sort_index()
    assert lengths.to_dict() == {2: 29, 3: 229, 4: 140, 5: 12}
    assert rules.productive.sum() == 392
    exactly = rules[(rules["count"] == 16) & (rules.confidence == 0.8)]
    assert len(exactly) == 4


@pytest.mark.parametrize(("support", "confidence", "count"), [(0.001, 0.5, 5_668), (0.006, 0.25, 463), (0.01, 0.5, 15)])
def test_groceries_hold_the_published_number_of_rules(grocery_lines, support, confidence, count):
    assert len(association_rules(grocery_lines, min_support=support, min_confidence=confidence)) == count


def test_the_measures_are_those_of_mlxtend(grocery_lines):
    from mlxtend.frequent_patterns import association_rules as theirs_of

    found = frequent_itemsets(grocery_lines, min_support=0.005)
    # at exactly .1 mlxtend loses one rule of 58 in 580 to floating point
    theirs = theirs_of(found, metric="confidence", min_threshold=0.11)
    ours = association_rules(grocery_lines, min_support=0.005, min_confidence=0.11, multi_consequents=True)
    key = ["antecedents", "consequents"]
    assert set(theirs.columns) <= set(ours.columns)
    both = ours.merge(theirs, on=key, suffixes=("", "_theirs"))
    assert len(both) == len(ours) == len(theirs)
    for name in MLXTEND_COLUMNS[2:]:
        np.testing.assert_allclose(both[name], both[f"{name}_theirs"], rtol=1e-9, atol=1e-12, err_msg=name)


def test_halves_of_the_groceries_show_the_trap_of_low_support(grocery_lines):
    early, late = (grocery_lines[grocery_lines.order_id % 2 == part] for part in (0, 1))
    trap = association_rules(early, min_support=0.001, min_confidence=0.8, holdout=late)
    assert trap.confidence.mean() == pytest.approx(0.90, abs=0.01)
    assert trap.holdout_confidence.mean() == pytest.approx(0.50, abs=0.03)
    best = trap.nlargest(20, "lift")
    assert (best.holdout_lift > 1).sum() == 8  # 12 of the top 20 by lift vanish
    sound = association_rules(early, min_support=0.005, min_confidence=0.25, holdout=late)
    assert (~(sound.holdout_lift > 1)).mean() < 0.02
    assert sound.holdout_confidence.mean() == pytest.approx(sound.confidence.mean(), abs=0.03)


def test_the_q_value_sees_through_the_trap_without_the_other_half(grocery_lines):
    rules = association_rules(grocery_lines, min_support=0.001, min_confidence=0.8)
    assert (rules.q_value < 0.05).sum() < 0.05 * len(rules)
    sound = association_rules(grocery_lines, min_support=0.005, min_confidence=0.25)
    assert (sound.q_value < 0.05).mean() > 0.4


def test_a_planted_rule_is_found_and_confirmed():
    lines = company("medium", seed=4).order_lines
    rules = association_rules(lines, min_support=0.01, min_confidence=0.5, holdout=0.3)
    planted = rules[(rules.antecedents == truth().rule_if) & (rules.consequents == frozenset({truth().rule_then}))]
    assert len(planted) == 1
    rule = planted.iloc[0]
    assert rule.productive
    assert rule.q_value < 1e-6
    assert rule.confidence == pytest.approx(truth().rule_confidence, abs=0.06)
    assert rule.holdout_lift_low > 2


@pytest.mark.parametrize("seed", range(3))
def test_independent_baskets_give_no_rule_that_counts(seed):
    rules = association_rules(independent_baskets(4_000, 60, 4, seed=seed), min_support=0.002, holdout=0.5)
    assert len(rules) > 300
    assert (rules.q_value < 0.05).sum() == 0
    covers = (rules.holdout_lift_low <= 1.02) & (rules.holdout_lift_high >= 0.9)
    assert covers.mean() > 0.9


def test_without_a_holdout_its_columns_are_there_and_missing():
    rules = association_rules(lines_of("a b", "a b", "a"), min_support=0.1)
    assert rules[[c for c in rules if c.startswith("holdout")]].isna().all(axis=None)


def test_a_rule_by_hand():
    rules = association_rules(lines_of("a b c", "a b", "a c", "b", "c d"), min_support=0.2, min_confidence=0.6)
    rule = rules[(rules.antecedents == frozenset("a")) & (rules.consequents == frozenset("b"))].iloc[0]
    assert rule["count"] == 2
    assert rule.support == 2 / 5
    assert rule.confidence == 2 / 3
    assert rule.lift == pytest.approx((2 / 3) / (3 / 5))
    assert rule.productive


def test_productive_means_better_than_every_shorter_rule():
    baskets = [["a", "b", "c"]] * 6 + [["a", "c"]] * 6 + [["a"]] * 3 + [["b"]] * 3 + [["d"]] * 5
    rules = association_rules(as_lines(baskets), min_support=0.01)
    productive = {
        ("".join(sorted(a)), *c): bool(p) for a, c, p in zip(rules.antecedents, rules.consequents, rules.productive, strict=True)
    }
    assert productive["a", "c"]  # 12 of 15 against 12 of 23
    assert productive["ab", "c"]  # 6 of 6 against 12 of 15
    assert productive["b", "a"]  # 6 of 9 against 15 of 23
    assert not productive["ac", "b"]  # 6 of 12, and c alone has 6 of 12 too


def test_row_order_and_names_of_products_change_nothing(grocery_lines):
    args = {"min_support": 0.006, "min_confidence": 0.25}
    plain = association_rules(grocery_lines, **args)
    mixed = association_rules(grocery_lines.sample(frac=1, random_state=1), **args)
    pd.testing.assert_frame_equal(plain, mixed)
    renamed = association_rules(grocery_lines.assign(product_id=grocery_lines.product_id.str[::-1]), **args)
    np.testing.assert_allclose(sorted(renamed.lift), sorted(plain.lift))


def test_most_confident_first(grocery_lines):
    rules = association_rules(grocery_lines, min_support=0.005)
    assert rules.confidence.is_monotonic_decreasing


def test_later_baskets_do_not_change_the_mined_part():
    lines = independent_baskets(1_000, 20, 4)
    early = lines[lines.order_id <= 700]
    with_later = association_rules(lines, min_support=0.02, holdout=0.3)
    alone = association_rules(early, min_support=0.02)
    same = [*MLXTEND_COLUMNS, "count", "productive", "q_value"]
    pd.testing.assert_frame_equal(with_later[same], alone[same])


def test_a_rule_that_never_comes_up_again_says_so_by_its_interval():
    rules = association_rules(lines_of("a b", "a b"), min_support=0.5, holdout=lines_of("c", "d"))
    assert rules.holdout_lift.isna().all()
    assert (rules.holdout_lift_low == 0).all()
    assert np.isinf(rules.holdout_lift_high).all()


def test_the_holdout_interval_covers_the_truth_as_often_as_it_says():
    hits = []
    for seed in range(150):
        rng = np.random.default_rng(seed)
        a, b = rng.random(800) < 0.3, rng.random(800) < 0.4
        baskets = [["x", *(["a"] if i else []), *(["b"] if j else [])] for i, j in zip(a, b, strict=True)]
        rules = association_rules(lines_of("a b", "a", "b"), min_support=0.1, holdout=as_lines(baskets))
        rule = rules[rules.consequents == frozenset("b")].iloc[0]
        hits.append(rule.holdout_lift_low <= 1 <= rule.holdout_lift_high)
    assert 0.90 <= np.mean(hits) <= 0.99


@settings(max_examples=50, deadline=None)
@given(st.integers(2, 200), st.data())
def test_the_tail_is_the_hypergeometric_one(total, data):
    marked, drawn = data.draw(st.integers(1, total)), data.draw(st.integers(1, total))
    low, high = max(0, marked + drawn - total), min(marked, drawn)
    x = data.draw(st.integers(max(low, int(np.ceil(marked * drawn / total))), high)) if high > low else high
    ours = hypergeometric_tail(*(np.array([v]) for v in (x, total, marked, drawn)))[0]
    assert ours == pytest.approx(hypergeom.sf(x - 1, total, marked, drawn), rel=1e-8, abs=1e-300)
    table = [[x, drawn - x], [marked - x, total - marked - drawn + x]]
    assert ours == pytest.approx(fisher_exact(table, alternative="greater")[1], rel=1e-6, abs=1e-300)


def test_q_values_by_hand_and_over_the_tests_that_are_not_listed():
    p = np.array([0.01, 0.04, 0.03, 0.5])
    np.testing.assert_allclose(benjamini_hochberg(p, 4), [0.04, 0.04 * 4 / 3, 0.04 * 4 / 3, 0.5])
    np.testing.assert_allclose(benjamini_hochberg(p[:1], 100), [1.0])


@pytest.mark.parametrize("bad", [{"min_confidence": 1.2}, {"min_support": -1}, {"holdout": 1.5}, {"holdout": 0}])
def test_parameters_without_a_meaning_are_refused(bad):
    with pytest.raises(DataError):
        association_rules(lines_of("a b", "a b"), **({"min_support": 0.1} | bad))
