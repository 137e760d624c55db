"""Deals as they are, and every change of theirs, from which ``ml.lead_snapshots`` rebuilds them as they were."""

from collections.abc import Iterable
from typing import Any

import pandas as pd
from sqlalchemy import select
from sqlmodel import Session

from crm_core.access import Actor, require, visible
from crm_core.fields import registry, to_json
from crm_core.frames.read import read_frame
from crm_core.kit.money import exponent
from crm_core.models import Deal, Event
from crm_core.vocabulary import Action

_DEALS: Any = Deal.__table__  # type: ignore[attr-defined]
_EVENTS: Any = Event.__table__  # type: ignore[attr-defined]
_COLUMNS = (
    "account_id", "contact_id", "owner_id", "pipeline_id", "stage_id", "outcome", "amount_minor", "probability_pct", "created_on",
    "expected_close_on", "closed_on", "stage_since", "last_activity_at", "source", "campaign_id", "product_id", "lost_reason",
)  # fmt: skip


def deals(session: Session, actor: Actor) -> pd.DataFrame:
    """One row per deal that the actor may see, as it is now: deal_id and the fields above, ``amount`` in major units."""
    require(actor, "deal", Action.READ)
    columns = [_DEALS.c.id.label("deal_id"), *[_DEALS.c[name] for name in _COLUMNS]]
    frame = read_frame(session, select(*columns).where(visible(actor, "deal", _DEALS)).order_by(_DEALS.c.id))
    frame["amount"] = frame.pop("amount_minor").astype(float) / 10 ** exponent(actor.currency)
    return frame


def changes(session: Session, actor: Actor, fields: Iterable[str] | None = None) -> pd.DataFrame:
    """CHANGES of ``ml.lead_snapshots``: record_id, field, value, changed_at; each field's first value and every later one.

    The first value stands at the creation of the record; it is the old value of the field's first logged change, or today's value when it
    never changed. Values are as the log keeps them (ISO text for dates, minor units for money). Masked fields are left out.
    """
    require(actor, "deal", Action.READ)
    specs = registry(session, "deal")
    names = [name for name in (fields or specs) if name in specs and not actor.masked("deal", name)]
    rows = session.execute(select(_DEALS).where(visible(actor, "deal", _DEALS)).order_by(_DEALS.c.id)).all()
    logged = _logged(session, {row.id for row in rows})
    found: list[tuple[int, str, Any, Any]] = []
    for row in rows:
        history = logged.get(row.id, {})
        for name in names:
            steps = history.get(name, [])
            first = steps[0][1] if steps else _value(row, name)
            found.append((row.id, name, first, row.created_at))
            found.extend((row.id, name, new, at) for at, _old, new in steps)
    frame = pd.DataFrame(found, columns=["record_id", "field", "value", "changed_at"])
    frame["changed_at"] = pd.to_datetime(frame["changed_at"], utc=True).dt.as_unit("us")
    return frame


def _value(row: Any, name: str) -> Any:
    if name in _DEALS.c:
        return to_json(getattr(row, name))
    return (row.extra or {}).get(name)


def _logged(session: Session, wanted: set[int]) -> dict[int, dict[str, list[tuple[Any, Any, Any]]]]:
    """Record → field → (at, old, new) in the order of the log."""
    found: dict[int, dict[str, list[tuple[Any, Any, Any]]]] = {}
    columns = (_EVENTS.c.record_id, _EVENTS.c.at, _EVENTS.c.changes)
    statement = select(*columns).where(_EVENTS.c.entity == "deal").order_by(_EVENTS.c.record_id, _EVENTS.c.id)
    for record_id, at, changed in session.execute(statement.execution_options(yield_per=5_000)):
        if record_id in wanted:
            for name, (old, new) in (changed or {}).items():
                found.setdefault(record_id, {}).setdefault(name, []).append((at, old, new))
    return found
