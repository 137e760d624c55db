"""The door: what is cleaned, what is refused, and in which words."""

import datetime as dt
import decimal

import numpy as np
import pandas as pd
import pytest

from ml import contracts
from ml.contracts import CONVERSIONS, CUSTOMERS, ORDER_LINES, ORDERS, PATHS, SERIES, TOUCHPOINTS
from ml.errors import DataError


@pytest.fixture
def orders():
    return pd.DataFrame(
        {
            "order_id": [1, 2, 3],
            "customer_id": ["a", "b", "a"],
            "ordered_at": ["2024-01-01", "2024-01-02 10:30", "2024-02-01T00:00:00"],
            "revenue": [10, 20.5, 0],
        },
        index=[7, 7, 9],
    )


def test_a_sound_frame_comes_back_with_utc_instants_floats_and_a_fresh_index(orders):
    clean = ORDERS.check(orders)
    assert str(clean["ordered_at"].dtype) == "datetime64[us, UTC]"
    assert clean["revenue"].dtype == float
    assert list(clean.index) == [0, 1, 2]
    assert clean["ordered_at"][1] == pd.Timestamp("2024-01-02 10:30", tz="UTC")


def test_the_frame_that_was_given_stays_as_it_was(orders):
    before = orders.copy(deep=True)
    ORDERS.check(orders)
    pd.testing.assert_frame_equal(orders, before)


def test_columns_beyond_the_contract_are_kept(orders):
    assert list(ORDERS.check(orders.assign(note="x"))["note"]) == ["x"] * 3


def test_an_empty_frame_is_refused(orders):
    with pytest.raises(DataError, match="at least one row of orders, found none"):
        ORDERS.check(orders.iloc[:0])


def test_something_that_is_no_table_is_refused():
    with pytest.raises(DataError, match="found a list"):
        ORDERS.check([1, 2])


def test_a_missing_column_is_named_and_so_are_those_found(orders):
    with pytest.raises(DataError, match=r"revenue.*found only order_id, customer_id, ordered_at"):
        ORDERS.check(orders.drop(columns="revenue"))


def test_a_doubled_column_is_refused(orders):
    with pytest.raises(DataError, match="revenue more than once"):
        ORDERS.check(pd.concat([orders, orders[["revenue"]]], axis=1))


def test_a_repeated_order_id_is_refused_with_an_example(orders):
    with pytest.raises(DataError, match=r"each order_id once in orders, found 1 repeated \(for example 2\)"):
        ORDERS.check(orders.assign(order_id=[2, 2, 3]))


@pytest.mark.parametrize("value", [np.nan, None, pd.NA])
def test_a_missing_number_is_refused(orders, value):
    with pytest.raises(DataError, match=r"ORDERS\.revenue, found 1 missing value"):
        ORDERS.check(orders.assign(revenue=pd.Series([1.0, value, 2.0], dtype=object).to_numpy()))


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_an_infinite_number_is_refused(orders, value):
    with pytest.raises(DataError, match="finite numbers"):
        ORDERS.check(orders.assign(revenue=[1.0, value, 2.0]))


def test_negative_revenue_is_refused_unless_the_caller_can_use_it(orders):
    frame = orders.assign(revenue=[1.0, -5.0, 2.0])
    with pytest.raises(DataError, match=r"revenue of at least 0.*found 1 below 0 \(lowest -5\)"):
        ORDERS.check(frame)
    assert ORDERS.check(frame, allow_negative=True)["revenue"].min() == -5


def test_text_that_is_no_number_is_shown(orders):
    with pytest.raises(DataError, match=r"'cheap' in ORDERS\.revenue"):
        ORDERS.check(orders.assign(revenue=["1", "cheap", "2"]))


def test_numbers_written_as_text_or_decimals_are_read(orders):
    values = ["1.5", decimal.Decimal("2.25"), 3]
    assert list(ORDERS.check(orders.assign(revenue=values))["revenue"]) == [1.5, 2.25, 3.0]


def test_a_missing_customer_is_refused(orders):
    with pytest.raises(DataError, match=r"ORDERS\.customer_id, found 1 missing"):
        ORDERS.check(orders.assign(customer_id=["a", None, "b"]))


def test_ids_of_mixed_types_become_text_so_that_they_sort(orders):
    ids = pd.Series([7, "7b", 8], dtype=object).to_numpy()
    assert list(ORDERS.check(orders.assign(customer_id=ids))["customer_id"]) == ["7", "7b", "8"]


class TestInstants:
    def read(self, *values):
        return contracts.instants(pd.Series(list(values)), "at")

    def test_a_bare_value_is_read_as_utc(self):
        assert self.read("2024-03-31 02:30")[0] == pd.Timestamp("2024-03-31 02:30", tz="UTC")

    def test_offsets_are_converted_even_when_they_differ(self):
        got = self.read("2024-01-05T10:00Z", "2024-01-05T10:00:00+02:00", "2024-01-05 10:00:00.5-05:00")
        assert list(got.dt.strftime("%H:%M:%S.%f")) == ["10:00:00.000000", "08:00:00.000000", "15:00:00.500000"]

    def test_zoned_columns_are_converted(self):
        berlin = pd.Series(pd.to_datetime(["2024-07-01 12:00"])).dt.tz_localize("Europe/Berlin")
        assert contracts.instants(berlin, "at")[0] == pd.Timestamp("2024-07-01 10:00", tz="UTC")

    @pytest.mark.parametrize(
        "values",
        [
            ("2024-01-05T10:00Z", "2024-01-05T10:00"),
            (pd.Timestamp("2024-01-01"), pd.Timestamp("2024-01-01", tz="Europe/Berlin")),
            (dt.datetime(2024, 1, 1), dt.datetime(2024, 1, 1, tzinfo=dt.UTC)),
        ],
    )
    def test_bare_and_zoned_values_together_are_refused(self, values):
        with pytest.raises(DataError, match="with a time zone and some without"):
            contracts.instants(pd.Series(list(values), dtype=object), "at")

    def test_day_first_text_is_refused_since_it_would_be_read_two_ways(self):
        with pytest.raises(DataError, match=r"year first.*found '01-03-17' in at"):
            self.read("01-03-17", "13-03-17")

    def test_a_day_that_does_not_exist_is_refused(self):
        with pytest.raises(DataError, match="does not exist"):
            self.read("2024-02-30")

    def test_bare_numbers_are_no_dates(self):
        with pytest.raises(DataError, match="bare numbers"):
            self.read(1704067200, 1704067201)

    def test_python_dates_are_read(self):
        assert self.read(dt.date(2024, 1, 2))[0] == pd.Timestamp("2024-01-02", tz="UTC")

    @pytest.mark.parametrize("value", ["not a date", None, pd.NaT, float("nan")])
    def test_one_moment_that_is_none_is_refused(self, value):
        with pytest.raises(DataError, match="a date or a moment for as_of"):
            contracts.instant(value)


def test_a_table_where_one_column_is_meant_is_refused():
    with pytest.raises(DataError, match="one column of numbers for y, found a table of 2 columns"):
        contracts.finite(pd.DataFrame({"a": [1], "b": [2]}), "y")


class TestKnownBy:
    def test_the_moment_itself_is_included_and_the_future_is_not(self, orders):
        clean = ORDERS.check(orders)
        assert list(contracts.known_by(clean, "ordered_at", "2024-01-02 10:30")["order_id"]) == [1, 2]

    def test_a_date_before_everything_says_when_the_first_one_was(self, orders):
        with pytest.raises(DataError, match="on or before 2020-01-01, found the first one at 2024-01-01"):
            contracts.known_by(ORDERS.check(orders), "ordered_at", "2020-01-01")


class TestOtherContracts:
    def test_order_lines_may_repeat_a_product_and_hold_returns(self):
        lines = pd.DataFrame({"order_id": [1, 1], "product_id": ["p", "p"], "quantity": [1, -1], "revenue": [5, -5]})
        assert len(ORDER_LINES.check(lines)) == 2

    def test_an_optional_column_can_be_required_by_the_caller(self):
        lines = pd.DataFrame({"order_id": [1], "product_id": ["p"], "quantity": [1], "revenue": [5]})
        with pytest.raises(DataError, match="the columns ordered_at"):
            ORDER_LINES.check(lines, require=("ordered_at",))

    def test_equal_journeys_are_one_row_and_text_is_understood(self):
        paths = pd.DataFrame(
            {"path": ["a > b", ("a", "b"), ["b"]], "conversions": [1, 2, 3], "value": [1.0, 2, 3], "nulls": [4, 5, 6]}
        )
        clean = PATHS.check(paths)
        assert clean.to_dict("records") == [
            {"path": ("a", "b"), "conversions": 3.0, "value": 3.0, "nulls": 9.0},
            {"path": ("b",), "conversions": 3.0, "value": 3.0, "nulls": 6.0},
        ]

    @pytest.mark.parametrize("path", [(), 7, ("a", ""), ("a", None)])
    def test_a_path_without_channels_is_refused(self, path):
        paths = pd.DataFrame({"path": [path], "conversions": [1], "value": [1.0], "nulls": [0]})
        with pytest.raises(DataError, match="at least one channel name"):
            PATHS.check(paths)

    def test_a_series_carries_calendar_stamps_without_a_zone(self):
        stamps = pd.to_datetime(["2024-01-01", "2024-01-02"]).tz_localize("UTC")
        clean = SERIES.check(pd.DataFrame({"ds": stamps, "y": [1, -2]}))
        assert clean["ds"].dt.tz is None
        assert clean["y"].min() == -2

    def test_a_series_may_hold_a_day_once_per_id(self):
        frame = pd.DataFrame({"ds": ["2024-01-01"] * 2, "y": [1, 2]})
        with pytest.raises(DataError, match="ds once in series"):
            SERIES.check(frame)
        assert len(SERIES.check(frame.assign(unique_id=["a", "b"]))) == 2

    def test_customers_need_an_id_only_and_each_once(self):
        assert list(CUSTOMERS.check(pd.DataFrame({"customer_id": [1, 2], "vip": [None, True]})).columns) == [
            "customer_id",
            "vip",
        ]
        with pytest.raises(DataError, match="each customer_id once"):
            CUSTOMERS.check(pd.DataFrame({"customer_id": [1, 1]}))

    def test_touches_and_conversions_are_checked(self):
        touches = pd.DataFrame({"customer_id": ["a"], "at": ["2024-01-01"], "channel": ["mail"], "cost": [-1]})
        with pytest.raises(DataError, match="cost of at least 0"):
            TOUCHPOINTS.check(touches)
        with pytest.raises(DataError, match="value of at least 0"):
            CONVERSIONS.check(pd.DataFrame({"customer_id": ["a"], "at": ["2024-01-01"], "value": [-1]}))

    def test_each_contract_explains_its_columns(self):
        for name, contract in contracts.ALL.items():
            assert contract.name == name
            for column in contract.columns:
                assert column.name in contract.help
                assert column.meaning in contract.help
        assert "UTC" in ORDERS.help
        assert "optional" in TOUCHPOINTS.help
