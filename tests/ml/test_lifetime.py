"""Lifetime models: the published fits, the traps, what they refuse."""

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import approx_fprime
from scipy.special import gammaln, hyp2f1

from ml import lifetime, lifetime_models
from ml.errors import DataError
from ml.synthetic import company
from tests.ml.reference_help import cdnow_orders

SPLIT = "1997-09-30"


@pytest.fixture(scope="module")
def cdnow(reference):
    return cdnow_orders(reference("cdnow/CDNOW_sample.txt"))


@pytest.fixture(scope="module")
def table(cdnow):
    return lifetime.summary(cdnow, as_of=SPLIT)


@pytest.fixture(scope="module")
def bgnbd(table):
    return lifetime.fit_bgnbd(table)


@pytest.fixture(scope="module")
def pareto(table):
    return lifetime.fit_pareto_nbd(table)


@pytest.fixture(scope="module")
def spend(table):
    return lifetime.fit_gamma_gamma(table)


def simulated(n, r, alpha, s, beta, *, seed=0, weeks=78):
    """Pareto/NBD customers with known parameters, in weeks, daily precision."""
    rng = np.random.default_rng(seed)
    T = np.ceil(rng.uniform(1, weeks * 7, n)) / 7
    rate, leaving = rng.gamma(r, 1 / alpha, n), rng.gamma(s, 1 / beta, n)
    life = np.minimum(rng.exponential(1 / leaving), T)
    x = rng.poisson(rate * life)
    last = np.ceil(life * 7 * rng.random(n) ** (1 / np.maximum(x, 1))) / 7
    return pd.DataFrame({"x": x.astype(float), "t_x": np.where(x > 0, np.minimum(last, T), 0.0), "T": T})


def orders_of(*rows):
    return pd.DataFrame(rows, columns=["order_id", "customer_id", "ordered_at", "revenue"]).assign(
        ordered_at=lambda f: pd.to_datetime(f["ordered_at"], utc=True, format="ISO8601")
    )


def test_the_summary_is_the_published_one(table, reference):
    published = pd.read_csv(reference("cdnow/cdnow_customers_summary.csv"))
    assert len(table) == len(published) == 2_357
    assert (table["x"] == published["frequency"]).all()
    assert np.allclose(table["t_x"], published["recency"], atol=0.005)
    assert np.allclose(table["T"], published["T"], atol=0.005)


def test_two_orders_on_one_day_are_one_purchase_and_the_first_one_is_no_repeat():
    orders = orders_of(
        (1, "a", "2024-01-01 09:00", 10.0),
        (2, "a", "2024-01-15 09:00", 20.0),
        (3, "a", "2024-01-15 17:00", 5.0),
        (4, "a", "2024-01-29", 35.0),
        (5, "b", "2024-01-29", 7.0),
    )
    table = lifetime.summary(orders, as_of="2024-02-05").set_index("customer_id")
    assert table.loc["a"].to_dict() == {"x": 2, "t_x": 4, "T": 5, "monetary": 30}
    assert table.loc["b"].to_dict() == {"x": 0, "t_x": 0, "T": 1, "monetary": 0}
    assert lifetime.summary(orders, as_of="2024-02-05", unit="day")["T"].tolist() == [35, 7]


def test_later_orders_change_nothing(cdnow, table):
    shown = cdnow[cdnow["ordered_at"] <= SPLIT]
    pd.testing.assert_frame_equal(lifetime.summary(shown, as_of=SPLIT), table)


def test_row_order_changes_nothing(cdnow, table):
    pd.testing.assert_frame_equal(lifetime.summary(cdnow.sample(frac=1, random_state=1), as_of=SPLIT), table)


def test_bgnbd_on_cdnow_is_the_published_fit(bgnbd):
    assert bgnbd.converged
    assert {k: round(v, 3) for k, v in bgnbd.params.items()} == {"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}
    assert round(bgnbd.loglik, 3) == -9582.429


def test_pareto_nbd_on_cdnow_is_the_published_fit(pareto):
    assert pareto.converged
    published = {"r": 0.553, "alpha": 10.578, "s": 0.606, "beta": 11.669}
    assert {k: round(v, 3) for k, v in pareto.params.items()} == published
    assert round(pareto.loglik, 2) == -9594.98


def test_gamma_gamma_on_cdnow_is_the_published_fit(spend):
    assert spend.converged and spend.customers == 946
    assert {k: round(v, 2) for k, v in spend.params.items()} == {"p": 6.25, "q": 3.74, "v": 15.44}


@pytest.mark.parametrize("likelihood", [lifetime_models.bgnbd, lifetime_models.pareto_nbd])
def test_gradients_are_those_of_the_likelihood(table, likelihood):
    data = lifetime_models.aggregate(*(table[c].to_numpy(dtype=float) for c in ("x", "t_x", "T")))
    theta = np.log([0.4, 7.0, 0.6, 3.0])
    numeric = approx_fprime(theta, lambda t: likelihood(t, data)[0], 1e-6)
    assert np.allclose(likelihood(theta, data)[1], numeric, rtol=1e-4, atol=0.01)


def test_the_pareto_likelihood_is_the_one_with_the_hypergeometric_function():
    """Fader & Hardie's closed form, for one customer, on both sides of alpha = beta."""
    x, t_x, T = 3.0, 12.0, 30.0
    for r, alpha, s, beta in [(0.5, 10.0, 0.6, 12.0), (0.8, 15.0, 1.4, 6.0)]:
        high, low, second = (alpha, beta, s + 1) if alpha >= beta else (beta, alpha, r + x)

        def a0(t, r=r, s=s, high=high, low=low, second=second):
            z = (high - low) / (high + t)
            return hyp2f1(r + s + x, second, r + s + x + 1, z) / (high + t) ** (r + s + x)

        inner = s / (r + s + x) * (a0(t_x) - a0(T))
        stay = (alpha + T) ** -(r + x) * (beta + T) ** -s
        expected = gammaln(r + x) - gammaln(r) + r * np.log(alpha) + s * np.log(beta) + np.log(stay + inner)
        data = lifetime_models.Histories(*(np.array([v]) for v in (x, t_x, T, 1.0)))
        assert lifetime_models.pareto_nbd(np.log([r, alpha, s, beta]), data)[0] == pytest.approx(expected, abs=1e-10)


def test_expected_purchases_are_those_of_the_paper(bgnbd):
    """Fader, Hardie & Lee (2005), section 5: x = 2, t_x = 30.43, T = 38.86 gives 1.226 in 39 weeks."""
    one = pd.DataFrame({"x": [2.0], "t_x": [30.43], "T": [38.86]})
    assert lifetime.expected_purchases(bgnbd, one, 39)[0] == pytest.approx(1.226, abs=0.001)


def test_the_stable_form_of_expected_purchases_is_the_direct_one(bgnbd):
    r, alpha, a, b = bgnbd.values
    x, t_x, T, t = 4.0, 20.0, 35.0, 12.0
    z = t / (alpha + T + t)
    direct = (a + b + x - 1) / (a - 1) * (1 - ((alpha + T) / (alpha + T + t)) ** (r + x) * hyp2f1(r + x, b + x, a + b + x - 1, z))
    direct /= 1 + a / (b + x - 1) * ((alpha + T) / (alpha + t_x)) ** (r + x)
    one = pd.DataFrame({"x": [x], "t_x": [t_x], "T": [T]})
    assert lifetime.expected_purchases(bgnbd, one, t)[0] == pytest.approx(direct, rel=1e-10)


def test_everybody_who_bought_once_is_called_alive_so_it_is_no_churn_score(bgnbd, table):
    once = table[table["x"] == 0]
    assert (lifetime.probability_alive(bgnbd, once) == 1).all()
    assert any("bought once" in sentence for sentence in bgnbd.advice)
    assert lifetime.probability_purchase(bgnbd, once, 39).max() < 0.6


@pytest.mark.parametrize("model", ["bgnbd", "pareto"])
def test_probabilities_and_expectations_grow_with_the_time_ahead(model, table, request):
    fit = request.getfixturevalue(model)
    some = table.sample(300, random_state=3)
    chance = [lifetime.probability_purchase(fit, some, t) for t in (1, 10, 100)]
    count = [lifetime.expected_purchases(fit, some, t) for t in (1, 10, 100)]
    alive = lifetime.probability_alive(fit, some)
    assert ((alive >= 0) & (alive <= 1)).all()
    for small, large in [(0, 1), (1, 2)]:
        assert (chance[small] <= chance[large]).all() and (count[small] <= count[large]).all()
    assert (chance[2] <= alive + 1e-12).all()
    assert all((p <= e + 1e-9).all() for p, e in zip(chance, count, strict=True))


def test_pareto_probability_of_a_purchase_agrees_with_a_simulation(pareto):
    r, alpha, s, beta = pareto.values
    x, t_x, T, t = 2.0, 20.0, 30.0, 26.0
    rng = np.random.default_rng(1)
    rate, leaving = rng.gamma(r, 1 / alpha, 400_000), rng.gamma(s, 1 / beta, 400_000)
    total = rate + leaving
    weight = rate**x * (leaving / total * np.exp(-total * t_x) + rate / total * np.exp(-total * T))
    alive = rate**x * np.exp(-total * T)
    buys = rate / total * (1 - np.exp(-total * t))
    one = pd.DataFrame({"x": [x], "t_x": [t_x], "T": [T]})
    assert lifetime.probability_purchase(pareto, one, t)[0] == pytest.approx((alive * buys).sum() / weight.sum(), rel=0.02)
    assert lifetime.probability_alive(pareto, one)[0] == pytest.approx(alive.sum() / weight.sum(), rel=0.02)


def test_known_parameters_are_recovered():
    truth = {"r": 0.55, "alpha": 10.6, "s": 0.6, "beta": 11.7}
    fit = lifetime.fit_pareto_nbd(simulated(60_000, *truth.values()))
    assert fit.converged
    for name, value in truth.items():
        assert abs(fit.params[name] - value) < max(4 * fit.errors[name], 0.08 * value)


def test_customers_who_never_leave_have_no_interior_optimum():
    steady = simulated(20_000, 1.0, 5.0, 0.6, 1e9)
    for fit in (lifetime.fit_bgnbd(steady), lifetime.fit_pareto_nbd(steady)):
        assert not fit.converged and fit.reason
        assert any("regression" in sentence for sentence in fit.advice)
        with pytest.raises(DataError, match="without an optimum"):
            lifetime.expected_purchases(fit, steady, 10)


def never_leaving_orders(customers=800, days=420, seed=1):
    rng = np.random.default_rng(seed)
    rate = rng.gamma(3, 1 / 150, customers)
    rows = [(c, float(d)) for c in range(customers) for d in np.cumsum(rng.exponential(1 / rate[c], 60)) if d < days]
    frame = pd.DataFrame(rows, columns=["customer_id", "day"])
    at = pd.Timestamp("2023-01-01", tz="UTC") + pd.to_timedelta((frame["day"] * 86_400).astype(int), unit="s")
    return pd.DataFrame({"order_id": range(len(frame)), "customer_id": frame["customer_id"], "ordered_at": at, "revenue": 10.0})


def test_without_an_optimum_the_regression_on_past_behaviour_takes_over_and_predicts_the_total():
    orders = never_leaving_orders()
    fit = lifetime.fit_purchases(orders, as_of="2023-11-01", horizon=12)
    assert isinstance(fit, lifetime.RfmRegression)
    assert any("no usable optimum" in sentence for sentence in fit.advice)
    table = lifetime.summary(orders, as_of="2023-11-01")
    expected = lifetime.expected_purchases(fit, table, 12).sum()
    later = orders[(orders["ordered_at"] > "2023-11-02") & (orders["ordered_at"] < "2024-01-25")]
    assert expected == pytest.approx(len(later), rel=0.15)
    with pytest.raises(DataError):
        lifetime.probability_alive(fit, table)


def test_a_horizon_longer_than_the_history_is_cut_and_said():
    fit = lifetime.fit_purchases(never_leaving_orders(), as_of="2023-11-01", horizon=52)
    assert fit.horizon < 22
    assert any("only 22 weeks ahead" in sentence for sentence in fit.advice)


def test_the_better_of_the_two_models_is_used(cdnow):
    assert lifetime.fit_purchases(cdnow, as_of=SPLIT, horizon=20).model == "BG/NBD"


def test_value_is_purchases_times_spend_discounted(bgnbd, spend, table):
    plain = lifetime.customer_value(bgnbd, spend, table, months=12, discount_rate=0)
    assert np.allclose(plain["value"], plain["expected_purchases"] * plain["expected_spend"])
    discounted = lifetime.customer_value(bgnbd, spend, table, months=12, discount_rate=0.2, margin=0.5)
    ratio = discounted["value"].sum() / plain["value"].sum()
    assert 0.5 / 1.2 < ratio < 0.5
    year = lifetime.expected_purchases(bgnbd, table, 365.25 / 7)
    assert np.allclose(plain["expected_purchases"], year)


def test_expected_spend_lies_between_the_own_mean_and_everybodys(spend, table):
    p, q, v = spend.values
    everybody = p * v / (q - 1)
    buyers = table[table["x"] > 0]
    expected = lifetime.expected_spend(spend, buyers)
    low, high = np.minimum(buyers["monetary"], everybody), np.maximum(buyers["monetary"], everybody)
    assert ((expected >= low - 1e-9) & (expected <= high + 1e-9)).all()
    assert lifetime.expected_spend(spend, table[table["x"] == 0]).iloc[0] == pytest.approx(everybody)


def test_the_currency_changes_only_the_scale_of_spend(spend, table):
    cents = lifetime.fit_gamma_gamma(table.assign(monetary=table["monetary"] * 100))
    assert cents.params["p"] == pytest.approx(spend.params["p"], rel=1e-4)
    assert cents.params["v"] == pytest.approx(spend.params["v"] * 100, rel=1e-4)


def test_the_unit_changes_only_the_scale_of_time(cdnow, bgnbd):
    days = lifetime.fit_bgnbd(lifetime.summary(cdnow, as_of=SPLIT, unit="day"))
    assert days.unit == "day"
    assert days.params["alpha"] == pytest.approx(7 * bgnbd.params["alpha"], rel=1e-5)
    assert days.params["a"] == pytest.approx(bgnbd.params["a"], rel=1e-5)


def test_spend_that_follows_frequency_is_said(table):
    bent = table.assign(monetary=np.where(table["x"] > 0, 10 * (1 + table["x"]) ** 1.5, 0))
    noise = 1 + 0.2 * np.random.default_rng(0).random(len(bent))
    assert any("spend more" in s for s in lifetime.fit_gamma_gamma(bent.assign(monetary=bent["monetary"] * noise)).advice)


def test_where_gamma_gamma_has_no_optimum_the_own_mean_is_drawn_towards_everybodys():
    """The made-up company's kinds of customers differ in how often *and* how much: the assumption fails."""
    orders = company("medium", seed=3).orders
    table = lifetime.summary(orders, as_of="2025-01-01")
    assert lifetime.fit_pareto_nbd(table).converged
    assert not lifetime.fit_gamma_gamma(table).converged
    fit = lifetime.fit_spend(table)
    assert fit.model == "Shrunk mean" and any("no usable optimum" in sentence for sentence in fit.advice)
    spend = lifetime.expected_spend(fit, table)
    assert np.corrcoef(spend, table["monetary"])[0, 1] > 0.5
    assert spend[table["x"] == 0].nunique() == 1


def test_in_the_made_up_company_revenue_is_foreseen_within_a_tenth():
    report = lifetime.holdout_report(company("medium", seed=3).orders, "2024-07-01", as_of="2025-01-01")
    assert report.revenue_predicted == pytest.approx(report.revenue_actual, rel=0.1)


@pytest.mark.parametrize(
    ("orders", "words"),
    [
        (orders_of(), "at least one row"),
        (orders_of((1, "a", "2024-01-01", -5.0)), "below 0"),
        (orders_of((1, "a", "2024-01-01", np.nan)), "missing"),
        (orders_of((1, "a", "2024-01-01", np.inf)), "infinite"),
        (orders_of((1, "a", "2024-01-01", 5.0), (1, "b", "2024-01-01", 5.0)), "repeated"),
        (orders_of((1, "a", "2030-01-01", 5.0)), "on or before"),
    ],
)
def test_orders_that_carry_no_summary_are_refused(orders, words):
    with pytest.raises(DataError, match=words):
        lifetime.summary(orders, as_of="2025-01-01")


def test_mixed_time_zones_are_refused():
    stamps = [pd.Timestamp("2024-01-01"), pd.Timestamp("2024-01-02", tz="UTC")]
    orders = pd.DataFrame({"order_id": [1, 2], "customer_id": ["a", "a"], "ordered_at": stamps, "revenue": [1.0, 2.0]})
    with pytest.raises(DataError, match="time zone"):
        lifetime.summary(orders.astype({"ordered_at": object}), as_of="2025-01-01")


def frame(**over):
    base = {"x": [1.0] * 20, "t_x": [2.0] * 20, "T": [5.0] * 20, "monetary": list(np.linspace(1, 9, 20))}
    return pd.DataFrame(base | over)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (frame(x=[0.0] * 20, t_x=[0.0] * 20), "repeat purchase"),
        (frame(x=[0.5] * 20), "whole numbers"),
        (frame(t_x=[9.0] * 20), "after today"),
        (frame(t_x=[0.0] * 20), "age 0"),
        (frame(T=[np.inf] * 20), "infinite"),
        (frame().head(1), "repeat purchase"),
        (frame().drop(columns="T"), "columns T"),
        (frame().head(0), "at least one row"),
    ],
)
def test_summaries_that_carry_no_fit_are_refused(table, words):
    for fit in (lifetime.fit_bgnbd, lifetime.fit_pareto_nbd):
        with pytest.raises(DataError, match=words):
            fit(table)


def test_equal_customers_have_no_optimum_instead_of_a_wrong_one():
    for fit in (lifetime.fit_bgnbd(frame()), lifetime.fit_pareto_nbd(frame())):
        assert not fit.converged
        assert all(np.isfinite(value) for value in fit.params.values())


def test_equal_spend_is_refused_and_a_missing_column_named():
    with pytest.raises(DataError, match="different amounts"):
        lifetime.fit_gamma_gamma(frame(monetary=[5.0] * 20))
    with pytest.raises(DataError, match="monetary"):
        lifetime.fit_gamma_gamma(frame().drop(columns="monetary"))


def test_questions_without_sense_are_refused(bgnbd, spend, table):
    with pytest.raises(DataError, match="above zero"):
        lifetime.expected_purchases(bgnbd, table, 0)
    with pytest.raises(DataError, match="months"):
        lifetime.customer_value(bgnbd, spend, table, months=0)
    with pytest.raises(DataError, match="rate above -1"):
        lifetime.customer_value(bgnbd, spend, table, discount_rate=-1)
    with pytest.raises(DataError, match="model of purchases"):
        lifetime.expected_purchases(spend, table, 5)
    with pytest.raises(DataError, match="Gamma-Gamma fit"):
        lifetime.expected_spend(bgnbd, table)
    with pytest.raises(DataError, match="unit among"):
        lifetime.fit_bgnbd(table, unit="fortnight")
