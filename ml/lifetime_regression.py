"""What to fall back to when a lifetime model has no optimum: purchases regressed on past behaviour."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from ml.errors import DataError

Array = np.ndarray
TERMS = ("constant", "log(1 + x)", "log(1 + silence)", "log(1 + T)", "bought once")
RIDGE = 1e-3  # per customer-equivalent: keeps separable tables finite, moves nothing else
LIMIT = 12.0  # of the linear predictor


@dataclass(frozen=True)
class RfmRegression:
    """Poisson regression of later purchases on ``(x, t_x, T)``.

    Attributes
    ----------
    coefficients
        Term → coefficient of the log rate per unit of time.
    horizon
        What it learned to look ahead, in `unit`. Other spans are scaled in proportion, without ageing.
    customers
        How many customers it saw.
    advice
        Why it stands here instead of a lifetime model.
    """

    coefficients: dict[str, float]
    horizon: float
    customers: int
    unit: str
    advice: list[str] = field(default_factory=list)
    model: str = "RFM regression"
    converged: bool = True

    def expected(self, table: pd.DataFrame, periods: float) -> Array:
        """Expected purchases in the next `periods`."""
        design = _design(table, self.horizon)
        beta = np.array(list(self.coefficients.values()))
        return np.exp(np.clip(design @ beta, -LIMIT, LIMIT)) * periods


def fit_rfm_regression(
    table: pd.DataFrame, bought: Array, *, horizon: float, unit: str = "week", advice: list[str] | None = None
) -> RfmRegression:
    """Fit purchases made within `horizon` after the table's as-of date.

    Parameters
    ----------
    table
        SUMMARY, as of the beginning of the horizon.
    bought
        Purchases of each of its customers within the horizon.

    Raises
    ------
    DataError
        Fewer than ten customers who bought again.
    """
    again = int((bought > 0).sum())
    if again < 10:
        raise DataError(f"{again}", f"at least 10 customers who bought within the last {horizon:.3g} {unit}s")
    design = _design(table, horizon)
    beta = np.zeros(design.shape[1])
    beta[0] = np.log(bought.mean() / horizon)
    penalty = RIDGE * np.diag([0.0] + [1.0] * (design.shape[1] - 1))
    for _ in range(50):
        mean = horizon * np.exp(np.clip(design @ beta, -LIMIT, LIMIT))
        gradient = design.T @ (bought - mean) - penalty @ beta
        step = np.linalg.solve((design * mean[:, None]).T @ design + penalty, gradient)
        beta = beta + step * min(1.0, 2.0 / max(float(np.abs(step).max()), 1e-12))
        if np.abs(step).max() < 1e-9:
            break
    notes = [
        *(advice or []),
        f"Expected purchases come from a regression on past behaviour ({horizon:.3g} {unit}s ahead).",
    ]
    return RfmRegression(dict(zip(TERMS, beta.tolist(), strict=True)), horizon, len(table), unit, notes)


def _design(table: pd.DataFrame, horizon: float) -> Array:
    """Times in horizons, so that the coefficients do not depend on the unit."""
    x, t_x, T = (table[name].to_numpy(dtype=float) for name in ("x", "t_x", "T"))
    columns = [
        np.ones(len(x)),
        np.log1p(x),
        np.log1p((T - t_x) / horizon),
        np.log1p(T / horizon),
        (x == 0).astype(float),
    ]
    return np.column_stack(columns)
