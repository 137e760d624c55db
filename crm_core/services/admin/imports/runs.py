"""The steps of an import: upload, match, check, run, look back. Each run is a row; its rows' outcomes are written with the records."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import IO, Any

from sqlalchemy import func, or_, select, update
from sqlmodel import Session, col
from sqlmodel import select as model_select

from crm_core import events
from crm_core.access import Actor, load
from crm_core.access.actor import system
from crm_core.entities import label_of
from crm_core.errors import Conflict, CrmError, Invalid, NotFound
from crm_core.fields import forget
from crm_core.kit.clock import utcnow
from crm_core.kit.paging import Page
from crm_core.kit.text import clean, clip
from crm_core.models import ImportRow, ImportRun
from crm_core.services.admin import custom_fields
from crm_core.services.admin.imports import checking, matching, outcome, second_pass, store, suggest
from crm_core.services.admin.imports.batch import Batch
from crm_core.services.admin.imports.kinds import KINDS, kind_of
from crm_core.services.admin.imports.memory import Memory
from crm_core.services.admin.imports.plan import Plan, header_hash
from crm_core.services.admin.imports.profile import Profile, look_through
from crm_core.services.admin.imports.reading import Reader
from crm_core.services.admin.imports.sniff import Layout, sniff
from crm_core.services.collaboration import notifications
from crm_core.vocabulary import Action, FieldKind, ImportState, RowOutcome, Via

BATCH_ROWS = 500
KEEP_FILES_DAYS = 90
_EDITABLE = (ImportState.UPLOADED, ImportState.MAPPED, ImportState.CHECKED)
_RUNS: Any = ImportRun.__table__  # type: ignore[attr-defined]
_ROWS: Any = ImportRow.__table__  # type: ignore[attr-defined]


# --- which imports may somebody see? ------------------------------------------------------------------------------------------


def importable(actor: Actor) -> list[str]:
    """The kinds of record that the actor may import."""
    found = []
    for key in KINDS:
        try:
            kind_of(key).require(actor)
        except CrmError:
            continue
        found.append(key)
    return found


def _mine(actor: Actor) -> Any:
    """Own imports; administrators see all of them. The rows of a file are personal data of whoever is in it."""
    everything = actor.is_system or actor.can("organisation", Action.MANAGE)
    return _RUNS.c.id.is_not(None) if everything else _RUNS.c.user_id == actor.user_id


def get(session: Session, actor: Actor, run_id: int | None) -> ImportRun:
    """One import, or NotFound."""
    found = None
    if isinstance(run_id, int) and 0 < run_id < 2**31:
        found = session.exec(model_select(ImportRun).where(col(ImportRun.id) == run_id, _mine(actor))).first()
    if found is None:
        raise NotFound("This import does not exist, or is not yours.")
    kind_of(found.entity).require(actor)
    return found


def find(session: Session, actor: Actor, *, page: int = 1, size: int = 20) -> Page:
    """One page of imports, the latest first; ``rows`` hold ``{"run": ImportRun}``."""
    visible = _mine(actor) & _RUNS.c.entity.in_(importable(actor))
    total = session.execute(select(func.count()).select_from(_RUNS).where(visible)).scalar_one()
    found = session.exec(
        model_select(ImportRun).where(visible).order_by(col(ImportRun.id).desc()).limit(size).offset((page - 1) * size)
    )
    return Page([{"run": run} for run in found], total, page, size)


# --- upload and match -----------------------------------------------------------------------------------------------------------


def upload(session: Session, actor: Actor, entity_key: str, source: IO[bytes], file_name: str) -> ImportRun:
    """Keep a file and propose a plan for it. Nothing of it is imported yet. Raises Invalid for a file that is no table."""
    kind_of(entity_key).require(actor)
    path, digest = store.keep(source, file_name)
    return _uploaded(session, actor, entity_key, path, digest, file_name)


def _uploaded(session: Session, actor: Actor, entity_key: str, path: str, digest: str, file_name: str) -> ImportRun:
    try:
        # Looking through the file comes before the first statement, which on SQLite would take the write lock.
        options, seen = _look(path, {}, actor)
    except BaseException:
        store.forget(path)
        raise
    run = ImportRun(
        entity=entity_key,
        file_name=clip(clean(Path(file_name).name) or "file", 300),
        file_path=path,
        file_sha256=digest,
        user_id=actor.user_id,
        options=options,
        total_rows=seen.rows,
        header_hash=header_hash(seen.headers),
        report={"profile": seen.to_json()},
    )
    run.mapping = _proposed(session, actor, entity_key, seen).to_json()
    session.add(run)
    session.flush()
    return run


def _proposed(session: Session, actor: Actor, entity_key: str, seen: Profile) -> Plan:
    """A plan with likely meanings of unknown values filled in; people see them and may decide otherwise."""
    plan = matching.propose(session, actor, kind_of(entity_key), seen)
    return suggest.accept(plan, suggest.strangers(session, actor, entity_key, plan, seen))


def _look(path: str, options: Mapping[str, Any], actor: Actor) -> tuple[dict[str, Any], Profile]:
    """The layout of the kept file (sniffed unless options say it) and what is in it."""
    prefer = "mdy" if actor.locale == "en_US" else "dmy"
    file = store.locate(path)
    found: dict[str, Any] = {"text_path": path, "sheet": "", "sheets": []}
    if store.is_workbook(path):
        found["sheets"] = store.sheets(file)
        found["sheet"] = options.get("sheet") or found["sheets"][0]
        file = store.as_text(file, found["sheet"])
        found["text_path"] = f"{store.FOLDER}/{file.name}"
        layout = Layout(header_line=int(options.get("header_line", 1)))
    else:
        layout = Layout.from_json(dict(options)) if "delimiter" in options else sniff(file)
    return {**found, **layout.checked().to_json()}, look_through(file, layout, prefer_date=prefer)


def relayout(
    session: Session, actor: Actor, run_id: int, options: Mapping[str, Any], *, drawn: ImportRun | None = None
) -> ImportRun:
    """Read the file in another way (encoding, delimiter, quote, header_line, sheet), or as other records (entity), and propose a new plan.

    ``drawn``: the run as the screen has it; the file is then looked through before the first statement, which would take SQLite's write lock.
    """
    looked = _look(drawn.file_path, {**drawn.options, **options}, actor) if drawn is not None else None
    run = _editable(session, actor, run_id)
    run.entity = str(options.get("entity") or run.entity)
    kind_of(run.entity).require(actor)
    run.options, seen = looked or _look(run.file_path, {**run.options, **options}, actor)
    run.total_rows, run.header_hash = seen.rows, header_hash(seen.headers)
    run.report = {"profile": seen.to_json()}
    run.mapping = _proposed(session, actor, run.entity, seen).to_json()
    run.state = ImportState.UPLOADED
    session.add(run)
    session.flush()
    return run


def _editable(session: Session, actor: Actor, run_id: int) -> ImportRun:
    run = get(session, actor, run_id)
    if run.state is ImportState.CHECKING:
        raise Conflict("The dry run is still going. Wait for it to end.")
    if run.state not in _EDITABLE:
        raise Conflict("This import has already been started, so its plan can't be changed any more.")
    return run


def plan_of(run: ImportRun) -> Plan:
    """The plan of a run."""
    return Plan.from_json(run.mapping)


def profile_of(run: ImportRun) -> Profile:
    """What was seen in the file of a run."""
    return Profile.from_json(run.report["profile"])


def set_plan(session: Session, actor: Actor, run_id: int, plan: Plan) -> ImportRun:
    """Keep a changed plan. It may still have problems; they only keep it from running. An earlier dry run no longer counts."""
    run = _editable(session, actor, run_id)
    headers = profile_of(run).headers
    if [column.header for column in plan.columns] != list(headers):
        raise Invalid("The plan does not fit the columns of the file. Upload it again.")
    if plan.to_json() == run.mapping and run.state is ImportState.CHECKED:
        return run
    run.mapping = plan.to_json()
    run.state = ImportState.MAPPED
    run.report = {"profile": run.report["profile"]}
    session.add(run)
    session.flush()
    return run


def problems(session: Session, actor: Actor, run_id: int) -> list[str]:
    """What keeps the plan of a run from being run; empty when nothing does."""
    run = get(session, actor, run_id)
    return checking.problems(session, actor, kind_of(run.entity), plan_of(run))


def remarks(session: Session, actor: Actor, run_id: int) -> list[str]:
    """What people should know about the plan of a run."""
    run = get(session, actor, run_id)
    return checking.remarks(session, actor, kind_of(run.entity), plan_of(run))


def strangers(session: Session, actor: Actor, run_id: int) -> list[suggest.Stranger]:
    """Values of the file that no list has and nobody has decided on, each with the likeliest meaning."""
    run = get(session, actor, run_id)
    return suggest.strangers(session, actor, run.entity, plan_of(run), profile_of(run))


def accept_suggestions(session: Session, actor: Actor, run_id: int, *, from_score: float = suggest.LIKELY) -> ImportRun:
    """Take over every likely suggestion into the plan."""
    found = strangers(session, actor, run_id)
    return set_plan(session, actor, run_id, suggest.accept(plan_of(get(session, actor, run_id)), found, from_score=from_score))


# --- dry run ------------------------------------------------------------------------------------------------------------------------


def check(session: Session, actor: Actor, run_id: int) -> ImportRun:
    """The dry run: the code of the real run over all rows, then everything rolled back but the report."""
    run = _editable(session, actor, run_id)
    _refuse_problems(session, actor, run)
    report = rehearse(session, actor, run)
    return keep_report(session, actor, run_id, report)


def begin_check(session: Session, actor: Actor, run_id: int) -> ImportRun:
    """Note that a dry run is under way. Raises Invalid when the plan has problems."""
    run = _editable(session, actor, run_id)
    _refuse_problems(session, actor, run)
    run.state, run.message = ImportState.CHECKING, ""
    session.add(run)
    session.flush()
    return run


def keep_report(session: Session, actor: Actor, run_id: int, report: dict[str, Any]) -> ImportRun:
    """Note what a dry run came to."""
    run = get(session, actor, run_id)
    if run.state not in (*_EDITABLE, ImportState.CHECKING):
        raise Conflict("This import has already been started.")
    run.report = {"profile": run.report["profile"], "check": report}
    run.state = ImportState.CHECKED
    session.add(run)
    session.flush()
    return run


def rehearse(session: Session, actor: Actor, run: ImportRun) -> dict[str, Any]:
    """Run a plan inside a savepoint that is rolled back; returns what it came to."""
    acting = actor.through(Via.IMPORT)
    before = set(session.info.get("touched", ()))
    nested = session.begin_nested()
    try:
        plan = _realise(session, acting, run, index=False)
        memory = Memory.prepare(session, acting, run.entity, plan, profile_of(run).headers)
        reader = _reader(run, plan, memory)
        done = 0
        while rows := reader.batch(done, BATCH_ROWS):
            memory.refresh(session)
            Batch(session, memory, run.id or 0).process(rows)
            done += len(rows)
        _rehearse_end(session, memory, run, plan, done)
        return memory.tally.to_json()
    finally:
        nested.rollback()
        forget(session)
        session.info["touched"] = before  # nothing was changed, so no cache must become stale


def _rehearse_end(session: Session, memory: Memory, run: ImportRun, plan: Plan, total: int) -> None:
    if second_pass.needed(memory):
        reader, linked = _reader(run, plan, memory), 0
        while linked < total and (rows := reader.batch(linked, BATCH_ROWS)):
            second_pass.link(Batch(session, memory, run.id or 0), rows)
            linked += len(rows)
    batch = Batch(session, memory, run.id or 0)
    batch.kind.finished(batch)


def _refuse_problems(session: Session, actor: Actor, run: ImportRun) -> None:
    found = checking.problems(session, actor, kind_of(run.entity), plan_of(run))
    if found:
        raise Invalid(" ".join(found))


def _reader(run: ImportRun, plan: Plan, memory: Memory) -> Reader:
    layout = Layout.from_json(run.options)
    return Reader(store.locate(run.options["text_path"]), layout, len(memory.headers), plan.fill_short)


def _realise(session: Session, actor: Actor, run: ImportRun, *, index: bool) -> Plan:
    """Create the custom fields that the plan asks for; returns the plan with their keys."""
    plan, seen = plan_of(run), profile_of(run)
    columns, made = [], {}
    for column in plan.columns:
        if column.new is not None and not column.to:
            new = column.new
            values = seen.column(column.header)
            row = custom_fields.create(
                session, actor, run.entity, label=new.label, kind=new.kind, pii=new.pii, filterable=new.filterable, index=index,
                options=list(values.values) if values and new.kind is FieldKind.CHOICE else (),
            )  # fmt: skip
            made[matching.NEW + column.header] = row.key
            column = replace(column, to=row.key, new=None)
        columns.append(column)
    return replace(plan, columns=tuple(columns), match=tuple(made.get(key, key) for key in plan.match))


# --- the real run -------------------------------------------------------------------------------------------------------------------


def start(session: Session, actor: Actor, run_id: int) -> ImportRun:
    """Begin the real run: custom fields are created, the plan is remembered for such headers. Rows follow in batches."""
    run = _editable(session, actor, run_id)
    _refuse_problems(session, actor, run)
    plan = _realise(session, actor.through(Via.IMPORT), run, index=True)
    matching.remember(session, kind_of(run.entity), plan)
    run.mapping = plan.to_json()
    run.state = ImportState.RUNNING
    run.message = ""
    session.add(run)
    session.flush()
    return run


def resume(session: Session, actor: Actor, run_id: int) -> ImportRun:
    """Go on with a run that stopped; nothing that was done is done again."""
    run = get(session, actor, run_id)
    if run.state is not ImportState.FAILED:
        raise Conflict("Only an import that stopped can go on.")
    run.state, run.message = ImportState.RUNNING, ""
    session.add(run)
    session.flush()
    return run


def cut_off(session: Session, actor: Actor, entity_key: str, digest: str, *, empty: bool = True) -> ImportRun | None:
    """The latest import of a file that the same person began, if it has not ended and no job works on it: it runs in another process, its
    process died, or it failed. Without ``empty``, failed ones that kept no row are as if they had never begun."""
    kind_of(entity_key).require(actor)
    query = model_select(ImportRun).where(
        col(ImportRun.file_sha256) == digest,
        col(ImportRun.entity) == entity_key,
        col(ImportRun.user_id) == actor.user_id,
        col(ImportRun.state).not_in((*_EDITABLE, ImportState.CHECKING)),
    )
    if not empty:
        query = query.where(or_(col(ImportRun.state) != ImportState.FAILED, col(ImportRun.done_rows) > 0))
    found = session.exec(query.order_by(col(ImportRun.id).desc())).first()
    if found is None or found.state not in (ImportState.RUNNING, ImportState.FAILED):
        return None
    return None if found.report.get("job") else found


def stop(session: Session, actor: Actor, run_id: int, *, message: str = "") -> ImportRun:
    """Stop a run after its present batch. What was imported stays, and can be undone; the run can go on later."""
    run = get(session, actor, run_id)
    if run.state is not ImportState.RUNNING:
        raise Conflict("This import is not running.")
    run.state = ImportState.FAILED
    run.message = clip(message or f"Stopped by {actor.name}.", 1000)
    session.add(run)
    session.flush()
    return run


def acting_for(session: Session, run: ImportRun) -> Actor:
    """The person in whose name a run works: what they may do now counts, not what they might when they started it."""
    return load(session, run.user_id, via=Via.IMPORT) if run.user_id is not None else system(Via.IMPORT)


def run_batch(session: Session, run_id: int, kept: dict[str, Any]) -> bool:
    """Import the next rows of a run in this transaction; False when there is nothing left to do. ``kept`` lives as long as the process works on the run.

    A run that was killed goes on behind its last committed row, since rows, outcomes and the count of done rows commit together.
    """
    run = session.exec(model_select(ImportRun).where(col(ImportRun.id) == run_id).with_for_update()).one()
    if run.state is not ImportState.RUNNING:
        return False
    actor = acting_for(session, run)
    kind_of(run.entity).require(actor)
    memory, reader = _kept(session, actor, run, kept)
    batch = Batch(session, memory, run_id)
    if run.done_rows < run.total_rows:
        _next_rows(run, batch, reader)
    elif second_pass.needed(memory) and int(run.report.get("linked", 0)) < run.total_rows:
        _next_links(run, batch, reader)
    else:
        _finish(session, actor, run, batch)
    session.add(run)
    session.flush()
    return run.state is ImportState.RUNNING


def _kept(session: Session, actor: Actor, run: ImportRun, kept: dict[str, Any]) -> tuple[Memory, Reader]:
    if kept.get("actor") != actor:
        plan = plan_of(run)
        memory = Memory.prepare(session, actor, run.entity, plan, profile_of(run).headers)
        kept |= {"actor": actor, "memory": memory, "reader": _reader(run, plan, memory)}
    else:
        kept["memory"].refresh(session)
    return kept["memory"], kept["reader"]


def _next_rows(run: ImportRun, batch: Batch, reader: Reader) -> None:
    rows = reader.batch(run.done_rows, BATCH_ROWS)
    if not rows:
        raise Invalid("The file has fewer rows than when it was uploaded. Upload it again.")
    for noted in batch.process(rows):
        setattr(run, noted.outcome.value, getattr(run, noted.outcome.value) + 1)
    run.done_rows += len(rows)


def _next_links(run: ImportRun, batch: Batch, reader: Reader) -> None:
    after = int(run.report.get("linked", 0))
    rows = reader.batch(after, BATCH_ROWS)
    for name, step in second_pass.link(batch, rows).items():
        setattr(run, name, getattr(run, name) + step)
    run.report = {**run.report, "linked": after + len(rows) if rows else run.total_rows}


def _finish(session: Session, actor: Actor, run: ImportRun, batch: Batch) -> None:
    batch.kind.finished(batch)
    run.state = ImportState.DONE_WITH_ERRORS if run.rejected else ImportState.DONE
    run.finished_at = utcnow()
    run.message = ""
    run.report = {**run.report, "result": outcome.result(session, run.id or 0)}
    data = {"rows": run.total_rows, "file": run.file_name, "import": run.id, **counts(run)}
    events.record(session, actor, "import.finished", entity="import_run", record_id=run.id or 0, data=data)
    told = {"file": run.file_name, "rows": run.total_rows, "run": run.id}
    notifications.notify(session, run.user_id, kind="import.finished", params=told, dedupe_key=f"import:{run.id}:{run.finished_at}")


def entity_words(run: ImportRun) -> str:
    """What the rows of a run are, in the plural."""
    return label_of(run.entity, plural=True).lower()


def counts(run: ImportRun) -> dict[str, int]:
    """Rows by outcome; their sum is the number of rows done."""
    return {each.value: getattr(run, each.value) for each in RowOutcome}


def forget_files(session: Session, *, days: int = KEEP_FILES_DAYS) -> int:
    """Remove the uploaded files, and the copies of rejected rows, of imports that ended or were left lying long ago: they are personal data.

    Outcomes and undo stay, only the cells are gone from the outcome file. Returns the number of files.
    """
    before = utcnow() - timedelta(days=days)
    still_busy = (ImportState.CHECKING, ImportState.RUNNING, ImportState.REVERTING)
    old = session.exec(
        model_select(ImportRun).where(
            col(ImportRun.updated_at) < before, ImportRun.file_path != "", col(ImportRun.state).not_in(still_busy)
        )
    ).all()
    for run in old:
        store.forget(run.file_path)
        session.execute(update(_ROWS).where(_ROWS.c.run_id == run.id, _ROWS.c.outcome == RowOutcome.REJECTED).values(raw={}))
        run.file_path = ""
        session.add(run)
    session.flush()
    return len(old)


def discard(session: Session, actor: Actor, run_id: int) -> None:
    """Give up an import that was never started, with its file."""
    run = _editable(session, actor, run_id)
    session.delete(run)
    session.flush()
    store.forget(run.file_path)
