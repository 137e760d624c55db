"""The top of a page: title and caption left, actions right."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from unicodedata import east_asian_width

import streamlit as st

from ui import run
from ui.format import for_badge, icon_only, md

FITS, FITS_WIDE = 80, 160
"""A title of so many letters of usual width fits into the four lines that there are for it on a phone and on a wide screen (ui/static/contrast.css);
of a longer one the rest is a press away."""


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
    if (width := _width(title)) > FITS:
        box = left.container(key="whole_title" if width > FITS_WIDE else "narrow_title")
        box.popover("Whole name", type="tertiary", icon=":material/unfold_more:").text(title)
    if badges:
        line = left.container(horizontal=True, vertical_alignment="center", gap="small")
        for text, colour in badges:
            line.badge(for_badge(text), color=colour)  # type: ignore[arg-type]
        if caption:
            line.caption(md(caption), width="content")
    elif caption:
        left.caption(md(caption))
    return row.container(horizontal=True, horizontal_alignment="right", vertical_alignment="center", width="content", gap="small")


def _width(text: str) -> float:
    """How wide a text is in bold letters of usual width: capitals are wider, and ideographs and pictures take two."""
    return sum(2 if east_asian_width(sign) in "WF" else 1.35 if sign.isupper() else 1 for sign in text)


STEP_BACK = {"edit", "lose", "disqualify", "macro", "write_mail", "hand_over", "call_them", "move_back", "later"}
"""Keys of buttons that phones have no room for beside the first one."""


@dataclass(frozen=True)
class Rare:
    """Something that is rarely done with a record: ``key`` names its button, ``act`` does it or opens its dialog."""

    key: str
    words: str
    icon: str
    act: Callable[[], None]


def more_menu(where: Any, entries: Sequence[Rare], on_phones: Sequence[Rare] = ()) -> None:
    """What is rarely done, in one menu at the end of the header's actions; a single entry is a button with its words as the tooltip.

    ``on_phones``: what stands beside it as buttons where there is room; where there is not, the menu has them instead (ui/static/contrast.css
    takes the buttons of ``STEP_BACK`` away there). One button may have several entries: ``later:Tomorrow``, ``later:In two weeks``.
    """
    if len(on_phones) + len(entries) > 1 and on_phones:
        assert {one.key.split(":")[0] for one in on_phones} <= STEP_BACK
        _menu(where.container(key="narrow_more", width="content"), [*on_phones, *entries], "more_on_phones")
        where = where.container(key="wide_more", width="content") if entries else where
    if len(entries) == 1:
        if where.button(icon=f":material/{entries[0].icon}:", key=entries[0].key, **icon_only(entries[0].words)):
            entries[0].act()
    elif entries:
        _menu(where, entries, "more_actions")


def _menu(where: Any, entries: Sequence[Rare], key: str) -> None:
    known = {one.key: one for one in entries}
    chosen = where.menu_button(
        "More", list(known), format_func=lambda one: f":material/{known[one].icon}: {known[one].words}", key=key
    )
    if chosen in known:
        known[chosen].act()


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
