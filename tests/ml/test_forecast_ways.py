"""Ways of foreseeing one sum, judged on past periods; the rest of a period from its days."""

import numpy as np
import pandas as pd
import pytest

from ml.errors import DataError
from ml.forecast_rest import rest_of_period
from ml.forecast_ways import BLEND, judge_ways


def past_of(**said):
    actual = [100.0, 110.0, 90.0, 120.0, 100.0]
    return pd.DataFrame(
        [(p, way, value, actual[p]) for way, values in said.items() for p, value in enumerate(values)],
        columns=["period", "way", "forecast", "actual"],
    )


def test_each_way_carries_its_own_past_error_and_a_range_from_it():
    past = past_of(a=[110, 105, 100, 120, 90], b=[150, 160, 130, 170, 160])
    found = judge_ways({"a": 105.0, "b": 160.0}, past, level=0.8, floor=60)
    rows = found.ways.set_index("way")
    assert rows.loc["a", "wape"] == pytest.approx(35 / 520) and rows.loc["a", "bias"] == pytest.approx(5 / 520)
    assert rows.loc["b", "wape"] == pytest.approx(250 / 520) == pytest.approx(rows.loc["b", "bias"])
    assert (rows.loc["a", "low"], rows.loc["a", "high"]) == (95, 115)  # the fifth of five errors: 80 % of (5 + 1) is 4.8
    assert rows.loc["b", "low"] == 100 and rows.loc["b", "n"] == 5
    assert any("B said too much nearly every time" in line for line in found.advice)
    assert "5 past periods, the blend was closest: off by 7%" in found.advice[0]


def test_the_blend_leans_to_the_better_way_and_is_judged_without_the_period_it_speaks_of():
    past = past_of(a=[110, 105, 100, 120, 90], b=[150, 160, 130, 170, 160])
    found = judge_ways({"a": 100.0, "b": 200.0}, past)
    weights = found.ways.set_index("way")["weight"]
    assert weights["a"] == pytest.approx((1 / 65) / (1 / 65 + 1 / 2540)) and weights[["a", "b"]].sum() == pytest.approx(1)
    blend = found.past[(found.past["way"] == BLEND) & (found.past["period"] == 0)].iloc[0]
    a, b = (25 + 100 + 0 + 100) / 4, (2500 + 1600 + 2500 + 3600) / 4
    assert blend["forecast"] == pytest.approx((110 / a + 150 / b) / (1 / a + 1 / b))


def test_no_range_lies_below_what_is_reached_and_a_short_record_gives_none():
    past = past_of(a=[10, 200, 10, 10, 200])
    assert judge_ways({"a": 100.0}, past, floor=80).ways.loc[0, "low"] == 80
    short = judge_ways({"a": 100.0}, past[past["period"] < 2])
    assert short.ways[["low", "high", "wape"]].isna().all(axis=None) and "opinions" in short.advice[0]
    empty = judge_ways({"a": 1.0}, past.iloc[:0])
    assert empty.ways["n"].tolist() == [0]


def test_five_periods_do_not_pretend_to_promise_more_than_they_can():
    found = judge_ways({"a": 100.0}, past_of(a=[110, 105, 100, 120, 90]), level=0.9)
    assert not found.supported and any("no more than a range of about 83%" in line for line in found.advice)


def test_broken_input_is_named():
    with pytest.raises(DataError):
        judge_ways({}, past_of(a=[1, 2, 3, 4, 5]))
    with pytest.raises(DataError, match="actual"):
        judge_ways({"a": 1.0}, past_of(a=[1, 2, 3, 4, 5]).drop(columns="actual"))


def test_the_rest_of_a_month_adds_the_days_that_are_left_and_says_what_it_would_have_said_before():
    days = pd.date_range("2025-01-01", "2025-06-20")
    y = np.where(days.day_of_week < 5, 100.0, 0.0)
    ends = [(pd.Timestamp(2025, m, 20), pd.Timestamp(2025, m, 1) + pd.offsets.MonthEnd(0)) for m in (2, 3, 4, 5)]
    found = rest_of_period(pd.DataFrame({"ds": days, "y": y}), end="2025-06-30", past=ends)
    assert found.estimate == pytest.approx(6 * 100, abs=1)  # Saturday the 21st to Monday the 30th: six working days
    assert len(found.past) == 4 and np.allclose(found.past["forecast"], found.past["actual"], atol=1)
    assert found.past["actual"].tolist() == [600, 700, 800, 800]


def test_nothing_is_left_of_a_period_that_is_over_and_past_ones_before_the_history_are_left_out():
    days = pd.date_range("2025-01-01", "2025-03-31")
    frame = pd.DataFrame({"ds": days, "y": np.arange(len(days)) % 7.0})
    found = rest_of_period(frame, end="2025-03-31", past=[("2024-11-10", "2024-11-30"), ("2025-02-10", "2025-02-28")])
    assert found.estimate == 0 and len(found.past) == 1
