"""Linear and logistic regression that says how far each coefficient can be trusted, in numbers and in sentences.

Fitted by statsmodels on centred and scaled columns (QR, no penalty) and reported in the units given. Money has uneven
spread, so the linear standard errors are robust (HC3) by default. A coefficient is an association with the other columns
held fixed: on the Default data, students default more often (+.405 alone) and yet less often than others with the same
balance (−.647). `Regression.warnings` names such flips.
"""

from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy import stats

from ml import regression_logit as logit
from ml.contracts import finite
from ml.errors import DataError
from ml.evaluation import auc_interval
from ml.regression_design import Design, Prepared, condition, inflation, prepare
from ml.regression_words import linear_sentence, logistic_sentence, warn

CAUTION = (
    "These are associations: they say what goes together in these rows, the other columns held fixed, not what would "
    "happen if somebody changed a column."
)
FOLDS = 5


@dataclass(frozen=True)
class Regression:
    """A fitted regression.

    Attributes
    ----------
    kind
        ``linear`` or ``logistic``.
    y
        The outcome; for logistic fits ``positive`` names the value whose odds are modelled.
    coefficients
        ``term, coef, se, low, high, p, vif`` and ``alone, alone_low, alone_high`` (the coefficient when the term's
        column is the only one; missing for the intercept and interactions); logistic fits add ``odds_ratio, odds_low,
        odds_high``.
    statistics
        ``n, condition``; linear: ``r2, adjusted_r2, rse, f, f_p, loglik, aic, bic, loo_rmse`` (leave-one-out, exact)
        and ``loo_r2``; logistic: ``loglik, null_loglik, mcfadden_r2, lr_p, aic, bic, base_rate, cv_auc`` with ``cv_auc_low``
        and ``cv_auc_high``, ``cv_brier`` and ``base_brier`` (five folds).
    warnings, sentences
        For people: what to beware of; one sentence per coefficient.
    rows
        Per row fitted (index as given): ``fitted, residual, leverage, cooks_distance``; for logistic fits the residual
        is Pearson's.
    """

    kind: Literal["linear", "logistic"]
    y: str
    coefficients: pd.DataFrame
    statistics: dict[str, float]
    warnings: list[str]
    sentences: list[str]
    rows: pd.DataFrame
    level: float
    robust: bool
    positive: str | None = None
    caution: str = CAUTION
    _design: Design | None = field(default=None, repr=False)
    _covariance: np.ndarray | None = field(default=None, repr=False)

    @property
    def spread(self) -> pd.Series:
        """Per term: the standard deviation of its column over the rows fitted; 1 for categories and the intercept."""
        if "spread" in self.coefficients:  # a fit rebuilt from its tables
            return self.coefficients.set_index("term")["spread"]
        if self._design is None:
            return pd.Series(1.0, index=self.coefficients["term"])
        numeric = [
            all(not self._design.variables[part.partition(" = ")[0]].levels for part in term.split(" : "))
            if term != "intercept"
            else False
            for term in self._design.names
        ]
        return pd.Series(np.where(numeric, self._design.scale, 1.0), index=self._design.names)

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Expected outcome (or probability) of new rows.

        Returns
        -------
        DataFrame
            ``mean, low, high``, index as given: the interval of the *mean* of such rows, at the fit's level.

        Raises
        ------
        DataError
            A column is missing, holds a hole or a category that was not there when fitted.
        """
        if self._design is None or self._covariance is None:
            raise DataError("a fit without its design", "a fit made in this process")
        missing = [name for name in self._design.variables if name not in frame.columns]
        if missing:
            raise DataError(f"no {', '.join(missing)}", "the columns the model was fitted on")
        matrix = self._design.scaled(self._design.matrix(frame))
        solved = np.linalg.solve(self._design.back, self.coefficients["coef"].to_numpy())
        centre = matrix @ solved
        error = np.sqrt(np.einsum("ij,jk,ik->i", matrix, self._covariance, matrix))
        half = _quantile(self.kind, self.level, self.statistics["n"] - matrix.shape[1]) * error
        parts = [centre, centre - half, centre + half]
        if self.kind == "logistic":
            parts = [logit.probability(part) for part in parts]
        return pd.DataFrame(dict(zip(("mean", "low", "high"), parts, strict=True)), index=frame.index)


def fit_linear(frame: pd.DataFrame, *, y: str, x: list[str], robust: bool = True, level: float = 0.95) -> Regression:
    """Ordinary least squares.

    Parameters
    ----------
    frame
        One row per case; rows with a missing value among the columns used are left out, and a warning says how many.
    y
        The outcome, numeric.
    x
        Columns: numbers as they are; text, booleans and categories as one column per level but the first (by name, or
        in the order of the categories). ``"a:b"`` is the interaction of a and b.
    robust
        HC3 standard errors (MacKinnon & White 1985); False gives the classical ones.
    level
        Confidence level of the intervals.

    Raises
    ------
    DataError
        A column is missing, constant (all of them), a date, infinite, determined by the others, or has too many
        categories; the outcome never changes; or there are no more rows than coefficients.

    Source: statsmodels OLS; leave-one-out error by the PRESS identity (Allen 1974).
    """
    import statsmodels.api as sm  # 6 s cold: only who fits pays

    _check_level(level)
    ready = prepare(frame, y, x)
    outcome = _numeric_outcome(ready.frame[y])
    scaled = ready.design.scaled(ready.matrix)
    model = sm.OLS(outcome, scaled)
    plain = model.fit(method="qr")
    q, _ = np.linalg.qr(scaled)
    leverage = np.minimum((q**2).sum(axis=1), 1.0)
    pinned = leverage > 1 - 1e-10
    steady = robust and not pinned.any() and plain.ssr > 0
    result = model.fit(method="qr", cov_type="HC3", use_t=True) if steady else plain
    residual = np.asarray(plain.resid)
    statistics = _linear_statistics(plain, outcome, leverage, scaled)
    warnings = list(ready.warnings)
    if robust and not steady:
        warnings.append("Classical standard errors: a row that alone holds a category, or a perfect fit, leaves no robust ones.")
    table = _coefficients(ready, result, scaled, "linear", level)
    table = _alone(ready, table, partial(_alone_linear, outcome=outcome), _quantile("linear", level, plain.df_resid))
    cooks = _cooks(residual, leverage, float(plain.mse_resid), scaled.shape[1])
    rows = pd.DataFrame(
        {"fitted": plain.fittedvalues, "residual": residual, "leverage": leverage, "cooks_distance": cooks},
        index=ready.frame.index,
    )
    warnings += warn(table, statistics, "linear", rows, len(outcome))
    sentences = [linear_sentence(row, y, ready.design) for row in table.to_dict("records")]
    covariance = np.asarray(result.cov_params())
    return Regression(
        "linear", y, table, statistics, warnings, sentences, rows, level, steady, None, CAUTION, ready.design, covariance
    )


def fit_logistic(frame: pd.DataFrame, *, y: str, x: list[str], level: float = 0.95, positive: object = None) -> Regression:
    """Logistic regression for an outcome with two values.

    Parameters
    ----------
    frame, x, level
        As for `fit_linear`.
    y
        The outcome: booleans, 0/1, or two labels.
    positive
        The value whose odds are modelled; default: True, 1, or the later label by name (``Yes`` after ``No``).

    Raises
    ------
    DataError
        As for `fit_linear`; or the outcome has not exactly two values, or some columns separate them without exception
        (no finite coefficient is then the best).

    Source: statsmodels Logit (Newton); separation by linear programming (Konis 2007).
    """
    _check_level(level)
    ready = prepare(frame, y, x)
    outcome, label = _binary_outcome(ready.frame[y], positive)
    scaled = ready.design.scaled(ready.matrix)
    result = logit.fit(scaled, outcome, list(ready.design.names))
    p = logit.probability(scaled @ np.asarray(result.params))
    statistics = _logistic_statistics(result, scaled, outcome)
    table = _coefficients(ready, result, scaled, "logistic", level)
    table = _alone(ready, table, partial(_alone_logistic, outcome=outcome), _quantile("logistic", level, 1))
    for name, source in (("odds_ratio", "coef"), ("odds_low", "low"), ("odds_high", "high")):
        table[name] = np.exp(np.clip(table[source], -700, 700))
    spread = np.maximum(p * (1 - p), 1e-12)
    q, _ = np.linalg.qr(scaled * np.sqrt(spread)[:, None])
    leverage = np.minimum((q**2).sum(axis=1), 1.0)
    residual = (outcome - p) / np.sqrt(spread)
    rows = pd.DataFrame(
        {
            "fitted": p,
            "residual": residual,
            "leverage": leverage,
            "cooks_distance": _cooks(residual, leverage, 1.0, scaled.shape[1]),
        },
        index=ready.frame.index,
    )
    events = int(min(outcome.sum(), len(outcome) - outcome.sum()))
    warnings = [*ready.warnings, *warn(table, statistics, "logistic", rows, events)]
    sentences = [logistic_sentence(row, y, label, ready.design) for row in table.to_dict("records")]
    covariance = np.asarray(result.cov_params())
    return Regression(
        "logistic", y, table, statistics, warnings, sentences, rows, level, False, label, CAUTION, ready.design, covariance
    )


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise DataError(f"level {level!r}", "a confidence level between 0 and 1")


def _numeric_outcome(values: pd.Series) -> np.ndarray:
    outcome = finite(values, str(values.name))
    if np.ptp(outcome) == 0:
        raise DataError(f"{values.name} = {outcome[0]:g} in every row", "an outcome that changes")
    return outcome


def _binary_outcome(values: pd.Series, positive: object) -> tuple[np.ndarray, str]:
    labels = sorted(values.unique().tolist(), key=str)
    if len(labels) != 2:
        shown = ", ".join(map(str, labels[:5]))
        raise DataError(f"{len(labels):,} different values in {values.name} ({shown})", "an outcome with exactly two")
    chosen = labels[1] if positive is None else positive
    if chosen not in labels:
        raise DataError(f"positive = {positive!r}", f"one of {labels[0]!r} and {labels[1]!r}")
    return (values == chosen).to_numpy(dtype=float), str(chosen)


def _coefficients(ready: Prepared, result: Any, scaled: np.ndarray, kind: str, level: float) -> pd.DataFrame:
    back = ready.design.back
    coef = back @ np.asarray(result.params)
    error = np.sqrt(np.diag(back @ np.asarray(result.cov_params()) @ back.T))
    freedom = len(scaled) - scaled.shape[1]
    half = _quantile(kind, level, freedom) * error
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(error > 0, np.abs(coef) / np.where(error > 0, error, 1), np.inf)
    p = 2 * (stats.t.sf(ratio, freedom) if kind == "linear" else stats.norm.sf(ratio))
    return pd.DataFrame(
        {
            "term": ready.design.names,
            "coef": coef,
            "se": error,
            "low": coef - half,
            "high": coef + half,
            "p": p,
            "vif": np.concatenate([[np.nan], inflation(scaled)]),
        }
    )


def _quantile(kind: str, level: float, freedom: float) -> float:
    share = 0.5 + level / 2
    return float(stats.t.ppf(share, freedom) if kind == "linear" else stats.norm.ppf(share))


def _linear_statistics(plain: Any, outcome: np.ndarray, leverage: np.ndarray, scaled: np.ndarray) -> dict[str, float]:
    left_out = np.asarray(plain.resid) / np.maximum(1 - leverage, 1e-10)
    total = float(((outcome - outcome.mean()) ** 2).sum())
    n = len(outcome)
    # leaving a row out moves the mean too: the fair baseline misses by n/(n−1) of the deviation
    baseline = total * (n / (n - 1)) ** 2
    return {
        "n": float(n),
        "r2": float(plain.rsquared),
        "adjusted_r2": float(plain.rsquared_adj),
        "rse": float(np.sqrt(plain.mse_resid)),
        "f": float(plain.fvalue),
        "f_p": float(plain.f_pvalue),
        "loglik": float(plain.llf),
        "aic": float(plain.aic),
        "bic": float(plain.bic),
        "loo_rmse": float(np.sqrt(np.mean(left_out**2))),
        "loo_r2": float(1 - (left_out**2).sum() / baseline),
        "condition": condition(scaled),
    }


def _logistic_statistics(result: Any, scaled: np.ndarray, outcome: np.ndarray) -> dict[str, float]:
    base = float(outcome.mean())
    p = _out_of_fold(scaled, outcome)
    auc = auc_interval(outcome, p)
    return {
        "n": float(len(outcome)),
        "loglik": float(result.llf),
        "null_loglik": float(result.llnull),
        "mcfadden_r2": float(1 - result.llf / result.llnull),
        "lr_p": float(result.llr_pvalue),
        "aic": float(result.aic),
        "bic": float(result.bic),
        "base_rate": base,
        "cv_auc": auc.estimate,
        "cv_auc_low": auc.low,
        "cv_auc_high": auc.high,
        "cv_brier": float(np.mean((p - outcome) ** 2)),
        "base_brier": base * (1 - base),
        "condition": condition(scaled),
    }


def _out_of_fold(scaled: np.ndarray, outcome: np.ndarray) -> np.ndarray:
    """Probabilities from fits without the row; folds hold both outcomes evenly and do not depend on the row order."""
    key = np.lexsort((*scaled.T[::-1], outcome))
    fold = np.empty(len(outcome), dtype=np.int64)
    fold[key] = np.arange(len(outcome)) % FOLDS
    p = np.empty(len(outcome))
    for number in range(FOLDS):
        test = fold == number
        beta, _, _ = logit.newton(scaled[~test], outcome[~test])
        p[test] = logit.probability(scaled[test] @ beta)
    return p


def _alone(ready: Prepared, table: pd.DataFrame, fit: Any, quantile: float) -> pd.DataFrame:
    """Coefficient and interval of each term when its own column is the only one."""
    found: dict[str, tuple[float, float]] = {}
    for name, variable in ready.design.variables.items():
        if (name,) not in ready.design.terms:
            continue
        labels, block = variable.columns(ready.frame[name])
        keep = [i for i, label in enumerate(labels) if label in ready.design.names]
        if not keep:
            continue
        centre, scale = block[:, keep].mean(axis=0), block[:, keep].std(axis=0)
        coef, error = fit(np.column_stack([np.ones(len(block)), (block[:, keep] - centre) / scale]))
        for i, place in enumerate(keep):
            found[labels[place]] = (coef[i] / scale[i], error[i] / scale[i])
    pairs = np.array([found.get(term, (np.nan, np.nan)) for term in table["term"]])
    half = quantile * pairs[:, 1]
    return table.assign(alone=pairs[:, 0], alone_low=pairs[:, 0] - half, alone_high=pairs[:, 0] + half)


def _alone_linear(matrix: np.ndarray, outcome: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    coef, _, _, _ = np.linalg.lstsq(matrix, outcome, rcond=None)
    residual = outcome - matrix @ coef
    freedom = max(1, len(outcome) - matrix.shape[1])
    covariance = np.linalg.pinv(matrix.T @ matrix) * (residual @ residual) / freedom
    return coef[1:], np.sqrt(np.diag(covariance))[1:]


def _alone_logistic(matrix: np.ndarray, outcome: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    coef, covariance, settled = logit.newton(matrix, outcome)
    missing = np.full(matrix.shape[1] - 1, np.nan)
    return (coef[1:], np.sqrt(np.diag(covariance))[1:]) if settled else (missing, missing)


def _cooks(residual: np.ndarray, leverage: np.ndarray, variance: float, columns: int) -> np.ndarray:
    """Cook's distance; 0 where the row fits exactly."""
    free = np.maximum(1 - leverage, 1e-10)
    return residual**2 * leverage / (columns * max(variance, 1e-300) * free**2)
