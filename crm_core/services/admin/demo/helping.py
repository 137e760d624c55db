"""Help articles of the demo company: what its agents wrote down, in which answers it stands, and what readers said of it."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
from sqlalchemy import insert
from sqlmodel import Session, col, select

from crm_core import search
from crm_core.kit import clock
from crm_core.models import (
    Article,
    ArticleProduct,
    ArticleUse,
    ArticleVote,
    HelpCentre,
    Product,
    Ticket,
    TicketMessage,
)
from crm_core.services.admin.demo.draft import Draft
from crm_core.services.admin.demo.staff import with_role
from crm_core.services.admin.demo.words import words
from crm_core.services.helpdesk import article_rules
from crm_core.vocabulary import ArticleState, HelpLanguage, MessageDirection

AGENTS, RETIRED_DAYS = 3, 330
MOST = 120
"""Answers per article that hold it."""


def draft_events(draft: Draft) -> None:
    """When the articles were written, published and archived, for the log in its order of time."""
    agents = [int(one) for one in draft.known["agents"][:AGENTS]]
    for n, one in enumerate(words("articles")["articles"]):
        state = one.get("state", "published")
        days = {"article.created": one["age"], **({"article.published": one["age"] - 1} if state != "draft" else {})}
        for kind, ago in {**days, **({"article.retired": RETIRED_DAYS} if state == "archived" else {})}.items():
            at = np.array([draft.instant - np.timedelta64(ago, "D")])
            draft.happened(kind, "article", np.array([n + 1]), at, actor_id=np.array([agents[n % len(agents)]]))


def add(session: Session, seed: int, timezone: str) -> int:
    """Write the articles and switch the help centre on; gives how many there are."""
    rng, now, today = np.random.default_rng([seed, 78]), clock.utcnow(), clock.today(timezone)
    spec, agents = words("articles"), with_role(session, "support_agent", AGENTS)
    made = [_article(one, agents[n % len(agents)] if agents else None, now, today) for n, one in enumerate(spec["articles"])]
    session.add_all(made)
    session.flush()
    search.index_many(session, "article", made)
    for article, one in zip(made, spec["articles"], strict=True):
        _products(session, article, one.get("products", ()))
        _uses(session, article, one.get("answers", ()), now)
        _votes(session, article, one, rng, now)
    session.add(HelpCentre(is_on=True, **spec["centre"]))
    session.flush()
    return len(made)


def _article(one: Mapping[str, Any], owner_id: int | None, now: datetime, today: date) -> Article:
    state, written = ArticleState(one.get("state", "published")), now - timedelta(days=one["age"])
    return Article(
        title=one["title"], summary=one["summary"] or None, body=one["body"], category=one["category"], state=state,
        language=HelpLanguage(one.get("language", "en")), owner_id=owner_id, slug=article_rules.slug_of(one["title"]),
        reviewed_on=today - timedelta(days=one["reviewed"]) if "reviewed" in one else None,
        review_by=today + timedelta(days=one["review_in"]) if "review_in" in one else None,
        published_at=None if state is ArticleState.DRAFT else written + timedelta(days=1), created_at=written,
        updated_at=now - timedelta(days=one.get("reviewed", one["age"])),
    )  # fmt: skip


def _products(session: Session, article: Article, names: Any) -> None:
    ids = session.exec(select(Product.id).where(col(Product.name).in_(list(names))).order_by(col(Product.id)))
    session.add_all(ArticleProduct(article_id=article.id, product_id=one) for one in ids)


def _uses(session: Session, article: Article, answers: Any, now: datetime) -> None:
    """The article stands in the answers that say its words. A ticket that was opened again later counts as used, not as solved."""
    query = (
        select(TicketMessage.id, TicketMessage.at, TicketMessage.author_id)
        .join(Ticket, col(Ticket.id) == TicketMessage.ticket_id)
        .where(
            TicketMessage.direction == MessageDirection.OUTBOUND,
            col(TicketMessage.body).in_(list(answers)),
            TicketMessage.at > max(now - timedelta(days=365), article.created_at),
        )
        .order_by(col(TicketMessage.at).desc(), col(TicketMessage.id))
        .limit(MOST)
    )
    for message_id, at, author_id in session.exec(query).all() if answers else ():
        session.add(
            ArticleUse(article_id=article.id, message_id=message_id, user_id=author_id, at=at, created_at=at, updated_at=at)
        )


def _votes(session: Session, article: Article, one: Mapping[str, Any], rng: np.random.Generator, now: datetime) -> None:
    said = rng.random(one.get("votes", 0)) < one.get("helped", 0)
    days = rng.integers(1, max(2, one["age"]), len(said))
    rows = [
        {
            "article_id": article.id, "visitor_hash": f"demo-{article.id}-{n}", "source_hash": "demo", "helped": bool(helped),
            "created_at": (at := now - timedelta(days=int(days[n]))), "updated_at": at, "version": 1,
        }
        for n, helped in enumerate(said)
    ]  # fmt: skip
    if rows:
        session.execute(insert(ArticleVote), rows)
