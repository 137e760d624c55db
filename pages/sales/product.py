"""One product: its price, its margin, and how it sells."""

import streamlit as st

from crm_core.services.sales import products
from crm_core.vocabulary import Action
from ui import format as fmt
from ui.actions import load
from ui.cache import cached
from ui.components.activity_feed import feed
from ui.components.article_cards import articles_about
from ui.components.facts import facts
from ui.components.files import files
from ui.components.header import header
from ui.components.record_page import delete_dialog, edit_dialog, facts_of, id_from_url, related
from ui.navigation import page_of
from ui.session import current_actor

ABOUT = ("sku", "category_id", "price_minor", "billing", "tax_rate_pct", "cost_minor", "stock", "is_active")

actor = current_actor()
product_id = id_from_url()
specs, row = load(facts_of, "product", product_id)
sold = cached(products.sales, product_id, entities=("order",), tables=("product", "order_line", "sales_order"))

caption = " · ".join(part for part in (row["sku"], row.get("category_id.title")) if part)
badge = ("Offered", "green") if row["is_active"] else ("No longer offered", "gray")
actions = header(row["name"], caption, badges=[badge], back=("Products", page_of(actor, "products")))
if actor.can("product", Action.EDIT) and actions.button("Edit", icon=":material/edit:", type="primary", key="edit", shortcut="e"):
    edit_dialog("product", product_id)
if actor.can("product", Action.DELETE) and actions.button(
    icon=":material/delete:", key="delete", **fmt.icon_only("Delete this product")
):
    delete_dialog("product", product_id, row["version"], row["name"], "products")

with st.grid(4, min_column_width=150):
    often = f" a {row['billing'].unit}" if row["billing"].unit else ""
    st.metric("List price", fmt.money(actor, row["price_minor"]) + often, border=True, height="stretch", help="Net, before tax")
    if isinstance(row["cost_minor"], int) and isinstance(row["price_minor"], int) and row["price_minor"]:
        margin = (row["price_minor"] - row["cost_minor"]) / row["price_minor"]
        st.metric("Margin", fmt.percent(actor, margin), border=True, height="stretch", help="(List price − cost) ÷ list price")
    if sold is not None:
        within = "In placed and fulfilled orders that you may see"
        st.metric("Sold", fmt.number(actor, sold.quantity), delta=fmt.plural(sold.orders, "order"), delta_color="off", delta_arrow="off", border=True, height="stretch", help=within)  # fmt: skip
        st.metric("Revenue", fmt.money(actor, sold.revenue_minor, compact=True), border=True, height="stretch", help=within)

left, right = st.columns([7, 4], gap="medium")
with left:
    related(
        actor, "deal", where={"field": "product_id", "cmp": "eq", "value": product_id}, columns=("name", "account_id", "outcome", "amount_minor"),
        title="Deals with this main product", list_url="deals",
    )  # fmt: skip
    feed("product", product_id)
with right:
    facts(actor, "About", specs, row, (*ABOUT, *(key for key in specs if specs[key].custom), "description"))
    articles_about(actor, product_id)
    files("product", product_id)
