"""RFM: a hand-made table, the eleven names, ties, and what is refused."""

import numpy as np
import pandas as pd
import pytest

from ml import synthetic
from ml.errors import DataError
from ml.rfm import rfm_migration, rfm_rules, rfm_scores, rfm_segments, rfm_summary, rfm_table
from ml.rules import matches

AS_OF = "2024-03-01"


def orders_of(*rows):
    frame = pd.DataFrame(rows, columns=["customer_id", "ordered_at", "revenue"])
    return frame.assign(order_id=range(len(frame)))


@pytest.fixture(scope="module")
def company():
    return synthetic.company("small", 1)


def test_a_hand_made_table():
    table = rfm_table(orders_of(("b", "2024-02-29", 5), ("a", "2024-01-31T12:00", 10), ("a", "2024-01-01", 20.5)), as_of=AS_OF)
    assert table[["customer_id", "recency_days", "frequency", "monetary", "average_order"]].to_numpy().tolist() == [
        ["a", 29, 2, 30.5, 15.25],
        ["b", 1, 1, 5.0, 5.0],
    ]
    assert list(table["rfm"]) == ["244", "422"]


def test_five_customers_get_the_five_scores():
    rows = [(f"c{i}", f"2024-02-{10 + i}", 10.0 * i) for i in range(1, 6)]
    table = rfm_table(orders_of(*rows), as_of=AS_OF)
    assert list(table["r_score"]) == [1, 2, 3, 4, 5]
    assert list(table["m_score"]) == [1, 2, 3, 4, 5]
    assert set(table["f_score"]) == {3}  # all equal: the middle


def test_equal_customers_get_equal_scores_wherever_their_rows_stand(company):
    table = rfm_table(company.orders, as_of=synthetic.END)
    for value, score in (("recency_days", "r_score"), ("frequency", "f_score"), ("monetary", "m_score")):
        assert (table.groupby(value)[score].nunique() == 1).all()


def test_sums_that_differ_in_their_last_bits_are_equal_spenders():
    rows = [("a", "2024-02-01", v) for v in (0.1, 0.2, 0.3)] + [("b", "2024-02-01", v) for v in (0.3, 0.2, 0.1)]
    assert 0.1 + 0.2 + 0.3 != 0.3 + 0.2 + 0.1
    assert rfm_table(orders_of(*rows), as_of=AS_OF)["m_score"].nunique() == 1


def test_row_order_changes_nothing(company):
    shuffled = company.orders.sample(frac=1, random_state=3)
    one, other = (rfm_table(orders, as_of=synthetic.END) for orders in (company.orders, shuffled))
    pd.testing.assert_frame_equal(one, other)


def test_the_as_of_date_hides_the_future(company):
    past = company.orders[company.orders["ordered_at"] <= "2024-01-01"]
    pd.testing.assert_frame_equal(
        rfm_table(company.orders, as_of="2024-01-01"), rfm_table(past, as_of="2024-01-01"), check_exact=True
    )


def test_a_date_before_the_first_order_is_refused(company):
    with pytest.raises(DataError, match="on or before 2019-01-01"):
        rfm_table(company.orders, as_of="2019-01-01")


def test_totals_add_up(company):
    table = rfm_table(company.orders, as_of=synthetic.END)
    assert table["frequency"].sum() == len(company.orders)
    assert table["monetary"].sum() == pytest.approx(company.orders["revenue"].sum())


def test_more_recent_frequent_and_dear_never_scores_lower(company):
    table = rfm_table(company.orders, as_of=synthetic.END, bins=7)
    for value, score, sign in (("recency_days", "r_score", -1), ("frequency", "f_score", 1), ("monetary", "m_score", 1)):
        ordered = table.assign(key=sign * table[value]).sort_values("key")[score]
        assert ordered.is_monotonic_increasing
        assert set(ordered) <= set(range(1, 8))


@pytest.mark.parametrize("bins", [1, 11, 0])
def test_bins_out_of_range_are_refused(company, bins):
    with pytest.raises(DataError, match="2 to 10 bins"):
        rfm_table(company.orders, as_of=synthetic.END, bins=bins)


class TestTotalsFromTheDatabase:
    def test_sums_made_elsewhere_give_the_same_table(self, company):
        seen = company.orders[company.orders["ordered_at"] <= "2024-06-01"]
        totals = seen.groupby("customer_id", as_index=False).agg(
            first_at=("ordered_at", "min"),
            last_at=("ordered_at", "max"),
            frequency=("order_id", "size"),
            monetary=("revenue", "sum"),
        )
        shuffled = totals.sample(frac=1, random_state=1)
        pd.testing.assert_frame_equal(rfm_scores(shuffled, as_of="2024-06-01"), rfm_table(company.orders, as_of="2024-06-01"))

    def test_totals_that_know_the_future_are_refused(self):
        totals = pd.DataFrame(
            {"customer_id": ["a"], "first_at": ["2024-01-01"], "last_at": ["2024-02-01"], "frequency": [2], "monetary": [5]}
        )
        with pytest.raises(DataError, match="totals of orders up to 2024-01-15"):
            rfm_scores(totals, as_of="2024-01-15")
        with pytest.raises(DataError, match="frequency of at least 1"):
            rfm_scores(totals.assign(frequency=0), as_of=AS_OF)


class TestBadInput:
    def test_empty(self):
        with pytest.raises(DataError, match="at least one row"):
            rfm_table(orders_of(), as_of=AS_OF)

    def test_one_row_gives_a_row_and_a_warning(self):
        table = rfm_table(orders_of(("a", "2024-02-01", 5)), as_of=AS_OF)
        assert len(table) == 1
        assert "Only 1 customers" in table.attrs["warnings"][0]
        assert rfm_segments(table)["segment"].notna().all()

    def test_all_equal_is_warned_about(self):
        table = rfm_table(orders_of(*[(f"c{i}", "2024-02-01", 5) for i in range(40)]), as_of=AS_OF)
        assert sum("equal in" in warning for warning in table.attrs["warnings"]) == 3

    @pytest.mark.parametrize("revenue", [np.nan, np.inf, -5.0])
    def test_broken_revenue(self, revenue):
        with pytest.raises(DataError):
            rfm_table(orders_of(("a", "2024-02-01", revenue)), as_of=AS_OF)

    def test_a_doubled_order(self):
        with pytest.raises(DataError, match="each order_id once"):
            rfm_table(orders_of(("a", "2024-02-01", 1), ("b", "2024-02-01", 1)).assign(order_id=1), as_of=AS_OF)

    def test_mixed_time_zones(self):
        with pytest.raises(DataError, match="with a time zone and some without"):
            rfm_table(orders_of(("a", "2024-02-01T10:00Z", 1), ("b", "2024-02-01", 1)), as_of=AS_OF)

    def test_mostly_one_time_buyers_are_warned_about(self):
        rows = [(f"c{i}", "2024-02-01", i) for i in range(40)] + [("c1", "2024-02-02", 3)]
        warnings = rfm_table(orders_of(*rows), as_of=AS_OF).attrs["warnings"]
        assert any("bought once" in warning for warning in warnings)


class TestSegments:
    def test_eleven_names_share_the_grid_without_overlap_or_hole(self):
        rules = rfm_rules()
        assert len(rules) == 11
        cells = [cell for row in rules["cells"] for cell in row]
        assert sorted(cells) == [(r, fm) for r in range(1, 6) for fm in range(1, 6)]

    def test_the_corners_carry_the_usual_names(self):
        table = pd.DataFrame({"r_score": [5, 5, 1, 1], "fm_score": [5, 1, 5, 1]})
        assert list(rfm_segments(table)["segment"]) == ["Champions", "New customers", "Can't lose them", "Lost"]

    def test_each_rule_finds_exactly_its_segment(self, company):
        table = rfm_segments(rfm_table(company.orders, as_of=synthetic.END))
        for row in rfm_rules().to_dict("records"):
            assert (matches(row["rule"], table) == (table["segment"] == row["segment"])).all()

    def test_tenths_are_stretched_to_fifths(self, company):
        tenths = rfm_segments(rfm_table(company.orders, as_of=synthetic.END, bins=10), bins=10)
        assert set(tenths["segment"]) <= set(rfm_rules()["segment"])
        with pytest.raises(DataError, match="scores from 1 to 5"):
            rfm_segments(tenths)

    def test_a_table_without_scores_is_refused(self):
        with pytest.raises(DataError, match="made by rfm_table"):
            rfm_segments(pd.DataFrame({"x": [1]}))

    def test_the_planted_enthusiasts_are_over_represented_among_champions(self, company):
        table = rfm_segments(rfm_table(company.orders, as_of=synthetic.END)).merge(company.membership, on="customer_id")
        champions = table[table["segment_x"] == "Champions"]["segment_y"]
        assert (champions == "enthusiasts").mean() > 2 * synthetic.truth().segments["enthusiasts"].share


class TestSummaryAndMigration:
    def test_shares_add_up_and_empty_segments_are_listed(self, company):
        summary = rfm_summary(rfm_segments(rfm_table(company.orders, as_of=synthetic.END)))
        assert len(summary) == 11
        assert summary["share"].sum() == pytest.approx(1)
        assert summary["revenue_share"].sum() == pytest.approx(1)
        only_one = rfm_summary(rfm_segments(rfm_table(orders_of(("a", "2024-02-01", 0)), as_of=AS_OF)))
        assert only_one["customers"].sum() == 1
        assert only_one["revenue_share"].sum() == 0

    def test_migration_counts_each_customer_once(self, company):
        before, after = (rfm_segments(rfm_table(company.orders, as_of=day)) for day in ("2024-01-01", "2025-01-01"))
        table = rfm_migration(before, after)
        assert table["customers"].sum() == len(after)
        assert table.groupby("before")["share"].sum().to_numpy() == pytest.approx(1)
        newcomers = table.loc[table["before"] == "(not yet a customer)", "customers"].sum()
        assert newcomers == len(after) - len(before)

    def test_tables_without_segments_are_refused(self, company):
        table = rfm_table(company.orders, as_of=synthetic.END)
        with pytest.raises(DataError, match="rfm_segments"):
            rfm_summary(table)
        with pytest.raises(DataError, match="rfm_segments"):
            rfm_migration(table, table)
