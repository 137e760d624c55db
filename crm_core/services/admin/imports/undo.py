"""Taking an import back: what it created and nobody has touched since goes, what it changed gets its old values, the rest is listed.

The rows go from the last to the first, in batches; a kill in between loses nothing. Custom fields and list values that the import added stay:
others may use them by now.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlmodel import Session, col
from sqlmodel import select as model_select

from crm_core import automation_inbox, db, events
from crm_core.access import Actor, visible
from crm_core.entities import Entity, entity, label_of
from crm_core.errors import Conflict
from crm_core.fields import registry
from crm_core.kit.clock import utcnow
from crm_core.kit.numerals import written
from crm_core.models import Attachment, Base, ImportLink, ImportRow, ImportRun, MatchKey, SearchDocument
from crm_core.services.admin import hierarchy
from crm_core.services.admin.imports import runs, store, writing
from crm_core.services.admin.imports.kinds import kind_of
from crm_core.services.admin.imports.kinds.base import Written
from crm_core.vocabulary import Action, ImportState, RowOutcome

_ROWS: Any = ImportRow.__table__  # type: ignore[attr-defined]
_LINKS: Any = ImportLink.__table__  # type: ignore[attr-defined]
_KEYS: Any = MatchKey.__table__  # type: ignore[attr-defined]
_FILES: Any = Attachment.__table__  # type: ignore[attr-defined]
_DOCS: Any = SearchDocument.__table__  # type: ignore[attr-defined]

BATCH_ROWS = 500
CHANGED = "kept: somebody has changed it since"
USED = "kept: other records depend on it"
GONE = "nothing to do: it is no longer there"
FORBIDDEN = "kept: your role does not allow to change it"

_OWN_PARTS = frozenset(
    {"contact_point", "account_point", "stage_event", "deal_line", "order_line", "match_key", "user_closure", "user_role"}
)
"""Tables whose rows are part of a record and go with it, as long as nobody added to them after the import."""

_SYSTEM = frozenset({"event_log", "import_run", "import_row", "import_link", "job_run"})
"""Tables whose links to a record are a log, not a use of it."""


def revert(session: Session, actor: Actor, run_id: int) -> ImportRun:
    """Begin to take an import back; ``undo_batch`` does the work."""
    run = runs.get(session, actor, run_id)
    if run.state not in (ImportState.DONE, ImportState.DONE_WITH_ERRORS, ImportState.FAILED):
        raise Conflict(
            "Only an import that has ended can be undone."
            if run.state is not ImportState.REVERTED
            else "This import was already undone."
        )
    top = session.execute(select(func.coalesce(func.max(_ROWS.c.n), 0)).where(_ROWS.c.run_id == run_id)).scalar_one()
    run.state = ImportState.REVERTING
    run.report = {**run.report, "undo": {"place": top, "deleted": 0, "restored": 0, "kept": 0, "by": actor.user_id}}
    session.add(run)
    session.flush()
    return run


def place(run: ImportRun) -> int:
    """Number of the row from which an undo goes on, downwards."""
    return int(run.report.get("undo", {}).get("place", 0))


def undo_batch(session: Session, run_id: int, kept: dict[str, Any]) -> bool:
    """Take back the next rows of a run in this transaction; False when it is undone."""
    run = session.exec(model_select(ImportRun).where(col(ImportRun.id) == run_id).with_for_update()).one()
    if run.state is not ImportState.REVERTING:
        return False
    actor = runs.acting_for(session, run)
    kind_of(run.entity).require(actor)
    start = place(run)
    rows = list(
        session.connection().execute(
            select(_ROWS).where(_ROWS.c.run_id == run_id, _ROWS.c.n <= start).order_by(_ROWS.c.n.desc()).limit(BATCH_ROWS)
        )
    )
    report = dict(run.report["undo"])
    if rows:
        _take_back(session, actor, run, rows, report)
        report["place"] = rows[-1].n - 1
        run.report = {**run.report, "undo": report}
    else:
        _end(session, actor, run, report)
    session.add(run)
    session.flush()
    return run.state is ImportState.REVERTING


def _take_back(session: Session, actor: Actor, run: ImportRun, rows: Sequence[Any], report: dict[str, Any]) -> None:
    found = entity(run.entity)
    latest: dict[int, list[Any]] = {}
    for row in rows:
        if row.record_id is not None and row.outcome in (RowOutcome.CREATED, RowOutcome.UPDATED):
            latest.setdefault(row.record_id, []).append(row)
    states = _states(session, actor, found, latest)
    verdicts: dict[int, str] = {}
    gone: list[int] = []
    restored: dict[int, int] = {}
    for record_id, of_record in latest.items():
        expected: int | None = None
        for row in of_record:  # from the last to the first
            verdict = _verdict(states, row, expected)
            if verdict:
                verdicts[row.id] = verdict
            elif row.outcome is RowOutcome.CREATED:
                gone.append(record_id)
            else:
                expected = _restore(session, actor, run, found, row, states[record_id][0])
                states[record_id] = (expected, True)
                restored[record_id] = expected
                report["restored"] += 1
    said = _follow(session, actor, run, restored)
    used = _in_use(session, found, gone, run)
    deleted = [record_id for record_id in gone if record_id not in used]
    for record_id in used & set(gone):
        verdicts[latest[record_id][-1].id] = USED
    kept = {row.record_id for row in rows if row.id in verdicts}
    automation_inbox.unhear(session, run.id or 0, found.key, latest.keys() - kept)
    remove(session, found, deleted)
    report["deleted"] += len(deleted)
    report["kept"] += len(verdicts)
    report["remarks"] = report.get("remarks", 0) + len(said)
    _note(session, rows, verdicts | {latest[record_id][0].id: f"done. {words}" for record_id, words in said.items()})


def _states(session: Session, actor: Actor, found: Entity, wanted: Iterable[int]) -> dict[int, tuple[int, bool]]:
    """Record id → version as it is now, and whether the actor may change it. Binned records count as changed."""
    table, ids = found.table, list(wanted)
    may = visible(actor, found.key, table, Action.EDIT) if not found.lookup else table.c.id.is_not(None)
    statement = select(table.c.id, table.c.version, may.label("may")).where(table.c.id.in_(ids))
    if not db.is_sqlite(session):
        statement = statement.order_by(table.c.id).with_for_update()
    return {row.id: (row.version, bool(row.may)) for row in session.connection().execute(statement)}


def _verdict(states: dict[int, tuple[int, bool]], row: Any, expected: int | None) -> str:
    if row.record_id not in states:
        return GONE
    version, may = states[row.record_id]
    return CHANGED if version != (expected or row.record_version) else "" if may else FORBIDDEN


def _restore(session: Session, actor: Actor, run: ImportRun, found: Entity, row: Any, version: int) -> int:
    """Put the old values back; returns the new version, which earlier rows of this import about the same record are told too."""
    table = found.table
    now = session.connection().execute(select(table).where(table.c.id == row.record_id)).mappings().one()
    old = writing.before_values(found, row.before or {})
    at = utcnow()
    columns = {**now, **old, "updated_at": at, "version": version + 1}
    written = Written(row.n, row.record_id, columns, old={key: now[key] for key in old})
    writing.update_records(session, found.key, [written])
    written.event_type = f"{found.key}.updated"
    writing.write_events(session, actor, found.key, [written], registry(session, found.key), run.id or 0, at, silent=True)
    earlier = (_ROWS.c.run_id == run.id) & (_ROWS.c.record_id == row.record_id) & (_ROWS.c.n < row.n)
    session.connection().execute(update(_ROWS).where(earlier).values(record_version=version + 1))
    return version + 1


def _follow(session: Session, actor: Actor, run: ImportRun, restored: dict[int, int]) -> dict[int, str]:
    """Let what hangs on the records follow; gives what could not, in words. Where that changed a record once more, its earlier rows are told."""
    if not restored:
        return {}
    said = kind_of(run.entity).restored(session, actor, list(restored))
    table = entity(run.entity).table
    versions = session.connection().execute(select(table.c.id, table.c.version).where(table.c.id.in_(restored)))
    for record_id, version in versions.tuples():
        if version != restored[record_id]:
            mine = (_ROWS.c.run_id == run.id) & (_ROWS.c.record_id == record_id)
            session.connection().execute(update(_ROWS).where(mine).values(record_version=version))
    return said


def _in_use(session: Session, found: Entity, ids: Sequence[int], run: ImportRun) -> set[int]:
    """Records to which something points that this import did not bring along."""
    used: set[int] = set()
    if not ids:
        return used
    connection = session.connection()
    files = select(_FILES.c.record_id).where(_FILES.c.entity == found.key, _FILES.c.record_id.in_(ids))
    used |= set(connection.execute(files).scalars())
    for child in Base.metadata.sorted_tables:
        if child.name in _SYSTEM:
            continue
        for column in child.c:
            if not any(key.column.table is found.table for key in column.foreign_keys):
                continue
            statement = select(column).distinct().where(column.in_(ids))
            if child.name in _OWN_PARTS:
                if "created_at" not in child.c or run.finished_at is None:
                    continue
                statement = statement.where(child.c.created_at > run.finished_at)
            elif child is found.table:
                statement = statement.where(child.c.id.not_in(ids))
            used |= set(connection.execute(statement).scalars())
    return used


def remove(session: Session, found: Entity, ids: Sequence[int]) -> None:
    """Delete records for good, with their parts and search documents. For records nobody has worked with yet."""
    if not ids:
        return
    table, connection = found.table, session.connection()
    for column in table.c:
        if any(key.column.table is table for key in column.foreign_keys):
            connection.execute(update(table).where(table.c.id.in_(ids)).values({column.key: None}))
    for child in Base.metadata.sorted_tables:
        if child.name in _OWN_PARTS:
            for column in child.c:
                if any(key.column.table is table for key in column.foreign_keys):
                    session.execute(delete(child).where(column.in_(ids)))
    for side in (_DOCS, _KEYS):
        connection.execute(delete(side).where(side.c.entity == found.key, side.c.record_id.in_(ids)))
    session.execute(delete(table).where(table.c.id.in_(ids)))
    db.bump(session, table.name, "search_document", *_OWN_PARTS)


def _note(session: Session, rows: Sequence[Any], verdicts: dict[int, str]) -> None:
    for row in rows:
        if row.id in verdicts:
            errors = {**row.errors, "undo": verdicts[row.id]}
            session.connection().execute(update(_ROWS).where(_ROWS.c.id == row.id).values(errors=errors))


def _end(session: Session, actor: Actor, run: ImportRun, report: dict[str, Any]) -> None:
    report["links"] = _remove_links(session, run)
    if run.entity == "user" or report["links"].get("user"):
        hierarchy.rebuild(session)
    run.state = ImportState.REVERTED
    run.report = {**run.report, "undo": report}
    data = {
        "file": run.file_name,
        "import": run.id,
        "deleted": report["deleted"],
        "restored": report["restored"],
        "kept": report["kept"],
    }
    events.record(session, actor, "import.reverted", entity="import_run", record_id=run.id or 0, data=data)
    store.forget(run.file_path)


def _remove_links(session: Session, run: ImportRun) -> dict[str, int]:
    """Records that were created on the way go too, unless somebody uses or changed them. Returns how many of each kind stayed."""
    rows = list(session.connection().execute(select(_LINKS).where(_LINKS.c.run_id == run.id).order_by(_LINKS.c.id.desc())))
    stayed: dict[str, int] = {}
    for name in dict.fromkeys(row.entity for row in rows):
        found = entity(name)
        wanted = {row.record_id: row.record_version for row in rows if row.entity == name}
        table = found.table
        current = session.connection().execute(select(table.c.id, table.c.version).where(table.c.id.in_(wanted)))
        untouched = [row.id for row in current if row.version == wanted[row.id]]
        used = _in_use(session, found, untouched, run)
        gone = [record_id for record_id in untouched if record_id not in used]
        remove(session, found, gone)
        if len(wanted) > len(gone):
            stayed[name] = len(wanted) - len(gone)
    return stayed


def summary(run: ImportRun) -> str:
    """What an undo came to, in a sentence."""
    report = run.report.get("undo", {})
    words = [
        f"{written(report.get('deleted', 0))} created records were deleted",
        f"{written(report.get('restored', 0))} updated ones got their old values back",
    ]
    if report.get("kept"):
        words.append(f"{written(report['kept'])} were kept because somebody has worked with them since")
    if report.get("remarks"):
        words.append(f"{written(report['remarks'])} could not get everything back; the outcome of every row says what")
    stayed = ", ".join(f"{count} {label_of(name, plural=True).lower()}" for name, count in report.get("links", {}).items())
    return "; ".join(words) + (f"; still in use and kept: {stayed}" if stayed else "") + "."
