"""How long the parts of the audit trail are kept, what would go tonight, and whether looks at personal data are noted at all."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from crm_core.models import AuditPolicy
from crm_core.services.admin import retention
from crm_core.vocabulary import Action
from ui import format as fmt
from ui.actions import load, perform, show_refusal
from ui.components.parts_clash import Part, clashing, columns_of, forget, save_parts
from ui.session import current_actor

_ABOUT = {
    "keep_reads_months": "Who opened, exported or read whose record.",
    "keep_signins_months": "Who signed in from where, and who failed to.",
    "keep_settings_months": "Who changed roles, people, pipelines, settings.",
    "keep_values_months": "Old names, addresses and numbers in the history of people's records become •••. That something changed stays: "
    "timelines and analyses need it.",
}


def how_long() -> None:
    """The form; for whoever may not change it, what holds."""
    actor, policy = current_actor(), _begun_with()
    may_edit, tag = actor.can("audit", Action.MANAGE), f"{policy.version if policy.id else 0}"
    with st.container(border=True, key="audit_policy"):
        noted = st.toggle(
            "Note who looks at personal data", value=policy.log_reads, key=f"log_reads_{tag}", disabled=not may_edit,
            help="Opening a person's record, exports and reads through the API; not lists and search results",
        )  # fmt: skip
        wanted: dict[str, int | None] = {key: _months(policy, key, tag, may_edit) for key in retention.PARTS}
        changes = {"log_reads": noted, **wanted}
        unsaved = any(getattr(policy, key) != value for key, value in changes.items())
        _preview(wanted)
        if not may_edit:
            return
        pressed = st.button("Save", type="primary", key="save_policy", disabled=not unsaved or clashing(QUESTION))
        st.session_state[_BEGUN] = policy if unsaved else None
        if save_parts(
            QUESTION, pressed, seen=policy, mine=changes, parts=_parts(), values_of=columns_of(changes), save=_save, scope="app"
        ):
            st.session_state.pop(_BEGUN, None)
            st.rerun()
        show_refusal()


QUESTION = "audit_policy"
_BEGUN = "_audit_policy_begun"


def _begun_with() -> AuditPolicy:
    """The rules that the form began with while something is chosen and not saved; else those of now."""
    if st.session_state.get("_arrived"):
        st.session_state.pop(_BEGUN, None)
        forget(QUESTION)
    begun: AuditPolicy | None = st.session_state.get(_BEGUN)
    return begun if begun is not None else load(retention.get)


def _save(values: Mapping[str, Any], base: AuditPolicy) -> Any:
    words = "Saved. What is too old goes in the coming night."
    return perform(retention.change, values, base_version=base.version if base.id else None, success=words)


def _parts() -> dict[str, Part]:
    return {
        "log_reads": Part("Note who looks at personal data"),
        **{key: Part(label, _word) for key, label in retention.PARTS.items()},
    }


def _months(policy: object, key: str, tag: str, may_edit: bool) -> int | None:
    options = [None, *(months for months in retention.MONTHS if months >= retention.LEAST.get(key, 0))]
    now = getattr(policy, key)
    left, right = st.columns([3, 1], vertical_alignment="center")
    left.markdown(f"**{retention.PARTS[key]}**  \n:gray[{_ABOUT[key]}]")
    return right.selectbox(
        retention.PARTS[key], options, index=options.index(now) if now in options else 0, format_func=_word, key=f"{key}_{tag}",
        label_visibility="collapsed", disabled=not may_edit,
    )  # fmt: skip


def _word(months: int | None) -> str:
    if months is None:
        return "For ever"
    return fmt.plural(months // 12, "year") if months % 12 == 0 else fmt.plural(months, "month")


def _preview(wanted: dict[str, int | None]) -> None:
    found = load(retention.going, wanted)
    parts = [
        fmt.plural(found.reads, "look"), fmt.plural(found.signins, "sign-in"), fmt.plural(found.settings, "change of settings", "changes of settings"),
        f"personal values in up to {fmt.plural(found.values, 'change')}",
    ]  # fmt: skip
    numbers = (found.reads, found.signins, found.settings, found.values)
    shown = [words for words, number in zip(parts, numbers, strict=True) if number]
    if shown:
        st.warning(
            f"With these rules the coming night takes away: {', '.join(shown)}. It can't be brought back.",
            icon=":material/delete_sweep:",
        )
    else:
        st.caption("With these rules nothing is old enough to be taken away tonight.")
