"""Drivers: a regression of an outcome on chosen facts, with sentences, warnings, an honest test, and a comparison of like with like."""

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlmodel import Session

from crm_core.access import Actor
from crm_core.entities import entity
from crm_core.fields import FieldSpec, registry
from crm_core.services.analytics import driver_rules as rules
from crm_core.services.analytics.driver_rules import GOALS, Goal
from crm_core.services.analytics.methods.base import Method, Outcome, Param, Report
from crm_core.vocabulary import Action, FieldKind

if TYPE_CHECKING:
    import pandas as pd

    from ml.regression import Regression

PERIODS = {"12": "Last 12 months", "24": "Last 24 months", "36": "Last 36 months", "0": "All time"}
MOST_ROWS = 200_000
ALIKE = 3
"""In how many other facts compared records must agree."""
NEAR_PERFECT, ONE_SIDED = 0.9, 0.5
MONTH_DAYS = 30.4375


def factor_choices(session: Session, actor: Actor) -> dict[str, str]:
    """Everything that may explain some outcome: ``deal:source``, ``deal:=committee`` → words with the kind of record."""
    found: dict[str, str] = {}
    for key in ("deal", "order", "account", "contact"):
        if not actor.can(key, Action.READ):
            continue
        word = entity(key).label.lower()
        found |= {f"{key}:={name}": f"{label} ({word})" for name, label in rules.COMPUTED[key] if _may(actor, name)}
        found |= {f"{key}:{name}": f"{spec.label} ({word})" for name, spec in _specs(session, actor, key).items()}
    return found


def _may(actor: Actor, computed: str) -> bool:
    return computed != "tickets" or actor.can("ticket", Action.READ)


def _specs(session: Session, actor: Actor, key: str) -> dict[str, FieldSpec]:
    specs = {name: spec for name, spec in registry(session, key).items() if not actor.masked(key, name)}
    return rules.offered(key, specs)


# --- computing ----------------------------------------------------------------------------------------------------------------


def _compute(session: Session, actor: Actor, params: dict[str, Any], as_of: datetime, report: Report) -> Outcome:
    from crm_core.frames import drivers as frames
    from crm_core.frames.read import sql_of

    goal = GOALS[params["goal"]]
    fields, computed, ignored = _chosen(session, actor, goal, params["factors"])
    since = (as_of - timedelta(days=round(int(params["months"]) * MONTH_DAYS))).date() if int(params["months"]) else None
    ask: dict[str, Any] = {"since": since, "until": as_of, "rule": params["filter"]}
    report(0.05, "Reading the records")
    raw = frames.rows(session, actor, goal.key, fields, computed, **ask)
    table, labels, notes = _prepared(session, actor, goal, raw, fields, computed, automatic=not params["factors"])
    report(0.3, "Fitting")
    fit = _fit(goal, table, list(labels))
    report(0.7, "Comparing like with like")
    drivers = _drivers(goal, fit, table, labels, fields, actor)
    alike = _alike(goal, table, drivers, list(labels))
    leaks = _leaks(goal, table, list(labels))
    verdict, reliable = _verdict(goal, fit, drivers, leaks)
    return Outcome(
        verdict=verdict,
        reliable=reliable,
        summary={
            "kind": fit.kind, "y": fit.y, "positive": fit.positive, "statistics": fit.statistics, "level": fit.level, "robust": fit.robust,
            "caution": fit.caution, "entity": goal.entity, "rows": len(table), "read": len(raw),
            "left_out": rules.left_out(goal, registry(session, goal.entity)),
        },
        tables={
            "coefficients": _counted(fit, table, {label: fields[path] for label, path in labels.items() if path in fields}),
            "drivers": drivers, "alike": alike, "rows": _shown(fit.rows),
        },
        warnings=[*leaks, *[_without_ids(line, goal) for line in fit.warnings], *notes, *ignored],
        missing=[],
        sql=sql_of(session, frames.query(session, actor, goal.key, fields, computed, **ask)),
        python=_snippet(goal, list(labels)),
    )  # fmt: skip


def _chosen(session: Session, actor: Actor, goal: Goal, factors: list[str]) -> tuple[dict[str, FieldSpec], list[str], list[str]]:
    """Fields by their path, computed numbers, and a note about factors that say nothing about this outcome. Nothing chosen: all that may."""
    known = factor_choices(session, actor)
    wanted = [name for name in (factors or known) if rules.belongs(goal, name) and not _is_outcome(goal, name)]
    lost = [known[name] for name in factors if name not in wanted]
    fields: dict[str, FieldSpec] = {}
    for name in wanted:
        key, _, field = name.partition(":")
        if "=" not in field:
            fields[field if key == goal.entity else f"{key}.{field}"] = _specs(session, actor, key)[field]
    computed = [name.partition(":=")[2] for name in wanted if "=" in name]
    note = [f"{', '.join(lost)}: of no use for this outcome, and left out."] if lost else []
    return fields, computed, note


def _is_outcome(goal: Goal, name: str) -> bool:
    return (goal.key, name) in {
        ("deal_amount", "deal:amount_minor"),
        ("order_revenue", "order:total_minor"),
        ("deal_amount", "deal:=lines"),
    }


def _prepared(
    session: Session,
    actor: Actor,
    goal: Goal,
    raw: "pd.DataFrame",
    fields: dict[str, FieldSpec],
    computed: list[str],
    *,
    automatic: bool,
) -> tuple["pd.DataFrame", dict[str, str], list[str]]:
    """Columns under the names that people read, rare categories together; column → path. A sample where there are very many rows."""
    import pandas as pd

    from ml.errors import DataError

    if len(raw) < 2 * rules.LEAST_ROWS:
        raise DataError(f"{len(raw)}", f"at least {2 * rules.LEAST_ROWS} {goal.rows}")
    notes: list[str] = []
    if len(raw) > MOST_ROWS:
        notes.append(f"A random {MOST_ROWS:,} of {len(raw):,} {goal.rows} were used.")
        raw = raw.sample(MOST_ROWS, random_state=0)
    titles = dict(rules.COMPUTED[goal.entity])
    table = pd.DataFrame({goal.y: raw["y"].map({1: "Yes", 0: "No"}) if goal.binary else raw["y"].astype(float)}).set_axis(
        raw["id"].to_list(), axis=0
    )
    columns: dict[str, str] = {}
    order = sorted(fields, key=lambda path: bool(fields[path].to)) if automatic else list(fields)
    for path in [*computed, *order]:
        spec = fields.get(path)
        values = _numbers(raw[path]) if spec is None or spec.numeric else _categories(session, actor, spec, raw[path])
        if values.nunique(dropna=True) < 2 or values.notna().mean() < 0.5:
            continue
        label = titles[path] if spec is None else _label(spec, path, actor)
        label = label if label not in table else f"{label} ({path})"
        table[label] = values.to_numpy()
        columns[label] = f"={path}" if spec is None else path
    if automatic:
        columns = _affordable(goal, table, columns)
    if not columns:
        raise DataError("none that is filled in and differs", "at least one fact that could explain it")
    return table[[goal.y, *columns]], columns, notes


def _affordable(goal: Goal, table: "pd.DataFrame", columns: dict[str, str]) -> dict[str, str]:
    """The first facts that the number of cases can carry: ten cases for each coefficient."""
    cases = int(table[goal.y].value_counts().min()) if goal.binary else len(table)
    budget = max(3, cases // 10)
    kept: dict[str, str] = {}
    for label, path in columns.items():
        cost = 1 if table[label].dtype.kind in "if" else table[label].nunique() - 1
        if len(kept) < rules.AUTOMATIC and cost <= budget:
            kept[label], budget = path, budget - cost
    return kept


def _label(spec: FieldSpec, path: str, actor: Actor) -> str:
    """The name of a column; a colon or an equals sign in it would read as part of the regression's own language."""
    words = f"{spec.label} ({actor.currency})" if spec.kind is FieldKind.MONEY else spec.label
    words = words.replace(":", " –").replace("=", "≈")
    return f"{words} of the account" if path.startswith("account.") else words


def _numbers(values: "pd.Series") -> "pd.Series":
    import pandas as pd

    return pd.to_numeric(values).astype(float)


def _categories(session: Session, actor: Actor, spec: FieldSpec, values: "pd.Series") -> "pd.Series":
    """Labels of a choice or a link; the most frequent ones by name, the rest together, nothing as its own category."""
    if spec.kind is FieldKind.BOOLEAN:
        return values.map({True: "Yes", False: "No"}).fillna(rules.EMPTY).astype(str)
    if spec.to:
        from crm_core.lists import titles

        known: dict[Any, str] = dict(titles(session, actor, spec.to, [int(value) for value in values.dropna().unique()]))
        named = values.map(lambda value: known.get(value, "Hidden"), na_action="ignore")
    else:
        named = values.map(lambda value: (spec.options or {}).get(value, value), na_action="ignore")
    words = named.astype(object).where(named.notna() & (named.astype(str) != ""), rules.EMPTY).astype(str)
    counts = words.value_counts()
    enough = counts[counts >= max(rules.LEAST_ROWS, 0.02 * len(words))].index[: rules.MOST_LEVELS]
    return words.where(words.isin(enough), rules.OTHER)


def _fit(goal: Goal, table: "pd.DataFrame", names: list[str]) -> "Regression":
    """Fit with the base of each category being its most frequent value."""
    import pandas as pd

    from ml.regression import fit_linear, fit_logistic

    ready = table.copy()
    for name in names:
        if not pd.api.types.is_numeric_dtype(ready[name]):
            ready[name] = pd.Categorical(ready[name], categories=ready[name].value_counts().index)
    return fit_logistic(ready, y=goal.y, x=names, positive="Yes") if goal.binary else fit_linear(ready, y=goal.y, x=names)


def _counted(fit: "Regression", table: "pd.DataFrame", specs: dict[str, FieldSpec]) -> "pd.DataFrame":
    """The terms with their sentences, and for pages outside: how many records share the fact, and whether it names a person of the house."""
    terms = [str(term).partition(" = ") for term in fit.coefficients["term"]]
    return fit.coefficients.assign(
        sentence=fit.sentences, spread=fit.spread.reindex(fit.coefficients["term"]).to_numpy(),
        n=[int((table[column] == level if level else table[column].notna()).sum()) if column in table else len(table) for column, _, level in terms],
        person=[column in specs and specs[column].to == "user" for column, _, _ in terms],
    )  # fmt: skip


# --- what it says -------------------------------------------------------------------------------------------------------------


def _drivers(
    goal: Goal, fit: "Regression", table: "pd.DataFrame", columns: dict[str, str], fields: dict[str, FieldSpec], actor: Actor
) -> "pd.DataFrame":
    """Clear terms, the strongest first, each with the condition that finds such records (empty where a filter can't say it)."""
    import json

    import numpy as np
    import pandas as pd

    found = fit.coefficients.assign(sentence=fit.sentences)
    found = found[(found["term"] != "intercept") & ((found["low"] > 0) | (found["high"] < 0))].copy()
    found["strength"] = np.abs(found["coef"] / found["se"].where(found["se"] > 0))
    rows = []
    for row in found.sort_values("strength", ascending=False).to_dict("records"):
        column, _, level = str(row["term"]).partition(" = ")
        path, more = columns[column], float(row["coef"]) > 0
        leaf = _leaf(path, fields.get(path), table[column], level, more, actor)
        told = {"term": row["term"], "column": column, "value": level, "path": path, "coef": float(row["coef"]), "more": more}
        rows.append(
            {**told, "sentence": row["sentence"], "strength": float(row["strength"]), "leaf": json.dumps(leaf) if leaf else ""}
        )
    return pd.DataFrame(rows, columns=["term", "column", "value", "path", "coef", "more", "sentence", "strength", "leaf"])


def _leaf(path: str, spec: FieldSpec | None, values: "pd.Series", level: str, more: bool, actor: Actor) -> dict[str, Any] | None:
    from crm_core.kit.money import to_minor

    if spec is None or level == rules.OTHER:
        return None
    if level == rules.EMPTY:
        return {"field": path, "cmp": "empty"}
    if spec.numeric:
        edge = float(values.astype(float).quantile(0.75 if more else 0.25))
        bound: Any = to_minor(round(edge, 2), actor.currency) if spec.kind is FieldKind.MONEY else round(edge, 2)
        return {"field": path, "cmp": "ge" if more else "le", "value": int(bound) if spec.kind is FieldKind.INTEGER else bound}
    if spec.kind is FieldKind.BOOLEAN:
        return {"field": path, "cmp": "eq", "value": level == "Yes"}
    if spec.to:
        return None
    stored = next((key for key, label in (spec.options or {}).items() if label == level), level)
    return {"field": path, "cmp": "eq", "value": stored}


def _alike(goal: Goal, table: "pd.DataFrame", drivers: "pd.DataFrame", names: list[str]) -> "pd.DataFrame":
    """For the strongest drivers: the plain difference, and the one among records that agree in the strongest other facts."""
    import pandas as pd

    from ml.errors import DataError
    from ml.matched import Matched, compare_alike

    y = table[goal.y].eq("Yes").astype(float) if goal.binary else table[goal.y]
    work = table.assign(**{goal.y: y})
    order = [*dict.fromkeys(drivers["column"]), *names]
    found = []
    for column, value in drivers.drop_duplicates("column").head(5)[["column", "value"]].to_numpy().tolist():
        values = work[column]
        numeric = pd.api.types.is_numeric_dtype(values)
        middle = float(values.astype(float).median()) if numeric else 0.0
        flags = values > middle if numeric else values == value
        others = [name for name in dict.fromkeys(order) if name != column][:ALIKE]
        try:
            said = compare_alike(work, outcome=goal.y, treated=flags.to_numpy(), alike=others)
        except DataError:
            continue
        words = f"{column} above {middle:,.4g}" if numeric else f"{column} = {value}"
        found.append({"what": words, "agreeing_in": ", ".join(others), **asdict(said)})
    columns = ["what", *Matched.__dataclass_fields__, "agreeing_in"]
    return pd.DataFrame(found, columns=columns).rename(columns={"estimate": "alike"})


def _leaks(goal: Goal, table: "pd.DataFrame", names: list[str]) -> list[str]:
    """Facts that know too much: one that alone tells the outcomes apart, or that is filled in for one outcome only."""
    import pandas as pd

    from ml.evaluation import auc_interval

    if not goal.binary:
        return []
    found, yes = [], table[goal.y].eq("Yes")
    for name in names:
        values = table[name]
        numeric = pd.api.types.is_numeric_dtype(values)
        score = values.fillna(values.median()) if numeric else values.map(yes.groupby(values).mean())
        area = auc_interval(yes.astype(int), score.astype(float)).estimate
        if max(area, 1 - area) > NEAR_PERFECT:
            found.append(
                f"{name} alone nearly tells the outcome (AUC {max(area, 1 - area):.2f}): it may be filled in after it. Fit once without it."
            )
        filled = values.notna() if numeric else ~values.eq(rules.EMPTY)
        gap = float(filled[yes].mean() - filled[~yes].mean())
        if abs(gap) > ONE_SIDED:
            found.append(
                f"{name} is filled in for {filled[yes].mean():.0%} of the yes and {filled[~yes].mean():.0%} of the no: it may follow the outcome."
            )
    return found


def _verdict(goal: Goal, fit: "Regression", drivers: "pd.DataFrame", leaks: list[str]) -> tuple[str, Any]:
    stats, terms = fit.statistics, len(fit.coefficients) - 1
    if fit.kind == "logistic":
        good, low = stats["cv_auc"], stats["cv_auc_low"]
        told = f"On rows not used for fitting, these facts tell the outcomes apart with an AUC of {good:.2f} ({low:.2f} to {stats['cv_auc_high']:.2f})"
        nothing, strong = low <= 0.5, good >= 0.65
        cases = stats["n"] * min(stats["base_rate"], 1 - stats["base_rate"])
        refused = (
            f"These facts do no better than the base rate of {stats['base_rate']:.0%}: they don't explain {goal.label.lower()}."
        )
    else:
        told = f"On rows not used for fitting, these facts explain {max(0.0, stats['loo_r2']):.0%} of the differences"
        nothing, strong = stats["loo_r2"] <= 0, stats["loo_r2"] >= 0.1
        cases, refused = (
            stats["n"],
            f"On rows not used for fitting these facts do no better than the average: they don't explain {goal.label.lower()}.",
        )
    if nothing:
        return refused, "no"
    lead = f"; the clearest link is with {drivers['column'].iloc[0]}." if len(drivers) else "; no single link is clear."
    return told + lead, "yes" if strong and cases >= 10 * terms and not leaks else "partly"


def _without_ids(line: str, goal: Goal) -> str:
    """A warning about a row speaks of its record; which one stands in the table, for those who may see it."""
    if not line.startswith("Row "):
        return line
    return f"One of the {goal.rows}" + line[line.index(" pulls") :].replace(
        "fit once without it", "it stands first among the influential ones"
    )


def _shown(rows: "pd.DataFrame", most: int = 4_000) -> "pd.DataFrame":
    """Residuals for the figures: the most influential rows and a regular sample of the others, by record."""
    ordered = rows.sort_values("cooks_distance", ascending=False)
    kept = (
        ordered
        if len(ordered) <= most
        else ordered.iloc[[*range(200), *range(200, len(ordered), -(-(len(ordered) - 200) // most))]]
    )
    return kept.rename_axis("record_id").reset_index()


def _snippet(goal: Goal, names: list[str]) -> str:
    fit = "fit_logistic" if goal.binary else "fit_linear"
    more = ', positive="Yes"' if goal.binary else ""
    return f"""import pandas as pd
from ml.regression import {fit}

table = pd.read_csv("rows.csv")  # the SQL above, its columns renamed as the page names them; choices by their label
found = {fit}(table, y="{goal.y}", x={names!r}{more})
print(found.coefficients, *found.warnings, *found.sentences, sep="\\n")
"""


METHOD = Method(
    kind="drivers",
    title="Drivers",
    entities=(),
    also=("deal", "order", "account", "contact", "ticket", "product"),
    tables=("deal", "deal_line", "deal_contact", "touchpoint", "sales_order", "order_line", "account", "contact", "ticket", "custom_field", "pick_option", "stage"),
    params=(
        Param("goal", "Explain", "choice", "deal_won", {key: goal.label for key, goal in GOALS.items()}),
        Param("factors", "By", "multi", [], factor_choices, help="Nothing chosen: the first facts that are filled in"),
        Param("months", "Records of", "choice", "24", PERIODS),
        Param(
            "filter", "Only records that match", "filter", None, entity="@goal", entities={key: goal.entity for key, goal in GOALS.items()},
        ),
    ),
    compute=_compute,
    how=(
        "A linear regression for numbers, a logistic one for yes or no, on all chosen facts at once: each coefficient says what goes with one fact "
        "while the others stay the same. Robust standard errors, no hidden penalty. Tested on rows not used for fitting. Fields that are filled in "
        "with or after the outcome are kept out. It shows what goes together, not what would happen if somebody changed it; comparing like with like "
        "removes what the other facts explain, and nothing else."
    ),
)  # fmt: skip
