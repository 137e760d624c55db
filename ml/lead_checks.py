"""What makes a score look better than it is: fields that know the answer, and a world that has moved."""

import numpy as np
import pandas as pd

from ml.lead_features import as_numbers, as_words, is_number

Array = np.ndarray
LEAK_AUC = 0.9
LEAKS = ["field", "kind", "evidence"]
DRIFT = ["field", "psi", "early", "late", "verdict"]


def find_leaks(
    rows: pd.DataFrame,
    names: list[str],
    outcome: Array,
    at: pd.Series | None,
    edited_at: dict[str, pd.Series],
    outcome_at: pd.Series | None,
) -> pd.DataFrame:
    """Fields that cannot have been known at scoring time.

    Returns
    -------
    DataFrame
        ``field, kind, evidence``; kinds: ``knows the answer`` (alone it separates the outcomes with an AUC above .9),
        ``filled for one outcome only``, ``edited after the outcome``, ``lies after the scoring moment``, ``measures the
        time until the outcome``.
    """
    found = []
    for name in names:
        values = rows[name]
        if pd.api.types.is_datetime64_any_dtype(values):
            found.extend(_after_scoring(name, values, at))
        found.extend(_one_sided(name, values.notna().to_numpy(), outcome))
        auc = field_auc(values, outcome)
        if auc > LEAK_AUC:
            found.append((name, "knows the answer", f"on its own it separates the outcomes with an AUC of {auc:.3f}"))
        if at is not None and outcome_at is not None and is_number(values):
            found.extend(_is_the_wait(name, values, at, outcome_at))
        if name in edited_at and outcome_at is not None:
            found.extend(_edited_late(name, edited_at[name], outcome_at))
    return pd.DataFrame(found, columns=LEAKS)


def field_auc(values: pd.Series, outcome: Array) -> float:
    """How well one field alone separates the outcomes, in either direction, however bent the relation.

    Every value is replaced by the outcome's mean among *other* rows of its kind (words) or its twentieth (numbers), by
    five folds, so that a field of unique words does not look like a prophet.
    """
    if pd.api.types.is_datetime64_any_dtype(values):
        values = values.astype("int64").where(values.notna())
    if is_number(values):
        numbers = as_numbers(values)
        known = numbers[~np.isnan(numbers)]
        edges = np.unique(np.quantile(known, np.linspace(0, 1, 21)[1:-1])) if len(known) else np.zeros(0)
        code = np.where(np.isnan(numbers), -1, np.searchsorted(edges, numbers, side="left"))
    else:
        code = pd.factorize(as_words(values))[0]
    _, code = np.unique(code, return_inverse=True)
    fold = _spread_folds(outcome)
    base, size = outcome.mean(), code.max() + 1
    guess = np.empty(len(outcome))
    for one in range(5):
        held = fold == one
        n = np.bincount(code[~held], minlength=size)
        hits = np.bincount(code[~held], weights=outcome[~held], minlength=size)
        guess[held] = ((hits + base) / (n + 1))[code[held]]
    return _auc(outcome, guess)


def _spread_folds(outcome: Array) -> Array:
    """Every fifth of each outcome: the same split for the same rows, without a seed."""
    fold = np.empty(len(outcome), int)
    for value in (0, 1):
        rows = np.flatnonzero(outcome == value)
        fold[rows] = np.arange(len(rows)) % 5
    return fold


def _auc(outcome: Array, guess: Array) -> float:
    ranks = pd.Series(guess).rank().to_numpy()
    positive = outcome == 1
    m, n = int(positive.sum()), int((~positive).sum())
    return float((ranks[positive].sum() - m * (m + 1) / 2) / (m * n))


def _one_sided(name: str, filled: Array, outcome: Array) -> list[tuple[str, str, str]]:
    share = [float(filled[outcome == value].mean()) for value in (0, 1)]
    low, high = min(share), max(share)
    expected = filled.mean() * min((outcome == 0).sum(), (outcome == 1).sum())
    if low > 0.01 or high < 0.05 or expected < 5:
        return []
    return [(name, "filled for one outcome only", f"filled in {share[1]:.0%} of the positive, {share[0]:.0%} of the rest")]


def _edited_late(name: str, edited: pd.Series, outcome_at: pd.Series) -> list[tuple[str, str, str]]:
    late = float((edited > outcome_at).mean())
    if late <= 0.01:
        return []
    return [(name, "edited after the outcome", f"{late:.0%} of the rows were changed after the outcome was known")]


def _after_scoring(name: str, values: pd.Series, at: pd.Series | None) -> list[tuple[str, str, str]]:
    if at is None:
        return []
    late = float((values > at).mean())
    return [(name, "lies after the scoring moment", f"in {late:.0%} of the rows")] if late > 0.01 else []


def _is_the_wait(name: str, values: pd.Series, at: pd.Series, outcome_at: pd.Series) -> list[tuple[str, str, str]]:
    """Days open, age at closing and their like: harmless to look at, unknowable beforehand."""
    wait, numbers = (outcome_at - at).dt.total_seconds().to_numpy(dtype=float), as_numbers(values)
    both = ~np.isnan(wait) & ~np.isnan(numbers)
    if both.sum() < 10 or np.ptp(wait[both]) == 0 or np.ptp(numbers[both]) == 0:
        return []
    together = float(np.corrcoef(wait[both], numbers[both])[0, 1])
    if abs(together) < 0.99:
        return []
    return [(name, "measures the time until the outcome", f"correlation {together:.3f} with it")]


def drift_table(early: pd.DataFrame, late: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """How far each field has moved between two sets of rows.

    Returns
    -------
    DataFrame
        ``field, psi, early, late, verdict``, largest first. `psi`: population stability index less what chance alone
        gives, never below 0. `early`, `late`: the mean, or the share of the early rows' most frequent word. Verdicts:
        ``stable`` (below .1), ``moved``, ``drifted`` (from .25).
    """
    rows = [_drift(name, early[name], late[name]) for name in names]
    table = pd.DataFrame(rows, columns=DRIFT)
    return table.sort_values("psi", ascending=False, kind="stable").reset_index(drop=True)


def _drift(name: str, early: pd.Series, late: pd.Series) -> tuple[str, float, float, float, str]:
    if is_number(early):
        a, b = as_numbers(early), as_numbers(late)
        known = a[~np.isnan(a)]
        edges = np.unique(np.quantile(known, np.linspace(0, 1, 11)[1:-1])) if len(known) else np.zeros(0)
        codes = [np.where(np.isnan(v), len(edges) + 1, np.searchsorted(edges, v, side="left")) for v in (a, b)]
        before, after = (float(np.nanmean(v)) if (~np.isnan(v)).any() else 0.0 for v in (a, b))
    else:
        words, other = as_words(early), as_words(late)
        top = words.value_counts().index[:20]
        codes = [np.where((at := top.get_indexer(pd.Index(v))) < 0, len(top), at) for v in (words, other)]
        before, after = (float((v == top[0]).mean()) for v in (words, other))
    psi = _psi(*codes)
    return name, psi, before, after, "stable" if psi < 0.1 else "moved" if psi < 0.25 else "drifted"


def _psi(a: Array, b: Array) -> float:
    size = int(max(a.max(), b.max())) + 1
    p = (np.bincount(a, minlength=size) + 0.5) / (len(a) + 0.5 * size)
    q = (np.bincount(b, minlength=size) + 0.5) / (len(b) + 0.5 * size)
    used = int(((p * len(a) > 1) | (q * len(b) > 1)).sum())
    by_chance = max(used - 1, 0) * (1 / len(a) + 1 / len(b))
    return max(0.0, float(((p - q) * np.log(p / q)).sum()) - by_chance)
