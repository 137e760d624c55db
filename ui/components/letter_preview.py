"""What every letter's editor shows beside the words: the fields there are, what is wrong, and how real people get it."""

from collections.abc import Mapping, Sequence

import streamlit as st

from crm_core.services.marketing.letter_rules import Flaw
from crm_core.services.marketing.letters import Preview
from crm_core.services.marketing.templates import Used
from ui import format as fmt
from ui.navigation import page_of
from ui.session import current_actor


def fields_help(names: Mapping[str, str]) -> None:
    """What may be put in, and the marks that letters know."""
    with st.popover("Fields and marks", icon=":material/data_object:", type="tertiary"):
        st.table(
            {"Field": [f"`{{{{{key}}}}}`" for key in names], "Shows": [fmt.md(label) for label in names.values()]},
            border="horizontal",
        )
        st.markdown(
            "`{{company|your company}}` names what stands there when the field is empty.  \n"
            "`{{#if city}} … {{/if}}` shows words only to those who have the field.  \n"
            "`[words](https://…)` is a link, `**bold**` is bold, `- ` begins a point, `# ` a heading."
        )


def flaw_list(found: Sequence[Flaw]) -> None:
    """What keeps a letter from being sent in red, advice in orange."""
    for flaw in found:
        st.markdown(f":{'red' if flaw.stops else 'orange'}[:material/{'error' if flaw.stops else 'info'}:] {fmt.md(flaw.words)}")


def shown_for(found: Sequence[Preview], key: str, height: int = 460) -> None:
    """The letter as one of these people gets it."""
    names = [" · ".join(part for part in (one.name, one.address) if part) for one in found]
    place = st.selectbox("Shown for", range(len(found)), format_func=lambda n: names[n], key=key)
    one = found[place]
    with st.container(border=True, gap="small", key="letter_preview"):
        if one.letter.subject:
            st.markdown(f"**{fmt.md(one.letter.subject)}**")
        seen, there = one.parts
        if there > 1:
            st.caption(f":material/groups_3: Sees {seen} of {there} parts")
        st.iframe(one.letter.html, height=height)


def uses_list(found: Sequence[Used]) -> None:
    """What was begun with a kept letter, each with the way there."""
    for one in found:
        words = fmt.md(one.words) + ("" if one.runs else " (a copy)")
        page = page_of(current_actor(), one.url)
        if page is None:
            st.markdown(f"- {words}")
        else:
            st.page_link(
                page,
                label=words,
                icon=":material/bolt:" if one.runs else ":material/campaign:",
                query_params={"id": str(one.record_id)},
            )
