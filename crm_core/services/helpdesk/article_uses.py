"""Whom an article helped: tickets that were solved with it, and readers who said so. Both are counted from rows, at the moment of reading."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import case, func, select, update
from sqlmodel import Session

from crm_core import db
from crm_core.access import Actor, visible
from crm_core.entities import entity
from crm_core.models import Article, ArticleUse, ArticleVote, Ticket, TicketMessage
from crm_core.services.helpdesk import article_rules
from crm_core.services.helpdesk.articles import public_clause
from crm_core.services.helpdesk.ticket_rules import DONE
from crm_core.settings import settings

_ARTICLES: Any = Article.__table__  # type: ignore[attr-defined]
_USES: Any = ArticleUse.__table__  # type: ignore[attr-defined]
_VOTES: Any = ArticleVote.__table__  # type: ignore[attr-defined]
_TICKETS: Any = Ticket.__table__  # type: ignore[attr-defined]
_MESSAGES: Any = TicketMessage.__table__  # type: ignore[attr-defined]
MOST_IN_AN_ANSWER = 10


@dataclass(frozen=True)
class Figures:
    """``used``: tickets that were answered with the article; ``solved``: those of them that were solved after it and not opened again;
    ``helped`` and ``not_helped``: readers of the public page."""

    used: int = 0
    solved: int = 0
    helped: int = 0
    not_helped: int = 0


def note(session: Session, actor: Actor, ticket: Ticket, message: TicketMessage, articles: Sequence[int] = ()) -> None:
    """Note which published articles an answer holds: by a link to them here, or, of those that were put in (``articles``), by any link to them
    or a sentence of their short answer. The verb that answers has asked."""
    linked = article_rules.addresses_in(message.body, urlsplit(settings().base_url()).netloc)[:MOST_IN_AN_ANSWER]
    given = [one for one in articles if isinstance(one, int) and 0 < one < 2**31][:MOST_IN_AN_ANSWER]
    if not linked and not given:
        return
    anywhere = article_rules.addresses_in(message.body, "*") if given else []
    query = select(_ARTICLES.c.id, _ARTICLES.c.slug, _ARTICLES.c.summary).where(
        _ARTICLES.c.slug.in_(linked) | _ARTICLES.c.id.in_(given), *public_clause()
    )
    for row in session.execute(query).all():
        if row.slug in linked or row.slug in anywhere or article_rules.still_says(message.body, row.summary or ""):
            session.add(
                ArticleUse(
                    article_id=row.id,
                    message_id=message.id,
                    user_id=actor.user_id,
                    reopened_count=ticket.reopened_count,
                    at=message.at,
                )
            )
    session.flush()


def noted(session: Session, message_id: int) -> tuple[int, ...]:
    """The articles that an answer holds."""
    query = select(_USES.c.article_id).where(_USES.c.message_id == message_id).order_by(_USES.c.id)
    return tuple(session.execute(query).scalars())


def moved(session: Session, message_ids: Sequence[int], ticket: Ticket) -> dict[str, int]:
    """These answers belong to a ticket from now on: whether it is opened again counts from here. Gives what stood there, for ``moved_back``."""
    query = select(_USES.c.id, _USES.c.reopened_count).where(_USES.c.message_id.in_(list(message_ids)))
    before = {str(key): int(count) for key, count in session.execute(query)}
    moved_back(session, dict.fromkeys(before, ticket.reopened_count))
    return before


def moved_back(session: Session, counts: Mapping[str, int]) -> None:
    """Put back how often the ticket had been opened again: id of the use → count."""
    for key, count in counts.items():
        session.execute(update(_USES).where(_USES.c.id == int(key)).values(reopened_count=int(count)))
    if counts:
        db.bump(session, _USES.name)


def figures(session: Session, actor: Actor, ids: Iterable[int]) -> dict[int, Figures]:
    """The figures of these articles, as far as the actor may see them. They count all tickets, also those that the actor can't open."""
    table = entity("article").table
    shown = select(table.c.id).where(table.c.id.in_(list(ids)), visible(actor, "article", table))
    known = list(session.execute(shown).scalars())
    if not known:
        return {}
    tickets, votes = _tickets(session, known), _votes(session, known)
    return {key: Figures(*tickets.get(key, (0, 0)), *votes.get(key, (0, 0))) for key in known}


def _tickets(session: Session, ids: list[int]) -> dict[int, tuple[int, int]]:
    """Article → (tickets answered with it, of those solved with it). A ticket counts once, whatever was written on it how often: solved when it is
    done now, was solved after the answer, and was not opened again since."""
    done = (
        _TICKETS.c.status.in_(DONE) & (_TICKETS.c.solved_at >= _USES.c.at) & (_TICKETS.c.reopened_count == _USES.c.reopened_count)
    )
    solved = case((done, _TICKETS.c.id))
    query = (
        select(_USES.c.article_id, func.count(_TICKETS.c.id.distinct()), func.count(solved.distinct()))
        .join(_MESSAGES, _MESSAGES.c.id == _USES.c.message_id)
        .join(_TICKETS, _TICKETS.c.id == _MESSAGES.c.ticket_id)
        .where(_USES.c.article_id.in_(ids), _TICKETS.c.deleted_at.is_(None))
        .group_by(_USES.c.article_id)
    )
    return {int(key): (int(used), int(solved)) for key, used, solved in session.execute(query)}


def _votes(session: Session, ids: list[int]) -> dict[int, tuple[int, int]]:
    yes = func.sum(case((_VOTES.c.helped, 1), else_=0))
    query = select(_VOTES.c.article_id, yes, func.count()).where(_VOTES.c.article_id.in_(ids)).group_by(_VOTES.c.article_id)
    return {int(key): (int(helped), int(total) - int(helped)) for key, helped, total in session.execute(query)}
