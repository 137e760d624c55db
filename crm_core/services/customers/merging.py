"""Two contacts, accounts or leads become one: what each says is chosen, what hangs on the one goes along to the other, and it can be taken apart."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, or_, select
from sqlmodel import Session

from crm_core import db, events, lists, merges, persons, records, search
from crm_core.access import Actor, require, visible
from crm_core.entities import entity
from crm_core.errors import Conflict, Invalid, NotFound
from crm_core.fields import FieldSpec, registry, to_json
from crm_core.kit.clock import utcnow
from crm_core.models import Account, Event, PrivacyRequest, RecordMerge
from crm_core.services.collaboration import timeline
from crm_core.services.customers import accounts, merge_moves, merge_rules, unsubscribing, withdrawing
from crm_core.services.customers.merge_rules import LOSER, SURVIVOR, Difference, Weighing
from crm_core.vocabulary import Action, PrivacyKind, PrivacyState

MERGED = merges.MERGED
_LOG: Any = Event.__table__  # type: ignore[attr-defined]
_MERGES: Any = RecordMerge.__table__  # type: ignore[attr-defined]
_REQUESTS: Any = PrivacyRequest.__table__  # type: ignore[attr-defined]
LOOK = 400
"""So many of a record's latest changes tell when a field was written."""


@dataclass(frozen=True)
class Ahead:
    """What a merge would mean. ``rows``: both records as lists give them, the one that stays first; ``moves``: (what one and many are called, how many) of what goes along;
    ``hidden``: records of those that the actor may not see; ``problem``: why it can't be, or empty."""

    entity: str
    titles: tuple[str, str]
    rows: tuple[Mapping[str, Any], Mapping[str, Any]]
    specs: Mapping[str, FieldSpec]
    differences: tuple[Difference, ...]
    strict: tuple[str, ...]
    moves: tuple[tuple[tuple[str, str], int], ...]
    hidden: int
    problem: str


def ahead(session: Session, actor: Actor, entity_key: str, survivor_id: int, loser_id: int) -> Ahead:
    """What a merge would mean, before it is done. Raises NotFound and NotPermitted as ``merge`` does."""
    survivor, loser = _both(session, actor, entity_key, survivor_id, loser_id)
    specs = registry(session, entity_key)
    problem = _problem(session, entity_key, survivor, loser)
    found = _differences(session, actor, entity_key, specs, survivor, loser)
    rows = lists.rows_of(session, actor, entity_key, [survivor_id, loser_id], specs.values())
    titles = lists.titles(session, actor, entity_key, [survivor_id, loser_id])
    moves, hidden = merge_moves.counted(session, entity_key, loser_id, actor)
    shown = tuple(one for one in found if one.open and not any(actor.masked(entity_key, key) for key in one.keys))
    now = [records.snapshot(one, specs) for one in (survivor, loser)]
    said = tuple(
        specs[key].label for key in merge_rules.strict(*now) if now[0][key] != now[1][key] and not actor.masked(entity_key, key)
    )
    return Ahead(
        entity_key, (titles[survivor_id], titles[loser_id]), (rows[0], rows[1]), specs, shown, said, moves, hidden, problem
    )  # fmt: skip


def merge(
    session: Session,
    actor: Actor,
    entity_key: str,
    survivor_id: int,
    loser_id: int,
    *,
    choices: Mapping[str, str] | None = None,
    survivor_version: int | None = None,
    loser_version: int | None = None,
) -> RecordMerge:
    """Make two records one: everything that names the one names the other afterwards, and it goes to the bin. ``choices``: field → ``survivor``, ``loser``
    or ``both``; what is left out is as ``ahead`` proposes. Events: <entity>.merged, <entity>.merged_away, <entity>.archived.

    Whoever merges may edit both and delete the one that goes. Raises Conflict when somebody changed one of them since ``…_version``, when one was merged
    or is being erased, or when the lead that would go was converted.
    """
    _lock(session, entity_key, survivor_id, loser_id)
    survivor, loser = _both(session, actor, entity_key, survivor_id, loser_id)
    problem = _problem(session, entity_key, survivor, loser)
    if problem:
        raise Conflict(problem)
    _refuse_stale(session, actor, entity_key, (survivor, survivor_version), (loser, loser_version))
    specs = registry(session, entity_key)
    found = _differences(session, actor, entity_key, specs, survivor, loser)
    before = {one.id: records.snapshot(one, specs) for one in (survivor, loser)}
    mine, theirs = before[survivor_id], before[loser_id]
    written = {
        **merge_rules.settle(found, choices or {}, mine, theirs),
        **merge_rules.strict(mine, theirs),
        **_unseen(mine, theirs),
    }
    moved = merge_moves.move(session, entity_key, survivor, loser)
    written |= moved.pop("fixed", {})
    extra = _write(session, specs, survivor, loser, written)
    said = {key: spec for key, spec in specs.items() if any(one[key] not in (None, "") for one in (mine, theirs) if key in one)}
    records.require_filled(said, survivor)  # what neither says can't be chosen here
    moved |= merge_moves.settle_points(session, entity_key, survivor, loser)
    moved |= merge_moves.settle_consent(session, entity_key, survivor, loser)
    changes = records.difference(mine, {key: specs[key].value(survivor) for key in written})
    snapshot = {
        "survivor": _as_json(mine),
        "loser": _as_json(theirs),
        "written": {key: [to_json(old), to_json(new)] for key, (old, new) in changes.items()},
        "extra": extra,
    }
    row = RecordMerge(
        entity=entity_key, survivor_id=survivor_id, loser_id=loser_id, snapshot=snapshot, moved=moved, by_id=actor.user_id
    )
    session.add(row)
    session.flush()
    away = {**_named(survivor), "into": survivor_id}
    told = {**_named(loser), "merge": row.id}
    events.record(session, actor, f"{entity_key}.merged", survivor, changes=changes, data=told)
    records.discard(session, actor, entity_key, loser, data={"merged_into": survivor_id})
    events.record(session, actor, f"{entity_key}.merged_away", loser, data=away)
    search.index(session, entity_key, survivor)
    if entity_key == "contact" and unsubscribing.objects(survivor) and not unsubscribing.objects(mine):
        unsubscribing.objected(session, actor, [survivor_id])
    return row


# --- before -------------------------------------------------------------------------------------------------------------------


def _both(session: Session, actor: Actor, entity_key: str, survivor_id: int, loser_id: int) -> tuple[Any, Any]:
    if entity_key not in MERGED:
        raise Invalid("Contacts, accounts and leads can be merged, each with their like.")
    survivor = records.get(session, actor, entity_key, survivor_id, action=Action.EDIT)
    loser = records.get(session, actor, entity_key, loser_id, action=Action.EDIT)
    records.get(session, actor, entity_key, loser_id, action=Action.DELETE)
    if survivor_id == loser_id:
        raise Invalid(f"Choose another {entity(entity_key).label.lower()}.")
    return survivor, loser


def _lock(session: Session, entity_key: str, *ids: int) -> None:
    """Whoever merges one of the two at the same moment, or writes what names one, waits until this is done, and is then told. Automations take their
    runs before the records too."""
    if entity_key in MERGED and not db.is_sqlite(session):
        table = entity(entity_key).table
        merge_moves.lock_runs(session, entity_key, ids)
        session.execute(select(table.c.id).where(table.c.id.in_(ids)).order_by(table.c.id).with_for_update())


def _problem(session: Session, entity_key: str, survivor: Any, loser: Any) -> str:
    """Why these two can't become one; empty when they can."""
    label = entity(entity_key).label.lower()
    if entity_key == "lead" and loser.converted_at is not None:
        if survivor.converted_at is not None:
            return "Both leads were converted. Merge the contacts and accounts that they became instead."
        return "The lead that would go was converted. Keep that one, and merge the other one into it."
    if _erased(session, entity_key, survivor.id, loser.id):
        return f"One of the two was erased on request, or is being erased. There is nothing left that a {label} could take over."
    return ""


def _erased(session: Session, entity_key: str, *ids: int) -> bool:
    """Whether the person of one of these records was erased, or is being erased, on whichever of their records that was asked for."""
    if entity_key not in withdrawing.PEOPLE:
        return False
    people = withdrawing.converted(session, [(entity_key, one) for one in ids])
    theirs = or_(
        *(
            and_(_REQUESTS.c.entity == name, _REQUESTS.c.record_id.in_([one for key, one in people if key == name]))
            for name in withdrawing.PEOPLE
        )
    )
    erased = (_REQUESTS.c.kind == PrivacyKind.ERASURE, _REQUESTS.c.state.in_((PrivacyState.RUNNING, PrivacyState.DONE)))
    return session.execute(select(_REQUESTS.c.id).where(theirs, *erased).limit(1)).first() is not None


def _refuse_stale(session: Session, actor: Actor, entity_key: str, *known: tuple[Any, int | None]) -> None:
    for record, version in known:
        if version is not None and version != record.version:
            name = lists.titles(session, actor, entity_key, [record.id])[record.id]
            raise Conflict(
                f"Somebody changed {name} meanwhile. Look at the new state, and merge again: what you chose is still chosen."
            )


def _differences(
    session: Session, actor: Actor, entity_key: str, specs: Mapping[str, FieldSpec], survivor: Any, loser: Any
) -> list[Difference]:
    now = [records.snapshot(one, specs) for one in (survivor, loser)]
    closed = [key for key in specs if actor.locked(entity_key, key)]
    wanted = {
        key: spec for key, spec in specs.items() if not (key == "parent_id" and _leads_back(session, survivor.id, loser, now))
    }
    frozen = entity_key == "lead" and survivor.converted_at is not None
    weighing = _weighing(session, entity_key, specs, survivor, loser)
    return merge_rules.differences(wanted, now[0], now[1], weighing, closed=closed, frozen=frozen)


def _leads_back(session: Session, survivor_id: int, loser: Any, now: list[dict[str, Any]]) -> bool:
    """Whether one of the two accounts stands above the other, so that the place of both follows from that."""
    return any(
        accounts.stands_above(session, start["parent_id"], end) for start, end in zip(now, (loser.id, survivor_id), strict=True)
    )  # fmt: skip


def _weighing(session: Session, entity_key: str, specs: Mapping[str, FieldSpec], survivor: Any, loser: Any) -> Weighing:
    written: dict[str, dict[str, datetime]] = {}
    for side, record in ((SURVIVOR, survivor), (LOSER, loser)):
        mine = (_LOG.c.entity == entity_key, _LOG.c.record_id == record.id)
        log = session.execute(select(_LOG.c.at, _LOG.c.changes).where(*mine).order_by(_LOG.c.id.desc()).limit(LOOK))
        written[side] = dict.fromkeys(specs, record.created_at)
        for row in reversed(log.all()):
            written[side] |= dict.fromkeys(row.changes or {}, row.at)
    newer = {key: LOSER for key in specs if written[LOSER][key] > written[SURVIVOR][key]}
    older = LOSER if loser.created_at < survivor.created_at else SURVIVOR
    return Weighing(newer, older, merge_moves.better_points(session, entity_key, survivor.id, loser.id))


def _unseen(mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, Any]:
    """What no form writes, and is still true of both together."""
    first = merge_rules.earliest(mine.get("first_response_at"), theirs.get("first_response_at"))
    return {"first_response_at": first} if first is not None and first != mine.get("first_response_at") else {}


# --- writing ------------------------------------------------------------------------------------------------------------------


def _write(
    session: Session, specs: Mapping[str, FieldSpec], survivor: Any, loser: Any, written: Mapping[str, Any]
) -> dict[str, Any]:
    """Set the chosen values on the record that stays; gives what came along of fields that are out of use."""
    records.apply(survivor, specs, written)
    extra = survivor.extra or {}
    forgotten = {key: value for key, value in (loser.extra or {}).items() if key not in specs and key not in extra}
    survivor.extra = {**extra, **forgotten}
    if isinstance(survivor, Account):
        accounts.follow_website(survivor)
    survivor.updated_at = utcnow()  # raises the version although no field may have changed: whoever has a form open must notice
    session.add(survivor)
    session.flush()
    return forgotten


def _as_json(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: to_json(value) for key, value in values.items()}


def _named(record: Any) -> dict[str, str]:
    """What the log calls the other one, and what kind of record that is: not every role reads the names of each kind."""
    return {"who": record.name, persons.WHO_IS: record.__table__.name}


# --- afterwards ---------------------------------------------------------------------------------------------------------------


def of(session: Session, actor: Actor, entity_key: str, record_id: int) -> list[int]:
    """The numbers of the merges into a record that can be taken apart, the newest first."""
    records.get(session, actor, entity_key, record_id)
    mine = (_MERGES.c.entity == entity_key, _MERGES.c.survivor_id == record_id, _MERGES.c.undone_at.is_(None))
    return list(session.execute(select(_MERGES.c.id).where(*mine).order_by(_MERGES.c.id.desc())).scalars())


def may_merge(actor: Actor, entity_key: str) -> bool:
    """Whether the role lets somebody merge records of this kind at all."""
    return entity_key in MERGED and actor.can(entity_key, Action.EDIT) and actor.can(entity_key, Action.DELETE)


def undo(session: Session, actor: Actor, merge_id: int) -> tuple[Any, list[str]]:
    """Take a merge apart: what came along goes back, what was written since stays with the record that stayed. Gives the record that is back, and the labels
    of fields that were changed since and so kept. Events: <entity>.merge_undone, <entity>.restored.

    Raises Conflict when it was done already, when another merge followed that has to be taken apart first, or when the person was erased since.
    """
    row = session.get(RecordMerge, merge_id) if isinstance(merge_id, int) and 0 < merge_id < 2**31 else None
    if row is None or row.entity not in MERGED or not _within_sight(session, actor, row):
        raise NotFound("There was no such merge.")
    require(actor, row.entity, Action.DELETE)
    _lock(session, row.entity, row.survivor_id, row.loser_id)
    session.refresh(row)
    label = entity(row.entity).label.lower()
    if row.undone_at is not None:
        raise Conflict("This merge was taken apart already.")
    survivor = records.get(session, actor, row.entity, row.survivor_id, action=Action.EDIT)
    loser = records.get(session, actor, row.entity, row.loser_id, action=Action.DELETE, with_deleted=True)
    _refuse_later(session, actor, row)
    if not row.snapshot or _erased(session, row.entity, row.survivor_id, row.loser_id):
        raise Conflict(f"The data of this {label} were erased since. There is nothing to take apart.")
    specs = registry(session, row.entity)
    objected = {key: True for key in merge_rules.STRICT if key in specs and _said_since(row, key, getattr(survivor, key))}
    row.undone_at = utcnow()
    session.add(row)
    session.flush()
    merge_moves.move_back(session, row, survivor, loser)
    kept = _write_back(session, row, specs, survivor)
    loser.deleted_at = None
    for key in objected:
        setattr(loser, key, True)
    session.add(loser)
    session.flush()
    merge_moves.settle_back(session, row, survivor, loser, actor)
    for one, other in ((survivor, loser), (loser, survivor)):
        search.index(session, row.entity, one)
        events.record(session, actor, f"{row.entity}.merge_undone", one, data=_named(other))
    events.record(session, actor, f"{row.entity}.restored", loser)
    return loser, [specs[key].label for key in kept]


def _within_sight(session: Session, actor: Actor, row: RecordMerge) -> bool:
    """Whether the actor may see both records: a merge of others is answered like none."""
    table = entity(row.entity).table
    both = (table.c.id.in_((row.survivor_id, row.loser_id)), visible(actor, row.entity, table, with_deleted=True))
    return len(session.execute(select(table.c.id).where(*both)).all()) == 2


def _refuse_later(session: Session, actor: Actor, row: RecordMerge) -> None:
    """The last one goes first: what a later merge wrote stands on what this one did."""
    later = (
        _MERGES.c.entity == row.entity,
        _MERGES.c.survivor_id == row.survivor_id,
        _MERGES.c.id > row.id,
        _MERGES.c.undone_at.is_(None),
    )
    last = session.execute(select(_MERGES.c.loser_id).where(*later).order_by(_MERGES.c.id.desc()).limit(1)).scalar()
    if last is not None:
        name = lists.titles(session, actor, row.entity, [last]).get(last, "Another one")
        raise Conflict(f"{name} was merged in later. Take that apart first.")


def _said_since(row: RecordMerge, key: str, now: Any) -> bool:
    """Whether somebody asked not to be called or written to after the merge: that holds for both."""
    after = row.snapshot["written"].get(key, [None, row.snapshot["survivor"].get(key)])[1]
    return bool(now) and not after


def _write_back(session: Session, row: RecordMerge, specs: Mapping[str, FieldSpec], survivor: Any) -> list[str]:
    """Set back what the merge wrote; gives the fields that somebody changed since, which stay."""
    written = {key: pair for key, pair in row.snapshot["written"].items() if key in specs}
    kept = [key for key, (_before, after) in written.items() if to_json(specs[key].value(survivor)) != after]
    back = {key: before for key, (before, _after) in written.items() if key not in kept}
    records.apply(
        survivor, specs, {key: one if specs[key].custom else timeline.typed(specs[key], one) for key, one in back.items()}
    )
    extra, forgotten = survivor.extra or {}, row.snapshot["extra"]
    rest = {key: value for key, value in extra.items() if key not in forgotten or forgotten[key] != value}
    if rest != extra:
        survivor.extra = rest
    if isinstance(survivor, Account):
        accounts.follow_website(survivor)
    survivor.updated_at = utcnow()
    session.add(survivor)
    session.flush()
    return kept
