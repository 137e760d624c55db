"""Help articles as a list: for agents, to find what is written down and to write it down once; for whoever runs the team, to see what is due to be read again."""

from crm_core.services.helpdesk import article_uses, help_centre
from crm_core.vocabulary import Action, ArticleState
from ui import format as fmt
from ui.actions import load
from ui.components.article_cards import centre_dialog
from ui.components.header import header
from ui.components.nothing_yet import nothing_yet
from ui.components.record_list import Extra, Quick, record_list
from ui.components.record_page import new_dialog
from ui.session import current_actor

NEW_FIELDS = ("title", "summary", "body", "category", "language")
MORE_FIELDS = ("owner_id", "review_by")
DUE = "due"


def new_article() -> None:
    new_dialog("article", NEW_FIELDS, more=MORE_FIELDS)


def empty() -> None:
    words = "Write an answer down once: agents insert it into their replies, callers hear it, and customers can read it themselves"
    nothing_yet(actor, "article", words, new_article)


def helped(ids: list[int]) -> dict[int, str]:
    """What each article did for people: tickets solved with it, readers whom it helped."""
    found = load(article_uses.figures, ids)
    return {key: words(found[key]) if key in found else "" for key in ids}


def words(figures: article_uses.Figures) -> str:
    parts = [fmt.plural(figures.solved, "ticket") if figures.used else ""]
    parts.append(fmt.plural(figures.helped, "reader") if figures.helped + figures.not_helped else "")
    return " · ".join(part for part in parts if part)


actor = current_actor()
actions = header("Help articles", "Answers that are written down once, for replies, for callers and for the public help centre")
if actor.can("help_centre", Action.READ):
    centre = load(help_centre.get)
    label = "Help centre is on" if centre.is_on else "Help centre"
    if actions.button(label, icon=":material/public:", key="help_centre"):
        centre_dialog(actor, centre)
if actor.can("article", Action.CREATE) and actions.button(
    "New article", type="primary", icon=":material/add:", shortcut="n", key="new_article"
):
    new_article()

due = {
    "op": "and",
    "items": [
        {"field": "state", "cmp": "eq", "value": ArticleState.PUBLISHED.value},
        {"field": "review_by", "cmp": "le", "value": fmt.clock.today(actor.timezone).isoformat()},
    ],
}
states = {one.value: {"field": "state", "cmp": "eq", "value": one.value} for one in ArticleState}
record_list(
    "article",
    quick=Quick("state", "State", {**ArticleState.options(), DUE: "Review due"}, asts={**states, DUE: due}),
    extra=Extra("Solved it", helped),
    on_empty=empty,
)
