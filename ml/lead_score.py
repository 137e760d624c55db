"""Scores that say how far they can be trusted, and refuse when they can't.

``fit_score`` learns from snapshots (records as they were at scoring time; see ``snapshots``), is judged on the later
part, drops fields that leak the answer, and falls back to the base rate when it cannot be told from chance.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from ml.errors import DataError
from ml.evaluation import calibration_table, lift_table
from ml.kpis import wilson
from ml.lead_checks import find_leaks
from ml.lead_judge import Trained, base_moved, coefficient_table, drift_between, follow, judge, score_metrics, train
from ml.lead_logistic import folds_of
from ml.lead_model import ScoreModel
from ml.lead_rows import field_names, split_by_time, training_rows
from ml.lead_snapshots import snapshots
from ml.lead_spend import SpendModel, fit_spend

__all__ = ["ScoreModel", "fit_score", "snapshots"]

Array = np.ndarray
TOO_GOOD = 0.97


def fit_score(
    table: pd.DataFrame,
    *,
    outcome: str,
    at: str | None,
    spend: str | None = None,
    time_split: bool = True,
    calibrate: bool = True,
    seed: int = 0,
    id: str | None = None,
    features: list[str] | None = None,
    outcome_at: str | None = None,
    edited_at: Mapping[str, str] | None = None,
    as_of: object | None = None,
    level: float = 0.95,
) -> ScoreModel:
    """Fit and judge a score.

    Parameters
    ----------
    table
        Snapshots: one row per record *as it was* at the moment in column `at`.
    outcome
        Column of 0/1 (or True/False); rows where it is missing are still open and only counted.
    at
        Column of scoring moments; None is allowed without `time_split`.
    spend
        Column with the amount of the converted (ignored for the others): adds expected values.
    time_split
        Learn on the earlier three quarters, judge on the later quarter. Without it: five-fold cross-validation, which
        is too kind to anything that will be used tomorrow.
    calibrate
        Turn log-odds into probabilities on rows outside the fit (Platt), and follow a base rate that has moved.
    seed
        Of the folds.
    id
        Column that identifies the record: never a feature, and rows of one record stay in one fold.
    features
        Fields to use; default: all but the columns named here. Date fields are checked for leaks, then left out.
    outcome_at, edited_at
        Column with the moment of the outcome, and field → column with its last edit: finds fields edited afterwards.
    as_of
        Hide later snapshots; outcomes later than this (by `outcome_at`) count as open.
    level
        Of all intervals.

    Returns
    -------
    ScoreModel

    Raises
    ------
    DataError
        Missing columns, an outcome that is not 0/1, fewer than 30 rows of either outcome, infinite values, or no usable
        moment for the time split.

    Notes
    -----
    Logistic regression with a ridge chosen by cross-validation and a bend per number (Telco, five-fold: AUC .846); every
    score is a sum that can be shown. Boosted trees were not compared. Intervals for p come from the
    curvature of the penalised likelihood; they cover what the model does not know, not what no model could know.
    """
    edited = dict(edited_at or {})
    rows, y, notes = training_rows(table, outcome, at, outcome_at, edited, as_of, time_split)
    moments = rows[at] if at is not None else None
    special = {outcome, at, spend, id, outcome_at, *edited.values()}
    names = field_names(rows, features, special)
    leaks = find_leaks(rows, names, y, moments, {k: rows[v] for k, v in edited.items()}, rows[outcome_at] if outcome_at else None)
    dropped = dict.fromkeys(leaks["field"].unique(), "leaks the answer")
    dates = [name for name in names if pd.api.types.is_datetime64_any_dtype(rows[name]) and name not in dropped]
    dropped |= dict.fromkeys(dates, "a date; give its age at scoring time as a number")
    names = [name for name in names if name not in dropped]
    groups = rows[id].astype(str).to_numpy() if id else np.arange(len(rows))
    early, late = split_by_time(moments, time_split, y)
    judged_y, judged_p = judge(rows, y, names, groups, early, late, calibrate, seed)
    metrics, interval = score_metrics(judged_y, judged_p, level, len(y) - (0 if late is None else len(late)))
    final = train(rows, y, names, groups, seed, calibrate)
    recent = late if late is not None else np.arange(len(y))
    moved = late is not None and base_moved(y[early], y[late])
    shift = follow(final, y, recent) if moved and calibrate else final.shift
    base_low, base_high = wilson(np.array([y[recent].sum()]), np.array([len(recent)]), level)
    base = float(y[recent].mean())
    usable = interval[0] > 0.5 and bool(final.encoder.fields) and bool(np.any(final.fitted.beta[1:] != 0))
    model = ScoreModel(
        usable=usable,
        verdict=_verdict(usable, metrics, base),
        metrics=metrics,
        calibration=calibration_table(judged_y, judged_p, level=level),
        lift=lift_table(judged_y, judged_p),
        leaks=leaks,
        drift=drift_between(rows, y, names, early, late),
        coefficients=coefficient_table(final),
        dropped=dropped | final.encoder.dropped,
        base_rate=base,
        base_low=float(base_low[0]),
        base_high=float(base_high[0]),
        outcome=outcome,
        level=level,
        _encoder=final.encoder,
        _fitted=final.fitted,
        _shift=shift,
        _spend=_spend_model(rows, y, spend, final, groups, seed),
        _reference=rows[names].iloc[early if late is not None else slice(None)].reset_index(drop=True),
    )
    model.advice.extend([model.verdict, *_advice(model, moved and calibrate), *notes])
    return model


def _spend_model(rows: pd.DataFrame, y: Array, spend: str | None, final: Trained, groups: Array, seed: int) -> SpendModel | None:
    if spend is None:
        return None
    if spend not in rows.columns:
        raise DataError(f"no column {spend}", f"the amounts in a column {spend}")
    won = y == 1
    amounts = pd.to_numeric(rows.loc[won, spend], errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    if np.isinf(amounts).any():
        raise DataError(f"infinite values in {spend}", "finite amounts")
    X = final.encoder.encode(rows[won])
    return fit_spend(X, amounts, folds_of(groups[won], np.random.default_rng(seed)))


def _verdict(usable: bool, metrics: dict[str, float], base: float) -> str:
    span = f"AUC {metrics['auc']:.2f}, interval {metrics['auc_low']:.2f} to {metrics['auc_high']:.2f}"
    if not usable:
        return f"No better than the base rate of {base:.0%} ({span}): every record gets the base rate."
    strength = "weak" if metrics["auc"] < 0.65 else "useful" if metrics["auc"] < 0.8 else "strong"
    return f"A {strength} score ({span}); the best tenth converts {metrics['top_decile_lift']:.1f} times as often."


def _advice(model: ScoreModel, followed: bool) -> list[str]:
    advice = []
    for name, kinds in model.leaks.groupby("field", sort=False)["kind"]:
        advice.append(f"{name} was left out: {', '.join(kinds)}.")
    if model.usable and model.metrics["auc"] > TOO_GOOD:
        advice.append("This is too good to be true: look for a field that is filled in after the outcome.")
    moved = model.drift[model.drift["verdict"] == "drifted"]["field"].tolist()
    if moved:
        advice.append(f"The world has moved: {', '.join(map(str, moved))} differ between earlier and later rows.")
    if followed:
        advice.append(f"The base rate has changed; probabilities were moved to the recent {model.base_rate:.0%}.")
    if model.usable and model.metrics["ece"] > 0.05:
        advice.append(f"Probabilities are off by {model.metrics['ece']:.0%} on average: rank by them, do not add them up.")
    if model._spend is not None and model._spend.fitted is None:
        advice.append("The fields say nothing about the amount: expected spend is the mean of the converted.")
    return advice
