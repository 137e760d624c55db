"""One segment: for the marketer or manager who puts a group of customers together: by which rule, who is in it, what they are worth."""

from functools import partial
from typing import Any

import streamlit as st

from crm_core.entities import entity
from crm_core.lists import ListQuery
from crm_core.services.marketing import segment_upkeep, segments
from crm_core.vocabulary import Action, DialSource, SegmentKind, SegmentOf, Visibility
from ui import format as fmt
from ui.actions import load, perform
from ui.components import rule_editor, segment_dialogs
from ui.components.dial_dialogs import call_these
from ui.components.export import export_button
from ui.components.header import Rare, empty_state, header, more_menu
from ui.components.list_link import list_link
from ui.components.record_page import id_from_url
from ui.components.segment_drift import drift_note
from ui.components.segment_workbench import begin, json_from_url, workbench
from ui.navigation import page_of
from ui.session import current_actor


def new_segment() -> None:
    if not actor.can("segment", Action.CREATE):
        header("Segment", back=back)
        empty_state("Your role makes no segments", "Open one from the list, or ask a marketer.", icon="lock")
        return
    key = st.query_params.get("entity", "contact")
    key = key if key in SegmentOf.options() else "contact"
    source = json_from_url("source")
    name = st.query_params.get("name") or str((source or {}).get("name") or "")
    actions = header(name or "New segment", "Put the conditions together; the count follows as you go", back=back)
    rule = json_from_url("rule") or json_from_url("f")
    if rule and (problem := load(segments.problem, key, rule)):
        st.warning(fmt.md(f"The rule in the address was left out: {problem}"), icon=":material/filter_alt_off:")
        rule = None
    kinds = [of for of in SegmentOf if actor.can(of.value, Action.READ)]
    chosen = st.segmented_control(
        "Of",
        kinds,
        default=SegmentOf(key),
        format_func=lambda of: of.label,
        required=True,
        key="segment_of",
        label_visibility="collapsed",
    )
    if chosen is not None and chosen.value != key:
        st.query_params["entity"] = chosen.value
        for old in ("rule", "f", "source", "name"):
            st.query_params.pop(old, None)
        rule_editor.forget()
        st.rerun()
    rule_editor.start(f"new {key} {st.query_params.get('source', '')}", key, rule)
    if actions.button("Save segment", type="primary", icon=":material/save:", key="save_new", shortcut="s"):
        segment_dialogs.save_new(key, rule_editor.current()[0], name=name, source=source)
    workbench(key, None, rule=rule, may_edit=True)


def kept_segment() -> None:
    segment = load(segments.get, id_from_url(), with_deleted=True)
    key, plural = segment.entity.value, segment.entity.label.lower()
    may_edit = segment.deleted_at is None and load(segments.reaches, segment.id, Action.EDIT)
    may_delete = load(segments.reaches, segment.id, Action.DELETE)
    badges = [(segment.kind.label, "green" if segment.kind is SegmentKind.LIVE else "gray"), (segment.entity.label, "blue")]
    badges += [("Only me", "orange")] if segment.visibility is Visibility.PRIVATE else []
    actions = header(segment.name, as_of(segment), badges=badges, back=back)
    if segment.deleted_at is not None:
        in_the_bin(segment, may_delete)
        return
    if segment.description:
        st.caption(fmt.md(segment.description))
    trouble(segment)
    drift_note(segment)
    may_address = page_of(actor, "campaign") is not None and actor.can("campaign", Action.CREATE)
    if may_address and actions.button("Start a campaign", type="primary", icon=":material/campaign:", key="campaign"):
        segment_dialogs.campaign(segment)
    more(actions, segment, may_edit, may_delete, call_these(actor, DialSource.SEGMENT, segment.id, where=actions))
    if may_edit and segment.kind is SegmentKind.LIVE:
        begin(segment)
    workbench(key, segment, rule=segment.rule, may_edit=may_edit)
    with st.container(horizontal=True, gap="medium", vertical_alignment="center", key="segment_footer"):
        list_link(actor, key, f"Open these {plural} as a list", {"segment": segment.id, "cmp": "in"}, icon="table_rows")
        if actor.can(key, Action.EXPORT) and actor.can("segment", Action.EXPORT):
            export_button(key, ListQuery(filter={"segment": segment.id, "cmp": "in"}, columns=entity(key).columns))


def as_of(segment: Any) -> str:
    parts = [f"As of {fmt.ago(actor, segment.counted_at)}"] if segment.counted_at else []
    if segment.source and segment.source.get("label"):
        parts.append(f"From an analysis: {segment.source['label']}")
    return " · ".join(parts)


def in_the_bin(segment: Any, may_restore: bool) -> None:
    box = empty_state("This segment is in the bin", "Its members are kept. Restored, a live one is counted anew.", icon="delete")
    if may_restore and box.button("Restore", type="primary", key="restore"):
        perform(segments.restore, segment.id, success="The segment is back.")
        st.rerun()


def trouble(segment: Any) -> None:
    """Why a live segment does not follow its rule, or that it is a little behind."""
    problem = (segment.progress or {}).get("problem")
    if problem:
        st.warning(fmt.md(f"The members are not kept up to date: {problem}"), icon=":material/warning:")
    elif load(is_stale, segment.id):
        with st.container(horizontal=True, vertical_alignment="center", gap="small", key="segment_stale"):
            st.caption(":material/schedule: Something changed since; the members follow within minutes.", width="content")
            if st.button("Count now", key="recount", type="tertiary", icon=":material/refresh:"):
                perform(segments.recount, segment.id, success="Counted.")
                st.rerun()


def is_stale(session: Any, asker: Any, segment_id: int) -> bool:
    return segment_upkeep.stale(session, segments.get(session, asker, segment_id))


def more(actions: Any, segment: Any, may_edit: bool, may_delete: bool, also: list[Rare]) -> None:
    if may_edit and actions.button("Edit", icon=":material/edit:", key="edit", shortcut="e"):
        segment_dialogs.change(segment)
    copy = Rare("copy", "Copy this segment", "content_copy", partial(segment_dialogs.copy, segment))
    delete = Rare("delete", "Delete this segment", "delete", partial(segment_dialogs.delete, segment))
    also += [Rare("edit", "Edit", "edit", partial(segment_dialogs.change, segment))] * may_edit
    more_menu(actions, [copy] * actor.can("segment", Action.CREATE) + [delete] * may_delete, also)


actor = current_actor()
back = ("Segments", page_of(actor, "segments"))
if "id" in st.query_params:
    kept_segment()
else:
    new_segment()
