"""Products, deals with their lines, their way through the stages, and who decides about them."""

import json
from typing import Any

import numpy as np

from crm_core.services.admin.demo.customers import SOURCE_SHARE, SOURCES
from crm_core.services.admin.demo.draft import Array, Draft, line_totals, maybe, only, pick, taxes
from crm_core.services.admin.demo.words import words

LOST_REASONS = ("Price", "Competitor", "No decision", "Missing feature", "Timing", "No budget")
WON_REASONS = ("Product fit", "Price", "Relationship", "Service", "Speed")
ROLES = ("decision_maker", "champion", "user", "economic_buyer", "influencer", "technical", "legal", "blocker")
STANCES = ("supporter", "neutral", "opponent")
THEMES = ("Machines", "Service", "Coffee beans")
REDUCED = ("Coffee beans", "Tea and chocolate", "Milk and syrup")
USUAL_TAX, REDUCED_TAX = 19, 7
"""Tax rates in percent: the workspace's, and that of food."""
CARE_PLAN = "Care plan"
IN_STOCK = {"Machines": (0, 9), "Barista tools": (0, 60), "Service": None}
"""Pieces of each product in the warehouse, from and to; None where nothing lies there, ``USUAL_STOCK`` for all other categories."""
USUAL_STOCK = (15, 420)
STAGE_DAYS = (10.0, 11.0, 12.0, 9.0)  # working days on average
CHANNEL_OF = {
    "Website": "organic", "Referral": "referral", "Event": "event", "Paid search": "paid_search", "Social media": "social",
    "E-mail campaign": "email", "Partner": "partner", "Cold call": "phone",
}  # fmt: skip


def add_products(draft: Draft) -> None:
    """Categories and products with price and cost. Knows afterwards: price, product_name, category, weight, rule."""
    spec = words("products")
    rows = [(label, *item, entry["margin"]) for label, entry in spec["categories"].items() for item in entry["items"]]
    labels, names = list(spec["categories"]), [row[1] for row in rows]
    category = np.array([labels.index(row[0]) for row in rows])
    price = np.array([round(row[2] * 100) for row in rows])
    born = draft.instant - np.timedelta64(1_150, "D")
    tax = np.where(np.isin(category, [labels.index(label) for label in REDUCED]), REDUCED_TAX, USUAL_TAX)
    yearly = np.array([name.startswith(CARE_PLAN) for name in names])
    draft.put("product_category", name=labels, created_at=born, updated_at=born)
    draft.put(
        "product",
        name=names,
        sku=[f"{labels[c][:2].upper()}-{n:04d}" for n, c in enumerate(category.tolist(), 1)],
        category_id=category + 1,
        price_minor=price,
        cost_minor=np.array([round(row[2] * (1 - row[3]) * 100) for row in rows]),
        stock=_stock(draft, [row[0] for row in rows]),
        billing=np.where(yearly, "yearly", "one_time").astype(object),
        tax_rate_pct=only(tax != USUAL_TAX, tax.astype(float)),
        is_active=np.array([name != "Guest Roast of the month, 500 g" for name in names]),
        created_at=born,
        updated_at=born,
    )
    per_item = np.array([spec["categories"][row[0]]["weight"] for row in rows])
    rank = np.array([names_before(category, n) for n in range(len(rows))])
    rule = [names.index(name) for name in (*spec["rule"]["if"], spec["rule"]["then"])]
    draft.known.update(
        price=price,
        product_name=np.array(names, dtype=object),
        category=category,
        tax=tax,
        yearly=yearly,
        weight=per_item / (2 + rank),
        rule=rule,
        themes=[labels.index(t) for t in THEMES],
    )


def _stock(draft: Draft, labels: list[str]) -> Array:
    """Pieces in the warehouse: some machines have run out, and what is no thing has none."""
    spans = [IN_STOCK.get(label, USUAL_STOCK) for label in labels]
    low, high = (np.array([span[end] if span else 0 for span in spans]) for end in (0, 1))
    return only(np.array([span is not None for span in spans]), draft.stream(38).integers(low, high + 1))


def names_before(category: Array, n: int) -> int:
    """How many products of the same category come before: its popularity rank."""
    return int((category[:n] == category[n]).sum())


def add_deals(draft: Draft, stages: dict[str, Any]) -> None:
    """Deals, their lines, committee, stage events and the touches that led to them. ``stages``: pipeline, open, won, lost ids and probabilities."""
    rng, n, known = draft.stream(5), draft.sizes.deals, draft.known
    account = _accounts_of(draft, rng, n)
    contact = known["contact_start"][account] + (rng.random(n) * known["contact_count"][account]).astype(int)
    source = rng.choice(len(SOURCES), n, p=SOURCE_SHARE)
    committee = np.minimum(rng.poisson(1.1, n), known["contact_count"][account])
    channels = _touches(draft, n, source, contact)
    chance = draft.truth.win_base + draft.truth.win_effects["source=Referral"] * (source == SOURCES.index("Referral"))
    chance = chance + draft.truth.win_effects["committee size"] * committee + channels
    wins = rng.random(n) < 1 / (1 + np.exp(-chance))
    way = _way(draft, rng, wins, stages)
    lines = _lines(draft, rng, n, way["opened"])
    known.update(deal_account=account, deal_contact=contact, deal_source=source, deal_lines=lines, **way)
    _deal_rows(draft, rng, stages, committee)
    _committee(draft, rng, committee)
    _moves(draft, stages)


def _accounts_of(draft: Draft, rng: np.random.Generator, n: int) -> Array:
    weight = np.where(draft.known["buys"], 1.0, 0.8) * np.where(np.isinf(draft.known["left"]), 1.0, 0.3)
    return rng.choice(draft.sizes.accounts, n, p=weight / weight.sum())


def _touches(draft: Draft, n: int, source: Array, contact: Array) -> Array:
    """Touches before each deal, the last one of the source's channel; returns their planted effect on winning."""
    rng = draft.stream(6)
    effects = draft.truth.channel_effects
    names = list(dict.fromkeys([*effects, *CHANNEL_OF.values()]))
    count = 1 + rng.poisson(1.4, n)
    deal = np.repeat(np.arange(n), count)
    channel = rng.choice(len(effects), len(deal))
    last = np.cumsum(count) - 1
    by_source = rng.random(n) < 0.6
    channel[last[by_source]] = np.array([names.index(CHANNEL_OF[s]) for s in SOURCES])[source[by_source]]
    seen = np.zeros((n, len(names)), dtype=bool)
    seen[deal, channel] = True
    before = rng.exponential(14, len(deal)) + 0.05
    draft.known["touches"] = {
        "deal": deal,
        "channel": np.array(names, dtype=object)[channel],
        "days_before": before,
        "contact": contact[deal],
    }
    return seen @ np.array([effects.get(name, 0.1) for name in names]) - 0.6


def _way(draft: Draft, rng: np.random.Generator, wins: Array, stages: dict[str, Any]) -> dict[str, Array]:
    """Working days on which each deal entered each open stage and was closed, cut off at today."""
    n, depth = len(wins), len(stages["open"])
    recent = rng.random(n) < 0.3
    opened = -np.where(recent, rng.uniform(0, 62, n), rng.uniform(0, 1, n) ** 1.15 * 520).astype(int) - 1
    mean = np.resize(STAGE_DAYS, depth) / 2
    spent = 1 + rng.gamma(2.0, mean, (n, depth)).astype(int)
    reached = np.where(wins, depth, 1 + rng.choice(4, n, p=[0.35, 0.3, 0.2, 0.15]) % depth)
    entered = opened[:, None] + np.concatenate([np.zeros((n, 1), dtype=int), np.cumsum(spent, axis=1)[:, :-1]], axis=1)
    passed = (np.arange(depth)[None, :] < reached[:, None]) & (entered <= -1)
    closed = opened + np.where(np.arange(depth)[None, :] < reached[:, None], spent, 0).sum(axis=1)
    done = closed <= -1
    return {"opened": opened, "entered": entered, "passed": passed, "closed": closed, "done": done, "wins": wins}


def _lines(draft: Draft, rng: np.random.Generator, n: int, opened: Array) -> dict[str, Array]:
    """One to four different products per deal, most of the deal's theme."""
    known = draft.known
    theme = rng.choice(3, n, p=[0.5, 0.2, 0.3])
    count = 1 + np.minimum(rng.poisson(1.1, n), 3)
    in_theme = known["category"][None, :] == np.array(known["themes"])[theme][:, None]
    sold = np.isin(known["category"], known["themes"])
    keys = rng.random((n, len(known["price"]))) + np.where(in_theme, 1.0, 0.0) + np.where(sold, 0.5, -9.0)
    best = np.argsort(-keys, axis=1)[:, :4]
    deal = np.repeat(np.arange(n), count)
    position = np.arange(len(deal)) - np.repeat(np.cumsum(count) - count, count)
    product = best[deal, position]
    bulky = np.isin(known["category"][product], [known["themes"][2]])
    quantity = np.where(bulky, rng.integers(10, 120, len(deal)), 1 + rng.geometric(0.7, len(deal)) - 1)
    discount = rng.choice([0, 5, 10, 15], len(deal), p=[0.5, 0.25, 0.18, 0.07])
    price = known["price"][product]
    return {"deal": deal, "position": position, "product": product, "quantity": quantity, "price": price, "discount": discount,
            "total": line_totals(quantity, price, discount), "theme": theme}  # fmt: skip


def _deal_rows(draft: Draft, rng: np.random.Generator, stages: dict[str, Any], committee: Array) -> None:
    known, n = draft.known, draft.sizes.deals
    lines, done, wins = known["deal_lines"], known["done"], known["wins"]
    summed = np.bincount(lines["deal"], weights=lines["total"], minlength=n).astype(np.int64)
    locked = ~done & (np.arange(n) % 12 == 5)
    stage_index = known["passed"].sum(axis=1) - 1
    opens = np.array(stages["open"])
    stage = np.where(done, np.where(wins, stages["won"], stages["lost"]), opens[stage_index])
    usual = np.where(done, np.where(wins, 100, 0), np.array(stages["pct"])[stage_index])
    own = ~done & (np.arange(n) % 14 == 3)
    each_year = np.bincount(lines["deal"], weights=lines["total"] * known["yearly"][lines["product"]], minlength=n).astype(np.int64)
    opened_on, closed_on = draft.business_day(known["opened"]), draft.business_day(np.minimum(known["closed"], -1))
    moved_on = np.where(done, closed_on, draft.business_day(known["entered"][np.arange(n), stage_index]))
    created, since = draft.at(opened_on, rng), draft.at(moved_on, rng)
    since = np.where(moved_on == opened_on, created, since)
    expected = np.where(
        done,
        closed_on + rng.integers(-12, 13, n),
        draft.today + np.where(rng.random(n) < 0.15, -rng.integers(1, 25, n), rng.integers(2, 90, n)),
    )
    account, owner = known["deal_account"], known["owner"][known["deal_account"]]
    title = np.array([words("texts")["deals"][t] for t in THEMES], dtype=object)
    lead_line = _largest(lines, n)
    short = draft.tables["account"]["name"]
    names = [
        f"{title[t][c % len(title[t])]}, {short[a]}"
        for t, c, a in zip(lines["theme"].tolist(), rng.integers(0, 12, n).tolist(), account.tolist(), strict=True)
    ]
    planned = ~done & (rng.random(n) < 0.72)
    draft.put(
        "deal",
        name=names,
        account_id=account + 1,
        contact_id=known["deal_contact"] + 1,
        pipeline_id=stages["pipeline"],
        stage_id=stage,
        outcome=np.where(done, np.where(wins, "won", "lost"), "open").astype(object),
        owner_id=owner,
        amount_minor=np.where(locked, summed // 10_000 * 10_000 + 50_000, summed),
        amount_locked=locked,
        arr_minor=each_year,
        mrr_minor=np.rint(each_year / 12).astype(np.int64),
        currency=words("companies")["currency"],
        probability_pct=np.where(own, np.clip(usual + rng.choice([-10, 10, 15], n), 0, 100), usual),
        probability_own=own,
        expected_close_on=expected,
        created_on=opened_on,
        closed_on=np.where(done, closed_on, np.datetime64("NaT", "D")),
        stage_since=since,
        next_step=only(planned, pick(rng, words("texts")["next_steps"], n)),
        next_step_on=np.where(planned, draft.day(rng.integers(-4, 20, n)), np.datetime64("NaT", "D")),
        source=np.array(SOURCES, dtype=object)[known["deal_source"]],
        product_id=lines["product"][lead_line] + 1,
        lost_reason=only(done & ~wins, pick(rng, LOST_REASONS, n, (0.3, 0.2, 0.2, 0.1, 0.12, 0.08))),
        competitor=only(done & ~wins & (rng.random(n) < 0.5), pick(rng, words("texts")["competitors"], n)),
        won_reason=only(done & wins, pick(rng, WON_REASONS, n)),
        description=maybe(rng, pick(rng, words("texts")["deal_notes"], n), 0.2),
        created_at=created,
        updated_at=since,
    )
    known.update(
        deal_created=created, deal_since=since, deal_owner=owner, stage_index=stage_index, opened_on=opened_on, closed_on=closed_on
    )
    draft.put(
        "deal_line",
        deal_id=lines["deal"] + 1,
        product_id=lines["product"] + 1,
        name=known["product_name"][lines["product"]],
        quantity=lines["quantity"],
        unit_price_minor=lines["price"],
        discount_pct=lines["discount"],
        **terms(draft, lines),
        position=lines["position"],
        created_at=created[lines["deal"]],
        updated_at=created[lines["deal"]],
    )


def terms(draft: Draft, lines: dict[str, Array]) -> dict[str, Array]:
    """Columns of lines that follow from their product: how often they are charged, at which tax, and the net total. A care plan is sold for one year."""
    rate = draft.known["tax"][lines["product"]]
    billing = np.where(draft.known["yearly"][lines["product"]], "yearly", "one_time").astype(object)
    return {"billing": billing, "tax_rate_pct": rate, "total_minor": lines["total"], "tax_minor": taxes(lines["total"], rate)}


def _largest(lines: dict[str, Array], n: int) -> Array:
    """Row of each deal's line with the largest total (the first of equals)."""
    order = np.lexsort((lines["position"], -lines["total"], lines["deal"]))
    first = np.searchsorted(lines["deal"][order], np.arange(n))
    return order[first]


def _committee(draft: Draft, rng: np.random.Generator, size: Array) -> None:
    """The main contact first, then colleagues of the same company."""
    known = draft.known
    deal = np.repeat(np.arange(len(size)), size)
    place = np.arange(len(deal)) - np.repeat(np.cumsum(size) - size, size)
    account = known["deal_account"][deal]
    first = known["deal_contact"][deal] - known["contact_start"][account]
    contact = known["contact_start"][account] + (first + place) % known["contact_count"][account]
    draft.put(
        "deal_contact",
        deal_id=deal + 1,
        contact_id=contact + 1,
        role=np.where(place == 0, "decision_maker", pick(rng, ROLES[1:], len(deal))).astype(object),
        influence=np.where(place == 0, 5, rng.integers(1, 5, len(deal))),
        stance=pick(rng, STANCES, len(deal), (0.45, 0.4, 0.15)),
        created_at=known["deal_created"][deal],
        updated_at=known["deal_created"][deal],
    )


def _moves(draft: Draft, stages: dict[str, Any]) -> None:
    """Stage events: the first without an origin, the last into the stage in which the deal stands."""
    known, rng = draft.known, draft.stream(7)
    n, opens = draft.sizes.deals, np.array(stages["open"])
    deal, step = np.nonzero(known["passed"])
    at = draft.at(draft.business_day(known["entered"][deal, step]), rng)
    at = np.where(step == 0, known["deal_created"][deal], at)
    current = ~known["done"][deal] & (step == known["stage_index"][deal])
    at = np.where(current, known["deal_since"][deal], at)
    closing = np.flatnonzero(known["done"])
    deals = np.concatenate([deal, closing])
    when = np.concatenate([at, known["deal_since"][closing]])
    target = np.concatenate([opens[step], np.where(known["wins"][closing], stages["won"], stages["lost"])])
    order = np.lexsort((when, deals))
    deals, when, target = deals[order], when[order], target[order]
    begins = np.concatenate([[True], deals[1:] != deals[:-1]])
    origin = np.where(begins, 0, np.roll(target, 1))
    seconds = np.where(begins, 0, (when - np.roll(when, 1)).astype("timedelta64[s]").astype(int))
    chronological = np.argsort(when, kind="stable")
    by = known["deal_owner"][deals]
    cells = {
        "deal_id": deals + 1,
        "from_stage_id": origin,
        "to_stage_id": target,
        "at": when,
        "by_id": by,
        "created_at": when,
        "updated_at": when,
    }
    seconds_or_none = only(~begins, seconds)
    draft.put(
        "stage_event",
        **{key: column[chronological] for key, column in cells.items()},
        seconds_in_from=seconds_or_none[chronological],
    )
    _log(draft, stages, deals, when, origin, target, begins, n)


def _log(
    draft: Draft, stages: dict[str, Any], deals: Array, when: Array, origin: Array, target: Array, begins: Array, n: int
) -> None:
    known, names = draft.known, stages["names"]
    label = np.empty(max(names) + 1, dtype=object)
    for stage_id, name in names.items():
        label[stage_id] = name
    created = known["deal_created"]
    who = {"account_id": known["deal_account"] + 1, "actor_id": known["deal_owner"]}
    draft.happened("deal.created", "deal", np.arange(1, n + 1), created, **who)
    moved = ~begins
    kind = np.where(
        target == stages["won"], "deal.won", np.where(target == stages["lost"], "deal.lost", "deal.stage_moved")
    ).astype(object)
    reasons = draft.tables["deal"]["lost_reason"]
    known_texts: dict[tuple[int, int, Any], str] = {}
    data = []
    for a, b, d in zip(origin[moved].tolist(), target[moved].tolist(), deals[moved].tolist(), strict=True):
        key = (a, b, reasons[d] if b == stages["lost"] else "")
        if key not in known_texts:
            known_texts[key] = _json(label[a], label[b], key[2])
        data.append(known_texts[key])
    draft.happened(kind[moved], "deal", deals[moved] + 1, when[moved], account_id=known["deal_account"][deals[moved]] + 1,
                   actor_id=known["deal_owner"][deals[moved]], data=data)  # fmt: skip


def _json(origin: str, target: str, reason: str) -> str:
    return json.dumps({"from": origin, "to": target, "reason": reason or ""}, ensure_ascii=False)
