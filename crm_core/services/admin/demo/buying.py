"""Orders and their lines: those of won deals, and the regular ones of each customer, with seasons, habits and a planted basket rule."""

from typing import Any

import numpy as np

from crm_core.services.admin.demo.draft import Array, Draft, line_totals, pick
from crm_core.services.admin.demo.selling import terms
from crm_core.services.admin.demo.words import words

MONTH_WEIGHT = (0.85, 0.9, 1.0, 1.0, 1.1, 1.05, 0.85, 0.75, 1.05, 1.1, 1.4, 1.6)
WEEKDAY_WEIGHT = (1.25, 1.1, 1.0, 1.0, 0.9, 0.25, 0.1)
GROWTH_PER_YEAR = 0.18
PRICE_RISE_PER_YEAR = 0.04
MAX_LINES = 14
CHUNK = 100_000
CALENDAR_DAYS = 1_096


def add_orders(draft: Draft) -> None:
    """All orders in the order of their dates, with exactly the sizes of the scale."""
    deal_side, regular = _from_deals(draft), _regular(draft)
    account = np.concatenate([deal_side["account"], regular["account"]])
    at = np.concatenate([deal_side["at"], regular["at"]])
    order = np.argsort(at, kind="stable")
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    offset = len(deal_side["account"])
    lines = {
        key: np.concatenate([deal_side["lines"][key], regular["lines"][key]])
        for key in ("product", "quantity", "price", "discount", "total")
    }
    of = place[np.concatenate([deal_side["lines"]["order"], regular["lines"]["order"] + offset])]
    by_order = np.argsort(of, kind="stable")
    lines = {key: values[by_order] for key, values in lines.items()}
    deal = np.concatenate([deal_side["deal"], np.zeros(len(regular["account"]), dtype=np.int64)])
    total, tax = (
        np.bincount(of[by_order], weights=values, minlength=len(order)).astype(np.int64)
        for values in (lines["total"], terms(draft, lines)["tax_minor"])
    )
    _order_rows(draft, account[order], at[order], deal[order], total, tax)
    _line_rows(draft, of[by_order], lines)


def _from_deals(draft: Draft) -> dict[str, Any]:
    """One order per won deal that has it all: same account, same lines, on the day it was won."""
    known = draft.known
    won = np.flatnonzero(known["done"] & known["wins"])
    row = np.full(draft.sizes.deals, -1)
    row[won] = np.arange(len(won))
    lines = known["deal_lines"]
    mine = row[lines["deal"]] >= 0
    kept = {key: lines[key][mine] for key in ("product", "quantity", "price", "discount", "total")}
    return {
        "account": known["deal_account"][won],
        "at": known["deal_since"][won],
        "deal": won + 1,
        "lines": {**kept, "order": row[lines["deal"]][mine]},
    }


def _regular(draft: Draft) -> dict[str, Any]:
    rng, known, sizes = draft.stream(8), draft.known, draft.sizes
    won = known["done"] & known["wins"]
    total, line_total = sizes.orders - int(won.sum()), sizes.lines - int(won[known["deal_lines"]["deal"]].sum())
    account = _buyers(draft, rng, total)
    day = _days(rng, draft, known["first"][account], np.minimum(known["left"][account], -1))
    size = _sizes(rng, np.array([k.lines_per_order for k in draft.truth.kinds.values()])[known["kind"][account]], line_total)
    at = draft.at(draft.day(day), rng)
    order, product = _baskets(draft, rng, size)
    price = _price_then(known["price"][product], day[order])
    discount = _discounts(draft, rng, known["kind"][account][order])
    quantity = rng.geometric(np.array([0.25, 0.35, 0.5, 0.7])[known["kind"][account]][order]).clip(max=24)
    lines = {
        "order": order,
        "product": product,
        "quantity": quantity,
        "price": price,
        "discount": discount,
        "total": line_totals(quantity, price, discount),
    }
    return {"account": account, "at": at, "lines": lines}


def _buyers(draft: Draft, rng: np.random.Generator, total: int) -> Array:
    """The account of each regular order: its habit, times the days on which it was a customer."""
    known = draft.known
    rate = np.array([k.orders_per_year for k in draft.truth.kinds.values()])[known["kind"]] * rng.gamma(
        4, 1 / 4, len(known["kind"])
    )
    active = np.minimum(known["left"], -1) - known["first"]
    weight = np.where(known["buys"], rate * np.maximum(active, 1), 0)
    return np.repeat(np.arange(len(weight)), rng.multinomial(total, weight / weight.sum()))


def _days(rng: np.random.Generator, draft: Draft, low: Array, high: Array) -> Array:
    """Days (offsets from today) between ``low`` and ``high``, dense where the season, the weekday and growth make them so."""
    offset = np.arange(-CALENDAR_DAYS, 0)
    day = draft.day(offset)
    month = day.astype("datetime64[M]").astype(int) % 12
    weekday = (day.astype(int) + 3) % 7
    weight = np.array(MONTH_WEIGHT)[month] * np.array(WEEKDAY_WEIGHT)[weekday] * (1 + GROWTH_PER_YEAR) ** (offset / 365)
    cumulated = np.concatenate([[0.0], np.cumsum(weight)])
    edge = np.arange(-CALENDAR_DAYS, 1)
    lower, upper = np.interp(low, edge, cumulated), np.interp(high, edge, cumulated)
    found = np.interp(lower + rng.random(len(low)) * (upper - lower), cumulated, edge)
    return np.minimum(np.floor(found), -1).astype(int)


def _sizes(rng: np.random.Generator, mean: Array, total: int) -> Array:
    """Lines per order around their means that sum to exactly ``total``."""
    size = np.clip(1 + rng.poisson(mean - 1), 1, MAX_LINES)
    while (missing := total - int(size.sum())) != 0:
        free = np.flatnonzero(size < MAX_LINES) if missing > 0 else np.flatnonzero(size > 1)
        chosen = rng.choice(free, min(abs(missing), len(free)), replace=False)
        size[chosen] += 1 if missing > 0 else -1
    return size


def _baskets(draft: Draft, rng: np.random.Generator, size: Array) -> tuple[Array, Array]:
    """(order, product) pairs, each once: popular products first, and the planted rule in some orders."""
    orders, products = [], []
    for start in range(0, len(size), CHUNK):
        part = size[start : start + CHUNK]
        ranked = _ranked(draft, rng, part)
        taken = np.arange(ranked.shape[1])[None, :] < part[:, None]
        row, place = np.nonzero(taken)
        orders.append(row + start)
        products.append(ranked[row, place])
    return np.concatenate(orders), np.concatenate(products)


def _ranked(draft: Draft, rng: np.random.Generator, size: Array) -> Array:
    """Products of each order by a random preference (Gumbel keys: drawing without putting back, in proportion to popularity)."""
    with np.errstate(divide="ignore"):
        popularity = np.log(draft.known["weight"])
    keys = popularity[None, :] + rng.gumbel(size=(len(size), len(popularity)))
    first, second, then = draft.known["rule"]
    rule = np.flatnonzero((rng.random(len(size)) < draft.truth.rule_order_share) & (size >= 3))
    keys[rule, first] = keys[rule, second] = 100.0
    keys[rule, then] = np.where(rng.random(len(rule)) < draft.truth.rule_confidence, 99.0, -100.0)
    return np.argsort(-keys, axis=1)[:, :MAX_LINES]


def _price_then(price: Array, day: Array) -> Array:
    """List price of that time: it rises with every year, in steps of ten cents."""
    years = np.ceil(-day / 365.25) - 1
    return np.maximum((price * (1 - PRICE_RISE_PER_YEAR) ** years / 10).round().astype(np.int64) * 10, 10)


def _discounts(draft: Draft, rng: np.random.Generator, kind: Array) -> Array:
    edges = np.cumsum([k.discounts for k in draft.truth.kinds.values()], axis=1)
    u = rng.random(len(kind))
    return np.where(u < edges[kind, 0], 0, np.where(u < edges[kind, 1], 5, 10))


def _order_rows(draft: Draft, account: Array, at: Array, deal: Array, total: Array, tax: Array) -> None:
    rng, known, n = draft.stream(9), draft.known, len(account)
    age = (draft.instant - at).astype("timedelta64[D]").astype(int)
    status = np.where(age < 7, "placed", "fulfilled").astype(object)
    status[(rng.random(n) < 0.02) & (deal == 0)] = "cancelled"
    owner = known["owner"][account]
    from_deal = np.maximum(deal - 1, 0)
    contact = np.where(deal > 0, known["deal_contact"][from_deal], known["contact_start"][account])
    number = np.arange(1, n + 1)
    draft.put(
        "sales_order",
        number=[f"O-{i:06d}" for i in number.tolist()],
        account_id=account + 1,
        contact_id=contact + 1,
        deal_id=deal,
        owner_id=owner,
        status=status,
        ordered_at=at,
        currency=words("companies")["currency"],
        total_minor=total,
        tax_minor=tax,
        source=np.where(deal > 0, "Sales", pick(rng, ("Website", "Phone", "Shop"), n, (0.66, 0.22, 0.12))),
        created_at=at,
        updated_at=at,
    )
    recent = age < 365
    draft.happened("order.created", "order", number[recent], at[recent], account_id=account[recent] + 1, actor_id=owner[recent])
    known.update(order_account=account, order_at=at)


def _line_rows(draft: Draft, order: Array, lines: dict[str, Array]) -> None:
    at = draft.known["order_at"][order]
    draft.put(
        "order_line",
        order_id=order + 1,
        product_id=lines["product"] + 1,
        name=draft.known["product_name"][lines["product"]],
        quantity=lines["quantity"],
        unit_price_minor=lines["price"],
        discount_pct=lines["discount"],
        **terms(draft, lines),
        created_at=at,
        updated_at=at,
    )
