"""A kept letter while somebody writes it: what was typed outlives a look elsewhere and somebody else's saving."""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from crm_core import lists
from crm_core.models import LetterTemplate
from crm_core.services.marketing import templates
from crm_core.vocabulary import Action, LetterUse, Visibility
from ui import format as fmt
from ui.actions import load, show_refusal
from ui.components.letter_parts import body_input, body_typed
from ui.components.letter_preview import fields_help, flaw_list, shown_for
from ui.components.parts_clash import SAVED_ELSEWHERE, Part, clashing, forget, save_parts, saver
from ui.components.picker import picker
from ui.session import current_actor

Draft = dict[str, Any]
_PLAIN = ("name", "about", "use", "subject", "shared")


def desk(row: LetterTemplate, *, disabled: bool) -> None:
    """Write on the left, see what arrives on the right."""
    draft = _draft(row, disabled)
    left, right = st.columns([6, 5], gap="large")
    with left:
        _editor(row, draft, disabled)
    with right:
        _previews(row.id, draft["typed"])


def _place(template_id: int) -> str:
    return f"template_draft_{template_id}"


def _saved(row: LetterTemplate) -> Draft:
    shared = row.visibility is Visibility.SHARED
    return {"name": row.name, "about": row.about, "use": row.use, "subject": row.subject, "body": row.body, "shared": shared}


def _draft(row: LetterTemplate, disabled: bool) -> Draft:
    """What this person has in hand, with what was typed since the last drawing."""
    fresh = {"version": row.version, "saved": _saved(row), "typed": _saved(row), "turn": 0}
    if disabled:
        return fresh
    draft = st.session_state.setdefault(_place(row.id), fresh)
    key = _key(row.id, draft)
    typed = {name: st.session_state.get(f"{key}_{name}", draft["typed"][name]) for name in _PLAIN}
    draft["typed"] = {**typed, "body": body_typed(f"{key}_body", draft["typed"]["body"])}
    if draft["version"] != row.version and draft["typed"] in (draft["saved"], _saved(row)):
        draft = st.session_state[_place(row.id)] = {**fresh, "turn": draft["turn"] + 1}
    return draft


def _key(template_id: int, draft: Draft) -> str:
    return f"tpl_{template_id}_{draft['version']}_{draft['turn']}"


def _editor(row: LetterTemplate, draft: Draft, disabled: bool) -> None:
    key, typed = _key(row.id, draft), draft["typed"]
    left, right = st.columns([3, 2])
    name = left.text_input("Name", value=typed["name"], max_chars=80, key=f"{key}_name", disabled=disabled)
    uses = list(LetterUse)
    use = right.selectbox(
        "For", uses, index=uses.index(typed["use"]), format_func=lambda one: one.label, key=f"{key}_use", disabled=disabled
    )
    about = st.text_input(
        "When to take it", value=typed["about"], max_chars=300, key=f"{key}_about", disabled=disabled, placeholder="Optional: a word for colleagues"
    )  # fmt: skip
    words = "Subject (the ticket's own stays)" if use is LetterUse.SERVICE else "Subject"
    subject = st.text_input(
        words, value=typed["subject"], max_chars=150, key=f"{key}_subject", disabled=disabled, placeholder="What is it about?"
    )
    body = body_input(f"{key}_body", typed["body"], disabled=disabled)
    shared = st.toggle("Everyone may use it", value=typed["shared"], key=f"{key}_shared", disabled=disabled)
    draft["typed"] = {"name": name, "about": about, "use": use, "subject": subject, "body": body, "shared": shared}
    if not disabled:
        fields_help(load(templates.fields, use))
        _buttons(row, draft)


def _buttons(row: LetterTemplate, draft: Draft) -> None:
    elsewhere, unsaved, question = draft["version"] != row.version, draft["typed"] != draft["saved"], _question(row.id)
    if elsewhere and not clashing(question):
        st.warning(SAVED_ELSEWHERE, icon=":material/group:")
    asked = st.container()
    with st.container(horizontal=True, vertical_alignment="center"):
        pressed = st.button("Save template", type="primary", key="template_save", disabled=clashing(question))
        if unsaved:
            st.button("Discard changes", type="tertiary", key="template_discard", on_click=take_saved, args=(row.id,))
            st.caption(":orange[:material/edit_note: Not saved yet]", width="content")
    seen = {"id": row.id, "version": draft["version"], **draft["saved"]}
    save = saver(templates.save, "Template saved.")
    with asked:
        if save_parts(question, pressed, seen=seen, mine=draft["typed"], parts=_PARTS, values_of=_held, save=save, scope="app"):
            take_saved(row.id)
            st.rerun()
    show_refusal()


def _question(template_id: int) -> str:
    return f"template_{template_id}"


_PARTS = {
    "name": Part("Name"), "use": Part("For"), "about": Part("When to take it"), "subject": Part("Subject"), "body": Part("Letter", long=True),
    "shared": Part("Everyone may use it"),
}  # fmt: skip


def _held(row: Any) -> Draft:
    return {key: row[key] for key in _PARTS} if isinstance(row, Mapping) else _saved(row)


def take_saved(template_id: int) -> None:
    """Show the letter as it is saved, in other inputs: the old ones would keep what was typed."""
    forget(_question(template_id))
    turn = st.session_state[_place(template_id)]["turn"] + 1
    row = load(templates.get, template_id)
    st.session_state[_place(template_id)] = {"version": row.version, "saved": _saved(row), "typed": _saved(row), "turn": turn}


def has_unsaved(template_id: int) -> bool:
    """Whether this person has typed something that is not kept yet."""
    draft = st.session_state.get(_place(template_id))
    return draft is not None and draft["typed"] != draft["saved"]


def _previews(template_id: int, typed: Draft) -> None:
    given = (typed["use"], typed["subject"], typed["body"])
    st.markdown("**As real people get it**")
    flaw_list(load(templates.flaws, *given))
    turn = st.session_state.get("template_turn", 0)
    person = _somebody(template_id)
    found = load(templates.previews, *given, turn=turn, person=person)
    if not found:
        st.caption("There is nobody yet whom it could be shown for. Add a contact or a lead.")
        return
    shown_for(found, f"template_person_{turn}_{person}")
    if person is None and len(found) > 1 and st.button("Others", icon=":material/shuffle:", key="template_others"):
        st.session_state["template_turn"] = turn + 1
        st.rerun()


def _somebody(template_id: int) -> tuple[str, int] | None:
    """A person whom one looks for, to see the letter for them."""
    kinds = {key: label for key, label in (("contact", "Contact"), ("lead", "Lead")) if current_actor().can(key, Action.READ)}
    if not kinds:
        return None
    with st.expander("Show it for somebody else", icon=":material/person_search:"):
        keys: Sequence[str] = list(kinds)
        kind = st.segmented_control(
            "Who?", keys, default=keys[0], format_func=lambda one: kinds[one], required=True, key="template_kind", label_visibility="collapsed"
        ) or keys[0]  # fmt: skip
        chosen = picker("Person", lambda q: load(lists.choices, kind, q, limit=20), key=f"template_{kind}_{template_id}")
    return (kind, chosen) if chosen is not None else None


def facts_line(row: LetterTemplate, owner: str) -> str:
    """Whose it is and how often it was used."""
    times = (
        "never used" if not row.used_count else "used once" if row.used_count == 1 else f"used {fmt.written(row.used_count)} times"
    )
    return f"{owner or 'Nobody'} · {times} · changed {fmt.ago(current_actor(), row.updated_at)}"
