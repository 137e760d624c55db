"""Dialogs of telephone menus: settings, and the steps as a tree."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import streamlit as st

from crm_core import lists
from crm_core.models import VoiceMenu
from crm_core.services.helpdesk import article_finding, calendars
from crm_core.services.telephony import flow_rules, menus
from crm_core.services.telephony.flow_rules import Place
from crm_core.vocabulary import NodeKind
from ui import format as fmt
from ui.actions import load, perform, show_refusal
from ui.addresses import absolute
from ui.components import parts_clash
from ui.components.parts_clash import Part, clashing, columns_of, forget, save_parts, saver

ICONS = {
    NodeKind.ARTICLE: "menu_book", NodeKind.MENU: "dialpad", NodeKind.HOURS: "schedule", NodeKind.SAY: "campaign", NodeKind.QUEUE: "support_agent", NodeKind.CALLBACK: "phone_callback",
    NodeKind.VOICEMAIL: "voicemail", NodeKind.HANGUP: "call_end",
}  # fmt: skip


@st.dialog("Telephone menu", width="medium", icon=":material/call:")
def settings_dialog(menu: VoiceMenu | None) -> None:
    """Name, number, hours, who gets what, and how the provider reaches it."""
    tag = f"{menu.id}_{menu.version}" if menu else "new"
    given = menu or VoiceMenu(name="", key="", is_active=True)
    name = st.text_input("Name *", value=given.name, max_chars=80, key=f"vm_name_{tag}", placeholder="Main number")
    left, right = st.columns(2)
    number = left.text_input("Number", value=given.number, max_chars=40, key=f"vm_no_{tag}", placeholder="+49 30 123456")
    language = right.text_input("Language of the voice", value=given.language, max_chars=12, key=f"vm_lang_{tag}")
    hours = {one.id: one.name for one in load(calendars.find)}
    teams, people = load(lists.choices, "team", limit=500), load(lists.choices, "user", limit=500)
    calendar_id = _choose("Opening hours", hours, given.calendar_id, f"vm_cal_{tag}", "Always open")
    team_id = _choose("Team that gets the tickets", teams, given.team_id, f"vm_team_{tag}", "None")
    owner_id = _choose("Who calls back people that nobody owns", people, given.owner_id, f"vm_owner_{tag}", "Nobody")
    if menu is not None:
        st.markdown("**At your telephone provider (Twilio)**, as the address for incoming calls, by POST:")
        st.code(absolute(f"/voice/{menu.key}"), language=None, wrap_lines=True)
        st.caption("and as the address for changes of status:")
        st.code(absolute(f"/voice/{menu.key}?e=status"), language=None, wrap_lines=True)
    token = st.text_input(
        "Auth token", type="password", key=f"vm_token_{tag}", placeholder="Kept; type to replace it" if given.token_sealed else "",
        help="Of the telephone account. It is kept encrypted and never shown; calls without its signature are refused.",
    )  # fmt: skip
    active = st.toggle("Takes calls", value=given.is_active, key=f"vm_on_{tag}")
    question = f"menu_{tag}"
    pressed = st.button("Save", type="primary", key=f"vm_save_{tag}", disabled=clashing(question))
    mine = {
        "name": name, "number": number, "language": language, "calendar_id": calendar_id, "team_id": team_id, "owner_id": owner_id, "token": token or "",
        "is_active": active,
    }  # fmt: skip
    parts = {
        "name": Part("Name"), "number": Part("Number"), "language": Part("Language of the voice"), "is_active": Part("Takes calls"),
        "calendar_id": Part("Opening hours", parts_clash.named(hours, "Always open")), "team_id": Part("Team that gets the tickets", parts_clash.named(teams, "None")),
        "owner_id": Part("Who calls back people that nobody owns", parts_clash.named(people, "Nobody")),
    }  # fmt: skip
    save = saver(menus.save, "Menu saved.")
    if save_parts(question, pressed, seen=menu, mine=mine, parts=parts, values_of=columns_of(mine), save=save):
        st.rerun()
    show_refusal()


def _choose(label: str, options: dict[int, str], value: int | None, key: str, nothing: str) -> int | None:
    ids = list(options)
    return st.selectbox(
        label,
        ids,
        index=ids.index(value) if value in ids else None,
        format_func=lambda one: options[one],
        placeholder=nothing,
        key=key,
    )


@st.dialog("Steps", width="large", icon=":material/account_tree:")
def menu_dialog(menu_id: int) -> None:
    """The tree at the left, the chosen step at the right."""
    menu = load(menus.get, menu_id)
    nodes: dict[str, Any] = menu.flow.get("nodes") or {}
    chosen = str(st.session_state.get(f"_node_{menu_id}") or menu.flow.get("start") or "")
    left, right = st.columns([4, 5], gap="medium")
    with left:
        for place in flow_rules.outline(menu.flow):
            _step(menu_id, nodes, place)
        if st.button("New step", icon=":material/add:", key=f"node_add_{menu_id}"):
            fresh = next(f"n{n}" for n in range(1, 1_000) if f"n{n}" not in nodes)
            if perform(menus.set_node, menu_id, fresh, {"kind": "say", "title": "New step", "prompt": ""}) is not None:
                st.session_state[f"_node_{menu_id}"] = fresh
            st.rerun(scope="fragment")
    with right:
        if chosen in nodes:
            _form(menu, nodes, chosen)
        for sentence in load(menus.wrong, menu_id):
            st.warning(fmt.md(sentence), icon=":material/warning:")
        show_refusal()


def _step(menu_id: int, nodes: dict[str, Any], place: Place) -> None:
    """A step below the one that leads to it; one that was drawn already is only named."""
    words, lead = named(nodes, place), "\u2003" * place.depth
    if place.again:
        st.caption("&emsp;" * (place.depth + 2) + fmt.md(f"{words} (see above)"))
        return
    if st.button(
        f"{lead}{fmt.md(words)}",
        icon=f":material/{ICONS[flow_rules.kind_of(nodes[place.node])]}:",
        key=f"node_{menu_id}_{place.node}_{place.way}",
        type="tertiary",
    ):
        st.session_state[f"_node_{menu_id}"] = place.node
        st.rerun(scope="fragment")


def named(nodes: Mapping[str, Any], place: Place) -> str:
    """A step with the way to it."""
    title = str(nodes[place.node].get("title") or place.node)
    return f"{place.way}: {title}" if place.way else title


def _form(menu: VoiceMenu, nodes: dict[str, Any], key: str) -> None:
    """One step: what it says and where it leads. What was typed stays when somebody else saves another step, or this one."""
    seen, begun = st.session_state.get(_place(menu.id, key), (menu, None))
    node, tag = seen.flow["nodes"][key], f"{menu.id}_{key}_{seen.version}"
    kind = (
        st.selectbox(
            "What it does",
            list(NodeKind),
            index=list(NodeKind).index(flow_rules.kind_of(node)),
            format_func=lambda one: one.label,
            key=f"vn_kind_{tag}",
        )
        or NodeKind.SAY
    )
    title = st.text_input("Name", value=str(node.get("title") or ""), max_chars=60, key=f"vn_title_{tag}")
    prompt = st.text_area(
        "What callers hear before it" if kind is NodeKind.ARTICLE else "What callers hear",
        value=str(node.get("prompt") or ""),
        max_chars=flow_rules.MAX_PROMPT,
        height=100,
        key=f"vn_prompt_{tag}",
    )
    made: dict[str, Any] = {"kind": kind.value, "title": title, "prompt": prompt}
    names = {one: str(each.get("title") or one) for one, each in nodes.items() if one != key}
    if kind is NodeKind.MENU:
        st.caption("Where each key leads")
        grid = st.columns(2)
        before = node.get("keys") or {}
        pressed = {
            digit: _target(grid[n % 2], f"Key {digit}", names, before.get(digit), f"vn_k{n}_{tag}")
            for n, digit in enumerate(flow_rules.KEYS)
        }
        made["keys"] = {digit: target for digit, target in pressed.items() if target}
        made["otherwise"] = _target(
            st, f"After {flow_rules.TRIES} wrong keys", names, node.get("otherwise"), f"vn_else_{tag}", "Hang up"
        )
    elif kind is NodeKind.HOURS:
        made["open"] = _target(st, "While open", names, node.get("open"), f"vn_open_{tag}")
        made["closed"] = _target(st, "While closed", names, node.get("closed"), f"vn_closed_{tag}")
    elif kind is NodeKind.ARTICLE:
        made |= _article(menu, node, tag)
        made["next"] = _target(
            st, f"Key {flow_rules.AGENT}: somebody who can help", names, node.get("next"), f"vn_next_{tag}", "Choose a step"
        )
    elif kind is NodeKind.SAY:
        made["next"] = _target(st, "Then", names, node.get("next"), f"vn_next_{tag}", "Hang up")
    elif kind is NodeKind.QUEUE:
        made["phone"] = st.text_input(
            "Number that rings",
            value=str(node.get("phone") or ""),
            max_chars=40,
            key=f"vn_phone_{tag}",
            help="Left empty, callers wait in the provider's queue",
        )
        made["skill"] = st.text_input(
            "Skill or category needed",
            value=str(node.get("skill") or ""),
            max_chars=60,
            key=f"vn_skill_{tag}",
            help="A category of tickets: the ticket of the call is assigned by it",
        )
        made["next"] = _target(st, "When nobody answers", names, node.get("next"), f"vn_next_{tag}", "Hang up")
    if begun is None:
        st.session_state[_place(menu.id, key)] = (menu, made)
    elif made == begun and seen.version != menu.version:  # nothing was typed: follow what is saved
        _drop_step(menu.id, key)
        st.rerun(scope="fragment")
    question = f"step_{menu.id}_{key}"
    with st.container(horizontal=True):
        wanted = st.button("Save the step", type="primary", key=f"vn_save_{tag}", disabled=clashing(question))
        if key != menu.flow.get("start") and st.button("Take it out", type="tertiary", key=f"vn_drop_{tag}"):
            perform(menus.set_node, menu.id, key, None, base_version=menu.version)
            _drop_step(menu.id, key)
            st.session_state.pop(f"_node_{menu.id}", None)
            st.rerun(scope="fragment")

    def save(values: Mapping[str, Any], base: VoiceMenu) -> Any:
        return perform(menus.set_node, menu.id, key, values["step"], base_version=base.version)

    def held(row: VoiceMenu) -> dict[str, Any]:
        return {"step": _told((row.flow.get("nodes") or {}).get(key) or {})}

    parts = {"step": Part("This step", partial(_step_words, names), long=True)}
    if save_parts(question, wanted, seen=seen, mine={"step": _told(made)}, parts=parts, values_of=held, save=save):
        _drop_step(menu.id, key)
        st.rerun(scope="fragment")


def open_steps(menu_id: int) -> None:
    """Open the dialog of the steps with nothing of an earlier one in it."""
    for key in [key for key in st.session_state if str(key).startswith(f"_step_{menu_id}_")]:
        st.session_state.pop(key)
    menu_dialog(menu_id)


def _place(menu_id: int, key: str) -> str:
    return f"_step_{menu_id}_{key}"


def _drop_step(menu_id: int, key: str) -> None:
    """The form of a step begins anew."""
    st.session_state.pop(_place(menu_id, key), None)
    forget(f"step_{menu_id}_{key}")


def _told(node: Mapping[str, Any]) -> dict[str, Any]:
    """A step without what is left empty."""
    return {key: value for key, value in node.items() if value}


def _step_words(names: Mapping[str, str], node: Mapping[str, Any] | None) -> str:
    """One step, a line for each thing that it says or where it leads."""
    if not node:
        return "Taken out"
    lines = [NodeKind(node["kind"]).label, str(node.get("title") or ""), str(node.get("prompt") or "")]
    lines += [f"Key {digit}: {names.get(target, target)}" for digit, target in (node.get("keys") or {}).items()]
    told = ("otherwise", "open", "closed", "next", "phone", "skill", "after")
    lines += [f"{key.title()}: {names.get(str(node[key]), str(node[key]))}" for key in told if node.get(key)]
    return "\n".join(line for line in lines if line)


def _article(menu: VoiceMenu, node: Mapping[str, Any], tag: str) -> dict[str, Any]:
    """Which help article is read aloud, and what callers hear after it."""
    known, before = load(article_finding.published), flow_rules.article_of(node)
    chosen = _choose("Help article", known, before, f"vn_article_{tag}", "Choose a published article")
    if before and before not in known:
        st.caption("The article that stood here is not published any more. Choose another one, or publish it again.")
    elif not known:
        st.caption("No article is published yet. Write one under Help articles.")
    if chosen is not None:
        st.caption(fmt.md(f"They hear: “{load(_words, chosen)}”"))
    usual = flow_rules.after_of(menu.language)
    after = st.text_area(
        "And after it",
        value=str(node.get("after") or usual),
        max_chars=flow_rules.MAX_PROMPT,
        height=80,
        key=f"vn_after_{tag}",
        help=f"Key {flow_rules.AGAIN} reads it again, key {flow_rules.AGENT} leads to somebody, and who hangs up counts as helped",
    )
    return {"article": chosen or before or None, "after": "" if (after or "").strip() in ("", usual) else after}


def _words(session: Any, actor: Any, article_id: int) -> str:
    found = article_finding.spoken(session, [article_id], actor).get(article_id)
    return found.words if found is not None else ""


def _target(place: Any, label: str, names: dict[str, str], value: Any, key: str, nothing: str = "–") -> str | None:
    ids = list(names)
    found: str | None = place.selectbox(
        label,
        ids,
        index=ids.index(value) if value in ids else None,
        format_func=lambda one: names[one],
        placeholder=nothing,
        key=key,
    )
    return found
