"""What the erasure writes, batch by batch: rows about the person lose what tells of them, and everybody else's texts their name and addresses."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from sqlalchemy import (
    JSON,
    ColumnElement,
    Text,
    UniqueConstraint,
    and_,
    case,
    cast,
    delete,
    exists,
    false,
    func,
    not_,
    or_,
    select,
    update,
)
from sqlmodel import Session

from crm_core import db, search
from crm_core.channels import email as outgoing
from crm_core.entities import ENTITIES
from crm_core.errors import Unavailable
from crm_core.fields import registry
from crm_core.frames import arrow
from crm_core.kit.clock import utcnow
from crm_core.models import AnalysisRun, Attachment, BulkOperation, Event, ImportRun, MailDelivery
from crm_core.models.base import sort_values
from crm_core.personal_data import ERASED_PERSON, EXTRA, NAMED, TABLES, UNIQUE, is_text
from crm_core.services.admin import audit
from crm_core.services.admin.imports import store
from crm_core.services.admin.privacy import rows
from crm_core.services.admin.privacy.rows import Person
from crm_core.services.admin.privacy.words_rules import Words
from crm_core.services.collaboration import files
from crm_core.services.inbox import raws
from crm_core.veil import MASK
from crm_core.vocabulary import FieldKind, ImportState, MailState

BATCH = 300
TABLES_AT_ONCE = 20
SPAN = 50_000
"""Rows of a table that one statement looks through."""
MOST_MENTIONS, COUNTING_SECONDS = 500, 3.0
"""How far mentions are counted before an erasure."""
COUNTED, COUNTED_AT_ONCE = 100_000, 25_000
"""So many of the latest rows of a table are looked through then; so many by one statement, so that it can stop in time."""
MOST_BY_HAND = 200
"""Files that a request names as to be looked at; a person on more of them is a case of its own."""

_EVENTS: Any = Event.__table__  # type: ignore[attr-defined]
_FILES: Any = Attachment.__table__  # type: ignore[attr-defined]
_MAIL: Any = MailDelivery.__table__  # type: ignore[attr-defined]
_RUNS: Any = AnalysisRun.__table__  # type: ignore[attr-defined]
_IMPORTS: Any = ImportRun.__table__  # type: ignore[attr-defined]
_TEXTS = (FieldKind.TEXT, FieldKind.LONG_TEXT, FieldKind.EMAIL, FieldKind.PHONE, FieldKind.URL, FieldKind.DATE, FieldKind.DATETIME)
_SAID = ("guest", "who", "meeting", "reason", "found", "name", "subject", "from", "comment", "text", "title", "address")
"""What events say in people's own words."""
_OWN = {"contact": {"name", "email", "phone"}, "lead": {"name", "email", "phone", "company", "website"}}
"""What says who somebody else is: their own, even where it reads the same."""
_BY_ADDRESS = ("import_row", "form_submission", "shop_delivery", "webhook_delivery")
"""Messages of machines: where an address of the person stands, the whole message is about them."""
UNFINISHED = (
    ImportState.UPLOADED, ImportState.MAPPED, ImportState.CHECKING, ImportState.CHECKED, ImportState.RUNNING, ImportState.REVERTING,
)  # fmt: skip


def entity_of_table(name: str) -> str:
    """The entity whose rows lie in a table; "" for none."""
    return next((key for key, one in ENTITIES.items() if one.table.name == name), "")


def _key(table: Any) -> Any:
    return next(iter(table.primary_key.columns))


def _next(session: Session, table: Any, clause: ColumnElement[bool], after: Any) -> Sequence[Any]:
    key = _key(table)
    beyond = [key > after] if after is not None else []
    return session.connection().execute(select(table).where(clause, *beyond).order_by(key).limit(BATCH)).all()


# --- rows about the person ---------------------------------------------------------------------------------------------------


def some_of(session: Session, name: str, who: Person, after: Any = None) -> list[Any]:
    """The key of a row of a table that is about the person, if there is one."""
    key = _key(rows.table_of(name))
    beyond = [key > after] if after is not None else []
    return list(session.execute(select(key).where(rows.about(name, who), *beyond).limit(1)).scalars())


def wipe(session: Session, name: str, who: Person, after: Any = None) -> tuple[Any, int]:
    """Take what tells of the person out of the next rows of a table that are about them. Gives where to go on (None: that was all) and how many."""
    table, held = rows.table_of(name), TABLES[name]
    found = _next(session, table, rows.about(name, who), after)
    if not found:
        return None, 0
    ids = [row[0] for row in found] if _key(table) is next(iter(table.c)) else [getattr(row, _key(table).name) for row in found]
    _files_of(session, name, found)
    if held.gone:
        session.connection().execute(delete(table).where(_key(table).in_(ids)))
    elif name == _EVENTS.name:
        audit.rewrite(session, {row.id: _silent(session, row) for row in found})
    else:
        _write(session, name, {one: _wiped(session, name, row) for one, row in zip(ids, found, strict=True)}, found)
    db.bump(session, name)
    return (ids[-1] if len(found) == BATCH else None), len(found)


def _wiped(session: Session, name: str, row: Any) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, blank in TABLES[name].wiped.items():
        if blank is NAMED:
            values[key] = f"{ERASED_PERSON}{row.id}"
        elif blank is UNIQUE:
            values[key] = f"erased-{row.id}"
        elif blank is EXTRA:
            values[key] = kept_extra(session, entity_of_table(name), row.extra)
        else:
            values[key] = blank
    if name == _MAIL.name and row.state in (MailState.PENDING, MailState.HELD, MailState.FAILED):
        values["state"] = MailState.CANCELLED
    if name == _FILES.name and row.deleted_at is None:
        values["deleted_at"] = utcnow()
    return values


def kept_extra(session: Session, entity_key: str, extra: Mapping[str, Any] | None) -> dict[str, Any]:
    """Own fields without texts, days and what is marked as personal: what is left counts, and names nobody."""
    specs = registry(session, entity_key)
    return {
        key: value for key, value in (extra or {}).items() if key in specs and not specs[key].pii and specs[key].kind not in _TEXTS
    }


def _write(session: Session, name: str, values: Mapping[Any, Mapping[str, Any]], found: Sequence[Any]) -> None:
    """Write changed columns by key; versions rise, and what is searched is written anew."""
    table = rows.table_of(name)
    stamp = {"updated_at": utcnow(), "version": table.c.version + 1} if "version" in table.c else {}
    before = {getattr(row, _key(table).name): row for row in found}
    for key, changed in values.items():
        if not changed:
            continue
        written = {**changed, **sort_values(table, changed)}
        session.connection().execute(update(table).where(_key(table) == key).values(**written, **stamp))
        if entity_key := entity_of_table(name):
            search.index(session, entity_key, SimpleNamespace(**{**before[key]._mapping, **written}))
    db.bump(session, name, "search_document")


def _silent(session: Session, row: Any) -> dict[str, Any]:
    """An event about the person without what was changed from and to, and without words of people."""
    specs = registry(session, row.entity) if row.entity in ENTITIES else {}
    held = TABLES[ENTITIES[row.entity].table.name] if row.entity in ENTITIES else None
    changes = {}
    for key, pair in (row.changes or {}).items():
        spec = specs.get(key)
        tells = (held is not None and key in held.wiped) or spec is None or spec.pii or (spec.custom and spec.kind in _TEXTS)
        changes[key] = [None if one is None else str(MASK) for one in pair] if tells and isinstance(pair, list) else pair
    data = {key: str(MASK) if key in _SAID and isinstance(one, str) and one else one for key, one in (row.data or {}).items()}
    return {"changes": changes, "data": data}


# --- files that belong to rows ---------------------------------------------------------------------------------------------------


def _files_of(session: Session, name: str, found: Sequence[Any]) -> None:
    """Delete what lies beside the rows in the data folder, unless somebody else needs it too."""
    if name == _FILES.name:
        _forget_contents(session, {row.sha256 for row in found if row.sha256}, besides={row.id for row in found})
    elif name == _MAIL.name:
        for row in found:
            forget_letter(row.file)
        kept = {one["sha256"] for row in found for one in row.attachments or () if one.get("sha256")}
        _forget_contents(session, kept, letters={row.id for row in found})
    elif name == "inbound_mail":
        for row in found:
            raws.forget(row.raw or "")
    elif name == "privacy_request":
        for row in found:
            forget_report(row.file)


def _forget_contents(session: Session, digests: Iterable[str], *, besides: Iterable[int] = (), letters: Iterable[int] = ()) -> None:
    for digest in digests:
        hung = exists().where(_FILES.c.sha256 == digest, _FILES.c.deleted_at.is_(None), _FILES.c.id.not_in(list(besides)))
        sent = exists().where(cast(_MAIL.c.attachments, Text).contains(digest), _MAIL.c.id.not_in(list(letters)))
        if not session.execute(select(or_(hung, sent))).scalar_one():
            files.forget(digest)


def forget_letter(file: str) -> None:
    """Delete a message that was written to the outbox folder."""
    if file:
        (outgoing.outbox_folder() / file).unlink(missing_ok=True)


def forget_report(file: str) -> None:
    """Delete the file of a report."""
    if file:
        (store.settings().data_dir / file).unlink(missing_ok=True)


# --- other people's texts --------------------------------------------------------------------------------------------------------


def texts_of(name: str) -> list[Any]:
    """The columns of a table in which anybody may have written a name or an address."""
    table, held = rows.table_of(name), TABLES[name]
    own = _OWN.get(name, set())
    return [column for column in table.c if is_text(column) and column.name in {*held.words, *held.wiped} - own]


def _holding(columns: Iterable[Any], likes: Sequence[str]) -> ColumnElement[bool]:
    as_text = [cast(column, Text) if isinstance(column.type, JSON) else column for column in columns]
    return or_(*(column.ilike(pattern, escape="\\") for column in as_text for pattern in likes))


def swept_tables() -> list[str]:
    """All tables with such columns; the index of the search follows the records."""
    return [name for name in sorted(TABLES) if name != "search_document" and texts_of(name)]


def holding(session: Session, name: str, words: Words, after: Any = None) -> tuple[Any, list[Any]]:
    """Looks through the next rows of a table, at most ``SPAN`` numbers at once. Gives where to go on and the keys of those in whose texts a word may
    stand."""
    table = rows.table_of(name)
    key = _key(table)
    if not words:
        return None, []
    beyond, end = [key > after] if after is not None else [], None
    if key.type.python_type is int:
        last = session.execute(select(func.max(key))).scalar() or 0
        end = (after or 0) + SPAN if (after or 0) + SPAN < last else None
        beyond += [key <= end] if end is not None else []
    wanted = select(key).where(_holding(texts_of(name), words.likes), *beyond).order_by(key).limit(BATCH)
    found = list(session.execute(wanted).scalars())
    return (found[-1] if len(found) == BATCH else end), found


def mentions(session: Session, who: Person, words: Words) -> tuple[int, bool]:
    """How many rows about others hold a word, and whether there may be more: counted up to ``MOST_MENTIONS`` in the latest ``COUNTED`` rows of each table,
    the small ones first, and for at most ``COUNTING_SECONDS``, so that it takes no longer in a large workspace."""
    if not words:
        return 0, False
    end, found = time.monotonic() + COUNTING_SECONDS, 0
    tables = [rows.table_of(name) for name in swept_tables() if name != "privacy_request"]
    ends = {table.name: session.execute(select(func.max(_key(table)))).scalar() if _numbered(table) else None for table in tables}
    for table in sorted(tables, key=lambda one: (ends[one.name] or 0, one.name)):
        others = and_(_holding(texts_of(table.name), words.spelled), not_(func.coalesce(rows.about(table.name, who), false())))
        for span in _spans(table, ends[table.name]):
            if found >= MOST_MENTIONS or time.monotonic() > end:
                return found, True
            some = select(_key(table)).where(others, *span).limit(MOST_MENTIONS - found).subquery()
            found += int(session.execute(select(func.count()).select_from(some)).scalar_one())
    return found, found >= MOST_MENTIONS or any((last or 0) > COUNTED for last in ends.values())


def _numbered(table: Any) -> bool:
    return _key(table).type.python_type is int


def _spans(table: Any, last: int | None) -> Iterator[list[ColumnElement[bool]]]:
    """Clauses that cut the latest rows of a table into parts, the last ones first."""
    if not _numbered(table):
        yield []
        return
    least = max(0, (last or 0) - COUNTED)
    for upper in range(last or 0, least, -COUNTED_AT_ONCE):
        yield [_key(table) <= upper, _key(table) > max(least, upper - COUNTED_AT_ONCE)]


def sweep(session: Session, name: str, words: Words, request_id: int, keys: Sequence[Any]) -> int:
    """Take the words out of rows, whoever these are about; gives how many changed."""
    columns, table = texts_of(name), rows.table_of(name)
    found = session.connection().execute(select(table).where(_key(table).in_(keys))).all()
    values = {getattr(row, _key(table).name): _cleaned(name, columns, row, words, request_id) for row in found}
    values = {key: changed for key, changed in values.items() if changed}
    if name == _EVENTS.name:
        audit.rewrite(session, values)
    else:
        _write(session, name, values, found)
    return len(values)


def _cleaned(name: str, columns: Sequence[Any], row: Any, words: Words, request_id: int) -> dict[str, Any]:
    values = {column.name: getattr(row, column.name) for column in columns}
    if name in _BY_ADDRESS and any(words.reached_within(values[key]) for key in TABLES[name].wiped if values.get(key)):
        return dict(TABLES[name].wiped)
    cleaned = {key: words.out_of(value) for key, value in values.items()}
    changed = {key: value for key, value in cleaned.items() if value != values[key]}
    unique = unique_columns(rows.table_of(name))
    return {
        key: f"erased-{request_id}-{row[0]}" if key in unique else _fitting(rows.table_of(name).c[key], value)
        for key, value in changed.items()
    }


def unique_columns(table: Any) -> set[str]:
    several = [constraint.columns for constraint in table.constraints if isinstance(constraint, UniqueConstraint)]
    several += [index.columns for index in table.indexes if index.unique]
    return {column.name for columns in several for column in columns}


def _fitting(column: Any, value: Any) -> Any:
    length = getattr(getattr(column.type, "impl_instance", column.type), "length", None)
    return value[:length] if isinstance(value, str) and length else value


# --- files of all kinds ------------------------------------------------------------------------------------------------------------

SEARCHED = {"mail_delivery": "file", "inbound_mail": "raw", "import_run": "file_path"}
"""Tables whose rows name a file in the data folder."""


def holding_files(session: Session, name: str, words: Words, after: Any = None) -> tuple[Any, list[Any], list[str]]:
    """Looks through the next files. Gives where to go on, the keys of rows in whose file a word stands, and the names of files that are worked with."""
    table, column = rows.table_of(name), SEARCHED[name]
    found = _next(session, table, table.c[column] != "", after) if words else []
    held = [row for row in found if any(words.inside(content) for content in _contents(name, getattr(row, column)))]
    busy = [row for row in held if name == "import_run" and row.state in UNFINISHED]
    return (
        (found[-1].id if len(found) == BATCH else None),
        [row.id for row in held if row not in busy],
        [str(row.file_name) for row in busy],
    )


def forget_files(session: Session, name: str, keys: Sequence[Any]) -> int:
    """Delete the files of these rows; gives how many."""
    table, column = rows.table_of(name), SEARCHED[name]
    found = session.connection().execute(select(table).where(table.c.id.in_(keys))).all()
    for row in found:
        {"mail_delivery": forget_letter, "inbound_mail": raws.forget, "import_run": store.forget}[name](getattr(row, column))
    _write(session, name, {row.id: {column: ""} for row in found}, found)
    return len(found)


def _contents(name: str, file: str) -> list[bytes]:
    if name == "inbound_mail":
        return [raws.read(file)]
    base = outgoing.outbox_folder() / file if name == "mail_delivery" else store.settings().data_dir / file
    paths = base.parent.glob(f"{base.stem}*") if name == "import_run" else [base]
    return [path.read_bytes() for path in paths if path.is_file()]


def to_look_at(
    session: Session, who: Person, words: Words, after: Any = None, *, erasing: bool = False
) -> tuple[Any, list[dict[str, Any]]]:
    """Looks through the next files on records of others. Gives where to go on, and those that somebody must look at: which name the person as far as
    they can be read (texts, mail, Office documents), and all on their companies. An erasure takes no files off deals and orders: there these too."""
    own = or_(rows.about(_FILES.name, who), rows.on_business(who, companies=False) if not erasing else false())
    clause = and_(_FILES.c.deleted_at.is_(None), _FILES.c.sha256 != "", not_(own))
    beyond = [_FILES.c.id > after] if after is not None else []
    near = case((rows.on_business(who), 1), else_=0).label("near")
    found = session.execute(select(_FILES, near).where(clause, *beyond).order_by(_FILES.c.id).limit(BATCH)).all()
    named = [{"entity": row.entity, "id": row.record_id, "file": row.name} for row in found if row.near or _names(row, words)]
    return (found[-1].id if len(found) == BATCH else None), named


def _names(row: Any, words: Words) -> bool:
    if not words or words.within(row.name):
        return bool(words)
    try:
        return words.inside(files.content_of(row.sha256))
    except Unavailable:
        return False


def busy_imports(session: Session, words: Words) -> list[str]:
    """File names of imports that are not done yet and hold the person."""
    found = session.execute(
        select(_IMPORTS.c.file_name, _IMPORTS.c.file_path).where(_IMPORTS.c.state.in_(UNFINISHED), _IMPORTS.c.file_path != "")
    )
    return [row.file_name for row in found if any(words.inside(content) for content in _contents("import_run", row.file_path))]


# --- what was reckoned with the person ---------------------------------------------------------------------------------------------


def take_out_of_accounts(session: Session, who: Person, words: Words) -> int:
    """Companies of which the person was the only one lose the name, the address and the number that are the person's."""
    table, listed = rows.table_of("account"), rows.table_of("account_point")
    found = session.connection().execute(select(table).where(table.c.id.in_(who.accounts))).all()
    for row in found:
        said = {
            "name": words.out_of(row.name),
            **{key: None for key in ("email", "phone") if getattr(row, key) and words.within(getattr(row, key))},
        }
        points = session.execute(select(listed.c.id, listed.c.value).where(listed.c.account_id == row.id))
        theirs = [point.id for point in points if words.within(point.value)]
        session.connection().execute(delete(listed).where(listed.c.id.in_(theirs)))
        _write(session, "account", {row.id: said}, [row])
    db.bump(session, listed.name)
    return len(found)


def take_out_of_bulk(session: Session, who: Person) -> int:
    """The way back of bulk changes no longer brings the person's values back."""
    done = 0
    table: Any = BulkOperation.__table__  # type: ignore[attr-defined]
    for key in rows.PEOPLE:
        mine = set(who.ids(key))
        for row in session.execute(select(table.c.id, table.c.inverse).where(table.c.entity == key)):
            left = [patch for patch in row.inverse if not (isinstance(patch, dict) and patch.get("id") in mine)]
            if len(left) != len(row.inverse):
                session.connection().execute(update(table).where(table.c.id == row.id).values(inverse=left))
                done += 1
    return done


def holding_tables(session: Session, who: Person, after: Any = None) -> tuple[Any, list[Any], list[int]]:
    """Looks through the next tables of analyses. Gives where to go on, the keys of those with rows of the person, and their runs."""
    table = rows.table_of("analysis_table")
    beyond = [table.c.id > after] if after is not None else []
    joined = select(table.c.id, table.c.run_id, table.c.data, _RUNS.c.kind, _RUNS.c.params).join(
        _RUNS, _RUNS.c.id == table.c.run_id
    )
    found = session.execute(joined.where(*beyond).order_by(table.c.id).limit(TABLES_AT_ONCE)).all()
    held = [row for row in found if theirs(arrow.unpack(row.data), row.kind, row.params or {}, who) is not None]
    return (found[-1].id if len(found) == TABLES_AT_ONCE else None), [row.id for row in held], [row.run_id for row in held]


def take_out_of_tables(session: Session, who: Person, keys: Sequence[Any]) -> int:
    """Take the person's rows out of these tables of analyses; gives of how many."""
    table = rows.table_of("analysis_table")
    joined = select(table.c.id, table.c.data, _RUNS.c.kind, _RUNS.c.params).join(_RUNS, _RUNS.c.id == table.c.run_id)
    found = session.execute(joined.where(table.c.id.in_(keys))).all()
    for row in found:
        frame = arrow.unpack(row.data)
        mine = theirs(frame, row.kind, row.params or {}, who)
        left = frame if mine is None else frame[~mine]
        session.connection().execute(update(table).where(table.c.id == row.id).values(data=arrow.pack(left), rows=len(left)))
    db.bump(session, table.name)
    return len(found)


def theirs(frame: Any, kind: str, params: Mapping[str, Any], who: Person) -> Any:
    """Which rows of a frame are the person's; None where there are none."""
    found = None
    if {"entity", "record_id"} <= set(frame.columns):
        for key in rows.PEOPLE:
            mine = frame["entity"].eq(key) & frame["record_id"].isin(who.ids(key))
            found = mine if found is None else found | mine
    else:
        customer = str(params.get("customer", params.get("entity", "")))
        about = "lead" if kind == "lead_score" else "contact" if kind == "attribution" else customer
        named = {"contact_id": "contact", "lead_id": "lead", "customer_id": about, "record_id": about}
        column = next((column for column, key in named.items() if column in frame.columns and key in rows.PEOPLE), None)
        found = frame[column].isin(who.ids(named[column])) if column else None
    return found if found is not None and found.any() else None


# --- the database's own leftovers ------------------------------------------------------------------------------------------------


def overwrite(session: Session) -> None:
    """Let SQLite write zeros over what is deleted from here on; PostgreSQL gives such space back by itself."""
    if db.is_sqlite(session):
        session.connection().exec_driver_sql("pragma secure_delete = on")


def tidy_search(session: Session) -> None:
    """SQLite's search index keeps deleted words until its parts are put together."""
    if db.is_sqlite(session):
        session.connection().exec_driver_sql("insert into search_fts(search_fts) values ('optimize')")
