"""Baskets: which products go together, confirmed on later orders; dearer alternatives; the next offer for each customer."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlmodel import Session

from crm_core import lists
from crm_core.access import Actor, require
from crm_core.errors import Invalid
from crm_core.services.analytics import offer_worth
from crm_core.services.analytics.methods.base import Method, Outcome, Param, Report
from crm_core.services.analytics.methods.segmentation import MONTH_DAYS, PERIODS
from crm_core.vocabulary import Action

if TYPE_CHECKING:
    import pandas as pd

LENGTHS = {"2": "Pairs", "3": "Up to 3 products", "4": "Up to 4 products", "0": "Any length"}
HOLDOUTS = {"0.3": "The latest 30%", "0.2": "The latest 20%", "0": "No check"}
UNITS = {"order": "An order", "customer": "All that a customer bought"}
MAX_RULES = 20_000
MAX_CUSTOMERS = 50_000
PARTNERS = 6
CANDIDATES = 5
"""Suggestions per customer among which the first one is taken that can't be chance."""
CHOSEN_FROM = 20
"""As many where margin or stock decide, too."""
MOST_NAMED = 2_000
"""Products that can be chosen from a menu."""
MIN_BASKETS = 100


def categories(session: Session, actor: Actor) -> dict[str, str]:
    """Product categories by id."""
    require(actor, "product", Action.READ)
    return {str(key): name for key, name in lists.choices(session, actor, "product_category", limit=MOST_NAMED).items()}


def products(session: Session, actor: Actor) -> dict[str, str]:
    """Products by id, the first ones by name."""
    require(actor, "product", Action.READ)
    return {str(key): name for key, name in lists.choices(session, actor, "product", limit=MOST_NAMED).items()}


def _compute(session: Session, actor: Actor, params: dict[str, Any], as_of: datetime, report: Report) -> Outcome:
    from crm_core.frames.orders import lines_query, order_lines, product_names
    from crm_core.frames.read import sql_of
    from ml.basket import association_rules

    limits = offer_worth.limits_of(params)
    if (limits.least_margin_pct or limits.order == offer_worth.WORTHIEST) and offer_worth.hides_costs(actor):
        raise Invalid("Costs of products are hidden from your role, so offers can't follow their margin.")
    months = int(params["months"])
    since = as_of - timedelta(days=round(months * MONTH_DAYS)) if months else None
    bought = params["customer"] if params["unit"] == "customer" or params["filter"] else None
    among = _among(session, actor, params, as_of)
    lines = order_lines(session, actor, customer=bought, since=since, until=as_of, among=among)
    every = lines
    lines = _chosen(session, actor, lines, params)
    if params["unit"] == "customer":
        lines = lines.assign(order_id=lines["customer_id"])
    report(0.1, "Looking for rules")
    share = float(params["holdout"])
    rules = association_rules(
        lines.drop(columns=["customer_id"]),
        min_support=params["min_support_pct"] / 100,
        min_confidence=params["min_confidence_pct"] / 100,
        min_count=params["min_count"] or None,
        max_len=int(params["max_len"]) or None,
        holdout=share or None,
        progress=lambda done, words: report(0.1 + 0.4 * done, words),
    )
    names = product_names(session, actor)
    table = _rules(rules, bool(share))
    report(0.55, "Dearer alternatives")
    offers = _upsell(session, actor, lines, params["min_count"])
    report(0.6, "Ways of suggesting")
    judged, note = _judged(lines)
    report(0.75, "The next offer for each customer")
    partners = _partners(lines, table)
    offered, left_out = _next_offers(session, actor, params, since, as_of, every, report)
    return Outcome(
        verdict=_verdict(table, int(rules.attrs["n"]), int(rules.attrs["n_holdout"]), bool(share)),
        reliable=_reliable(table, rules.attrs["n"], bool(share)),
        summary={
            "baskets": int(rules.attrs["n"]) + int(rules.attrs["n_holdout"]),
            "rules": len(rules),
            "holding": int((table["verdict"] == "holds").sum()),
            "products": int(lines["product_id"].nunique()),
            "lengths": {str(k): int(v) for k, v in table["length"].value_counts().sort_index().items()},
            "productive": int(table["productive"].sum()),
            "customers": len(offered),
        },
        tables={"rules": table.head(MAX_RULES), "upsell": offers, "methods": judged, "partners": partners, "next_offers": offered},
        warnings=[
            rules.attrs["note"],
            *note,
            *left_out,
            *([f"Only the first {MAX_RULES:,} rules are kept."] if len(table) > MAX_RULES else []),
        ],
        sql=sql_of(session, lines_query(actor, customer=bought, since=since, until=as_of, among=among)),
        python=_snippet(params),
        marks=_marks(partners, offers, offered, params["customer"], names),
    )


def _among(session: Session, actor: Actor, params: dict[str, Any], as_of: datetime) -> Any:
    """SELECT of the customers whose baskets count; None for everybody, guests included."""
    from crm_core.frames import customers

    return customers.query(session, actor, params["customer"], rule=params["filter"], now=as_of) if params["filter"] else None


def _chosen(session: Session, actor: Actor, lines: "pd.DataFrame", params: dict[str, Any]) -> "pd.DataFrame":
    """Lines of the chosen categories, without what is left out (postage, deposits, samples)."""
    if params["categories"]:
        known = categories(session, actor)
        lines = lines[lines["category"].isin([known[key] for key in params["categories"]])]
    return _without(session, actor, lines, params)


def _without(session: Session, actor: Actor, lines: "pd.DataFrame", params: dict[str, Any]) -> "pd.DataFrame":
    known = categories(session, actor) if params["without_categories"] else {}
    if params["without_categories"]:
        lines = lines[~lines["category"].isin([known[key] for key in params["without_categories"]])]
    if params["without_products"]:
        lines = lines[~lines["product_id"].isin([int(key) for key in params["without_products"]])]
    return lines


def _rules(rules: "pd.DataFrame", checked: bool) -> "pd.DataFrame":
    """Rules with ids, plain lists and a verdict: holds, open or fails on later baskets."""
    columns = ["antecedents", "consequents", "count", "support", "confidence", "lift", "productive", "q_value"]
    table = rules[[*columns, "holdout_confidence", "holdout_lift", "holdout_lift_low", "holdout_lift_high"]].copy()
    for side in ("antecedents", "consequents"):
        table[side] = [sorted(int(item) for item in items) for items in table[side]]
    table["length"] = [len(items) for items in table["antecedents"]]
    low, high = table["holdout_lift_low"], table["holdout_lift_high"]
    table["verdict"] = "not checked"
    if checked:
        table["verdict"] = "open"
        table.loc[low > 1, "verdict"] = "holds"
        table.loc[high < 1, "verdict"] = "fails"
    table["holdout_lift_high"] = high.replace(float("inf"), float("nan"))
    table.insert(0, "rule", range(1, len(table) + 1))
    return table


def _upsell(session: Session, actor: Actor, lines: "pd.DataFrame", min_count: int) -> "pd.DataFrame":
    import pandas as pd

    from crm_core.frames.products import catalogue
    from ml.basket import upsell
    from ml.basket_upsell import COLUMNS

    if actor.masked("product", "price_minor"):
        return pd.DataFrame(columns=COLUMNS)
    products = catalogue(session, actor)
    products = products[products["unit_price"] > 0]
    if products.empty:
        return pd.DataFrame(columns=COLUMNS)
    return upsell(lines.drop(columns=["customer_id"]), products, min_count=max(1, min_count or 20))


def _judged(lines: "pd.DataFrame") -> tuple["pd.DataFrame", list[str]]:
    """Which way of suggesting names the missing product most often; empty with a reason where it can't be told."""
    import pandas as pd

    from ml.basket import METHODS, evaluate
    from ml.errors import DataError

    methods = METHODS if lines["product_id"].nunique() <= 2_000 else tuple(name for name in METHODS if name != "ease")
    try:
        return evaluate(lines.drop(columns=["customer_id"]), split_at=0.8, methods=methods, max_baskets=5_000), []
    except DataError as error:
        empty = pd.DataFrame(columns=["method", "hit@5", "low", "high", "mrr", "questions", "baskets"])
        return empty, [f"Ways of suggesting were not compared: that needs {error.needed}."]


def _partners(lines: "pd.DataFrame", rules: "pd.DataFrame") -> "pd.DataFrame":
    """product_id, partner_id, confidence, lift, count, low: the pairs among the rules that did not fail, the surest first per product."""
    pairs = rules[(rules["length"] == 1) & rules["productive"] & (rules["verdict"] != "fails") & (rules["lift"] > 1)]
    table = pairs[["confidence", "lift", "count", "verdict"]].assign(
        product_id=[items[0] for items in pairs["antecedents"]], partner_id=[items[0] for items in pairs["consequents"]]
    )
    table["low"] = pairs["holdout_lift_low"]
    table = table.sort_values(["product_id", "confidence"], ascending=[True, False], ignore_index=True)
    return table.groupby("product_id").head(PARTNERS).reset_index(drop=True)


def _next_offers(
    session: Session,
    actor: Actor,
    params: dict[str, Any],
    since: datetime | None,
    as_of: datetime,
    every: "pd.DataFrame",
    report: Report,
) -> tuple["pd.DataFrame", list[str]]:
    """customer_id, product_id, because, confidence, lift, count: what each customer lacks that goes best with what they have, beyond chance and within
    the limits of margin and stock. And what these left out, in words."""
    import pandas as pd

    from crm_core.frames.orders import order_lines
    from ml.basket import Recommender

    customer = params["customer"]
    if customer == "contact":  # these were read already: with the lines of guests, which name nobody
        known = every[every["customer_id"].notna()].astype({"customer_id": "int64"})
    else:
        known = order_lines(session, actor, customer=customer, since=since, until=as_of)
    known = _without(session, actor, known, params)
    columns = ["customer_id", "product_id", "because", "confidence", "lift", "count"]
    if known.empty or known["product_id"].nunique() < 2:
        return pd.DataFrame(columns=columns), []
    limits, worths = offer_worth.limits_of(params), offer_worth.worths(session, actor)
    plain = not limits.narrow and limits.order == offer_worth.LIKELIEST
    latest = known.sort_values("ordered_at").drop_duplicates("customer_id", keep="last")["customer_id"].iloc[-MAX_CUSTOMERS:]
    owned = known[known["customer_id"].isin(latest)].groupby("customer_id")["product_id"].unique()
    # Each customer's purchases are one basket here: the question is what they lack, not what lay in one order.
    model = Recommender(known.assign(order_id=known["customer_id"]).drop(columns=["customer_id"]), method="confidence")
    parts = []
    for start in range(0, len(owned), 5_000):
        part = owned.iloc[start : start + 5_000]
        n = CANDIDATES if plain else CHOSEN_FROM
        found = model.recommend({key: list(items) for key, items in part.items()}, n=n)
        parts.append(_clearly_more(found if plain else _within(found, limits, worths)))
        report(0.75 + 0.2 * start / len(owned), "The next offer for each customer")
    found = pd.concat(parts, ignore_index=True).rename(columns={"basket": "customer_id"})
    return found[columns].reset_index(drop=True), _left_out(limits, worths, {int(key) for key in known["product_id"].unique()})


def _within(found: "pd.DataFrame", limits: offer_worth.Limits, worths: dict[int, offer_worth.Worth]) -> "pd.DataFrame":
    """The suggestions that the limits of margin and stock allow, each customer's best first."""
    import numpy as np

    allowed = (not limits.refuses(worths.get(int(item))) for item in found["product_id"])
    found = found.loc[np.fromiter(allowed, dtype=bool, count=len(found))]
    ranks = [
        limits.rank(worths.get(int(item)), float(chance))
        for item, chance in zip(found["product_id"], found["confidence"], strict=True)
    ]
    order = sorted(range(len(found)), key=lambda place: ranks[place])  # stable: of equals the surest stays first
    return found.iloc[order].reset_index(drop=True)


def _left_out(limits: offer_worth.Limits, worths: dict[int, offer_worth.Worth], sold: set[int]) -> list[str]:
    """What the limits kept from being offered, and what is not known, each in a sentence."""
    reasons = [limits.refuses(worths.get(item)) for item in sorted(sold)]
    said = {
        "stock": "{} of the products bought are sold out and not offered.",
        "margin": f"{{}} of the products bought have a margin below {limits.least_margin_pct:g}% and are not offered.",
        "unknown": "{} of the products bought are not offered because their margin is not known: write down their cost.",
    }
    found = [words.format(f"{reasons.count(key):,}") for key, words in said.items() if key in reasons]
    unknown = sum(1 for item in sold if (one := worths.get(item)) is None or one.margin_minor is None)
    if limits.order == offer_worth.WORTHIEST and unknown and "unknown" not in reasons:
        found.append(f"{unknown:,} of the products bought have no known cost: they come after those whose margin is known.")
    unsure = sum(1 for item in sold if (one := worths.get(item)) is None or one.stock is None)
    if limits.in_stock and unsure:
        found.append(f"The stock of {unsure:,} of the products bought is not known; they are offered.")
    return found


def _clearly_more(found: "pd.DataFrame") -> "pd.DataFrame":
    """The first suggestion of each customer that goes with what they have more often than with everybody, beyond chance: the lower end of its
    confidence lies above its share among all. What everybody buys is no news."""
    from ml.kpis import wilson

    pairs = found[found["because"].notna() & (found["lift"] > 1) & (found["confidence"] > 0)].reset_index(drop=True)
    if pairs.empty:
        return pairs
    count, confidence = pairs["count"].to_numpy(dtype=float), pairs["confidence"].to_numpy(dtype=float)
    low, _ = wilson(count, (count / confidence).round())
    return pairs[low > confidence / pairs["lift"].to_numpy(dtype=float)].drop_duplicates("basket")


def _verdict(table: "pd.DataFrame", n: int, later: int, checked: bool) -> str:
    if table.empty:
        return f"No rule reaches these limits among {n:,} baskets. Lower the least share or confidence, or take a longer period."
    if not checked:
        return f"{len(table):,} rules among {n:,} baskets, none of them checked on other baskets: don't quote these numbers."
    holding = int((table["verdict"] == "holds").sum())
    return f"{holding:,} of {len(table):,} rules hold on {later:,} later baskets that had no part in finding them."


def _reliable(table: "pd.DataFrame", n: int, checked: bool) -> Any:
    if table.empty or not checked or n < MIN_BASKETS:
        return "no"
    return "yes" if (table["verdict"] == "holds").mean() >= 0.5 else "partly"


def _marks(
    partners: "pd.DataFrame", offers: "pd.DataFrame", offered: "pd.DataFrame", customer: str, names: dict[int, str]
) -> "pd.DataFrame":
    """On each product what goes with it and what is dearer, on each customer the next offer."""
    import pandas as pd

    rows: list[dict[str, Any]] = []
    dearer, beside = _by_product(offers), _by_product(partners)
    for product in sorted({*dearer, *beside}):
        detail = {
            "with": [_partner(row) for row in beside[product].to_dict("records")] if product in beside else [],
            "dearer": [_dearer(row) for row in dearer[product].to_dict("records")] if product in dearer else [],
        }
        first = detail["with"][0]["product_id"] if detail["with"] else detail["dearer"][0]["product_id"]
        rows.append(
            {
                "kind": "goes_with",
                "entity": "product",
                "record_id": product,
                "number": None,
                "label": names.get(first, ""),
                "detail": detail,
            }
        )
    for row in offered.to_dict("records"):
        offer = {
            "product_id": int(row["product_id"]),
            "because": int(row["because"]),
            "lift": row["lift"],
            "count": int(row["count"]),
        }
        rows.append(
            {
                "kind": "next_offer", "entity": customer, "record_id": int(row["customer_id"]), "number": row["confidence"],
                "label": names.get(int(row["product_id"]), ""), "detail": offer,
            }
        )  # fmt: skip
    return pd.DataFrame(rows, columns=["kind", "entity", "record_id", "number", "label", "detail"])


def _by_product(table: "pd.DataFrame") -> dict[int, "pd.DataFrame"]:
    return {int(str(key)): part for key, part in table.groupby("product_id")} if len(table) else {}


def _partner(row: dict[Any, Any]) -> dict[str, Any]:
    return {
        "product_id": int(row["partner_id"]), "confidence": float(row["confidence"]), "lift": float(row["lift"]), "count": int(row["count"]),
        "holds": row["verdict"] == "holds",
    }  # fmt: skip


def _dearer(row: dict[Any, Any]) -> dict[str, Any]:
    return {
        "product_id": int(row["offer_id"]),
        "share": float(row["share"]),
        "low": float(row["low"]),
        "extra": float(row["extra"]),
    }


def _snippet(params: dict[str, Any]) -> str:
    length = params["max_len"] if params["max_len"] != "0" else None
    holdout = params["holdout"] if params["holdout"] != "0" else None
    return f"""import pandas as pd
from ml.basket import association_rules

lines = pd.read_csv("order_lines.csv")  # order_id, product_id, quantity, revenue, ordered_at: the SQL above, money divided by its minor unit
rules = association_rules(
    lines, min_support={params["min_support_pct"] / 100}, min_confidence={params["min_confidence_pct"] / 100},
    min_count={params["min_count"] or None}, max_len={length}, holdout={holdout},
)
print(rules.attrs["note"])
print(rules[rules.productive & (rules.q_value < 0.05)].head(20))
"""


METHOD = Method(
    kind="basket",
    version=2,
    title="Baskets and offers",
    entities=("order", "product", "contact", "account"),
    tables=("sales_order", "order_line", "product", "product_category"),
    params=(
        Param("months", "Orders of", "choice", "24", PERIODS),
        Param("unit", "A basket is", "choice", "order", UNITS, help="For rare purchases take all that a customer bought"),
        Param("customer", "Offers for", "choice", "contact", {"contact": "People", "account": "Companies"}),
        Param("categories", "Categories", "multi", [], categories),
        Param("filter", "Only baskets of customers who match", "filter", None, entity="@customer"),
        Param(
            "min_support_pct",
            "Least share (%)",
            "float",
            0.5,
            low=0.01,
            high=100,
            help="Of the baskets that hold the whole rule",
        ),
        Param(
            "min_confidence_pct", "Least confidence (%)", "float", 20.0, low=0, high=100, help="How often a rule has to be right"
        ),
        Param(
            "min_count",
            "Smallest count",
            "int",
            20,
            low=0,
            high=1_000_000,
            advanced=True,
            help="Baskets with the whole rule; fewer than 20 are luck",
        ),
        Param(
            "in_stock",
            "Offer only what is in stock",
            "bool",
            False,
            advanced=True,
            help="Products whose stock is not known are offered, and marked",
        ),
        Param(
            "least_margin_pct",
            "Offer only with a margin of at least (%)",
            "float",
            0.0,
            low=0,
            high=100,
            advanced=True,
            help="(List price − cost) ÷ list price. 0: whatever the margin is. Otherwise products without a known cost are left out",
        ),
        Param(
            "offer_order",
            "Which offer",
            "choice",
            offer_worth.LIKELIEST,
            offer_worth.ORDERS,
            advanced=True,
            help="Expected margin = probability × (list price − cost)",
        ),
        Param("without_categories", "Leave out categories", "multi", [], categories, advanced=True),
        Param(
            "without_products",
            "Leave out products",
            "multi",
            [],
            products,
            advanced=True,
            help="What lies in every basket anyway, such as postage or deposits",
        ),
        Param("max_len", "Length", "choice", "3", LENGTHS, advanced=True),
        Param(
            "holdout", "Check on", "choice", "0.3", HOLDOUTS, advanced=True, help="Baskets that take no part in finding the rules"
        ),
    ),
    compute=_compute,
    how=(
        "A rule says: who has A in the basket has C too. Rules are mined on the earlier baskets and measured again on the later ones, which had no part in "
        "finding them. A rule holds when the whole 95% interval of its lift on the later baskets lies above 1. Rules are ordered by confidence: lift explains "
        "a rule, but ordering by it puts coincidences first. A dearer product is offered when buyers of the two chose it often enough; its worth is the lower "
        "end of that share times the difference in price. The next offer of a customer is what goes best with something they have: only where the whole 95% "
        "interval of that share lies above the product's share among all customers. By choice it is one that is in stock, has some margin, or earns most: its "
        "probability times its margin, (list price − cost); a cost or a stock that nobody wrote down is unknown, not zero."
    ),
)
