"""Like with like: a difference that comes from another column vanishes, a real one stays."""

import numpy as np
import pandas as pd
import pytest

from ml.errors import DataError
from ml.matched import compare_alike


def company(effect, n=4_000, seed=1):
    """Big customers get demos more often and are won more often anyway."""
    rng = np.random.default_rng(seed)
    big = rng.random(n) < 0.5
    demo = rng.random(n) < np.where(big, 0.8, 0.2)
    won = rng.random(n) < 0.2 + 0.4 * big + effect * demo
    return pd.DataFrame({"won": won.astype(float), "size": np.where(big, "big", "small"), "noise": rng.normal(size=n)}), demo


def test_a_difference_that_another_column_makes_vanishes_among_the_alike():
    frame, demo = company(effect=0.0)
    found = compare_alike(frame, outcome="won", treated=demo, alike=["size", "noise"])
    assert found.plain_low > 0.15 and found.low < 0 < found.high and found.matched == 1


def test_a_difference_of_its_own_stays():
    frame, demo = company(effect=0.15)
    found = compare_alike(frame, outcome="won", treated=demo, alike=["size", "noise"])
    assert found.low < 0.15 < found.high and found.low > 0.08 and found.plain > 0.3


def test_a_hand_made_table_gives_the_hand_made_difference():
    frame = pd.DataFrame({"y": [1, 0, 1, 1, 0, 0] * 5, "g": list("aabbbb") * 5})
    flags = np.tile([True, False, True, True, False, False], 5)
    found = compare_alike(frame, outcome="y", treated=flags, alike=["g"])
    assert found.plain == found.estimate == 1 and (found.treated, found.control) == (15, 15)


def test_without_counterparts_nothing_is_claimed_and_one_side_alone_is_refused():
    frame = pd.DataFrame({"y": [1.0, 0.0] * 20, "g": ["a", "b"] * 20})
    found = compare_alike(frame, outcome="y", treated=frame["g"] == "a", alike=["g"])
    assert np.isnan(found.estimate) and found.matched == 0
    with pytest.raises(DataError):
        compare_alike(frame, outcome="y", treated=np.ones(40, bool), alike=[])
    with pytest.raises(DataError, match="columns"):
        compare_alike(frame, outcome="y", treated=frame["g"] == "a", alike=["no"])
