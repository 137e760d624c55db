"""Parts of the basket page: rules as a table to choose from with the call list of the chosen one, dearer alternatives, what suggestions led to."""

import json
from collections import Counter
from typing import Any

import pandas as pd
import streamlit as st
from sqlmodel import Session

from crm_core.access import Actor
from crm_core.frames.orders import product_names
from crm_core.kit.text import clip
from crm_core.services.analytics import basket_rows, offer_worth, suggestions
from crm_core.services.analytics.offer_worth import Limits, Worth
from ui import format as fmt
from ui.actions import load
from ui.cache import cached
from ui.components.analysis import Analysis
from ui.components.segment_actions import segment_buttons
from ui.components.segmentation_views import money
from ui.components.table import Cell, Column, table

SIZE = 25
LONGEST_NAME = 20
"""Letters of a product on an axis; the table below has the whole name."""
TONES = {"holds": "green", "open": "orange", "fails": "red", "not checked": "gray"}
WORDS = {"holds": "Holds", "open": "Not clear yet", "fails": "Fails", "not checked": "Not checked"}


def names() -> dict[int, str]:
    """Products that this person may see."""
    return cached(_names, entities=("product",), tables=("product",))


def _names(session: Session, actor: Actor) -> dict[int, str]:
    return product_names(session, actor)


def side(known: dict[int, str], items: Any) -> str:
    """One side of a rule in words."""
    ids = json.loads(items) if isinstance(items, str) else list(items)
    return " + ".join(known.get(int(item), "a hidden product") for item in ids)


def named_rules(rules: pd.DataFrame, known: dict[int, str]) -> pd.DataFrame:
    """Rules with sets of short names, as the charts want them."""
    short = short_names(known)
    shown = rules.copy()
    for column in ("antecedents", "consequents"):
        sets = [frozenset(short.get(int(item), "?") for item in json.loads(items)) for items in shown[column]]
        shown[column] = pd.Series(sets, index=shown.index, dtype=object)
    return shown


def short_names(known: dict[int, str]) -> dict[int, str]:
    """Names for an axis; where two would look alike, both keep their whole name."""
    short = {key: clip(name, LONGEST_NAME) for key, name in known.items()}
    seen = Counter(short.values())
    return {key: name if seen[name] == 1 else known[key] for key, name in short.items()}


def _worths() -> dict[int, Worth]:
    """Margin and stock of the products that this person may see."""
    return cached(offer_worth.worths, entities=("product",), tables=("product",))


def rule_table(shown: Analysis, rules: pd.DataFrame, known: dict[int, str]) -> None:
    """Search, filter, sort and page the rules; a chosen one gets its call list."""
    found, left_out = _narrowed(shown.actor, rules, known)
    if left_out:
        st.caption(left_out)
    if found.empty:
        st.caption("No rule matches. Clear the search, loosen margin and stock, or show all rules.")
        return
    margins = any(one is not None and one.margin_minor is not None for one in found["worth"])
    stocks = any(one is not None and one.stock is not None for one in found["worth"])
    pages = -(-len(found) // SIZE)
    page = st.pagination(pages, key="rules_page") if pages > 1 else 1
    part = found.iloc[(page - 1) * SIZE : page * SIZE]
    actor = shown.actor
    rows = [
        (
            int(row["rule"]),
            [
                Cell(row["if"]), Cell(row["then"]), Cell(WORDS[row["verdict"]], tone=TONES[row["verdict"]]), Cell(_later(row)),
                Cell(f"{row['confidence']:.0%}"), Cell(fmt.number(actor, int(row["count"]))),
                *_worth_cells(shown.actor, row["worth"], row["confidence"], margins, stocks),
                Cell("Yes" if row["productive"] else "A shorter one says as much"),
            ],
        )
        for row in part.to_dict("records")
    ]  # fmt: skip
    columns = [
        Column("if", "Who has", sortable=False), Column("then", "Also has", sortable=False), Column("verdict", "Later baskets", sortable=False),
        Column("later", "Lift there", sortable=False), Column("confidence", "Right in", right=True, sortable=False),
        Column("count", "Baskets", right=True, sortable=False),
        *([Column("margin", "Margin", right=True, sortable=False, named=True), Column("expected", "Expected", right=True, sortable=False, named=True)] if margins else []),
        *([Column("stock", "In stock", right=True, sortable=False, named=True)] if stocks else []),
        Column("productive", "Beats shorter", sortable=False),
    ]  # fmt: skip
    happened = table(columns, rows, key=f"rules_{shown.run.id}_{page}", label="Rules", selectable=True)
    st.caption(f"{fmt.written(len(found))} rules · choose one for its call list")
    if happened.selected:
        row = found[found["rule"] == happened.selected[-1]].iloc[0]
        call_list(shown, row.to_dict(), known)


def _worth_cells(actor: Actor, worth: Worth | None, chance: float, margins: bool, stocks: bool) -> list[Cell]:
    """Margin at list price, margin × probability and stock of what a rule leads to; "not known" where nobody wrote it down."""
    cells = []
    if margins:
        known = worth is not None and worth.margin_minor is not None
        share = f" ({fmt.percent(actor, worth.margin_share, 0)})" if worth is not None and worth.margin_share is not None else ""
        cells.append(
            Cell(fmt.money(actor, worth.margin_minor, decimals=True) + share if worth is not None and known else "not known")
        )
        cells.append(
            Cell(fmt.money(actor, worth.expected_minor(chance), decimals=True) if worth is not None and known else "not known")
        )
    if stocks:
        stock = worth.stock if worth is not None else None
        cells.append(Cell("not known") if stock is None else Cell(fmt.number(actor, stock), hot=stock <= 0))
    return cells


def _limits(actor: Actor) -> Limits:
    """What may be offered: by stock, and by margin for whoever may see costs."""
    in_stock = st.toggle("In stock", key="rule_stock", help="Leaves out what is sold out. What nobody counted stays, and is marked")
    if offer_worth.hides_costs(actor):
        return Limits(in_stock)
    least = st.number_input(
        "Margin at least (%)", min_value=0.0, max_value=100.0, value=0.0, step=5.0, format="%g", key="rule_margin", width=170,
        help="(List price − cost) ÷ list price of what the rule leads to. Above 0, products without a known cost are left out",
    )  # fmt: skip
    return Limits(in_stock, float(least or 0))


def _kept(rules: pd.DataFrame, limits: Limits) -> tuple[pd.DataFrame, str]:
    """The rules whose offer the limits allow, and how many others there are, with the reason."""
    reasons = rules["worth"].map(limits.refuses)
    said = {"stock": "sold out", "margin": "below the margin", "unknown": "of unknown margin"}
    parts = [f"{fmt.written(int((reasons == key).sum()))} {words}" for key, words in said.items() if (reasons == key).any()]
    return rules[reasons == ""], f"Left out: {', '.join(parts)}." if parts else ""


def _narrowed(actor: Actor, rules: pd.DataFrame, known: dict[int, str]) -> tuple[pd.DataFrame, str]:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        q = st.text_input(
            "Search rules", type="search", placeholder="Product", label_visibility="collapsed", key="rule_q", width=240
        )
        which = st.segmented_control(
            "Which", ["Holding", "All"], default="Holding" if (rules["verdict"] == "holds").any() else "All", key="rule_which",
            label_visibility="collapsed", required=True,
        )  # fmt: skip
        orders = {"confidence": "Surest first", "count": "Most frequent first", "holdout_lift_low": "Strongest connection first"}
        if not offer_worth.hides_costs(actor):
            orders["expected"] = "Highest expected margin first"
        by = st.selectbox(
            "Order", list(orders), format_func=lambda key: orders[key], key="rule_order", label_visibility="collapsed", width=230
        )
        limits = _limits(actor)
    worths = _worths()
    found = rules[rules["verdict"] == "holds"] if which == "Holding" else rules
    worth = [offer_worth.together(worths, json.loads(items)) for items in found["consequents"]]
    found = found.assign(
        **{
            "if": [side(known, items) for items in found["antecedents"]],
            "then": [side(known, items) for items in found["consequents"]],
        }
    )
    found = found.assign(worth=pd.Series(worth, index=found.index, dtype=object))
    expected = [
        None if one is None else one.expected_minor(chance) for one, chance in zip(found["worth"], found["confidence"], strict=True)
    ]
    found = found.assign(expected=pd.Series(expected, index=found.index, dtype="float64"))
    found, left_out = _kept(found, limits)
    if q:
        words = found["if"].str.casefold() + " " + found["then"].str.casefold()
        found = found[words.str.contains(q.casefold(), regex=False)]
    return found.sort_values(by, ascending=False, kind="stable", na_position="last"), left_out


def _later(row: dict[Any, Any]) -> str:
    if pd.isna(row["holdout_lift"]):
        return "not seen again" if row["verdict"] == "open" else "–"
    high = "" if pd.isna(row["holdout_lift_high"]) else fmt.written(row["holdout_lift_high"], ".1f")
    return f"{fmt.written(row['holdout_lift'], '.1f')} ({fmt.written(row['holdout_lift_low'], '.1f')} to {high or 'any'})"


def call_list(shown: Analysis, row: dict[Any, Any], known: dict[int, str]) -> None:
    """Who bought the first part and not the second: a segment of them is a call list, with its own CSV."""
    bought, not_yet = json.loads(row["antecedents"]), json.loads(row["consequents"])
    customer = str(shown.run.params["customer"])
    count = cached(
        basket_rows.count,
        shown.run.id,
        tuple(bought),
        tuple(not_yet),
        entities=("order", customer),
        tables=("sales_order", "order_line", customer),
    )
    first, second = side(known, bought), side(known, not_yet)
    with st.container(border=True, horizontal=True, vertical_alignment="center", gap="small", key="call_list"):
        st.markdown(f"**{fmt.plural(count, 'customer')}** bought {fmt.md(first)} and not {fmt.md(second)}.", width="stretch")
        if count:
            segment_buttons(
                f"rule_{row['rule']}", entity=customer, name=f"Offer {second} to buyers of {first}"[:120],
                source={"kind": "basket_rule", "run_id": shown.run.id, "label": f"{first} → {second}"},
                members=lambda: load(basket_rows.targets, shown.run.id, bought, not_yet), count=count,
            )  # fmt: skip


def upsell_table(shown: Analysis, offers: pd.DataFrame, known: dict[int, str]) -> None:
    """Dearer alternatives, the worthiest first."""
    rows = [
        (
            n,
            [
                Cell(known.get(int(row["product_id"]), "a hidden product")), Cell(known.get(int(row["offer_id"]), "a hidden product")),
                Cell(str(row["category"])), Cell(money(shown.actor, row["extra"], compact=False)),
                Cell(f"{row['share']:.0%} ({row['low']:.0%} to {row['high']:.0%})"), Cell(fmt.number(shown.actor, int(row["buyers"]))),
                Cell(money(shown.actor, row["expected_extra"], compact=False)),
            ],
        )
        for n, row in enumerate(offers.head(50).to_dict("records"), 1)
    ]  # fmt: skip
    columns = [
        Column("product", "Instead of", sortable=False), Column("offer", "Offer", sortable=False), Column("category", "Category", sortable=False, muted=True),
        Column("extra", "Dearer by", right=True, sortable=False), Column("share", "Chose it", sortable=False),
        Column("buyers", "Buyers of the two", right=True, sortable=False), Column("worth", "Worth at least, per offer", right=True, sortable=False),
    ]  # fmt: skip
    table(columns, rows, key=f"upsell_{shown.run.id}", label="Dearer alternatives")


def acceptance_table(known: dict[int, str]) -> None:
    """What the team did with suggestions of the last half year."""
    found = sorted(load(suggestions.acceptance), key=lambda row: -(row.taken + row.declined))
    if not found:
        st.caption(
            "Nothing yet. Publish a run (⋮ at the top): suggestions then stand on deals and accounts, and what is taken or turned down is counted here."
        )
        return
    rows = [
        (
            n,
            [
                Cell(known.get(row.because_id or 0, "–")), Cell(known.get(row.product_id, "a hidden product")), Cell(str(row.taken)),
                Cell(str(row.declined)), Cell(f"{row.taken / (row.taken + row.declined):.0%}"),
            ],
        )
        for n, row in enumerate(found[:50], 1)
    ]  # fmt: skip
    columns = [
        Column("because", "Because of", sortable=False), Column("product", "Suggested", sortable=False), Column("taken", "Taken", right=True, sortable=False),
        Column("declined", "Turned down", right=True, sortable=False), Column("share", "Taken in", right=True, sortable=False),
    ]  # fmt: skip
    table(columns, rows, key="acceptance", label="What suggestions led to")
    st.caption(f"A pair that was turned down {suggestions.DECAY_AFTER} times and never taken is no longer suggested.")
