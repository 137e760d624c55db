"""The rows that go along when two records become one, and back when it is taken apart. Part of ``merging``, which asks and keeps what this says.

What may stand only once with a record and stands with both (a campaign, a follower, a list to call) stays with the one that went, as it is: no figure
changes, and it is there again when the merge is taken apart. A place in a buying committee is put aside instead (``PARKED``).
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import and_, delete, func, insert, or_, select, text, update
from sqlmodel import Session

from crm_core import db
from crm_core.access import Actor, visible
from crm_core.automation_inbox import UNDER_WAY, barring
from crm_core.entities import ENTITIES
from crm_core.fields import to_json
from crm_core.kit.clock import utcnow
from crm_core.models import Automation, AutomationRun, AutomationVersion, Consent, RecordMerge, Segment, SegmentMember
from crm_core.services.customers import accounts, consent, merge_rules, points, withdrawing
from crm_core.services.customers.consent import OPENING
from crm_core.services.customers.merge_rules import LOSER, SURVIVOR, Link, links
from crm_core.vocabulary import ConsentStatus, ContactWay, HandoverState, PointKind

_CONSENT: Any = Consent.__table__  # type: ignore[attr-defined]
_MEMBERS: Any = SegmentMember.__table__  # type: ignore[attr-defined]
_SEGMENTS: Any = Segment.__table__  # type: ignore[attr-defined]
_RUNS: Any = AutomationRun.__table__  # type: ignore[attr-defined]
_AUTOMATIONS: Any = Automation.__table__  # type: ignore[attr-defined]
_VERSIONS: Any = AutomationVersion.__table__  # type: ignore[attr-defined]
_OWNERS = {owner.entity: owner for owner in points.OWNERS}
_BATCH = 1_000
_ENTITY_OF = {found.table.name: key for key, found in ENTITIES.items()}

Moved = dict[str, Any]


# --- what goes along ----------------------------------------------------------------------------------------------------------


def counted(session: Session, entity_key: str, loser_id: int, actor: Actor) -> tuple[tuple[tuple[tuple[str, str], int], ...], int]:
    """What would go along: (what one and many are called, how many) of what the actor may see, the most telling first, and how many records they may not see."""
    clauses: dict[Any, list[Any]] = {}
    for link in links(entity_key):
        clauses.setdefault(link.table, []).append(_of(link, entity_key, loser_id))
    for table, clause in _own_ways(entity_key, loser_id):
        clauses.setdefault(table, []).append(clause)
    asked: dict[tuple[str, bool], Any] = {}
    for table, ways in clauses.items():
        asked[table.name, False] = _count(table, or_(*ways))
        if table.name in _ENTITY_OF:
            asked[table.name, True] = _count(table, or_(*ways), visible(actor, _ENTITY_OF[table.name], table, with_deleted=True))
    counts = dict(zip(asked, session.execute(select(*asked.values())).one(), strict=True))
    found: dict[tuple[str, str], int] = {}
    hidden = 0
    for table in clauses:
        total = counts[table.name, False]
        seen = counts.get((table.name, True), total)
        hidden += total - seen
        words = merge_rules.COUNTED.get(table.name, merge_rules.OTHER)
        found[words] = found.get(words, 0) + seen
    order = list(dict.fromkeys(merge_rules.COUNTED.values()))
    told = sorted(
        ((words, count) for words, count in found.items() if count), key=lambda one: (*order, merge_rules.OTHER).index(one[0])
    )
    return tuple(told), hidden


def _own_ways(entity_key: str, record_id: int) -> Iterable[tuple[Any, Any]]:
    if entity_key in _OWNERS:
        table = _OWNERS[entity_key].model.__table__
        yield table, table.c[_OWNERS[entity_key].key] == record_id
    if entity_key in withdrawing.PEOPLE:
        yield _CONSENT, _CONSENT.c[f"{entity_key}_id"] == record_id
    yield _MEMBERS, _in_segments(entity_key, record_id)
    yield _RUNS, _under_way(entity_key, record_id)


def _count(table: Any, *clauses: Any) -> Any:
    return select(func.count()).select_from(table).where(*clauses).scalar_subquery()


def _of(link: Link, entity_key: str, record_id: int) -> Any:
    clause = link.table.c[link.column] == record_id
    return and_(clause, link.table.c.entity == entity_key) if link.placed else clause


def _in_segments(entity_key: str, record_id: int) -> Any:
    mine = select(_SEGMENTS.c.id).where(_SEGMENTS.c.entity == entity_key)
    return and_(_MEMBERS.c.record_id == record_id, _MEMBERS.c.segment_id.in_(mine))


# --- there --------------------------------------------------------------------------------------------------------------------


def move(session: Session, entity_key: str, survivor: Any, loser: Any) -> Moved:
    """Let everything that names the loser name the survivor. Gives what was moved, by column; ``fixed``: fields of the survivor that follow from it."""
    session.flush()
    if entity_key in _OWNERS:  # addresses that came by an import have no row yet
        for record in (survivor, loser):
            points.follow_main(session, _OWNERS[entity_key], record)
    moved: Moved = {"rows": {}}
    fixed: dict[str, Any] = {}
    if entity_key == "account":
        fixed |= _lift(session, survivor, loser)
    for link in links(entity_key):
        ids = _free(session, link, entity_key, survivor.id, loser.id)
        if entity_key == "account" and link.name == "account.parent_id":
            ids = [one for one in ids if one != survivor.id]
        if ids:
            moved["rows"][link.name] = ids
            _point(session, link.table, link.column, ids, survivor.id)
        if link.table.name in merge_rules.PARKED:
            moved.setdefault("parked", {})[link.name] = _park(session, link, entity_key, loser.id)
    ids = _free_of_segments(session, entity_key, survivor.id, loser.id)
    if ids:
        moved["rows"]["segment_member.record_id"] = ids
        _point(session, _MEMBERS, "record_id", ids, survivor.id)
    ids = _free_runs(session, entity_key, survivor.id, loser.id)
    if ids:
        moved["rows"]["automation_run.record_id"] = ids
        _point(session, _RUNS, "record_id", ids, survivor.id)
    if (
        "handover.account_id" in moved["rows"]
        and loser.handover_state is HandoverState.PENDING
        and survivor.handover_state is not HandoverState.PENDING
    ):
        fixed |= {"handover_state": loser.handover_state, "handover_at": loser.handover_at}
    _forget(session, {name.split(".")[0] for name in moved["rows"]}, keep=(survivor, loser))
    return {**moved, "fixed": fixed} if fixed else moved


def _lift(session: Session, survivor: Any, loser: Any) -> dict[str, Any]:
    """Where the survivor stands below the loser, directly or not, it takes the loser's place: nothing may stand above itself."""
    return {"parent_id": loser.parent_id} if accounts.stands_above(session, survivor.parent_id, loser.id) else {}


def _free(session: Session, link: Link, entity_key: str, survivor_id: int, loser_id: int) -> list[int]:
    """The rows of the loser that may stand with the survivor: all but those that would stand there twice."""
    table, other = link.table, link.table.alias()
    clauses = [_of(link, entity_key, loser_id)]
    for columns, where in link.unique:
        same = [table.c[name] == other.c[name] for name in columns]
        clause = and_(other.c[link.column] == survivor_id, *same)
        twin = select(other.c.id).where(clause)
        if where:
            condition = text(where[session.get_bind().dialect.name])
            partial = table.alias()
            held = select(partial.c.id).where(condition)
            clauses.append(~and_(table.c.id.in_(held), twin.where(other.c.id.in_(held)).exists()))
        else:
            clauses.append(~twin.exists())
    return list(session.execute(select(table.c.id).where(*clauses).order_by(table.c.id)).scalars())


def _park(session: Session, link: Link, entity_key: str, loser_id: int) -> list[dict[str, Any]]:
    """Put aside what is left with the loser; gives the rows as JSON."""
    left = _of(link, entity_key, loser_id)
    rows = [{key: to_json(value) for key, value in row._mapping.items()} for row in session.execute(select(link.table).where(left))]
    if rows:
        session.connection().execute(delete(link.table).where(left))
        db.bump(session, link.table.name)
    return rows


def _unpark(session: Session, name: str, rows: Sequence[Mapping[str, Any]], loser_id: int) -> None:
    """Put rows back that were set aside, unless what they belong to is gone."""
    table_name, column = name.split(".")
    table = RecordMerge.metadata.tables[table_name]
    for row in rows:
        parents = [(key, next(iter(key.foreign_keys)).column) for key in table.c if key.foreign_keys and key.name != column]
        if all(session.execute(select(parent).where(parent == row[key.name])).first() is not None for key, parent in parents):
            values = {
                key: datetime.fromisoformat(value) if key in ("created_at", "updated_at") else value for key, value in row.items()
            }
            session.connection().execute(insert(table).values({**values, column: loser_id}))
    db.bump(session, table_name)


def _free_of_segments(session: Session, entity_key: str, survivor_id: int, loser_id: int) -> list[int]:
    """Stays in segments; of two that last at the same time the loser's stays with it."""
    other = _MEMBERS.alias()
    both = and_(_MEMBERS.c.left_at.is_(None), other.c.left_at.is_(None), other.c.segment_id == _MEMBERS.c.segment_id)
    twin = select(other.c.id).where(other.c.record_id == survivor_id, both).exists()
    return list(session.execute(select(_MEMBERS.c.id).where(_in_segments(entity_key, loser_id), ~twin)).scalars())


def lock_runs(session: Session, entity_key: str, ids: Sequence[int]) -> None:
    """Keep the runs under way of these records from the worker that would move them on."""
    mine = select(_RUNS.c.id).where(_under_way(entity_key, *ids)).order_by(_RUNS.c.id)
    session.execute(mine.with_for_update()).all()


def _under_way(entity_key: str, *ids: int) -> Any:
    return and_(_RUNS.c.entity == entity_key, _RUNS.c.record_id.in_(ids), _RUNS.c.state.in_(UNDER_WAY))


def _free_runs(session: Session, entity_key: str, survivor_id: int, loser_id: int) -> list[int]:
    """Runs of automations under way that go on with the survivor: all that could begin with it now, so that nobody gets the same twice. What stays
    ends there, since its record is gone."""
    current = and_(_VERSIONS.c.automation_id == _RUNS.c.automation_id, _VERSIONS.c.number == _AUTOMATIONS.c.current)
    mine = select(_RUNS.c.id, _RUNS.c.automation_id, _VERSIONS.c.flow).join(
        _AUTOMATIONS, _AUTOMATIONS.c.id == _RUNS.c.automation_id
    )
    rows = session.execute(mine.join(_VERSIONS, current).where(_under_way(entity_key, loser_id)).order_by(_RUNS.c.id)).all()
    if not rows:
        return []
    theirs = (_RUNS.c.entity == entity_key, _RUNS.c.record_id == survivor_id)
    flows = {row.automation_id: row.flow for row in rows}
    barred = or_(*(and_(_RUNS.c.automation_id == one, barring(flow)) for one, flow in flows.items()))
    taken = set(session.execute(select(_RUNS.c.automation_id).where(*theirs, barred)).scalars())
    return [row.id for row in rows if row.automation_id not in taken]


def _point(session: Session, table: Any, column: str, ids: Sequence[int], to: int, *, only: int | None = None) -> None:
    """Write a reference into rows. No figure of a day hangs on it, so that no summary is marked; ``only``: where it still names this record."""
    stamp = {"updated_at": utcnow()} if table.name in _ENTITY_OF else {}
    still = [] if only is None else [table.c[column] == only]
    for start in range(0, len(ids), _BATCH):
        part = table.c.id.in_(ids[start : start + _BATCH])
        session.connection().execute(update(table).where(part, *still).values({column: to, **stamp}))
    db.bump(session, table.name)


def _forget(session: Session, tables: Iterable[str], *, keep: Sequence[Any]) -> None:
    """Rows that the session holds and that were written beside it are read anew."""
    wanted = set(tables)
    held: list[Any] = list(session.identity_map.values())
    for one in held:
        if one.__table__.name in wanted and one not in keep:
            session.expire(one)


# --- addresses and numbers ------------------------------------------------------------------------------------------------------


def better_points(session: Session, entity_key: str, survivor_id: int, loser_id: int) -> dict[str, str]:
    """Whose main address or number is better, where that is known: one that works before one that does not, a verified one before one that is not."""
    if entity_key not in _OWNERS:
        return {}
    owner = _OWNERS[entity_key]
    model: Any = owner.model
    column = getattr(model, owner.key)
    rows = session.execute(
        select(column, model.kind, model.invalid, model.verified_at).where(column.in_((survivor_id, loser_id)), model.is_primary)
    ).all()
    worth = {(who, kind): (not invalid, verified is not None) for who, kind, invalid, verified in rows}
    found = {}
    for kind, key in points.MAIN.items():
        mine, theirs = (worth.get((one, kind), (True, False)) for one in (survivor_id, loser_id))
        if mine != theirs:
            found[key] = SURVIVOR if mine > theirs else LOSER
    return found


def settle_points(session: Session, entity_key: str, survivor: Any, loser: Any) -> Moved:
    """The loser's addresses and numbers become further ones of the survivor, each with what is known of it. Of one that both have, the marks of both hold."""
    if entity_key not in _OWNERS:
        return {}
    owner = _OWNERS[entity_key]
    model: Any = owner.model
    column = getattr(model, owner.key)
    rows = {one.id: list(session.execute(select(model).where(column == one.id)).scalars()) for one in (survivor, loser)}
    mine = {(one.kind, one.value_key): one for one in rows[survivor.id]}
    moved: list[int] = []
    marked: dict[str, dict[str, bool]] = {}
    verified: dict[str, str] = {}
    for one in rows[loser.id]:
        twin = mine.get((one.kind, one.value_key))
        if twin is None:
            one.is_primary = False
            setattr(one, owner.key, survivor.id)
            moved.append(one.id)
            continue
        raised = [flag for flag in points.FLAGS if getattr(one, flag) and not getattr(twin, flag)]
        for flag in raised:
            setattr(twin, flag, True)
        if raised:
            marked[str(twin.id)] = dict.fromkeys(raised, False)
        if one.verified_at is not None and twin.verified_at is None:
            twin.verified_at = one.verified_at
            verified[str(twin.id)] = to_json(one.verified_at)
    session.flush()
    points.follow_main(session, owner, survivor)
    return {"points": moved, "marked": marked, "verified": verified}


# --- consent ----------------------------------------------------------------------------------------------------------------------


def settle_consent(session: Session, entity_key: str, survivor: Any, loser: Any) -> Moved:
    """Everything that was ever said goes along. Of two last words about the same the stricter one holds; an agreement to be written to or called holds
    only for the address or number it was given with."""
    if entity_key not in withdrawing.PEOPLE:
        return {}
    column = _CONSENT.c[f"{entity_key}_id"]
    rows = session.execute(select(_CONSENT).where(column.in_((survivor.id, loser.id))).order_by(_CONSENT.c.id)).all()
    theirs = [row for row in rows if row._mapping[column] == loser.id]
    last = {
        who: {(row.purpose, row.way): row for row in rows if row._mapping[column] == who and row.is_latest}
        for who in (survivor.id, loser.id)
    }
    silent = []
    for key, word in last[loser.id].items():
        mine = last[survivor.id].get(key)
        if mine is None:
            silent += (
                [word.id] if word.status is ConsentStatus.GRANTED and not _same_place(session, word.way, survivor, loser) else []
            )
        else:
            held = min((mine, word), key=lambda row: (_strictness(row), -row.at.timestamp()))
            silent.append(word.id if held is mine else mine.id)
    if theirs:
        _point(session, _CONSENT, column.name, [row.id for row in theirs], survivor.id)
    if silent:
        session.connection().execute(update(_CONSENT).where(_CONSENT.c.id.in_(silent)).values(is_latest=False))
        db.bump(session, _CONSENT.name)
    _forget(session, [_CONSENT.name], keep=())
    return {
        "consent": [row.id for row in theirs], "said": [row.id for row in rows], "latest": [row.id for row in rows if row.is_latest],
    }  # fmt: skip


def _strictness(row: Any) -> int:
    """The lower the stricter: a no, then a basis that opens nothing, then an agreement."""
    return 0 if row.status is ConsentStatus.WITHDRAWN else 1 if row.basis not in OPENING else 2


def _same_place(session: Session, way: ContactWay, survivor: Any, loser: Any) -> bool:
    if way is ContactWay.POST:
        return True
    kind = PointKind.PHONE if way is ContactWay.PHONE else PointKind.EMAIL
    mine, theirs = (points.key_of(session, kind, getattr(one, points.MAIN[kind]) or "") for one in (survivor, loser))
    return mine == theirs


# --- and back ---------------------------------------------------------------------------------------------------------------------


def move_back(session: Session, row: RecordMerge, survivor: Any, loser: Any) -> None:
    """What came along and is still there goes back; what somebody gave to another record since stays there."""
    for name, ids in row.moved.get("rows", {}).items():
        table_name, column = name.split(".")
        table = RecordMerge.metadata.tables.get(table_name)
        if table is None or column not in table.c:
            continue
        if table is _RUNS:  # one that has ended with the survivor is its own
            ids = list(session.execute(select(_RUNS.c.id).where(_RUNS.c.id.in_(ids), _RUNS.c.state.in_(UNDER_WAY))).scalars())
        _point(session, table, column, ids, loser.id, only=survivor.id)
    for name, rows in row.moved.get("parked", {}).items():
        _unpark(session, name, rows, loser.id)
    _forget(session, {name.split(".")[0] for name in row.moved.get("rows", {})}, keep=(survivor, loser))


def settle_back(session: Session, row: RecordMerge, survivor: Any, loser: Any, actor: Actor) -> None:
    """Addresses, numbers and words of consent go back to whose they were. A no that was said since holds for both."""
    if row.entity in _OWNERS:
        _points_back(session, row, survivor, loser)
    if row.entity in withdrawing.PEOPLE:
        _consent_back(session, actor, row, survivor, loser)


def _points_back(session: Session, row: RecordMerge, survivor: Any, loser: Any) -> None:
    owner = _OWNERS[row.entity]
    model: Any = owner.model
    here = select(model).where(getattr(model, owner.key) == survivor.id)
    for one in session.execute(here).scalars().all():
        if one.id in row.moved.get("points", ()):
            one.is_primary = False
            setattr(one, owner.key, loser.id)
        for flag, value in row.moved.get("marked", {}).get(str(one.id), {}).items():
            setattr(one, flag, value)
        if one.verified_at is not None and to_json(one.verified_at) == row.moved.get("verified", {}).get(str(one.id)):
            one.verified_at = None
    session.flush()
    for record in (survivor, loser):
        points.follow_main(session, owner, record)


def _consent_back(session: Session, actor: Actor, row: RecordMerge, survivor: Any, loser: Any) -> None:
    column = _CONSENT.c[f"{row.entity}_id"]
    theirs, known, latest = (set(row.moved.get(key, ())) for key in ("consent", "said", "latest"))
    said = session.execute(select(_CONSENT).where(column == survivor.id).order_by(_CONSENT.c.id)).all()
    since = {(one.purpose, one.way): one for one in said if one.is_latest and one.id not in known}
    own = session.execute(select(_CONSENT.c.purpose, _CONSENT.c.way).where(column == loser.id, _CONSENT.c.is_latest))
    held = {(one.purpose, one.way) for one in own}  # a no that was said since is written on the one in the bin too
    stays = [one for one in said if one.id in known and (one.id in theirs or (one.purpose, one.way) not in since)]
    for one in stays:
        last = one.id in latest and not (one.id in theirs and (one.purpose, one.way) in held)
        if one.is_latest != last:
            session.connection().execute(update(_CONSENT).where(_CONSENT.c.id == one.id).values(is_latest=last))
    if theirs:
        _point(session, _CONSENT, column.name, sorted(theirs), loser.id, only=survivor.id)
    db.bump(session, _CONSENT.name)
    _forget(session, [_CONSENT.name], keep=())
    for one in since.values():
        if one.status is ConsentStatus.WITHDRAWN:
            consent.append(session, actor, row.entity, loser.id, one.purpose, one.way, one.status, one.source, one.at)
