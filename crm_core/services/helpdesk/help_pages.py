"""The help centre as strangers see it: published articles and nothing else, and whether they helped."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from sqlalchemy import func, update
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from crm_core.errors import NotFound, TooMany
from crm_core.fields import registry
from crm_core.kit import markdown, secret
from crm_core.kit.clock import utcnow
from crm_core.kit.network import network_of
from crm_core.kit.text import clip, sort_key
from crm_core.models import Article, ArticleVote, HelpCentre, LeadForm
from crm_core.ordering import alphabetical
from crm_core.services.helpdesk import article_finding, articles, help_centre

PURPOSE = "help-votes"
CLOSED = "There is no help centre at this address."
MISSING = "There is no such article, or it is not published any more. Look for its words, or go through the list."
OTHER = "More"
MAX_QUERY = article_finding.MAX_QUERY
VOTES, VOTE_MINUTES = 20, 10
"""Answers to “Did this help?” that one network address may give within so many minutes."""


@dataclass(frozen=True)
class Centre:
    """What every public page shows. ``contact``: the address of the form for those whom nothing helped, "" without one."""

    title: str
    intro: str
    indexed: bool
    contact: str


@dataclass(frozen=True)
class Item:
    """An article in the list."""

    title: str
    summary: str
    slug: str
    language: str


@dataclass(frozen=True)
class Page:
    """An article as it is read. ``html`` is safe."""

    centre: Centre
    title: str
    summary: str
    html: str
    slug: str
    language: str
    category: str
    reviewed_on: date | None
    others: Sequence[Item] = field(default_factory=tuple)


def centre(session: Session) -> Centre:
    """The help centre; NotFound while it is switched off."""
    row = help_centre.known(session)
    if not row.is_on:
        raise NotFound(CLOSED)
    return Centre(row.title or help_centre.TITLE, row.intro, row.indexed, _contact(session, row))


def may_be_indexed(session: Session) -> bool:
    """Whether search engines are let in."""
    row = help_centre.known(session)
    return row.is_on and row.indexed


def _contact(session: Session, row: HelpCentre) -> str:
    form = session.get(LeadForm, row.form_id) if row.form_id else None
    return f"/f/{form.slug}" if form is not None and form.is_active else ""


def categories(session: Session) -> list[str]:
    """The categories that have published articles, in the order of the editable list."""
    found = session.exec(select(Article.category).where(*articles.public_clause()).distinct())
    return _in_order(session, found)


def _in_order(session: Session, names: Iterable[str | None]) -> list[str]:
    place = {value: n for n, value in enumerate(registry(session, "article")["category"].options or {})}
    return sorted({one for one in names if one}, key=lambda one: (place.get(one, len(place)), sort_key(one)))


def find(session: Session, query: str = "", category: str = "") -> dict[str, list[Item]]:
    """Category → its articles by title. With words: the best first, under one heading."""
    columns = (Article.id, Article.title, Article.summary, Article.slug, Article.language, Article.category)
    statement = select(*columns).where(*articles.public_clause()).order_by(alphabetical(Article.title))  # type: ignore[call-overload]
    if category:
        statement = statement.where(Article.category == category)
    rows = list(session.exec(statement))
    if query.strip():
        ranked = article_finding.index(session).rank(query[:MAX_QUERY], near=0.15)
        known = {row.id: row for row in rows}
        hits = [_item(known[key]) for key in ranked if key in known]
        return {"": hits} if hits else {}
    found: dict[str, list[Item]] = {}
    place = {value: n for n, value in enumerate(_in_order(session, (row.category for row in rows)))}
    for row in sorted(rows, key=lambda one: place.get(one.category, len(place))):
        found.setdefault(row.category or OTHER, []).append(_item(row))
    return {"": found[OTHER]} if list(found) == [OTHER] else found


def _item(row: Article) -> Item:
    return Item(row.title, clip(" ".join((row.summary or "").split()), 160), row.slug, row.language.value)


def article(session: Session, slug: str) -> Page:
    """A published article; NotFound for a draft, an archived or deleted one, and for an address that somebody guessed."""
    where = centre(session)
    row = _row(session, slug)
    others = select(Article).where(*articles.public_clause(), Article.category == row.category, Article.id != row.id)
    beside = list(session.exec(others.order_by(alphabetical(Article.title)).limit(5))) if row.category else []
    return Page(
        where, row.title, row.summary or "", markdown.safe_html(row.body or ""), row.slug, row.language.value, row.category or "", row.reviewed_on,
        [_item(one) for one in beside],
    )  # fmt: skip


def _row(session: Session, slug: str) -> Article:
    found = session.exec(select(Article).where(Article.slug == slug[:90], *articles.public_clause())).first()
    if found is None:
        raise NotFound(MISSING)
    return found


def vote(session: Session, slug: str, *, helped: bool, address: str, browser: str) -> None:
    """A reader says whether an article helped: one answer per visitor and article, the last one counts. Raises TooMany.

    No cookie is set and no address is kept: a visitor is a signature over the article, the network and the browser, which says nothing about
    what else was read; the signature over the network alone, which limits floods, goes after ten minutes.
    """
    centre(session)
    found = _row(session, slug)
    forget_places(session)
    place = network_of(address)
    source = secret.signature(PURPOSE, place)
    since = utcnow() - timedelta(minutes=VOTE_MINUTES)
    query = select(func.count()).where(ArticleVote.source_hash == source, col(ArticleVote.updated_at) >= since)
    if int(session.exec(query).one()) >= VOTES:
        raise TooMany("Many answers came from here within minutes. Please try again a little later.")
    visitor = secret.signature(PURPOSE, f"{found.id}\x00{place}\x00{browser[:300]}")
    known = session.exec(select(ArticleVote).where(ArticleVote.article_id == found.id, ArticleVote.visitor_hash == visitor)).first()
    if known is not None:
        known.helped, known.source_hash = helped, source
        session.add(known)
        return
    try:
        with session.begin_nested():
            session.add(ArticleVote(article_id=found.id, visitor_hash=visitor, source_hash=source, helped=helped))
            session.flush()
    except IntegrityError:  # the same click twice at the same instant
        return


def forget_places(session: Session) -> None:
    """Once nobody counts them any more, answers don't say that they came from one place."""
    votes: Any = ArticleVote.__table__  # type: ignore[attr-defined]
    old = votes.c.updated_at < utcnow() - timedelta(minutes=VOTE_MINUTES)
    session.execute(update(votes).where(votes.c.source_hash != "", old).values(source_hash="", updated_at=votes.c.updated_at))
