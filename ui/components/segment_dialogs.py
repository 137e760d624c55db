"""What is done with a segment as a whole: kept under a name, renamed, shared, copied, frozen, thrown away; and records added to it from a list."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import streamlit as st

from crm_core import lists
from crm_core.entities import entity
from crm_core.lists import ListQuery
from crm_core.models import Segment
from crm_core.services.marketing import campaigns, plans, segment_members, segments
from crm_core.vocabulary import Action, SegmentKind, Visibility
from ui import format as fmt
from ui.actions import load, perform, renew, show_problems, submit_key, tell
from ui.components import rule_editor
from ui.components.bin_views import just_deleted
from ui.components.list_tools import counted
from ui.components.parts_clash import Part, clashing, named, save_parts, saver
from ui.navigation import go
from ui.session import current_actor

_SEEN = {Visibility.SHARED.value: "Everyone who may see segments", Visibility.PRIVATE.value: "Only me"}


@st.dialog("Save the segment", icon=":material/groups_3:")
def save_new(entity_key: str, rule: Mapping[str, Any] | None, *, name: str = "", source: Mapping[str, Any] | None = None) -> None:
    """Ask for the name and how it is kept."""
    found = entity(entity_key)
    typed = st.text_input("Name", name[:120], max_chars=120, placeholder="Repeat buyers without an open ticket", key="save_name")
    about = st.text_area("Description", max_chars=2_000, height=68, placeholder="What it is for (optional)")
    kinds = {SegmentKind.LIVE.value: "Live: follows the rule", SegmentKind.STATIC.value: "Static: exactly those who match now"}
    kind = st.radio("Kept as", list(kinds), format_func=lambda key: kinds[key], key="save_kind")
    seen = st.radio("Seen by", list(_SEEN), format_func=lambda key: _SEEN[key], horizontal=True, key="save_seen")
    if not rule:
        st.caption(f":material/info: Without a condition it holds all {found.plural.lower()}.")
    if st.button("Save", type="primary", key="save_new_yes", shortcut="ctrl+enter"):
        with st.spinner("Counting…", show_time=True):
            made = perform(
                segments.create, name=typed, entity=entity_key, rule=rule, kind=kind, description=about, visibility=seen, source=source,
                submit_key=submit_key("segment"), success="The segment is saved.",
            )  # fmt: skip
        if made is not None:
            renew("segment")
            rule_editor.forget()
            go("segment", id=made)
        show_problems()


def change(segment: Segment) -> None:
    """Name, description, who sees it, who owns it."""
    question = f"segment_{segment.id}_{segment.version}"

    @st.dialog("Edit the segment", icon=":material/edit:")
    def show() -> None:
        name = st.text_input("Name", segment.name, max_chars=120)
        about = st.text_area("Description", segment.description or "", max_chars=2_000, height=68)
        keys = list(_SEEN)
        seen = st.radio(
            "Seen by", keys, index=keys.index(segment.visibility.value), format_func=lambda key: _SEEN[key], horizontal=True
        )
        owners = load(lists.choices, "user", limit=500, include=[segment.owner_id])
        ids = list(owners)
        owner = st.selectbox(
            "Owner", ids, index=ids.index(segment.owner_id) if segment.owner_id in owners else None, format_func=lambda key: owners[key],
            help="A live rule finds what its owner may see",
        )  # fmt: skip
        pressed = st.button("Save", type="primary", key="change_yes", disabled=clashing(question), shortcut="ctrl+enter")
        mine = {"name": name, "description": about, "visibility": seen, "owner_id": owner}
        parts = {
            "name": Part("Name"),
            "description": Part("Description", long=True),
            "visibility": Part("Seen by", lambda key: _SEEN[key]),
            "owner_id": Part("Owner", named(owners)),
        }
        if save_parts(question, pressed, seen=segment, mine=mine, parts=parts, values_of=_held, save=_save_changed):
            st.rerun()
        show_problems()

    show()


def _held(segment: Segment) -> dict[str, Any]:
    return {
        "name": segment.name,
        "description": segment.description or "",
        "visibility": segment.visibility.value,
        "owner_id": segment.owner_id,
    }


def _save_changed(values: Mapping[str, Any], base: Segment) -> Any:
    """Save only what is other than in ``base``: not everybody who may rename a segment may share it or hand it over."""
    changed = {key: value for key, value in values.items() if value != _held(base)[key]}
    return saver(segments.update, "Saved.", spread=True)(changed, base)


@st.dialog("Copy the segment", icon=":material/content_copy:")
def copy(segment: Segment) -> None:
    """A live copy by the rule, or a static one of the members of now."""
    forms: dict[str, tuple[str, Callable[..., int]]] = {}
    if segment.kind is SegmentKind.LIVE:
        forms["rule"] = ("The rule, as a live segment of mine", segments.copy)
    forms["members"] = ("The members of now, as a static segment", segments.freeze)
    how = st.radio("What", list(forms), format_func=lambda key: forms[key][0])
    name = st.text_input("Name", f"{segment.name} (copy)"[:120], max_chars=120)
    if st.button("Copy", type="primary", key="copy_yes", shortcut="ctrl+enter"):
        with st.spinner("Counting…", show_time=True):
            made = perform(forms[how][1], segment.id, name=name.strip(), submit_key=submit_key("segment_copy"), success="Copied.")
        if made is not None:
            renew("segment_copy")
            go("segment", id=made)
        show_problems()


@st.dialog("Delete this segment?", width="small")
def delete(segment: Segment) -> None:
    """Ask before it goes to the bin."""
    st.text(segment.name)
    st.caption("It goes to the bin and can be restored from there. Campaigns keep the recipients they have.")
    with st.container(horizontal=True, horizontal_alignment="right"):
        if st.button("Keep it", key="delete_no"):
            st.rerun()
        if st.button("Delete", type="primary", key="delete_yes"):
            if perform(segments.archive, segment.id, base_version=segment.version) is not None:
                just_deleted("segment", segment.id, segment.name)
                go("segments")
            show_problems()


@st.dialog("Start a campaign", icon=":material/campaign:")
def campaign(segment: Segment) -> None:
    """A draft whose audience is this segment; everything else is decided on the campaign's page."""
    name = st.text_input("Name of the campaign", segment.name, max_chars=300, key="campaign_name")
    st.caption("It begins as a draft: nothing is sent before you start it there.")
    if st.button("Make the draft", type="primary", key="campaign_yes", shortcut="ctrl+enter"):
        made = perform(_campaign, segment.id, name, submit_key("segment_campaign"))
        if made is not None:
            renew("segment_campaign")
            go("campaign", id=made)
        show_problems()


def _campaign(session: Any, actor: Any, segment_id: int, name: str, key: str) -> int:
    made = campaigns.create(session, actor, {"name": name}, submit_key=key)
    plans.save(session, actor, made.id, {"segment_ids": [segment_id]})
    return made.id


def add_dialog(entity_key: str, ids: Sequence[int], query: ListQuery | None) -> None:
    """From a list: add the selected records (or, with ``query``, all that match) to a static segment, or make a new one of them."""
    found, actor = entity(entity_key), current_actor()

    @st.dialog("Add to a segment", icon=":material/group_add:")
    def show() -> None:
        static = [
            row
            for row in load(segments.find, entity_key=entity_key)
            if row.kind is SegmentKind.STATIC and load(segments.reaches, row.id, Action.EDIT)
        ]
        names = {row.id: row.name for row in static}
        new = {0: "A new static segment"} if actor.can("segment", Action.CREATE) else {}
        options = {**new, **names}
        if not options:
            st.caption("There is no static segment that you may change.")
            return
        chosen = st.selectbox("Segment", list(options), format_func=lambda key: options[key], key="add_to_which")
        name = st.text_input("Name of the new segment", max_chars=120, key="add_to_name") if chosen == 0 else ""
        if query is None:
            st.caption(counted(entity_key, len(ids)))
        else:
            st.caption(f"All {found.plural.lower()} that the list shows.")
        if st.button("Add", type="primary", key="add_to_yes", shortcut="ctrl+enter"):
            done = perform(_add, entity_key, chosen, name, tuple(ids), query, submit_key("add_to"))
            if done is not None:
                renew("add_to")
                tell(f"{fmt.written(done[0])} added, {fmt.written(done[1])} were in already.", "ok")
                st.rerun()
            show_problems()

    show()


def _add(
    session: Any, actor: Any, entity_key: str, chosen: int, name: str, ids: Sequence[int], query: ListQuery | None, key: str
) -> tuple[int, int]:
    into = chosen or segments.create(session, actor, name=name, entity=entity_key, kind="static", record_ids=[], submit_key=key)
    if query is not None:
        return segment_members.add_matching(session, actor, into, query)
    return segment_members.add(session, actor, into, ids)
