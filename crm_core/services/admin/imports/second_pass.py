"""Links between rows of the same file (a company and its parent, a person and their manager), made after the last row: only then is everybody there.

What can't be linked stays empty and is noted on the row; the row itself was taken.
"""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from sqlalchemy import bindparam, select, update

from crm_core.entities import entity, label_of
from crm_core.models import ImportRow
from crm_core.services.admin.imports import links, writing
from crm_core.services.admin.imports.batch import Batch
from crm_core.services.admin.imports.kinds.base import RowRefused, ToCreate, Written
from crm_core.services.admin.imports.memory import Memory
from crm_core.services.admin.imports.plan import Unknown
from crm_core.services.admin.imports.reading import Row
from crm_core.services.admin.imports.values import Converter
from crm_core.vocabulary import RowOutcome

_ROWS: Any = ImportRow.__table__  # type: ignore[attr-defined]


def needed(memory: Memory) -> bool:
    """True when the plan has columns that link to records of the imported kind."""
    return bool(_links(memory))


def _links(memory: Memory) -> list[Converter]:
    return [cell for cell in memory.cells if cell.spec.to == memory.kind.entity]


def link(batch: Batch, rows: Sequence[Row]) -> dict[str, int]:
    """Set the links of some rows that were imported. Returns how outcomes shifted (an unchanged row may become an updated one)."""
    known = {row.n: row for row in batch.session.connection().execute(
        select(_ROWS).where(_ROWS.c.run_id == batch.run_id, _ROWS.c.n.in_([row.n for row in rows]), _ROWS.c.record_id.is_not(None))
    )}  # fmt: skip
    shifted: dict[str, int] = {}
    for row in rows:
        if row.n in known and not row.problem:
            _link_row(batch, row, known[row.n], shifted)
    return shifted


def _link_row(batch: Batch, row: Row, noted: Any, shifted: dict[str, int]) -> None:
    wanted: dict[str, int] = {}
    notes: dict[str, str] = {}
    record: Any = None
    for cell in _links(batch.memory):
        text = row.cells[cell.index].strip()
        found = cell.read(text).value if text else None
        if found is None:
            continue
        record = record or _record(batch, noted.record_id)
        if record is None:
            return
        try:
            target = _target(batch, cell, found, record)
        except RowRefused as refused:
            notes |= refused.errors
            continue
        if getattr(record, cell.spec.key) != target:
            wanted[cell.spec.key] = target
    if wanted:
        _write(batch, row.n, record, wanted, noted, shifted)
    if notes:
        for header, sentence in notes.items():
            batch.memory.tally.notes[f"{header}: {sentence}"] += 1
        statement = update(_ROWS).where(_ROWS.c.id == noted.id).values(errors={**noted.errors, **notes})
        batch.session.connection().execute(statement)


def _record(batch: Batch, record_id: int) -> Any | None:
    table = entity(batch.kind.entity).table
    found = batch.session.connection().execute(select(table).where(table.c.id == record_id)).mappings().first()
    return SimpleNamespace(**found) if found is not None else None


def _target(batch: Batch, cell: Converter, text: str, record: Any) -> int:
    """The record above. Raises RowRefused with the note when there is none, several, or a circle."""
    ids = links.ids_of(batch, cell.spec, cell.column, text)
    if len(ids) > 1:
        raise RowRefused(**{cell.header: f"There are {len(ids)} called “{text[:60]}”; left empty."})
    if not ids and cell.column.unknown is Unknown.ADD:
        wanted = ToCreate(batch.kind.entity, text, cell.header)
        return links.create(batch, wanted, {key: getattr(record, key) for key in ("team_id", "owner_id") if hasattr(record, key)})
    if not ids:
        batch.memory.tally.value_unknown(cell.header, text)
        raise RowRefused(**{cell.header: f"There is no {label_of(batch.kind.entity).lower()} called “{text[:60]}”; left empty."})
    if _above(batch, cell.spec.key, ids[0], record.id):
        raise RowRefused(**{cell.header: f"“{text[:60]}” would stand above itself; left empty."})
    return ids[0]


def _above(batch: Batch, key: str, start: int, record_id: int) -> bool:
    """True when the record stands somewhere above ``start``, so that the link would close a circle."""
    table = entity(batch.kind.entity).table
    current: int | None = start
    for _ in range(1000):
        if current == record_id:
            return True
        if current is None:
            return False
        current = batch.session.connection().execute(select(table.c[key]).where(table.c.id == current)).scalar()
    return True


def _write(batch: Batch, n: int, record: Any, wanted: dict[str, Any], noted: Any, shifted: dict[str, int]) -> None:
    before = {key: getattr(record, key) for key in wanted}
    columns = {**vars(record), **wanted, "version": record.version + 1, "updated_at": batch.now}
    row = Written(n, record.id, columns, old=before)
    writing.update_records(batch.session, batch.kind.entity, [row])
    writing.write_events(batch.session, batch.actor, batch.kind.entity, [row], batch.memory.fields, batch.run_id, batch.now)
    values: dict[str, Any] = {"record_version": record.version + 1}
    if noted.outcome is not RowOutcome.CREATED:
        values["before"] = {**writing.before_json(before), **(noted.before or {})}
    if noted.outcome is RowOutcome.UNCHANGED:
        values["outcome"] = RowOutcome.UPDATED
        for outcome, step in (("unchanged", -1), ("updated", 1)):
            shifted[outcome] = shifted.get(outcome, 0) + step
            batch.memory.tally.outcomes[outcome] += step
    statement = update(_ROWS).where(_ROWS.c.id == bindparam("row_id")).values(**values)
    batch.session.connection().execute(statement, {"row_id": noted.id})


__all__ = ["link", "needed"]
