"""Changing many records at once: look first, run each through its own service, list what did not work, take it back within a day."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlmodel import Session, col
from sqlmodel import select as select_rows

from crm_core import events, lists, records
from crm_core.access import Actor, require, visible
from crm_core.db import shared
from crm_core.entities import RECORDS, entity
from crm_core.errors import Conflict, CrmError, Invalid, NotFound
from crm_core.fields import FieldSpec, parse, registry, to_json
from crm_core.kit import clock
from crm_core.kit.numerals import written
from crm_core.lists import ListQuery
from crm_core.models import BulkOperation
from crm_core.services import crud
from crm_core.services.customers import unsubscribing
from crm_core.services.helpdesk import macros
from crm_core.services.sales import gates
from crm_core.vocabulary import Action, GateStrictness

MAX_RECORDS = 1_000
UNDO_HOURS = 24
SAMPLE = 6


@dataclass(frozen=True)
class Change:
    """What would happen to one record: the stored value before and after, and the titles of linked records."""

    id: int
    title: str
    old: Any
    new: Any
    old_title: str | None = None
    new_title: str | None = None


@dataclass(frozen=True)
class Preview:
    """What a bulk change would do. ``versions``: record → the version looked at; ``same``: already have the value; ``blocked``: may be seen but not
    changed; ``gated``: title of each deal that stays because of what its new stage asks for; ``warned``: how many go on although they lack it;
    ``asked``: what that stage says."""

    versions: Mapping[int, int]
    same: int
    blocked: int
    sample: tuple[Change, ...] = ()
    gated: tuple[str, ...] = ()
    warned: int = 0
    asked: str = ""


@dataclass(frozen=True)
class Clashed:
    """A record that stayed because somebody changed it since the preview. ``changed``: field → (before, now) as the log keeps them; ``by``: who did, as a
    Conflict tells; ``version``: the one to go on with all the same."""

    id: int
    title: str
    version: int
    changed: Mapping[str, tuple[Any, Any]]
    by: tuple[Any, ...]


@dataclass(frozen=True)
class Outcome:
    """What a bulk change did. ``refused``: title and sentence of each record that stayed as it was; ``clashed``: those of them that somebody changed."""

    operation_id: int | None
    done: int
    refused: tuple[tuple[str, str], ...]
    note: str = ""
    """What it leaves behind that one may not expect."""
    clashed: tuple[Clashed, ...] = ()


def matching(session: Session, actor: Actor, entity_key: str, query: ListQuery) -> list[int]:
    """The ids of all records that a list shows, as long as they are few enough for one bulk change."""
    table = entity(entity_key).table
    clause = lists.condition(session, actor, entity_key, query)
    ids = list(session.execute(select(table.c.id).where(clause).order_by(table.c.id).limit(MAX_RECORDS + 1)).scalars())
    if len(ids) > MAX_RECORDS:
        raise Invalid(f"At most {written(MAX_RECORDS)} records can be changed at once. Narrow the filter first.")
    return ids


def preview(session: Session, actor: Actor, entity_key: str, ids: Sequence[int], field: str, value: Any) -> Preview:
    """What setting a field would do: who would change, who has the value already, whom the person may not change."""
    spec = _field(session, actor, entity_key, field)
    wanted = _typed(actor, spec, value)
    rows, blocked = _within_reach(session, actor, entity_key, ids, Action.EDIT, [spec])
    changing = [row for row in rows if to_json(row[spec.key]) != to_json(wanted)]
    same = len(rows) - len(changing)
    asked, lacking, warned = _gate(session, actor, entity_key, field, changing, wanted)
    changing = [row for row in changing if row["id"] not in lacking]
    sample = _sample(session, actor, entity_key, spec, changing[:SAMPLE], wanted)
    gated = tuple(lists.titles(session, actor, entity_key, sorted(lacking)).values()) if lacking else ()
    return Preview({row["id"]: row["version"] for row in changing}, same, blocked, sample, gated, warned, asked)


def _gate(
    session: Session, actor: Actor, entity_key: str, field: str, rows: Sequence[Mapping[str, Any]], wanted: Any
) -> tuple[str, set[int], int]:
    """What a stage says, the deals that it would refuse, and the number of those that it would warn of."""
    if (entity_key, field) != ("deal", "stage_id") or wanted is None or not rows:
        return "", set(), 0
    said, strictness, lacking = gates.unmet(session, actor, [row["id"] for row in rows], wanted)
    if strictness is GateStrictness.WARN:
        return said, set(), len(lacking)
    return said, lacking, 0


def versions(session: Session, actor: Actor, entity_key: str, ids: Sequence[int]) -> dict[int, int]:
    """Record → its version, for those that the person may change."""
    rows, _ = _within_reach(session, actor, entity_key, ids, Action.EDIT, [])
    return {row["id"]: row["version"] for row in rows}


def preview_delete(session: Session, actor: Actor, entity_key: str, ids: Sequence[int]) -> Preview:
    """Which records would go to the bin, and how many the person may not delete."""
    rows, blocked = _within_reach(session, actor, entity_key, ids, Action.DELETE, [])
    named = lists.titles(session, actor, entity_key, (row["id"] for row in rows[:SAMPLE]))
    sample = tuple(Change(record_id, title, None, None) for record_id, title in named.items())
    return Preview({row["id"]: row["version"] for row in rows}, 0, blocked, sample)


def change(
    session: Session,
    actor: Actor,
    entity_key: str,
    versions: Mapping[int, int],
    field: str,
    value: Any,
    *,
    asked: str | None = None,
) -> Outcome:
    """Set a field on each record, through the entity's own service. ``versions`` are those of the preview: what others changed since is refused.
    ``asked``: what the new stage said in the preview; deals that lack something else by now stay (None: nobody looked, warnings let through)."""
    spec = _field(session, actor, entity_key, field)
    wanted = _typed(actor, spec, value)
    named, clashed = _named(session, actor, entity_key, versions), list[Clashed]()
    answer = gates.Answer(anyway=True, read=None if asked is None else (wanted, asked))

    def one(record_id: int) -> dict[str, Any] | None:
        record = crud.records.get(session, actor, entity_key, record_id, action=Action.EDIT)
        before = to_json(spec.value(record))
        with gates.answered(session, answer), _noting(clashed, record_id, named):
            saved = crud.update(session, actor, entity_key, record_id, {field: wanted}, base_version=versions[record_id])
        session.flush()
        return {"id": record_id, "version": saved.record.version, "field": field, "before": before} if saved.changed else None

    return _run(session, actor, entity_key, versions, named, one, lambda number: f"{spec.label} of {number}", clashed)


def _named(session: Session, actor: Actor, entity_key: str, ids: Iterable[int]) -> dict[int, str]:
    """What records are called in what is said of them, also those that the actor no longer sees."""
    known = lists.titles(session, actor, entity_key, ids)
    return {one: known.get(one, f"{entity(entity_key).label} that you no longer see") for one in ids}


@contextmanager
def _noting(clashed: list[Clashed], record_id: int, named: Mapping[int, str]) -> Iterator[None]:
    """Remember whom somebody else's change keeps as it is, and what that was."""
    try:
        yield
    except Conflict as error:
        told = error.details
        changed = told.get("changed") or {key: three[:2] for key, three in told.get("fields", {}).items()}
        if changed:
            clashed.append(Clashed(record_id, named[record_id], told["version"], changed, told["by"]))
        raise


def use_macro(session: Session, actor: Actor, macro_id: int, versions: Mapping[int, int]) -> Outcome:
    """Use a macro on each ticket; what others changed since the preview is refused. Taken back like any bulk change, as long as no answer has left."""
    macro = macros.get(session, actor, macro_id)
    named = _named(session, actor, "ticket", versions)

    def one(record_id: int) -> dict[str, Any]:
        return macros.use(session, actor, macro_id, record_id, base_version=versions[record_id])

    return _run(session, actor, "ticket", versions, named, one, lambda number: f"Macro {macro.name} on {number}")


def archive(session: Session, actor: Actor, entity_key: str, versions: Mapping[int, int]) -> Outcome:
    """Move each record to the bin; what others changed since the preview stays."""
    require(actor, entity_key, Action.DELETE)
    named, clashed = _named(session, actor, entity_key, versions), list[Clashed]()

    def one(record_id: int) -> dict[str, Any]:
        with _noting(clashed, record_id, named):
            record = crud.archive(session, actor, entity_key, record_id, base_version=versions[record_id])
        session.flush()
        return {"id": record_id, "version": record.version, "archived": True}

    return _run(session, actor, entity_key, versions, named, one, lambda number: f"Deletion of {number}", clashed)


def undo(session: Session, actor: Actor, operation_id: int) -> Outcome:
    """Take a bulk change of one's own back; a field that somebody changed since keeps the newer value. Once, within a day."""
    operation = session.get(BulkOperation, operation_id)
    if operation is None or operation.user_id != actor.user_id:
        raise NotFound("This bulk change does not exist, or is not yours.")
    require(actor, operation.entity, Action.READ)
    if operation.undone_at is not None:
        raise Conflict("This bulk change was already undone.")
    if clock.utcnow() - operation.created_at > timedelta(hours=UNDO_HOURS):
        raise Conflict(f"A bulk change can be undone for {UNDO_HOURS} hours; this one is older.")
    patches = {int(patch["id"]): patch for patch in operation.inverse}
    named = lists.titles(session, actor, operation.entity, patches)

    def one(record_id: int) -> dict[str, Any]:
        _put_back(session, actor, operation.entity, patches[record_id])
        return {}

    done, refused = run_each(session, patches, named, one)
    operation.undone_at = clock.utcnow()
    session.add(operation)
    events.record(session, actor, "bulk.undone", entity=operation.entity, data={"count": len(done), "operation": operation.id})
    ended = operation.entity == "contact" and any(patch.get("field") in unsubscribing.NO_FIELDS for patch in patches.values())
    return Outcome(operation.id, len(done), tuple(refused), unsubscribing.STAYS_ENDED if ended and done else "")


def recent(session: Session, actor: Actor, entity_key: str, *, limit: int = 5) -> list[tuple[int, str]]:
    """Id and words of the person's own bulk changes that can still be undone, newest first."""
    require(actor, entity_key, Action.READ)
    since = clock.utcnow() - timedelta(hours=UNDO_HOURS)
    if (entity_key, actor.user_id) not in shared(session, "undoable", ("bulk_operation",), lambda: _undoable(session, since)):
        return []
    rows = select_rows(BulkOperation).where(
        BulkOperation.entity == entity_key,
        BulkOperation.user_id == actor.user_id,
        col(BulkOperation.undone_at).is_(None),
        BulkOperation.created_at > since,
    )
    return [(row.id, row.title) for row in session.exec(rows.order_by(col(BulkOperation.id).desc()).limit(limit))]


def _undoable(session: Session, since: datetime) -> set[tuple[str, int | None]]:
    """Kinds and people of what can be undone: every list asks, few have something."""
    operations = BulkOperation.__table__  # type: ignore[attr-defined]
    rows = select(operations.c.entity, operations.c.user_id).where(
        operations.c.undone_at.is_(None), operations.c.created_at > since
    )
    return set(session.execute(rows.distinct()).tuples())


def _put_back(session: Session, actor: Actor, entity_key: str, patch: Mapping[str, Any]) -> None:
    if patch.get("macro"):
        macros.take_back(session, actor, patch)
        return
    if patch.get("archived"):
        if _events_since(session, entity_key, patch, f"{entity_key}.restored"):
            raise Conflict("Somebody restored it since.")
        crud.restore(session, actor, entity_key, patch["id"])
        return
    if patch.get("created"):
        _take_back(session, actor, entity_key, patch)
        return
    field = patch["field"]
    record = crud.records.get(session, actor, entity_key, patch["id"], action=Action.EDIT)
    spec = registry(session, entity_key)[field]
    if record.version != patch["version"] and any(field in change for change in _events_since(session, entity_key, patch)):
        raise Conflict(f"Somebody changed {spec.label} since.")
    with gates.answered(session, gates.Answer(back=True)):
        crud.update(session, actor, entity_key, record.id, {field: patch["before"]})


def _events_since(session: Session, entity_key: str, patch: Mapping[str, Any], kind: str | None = None) -> list[Mapping[str, Any]]:
    """The changes of each event of a record after a bulk operation left it; ``kind``: of that type alone."""
    log = select(events.Event.changes).where(  # type: ignore[call-overload]
        events.Event.entity == entity_key,
        events.Event.record_id == patch["id"],
        events.Event.record_version > patch.get("version", 0),
    )
    only = log if kind is None else log.where(col(events.Event.type) == kind)
    return list(session.execute(only).scalars())


def _take_back(session: Session, actor: Actor, entity_key: str, patch: Mapping[str, Any]) -> None:
    """Remove what one's own bulk operation created and nobody has touched since; that takes no right to delete."""
    record = session.get(entity(entity_key).model, patch["id"])
    if record is None or record.deleted_at is not None:
        raise Conflict("It is no longer there.")
    if record.version != patch["version"]:
        raise Conflict("Somebody worked on it since.")
    crud.records.discard(session, actor, entity_key, record)


def _run(
    session: Session,
    actor: Actor,
    entity_key: str,
    versions: Mapping[int, int],
    named: Mapping[int, str],
    one: Callable[[int], dict[str, Any] | None],
    title: Callable[[str], str],
    clashed: Sequence[Clashed] = (),
) -> Outcome:
    """``title``: what was done, made from "3 leads"."""
    if not versions:
        raise Invalid("There is nothing to change.")
    if len(versions) > MAX_RECORDS:
        raise Invalid(f"At most {written(MAX_RECORDS)} records can be changed at once.")
    done, refused = run_each(session, versions, named, one)
    if not done:
        return Outcome(None, 0, tuple(refused), clashed=tuple(clashed))
    found = entity(entity_key)
    words = title(f"{written(len(done))} {(found.label if len(done) == 1 else found.plural).lower()}")
    operation = BulkOperation(entity=entity_key, user_id=actor.user_id, title=words[:200], count=len(done), inverse=done)
    session.add(operation)
    session.flush()
    events.record(session, actor, "bulk.changed", entity=entity_key, data={"count": len(done), "operation": operation.id})
    return Outcome(operation.id, len(done), tuple(refused), clashed=tuple(clashed))


def run_each(
    session: Session, ids: Iterable[int], named: Mapping[int, str], one: Callable[[int], dict[str, Any] | None]
) -> tuple[list[dict[str, Any]], list[tuple[str, str]]]:
    """Run ``one`` for each record by itself: what is refused leaves the others alone. Gives what was done, and name and sentence of the refused."""
    done: list[dict[str, Any]] = []
    refused: list[tuple[str, str]] = []
    for record_id in sorted(ids):
        try:
            with session.begin_nested():
                patch = one(record_id)
                session.flush()
        except CrmError as error:
            refused.append((named.get(record_id, f"No. {record_id}"), error.message))
        else:
            if patch is not None:
                done.append(patch)
    return done, refused


def _field(session: Session, actor: Actor, entity_key: str, field: str) -> FieldSpec:
    require(actor, entity_key, Action.EDIT)
    spec = registry(session, entity_key).get(field)
    if entity_key not in RECORDS or spec is None or not spec.editable:
        raise Invalid("This field can't be changed for many records at once.")
    records.refuse_locked(session, actor, {field: spec}, [field])
    return spec


def _typed(actor: Actor, spec: FieldSpec, value: Any) -> Any:
    try:
        return parse(spec, value, timezone=actor.timezone, currency=actor.currency)
    except ValueError as error:
        raise Invalid(fields={spec.key: str(error)}) from error


def _within_reach(
    session: Session, actor: Actor, entity_key: str, ids: Sequence[int], action: Action, specs: Sequence[FieldSpec]
) -> tuple[list[dict[str, Any]], int]:
    """The rows that the person may change, and the number of those that they may only see."""
    require(actor, entity_key, action)
    wanted = sorted(set(ids))
    if len(wanted) > MAX_RECORDS:
        raise Invalid(f"At most {written(MAX_RECORDS)} records can be changed at once.")
    table = entity(entity_key).table
    found = select(table.c.id, table.c.version, *[spec.expression(table).label(spec.key) for spec in specs])
    rows = [
        dict(row._mapping)
        for row in session.execute(found.where(table.c.id.in_(wanted), visible(actor, entity_key, table, action)))
    ]
    seen = select(table.c.id).where(table.c.id.in_(wanted), visible(actor, entity_key, table))
    return rows, len(set(session.execute(seen).scalars()) - {row["id"] for row in rows})


def _sample(
    session: Session, actor: Actor, entity_key: str, spec: FieldSpec, rows: Sequence[Mapping[str, Any]], wanted: Any
) -> tuple[Change, ...]:
    named = lists.titles(session, actor, entity_key, (row["id"] for row in rows))
    linked: Mapping[Any, str] = lists.titles(session, actor, spec.to, [wanted, *(row[spec.key] for row in rows)]) if spec.to else {}
    made = []
    for row in rows:
        old = spec.from_json(row[spec.key]) if spec.custom else row[spec.key]
        old = spec.enum(old) if spec.enum is not None and old is not None else old
        made.append(Change(row["id"], named.get(row["id"], ""), old, wanted, linked.get(old), linked.get(wanted)))
    return tuple(made)
