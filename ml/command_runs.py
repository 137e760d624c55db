"""How each command line method is called: options in, named results out. Modules are imported when they are needed."""

from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from ml import contracts
from ml.errors import DataError

Tell = Callable[[float, str], None]
Result = dict[str, Any]
"""Name → table, mapping, list of sentences or single value, in the order to be shown."""


def read(path: str) -> pd.DataFrame:
    """A CSV, TSV or parquet file as a table.

    Raises
    ------
    DataError
        No such file, or nothing that can be read as a table.
    """
    file = Path(path)
    if not file.is_file():
        raise DataError(f"no file {path}", "a CSV or parquet file")
    try:
        if file.suffix.lower() in (".parquet", ".pq"):
            return pd.read_parquet(file)
        return pd.read_csv(file, sep="\t" if file.suffix.lower() == ".tsv" else ",")
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, OSError, ValueError) as broken:
        raise DataError(f"{file.name}: {str(broken).splitlines()[0]}", "a CSV or parquet file with a header") from None


def rfm(data: pd.DataFrame, o: Namespace, tell: Tell) -> Result:
    from ml import rfm

    table = rfm.rfm_segments(rfm.rfm_table(data, as_of=o.as_of, bins=o.bins), bins=o.bins)
    return {"summary": rfm.rfm_summary(table), "table": table}


def clusters(data: pd.DataFrame, o: Namespace, tell: Tell) -> Result:
    from ml import clusters

    k = o.k if o.k == "auto" else _whole(o.k)
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


def itemsets(data: pd.DataFrame, o: Namespace, tell: Tell) -> Result:
    from ml import basket

    found = basket.frequent_itemsets(
        data, min_support=o.min_support, min_count=o.min_count, max_len=o.max_len, exclude=o.exclude, progress=tell
    )
    return {"itemsets": found, "note": found.attrs["note"]}


def rules(data: pd.DataFrame, o: Namespace, tell: Tell) -> Result:
    from ml import basket

    found = basket.association_rules(
        data,
        min_support=o.min_support if o.min_support is not None else 0.005,
        min_count=o.min_count,
        min_confidence=o.min_confidence,
        max_len=o.max_len,
        holdout=o.holdout,
        multi_consequents=o.multi_consequents,
        exclude=o.exclude,
        level=o.level,
        progress=tell,
    )
    return {"rules": found, "tests": found.attrs["tests"], "note": found.attrs["note"]}


def recommend(data: pd.DataFrame, o: Namespace, tell: Tell) -> Result:
    from ml import basket

    model = basket.Recommender(data, method=o.method, exclude=o.exclude)
    wanted = [_like(model.products[0], product) for product in o.basket]
    return {"recommendations": model.recommend(wanted, n=o.n), "note": model.note}


def recommenders(data: pd.DataFrame, o: Namespace, tell: Tell) -> Result:
    from ml import basket

    return {"methods": basket.evaluate(data, split_at=_share_or_date(o.split_at), k=o.k, seed=o.seed)}


def upsell(data: pd.DataFrame, o: Namespace, tell: Tell) -> Result:
    from ml import basket

    products = read(o.products)
    chosen = None
    if o.basket:
        chosen = [_like(products["product_id"].iloc[0], product) for product in o.basket]
    found = basket.upsell(data, products, basket=chosen, n=o.n, max_ratio=o.max_ratio, min_count=o.min_count)
    return {"offers": found, "note": found.attrs["note"]}


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


def paths(data: pd.DataFrame, o: Namespace, tell: Tell) -> Result:
    from ml import attribution

    found = attribution.paths_from_touches(
        data,
        read(o.conversions),
        lookback_days=o.lookback_days,
        keep_nulls=not o.no_nulls,
        collapse_direct=o.collapse_direct,
        as_of=o.as_of,
    )
    return {"paths": found, "note": found.attrs["note"]}


def attribution(data: pd.DataFrame, o: Namespace, tell: Tell) -> Result:
    from ml import attribution

    found = attribution.attribute(
        data, models=o.models or attribution.MODELS, order=o.order, bootstrap=o.bootstrap, level=o.level, seed=o.seed
    )
    result: Result = {"credits": found, "warnings": found.attrs["warnings"]}
    result["conversion_probability"] = found.attrs["conversion_probability"]
    if o.costs:
        result["cost_per_conversion"] = attribution.cost_per_conversion(found, read(o.costs))
    return result


def removal(data: pd.DataFrame, o: Namespace, tell: Tell) -> Result:
    from ml import attribution

    found = attribution.removal_effects(data, o.order)
    return {"removal_effects": found, "conversion_probability": found.attrs["conversion_probability"]}


def path_auc(data: pd.DataFrame, o: Namespace, tell: Tell) -> Result:
    from ml import attribution

    return {"path_auc": attribution.path_auc(data, o.order, seed=o.seed)}


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


def linear(data: pd.DataFrame, o: Namespace, tell: Tell) -> Result:
    from ml import regression

    return _regression(regression.fit_linear(data, y=o.y, x=o.x, robust=not o.classical, level=o.level))


def logistic(data: pd.DataFrame, o: Namespace, tell: Tell) -> Result:
    from ml import regression

    positive = None if o.positive is None or o.y not in data else _like(data[o.y].dropna().iloc[0], o.positive)
    return _regression(regression.fit_logistic(data, y=o.y, x=o.x, level=o.level, positive=positive))


def _regression(fit: Any) -> Result:
    return {
        "coefficients": fit.coefficients,
        "statistics": fit.statistics,
        "sentences": fit.sentences,
        "warnings": fit.warnings,
        "caution": fit.caution,
    }


def rate(data: pd.DataFrame, o: Namespace, tell: Tell) -> Result:
    from ml import kpis

    return {"rate": kpis.rate(o.numerator, o.denominator, o.level)}


def xmr(data: pd.DataFrame, o: Namespace, tell: Tell) -> Result:
    from ml import kpis

    found = kpis.xmr(contracts.SERIES.check(data), baseline=o.baseline)
    return {"verdict": found.verdict, "centre": found.centre, "lower": found.lower, "upper": found.upper, "table": found.table}


def funnel(data: pd.DataFrame, o: Namespace, tell: Tell) -> Result:
    from ml import kpis

    found = kpis.funnel(data, by=o.by, success=o.success, level=o.level)
    return {"verdict": found.verdict, "overall": found.overall, "p_value": found.p_value, "table": found.table}


def compare(data: pd.DataFrame, o: Namespace, tell: Tell) -> Result:
    from ml import kpis

    return {"comparison": kpis.compare(_column(data, o.column), _column(read(o.after), o.column), level=o.level)}


def uplift(data: pd.DataFrame, o: Namespace, tell: Tell) -> Result:
    from ml import evaluation

    group, outcome = _column(data, o.group).astype(str), _column(data, o.outcome)
    sides = [outcome[group == side] for side in (o.treated, o.control)]
    return {"uplift": evaluation.uplift(*sides, level=o.level, power=o.power, effect=o.effect)}


def calibration(data: pd.DataFrame, o: Namespace, tell: Tell) -> Result:
    from ml import evaluation

    y, p = _column(data, o.outcome), _column(data, o.probability)
    table = evaluation.calibration_table(y, p, bins=o.bins, level=o.level)
    return {
        "auc": evaluation.auc_interval(y, p, o.level),
        "ece": table.attrs["ece"],
        "brier": table.attrs["brier"],
        "calibration": table,
        "lift": evaluation.lift_table(y, p, bins=o.bins),
    }


def synthetic(data: pd.DataFrame, o: Namespace, tell: Tell) -> Result:
    from ml import synthetic

    made = synthetic.company(int(o.scale) if o.scale.isdigit() else o.scale, o.seed)
    folder = Path(o.folder)
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number, (name, frame) in enumerate(made.frames.items()):
        tell(number / len(made.frames), f"writing {name}")
        frame.to_csv(folder / f"{name}.csv", index=False)
        rows.append((f"{name}.csv", len(frame), ", ".join(frame.columns)))
    return {"files": pd.DataFrame(rows, columns=["file", "rows", "columns"]), "truth": synthetic.truth()}


def _column(data: pd.DataFrame, name: str) -> pd.Series:
    if name not in data.columns:
        raise DataError(f"only {', '.join(map(str, data.columns[:12]))}", f"the column {name}")
    return data[name]


def _whole(text: str) -> int:
    if not text.isdigit():
        raise DataError(repr(text), "auto or a whole number")
    return int(text)


def _share_or_date(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _like(example: Any, text: str) -> Any:
    """Text from the command line as the kind of value that stands in the column (ids 7 and "7" are not equal)."""
    if isinstance(example, str):
        return text
    try:
        return type(example)({"True": 1, "False": 0}.get(text, text)) if isinstance(example, bool) else type(example)(text)
    except (TypeError, ValueError):
        return text
