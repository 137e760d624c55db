"""A regression in sentences: one per coefficient, and what to beware of."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from ml.regression_design import Design

_PER_TERM = 10


def number(value: float) -> str:
    """Four significant digits, without an exponent where a person would not write one."""
    if not np.isfinite(value):
        return "infinitely many" if value > 0 else "minus infinitely many"
    if value != 0 and (abs(value) >= 1e7 or abs(value) < 1e-5):
        return f"{value:.3g}"
    digits = max(0, 3 - int(np.floor(np.log10(abs(value))))) if value else 0
    text = f"{value:,.{min(digits, 8)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def linear_sentence(row: Mapping[Any, Any], y: str, design: Design) -> str:
    """What one coefficient of a linear fit says."""
    if row["term"] == "intercept":
        span = f"({number(row['low'])} to {number(row['high'])})"
        return f"With every number at zero and every category at its base, {y} is expected at {number(row['coef'])} {span}."
    subject, step, base = _subject(row["term"], design)
    coef, low, high = (step * row[name] for name in ("coef", "low", "high"))
    if low <= 0 <= high:
        return f"{subject}: no clear link with {y}{base}; anything from {number(low)} to {number(high)} fits the data."
    more = "more" if coef > 0 else "less"
    span = f"({number(min(abs(low), abs(high)))} to {number(max(abs(low), abs(high)))})"
    return f"{subject} goes with {number(abs(coef))} {more} {y} {span}{base}{_fixed(row['term'], design)}."


def logistic_sentence(row: Mapping[Any, Any], y: str, label: str, design: Design) -> str:
    """What one coefficient of a logistic fit says."""
    outcome = f"{y} = {label}"
    if row["term"] == "intercept":
        p = 1 / (1 + np.exp(-row["coef"]))
        shown = f"{p:.2%}" if p >= 0.0001 else "below 0.01%"
        return f"With every number at zero and every category at its base, the chance of {outcome} is {shown}."
    subject, step, base = _subject(row["term"], design)
    ratio, low, high = (np.exp(np.clip(step * row[name], -700, 700)) for name in ("coef", "low", "high"))
    span = f"{number(low)} to {number(high)}"
    if low <= 1 <= high:
        return f"{subject}: no clear link with {outcome}{base}; an odds ratio from {span} fits the data."
    return f"{subject} multiplies the odds of {outcome} by {number(ratio)} ({span}){base}{_fixed(row['term'], design)}."


def _subject(term: str, design: Design) -> tuple[str, float, str]:
    """Who goes with what: the words, the step they speak of, and what it is compared with."""
    step = _step(float(design.scale[design.names.index(term)]))
    each = "One more unit of" if step == 1 else f"Each {number(step)} more of"
    if " : " in term:
        return f"{each} {term.replace(' : ', ' × ')} (beyond what each does alone)", step, ""
    name, _, level = term.partition(" = ")
    variable = design.variables.get(name)
    if level and variable is not None and variable.levels:
        return f"{name} = {level}", 1.0, f", compared with {variable.levels[0]}"
    return f"{each} {term}", step, ""


def _step(deviation: float) -> float:
    """A round step of the size people see in the column: 1 for ages of a class, 10,000 for incomes."""
    return 1.0 if 0.5 <= deviation < 10 else float(10 ** np.floor(np.log10(deviation)))


def _fixed(term: str, design: Design) -> str:
    """What is held fixed; in company of an interaction the coefficient holds only where the partner is zero."""
    name = term.partition(" = ")[0]
    partners = sorted({other for group in design.terms if len(group) > 1 and name in group for other in group if other != name})
    if partners and " : " not in term:
        return f", where {' and '.join(partners)} is zero or at its base"
    return ", the other columns held fixed" if len(design.terms) > 1 else ""


def warn(table: pd.DataFrame, statistics: dict[str, float], kind: str, rows: pd.DataFrame, cases: int) -> list[str]:
    """What to beware of, worst first."""
    found = [*_flips(table), *_tiny(len(table) - 1, kind, cases), *_tangled(table, statistics)]
    found += _leak(table, statistics, kind)
    worst = rows["cooks_distance"].max()
    if worst > 1:
        found.append(
            f"Row {rows['cooks_distance'].idxmax()} pulls the result towards itself (Cook's distance {worst:.1f}): "
            "look at it, and fit once without it."
        )
    if kind == "linear" and statistics["loo_r2"] <= 0:
        found.append("On rows it has not seen the model does no better than the plain average.")
    if kind == "logistic" and statistics["cv_auc_low"] <= 0.5:
        found.append(f"On rows it has not seen the model does no better than the base rate of {statistics['base_rate']:.1%}.")
    return found


def _flips(table: pd.DataFrame) -> list[str]:
    """Signs that turn when the other columns join in: the trap of every league table."""
    sure = ((table["low"] > 0) | (table["high"] < 0)) & ((table["alone_low"] > 0) | (table["alone_high"] < 0))
    turned = table[sure & (np.sign(table["alone"]) * np.sign(table["coef"]) < 0)]
    return [
        f"{row.term} changes its sign: {number(row.alone)} on its own, {number(row.coef)} with the other columns held "
        "fixed. Both are true, of different questions."
        for row in turned.itertuples()
    ]


def _tiny(terms: int, kind: str, cases: int) -> list[str]:
    if cases >= _PER_TERM * terms:
        return []
    what = "rows" if kind == "linear" else "cases of the rarer outcome"
    return [f"Only {cases:,} {what} for {terms} coefficients: below {_PER_TERM} each, coefficients wander."]


def _tangled(table: pd.DataFrame, statistics: dict[str, float]) -> list[str]:
    tangled = table.loc[table["vif"] > 10, "term"].tolist()
    found = []
    if tangled:
        found.append(
            f"{', '.join(tangled)} move together with other columns (VIF above 10): their effects cannot be told apart well."
        )
    if statistics["condition"] > 30:
        found.append(
            f"The columns are nearly dependent (condition number {statistics['condition']:,.0f}): a few rows more or less "
            "would move the coefficients a lot."
        )
    return found


def _leak(table: pd.DataFrame, statistics: dict[str, float], kind: str) -> list[str]:
    fit = statistics["r2"] if kind == "linear" else statistics["cv_auc"]
    if fit < (0.995 if kind == "linear" else 0.98):
        return []
    return [
        "The columns all but determine the outcome: check that none of them is filled in after it (a closing date, a "
        "reason, a total that contains it)."
    ]
