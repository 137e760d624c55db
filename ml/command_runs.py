"""How each command line method on baskets, journeys, columns and figures is called. Modules are imported when needed."""

from argparse import Namespace
from pathlib import Path
from typing import Any

import pandas as pd

from ml import contracts
from ml.command_files import Result, Tell, column, like, read, share_or_date


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
    wanted = [like(model.products[0], product) for product in o.basket]
    return {"recommendations": model.recommend(wanted, n=o.n), "note": model.note}


def recommenders(data: pd.DataFrame, o: Namespace, tell: Tell) -> Result:
    from ml import basket

    return {"methods": basket.evaluate(data, split_at=share_or_date(o.split_at), k=o.k, seed=o.seed)}


def upsell(data: pd.DataFrame, o: Namespace, tell: Tell) -> Result:
    from ml import basket

    products = read(o.products)
    chosen = None
    if o.basket:
        chosen = [like(products["product_id"].iloc[0], product) for product in o.basket]
    found = basket.upsell(data, products, basket=chosen, n=o.n, max_ratio=o.max_ratio, min_count=o.min_count)
    return {"offers": found, "note": found.attrs["note"]}


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


def linear(data: pd.DataFrame, o: Namespace, tell: Tell) -> Result:
    from ml import regression

    return _regression(regression.fit_linear(data, y=o.y, x=o.x, robust=not o.classical, level=o.level))


def logistic(data: pd.DataFrame, o: Namespace, tell: Tell) -> Result:
    from ml import regression

    positive = None if o.positive is None or o.y not in data else like(data[o.y].dropna().iloc[0], o.positive)
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

    return {"comparison": kpis.compare(column(data, o.column), column(read(o.after), o.column), level=o.level)}


def uplift(data: pd.DataFrame, o: Namespace, tell: Tell) -> Result:
    from ml import evaluation

    group, outcome = column(data, o.group).astype(str), column(data, o.outcome)
    sides = [outcome[group == side] for side in (o.treated, o.control)]
    return {"uplift": evaluation.uplift(*sides, level=o.level, power=o.power, effect=o.effect)}


def calibration(data: pd.DataFrame, o: Namespace, tell: Tell) -> Result:
    from ml import evaluation

    y, p = column(data, o.outcome), column(data, o.probability)
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
