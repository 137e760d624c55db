"""Some hundred rows of a file become records: read, decided, written, each with an outcome. The dry run runs this very code and is rolled back.

A row is created, updated, unchanged or rejected, nothing else. All rows of a batch are written with a handful of statements; when the database
refuses one of them, the batch is written again one by one so that only the guilty row is rejected.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import SimpleNamespace
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session

from crm_core import erased, matching
from crm_core.access import Actor, visible
from crm_core.db import is_sqlite
from crm_core.entities import entity, label_of
from crm_core.fields import FieldSpec, to_json
from crm_core.kit.clock import utcnow
from crm_core.models import ImportLink, ImportRow
from crm_core.services.admin.imports import links, writing
from crm_core.services.admin.imports.finder import Finder, Key
from crm_core.services.admin.imports.kinds.base import Kind, RowRefused, ToCreate, Written
from crm_core.services.admin.imports.memory import Memory
from crm_core.services.admin.imports.plan import Mode, Plan, fill_in
from crm_core.services.admin.imports.reading import Row
from crm_core.services.admin.imports.values import Converter
from crm_core.vocabulary import Action, PointKind, RowOutcome

_ROWS: Any = ImportRow.__table__  # type: ignore[attr-defined]
_LINKS: Any = ImportLink.__table__  # type: ignore[attr-defined]


NOTHING: Mapping[str, Any] = {}
"""One empty mapping for all rows that have nothing to say: it is turned into JSON once."""


@dataclass
class Outcome:
    """What became of one row."""

    n: int
    outcome: RowOutcome
    record_id: int | None = None
    record_version: int | None = None
    before: dict[str, Any] | None = None
    errors: Mapping[str, str] = field(default_factory=lambda: NOTHING)
    raw: Mapping[str, str] = field(default_factory=lambda: NOTHING)


@dataclass
class Draft:
    """A row on its way: the typed values and, once it is decided, the record that it means."""

    row: Row
    values: dict[str, Any] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    attached: dict[str, Any] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    key: Key = ()
    ids: Sequence[int] = ()


class Batch:
    """The rows of one batch within one transaction."""

    def __init__(self, session: Session, memory: Memory, run_id: int) -> None:
        self.session = session
        self.memory = memory
        self.run_id = run_id
        self.actor: Actor = memory.actor
        self.plan: Plan = memory.plan
        self.kind: Kind = memory.kind
        self.now: datetime = utcnow()
        self._entity = entity(self.kind.entity)
        self._outcomes: dict[int, Outcome] = {}
        self._creates: list[Written] = []
        self._updates: list[Written] = []
        self._pending: set[Key] = set()
        self._touched: set[int] = set()
        self._existing: dict[int, Any] = {}
        self._draft: Draft | None = None
        self._finder: Finder | None = None
        self._flushed = False
        self._made: set[int] = set()
        memory.session = session
        self.kind.begin(self)

    # --- for kinds ----------------------------------------------------------------------------------------------------------

    def stamp(self, **values: Any) -> dict[str, Any]:
        """Columns of a further row, with the instants and the version that every row has."""
        return {**values, "created_at": self.now, "updated_at": self.now, "version": 1}

    def insert(self, table: Any, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert further rows that all have the same columns."""
        writing.fast_insert(self.session, table, rows)

    def attach(self, values: dict[str, Any]) -> None:
        """Keep what belongs to the row but is no column of its record; ``Written.given["attached"]`` holds it later."""
        if self._draft is not None:
            self._draft.attached = values

    def remark(self, key: str, sentence: str) -> None:
        """Note something about the row that people should know although it is taken."""
        if self._draft is not None:
            self._draft.notes[self._header(key)] = sentence

    def remember(self, entity_key: str, values: Mapping[str, Any], record_id: int, old: Mapping[str, Any] | None = None) -> None:
        """Let later rows find a record that was just written, and no longer by what it was called before."""
        for finder in self.memory.finders.values():
            keys = [spec.key for spec in finder.specs]
            if finder.entity == entity_key and all(key in values for key in keys):
                if old and any(key in old for key in keys):
                    finder.drop(finder.key([old.get(key, values[key]) for key in keys]), record_id)
                finder.add(finder.key([values[key] for key in keys]), record_id)

    def created_here(self, record_id: int) -> bool:
        """Whether this run has created the record."""
        if record_id in self._made:
            return True
        mine = select(_ROWS.c.id).where(
            _ROWS.c.run_id == self.run_id, _ROWS.c.record_id == record_id, _ROWS.c.outcome == RowOutcome.CREATED
        )
        return self.session.execute(mine.limit(1)).first() is not None

    def written_ids(self) -> set[int]:
        """Records that this run has created or updated so far, those created on the way included."""
        mine = select(_ROWS.c.record_id).where(_ROWS.c.run_id == self.run_id, _ROWS.c.record_id.is_not(None))
        linked = select(_LINKS.c.record_id).where(_LINKS.c.run_id == self.run_id, _LINKS.c.entity == self.kind.entity)
        connection = self.session.connection()
        return {*connection.execute(mine).scalars(), *connection.execute(linked).scalars()}

    # --- the work -----------------------------------------------------------------------------------------------------------

    def process(self, rows: Sequence[Row]) -> list[Outcome]:
        """Import the rows and write their outcomes; returns these in the order of the file."""
        drafts = [self._read(row) for row in rows]
        self._load(drafts)
        for draft in drafts:
            self._take(draft)
        self._flush()
        found = [self._outcomes[row.n] for row in rows]
        self._note(found)
        return found

    def _read(self, row: Row) -> Draft:
        draft = Draft(row)
        if row.problem:
            draft.errors[""] = row.problem
            return draft
        values, clears = draft.values, self.plan.empty_clears
        for cell in self.memory.cells:
            text = row.cells[cell.index]
            if not text or text.isspace():
                if clears and cell.spec.key not in self.memory.constants:
                    values[cell.spec.key] = None
                continue
            self._put(draft, cell, text)
        if self.memory.constants:
            self._fill_constants(draft)
        return draft

    def _put(self, draft: Draft, cell: Converter, text: str) -> None:
        found = cell.read(text)
        if found.unknown:
            self.memory.tally.value_unknown(cell.header, text)
        if found.error:
            draft.errors[cell.header] = found.error
        elif cell.is_reference and found.value is not None:
            self._put_reference(draft, cell, found.value)
        else:
            draft.values[cell.spec.key] = found.value

    def _put_reference(self, draft: Draft, cell: Converter, text: str) -> None:
        if (
            cell.spec.to == self.kind.entity
        ):  # perhaps it stands further down: what is not found now is looked for after the last row
            ids = links.ids_of(self, cell.spec, cell.column, text)
            if len(ids) == 1:
                draft.values[cell.spec.key] = ids[0]
            return
        try:
            pipeline = draft.values.get("pipeline_id") if cell.spec.to == "stage" else None
            draft.values[cell.spec.key] = links.find(self, cell.spec, cell.column, text, pipeline)
        except RowRefused as refused:
            draft.errors |= refused.errors

    def _fill_constants(self, draft: Draft) -> None:
        cells: dict[str, str] | None = None
        for key, (template, converter, has_places) in self.memory.constants.items():
            if draft.values.get(key) is not None or converter.header in draft.errors:
                continue
            if has_places and cells is None:
                cells = dict(zip(self.memory.headers, draft.row.cells, strict=True))
            text = fill_in(template, cells or {}) if has_places else template
            if text:
                self._put(draft, converter, text)

    # --- which record does a row mean? -----------------------------------------------------------------------------------------

    def _load(self, drafts: Iterable[Draft]) -> None:
        """Set the keys of the rows and load, in one statement, the records that they are going to change."""
        if not self.plan.match:
            return
        finder, wanted = self._matcher(), set()
        for draft in drafts:
            if not draft.errors:
                values = [draft.values.get(key) for key in self.plan.match]
                draft.key = (None,) if any(isinstance(value, ToCreate) for value in values) else finder.key(values)
                draft.ids = finder.find(draft.key)
                wanted.update(draft.ids)
        self._load_records(wanted)

    def _matcher(self) -> Finder:
        if self._finder is None:
            self._finder = self.memory.finder(self.session, self.kind.entity, self.plan.match)
        return self._finder

    def _load_records(self, ids: set[int]) -> None:
        table = self._entity.table
        ordered = sorted(ids)
        for start in range(0, len(ordered), 500):
            chunk = ordered[start : start + 500]
            statement = select(table).where(table.c.id.in_(chunk))
            if not self._entity.lookup:
                statement = statement.where(visible(self.actor, self.kind.entity, table, Action.EDIT))
            if not is_sqlite(self.session):
                statement = statement.order_by(table.c.id).with_for_update(
                    key_share=True
                )  # in one order, whoever else locks several
            for row in self.session.connection().execute(statement).mappings():
                self._existing[row["id"]] = SimpleNamespace(**row)

    def _meant(self, draft: Draft) -> Any | None:
        """The record that the row updates, None for a new one. Raises RowRefused when it can't be told or may not be changed."""
        if not self.plan.match:
            return None
        if draft.key in self._pending or (self._touched and not self._touched.isdisjoint(draft.ids)):
            self._flush()
        ids = self._matcher().find(draft.key) if self._flushed else draft.ids
        if not ids:
            if self.plan.mode is Mode.UPDATE:
                raise RowRefused(**{"": f"There is no {label_of(self.kind.entity).lower()} with {self._key_words(draft)}."})
            return None
        if len(ids) > 1:
            raise RowRefused(
                **{
                    "": f"{len(ids)} {label_of(self.kind.entity, plural=True).lower()} have {self._key_words(draft)}; the row can't tell which it means."
                }
            )
        if self.plan.mode is Mode.CREATE:
            raise RowRefused(**{"": f"There is already {_a(label_of(self.kind.entity).lower())} with {self._key_words(draft)}."})
        if ids[0] not in self._existing:
            self._load_records({ids[0]})
        found = self._existing.get(ids[0])
        if found is None:
            raise RowRefused(
                **{"": f"You may see the {label_of(self.kind.entity).lower()} with {self._key_words(draft)}, but not change it."}
            )
        return found

    def _key_words(self, draft: Draft) -> str:
        words = []
        for key in self.plan.match:
            cell = next((cell for cell in self.memory.cells if cell.spec.key == key), None)
            said = draft.row.cells[cell.index].strip()[:60] if cell is not None else str(draft.values.get(key))
            words.append(f"{self.memory.specs[key].label} “{said}”")
        return " and ".join(words)

    # --- deciding ---------------------------------------------------------------------------------------------------------------

    def _take(self, draft: Draft) -> None:
        if draft.errors:
            self._reject(draft, draft.errors)
            return
        self._draft = draft
        try:
            old = self._meant(draft)
            given = dict(draft.values)
            self.kind.fill(self, draft.values, old)
            self._check_filled(draft.values, old)
            self._look_for_erased(draft.values)
            self._create_links(draft)
            given["attached"] = draft.attached
            if old is None:
                self._create(draft, given)
            else:
                self._update(draft, old, given)
        except RowRefused as refused:
            self._reject(draft, {self._header(key): sentence for key, sentence in refused.errors.items()})

    def _header(self, key: str) -> str:
        """The column that a field comes from, for the reader of a reason."""
        column = self.plan.column_for(key)
        return column.header if column else self.memory.specs[key].label if key in self.memory.specs else key

    def _check_filled(self, values: Mapping[str, Any], old: Any | None) -> None:
        missing = {}
        for key, spec in self.memory.required:
            if old is not None and key not in values:
                continue
            value = values.get(key)
            if value in (None, "") and (old is not None or spec.custom or self.memory.blank.get(key) in (None, "")):
                missing[key] = f"{spec.label} is needed."
        if missing:
            raise RowRefused(**missing)

    def _look_for_erased(self, values: Mapping[str, Any]) -> None:
        for kind, key in ((PointKind.EMAIL, "email"), (PointKind.PHONE, "phone")) if self.kind.entity in matching.PEOPLE else ():
            if values.get(key) and erased.known(self.session, kind, [str(values[key])]):
                self.remark(key, erased.BLOCKED)

    def _create_links(self, draft: Draft) -> None:
        for holder in (draft.values, draft.attached):
            for key, value in holder.items():
                if isinstance(value, ToCreate):
                    holder[key] = links.create(self, value, draft.values)

    def _create(self, draft: Draft, given: dict[str, Any]) -> None:
        columns = dict(self.memory.blank)
        columns["created_at"] = columns["updated_at"] = self.now
        extra: dict[str, Any] = {}
        for key, value in draft.values.items():
            spec = self.memory.specs.get(key)
            if spec is not None and spec.custom:
                extra[key] = to_json(value)
            elif value is not None or columns.get(key) is None:
                columns[key] = value
        if "extra" in columns:
            columns["extra"] = extra or NOTHING
        if self.memory.owns and draft.values.get("owner_id") is None:
            columns["owner_id"] = self.actor.user_id
        self._creates.append(Written(draft.row.n, 0, columns, given=given))
        self._outcomes[draft.row.n] = Outcome(draft.row.n, RowOutcome.CREATED, errors=draft.notes or NOTHING)
        if self.plan.match and None not in draft.key:
            self._pending.add(draft.key)

    def _update(self, draft: Draft, old: Any, given: dict[str, Any]) -> None:
        changes, extra = {}, dict(getattr(old, "extra", None) or {})
        for key, value in draft.values.items():
            spec: FieldSpec | None = self.memory.specs.get(key)
            if spec is not None and spec.custom:
                extra[key] = to_json(value)
                continue
            if value is None and not self._entity.table.c[key].nullable:
                value = self.memory.blank.get(key)
            if getattr(old, key) != value:
                changes[key] = value
        if "extra" in self.memory.blank and extra != (old.extra or {}):
            changes["extra"] = extra
        if not changes and not draft.attached:
            self._outcomes[draft.row.n] = Outcome(draft.row.n, RowOutcome.UNCHANGED, old.id, old.version)
            return
        before = {key: getattr(old, key) for key in changes}
        columns = {**vars(old), **changes, "version": old.version + 1, "updated_at": self.now}
        row = Written(draft.row.n, old.id, columns, old=before, given=given)
        self.kind.name_change(row)
        self._updates.append(row)
        self._touched.add(old.id)
        kept = writing.before_json(before)
        self._outcomes[draft.row.n] = Outcome(
            draft.row.n, RowOutcome.UPDATED, old.id, old.version + 1, kept, draft.notes or NOTHING
        )

    def _reject(self, draft: Draft, errors: Mapping[str, str]) -> None:
        said = dict(zip(self.memory.headers, draft.row.cells, strict=False))
        self._outcomes[draft.row.n] = Outcome(draft.row.n, RowOutcome.REJECTED, errors=dict(errors), raw=said)

    # --- writing ----------------------------------------------------------------------------------------------------------------

    def _flush(self) -> None:
        """Write what was decided so far; rows that the database refuses are rejected one by one."""
        creates, updates = self._creates, self._updates
        self._creates, self._updates, self._pending, self._touched = [], [], set(), set()
        if not creates and not updates:
            return
        self._flushed = True
        if not self._written(creates, updates):
            for row in creates:
                if not self._written([row], []):
                    self._refused(row)
            for row in updates:
                if not self._written([], [row]):
                    self._refused(row)

    def _refused(self, row: Written) -> None:
        sentence = "The database refused this row: it repeats a value that may exist once, or points at a record that is gone."
        self._outcomes[row.n] = Outcome(row.n, RowOutcome.REJECTED, errors={"": sentence})

    def _written(self, creates: list[Written], updates: list[Written]) -> bool:
        try:
            with self.session.begin_nested():
                self._write(creates, updates)
        except DBAPIError as error:
            if not _about_a_row(error):
                raise
            return False
        for row in (*creates, *updates):
            old = {**row.old, **(row.old.get("extra") or {})}
            self.remember(self.kind.entity, {**row.columns, **(row.columns.get("extra") or {})}, row.id, old)
            self._existing.pop(row.id, None)
        return True

    def _write(self, creates: list[Written], updates: list[Written]) -> None:
        key = self.kind.entity
        if creates:
            for row, record_id in zip(creates, writing.reserve(self.session, self._entity.table, len(creates)), strict=True):
                row.id = row.columns["id"] = record_id
            writing.insert_records(self.session, key, creates)
        if updates:
            writing.update_records(self.session, key, updates)
        self.kind.wrote(self, creates, updates)
        told = (*creates, *updates, *self.kind.also(creates))
        writing.write_events(self.session, self.actor, key, told, self.memory.fields, self.run_id, self.now)
        for row in creates:
            outcome = self._outcomes[row.n]
            outcome.record_id, outcome.record_version = row.id, row.columns["version"]
            self._made.add(row.id)
        for row in updates:
            self._outcomes[row.n].record_version = row.columns["version"]

    def _note(self, outcomes: Sequence[Outcome]) -> None:
        """Write what became of the rows, in the transaction that made it so."""
        writing.fast_insert(self.session, _ROWS, [{"run_id": self.run_id, **vars(outcome)} for outcome in outcomes])
        for outcome in outcomes:
            self.memory.tally.row(outcome.n, outcome.outcome, outcome.errors)


def _a(word: str) -> str:
    return f"an {word}" if word[:1] in "aeiou" else f"a {word}"


def _about_a_row(error: DBAPIError) -> bool:
    """True for errors that a value causes; a full disk or a lost connection must stop the run instead."""
    from sqlalchemy.exc import DataError, IntegrityError

    return isinstance(error, IntegrityError | DataError)
