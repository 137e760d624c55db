"""Churn: the score for contracts, with survival beside it."""

import numpy as np
import pytest

from ml.churn import fit_churn
from ml.errors import DataError
from ml.lead_score import ScoreModel
from ml.synthetic import company, shuffled
from tests.ml.reference_help import telco

BASICS = {"outcome": "churned", "at": "at", "id": "customer_id"}


@pytest.fixture(scope="module")
def contracts():
    return company("medium", seed=4).contracts.drop(columns=["ended_at", "started_at"])


@pytest.fixture(scope="module")
def model(contracts):
    return fit_churn(contracts, tenure="tenure_months", group="plan", **BASICS)


def test_telco_has_the_published_auc_and_its_contracts_differ(reference):
    rows = telco(reference("telco_churn.csv"))
    model = fit_churn(rows, outcome="churned", time_split=False, id="customerID", tenure="tenure", group="Contract")
    assert isinstance(model, ScoreModel)
    assert model.metrics["auc"] == pytest.approx(0.845, abs=0.003)
    assert model.groups_differ.p_value < 1e-10
    last = model.survival.groupby("group")["survival"].min()
    assert last["Two year"] > 0.9 > last["One year"] > last["Month-to-month"]


def test_the_planted_drivers_are_recovered(model):
    """Known truth: monthly plan +1.5, a ticket +.5, a log-in −.06, shoe size nothing."""
    assert model.usable
    effect = model.coefficients.set_index("term")["coefficient"]
    assert effect["plan = monthly"] - effect["plan = annual"] == pytest.approx(1.5, abs=0.3)
    assert effect["tickets_90d"] == pytest.approx(0.5, abs=0.2)
    assert effect["logins_30d"] == pytest.approx(-0.06 * np.sqrt(12), abs=0.12)
    assert abs(effect["shoe_size"]) < 0.12
    assert any("hold-out" in sentence for sentence in model.advice)


def test_the_end_of_the_contract_is_a_leak():
    model = fit_churn(company("small", seed=1).contracts, **BASICS)
    assert model.leaks["field"].unique().tolist() == ["ended_at"]


def test_noise_is_refused(contracts):
    assert not fit_churn(shuffled(contracts, "churned", seed=1), **BASICS).usable


def test_value_at_stake_is_risk_times_worth_largest_first(model, contracts):
    stake = model.at_stake(contracts.head(100), "monthly_fee")
    assert stake["value_at_stake"].is_monotonic_decreasing
    fees = contracts["monthly_fee"].reindex(stake.index)
    assert np.allclose(stake["value_at_stake"], stake["p"] * fees)
    assert (stake["stake_low"] <= stake["value_at_stake"]).all()
    with pytest.raises(DataError, match="no column worth"):
        model.at_stake(contracts, "worth")


def test_survival_hides_what_lies_after_the_as_of_date(contracts):
    cut = contracts[contracts["at"] <= "2024-03-01"]
    options = BASICS | {"tenure": "tenure_months"}
    assert fit_churn(cut, **options).survival.equals(fit_churn(contracts, as_of="2024-03-01", **options).survival)


def test_without_a_tenure_there_is_no_curve_and_a_wrong_name_is_refused(contracts):
    assert fit_churn(contracts, **BASICS).survival.empty
    with pytest.raises(DataError, match="no seniority"):
        fit_churn(contracts, tenure="seniority", **BASICS)
