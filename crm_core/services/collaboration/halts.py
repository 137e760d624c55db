"""Stopping everything at once: all automations, or all outgoing mail. Who stopped it, when and why; what waits; and how it goes on again.

Workers ask ``halted`` in each of their transactions, so that a stop holds from the next step on. How automations go on is in
``services/automation/stopping.py``.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, exists, func, select, update
from sqlmodel import Session, col

from crm_core import db, events, lists
from crm_core.access import Actor, require
from crm_core.errors import Conflict, Invalid
from crm_core.jobs import enqueue
from crm_core.kit.clock import utcnow
from crm_core.kit.text import clean, clip
from crm_core.models import Halt
from crm_core.services.collaboration.outbox import MAIL
from crm_core.vocabulary import Action, HaltKind, MailState

HALTS: Any = Halt.__table__  # type: ignore[attr-defined]
AREA = {HaltKind.AUTOMATIONS: "automation", HaltKind.MAIL: "organisation"}
"""The area whose managers may stop it."""


@dataclass(frozen=True)
class HaltView:
    """Something that stands still. ``by``: who stopped it, "" for the command line; ``may_end``: whether the reader may switch it on again."""

    kind: HaltKind
    at: datetime
    by: str
    reason: str
    may_end: bool


def halted(session: Session, kind: HaltKind) -> bool:
    """Whether it stands still at this moment."""
    return bool(session.execute(select(exists().where(*_open(kind)))).scalar_one())


def _open(kind: HaltKind) -> tuple[Any, ...]:
    return HALTS.c.kind == kind, HALTS.c.ended_at.is_(None)


def may(actor: Actor, kind: HaltKind) -> bool:
    """Whether the actor may stop it and switch it on again."""
    return actor.can(AREA[kind], Action.MANAGE)


def standing(session: Session, actor: Actor) -> list[HaltView]:
    """What stands still and concerns the actor: mail everybody, automations whoever may see them."""
    found = db.shared(session, "halts", ("halt",), lambda: session.execute(select(HALTS).where(HALTS.c.ended_at.is_(None))).all())
    mine = [row for row in found if row.kind is HaltKind.MAIL or actor.can("automation", Action.READ)]
    names = lists.titles(session, actor, "user", {row.by_id for row in mine}) if mine else {}
    return [HaltView(row.kind, row.at, names.get(row.by_id or 0, ""), row.reason, may(actor, row.kind)) for row in mine]


def stop(session: Session, actor: Actor, kind: HaltKind, reason: str) -> None:
    """Stop it for the whole workspace; nothing that comes meanwhile is lost. Events: halt.stopped."""
    require(actor, AREA[kind], Action.MANAGE)
    why = clip(clean(reason), 300)
    if not why:
        raise Invalid(fields={"reason": "Say why, for those who will wonder."})
    if halted(session, kind):
        raise Conflict(f"{kind.label} were stopped already." if kind is HaltKind.AUTOMATIONS else "Mail was stopped already.")
    session.add(Halt(kind=kind, reason=why, at=utcnow(), by_id=actor.user_id))
    session.flush()
    events.record(session, actor, "halt.stopped", entity="organisation", data={"what": kind.label.lower(), "reason": why})


def end(session: Session, actor: Actor, kind: HaltKind, *, kept: bool, outcome: dict[str, int]) -> Halt:
    """Note that it goes on again; the caller does what ``kept`` says. Raises Conflict when it stands still no longer. Events: halt.ended."""
    require(actor, AREA[kind], Action.MANAGE)
    row = session.execute(select(Halt).where(col(Halt.kind) == kind, col(Halt.ended_at).is_(None)).with_for_update()).scalar()
    if row is None:
        raise Conflict("This goes on already: somebody else switched it on again.")
    row.ended_at, row.ended_by_id, row.kept, row.outcome = utcnow(), actor.user_id, kept, outcome
    session.add(row)
    session.flush()
    events.record(session, actor, "halt.ended", entity="organisation", data={"what": kind.label.lower(), **outcome})
    return row


# --- mail -------------------------------------------------------------------------------------------------------------------


def _waiting() -> Any:
    return and_(MAIL.c.state.in_((MailState.PENDING, MailState.SENDING)), MAIL.c.next_at <= utcnow())


def waiting_mail(session: Session, actor: Actor) -> dict[str, int]:
    """Messages whose turn has come, by kind, the most first: what leaves as soon as mail goes on again."""
    require(actor, "organisation", Action.MANAGE)
    many = func.count().label("many")
    rows = session.execute(select(MAIL.c.kind, many).where(_waiting()).group_by(MAIL.c.kind).order_by(many.desc(), MAIL.c.kind))
    return dict(rows.tuples().all())


def resume_mail(session: Session, actor: Actor, *, drop: Collection[str] = ()) -> dict[str, int]:
    """Let mail leave again; gives how many messages go and how many were taken out. ``drop``: kinds whose waiting messages are taken out of the
    queue, to be sent one by one from the outbox by whoever wants to. Events: halt.ended."""
    require(actor, "organisation", Action.MANAGE)
    found = waiting_mail(session, actor)
    gone = sum(many for kind, many in found.items() if kind in drop)
    outcome = {"sent": sum(found.values()) - gone, "dropped": gone}
    end(session, actor, HaltKind.MAIL, kept=not drop, outcome=outcome)
    if gone:
        out = {"state": MailState.CANCELLED, "claim": None, "message": "", "updated_at": utcnow()}
        session.execute(update(MAIL).where(_waiting(), MAIL.c.kind.in_(list(drop))).values(**out))
        db.bump(session, MAIL.name)
    batches = session.execute(select(MAIL.c.batch).where(_waiting(), MAIL.c.kind == "campaign").distinct()).scalars()
    for batch in sorted(batch for batch in batches if batch):  # its own job also notes with the campaign's people what went out
        enqueue(session, "campaign.send", int(batch.partition(":")[2]))
    enqueue(session, "mail.send", unless_waiting=True)
    return outcome
