"""Shops on the page of integrations: cards with the last messages, how to connect one, the tray of what needs a look, articles and products."""

from typing import Any

import streamlit as st

from crm_core import lists
from crm_core.models import Shop
from crm_core.services.sales import shop_rules, shops
from crm_core.services.sales.shops import ShopRow
from crm_core.vocabulary import ShopKind, ShopState
from ui import format as fmt
from ui.actions import load, perform, show_problems
from ui.addresses import absolute
from ui.components.header import empty_state
from ui.components.message_log import message_log
from ui.components.parts_clash import Part, clashing, columns_of, named, save_parts, saver
from ui.components.picker import picker
from ui.components.table import Cell
from ui.components.whole_input import whole_number
from ui.navigation import go
from ui.session import current_actor

TONES = {
    ShopState.WAITING: "orange", ShopState.DONE: "green", ShopState.OLDER: "gray", ShopState.IGNORED: "gray", ShopState.FAILED: "red",
}  # fmt: skip
STEPS = {
    ShopKind.SHOPIFY: "In Shopify open **Settings → Notifications → Webhooks**. For each event below choose *Create webhook*, the format JSON and "
    "the address. Shopify shows the secret under the list (“Your webhooks will be signed with…”): put it in here under *Change*.",
    ShopKind.WOOCOMMERCE: "In WordPress open **WooCommerce → Settings → Advanced → Webhooks**. For each event below choose *Add webhook*, the "
    "status *Active*, the address and the secret.",
}


def shops_section() -> None:
    """All shops."""
    rows = load(shops.find)
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", key="shops_top"):
        st.caption(
            "Orders of a shop become orders here within seconds, with their customers, products and the campaign that led to them."
        )
        if rows and st.button("New shop", type="primary", icon=":material/add:", key="shop_new"):
            form_dialog(None)
    if not rows:
        box = empty_state("No shops yet", "Connect Shopify or WooCommerce: it takes an address and a secret.", icon="storefront")
        if box.button("Connect a shop", type="primary", icon=":material/add:", key="shop_first"):
            form_dialog(None)
    for row in rows:
        _card(row)


def _card(row: ShopRow) -> None:
    shop, actor = row.shop, current_actor()
    with st.container(border=True, key=f"shop_{shop.id}"):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            with st.container(width="content", gap=None):
                badge = ":green-badge[On]" if shop.is_active else ":gray-badge[Off]"
                st.markdown(f"**{fmt.md(shop.name)}** :gray-badge[{shop.kind.label}] {badge}")
                last = f"last heard of {fmt.ago(actor, row.last_at)}" if row.last_at else "nothing came yet"
                st.caption(fmt.md(f"{last} · acts as {row.owner}"))
            _buttons(row)
        with st.grid(3, min_column_width=110):
            st.metric("Taken in", fmt.written(row.counts.get(ShopState.DONE, 0)), help="Messages of seven days")
            st.metric(
                "Need a look",
                fmt.written(row.counts.get(ShopState.FAILED, 0)),
                help="Could not be taken in; the log says why, and tries again",
            )
            st.metric("Unknown articles", fmt.written(row.unknown), help="Sold in the shop, and no product here")


def _buttons(row: ShopRow) -> None:
    shop = row.shop
    with st.container(horizontal=True, width="content", vertical_alignment="center", gap="small"):
        if st.button("Connect", icon=":material/cable:", key=f"shop_use_{shop.id}"):
            use_dialog(shop)
        if st.button("Log", icon=":material/list:", key=f"shop_log_{shop.id}", type="tertiary"):
            log_dialog(shop.id, shop.name)
        if row.unknown and st.button("Articles", icon=":material/inventory_2:", key=f"shop_articles_{shop.id}", type="tertiary"):
            articles_dialog(shop.id)
        if st.button("Change", icon=":material/edit:", key=f"shop_change_{shop.id}", type="tertiary"):
            form_dialog(shop)
        with st.popover(
            icon=":material/delete:",
            key=f"shop_remove_{shop.id}",
            type="tertiary",
            **fmt.icon_only("Remove this shop"),
        ):
            st.markdown("Its address stops working, and its log goes. Orders and customers stay.")
            st.button("Remove", type="primary", key=f"shop_remove_yes_{shop.id}", on_click=_remove, args=(shop.id,))


def _remove(shop_id: int) -> None:
    perform(shops.remove, shop_id, success="Shop removed.")


@st.dialog("Shop", width="medium", icon=":material/storefront:")
def form_dialog(shop: Shop | None) -> None:
    """Name, kind, who acts, what happens to unknown articles."""
    tag = f"{shop.id}_{shop.version}" if shop else "new"
    name = st.text_input("Name *", value=shop.name if shop else "", max_chars=80, key=f"sh_name_{tag}", placeholder="Web shop")
    kind = shop.kind if shop else st.segmented_control(
        "Kind", list(ShopKind), default=ShopKind.SHOPIFY, required=True, format_func=lambda one: one.label, key=f"sh_kind_{tag}"
    )  # fmt: skip
    secret = st.text_input(
        "Secret", type="password", max_chars=200, key=f"sh_secret_{tag}", autocomplete="off",
        placeholder="As it is" if shop else "Made by itself", help="Shopify gives you one: put it in here. For WooCommerce the one made here will do.",
    )  # fmt: skip
    people = load(lists.choices, "user", limit=500)
    mine = shop.owner_id if shop else current_actor().user_id
    owner = st.selectbox(
        "Orders come in as", list(people), index=list(people).index(mine) if mine in people else None, key=f"sh_owner_{tag}",
        format_func=lambda one: people[one], help="This person owns what is new, and their rights decide what may be made",
    )  # fmt: skip
    title = load(lists.titles, "campaign", [shop.campaign_id]).get(shop.campaign_id or 0, "") if shop else ""
    campaign = picker(
        "Campaign of its orders", lambda q: load(lists.choices, "campaign", q, limit=20), key=f"sh_campaign_{tag}",
        value=shop.campaign_id if shop else None, title=title,
    )  # fmt: skip
    create = st.toggle("Make products for unknown articles", value=shop.create_products if shop else True, key=f"sh_products_{tag}")
    minutes = whole_number(
        "A cart counts as left after (minutes)",
        10,
        10_080,
        shop.cart_minutes if shop else 60,
        step=10,
        key=f"sh_cart_{tag}",
    )
    active = st.toggle("Takes messages", value=shop.is_active if shop else True, key=f"sh_active_{tag}")
    question = f"shop_{tag}"
    pressed = st.button("Save", type="primary", key=f"sh_save_{tag}", disabled=clashing(question))
    values: dict[str, Any] = {
        "name": name, "kind": kind, "owner_id": owner, "campaign_id": campaign, "create_products": create, "cart_minutes": minutes,
        "is_active": active, **({"secret": secret} if secret else {}),
    }  # fmt: skip
    parts = {
        "name": Part("Name"), "kind": Part("Kind"), "secret": Part("Secret"), "owner_id": Part("Orders come in as", named(people)),
        "campaign_id": Part("Campaign of its orders", lambda one: load(lists.titles, "campaign", [one]).get(one, "None")),
        "create_products": Part("Make products for unknown articles"), "cart_minutes": Part("A cart counts as left after (minutes)"),
        "is_active": Part("Takes messages"),
    }  # fmt: skip

    if save_parts(
        question, pressed, seen=shop, mine=values, parts=parts, values_of=columns_of(values), save=saver(shops.save, "Shop saved.")
    ):
        st.rerun()
    show_problems()


@st.dialog("Connect the shop", width="medium", icon=":material/cable:")
def use_dialog(shop: Shop) -> None:
    """What to enter in the shop."""
    st.markdown(STEPS[shop.kind])
    st.markdown("**Address**")
    st.code(absolute(f"/hooks/shop/{shop.token}"), language=None, wrap_lines=True)
    if shop.kind is ShopKind.WOOCOMMERCE:
        st.markdown("**Secret**")
        st.code(shop.secret, language=None, wrap_lines=True)
    st.markdown("**Events**")
    st.code("\n".join(shop_rules.TOPICS[shop.kind]), language=None)
    st.caption("Without the checkouts no carts are noted. Orders in another currency than that of the workspace wait in the log.")


@st.dialog("What came", width="large", icon=":material/list:")
def log_dialog(shop_id: int, name: str) -> None:
    """Every message with what became of it; what needs a look can be tried again."""
    rows, happened = message_log(
        shops.deliveries, shop_id, name, key="shop", states=list(ShopState), cells=_cells, nothing="Nothing came yet.",
        columns={"topic": "Message", "state": "What became of it", "note": "", "at": "When"},
    )  # fmt: skip
    order_id = next((row.order_id for row in rows if row.id == happened.opened), None)
    if order_id is not None:
        go("order", id=order_id)
        st.rerun()
    failed = sum(row.state is ShopState.FAILED for row in rows)
    if (
        failed
        and st.button("Try all again that need a look", icon=":material/refresh:", key=f"shop_retry_{shop_id}")
        and perform(shops.retry_all, shop_id, success="They are being taken in again.") is not None
    ):
        st.rerun(scope="fragment")
    show_problems()


def _cells(row: Any) -> list[Cell]:
    return [
        Cell(f"{row.topic} {row.external_id}"), Cell(row.state.label, tone=TONES[row.state]),
        Cell(row.message, hot=row.state is ShopState.FAILED), Cell(fmt.ago(current_actor(), row.created_at)),
    ]  # fmt: skip


@st.dialog("Articles", width="medium", icon=":material/inventory_2:")
def articles_dialog(shop_id: int) -> None:
    """Say which product an article is."""
    found = load(shops.articles, shop_id)
    if not found:
        st.caption("Every article is a product here.")
        return
    st.caption("Orders that come from now on use the product that you choose.")
    for one in found[:20]:
        product = picker(
            one.title or one.external_id, lambda q: load(lists.choices, "product", q, limit=20), key=f"article_{one.id}"
        )
        if product and perform(shops.map_article, one.id, product, success="Noted.") is not None:
            st.rerun(scope="fragment")
    show_problems()
    if len(found) > 20:
        st.caption(fmt.plural(len(found) - 20, "more article"))
