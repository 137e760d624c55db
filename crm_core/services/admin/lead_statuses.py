"""Lead statuses: name, order, add and retire them. Code asks what a status means, never what it is called."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, update
from sqlmodel import Session, col, select

from crm_core import db, events, records
from crm_core.access import Actor, require
from crm_core.entities import entity
from crm_core.errors import Conflict, Invalid, NotFound
from crm_core.kit.clock import utcnow
from crm_core.kit.text import clean
from crm_core.models import Lead, LeadStatus
from crm_core.records import refuse_stale
from crm_core.services.admin import field_uses
from crm_core.vocabulary import Action, LeadKind

MAX_STATUSES = 30
MAX_LENGTH = 80
WITH_REASON = (LeadKind.UNQUALIFIED, LeadKind.RECYCLED)
"""A lead in a status of these kinds keeps the reason why it is not pursued."""


@dataclass(frozen=True)
class StatusRow:
    """A status as the page edits it; ``id`` is None for a new one. The order of the rows is the order of the statuses."""

    id: int | None
    label: str
    kind: LeadKind


@dataclass(frozen=True)
class Found:
    """All statuses in order, and how many leads have each, the bin included."""

    rows: tuple[StatusRow, ...]
    leads: dict[int, int]


def find(session: Session, actor: Actor) -> Found:
    """All statuses with the number of leads that have them, whoever may see those."""
    require(actor, "pipeline", Action.READ)
    return Found(tuple(_rows(session)), _counts(session))


def _all(session: Session) -> list[LeadStatus]:
    return list(session.exec(select(LeadStatus).order_by(col(LeadStatus.position), col(LeadStatus.id))))


def _rows(session: Session) -> list[StatusRow]:
    return [StatusRow(row.id, row.label, row.kind) for row in _all(session)]


def _counts(session: Session) -> dict[int, int]:
    return dict(session.exec(select(Lead.status_id, func.count()).group_by(col(Lead.status_id))).all())


def save(session: Session, actor: Actor, rows: Sequence[StatusRow], *, base: Sequence[StatusRow] | None = None) -> None:
    """Save names, meanings and the order; rows without an id are new. None may be missing: that is what ``retire`` is for. ``base``: the rows
    that the caller began with, or saw in a Conflict; a Conflict when somebody changed them since. With it the statuses that others added or retired
    stay so. What a status with leads means can't change.
    Events: lead_status.created, lead_status.updated."""
    require(actor, "pipeline", Action.MANAGE)
    known = {row.id: row for row in _all(session)}
    records.refuse_stale_rows("the lead statuses", _rows(session), stale=False, base=base)
    wanted = [StatusRow(row.id, _named(row.label), row.kind) for row in rows]
    wanted = wanted if base is None else _complete(known, wanted)
    _check(known, wanted)
    counts = _counts(session)
    for row in wanted:
        if row.id is not None and known[row.id].kind is not row.kind and counts.get(row.id):
            raise Conflict(f"There are leads in “{row.label}”, so what it means can't change. Add another status instead.")
    before = {row.id: (row.label, row.kind, row.position) for row in known.values()}
    for status in known.values():  # two may swap names; the unique constraint must not see both at once
        status.label = f"\x01{status.id}"
        session.add(status)
    session.flush()
    for position, row in enumerate(wanted):
        _store(session, actor, known.get(row.id or 0), row, position, before)


def _store(
    session: Session,
    actor: Actor,
    status: LeadStatus | None,
    row: StatusRow,
    position: int,
    before: dict[int, tuple[str, LeadKind, int]],
) -> None:
    if status is None:
        status = LeadStatus(label=row.label, kind=row.kind, position=position)
    old = before.get(status.id) if status.id is not None else None
    status.label, status.kind, status.position = row.label, row.kind, position
    session.add(status)
    session.flush()
    if old is None:
        events.record(session, actor, "lead_status.created", status)
        return
    now = (status.label, status.kind, status.position)
    changes = {key: (a, b) for key, a, b in zip(("label", "kind", "position"), old, now, strict=True) if a != b}
    if changes:
        events.record(session, actor, "lead_status.updated", status, changes=changes)


def _named(label: Any) -> str:
    text = clean(" ".join(str(label or "").split()))
    if not text:
        raise Invalid("Each status needs a name.")
    if len(text) > MAX_LENGTH:
        raise Invalid(f"The name of a status has at most {MAX_LENGTH} characters.")
    return text


def _complete(known: dict[int, LeadStatus], rows: Sequence[StatusRow]) -> list[StatusRow]:
    """The rows with those that somebody else added meanwhile at their end, and without those that somebody retired: neither is done by saving."""
    there = [row for row in rows if row.id is None or row.id in known]
    named = {row.id for row in there}
    return [*there, *(StatusRow(row.id, row.label, row.kind) for row in known.values() if row.id not in named)]


def _check(known: dict[int, LeadStatus], wanted: Sequence[StatusRow]) -> None:
    ids = [row.id for row in wanted if row.id is not None]
    if set(ids) != set(known) or len(ids) != len(set(ids)):
        raise Invalid("A status is missing. Retire it instead: then it is asked where its leads go.")
    if len(wanted) > MAX_STATUSES:
        raise Invalid(f"There can be at most {MAX_STATUSES} statuses.")
    names = [row.label.casefold() for row in wanted]
    if len(set(names)) != len(names):
        raise Invalid("Two statuses have the same name.")
    for kind in LeadKind:
        if kind not in {row.kind for row in wanted}:
            raise Invalid(f"At least one status must mean “{kind.label}”.")


def heirs(session: Session, actor: Actor, status_id: int) -> list[StatusRow]:
    """The statuses that the leads of this one may go to, those that mean the same first."""
    require(actor, "pipeline", Action.READ)
    status = _get(session, status_id)
    fit = [row for row in _rows(session) if row.id != status.id and _fits(status.kind, row.kind)]
    return sorted(fit, key=lambda row: row.kind is not status.kind)


def _fits(before: LeadKind, after: LeadKind) -> bool:
    """Converted leads stay converted, and no other becomes one this way."""
    return (before is LeadKind.CONVERTED) == (after is LeadKind.CONVERTED)


def obstacle(session: Session, actor: Actor, status_id: int) -> str:
    """Why a status can't be retired, as a sentence; "" when it can."""
    require(actor, "pipeline", Action.READ)
    status = _get(session, status_id)
    if not any(row.kind is status.kind and row.id != status.id for row in _rows(session)):
        return f"“{status.label}” is the only status that means “{status.kind.label}”. Add another one first, or rename this one."
    asking = field_uses.uses_of_value(session, actor, "status_id", status_id)
    if asking:
        return f"“{status.label}” is asked for by {' and '.join(asking[:3])}. Change that first."
    return ""


def retire(session: Session, actor: Actor, status_id: int, into_id: int | None, *, base_version: int | None = None) -> int:
    """Take a status out of use: its leads (those in the bin too) go to another one. Gives how many. Events: lead_status.retired."""
    require(actor, "pipeline", Action.MANAGE)
    _keep_all(session)
    status = _get(session, status_id)
    refuse_stale("this status", status, base_version)
    if problem := obstacle(session, actor, status_id):
        raise Conflict(problem)
    into = _get(session, into_id) if into_id is not None and into_id != status_id else None
    if into is None:
        raise Invalid(fields={"into": "Say where its leads go."})
    if not _fits(status.kind, into.kind):
        raise Invalid(
            fields={"into": f"Leads of “{status.label}” can't go to “{into.label}”: only converting makes a lead converted."}
        )
    moved = _move(session, status, into)
    events.record(session, actor, "lead_status.retired", status, data={"name": status.label, "to": into.label, "records": moved})
    session.flush()
    session.delete(status)
    session.flush()
    return moved


def _keep_all(session: Session) -> None:
    """One after another: two people who retire the last two of a meaning into each other would both find the other one there."""
    session.execute(
        select(LeadStatus).order_by(col(LeadStatus.id)).with_for_update().execution_options(populate_existing=True)
    ).all()


def _move(session: Session, status: LeadStatus, into: LeadStatus) -> int:
    table = entity("lead").table
    values: dict[str, Any] = {"status_id": into.id, "version": table.c.version + 1, "updated_at": utcnow()}
    if into.kind not in WITH_REASON:
        values["disqualified_reason"] = None
    moved = session.connection().execute(update(table).where(table.c.status_id == status.id).values(**values)).rowcount
    db.bump(session, "lead")
    return moved


def _get(session: Session, status_id: int) -> LeadStatus:
    status = session.get(LeadStatus, status_id)
    if status is None:
        raise NotFound("This status does not exist any more.")
    return status
