"""Macros on a ticket and on many: choose one, see what it would do, do it, take it back; and the dialog that makes one."""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from crm_core import lists
from crm_core.fields import FieldSpec
from crm_core.services import bulk
from crm_core.services.helpdesk import macro_work, macros
from crm_core.services.helpdesk.macros import ME, MacroView
from crm_core.vocabulary import Action, FieldKind, TicketKind
from ui import format as fmt
from ui.actions import load, perform, show_problems, show_refusal
from ui.components.entity_form import field_input
from ui.components.parts_clash import Part, clashing, save_parts, saver
from ui.components.whole_input import whole_number
from ui.navigation import go
from ui.session import current_actor

_DONE = "_macro_done"
MOST = 12
"""So many macros are offered at once."""
_STATUSES: list[TicketKind] = [kind for kind in TicketKind if kind is not TicketKind.NEW]


@st.dialog("Use a macro", width="medium", icon=":material/bolt:")
def use_dialog(versions: Mapping[int, int]) -> None:
    """What to do with one ticket, or with many; looked at before it happens."""
    known = load(macros.usable)
    if not known:
        st.markdown(
            "There are no macros yet. A macro does several things with one click: answer, note, set fields, change the status."
        )
        if st.button("Make one", type="primary", icon=":material/add:", key="macro_first"):
            go("macros")
            st.rerun()
        return
    query = st.text_input("Find", key="macro_q", placeholder="Find a macro", label_visibility="collapsed", live=True)
    fits = [one for one in known if (query or "").casefold() in f"{one.name} {one.about}".casefold()]
    if not fits:
        st.caption("No macro like that.")
        return
    names = {one.id: one for one in fits}
    chosen = st.radio(
        "Macro",
        list(names)[:MOST],
        format_func=lambda one: fmt.md(names[one].name),
        key="macro_choice",
        label_visibility="collapsed",
    )
    if len(names) > MOST:
        st.caption(f"and {fmt.written(len(names) - MOST)} more: type what they are called")
    macro = names.get(chosen or 0, fits[0])
    single = next(iter(versions)) if len(versions) == 1 else None
    steps_of(macro.steps, single)
    words = "Use it" if single else f"Use it on {fmt.written(len(versions))} tickets"
    if st.button(words, type="primary", key="macro_yes", shortcut="ctrl+enter"):
        outcome = perform(bulk.use_macro, macro.id, versions)
        if outcome is not None and (outcome.done or not single):
            st.session_state[_DONE] = (sorted(versions), outcome, macro.name)
            st.rerun()
        if outcome is not None:
            for _, sentence in outcome.refused:
                st.error(fmt.md(sentence), icon=":material/error:")
        show_problems()


def steps_of(steps: Sequence[Mapping[str, Any]], ticket_id: int | None = None) -> None:
    """The steps in words, with the customer's own where it is about one ticket."""
    with st.container(border=True, gap="small"):
        for what, content in load(macros.words_of, steps, ticket_id):
            st.markdown(f":gray[{fmt.md(what)}]  \n" + "  \n".join(fmt.md(line) for line in content.split("\n")))


def macro_done(ids: Sequence[int] | None = None) -> None:
    """What the last macro did, with the way back."""
    kept = st.session_state.get(_DONE)
    if kept is None or (ids is not None and kept[0] != sorted(ids)):
        return
    _, outcome, name = kept
    with st.container(horizontal=True, vertical_alignment="center", gap="small", border=True, key="macro_note"):
        done = fmt.plural(outcome.done, "ticket")
        st.markdown(f":green[:material/check_circle:] {fmt.md(f'“{name}” used on {done}.')}", width="content")
        if outcome.refused:
            with st.popover(f"{fmt.written(len(outcome.refused))} stayed as they were", type="tertiary", icon=":material/warning:"):
                for title, sentence in outcome.refused[:50]:
                    st.markdown(f"**{fmt.md(title[:80])}**  \n{fmt.md(sentence)}")
        if outcome.operation_id is not None:
            st.button("Undo", icon=":material/undo:", key="macro_undo", on_click=_undo, args=(outcome.operation_id,))
        st.button(
            icon=":material/close:",
            key="macro_hide",
            type="tertiary",
            **fmt.icon_only("Hide this note"),
            on_click=lambda: st.session_state.pop(_DONE, None),
        )


def _undo(operation_id: int) -> None:
    back = perform(bulk.undo, operation_id)
    if back is not None and not back.refused:
        st.session_state.setdefault("_toasts", []).append(("ok", "Put back as it was."))
    elif back is not None:
        st.session_state.setdefault("_toasts", []).append(("error", fmt.md(back.refused[0][1])))
    st.session_state.pop(_DONE, None)


# --- make one ---------------------------------------------------------------------------------------------------------------


@st.dialog("Macro", width="large", icon=":material/bolt:")
def macro_dialog(macro: MacroView | None) -> None:
    """Its name, who may use it, and its steps: what is left empty does nothing."""
    tag = f"{macro.id}_{macro.version}" if macro else "new"
    steps = list(macro.steps) if macro else []
    left, right = st.columns([3, 2], vertical_alignment="bottom")
    name = left.text_input(
        "Name *", value=macro.name if macro else "", max_chars=80, key=f"mac_name_{tag}", placeholder="Ask for the serial number"
    )
    shared = right.toggle(
        "Everybody in the service team may use it", value=macro.shared if macro else True, key=f"mac_shared_{tag}"
    )
    about = st.text_input("What it is for", value=macro.about if macro else "", max_chars=300, key=f"mac_about_{tag}")
    said = next((str(step["text"]) for step in steps if step["do"] == "answer"), "")
    answer = st.text_area(
        "Answer to the customer", value=said, height=150, key=f"mac_answer_{tag}", placeholder="Hello {{first_name|there}},"
    )
    st.caption(
        fmt.md(
            "Fields: "
            + ", ".join("{{" + key + "}}" for key in macros.FIELDS)
            + ". {{first_name|there}} says “there” when nobody is known."
        )
    )
    noted = next((str(step["text"]) for step in steps if step["do"] == "note"), "")
    note = st.text_area("Internal note", value=noted, height=80, key=f"mac_note_{tag}")
    before = next((TicketKind(step["value"]) for step in steps if step["do"] == "status"), None)
    status = st.selectbox(
        "Status afterwards", _STATUSES, index=_STATUSES.index(before) if before else None, format_func=lambda one: one.label, placeholder="As an answer leaves it",
        key=f"mac_status_{tag}",
    )  # fmt: skip
    settings, work = _settings(steps, tag), _tasks(steps, tag)
    mine = {
        "name": name or "", "about": about or "", "shared": shared, "answer": answer or "", "note": note or "",
        "status": status.value if status else "", "set": settings, "task": work,
    }  # fmt: skip
    question = f"macro_{tag}"
    pressed = st.button("Save", type="primary", key=f"mac_save_{tag}", disabled=clashing(question))

    def save(values: Mapping[str, Any], base: MacroView | None) -> Any:
        given = {**{key: values[key] for key in ("name", "about", "shared")}, "steps": _steps(values)}
        return saver(macros.save, "Macro saved.")(given, base)

    if save_parts(question, pressed, seen=macro, mine=mine, parts=_labels(), values_of=_stored, save=save):
        st.session_state.pop(f"_mac_rows_{tag}", None)
        st.session_state.pop(f"_mac_tasks_{tag}", None)
        st.rerun()
    show_refusal()


def _steps(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    made = [{"do": "note", "text": values["note"]}, *values["set"], *values["task"], {"do": "answer", "text": values["answer"]}]
    return made + ([{"do": "status", "value": values["status"]}] if values["status"] else [])


def _stored(macro: MacroView | None) -> dict[str, Any]:
    """The parts of a macro, as the dialog holds them."""
    if macro is None:
        return {}
    said = {step["do"]: step for step in macro.steps}
    return {
        "name": macro.name, "about": macro.about, "shared": macro.shared, "status": said.get("status", {}).get("value", ""),
        **{kind: said.get(kind, {}).get("text", "") for kind in ("answer", "note")},
        **{kind: [dict(step) for step in macro.steps if step["do"] == kind] for kind in ("set", "task")},
    }  # fmt: skip


def _labels() -> dict[str, Part]:
    return {
        "name": Part("Name"),
        "about": Part("What it is for"),
        "shared": Part("Who may use it", lambda value: "Everybody in the service team" if value else "Its owner"),
        "answer": Part("Answer to the customer"),
        "note": Part("Internal note"),
        "status": Part("Status afterwards", lambda value: TicketKind(value).label if value else "As an answer leaves it"),
        "set": Part("Fields it sets", _step_words),
        "task": Part("Tasks it gives", _step_words),
    }


def _step_words(steps: Sequence[Mapping[str, Any]]) -> str:
    return "; ".join(f"{what}: {content}" for what, content in load(macros.words_of, steps, None))


def _settings(steps: Sequence[Mapping[str, Any]], tag: str) -> list[dict[str, Any]]:
    """Fields that are set; one more line for each press of the button."""
    actor, specs = current_actor(), load(macros.settable)
    kept = [dict(step) for step in steps if step["do"] == "set"]
    count = st.session_state.setdefault(f"_mac_rows_{tag}", len(kept))
    found = []
    st.markdown("**Fields it sets**")
    for place in range(count):
        given = kept[place] if place < len(kept) else {}
        left, right = st.columns(2, vertical_alignment="bottom")
        key = left.selectbox(
            "Field", list(specs), index=list(specs).index(given["field"]) if given.get("field") in specs else None, format_func=lambda one: specs[one].label,
            placeholder="Which field?", key=f"mac_field_{tag}_{place}", label_visibility="collapsed",
        )  # fmt: skip
        if key is not None:
            with right:
                found.append(
                    {
                        "do": "set",
                        "field": key,
                        "value": _value(actor, specs[key], given if given.get("field") == key else {}, f"{tag}_{place}"),
                    }
                )
    if st.button("Set a field", icon=":material/add:", type="tertiary", key=f"mac_more_{tag}"):
        st.session_state[f"_mac_rows_{tag}"] = count + 1
        st.rerun(scope="fragment")
    return found


def _tasks(steps: Sequence[Mapping[str, Any]], tag: str) -> list[dict[str, Any]]:
    """Tasks that it gives; one more line for each press of the button."""
    kept = [dict(step) for step in steps if step["do"] == "task"]
    if not current_actor().can("task", Action.CREATE):
        return kept
    people: dict[Any, str] = {**macro_work.WHO, **load(lists.choices, "user", limit=500)}
    count = st.session_state.setdefault(f"_mac_tasks_{tag}", len(kept))
    found = []
    st.markdown("**Tasks it gives**")
    for place in range(count):
        given: dict[str, Any] = kept[place] if place < len(kept) else {"who": ME, "days": 2, "count": "working"}
        what, who, days, unit = st.columns([4, 3, 1.5, 2], vertical_alignment="bottom")
        subject = what.text_input(
            "Task", value=given.get("subject", ""), max_chars=300, key=f"mac_task_{tag}_{place}", placeholder="Call them back"
        )
        person = who.selectbox(
            "For", list(people), index=list(people).index(given["who"]) if given["who"] in people else 0, format_func=lambda one: people[one],
            key=f"mac_task_who_{tag}_{place}",
        )  # fmt: skip
        number = whole_number("Due in", 0, macro_work.MOST_DAYS, given["days"], key=f"mac_task_days_{tag}_{place}", place=days)
        counted = unit.selectbox(
            "Counted in", list(macro_work.COUNTED), index=list(macro_work.COUNTED).index(given["count"]), format_func=lambda one: macro_work.COUNTED[one],
            key=f"mac_task_unit_{tag}_{place}",
        )  # fmt: skip
        if subject.strip():
            found.append({**given, "do": "task", "subject": subject, "who": person, "days": number, "count": counted})
    if st.button("Add a task", icon=":material/add_task:", type="tertiary", key=f"mac_more_tasks_{tag}"):
        st.session_state[f"_mac_tasks_{tag}"] = count + 1
        st.rerun(scope="fragment")
    return found


def _value(actor: Any, spec: FieldSpec, given: Mapping[str, Any], tag: str) -> Any:
    if spec.to == "user":
        people: dict[Any, str] = {ME: "Whoever uses it", **load(lists.choices, "user", limit=500)}
        before = given.get("value", ME)
        return st.selectbox(
            spec.label, list(people), index=list(people).index(before) if before in people else 0, format_func=lambda one: people[one], key=f"mac_user_{tag}_{spec.key}",
            label_visibility="collapsed",
        )  # fmt: skip
    before = given.get("value")
    if spec.kind is FieldKind.CHOICE and spec.enum is not None and before is not None:
        before = spec.enum(before)
    return field_input(actor, spec, before, key=f"mac_value_{tag}_{spec.key}")
