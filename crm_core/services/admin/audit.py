"""Who changed what, before and after; and the seals that make a later edit of the log show."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from weakref import WeakKeyDictionary
from zoneinfo import ZoneInfo

from sqlalchemy import and_, func, select, text, update
from sqlalchemy.exc import OperationalError
from sqlmodel import Session
from sqlmodel import select as load

from crm_core import db, lists, persons
from crm_core.access import Actor, owned_within, require
from crm_core.db import is_sqlite, write_session
from crm_core.entities import ENTITIES, label_of, one_of
from crm_core.events import sentence_of
from crm_core.fields import FieldSpec, registry
from crm_core.jobs import Job, job
from crm_core.kit.clock import utcnow
from crm_core.kit.paging import Page
from crm_core.kit.week import hours_in_words
from crm_core.models import AuditSeal, Event, User
from crm_core.services.admin import organisation
from crm_core.services.admin.days import between
from crm_core.vocabulary import Action, Scope, Via

_EVENTS: Any = Event.__table__  # type: ignore[attr-defined]
_SEALS: Any = AuditSeal.__table__  # type: ignore[attr-defined]
_USERS: Any = User.__table__  # type: ignore[attr-defined]
_PER_SEAL = 5_000


# --- reading --------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Change:
    """One field of one change. ``spec`` is None for what is no field (any more); ``old_title``/``new_title`` name linked records."""

    field: str
    label: str
    old: Any
    new: Any
    spec: FieldSpec | None = None
    old_title: str | None = None
    new_title: str | None = None


@dataclass(frozen=True)
class Entry:
    """One line of the audit trail. ``title`` names the record as the reader may see it."""

    id: int
    at: datetime
    who: str
    via: Via
    sentence: str
    entity: str
    entity_label: str
    record_id: int
    title: str
    changes: tuple[Change, ...]
    note: str = ""
    """From where and how, for a sign-in."""


SIGNINS = ("user.signed_in", "user.signin_failed", "user.signed_out")


def find(
    session: Session,
    actor: Actor,
    *,
    user_id: int | None = None,
    entity: str = "",
    record_id: int | None = None,
    since: date | None = None,
    until: date | None = None,
    signins: bool = False,
    page: int = 1,
    size: int = 50,
) -> Page:
    """One page of the trail, the youngest first; ``rows`` hold ``{"entry": Entry}``. Days are the reader's, both inclusive. ``signins``: only who
    signed in and out, and who failed to.

    Needs the audit permission; its reach decides whose deeds are shown (a manager sees those of everyone below).
    """
    require(actor, "audit", Action.READ)
    scopes = actor.scopes("audit", Action.READ)
    whose = (
        _EVENTS.c.record_id if signins else _EVENTS.c.actor_id
    )  # a try that failed was nobody's deed: it counts for whom it was about
    where = [owned_within(actor, whose, scopes)]
    where += [_EVENTS.c.type.in_(SIGNINS)] if signins else []
    where += [whose == user_id] if user_id else []
    where += [_EVENTS.c.entity == entity] if entity else []
    where += [_EVENTS.c.record_id == record_id] if record_id else []
    where += between(_EVENTS.c.at, since, until, ZoneInfo(actor.timezone))
    everything = len(where) == 1 and Scope.ALL in scopes
    total = _all(session) if everything else session.execute(select(func.count()).select_from(_EVENTS).where(*where)).scalar_one()
    size = min(max(1, size), lists.MAX_SIZE)
    page = min(max(1, page), max(1, -(-total // size)))
    found = session.execute(select(_EVENTS).where(*where).order_by(_EVENTS.c.id.desc()).limit(size).offset((page - 1) * size)).all()
    return Page([{"entry": entry} for entry in _entries(session, actor, found)], total, page, size)


def _all(session: Session) -> int:
    """How many lines the whole trail has. Lines are only added, so what was counted stays counted; a shorter trail is another one, and so is one
    that was trimmed since."""
    count, last, before = _counted.get(session.get_bind().engine, (0, 0, None))
    newest = session.execute(select(func.max(_EVENTS.c.id))).scalar() or 0
    trimmed = session.execute(select(func.max(_SEALS.c.trimmed_at))).scalar()
    if newest < last or trimmed != before:
        count, last = 0, 0
    if newest > last:
        count += session.execute(
            select(func.count()).select_from(_EVENTS).where(_EVENTS.c.id > last, _EVENTS.c.id <= newest)
        ).scalar_one()
        if session.get_bind().dialect.name == "sqlite":  # one writer at a time: no line with a smaller number can still arrive
            _counted[session.get_bind().engine] = count, newest, trimmed
    return count


_counted: WeakKeyDictionary[Any, tuple[int, int, datetime | None]] = WeakKeyDictionary()


def get(session: Session, actor: Actor, entry_id: int) -> Entry | None:
    """One line of the trail; None when there is none that the actor may see."""
    require(actor, "audit", Action.READ)
    mine = owned_within(actor, _EVENTS.c.actor_id, actor.scopes("audit", Action.READ))
    found = session.execute(select(_EVENTS).where(_EVENTS.c.id == entry_id, mine)).all()
    return next(iter(_entries(session, actor, found)), None)


def _entries(session: Session, actor: Actor, rows: Any) -> list[Entry]:
    people = dict(
        session.execute(select(_USERS.c.id, _USERS.c.name).where(_USERS.c.id.in_({row.actor_id for row in rows}))).tuples().all()
    )
    titles = {
        key: lists.titles(session, actor, key, {row.record_id for row in rows if row.entity == key})
        for key in {row.entity for row in rows} & set(ENTITIES)
    }
    linked = _linked(session, actor, rows)
    covers = persons.covers(session, actor, ((row.entity, row.record_id) for row in rows if row.entity in ENTITIES))
    return [
        Entry(
            id=row.id,
            at=row.at,
            who=people.get(row.actor_id, "Rapport"),
            via=row.via,
            sentence=_sentence(row, persons.told(actor, row.data or {}, covers.get((row.entity, row.record_id)))),
            entity=row.entity,
            entity_label=one_of(row.entity),
            record_id=row.record_id,
            title=titles.get(row.entity, {}).get(row.record_id, "") or _own_name(row),
            changes=_changes(session, actor, row, linked),
            note=_note(row) if row.type in SIGNINS else "",
        )
        for row in rows
    ]


def _note(row: Any) -> str:
    data = row.data or {}
    return ", ".join(words for words in (data.get("method"), f"from {data['address']}" if data.get("address") else "") if words)


_PARTS = {
    "segment_ids": "Segments", "exclude_ids": "Segments left out", "outlet": "Channels", "holdout_pct": "Held out in %", "send_at": "Goes out at",
    "locale": "Numbers and dates as in", "timezone": "Time zone", "fiscal_year_start_month": "Fiscal year starts in month",
    "phone_region": "Country of phone numbers without a prefix", "tax_rate_pct": "Usual tax rate (%)", "active": "In use", "required": "Needed",
    "pii": "Personal data", "filterable": "Filtered often", "options": "Values",
}  # fmt: skip
"""What is no field of a record, as its form calls it: parts of a campaign's plan, settings, parts of a custom field."""


_NAMED_BY_THEMSELVES = {"custom_field", "lead_form", "letter_template", "service_level", "survey", "automation"}


def _own_name(row: Any) -> str:
    """The name that something of the house had when it was changed: it has no list of records that knows it."""
    data = row.data or {}
    return str(data.get("label") or data.get("name") or "") if row.entity in _NAMED_BY_THEMSELVES else ""


class _Blanks(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return "…"


def _sentence(row: Any, data: Mapping[str, Any]) -> str:
    """The event's sentence with its own words filled in; names of fields stand in the changes."""
    try:
        template = sentence_of(row.type)
    except KeyError:
        return row.type.replace(".", " ").replace("_", " ")
    kind = data.get("entity") if row.type == "organisation.exported" else None  # what left the house, in the plural
    if kind == label_of(row.entity, plural=True).lower() and data.get("rows") == 1:
        kind = None
    words = _Blanks({**data, "entity": kind or one_of(row.entity).lower(), "fields": _count(row.changes or {})})
    return template.format_map(words)


def _count(changes: dict[str, Any]) -> str:
    return "1 field" if len(changes) == 1 else f"{len(changes)} fields"


def _linked(session: Session, actor: Actor, rows: Any) -> dict[str, dict[int, str]]:
    """Names of all records that changed links point at, in one query per kind."""
    wanted: dict[str, set[int]] = {}
    for row in rows:
        specs = registry(session, row.entity) if row.entity in ENTITIES else {}
        for key, pair in (row.changes or {}).items():
            if key in specs and specs[key].to in ENTITIES:
                wanted.setdefault(specs[key].to or "", set()).update(value for value in pair if isinstance(value, int))
    return {key: lists.titles(session, actor, key, ids) for key, ids in wanted.items()}


def _changes(session: Session, actor: Actor, row: Any, linked: dict[str, dict[int, str]]) -> tuple[Change, ...]:
    specs = registry(session, row.entity) if row.entity in ENTITIES else {}
    return tuple(
        _change(actor, row.entity, key, specs.get(key), pair[0], pair[1], linked)
        for key, pair in sorted((row.changes or {}).items())
    )


def _change(
    actor: Actor, entity: str, key: str, spec: FieldSpec | None, old: Any, new: Any, linked: dict[str, dict[int, str]]
) -> Change:
    if actor.masked(entity, key):
        hidden = [lists.instead(actor, spec, value) if spec else lists.MASK if value is not None else None for value in (old, new)]
        return Change(key, spec.label if spec else _named(key), hidden[0], hidden[1])
    if spec is None:
        told = _TOLD.get((entity, key), _how_many)
        return Change(key, _named(key), told(old), told(new))
    names = linked.get(spec.to or "", {})
    return Change(key, spec.label, spec.from_json(old), spec.from_json(new), spec, names.get(old), names.get(new))


def _named(key: str) -> str:
    """A name for what is no field of the record, as the parts of a campaign's plan are."""
    part = next((part for part in _PARTS if key.endswith(f"_{part}")), "")
    if part:  # of one of several channels: “Segments (mail merge)”
        return f"{_PARTS[part]} ({key.removesuffix(part).replace('_', ' ').strip()})"
    return _PARTS.get(key, key.removesuffix("_id").replace("_", " ").capitalize())


def _names(value: Any) -> Any:
    return ", ".join(map(str, value)) or None if isinstance(value, list) else value


def _hours(value: Any) -> Any:
    return "; ".join(hours_in_words(value)) or None if isinstance(value, Mapping) else value


_TOLD: dict[tuple[str, str], Callable[[Any], Any]] = {
    ("user", "roles"): _names,
    ("custom_field", "options"): _names,
    ("organisation", "working_hours"): _hours,
    ("organisation", "locale"): lambda value: organisation.LOCALES.get(value, value),
}
"""How values are told that are no fields and stand for something else."""


def _how_many(value: Any) -> Any:
    """Lists of ids say nobody anything: how many there are does. What is on or off is told as yes or no."""
    if isinstance(value, bool):
        return "Yes" if value else "No"
    return (f"{len(value)} chosen" if value else None) if isinstance(value, list) else value


# --- sealing --------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Verification:
    """What checking the seals found. ``broken``: (first id, last id) of the first sealed run whose content is not what was sealed."""

    sealed: int
    unsealed: int
    broken: tuple[int, int] | None


def _unsealed(session: Session) -> bool:
    last = session.execute(select(func.coalesce(func.max(_SEALS.c.last_id), 0))).scalar_one()
    return session.execute(select(_EVENTS.c.id).where(_EVENTS.c.id > last).limit(1)).first() is not None


@job("audit.seal", title="Seal the audit trail", cron="*/10 * * * *", when=_unsealed, keep_days=3)
def seal_job(job: Job) -> None:
    """Every ten minutes, if something happened."""
    until = settled_until()
    while True:
        with job.transaction() as session:
            if not seal(session, until):
                return


def settled_until() -> int:
    """The highest event id below which nothing can appear any more.

    On PostgreSQL a transaction that took a lower id may still be under way; the lock is granted only when none is. It is not waited for:
    a long import just postpones the seal.
    """
    with write_session() as session:
        if not is_sqlite(session):
            try:
                session.execute(text("set local lock_timeout = '1s'"))
                session.execute(text("lock table event_log in share mode"))
            except OperationalError:
                session.rollback()
                return 0
        return session.execute(select(func.coalesce(func.max(_EVENTS.c.id), 0))).scalar_one()


def seal(session: Session, until: int) -> int:
    """Seal the next run of at most 5,000 events up to an id; returns how many."""
    if not is_sqlite(session):
        session.execute(text("lock table audit_seal in exclusive mode"))  # two sealers must not fork the chain
    previous = session.execute(select(_SEALS).order_by(_SEALS.c.id.desc()).limit(1)).first()
    start = previous.last_id if previous else 0
    rows = session.execute(
        select(_EVENTS).where(_EVENTS.c.id > start, _EVENTS.c.id <= until).order_by(_EVENTS.c.id).limit(_PER_SEAL)
    ).all()
    if not rows:
        return 0
    before = previous.sha256 if previous else ""
    session.add(
        AuditSeal(
            first_id=rows[0].id, last_id=rows[-1].id, count=len(rows), previous=before, sha256=_hash(before, rows), at=utcnow()
        )
    )
    session.flush()
    return len(rows)


def _hash(previous: str, rows: Any) -> str:
    digest = hashlib.sha256(previous.encode())
    for row in rows:
        values = {**row._mapping, "at": row.at.astimezone(UTC).isoformat(), "via": str(row.via.value)}
        digest.update(json.dumps(values, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode())
    return digest.hexdigest()


def verify(session: Session) -> Verification:
    """Compute every seal anew: an event that was changed, added or removed afterwards breaks its seal, a removed seal breaks the chain. A run of
    which the retention took something is sealed once more, over what is left (``retention``)."""
    previous, last, sealed = "", 0, 0
    for found in session.exec(load(AuditSeal).order_by(_SEALS.c.id)):
        rows = session.execute(
            select(_EVENTS).where(_EVENTS.c.id > last, _EVENTS.c.id <= found.last_id).order_by(_EVENTS.c.id)
        ).all()
        if found.previous != previous or not is_whole(found, previous, rows):
            return Verification(sealed, _count_after(session, last), (found.first_id, found.last_id))
        previous, last, sealed = found.sha256, found.last_id, sealed + found.count
    return Verification(sealed, _count_after(session, last), None)


def is_whole(seal: Any, previous: str, rows: Any) -> bool:
    """Whether a sealed run still holds what was sealed, or what was left of it when it was trimmed."""
    if seal.kept_sha256 is not None:
        return len(rows) == seal.kept_count and left(seal.sha256, rows) == seal.kept_sha256
    return len(rows) == seal.count and _hash(previous, rows) == seal.sha256


def left(sha256: str, rows: Any) -> str:
    """The seal of what is left of a run, bound to the seal that it had."""
    return _hash(f"trimmed:{sha256}", rows)


def rewrite(session: Session, values: Mapping[int, Mapping[str, Any]]) -> None:
    """Take words out of entries: id → columns as they are from now on. Each sealed run that was whole is sealed once more over what it holds then; one
    that was not stays broken, as evidence. Part of an erasure, which asks."""
    if not values:
        return
    if not is_sqlite(session):
        session.execute(text("lock table audit_seal in exclusive mode"))  # none is made over what stood there a moment ago
    ids = sorted(values)
    held = select(AuditSeal).where(_SEALS.c.last_id >= ids[0]).order_by(_SEALS.c.id)
    runs = []
    for found in session.execute(held).scalars().all():
        if found.first_id > ids[-1]:
            break
        if any(found.first_id <= one <= found.last_id for one in ids):
            within = and_(_EVENTS.c.id >= found.first_id, _EVENTS.c.id <= found.last_id)
            rows = session.execute(select(_EVENTS).where(within).order_by(_EVENTS.c.id)).all()
            runs += [(found, within)] if is_whole(found, found.previous, rows) else []
    for one, columns in values.items():
        session.connection().execute(update(_EVENTS).where(_EVENTS.c.id == one).values(**columns))
    for found, within in runs:
        kept = session.execute(select(_EVENTS).where(within).order_by(_EVENTS.c.id)).all()
        found.kept_count, found.kept_sha256, found.trimmed_at = len(kept), left(found.sha256, kept), utcnow()
        session.add(found)
    session.flush()
    db.bump(session, _EVENTS.name)


def _count_after(session: Session, last: int) -> int:
    return session.execute(select(func.count()).select_from(_EVENTS).where(_EVENTS.c.id > last)).scalar_one()
