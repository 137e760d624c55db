"""Pairs that may be the same: a card for each, what was decided a moment ago, and the scan that finds them."""

from collections.abc import Mapping
from typing import Any, Literal

import streamlit as st

from crm_core.access import Actor
from crm_core.entities import entity
from crm_core.fields import FieldSpec
from crm_core.jobs import JobRow
from crm_core.kit.text import clip
from crm_core.services.customers import duplicate_review, duplicate_scan
from crm_core.services.customers.duplicate_review import Pair
from crm_core.services.customers.duplicate_rules import SURE
from crm_core.vocabulary import PairState
from ui import format as fmt
from ui.actions import load, perform, show_problems
from ui.components.header import empty_state
from ui.components.merge_records import merge_dialog, plain

_JUST = "_just_decided"
_SAME = (None, "")


def pair_card(actor: Actor, pair: Pair, specs: Mapping[str, FieldSpec], *, first: bool, decided: bool) -> None:
    """Both records beside each other, why they may be the same, and what to do. The first one answers to keys."""
    with st.container(border=True, gap="small", key=f"pair_{pair.id}"):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", gap="small"):
            with st.container(horizontal=True, vertical_alignment="center", width="content", gap="small"):
                colour: Literal["red", "orange"] = "red" if pair.score >= SURE else "orange"
                st.badge(f"{min(99, round(pair.score * 100))}%", color=colour, help="How much is alike: a score, no probability.")
                st.caption(fmt.md(", ".join(pair.reasons)), width="content")
            with st.container(horizontal=True, width="content", gap="small"):
                _buttons(pair, first, decided)
        for column, at in zip(st.columns(2, gap="medium"), (0, 1), strict=True):
            with column:
                _side(actor, pair, specs, at)
        if decided and pair.decided_at is not None:
            st.caption(fmt.md(f"Said to be two by {pair.decided_by or 'somebody'}, {fmt.ago(actor, pair.decided_at)}"))


def _buttons(pair: Pair, first: bool, decided: bool) -> None:
    if decided:
        if st.button("Ask again", icon=":material/undo:", key=f"again_{pair.id}"):
            _decide(pair, PairState.OPEN)
        return
    keys: dict[str, Any] = {"shortcut": "n"} if first else {}
    if st.button("Not the same", icon=":material/call_split:", key=f"different_{pair.id}", **keys):
        _decide(pair, PairState.DIFFERENT)
    keys = {"shortcut": "m"} if first else {}
    if st.button("Merge", icon=":material/merge:", key=f"merge_{pair.id}", type="primary" if first else "secondary", **keys):
        merge_dialog(pair.entity, pair.rows[0]["id"], pair.rows[1]["id"], stay=True)


def _decide(pair: Pair, state: PairState) -> None:
    if perform(duplicate_review.decide, pair.id, state) is not None:
        st.session_state[_JUST] = (pair.id, pair.titles) if state is PairState.DIFFERENT else None
    st.rerun()


def _side(actor: Actor, pair: Pair, specs: Mapping[str, FieldSpec], at: int) -> None:
    """One of the two: its name, the way to it, and what it says; what differs from the other one stands out."""
    row, other = pair.rows[at], pair.rows[1 - at]
    found = entity(pair.entity)
    lines = [f"**[{fmt.md(pair.titles[at][:80])}](/{found.page}?id={row['id']})**"]
    for key, spec in specs.items():
        if row[key] in _SAME:
            continue
        text = plain(clip(fmt.value(actor, spec, row[key], row.get(f"{key}.title")), 80))
        differs = row[key] != other[key] and key != "created_at"
        lines.append(f":gray[{fmt.md(spec.label)}]  {f'**{text}**' if differs else text}")
    worth = pair.worth[at]
    if worth:
        word = "Estimated" if pair.entity == "lead" else "Bought and on offer"
        lines.append(f":gray[{word}]  {fmt.money(actor, worth, compact=True)}")
    st.markdown("  \n".join(lines))


def decided_note() -> None:
    """What was said to be two a moment ago, with the way back."""
    just = st.session_state.get(_JUST)
    if not just:
        return
    pair_id, titles = just
    with st.container(horizontal=True, vertical_alignment="center", gap="small", border=True, key="just_decided"):
        names = " and ".join(f"**{fmt.md(one[:60])}**" for one in titles)
        st.markdown(f":material/call_split: {names} stay two.", width="content")
        if st.button("Undo", icon=":material/undo:", key="decided_undo"):
            perform(duplicate_review.decide, pair_id, PairState.OPEN)
            st.session_state.pop(_JUST, None)
            st.rerun()
        if st.button(icon=":material/close:", key="decided_hide", type="tertiary", **fmt.icon_only("Hide this note")):
            st.session_state.pop(_JUST, None)
            st.rerun()


# --- the scan -------------------------------------------------------------------------------------------------------------------


def scan_bar(actions: Any) -> JobRow | None:
    """The button that looks through everything again, and how far that is; gives the last scan."""
    last = load(duplicate_scan.state)
    active = last is not None and last.active
    words = "Look through everything" if last is None else "Look again"
    kind: Literal["primary", "secondary"] = "primary" if last is None else "secondary"
    if actions.button(words, icon=":material/search:", key="scan", disabled=active, type=kind):
        perform(duplicate_scan.start)
        st.rerun()
    if active:
        _progress()
    elif last is not None and last.state == "failed":
        st.warning(f"The last look did not come to its end: {fmt.md(last.message)}", icon=":material/error:")
    return last


@st.fragment(run_every=2.0)
def _progress() -> None:
    """How far the scan is; when it has ended, the page is drawn anew."""
    row = load(duplicate_scan.state)
    if row is None or not row.active:
        st.rerun()
    else:
        st.progress(row.share or 0.0, text=fmt.md(row.message or "Waiting for its turn"))
    show_problems()


def nothing(kind: str, scanned: JobRow | None, *, decided: bool) -> None:
    """Why the list is empty, and what to do."""
    plural = entity(kind).plural.lower()
    if decided:
        empty_state(
            "Nothing was decided yet",
            f"Pairs of {plural} that are said to be two come here, and are asked no more.",
            icon="call_split",
        )
    elif scanned is None:
        empty_state("Nobody looked yet", f"Look through everything to find {plural} that are here twice.", icon="search")
    elif scanned.active:
        empty_state("Under way", "What is found stands here when it is done.", icon="hourglass_top")
    else:
        empty_state(f"No two {plural} look the same", "Every Sunday night everything is looked through again.", icon="check_circle")
