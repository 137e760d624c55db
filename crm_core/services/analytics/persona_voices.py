"""What the people behind a persona say, complain about and buy: read when somebody looks, as they see it; never kept in the run and never shared."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from random import Random
from typing import Any

from sqlalchemy import bindparam, func, select
from sqlmodel import Session

from crm_core import db
from crm_core.access import Actor, require, visible
from crm_core.entities import entity
from crm_core.kit import clock
from crm_core.models import OrderLine, SurveyAnswer, SurveyInvitation, TicketMessage
from crm_core.services.analytics import runs, segmentation_rows, voice_rules
from crm_core.services.analytics.voice_rules import Known, Quote, Said
from crm_core.vocabulary import SOLD, Action, MessageDirection

_ANSWERS: Any = SurveyAnswer.__table__  # type: ignore[attr-defined]
_INVITATIONS: Any = SurveyInvitation.__table__  # type: ignore[attr-defined]
_MESSAGES: Any = TicketMessage.__table__  # type: ignore[attr-defined]
_LINES: Any = OrderLine.__table__  # type: ignore[attr-defined]
PART = 5_000
DRAWN = 1_000
"""Of each persona so many customers are looked at: a share is then within three percentage points, however many they are."""
CANDIDATES = 200
"""How many of the latest words of each kind are weighed."""
MONTHS = 12
FEWEST = 5
"""Customers with something in common below which it is not said."""


@dataclass(frozen=True)
class Share:
    """Something, of how many of the drawn customers of the persona it is true, their share, and the share among all customers of the run."""

    name: str
    count: int
    share: float
    of_all: float


@dataclass(frozen=True)
class Voice:
    """What a persona says, complains about (categories of tickets) and buys most, of the last twelve months."""

    quotes: tuple[Quote, ...] = ()
    complaints: tuple[Share, ...] = ()
    products: tuple[Share, ...] = ()


def of_run(session: Session, actor: Actor, run_id: int) -> dict[int, Voice]:
    """Persona → words, complaints and products of its customers (of ``DRAWN`` drawn at random, the same ones each time), as far as the actor may see
    them. Addresses, numbers, and the names that anybody here has are left out."""
    run = runs.get(session, actor, run_id, "personas")
    customer = str(run.params["customer"])
    require(actor, customer, Action.READ)
    since = clock.utcnow() - timedelta(days=round(MONTHS * 30.44))
    found = segmentation_rows.of_personas(session, actor, run_id)
    sizes = {persona: len(ids) for persona, ids in found.items()}
    drawn = {persona: sorted(Random(run_id).sample(sorted(ids), min(DRAWN, len(ids)))) for persona, ids in found.items()}
    complaints = _shares(session, _complaints(actor, customer, since), drawn, sizes)
    products = _shares(session, _products(actor, customer, since), drawn, sizes)
    said = {persona: _said(session, actor, customer, ids, since) for persona, ids in drawn.items()}
    return {
        persona: Voice(
            tuple(voice_rules.chosen(said[persona], others=_everybody(session)) if said[persona] else ()),
            complaints[persona],
            products[persona],
        )
        for persona in drawn
    }


def _everybody(session: Session) -> Known:
    """The names of all contacts, leads, colleagues and companies, whoever may see them: nothing of them leaves this, texts lose them."""
    people, companies = ("contact", "lead", "user"), (("account", "name"), ("lead", "company"))

    def read() -> Known:
        names = [session.execute(select(entity(key).table.c.name).distinct()).scalars() for key in people]
        firms = [
            session.execute(select(entity(key).table.c[name]).where(entity(key).table.c[name].is_not(None)).distinct()).scalars()
            for key, name in companies
        ]
        return voice_rules.known(chain.from_iterable(names), chain.from_iterable(firms))

    return db.shared(session, "known_names", ("contact", "lead", "app_user", "account"), read)


def _parts(ids: Sequence[int]) -> Iterator[Any]:
    """Numbers as they are written into a statement, some thousand at a time."""
    for at in range(0, len(ids), PART):
        yield bindparam(None, list(ids[at : at + PART]), expanding=True, literal_execute=True)


# --- words ------------------------------------------------------------------------------------------------------------------


def _said(session: Session, actor: Actor, customer: str, ids: Sequence[int], since: datetime) -> list[Said]:
    """The latest words of these customers; nothing where the actor may not read whom or what they are about."""
    if not actor.can("contact", Action.READ):
        return []
    found: list[Said] = []
    for part in _parts(ids):
        found += [*_answers(session, actor, customer, part, since), *_letters(session, actor, customer, part, since)]
    return found


def _named(customer: str) -> tuple[Any, Any, list[Any]]:
    people, companies = entity("contact").table, entity("account").table
    return people, companies, [people.c.id.label("contact_id"), people.c.name.label("person"), companies.c.name.label("company")]


def _answers(session: Session, actor: Actor, customer: str, ids: Any, since: datetime) -> list[Said]:
    if not actor.can("survey", Action.READ):
        return []
    people, companies, names = _named(customer)
    whose = people.c.id if customer == "contact" else people.c.account_id
    query = (
        select(_ANSWERS.c.id, _ANSWERS.c.at, _ANSWERS.c.comment.label("text"), *names)
        .join(_INVITATIONS, _INVITATIONS.c.id == _ANSWERS.c.invitation_id)
        .join(people, people.c.id == _INVITATIONS.c.contact_id)
        .outerjoin(companies, companies.c.id == people.c.account_id)
        .where(whose.in_(ids), _ANSWERS.c.comment != "", _ANSWERS.c.at >= since, visible(actor, "contact", people))
    )
    rows = session.execute(query.order_by(_ANSWERS.c.at.desc(), _ANSWERS.c.id).limit(CANDIDATES))
    return [_as_said(row, "survey") for row in rows]


def _letters(session: Session, actor: Actor, customer: str, ids: Any, since: datetime) -> list[Said]:
    if not actor.can("ticket", Action.READ):
        return []
    people, companies, names = _named(customer)
    ticket = entity("ticket").table
    query = (
        select(_MESSAGES.c.id, _MESSAGES.c.at, _MESSAGES.c.body.label("text"), *names)
        .join(ticket, ticket.c.id == _MESSAGES.c.ticket_id)
        .join(people, people.c.id == ticket.c.contact_id)
        .outerjoin(companies, companies.c.id == people.c.account_id)
        .where(
            ticket.c[f"{customer}_id"].in_(ids), _MESSAGES.c.direction == MessageDirection.INBOUND, _MESSAGES.c.at >= since,
            visible(actor, "ticket", ticket), visible(actor, "contact", people),
        )
    )  # fmt: skip
    rows = session.execute(query.order_by(_MESSAGES.c.at.desc(), _MESSAGES.c.id).limit(CANDIDATES))
    return [_as_said(row, "ticket") for row in rows]


def _as_said(row: Any, source: str) -> Said:
    return Said(row.contact_id, row.text, source, row.at, row.id, tuple(name for name in (row.person, row.company) if name))


# --- figures ----------------------------------------------------------------------------------------------------------------


Asked = Callable[[Any], Any]
"""Customers → SQL: something, and of how many of them it is true."""


def _complaints(actor: Actor, customer: str, since: datetime) -> Asked | None:
    """Categories of tickets, by customers who wrote about them; None where the actor may not know."""
    if not actor.can("ticket", Action.READ) or actor.masked("ticket", "category"):
        return None
    ticket = entity("ticket").table
    who = ticket.c[f"{customer}_id"]

    def query(part: Any) -> Any:
        seen = (who.in_(part), ticket.c.opened_at >= since, ticket.c.category.is_not(None), visible(actor, "ticket", ticket))
        return select(ticket.c.category, func.count(who.distinct())).where(*seen).group_by(ticket.c.category)

    return query


def _products(actor: Actor, customer: str, since: datetime) -> Asked | None:
    """Products, by customers who bought them; None where the actor may not know."""
    if not (actor.can("order", Action.READ) and actor.can("product", Action.READ)):
        return None
    order, product = entity("order").table, entity("product").table
    who = order.c[f"{customer}_id"]

    def query(part: Any) -> Any:
        seen = (who.in_(part), order.c.ordered_at >= since, order.c.status.in_(SOLD), visible(actor, "order", order))
        found = select(product.c.name, func.count(who.distinct())).join(_LINES, _LINES.c.product_id == product.c.id)
        return found.join(order, order.c.id == _LINES.c.order_id).where(*seen).group_by(product.c.id, product.c.name)

    return query


def _shares(
    session: Session, asked: Asked | None, drawn: Mapping[int, Sequence[int]], sizes: Mapping[int, int]
) -> dict[int, tuple[Share, ...]]:
    """Persona → the three that most of it have, each beside its share among all: the personas' shares, weighed by their sizes."""
    if asked is None:
        return dict.fromkeys(drawn, ())
    counts = {persona: _counted(session, asked, ids) for persona, ids in drawn.items()}

    def share(persona: int, name: str) -> float:
        return counts[persona].get(name, 0) / len(drawn[persona])

    def of_all(name: str) -> float:
        return sum(sizes[one] * share(one, name) for one in drawn) / sum(sizes.values())

    found: dict[int, tuple[Share, ...]] = {}
    for persona, mine in counts.items():
        top = sorted((name for name in mine if mine[name] >= FEWEST), key=lambda name: (-mine[name], name))[:3]
        found[persona] = tuple(Share(name, mine[name], share(persona, name), of_all(name)) for name in top)
    return found


def _counted(session: Session, asked: Asked, ids: Sequence[int]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for part in _parts(ids):
        for name, many in session.execute(asked(part)):
            counts[str(name)] = counts.get(str(name), 0) + int(many)
    return counts
