"""Products at a customer: what they bought, with the serial numbers and the troubles that tickets tell of."""

import json

import streamlit as st

from crm_core.access import Actor
from crm_core.services.helpdesk import installed
from crm_core.services.helpdesk.installed import Installed
from crm_core.vocabulary import Action
from ui import format as fmt
from ui.actions import load
from ui.components.filter_bar import PARAM
from ui.navigation import page_of

FEW = 3


def installed_card(actor: Actor, account_id: int) -> None:
    """The card of an account. Draws nothing where neither orders nor tickets name a product."""
    if not (actor.can("ticket", Action.READ) or actor.can("order", Action.READ)):
        return
    found = load(installed.at_account, account_id)
    if not found:
        return
    with st.container(border=True, gap="small", key="installed"):
        st.markdown(f"**Products at this customer**  :gray[{fmt.written(len(found))}]")
        for n, one in enumerate(found[:FEW]):
            _product(actor, account_id, n, one)
        if len(found) > FEW:
            with st.expander(
                f"{fmt.written(len(found) - FEW)} more", key=f"installed_more_{account_id}", on_change="rerun"
            ) as more:
                if more.open:  # a dozen lines that few people look at
                    for n, one in enumerate(found[FEW:], FEW):
                        _product(actor, account_id, n, one)


def _product(actor: Actor, account_id: int, n: int, one: Installed) -> None:
    page = page_of(actor, "product") if one.product_id is not None and one.name != "A hidden product" else None
    with st.container(gap=None, key=f"installed_{n}"):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            if page is not None:
                st.page_link(page, label=fmt.md(one.name), query_params={"id": str(one.product_id)}, width="content")
            else:
                st.markdown(fmt.md(one.name), width="content")
            _tickets(actor, account_id, one)
        said = []
        if one.bought is not None and one.last_bought_at is not None:
            said.append(f"{fmt.number(actor, one.bought)} bought, last {fmt.ago(actor, one.last_bought_at)}")
        if one.serials:
            said.append("No. " + ", ".join(serial.number for serial in one.serials[:8]) + (" …" if len(one.serials) > 8 else ""))
        if said:
            st.caption(fmt.md(" · ".join(said)))


def _tickets(actor: Actor, account_id: int, one: Installed) -> None:
    page = page_of(actor, "tickets")
    if page is None or not one.tickets:
        return
    product = (
        {"field": "product_id", "cmp": "eq", "value": one.product_id} if one.product_id else {"field": "product_id", "cmp": "empty"}
    )
    rule = {"op": "and", "items": [{"field": "account_id", "cmp": "eq", "value": account_id}, product]}
    words = fmt.plural(one.tickets, "ticket") + (f", {fmt.written(one.open_tickets)} open" if one.open_tickets else "")
    st.page_link(
        page,
        label=words,
        icon=":material/confirmation_number:",
        query_params={PARAM: json.dumps(rule, separators=(",", ":"))},
        width="content",
    )
