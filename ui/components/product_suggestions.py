"""Suggested products on a deal, an account or a contact: one click puts one on the deal, or turns it down for good."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from crm_core.access import Actor
from crm_core.services.analytics import suggestions
from crm_core.services.analytics.suggestions import Suggestion
from crm_core.vocabulary import Action
from ui import format as fmt
from ui.actions import load, perform
from ui.components.deal_dialogs import new_deal


def deal_suggestions(actor: Actor, deal_id: int, version: int, may_edit: bool) -> None:
    """What goes with the deal's products, below its lines. Draws nothing without suggestions."""
    if not actor.can("product", Action.READ):
        return
    found = load(suggestions.for_deal, deal_id)
    if not found:
        return
    with st.container(border=True, gap="small", key="deal_suggestions"):
        st.markdown("**Suggested products**")
        for one in found:
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                _words(actor, one)
                if may_edit:
                    if one.price_minor is not None:
                        st.button(
                            "Add", icon=":material/add:", type="tertiary", key=f"take_{one.product_id}", on_click=_take, args=(deal_id, version, one),
                            help=f"Put one {fmt.md(one.name)} on the deal",
                        )  # fmt: skip
                    _no("deal", deal_id, one)


def customer_suggestions(actor: Actor, entity: str, record_id: int, may_edit: bool, deal: Mapping[str, Any]) -> None:
    """The next offer for a customer, each the beginning of a deal with ``deal`` filled in. Draws nothing without one."""
    if not actor.can("product", Action.READ):
        return
    found = load(suggestions.for_customer, entity, record_id)
    if not found:
        return
    with st.container(border=True, gap="small", key=f"{entity}_suggestions"):
        st.markdown("**Next best offer**")
        for one in found:
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                _words(actor, one)
                if actor.can("deal", Action.CREATE) and st.button(
                    "Start a deal", icon=":material/add:", type="tertiary", key=f"offer_{entity}_{one.product_id}"
                ):
                    new_deal(name=one.name, amount_minor=one.price_minor, **deal)
                if may_edit:
                    _no(entity, record_id, one)


def _words(actor: Actor, one: Suggestion) -> None:
    price = f" · {fmt.money(actor, one.price_minor)}" if one.price_minor is not None else ""
    if one.dearer:
        why = f"instead of {one.because}: {one.confidence:.0%} of those who bought one of the two chose it"
    else:
        why = f"{one.confidence:.0%} of those with {one.because} have it too"
        why += f", {one.confidence / one.lift:.0%} of all" if one.lift else ""
    box = st.container(gap=None, width="stretch")
    box.markdown(fmt.md(one.name + price))
    box.caption(fmt.md(why))
    if told := worth_words(actor, one):
        box.caption(fmt.md(told))


def worth_words(actor: Actor, one: Suggestion) -> str:
    """Margin, what it comes to by its probability, and stock; what is not known is said where somebody asked for it."""
    worth, parts = one.worth, []
    if worth is None:
        return ""
    if worth.margin_minor is not None:
        share = f" ({fmt.percent(actor, worth.margin_share, 0)})" if worth.margin_share is not None else ""
        parts.append(
            f"Margin {fmt.money(actor, worth.margin_minor)}{share}, {fmt.money(actor, worth.expected_minor(one.confidence))} expected"
        )
    if worth.stock is not None:
        parts.append(f"{fmt.number(actor, worth.stock)} in stock" if worth.stock > 0 else "sold out")
    elif one.asked_stock and not actor.masked("product", "stock"):
        parts.append("stock not known")
    return " · ".join(parts)


def _no(entity: str, record_id: int, one: Suggestion) -> None:
    st.button(
        icon=":material/close:", type="tertiary", key=f"decline_{entity}_{one.product_id}", on_click=_decline, args=(entity, record_id, one),
        **fmt.icon_only("Not for this one: don't suggest it here again"),
    )  # fmt: skip


def _take(deal_id: int, version: int, one: Suggestion) -> None:
    perform(
        suggestions.take,
        deal_id,
        one.product_id,
        because_id=one.because_id,
        base_version=version,
        success=f"{fmt.md(one.name)} is on the deal",
    )


def _decline(entity: str, record_id: int, one: Suggestion) -> None:
    perform(suggestions.decline, entity, record_id, one.product_id, because_id=one.because_id)
