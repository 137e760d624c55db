"""Gates of stages: what a stage asks of a deal before the deal may stand in it, and who may let it in all the same.

A gate is a filter over deals, asked of the values that the deal would have after the change, and read as the product itself: it holds for
everybody alike. One that can't be asked any more lets everybody through, and the log says so: it must keep nobody from working.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from sqlalchemy import case, cast, exists, func, literal, not_, select
from sqlmodel import Session, col
from sqlmodel import select as fetch

from crm_core import events
from crm_core.access import Actor, require, system
from crm_core.db import is_sqlite
from crm_core.entities import entity
from crm_core.errors import CrmError, Invalid, NotPermitted
from crm_core.filters import where
from crm_core.kit import clock
from crm_core.kit.text import clean
from crm_core.models import Deal, Stage
from crm_core.vocabulary import Action, GateStrictness, Scope, StageKind, Via

log = logging.getLogger("rapport.gates")
T = TypeVar("T")

MAX_REASON = 300
_ANSWER = "gate_answer"
"""Where a session finds what was said beforehand about gates that don't hold."""


@dataclass(frozen=True)
class Answer:
    """What whoever moves a deal says beforehand. ``anyway``: a warning was read; ``reason``: why a gate is passed that refuses; ``back``: the move
    only takes an earlier one back, so nothing is asked; ``read``: stage and sentence that this answers (None: whatever is asked). It says nothing to
    another stage, nor to another sentence."""

    anyway: bool = False
    reason: str = ""
    back: bool = False
    read: tuple[int, str] | None = None


@dataclass(frozen=True)
class Unmet:
    """A gate that a deal doesn't meet. ``may_override``: whether the person may let the deal in with a reason."""

    stage_id: int
    stage: str
    sentence: str
    strictness: GateStrictness
    may_override: bool


@contextmanager
def answered(session: Session, answer: Answer) -> Iterator[None]:
    """Inside, moves of deals go by this answer."""
    before = session.info.get(_ANSWER)
    session.info[_ANSWER] = answer
    try:
        yield
    finally:
        session.info[_ANSWER] = before


def answering(command: Callable[..., T], answer: Answer) -> Callable[..., T]:
    """A command of any service that goes by this answer."""

    def run(session: Session, actor: Actor, *args: Any, **kwargs: Any) -> T:
        with answered(session, answer):
            return command(session, actor, *args, **kwargs)

    return run


def holds(stage: Stage) -> bool:
    """Whether a stage asks for anything. Losing is never gated."""
    return bool(stage.gate) and stage.kind is not StageKind.LOST


def may_override(actor: Actor) -> bool:
    """Who works on deals of others (a manager, an administrator) may let a deal in with a reason."""
    return bool(actor.scopes("deal", Action.EDIT) - {Scope.OWN})


def check(session: Session, actor: Actor, deal: Deal, stage: Stage) -> Unmet | None:
    """Ask the gate of a stage about a deal as it is in memory. Raises Invalid with the administrator's sentence where the deal has to stay outside;
    gives what is missing where it goes on all the same, for ``note``. Losing is never gated."""
    answer: Answer = session.info.get(_ANSWER) or Answer()
    if answer.read not in (None, (stage.id, sentence(stage))):
        answer = Answer()
    if not holds(stage) or answer.back or _meets(session, actor, deal, stage):
        return None
    missing = Unmet(stage.id or 0, stage.name, sentence(stage), stage.gate_strictness, may_override(actor))
    if stage.gate_strictness is GateStrictness.WARN:
        if answer.anyway or actor.via is not Via.SCREEN:  # nobody is there who could be asked
            return missing
        raise _refusal(missing)
    if not answer.reason.strip():
        raise _refusal(missing)
    if not missing.may_override:
        raise NotPermitted(f"{missing.sentence} Only who works on deals of others may let it in with a reason.")
    return missing


def note(session: Session, actor: Actor, deal: Deal, missing: Unmet | None) -> None:
    """Write into the timeline that a deal went on although something was missing. Events: deal.gate_overridden, deal.gate_warned."""
    if missing is None:
        return
    answer: Answer = session.info.get(_ANSWER) or Answer()
    data = {"to": missing.stage, "missing": missing.sentence}
    if missing.strictness is GateStrictness.REFUSE:
        reason = clean(answer.reason)[:MAX_REASON]
        events.record(session, actor, "deal.gate_overridden", deal, data={**data, "reason": reason})
    else:
        events.record(session, actor, "deal.gate_warned", deal, data=data)


def sentence(stage: Stage) -> str:
    """What a stage says to who tries to move a deal in too early."""
    return stage.gate_message or f"The deal doesn't meet what “{stage.name}” asks for yet."


def _refusal(missing: Unmet) -> Invalid:
    return Invalid(fields={"stage_id": missing.sentence}, gate=missing)


def _meets(session: Session, actor: Actor, deal: Deal, stage: Stage) -> bool:
    """Whether a deal meets the gate with the values in memory, which no statement has written yet."""
    with session.no_autoflush:
        clause = _clause(session, actor, stage, as_it_would_be := _row(session, deal))
        return clause is None or session.execute(select(exists(select(1).select_from(as_it_would_be).where(clause)))).scalar_one()


def _clause(session: Session, actor: Actor, stage: Stage, table: Any) -> Any:
    asking = replace(system(), user_id=actor.user_id, team_id=actor.team_id, timezone=actor.timezone, currency=actor.currency)
    try:
        return where(session, "deal", stage.gate, asking, table)
    except CrmError as error:
        log.warning("the gate of the stage %r can't be asked: %s", stage.name, error.message)
        return None


def _row(session: Session, deal: Deal) -> Any:
    """One row of deals with the values in memory."""
    new = {"id": 0, "version": 1, "created_at": clock.utcnow(), "updated_at": clock.utcnow(), "extra": {}}
    plain = is_sqlite(session)
    cells = []
    for column in entity("deal").table.c:
        value = getattr(deal, column.name)
        made = literal(new.get(column.name) if value is None else value, column.type)
        cells.append((made if plain else cast(made, column.type)).label(column.name))
    return select(*cells).subquery()


# --- for screens ------------------------------------------------------------------------------------------------------------


def unmet(session: Session, actor: Actor, deal_ids: Sequence[int], stage_id: int) -> tuple[str, GateStrictness, set[int]]:
    """The sentence of a stage, how strict it is, and which of some deals don't meet it as they are; in one statement."""
    require(actor, "deal", Action.READ)
    stage = session.exec(fetch(Stage).where(col(Stage.id) == stage_id)).first()
    if stage is None or not holds(stage):
        return "", GateStrictness.WARN, set()
    table = entity("deal").table
    own = table.c.probability_own & (table.c.outcome == StageKind.OPEN)
    after = {
        "stage_id": literal(stage.id), "pipeline_id": literal(stage.pipeline_id), "outcome": literal(stage.kind, table.c.outcome.type),
        "probability_pct": case((own, table.c.probability_pct), else_=stage.probability_pct),
        "stage_since": literal(clock.utcnow(), table.c.stage_since.type),
    }  # fmt: skip
    if stage.kind is not StageKind.OPEN:
        after["closed_on"] = func.coalesce(table.c.closed_on, literal(clock.today(actor.timezone), table.c.closed_on.type))
    cells = [after.get(column.name, column).label(column.name) for column in table.c]
    moved = select(*cells).where(table.c.id.in_(deal_ids), table.c.stage_id != stage.id).subquery()
    clause = _clause(session, actor, stage, moved)
    if clause is None:
        return "", GateStrictness.WARN, set()
    found = session.execute(select(moved.c.id).where(not_(clause.is_(True)))).scalars()
    return sentence(stage), stage.gate_strictness, set(found)
