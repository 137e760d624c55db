"""Lift against a hold-out: published numbers, coverage on simulated campaigns, honest silence."""

import math

import numpy as np
import pytest
from scipy.stats import t
from statsmodels.regression.linear_model import OLS
from statsmodels.stats.power import NormalIndPower
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_effectsize

from ml.errors import DataError
from ml.lift import detectable_lift, difference_by_customer, difference_of_means, difference_of_shares, needed_people, wilson


def test_newcombes_own_example():
    """Newcombe 1998, table II, row (a): 56/70 against 48/80, method 10: 0.0524 to 0.3339."""
    found = difference_of_shares((56, 70), (48, 80))
    assert (round(found.value, 4), round(found.low, 4), round(found.high, 4)) == (0.2, 0.0524, 0.3339)
    assert found.clear


@pytest.mark.parametrize(("a", "b"), [((5, 1000), (2, 120)), ((300, 9000), (20, 1000)), ((0, 50), (10, 50))])
def test_the_interval_agrees_with_statsmodels(a, b):
    low, high = confint_proportions_2indep(*a, *b, method="newcomb", compare="diff")
    found = difference_of_shares(a, b)
    assert (found.low, found.high) == (pytest.approx(low, abs=1e-9), pytest.approx(high, abs=1e-9))


def test_in_simulated_campaigns_the_interval_holds_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(7)
    truth = 0.05 - 0.03
    treated, control = rng.binomial(900, 0.05, 2_000), rng.binomial(100, 0.03, 2_000)
    found = [difference_of_shares((int(k1), 900), (int(k0), 100)) for k1, k0 in zip(treated, control, strict=True)]
    assert 0.93 < np.mean([one.low <= truth <= one.high for one in found]) < 0.985


def test_too_few_people_or_events_say_nothing_and_why():
    assert "20 people" in difference_of_shares((3, 10), (0, 10)).missing
    few = difference_of_shares((4, 400), (1, 40))
    assert not few.enough and not few.clear and "10 conversions" in few.missing
    assert not difference_of_shares((0, 0), (0, 0)).enough
    with pytest.raises(DataError):
        difference_of_shares((5, 4), (0, 10))


def test_money_by_hand_and_with_nothing_sold():
    a, b = np.array([0.0] * 30 + [100.0] * 10), np.array([0.0] * 38 + [50.0] * 2)
    found = difference_of_means((40, a.sum(), (a**2).sum()), (40, b.sum(), (b**2).sum()))
    assert found.value == pytest.approx(22.5) and found.low < 22.5 < found.high and found.low > 0
    assert not difference_of_means((40, 0.0, 0.0), (40, 0.0, 0.0)).enough
    assert math.isinf(difference_of_means((1, 5.0, 25.0), (0, 0.0, 0.0)).high)
    assert found.times(40).value == pytest.approx(900)


def test_sample_size_is_near_the_usual_formula_and_finds_what_it_promises():
    total = needed_people(0.05, 0.02, 0.5)
    usual = 2 * NormalIndPower().solve_power(proportion_effectsize(0.07, 0.05), alpha=0.05, power=0.8)
    assert total == pytest.approx(usual, rel=0.03)
    assert needed_people(0.05, 0.02, 0.1) > total
    rng, n = np.random.default_rng(3), needed_people(0.05, 0.02, 0.1)
    held = round(n * 0.1)
    runs = [
        difference_of_shares((int(rng.binomial(n - held, 0.07)), n - held), (int(rng.binomial(held, 0.05)), held)).clear
        for _ in range(600)
    ]
    assert 0.72 < np.mean(runs) < 0.9
    assert detectable_lift(0.05, total, 0.5) == pytest.approx(0.02, abs=2e-4)
    assert detectable_lift(0.05, 30, 0.1) == 1.0
    assert detectable_lift(0.25, 190, 0.1) == 1.0, "of 19 who are held out no difference is named"
    assert detectable_lift(0.25, 200, 0.1) < 1
    with pytest.raises(DataError):
        needed_people(0, 0.1, 0.1)


def test_wilson_never_leaves_the_possible():
    assert wilson(0, 10)[0] == 0 and wilson(10, 10)[1] == pytest.approx(1) and wilson(0, 0) == (0.0, 1.0)


def _clustered(group, customer, amount):
    """What the database adds up, with numpy."""
    m1, m0 = amount[group == 1].mean(), amount[group == 0].mean()
    adds = np.where(group == 1, (amount - m1) / (group == 1).sum(), (m0 - amount) / (group == 0).sum())
    squares = float((np.bincount(customer, weights=adds) ** 2).sum())
    return difference_by_customer(
        m1 - m0, squares, len(set(customer)), len(set(customer[group == 1])), len(set(customer[group == 0]))
    )


def test_orders_of_one_customer_are_not_so_many_witnesses():
    """Customers differ more than their orders do: the interval for single orders misses the truth three times too often, ours keeps its level."""
    rng, ours, single = np.random.default_rng(5), [], []
    for _ in range(400):
        customer = rng.integers(0, 120, 600)
        group = (rng.random(120) < 0.4).astype(int)[customer]
        amount = rng.normal(50, 15, 120)[customer] + rng.normal(0, 8, 600) + 3 * group
        found = _clustered(group, customer, amount)
        ours.append(found.low <= 3 <= found.high)
        a, b = amount[group == 1], amount[group == 0]
        plain = difference_of_means((len(a), a.sum(), (a**2).sum()), (len(b), b.sum(), (b**2).sum()))
        single.append(plain.low <= 3 <= plain.high)
    assert np.mean(ours) > 0.925 and np.mean(single) < 0.8


def test_the_range_by_customer_is_the_one_of_a_regression():
    rng = np.random.default_rng(6)
    customer, group = rng.integers(0, 60, 300), rng.integers(0, 2, 300)
    amount = rng.normal(50, 15, 60)[customer] + rng.normal(0, 8, 300)
    fit = OLS(amount, np.column_stack([np.ones(300), group])).fit(
        cov_type="cluster", cov_kwds={"groups": customer, "use_correction": False}
    )
    found = _clustered(group, customer, amount)
    n = min(len(set(customer[group == 1])), len(set(customer[group == 0])))
    all_of_them = len(set(customer))
    half = t.ppf(0.975, n - 1) * fit.bse[1] * (all_of_them / (all_of_them - 1)) ** 0.5
    assert found.value == pytest.approx(fit.params[1]) and found.high - found.value == pytest.approx(half)
    assert found.enough and not difference_by_customer(1.0, 0.0, 40, 20, 20).enough
    assert "20 customers" in difference_by_customer(1.0, 0.1, 20, 10, 12).missing
    assert math.isinf(difference_by_customer(0.0, 0.0, 0, 0, 0).high)
