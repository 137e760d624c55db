"""Changing many records of a list at once: a bar over the table, a look at what would happen, and the way back."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import streamlit as st
from sqlmodel import Session

from crm_core.access import Actor
from crm_core.fields import FieldSpec, registry
from crm_core.lists import ListQuery
from crm_core.services import bulk
from crm_core.services.bulk import Change, Clashed, Outcome, Preview
from crm_core.services.customers import unsubscribing
from crm_core.vocabulary import Action, FieldKind, SegmentOf
from ui import format as fmt
from ui.actions import load, perform, show_problems
from ui.components.entity_form import field_input, tell_changes, who_did
from ui.components.list_tools import counted
from ui.components.macro_dialogs import macro_done, use_dialog
from ui.components.segment_dialogs import add_dialog
from ui.components.stage_choice import stage_choice
from ui.session import current_actor

Again = Callable[[Mapping[int, int]], bool]
"""Does a bulk change with records, given their versions; True once it is done."""


def may_bulk(actor: Actor, entity_key: str) -> bool:
    """Whether rows of the list can be selected at all."""
    return actor.can(entity_key, Action.EDIT) or actor.can(entity_key, Action.DELETE) or may_segment(actor, entity_key)


def may_segment(actor: Actor, entity_key: str) -> bool:
    """Whether records of this kind can be put into segments by the person."""
    return entity_key in SegmentOf.options() and (actor.can("segment", Action.CREATE) or actor.can("segment", Action.EDIT))


def bulk_bar(entity_key: str, selected: Sequence[int], query: ListQuery, total: int) -> None:
    """What can be done with the selected records, and with all that match. Nothing while nothing is selected."""
    if not selected:
        st.session_state.pop("_bulk_all", None)
        _last(entity_key)
        if entity_key == "ticket":
            macro_done()
        return
    actor = current_actor()
    whole = st.session_state.get("_bulk_all") == _mark(entity_key, query, selected)
    number = total if whole else len(selected)
    with st.container(horizontal=True, vertical_alignment="center", gap="small", border=True, key="bulk_bar"):
        st.markdown(f"**{counted(entity_key, number)} selected**", width="content")
        more = not whole and total > len(selected)
        if more and st.button(f"Select all {fmt.written(total)} that match", type="tertiary", key="bulk_all"):
            st.session_state["_bulk_all"] = _mark(entity_key, query, selected)
            st.rerun()
        ids = (lambda: load(bulk.matching, entity_key, query)) if whole else (lambda: list(selected))
        if actor.can(entity_key, Action.EDIT):
            if "owner_id" in load(_usable, entity_key) and st.button("Assign", icon=":material/person_add:", key="bulk_assign"):
                _change_dialog(entity_key, ids(), "owner_id")
            if st.button("Change a field", icon=":material/edit:", key="bulk_edit"):
                _change_dialog(entity_key, ids(), None)
        if (
            entity_key == "ticket"
            and actor.can("ticket", Action.EDIT)
            and st.button("Macro", icon=":material/bolt:", key="bulk_macro")
        ):
            use_dialog(load(_versions, entity_key, ids()))
        if may_segment(actor, entity_key) and st.button("Add to segment", icon=":material/group_add:", key="bulk_segment"):
            add_dialog(entity_key, list(selected), query if whole else None)
        if actor.can(entity_key, Action.DELETE) and st.button("Delete", icon=":material/delete:", key="bulk_delete"):
            _delete_dialog(entity_key, ids())


def _versions(session: Session, actor: Actor, entity_key: str, ids: Sequence[int]) -> dict[int, int]:
    return dict(bulk.versions(session, actor, entity_key, ids))


def _mark(entity_key: str, query: ListQuery, selected: Sequence[int]) -> str:
    """Key of "all that match": it ends when the filter or the selection changes."""
    return f"{entity_key}|{query.filter}|{query.q}|{sorted(selected)}"


def _usable(session: Session, actor: Actor, entity_key: str) -> dict[str, FieldSpec]:
    specs = registry(session, entity_key)
    return {key: spec for key, spec in specs.items() if spec.editable and not actor.locked(entity_key, key)}


def _last(entity_key: str) -> None:
    """The newest bulk change of this list, with the way back."""
    done = st.session_state.get("_bulk_done")
    if done is None or done[0] != entity_key:
        return
    _, outcome, words, again = done
    with st.container(horizontal=True, vertical_alignment="center", gap="small", border=True, key="bulk_done"):
        sign = ":green[:material/check_circle:]" if outcome.done else ":gray[:material/block:]"
        st.markdown(f"{sign} {fmt.md(words)}", width="content")
        if outcome.refused:
            with st.popover(f"{fmt.written(len(outcome.refused))} stayed as they were", type="tertiary", icon=":material/warning:"):
                for title, sentence in outcome.refused[:50]:
                    st.markdown(f"**{fmt.md(title[:80])}**  \n{fmt.md(sentence)}")
        if outcome.clashed and again is not None and st.button("Decide", icon=":material/call_split:", key="bulk_decide"):
            _decide_dialog(entity_key, outcome.clashed, *again)
        if outcome.operation_id is not None and st.button("Undo", icon=":material/undo:", key="bulk_undo"):
            back = perform(bulk.undo, outcome.operation_id)
            if back is not None:
                _remember(
                    entity_key,
                    Outcome(None, back.done, back.refused),
                    f"{counted(entity_key, back.done)} put back as before. {back.note}".strip(),
                )
            st.rerun()
        if st.button(icon=":material/close:", key="bulk_hide", type="tertiary", **fmt.icon_only("Hide this note")):
            st.session_state.pop("_bulk_done", None)
            st.rerun()


def _remember(entity_key: str, outcome: Outcome, words: str, again: tuple[str, Again] | None = None) -> None:
    """``again``: what was to be done, as Markdown, and what does it with records that somebody changed meanwhile."""
    st.session_state["_bulk_done"] = (entity_key, outcome, words, again)
    st.session_state.pop("_bulk_all", None)
    st.session_state["_bulk_turn"] = st.session_state.get("_bulk_turn", 0) + 1  # a new table: nothing is selected any more


def undo_menu(entity_key: str) -> None:
    """One's own bulk changes of the last day, each with its way back."""
    for operation_id, title in load(bulk.recent, entity_key):
        if st.button(fmt.md(f"Undo: {title}"), icon=":material/undo:", type="tertiary", key=f"bulk_undo_{operation_id}"):
            back = perform(bulk.undo, operation_id)
            if back is not None:
                _remember(
                    entity_key,
                    Outcome(None, back.done, back.refused),
                    f"{counted(entity_key, back.done)} put back as before. {back.note}".strip(),
                )
            st.rerun()


def _looked_at(what: Any, look: Callable[[], Preview]) -> Preview:
    """The preview as the person saw it: looking again at the click would accept what others changed in between."""
    kept = st.session_state.get("_bulk_seen")
    if kept is None or kept[0] != what:
        kept = st.session_state["_bulk_seen"] = (what, look())
    return kept[1]


def _change_dialog(entity_key: str, ids: list[int], field: str | None) -> None:
    st.session_state.pop("_bulk_seen", None)

    @st.dialog(f"Change {counted(entity_key, len(ids))}", width="medium", icon=":material/edit:")
    def show() -> None:
        actor = current_actor()
        specs = load(_usable, entity_key)
        chosen = field or st.selectbox(
            "Field", list(specs), index=None, format_func=lambda key: specs[key].label, placeholder="Which field?", key="bulk_field"
        )
        if chosen is None:
            return
        if entity_key == "deal" and chosen in ("pipeline_id", "stage_id") and "stage_id" in specs:
            value = _stage(actor, specs, chosen)
            chosen = "stage_id"  # whoever goes to another pipeline goes into one of its stages
        else:
            value = field_input(actor, specs[chosen], None, key=f"bulk_value_{chosen}")
        value = None if value == "" else value
        if value is None and (specs[chosen].required or not st.toggle("Empty this field", key=f"bulk_empty_{chosen}")):
            st.caption("Choose the new value.")
            return
        seen = _looked_at((entity_key, tuple(ids), chosen, value), lambda: load(bulk.preview, entity_key, ids, chosen, value))
        _say(actor, specs[chosen], seen, len(ids))
        if entity_key == "contact" and unsubscribing.objects({chosen: value}):
            st.caption("Their consent by e-mail ends with it, on every record with their address, and no undo brings it back.")
        if st.button(f"Change {fmt.written(len(seen.versions))}", type="primary", key="bulk_yes", disabled=not seen.versions):
            mine = (
                f"{fmt.md(specs[chosen].label)} → **{_word(actor, specs[chosen], seen.sample[0], old=False)}**"
                if seen.sample
                else ""
            )

            def again(versions: Mapping[int, int]) -> bool:
                outcome = perform(bulk.change, entity_key, versions, chosen, value, asked=seen.asked)
                if outcome is not None:
                    done = f"{specs[chosen].label} of {counted(entity_key, outcome.done)} changed."
                    _remember(entity_key, outcome, done if outcome.done else "Nothing was changed.", (mine, again))
                return outcome is not None

            if again(seen.versions):
                st.rerun()
            show_problems()

    show()


DECIDED = 20
"""So many records that somebody changed meanwhile are shown at once; the others stay as they are."""


def _decide_dialog(entity_key: str, clashed: Sequence[Clashed], mine: str, again: Again) -> None:
    """What others changed in records that were to be changed: as they left it, unless one says otherwise."""

    @st.dialog("Changed meanwhile", width="medium", icon=":material/call_split:")
    def show() -> None:
        actor = current_actor()
        st.markdown(f"They stay as others left them. Tick those where this is to be done all the same: {mine}.")
        chosen: dict[int, int] = {}
        for one in clashed[:DECIDED]:
            with st.container(border=True, gap="small"):
                if st.checkbox(fmt.md(one.title[:120]), key=f"bulk_decide_{one.id}_{one.version}"):
                    chosen[one.id] = one.version
                st.caption(fmt.md(who_did(actor, one.by, "changed it", "meanwhile")))
                tell_changes(entity_key, one.changed)
        if len(clashed) > DECIDED:
            st.caption(f"and {fmt.written(len(clashed) - DECIDED)} more, which stay")
        if st.button(f"Go on with {fmt.written(len(chosen))}", type="primary", key="bulk_decide_yes", disabled=not chosen):
            if again(chosen):
                st.rerun()
            show_problems()

    show()


def _stage(actor: Actor, specs: Mapping[str, FieldSpec], chosen: str) -> int | None:
    """The stage that deals are to go into: of the pipeline that is chosen first, or of any."""
    pipeline = field_input(actor, specs["pipeline_id"], None, key="bulk_value_pipeline_id") if chosen == "pipeline_id" else None
    if chosen == "pipeline_id" and pipeline is None:
        return None
    label = "In which stage do they go on? *" if chosen == "pipeline_id" else specs["stage_id"].label
    return stage_choice(label, pipeline, None, "bulk_value_stage_id")


def _say(actor: Actor, spec: FieldSpec, seen: Preview, number: int) -> None:
    parts = [f"{fmt.written(len(seen.versions))} will change"]
    parts += [f"{fmt.written(seen.same)} have this value already"] if seen.same else []
    parts += [f"{fmt.written(seen.blocked)} you may see but not change"] if seen.blocked else []
    parts += [f"{fmt.written(len(seen.gated))} stay where they are"] if seen.gated else []
    gone = number - len(seen.versions) - seen.same - seen.blocked - len(seen.gated)
    parts += [f"{fmt.written(gone)} no longer there"] if gone > 0 else []
    st.markdown(f"**{fmt.md(' · '.join(parts))}**")
    for row in seen.sample:
        st.caption(f"{fmt.md(row.title[:60])}: {_word(actor, spec, row, old=True)} → **{_word(actor, spec, row, old=False)}**")
    if len(seen.versions) > len(seen.sample):
        st.caption(f"and {fmt.written(len(seen.versions) - len(seen.sample))} more")
    _say_gate(seen)


def _say_gate(seen: Preview) -> None:
    """Which deals the new stage keeps outside and why; and how many it only warns of."""
    if seen.gated:
        first = ", ".join(title[:60] for title in seen.gated[: bulk.SAMPLE])
        more = f" and {fmt.written(len(seen.gated) - bulk.SAMPLE)} more" if len(seen.gated) > bulk.SAMPLE else ""
        st.error(f"{fmt.md(seen.asked)}  \n**Not moved:** {fmt.md(first + more)}", icon=":material/block:")
    if seen.warned:
        note = (
            f"{fmt.plural(seen.warned, 'of them lacks', 'of them lack')} this. They move all the same, and their timeline says so."
        )
        st.warning(f"{fmt.md(seen.asked)}  \n{fmt.md(note)}", icon=":material/warning:")


def _word(actor: Actor, spec: FieldSpec, row: Change, *, old: bool) -> str:
    raw: Any = row.old if old else row.new
    title = row.old_title if old else row.new_title
    if spec.kind is FieldKind.REFERENCE and raw is None:
        return fmt.NOTHING
    return fmt.md(fmt.value(actor, spec, raw, title)[:60])


def _delete_dialog(entity_key: str, ids: list[int]) -> None:
    st.session_state.pop("_bulk_seen", None)

    @st.dialog(f"Delete {counted(entity_key, len(ids))}?", icon=":material/delete:")
    def show() -> None:
        seen = _looked_at((entity_key, tuple(ids)), lambda: load(bulk.preview_delete, entity_key, ids))
        if seen.blocked:
            st.markdown(f"**{fmt.md(f'{fmt.written(seen.blocked)} of them you may see but not delete; they stay.')}**")
        for row in seen.sample:
            st.caption(fmt.md(row.title[:80]))
        if len(seen.versions) > len(seen.sample):
            st.caption(f"and {fmt.written(len(seen.versions) - len(seen.sample))} more")
        st.caption(
            f"They go to the bin and can be restored from there. All at once you can take it back for {bulk.UNDO_HOURS} hours."
        )
        if st.button(
            f"Delete {fmt.written(len(seen.versions))}", type="primary", key="bulk_delete_yes", disabled=not seen.versions
        ):

            def again(versions: Mapping[int, int]) -> bool:
                outcome = perform(bulk.archive, entity_key, versions)
                if outcome is not None:
                    done = f"{counted(entity_key, outcome.done)} moved to the bin."
                    _remember(entity_key, outcome, done if outcome.done else "Nothing was deleted.", ("**delete it**", again))
                return outcome is not None

            if again(seen.versions):
                st.rerun()
            show_problems()

    show()
