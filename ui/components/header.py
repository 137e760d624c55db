"""The top of a page: title and caption left, actions right."""

from typing import Any

import streamlit as st

from ui import run
from ui.format import for_badge, md


def header(
    title: str, caption: str = "", *, badges: list[tuple[str, str]] | None = None, back: tuple[str, Any] | None = None
) -> Any:
    """Draw the header and give the container for its actions. ``title`` and ``caption`` are plain text; ``badges``: (text, colour);
    ``back``: (words, page) of the list this record belongs to."""
    run.head()
    st.set_page_config(page_title=f"{title[:80]} · Rapport")  # several tabs are told apart by it
    if back is not None and back[1] is not None:
        st.page_link(back[1], label=back[0], icon=":material/arrow_back:")
    row = st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="bottom", gap="medium", key="page_header"
    )
    left = row.container(width="content", gap=None)
    left.title(md(title), anchor=False)
    if badges:
        line = left.container(horizontal=True, vertical_alignment="center", gap="small")
        for text, colour in badges:
            line.badge(for_badge(text), color=colour)  # type: ignore[arg-type]
        if caption:
            line.caption(md(caption), width="content")
    elif caption:
        left.caption(md(caption))
    return row.container(horizontal=True, horizontal_alignment="right", vertical_alignment="center", width="content", gap="small")


def empty_state(title: str, text: str, *, icon: str = "inbox") -> Any:
    """A bordered note where nothing is: what is missing and what to do; gives the container for its buttons. Plain text."""
    box = st.container(border=True, horizontal_alignment="center", gap="small", key=f"empty_{icon}")
    box.space("small")
    box.markdown(f":material/{icon}:", width="content")
    box.markdown(f"**{md(title)}**", width="content")
    box.caption(md(text), width="content")
    actions = box.container(horizontal=True, horizontal_alignment="center", gap="small")
    box.space("small")
    return actions
