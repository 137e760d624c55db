"""Forecasts: what is chosen, what is said, what is promised by the intervals, what is refused."""

import itertools
import logging

import numpy as np
import pandas as pd
import pytest

from ml.errors import DataError
from ml.forecast import METHODS, forecast, forecast_many, reconcile
from ml.forecast_backtest import factor
from ml.synthetic import company, white_noise

QUICK = ("ets", "theta", "seasonal_naive")


@pytest.fixture(scope="module")
def sales():
    return company("small", seed=2).sales


@pytest.fixture(scope="module")
def result(sales):
    return forecast(sales, horizon=28, methods=QUICK)


def monthly(n, start="2018-01-01", seed=0, noise=2.0):
    t = np.arange(n)
    y = 100 + t + 20 * np.sin(2 * np.pi * t / 12) + np.random.default_rng(seed).normal(0, noise, n)
    return pd.DataFrame({"ds": pd.date_range(start, periods=n, freq="MS"), "y": y})


def daily(n, weekday=(1.0, 1.0, 1.0, 1.0, 1.2, 1.5, 0.6), start="2023-01-02", seed=0):
    ds = pd.date_range(start, periods=n, freq="D")
    y = 100 * np.array(weekday)[ds.day_of_week] * np.exp(np.random.default_rng(seed).normal(0, 0.05, n))
    return pd.DataFrame({"ds": ds, "y": y})


def test_the_planted_sales_are_foreseen(sales):
    """Known truth: trend, week and year; only the noise of 6% cannot be known."""
    shown = forecast(sales, horizon=60, methods=QUICK, as_of="2024-11-01")
    later = sales[(sales["ds"] > "2024-11-01")].head(60)
    error = np.abs(later["y"].to_numpy() - shown.forecast["yhat"].to_numpy()).sum() / later["y"].sum()
    assert shown.has_pattern and shown.skill > 0.6
    assert error < 0.09
    inside = (later["y"].to_numpy() >= shown.forecast["low"]) & (later["y"].to_numpy() <= shown.forecast["high"])
    assert 0.6 <= inside.mean() <= 0.95


@pytest.mark.parametrize("seed", range(6))
def test_white_noise_has_no_pattern_and_gets_the_mean(seed):
    noise = white_noise(seed=seed)
    result = forecast(noise, horizon=30, methods=QUICK)
    assert not result.has_pattern and result.chosen == "mean"
    assert result.advice[0].startswith("No pattern found")
    assert np.allclose(result.forecast["yhat"], noise["y"].mean())


def test_the_frame_covers_the_next_periods(result, sales):
    expected = pd.date_range(sales["ds"].max(), periods=29, freq="D")[1:]
    assert (result.forecast["ds"].to_numpy() == expected.to_numpy()).all()
    assert (result.forecast["low"] <= result.forecast["yhat"]).all()
    assert (result.forecast["yhat"] <= result.forecast["high"]).all()
    assert not result.forecast.isna().any().any()


def test_the_backtest_has_a_row_per_method_and_origin(result):
    assert set(result.backtest["method"]) == {"mean", *QUICK}
    assert (result.backtest.groupby("method")["origin"].nunique() == 6).all()
    assert list(result.backtest.columns) == ["method", "origin", "mase", "wape", "coverage", "coverage_calibrated", "n"]
    assert not result.backtest.isna().any().any()
    assert result.accuracy["method"].iloc[0] == result.chosen
    assert result.accuracy["mase"].is_monotonic_increasing


def test_mase_and_wape_are_what_their_definitions_say(result, sales):
    row = result.backtest[result.backtest["method"] == "ets"].iloc[0]
    trial = result.rehearsals.query("method == 'ets' and origin == @row.origin")
    seen = sales[sales["ds"] <= row["origin"]]["y"].to_numpy()
    error = np.abs(trial["y"] - trial["yhat"])
    assert row["mase"] == pytest.approx(error.mean() / np.abs(seen[7:] - seen[:-7]).mean())
    assert row["wape"] == pytest.approx(error.sum() / trial["y"].sum())


@pytest.mark.parametrize("method", QUICK)
def test_rehearsals_see_nothing_of_their_future(sales, method):
    """Changing what comes after an origin leaves its path as it was."""
    plain = forecast(sales, horizon=14, methods=(method,), origins=["2024-06-30"])
    after = sales["ds"] > "2024-06-30"
    other = forecast(
        sales.assign(y=sales["y"].where(~after, sales["y"] * 3)), horizon=14, methods=(method,), origins=["2024-06-30"]
    )
    a, b = (r.rehearsals[r.rehearsals["method"] == method] for r in (plain, other))
    assert np.allclose(a["yhat"], b["yhat"]) and np.allclose(a["spread"], b["spread"])


def test_the_as_of_date_hides_the_future(sales):
    cut = forecast(sales[sales["ds"] <= "2024-06-30"], horizon=7, methods=QUICK)
    hidden = forecast(sales, horizon=7, methods=QUICK, as_of="2024-06-30")
    pd.testing.assert_frame_equal(cut.forecast, hidden.forecast)
    pd.testing.assert_frame_equal(cut.backtest, hidden.backtest)


def test_row_order_changes_nothing_and_the_same_seed_gives_the_same_result(sales, result):
    again = forecast(sales.sample(frac=1, random_state=1), horizon=28, methods=QUICK)
    pd.testing.assert_frame_equal(again.forecast, result.forecast)


def test_intervals_nest(sales):
    widths = [forecast(sales, horizon=14, methods=("theta",), level=level).forecast for level in (0.5, 0.8, 0.95)]
    for inner, outer in itertools.pairwise(widths):
        assert (outer["low"] <= inner["low"]).all() and (inner["high"] <= outer["high"]).all()


def test_the_conformal_factor_is_a_quantile_that_knows_when_the_data_end():
    scores = np.arange(1.0, 10.0)
    assert factor(scores, 0.5) == (5.0, True)
    assert factor(scores, 0.9) == (9.0, True)
    assert factor(scores, 0.95) == (9.0, False)


def test_calibrated_intervals_hold_what_they_promise_on_average():
    """Theta's own 80% intervals on trending months are far off; the calibrated ones are not."""
    covered = []
    for seed in range(8):
        full = monthly(108, seed=seed, noise=6)
        made = forecast(full.head(96), horizon=12, methods=QUICK)
        y = full["y"].tail(12).to_numpy()
        covered.append(((y >= made.forecast["low"]) & (y <= made.forecast["high"])).mean())
    assert 0.65 <= np.mean(covered) <= 0.95


def test_a_forced_method_states_its_cost(sales):
    result = forecast(sales, horizon=28, methods=QUICK, choose="seasonal_naive")
    assert result.chosen == "seasonal_naive" and result.forced
    assert any("The cost: errors" in sentence for sentence in result.advice)


def test_below_two_seasons_the_forecast_degrades_and_says_so():
    result = forecast(monthly(18), horizon=6)
    assert set(result.backtest["method"]) == {"mean", "theta", "ets"}
    assert any("less than two seasons" in sentence for sentence in result.advice)
    assert (result.forecast["high"] > result.forecast["low"]).all()


def test_a_method_that_needs_two_seasons_is_refused_without_them():
    with pytest.raises(DataError, match="two seasons"):
        forecast(monthly(18), horizon=6, methods=("prophet",))
    with pytest.raises(DataError, match="two full seasons"):
        forecast(monthly(18), horizon=6, methods=QUICK, choose="seasonal_naive")


def test_exactly_two_seasons_are_rehearsed_over_a_shorter_horizon():
    result = forecast(monthly(24), horizon=12, methods=QUICK)
    assert any("rehearsal of only" in sentence for sentence in result.advice)
    assert len(result.forecast) == 12


def test_nothing_is_forecast_below_the_floor():
    falling = pd.DataFrame({"ds": pd.date_range("2020-01-01", periods=40, freq="MS"), "y": np.linspace(100, 1, 40)})
    result = forecast(falling, horizon=12, methods=("ets", "theta"))
    assert (result.forecast[["yhat", "low", "high"]] >= 0).all().all()
    free = forecast(falling.assign(y=falling["y"] - 50), horizon=12, methods=("ets", "theta"), floor=None)
    assert free.forecast["yhat"].min() < -50


def test_closed_days_are_found_and_forecast_as_zero():
    open_days = daily(400, weekday=(1, 1, 1, 1, 1.2, 1.5, 0))
    for shop in (open_days, open_days[open_days["y"] > 0]):
        result = forecast(shop, horizon=21, methods=QUICK)
        sunday = result.forecast["ds"].dt.day_of_week == 6
        assert sunday.sum() == 3
        assert (result.forecast.loc[sunday, ["yhat", "low", "high"]] == 0).all().all()
        assert (result.forecast.loc[~sunday, "yhat"] > 50).all()
        assert any("Closed on Sundays" in sentence for sentence in result.advice)


def test_a_forecast_of_closed_days_only_is_zero():
    shop = daily(400, weekday=(1, 1, 1, 1, 1.2, 1.5, 0))
    shop = shop[shop["ds"] <= "2023-12-30"]  # a Saturday
    result = forecast(shop, horizon=1, methods=QUICK)
    assert result.forecast["yhat"].tolist() == [0.0]


def test_missing_periods_are_estimated_and_counted():
    gappy = daily(200).drop(index=[50, 51, 120])
    result = forecast(gappy, horizon=7, methods=QUICK)
    assert any(sentence.startswith("3 periods have no row and were") for sentence in result.advice)
    whole = forecast(daily(200), horizon=7, methods=QUICK)
    assert np.allclose(result.forecast["yhat"], whole.forecast["yhat"], rtol=0.05)


@pytest.mark.parametrize(
    ("freq", "season"), [("h", 24), ("D", 7), ("B", 5), ("W-MON", 52), ("MS", 12), ("ME", 12), ("QS", 4), ("YS", 1)]
)
def test_frequencies_are_read_off_the_stamps(freq, season):
    n = 120 if season == 52 else 72
    ds = pd.date_range("2015-01-05" if freq != "ME" else "2015-01-31", periods=n, freq=freq)
    y = 50 + 10 * np.sin(2 * np.pi * np.arange(n) / max(season, 2)) + np.random.default_rng(0).normal(0, 1, n)
    result = forecast(pd.DataFrame({"ds": ds, "y": y}), horizon=3, methods=QUICK)
    assert result.season == season
    expected = pd.date_range(ds[-1], periods=4, freq=freq)[1:]
    assert (result.forecast["ds"].to_numpy() == expected.to_numpy()).all()


def test_all_equal_values_are_repeated_without_a_promise():
    flat = pd.DataFrame({"ds": pd.date_range("2023-01-01", periods=60, freq="D"), "y": 5.0})
    result = forecast(flat, horizon=7, methods=QUICK)
    assert (result.forecast["yhat"] == 5).all()
    assert "no promise" in result.advice[0]
    assert not result.backtest.isna().any().any()


def test_zeros_throughout_are_no_division_by_zero():
    none = pd.DataFrame({"ds": pd.date_range("2023-01-01", periods=60, freq="MS"), "y": 0.0})
    result = forecast(none, horizon=7, methods=QUICK)
    assert (result.forecast[["yhat", "low", "high"]] == 0).all().all()
    assert (result.backtest["wape"] == 0).all()


def test_a_last_period_that_was_not_over_is_noticed():
    short = monthly(48)
    short.loc[47, "y"] = 12.0
    assert any("not over yet" in sentence for sentence in forecast(short, horizon=3, methods=QUICK).advice)


def test_too_high_a_level_for_the_data_is_said():
    result = forecast(monthly(30), horizon=2, methods=("theta",), level=0.99, origins=2)
    assert any("too few rehearsed periods" in sentence for sentence in result.advice)


def test_several_series_are_forecast_one_by_one():
    both = pd.concat([monthly(40).assign(unique_id="a"), monthly(40, seed=4).assign(unique_id="b")])
    results = forecast_many(both, horizon=3, methods=QUICK)
    assert set(results) == {"a", "b"}
    with pytest.raises(DataError, match="forecast_many"):
        forecast(both, horizon=3)
    with pytest.raises(DataError, match="series b"):
        forecast_many(pd.concat([both[both["unique_id"] == "a"], both.tail(3)]), horizon=3, methods=QUICK)


def test_progress_is_reported_before_each_method(sales):
    seen = []
    forecast(sales, horizon=7, methods=("theta",), progress=lambda *step: seen.append(step))
    assert seen == [(0, 2, "The flat mean"), (1, 2, "Theta")]


@pytest.mark.parametrize(
    ("series", "words"),
    [
        (monthly(0), "at least one row"),
        (monthly(1), "at least 8"),
        (monthly(7), "at least 8"),
        (monthly(30).assign(y=[np.nan, *[1.0] * 29]), "missing"),
        (monthly(30).assign(y=[np.inf, *[1.0] * 29]), "infinite"),
        (monthly(30).assign(y=[-1.0, *[1.0] * 29]), "floor=None"),
        (monthly(30).assign(y=[1e200, *[1.0] * 29]), "values below"),
        (monthly(30).drop(columns="y"), "columns y"),
        (pd.concat([monthly(30), monthly(1)]), "repeated"),
        (monthly(30).assign(ds=pd.to_datetime("2024-01-01") + pd.to_timedelta(np.arange(30) ** 2, unit="D")), "."),
    ],
)
def test_series_that_carry_no_forecast_are_refused(series, words):
    with pytest.raises(DataError, match=words):
        forecast(series, horizon=3)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"horizon": 0}, "horizon of at least 1"),
        ({"horizon": 2.5}, "whole period"),
        ({"horizon": 3, "level": 1.0}, "between 0 and 1"),
        ({"horizon": 3, "methods": ("arima",)}, "methods among"),
        ({"horizon": 3, "methods": ()}, "methods among"),
        ({"horizon": 3, "choose": "arima"}, "choose as best"),
        ({"horizon": 3, "origins": 0}, "at least 1 origin"),
        ({"horizon": 3, "origins": ["2030-01-01"]}, "origins with"),
        ({"horizon": 3, "origins": ["soon"]}, "as dates"),
        ({"horizon": 3, "freq": "fortnight"}, "pandas frequency"),
        ({"horizon": 3, "as_of": "1990-01-01"}, "at least 8"),
    ],
)
def test_questions_without_sense_are_refused(options, words):
    with pytest.raises(DataError, match=words):
        forecast(monthly(40), **({"methods": QUICK} | options))


def test_mixed_time_zones_are_refused():
    stamps = [*pd.date_range("2024-01-01", periods=20, freq="D"), pd.Timestamp("2024-01-21", tz="UTC")]
    frame = pd.DataFrame({"ds": pd.Series(stamps, dtype=object), "y": range(21)})
    with pytest.raises(DataError, match="time zone"):
        forecast(frame, horizon=3)


def test_prophet_is_silent_reproducible_and_leaves_numpys_seed_alone(sales, capfd, caplog):
    np.random.seed(7)
    before = np.random.get_state()[1].copy()
    with caplog.at_level(logging.DEBUG):
        first = forecast(sales.tail(400), horizon=14, methods=("prophet",), choose="prophet", origins=2, seed=3)
    second = forecast(sales.tail(400), horizon=14, methods=("prophet",), choose="prophet", origins=2, seed=3)
    pd.testing.assert_frame_equal(first.forecast, second.forecast)
    assert (np.random.get_state()[1] == before).all()
    assert capfd.readouterr() == ("", "")
    assert not [r for r in caplog.records if r.name.startswith(("cmdstanpy", "prophet"))]
    assert not logging.getLogger("cmdstanpy").disabled


def test_holidays_are_used_only_if_the_backtest_improves():
    """Sales collapse on a moving special day: Prophet needs to be told; telling it nonsense must not help."""
    series = daily(500)
    special = pd.DatetimeIndex(series["ds"][::23])
    series.loc[series["ds"].isin(special), "y"] *= 0.2
    ahead = special.append(pd.date_range(special[-1], periods=4, freq="23D")[1:])
    told = pd.DataFrame({"ds": ahead, "holiday": "market day"})
    helped = forecast(series, horizon=28, methods=("prophet",), holidays=told, choose="prophet", origins=3)
    assert helped.chosen == "prophet+holidays"
    assert any("Holidays improved" in sentence for sentence in helped.advice)
    nonsense = told.assign(ds=told["ds"] + pd.Timedelta(days=3))
    ignored = forecast(series, horizon=28, methods=("prophet",), holidays=nonsense, choose="prophet", origins=3)
    table = ignored.accuracy.set_index("method")["mase"]
    expected = "prophet+holidays" if table["prophet+holidays"] < table["prophet"] else "prophet"
    assert ignored.chosen == expected
    assert table["prophet"] - table["prophet+holidays"] < 0.02


@pytest.mark.parametrize(
    ("holidays", "words"),
    [
        ("XX", "country code"),
        (pd.DataFrame({"day": [1]}), "ds and no holiday"),
        (pd.DataFrame({"ds": ["soon"], "holiday": ["x"]}), "dates in the column ds"),
        (pd.DataFrame({"ds": [None], "holiday": ["x"]}), "a date and a name"),
    ],
)
def test_holidays_that_make_no_sense_are_refused(holidays, words):
    with pytest.raises(DataError, match=words):
        forecast(daily(60), horizon=3, methods=("prophet",), holidays=holidays)


def test_all_methods_are_tried_by_default():
    result = forecast(monthly(60), horizon=6, origins=2)
    assert set(result.backtest["method"]) == {"mean", *METHODS}


def test_parts_without_a_total_are_summed():
    parts = {name: forecast(monthly(40, seed=k), horizon=4, methods=("theta",)) for k, name in enumerate("ab")}
    table = reconcile(parts)
    total = table[table["unique_id"] == "total"]
    by_hand = sum(part.forecast["yhat"].to_numpy() for part in parts.values())
    assert np.allclose(total["yhat"], by_hand)


def limits(yhat, half):
    ds = pd.date_range("2024-01-01", periods=len(yhat), freq="MS")
    yhat = np.asarray(yhat, float)
    return pd.DataFrame({"ds": ds, "yhat": yhat, "low": yhat - half, "high": yhat + half})


def test_the_gap_is_shared_out_by_how_uncertain_each_side_is():
    """Variances 1, 4 and 4 (total): of a gap of 9 the parts take 1 and 4, the total gives 4."""
    table = reconcile({"a": limits([10, 20], 1.0), "b": limits([30, 20], 2.0)}, total=limits([49, 49], 2.0))
    got = table.pivot(index="unique_id", columns="ds", values="yhat")
    assert np.allclose(got.loc["a"], [11, 21]) and np.allclose(got.loc["b"], [34, 24])
    assert np.allclose(got.loc["total"], [45, 45])


def test_reconciled_parts_add_up_even_at_the_floor():
    table = reconcile({"a": limits([1, 5], 4.0), "b": limits([30, 5], 0.5)}, total=limits([10, 2], 0.1))
    wide = table.pivot(index="ds", columns="unique_id", values="yhat")
    assert (wide[["a", "b"]] >= 0).all().all()
    assert np.allclose(wide["a"] + wide["b"], wide["total"])


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({}, "parts by name"),
        ({"total": limits([1], 1)}, "a part called total"),
        ({"a": limits([1], 1), "b": limits([1, 2], 1)}, "same periods"),
        ({"a": limits([1], 1).drop(columns="low")}, "no low"),
        ({"a": limits([np.nan], 1)}, "missing values"),
    ],
)
def test_parts_that_cannot_add_up_are_refused(parts, words):
    with pytest.raises(DataError, match=words):
        reconcile(parts)
