"""Help articles as they are found: by a ticket, by words, by a product, and by the telephone that reads them aloud. Published ones only."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import select as pick
from sqlmodel import Session, col, select

from crm_core import db, lists, persons, records
from crm_core.access import Actor, require, visible
from crm_core.entities import entity
from crm_core.kit import markdown
from crm_core.models import Article, ArticleProduct, TicketMessage
from crm_core.ordering import alphabetical
from crm_core.services.helpdesk import article_rules, tickets
from crm_core.services.helpdesk.article_rules import Doc, Index
from crm_core.services.helpdesk.articles import public_clause
from crm_core.vocabulary import Action, ArticleState, HelpLanguage, MessageDirection

MAX_QUERY = 200
_WORDY = ("title", "summary", "body")


@dataclass(frozen=True)
class Found:
    """A published article as an agent picks it."""

    id: int
    title: str
    summary: str
    slug: str
    category: str
    language: HelpLanguage


def suggest(session: Session, actor: Actor, ticket_id: int) -> list[Found]:
    """Published articles that fit a ticket: by the words of its subject and of what the customer wrote, its product and its category."""
    ticket = tickets.get(session, actor, ticket_id)
    if not actor.can("article", Action.READ):
        return []
    query = select(TicketMessage.body).where(
        TicketMessage.ticket_id == ticket_id, TicketMessage.direction == MessageDirection.INBOUND
    )
    said = session.exec(query.order_by(col(TicketMessage.id).desc()).limit(2)).all()
    wanted = " ".join([ticket.subject, *said])[:4_000]
    ranked = index(session, _hidden(actor)).rank(wanted, category=ticket.category or "", product_id=ticket.product_id, near=0.4)
    return _found(session, actor, ranked, article_rules.SUGGESTED)


def search(session: Session, actor: Actor, query: str, *, limit: int = 8) -> list[Found]:
    """Published articles that have words of a query, the best first; without words the newest."""
    require(actor, "article", Action.READ)
    known = index(session, _hidden(actor))
    ranked = known.rank(query[:MAX_QUERY], near=0.25) if query.strip() else sorted(known.docs, reverse=True)
    return _found(session, actor, ranked, limit)


def _found(session: Session, actor: Actor, ranked: Sequence[int], limit: int) -> list[Found]:
    table = entity("article").table
    if not ranked:
        return []
    names = ("id", "title", "summary", "slug", "category", "language")
    query = pick(*(table.c[name] for name in names)).where(table.c.id.in_(ranked[: 10 * limit]), visible(actor, "article", table))
    rows = {row.id: row for row in session.execute(query)}
    best = [rows[key] for key in ranked if key in rows][:limit]
    hidden = {name for name in names if actor.masked("article", name)}
    return [
        Found(
            row.id, _title(actor, row), "" if "summary" in hidden else row.summary or "", row.slug,
            "" if "category" in hidden else row.category or "", HelpLanguage(row.language),
        )
        for row in best
    ]  # fmt: skip


def _hidden(actor: Actor) -> tuple[str, ...]:
    """The fields whose words decide nothing for somebody who may not read them."""
    return tuple(name for name in _WORDY if actor.masked("article", name))


def index(session: Session, hidden: tuple[str, ...] = ()) -> Index:
    """The words of all published articles, without those of hidden fields. Kept for all readers until an article changes.

    A full-text query finds records that hold every word; a ticket shares some words with an article, never all, and its frequent words stand in
    a hundred thousand other records of the same index. So the few articles are weighed here.
    """
    return db.shared(session, ("articles.index", hidden), ("article", "article_product"), lambda: Index(_docs(session, hidden)))


_Read = dict[tuple[int, int, datetime], Mapping[str, int]]
_READ: WeakKeyDictionary[Any, dict[tuple[str, ...], _Read]] = WeakKeyDictionary()
"""The words of each version of an article: after a change only what changed is read again."""


def _docs(session: Session, hidden: tuple[str, ...]) -> list[Doc]:
    products: dict[int, set[int]] = {}
    for article_id, product_id in session.exec(select(ArticleProduct.article_id, ArticleProduct.product_id)):
        products.setdefault(article_id, set()).add(product_id)
    columns = entity("article").table.c
    query = pick(columns.id, columns.version, columns.updated_at, columns.category).where(*public_clause()).order_by(columns.id)
    rows = {(int(row.id), int(row.version), row.updated_at): row.category or "" for row in session.execute(query)}
    kept = _READ.setdefault(session.get_bind().engine, {})
    before = kept.get(hidden, {})
    fresh = _weights(session, [key[0] for key in rows if key not in before], hidden)
    read = kept[hidden] = {key: before[key] if key in before else fresh.get(key[0], {}) for key in rows}
    return [Doc(key[0], read[key], category, frozenset(products.get(key[0], ()))) for key, category in rows.items()]


def _weights(session: Session, ids: Sequence[int], hidden: tuple[str, ...]) -> dict[int, Mapping[str, int]]:
    columns, found = entity("article").table.c, dict[int, Mapping[str, int]]()
    for at in range(0, len(ids), 500):
        query = pick(columns.id, *(columns[name] for name in _WORDY)).where(columns.id.in_(ids[at : at + 500]))
        for row in session.execute(query).mappings():
            found[int(row["id"])] = article_rules.weights_of(*("" if name in hidden else row[name] or "" for name in _WORDY))
    return found


# --- by their titles ---------------------------------------------------------------------------------------------------------


def published(session: Session, actor: Actor, *only: Any) -> dict[int, str]:
    """Id and title of the published articles that the actor may see, by title, to choose from. ``only``: further conditions."""
    if not actor.can("article", Action.READ):
        return {}
    table = entity("article").table
    clause = (table.c.state == ArticleState.PUBLISHED, visible(actor, "article", table), *only)
    query = pick(table.c.id, table.c.title).where(*clause).order_by(_by_title(actor, table))
    return {int(row.id): _title(actor, row) for row in session.execute(query)}


def of_product(session: Session, actor: Actor, product_id: int) -> list[tuple[int, str]]:
    """The published articles about a product: (id, title)."""
    records.get(session, actor, "product", product_id)
    about = select(ArticleProduct.article_id).where(ArticleProduct.product_id == product_id)
    return list(published(session, actor, col(Article.id).in_(about)).items())


def _title(actor: Actor, row: Any) -> str:
    return persons.called(actor, "article", row.id, str(row.title))


def _by_title(actor: Actor, table: Any) -> Any:
    """Whoever may not read titles learns nothing of them by the order."""
    return table.c.id if actor.masked("article", "title") else alphabetical(table.c.title)


# --- aloud ------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Spoken:
    """A published article as a voice reads it."""

    title: str
    words: str
    language: HelpLanguage


def spoken(session: Session, ids: Iterable[int], reader: Actor | None = None) -> dict[int, Spoken]:
    """The short answers of these articles, as far as they are published at this moment. For telephone menus: callers are nobody here.
    ``reader``: somebody who sees on a screen what callers hear, without what their role hides."""
    wanted = [one for one in set(ids) if 0 < one < 2**31]
    if not wanted:
        return {}
    query = select(Article.id, Article.title, Article.summary, Article.language).where(
        col(Article.id).in_(wanted), *public_clause()
    )
    hidden = {name for name in _WORDY if reader is not None and reader.masked("article", name)}
    return {
        int(key): Spoken(
            persons.called(reader, "article", int(key), title) if reader is not None else title,
            lists.MASK if "summary" in hidden else markdown.aloud(words or ""),
            HelpLanguage(language),
        )
        for key, title, words, language in session.exec(query)
    }
