"""From touches to journeys, by hand."""

import numpy as np
import pandas as pd
import pytest

from ml.attribution import attribute, paths_from_touches
from ml.attribution_paths import read_paths, same_sequences
from ml.errors import DataError
from ml.synthetic import company


def touches(*rows):
    """``("anna", 3, "mail")``: on day 3 of January."""
    frame = pd.DataFrame(rows, columns=["customer_id", "day", "channel"])
    return frame.assign(at=pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(frame.day, unit="D")).drop(columns="day")


def conversions(*rows):
    frame = pd.DataFrame(rows, columns=["customer_id", "day", "value"])
    return frame.assign(at=pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(frame.day, unit="D")).drop(columns="day")


def as_dict(paths):
    return {row.path: (row.conversions, row.value, row.nulls) for row in paths.itertuples()}


def test_journeys_end_at_conversions_and_at_long_pauses():
    seen = touches(
        ("anna", 1, "mail"), ("anna", 3, "ads"), ("anna", 8, "mail"),
        ("ben", 1, "ads"), ("ben", 40, "mail"), ("ben", 41, "ads"),
    )  # fmt: skip
    won = conversions(("anna", 4, 10.0), ("anna", 9, 5.0), ("ben", 42, 7.0))
    paths = paths_from_touches(seen, won, lookback_days=30)
    assert as_dict(paths) == {
        ("ads",): (0, 0, 1),  # ben's first touch went nowhere
        ("mail",): (1, 5, 0),
        ("mail", "ads"): (2, 17, 0),
    }


def test_touches_before_the_window_are_dropped_and_counted():
    paths = paths_from_touches(
        touches(("anna", 1, "tv"), ("anna", 9, "ads"), ("anna", 15, "mail")), conversions(("anna", 16, 1.0)), lookback_days=10
    )
    assert as_dict(paths) == {("ads", "mail"): (1, 1, 0)}
    assert paths.attrs["too_old"] == 1


def test_a_conversion_nothing_preceded_is_counted_and_not_invented():
    paths = paths_from_touches(
        touches(("anna", 1, "ads")), conversions(("anna", 2, 3.0), ("anna", 3, 4.0), ("carl", 2, 5.0)), lookback_days=10
    )
    assert as_dict(paths) == {("ads",): (1, 3, 0)}
    assert paths.attrs["without_touch"] == 2
    assert paths.attrs["value_without_touch"] == 9
    assert "2 conversions (worth 9.00) had no touch" in paths.attrs["note"]


def test_open_journeys_are_told_from_those_that_ended():
    seen = touches(("anna", 1, "ads"), ("ben", 99, "ads"), ("carl", 50, "mail"))
    paths = paths_from_touches(seen, conversions(("carl", 51, 1.0)), lookback_days=10)
    assert (paths.attrs["nulls"], paths.attrs["open"]) == (2, 1)


def test_journeys_without_conversion_can_be_left_out():
    seen = touches(("anna", 1, "ads"), ("ben", 1, "mail"), ("ben", 2, "ads"))
    paths = paths_from_touches(seen, conversions(("ben", 3, 1.0)), lookback_days=10, keep_nulls=False)
    assert as_dict(paths) == {("mail", "ads"): (1, 1, 0)}
    assert "left out" in paths.attrs["note"]


def test_direct_visits_are_dropped_unless_they_are_all_there_is():
    seen = touches(("anna", 1, "mail"), ("anna", 2, "direct"), ("ben", 1, "direct"), ("ben", 2, "direct"), ("carl", 1, "direct"))
    won = conversions(("anna", 3, 1.0), ("ben", 3, 1.0))
    paths = paths_from_touches(seen, won, lookback_days=10, collapse_direct="direct")
    assert as_dict(paths) == {("direct",): (0, 0, 1), ("direct", "direct"): (1, 1, 0), ("mail",): (1, 1, 0)}
    with pytest.raises(DataError, match="no channel named"):
        paths_from_touches(seen, won, lookback_days=10, collapse_direct="walk in")


def test_time_decay_goes_by_the_clock():
    seen = touches(("anna", 0, "tv"), ("anna", 7, "ads"), ("anna", 14, "mail"))
    paths = paths_from_touches(seen, conversions(("anna", 14, 1.0)), lookback_days=30, half_life_days=7)
    credit = attribute(paths, models=["time_decay"], bootstrap=0).set_index("channel").conversions
    assert credit.to_dict() == pytest.approx({"tv": 1 / 7, "ads": 2 / 7, "mail": 4 / 7})


def test_time_weights_of_the_same_path_are_averaged_over_its_conversions():
    seen = touches(("anna", 0, "tv"), ("anna", 7, "ads"), ("ben", 6, "tv"), ("ben", 7, "ads"))
    paths = paths_from_touches(seen, conversions(("anna", 7, 1.0), ("ben", 7, 1.0)), lookback_days=30, half_life_days=7)
    late = 2 ** (-1 / 7)
    expected = (1 / 3 + late / (1 + late)) / 2
    assert paths.time_weights[0][0] == pytest.approx(expected)
    credit = attribute(paths, models=["time_decay"], bootstrap=0).set_index("channel").conversions
    assert credit["tv"] == pytest.approx(2 * expected)


def test_the_as_of_date_hides_the_future():
    made = company("small", seed=1)
    early = paths_from_touches(made.touchpoints, made.conversions, lookback_days=30, as_of="2023-06-01")
    cut = pd.Timestamp("2023-06-01", tz="UTC")
    alone = paths_from_touches(
        made.touchpoints[made.touchpoints["at"] <= cut],
        made.conversions[made.conversions["at"] <= cut],
        lookback_days=30,
    )
    pd.testing.assert_frame_equal(early, alone)


def test_row_order_changes_nothing():
    made = company("small", seed=2)
    plain = paths_from_touches(made.touchpoints, made.conversions, lookback_days=30)
    mixed = paths_from_touches(
        made.touchpoints.sample(frac=1, random_state=1), made.conversions.sample(frac=1, random_state=2), lookback_days=30
    )
    pd.testing.assert_frame_equal(plain, mixed)


def test_the_planted_journeys_come_back():
    made = company("small", seed=3)
    paths = paths_from_touches(made.touchpoints, made.conversions, lookback_days=60)
    expected = made.touchpoints.sort_values(["journey", "at"]).groupby("journey").channel.apply(tuple).value_counts()
    found = (paths.conversions + paths.nulls).set_axis(pd.Index(paths.path, tupleize_cols=False))
    assert found.to_dict() == expected.to_dict()
    assert paths.conversions.sum() == len(made.conversions)
    assert paths.value.sum() == pytest.approx(made.conversions.value.sum())


def test_a_touch_at_the_instant_of_the_conversion_counts_as_before_it():
    paths = paths_from_touches(touches(("anna", 3, "ads")), conversions(("anna", 3, 1.0)), lookback_days=1)
    assert as_dict(paths) == {("ads",): (1, 1, 0)}


@pytest.mark.parametrize(
    ("seen", "won", "options", "words"),
    [
        (touches(("anna", 5, "ads")), conversions(("ben", 6, 1.0)), {}, "share customers and dates"),
        (touches(("anna", 5, "ads")), conversions(("anna", 4, 1.0)), {}, "share customers and dates"),
        (touches(("anna", 5, "ads")).iloc[:0], conversions(("anna", 4, 1.0)), {}, "touchpoints"),
        (touches(("anna", 5, "ads")), conversions(("anna", 6, 1.0)), {"lookback_days": 0}, "positive"),
        (touches(("anna", 5, "ads")), conversions(("anna", 6, 1.0)), {"as_of": "2023-01-01"}, "touchpoints to attribute"),
        (touches(("anna", 5, "ads")), conversions(("anna", 6, -1.0)), {}, "at least 0"),
        (touches(("anna", 5, None)), conversions(("anna", 6, 1.0)), {}, "channel"),
    ],
)
def test_an_empty_result_names_the_missing_input(seen, won, options, words):
    with pytest.raises(DataError, match=words):
        paths_from_touches(seen, won, **({"lookback_days": 30} | options))


def test_instants_with_and_without_a_zone_are_not_mixed_silently():
    seen = pd.DataFrame({"customer_id": ["anna"] * 2, "channel": "ads", "at": ["2024-01-01T00:00:00Z", "2024-01-02T00:00:00"]})
    with pytest.raises(DataError, match="time zone"):
        paths_from_touches(seen, conversions(("anna", 6, 1.0)), lookback_days=30)


def test_a_zone_only_moves_the_clock():
    seen, won = touches(("anna", 1, "ads"), ("anna", 2, "mail")), conversions(("anna", 3, 1.0))
    shifted = seen.assign(at=seen["at"].dt.tz_convert("Asia/Tokyo"))
    pd.testing.assert_frame_equal(paths_from_touches(shifted, won, lookback_days=5), paths_from_touches(seen, won, lookback_days=5))


def test_sequences_are_told_apart_even_when_they_share_everything_but_the_order():
    codes = np.array([0, 1, 1, 0, 0, 1, 0])
    group, first = same_sequences(codes, np.array([2, 2, 2, 1]))
    assert group[0] == group[2]
    assert len(set(group.tolist())) == 3
    assert len(first) == 3


def test_text_paths_tuples_and_lists_are_read_alike():
    rows = {"conversions": [1, 2], "value": [1.0, 2.0], "nulls": [0, 3]}
    kinds = [["a > b", "b"], [("a", "b"), ("b",)], [["a", "b"], ["b"]]]
    read = [read_paths(pd.DataFrame({"path": kind, **rows})) for kind in kinds]
    for other in read[1:]:
        assert other.channels == read[0].channels
        assert (other.codes == read[0].codes).all()
        assert (other.conversions == read[0].conversions).all()


@pytest.mark.parametrize("weights", [[(0.5,)], [(0.5, 0.6)], [(1.5, -0.5)], [(np.nan, 1.0)]])
def test_time_weights_that_share_out_no_conversion_are_refused(weights):
    frame = pd.DataFrame({"path": [("a", "b")], "conversions": [1], "value": [1.0], "nulls": [0], "time_weights": weights})
    with pytest.raises(DataError, match="weight"):
        attribute(frame, bootstrap=0)
