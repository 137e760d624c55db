"""What was planted against what a tool found, judged from the tables of its run: pure, and blunt about misses.

Each judge gets the summary of a run and a way to its tables, and answers with a state and one sentence.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from crm_core.services.admin.demo.scales import Truth
from crm_core.vocabulary import Recovery

Tables = Callable[[str], pd.DataFrame]
Judgement = tuple[Recovery, str]
NO_EFFECT = ("Social media", "Display ads", "Direct traffic")
AGREES = 0.2
"""Adjusted Rand index from which clusters follow the planted kinds at all; one in five companies carries a wrong industry on purpose."""


def lift(summary: Mapping[str, Any], tables: Tables, truth: Truth) -> Judgement:
    """The lift in responses of the usual campaigns, all hold-outs together."""
    rows = tables("holdouts")
    return _lift(rows[~_by_letter(rows, truth)], truth.campaign_lift)


def letter(summary: Mapping[str, Any], tables: Tables, truth: Truth) -> Judgement:
    """The lift of the one campaign that wrote to everybody by letter."""
    rows = tables("holdouts")
    return _lift(rows[_by_letter(rows, truth)], truth.letter_lift)


def _by_letter(rows: pd.DataFrame, truth: Truth) -> pd.Series:
    """The campaign by letter, told by its larger hold-out."""
    held = rows["n_control"] / (rows["n_control"] + rows["n_treated"]).clip(lower=1)
    return held > (truth.campaign_control_share + truth.letter_control_share) / 2


def _lift(rows: pd.DataFrame, planted: float) -> Judgement:
    from crm_core.services.analytics.holdouts import pooled

    found = pooled(rows, "responded")
    if found is None:
        return Recovery.UNSURE, "No such campaign of the period has a hold-out whose answers are noted."
    middle, low, high = (100 * part for part in found)
    words = f"+{middle:.1f} points, interval {low:.1f} to {high:.1f}."
    if low <= 0:
        return Recovery.UNSURE, f"{words} It includes zero: more people are needed."
    right = low <= 100 * planted <= high
    return (Recovery.FOUND, words) if right else (Recovery.MISSED, f"{words} It leaves out the truth.")


def credit(summary: Mapping[str, Any], tables: Tables, truth: Truth) -> Judgement:
    """How much credit channels get that cause nothing: any is too much, and no model of journeys can know."""
    credits = tables("credits")
    idle = credits[credits["channel"].isin(NO_EFFECT)].groupby("model")["share"].sum()
    if idle.empty or summary["conversions"] < 30:
        return Recovery.UNSURE, "Too few conversions."
    words = f"The models give them {100 * idle.min():.0f} to {100 * idle.max():.0f}% of the conversions."
    return Recovery.MISSED, f"{words} Attribution describes who lay on the way; only the hold-outs above measure."


def effects(kind: str) -> Callable[[Mapping[str, Any], Tables, Truth], Judgement]:
    """A judge of the signs of a score's drivers: ``lead`` or ``deal``."""

    def judge(summary: Mapping[str, Any], tables: Tables, truth: Truth) -> Judgement:
        if not summary["usable"]:
            low, high, n = summary["auc_low"], summary["auc_high"], summary["n"]
            return Recovery.UNSURE, f"The score was refused: AUC {low:.2f} to {high:.2f} on {n:,.0f} later ones."
        terms = tables("coefficients").set_index("term")["coefficient"]
        wanted = (
            {"Source: Referral": 1, "Buying committee": 1} if kind == "deal" else {"Source: Referral": 1, "Source: Paid search": -1}
        )
        missing = [name for name, sign in wanted.items() if sign * float(terms.get(name, 0.0)) <= 0]
        words = ", ".join(f"{name} {float(terms.get(name, 0.0)):+.2f}" for name in wanted)
        state = Recovery.MISSED if missing else Recovery.FOUND
        return state, f"{words} (log-odds, drawn towards zero); AUC {summary['auc']:.2f}."

    return judge


def drivers(summary: Mapping[str, Any], tables: Tables, truth: Truth) -> Judgement:
    """Size and sign of what decides about deals."""
    rows = tables("coefficients").set_index("term")
    wanted = {
        "Source = Referral": truth.win_effects["source=Referral"],
        "People in the buying committee": truth.win_effects["committee size"],
    }
    known = {name: rows.loc[name] for name in wanted if name in rows.index}
    if len(known) < len(wanted):
        return Recovery.UNSURE, "Not all of these facts were among those that the run looked at."
    words = ", ".join(f"{name} {row['coef']:+.2f} ({row['low']:+.2f} to {row['high']:+.2f})" for name, row in known.items())
    if any(row["low"] <= 0 <= row["high"] for row in known.values()):
        return Recovery.UNSURE, f"{words}. An interval includes zero: more closed deals are needed."
    right = all(row["low"] <= wanted[name] <= row["high"] for name, row in known.items())
    return (Recovery.FOUND if right else Recovery.MISSED), f"{words}."


def discount(summary: Mapping[str, Any], tables: Tables, truth: Truth) -> Judgement:
    """Discounts change nothing here; a tool that sees an effect has a false alarm."""
    rows = tables("coefficients").set_index("term")
    name = next((str(term) for term in rows.index if "discount" in str(term).lower()), "")
    if not name:
        return Recovery.UNSURE, "The run did not look at discounts."
    row = rows.loc[name]
    words = f"{name}: {row['coef']:+.3f}, interval {row['low']:+.3f} to {row['high']:+.3f}."
    return (Recovery.SILENT if row["low"] <= 0 <= row["high"] else Recovery.FALSE_ALARM), words


def basket(products: Mapping[str, int], rule: Mapping[str, Any]) -> Callable[[Mapping[str, Any], Tables, Truth], Judgement]:
    """A judge of the planted rule. ``products``: name → id; ``rule``: the names of what leads to what."""
    left, right = {products.get(name) for name in rule["if"]}, {products.get(rule["then"])}

    def judge(summary: Mapping[str, Any], tables: Tables, truth: Truth) -> Judgement:
        rules = tables("rules")
        sides = zip(rules["antecedents"], rules["consequents"], strict=True)
        hits = [n for n, (before, after) in enumerate(sides) if _ids(after) == right and _ids(before) == left]
        if not hits:
            return Recovery.MISSED, f"It is not among the {len(rules):,} rules that this run kept."
        row = rules.iloc[hits[0]]
        words = f"Right in {100 * row['confidence']:.0f}% of {row['count'] / max(row['confidence'], 1e-9):,.0f} baskets; verdict on later ones: {row['verdict']}."
        return (Recovery.MISSED if row["verdict"] == "fails" else Recovery.FOUND), words

    return judge


def _ids(value: Any) -> set[int]:
    """Products of one side of a rule; a kept table holds them as text."""
    return set(json.loads(value) if isinstance(value, str) else value)


def agreement(first: pd.Series, second: pd.Series) -> float:
    """The adjusted Rand index of two groupings (Hubert & Arabie 1985): 0 by chance, 1 for the same; counted on their cross table."""
    table = pd.crosstab(first, second).to_numpy(dtype=float)
    cells, rows, columns, pairs = (
        float((sums * (sums - 1) / 2).sum()) for sums in (table, table.sum(axis=1), table.sum(axis=0), np.array([table.sum()]))
    )
    chance, most = rows * columns / pairs, (rows + columns) / 2
    return 1.0 if most == chance else (cells - chance) / (most - chance)


def kinds(facts: pd.DataFrame) -> Callable[[Mapping[str, Any], Tables, Truth], Judgement]:
    """A judge of clusters against the planted kinds. ``facts``: industry by customer_id, which mostly tells the kind."""

    def judge(summary: Mapping[str, Any], tables: Tables, truth: Truth) -> Judgement:
        if summary["clusters"] < 2:
            return Recovery.UNSURE, "No split was stable."
        joined = tables("customers").merge(facts, on="customer_id")
        known = joined[joined["industry"].isin(["Retail", "Services", "Technology", "Other"])]
        if len(known) < 30:
            return Recovery.UNSURE, f"Only {len(known)} customers can be compared."
        same = agreement(known["industry"], known["cluster"])
        words = f"{summary['clusters']} groups; agreement with the kinds {same:.2f} (0 is chance, 1 is all)."
        return (Recovery.FOUND if same >= AGREES else Recovery.MISSED), words

    return judge


def leaving(facts: pd.DataFrame) -> Callable[[Mapping[str, Any], Tables, Truth], Judgement]:
    """A judge of the risk to lose customers. ``facts``: contract by customer_id."""

    def judge(summary: Mapping[str, Any], tables: Tables, truth: Truth) -> Judgement:
        joined = tables("customers").merge(facts, on="customer_id")
        monthly, yearly = (joined.loc[joined["contract"] == name, "risk"].dropna().to_numpy() for name in ("Monthly", "Yearly"))
        if min(len(monthly), len(yearly)) < 10:
            return Recovery.UNSURE, f"{len(monthly)} monthly and {len(yearly)} yearly customers: too few."
        gap = float(monthly.mean() - yearly.mean())
        half = 1.96 * float(np.sqrt(monthly.var(ddof=1) / len(monthly) + yearly.var(ddof=1) / len(yearly)))
        words = f"Risk {monthly.mean():.0%} with monthly, {yearly.mean():.0%} with yearly contracts (difference {100 * (gap - half):+.0f} to {100 * (gap + half):+.0f} points)."
        if gap - half > 0:
            return Recovery.FOUND, words
        return (Recovery.MISSED if gap + half < 0 else Recovery.UNSURE), words

    return judge


def contracts(summary: Mapping[str, Any], tables: Tables, truth: Truth) -> Judgement:
    """The rate at which monthly contracts end against yearly ones, and whether complaints raise the risk."""
    rows = tables("groups").set_index("group")
    if not {"Monthly", "Yearly"} <= set(rows.index) or min(rows.loc[["Monthly", "Yearly"], "left"]) < 10:
        return Recovery.UNSURE, "Too few contracts of either kind have ended."
    rates, left = rows["rate"].astype(float).to_dict(), rows["left"].astype(float).to_dict()
    ratio = rates["Monthly"] / rates["Yearly"]
    spread = float(np.exp(1.96 * np.sqrt(1 / left["Monthly"] + 1 / left["Yearly"])))
    words = f"Monthly ones end {ratio:.1f} times as fast (interval {ratio / spread:.1f} to {ratio * spread:.1f})."
    if summary["usable"]:
        terms = tables("coefficients").set_index("term")["coefficient"]
        words += f" Tickets in 90 days: {float(terms.get('Tickets in 90 days', 0.0)):+.2f} log-odds; AUC {summary['auc']:.2f}."
    if ratio / spread <= 1:
        return Recovery.UNSURE, words
    right = ratio / spread <= truth.monthly_hazard_factor <= ratio * spread
    return (Recovery.FOUND if right else Recovery.MISSED), words


def season(summary: Mapping[str, Any], tables: Tables, truth: Truth) -> Judgement:
    """A pattern in the orders: a method must beat the flat mean when it is put back to earlier days."""
    skill = summary.get("skill")
    if skill is None:
        return Recovery.UNSURE, "Too few weeks to put a method to the test."
    words = f"{str(summary['chosen']).replace('_', ' ').capitalize()} was off by {100 * skill:.0f}% less than the flat mean."
    return (Recovery.FOUND if summary.get("has_pattern") and skill > 0 else Recovery.MISSED), words
