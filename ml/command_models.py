"""How each command line method on customers and series is called. Modules are imported when they are needed."""

from argparse import Namespace
from typing import Any

import pandas as pd

from ml.command_files import Result, Tell, read, whole
from ml.errors import DataError


def rfm(data: pd.DataFrame, o: Namespace, tell: Tell) -> Result:
    from ml import rfm

    table = rfm.rfm_segments(rfm.rfm_table(data, as_of=o.as_of, bins=o.bins), bins=o.bins)
    return {"summary": rfm.rfm_summary(table), "table": table}


def clusters(data: pd.DataFrame, o: Namespace, tell: Tell) -> Result:
    from ml import clusters

    k = o.k if o.k == "auto" else whole(o.k)
    found = clusters.fit_segments(data, k=k, refits=o.refits, min_share=o.min_share, seed=o.seed, progress=tell)
    return {
        "k": found.k,
        "advice": found.advice,
        "profile": found.profile,
        "stability": found.stability,
        "labels": found.labels.rename("segment").reset_index(),
    }


def personas(data: pd.DataFrame, o: Namespace, tell: Tell) -> Result:
    from ml import personas

    if o.labels not in data.columns:
        raise DataError(f"no column {o.labels}", "the column of --data that holds each customer's segment")
    found = personas.build_personas(
        data.drop(columns=o.labels),
        data[o.labels].to_numpy(),
        held_out=tuple(o.held_out),
        orders=read(o.orders) if o.orders else None,
        touchpoints=read(o.touchpoints) if o.touchpoints else None,
        as_of=o.as_of,
        seed=o.seed,
    )
    return {
        "cards": found.cards,
        "traits": found.traits,
        "usefulness": found.usefulness,
        "fidelity": found.fidelity,
        "advice": found.advice,
    }


def forecast(data: pd.DataFrame, o: Namespace, tell: Tell) -> Result:
    from ml import forecast

    options = {
        "horizon": o.horizon,
        "freq": o.freq,
        "methods": tuple(o.methods),
        "level": o.level,
        "holidays": o.holidays,
        "choose": o.choose,
        "seed": o.seed,
    }
    if "unique_id" in data.columns and data["unique_id"].nunique() > 1:
        each = forecast.forecast_many(data, **options)
        parts = [part.forecast.assign(unique_id=name, method=part.chosen) for name, part in each.items()]
        return {"forecast": pd.concat(parts, ignore_index=True), "advice": {str(k): v.advice for k, v in each.items()}}
    found = forecast.forecast(data, **options, progress=lambda done, total, what: tell(done / max(1, total), str(what)))
    return {
        "chosen": found.chosen,
        "advice": found.advice,
        "accuracy": found.accuracy,
        "backtest": found.backtest,
        "forecast": found.forecast,
    }


def lead_score(data: pd.DataFrame, o: Namespace, tell: Tell) -> Result:
    from ml import lead_score

    model = lead_score.fit_score(
        data,
        outcome=o.outcome,
        at=o.at,
        spend=o.spend,
        id=o.id,
        features=o.features or None,
        outcome_at=o.outcome_at,
        as_of=o.as_of,
        time_split=not o.no_time_split,
        seed=o.seed,
    )
    return _score_result(model, data, o.id)


def churn(data: pd.DataFrame, o: Namespace, tell: Tell) -> Result:
    from ml import churn

    model = churn.fit_churn(
        data,
        outcome=o.outcome,
        at=o.at,
        tenure=o.tenure,
        group=o.group,
        spend=o.spend,
        id=o.id,
        features=o.features or None,
        outcome_at=o.outcome_at,
        as_of=o.as_of,
        time_split=not o.no_time_split,
        seed=o.seed,
    )
    return _score_result(model, data, o.id) | {"survival": model.survival, "groups_differ": model.groups_differ}


def _score_result(model: Any, data: pd.DataFrame, id_column: str | None) -> Result:
    scores = model.score(data)
    if id_column and id_column not in scores:
        scores.insert(0, id_column, data[id_column].to_numpy())
    return {
        "verdict": model.verdict,
        "advice": model.advice,
        "metrics": model.metrics,
        "calibration": model.calibration,
        "lift": model.lift,
        "leaks": model.leaks,
        "drift": model.drift,
        "coefficients": model.coefficients,
        "scores": scores,
    }


def survival(data: pd.DataFrame, o: Namespace, tell: Tell) -> Result:
    from ml import churn

    for name in (o.duration, o.ended, *([o.group] if o.group else [])):
        if name not in data.columns:
            raise DataError(f"no column {name}", "the columns named by --duration, --ended and --group")
    curve = churn.kaplan_meier(data[o.duration], data[o.ended], groups=data[o.group] if o.group else None, level=o.level)
    result: Result = {"survival": curve}
    if o.group:
        result["groups_differ"] = churn.log_rank(data[o.duration], data[o.ended], data[o.group])
    return result


def retention(data: pd.DataFrame, o: Namespace, tell: Tell) -> Result:
    from ml import churn

    return {"retention": churn.cohort_retention(data, as_of=o.as_of, period=o.period, at=o.at, level=o.level)}


def lifetime(data: pd.DataFrame, o: Namespace, tell: Tell) -> Result:
    from ml import lifetime

    if o.split_at:
        report = lifetime.holdout_report(data, o.split_at, as_of=o.as_of, unit=o.unit)
        return {name: getattr(report, name) for name in ("best", "advice", "actual", "totals", "ranking", "by_frequency")}
    table = lifetime.summary(data, as_of=o.as_of, unit=o.unit)
    periods = {"day": 365.25, "week": 365.25 / 7, "month": 12.0}.get(o.unit, 52.18) * o.months / 12
    tell(0.2, "fitting purchases")
    fit = lifetime.fit_purchases(data, as_of=o.as_of, horizon=periods, unit=o.unit)
    spend = lifetime.fit_spend(table, unit=o.unit)
    tell(0.7, "valuing customers")
    value = lifetime.customer_value(fit, spend, table, months=o.months, discount_rate=o.discount_rate, margin=o.margin)
    return {
        "model": fit.model,
        "parameters": getattr(fit, "params", getattr(fit, "coefficients", None)),
        "loglik": getattr(fit, "loglik", None),
        "spend_model": spend.model,
        "spend_parameters": spend.params,
        "advice": [*fit.advice, *spend.advice],
        "customers": value,
    }
