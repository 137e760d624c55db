"""Contacts: the people, with all their e-mail addresses and phone numbers."""

from collections.abc import Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlmodel import Session

from crm_core import db, events, records
from crm_core.access import Actor, require
from crm_core.errors import Invalid
from crm_core.kit import clock
from crm_core.models import Contact, ContactPoint
from crm_core.services.customers import points as point_rules
from crm_core.services.customers import unsubscribing
from crm_core.vocabulary import Action, PointKind


def create(session: Session, actor: Actor, values: Mapping[str, Any], *, submit_key: str | None = None) -> Contact:
    """Create a contact; its e-mail and phone become the main contact points."""
    contact = records.create(session, actor, "contact", values, prepare=_prepare, submit_key=submit_key)
    point_rules.follow_main(session, point_rules.CONTACT, contact)
    if unsubscribing.objects(contact):
        unsubscribing.objected(session, actor, [contact.id])
    return contact


def update(
    session: Session, actor: Actor, contact_id: int, changes: Mapping[str, Any], *, base_version: int | None = None
) -> records.Saved:
    """Change a contact; a new main e-mail or phone moves along in the contact points."""
    saved = records.update(session, actor, "contact", contact_id, changes, base_version=base_version, prepare=_prepare)
    if {"email", "phone"} & set(saved.changed):
        point_rules.follow_main(session, point_rules.CONTACT, saved.record)
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


def number_is_wrong(session: Session, actor: Actor, contact_id: int) -> None:
    """Somebody else answered at the main number: it is called no more. That is true whoever may change the contact; whoever may log a call says it.

    Events: contact.points_changed."""
    require(actor, "activity", Action.CREATE)
    contact = records.get(session, actor, "contact", contact_id)
    point_rules.follow_main(session, point_rules.CONTACT, contact)
    table: Any = ContactPoint.__table__  # type: ignore[attr-defined]
    theirs = (table.c.contact_id == contact_id, table.c.kind == PointKind.PHONE, table.c.is_primary)
    session.execute(table.update().where(*theirs).values(invalid=True, updated_at=clock.utcnow()))
    db.bump(session, table.name)
    events.record(session, actor, "contact.points_changed", entity="contact", record_id=contact_id)


def points(session: Session, actor: Actor, contact_id: int) -> list[ContactPoint]:
    """All contact points of a person, the main ones first. Values are masked like the main ones."""
    return point_rules.of(session, actor, point_rules.CONTACT, contact_id)


def traces(session: Session, actor: Actor, contact_id: int) -> list[str]:
    """What is shown in place of addresses and numbers that are masked for the actor."""
    return point_rules.traces(session, actor, point_rules.CONTACT, contact_id)


def rows_of(found: Sequence[ContactPoint]) -> list[dict[str, Any]]:
    """Contact points as ``set_points`` takes them."""
    return point_rules.rows_of(found)


def set_points(
    session: Session,
    actor: Actor,
    contact_id: int,
    rows: Sequence[Mapping[str, Any]],
    *,
    base_version: int | None = None,
    base_points: Sequence[Mapping[str, Any]] | None = None,
) -> Contact:
    """Replace the contact points, as ``points.replace`` says."""
    return point_rules.replace(
        session, actor, point_rules.CONTACT, contact_id, rows, base_version=base_version, base_points=base_points
    )
