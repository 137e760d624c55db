"""One help article: for whoever reads it to a customer, and for whoever keeps it true."""

from datetime import date

import streamlit as st

from crm_core.services.helpdesk import article_uses, articles, help_centre
from crm_core.services.telephony import menus
from crm_core.vocabulary import Action, ArticleState
from ui import format as fmt
from ui.actions import load
from ui.components.activity_feed import feed
from ui.components.article_cards import article_text, figures, products_card, review_button, state_buttons, where_it_stands
from ui.components.facts import facts
from ui.components.files import files
from ui.components.header import header
from ui.components.record_page import delete_dialog, edit_dialog, facts_of, id_from_url
from ui.navigation import page_of
from ui.session import current_actor
from ui.tones import TONES

ABOUT = ("category", "language", "owner_id", "review_by", "reviewed_on", "published_at")
FIELDS = ("title", "summary", "body", "category", "language", "owner_id", "review_by")

actor = current_actor()
article_id = id_from_url()
specs, row = load(facts_of, "article", article_id)
heard_in = load(menus.reading, article_id)
may_edit = actor.can("article", Action.EDIT)
state = row["state"]

badges = [(state.label, TONES[state])]
review_by = row["review_by"] if isinstance(row["review_by"], date) else None  # a role may hide it
if state is ArticleState.PUBLISHED and review_by is not None and review_by <= fmt.clock.today(actor.timezone):
    badges.append(("Review due", "red"))
caption = " · ".join(part for part in (row["category"], f"Owned by {row.get('owner_id.title') or 'nobody'}") if part)
actions = header(row["title"], caption, badges=badges, back=("Help articles", page_of(actor, "articles")))
if may_edit:
    state_buttons(actions, row, heard_in)
    if state is ArticleState.PUBLISHED:
        review_button(actions, row)
    if actions.button("Edit", icon=":material/edit:", key="edit", shortcut="e"):
        edit_dialog("article", article_id, (*FIELDS, *(key for key in specs if specs[key].custom)))
if actor.can("article", Action.DELETE) and actions.button(
    icon=":material/delete:", key="delete", **fmt.icon_only("Delete this article")
):
    delete_dialog("article", article_id, row["version"], row["title"], "articles")

left, right = st.columns([7, 4], gap="medium")
with left:
    article_text(row)
    with st.expander("What happened"):
        feed("article", article_id)
with right:
    figures(load(article_uses.figures, [article_id]).get(article_id, article_uses.Figures()))
    where_it_stands(row, is_on=load(help_centre.is_on), heard_in=heard_in)
    products_card(actor, article_id, load(articles.products_of, article_id), may_edit=may_edit)
    facts(actor, "About", specs, row, (*ABOUT, *(key for key in specs if specs[key].custom)))
    files("article", article_id)
