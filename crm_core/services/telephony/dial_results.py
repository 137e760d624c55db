"""What came of a list to call: how many were reached, how sure that is, and what they said; per caller too."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import case, func, select
from sqlmodel import Session

from crm_core import lists
from crm_core.access import Actor, visible
from crm_core.entities import entity
from crm_core.errors import Invalid
from crm_core.kit.text import fold
from crm_core.models import DialAttempt, DialEntry
from crm_core.services.telephony import dial_lists
from crm_core.services.telephony.dial_rules import TALKED
from crm_core.vocabulary import CallOutcome, DialState, DialWait

_TRIED: Any = DialAttempt.__table__  # type: ignore[attr-defined]
_ENTRIES: Any = DialEntry.__table__  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Share:
    """So many of so many, with the 95% interval (Wilson); a share of nothing has none."""

    hits: int
    of: int
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Results:
    """``people``: of those who were tried, how many came to the phone; ``calls``: the same per call; ``callers``: per colleague, by name."""

    attempts: int
    people: Share
    calls: Share
    outcomes: Mapping[CallOutcome, int]
    callers: list[tuple[str, Share]]


def get(session: Session, actor: Actor, list_id: int) -> Results:
    """The results of a list that the actor may see."""
    row = dial_lists.get(session, actor, list_id)
    talked = case((_TRIED.c.outcome.in_(TALKED), 1), else_=0)
    mine = _TRIED.c.list_id == row.id
    outcomes = dict(session.execute(select(_TRIED.c.outcome, func.count()).where(mine).group_by(_TRIED.c.outcome)).tuples().all())
    each = select(func.max(talked).label("talked")).where(mine).group_by(_TRIED.c.entry_id).subquery()
    tried, reached = session.execute(select(func.count(), func.coalesce(func.sum(each.c.talked), 0))).one()
    callers = session.execute(select(_TRIED.c.user_id, func.count(), func.sum(talked)).where(mine).group_by(_TRIED.c.user_id)).all()
    names = lists.titles(session, actor, "user", (one.user_id for one in callers))
    per_caller = [(names.get(who or 0, "Somebody"), share(int(hits), count)) for who, count, hits in callers]
    attempts = sum(outcomes.values())
    spoken = sum(outcomes.get(one, 0) for one in TALKED)
    return Results(
        attempts, share(int(reached), tried), share(spoken, attempts), outcomes, sorted(per_caller, key=lambda one: one[0])
    )


def share(hits: int, of: int) -> Share:
    """A share with its interval."""
    from ml.kpis import rate  # brings scipy, which a start without figures need not wait for

    found = rate(hits, of) if of else None
    return Share(hits, of, found.low, found.high) if found else Share(hits, of)


@dataclass(frozen=True)
class PersonRow:
    """Somebody on a list, with where they stand."""

    entry_id: int
    key: str
    record_id: int
    name: str
    state: DialState
    wait: DialWait | None
    due_at: datetime | None
    left_out: str
    attempts: int
    outcome: CallOutcome | None
    last_at: datetime | None


def people(
    session: Session, actor: Actor, list_id: int, *, state: str = "", q: str = "", page: int = 1, size: int = 25
) -> tuple[list[PersonRow], int]:
    """One page of the people of a list whom the actor may see, in its order; and how many there are."""
    row = dial_lists.get(session, actor, list_id)
    if state and state not in DialState.options():
        raise Invalid("There is no such state.")
    found: list[Any] = []
    for key in ("contact", "lead") if not row.entity else (row.entity,):
        table = entity(key).table
        mine = [_ENTRIES.c.list_id == row.id, visible(actor, key, table)]
        mine += [_ENTRIES.c.state == state] if state else []
        mine += [table.c.name_sort.contains(fold(q.strip()), autoescape=True)] if q.strip() else []
        columns = [_ENTRIES.c[name] for name in ("rank", "state", "wait", "due_at", "left_out", "attempts", "outcome", "last_at")]
        joined = _ENTRIES.join(table, table.c.id == _ENTRIES.c[f"{key}_id"])
        query = select(_ENTRIES.c.id, table.c.id.label("record_id"), table.c.name, *columns).select_from(joined).where(*mine)
        hidden = actor.masked(key, "name")
        found += [
            (one.rank, PersonRow(one.id, key, one.record_id, lists.MASK if hidden else one.name, *one[4:]))
            for one in session.execute(query)
        ]
    found.sort(key=lambda one: one[0])
    return [person for _, person in found[(page - 1) * size : page * size]], len(found)
