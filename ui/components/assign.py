"""Give a record to somebody: to oneself with one click, or to another person by a dialog."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import streamlit as st

from crm_core import lists
from crm_core.access import Actor
from crm_core.entities import entity
from ui import format as fmt
from ui.actions import load, perform, show_problems
from ui.components.header import Rare
from ui.components.parts_clash import Part, Values, clashing, columns_of, named, save_parts


def assign_entry(actor: Actor, entity_key: str, row: Mapping[str, Any], command: Callable[..., Any]) -> list[Rare]:
    """The entry of the record's menu that opens the dialog; ``command(session, actor, id, owner_id, base_version=)`` is the area's own verb."""
    ask = partial(_dialog, actor, entity_key, row["id"], row["version"], row["owner_id"], command)
    return [Rare("assign", "Assign to somebody", "person_add", ask)]


def take_button(actor: Actor, where: Any, row: Mapping[str, Any], command: Callable[..., Any], *, primary: bool = False) -> None:
    """A button that gives the record to whoever looks at it."""
    if where.button("Assign to me", icon=":material/front_hand:", key="take", type="primary" if primary else "secondary"):
        perform(command, row["id"], actor.user_id, base_version=row["version"], success="It is yours now.")
        st.rerun()


def _dialog(actor: Actor, entity_key: str, record_id: int, version: int, owner_id: int | None, command: Callable[..., Any]) -> None:
    @st.dialog(f"Assign this {entity(entity_key).label.lower()}")
    def show() -> None:
        people = load(lists.choices, "user", limit=500, include=[owner_id])
        names: dict[int | None, str] = {None: "Nobody"}
        for user_id, person in people.items():
            names[user_id] = person
        options: list[int | None] = [*people, None]
        chosen = st.selectbox(
            "To",
            options,
            index=options.index(owner_id),
            format_func=lambda one: names[one],
            key=f"assign_to_{entity_key}_{record_id}",
        )
        place = f"assign_{entity_key}_{record_id}_{version}"
        pressed = st.button("Assign", type="primary", key="assign_yes", shortcut="ctrl+enter", disabled=clashing(place))

        def save(values: Values, base: Mapping[str, Any]) -> Any:
            to = values["owner_id"]
            success = fmt.md(f"Assigned to {names.get(to) or 'somebody else'}.")
            done = perform(command, record_id, to, base_version=base["version"], success=success)
            return _told(done)

        seen, parts = {"owner_id": owner_id, "version": version}, {"owner_id": Part("Assigned to", named(names))}
        if save_parts(place, pressed, seen=seen, mine={"owner_id": chosen}, parts=parts, values_of=columns_of(parts), save=save):
            st.rerun()
        show_problems()

    show()


def _told(done: Any) -> Any:
    """What a verb gave; when it was refused because somebody else assigned the record meanwhile, to whom is said for the question."""
    conflict = st.session_state.get("_conflict")
    if done is None and conflict is not None and "owner_id" in conflict.details.get("fields", {}):
        theirs = conflict.details["fields"]["owner_id"][1]
        conflict.details["rows"] = [{"owner_id": theirs, "version": conflict.details["version"]}]
    return done
