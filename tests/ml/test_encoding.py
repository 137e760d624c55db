"""Attributes as points: what each kind becomes, and that it stays frozen."""

import numpy as np
import pandas as pd
import pytest

from ml.encoding import Encoder, by_customer, fit_encoder
from ml.errors import DataError


@pytest.fixture
def frame():
    rng = np.random.default_rng(0)
    columns = {
        "spend": rng.lognormal(4, 1, 300),
        "age": rng.normal(40, 10, 300),
        "vip": rng.random(300) < 0.1,
        "flag": rng.integers(0, 2, 300),
        "country": rng.choice(["DE", "FR"], 300),
    }
    return by_customer(pd.DataFrame(columns))


def test_skewed_amounts_are_logged_and_symmetric_ones_are_not(frame):
    encoder = fit_encoder(frame)
    assert {column.name: column.logged for column in encoder.numbers} == {"spend": True, "age": False}


def test_numbers_are_standardised_and_yes_no_is_a_category_at_half_weight(frame):
    encoder = fit_encoder(frame)
    points = pd.DataFrame(encoder.encode(frame), columns=encoder.names)
    assert points[["spend", "age"]].mean().to_numpy() == pytest.approx([0, 0], abs=0.02)
    assert points[["spend", "age"]].std().to_numpy() == pytest.approx([1, 1], abs=0.05)
    assert set(points["vip=True"]) == {0.0, 0.5}
    assert points[["vip=True", "vip=False"]].sum(axis=1).eq(0.5).all()
    assert {"flag=0", "flag=1", "country=DE", "country=FR"} <= set(points)


def test_weights_multiply_distances(frame):
    plain, heavy = fit_encoder(frame), fit_encoder(frame, weights={"age": 3, "country": 2})
    at = plain.names.index("age")
    assert heavy.encode(frame)[:, at] == pytest.approx(3 * plain.encode(frame)[:, at])
    assert heavy.encode(frame)[:, plain.names.index("country=DE")].max() == 1


@pytest.mark.parametrize("weight", [-1, np.nan, np.inf])
def test_broken_weights_are_refused(frame, weight):
    with pytest.raises(DataError, match="weights of zero or more"):
        fit_encoder(frame, weights={"age": weight})


def test_extremes_are_clipped_and_said(frame):
    odd = frame.assign(age=[4_000.0, *frame["age"][1:]])
    encoder = fit_encoder(odd)
    assert encoder.encode(odd)[0, encoder.names.index("age")] == 5
    assert "age: 1 extreme values count as 5 standard deviations from the mean." in encoder.notes


def test_rare_and_unknown_levels_fall_together(frame):
    countries = ["DE"] * 200 + ["FR"] * 97 + ["MT", "LU", "IS"]
    encoder = fit_encoder(frame.assign(country=countries)[["country"]])
    assert encoder.names == ["country=DE", "country=FR", "country=(other)"]
    later = by_customer(pd.DataFrame({"country": ["MT", "Atlantis"]}))
    assert encoder.encode(later).tolist() == [[0, 0, 0.5]] * 2


def test_a_missing_level_is_a_level_of_its_own(frame):
    frame["country"] = ["DE"] * 150 + [None] * 150
    assert "country=(missing)" in fit_encoder(frame).names


def test_the_encoding_of_one_customer_does_not_depend_on_the_others(frame):
    encoder = fit_encoder(frame)
    assert encoder.encode(frame.iloc[[7]])[0] == pytest.approx(encoder.encode(frame)[7])


def test_a_stored_encoder_encodes_the_same(frame):
    encoder = fit_encoder(frame)
    again = Encoder.from_dict(encoder.to_dict())
    assert again == encoder
    assert (again.encode(frame) == encoder.encode(frame)).all()


def test_text_in_a_column_of_numbers_is_refused_later(frame):
    encoder = fit_encoder(frame)
    with pytest.raises(DataError, match="'old' in age"):
        encoder.encode(frame.assign(age="old"))


def test_customers_come_from_the_column_or_the_index():
    from_column = by_customer(pd.DataFrame({"customer_id": ["a", "b"], "x": [1, 2]}))
    from_index = by_customer(pd.DataFrame({"x": [1, 2]}, index=["a", "b"]))
    assert list(from_column.index) == list(from_index.index) == ["a", "b"]
