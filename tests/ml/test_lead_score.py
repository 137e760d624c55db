"""Scores: published figures, planted truth, silence on noise, leaks, what each score says about itself."""

import json

import numpy as np
import pandas as pd
import pytest

from ml.errors import DataError
from ml.lead_score import fit_score
from ml.synthetic import company, shuffled
from tests.ml.reference_help import maven_deals, telco

BASICS = {"outcome": "converted", "at": "at", "id": "lead_id"}


@pytest.fixture(scope="module")
def leads():
    return company("medium", seed=4).leads


@pytest.fixture(scope="module")
def model(leads):
    return fit_score(leads, spend="spend", **BASICS)


@pytest.fixture(scope="module")
def telco_model(reference):
    rows = telco(reference("telco_churn.csv"))
    return fit_score(rows, outcome="churned", at=None, time_split=False, id="customerID")


@pytest.fixture(scope="module")
def deals(reference):
    return maven_deals(reference("maven_crm/sales_pipeline.csv").parent)


def made(n=400, seed=0, **columns):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    y = (rng.random(n) < 1 / (1 + np.exp(-1.5 * x))).astype(int)
    base = {"at": pd.date_range("2024-01-01", periods=n, freq="h", tz="UTC"), "x": x, "y": y}
    return pd.DataFrame(base | columns)


def test_telco_churn_gives_the_published_figures(telco_model):
    """Five-fold: AUC .845, Brier .136, ECE .012."""
    metrics = telco_model.metrics
    assert metrics["auc"] == pytest.approx(0.845, abs=0.003)
    assert metrics["brier"] == pytest.approx(0.136, abs=0.002)
    assert metrics["ece"] == pytest.approx(0.012, abs=0.004)
    assert telco_model.leaks.empty and metrics["auc"] < 0.86


def test_mavens_pipeline_carries_no_signal_before_the_close(deals):
    known_then = deals.drop(columns=["close_date", "close_value", "days_open"])
    model = fit_score(known_then, outcome="won", at="engage_date", id="opportunity_id")
    assert not model.usable
    assert model.metrics["auc_low"] <= 0.5
    assert model.verdict.startswith("No better than the base rate of 6")
    scored = model.score(known_then.head(20))
    assert scored["p"].nunique() == 1 and scored["p"].iloc[0] == model.base_rate
    assert (scored["p_low"] < scored["p"]).all() and (scored["p"] < scored["p_high"]).all()
    assert all(reasons == [] for reasons in scored["contributions"])
    assert any("1,589 rows without an outcome" in sentence for sentence in model.advice)


def test_what_maven_knows_only_at_the_close_is_found_as_leaks(deals):
    model = fit_score(deals, outcome="won", at="engage_date", id="opportunity_id", outcome_at="close_date")
    kinds = model.leaks.groupby("field")["kind"].agg(list).to_dict()
    assert kinds["close_value"] == ["knows the answer"]
    assert "measures the time until the outcome" in kinds["days_open"]
    assert not model.usable


def test_the_planted_drivers_are_recovered(model):
    """Known truth: referral +1.2, log pages +1.0; employees and shoe size nothing."""
    assert model.usable
    effect = model.coefficients.set_index("term")["coefficient"]
    assert effect["source = referral"] - effect["source = ads"] == pytest.approx(1.2, abs=0.35)
    assert effect["pages_viewed"] > 0.5
    assert effect.reindex(["shoe_size", "employees"]).abs().max() < 0.12
    assert effect[effect.index.str.startswith("region")].abs().max() < 0.12


def test_spend_is_foreseen_from_the_planted_driver(model, leads):
    """Known truth: 120 × employees^.6, median; noise .4 adds 8% to the mean."""
    small, large = leads.head(2).assign(employees=[10, 1_000]).pipe(model.score)["expected_spend"]
    assert large / small == pytest.approx(100**0.6, rel=0.2)
    assert small == pytest.approx(120 * 10**0.6 * np.exp(0.08), rel=0.15)


def test_expected_value_is_chance_times_spend_and_lies_between_its_limits(model, leads):
    scored = model.score(leads.head(200))
    assert np.allclose(scored["expected_value"], scored["p"] * scored["expected_spend"])
    assert (scored["value_low"] <= scored["expected_value"]).all()
    assert (scored["expected_value"] <= scored["value_high"]).all()
    assert (scored["p_low"] <= scored["p"]).all() and (scored["p"] <= scored["p_high"]).all()
    assert scored["p"].between(0.01, 0.99).all()
    assert not scored.drop(columns="contributions").isna().any().any()


@pytest.mark.parametrize("seed", range(8))
def test_a_shuffled_outcome_is_refused(leads, seed):
    """Pure noise; at 95% one refusal in forty may fail by chance, hence fixed seeds."""
    noise = shuffled(leads, "converted", seed=seed).drop(columns="spend")
    assert not fit_score(noise, **BASICS).usable


def test_contributions_add_up_to_the_score(model, leads):
    rows = leads.head(100)
    parts = model.contributions(rows)
    p = 1 / (1 + np.exp(-(parts.sum(axis=1) + parts.attrs["base"])))
    assert np.allclose(np.clip(p, 0.01, 0.99), model.score(rows)["p"])
    shown = model.score(rows, top=2)["contributions"].iloc[0]
    assert len(shown) == 2
    assert abs(shown[0]["log_odds"]) >= abs(shown[1]["log_odds"])
    assert shown[0]["log_odds"] == pytest.approx(parts.iloc[0].abs().max(), abs=1e-9) or shown[0]["log_odds"] < 0
    assert json.loads(json.dumps(shown)) == shown


def test_the_score_is_judged_on_the_later_quarter(model, leads):
    assert model.metrics["n"] == pytest.approx(len(leads) / 4, abs=2)
    assert model.metrics["n"] + model.metrics["n_train"] == len(leads)
    assert model.calibration["n"].sum() == model.metrics["n"]
    assert model.lift["cumulative_gain"].iloc[-1] == pytest.approx(1)


def test_average_precision_and_auc_are_those_of_scikit_learn():
    from sklearn.metrics import average_precision_score, roc_auc_score

    from ml.lead_judge import score_metrics

    rng = np.random.default_rng(0)
    p = rng.random(500).round(2)
    y = (rng.random(500) < p).astype(float)
    metrics, _ = score_metrics(y, p, 0.95, 0)
    assert metrics["average_precision"] == pytest.approx(average_precision_score(y, p))
    assert metrics["auc"] == pytest.approx(roc_auc_score(y, p))


def test_the_regression_is_the_penalised_one_of_scikit_learn():
    from sklearn.linear_model import LogisticRegression

    from ml.lead_logistic import fit_logistic_ridge

    rng = np.random.default_rng(1)
    X = rng.normal(size=(400, 4))
    y = (rng.random(400) < 1 / (1 + np.exp(-X[:, 0]))).astype(float)
    theirs = LogisticRegression(C=1 / 3.0, tol=1e-10, max_iter=1000).fit(X, y)
    assert np.allclose(fit_logistic_ridge(X, y, 3.0).beta, np.r_[theirs.intercept_, theirs.coef_[0]], atol=1e-5)


def test_row_order_changes_nothing_and_the_same_seed_gives_the_same_score(leads, model):
    again = fit_score(leads.sample(frac=1, random_state=5), spend="spend", **BASICS)
    a, b = (m.score(leads.head(50)).drop(columns="contributions") for m in (model, again))
    pd.testing.assert_frame_equal(a, b, atol=1e-9)


def test_the_as_of_date_hides_the_future(leads):
    cut = fit_score(leads[leads["at"] <= "2024-06-01"], **BASICS)
    hidden = fit_score(leads, as_of="2024-06-01", **BASICS)
    assert cut.metrics == hidden.metrics


def test_outcomes_after_the_as_of_date_count_as_open():
    rows = made(800)
    rows["decided_at"] = rows["at"] + pd.Timedelta(days=10)
    model = fit_score(rows, outcome="y", at="at", outcome_at="decided_at", as_of="2024-01-30")
    assert any("without an outcome yet" in sentence for sentence in model.advice)
    decided = (rows["decided_at"] <= "2024-01-30").sum()
    assert model.metrics["n"] + model.metrics["n_train"] == decided


def test_a_field_that_knows_the_answer_is_left_out():
    rows = made(extra=lambda f: None)
    rows = rows.assign(extra=rows["y"] * 100.0 + np.random.default_rng(0).normal(size=len(rows)))
    model = fit_score(rows, outcome="y", at="at")
    assert model.leaks["field"].tolist() == ["extra"]
    assert model.dropped["extra"] == "leaks the answer"
    assert "extra" not in model.coefficients["field"].tolist()
    assert any("extra was left out: knows the answer" in sentence for sentence in model.advice)


def test_a_field_filled_for_one_outcome_only_is_left_out():
    rows = made()
    rows["reason_lost"] = np.where(rows["y"] == 0, np.random.default_rng(0).choice(["price", "timing"], len(rows)), None)
    kinds = set(fit_score(rows, outcome="y", at="at").leaks["kind"])
    assert {"filled for one outcome only", "knows the answer"} <= kinds


def test_a_field_edited_after_the_outcome_is_left_out():
    rows = made()
    rows["decided_at"] = rows["at"] + pd.Timedelta(days=5)
    rows["x_edited_at"] = rows["at"] + pd.to_timedelta(np.where(np.arange(len(rows)) % 10 == 0, 9, 1), unit="D")
    rows["z"] = np.random.default_rng(2).normal(size=len(rows))
    model = fit_score(rows, outcome="y", at="at", outcome_at="decided_at", edited_at={"x": "x_edited_at"})
    assert model.leaks[["field", "kind"]].values.tolist() == [["x", "edited after the outcome"]]
    assert "10% of the rows" in model.leaks["evidence"].iloc[0]


def test_a_date_after_the_scoring_moment_is_a_leak_and_one_before_it_is_only_left_out():
    rows = made()
    rows["signed_on"], rows["created_on"] = rows["at"] + pd.Timedelta(days=3), rows["at"] - pd.Timedelta(days=3)
    model = fit_score(rows, outcome="y", at="at")
    assert model.leaks["field"].tolist() == ["signed_on"]
    assert "age at scoring time" in model.dropped["created_on"]


def test_perfect_separation_is_called_a_leak_and_not_a_triumph():
    rows = made()
    rows["x"] = np.where(rows["y"] == 1, 1.0, -1.0)
    model = fit_score(rows, outcome="y", at="at")
    assert not model.usable and model.leaks["field"].tolist() == ["x"]


def test_a_base_rate_that_moves_is_followed_and_said():
    rng = np.random.default_rng(3)
    n = 3_000
    x = rng.normal(size=n)
    base = np.where(np.arange(n) < n * 0.75, -2.0, 0.0)
    rows = made(n, x=x, y=(rng.random(n) < 1 / (1 + np.exp(-(base + x)))).astype(int))
    model = fit_score(rows, outcome="y", at="at")
    recent = rows.tail(n // 4)
    assert model.score(recent)["p"].mean() == pytest.approx(recent["y"].mean(), abs=0.03)
    assert any("base rate has changed" in sentence for sentence in model.advice)
    assert model.drift.set_index("field").loc["(outcome)", "verdict"] != "stable"


def test_fields_that_move_are_named():
    rows = made(1_000)
    rows["z"] = np.random.default_rng(0).normal(size=1_000) + np.where(np.arange(1_000) < 750, 0, 3)
    model = fit_score(rows, outcome="y", at="at")
    assert model.drift["field"].iloc[0] == "z" and model.drift["verdict"].iloc[0] == "drifted"
    assert model.drift.set_index("field").loc["x", "verdict"] == "stable"
    shifted = model.drift_of(rows.assign(x=rows["x"] + 5))
    assert shifted.set_index("field").loc["x", "verdict"] == "drifted"


def test_records_of_one_id_stay_in_one_fold():
    from ml.lead_logistic import folds_of

    groups = np.repeat(np.arange(50), 4).astype(str)
    fold = folds_of(groups, np.random.default_rng(0))
    assert all(len(set(fold[groups == g])) == 1 for g in np.unique(groups))
    assert set(fold) == set(range(5))


def test_copies_of_records_do_not_make_noise_look_like_signal():
    rng = np.random.default_rng(0)
    once = pd.DataFrame({"id": range(150), "code": [f"c{i // 12}" for i in range(150)], "y": rng.integers(0, 2, 150)})
    rows = pd.concat([once] * 8, ignore_index=True)
    assert not fit_score(rows, outcome="y", at=None, time_split=False, id="id").usable


def test_missing_values_and_new_words_still_get_a_score():
    rng = np.random.default_rng(0)
    rows = made(600, city=rng.choice(["Bonn", "Lyon"], 600))
    rows.loc[::5, "x"] = np.nan
    rows.loc[::7, "city"] = None
    model = fit_score(rows, outcome="y", at="at")
    fresh = pd.DataFrame({"x": [np.nan, 1.0, 1e12], "city": ["Oslo", None, "Bonn"]}, index=[7, 8, 9])
    scored = model.score(fresh)
    assert scored.index.tolist() == [7, 8, 9]
    assert scored["p"].between(0.01, 0.99).all()
    assert model.score(fresh)["contributions"].iloc[0] is not None


def test_ten_thousand_words_and_constants_are_dropped_with_a_reason():
    rows = made(10_000)
    rows["note"] = [f"note {i}" for i in range(10_000)]
    rows["country"], rows["void"], rows["four"] = "DE", np.nan, 4
    model = fit_score(rows, outcome="y", at="at")
    assert "10,000 different words" in model.dropped["note"]
    assert {model.dropped[name] for name in ("country", "four")} == {"the same value throughout"}
    assert model.dropped["void"] == "always empty"
    assert model.coefficients["field"].unique().tolist() == ["x"]


def test_a_slip_of_the_keyboard_does_not_flatten_a_field():
    rows = made(800)
    slipped = rows.assign(x=rows["x"].where(rows.index != 17, 666_666))
    plain, after = (fit_score(r, outcome="y", at="at").metrics["auc"] for r in (rows, slipped))
    assert after == pytest.approx(plain, abs=0.01)


def test_a_table_without_any_field_gets_the_base_rate():
    model = fit_score(made()[["at", "y"]], outcome="y", at="at")
    assert not model.usable
    assert model.score(made(3))["p"].tolist() == [model.base_rate] * 3


def test_spend_that_the_fields_do_not_explain_is_its_mean():
    rows = made(1_000)
    amount = np.random.default_rng(9).gamma(2.0, 50.0, 1_000)
    model = fit_score(rows.assign(spend=np.where(rows["y"] == 1, amount, np.nan)), outcome="y", at="at", spend="spend")
    assert model.score(rows)["expected_spend"].nunique() == 1
    assert model.score(rows)["expected_spend"].iloc[0] == pytest.approx(100, rel=0.1)
    assert any("say nothing about the amount" in sentence for sentence in model.advice)


@pytest.mark.parametrize(
    ("rows", "options", "words"),
    [
        (made(0), {}, "at least one row"),
        (made(1), {}, "at least 30"),
        (made(40), {}, "at least 30"),
        (made().assign(y=1), {}, "at least 30"),
        (made().assign(y=np.nan), {}, "at least 30"),
        (made().assign(y=2), {}, "0 or 1"),
        (made().assign(y="maybe"), {}, "0 or 1"),
        (made().assign(x=np.inf), {}, "infinite"),
        (made().drop(columns="y"), {}, "outcome in a column y"),
        (made().drop(columns="at"), {}, "columns at"),
        (made().assign(at=pd.Timestamp("2024-01-01", tz="UTC")), {}, "different days"),
        (made().assign(at=5), {}, "dates in"),
        (made(), {"at": None}, "scoring moments"),
        (made(), {"features": ["nope"]}, "named in features"),
        (made(), {"spend": "nope"}, "amounts in a column nope"),
        (made().assign(spend=-1.0), {"spend": "spend"}, "spend of at least 0"),
        (made().assign(spend=np.inf), {"spend": "spend"}, "finite amounts"),
        (made().assign(spend=np.nan), {"spend": "spend"}, "at least 10 converted"),
        (made(), {"outcome_at": "nope"}, "moments in a column nope"),
        (made(), {"as_of": "2020-01-01"}, "at least 30"),
        (made(), {"level": 2.0}, "between 0 and 1"),
        ([1, 2], {}, "a table of snapshots"),
    ],
)
def test_rows_that_carry_no_score_are_refused(rows, options, words):
    with pytest.raises(DataError, match=words):
        fit_score(rows, **({"outcome": "y", "at": "at"} | options))


def test_mixed_time_zones_are_refused():
    rows = made(100).astype({"at": object})
    rows.loc[3, "at"] = pd.Timestamp("2024-01-01")
    with pytest.raises(DataError, match="time zone"):
        fit_score(rows, outcome="y", at="at")


def test_scoring_rows_unlike_the_training_rows_is_refused(model, leads):
    with pytest.raises(DataError, match="no source"):
        model.score(leads.drop(columns="source"))
    with pytest.raises(DataError, match="words in employees"):
        model.score(leads.head(2).assign(employees=["many", "few"]))
    with pytest.raises(DataError, match="infinite"):
        model.score(leads.head(2).assign(employees=np.inf))
    with pytest.raises(DataError, match="at least one row"):
        model.score(leads.head(0))
