"""Parts of the promotion's screen: its terms, its states, and who may use it."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import streamlit as st

from crm_core import lists
from crm_core.access import Actor
from crm_core.models import Promotion
from crm_core.services.sales import promotion_rules, promotions
from crm_core.services.sales.promotion_rules import Words
from crm_core.vocabulary import Action, CodeKind, PromotionState
from ui import format as fmt
from ui.actions import load, perform, show_refusal
from ui.cache import cached
from ui.components.filter_bar import forget_inline, inline_filter
from ui.components.filter_inputs import words_of
from ui.components.parts_clash import Part, clashing, named, save_parts, saver
from ui.components.picker import picker
from ui.navigation import page_of

NEW_FIELDS = (
    "name",
    "code",
    "effect",
    "percent_off",
    "amount_off_minor",
    "code_kind",
    "max_redemptions",
    "starts_on",
    "ends_on",
    "budget_minor",
)
MORE_FIELDS = ("min_order_minor", "per_customer", "product_id", "category_id", "campaign_id", "owner_id", "description")
EDITED = (*NEW_FIELDS, *MORE_FIELDS)
_OF = {"contact": "Contacts", "account": "Accounts"}


def words_for(actor: Actor) -> Words:
    """Days and amounts as the reader is used to them."""
    return Words(partial(fmt.day, actor), partial(fmt.money, actor))


def terms(actor: Actor, promotion: Promotion) -> str:
    """What it takes off, by which code, how long; nothing where the role hides a part of it."""
    if any(
        actor.masked("promotion", key)
        for key in ("percent_off", "amount_off_minor", "min_order_minor", "starts_on", "ends_on", "code")
    ):
        return ""
    code = promotion.code if promotion.code_kind is CodeKind.SHARED else CodeKind.SINGLE.label.lower()
    return " · ".join(part for part in (promotion_rules.in_words(promotion, words_for(actor)), code or "no code yet") if part)


def state_buttons(where: Any, promotion: Promotion) -> None:
    """What can become of it."""
    if promotion.state is not PromotionState.RUNNING:
        words = {PromotionState.DRAFT: "Start", PromotionState.PAUSED: "Resume", PromotionState.ENDED: "Start again"}[
            promotion.state
        ]
        if where.button(words, type="primary", icon=":material/play_arrow:", key="start", help="From now on its codes work"):
            _move(promotion, PromotionState.RUNNING, "It runs: its codes work.")
    if promotion.state is PromotionState.RUNNING and where.button(
        "Pause", icon=":material/pause:", key="pause", help="Its codes stop working for a while"
    ):
        _move(promotion, PromotionState.PAUSED, "Paused: its codes do not work for now.")
    if promotion.state in (PromotionState.RUNNING, PromotionState.PAUSED):
        with where.popover("End", icon=":material/stop:", key=f"end_{promotion.version}"):
            st.markdown("Its codes stop working. Orders that used one keep their discount. You can start it again later.")
            if st.button("End it now", type="primary", key="end_yes"):
                _move(promotion, PromotionState.ENDED, "Ended.")


def _move(promotion: Promotion, state: PromotionState, words: str) -> None:
    perform(promotions.move, promotion.id, state, base_version=promotion.version, success=words)
    wrong = st.session_state.pop("_invalid", None)
    if wrong:  # the sentence of the field says more than that one is wrong
        st.session_state["_toasts"] = [("error", fmt.md(sentence)) for sentence in wrong.values()]
    st.rerun()


# --- who may use it ---------------------------------------------------------------------------------------------------------


def audience_card(actor: Actor, promotion: Promotion, *, may_edit: bool) -> None:
    """Segment and filter, in words, with how many fit."""
    with st.container(border=True, gap="small", key="promotion_audience"):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            st.markdown("**Who may use it**", width="content")
            if may_edit and st.button("Change", icon=":material/edit:", type="tertiary", key="audience_edit"):
                forget_inline()
                _audience_dialog(actor, promotion)
        if promotion.segment_id:
            _segment(actor, promotion.segment_id)
        if promotion.rule:
            st.markdown(
                f":material/filter_alt: {_OF[promotion.rule_of]} with {fmt.md(load(words_of, promotion.rule_of, promotion.rule))}"
            )
            _size(promotion)
        if not promotion.rule and not promotion.segment_id:
            st.caption("Everybody who has the code.")
        if promotion.per_customer:
            st.caption(f"Each customer {'once' if promotion.per_customer == 1 else f'up to {promotion.per_customer} times'}.")


def _segment(actor: Actor, segment_id: int) -> None:
    name = load(lists.titles, "segment", [segment_id]).get(segment_id)
    page = page_of(actor, "segment")
    if name and page is not None:
        st.page_link(page, label=f"Members of {fmt.md(name)}", icon=":material/groups_3:", query_params={"id": str(segment_id)})
    else:
        st.markdown(":material/groups_3: Members of a segment that is not shared with you")


def _size(promotion: Promotion) -> None:
    problem = load(promotions.audience_problem, promotion.id)
    if problem:
        st.warning(fmt.md(f"This can't be asked any more, so nobody may use the code. {problem}"), icon=":material/warning:")
        return
    fits, total = cached(
        promotions.audience_size,
        promotion.id,
        entities=("contact", "account"),
        tables=("contact", "account", "promotion", "segment_member", "sales_order"),
    )
    if total:
        st.caption(
            f"{fmt.written(fits)} of {fmt.written(total)} {_OF[promotion.rule_of].lower()} fit now. It is asked again at each order."
        )


@st.dialog("Who may use it", width="large", icon=":material/groups:", on_dismiss=forget_inline)
def _audience_dialog(actor: Actor, promotion: Promotion) -> None:
    tag = f"{promotion.id}_{promotion.version}"
    segment_id = promotion.segment_id
    if actor.can("segment", Action.READ):
        title = load(lists.titles, "segment", [segment_id]).get(segment_id, "") if segment_id else ""
        segment_id = picker(
            "Only members of the segment", partial(_segments, 0), key=f"audience_segment_{tag}", value=segment_id, title=title,
            placeholder="Any customer",
        )  # fmt: skip
    st.markdown("**And only those with** :gray[· leave it empty for everybody]")
    of = st.segmented_control(
        "Asked of", list(_OF), default=promotion.rule_of, format_func=lambda one: _OF[one], key=f"audience_of_{tag}", required=True,
        help="Contacts: whoever is named on the order. Accounts: their company",
    )  # fmt: skip
    of = of or promotion.rule_of
    rule = inline_filter(of, f"promotion_{tag}_{of}", promotion.rule if of == promotion.rule_of else None)
    question = f"audience_{tag}"
    pressed = st.button("Save", type="primary", key=f"audience_save_{tag}", disabled=clashing(question))
    mine = {"asked": {"of": of, "rule": rule}, "segment_id": segment_id}
    parts = {
        "asked": Part("Only those with", lambda one: load(words_of, one["of"], one["rule"]) if one["rule"] else "Everybody"),
        "segment_id": Part("Only members of the segment", lambda one: named(load(lists.titles, "segment", [one]), "")(one) if one else "Any customer"),
    }  # fmt: skip
    if save_parts(
        question, pressed, seen=promotion, mine=mine, parts=parts, values_of=_held, save=saver(_save, "Saved who may use it.")
    ):
        forget_inline()
        st.rerun()
    show_refusal()


def _held(promotion: Promotion) -> dict[str, Any]:
    return {"asked": {"of": promotion.rule_of, "rule": promotion.rule}, "segment_id": promotion.segment_id}


def _segments(_: int, q: str) -> dict[int, str]:
    return load(_choices, q)


def _choices(session: Any, actor: Actor, q: str) -> dict[int, str]:
    """Segments of leads say nothing about customers."""
    from crm_core.lists import ListQuery

    query = ListQuery(filter={"field": "entity", "cmp": "in", "value": ["contact", "account"]}, q=q, columns=("name",), size=20)
    return {row["id"]: row["name"] for row in lists.find(session, actor, "segment", query, sums=False).rows}


def _save(session: Any, actor: Actor, promotion_id: int, values: Mapping[str, Any], *, base_version: int) -> Any:
    saved = promotions.set_audience(session, actor, promotion_id, **values["asked"], base_version=base_version)
    if values["segment_id"] != saved.segment_id:
        saved = promotions.update(session, actor, promotion_id, {"segment_id": values["segment_id"]}).record
    return saved
