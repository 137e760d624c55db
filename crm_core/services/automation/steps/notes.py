"""The log of the steps: collected while runs move on and written at once, under keys that no step can have twice."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import insert
from sqlmodel import Session

from crm_core import db
from crm_core.kit.clock import utcnow
from crm_core.kit.text import clip
from crm_core.models import AutomationStep
from crm_core.vocabulary import StepOutcome

_STEPS: Any = AutomationStep.__table__  # type: ignore[attr-defined]
_WAITING = "automation_notes"


def note(
    session: Session,
    run: Any,
    step: Mapping[str, Any],
    key: str,
    outcome: StepOutcome,
    message: str,
    until: datetime | None = None,
    amount_minor: int | None = None,
) -> None:
    """Remember what came of a step until ``write_notes``."""
    row = {
        "run_id": run.id, "automation_id": run.automation_id, "key": key, "step_id": step["id"], "kind": step["kind"], "record_id": run.record_id,
        "outcome": outcome, "message": clip(message, 500), "at": utcnow(), "until": until,
        "amount_minor": amount_minor,
    }  # fmt: skip
    session.info.setdefault(_WAITING, []).append(row)


def forget_notes(session: Session) -> None:
    """What was remembered was taken back."""
    session.info.pop(_WAITING, None)


def write_notes(session: Session) -> None:
    """Write down what was remembered. Before anything that counts steps, and before the transaction ends."""
    rows = session.info.pop(_WAITING, [])
    if rows:
        session.execute(insert(_STEPS), rows)
        db.bump(session, _STEPS.name)
