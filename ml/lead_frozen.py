"""A score as plain JSON: what was learned, nothing of those it was learned from, and back again without any pickle.

A frozen score scores and explains records exactly as the model did. Its drift can't be measured any more: the training rows stay behind.
"""

from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from ml.errors import DataError
from ml.lead_features import Categorical, Encoder, Numeric
from ml.lead_logistic import Fitted
from ml.lead_model import ScoreModel
from ml.lead_spend import SpendModel

FORMAT = 1


def freeze(model: ScoreModel) -> dict[str, Any]:
    """Everything that scoring needs, as JSON values."""
    return {
        "format": FORMAT,
        "usable": model.usable,
        "verdict": model.verdict,
        "metrics": {key: float(value) for key, value in model.metrics.items()},
        "base": [model.base_rate, model.base_low, model.base_high],
        "outcome": model.outcome,
        "level": model.level,
        "fields": [{"words": isinstance(part, Categorical), **asdict(part)} for part in model._encoder.fields],
        "means": model._encoder.means.tolist(),
        "fitted": _freeze_fitted(model._fitted),
        "shift": [float(part) for part in model._shift],
        "spend": _freeze_spend(model._spend),
    }


def thaw(stored: dict[str, Any], **tables: pd.DataFrame) -> ScoreModel:
    """The score again. ``tables``: any of ``calibration, lift, leaks, drift, coefficients``, where they were kept.

    Raises
    ------
    DataError
        Not a frozen score, or one of another format.
    """
    if stored.get("format") != FORMAT:
        raise DataError(f"format {stored.get('format')!r}", f"a frozen score of format {FORMAT}")
    parts = [dict(part) for part in stored["fields"]]
    fields = tuple(Categorical(part["name"], tuple(part["levels"])) if part.pop("words") else Numeric(**part) for part in parts)
    base_rate, base_low, base_high = stored["base"]
    intercept, slope = stored["shift"]
    evidence: dict[str, Any] = {
        name: tables.get(name, pd.DataFrame()) for name in ("calibration", "lift", "leaks", "drift", "coefficients")
    }
    return ScoreModel(
        usable=stored["usable"],
        verdict=stored["verdict"],
        metrics=stored["metrics"],
        **evidence,
        dropped={},
        base_rate=base_rate,
        base_low=base_low,
        base_high=base_high,
        outcome=stored["outcome"],
        level=stored["level"],
        _encoder=Encoder(fields, np.array(stored["means"], dtype=float)),
        _fitted=_thaw_fitted(stored["fitted"]),
        _shift=(intercept, slope),
        _spend=_thaw_spend(stored["spend"]),
    )


def fields_of(stored: dict[str, Any]) -> list[str]:
    """Names of the fields that a frozen score reads."""
    return [part["name"] for part in stored["fields"]]


def _freeze_fitted(fitted: Fitted | None) -> dict[str, Any] | None:
    if fitted is None:
        return None
    return {"beta": fitted.beta.tolist(), "covariance": fitted.covariance.tolist(), "ridge": fitted.ridge}


def _thaw_fitted(stored: dict[str, Any] | None) -> Fitted | None:
    return None if stored is None else Fitted(np.array(stored["beta"]), np.array(stored["covariance"]), stored["ridge"])


def _freeze_spend(spend: SpendModel | None) -> dict[str, Any] | None:
    if spend is None:
        return None
    numbers = {name: getattr(spend, name) for name in ("smear", "mean", "error", "r2", "customers")}
    return {"fitted": _freeze_fitted(spend.fitted), **numbers}


def _thaw_spend(stored: dict[str, Any] | None) -> SpendModel | None:
    return None if stored is None else SpendModel(**{**stored, "fitted": _thaw_fitted(stored["fitted"])})
