"""Who of the contract customers will leave, why, and what that puts at stake.

``fit_churn`` is a `ml.lead_score.ScoreModel` with a survival curve beside it. For customers without a contract, who never
say goodbye, use ``ml.lifetime.probability_purchase`` and ``cohort_retention``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

import numpy as np
import pandas as pd

from ml.contracts import finite
from ml.errors import DataError
from ml.lead_features import as_words
from ml.lead_rows import training_rows
from ml.lead_score import ScoreModel, fit_score
from ml.survival import LogRank, cohort_retention, kaplan_meier, log_rank, median_survival, spells

__all__ = [
    "ChurnModel",
    "LogRank",
    "cohort_retention",
    "fit_churn",
    "kaplan_meier",
    "log_rank",
    "median_survival",
    "spells",
]


@dataclass(frozen=True)
class ChurnModel(ScoreModel):
    """A churn score; everything of `ScoreModel`, and:

    Attributes
    ----------
    survival
        `kaplan_meier` by tenure (with ``group`` if asked for): ages in the unit of the tenure column; empty without
        one.
    groups_differ
        Log-rank test between the groups, or None.
    """

    survival: pd.DataFrame = field(default_factory=pd.DataFrame)
    groups_differ: LogRank | None = None

    def at_stake(self, rows: pd.DataFrame, value: str, *, top: int = 5) -> pd.DataFrame:
        """Scores with the value that the customer takes along.

        Parameters
        ----------
        rows
            Customers as they are now.
        value
            Column with what each is worth over the period of interest, for example a year's fees.

        Returns
        -------
        DataFrame
            As ``score``, plus ``value_at_stake, stake_low, stake_high`` (p × value and its limits), largest first.
        """
        if value not in rows.columns:
            raise DataError(f"no column {value}", f"what each customer is worth in a column {value}")
        worth = finite(rows[value], value)
        scored = self.score(rows, top=top)
        for name, p in (("value_at_stake", "p"), ("stake_low", "p_low"), ("stake_high", "p_high")):
            scored[name] = scored[p].to_numpy() * worth
        return scored.sort_values("value_at_stake", ascending=False, kind="stable")


def fit_churn(
    table: pd.DataFrame,
    *,
    outcome: str,
    at: str | None = None,
    tenure: str | None = None,
    group: str | None = None,
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
) -> ChurnModel:
    """Fit and judge a churn score for contract customers.

    Parameters
    ----------
    table
        Snapshots: one row per customer as they were at the moment in column `at`.
    outcome
        Column of 0/1: has left within the period of interest after `at`.
    at, time_split
        Without a column of moments only cross-validation is left: pass ``time_split=False`` and expect less.
    tenure
        Column with the age of the contract at the outcome or the end of observation; gives the survival curve. It stays
        a feature of the score.
    group
        Column whose values get a survival curve each.
    spend, calibrate, seed, id, features, outcome_at, edited_at, as_of, level
        As in `ml.lead_score.fit_score`.

    Raises
    ------
    DataError
        As `fit_score`; or a tenure below 0.
    """
    score = fit_score(
        table,
        outcome=outcome,
        at=at,
        spend=spend,
        time_split=time_split,
        calibrate=calibrate,
        seed=seed,
        id=id,
        features=features,
        outcome_at=outcome_at,
        edited_at=edited_at,
        as_of=as_of,
        level=level,
    )
    rows, _, _ = training_rows(table, outcome, at, outcome_at, dict(edited_at or {}), as_of, time_split)
    curve, differ = _survival(rows, outcome, tenure, group, level)
    inherited = {entry.name: getattr(score, entry.name) for entry in fields(ScoreModel)}
    model = ChurnModel(**inherited, survival=curve, groups_differ=differ)
    if score.usable:
        model.advice.append("The score says who is likely to leave, not who would stay if called: test that on a hold-out.")
    return model


def _survival(
    table: pd.DataFrame, outcome: str, tenure: str | None, group: str | None, level: float
) -> tuple[pd.DataFrame, LogRank | None]:
    missing = [name for name in (tenure, group) if name is not None and name not in table.columns]
    if missing:
        raise DataError(f"no {', '.join(missing)}", f"the columns {', '.join(missing)}")
    if tenure is None:
        return pd.DataFrame(), None
    groups = None if group is None else as_words(table[group]).to_numpy()
    ages, ended = table[tenure], pd.to_numeric(table[outcome])
    curve = kaplan_meier(ages, ended, groups=groups, level=level)
    several = groups is not None and len(np.unique(groups)) > 1
    return curve, log_rank(ages, ended, groups) if several else None
