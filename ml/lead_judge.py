"""Fitting, calibrating and judging a score on rows that its fit had not seen."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ml.evaluation import auc_interval, calibration_table, lift_table
from ml.lead_checks import DRIFT, drift_table
from ml.lead_features import Encoder, fit_encoder
from ml.lead_logistic import (
    Fitted,
    choose_ridge,
    fit_logistic_ridge,
    folds_of,
    out_of_fold,
    platt,
    sigmoid,
)

Array = np.ndarray


@dataclass(frozen=True)
class Trained:
    encoder: Encoder
    fitted: Fitted
    shift: tuple[float, float]
    held_out: Array  # calibrated log-odds of rows outside the fit


def judge(
    rows: pd.DataFrame,
    y: Array,
    names: list[str],
    groups: Array,
    early: Array,
    late: Array | None,
    calibrate: bool,
    seed: int,
) -> tuple[Array, Array]:
    """Outcomes and probabilities of rows that the judged fit had not seen."""
    if late is None:
        return y, sigmoid(train(rows, y, names, groups, seed, calibrate).held_out)
    part = rows.iloc[early].reset_index(drop=True)
    fit = train(part, y[early], names, groups[early], seed, calibrate)
    X = fit.encoder.encode(rows.iloc[late])
    intercept, slope = fit.shift
    return y[late], sigmoid(intercept + slope * fit.fitted.linear(X))


def train(rows: pd.DataFrame, y: Array, names: list[str], groups: Array, seed: int, calibrate: bool) -> Trained:
    """Encode, choose the ridge, fit, and calibrate on out-of-fold log-odds (each fold by the others)."""
    encoder = fit_encoder(rows, names)
    X = encoder.encode(rows)
    fold = folds_of(groups, np.random.default_rng(seed))
    ridge = choose_ridge(X, y, fold)
    t = out_of_fold(X, y, fold, ridge)
    fitted = fit_logistic_ridge(X, y, ridge)
    if not calibrate:
        return Trained(encoder, fitted, (0.0, 1.0), t)
    held_out = np.empty(len(t))
    for one in np.unique(fold):
        intercept, slope = platt(t[fold != one], y[fold != one])
        held_out[fold == one] = intercept + slope * t[fold == one]
    return Trained(encoder, fitted, platt(t, y), held_out)


def base_moved(early: Array, late: Array) -> bool:
    pooled = np.r_[early, late].mean()
    error = np.sqrt(pooled * (1 - pooled) * (1 / len(early) + 1 / len(late)))
    return bool(abs(early.mean() - late.mean()) > 2.58 * error)


def follow(final: Trained, y: Array, recent: Array) -> tuple[float, float]:
    """Move the intercept until the recent rows' mean score equals their base rate."""
    intercept, slope = final.shift
    t, target, move = final.held_out[recent], float(y[recent].mean()), 0.0
    for _ in range(50):
        p = sigmoid(t + move)
        step = (target - p.mean()) / max(float((p * (1 - p)).mean()), 1e-9)
        move += float(np.clip(step, -1, 1))
        if abs(step) < 1e-10:
            break
    return intercept + move, slope


def score_metrics(y: Array, p: Array, level: float, n_train: int) -> tuple[dict[str, float], tuple[float, float]]:
    area = auc_interval(y, p, level)
    table, lift = calibration_table(y, p, level=level), lift_table(y, p)
    base, inside = float(y.mean()), np.clip(p, 1e-12, 1 - 1e-12)
    metrics = {
        "n": float(len(y)),
        "positives": float(y.sum()),
        "base_rate": base,
        "auc": area.estimate,
        "auc_low": area.low,
        "auc_high": area.high,
        "average_precision": _average_precision(y, p),
        "brier": float(table.attrs["brier"]),
        "brier_base_rate": base * (1 - base),
        "log_loss": float(-np.mean(y * np.log(inside) + (1 - y) * np.log(1 - inside))),
        "ece": float(table.attrs["ece"]),
        "top_decile_lift": float(lift["lift"].iloc[0]),
        "n_train": float(n_train),
    }
    return metrics, (area.low, area.high)


def _average_precision(y: Array, p: Array) -> float:
    """Area under the precision–recall curve, in steps; equal scores enter together."""
    order = np.argsort(-p, kind="stable")
    hits, n = np.cumsum(y[order]), np.arange(1, len(y) + 1)
    last = np.r_[np.diff(p[order]) != 0, True]
    recall = hits[last] / hits[-1]
    return float(np.sum(np.diff(np.r_[0.0, recall]) * hits[last] / n[last]))


def drift_between(rows: pd.DataFrame, y: Array, names: list[str], early: Array, late: Array | None) -> pd.DataFrame:
    if late is None:
        return pd.DataFrame(columns=DRIFT)
    frame = rows[names].assign(**{"(outcome)": y})
    return drift_table(frame.iloc[early], frame.iloc[late], [*names, "(outcome)"])


def coefficient_table(final: Trained) -> pd.DataFrame:
    fields = [part.name for part in final.encoder.fields]
    table = pd.DataFrame(
        {
            "term": final.encoder.columns,
            "field": [fields[k] for k in final.encoder.owner],
            "coefficient": final.shift[1] * final.fitted.beta[1:],
        }
    )
    return table.sort_values("coefficient", key=np.abs, ascending=False, kind="stable").reset_index(drop=True)
