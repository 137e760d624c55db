"""Help articles in the answer box: those that fit the ticket, a search over all, and the two ways to put one into the answer."""

from collections.abc import Iterable

import streamlit as st

from crm_core.kit.text import clip
from crm_core.services.helpdesk import article_finding, help_centre
from crm_core.services.helpdesk.article_finding import Found
from crm_core.vocabulary import Action
from ui import format as fmt
from ui.actions import load
from ui.addresses import absolute
from ui.navigation import go, page_of
from ui.session import current_actor

_ENTER = "No article fits by its words. Search, or write one when the answer is worth keeping."


def article_picker(ticket_id: int, key: str) -> None:
    """``key``: of the text area that the words go into."""
    actor = current_actor()
    if not actor.can("article", Action.READ):
        return
    fitting = load(article_finding.suggest, ticket_id)
    linked = load(help_centre.is_on)
    words = f"Help articles · {len(fitting)}" if fitting else "Help articles"
    turn = st.session_state.get(_turn(key), 0)
    with st.popover(
        words, icon=":material/menu_book:", type="tertiary", key=f"articles_{key}_{turn}", help="What is written down about this"
    ):
        query = st.text_input(
            "Find", key=f"articles_q_{key}", placeholder="Search all articles", label_visibility="collapsed", live=True
        )
        shown = load(article_finding.search, query, limit=6) if (query or "").strip() else fitting
        if shown and not query:
            st.caption("These fit the words of this ticket")
        for one in shown:
            _article(one, key, linked=linked)
        if not shown:
            st.caption("No article like that." if query else _ENTER)
        if shown and not linked:
            st.caption("Links can be inserted once the public help centre is switched on.")
        if (
            not shown
            and actor.can("article", Action.CREATE)
            and st.button("Write one", icon=":material/add:", key=f"articles_new_{key}")
        ):
            go("articles")


def _article(one: Found, key: str, *, linked: bool) -> None:
    with st.container(border=True, gap="xsmall", key=f"article_{key}_{one.id}"):
        page = page_of(current_actor(), "article")
        st.markdown(f"**{fmt.md(one.title)}**")
        st.caption(fmt.md(clip(one.summary, 180)))
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.button(
                "Short answer", icon=":material/input:", key=f"put_{key}_{one.id}", help="Insert the short answer",
                on_click=_insert, args=(key, one.id, one.summary), disabled=not one.summary,
            )  # fmt: skip
            if linked:
                words = f"{one.title}:\n{absolute(f'/help/{one.slug}')}"
                st.button(
                    "Link", icon=":material/link:", key=f"link_{key}_{one.id}", help="Insert a link to the public page",
                    on_click=_insert, args=(key, one.id, words),
                )  # fmt: skip
            if page is not None:
                st.page_link(page, label="Open", query_params={"id": str(one.id)})


def _insert(key: str, article_id: int, words: str) -> None:
    """Put the words into the answer, and close the list: on a phone it covers what was written."""
    st.session_state[_turn(key)] = st.session_state.get(_turn(key), 0) + 1
    add_words(key, words)
    insert(key, [article_id])


def add_words(key: str, words: str) -> None:
    """Put words below those that a text area holds; for callbacks."""
    before = str(st.session_state.get(key) or "").rstrip()
    st.session_state[key] = f"{before}\n\n{words}" if before else words


def insert(key: str, ids: Iterable[int]) -> None:
    """Remember that these articles were put into an answer."""
    st.session_state.setdefault(_kept(key), []).extend(ids)


def forget(key: str) -> None:
    """The answer is gone."""
    st.session_state.pop(_kept(key), None)


def inserted(key: str) -> list[int]:
    """The articles that were put into an answer."""
    return list(dict.fromkeys(st.session_state.get(_kept(key), ())))


def _turn(key: str) -> str:
    return f"_articles_turn_{key}"


def _kept(key: str) -> str:
    return f"_articles_{key}"
