"""Two runs side by side: every kind has its figures, rows meet by their names, and what may be chance is known."""

import pandas as pd
import pytest

from crm_core.services.analytics import comparison_rules as rules
from crm_core.services.analytics.methods import kinds


def test_every_kind_says_what_is_compared():
    assert set(rules.FACTS) == set(kinds()) and set(rules.SIDES) == set(kinds()) - {"personas"}


def test_figures_are_found_wherever_they_stand_and_missing_ones_are_left_out():
    mine = {"auc": 0.7, "auc_low": 0.65, "auc_high": 0.75, "base": [0.3, 0.2, 0.4], "closed": 90, "usable": True}
    theirs = {"auc": 0.6, "auc_low": 0.5, "auc_high": 0.64, "base": [0.35, 0.3, 0.4], "closed": float("nan")}
    found = {pair.label: pair for pair in rules.facts("lead_score", mine, theirs)}
    assert list(found) == ["AUC on later records", "Base rate", "Closed records"]
    assert found["AUC on later records"].difference == pytest.approx(0.1) and found["AUC on later records"].apart is True
    assert found["Base rate"].apart is False, "the intervals overlap: it may be chance"
    assert (found["Closed records"].theirs, found["Closed records"].difference) == (None, None)
    nested = rules.facts("drivers", {"statistics": {"cv_auc": 0.8}}, {"statistics": {}})
    assert [(pair.label, pair.mine.middle, pair.apart) for pair in nested] == [("AUC on rows left out", 0.8, None)]
    assert rules.facts("attribution", {"auc": None}, {"auc": [0.5, 0.4, 0.6]})[0].theirs == rules.Value(0.5, 0.4, 0.6)


def test_rows_meet_by_name_in_the_order_of_the_first_run():
    side = rules.SIDES["attribution"]
    mine = pd.DataFrame(
        {"channel": ["mail", "fair", "mail"], "model": ["markov", "markov", "last"], "share": [0.6, 0.4, 0.9], "low": 0.3, "high": 0.7}
    )  # fmt: skip
    theirs = pd.DataFrame({"channel": ["web", "mail"], "model": "markov", "share": [0.5, 0.5]})
    found = rules.rows(side, mine, theirs)
    assert [(pair.label, pair.mine and pair.mine.middle, pair.theirs and pair.theirs.middle) for pair in found] == [
        ("mail", 0.6, 0.5), ("fair", 0.4, None), ("web", None, 0.5),
    ]  # fmt: skip
    assert rules.rows(side, pd.DataFrame(), theirs)[0].mine is None
    assert rules.comparable("attribution", {"level": "channel"}, {"level": "campaign"}) is None
    assert rules.comparable("attribution", {"level": "channel"}, {"level": "channel"}) is side
