"""Scores that say how far they can be trusted, and refuse when they can't.

``fit_score`` learns from snapshots (records as they were at scoring time; see ``snapshots``), is judged on the later
part, drops fields that leak the answer, and falls back to the base rate when it cannot be told from chance.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from ml.contracts import Column, Contract, instant
from ml.errors import DataError
from ml.evaluation import auc_interval, calibration_table, lift_table
from ml.kpis import wilson
from ml.lead_checks import DRIFT, drift_table, find_leaks
from ml.lead_features import Encoder, fit_encoder
from ml.lead_logistic import (
    Fitted,
    choose_ridge,
    fit_logistic_ridge,
    folds_of,
    logit,
    out_of_fold,
    platt,
    sigmoid,
)
from ml.lead_snapshots import snapshots
from ml.lead_spend import SpendModel, fit_spend

__all__ = ["ScoreModel", "fit_score", "snapshots"]

Array = np.ndarray
MIN_EACH = 30
TEST_SHARE = 0.25
TOO_GOOD = 0.97
LIMITS = (0.01, 0.99)


@dataclass(frozen=True)
class ScoreModel:
    """A score with its record.

    Attributes
    ----------
    usable
        Whether it beats the base rate. If not, ``score`` answers with the base rate.
    verdict
        One sentence about that.
    metrics
        On rows the judged model had not seen: ``n, positives, base_rate, auc, auc_low, auc_high, average_precision,
        brier, brier_base_rate, log_loss, ece, top_decile_lift``; and ``n_train``.
    calibration, lift
        `ml.evaluation.calibration_table` and `lift_table` (cumulative gain) of the same rows.
    leaks
        ``field, kind, evidence``: fields left out because they cannot have been known.
    drift
        ``field, psi, early, late, verdict`` between the earlier and the later rows; ``(outcome)`` is the base rate.
    coefficients
        ``term, field, coefficient``: log-odds per standard deviation (numbers) or against all others (words).
    dropped
        Field → why it is not used.
    base_rate, base_low, base_high
        Of the recent rows, with Wilson's interval.
    advice
        Plain sentences, the verdict first.
    """

    usable: bool
    verdict: str
    metrics: dict[str, float]
    calibration: pd.DataFrame
    lift: pd.DataFrame
    leaks: pd.DataFrame
    drift: pd.DataFrame
    coefficients: pd.DataFrame
    dropped: dict[str, str]
    base_rate: float
    base_low: float
    base_high: float
    outcome: str
    level: float
    advice: list[str] = field(default_factory=list)
    _encoder: Encoder = field(repr=False, default=Encoder((), np.zeros(0)))
    _fitted: Fitted | None = field(repr=False, default=None)
    _shift: tuple[float, float] = field(repr=False, default=(0.0, 1.0))
    _spend: SpendModel | None = field(repr=False, default=None)
    _reference: pd.DataFrame | None = field(repr=False, default=None)

    def score(self, rows: pd.DataFrame, *, top: int = 5) -> pd.DataFrame:
        """Score records as they are now.

        Parameters
        ----------
        rows
            The training fields; others are ignored, words never seen count as other.
        top
            How many contributions to list per row.

        Returns
        -------
        DataFrame
            In the order and with the index of `rows`: ``p`` (within 1–99 %), ``p_low, p_high``; with a spend model
            ``expected_spend`` (if it converts), ``expected_value`` (p × that) and ``value_low, value_high``;
            ``contributions``: a list of ``{"field", "value", "log_odds"}``, largest first, empty for the base rate.

        Raises
        ------
        DataError
            Not a table, no rows, or fields missing or unlike those in training.
        """
        if not isinstance(rows, pd.DataFrame) or rows.empty:
            raise DataError("none", "at least one row to score")
        X = self._encoder.encode(rows)
        z = float(stats.norm.ppf(0.5 + self.level / 2))
        p, low, high = self._probability(X, z)
        result = pd.DataFrame({"p": p, "p_low": low, "p_high": high}, index=rows.index)
        if self._spend is not None:
            spend, spend_low, spend_high = self._spend.expect(X, z)
            result["expected_spend"] = spend
            result["expected_value"] = p * spend
            result["value_low"], result["value_high"] = low * spend_low, high * spend_high
        return result.assign(contributions=pd.Series(self._explain(rows, X, top), index=rows.index, dtype=object))

    def contributions(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Log-odds that each field adds against an average record; a row's sum plus its base is its score's log-odds.

        ``attrs["base"]`` holds the log-odds of the average record.
        """
        return self._contributions(rows, self._encoder.encode(rows))

    def drift_of(self, rows: pd.DataFrame) -> pd.DataFrame:
        """How far new rows have moved from the training rows; columns as in ``drift``."""
        names = [part.name for part in self._encoder.fields]
        if self._reference is None or not names:
            return pd.DataFrame(columns=DRIFT)
        self._encoder.encode(rows)
        return drift_table(self._reference, rows, names)

    def _probability(self, X: Array, z: float) -> tuple[Array, Array, Array]:
        if not self.usable or self._fitted is None:
            ones = np.ones(len(X))
            return self.base_rate * ones, self.base_low * ones, self.base_high * ones
        intercept, slope = self._shift
        t = intercept + slope * self._fitted.linear(X)
        half = z * slope * self._fitted.error(X)
        return tuple(np.clip(sigmoid(part), *LIMITS) for part in (t, t - half, t + half))  # type: ignore[return-value]

    def _contributions(self, rows: pd.DataFrame, X: Array) -> pd.DataFrame:
        names = [part.name for part in self._encoder.fields]
        if not self.usable or self._fitted is None:
            result = pd.DataFrame(0.0, index=rows.index, columns=names)
            result.attrs["base"] = float(logit(np.array([self.base_rate]))[0])
            return result
        intercept, slope = self._shift
        terms = slope * X * self._fitted.beta[1:]
        summed = np.zeros((len(X), len(names)))
        for column, owner in enumerate(self._encoder.owner):
            summed[:, owner] += terms[:, column]
        result = pd.DataFrame(summed, index=rows.index, columns=names)
        result.attrs["base"] = float(intercept + slope * self._fitted.beta[0])
        return result

    def _explain(self, rows: pd.DataFrame, X: Array, top: int) -> list[list[dict[str, Any]]]:
        if not self.usable or top < 1 or not self._encoder.fields:
            return [[] for _ in range(len(rows))]
        table = self._contributions(rows, X)
        names, values = table.columns.to_numpy(), table.to_numpy()
        order = np.argsort(-np.abs(values), axis=1, kind="stable")[:, :top]
        raw = {name: rows[name].to_numpy(dtype=object) for name in names}
        return [
            [
                {"field": names[k], "value": _plain(raw[names[k]][i]), "log_odds": float(values[i, k])}
                for k in order[i]
                if values[i, k] != 0
            ]
            for i in range(len(rows))
        ]


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
    Logistic regression with a ridge chosen by cross-validation: as accurate on CRM tables as boosted trees within the
    intervals shown (Telco: AUC .845), and every score is a sum that can be shown. Intervals for p come from the
    curvature of the penalised likelihood; they cover what the model does not know, not what no model could know.
    """
    edited = dict(edited_at or {})
    rows, y, notes = _training_rows(table, outcome, at, outcome_at, edited, as_of, time_split)
    moments = rows[at] if at is not None else None
    special = {outcome, at, spend, id, outcome_at, *edited.values()}
    names = _names(rows, features, special)
    leaks = find_leaks(rows, names, y, moments, {k: rows[v] for k, v in edited.items()}, rows[outcome_at] if outcome_at else None)
    dropped = dict.fromkeys(leaks["field"].unique(), "leaks the answer")
    dates = [name for name in names if pd.api.types.is_datetime64_any_dtype(rows[name]) and name not in dropped]
    dropped |= dict.fromkeys(dates, "a date; give its age at scoring time as a number")
    names = [name for name in names if name not in dropped]
    groups = rows[id].astype(str).to_numpy() if id else np.arange(len(rows))
    early, late = _split(moments, time_split, y)
    judged_y, judged_p = _judge(rows, y, names, groups, early, late, calibrate, seed)
    metrics, interval = _metrics(judged_y, judged_p, level, len(y) - (0 if late is None else len(late)))
    final = _final(rows, y, names, groups, seed, calibrate)
    recent = late if late is not None else np.arange(len(y))
    moved = late is not None and _base_moved(y[early], y[late])
    shift = _follow(final, y, recent) if moved and calibrate else final.shift
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
        drift=_drift(rows, y, names, early, late),
        coefficients=_coefficients(final),
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


@dataclass(frozen=True)
class _Final:
    encoder: Encoder
    fitted: Fitted
    shift: tuple[float, float]
    held_out: Array  # calibrated log-odds of rows outside the fit


def _training_rows(
    table: pd.DataFrame,
    outcome: str,
    at: str | None,
    outcome_at: str | None,
    edited: dict[str, str],
    as_of: object | None,
    time_split: bool,
) -> tuple[pd.DataFrame, Array, list[str]]:
    """Checked rows with a known outcome, oldest first, the outcome as 0/1, and what to tell about the others."""
    if at is None and time_split:
        raise DataError("no column at", "the column of scoring moments for a split by time (or time_split=False)")
    columns = [Column(name, "instant", "scoring moment") for name in [at] if name]
    if isinstance(table, pd.DataFrame) and outcome not in table.columns:
        raise DataError(f"no column {outcome}", f"the outcome in a column {outcome}")
    rows = Contract("SNAPSHOTS", "one row per record at its scoring moment", tuple(columns)).check(table)
    dates = [str(name) for name in rows.columns if pd.api.types.is_datetime64_any_dtype(rows[name]) and name != at]
    for name in {outcome_at, *edited.values(), *dates} - {None}:
        rows[name] = _optional_instants(rows, str(name))
    if as_of is not None and at is None:
        raise DataError("as_of without at", "the column of scoring moments to hide later ones")
    known = rows[outcome].notna()
    if as_of is not None:
        moment = instant(as_of)  # type: ignore[arg-type]
        past = rows[at] <= moment
        if outcome_at is not None:
            known &= rows[outcome_at].isna() | (rows[outcome_at] <= moment)
        rows, known = rows[past], known[past]
    open_rows = int((~known).sum())
    rows = rows[known]
    y = _zero_one(rows[outcome], outcome)
    positives = int(y.sum())
    if min(positives, len(y) - positives) < MIN_EACH:
        raise DataError(
            f"{positives} with and {len(y) - positives} without", f"at least {MIN_EACH} rows with and without {outcome}"
        )
    if at is not None:
        order = np.argsort(rows[at].to_numpy(), kind="stable")
        rows, y = rows.iloc[order], y[order]
    notes = [f"{open_rows:,} rows without an outcome yet were left out of the training."] if open_rows else []
    return rows.reset_index(drop=True), y, notes


def _optional_instants(rows: pd.DataFrame, name: str) -> pd.Series:
    if name not in rows.columns:
        raise DataError(f"no column {name}", f"the moments in a column {name}")
    known = rows[name].notna()
    contract = Contract("SNAPSHOTS", "", (Column(name, "instant", ""),))
    result = pd.Series(pd.NaT, index=rows.index, dtype="datetime64[us, UTC]")
    if known.any():
        result[known] = contract.check(rows.loc[known, [name]])[name].to_numpy()
    return result


def _zero_one(values: pd.Series, name: str) -> Array:
    numbers = pd.to_numeric(values, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    if not np.isin(numbers, (0.0, 1.0)).all():
        odd = values[~np.isin(numbers, (0.0, 1.0))].iloc[0]
        raise DataError(f"{odd!r} in {name}", f"0 or 1 (or True and False) in {name}")
    return numbers


def _names(rows: pd.DataFrame, features: list[str] | None, special: set[str | None]) -> list[str]:
    if features is None:
        return [str(name) for name in rows.columns if name not in special]
    missing = [name for name in features if name not in rows.columns]
    if missing:
        raise DataError(f"no {', '.join(missing)}", "every field named in features")
    return [name for name in features if name not in special]


def _split(moments: pd.Series | None, time_split: bool, y: Array) -> tuple[Array, Array | None]:
    """Earlier and later rows; rows of one moment stay on one side."""
    everything = np.arange(len(y))
    if not time_split or moments is None:
        return everything, None
    cut = moments.iloc[int(len(y) * (1 - TEST_SHARE))]
    late = (moments >= cut).to_numpy()
    if late.all() or not late.any():
        raise DataError("one scoring moment", "scoring moments on different days to split by time (or time_split=False)")
    early, later = everything[~late], everything[late]
    for part, when in ((early, "earlier"), (later, "later")):
        positives = int(y[part].sum())
        if min(positives, len(part) - positives) < 5:
            found = f"{positives} with and {len(part) - positives} without among the {when} rows"
            raise DataError(found, "at least 5 rows of both outcomes before and after the split (or time_split=False)")
    return early, later


def _judge(
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
        return y, sigmoid(_final(rows, y, names, groups, seed, calibrate).held_out)
    part = rows.iloc[early].reset_index(drop=True)
    fit = _final(part, y[early], names, groups[early], seed, calibrate)
    X = fit.encoder.encode(rows.iloc[late])
    intercept, slope = fit.shift
    return y[late], sigmoid(intercept + slope * fit.fitted.linear(X))


def _final(rows: pd.DataFrame, y: Array, names: list[str], groups: Array, seed: int, calibrate: bool) -> _Final:
    """Encode, choose the ridge, fit, and calibrate on out-of-fold log-odds (each fold by the others)."""
    encoder = fit_encoder(rows, names)
    X = encoder.encode(rows)
    fold = folds_of(groups, np.random.default_rng(seed))
    ridge = choose_ridge(X, y, fold)
    t = out_of_fold(X, y, fold, ridge)
    fitted = fit_logistic_ridge(X, y, ridge)
    if not calibrate:
        return _Final(encoder, fitted, (0.0, 1.0), t)
    held_out = np.empty(len(t))
    for one in np.unique(fold):
        intercept, slope = platt(t[fold != one], y[fold != one])
        held_out[fold == one] = intercept + slope * t[fold == one]
    return _Final(encoder, fitted, platt(t, y), held_out)


def _base_moved(early: Array, late: Array) -> bool:
    pooled = np.r_[early, late].mean()
    error = np.sqrt(pooled * (1 - pooled) * (1 / len(early) + 1 / len(late)))
    return bool(abs(early.mean() - late.mean()) > 2.58 * error)


def _follow(final: _Final, y: Array, recent: Array) -> tuple[float, float]:
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


def _metrics(y: Array, p: Array, level: float, n_train: int) -> tuple[dict[str, float], tuple[float, float]]:
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


def _drift(rows: pd.DataFrame, y: Array, names: list[str], early: Array, late: Array | None) -> pd.DataFrame:
    if late is None:
        return pd.DataFrame(columns=DRIFT)
    frame = rows[names].assign(**{"(outcome)": y})
    return drift_table(frame.iloc[early], frame.iloc[late], [*names, "(outcome)"])


def _coefficients(final: _Final) -> pd.DataFrame:
    fields = [part.name for part in final.encoder.fields]
    table = pd.DataFrame(
        {
            "term": final.encoder.columns,
            "field": [fields[k] for k in final.encoder.owner],
            "coefficient": final.shift[1] * final.fitted.beta[1:],
        }
    )
    return table.sort_values("coefficient", key=np.abs, ascending=False, kind="stable").reset_index(drop=True)


def _spend_model(rows: pd.DataFrame, y: Array, spend: str | None, final: _Final, groups: Array, seed: int) -> SpendModel | None:
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


def _plain(value: Any) -> Any:
    """A value that JSON can hold."""
    if value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and np.isnan(value)):
        return None
    return value.item() if isinstance(value, np.generic) else value
