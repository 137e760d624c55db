"""The wordings that a letter template had: who wrote them and when, and the way back to one of them."""

import streamlit as st

from crm_core.models import LetterTemplate
from crm_core.services.marketing import templates
from crm_core.services.marketing.templates import Wording
from ui import format as fmt
from ui.actions import load, perform, show_refusal
from ui.components.letter_desk import has_unsaved, take_saved
from ui.session import current_actor


def letter_versions(row: LetterTemplate, *, mine: bool) -> None:
    """Nothing while there is only the wording of now. ``mine``: whether this person may bring one back."""
    found = load(templates.versions, row.id)
    if len(found) < 2:
        return
    with st.expander(f"Versions ({len(found)})", icon=":material/history:"):
        st.caption(
            "Each change of the words is a version of its own. Campaigns, automations and answers keep the words that they began with."
        )
        by_number = {one.number: one for one in found}
        chosen = st.selectbox(
            "Version", list(by_number), index=1, format_func=lambda number: _named(by_number[number]), key=f"tpl_version_{row.id}_{row.version}"
        )  # fmt: skip
        _shown(row, by_number[chosen], mine)


def _named(one: Wording) -> str:
    said = [f"Version {one.number}", fmt.instant(current_actor(), one.at), one.author]
    said += [f"the words of version {one.brought_back}"] if one.brought_back else []
    said += ["current"] if one.current else []
    return " · ".join(part for part in said if part)


def _shown(row: LetterTemplate, one: Wording, mine: bool) -> None:
    if one.use is not row.use:
        st.caption(f"For {one.use.label.lower()}")
    if one.subject:
        st.markdown(f"**{fmt.md(one.subject)}**")
    st.code(one.body, language=None, wrap_lines=True)
    if not mine or one.current:
        return
    waits = has_unsaved(row.id)
    if st.button(
        "Bring these words back", icon=":material/restore:", key="template_back", disabled=waits,
        help="Save or discard what you typed first" if waits else "They become a new version; the words of now stay in the list",
    ) and perform(templates.bring_back, row.id, one.number, base_version=row.version, success=f"The words of version {one.number} are back.") is not None:  # fmt: skip
        take_saved(row.id)
        st.rerun()
    show_refusal()
