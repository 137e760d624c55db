"""Parts of the help article's screens: its text, its states, whom it helped, its products, and the settings of the public help centre."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import uuid4

import streamlit as st

from crm_core import lists
from crm_core.access import Actor
from crm_core.kit import markdown
from crm_core.lists import MASK
from crm_core.services.helpdesk import article_finding, articles, help_centre
from crm_core.services.helpdesk.article_uses import Figures
from crm_core.services.helpdesk.help_centre import Centre
from crm_core.vocabulary import Action, ArticleState
from ui import format as fmt
from ui.actions import load, perform, show_refusal
from ui.addresses import absolute
from ui.components.parts_clash import Part, clashing, columns_of, named, save_parts
from ui.navigation import page_of

_LOOK = (
    "<style>.article{overflow-wrap:anywhere;overflow-x:auto}.article table{width:100%;border-collapse:collapse}"
    ".article th,.article td{padding:6px 0;padding-inline-end:14px;border-top:1px solid rgba(128,128,128,.3);text-align:start;vertical-align:top;overflow-wrap:break-word}"
    ".article h2,.article h3,.article h4,.article h5{padding:.8rem 0 .3rem;font-size:1.05rem}.article pre{overflow-x:auto}</style>"
)
_AGAIN = {"3 months": 91, "6 months": 182, "A year": 365, "Never": 0}


def article_text(row: Mapping[str, Any]) -> None:
    """The short answer and the text as readers see them."""
    with st.container(border=True, key="article_text"):
        if row["summary"]:
            st.caption("Short answer")
            st.markdown("  \n".join(fmt.md(line) for line in row["summary"].splitlines()))
        if row["body"] == MASK:
            st.markdown(MASK)
        elif row["body"]:
            if row["summary"]:
                st.caption("Text")
            st.html(
                f'{_LOOK}<div class="article" dir="auto" lang="{row["language"].value}">{markdown.safe_html(row["body"])}</div>'
            )
        if not row["summary"] and not row["body"]:
            st.caption("Nothing is written yet. Press Edit.")


def state_buttons(where: Any, row: Mapping[str, Any], heard_in: Sequence[str]) -> None:
    """What can become of the article."""
    state = row["state"]
    if state is not ArticleState.PUBLISHED and where.button(
        "Publish", type="primary", icon=":material/publish:", key="publish", help="Agents find it, and readers of the help centre"
    ):
        _enter(row, ArticleState.PUBLISHED, "Published.")
    if state is ArticleState.ARCHIVED and where.button("Make it a draft", icon=":material/edit_note:", key="to_draft"):
        _enter(row, ArticleState.DRAFT, "It is a draft again.")
    if state is not ArticleState.PUBLISHED:
        return
    with where.popover("Take it down", icon=":material/unpublished:", key=f"down_{row['version']}"):
        st.markdown("Agents no longer find it, and its public page says that it is not there any more.")
        if heard_in:
            names = ", ".join(f"“{name}”" for name in heard_in)
            st.warning(
                fmt.md(f"The telephone reads it aloud: {names}. Callers hear that it is not available, and go to an agent."),
                icon=":material/call:",
            )
        with st.container(horizontal=True):
            if st.button("Archive", type="primary", key="retire"):
                _enter(row, ArticleState.ARCHIVED, "Archived.")
            if st.button("Back to draft", key="withdraw"):
                _enter(row, ArticleState.DRAFT, "It is a draft again.")


def _enter(row: Mapping[str, Any], state: ArticleState, words: str) -> None:
    perform(articles.update, row["id"], {"state": state.value}, base_version=row["version"], success=words)
    wrong = st.session_state.pop("_invalid", None)
    if wrong:  # the sentence of the field says more than that one is wrong
        st.session_state["_toasts"] = [("error", fmt.md(sentence)) for sentence in wrong.values()]
    st.rerun()


def review_button(where: Any, row: Mapping[str, Any]) -> None:
    """It was read again and is true."""
    with where.popover("Reviewed", icon=":material/task_alt:", key=f"review_{row['version']}"):
        st.markdown("I read it, and it is still true. Remind its owner again in:")
        again = st.segmented_control(
            "Again in", list(_AGAIN), default="6 months", required=True, key=f"again_{row['version']}", label_visibility="collapsed"
        )
        if st.button("It is still true", type="primary", key="reviewed"):
            days = _AGAIN[again or "6 months"]
            on = fmt.clock.today() + timedelta(days=days) if days else None
            perform(articles.reviewed, row["id"], again_on=on, base_version=row["version"], success="Noted: it is still true.")
            st.rerun()


def figures(found: Figures) -> None:
    """Whom it helped."""
    asked = found.helped + found.not_helped
    with st.grid(2, min_column_width=130):
        st.metric(
            "Tickets solved", fmt.written(found.solved), delta=f"of {fmt.written(found.used)} answered with it", delta_color="off", delta_arrow="off",
            border=True, height="stretch",
            help="Tickets whose answer held this article, and that were solved after it and not opened again. A ticket counts once.",
        )  # fmt: skip
        st.metric(
            "Readers helped", fmt.written(found.helped), delta=f"of {fmt.written(asked)} who answered", delta_color="off", delta_arrow="off", border=True,
            height="stretch", help="Answers to “Did this help?” on the public page, one per visitor",
        )  # fmt: skip


def where_it_stands(row: Mapping[str, Any], *, is_on: bool, heard_in: Sequence[str]) -> None:
    """Its public address, and the telephone menus that read it."""
    public = row["state"] is ArticleState.PUBLISHED
    if not public and not heard_in:
        return
    with st.container(border=True, gap="small"):
        st.markdown("**Where people find it**")
        if public and is_on:
            address = absolute(f"/help/{row['slug']}")
            st.code(address, language=None, wrap_lines=True)
            st.link_button("Open the public page", address, icon=":material/open_in_new:", type="tertiary")
        elif public:
            st.caption("Agents find it on tickets. The public help centre is switched off.")
        for name in heard_in:
            if public:
                st.markdown(f":material/call: The telephone menu **{fmt.md(name)}** reads it aloud")
            else:
                st.warning(
                    fmt.md(f"The telephone menu “{name}” wants to read it: callers go to an agent instead."), icon=":material/call:"
                )


def products_card(actor: Actor, article_id: int, chosen: Mapping[int, str], *, may_edit: bool) -> None:
    """The products that it is about."""
    may_edit = may_edit and actor.can("product", Action.READ)
    if not chosen and not may_edit:
        return
    with st.container(border=True, gap="small", key="article_products"):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            st.markdown("**Products**", width="content")
            if may_edit and st.button("Change", icon=":material/edit:", type="tertiary", key="products_edit"):
                _forget_products()
                _products_dialog(article_id, dict(chosen))
        if not chosen:
            st.caption("About no product in particular.")
        page = page_of(actor, "product")
        for product_id, name in chosen.items():
            if page is not None:  # who sees names of products has their page
                st.page_link(page, label=fmt.md(name), query_params={"id": str(product_id)})


def articles_about(actor: Actor, product_id: int) -> None:
    """The published articles about a product; nothing where there are none."""
    page, found = page_of(actor, "article"), load(article_finding.of_product, product_id)
    if page is None or not found:
        return
    with st.container(border=True, gap="small", key="articles_about"):
        st.markdown("**Help articles**")
        for article_id, title in found:
            st.page_link(page, label=fmt.md(title), query_params={"id": str(article_id)})


def _forget_products() -> None:
    """What was picked in a dialog that was closed without saving is gone."""
    st.session_state.pop("_products", None)


@st.dialog("Products of this article", width="medium", icon=":material/inventory_2:", on_dismiss=_forget_products)
def _products_dialog(article_id: int, chosen: dict[int, str]) -> None:
    query = st.text_input("Find a product", key="article_product_q", placeholder="Name or number", live=True)
    known = {**chosen, **load(lists.choices, "product", query or "", limit=30)}
    opened = st.session_state.setdefault("_products", {"id": uuid4().hex[:8], "began": list(chosen), "kept": dict(chosen)})
    kept = opened["kept"]
    options = {**kept, **known}
    picked = st.multiselect(
        "Products", list(options), default=list(kept), format_func=lambda one: options[one], key=f"article_products_{opened['id']}_{len(options)}_{query}"
    )  # fmt: skip
    opened["kept"] = {one: options[one] for one in picked}
    if st.button("Save", type="primary", key="products_save"):
        if perform(articles.set_products, article_id, picked, began_with=opened["began"], success="Products saved.") is not None:
            _forget_products()
            st.rerun()
        show_refusal()


@st.dialog("Public help centre", width="medium", icon=":material/public:")
def centre_dialog(actor: Actor, centre: Centre) -> None:
    """Whether customers can read the published articles by themselves, and how that page looks."""
    tag, may = str(centre.version), actor.can("help_centre", Action.MANAGE)
    st.markdown("Customers search and read the published articles by themselves, without an account. Drafts stay here.")
    is_on = st.toggle("The help centre is public", value=centre.is_on, key=f"hc_on_{tag}", disabled=not may)
    if is_on or centre.is_on:
        st.code(absolute("/help"), language=None, wrap_lines=True)
    title = st.text_input("Heading", value=centre.title, max_chars=120, key=f"hc_title_{tag}", disabled=not may)
    intro = st.text_area(
        "A sentence below it", value=centre.intro, max_chars=500, height=80, key=f"hc_intro_{tag}", disabled=not may
    )
    form_id = centre.form_id
    if may:
        form_id = _form(load(help_centre.forms), centre.form_id, tag)
    indexed = st.toggle(
        "Search engines may list it", value=centre.indexed, key=f"hc_index_{tag}", disabled=not may,
        help="Off: people come by your links only",
    )  # fmt: skip
    if not may:
        st.caption("Managers and administrators can change this.")
        return
    if centre.is_on and not is_on:
        st.warning("Links to articles in mails that were sent stop working.", icon=":material/link_off:")
    question = f"centre_{tag}"
    with st.container(horizontal=True, vertical_alignment="center"):
        pressed = st.button("Save", type="primary", key="hc_save", disabled=clashing(question))
        if centre.is_on:
            st.link_button("Open it", absolute("/help"), icon=":material/open_in_new:", type="tertiary")
    mine = {"is_on": is_on, "title": title, "intro": intro, "indexed": indexed, "form_id": form_id}
    if save_parts(question, pressed, seen=centre, mine=mine, parts=_centre_parts(), values_of=columns_of(mine), save=_save_centre):
        st.rerun()
    show_refusal()


def _centre_parts() -> dict[str, Part]:
    return {
        "is_on": Part("The help centre is public"), "title": Part("Heading"), "intro": Part("A sentence below it"),
        "indexed": Part("Search engines may list it"), "form_id": Part("Form for those whom nothing helped", named(load(help_centre.forms), "None")),
    }  # fmt: skip


def _save_centre(values: Mapping[str, Any], base: Centre) -> Any:
    said = "The help centre is public." if values["is_on"] else "Saved. The help centre is off."
    return perform(help_centre.save, values, base_version=base.version, success=said)


def _form(forms: Mapping[int, str], value: int | None, tag: str) -> int | None:
    ids = list(forms)
    return st.selectbox(
        "Form for those whom nothing helped", ids, index=ids.index(value) if value in ids else None,
        format_func=lambda one: forms[one], placeholder="None" if ids else "No lead form takes anything in yet", key=f"hc_form_{tag}",
        help="A lead form of Marketing; its link stands below each article",
    )  # fmt: skip
