"""Segments: groups of contacts, accounts or leads under a name, by a rule that stays alive or as a kept list."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, func, select
from sqlmodel import Session

from crm_core import events, filters, lists, records
from crm_core.access import Actor, require, visible
from crm_core.entities import entity
from crm_core.errors import Conflict, CrmError, Invalid
from crm_core.kit import clock
from crm_core.lists import ListQuery
from crm_core.models import Segment, SegmentMember, SubmitKey
from crm_core.ordering import alphabetical
from crm_core.services.marketing import segment_members, segment_rules, segment_upkeep
from crm_core.vocabulary import Action, MembershipReason, SegmentKind, SegmentOf, Visibility

_SEGMENTS: Any = Segment.__table__  # type: ignore[attr-defined]
_MEMBERS: Any = SegmentMember.__table__  # type: ignore[attr-defined]
Rule = Mapping[str, Any]


def get(
    session: Session, actor: Actor, segment_id: int | None, *, action: Action = Action.READ, with_deleted: bool = False
) -> Segment:
    """The segment, or NotFound: somebody else's private segment looks like a missing one."""
    return records.get(session, actor, "segment", segment_id, action=action, with_deleted=with_deleted)


def reaches(session: Session, actor: Actor, segment_id: int, action: Action) -> bool:
    """Whether the actor may do this with this very segment; for buttons."""
    mine = visible(actor, "segment", _SEGMENTS, action, with_deleted=True)
    return session.execute(select(_SEGMENTS.c.id).where(_SEGMENTS.c.id == segment_id, mine)).first() is not None


def find(session: Session, actor: Actor, *, entity_key: str | None = None, q: str = "", limit: int = 200) -> list[Segment]:
    """Segments that the actor may see, by name; of one kind of record if asked."""
    require(actor, "segment", Action.READ)
    clause = [visible(actor, "segment", _SEGMENTS)]
    if entity_key is not None:
        clause.append(_SEGMENTS.c.entity == entity_key)
    if q.strip():
        clause.append(filters.folded(_SEGMENTS.c.name).contains(q.strip().lower(), autoescape=True))
    found = session.execute(select(Segment).where(*clause).order_by(alphabetical(_SEGMENTS.c.name), _SEGMENTS.c.id).limit(limit))
    return list(found.scalars())


def create(
    session: Session,
    actor: Actor,
    *,
    name: str,
    entity: str,
    rule: Rule | None = None,
    kind: str = "live",
    record_ids: Iterable[int] | None = None,
    description: str = "",
    source: Mapping[str, Any] | None = None,
    visibility: str = "shared",
    submit_key: str | None = None,
) -> int:
    """Keep a segment and fill it; gives its id. ``record_ids`` or a static ``rule`` are frozen now; a live rule is followed from now on.

    Records that the actor may not see are refused as missing. The same ``submit_key`` again gives the segment of the first call.
    """
    of, how = _of(entity), _kind(kind)
    require(actor, of.value, Action.READ)
    if how is SegmentKind.LIVE and record_ids is not None:
        raise Invalid("A list of records makes a static segment; a live one follows a rule.")
    segment_rules.check(session, actor, of.value, rule)
    if submit_key and (earlier := session.get(SubmitKey, submit_key)) is not None and earlier.result.get("entity") == "segment":
        return int(earlier.result["id"])
    segment = records.create(
        session,
        actor,
        "segment",
        {"name": name, "description": description, "visibility": visibility},
        submit_key=submit_key,
        fixed={"entity": of, "kind": how, "rule": dict(rule) if rule else None, "source": dict(source) if source else None},
    )
    if record_ids is not None:
        reason = MembershipReason.ANALYSIS if source else MembershipReason.HAND
        segment_members.add(session, actor, segment.id, record_ids, reason=reason)
    elif how is SegmentKind.LIVE or rule:
        segment_upkeep.count_now(session, actor, segment, MembershipReason.FIRST)
    return segment.id


def update(
    session: Session,
    actor: Actor,
    segment_id: int,
    *,
    name: str | None = None,
    description: str | None = None,
    visibility: str | None = None,
    owner_id: int | None = None,
    rule: Rule | None = None,
    base_version: int | None = None,
) -> Segment:
    """Rename, describe, share or re-rule a segment; what is None stays. A new rule re-counts at once.

    Raises Conflict when somebody else changed the same field, or the rule, since ``base_version``; ``details["rows"]`` holds the segment as it stands.
    """
    segment = get(session, actor, segment_id, action=Action.EDIT)
    given = {"name": name, "description": description, "visibility": visibility, "owner_id": owner_id}
    changes = {key: value for key, value in given.items() if value is not None}
    if rule is not None and dict(rule) != (segment.rule or {}):
        _check_new_rule(session, actor, segment, rule, base_version)
    else:
        rule = None
    if changes.get("visibility") == Visibility.PRIVATE and segment.owner_id != actor.user_id:
        raise Invalid("Only the owner can make a segment private; take it over first.")
    if changes:
        stands = segment.model_copy()
        try:
            records.update(session, actor, "segment", segment_id, changes, base_version=base_version)
        except Conflict as error:
            raise Conflict(error.message, **error.details, rows=[stands]) from error
    if rule is not None:
        _set_rule(session, actor, segment, rule)
    elif "owner_id" in changes and segment.kind is SegmentKind.LIVE:
        segment_upkeep.count_now(session, actor, segment, MembershipReason.RULE_CHANGED)
    return segment


def _check_new_rule(session: Session, actor: Actor, segment: Segment, rule: Rule, base_version: int | None) -> None:
    if segment.kind is SegmentKind.STATIC:
        raise Invalid("A static segment has no rule. Copy it as a live one, or change its members.")
    segment_rules.check(session, actor, segment.entity, rule, segment_id=segment.id)
    if base_version is not None and base_version != segment.version and segment_rules.changed_since(session, segment, base_version):
        words = "Somebody else changed the rule of this segment while you were editing. Look at it again, then save yours."
        raise Conflict(words, rows=[segment.model_copy()])


def _set_rule(session: Session, actor: Actor, segment: Segment, rule: Rule) -> None:
    before = segment.rule
    segment.rule = dict(rule)
    session.add(segment)
    session.flush()
    events.record(session, actor, "segment.rule_changed", segment, changes={"rule": (before, segment.rule)})
    segment_upkeep.count_now(session, actor, segment, MembershipReason.RULE_CHANGED)


def archive(session: Session, actor: Actor, segment_id: int, *, base_version: int | None = None) -> Segment:
    """Move a segment to the bin. Refused while the rule of another live segment reads it: that one would silently empty."""
    users = segment_rules.used_by(session, segment_id)
    seen = [row.name for row in find(session, actor) if row.id in users]
    if users:
        named = f": {', '.join(f'“{name}”' for name in seen[:3])}" if seen else ""
        raise Conflict(f"The rule of another segment reads this one{named}. Change that rule first.")
    return records.archive(session, actor, "segment", segment_id, base_version=base_version)


def restore(session: Session, actor: Actor, segment_id: int) -> Segment:
    """Take a segment back from the bin; a live one is counted anew."""
    segment = records.restore(session, actor, "segment", segment_id)
    if segment.kind is SegmentKind.LIVE:
        segment_upkeep.count_now(session, actor, segment, MembershipReason.SWEEP)
    return segment


def recount(session: Session, actor: Actor, segment_id: int) -> tuple[int, int]:
    """Bring a live segment in step right now; gives how many entered and how many left. Whoever may see a segment may ask for this."""
    segment = get(session, actor, segment_id)
    if segment.kind is SegmentKind.STATIC:
        raise Invalid("A static segment stays as it is.")
    return segment_upkeep.count_now(session, actor, segment, MembershipReason.RULE)


def copy(session: Session, actor: Actor, segment_id: int, *, name: str = "", submit_key: str | None = None) -> int:
    """A segment of one's own with the same rule, or the same members (those that the actor may see); gives its id."""
    segment = get(session, actor, segment_id)
    words = name or f"{segment.name} (copy)"[:120]
    if segment.kind is SegmentKind.LIVE:
        return create(
            session,
            actor,
            name=words,
            entity=segment.entity,
            rule=segment.rule,
            description=segment.description or "",
            submit_key=submit_key,
        )
    return freeze(session, actor, segment_id, name=words, submit_key=submit_key)


def freeze(session: Session, actor: Actor, segment_id: int, *, name: str = "", submit_key: str | None = None) -> int:
    """A static segment of those who are members now and whom the actor may see; gives its id."""
    segment = get(session, actor, segment_id)
    inside = {"segment": segment.id, "cmp": "in"}
    words = name or f"{segment.name}, {clock.today(actor.timezone).isoformat()}"[:120]
    source = {"kind": "segment", "segment_id": segment.id}
    return create(
        session, actor, name=words, entity=segment.entity, kind="static", rule=inside, source=source, description=segment.description or "",
        submit_key=submit_key,
    )  # fmt: skip


def problem(session: Session, actor: Actor, entity_key: str, rule: Rule | None) -> str:
    """Why a rule can't be used by the actor, in words; empty when all is well."""
    require(actor, "segment", Action.READ)
    try:
        segment_rules.check(session, actor, entity_key, rule)
    except CrmError as error:
        return error.message
    return ""


def clause(session: Session, actor: Actor, segment_id: int, table: Any = None) -> ColumnElement[bool]:
    """The rows of ``table`` (of the segment's entity) that are members now and that the actor may see."""
    segment = get(session, actor, segment_id)
    rows = entity(segment.entity).table if table is None else table
    inside = select(_MEMBERS.c.record_id).where(_MEMBERS.c.segment_id == segment.id, _MEMBERS.c.left_at.is_(None))
    return and_(visible(actor, segment.entity, rows), rows.c.id.in_(inside))


def count(session: Session, actor: Actor, segment_id: int) -> int:
    """How many of the members the actor may see."""
    segment = get(session, actor, segment_id)
    table = entity(segment.entity).table
    return session.execute(select(func.count()).select_from(table).where(clause(session, actor, segment_id, table))).scalar_one()


@dataclass(frozen=True)
class Preview:
    """What a rule means right now for the person who asks: number of records and the first ones (rows as lists give them)."""

    count: int
    total: int
    rows: list[dict[str, Any]]


def preview(session: Session, actor: Actor, entity_key: str, rule: Rule | None, *, size: int = 20) -> Preview:
    """Number and first rows of the records that a rule finds within what the actor may see; ``total``: of all there are."""
    _of(entity_key)
    page = lists.find(session, actor, entity_key, ListQuery(filter=rule or None, size=size))
    total = page.total if not rule else lists.count(session, actor, entity_key, ListQuery())
    return Preview(page.total, total, page.rows)


def _of(key: str) -> SegmentOf:
    try:
        return SegmentOf(key)
    except ValueError as error:
        raise Invalid("A segment is made of contacts, accounts or leads.") from error


def _kind(key: str) -> SegmentKind:
    try:
        return SegmentKind(key)
    except ValueError as error:
        raise Invalid("A segment is live or static.") from error
