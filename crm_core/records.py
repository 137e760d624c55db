"""The kernel of every write to a business record: who may, what may come in, whose version it was, what is logged.

Services call it and add their own meaning through ``prepare``. Never call it from a page: it checks permissions, but knows no rule of the
business beyond the fields.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select as core_select
from sqlmodel import Session, select

from crm_core import events, merges, search
from crm_core.access import Actor, require, visible
from crm_core.db import SEEN
from crm_core.entities import ENTITIES, entity
from crm_core.errors import Conflict, Invalid, NotFound, NotPermitted
from crm_core.fields import FieldSpec, parse_all, registry, to_json
from crm_core.kit.clock import utcnow
from crm_core.models import Event, SubmitKey, User
from crm_core.vocabulary import Action, Via

LASTING = "lasting:"
"""How a submit key begins that stands for a cause and not for a click: it is remembered for more than a year, the others for a week."""
LINKABLE = "records_linkable"
"""Where a worker that takes many steps in one transaction remembers what somebody may link to: (entity, id, id of the person)."""

CARRYING = "records_carrying"
"""Mark in ``session.info`` while values are carried over that are known already: whoever caused it did not choose them."""

Prepare = Callable[[Session, Actor, Any, Mapping[str, Any]], None]
"""``prepare(session, actor, record, old)``: fill what follows from the values, refuse what contradicts. ``old``: field → value before (empty for new)."""


@dataclass(frozen=True)
class Saved:
    """Result of an update. ``merged``: fields that somebody else had changed meanwhile and that were kept."""

    record: Any
    changed: tuple[str, ...] = ()
    merged: tuple[str, ...] = field(default=())


def get(
    session: Session,
    actor: Actor,
    entity_key: str,
    record_id: int | None,
    *,
    action: Action = Action.READ,
    with_deleted: bool = False,
) -> Any:
    """The row, or NotFound: a hidden one looks like a missing one. Loads that share what they saw (a page's) read it once."""
    require(actor, entity_key, action)
    seen = session.info.get(SEEN)
    if seen is None:
        return _read(session, actor, entity_key, record_id, action, with_deleted)
    key = (entity_key, record_id, action, with_deleted, actor.user_id)
    if key not in seen:
        seen[key] = _read(session, actor, entity_key, record_id, action, with_deleted)
    return seen[key]


def _read(session: Session, actor: Actor, entity_key: str, record_id: int | None, action: Action, with_deleted: bool) -> Any:
    found = entity(entity_key)
    record = None
    if isinstance(record_id, int) and 0 < record_id < 2**31:
        clause = visible(actor, entity_key, found.table, action, with_deleted=with_deleted)
        query = select(found.model).where(found.table.c.id == record_id, clause)
        record = session.exec(merges.held(session, entity_key, query, found.table)).first()
        if record is None and action is not Action.READ and _readable(session, actor, entity_key, record_id, with_deleted):
            require_reach(actor, entity_key, action)
        if record is None and not with_deleted and _readable(session, actor, entity_key, record_id, True):
            _refuse_merged(session, actor, entity_key, record_id)
            raise NotFound(
                f"This {found.label.lower()} is in the bin. Whoever may delete it can restore it there.",
                bin=(entity_key, record_id),
            )
    if record is None:
        raise NotFound(f"This {found.label.lower()} does not exist, or is not shared with you.")
    return record


def _refuse_merged(session: Session, actor: Actor, entity_key: str, record_id: int) -> None:
    """Say where a record went that became part of another one. ``details["merged"]``: kind and number of the one that stayed, for the way there."""
    stayed = merges.into(session, entity_key, record_id)
    if stayed is None:
        return
    label = entity(entity_key).label.lower()
    if not _readable(session, actor, entity_key, stayed, False):
        raise NotFound(f"This {label} was merged into another one, which is not shared with you.")
    table, title = entity(entity_key).table, entity(entity_key).title
    name = session.execute(core_select(table.c[title]).where(table.c.id == stayed)).scalar()
    called = f"{label} {stayed}" if actor.masked(entity_key, title) else f"“{name}”"
    raise NotFound(f"This {label} was merged into {called}. Open that one.", merged=(entity_key, stayed))


def _readable(session: Session, actor: Actor, entity_key: str, record_id: int, with_deleted: bool) -> bool:
    table = entity(entity_key).table
    clause = visible(actor, entity_key, table, with_deleted=with_deleted)
    return session.execute(core_select(table.c.id).where(table.c.id == record_id, clause)).first() is not None


def require_reach(actor: Actor, entity_key: str, action: Action) -> None:
    """Say plainly that a record may be seen but not changed."""
    raise NotPermitted(f"You may see this {entity(entity_key).label.lower()}, but not {action.label.lower()} it.")


def found(session: Session, actor: Actor, entity_key: str, record_id: int | None) -> Any | None:
    """The row, or None for whoever may not see it."""
    try:
        return get(session, actor, entity_key, record_id)
    except (NotFound, NotPermitted):
        return None


def create(
    session: Session,
    actor: Actor,
    entity_key: str,
    values: Mapping[str, Any],
    *,
    prepare: Prepare | None = None,
    submit_key: str | None = None,
    event_data: Mapping[str, Any] | None = None,
    fixed: Mapping[str, Any] | None = None,
    filled: Collection[str] = (),
) -> Any:
    """Create a record from raw values. ``fixed`` sets read-only fields that the calling service decides; ``filled`` names those of ``values``
    that it filled in because nobody said anything else. What the actor's role may not change they may not say either (``refuse_locked``).

    The same ``submit_key`` again gives the record of the first call: a second click on Save creates nothing.
    """
    require(actor, entity_key, Action.CREATE)
    earlier = _earlier(session, submit_key, entity_key)
    if earlier is not None:
        return earlier
    record = _new(session, actor, entity_key, values, prepare, fixed, filled)
    session.add(record)
    session.flush()
    search.index(session, entity_key, record)
    events.record(session, actor, f"{entity_key}.created", record, data=event_data)
    if submit_key:
        session.add(SubmitKey(key=submit_key, at=utcnow(), result={"entity": entity_key, "id": record.id}))
        session.flush()
    return record


def create_many(session: Session, actor: Actor, entity_key: str, rows: Sequence[Mapping[str, Any]]) -> list[Any]:
    """Create many records of a kind whose service adds nothing of its own, as ``create`` would one by one."""
    require(actor, entity_key, Action.CREATE)
    made = [_new(session, actor, entity_key, values) for values in rows]
    session.add_all(made)
    session.flush()
    search.index_many(session, entity_key, made)
    events.record_many(session, actor, entity_key, [(f"{entity_key}.created", record, {}) for record in made])
    return made


def _new(
    session: Session,
    actor: Actor,
    entity_key: str,
    values: Mapping[str, Any],
    prepare: Prepare | None = None,
    fixed: Mapping[str, Any] | None = None,
    filled: Collection[str] = (),
) -> Any:
    """A record from raw values, checked, not in the session yet. Raises Invalid per field."""
    specs = registry(session, entity_key)
    given = {**_defaults(session, actor, specs), **values}
    clean = parse_all(specs, given, partial=True, timezone=actor.timezone, currency=actor.currency)
    said = {key: value for key, value in clean.items() if key in values and key not in filled}
    refuse_locked(session, actor, specs, [key for key, value in said.items() if not _as_it_begins(actor, specs[key], value)])
    check_references(session, actor, specs, clean)
    record = entity(entity_key).model()
    apply(record, specs, {**clean, **(fixed or {})})
    if prepare is not None:
        prepare(session, actor, record, {})
    require_filled(specs, record)
    return record


def _as_it_begins(actor: Actor, spec: FieldSpec, value: Any) -> bool:
    """True for what a new record has anyway: saying it changes nothing."""
    return value in (None, "", spec.default) or (spec.key == "owner_id" and value == actor.user_id)


@contextmanager
def carrying(session: Session) -> Iterator[None]:
    """Let services create records of what is known already (a lead that is converted, a message, an order of a shop): fields that the actor's
    role may not change are no obstacle meanwhile, since the actor does not choose what they hold."""
    before = session.info.get(CARRYING, False)
    session.info[CARRYING] = True
    try:
        yield
    finally:
        session.info[CARRYING] = before


def refuse_locked(session: Session, actor: Actor, specs: Mapping[str, FieldSpec], keys: Collection[str]) -> None:
    """Raise Invalid with a sentence per field that the actor's role may not change. Services whose verb writes a field that somebody chose call
    it themselves where the value does not pass through ``create`` and ``update``."""
    if session.info.get(CARRYING):
        return
    wrong = {key: why for key in keys if (why := lock_reason(actor, specs[key])) and not actor.is_system}
    if wrong:
        raise Invalid(fields=wrong)


def lock_reason(actor: Actor, spec: FieldSpec) -> str:
    """Why the actor may not change a field, in a sentence; empty when they may."""
    if actor.masked(spec.entity, spec.key):
        return f"{spec.label} is hidden from your role." if not actor.veiled(spec.entity, spec.key) else _masked(spec)
    return f"{spec.label} is read-only for your role." if actor.locked(spec.entity, spec.key) else ""


def _masked(spec: FieldSpec) -> str:
    return f"{spec.label} is masked for your role, so it can't be changed."


def _earlier(session: Session, submit_key: str | None, entity_key: str) -> Any:
    if not submit_key:
        return None
    seen = session.get(SubmitKey, submit_key)
    return (
        session.get(entity(entity_key).model, seen.result.get("id")) if seen and seen.result.get("entity") == entity_key else None
    )


def _defaults(session: Session, actor: Actor, specs: Mapping[str, FieldSpec]) -> dict[str, Any]:
    owner = specs.get("owner_id")
    return {"owner_id": actor.user_id} if owner is not None and actor.user_id is not None else {}


def require_filled(specs: Mapping[str, FieldSpec], record: Any) -> None:
    """Raise Invalid with a sentence per field that must say something and does not."""
    missing = {key: f"{spec.label} is needed." for key, spec in specs.items() if spec.required and spec.value(record) in (None, "")}
    if missing:
        raise Invalid(fields=missing)


def apply(record: Any, specs: Mapping[str, FieldSpec], values: Mapping[str, Any]) -> None:
    """Set values that were checked on a loaded record; nothing where there must be something is the default."""
    extra = dict(record.extra or {})
    for key, value in values.items():
        spec = specs.get(key)
        if spec is not None and spec.custom:
            extra[key] = to_json(value)
        elif value is None and not type(record).__table__.c[key].nullable:
            setattr(record, key, spec.default if spec is not None else None)
        else:
            setattr(record, key, value)
    if extra != (record.extra or {}):
        record.extra = extra


def check_references(session: Session, actor: Actor, specs: Mapping[str, FieldSpec], values: Mapping[str, Any]) -> None:
    """Every linked record must exist and be visible to the actor; people must be active. Raises Invalid per field. One that was merged meanwhile is
    exchanged for the one that stayed."""
    wrong: dict[str, str] = {}
    known: set[tuple[str, Any, int | None]] = session.info.get(LINKABLE, set())
    for key, value in values.items():
        spec = specs.get(key)
        if spec is None or spec.to is None or value is None or spec.to not in ENTITIES:
            continue
        if (spec.to, value, actor.user_id) in known:
            continue
        table = entity(spec.to).table
        clause = table.c.id == value
        if not entity(spec.to).lookup:
            clause = clause & visible(actor, spec.to, table)
        if spec.to == "user":
            clause = clause & table.c.is_active
        if session.execute(merges.held(session, spec.to, core_select(table.c.id).where(clause), table)).first() is None:
            if _follow_merge(session, actor, spec.to, values, key):
                continue
            wrong[key] = f"The chosen {spec.label.lower()} does not exist, or is not shared with you."
        else:
            known.add((spec.to, value, actor.user_id))
    if wrong:
        raise Invalid(fields=wrong)


def _follow_merge(session: Session, actor: Actor, entity_key: str, values: Mapping[str, Any], key: str) -> bool:
    """Whether a linked record became part of another one that the actor may see, which then stands in ``values`` instead."""
    stayed = merges.into(session, entity_key, values[key])
    if stayed is None or not isinstance(values, dict) or not _readable(session, actor, entity_key, stayed, False):
        return False
    values[key] = stayed
    return True


def update(
    session: Session,
    actor: Actor,
    entity_key: str,
    record_id: int,
    changes: Mapping[str, Any],
    *,
    base_version: int | None = None,
    prepare: Prepare | None = None,
    event_type: str | None = None,
    event_data: Mapping[str, Any] | None = None,
    fixed: Mapping[str, Any] | None = None,
) -> Saved:
    """Change the given fields. ``base_version`` is the version the form was drawn with.

    When somebody else saved in between, changes of different fields merge; the same field is a Conflict whose ``details["fields"]`` holds
    (original, theirs, mine) for each, and ``details["by"]`` who changed them since: (id of the person or None, door) each.
    """
    record = get(session, actor, entity_key, record_id, action=Action.EDIT)
    specs = registry(session, entity_key)
    refuse_locked(session, actor, specs, [key for key in changes if key in specs and actor.masked(entity_key, key)])
    clean = parse_all(specs, changes, partial=True, timezone=actor.timezone, currency=actor.currency)
    merged = _merge(session, entity_key, record, specs, clean, base_version)
    clean = {key: value for key, value in clean.items() if specs[key].value(record) != value}
    refuse_locked(session, actor, specs, clean)
    check_references(session, actor, specs, clean)
    before = snapshot(record, specs)
    apply(record, specs, {**clean, **(fixed or {})})
    if prepare is not None:
        prepare(session, actor, record, {key: before[key] for key in clean})
    require_filled(specs, record)
    changed = difference(before, snapshot(record, specs))
    if not changed:
        return Saved(record, merged=merged)
    _store(session, actor, entity_key, record, changed, event_type, event_data)
    return Saved(record, tuple(changed), merged)


def _store(
    session: Session,
    actor: Actor,
    entity_key: str,
    record: Any,
    changed: Mapping[str, tuple[Any, Any]],
    event_type: str | None,
    data: Mapping[str, Any] | None,
) -> None:
    session.add(record)
    session.flush()
    if search.concerns(entity_key, changed):
        search.index(session, entity_key, record)
    rest = {key: pair for key, pair in changed.items() if key != "owner_id"}
    if rest or event_type:
        events.record(session, actor, event_type or f"{entity_key}.updated", record, changes=rest, data=data)
    if "owner_id" in changed:
        _look_again(session)
        owner = session.get(User, changed["owner_id"][1]) if changed["owner_id"][1] else None
        given = {"to": owner.name if owner else "nobody"}
        events.record(session, actor, f"{entity_key}.owner_changed", record, changes={"owner_id": changed["owner_id"]}, data=given)


def snapshot(record: Any, specs: Mapping[str, FieldSpec]) -> dict[str, Any]:
    """Value of every field of a row, without the two instants that change by themselves."""
    return {key: spec.value(record) for key, spec in specs.items() if key not in ("created_at", "updated_at")}


def difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Fields whose value differs: field → (old, new)."""
    return {key: (before.get(key), value) for key, value in after.items() if before.get(key) != value}


def _merge(
    session: Session,
    entity_key: str,
    record: Any,
    specs: Mapping[str, FieldSpec],
    mine: Mapping[str, Any],
    base_version: int | None,
) -> tuple[str, ...]:
    if base_version is None or base_version == record.version:
        return ()
    original, theirs = _since(session, entity_key, record, base_version)
    clash = {
        key: (original[key], to_json(specs[key].value(record)), to_json(value))
        for key, value in mine.items()
        if key in theirs and to_json(specs[key].value(record)) != to_json(value)
    }
    if clash:
        names = ", ".join(specs[key].label for key in clash)
        raise Conflict(
            f"Somebody else changed {names} while you were editing. Choose which value stays.",
            fields=clash,
            version=record.version,
            entity=entity_key,
            record_id=record.id,
            by=_doers(theirs[key] for key in clash),
        )
    return tuple(sorted(theirs.keys() - set(mine)))


def _since(session: Session, entity_key: str, record: Any, version: int) -> tuple[dict[str, Any], dict[str, list[Event]]]:
    """What was changed in a record since a version of it: field → value before, and field → the events that changed it."""
    log = session.exec(
        select(Event)
        .where(Event.entity == entity_key, Event.record_id == record.id, Event.record_version > version)
        .order_by(Event.id)  # type: ignore[arg-type]
    )
    original: dict[str, Any] = {}
    theirs: dict[str, list[Event]] = {}
    for event in log:
        for key, (old, _new) in event.changes.items():
            theirs.setdefault(key, []).append(event)
            original.setdefault(key, old)
    return original, theirs


def _doers(events_of: Iterable[Iterable[Event]]) -> tuple[tuple[int | None, Via], ...]:
    return tuple(dict.fromkeys((event.actor_id, event.via) for log in events_of for event in log))


def refuse_stale_rows(what: str, now: Sequence[Any], *, stale: bool, base: Sequence[Any] | None) -> None:
    """Raise Conflict when rows that are saved as a whole are no longer those that were drawn. ``base``: the rows that the caller saw; what
    somebody else changed elsewhere in the record is then no conflict. Without them the version decides (``stale``: it is an old one).
    ``details["rows"]``: the rows as they stand."""
    if base is not None:
        stale = list(now) != list(base)
    if stale:
        raise Conflict(f"Somebody else changed {what} meanwhile. Look at the new state before you save.", rows=list(now))


def refuse_stale(what: str, row: Any, base_version: int | None, shown: Callable[[], Any] | None = None) -> None:
    """Raise Conflict when ``row`` is no longer the version that a form was drawn with, None for one that does not say it. ``details["rows"]``: how
    the row stands, for the form to merge; ``shown`` makes what the form knows it as, where that is not the row itself."""
    if base_version is not None and base_version != row.version:
        raise Conflict(
            f"Somebody else changed {what} meanwhile. Look at the new state and repeat your change.",
            rows=[shown() if shown else row.model_copy()],
        )


def archive(session: Session, actor: Actor, entity_key: str, record_id: int, *, base_version: int | None = None) -> Any:
    """Move a record to the bin. It can be restored; nothing that points at it is touched.

    When it is no longer ``base_version``, it is a Conflict: ``details["changed"]`` holds field → (before, now) of what the actor may read,
    ``details["by"]`` who changed it as for ``update``, and ``details["version"]`` the version that it has now.
    """
    record = get(session, actor, entity_key, record_id, action=Action.DELETE)
    if base_version is not None and base_version != record.version:
        raise Conflict(
            f"Somebody else changed this {entity(entity_key).label.lower()} meanwhile. Look at it again before you delete it.",
            **_told(session, actor, entity_key, record, base_version),
        )
    discard(session, actor, entity_key, record)
    return record


def _told(session: Session, actor: Actor, entity_key: str, record: Any, version: int) -> dict[str, Any]:
    original, theirs = _since(session, entity_key, record, version)
    specs = registry(session, entity_key)
    now = {key: to_json(specs[key].value(record)) for key in original if key in specs and not actor.masked(entity_key, key)}
    changed = {key: (original[key], value) for key, value in now.items() if value != original[key]}
    return {"changed": changed, "by": _doers(theirs.values()), "version": record.version}


def discard(session: Session, actor: Actor, entity_key: str, record: Any, *, data: Mapping[str, Any] | None = None) -> None:
    """Move a loaded record to the bin. Part of what has asked for permission: whoever takes back what they made needs no right to delete.
    ``data``: what the log says besides."""
    record.deleted_at = utcnow()
    session.add(record)
    session.flush()
    _look_again(session)
    events.record(session, actor, f"{entity_key}.archived", record, data=data)


def _look_again(session: Session) -> None:
    """Who may see a record has changed, and with it perhaps what others see that hangs on it: ask anew what may be linked to."""
    session.info.get(LINKABLE, set()).clear()


def restore(session: Session, actor: Actor, entity_key: str, record_id: int) -> Any:
    """Take a record back from the bin."""
    record = get(session, actor, entity_key, record_id, action=Action.DELETE, with_deleted=True)
    if record.deleted_at is None:
        return record
    if merges.into(session, entity_key, record_id) is not None:
        raise Conflict(f"This {entity(entity_key).label.lower()} was merged into another one. Take the merge apart there instead.")
    record.deleted_at = None
    session.add(record)
    session.flush()
    events.record(session, actor, f"{entity_key}.restored", record)
    return record


def next_number(session: Session, model: type[Any], prefix: str) -> str:
    """The next free number of a table such as ``T-000042``; unique in the database, so a race ends in a Conflict rather than a double.

    Numbers that people or imports chose themselves are stepped over: the count would stand still at the first one that is taken.
    """
    table = model.__table__
    last = session.execute(core_select(table.c.id).order_by(table.c.id.desc()).limit(1)).scalar() or 0
    made = f"{prefix}-{last + 1:06d}"
    if session.execute(core_select(table.c.id).where(table.c.number == made)).first() is None:
        return made
    like_ours = table.c.number.like(f"{prefix}-{'_' * 6}")
    taken = session.execute(core_select(table.c.number).where(like_ours)).scalars()
    highest = max((int(number[-6:]) for number in taken if number[-6:].isdecimal()), default=last)
    return f"{prefix}-{highest + 1:06d}"


__all__ = [
    "Saved",
    "apply",
    "archive",
    "carrying",
    "check_references",
    "create",
    "difference",
    "discard",
    "found",
    "get",
    "lock_reason",
    "next_number",
    "refuse_locked",
    "refuse_stale_rows",
    "require_filled",
    "restore",
    "snapshot",
    "update",
]
