"""The score itself: what it says about a record, why, and how sure it is."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from ml.errors import DataError
from ml.lead_checks import DRIFT, drift_table
from ml.lead_features import Encoder
from ml.lead_logistic import Fitted, logit, sigmoid
from ml.lead_spend import SpendModel

Array = np.ndarray
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
            In the order and with the index of `rows`: ``p`` (within 1–99%), ``p_low, p_high``; with a spend model
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


def _plain(value: Any) -> Any:
    """A value that JSON can hold."""
    if value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and np.isnan(value)):
        return None
    return value.item() if isinstance(value, np.generic) else value
