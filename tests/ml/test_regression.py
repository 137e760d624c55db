"""Regression: certified and published figures, known truth, and every way a table can be unfit."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.errors import DataError
from ml.regression import fit_linear, fit_logistic
from ml.regression_logit import newton, separating
from ml.regression_words import number

X_LONGLEY = ["GNPDEFL", "GNP", "UNEMP", "ARMED", "POP", "YEAR"]


@pytest.fixture(scope="module")
def longley(reference):
    return pd.read_csv(reference("longley.csv"))


@pytest.fixture(scope="module")
def default(reference):
    return pd.read_csv(reference("islp/Default.csv"))


@pytest.fixture(scope="module")
def carseats(reference):
    return pd.read_csv(reference("islp/Carseats.csv"))


def by_term(fit, column="coef"):
    return fit.coefficients.set_index("term")[column]


def digits(found, certified):
    """Correct significant digits: the log relative error of the NIST."""
    return -np.log10(abs(found - certified) / abs(certified) + 1e-17)


def test_longley_to_more_than_nine_digits(longley):
    fit = fit_linear(longley, y="TOTEMP", x=X_LONGLEY, robust=False)
    # certified values: NIST Statistical Reference Datasets, Longley
    certified = {
        "intercept": (-3482258.63459582, 890420.383607373),
        "GNPDEFL": (15.0618722713733, 84.9149257747669),
        "GNP": (-0.358191792925910e-01, 0.334910077722432e-01),
        "UNEMP": (-2.02022980381683, 0.488399681651699),
        "ARMED": (-1.03322686717359, 0.214274163161675),
        "POP": (-0.511041056535807e-01, 0.226073200069370),
        "YEAR": (1829.15146461355, 455.478499142212),
    }
    for term, (coef, error) in certified.items():
        assert digits(by_term(fit)[term], coef) > 9, term
        assert digits(by_term(fit, "se")[term], error) > 9, term
    assert digits(fit.statistics["r2"], 0.995479004577296) > 9
    assert digits(fit.statistics["rse"], 304.854073561965) > 9
    assert digits(fit.statistics["f"], 330.285339234588) > 9


def test_longley_is_warned_about(longley):
    fit = fit_linear(longley, y="TOTEMP", x=X_LONGLEY)
    text = " ".join(fit.warnings)
    for words in ("16 rows for 6 coefficients", "VIF above 10", "condition number"):
        assert words in text
    assert by_term(fit, "vif")["GNP"] == pytest.approx(1788.5, abs=0.1)


def test_default_gives_the_published_coefficients(default):
    fit = fit_logistic(default, y="default", x=["student", "balance", "income"])
    coef, error = by_term(fit), by_term(fit, "se")
    assert coef["student = Yes"] == pytest.approx(-0.6468, abs=5e-5)
    assert error["student = Yes"] == pytest.approx(0.236, abs=5e-4)
    assert coef["balance"] == pytest.approx(0.0057, abs=5e-5)
    assert coef["intercept"] == pytest.approx(-10.869, abs=5e-4)
    assert fit.positive == "Yes"


def test_the_sign_of_student_flips_and_the_fit_says_so(default):
    alone = fit_logistic(default, y="default", x=["student"])
    assert by_term(alone)["student = Yes"] == pytest.approx(0.405, abs=5e-4)
    joint = fit_logistic(default, y="default", x=["student", "balance", "income"])
    assert by_term(joint, "alone")["student = Yes"] == pytest.approx(0.405, abs=5e-4)
    assert any("student = Yes changes its sign" in text for text in joint.warnings)
    assert not any("changes its sign" in text for text in alone.warnings)


def test_carseats_gives_the_published_fit(carseats):
    x = [c for c in carseats if c != "Sales"] + ["Income:Advertising", "Price:Age"]
    fit = fit_linear(carseats, y="Sales", x=x, robust=False)
    assert by_term(fit)["intercept"] == pytest.approx(6.5756, abs=5e-5)
    assert fit.statistics["r2"] == pytest.approx(0.876, abs=5e-4)
    assert fit.statistics["rse"] == pytest.approx(1.011, abs=5e-4)
    assert by_term(fit)["ShelveLoc = Good"] == pytest.approx(4.8487, abs=5e-5)
    assert by_term(fit)["Income : Advertising"] == pytest.approx(0.00075, abs=5e-6)


def test_robust_errors_are_statsmodels_hc3(carseats):
    import statsmodels.formula.api as smf

    fit = fit_linear(carseats, y="Sales", x=["Price", "ShelveLoc"])
    theirs = smf.ols("Sales ~ Price + C(ShelveLoc)", carseats).fit(cov_type="HC3", use_t=True)
    np.testing.assert_allclose(sorted(fit.coefficients.se), sorted(theirs.bse), rtol=1e-9)
    np.testing.assert_allclose(sorted(fit.coefficients.p), sorted(theirs.pvalues), rtol=1e-6, atol=1e-300)


def made(n=2_000, seed=0, noise=1.0):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"price": rng.normal(50, 10, n), "visits": rng.poisson(3, n), "noise": rng.normal(size=n)})
    frame["city"] = rng.choice(["north", "south"], n)
    frame["sales"] = 10 - 0.3 * frame.price + 2 * frame.visits + 4 * (frame.city == "south") + noise * rng.normal(size=n)
    frame["won"] = rng.random(n) < 1 / (1 + np.exp(2 - 0.8 * frame.visits + 0.02 * frame.price))
    return frame


def test_planted_coefficients_are_covered_and_noise_has_no_clear_link():
    fit = fit_linear(made(), y="sales", x=["price", "visits", "city", "noise"], level=0.99).coefficients.set_index("term")
    for term, value in {"price": -0.3, "visits": 2.0, "city = south": 4.0, "noise": 0.0, "intercept": 10.0}.items():
        assert fit.loc[term, "low"] <= value <= fit.loc[term, "high"], term
    logistic = fit_logistic(made(seed=1), y="won", x=["price", "visits", "noise"], level=0.99).coefficients.set_index("term")
    for term, value in {"price": -0.02, "visits": 0.8, "noise": 0.0, "intercept": -2.0}.items():
        assert logistic.loc[term, "low"] <= value <= logistic.loc[term, "high"], term


def test_a_pure_noise_outcome_is_called_no_better_than_the_average():
    said = {"linear": 0, "logistic": 0}
    for seed in range(40):
        rng = np.random.default_rng(seed)
        frame = pd.DataFrame(rng.normal(size=(90, 4)), columns=list("abcd"))
        frame["y"], frame["won"] = rng.normal(size=90), rng.random(90) < 0.4
        linear, logistic = fit_linear(frame, y="y", x=list("abcd")), fit_logistic(frame, y="won", x=list("abcd"))
        said["linear"] += any("no better than the plain average" in text for text in linear.warnings)
        said["logistic"] += any("no better than the base rate" in text for text in logistic.warnings)
    assert min(said.values()) >= 37
    real = fit_logistic(made(), y="won", x=["visits"])
    assert not any("no better" in text for text in real.warnings)


def test_intervals_cover_as_often_as_they_say_and_nest():
    inside = 0
    for seed in range(200):
        frame = made(80, seed)
        row = fit_linear(frame, y="sales", x=["price", "visits"], robust=True).coefficients.set_index("term").loc["price"]
        inside += row.low <= -0.3 <= row.high
    assert 0.90 <= inside / 200 <= 0.99
    narrow, wide = (fit_linear(made(80), y="sales", x=["price"], level=level).coefficients for level in (0.5, 0.99))
    assert ((wide.low < narrow.low) & (narrow.high < wide.high)).all()


def test_leave_one_out_is_what_leaving_one_out_gives():
    frame = made(40)
    fit = fit_linear(frame, y="sales", x=["price", "city"])
    errors = []
    for row in range(len(frame)):
        rest = fit_linear(frame.drop(index=row), y="sales", x=["price", "city"])
        errors.append(frame.sales[row] - rest.predict(frame.loc[[row]])["mean"].iloc[0])
    assert fit.statistics["loo_rmse"] == pytest.approx(np.sqrt(np.mean(np.square(errors))))
    shifts = [frame.sales[r] - frame.sales.drop(index=r).mean() for r in range(len(frame))]
    assert fit.statistics["loo_r2"] == pytest.approx(1 - np.sum(np.square(errors)) / np.sum(np.square(shifts)))


def test_predictions_are_the_fitted_values_with_an_interval_around():
    frame = made(200)
    for fit in (fit_linear(frame, y="sales", x=["price", "city"]), fit_logistic(frame, y="won", x=["price", "city"])):
        found = fit.predict(frame)
        np.testing.assert_allclose(found["mean"], fit.rows.fitted, rtol=1e-9)
        assert ((found.low < found["mean"]) & (found["mean"] < found.high)).all()
    with pytest.raises(DataError, match="one of north, south"):
        fit.predict(frame.assign(city="west"))
    with pytest.raises(DataError, match="no city"):
        fit.predict(frame.drop(columns="city"))


@settings(max_examples=20, deadline=None)
@given(st.floats(0.001, 1000), st.floats(-1e5, 1e5), st.integers(0, 50))
def test_units_and_origins_change_the_number_and_not_the_finding(scale, shift, seed):
    frame = made(60, seed)
    plain = fit_linear(frame, y="sales", x=["price", "visits"])
    moved = fit_linear(frame.assign(price=frame.price * scale + shift), y="sales", x=["price", "visits"])
    assert by_term(moved)["price"] * scale == pytest.approx(by_term(plain)["price"], rel=1e-6)
    assert by_term(moved, "p")["price"] == pytest.approx(by_term(plain, "p")["price"], rel=1e-5, abs=1e-12)
    assert moved.statistics["r2"] == pytest.approx(plain.statistics["r2"])


def test_row_order_changes_nothing():
    frame = made(300)
    mixed = frame.sample(frac=1, random_state=1)
    for fit, y in ((fit_linear, "sales"), (fit_logistic, "won")):
        a, b = fit(frame, y=y, x=["price", "visits", "city"]), fit(mixed, y=y, x=["price", "visits", "city"])
        pd.testing.assert_frame_equal(a.coefficients, b.coefficients, rtol=1e-8)
        assert a.statistics == pytest.approx(b.statistics)
        assert a.sentences == b.sentences


def test_sentences_speak_in_steps_people_see(default, carseats):
    fit = fit_logistic(default, y="default", x=["student", "balance", "income"])
    text = " ".join(fit.sentences)
    assert "Each 100 more of balance multiplies the odds of default = Yes by 1.775 (1.696 to 1.857)" in text
    assert "income: no clear link with default = Yes" in text
    assert "compared with No" in text
    linear = " ".join(fit_linear(carseats, y="Sales", x=["Price", "ShelveLoc", "Price:Age", "Age"]).sentences)
    assert "where Age is zero or at its base" in linear
    assert "Price × Age" in linear
    assert len(fit.sentences) == len(fit.coefficients)


def test_the_first_category_in_order_is_the_base():
    frame = made(100)
    frame["size"] = pd.Categorical(np.resize(["small", "large", "medium"], 100), ["small", "medium", "large"])
    fit = fit_linear(frame, y="sales", x=["size"])
    assert fit.coefficients.term.tolist() == ["intercept", "size = medium", "size = large"]


def test_missing_rows_are_left_out_and_counted():
    frame = made(100)
    frame.loc[[3, 7], "price"] = np.nan
    frame.loc[9, "city"] = None
    fit = fit_linear(frame, y="sales", x=["price", "city"])
    assert fit.statistics["n"] == 97
    assert "3 of 100 rows were left out because a value is missing (price 2, city 1)." in fit.warnings
    assert fit.rows.index.tolist() == [i for i in range(100) if i not in (3, 7, 9)]


def test_a_constant_column_is_left_out_and_said():
    fit = fit_linear(made(100).assign(one=7), y="sales", x=["price", "one"])
    assert fit.coefficients.term.tolist() == ["intercept", "price"]
    assert any("one never changes" in text for text in fit.warnings)


def test_one_row_that_rules_them_all_is_named():
    frame = made(50)
    frame.loc[13, ["price", "sales"]] = [5_000, 9_000]
    fit = fit_linear(frame, y="sales", x=["price"])
    assert any("Row 13 pulls" in text for text in fit.warnings)


def test_a_category_with_a_single_row_falls_back_to_classical_errors():
    frame = made(60)
    frame.loc[5, "city"] = "island"
    fit = fit_linear(frame, y="sales", x=["city", "price"])
    assert not fit.robust
    assert np.isfinite(fit.coefficients.se).all()
    assert any("Classical standard errors" in text for text in fit.warnings)


def test_a_column_that_contains_the_outcome_is_suspected():
    frame = made(200)
    fit = fit_linear(frame.assign(total=frame.sales * 1.19 + frame.noise * 0.01), y="sales", x=["total"])
    assert any("filled in after it" in text for text in fit.warnings)


@pytest.mark.parametrize(
    ("change", "x", "words"),
    [
        (lambda d: d, ["nothing"], "columns nothing"),
        (lambda d: d, [], "list of column names"),
        (lambda d: d, "price", "list of column names"),
        (lambda d: d, ["price", "sales"], "explain itself"),
        (lambda d: d.iloc[:0], ["price"], "at least one row"),
        (lambda d: d.head(1), ["price"], "at least 3 rows"),
        (lambda d: d.head(4), ["price", "visits", "noise"], "at least 5"),
        (lambda d: d.assign(price=np.inf), ["price"], "infinite"),
        (lambda d: d.assign(price=np.nan), ["price"], "at least 3 rows"),
        (lambda d: d.assign(price=5), ["price"], "never change"),
        (lambda d: d.assign(sales=5), ["price"], "outcome that changes"),
        (lambda d: d.assign(sales="much"), ["price"], "numbers"),
        (lambda d: d.assign(twice=d.price * 2 + 1), ["price", "twice"], "determine exactly"),
        (lambda d: d.assign(day=pd.Timestamp("2024-01-01")), ["day"], "as a number"),
        (lambda d: d.assign(name=[f"n{i}" for i in range(len(d))]), ["name"], "group the rare ones"),
    ],
)
def test_unfit_tables_are_refused_in_words(change, x, words):
    with pytest.raises(DataError, match=words):
        fit_linear(change(made(100)), y="sales", x=x)


def test_perfect_separation_is_named_and_not_fitted():
    frame = made(200).assign(closed=lambda d: d.won.astype(int) * 10)
    with pytest.raises(DataError, match="closed telling the outcomes apart"):
        fit_logistic(frame, y="won", x=["price", "closed"])
    rare = made(200).assign(flag=lambda d: np.where(d.index < 5, "yes", "no"))
    rare.loc[rare.index < 5, "won"] = True  # one level knows the outcome: quasi-separation
    with pytest.raises(DataError, match="flag = yes"):
        fit_logistic(rare, y="won", x=["price", "flag"])


def test_overlap_is_not_called_separation():
    frame = made(300)
    matrix = np.column_stack([np.ones(300), frame.price, frame.visits])
    assert separating(matrix, frame.won.to_numpy(float), ["intercept", "price", "visits"]) == []


@pytest.mark.parametrize(
    ("values", "words"),
    [(["a"] * 90, "exactly two"), (["a", "b", "c"] * 30, "exactly two"), ([0.5, 1, 2] * 30, "exactly two")],
)
def test_an_outcome_without_two_values_is_refused(values, words):
    with pytest.raises(DataError, match=words):
        fit_logistic(made(90).assign(y=values), y="y", x=["price"])


def test_the_positive_value_can_be_chosen():
    frame = made(400)
    yes, no = fit_logistic(frame, y="won", x=["visits"]), fit_logistic(frame, y="won", x=["visits"], positive=False)
    assert by_term(yes)["visits"] == pytest.approx(-by_term(no)["visits"])
    with pytest.raises(DataError, match="positive"):
        fit_logistic(frame, y="won", x=["visits"], positive="perhaps")


def test_the_small_newton_agrees_with_statsmodels(default):
    fit = fit_logistic(default, y="default", x=["balance"])
    z = (default.balance - default.balance.mean()) / default.balance.std(ddof=0)
    beta, covariance, settled = newton(np.column_stack([np.ones(len(z)), z]), (default.default == "Yes").to_numpy(float))
    assert settled
    assert beta[1] / default.balance.std(ddof=0) == pytest.approx(by_term(fit)["balance"], rel=1e-8)
    assert np.sqrt(covariance[1, 1]) / default.balance.std(ddof=0) == pytest.approx(by_term(fit, "se")["balance"], rel=1e-6)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (1234567.8, "1,234,568"), (0.000754, "0.000754"), (-2.5, "-2.5"), (1e-9, "1e-09"), (np.inf, "infinitely many")],
)
def test_numbers_read_as_people_write_them(value, text):
    assert number(value) == text
