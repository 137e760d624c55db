"""The products of a deal or an order: a card with the lines, and the dialog that changes them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import streamlit as st

from crm_core import lists
from crm_core.access import Actor
from crm_core.kit.money import line_total, most_major, tax_of, to_major, to_minor
from crm_core.services.admin import workspace
from crm_core.services.sales import deals, orders, products
from crm_core.services.sales.lines import MAX_PERIODS, MOST_QUANTITY, USUAL_PERIODS, LineView, Sums, sums
from crm_core.vocabulary import Billing
from ui import format as fmt
from ui.actions import hush, load, perform, show_problems
from ui.components.picker import picker
from ui.components.rows_clash import rows_clash
from ui.components.table import Cell, Column, table
from ui.components.whole_input import whole_input


@dataclass(frozen=True)
class LinesOf:
    """What the lines belong to: its word, the verb that stores them, and what an empty card says."""

    word: str
    save: Callable[..., Any]
    empty: str


DEAL = LinesOf("deal", deals.set_lines, "No products yet. Their sum becomes the amount of the deal.")
ORDER = LinesOf("order", orders.set_lines, "No products yet. Their sum becomes the total of the order.")


def lines_card(
    actor: Actor, of: LinesOf, row: Mapping[str, Any], lines: Sequence[LineView], may_edit: bool, *, note: str = ""
) -> None:
    """The card. ``note`` stands behind the sum."""
    hidden = any(line.total_minor is None for line in lines)
    may_edit = may_edit and not hidden
    with st.container(border=True, gap="small", key=f"{of.word}_lines"):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            st.markdown("**Products**", width="content")
            if may_edit and st.button(
                "Change" if lines else "Add",
                icon=":material/edit:" if lines else ":material/add:",
                type="tertiary",
                key="edit_lines",
            ):
                _start(lines)
                _dialog(actor, of, row["id"])
        if not lines:
            st.caption(of.empty)
            return
        taxed = any(line.tax_rate_pct for line in lines)
        exact = fmt.with_cents(actor, [amount for line in lines for amount in (line.unit_price_minor, line.total_minor)])
        table(
            [
                Column("name", "Product", sortable=False),
                Column("quantity", "Qty", right=True, sortable=False, named=True),
                Column("price", "Price", right=True, sortable=False),
                *([Column("tax", "Tax", right=True, sortable=False, muted=True, named=True)] if taxed else []),
                Column("total", "Total", right=True, sortable=False, named=True),
            ],
            [(line.id, _cells(actor, line, taxed, exact)) for line in lines],
            key="lines_table",
            label=f"Products of this {of.word}",
        )
        if not hidden:
            _told(actor, sums(lines), note)


def _told(actor: Actor, found: Sums, note: str = "") -> None:
    """The sum, the tax where there is one, and what recurs."""
    money = lambda minor: fmt.md(fmt.money(actor, minor))  # noqa: E731
    if found.tax:
        st.caption(f"Net {money(found.net)} · tax {money(found.tax)} · gross {money(found.gross)}{fmt.md(note)}")
    else:
        st.caption(f"Sum {money(found.net)}{fmt.md(note)}")
    if found.yearly:
        once = f" · once {money(found.once)}" if found.once else ""
        st.caption(
            f"Recurring {money(found.monthly)} a month, {money(found.yearly)} a year{once}",
            help="What the lines that are charged every month or year come to. The sum is the value of the contract: all periods of all lines.",
        )


def sum_of(lines: Sequence[LineView]) -> int:
    """Their sum in minor units; hidden prices count as nothing."""
    return sum(line.total_minor or 0 for line in lines)


def _cells(actor: Actor, line: LineView, taxed: bool, exact: bool | None) -> list[Cell]:
    off = f" −{fmt.number(actor, line.discount_pct)}%" if line.discount_pct else ""
    often = f" a {line.billing.unit}" if line.billing.unit else ""
    price = fmt.money(actor, line.unit_price_minor, decimals=exact) + often + off
    quantity = fmt.number(actor, line.quantity)
    if line.billing.unit:
        quantity += f" × {fmt.plural(line.periods, line.billing.unit)}"
    tax = [Cell(f"{fmt.number(actor, line.tax_rate_pct)}%")] if taxed else []
    return [Cell(line.name), Cell(quantity), Cell(price), *tax, Cell(fmt.money(actor, line.total_minor, decimals=exact))]


def _start(lines: Sequence[LineView]) -> None:
    """Begin to edit these lines: they are what the save is compared with."""
    first = st.session_state.get("_lines_next", 0)  # new keys: a browser keeps what was typed under an old one
    st.session_state["_lines_seen"] = list(lines)
    st.session_state.pop("_lines_theirs", None)
    st.session_state["_lines"] = [
        {
            "n": n,
            "product_id": line.product_id,
            "name": line.name,
            "quantity": float(line.quantity),
            "unit_price_minor": line.unit_price_minor,
            "discount_pct": float(line.discount_pct),
            "billing": line.billing.value,
            "periods": line.periods,
            "tax_rate_pct": float(line.tax_rate_pct),
        }
        for n, line in enumerate(lines, first)
    ]
    st.session_state["_lines_next"] = first + len(lines)
    if not lines:
        _add()


def _add() -> None:
    n = st.session_state["_lines_next"]
    st.session_state["_lines"].append(
        {
            "n": n, "product_id": None, "name": "", "quantity": 1.0, "unit_price_minor": None, "discount_pct": 0.0, "billing": Billing.ONE_TIME.value,
            "periods": 1, "tax_rate_pct": None,
        }
    )  # fmt: skip
    st.session_state["_lines_next"] = n + 1


def _drop(n: int) -> None:
    st.session_state["_lines"] = [line for line in st.session_state["_lines"] if line["n"] != n]


@st.dialog("Products", width="large")
def _dialog(actor: Actor, of: LinesOf, record_id: int) -> None:
    drawn = [_line(actor, line) for line in st.session_state["_lines"]]
    found = sums(line for line in drawn if line is not None)
    st.button("Add a line", icon=":material/add:", type="tertiary", key="line_add", on_click=_add)
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        with st.container(gap=None, width="content"):
            st.markdown(f"**Sum {fmt.md(fmt.money(actor, found.net))}**", width="content")
            if found.tax or found.yearly:
                _told(actor, found)
        pressed = st.button(
            "Save products", type="primary", key="lines_save", shortcut="ctrl+enter", disabled="_lines_theirs" in st.session_state
        )
    if pressed:
        _save(of, record_id)
    theirs = st.session_state.get("_lines_theirs")
    if theirs is not None:
        _choose(actor, of, record_id, theirs)


def _save(of: LinesOf, record_id: int, seen: list[LineView] | None = None) -> None:
    """``seen``: the lines to which these are an answer; None for those with which editing began."""
    rows = [line for line in st.session_state["_lines"] if line["product_id"] or line["name"]]
    base = st.session_state["_lines_seen"] if seen is None else seen
    if perform(of.save, record_id, rows, base_lines=base, success="Products saved.") is not None:
        st.session_state.pop("_lines_theirs", None)
        st.rerun()
    conflict = st.session_state.get("_conflict")
    if conflict is not None and "lines" in conflict.details:
        st.session_state["_lines_theirs"] = conflict.details["lines"]
        hush()
        st.rerun(scope="fragment")
    show_problems()


def _choose(actor: Actor, of: LinesOf, record_id: int, lines: Sequence[LineView]) -> None:
    """Somebody else changed the products meanwhile: theirs and what stood there before, and whose stay."""
    answer = rows_clash("these products", _listed(actor, lines), _listed(actor, st.session_state["_lines_seen"]), key="lines")
    if answer == "theirs":
        _start(lines)
        st.rerun(scope="fragment")
    if answer == "mine":
        _save(of, record_id, list(lines))


def _listed(actor: Actor, lines: Sequence[LineView]) -> str:
    shown = [f"{fmt.number(actor, line.quantity)} × {line.name} ({fmt.money(actor, line.total_minor)})" for line in lines]
    return ", ".join(shown) + f"; sum {fmt.money(actor, sum_of(lines))}" if lines else "no products"


def _line(actor: Actor, line: dict[str, Any]) -> LineView | None:
    """The inputs of a line; what it comes to, None while it lacks a price or a quantity."""
    n = line["n"]
    with st.container(border=True, gap="small", key=f"line_{n}"):
        with st.container(
            horizontal=True, vertical_alignment="bottom", gap="small"
        ):  # the cross stays beside the product, on a phone too
            with st.container(width="stretch"):
                _product(line)
            st.button(
                icon=":material/close:",
                key=f"line_x_{n}",
                type="tertiary",
                on_click=_drop,
                args=(n,),
                **fmt.icon_only("Remove this line"),
            )
        with st.grid(6, min_column_width=120):  # on a phone two beside each other
            line["quantity"] = st.number_input("Quantity", value=line["quantity"], step=1.0, format="%.10g", key=f"line_q_{n}")
            price = st.container()
            line["discount_pct"] = st.number_input(
                "Discount %", value=line["discount_pct"], step=1.0, format="%.4g", key=f"line_d_{n}"
            )
            if line["tax_rate_pct"] is None:
                line["tax_rate_pct"] = load(workspace.summary).tax_rate_pct
            line["tax_rate_pct"] = st.number_input("Tax %", value=line["tax_rate_pct"], step=0.5, format="%.4g", key=f"line_t_{n}")
            _charged(line)
        _price(actor, line, price)
    return _reckoned(line)


def _product(line: dict[str, Any]) -> None:
    """Which product; a new choice brings its name, price, terms and tax rate."""
    n = line["n"]
    chosen = picker(
        "Product",
        lambda q: load(lists.choices, "product", q, limit=20),
        key=f"line_p_{n}",
        value=line["product_id"],
        title=line["name"],
        placeholder="Product",
    )
    if chosen == line["product_id"]:
        return
    line["product_id"] = chosen
    found = load(products.price_of, chosen) if chosen else None
    line["name"] = found.name if found else ""
    line["unit_price_minor"] = found.price_minor if found else None
    if found:
        line |= {"billing": found.billing.value, "periods": USUAL_PERIODS[found.billing], "tax_rate_pct": found.tax_rate_pct}
    for part in "ubnt":
        st.session_state.pop(f"line_{part}_{n}", None)


def _price(actor: Actor, line: dict[str, Any], box: Any) -> None:
    n, unit = line["n"], Billing(line["billing"]).unit
    shown = float(to_major(line["unit_price_minor"], actor.currency)) if line["unit_price_minor"] is not None else None
    typed = box.number_input(
        f"Price{f' a {unit}' if unit else ''} ({actor.currency})", value=shown, min_value=-most_major(actor.currency), max_value=most_major(actor.currency), key=f"line_u_{n}",
    )  # fmt: skip
    line["unit_price_minor"] = to_minor(typed, actor.currency) if typed is not None else None


def _charged(line: dict[str, Any]) -> None:
    """How often the line is charged, and for how many months or years."""
    n, options = line["n"], Billing.options()
    billing = st.selectbox(
        "Charged",
        list(options),
        index=list(options).index(line["billing"]),
        format_func=lambda one: options[one],
        key=f"line_b_{n}",
    )
    if billing != line["billing"]:
        line["billing"], line["periods"] = billing, USUAL_PERIODS[Billing(billing)]
        st.session_state.pop(f"line_n_{n}", None)
    unit = Billing(line["billing"]).unit
    if unit:
        typed = whole_input(
            f"{unit.capitalize()}s", line["periods"], low=1, high=MAX_PERIODS, key=f"line_n_{n}", help=f"For how many {unit}s"
        )
        line["periods"] = typed or line["periods"]


def _reckoned(line: Mapping[str, Any]) -> LineView | None:
    """What a line comes to; None where a number is missing, or is one that saving refuses."""
    if line["unit_price_minor"] is None or not 0 < (line["quantity"] or 0) < MOST_QUANTITY or line["unit_price_minor"] < 0:
        return None
    if not all(0 <= (line[key] or 0) <= 100 for key in ("discount_pct", "tax_rate_pct")) or isinstance(line["periods"], float):
        return None
    quantity, discount = Decimal(str(line["quantity"])), Decimal(str(line["discount_pct"] or 0))
    net, rate = line_total(quantity, line["unit_price_minor"], discount), Decimal(str(line["tax_rate_pct"] or 0))
    return LineView(
        0, line["product_id"], line["name"], quantity, line["unit_price_minor"], discount, net * line["periods"], Billing(line["billing"]), line["periods"],
        rate, tax_of(net, rate) * line["periods"],
    )  # fmt: skip
