"""A made-up company whose truth is known, to see whether a method finds what was planted, and stays silent otherwise.

``company("small", seed=1)`` returns the frames; ``truth()`` says what was planted. Each part of the company draws from
its own random stream: the same scale and seed always give the same frames, and a new part never changes an old one.
"""

from dataclasses import dataclass, field, fields

import numpy as np
import pandas as pd

from ml.errors import DataError

START, END = pd.Timestamp("2022-01-01", tz="UTC"), pd.Timestamp("2025-01-01", tz="UTC")
DAYS = (END - START).days
SCALES = {"small": 500, "medium": 5_000, "large": 200_000}
N_PRODUCTS = 240
CATEGORIES = ("coffee", "kitchen", "garden", "toys", "books", "tools", "sports", "pets")
COUNTRIES = ("DE", "FR", "IT", "PL")


@dataclass(frozen=True)
class Kind:
    """A planted kind of customer; medians unless said otherwise."""

    share: float
    orders_per_year: float
    lines_per_order: float
    price_level: float
    age: float
    income: float
    visits_per_month: float
    discount_share: float
    leaves_per_year: float


@dataclass(frozen=True)
class Truth:
    """What was planted. Effects are log-odds unless the name says otherwise."""

    as_of: pd.Timestamp = END
    segments: dict[str, Kind] = field(
        default_factory=lambda: {
            "enthusiasts": Kind(0.15, 8.0, 5.0, 1.6, 42, 78_000, 14.0, 0.08, 0.15),
            "families": Kind(0.25, 4.0, 8.0, 1.0, 37, 46_000, 6.0, 0.25, 0.25),
            "bargain hunters": Kind(0.30, 2.4, 3.5, 0.6, 27, 26_000, 10.0, 0.68, 0.40),
            "occasional": Kind(0.30, 0.6, 2.5, 1.1, 60, 50_000, 1.6, 0.12, 0.30),
        }
    )
    rule_if: frozenset[str] = frozenset({"P101", "P102"})
    rule_then: str = "P103"
    rule_confidence: float = 0.7
    rule_order_share: float = 0.05
    channel_share: dict[str, float] = field(
        default_factory=lambda: {"search": 0.30, "email": 0.20, "social": 0.20, "display": 0.20, "direct": 0.10}
    )
    channel_effects: dict[str, float] = field(
        default_factory=lambda: {"email": 1.8, "search": 0.9, "social": 0.4, "display": 0.0, "direct": 0.0}
    )
    channel_cost: dict[str, float] = field(
        default_factory=lambda: {"search": 0.8, "email": 0.02, "social": 0.35, "display": 0.25, "direct": 0.0}
    )
    conversion_base: float = -2.6
    campaign_base_rate: float = 0.08
    campaign_lift: float = 0.05
    campaign_treated_share: float = 0.7
    churn_base: float = -2.4
    churn_effects: dict[str, float] = field(
        default_factory=lambda: {"plan=monthly": 1.5, "tickets_90d": 0.5, "logins_30d": -0.06, "shoe_size": 0.0}
    )
    lead_base: float = -3.0
    lead_effects: dict[str, float] = field(
        default_factory=lambda: {"source=referral": 1.2, "log1p(pages_viewed)": 1.0, "shoe_size": 0.0}
    )
    sales_level: float = 1_000.0
    sales_growth_per_year: float = 0.25
    sales_weekday: tuple[float, ...] = (1.05, 1.0, 0.98, 1.02, 1.15, 1.25, 0.55)
    sales_yearly_swing: float = 0.2
    sales_noise: float = 0.06


def truth() -> Truth:
    """What `company` plants, whatever its scale and seed."""
    return Truth()


@dataclass(frozen=True)
class Company:
    """The frames of one made-up company; those named in `ml.contracts` follow it.

    Attributes
    ----------
    customers
        CUSTOMERS: age, income, visits_per_month, discount_share, complaints, country, newsletter, shoe_size (noise),
        signed_up_at.
    membership
        ``customer_id, segment``: the planted kind. Kept apart, so that no method sees it by accident.
    products
        ``product_id, name, category, unit_price``.
    orders, order_lines
        ORDERS and ORDER_LINES; an order's revenue is the sum of its lines.
    touchpoints, conversions
        TOUCHPOINTS (with cost and ``journey``) and CONVERSIONS.
    campaign
        A randomised campaign: ``customer_id, at, group`` (treated, control)``, responded, revenue``.
    contracts
        One snapshot per subscriber: ``customer_id, at, started_at, plan, tenure_months, monthly_fee, tickets_90d,
        logins_30d, shoe_size, churned`` (within 90 days)``, ended_at``.
    leads
        One snapshot per lead: ``lead_id, at, source, employees, pages_viewed, region, shoe_size, converted, spend``.
    sales
        SERIES: daily sales with trend, week, year and noise.
    """

    customers: pd.DataFrame
    membership: pd.DataFrame
    products: pd.DataFrame
    orders: pd.DataFrame
    order_lines: pd.DataFrame
    touchpoints: pd.DataFrame
    conversions: pd.DataFrame
    campaign: pd.DataFrame
    contracts: pd.DataFrame
    leads: pd.DataFrame
    sales: pd.DataFrame

    @property
    def frames(self) -> dict[str, pd.DataFrame]:
        """Name → frame."""
        return {entry.name: getattr(self, entry.name) for entry in fields(self)}


def company(scale: str | int = "small", seed: int = 0) -> Company:
    """Make a company.

    Parameters
    ----------
    scale
        ``small`` (500 customers), ``medium`` (5,000), ``large`` (200,000; about 1 million orders and 5 million lines),
        or a number of customers.

    Raises
    ------
    DataError
        An unknown scale, or fewer than ten customers.
    """
    n = SCALES.get(scale, 0) if isinstance(scale, str) else int(scale)
    if n < 10:
        raise DataError(repr(scale), f"one of {', '.join(SCALES)} or at least 10 customers")
    planted = truth()
    customers, kind = _customers(n, _stream(seed, 1), planted)
    names = np.array(list(planted.segments))
    products = _products(_stream(seed, 2))
    orders, lines = _purchases(customers, kind, products, _stream(seed, 3), planted)
    touchpoints, conversions = _journeys(customers["customer_id"].array, _stream(seed, 4), planted)
    return Company(
        customers=customers,
        membership=pd.DataFrame({"customer_id": customers["customer_id"], "segment": names[kind]}),
        products=products,
        orders=orders,
        order_lines=lines,
        touchpoints=touchpoints,
        conversions=conversions,
        campaign=_campaign(customers["customer_id"], _stream(seed, 5), planted),
        contracts=_contracts(customers["customer_id"], _stream(seed, 6), planted),
        leads=_leads(n, _stream(seed, 7), planted),
        sales=_sales(_stream(seed, 8), planted),
    )


def one_blob(n: int = 1_000, columns: int = 4, seed: int = 0) -> pd.DataFrame:
    """Customers without any segments: independent normal attributes ``x1 … x<columns>``, indexed by customer_id."""
    index = pd.Index(_labels("C", n), name="customer_id")
    values = _stream(seed, 11).normal(size=(n, columns))
    return pd.DataFrame(values, columns=[f"x{i + 1}" for i in range(columns)], index=index)


def independent_baskets(n_orders: int = 5_000, n_products: int = 100, mean_size: float = 4, seed: int = 0) -> pd.DataFrame:
    """ORDER_LINES in which no product cares about any other; popularity falls off as 1/rank."""
    rng = _stream(seed, 12)
    size = 1 + rng.poisson(mean_size - 1, n_orders)
    order = np.repeat(np.arange(n_orders), size)
    product = _popular(rng, len(order), 1 / np.arange(2, n_products + 2))
    order, product = _each_once(order, product, n_products)
    lines = _lines(order, product, np.full(n_products, 10.0), _labels("P", n_products), rng)
    placed = _at(np.linspace(0, DAYS - 1, n_orders))
    return lines.assign(ordered_at=placed[lines["order_id"].to_numpy() - 1])


def white_noise(days: int = 730, seed: int = 0) -> pd.DataFrame:
    """SERIES without trend, season or memory, around 100."""
    y = 100 + 10 * _stream(seed, 13).normal(size=days)
    return pd.DataFrame({"ds": pd.date_range("2022-01-01", periods=days, unit="us"), "y": y})


def shuffled(frame: pd.DataFrame, column: str, seed: int = 0) -> pd.DataFrame:
    """The same frame with one column in random order: what it depended on is gone, its distribution is not."""
    order = _stream(seed, 14).permutation(len(frame))
    return frame.assign(**{column: frame[column].to_numpy()[order]})


def _stream(seed: int, part: int) -> np.random.Generator:
    return np.random.default_rng([seed, part])


def _labels(prefix: str, n: int) -> pd.Series:
    """``P001 …``: as many digits as needed, at least three, so that text sorts as numbers do."""
    digits = max(3, len(str(n)))
    return pd.Series([f"{prefix}{i:0{digits}d}" for i in range(1, n + 1)], dtype="str")


def _customers(n: int, rng: np.random.Generator, planted: Truth) -> tuple[pd.DataFrame, np.ndarray]:
    kinds = list(planted.segments.values())
    kind = rng.choice(len(kinds), size=n, p=[k.share for k in kinds])

    def of(name: str) -> np.ndarray:
        return np.array([getattr(k, name) for k in kinds])[kind]

    frame = pd.DataFrame(
        {
            "customer_id": _labels("C", n),
            "age": np.clip(rng.normal(of("age"), 4.5), 18, 95).round(),
            "income": (of("income") * np.exp(rng.normal(0, 0.18, n))).round(-2),
            "visits_per_month": (of("visits_per_month") * np.exp(rng.normal(0, 0.25, n))).round(1),
            "discount_share": np.clip(rng.normal(of("discount_share"), 0.06), 0, 1).round(3),
            "complaints": rng.poisson(0.4, n),
            "country": np.array(COUNTRIES)[rng.choice(len(COUNTRIES), n, p=[0.4, 0.3, 0.2, 0.1])],
            "newsletter": np.where(rng.random(n) < 0.25 + 0.5 * of("discount_share"), "yes", "no"),
            "shoe_size": np.clip(rng.normal(41, 2.5, n), 34, 50).round(),
            "signed_up_at": _at(rng.uniform(0, DAYS - 30, n)),
        }
    )
    return frame, kind


def _products(rng: np.random.Generator) -> pd.DataFrame:
    ids = _labels("P", N_PRODUCTS)
    category = np.array(CATEGORIES)[np.arange(N_PRODUCTS) % len(CATEGORIES)]
    return pd.DataFrame(
        {
            "product_id": ids,
            "name": [f"{c} item {i}" for c, i in zip(category, ids, strict=True)],
            "category": category,
            "unit_price": np.exp(rng.normal(2.4, 0.7, N_PRODUCTS)).round(2),
        }
    )


def _purchases(
    customers: pd.DataFrame, kind: np.ndarray, products: pd.DataFrame, rng: np.random.Generator, planted: Truth
) -> tuple[pd.DataFrame, pd.DataFrame]:
    kinds, n = list(planted.segments.values()), len(customers)
    rate = np.array([k.orders_per_year for k in kinds])[kind] * rng.gamma(4, 1 / 4, n)
    leaving = np.array([k.leaves_per_year for k in kinds])[kind]
    first = (customers["signed_up_at"] - START).dt.total_seconds().to_numpy() / 86_400
    last = np.minimum(first + rng.exponential(365.25 / leaving), DAYS)
    repeats = rng.poisson(rate * (last - first) / 365.25)
    buyer = np.repeat(np.arange(n), 1 + repeats)
    days = _in_season(rng.random(len(buyer)), first[buyer], last[buyer])
    days[np.concatenate([[0], np.cumsum(1 + repeats)[:-1]])] = first  # the sign-up is the first order
    when = np.argsort(days, kind="stable")
    buyer, days = buyer[when], days[when]
    order, product = _baskets(np.array([k.lines_per_order for k in kinds])[kind][buyer], rng, planted)
    level = np.array([k.price_level for k in kinds])[kind][buyer]
    price = products["unit_price"].to_numpy()
    lines = _lines(order, product, price, products["product_id"], rng, level)
    lines["customer_id"] = customers["customer_id"].array.take(buyer[order])
    lines["ordered_at"] = _at(days)[order]
    lines["category"] = products["category"].array.take(product)
    revenue = np.bincount(order, weights=lines["revenue"], minlength=len(buyer)).round(2)
    orders = pd.DataFrame(
        {
            "order_id": np.arange(1, len(buyer) + 1),
            "customer_id": customers["customer_id"].array.take(buyer),
            "ordered_at": _at(days),
            "revenue": revenue,
        }
    )
    return orders, lines


def _in_season(share: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Days between `low` and `high`, denser towards each year's end: the inverse of the cumulated intensity."""
    day = np.arange(DAYS + 1)
    month = (START + pd.to_timedelta(day, unit="D")).month
    cumulated = np.concatenate([[0.0], np.cumsum(np.where(month >= 11, 1.6, 1.0)[:-1])])
    lower, upper = np.interp(low, day, cumulated), np.interp(high, day, cumulated)
    return np.interp(lower + share * (upper - lower), cumulated, day)


def _baskets(mean_size: np.ndarray, rng: np.random.Generator, planted: Truth) -> tuple[np.ndarray, np.ndarray]:
    """(order, product) pairs, each once: popular products by chance, and the planted rule in some orders."""
    weights = 1 / np.arange(6, N_PRODUCTS + 6)
    size = 1 + rng.poisson(mean_size - 1)
    order = np.repeat(np.arange(len(size)), size)
    product = _popular(rng, len(order), weights)
    chosen = np.flatnonzero(rng.random(len(size)) < planted.rule_order_share)
    if_a, if_b = (int(name[1:]) - 1 for name in sorted(planted.rule_if))
    followers = chosen[rng.random(len(chosen)) < planted.rule_confidence]
    then = int(planted.rule_then[1:]) - 1
    order = np.concatenate([order, chosen, chosen, followers])
    product = np.concatenate([product, np.full(len(chosen), if_a), np.full(len(chosen), if_b), np.full(len(followers), then)])
    return _each_once(order, product, N_PRODUCTS)


def _each_once(order: np.ndarray, product: np.ndarray, n_products: int) -> tuple[np.ndarray, np.ndarray]:
    pair = np.sort(order * n_products + product)  # np.unique hashes large integers, and is thirty times slower here
    pair = pair[np.concatenate([[True], pair[1:] != pair[:-1]])]
    return pair // n_products, pair % n_products


def _popular(rng: np.random.Generator, n: int, weights: np.ndarray) -> np.ndarray:
    return np.searchsorted(np.cumsum(weights / weights.sum())[:-1], rng.random(n), side="right")


def _lines(
    order: np.ndarray,
    product: np.ndarray,
    price: np.ndarray,
    ids: pd.Series,
    rng: np.random.Generator,
    level: np.ndarray | None = None,
) -> pd.DataFrame:
    quantity = 1.0 + (rng.random(len(order)) < 0.15)
    paid = (price[product] * (1.0 if level is None else level[order])).round(2)
    return pd.DataFrame(
        {
            "order_id": order + 1,
            "product_id": ids.array.take(product),
            "quantity": quantity,
            "revenue": (paid * quantity).round(2),
            "unit_price": paid,
        }
    )


def _journeys(ids: pd.api.extensions.ExtensionArray, rng: np.random.Generator, planted: Truth) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Two journeys per customer, in the first and in the last year, each converting or not at its end."""
    channels = np.array(list(planted.channel_share))
    effect = np.array([planted.channel_effects[c] for c in channels])
    customer = np.tile(np.arange(len(ids)), 2)
    begin = np.concatenate([rng.uniform(0, 300, len(ids)), rng.uniform(DAYS - 350, DAYS - 40, len(ids))])
    steps = 1 + rng.poisson(1.8, len(customer))
    journey = np.repeat(np.arange(len(customer)), steps)
    channel = rng.choice(len(channels), len(journey), p=list(planted.channel_share.values()))
    seen = np.zeros((len(customer), len(channels)), dtype=bool)
    seen[journey, channel] = True
    converts = rng.random(len(customer)) < _chance(planted.conversion_base + seen @ effect)
    days = begin[journey] + rng.uniform(0, 28, len(journey))
    when = np.lexsort((days, journey))
    channel, days = channel[when], days[when]
    last = np.cumsum(steps) - 1
    touchpoints = pd.DataFrame(
        {
            "customer_id": ids.take(customer[journey]),
            "at": _at(days),
            "channel": channels[channel],
            "cost": np.array([planted.channel_cost[c] for c in channels])[channel],
            "journey": journey + 1,
        }
    )
    won = np.flatnonzero(converts)
    conversions = pd.DataFrame(
        {
            "customer_id": ids.take(customer[won]),
            "at": _at(days[last[won]] + rng.uniform(0.01, 0.5, len(won))),
            "value": np.exp(rng.normal(4.0, 0.5, len(won))).round(2),
        }
    )
    return touchpoints, conversions


def _campaign(ids: pd.Series, rng: np.random.Generator, planted: Truth) -> pd.DataFrame:
    n = len(ids)
    treated = rng.random(n) < planted.campaign_treated_share
    responded = rng.random(n) < planted.campaign_base_rate + planted.campaign_lift * treated
    return pd.DataFrame(
        {
            "customer_id": ids,
            "at": END - pd.Timedelta(days=60),
            "group": np.where(treated, "treated", "control"),
            "responded": responded.astype(int),
            "revenue": np.where(responded, np.exp(rng.normal(4.0, 0.4, n)), 0.0).round(2),
        }
    )


def _contracts(ids: pd.Series, rng: np.random.Generator, planted: Truth) -> pd.DataFrame:
    n, effects = len(ids), planted.churn_effects
    monthly = rng.random(n) < 0.55
    tickets, logins = rng.poisson(1.0, n), rng.poisson(12, n)
    odds = planted.churn_base + effects["plan=monthly"] * monthly + effects["tickets_90d"] * tickets
    churned = rng.random(n) < _chance(odds + effects["logins_30d"] * (logins - 12))
    days, tenure = rng.uniform(365, DAYS - 90, n), np.ceil(rng.exponential(14, n))
    ended = pd.Series(_at(days + rng.uniform(1, 90, n))).where(pd.Series(churned))
    return pd.DataFrame(
        {
            "customer_id": ids,
            "at": _at(days),
            "started_at": _at(days - tenure * 30.4375),
            "plan": np.where(monthly, "monthly", "annual"),
            "tenure_months": tenure,
            "monthly_fee": np.clip(rng.normal(np.where(monthly, 38, 30), 6), 5, None).round(2),
            "tickets_90d": tickets,
            "logins_30d": logins,
            "shoe_size": rng.normal(41, 2.5, n).round(),
            "churned": churned.astype(int),
            "ended_at": ended,
        }
    )


def _leads(n: int, rng: np.random.Generator, planted: Truth) -> pd.DataFrame:
    effects = planted.lead_effects
    source = rng.choice(["ads", "event", "referral", "website"], n, p=[0.35, 0.15, 0.15, 0.35])
    pages, employees = rng.poisson(rng.gamma(1.5, 4, n)), np.ceil(np.exp(rng.normal(3.5, 1.2, n)))
    odds = planted.lead_base + effects["source=referral"] * (source == "referral")
    converted = rng.random(n) < _chance(odds + effects["log1p(pages_viewed)"] * np.log1p(pages))
    return pd.DataFrame(
        {
            "lead_id": _labels("L", n),
            "at": _at(np.sort(rng.uniform(0, DAYS - 60, n))),
            "source": source,
            "employees": employees,
            "pages_viewed": pages,
            "region": rng.choice(["north", "south", "west"], n),
            "shoe_size": rng.normal(41, 2.5, n).round(),
            "converted": converted.astype(int),
            "spend": np.where(converted, 120 * employees**0.6 * np.exp(rng.normal(0, 0.4, n)), 0.0).round(2),
        }
    )


def _sales(rng: np.random.Generator, planted: Truth) -> pd.DataFrame:
    ds = pd.date_range(START.tz_localize(None), periods=DAYS, freq="D", unit="us")
    years = np.arange(DAYS) / 365.25
    week = np.array(planted.sales_weekday)[ds.dayofweek]
    season = 1 + planted.sales_yearly_swing * np.cos(2 * np.pi * (years - 0.95))
    noise = np.exp(rng.normal(0, planted.sales_noise, DAYS))
    y = planted.sales_level * (1 + planted.sales_growth_per_year * years) * week * season * noise
    return pd.DataFrame({"ds": ds, "y": y.round(2)})


def _at(days: np.ndarray) -> pd.DatetimeIndex:
    """Days since the start as instants, whole seconds."""
    return START + pd.to_timedelta((np.asarray(days) * 86_400).astype("int64"), unit="s").as_unit("us")


def _chance(log_odds: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-log_odds))
