"""A telephone in the browser, to walk through a menu as a caller does, at any time of the day; and what callers heard in earlier versions."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import streamlit as st

from crm_core.models import VoiceMenu
from crm_core.services.telephony import flow_rules, menus
from crm_core.services.telephony.flow_rules import Turn
from crm_core.services.telephony.menus import VersionRow
from crm_core.vocabulary import Action, NodeKind
from ui import format as fmt
from ui.actions import load, perform, show_problems
from ui.components.day_input import instant_input
from ui.components.voice_dialogs import ICONS, named
from ui.session import current_actor

NOW, AT, OPEN, CLOSED = "Now", "Another time", "Open", "Closed"


@st.dialog("Try it", width="medium", icon=":material/dialpad:")
def try_dialog(menu: VoiceMenu) -> None:
    """Walk through the draft: read what callers hear, press keys."""
    state, flow = f"_sim_{menu.id}", load(menus.heard, menu.id)
    is_open = _when(menu)
    if st.button("Call", icon=":material/call:", type="primary", key=f"sim_call_{menu.id}"):
        st.session_state[state] = [("Call", flow_rules.begin(flow, is_open=is_open))]
    walked: list[tuple[str, Turn]] = st.session_state.get(state) or []
    for heard, turn in walked:
        with st.chat_message("user", avatar=":material/dialpad:"):
            st.markdown(fmt.md(heard))
        with st.chat_message("assistant", avatar=":material/volume_up:"):
            for words in turn.said:
                st.markdown(fmt.md(words))
            if turn.end is not None:
                st.markdown(f"**{fmt.md(turn.end.label)}**")
    if not walked:
        st.caption("Press Call. Nothing is written down and nobody is called.")
        return
    last = walked[-1][1]
    if last.waits:
        _keys(state, menu, flow, last, is_open)
    elif flow_rules.kind_of(flow_rules.node_of(flow, last.node)) is NodeKind.QUEUE and st.button(
        "Nobody answers", key=f"sim_na_{menu.id}"
    ):
        st.session_state[state].append(("Nobody answers", flow_rules.unanswered(flow, last.node, is_open=is_open)))
        st.rerun(scope="fragment")
    nodes = flow["nodes"]
    path = [str((nodes.get(key) or {}).get("title") or key) for _, turn in walked for key in turn.passed]
    st.caption(fmt.md("Path: " + " → ".join(path)))


def _when(menu: VoiceMenu) -> bool:
    """When the call comes, and whether it is answered then: by the menu's own hours, or as one likes."""
    chosen = st.segmented_control("The call comes", [NOW, AT, OPEN, CLOSED], default=NOW, required=True, key=f"sim_when_{menu.id}")
    if chosen in (OPEN, CLOSED):
        return chosen == OPEN
    actor = current_actor()
    at = fmt.clock.utcnow()
    if chosen == AT:
        given = instant_input("Day and time", value=fmt.local(actor, at).replace(tzinfo=None), key=f"sim_at_{menu.id}")
        at = given.replace(tzinfo=ZoneInfo(actor.timezone)) if isinstance(given, datetime) else at
    is_open, hours = load(menus.opening, menu.id, at)
    if not hours:
        st.caption("This menu has no opening hours of its own: it is always open. Choose some in its settings.")
    else:
        words = "Open" if is_open else "Closed"
        st.caption(fmt.md(f"{words} by “{hours}” at {fmt.instant(actor, at)}."))
    return is_open


def _keys(state: str, menu: VoiceMenu, flow: Mapping[str, Any], last: Turn, is_open: bool) -> None:
    """The keys of a telephone."""
    with st.grid(3, min_column_width=60):
        for digit in "123456789*0#":
            if st.button(f"\\{digit}" if digit in "*#" else digit, key=f"sim_{menu.id}_{digit}", width="stretch"):
                _press(state, menu, flow, last, digit, is_open)
    if st.button("Press nothing", type="tertiary", key=f"sim_none_{menu.id}"):
        _press(state, menu, flow, last, "", is_open)


def _press(state: str, menu: VoiceMenu, flow: Mapping[str, Any], last: Turn, digit: str, is_open: bool) -> None:
    turn = flow_rules.press(flow, last.node, last.tries, digit, is_open=is_open)
    st.session_state[state].append((f"Key {digit}" if digit else "Nothing pressed", turn))
    st.rerun(scope="fragment")


@st.dialog("Versions", width="large", icon=":material/history:")
def versions_dialog(menu: VoiceMenu) -> None:
    """What callers heard and hear; an earlier version can become the draft again."""
    st.caption("Each time a menu is put to use is a version of its own. A call stays on the version on which it began.")
    rows = load(menus.versions, menu.id)
    titles = load(menus.titles, [row.flow for row in rows])
    loses = all(row.flow != menu.flow for row in rows)
    for row in rows:
        _version(menu, row, titles, loses=loses)
    show_problems()


def _version(menu: VoiceMenu, row: VersionRow, titles: Mapping[int, str], *, loses: bool) -> None:
    actor = current_actor()
    said = [f"**Version {row.no}**" + (" :green-badge[In use]" if row.no == menu.published_no else ""), fmt.instant(actor, row.at)]
    said += [part for part in (fmt.md(row.by), fmt.plural(row.calls, "call")) if part]
    with st.expander(" · ".join(said), key=f"vv_{menu.id}_{row.no}"):
        nodes = row.flow.get("nodes") or {}
        for place in flow_rules.outline(row.flow):
            node = nodes[place.node]
            words = f"{named(nodes, place)} (see above)" if place.again else named(nodes, place)
            heard = "" if place.again or not node.get("prompt") else f": “{node['prompt']}”"
            if not place.again and (article := flow_rules.article_of(node)):
                heard += f" Article: {titles.get(article, 'not published any more')}"
            icon = f":material/{ICONS[flow_rules.kind_of(node)]}:"
            st.markdown("&emsp;" * 2 * place.depth + f"{icon} **{fmt.md(words)}**{fmt.md(heard)}")
        if actor.can("telephony", Action.MANAGE) and row.flow != menu.flow:
            _bring_back(menu, row, loses=loses)


def _bring_back(menu: VoiceMenu, row: VersionRow, *, loses: bool) -> None:
    """The button that makes a version the draft. It asks first when the draft is kept in no version."""
    icon, title, key = ":material/restore:", "Bring it back", f"{menu.id}_{row.no}"
    box = st.popover(title, icon=icon, key=f"vv_ask_{key}") if loses else st.container()
    if loses:
        box.markdown("Steps that were not put to use are lost.")
    if box.button(title, icon=icon, key=f"vv_back_{key}", help="As the draft: callers hear it once you put it to use"):
        done = perform(
            menus.bring_back,
            menu.id,
            row.no,
            base_version=menu.version,
            success=f"The steps of version {row.no} are the draft again.",
        )
        if done is not None:
            st.rerun()
