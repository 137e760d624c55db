"""Snapshots: records as they were, and nothing that came later."""

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.errors import DataError
from ml.lead_score import snapshots


def day(n):
    return pd.Timestamp("2024-01-01", tz="UTC") + pd.Timedelta(days=n)


def log(*rows):
    frame = pd.DataFrame(rows, columns=["record_id", "field", "value", "changed_at"])
    return frame.assign(changed_at=pd.to_datetime(frame["changed_at"].map(day), utc=True))


def wanted(*rows):
    return pd.DataFrame(rows, columns=["record_id", "at"]).assign(at=lambda f: pd.to_datetime(f["at"].map(day), utc=True))


CHANGES = log(
    ("a", "stage", "new", 0),
    ("a", "amount", 100.0, 0),
    ("a", "stage", "offer", 5),
    ("a", "amount", 250.0, 9),
    ("b", "stage", "new", 3),
    ("a", "stage", None, 12),
)


def test_each_field_has_the_value_it_had_then():
    got = snapshots(CHANGES, wanted(("a", 4), ("a", 9), ("b", 9)))
    assert got["stage"].tolist() == ["new", "offer", "new"]
    assert got["amount"].tolist()[:2] == [100.0, 250.0] and pd.isna(got["amount"].iloc[2])


def test_a_change_at_the_very_moment_counts_and_a_cleared_field_is_missing():
    got = snapshots(CHANGES, wanted(("a", 5), ("a", 12)))
    assert got["stage"].iloc[0] == "offer" and pd.isna(got["stage"].iloc[1])


def test_a_record_not_yet_known_is_all_missing():
    got = snapshots(CHANGES, wanted(("b", 1), ("c", 20)))
    assert got[["stage", "amount"]].isna().all().all()


@settings(max_examples=30, deadline=None)
@given(moment=st.integers(0, 15), later=st.lists(st.integers(1, 30), max_size=5))
def test_later_changes_change_nothing(moment, later):
    added = log(*(("a", "stage", f"later {n}", moment + n) for n in later))
    before = snapshots(CHANGES[CHANGES["changed_at"] <= day(moment)], wanted(("a", moment)))
    after = snapshots(pd.concat([CHANGES, added]).sample(frac=1, random_state=0), wanted(("a", moment)))
    pd.testing.assert_frame_equal(before, after, check_dtype=False)


@pytest.mark.parametrize(
    ("changes", "moments", "words"),
    [
        (CHANGES.head(0), wanted(("a", 1)), "at least one row"),
        (CHANGES.drop(columns="value"), wanted(("a", 1)), "column value"),
        (CHANGES, wanted(("a", 1), ("a", 1)), "repeated"),
        (CHANGES.assign(field="at"), wanted(("a", 1)), "other than record_id and at"),
    ],
)
def test_logs_that_cannot_be_replayed_are_refused(changes, moments, words):
    with pytest.raises(DataError, match=words):
        snapshots(changes, moments)
