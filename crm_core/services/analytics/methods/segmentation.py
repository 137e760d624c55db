"""Segmentation: the grid of recency, frequency and money, and groups that stay the same when the data is redrawn."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlmodel import Session

from crm_core.access import Actor
from crm_core.frames import customers as customer_frames
from crm_core.kit.money import exponent
from crm_core.services.analytics import segment_rules
from crm_core.services.analytics.methods.base import Method, Outcome, Param, Report
from crm_core.services.analytics.segment_rules import BEHAVIOUR
from crm_core.vocabulary import Action, FieldKind

if TYPE_CHECKING:
    import pandas as pd

MONTH_DAYS = 30.4375
CLUSTER_COUNTS = {"auto": "As many as are stable", **{str(k): str(k) for k in range(2, 9)}}
PERIODS = {"12": "Last 12 months", "24": "Last 24 months", "36": "Last 36 months", "0": "All time"}


def attribute_choices(session: Session, actor: Actor) -> dict[str, str]:
    """Fields by which customers can be told apart, of contacts and accounts alike: ``account:industry`` → words."""
    return {
        f"{customer}:{key}": f"{spec.label} ({'company' if customer == 'account' else 'person'})"
        for customer in ("account", "contact")
        if actor.can(customer, Action.READ)
        for key, spec in customer_frames.attributes(session, actor, customer).items()  # type: ignore[arg-type]
    }


def _compute(session: Session, actor: Actor, params: dict[str, Any], as_of: datetime, report: Report) -> Outcome:
    import pandas as pd

    from crm_core.frames.orders import orders
    from ml.clusters import fit_segments
    from ml.rfm import rfm_segments, rfm_summary, rfm_table

    customer, since = params["customer"], first_day(params, as_of)
    attributes = fields_of(params, "attributes")
    people = customer_frames.customers(session, actor, customer, fields=attributes, rule=params["filter"], now=as_of)
    bought = orders(session, actor, customer=customer, since=since, until=as_of)
    bought = bought[bought["customer_id"].isin(people["customer_id"])]
    report(0.15, "Recency, frequency and money")
    rfm = rfm_segments(rfm_table(_positive(bought), as_of=as_of))
    words = field_words(session, actor, customer, attributes)
    features = _features(rfm, people, [*params["behaviour"], *attributes]).rename(columns=words)
    k = params["clusters"] if params["clusters"] == "auto" else int(params["clusters"])
    report(0.2, "Trying numbers of groups")
    found = fit_segments(
        features, k=k, seed=params["seed"], progress=lambda done, words: report(0.2 + 0.7 * done, words.capitalize())
    )
    report(0.92, "Writing rules")
    clusters = _clusters(found, rfm)
    clusters["rules"] = _rules(session, actor, features, found, params)
    table = rfm.assign(cluster=found.labels.reindex(rfm["customer_id"]).to_numpy())
    table["cluster_name"] = table["cluster"].map(dict(zip(clusters["segment"], clusters["names"], strict=True)))
    summary = rfm_summary(rfm)
    return Outcome(
        verdict=found.advice[0],
        reliable=_reliable(found),
        summary={
            "customers": len(rfm),
            "without_orders": len(people) - len(rfm),
            "clusters": found.k,
            "worst_jaccard": clusters["worst_jaccard"],
            "revenue": float(rfm["monetary"].sum()),
            "agreement": clusters["rules"]["agreement"],
            "rules": clusters["rules"]["rules"],
            "names": clusters["names"],
        },
        tables={
            "clusters": clusters["table"],
            "centres": found.centres.reset_index(),
            "stability": found.stability,
            "rfm_summary": summary,
            "grid": _grid(rfm),
            "customers": table.drop(columns=["first_at"]),
        },
        warnings=[*dict.fromkeys([*found.advice[1:], *rfm.attrs.get("warnings", [])])],
        missing=_missing(len(people), len(rfm)),
        sql=_sql(session, actor, params, since, as_of),
        python=_snippet(params, as_of),
        marks=pd.concat([_marks(table, customer, "cluster", "cluster_name"), _marks(table, customer, "rfm", "segment")])
        if found.k > 1
        else _marks(table, customer, "rfm", "segment"),
    )


def first_day(params: dict[str, Any], as_of: datetime) -> datetime | None:
    """From when on orders count; None for all of them."""
    months = int(params["months"])
    return as_of - timedelta(days=round(months * MONTH_DAYS)) if months else None


def fields_of(params: dict[str, Any], name: str) -> list[str]:
    """The chosen fields of the kind of customer that is looked at."""
    prefix = params["customer"] + ":"
    return [key.removeprefix(prefix) for key in params[name] if key.startswith(prefix)]


def field_words(session: Session, actor: Actor, customer: Any, keys: list[str]) -> dict[str, str]:
    """Key → words for columns, so that names, rules and figures speak to people."""
    specs = customer_frames.attributes(session, actor, customer)
    return segment_rules.readable_fields({key: specs[key].label for key in keys})


def editable(
    session: Session, actor: Actor, params: dict[str, Any], rule: Any, keys: list[str], *, buyers: bool = True
) -> dict[str, Any]:
    """A rule of the mathematics as a filter on the customers; ``buyers``: among those with an order in the period."""
    specs = customer_frames.attributes(session, actor, params["customer"])
    words = field_words(session, actor, params["customer"], keys)
    turn = segment_rules.cluster_filter if buyers else segment_rules.as_filter
    return turn(
        segment_rules.with_fields(rule, {word: key for key, word in words.items()}),
        months=int(params["months"]),
        money=lambda value: minor(value, actor),
        money_fields=tuple(key for key in keys if specs[key].kind is FieldKind.MONEY),
    )


def _positive(orders: "pd.DataFrame") -> "pd.DataFrame":
    """A refund that exceeds its order counts as nothing earned."""
    return orders.assign(revenue=orders["revenue"].clip(lower=0))


def _features(rfm: "pd.DataFrame", people: "pd.DataFrame", chosen: list[str]) -> "pd.DataFrame":
    from ml.errors import DataError

    joined = rfm.merge(people, on="customer_id", how="left", validate="one_to_one")
    if not chosen:
        raise DataError("none", "at least one thing to tell customers apart by")
    return joined[["customer_id", *chosen]]


def _clusters(found: Any, rfm: "pd.DataFrame") -> dict[str, Any]:
    """Clusters with size, revenue and a name of their own."""
    labels = found.labels.reindex(rfm["customer_id"]).to_numpy()
    revenue = rfm["monetary"].groupby(labels).sum()
    table = found.profile.copy()
    names = segment_rules.names(found.centres.to_dict("records")) if found.k > 1 else ["All customers"]
    table.insert(1, "name", names)
    table["revenue"] = revenue.reindex(table["segment"]).to_numpy()
    table["revenue_share"] = table["revenue"] / max(float(revenue.sum()), 1e-9)
    chosen = found.stability[found.stability["k"] == found.k]
    worst = float(chosen["worst_jaccard"].iloc[0]) if len(chosen) and found.k > 1 else None
    return {"table": table, "names": names, "segment": table["segment"].tolist(), "worst_jaccard": worst}


def _rules(session: Session, actor: Actor, features: "pd.DataFrame", found: Any, params: dict[str, Any]) -> dict[str, Any]:
    """Cluster → filter, words, and how well the rule finds the cluster."""
    from ml.rules import describe, fit_rules, matches

    if found.k < 2:
        return {"agreement": None, "rules": {}}
    described = features.set_index("customer_id")
    labels = found.labels.reindex(described.index).to_numpy()
    rules, agreed = {}, 0
    for label, rule in fit_rules(described, labels).items():
        hits, inside = matches(rule, described), labels == label
        both = int((hits & inside).sum())
        agreed += both
        ast = editable(session, actor, params, rule, fields_of(params, "attributes"))
        rules[str(label)] = {
            "filter": ast, "words": describe(rule), "hits": int(hits.sum()), "both": both, "members": int(inside.sum()),
        }  # fmt: skip
    return {"agreement": agreed / len(labels), "rules": rules}


def minor(value: float, actor: Actor) -> int:
    """Major units of the workspace's currency in minor ones."""
    return round(float(value) * 10 ** exponent(actor.currency))


def _grid(rfm: "pd.DataFrame") -> "pd.DataFrame":
    cells = rfm.groupby(["r_score", "fm_score"])
    return cells.agg(customers=("customer_id", "size"), revenue=("monetary", "sum")).reset_index()


def _reliable(found: Any) -> Any:
    from ml.limits import HIGHLY_STABLE, PATTERN

    chosen = found.stability[found.stability["k"] == found.k]
    if found.k < 2 or "don't target" in found.advice[0]:
        return "no"
    worst = float(chosen["worst_jaccard"].iloc[0])
    return "yes" if worst >= HIGHLY_STABLE else "partly" if worst >= PATTERN else "no"


def _missing(people: int, buyers: int) -> list[str]:
    silent = people - buyers
    if silent <= 0:
        return []
    share = silent / people
    return [f"{silent:,} of {people:,} customers ({share:.0%}) placed no order in the period and are in no group."]


def _marks(table: "pd.DataFrame", customer: str, kind: str, label: str) -> "pd.DataFrame":
    import pandas as pd

    number = table["cluster"].astype(float) if kind == "cluster" else table["r_score"] * 10 + table["fm_score"]
    return pd.DataFrame(
        {
            "kind": kind,
            "entity": customer,
            "record_id": table["customer_id"],
            "number": number,
            "label": table[label],
            "detail": None,
        }
    )


def _sql(session: Session, actor: Actor, params: dict[str, Any], since: datetime | None, as_of: datetime) -> str:
    """The orders, and whom they are cut down to where a filter or fields were chosen."""
    from crm_core.frames.orders import orders_query
    from crm_core.frames.read import sql_of

    customer, fields = params["customer"], fields_of(params, "attributes")
    asked = {"The orders": orders_query(actor, customer=customer, since=since, until=as_of)}
    if fields or params["filter"]:
        specs = customer_frames.attributes(session, actor, customer)
        asked["The customers"] = customer_frames.query(
            session, actor, customer, [specs[key] for key in fields], rule=params["filter"], now=as_of
        )
    return ";\n\n".join(f"-- {words}\n{sql_of(session, statement)}" for words, statement in asked.items())


def _snippet(params: dict[str, Any], as_of: datetime) -> str:
    columns = ", ".join(f'"{key}"' for key in ("customer_id", *params["behaviour"]))
    k = '"auto"' if params["clusters"] == "auto" else params["clusters"]
    return f"""import pandas as pd
from ml.clusters import fit_segments
from ml.rfm import rfm_segments, rfm_table

orders = pd.read_csv("orders.csv")  # order_id, customer_id, ordered_at, revenue: the SQL above, money divided by its minor unit
orders["ordered_at"] = pd.to_datetime(orders["ordered_at"], utc=True)
customers = rfm_segments(rfm_table(orders, as_of="{as_of.isoformat()}"))
found = fit_segments(customers[[{columns}]], k={k}, seed={params["seed"]})
print(found.advice[0])
print(found.profile)
"""


METHOD = Method(
    kind="segmentation",
    title="Segmentation",
    entities=("contact", "account", "order"),
    tables=("contact", "account", "sales_order", "custom_field"),
    params=(
        Param("customer", "Customers", "choice", "contact", {"contact": "People", "account": "Companies"}),
        Param("months", "Orders of", "choice", "24", PERIODS),
        Param("clusters", "Number of groups", "choice", "auto", CLUSTER_COUNTS),
        Param(
            "behaviour",
            "Compare by",
            "multi",
            ["frequency", "monetary", "recency_days"],
            BEHAVIOUR,
            help="What is computed from orders",
        ),
        Param("attributes", "And by fields", "multi", [], attribute_choices, help="Fields of the people or companies themselves"),
        Param("filter", "Only customers that match", "filter", None, entity="@customer", advanced=True),
        Param("seed", "Seed", "int", 1, low=0, high=1_000_000, advanced=True, help="The same seed gives the same result"),
    ),
    compute=_compute,
    how=(
        "Each customer is scored from 1 to 5 by how lately, how often and for how much they bought; the grid of these scores has eleven named cells. "
        "Groups come from k-means on logged, standardised values. Their number is the finest cut that stays the same when the data is redrawn "
        "thirty times, and none when one cloud of customers explains the data as well."
    ),
)
