"""Hand-overs on screen: the card of an account, the checklist, what waits for somebody on Today, the dialogs that offer and decide."""

from functools import partial
from typing import Any

import streamlit as st

from crm_core.access import Actor
from crm_core.services.customers import checklists, handover_rules, handovers
from crm_core.services.customers.handover_views import HandoverView, ItemView
from crm_core.vocabulary import Action, HandoverEdge, HandoverState
from ui import format as fmt
from ui import run
from ui.actions import load, perform, renew, show_problems, show_refusal, submit_key
from ui.components.header import Rare
from ui.navigation import go
from ui.session import current_actor
from ui.tones import TONES


def _newest(account_id: int) -> HandoverView | None:
    """The newest hand-over of an account, read once for the button above the page and the card on it."""
    kept, name = run.drawer(), f"handover_{account_id}"
    if name not in kept:
        kept[name] = load(handovers.of_account, account_id)
    return kept[name]


def _may_change_owner(actor: Actor) -> bool:
    """Who gives an account away or takes it over changes its owner."""
    return not actor.locked("account", "owner_id")


def offer_button(actor: Actor, where: Any, account_id: int) -> list[Rare]:
    """The way to hand an account over, where nobody has been asked yet; gives its entry for the menu of phones, too."""
    found = _newest(account_id)
    waits = found is not None and found.state is HandoverState.PENDING
    if not actor.can("account", Action.EDIT) or not _may_change_owner(actor) or waits:
        return []
    if where.button("Hand over", icon=":material/move_down:", key="hand_over"):
        offer_dialog(account_id)
    return [Rare("hand_over", "Hand over", "move_down", partial(offer_dialog, account_id))]


@st.fragment
def handover_card(account_id: int) -> None:
    """The newest hand-over of an account: who to whom, the checklist, and what the reader can do about it. Accepted ones step back."""
    actor = current_actor()
    found = _newest(account_id)
    if found is None or found.state is HandoverState.WITHDRAWN:
        return
    if found.state is HandoverState.ACCEPTED:
        with st.expander(
            f"Handed over by {fmt.md(found.from_name)} · {fmt.md(fmt.ago(actor, found.decided_at))}", icon=":material/move_down:"
        ):
            _body(actor, found, "card")
        return
    with st.container(border=True, gap="small", key="handover"):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            st.markdown(":material/move_down: **Hand-over**", width="content")
            st.badge(found.state.label, color=TONES[found.state])  # type: ignore[arg-type]
        _body(actor, found, "card")
        _actions(actor, found, "card")
        show_problems()


def _body(actor: Actor, found: HandoverView, place: str) -> None:
    words = f"{found.edge.label}: {found.from_name} → {found.to_name} · {fmt.ago(actor, found.offered_at)}"
    st.caption(fmt.md(words))
    if found.note:
        st.text(found.note)
    if found.reason:
        st.markdown(f":red[:material/undo:] {fmt.md(found.reason)}")
    may_tick = found.state is HandoverState.PENDING and (found.mine or found.may_prepare)
    for item in found.items:
        _item(item, may_tick, f"{place}_{found.id}")


def _item(item: ItemView, may_tick: bool, place: str) -> None:
    label = fmt.md(item.label) + ("  :gray[(required)]" if item.required and not item.done else "")
    if may_tick:
        key = f"handover_{place}_{item.id}_{item.done}"
        st.checkbox(
            label, value=item.done, key=key, on_change=_tick, args=(item.id, not item.done, key),
            help=fmt.md(item.missing) if item.missing else None,
        )  # fmt: skip
    else:
        icon, colour = (":material/check_circle:", "green") if item.done else (":material/circle:", "gray")
        st.markdown(f":{colour}[{icon}] {label}")
    if item.done and item.done_by and not may_tick:
        st.caption(fmt.md(item.done_by))


def _tick(item_id: int, done: bool, key: str) -> None:
    if perform(handovers.tick, item_id, done=done) is None:
        st.session_state[key] = not done  # refused: the box must not look as if it had been taken


def _actions(actor: Actor, found: HandoverView, place: str) -> None:
    if found.state is not HandoverState.PENDING:
        if (
            found.may_prepare
            and _may_change_owner(actor)
            and st.button("Offer again", icon=":material/move_down:", key=f"{place}_again")
        ):
            offer_dialog(found.account_id)
        return
    left = found.open_required
    if left and (found.mine or found.may_prepare):
        st.caption(f"{fmt.plural(len(left), 'required item')} left before it can be accepted.")
    _say_if_closed(actor, found)
    with st.container(horizontal=True, gap="small"):
        if found.mine:
            closed = bool(left) or not _may_change_owner(actor)
            if st.button("Accept", type="primary", icon=":material/check:", key=f"{place}_accept_{found.id}", disabled=closed):
                if perform(handovers.accept, found.id, base_version=found.version, success=_taken(found)) is not None:
                    st.rerun()
                st.rerun(scope="fragment") if place == "card" else st.rerun()
            if st.button("Decline", key=f"{place}_decline_{found.id}"):
                decline_dialog(found.id, found.version, found.account)
        if found.may_prepare and st.button("Withdraw", type="tertiary", key=f"{place}_withdraw_{found.id}"):
            perform(handovers.withdraw, found.id, base_version=found.version, success="Hand-over withdrawn.")
            st.rerun()


def _say_if_closed(actor: Actor, found: HandoverView) -> None:
    if found.mine and not _may_change_owner(actor):
        st.caption(":material/lock: Your role does not let you change the owner of accounts, so you can only send it back.")


def _taken(found: HandoverView) -> str:
    return fmt.md(f"{found.account} is yours now.")


@st.dialog("Hand this account over", width="medium", icon=":material/move_down:")
def offer_dialog(account_id: int) -> None:
    """To whom, across which edge, what they have to know; the checklist is shown before it is sent."""
    people, missing = load(handovers.colleagues, account_id)
    left, right = st.columns(2)
    to = left.selectbox(
        "To *", list(people), index=None, format_func=lambda one: people[one], placeholder="Who takes over?", key="handover_to"
    )
    edge = (
        right.selectbox("From where to where", list(HandoverEdge), format_func=lambda one: one.label, key="handover_edge")
        or HandoverEdge.SALES_SERVICE
    )
    if missing:
        named = ", ".join(missing[:3]) + (f" and {len(missing) - 3} more" if len(missing) > 3 else "")
        st.caption(
            f":material/info: Not offered: {fmt.md(named)}. Their roles may see accounts, but not take them over and edit them; an administrator can allow it."
        )
    note = st.text_area(
        "What do they have to know?", key="handover_note", height=90, max_chars=handovers.MAX_NOTE,
        placeholder="What was promised, what is delicate, what comes next",
    )  # fmt: skip
    st.markdown("**Checklist**")
    leave_out = [item.label for item in load(checklists.find)[edge].items if not _wanted(item, edge)]
    more = st.text_area("More items, one per line", key="handover_more", height=68, max_chars=2_000)
    st.caption("The account stays with its owner until the offer is accepted.")
    if st.button("Offer", type="primary", key="handover_yes"):
        made = perform(
            handovers.offer, account_id, to_user_id=to, edge=edge, note=note or "", leave_out=leave_out, more=(more or "").splitlines(),
            submit_key=submit_key(f"handover_{account_id}"), success=fmt.md(f"Offered to {people.get(to or 0, '')}."),
        )  # fmt: skip
        if made is not None:
            renew(f"handover_{account_id}")
            st.rerun()
        show_refusal()


def _wanted(item: handover_rules.Item, edge: HandoverEdge) -> bool:
    if item.required:
        st.markdown(f":gray[:material/lock:] {fmt.md(item.label)}")
        return True
    return st.checkbox(fmt.md(item.label), value=True, key=f"handover_item_{edge}_{item.label}")


@st.dialog("Decline this hand-over", icon=":material/undo:")
def decline_dialog(handover_id: int, version: int, account: str) -> None:
    """The reason is needed: it is what the other side puts right."""
    st.text(account)
    reason = st.text_area("What is missing? *", key="decline_reason", height=90, max_chars=handovers.MAX_REASON)
    if st.button("Decline", type="primary", key="decline_yes"):
        done = perform(
            handovers.decline, handover_id, reason=reason or "", base_version=version, success="Declined; they are told why."
        )
        if done is not None:
            st.rerun()
        show_refusal()


def waiting_handovers(actor: Actor) -> None:
    """On Today: what waits for me, and what I offered that nobody took. Nothing at all is drawn when there is none."""
    if not actor.can("account", Action.READ):
        return
    mine, given = load(handovers.waiting), load(handovers.offered)
    if not mine and not given:
        return
    with st.container(border=True, gap="small", key="today_handovers"):
        st.markdown(f"**Hand-overs**  :gray[{fmt.written(len(mine) + len(given))}]")
        for found in mine:
            _line(actor, found, f"from {found.from_name}")
        for found in given:
            _line(actor, found, f"to {found.to_name}")


def _line(actor: Actor, found: HandoverView, who: str) -> None:
    done = sum(item.done for item in found.items)
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", gap="small"):
        with st.container(gap=None, width="stretch"):
            st.markdown(f"**{fmt.md(found.account)}**")
            state = f"declined: {found.reason}" if found.state is HandoverState.DECLINED else f"{done} of {len(found.items)} ticked"
            st.caption(fmt.md(f"{who} · {fmt.ago(actor, found.offered_at)} · {state}"))
        words = "Decide" if found.mine else "Open"
        if (found.mine or found.may_open) and st.button(
            words, key=f"today_handover_{found.id}", type="primary" if found.mine else "secondary"
        ):
            _decide_dialog(found.id) if found.mine else go("account", id=found.account_id)


@st.dialog("Take this account over?", width="medium", icon=":material/move_down:")
def _decide_dialog(handover_id: int) -> None:
    """The whole hand-over for its receiver, wherever they are."""
    actor, found = current_actor(), load(handovers.get, handover_id)
    st.markdown(f"**{fmt.md(found.account)}**")
    _body(actor, found, "dialog")
    if found.state is not HandoverState.PENDING or not found.mine:
        return
    left = found.open_required
    show_problems()
    if left:
        st.caption(f"{fmt.plural(len(left), 'required item')} left before you can accept. Tick what is done, or send it back.")
    _say_if_closed(actor, found)
    reason = st.text_input("If you send it back: what is missing?", key=f"send_back_{handover_id}", max_chars=handovers.MAX_REASON)
    with st.container(horizontal=True, horizontal_alignment="distribute"):
        with st.container(horizontal=True, gap="small", width="content"):
            closed = bool(left) or not _may_change_owner(actor)
            if st.button("Accept", type="primary", icon=":material/check:", key="decide_yes", disabled=closed) and (
                perform(handovers.accept, found.id, base_version=found.version, success=_taken(found)) is not None
            ):
                st.rerun()
            if st.button("Send back", icon=":material/undo:", key="decide_no") and (
                perform(handovers.decline, found.id, reason=reason or "", base_version=found.version, success="Sent back.")
                is not None
            ):
                st.rerun()
        if found.may_open and st.button("Open the account", type="tertiary", icon=":material/apartment:", key="decide_open"):
            go("account", id=found.account_id)
    show_refusal()
