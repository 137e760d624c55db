"""The one inbox: everything that came in and waits for an answer or a place, over all channels, for whoever may work on it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, func, select, true, union_all
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session

from crm_core import db, lists, persons
from crm_core.access import Actor, require
from crm_core.entities import ENTITIES
from crm_core.errors import Invalid, NotFound
from crm_core.kit.clock import utcnow
from crm_core.kit.text import clean, clip
from crm_core.models import Activity, InboundMail, InboxDone, Interaction, Lead, SurveyAnswer, SurveyInvitation, Ticket, VoiceCall
from crm_core.services.collaboration import interactions
from crm_core.services.helpdesk import tickets
from crm_core.services.inbox import arrival_sources as sources
from crm_core.services.inbox.arrival_sources import CALL, COMMENT, LEAD, MAIL, TALK, TICKET
from crm_core.services.sales import leads
from crm_core.vocabulary import Action, InboundChannel

MINE, UNASSIGNED, ALL = "mine", "unassigned", "all"
MOST_PAGES = 40
_DONE: Any = InboxDone.__table__  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Arrival:
    """One thing that waits. ``page`` and ``query``: where it is answered; ``state`` in words; ``may_take``: it has no owner and can be taken;
    ``may_settle``: it can be put aside right here."""

    kind: str
    id: int
    at: datetime
    channel: InboundChannel
    who: str
    what: str
    state: str
    owner: str
    page: str
    query: Mapping[str, Any]
    may_take: bool = False
    may_settle: bool = False

    @property
    def key(self) -> str:
        return f"{self.kind}:{self.id}"


@dataclass(frozen=True)
class Found:
    """One page of the inbox: ``counts`` by channel, of what is asked for but for the channel."""

    rows: tuple[Arrival, ...]
    total: int
    pages: int
    counts: Mapping[InboundChannel, int]


def find(
    session: Session,
    actor: Actor,
    *,
    whose: str = ALL,
    channel: InboundChannel | None = None,
    q: str = "",
    page: int = 1,
    size: int = 25,
) -> Found:
    """One page of what waits, the latest first. ``whose``: mine, what nobody has, or all that the actor may work on."""
    parts = sources.of(session, actor, clean(q))
    if not parts:
        return Found((), 0, 1, {})
    everything = union_all(*parts).subquery("arrivals")
    counts = _counts(session, actor, clean(q), whose)
    total = counts.get(channel, 0) if channel is not None else sum(counts.values())
    pages = min(max(1, -(-total // size)), MOST_PAGES)
    page = min(max(1, page), pages)
    clause = and_(_whose(everything, actor, whose), everything.c.channel == channel.value if channel is not None else true())
    order = (everything.c.at.desc(), everything.c.kind, everything.c.id.desc())
    rows = list(session.execute(select(everything).where(clause).order_by(*order).limit(size).offset((page - 1) * size)))
    return Found(tuple(_shown(session, actor, rows)), total, pages, counts)


def _counts(session: Session, actor: Actor, words: str, whose: str) -> dict[InboundChannel, int]:
    parts = sources.of(session, actor, words, timed=False)
    if not parts:
        return {}
    everything = union_all(*parts).subquery("arrivals")
    query = select(everything.c.channel, func.count()).where(_whose(everything, actor, whose)).group_by(everything.c.channel)
    return {InboundChannel(key): int(n) for key, n in session.execute(query).tuples()}


def count(session: Session, actor: Actor, *, whose: str = ALL) -> int:
    """How much waits."""
    return sum(_counts(session, actor, "", whose).values())


def _whose(everything: Any, actor: Actor, whose: str) -> Any:
    if whose == MINE:
        return everything.c.owner_id == actor.user_id
    return everything.c.owner_id.is_(None) if whose == UNASSIGNED else true()


# --- as it is shown ---------------------------------------------------------------------------------------------------------------


def _shown(session: Session, actor: Actor, rows: Sequence[Any]) -> Iterable[Arrival]:
    owners = lists.titles(session, actor, "user", (row.owner_id for row in rows))
    drawn: dict[tuple[str, int], Arrival] = {}
    for kind, draw in _DRAW.items():
        of_kind = {row.id: row for row in rows if row.kind == kind}
        if of_kind:
            drawn |= {(kind, one.id): one for one in draw(session, actor, of_kind, owners)}
    return [drawn[row.kind, row.id] for row in rows if (row.kind, row.id) in drawn]


def _arrival(row: Any, owners: Mapping[int, str], **shown: Any) -> Arrival:
    return Arrival(row.kind, row.id, row.at, InboundChannel(row.channel), owner=owners.get(row.owner_id or 0, ""), **shown)


def _load(session: Session, model: Any, rows: Mapping[int, Any]) -> list[Any]:
    return list(session.execute(select(model).where(model.__table__.c.id.in_(rows))).scalars())


def _tickets(session: Session, actor: Actor, rows: Mapping[int, Any], owners: Mapping[int, str]) -> Iterable[Arrival]:
    found: list[Ticket] = _load(session, Ticket, rows)
    people = lists.titles(session, actor, "contact", (one.contact_id for one in found)) if actor.can("contact", Action.READ) else {}
    subjects = persons.subjects(session, actor, "ticket", {one.id: one.subject for one in found})
    for one in found:
        number = persons.hidden(actor, "ticket", "number", one.number)
        yield _arrival(
            rows[one.id], owners, who=people.get(one.contact_id or 0, "Somebody"), what=f"{subjects[one.id]} · {number}", state=one.status.label,
            page="ticket", query={"id": one.id}, may_take=one.owner_id is None,
        )  # fmt: skip


def _mails(session: Session, actor: Actor, rows: Mapping[int, Any], owners: Mapping[int, str]) -> Iterable[Arrival]:
    hidden = actor.masked("contact", "email")
    one: InboundMail
    for one in _load(session, InboundMail, rows):
        who = "Somebody" if hidden else one.sender_name or one.sender or "Nobody named"
        yield _arrival(
            rows[one.id], owners, who=who, what=one.subject or "(no subject)", state="Has no place yet", page="tray", query={"mail": one.id}
        )  # fmt: skip


def _leads(session: Session, actor: Actor, rows: Mapping[int, Any], owners: Mapping[int, str]) -> Iterable[Arrival]:
    names = lists.titles(session, actor, "lead", rows)
    one: Lead
    for one in _load(session, Lead, rows):
        company = "" if actor.masked("lead", "company") else one.company or ""
        yield _arrival(
            rows[one.id], owners, who=names.get(one.id, "Somebody"), what=" · ".join(part for part in ("Sent a form", company) if part), state="New lead",
            page="lead", query={"id": one.id}, may_take=one.owner_id is None,
        )  # fmt: skip


def _calls(session: Session, actor: Actor, rows: Mapping[int, Any], owners: Mapping[int, str]) -> Iterable[Arrival]:
    found: list[VoiceCall] = _load(session, VoiceCall, rows)
    people = lists.titles(session, actor, "contact", (one.contact_id for one in found)) if actor.can("contact", Action.READ) else {}
    for one in found:
        seen = one.contact_id in people
        shown = not actor.masked("contact", "phone") and (one.contact_id is None or seen)
        who = people.get(one.contact_id or 0) or (one.caller if shown else "") or "Hidden caller"
        page, query = ("contact", {"id": one.contact_id}) if seen else ("telephony", {})
        yield _arrival(
            rows[one.id],
            owners,
            who=who,
            what="Called us",
            state=one.outcome.label if one.outcome else "",
            page=page,
            query=query,
            may_settle=True,
        )


def _comments(session: Session, actor: Actor, rows: Mapping[int, Any], owners: Mapping[int, str]) -> Iterable[Arrival]:
    found: list[SurveyAnswer] = _load(session, SurveyAnswer, rows)
    asked = {one.id: one for one in _load(session, SurveyInvitation, {one.invitation_id: None for one in found})}
    ids = [one.contact_id for one in asked.values()]
    people = lists.titles(session, actor, "contact", ids) if actor.can("contact", Action.READ) else {}
    for one in found:
        about = asked[one.invitation_id]
        page = ENTITIES[about.entity].page if about.entity in ENTITIES and actor.can(about.entity, Action.READ) else "survey"
        query = {"id": about.record_id if page != "survey" else one.survey_id}
        yield _arrival(
            rows[one.id], owners, who=people.get(about.contact_id or 0, "Somebody"), what=clip(one.comment, 160), state=f"Score {one.score}",
            page=page or "survey", query=query, may_settle=True,
        )  # fmt: skip


def _talks(session: Session, actor: Actor, rows: Mapping[int, Any], owners: Mapping[int, str]) -> Iterable[Arrival]:
    found: list[Interaction] = _load(session, Interaction, rows)
    said = {one.id: one for one in _load(session, Activity, {one.activity_id: None for one in found})}
    names = {
        (key, number): name for key in {one.entity for one in found} for number, name in _titles(session, actor, key, found).items()
    }
    subjects = persons.subjects(session, actor, "activity", {row.id: row.subject for row in said.values()})
    for one in found:
        yield _arrival(
            rows[one.id], owners, who=names.get((one.entity, one.record_id), ""), what=subjects[one.activity_id], state="Waits for an answer",
            page=ENTITIES[one.entity].page, query={"id": one.record_id}, may_settle=True,
        )  # fmt: skip


def _titles(session: Session, actor: Actor, key: str, found: Sequence[Interaction]) -> dict[int, str]:
    return lists.titles(session, actor, key, (one.record_id for one in found if one.entity == key))


_DRAW: dict[str, Callable[..., Iterable[Arrival]]] = {
    TICKET: _tickets, MAIL: _mails, LEAD: _leads, CALL: _calls, COMMENT: _comments, TALK: _talks
}  # fmt: skip


# --- act --------------------------------------------------------------------------------------------------------------------------


def _within_reach(session: Session, actor: Actor, kind: str, number: int) -> None:
    """It waits, and the actor may work on it; or NotFound."""
    parts = sources.of(session, actor, timed=False)
    everything = union_all(*parts).subquery("arrivals") if parts else None
    mine = None if everything is None else select(everything.c.id).where(everything.c.kind == kind, everything.c.id == number)
    if mine is None or session.execute(mine).first() is None:
        raise NotFound("Somebody settled this already, or it is not shared with you.")


def take(session: Session, actor: Actor, kind: str, number: int) -> None:
    """Make something that nobody has one's own. Events: ticket.updated or lead.updated."""
    if kind == TICKET:
        tickets.assign(session, actor, number, actor.user_id)
    elif kind == LEAD:
        leads.assign(session, actor, number, actor.user_id)
    else:
        raise Invalid("This can't be taken; open it to answer it.")


def settle(session: Session, actor: Actor, kind: str, number: int) -> None:
    """Put something aside that needs no answer, or had one elsewhere. Said twice is said once."""
    if kind == TALK:
        interactions.put_aside(session, actor, number)
        return
    if kind not in (CALL, COMMENT):
        raise Invalid("Open it to be done with it.")
    require(actor, "telephony" if kind == CALL else "survey", Action.READ)
    if session.execute(select(_DONE.c.id).where(_DONE.c.kind == kind, _DONE.c.record_id == number)).first() is not None:
        return
    _within_reach(session, actor, kind, number)
    now = utcnow()
    values = {"kind": kind, "record_id": number, "by_id": actor.user_id, "created_at": now, "updated_at": now, "version": 1}
    insert = sqlite.insert if db.is_sqlite(session) else postgresql.insert
    session.execute(insert(_DONE).values(**values).on_conflict_do_nothing(index_elements=["kind", "record_id"]))
    db.bump(session, _DONE.name)


def unsettle(session: Session, actor: Actor, kind: str, number: int) -> None:
    """Back into the inbox: the way back from ``settle``, for whoever may work on it there."""
    if kind == TALK:
        interactions.take_up(session, actor, number)
        return
    require(actor, "telephony" if kind == CALL else "survey", Action.READ)
    session.execute(_DONE.delete().where(_DONE.c.kind == kind, _DONE.c.record_id == number))
    _within_reach(session, actor, kind, number)
    db.bump(session, _DONE.name)
