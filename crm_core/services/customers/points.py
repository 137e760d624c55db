"""All e-mail addresses and phone numbers of a person or a company: the main ones stand on the record too, each with what is known of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, select

from crm_core import events, house, records, search
from crm_core.access import Actor
from crm_core.errors import Invalid
from crm_core.fields import builtin, parse
from crm_core.kit import clock
from crm_core.kit.text import clean, email_key, phone_key
from crm_core.models import AccountPoint, ContactPoint
from crm_core.veil import trace
from crm_core.vocabulary import Action, FieldKind, PointKind

MAX_POINTS = 20
FLAGS = ("opted_out", "invalid")
MAIN = {PointKind.EMAIL: "email", PointKind.PHONE: "phone"}
"""The field of the record that holds the main one of a kind."""


@dataclass(frozen=True)
class Owner:
    """Whose points they are: the kind of record, their table, and its column that names the record."""

    entity: str
    model: type[Any]
    key: str


CONTACT = Owner("contact", ContactPoint, "contact_id")
ACCOUNT = Owner("account", AccountPoint, "account_id")
OWNERS = (CONTACT, ACCOUNT)


def key_of(session: Session, kind: PointKind, value: str) -> str:
    """The form in which two spellings of an address or number are the same."""
    if kind is PointKind.EMAIL:
        return email_key(value)
    return phone_key(value, house.region(session))


def _stored(session: Session, owner: Owner, record_id: int) -> list[Any]:
    model: Any = owner.model
    query = select(model).where(getattr(model, owner.key) == record_id)
    return list(session.exec(query.order_by(col(model.kind), col(model.is_primary).desc(), col(model.id))))


def of(session: Session, actor: Actor, owner: Owner, record_id: int) -> list[Any]:
    """All points of a record, the main ones first. Values are masked like the main ones."""
    record = records.get(session, actor, owner.entity, record_id)
    found = _stored(session, owner, record_id)
    for kind, name in MAIN.items():
        found = _with_main(session, owner, record_id, found, kind, getattr(record, name))
    found.sort(key=lambda point: (point.kind.value, not point.is_primary))
    return [point for point in found if not actor.masked(owner.entity, MAIN[point.kind])]


def traces(session: Session, actor: Actor, owner: Owner, record_id: int) -> list[str]:
    """What is shown in place of addresses and numbers that are masked for the actor; nothing of those that are hidden."""
    records.get(session, actor, owner.entity, record_id)
    if not any(actor.veiled(owner.entity, name) for name in MAIN.values()):
        return []
    kinds = {PointKind.EMAIL: FieldKind.EMAIL, PointKind.PHONE: FieldKind.PHONE}
    rows = sorted(_stored(session, owner, record_id), key=lambda row: row.id)
    return [trace(kinds[row.kind], row.value) for row in rows if actor.veiled(owner.entity, MAIN[row.kind])]


def _with_main(session: Session, owner: Owner, record_id: int, found: list[Any], kind: PointKind, value: str | None) -> list[Any]:
    """The points with the main one as the record has it: one that came by an import has no row yet. What the session holds stays as it is."""
    key = key_of(session, kind, value) if value else None
    if key is None or any(point.kind is kind and point.is_primary and point.value_key == key for point in found):
        return found
    known = next((point for point in found if (point.kind, point.value_key) == (kind, key)), None)
    plain = {"kind": kind, "value": value, "value_key": key, owner.key: record_id}
    main = owner.model(**{**(known.model_dump() if known is not None else plain), "is_primary": True})
    others = [point for point in found if point is not known]
    return [
        main,
        *(owner.model(**{**point.model_dump(), "is_primary": False}) if point.kind is kind else point for point in others),
    ]


def rows_of(found: Sequence[Any]) -> list[dict[str, Any]]:
    """Points as ``replace`` takes them."""
    return [
        {
            "kind": p.kind.value, "value": p.value, "label": p.label or "", "is_primary": p.is_primary, "opted_out": p.opted_out, "invalid": p.invalid,
            "verified": p.verified_at is not None,
        }
        for p in found
    ]  # fmt: skip


def replace(
    session: Session,
    actor: Actor,
    owner: Owner,
    record_id: int,
    rows: Sequence[Mapping[str, Any]],
    *,
    base_version: int | None = None,
    base_points: Sequence[Mapping[str, Any]] | None = None,
) -> Any:
    """Replace the points of a record. Each row: ``kind``, ``value``, ``label``, ``is_primary``, and ``opted_out``, ``invalid``, ``verified``, which
    stay as they were where a row leaves them out. The main ones are copied to the record. ``base_points``: the rows that the caller saw.
    Events: <entity>.points_changed."""
    record: Any = records.get(session, actor, owner.entity, record_id, action=Action.EDIT)
    now = rows_of(of(session, actor, owner, record_id))
    stale = base_version not in (None, record.version)
    records.refuse_stale_rows("these addresses and numbers", now, stale=stale, base=base_points)
    if any(actor.masked(owner.entity, name) for name in MAIN.values()):
        raise Invalid("Contact details are hidden from your role.")
    if any(actor.locked(owner.entity, name) for name in MAIN.values()):
        raise Invalid("Contact details are read-only for your role.")
    if len(rows) > MAX_POINTS:
        raise Invalid(f"{'A contact' if owner is CONTACT else 'An account'} can have at most {MAX_POINTS} addresses and numbers.")
    old = {(point.kind, point.value_key): point for point in _stored(session, owner, record_id)}
    made = _checked(session, owner, record_id, rows, old)
    for point in old.values():
        session.delete(point)
    session.flush()
    session.add_all(made)
    main = {point.kind: point.value for point in made if point.is_primary}
    before = {name: getattr(record, name) for name in MAIN.values()}
    for kind, name in MAIN.items():
        setattr(record, name, main.get(kind))
    record.updated_at = clock.utcnow()  # raises the version although the main ones may stay: a second editor must notice
    session.add(record)
    session.flush()
    search.index(session, owner.entity, record)
    changes = {name: (value, getattr(record, name)) for name, value in before.items() if value != getattr(record, name)}
    events.record(session, actor, f"{owner.entity}.points_changed", record, changes=changes)
    return record


def _checked(
    session: Session, owner: Owner, record_id: int, rows: Sequence[Mapping[str, Any]], old: Mapping[Any, Any]
) -> list[Any]:
    made: dict[tuple[PointKind, str], Any] = {}
    specs = builtin(owner.entity)
    for row in rows:
        try:
            kind = PointKind(str(row.get("kind")))
        except ValueError as error:
            raise Invalid("Say of each line whether it is an e-mail address or a phone number.") from error
        try:
            value = parse(specs[MAIN[kind]], row.get("value"))
        except ValueError as error:
            raise Invalid(str(error)) from error
        if value is None:
            continue
        key = key_of(session, kind, value)
        label = clean(str(row.get("label") or ""))[:40] or None
        point = owner.model(kind=kind, value=value, value_key=key, label=label, **{owner.key: record_id})
        point.is_primary = bool(row.get("is_primary"))
        before = old.get((kind, key))
        for flag in FLAGS:
            said = row.get(flag)
            setattr(point, flag, bool(getattr(before, flag, False) if said is None else said))
        point.verified_at = _verified(row.get("verified"), before)
        made.setdefault((kind, key), point)
    for kind in PointKind:
        of_kind = [point for point in made.values() if point.kind is kind]
        mains = [point for point in of_kind if point.is_primary]
        for point in of_kind:
            point.is_primary = point is (mains[0] if mains else of_kind[0])
    return list(made.values())


def _verified(said: Any, before: Any) -> datetime | None:
    """When somebody made sure that it works: what was known stays, a new tick is now."""
    known: datetime | None = before.verified_at if before is not None else None
    if said is None:
        return known
    return (known or clock.utcnow()) if said else None


def follow_main(session: Session, owner: Owner, record: Any) -> None:
    """After the main address or number of a record changed: its point becomes the main one, the earlier one stays as a further one, and is found as
    such."""
    points = _stored(session, owner, record.id)
    for kind, name in MAIN.items():
        value = getattr(record, name)
        of_kind = [point for point in points if point.kind is kind]
        key = key_of(session, kind, value) if value else None
        for point in of_kind:
            if point.is_primary and point.value_key != key:
                point.is_primary = False
                session.add(point)
        session.flush()
        if value and key:
            match = next((point for point in of_kind if point.value_key == key), None)
            match = match or owner.model(kind=kind, value=value, value_key=key, **{owner.key: record.id})
            match.is_primary, match.value = True, value
            session.add(match)
    session.flush()
    if points:
        search.index(session, owner.entity, record)
