"""Records as they were: today's values, with every later change of the event log taken back."""

import json
from collections.abc import Iterable
from typing import Any

import pandas as pd
from sqlalchemy import select
from sqlmodel import Session

from crm_core.access import Actor, require, visible
from crm_core.entities import entity
from crm_core.fields import FieldSpec, registry
from crm_core.frames.read import read_frame
from crm_core.kit.money import exponent
from crm_core.models import Event
from crm_core.vocabulary import Action, FieldKind

_EVENTS: Any = Event.__table__  # type: ignore[attr-defined]
FEW = 500
"""Up to so many records are read one by one instead of all of their kind."""

_NUMBERS = (FieldKind.INTEGER, FieldKind.DECIMAL, FieldKind.PERCENT, FieldKind.MONEY)


def as_of(session: Session, actor: Actor, entity_key: str, fields: Iterable[str], moments: pd.Series) -> pd.DataFrame:
    """Values of ``fields`` (custom ones too) of each record in ``moments`` (index: record id, value: instant), as they stood at its moment.

    A field's first value counts as known from the beginning: what an import brought along stands as the import brought it. Money in major
    units, yes/no as 0/1, words as words. Masked fields and records that the actor may not see are left out. Index: record id.
    """
    require(actor, entity_key, Action.READ)
    table, specs = entity(entity_key).table, registry(session, entity_key)
    wanted = {key: specs[key] for key in fields if key in specs and not actor.masked(entity_key, key)}
    plain = [key for key, spec in wanted.items() if not spec.custom]
    columns = [table.c.id, *[table.c[key] for key in plain]]
    columns += [table.c.extra] if len(plain) < len(wanted) else []
    statement = select(*columns).where(visible(actor, entity_key, table)).order_by(table.c.id)
    if len(moments) <= FEW:
        statement = statement.where(table.c.id.in_(moments.index.tolist()))
    now = read_frame(session, statement).set_index("id")
    now = now[now.index.isin(moments.index)].copy()
    extra = now.pop("extra").map(_extra) if "extra" in now else None
    for key, spec in wanted.items():
        if spec.custom and extra is not None:
            now[key] = extra.map(lambda values, key=key: values.get(key))
    _take_back(session, entity_key, now, set(wanted), moments)
    return pd.DataFrame({key: _typed(now[key], spec, actor) for key, spec in wanted.items()}, index=now.index)


def _extra(value: Any) -> dict[str, Any]:
    found = json.loads(value) if isinstance(value, str) else value
    return found if isinstance(found, dict) else {}


def _take_back(session: Session, entity_key: str, now: pd.DataFrame, wanted: set[str], moments: pd.Series) -> None:
    """Put the value before the first later change of each field in the place of today's."""
    limit = {record_id: moment.to_pydatetime() for record_id, moment in moments.items()}
    known = set(now.index)
    before: dict[str, dict[int, Any]] = {}
    statement = (
        select(_EVENTS.c.record_id, _EVENTS.c.at, _EVENTS.c.changes).where(_EVENTS.c.entity == entity_key).order_by(_EVENTS.c.id)
    )
    if limit:
        statement = statement.where(_EVENTS.c.at > min(limit.values()))
    if len(limit) <= FEW:
        statement = statement.where(_EVENTS.c.record_id.in_(list(limit)))
    for record_id, at, changes in session.execute(statement.execution_options(yield_per=5_000)):
        if changes and record_id in known and at > limit[record_id]:
            for key in wanted & changes.keys():
                before.setdefault(key, {}).setdefault(record_id, changes[key][0])
    for key, values in before.items():
        column = now[key].astype(object)
        column.loc[list(values)] = list(values.values())
        now[key] = column


def _typed(values: pd.Series, spec: FieldSpec, actor: Actor) -> pd.Series:
    if spec.kind in _NUMBERS or spec.kind is FieldKind.BOOLEAN:
        numbers = pd.to_numeric(values.astype(object), errors="coerce").astype(float)
        return numbers / 10 ** exponent(actor.currency) if spec.kind is FieldKind.MONEY else numbers
    if spec.kind is FieldKind.REFERENCE:
        return pd.to_numeric(values.astype(object), errors="coerce").astype("Int64")
    words = values.astype(object).where(values.notna(), None)
    return words.map(lambda word: None if word is None else str(word).strip() or None).astype(object)
