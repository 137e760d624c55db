"""What happens by itself while a promise runs out: the lines of a service level's dialog, and the same in words."""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from crm_core import lists
from crm_core.services.helpdesk import escalation_rules
from crm_core.services.helpdesk.escalation_rules import DEEDS, MANAGER, NOTIFY, OWNER, RAISE, REASSIGN, RULES, TEAM
from crm_core.services.helpdesk.sla_rules import WARN_AT
from crm_core.vocabulary import SlaTarget
from ui import format as fmt
from ui.actions import load

EACH = "any promise"
FRESH = {"pct": 75, "target": "", "do": RAISE, "to": None}
Step = Mapping[str, Any]


def escalation_editor(kept: Sequence[Step], tag: str) -> list[dict[str, Any]]:
    """One line per step; one more for each press of the button. Gives the steps as they stand."""
    st.markdown("**While the time runs out**")
    st.caption(
        "The owner hears at 75% and when a promise breaks, and a task is made then. What else happens, once for each promise? A priority that is raised "
        "here moves no due time."
    )
    lines = st.session_state.setdefault(f"_sl_steps_{tag}", [dict(step) for step in kept])
    found = []
    for place, step in enumerate(lines):
        with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key=f"sl_step_{tag}_{place}"):
            found.append(_line(step, f"{tag}_{place}_{len(lines)}"))
            if st.button(
                icon=":material/close:",
                key=f"sl_step_off_{tag}_{place}",
                type="tertiary",
                **fmt.icon_only("Take this line out"),
            ):
                st.session_state[f"_sl_steps_{tag}"] = [*found[:-1], *lines[place + 1 :]]
                st.rerun(scope="fragment")
    full = len(lines) >= escalation_rules.MOST
    if st.button("Add a line", icon=":material/add:", type="tertiary", key=f"sl_step_more_{tag}", disabled=full):
        st.session_state[f"_sl_steps_{tag}"] = [*found, dict(FRESH)]
        st.rerun(scope="fragment")
    return found


def _line(step: Step, tag: str) -> dict[str, Any]:
    targets = ["", *(one.value for one in SlaTarget)]
    pct = st.selectbox(
        "At", WARN_AT, index=WARN_AT.index(step["pct"]), format_func=lambda one: f"{one}%", key=f"sl_pct_{tag}", width=90
    )
    target = st.selectbox("of", targets, index=targets.index(step["target"]), format_func=_promise, key=f"sl_of_{tag}", width=150)
    deed = st.selectbox(
        "Then", list(DEEDS), index=list(DEEDS).index(step["do"]), format_func=lambda one: DEEDS[one], key=f"sl_do_{tag}", width=200
    )
    to = None
    if deed in (NOTIFY, REASSIGN):
        options = _options(deed)
        known = step["to"] if step["to"] in options else None
        to = st.selectbox(
            "Whom", list(options), index=list(options).index(known) if known is not None else None, format_func=lambda one: options[one],
            placeholder="Whom?", key=f"sl_to_{tag}_{deed}", width=190,
        )  # fmt: skip
    return {"pct": pct, "target": target, "do": deed, "to": to}


def _promise(target: str) -> str:
    return SlaTarget(target).label if target else EACH.capitalize()


def _options(deed: str) -> dict[Any, str]:
    first: dict[Any, str] = {OWNER: "Its owner"} if deed == NOTIFY else {RULES: "Somebody else, by the rules"}
    teams = {f"{TEAM}{key}": f"Team {name}" for key, name in load(lists.choices, "team", limit=200).items()}
    return first | teams | load(lists.choices, "user", limit=500)


def in_words(steps: Sequence[Step]) -> list[str]:
    """The steps as sentences, one per threshold and promise."""
    if not steps:
        return []
    names = {**_options(NOTIFY), RULES: "somebody else by the rules", OWNER: "its owner"}
    return [f"At {step['pct']}% of {_of(step['target'])}: {_deed(step, names)}" for step in steps]


def _of(target: str) -> str:
    return f"the {SlaTarget(target).label.lower()}" if target else EACH


def _deed(step: Step, names: Mapping[Any, str]) -> str:
    words = DEEDS[step["do"]]
    words = words[0].lower() + words[1:]
    return words if step["do"] in (RAISE, MANAGER) else f"{words} {names.get(step['to'], 'somebody who left')}"
