"""What sets a group of customers apart: effects with intervals, for what was used and for what was held out."""

import numpy as np
import pandas as pd
from scipy import stats

from ml.encoding import as_levels, as_numbers, differs, is_number, log_helps
from ml.kpis import wilson

MIN_EFFECT = 0.2  # a small effect after Cohen; below it a significant difference is of no use
MAX_LEVELS = 20
YES = ("1", "yes", "true")


def traits(customers: pd.DataFrame, labels: np.ndarray, *, level: float = 0.95) -> pd.DataFrame:
    """Effects of belonging to each segment, strongest first within a segment.

    Parameters
    ----------
    customers
        Attributes; dates are skipped.
    labels
        One per row.

    Returns
    -------
    DataFrame
        ``segment, attribute, level`` (categories only), ``kind`` (number or category), ``value`` (mean, of logs when skewed, or share in
        the segment), ``rest`` (the same for all other customers), ``effect`` (number: standardised mean difference against
        the others, of logs when the amounts are skewed; category: lift, the share divided by that of all customers),
        ``low, high`` (its interval), ``strength`` (|standardised difference| or |Cohen's h|, comparable across kinds),
        ``n, p_value, distinct`` (Benjamini–Hochberg at 1 − level over all, and at least a small effect).
    """
    rows: list[dict[str, object]] = []
    z = float(stats.norm.ppf(0.5 + level / 2))
    for name in customers.columns:
        values = customers[name]
        if pd.api.types.is_datetime64_any_dtype(values) or not differs(values):
            continue
        if is_number(values):
            rows += _number_traits(str(name), as_numbers(values), labels, z)
        else:
            rows += _category_traits(str(name), as_levels(values), labels, level)
    table = pd.DataFrame(rows)
    if table.empty:
        return table
    adjusted = stats.false_discovery_control(table["p_value"])
    table["distinct"] = (adjusted < 1 - level) & (table["strength"] >= MIN_EFFECT)
    order = ["segment", "strength", "attribute", "level"]
    return table.sort_values(order, ascending=[True, False, True, True], ignore_index=True)


def _number_traits(name: str, values: np.ndarray, labels: np.ndarray, z: float) -> list[dict[str, object]]:
    known = ~np.isnan(values)
    amounts = values[known]
    logged = bool(amounts.min() >= 0 and log_helps(amounts))
    scale = np.log1p(amounts) if logged else amounts
    rows: list[dict[str, object]] = []
    for segment in np.unique(labels):
        inside = (labels == segment)[known]
        n1, n0 = int(inside.sum()), int((~inside).sum())
        if min(n1, n0) < 2:
            continue
        effect = _standardised(scale[inside], scale[~inside])
        error = float(np.sqrt((n1 + n0) / (n1 * n0) + effect**2 / (2 * (n1 + n0))))
        rows.append(
            {
                "segment": segment,
                "attribute": name,
                "level": "",
                "kind": "number",
                "value": _typical(scale[inside], logged),
                "rest": _typical(scale[~inside], logged),
                "effect": effect,
                "low": effect - z * error,
                "high": effect + z * error,
                "strength": abs(effect),
                "n": n1,
                "p_value": float(2 * stats.norm.sf(abs(effect) / error)),
            }
        )
    return rows


def _typical(scale: np.ndarray, logged: bool) -> float:
    """The mean on the scale of the comparison, so that value, rest and effect never contradict each other."""
    return float(np.expm1(scale.mean()) if logged else scale.mean())


def _standardised(inside: np.ndarray, outside: np.ndarray) -> float:
    """Mean difference in pooled standard deviations with Hedges' small-sample factor (Hedges & Olkin 1985)."""
    n1, n0 = len(inside), len(outside)
    pooled = np.sqrt(((n1 - 1) * inside.var(ddof=1) + (n0 - 1) * outside.var(ddof=1)) / (n1 + n0 - 2))
    difference = float(inside.mean() - outside.mean())
    if pooled == 0:  # each side constant: as far apart as can be told, but finite
        return float(np.sign(difference)) * 10.0
    return difference / float(pooled) * (1 - 3 / (4 * (n1 + n0) - 9))


def _category_traits(name: str, values: np.ndarray, labels: np.ndarray, level: float) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    common = pd.Series(values).value_counts().index[:MAX_LEVELS]
    for segment in np.unique(labels):
        inside = labels == segment
        n1, n0 = int(inside.sum()), int((~inside).sum())
        if min(n1, n0) < 2:
            continue
        for one in sorted(common):
            has = values == one
            k1, k0 = int(has[inside].sum()), int(has[~inside].sum())
            share, rest, overall = k1 / n1, k0 / n0, (k1 + k0) / (n1 + n0)
            low, high = wilson(np.array([k1]), np.array([n1]), level)
            error = np.sqrt(overall * (1 - overall) * (1 / n1 + 1 / n0))
            rows.append(
                {
                    "segment": segment,
                    "attribute": name,
                    "level": str(one),
                    "kind": "category",
                    "value": share,
                    "rest": rest,
                    "effect": share / overall,
                    "low": float(low[0]) / overall,
                    "high": float(high[0]) / overall,
                    "strength": abs(2 * float(np.arcsin(np.sqrt(share)) - np.arcsin(np.sqrt(rest)))),
                    "n": n1,
                    "p_value": float(2 * stats.norm.sf(abs(share - rest) / error)) if error else 1.0,
                }
            )
    return rows


def usefulness(
    customers: pd.DataFrame, labels: np.ndarray, held_out: tuple[str, ...], *, level: float = 0.95
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Do the segments differ in what they were *not* made from?

    Returns
    -------
    tuple of DataFrames
        Per attribute: ``attribute, effect`` (η² or Cramér's V), ``p_value`` (ANOVA or χ², Holm-adjusted), ``useful``.
        Per segment and attribute: ``segment, attribute, level, n, value, low, high, average, overlaps_average``: the mean
        of a number with its t interval, or the share of a category's level (of yes, for yes/no) with Wilson's.
    """
    tests, cells = [], []
    for name in held_out:
        values = customers[name]
        if is_number(values):
            numbers = as_numbers(values)
            tests.append((name, *_anova(numbers, labels)))
            cells += _mean_cells(name, numbers, labels, level)
        else:
            levels = as_levels(values)
            tests.append((name, *_chi_squared(levels, labels)))
            cells += _share_cells(name, levels, labels, level)
    table = pd.DataFrame(tests, columns=["attribute", "effect", "p_value"])
    table["p_value"] = _holm(table["p_value"].to_numpy(dtype=float))
    table["useful"] = table["p_value"] < 1 - level
    return table, pd.DataFrame(cells)


def _holm(p_values: np.ndarray) -> np.ndarray:
    order = np.argsort(p_values)
    stepped = np.maximum.accumulate(p_values[order] * np.arange(len(p_values), 0, -1))
    adjusted = np.empty_like(p_values)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


def _anova(values: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    known = ~np.isnan(values)
    groups = [values[known & (labels == segment)] for segment in np.unique(labels)]
    groups = [group for group in groups if len(group) > 1]
    total = np.concatenate(groups) if groups else np.empty(0)
    spread = float(((total - total.mean()) ** 2).sum()) if len(total) else 0.0
    if len(groups) < 2 or spread == 0:
        return 0.0, 1.0
    between = sum(len(group) * (group.mean() - total.mean()) ** 2 for group in groups)
    return float(between / spread), float(stats.f_oneway(*groups).pvalue)


def _chi_squared(levels: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    table = pd.crosstab(labels, levels).to_numpy()
    if min(table.shape) < 2:
        return 0.0, 1.0
    result = stats.chi2_contingency(table, correction=False)
    return float(np.sqrt(result.statistic / table.sum() / (min(table.shape) - 1))), float(result.pvalue)


def _mean_cells(name: str, values: np.ndarray, labels: np.ndarray, level: float) -> list[dict[str, object]]:
    average = float(np.nanmean(values))
    cells = []
    for segment in np.unique(labels):
        group = values[(labels == segment) & ~np.isnan(values)]
        n = len(group)
        mean = float(group.mean()) if n else average
        half = float(stats.t.ppf(0.5 + level / 2, n - 1) * group.std(ddof=1) / np.sqrt(n)) if n > 1 else float("inf")
        cells.append(_cell(segment, name, "", n, mean, mean - half, mean + half, average))
    return cells


def _share_cells(name: str, levels: np.ndarray, labels: np.ndarray, level: float) -> list[dict[str, object]]:
    seen = sorted(set(levels))
    yes = [one for one in seen if one.lower() in YES]
    shown = yes[:1] if yes and len(seen) == 2 else seen[:MAX_LEVELS]
    cells = []
    for segment in np.unique(labels):
        inside = labels == segment
        n = int(inside.sum())
        for one in shown:
            k = int((levels[inside] == one).sum())
            low, high = wilson(np.array([k]), np.array([n]), level)
            cells.append(_cell(segment, name, one, n, k / n, float(low[0]), float(high[0]), float((levels == one).mean())))
    return cells


def _cell(
    segment: object, name: str, level: str, n: int, value: float, low: float, high: float, average: float
) -> dict[str, object]:
    return {
        "segment": segment,
        "attribute": name,
        "level": level,
        "n": n,
        "value": value,
        "low": low,
        "high": high,
        "average": average,
        "overlaps_average": bool(low <= average <= high),
    }
