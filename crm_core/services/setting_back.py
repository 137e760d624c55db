"""Single fields set back to what they were: found in the log, written by the record's own service with all its rules."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import select
from sqlmodel import Session

from crm_core import lists, records
from crm_core.access import Actor
from crm_core.entities import ENTITIES
from crm_core.errors import Conflict, NotFound, NotPermitted
from crm_core.fields import FieldSpec, registry, to_json
from crm_core.models import Event
from crm_core.services import crud
from crm_core.services.collaboration import timeline
from crm_core.services.sales import gates
from crm_core.veil import MASK
from crm_core.vocabulary import Action

LOOK = 200
"""So many of a record's latest changes are looked through."""

_LOG: Any = Event.__table__  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Former:
    """What a field was before somebody changed it. ``old`` and ``now`` as stored; ``old_title`` and ``now_title`` name linked records."""

    event_id: int
    record_id: int
    spec: FieldSpec
    old: Any
    now: Any
    old_title: str | None
    now_title: str | None
    at: datetime
    who: str


def find(
    session: Session, actor: Actor, entity_key: str, record_id: int, *, event_id: int | None = None, limit: int = 20
) -> list[Former]:
    """Earlier values of a record that the actor may write again, the youngest change first; ``event_id``: those of one change alone.

    What is so today is left out, and so is what only its own verb writes (the stage of a deal, states, figures) and a link to what the actor may
    not see.
    """
    record = records.get(session, actor, entity_key, record_id, action=Action.EDIT)
    specs = {key: spec for key, spec in registry(session, entity_key).items() if _writable(actor, spec)}
    mine = (_LOG.c.entity == entity_key, _LOG.c.record_id == record_id)
    only = (_LOG.c.id == event_id,) if event_id is not None else ()
    query = select(_LOG.c.id, _LOG.c.at, _LOG.c.actor_id, _LOG.c.changes).where(*mine, *only).order_by(_LOG.c.id.desc())
    found = list(_former(specs, record, session.execute(query.limit(LOOK))))
    people = lists.titles(session, actor, "user", [who for _, _, _, who in found])
    made = (
        Former(
            row, record_id, spec, timeline.typed(spec, old), spec.value(record), *_titles(session, actor, spec, old, spec.value(record)),
            at, people.get(who or 0, "Rapport" if who is None else "Somebody"),
        )
        for (row, at), spec, old, who in found
    )  # fmt: skip
    shown = (one for one in made if one.old in (None, "") or one.spec.to not in ENTITIES or one.old_title)
    return list(islice(shown, limit))  # the names of the others need not be looked up


STEERED = {("deal", "pipeline_id")}
"""What goes back with something else: a deal comes into another pipeline by its stage."""


def _writable(actor: Actor, spec: FieldSpec) -> bool:
    if (spec.entity, spec.key) in STEERED:
        return False
    return spec.editable and not actor.locked(spec.entity, spec.key) and spec.key not in timeline.QUIET


def _former(specs: Mapping[str, FieldSpec], record: Any, log: Iterable[Any]) -> Iterable[tuple[Any, FieldSpec, Any, int | None]]:
    """(id and instant of the change), field, value before, who; each value of a field once."""
    told: set[tuple[str, str]] = set()
    for row in log:
        for key, (old, _new) in row.changes.items():
            spec = specs.get(key)
            if (
                spec is None
                or (key, repr(old)) in told
                or old in (to_json(spec.value(record)), MASK)
                or (old in (None, "") and spec.required)
            ):
                continue
            told.add((key, repr(old)))
            yield (row.id, row.at), spec, old, row.actor_id


def _titles(session: Session, actor: Actor, spec: FieldSpec, old: Any, now: Any) -> tuple[str | None, str | None]:
    if spec.to not in ENTITIES:
        return None, None
    known = lists.titles(session, actor, spec.to or "", [old, now])
    return known.get(old), known.get(now)


def of_change(session: Session, actor: Actor, event_id: int) -> list[Former]:
    """What one change left behind and the actor may set back; nothing for a change, or a record, that is out of their reach."""
    event = session.get(Event, event_id)
    if event is None or event.entity not in ENTITIES:
        return []
    with suppress(NotFound, NotPermitted):
        return find(session, actor, event.entity, event.record_id, event_id=event_id)
    return []


def set_back(session: Session, actor: Actor, event_id: int, field: str, *, now: Any) -> records.Saved:
    """Write what a field was before a change, by the rules of its record. ``now``: its value as the actor saw it.

    Raises NotFound for a change that is no longer there or not the actor's to take back, Conflict when somebody wrote the field meanwhile.
    """
    former = next((one for one in of_change(session, actor, event_id) if one.spec.key == field), None)
    if former is None:
        raise NotFound("There is nothing to set back any more. Look at the record again.")
    if former.now != now:
        raise Conflict(f"Somebody changed {former.spec.label} meanwhile. Look at it again.")
    with gates.answered(
        session, gates.Answer(anyway=True)
    ):  # a stage that refuses still does; one that warns is noted in the timeline
        return crud.update(session, actor, former.spec.entity, former.record_id, {field: to_json(former.old)})
