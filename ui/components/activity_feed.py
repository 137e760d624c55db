"""What happened on a record, and the box that logs the next thing."""

from contextlib import nullcontext
from typing import Any

import streamlit as st

from crm_core import lists
from crm_core.access import Actor
from crm_core.kit.text import clip
from crm_core.services.collaboration import activities, following, pins, timeline, timeline_rules
from crm_core.services.collaboration.timeline import Item
from crm_core.services.customers import merging
from crm_core.services.helpdesk import calendars
from crm_core.vocabulary import Action, ActivityKind, CallOutcome, Via, Way
from ui import format as fmt
from ui.actions import load, perform, renew, show_refusal, submit_key
from ui.components.day_input import day_input
from ui.components.earlier_values import earlier_dialog
from ui.components.entry_tools import entry_tools
from ui.components.followed import follow_button
from ui.components.merge_records import apart_button
from ui.components.waiting_answers import waiting_answers
from ui.components.whole_input import whole_input
from ui.components.wishes import reach_note
from ui.components.write_dialog import second_thought
from ui.session import current_actor

ICONS = {
    "call": ("call", "green"),
    "email": ("mail", "blue"),
    "meeting": ("groups", "violet"),
    "note": ("sticky_note_2", "gray"),
    "task": ("task_alt", "green"),
    "event": ("edit", "gray"),
    "letter": ("outgoing_mail", "blue"),
    "touch": ("ads_click", "gray"),
}
_CAME_IN = {
    "E-mail": ("mark_email_unread", "orange"),
    "Chat": ("chat", "green"),
    "Social media": ("forum", "green"),
    "Web form": ("dynamic_form", "green"),
}
_WAYS = {ActivityKind.CALL: Way.CALL, ActivityKind.EMAIL: Way.EMAIL}
_EVENT_ICONS = {
    "won": ("trophy", "green"),
    "lost": ("cancel", "red"),
    "stage_moved": ("swap_horiz", "violet"),
    "created": ("add_circle", "gray"),
}
_LONGEST = 120
"""So many characters of a value that changed."""


@st.fragment
def log_box(entity_key: str, record_id: int, contact_id: int | None = None) -> None:
    """Log a call, e-mail, meeting or note, with a follow-up task in the same step. ``contact_id``: whose wishes are shown beside it."""
    actor = current_actor()
    if not actor.can("activity", Action.CREATE):
        return
    name = f"log_{entity_key}_{record_id}"
    turn = st.session_state.get(f"_turn_{name}", 0)
    with st.container(border=True, key=f"logbox_{entity_key}"):
        text = st.text_area(
            "What happened?",
            key=f"{name}_text_{turn}",
            placeholder="What happened?",
            label_visibility="collapsed",
            height=84,
            max_chars=20_000,
        )
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            kind = st.segmented_control(
                "Kind",
                list(ActivityKind),
                default=ActivityKind.NOTE,
                format_func=lambda k: k.label,
                required=True,
                key=f"{name}_kind",
                label_visibility="collapsed",
            )
            # Another button for each filling: a second click on the one before is no empty entry.
            pressed = st.button("Save", type="primary", key=f"{name}_save" + (f"_{turn}" if turn else ""), shortcut="ctrl+enter")
        if kind in _WAYS:
            reach_note(contact_id, _WAYS[kind])
        outcome: CallOutcome | None = None
        if kind is ActivityKind.CALL:
            outcome = st.pills(
                "Outcome", list(CallOutcome), format_func=lambda o: o.label, key=f"{name}_came_{turn}", label_visibility="collapsed"
            )
        with st.expander("Follow-up and details"):
            left, right = st.columns(2)
            follow_up = left.text_input("Follow-up task", key=f"{name}_follow_{turn}", placeholder="Send the offer")
            due = day_input("Due", value=load(calendars.proposed_day, 1), key=f"{name}_due_{turn}", place=right)
            minutes = whole_input("Minutes", low=0, high=1440, step=5, place=left, key=f"{name}_min_{turn}")
            if kind is not ActivityKind.CALL and right.toggle("They asked for a price", key=f"{name}_price_{turn}"):
                outcome = CallOutcome.PRICE
        if pressed:
            _log(entity_key, record_id, name, turn, kind, text, follow_up, due, minutes, outcome)
        show_refusal()


def _log(
    entity_key: str,
    record_id: int,
    name: str,
    turn: int,
    kind: Any,
    text: str,
    follow_up: str,
    due: Any,
    minutes: Any,
    outcome: Any,
) -> None:
    saved = perform(
        activities.log,
        entity_key,
        record_id,
        kind=kind,
        text=text or "",
        subject=outcome.label if outcome is not None and kind is ActivityKind.CALL and not (text or "").strip() else "",
        minutes=minutes,
        outcome=outcome.value if outcome is not None and (kind is ActivityKind.CALL or outcome is CallOutcome.PRICE) else None,
        follow_up=follow_up or "",
        follow_up_on=due if follow_up else None,
        submit_key=submit_key(name),
        success=fmt.md(f"{kind.label} logged" + (", follow-up set." if follow_up else ".")),
    )
    if saved is not None:
        renew(name)
        st.session_state[f"_turn_{name}"] = turn + 1
        st.rerun()


@st.fragment
def feed(entity_key: str, record_id: int) -> None:
    """The timeline of a record, newest first, with a filter and "show more"."""
    actor = current_actor()
    second_thought(entity_key, record_id)
    waiting_answers(entity_key, record_id)
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        kinds, team_id = _narrow(actor, entity_key)
        sorting = _feed_tools(actor, entity_key, record_id)
    limit = st.session_state.setdefault(f"_feed_{entity_key}_{record_id}", 20)
    items, more = load(timeline.find, entity_key, record_id, kinds=kinds or "all", team_id=team_id, limit=limit)
    on_top = load(pins.find, entity_key, record_id) if not kinds and team_id is None else []
    pinned = {item.record_id for item in on_top}
    tools = entry_tools(entity_key, record_id, [*on_top, *items], pinned) if sorting else None
    for item in on_top:
        entry(actor, item, pinned=True)
        if tools:
            tools(item)
    items = [item for item in items if item.entity != "activity" or item.record_id not in pinned]
    if not items and not on_top and (kinds or team_id is not None):
        st.caption("Nothing of that kind here. Take the filter away to see everything.")
    elif not items and not on_top:
        logged = "What you log above, and every change," if entity_key in timeline.LINKS else "Every change"
        st.caption(f"Nothing here yet. {logged} will stand here.")
    merged = merging.may_merge(actor, entity_key) and any(item.kind == "event" and "merge" in item.data for item in items)
    apart = load(merging.of, entity_key, record_id) if merged else []
    for item in items:
        entry(actor, item)
        if item.kind == "event" and item.data.get("merge") in apart:
            apart_button(entity_key, item.data["merge"])
        if tools:
            tools(item)
    if sorting:
        show_refusal()
    if more and st.button("Show more", key=f"feed_more_{entity_key}", type="tertiary"):
        st.session_state[f"_feed_{entity_key}_{record_id}"] = limit + 40
        st.rerun(scope="fragment")


def _narrow(actor: Actor, entity_key: str) -> tuple[list[str], int | None]:
    """What is shown: kinds of entries, and whose; in the address, so that a reload and a link keep it."""
    offered = timeline_rules.offered(entity_key)
    if not offered:
        return [], None
    with st.container(horizontal=True, width="content", gap="small"):
        kinds = st.multiselect(
            "Kinds of entries", list(offered), format_func=lambda one: timeline_rules.NAMES[one], placeholder="Everything", key=f"feed_{entity_key}",
            label_visibility="collapsed", width=180, bind="query-params",
        )  # fmt: skip
        teams = load(lists.choices, "team", limit=100)
        team_id = None
        if len(teams) > 1:
            team_id = st.selectbox(
                "Team", list(teams), index=None, format_func=lambda one: teams[one], placeholder="All teams", key=f"feed_team_{entity_key}",
                label_visibility="collapsed", width=130,
            )  # fmt: skip
    return list(kinds), team_id


def _feed_tools(actor: Actor, entity_key: str, record_id: int) -> bool:
    """The buttons above a timeline; True while its entries are being sorted and put right."""
    with st.container(horizontal=True, width="content", gap="small"):
        if entity_key in following.FOLLOWED:
            follow_button(entity_key, record_id)
        if actor.can(entity_key, Action.EDIT) and st.button(
            "Earlier values",
            icon=":material/history:",
            type="tertiary",
            key="earlier_values",
            help="Set a field back to what it was",
        ):
            earlier_dialog(entity_key, record_id)
        if entity_key not in timeline.LINKS or not (actor.can("activity", Action.EDIT) or actor.can(entity_key, Action.EDIT)):
            return False
        name = f"_sorting_{entity_key}_{record_id}"
        sorting = bool(st.session_state.get(name))
        label, icon = ("Done", ":material/check:") if sorting else ("Edit entries", ":material/edit_note:")
        if st.button(label, icon=icon, type="tertiary", key="edit_entries", help="Pin, correct or delete what was logged"):
            st.session_state[name] = not sorting
            st.rerun(scope="fragment")
    return sorting


def entry(actor: Actor, item: Item, *, pinned: bool = False) -> None:
    """One entry of a timeline: icon, sentence, when and how, the user's own words, changed fields."""
    icon, colour = _look(item)
    talk = item.data.get("talk")
    via = f" · through {item.via.label}" if item.via is not Via.SCREEN else ""
    parts = (
        f"{item.data.get('minutes')} min" if item.data.get("minutes") else "",
        item.data.get("outcome") or "",
        talk.state if talk else item.data.get("state"),
    )
    details = "".join(f" · {part}" for part in parts if part and item.kind != "event")
    wrong = talk.wrong if talk else item.kind == "letter" and item.data["wrong"]
    small = [fmt.md(f"{item.who + ' · ' if item.who and item.kind != 'event' else ''}{fmt.ago(actor, item.at)}{details}{via}")]
    for change in item.changes:
        old, new = (fmt.value(actor, change.spec, raw, raw if change.spec.to else None) for raw in (change.old, change.new))
        small.append(f"{fmt.md(change.spec.label)}: {fmt.md(clip(old, _LONGEST))} → **{fmt.md(clip(new, _LONGEST))}**")
    if wrong:
        small[0] = f":red[{small[0]}]"
    # One element for all of it: a page has dozens of entries, and each element costs the server and the browser alike.
    mark = ":orange[:material/keep:] " if pinned else ""
    lines = [f"{mark}:{colour}[:material/{icon}:]  {_headline(item)}", *(f":gray[:small[{line}]]" for line in small)]
    own_words = item.text if item.text and item.text.strip() != item.title.strip() else ""
    with st.container(gap=None) if own_words else nullcontext():
        st.markdown("  \n".join(lines))
        if own_words:
            st.text(own_words)


def _look(item: Item) -> tuple[str, str]:
    """Icon and colour of an entry."""
    talk = item.data.get("talk")
    if talk is not None and talk.inbound:
        return _CAME_IN.get(talk.channel, ICONS.get(item.kind, ICONS["note"]))
    if item.kind != "event":
        return ICONS[item.kind]
    return next((look for word, look in _EVENT_ICONS.items() if item.sentence and _is(item, word)), ICONS["event"])


def _is(item: Item, word: str) -> bool:
    return {"won": "won the deal", "lost": "lost the deal", "stage_moved": "moved the deal", "created": "created"}[
        word
    ] in item.sentence


def _headline(item: Item) -> str:
    if item.kind in ("letter", "touch"):
        return _headline_of_channel(item)
    if item.kind != "event":
        talk = item.data.get("talk")
        word = talk.channel if talk is not None else "Task done" if item.kind == "task" else ActivityKind(item.kind).label
        return f"**{fmt.md(word)}: {fmt.md(item.title)}**"
    safe = {key: fmt.md(value) if value not in (None, "") else "–" for key, value in item.data.items()}
    sentence = item.sentence
    for key, value in safe.items():
        sentence = sentence.replace("{" + key + "}", value)
    about = f" · {fmt.md(item.title)}" if item.title else ""
    return f"**{fmt.md(item.who)}** {sentence.removesuffix(' –').removesuffix(':')}{about}"


def _headline_of_channel(item: Item) -> str:
    label = str(item.data["label"])
    if item.kind == "letter":
        return f"**{fmt.md(label)}: {fmt.md(item.title)}**"
    url = str(item.data.get("url") or "")
    where = f" · {fmt.md(clip(url, _LONGEST))}" if url else ""
    campaign = f" · {fmt.md(str(item.data['campaign']))}" if item.data.get("campaign") else ""
    return f"**{fmt.md(label[:1].upper() + label[1:])}** · {fmt.md(str(item.data['channel']))}{campaign}{where}"
