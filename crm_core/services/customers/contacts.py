"""Contacts: the people, with all their e-mail addresses and phone numbers."""

from collections.abc import Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlmodel import Session, col, select

from crm_core import events, records, search
from crm_core.access import Actor
from crm_core.errors import Invalid
from crm_core.fields import builtin, parse
from crm_core.kit import clock
from crm_core.kit.text import clean, email_key, phone_key
from crm_core.models import Contact, ContactPoint, Organisation
from crm_core.services.customers import unsubscribing
from crm_core.veil import trace
from crm_core.vocabulary import Action, FieldKind, PointKind

MAX_POINTS = 20


def create(session: Session, actor: Actor, values: Mapping[str, Any], *, submit_key: str | None = None) -> Contact:
    """Create a contact; its e-mail and phone become the main contact points."""
    contact = records.create(session, actor, "contact", values, prepare=_prepare, submit_key=submit_key)
    _follow_main(session, contact)
    if unsubscribing.objects(contact):
        unsubscribing.objected(session, actor, [contact.id])
    return contact


def update(
    session: Session, actor: Actor, contact_id: int, changes: Mapping[str, Any], *, base_version: int | None = None
) -> records.Saved:
    """Change a contact; a new main e-mail or phone moves along in the contact points."""
    saved = records.update(session, actor, "contact", contact_id, changes, base_version=base_version, prepare=_prepare)
    if {"email", "phone"} & set(saved.changed):
        _follow_main(session, saved.record)
    if {*unsubscribing.NO_FIELDS} & set(saved.changed) and unsubscribing.objects(saved.record):
        unsubscribing.objected(session, actor, [contact_id])
    return saved


def _prepare(_session: Session, _actor: Actor, contact: Contact, _old: Mapping[str, Any]) -> None:
    if contact.timezone:
        try:
            ZoneInfo(contact.timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            wrong = f"“{contact.timezone}” is not a time zone. Use a name such as Europe/Berlin."
            raise Invalid(fields={"timezone": wrong}) from error


def _follow_main(session: Session, contact: Contact) -> None:
    for kind, value in ((PointKind.EMAIL, contact.email), (PointKind.PHONE, contact.phone)):
        points = list(session.exec(select(ContactPoint).where(ContactPoint.contact_id == contact.id, ContactPoint.kind == kind)))
        key = _key(session, kind, value) if value else None
        for point in points:
            if point.is_primary and point.value_key != key:
                point.is_primary = False
                session.add(point)
        session.flush()
        if value and key:
            match = next((point for point in points if point.value_key == key), None)
            match = match or ContactPoint(contact_id=contact.id, kind=kind, value=value, value_key=key)
            match.is_primary, match.value = True, value
            session.add(match)
    session.flush()


def _key(session: Session, kind: PointKind, value: str) -> str:
    if kind is PointKind.EMAIL:
        return email_key(value)
    organisation = session.exec(select(Organisation)).first()
    return phone_key(value, organisation.phone_region if organisation else "US")


def points(session: Session, actor: Actor, contact_id: int) -> list[ContactPoint]:
    """All contact points of a person, the main ones first. Values are masked like the main ones."""
    records.get(session, actor, "contact", contact_id)
    query = select(ContactPoint).where(ContactPoint.contact_id == contact_id)
    found = list(session.exec(query.order_by(col(ContactPoint.kind), col(ContactPoint.is_primary).desc(), col(ContactPoint.id))))
    return [point for point in found if not actor.masked("contact", point.kind.value)]


def traces(session: Session, actor: Actor, contact_id: int) -> list[str]:
    """What is shown in place of addresses and numbers that are masked for the actor; nothing of those that are hidden."""
    records.get(session, actor, "contact", contact_id)
    rows = session.exec(select(ContactPoint).where(ContactPoint.contact_id == contact_id).order_by(col(ContactPoint.id)))
    kinds = {PointKind.EMAIL: FieldKind.EMAIL, PointKind.PHONE: FieldKind.PHONE}
    return [trace(kinds[row.kind], row.value) for row in rows if actor.veiled("contact", row.kind.value)]


def rows_of(found: Sequence[ContactPoint]) -> list[dict[str, Any]]:
    """Contact points as ``set_points`` takes them."""
    return [{"kind": p.kind.value, "value": p.value, "label": p.label or "", "is_primary": p.is_primary} for p in found]


def set_points(
    session: Session,
    actor: Actor,
    contact_id: int,
    rows: Sequence[Mapping[str, Any]],
    *,
    base_version: int | None = None,
    base_points: Sequence[Mapping[str, Any]] | None = None,
) -> Contact:
    """Replace the contact points. Each row: ``kind``, ``value``, ``label``, ``is_primary``. The main ones are copied to the contact.
    ``base_points``: the rows that the caller saw."""
    contact: Contact = records.get(session, actor, "contact", contact_id, action=Action.EDIT)
    now = rows_of(points(session, actor, contact_id))
    stale = base_version not in (None, contact.version)
    records.refuse_stale_rows("these addresses and numbers", now, stale=stale, base=base_points)
    if actor.masked("contact", "email") or actor.masked("contact", "phone"):
        raise Invalid("Contact details are hidden from your role.")
    if actor.locked("contact", "email") or actor.locked("contact", "phone"):
        raise Invalid("Contact details are read-only for your role.")
    if len(rows) > MAX_POINTS:
        raise Invalid(f"A contact can have at most {MAX_POINTS} addresses and numbers.")
    made = _checked(session, contact, rows)
    old = {
        (point.kind, point.value_key): point
        for point in session.exec(select(ContactPoint).where(ContactPoint.contact_id == contact_id))
    }
    for point in old.values():
        session.delete(point)
    session.flush()
    for point in made:
        before = old.get((point.kind, point.value_key))
        if before is not None:
            point.opted_out, point.invalid, point.verified_at = before.opted_out, before.invalid, before.verified_at
        session.add(point)
    main = {point.kind: point.value for point in made if point.is_primary}
    changes = {
        key: (getattr(contact, key), main.get(kind))
        for key, kind in (("email", PointKind.EMAIL), ("phone", PointKind.PHONE))
        if getattr(contact, key) != main.get(kind)
    }
    contact.email, contact.phone = main.get(PointKind.EMAIL), main.get(PointKind.PHONE)
    contact.updated_at = clock.utcnow()  # raises the version although the main ones may stay: a second editor must notice
    session.add(contact)
    session.flush()
    search.index(session, "contact", contact)
    events.record(session, actor, "contact.points_changed", contact, changes=changes)
    return contact


def _checked(session: Session, contact: Contact, rows: Sequence[Mapping[str, Any]]) -> list[ContactPoint]:
    made: dict[tuple[PointKind, str], ContactPoint] = {}
    specs = builtin("contact")
    for row in rows:
        try:
            kind = PointKind(str(row.get("kind")))
        except ValueError as error:
            raise Invalid("Say of each line whether it is an e-mail address or a phone number.") from error
        try:
            value = parse(specs[kind.value], row.get("value"))
        except ValueError as error:
            raise Invalid(str(error)) from error
        if value is None:
            continue
        key = _key(session, kind, value)
        point = ContactPoint(
            contact_id=contact.id, kind=kind, value=value, value_key=key, label=clean(str(row.get("label") or ""))[:40] or None
        )
        point.is_primary = bool(row.get("is_primary"))
        made.setdefault((kind, key), point)
    for kind in PointKind:
        of_kind = [point for point in made.values() if point.kind is kind]
        mains = [point for point in of_kind if point.is_primary]
        for point in of_kind:
            point.is_primary = point is (mains[0] if mains else of_kind[0])
    return list(made.values())
