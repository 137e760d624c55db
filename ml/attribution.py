"""Which channel gets the credit: nine models in one table, with intervals, because the models differ most of all.

All of this is descriptive. A chain fitted to journeys hardly tells those that convert from those that do not
(`path_auc`); what a channel *causes* is measured by a hold-out (`ml.evaluation.uplift`).
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from ml import attribution_markov as markov
from ml.attribution_bootstrap import Resampler, limits
from ml.attribution_credits import HEURISTICS, Splitter
from ml.attribution_paths import Journeys, paths_from_touches, read_paths
from ml.attribution_quality import PathAuc, path_auc
from ml.contracts import TOUCHPOINTS
from ml.errors import DataError

__all__ = [
    "MODELS",
    "PathAuc",
    "attribute",
    "cost_per_conversion",
    "path_auc",
    "paths_from_touches",
    "removal_effects",
]

MODELS = (*HEURISTICS, "markov", "shapley")
FEW = 30


def attribute(
    paths: pd.DataFrame,
    *,
    models: Iterable[str] = MODELS,
    order: int = 1,
    bootstrap: int = 200,
    level: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Share out conversions and value over the channels.

    Parameters
    ----------
    paths
        PATHS: ``path`` (channels in order), ``conversions`` and ``nulls`` (whole numbers of journeys), ``value``
        (currency of the workspace); optional ``time_weights`` per touch, as `paths_from_touches` adds them.
    models
        Any of `MODELS`. *first*, *last*, *linear*; *position* 40/20/40; *time_decay* (half per 7 days where the paths
        carry time weights, else half per touch); *w* 30/30/30 for first, middle and last touch and 10 for the rest;
        *full_path* 22.5 each for the first touch, those at one and two thirds, and the last, and 10 for the rest (the
        journeys carry no milestones, so their places stand in); *markov* by removal effects, nulls included; *shapley*.
    order
        How many touches a state of the Markov chain remembers.
    bootstrap
        Draws for the intervals; 0 for none (then ``low`` and ``high`` are missing).
    level
        Confidence level of the intervals.

    Returns
    -------
    DataFrame
        One row per channel × model, channels by name: ``channel, model, conversions, value, share`` (of the
        conversions), ``low, high`` (percentile interval of the share over redrawn journeys), ``touched`` (conversions
        with the channel anywhere in the journey) and ``reliable`` (at least 30 of these: show the others in grey).
        Conversions and value sum to those of the paths in each model. ``attrs``: ``conversions, value, nulls, order,
        conversion_probability, warnings`` (sentences).

    Raises
    ------
    DataError
        The frame breaks its contract, nothing converted, or an unknown model, order or level.

    Notes
    -----
    The value of a journey is known per kind of journey only, so it is spread evenly over its conversions. Sampling error
    is the smaller part of the doubt: compare the models before believing a third digit.
    """
    wanted = _wanted(models)
    if bootstrap < 0 or not 0 < level < 1:
        raise DataError(f"bootstrap {bootstrap}, level {level}", "0 or more draws, and a level between 0 and 1")
    journeys = read_paths(paths)
    chain = markov.build(journeys, order) if "markov" in wanted else None
    redraw = Resampler(journeys, bootstrap, seed, len(chain.moves) if chain else 1) if bootstrap else None
    splitter = Splitter(journeys)
    touched = splitter.touched()
    parts, effects, warnings = [], None, _warnings(journeys)
    for model in wanted:
        if model == "markov" and chain is not None:
            effects = markov.solve(chain, markov.flow(chain, journeys))
            part = (markov.scaled(effects.conversions), markov.scaled(effects.value))
            drawn = redraw.markov(chain, journeys) if redraw else None
            if redraw and drawn is None:
                warnings.append(f"No interval for markov: {chain.states:,} states of order {order} are too many to redraw.")
        else:
            table = splitter[model]
            total = max(journeys.value.sum(), 1e-300)
            part = (journeys.conversions @ table / journeys.conversions.sum(), journeys.value @ table / total)
            drawn = redraw.credits(splitter, model) if redraw else None
        parts.append(_rows(journeys, model, part, drawn, level, touched))
    frame = pd.concat(parts, ignore_index=True)
    frame.attrs = {
        "conversions": float(journeys.conversions.sum()),
        "value": float(journeys.value.sum()),
        "nulls": float(journeys.nulls.sum()),
        "order": order,
        "conversion_probability": float(journeys.conversions.sum() / (journeys.conversions + journeys.nulls).sum()),
        "warnings": warnings,
    }
    return frame


def _wanted(models: Iterable[str]) -> list[str]:
    wanted = [models] if isinstance(models, str) else list(dict.fromkeys(models))
    unknown = [model for model in wanted if model not in MODELS]
    if unknown or not wanted:
        raise DataError(f"the models {', '.join(map(repr, unknown)) or 'none'}", f"some of {', '.join(MODELS)}")
    return wanted


def _rows(
    journeys: Journeys,
    model: str,
    part: tuple[np.ndarray, np.ndarray],
    drawn: np.ndarray | None,
    level: float,
    touched: np.ndarray,
) -> pd.DataFrame:
    conversions, value = float(journeys.conversions.sum()), float(journeys.value.sum())
    missing = np.full(len(part[0]), np.nan)
    low, high = limits(drawn, level) if drawn is not None else (missing, missing)
    return pd.DataFrame(
        {
            "channel": journeys.channels,
            "model": model,
            "conversions": conversions * part[0],
            "value": value * part[1],
            "share": part[0],
            "low": low,
            "high": high,
            "touched": touched,
            "reliable": touched >= FEW,
        }
    )


def _warnings(journeys: Journeys) -> list[str]:
    found = []
    conversions = journeys.conversions.sum()
    if journeys.nulls.sum() == 0:
        found.append("No journey without a conversion is known: the Markov model learns from successes only.")
    if conversions < FEW:
        found.append(f"Only {conversions:,.0f} conversions: the shares may be chance.")
    if len(journeys.channels) == 1:
        found.append("There is one channel only: every model gives it everything.")
    return found


def removal_effects(paths: pd.DataFrame, order: int = 1) -> pd.DataFrame:
    """What share of the conversions would be lost, by the chain, if a channel led nowhere.

    Returns
    -------
    DataFrame
        One row per channel, by name: ``channel``, ``removal_effect`` (of conversions, 0–1), ``value_effect`` (of value,
        0–1), ``share`` (the effects scaled to sum to 1: what the Markov model credits). ``attrs``:
        ``conversion_probability`` of the chain, ``order``, ``states``.

    Raises
    ------
    DataError
        As for `attribute`.

    Source: Anderl, Becker, von Wangenheim & Schumann (2016), in closed form: see `ml.attribution_markov`.
    """
    journeys = read_paths(paths)
    chain = markov.build(journeys, order)
    effects = markov.solve(chain, markov.flow(chain, journeys))
    frame = pd.DataFrame(
        {
            "channel": journeys.channels,
            "removal_effect": effects.conversions,
            "value_effect": effects.value,
            "share": markov.scaled(effects.conversions),
        }
    )
    frame.attrs = {"conversion_probability": float(effects.probability), "order": order, "states": chain.states}
    return frame


def cost_per_conversion(credits: pd.DataFrame, touchpoints: pd.DataFrame) -> pd.DataFrame:
    """What a conversion cost by channel, as each model sees it.

    Parameters
    ----------
    credits
        What `attribute` returned.
    touchpoints
        TOUCHPOINTS with ``cost``, of the period the paths were cut from: all touches, converting or not, cost money.

    Returns
    -------
    DataFrame
        One row per channel that cost anything: ``channel, cost``, one column per model (cost / conversions, missing where
        a model credits nothing), and ``lowest, highest, spread`` (highest / lowest): a spread of 3 means that the choice
        of the model decides whether the channel pays.

    Raises
    ------
    DataError
        No costs, or a channel with costs that the credits do not know.
    """
    touches = TOUCHPOINTS.check(touchpoints, require=("cost",))
    cost = touches.groupby("channel", observed=True)["cost"].sum()
    cost = cost[cost > 0]
    if cost.empty:
        raise DataError("no touch with a cost above 0", "costs in touchpoints")
    table = credits.pivot(index="channel", columns="model", values="conversions")
    unknown = sorted(set(map(str, cost.index)) - set(table.index))
    if unknown:
        raise DataError(f"costs for {', '.join(unknown)}, which is in no path", "the same channels in paths and costs")
    table = table.loc[cost.index, list(dict.fromkeys(credits["model"]))]
    each = table.rdiv(cost, axis=0).where(table > 0)
    frame = each.reset_index()
    frame.insert(1, "cost", cost.to_numpy())
    frame["lowest"], frame["highest"] = each.min(axis=1).to_numpy(), each.max(axis=1).to_numpy()
    frame["spread"] = frame["highest"] / frame["lowest"]
    frame.columns.name = None
    return frame
