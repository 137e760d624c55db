"""Accounts, contacts, leads."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, insert, select, update

from crm_core import db
from crm_core.fields import FieldSpec
from crm_core.kit.text import domain_key, email_key, phone_key
from crm_core.models import ContactPoint, LeadStatus
from crm_core.services.admin.imports.kinds.base import Kind, RowRefused, Written
from crm_core.services.customers import unsubscribing
from crm_core.vocabulary import FieldKind, LeadKind, PointKind

if TYPE_CHECKING:
    from crm_core.services.admin.imports.batch import Batch

_POINTS: Any = ContactPoint.__table__  # type: ignore[attr-defined]
_STATUSES: Any = LeadStatus.__table__  # type: ignore[attr-defined]

_PERSON = {
    "name": ("full name", "contact name", "person", "contact", "lead", "lead name", "customer name"),
    "first_name": ("first name", "given name", "forename", "vorname"),
    "last_name": ("last name", "surname", "family name", "nachname"),
    "email": ("e-mail", "email address", "mail", "e-mail address"),
    "phone": ("phone number", "telephone", "mobile", "mobile phone", "tel", "phone 1"),
    "job_title": ("title", "position", "job", "role"),
    "owner_id": ("owner", "contact owner", "lead owner", "sales agent", "sales rep", "agent", "account manager"),
    "source": ("lead source", "original source", "channel"),
    "country": ("country region", "country/region"),
    "city": ("town", "place", "locality"),
}


class Accounts(Kind):
    entity = "account"
    match = (("name",),)
    synonyms = {
        "name": ("account", "account name", "company", "company name", "customer", "organisation", "organization", "client"),
        "industry": ("sector", "branch", "vertical"),
        "founded_year": ("year established", "year founded", "established", "founded year"),
        "revenue_minor": ("revenue", "annual revenue", "turnover", "sales"),
        "employees": ("number of employees", "headcount", "staff", "size"),
        "country": ("office location", "country region"),
        "parent_id": ("subsidiary of", "parent", "parent company", "parent account", "belongs to"),
        "owner_id": ("account owner", "sales agent", "sales rep", "agent", "account manager"),
        "postcode": ("zip", "zip code", "postal code", "plz"),
        "website": ("url", "domain", "web", "homepage", "company domain name"),
        "kind": ("account type", "type"),
        "street": ("address", "street address"),
        "city": ("town", "place", "locality"),
        "description": ("notes", "comment", "remarks"),
    }

    def fill(self, batch: "Batch", values: dict[str, Any], old: Any | None) -> None:
        if "website" in values:
            values["domain"] = domain_key(values["website"] or "") or None


class _People(Kind):
    extra: tuple[FieldSpec, ...] = (
        FieldSpec("", "first_name", "First name", FieldKind.TEXT, pii=True, max_length=140),
        FieldSpec("", "last_name", "Last name", FieldKind.TEXT, pii=True, max_length=140),
    )

    def satisfied(self, given: frozenset[str]) -> frozenset[str]:
        return frozenset({"name"}) if {"first_name", "last_name"} & given else frozenset()

    def fill(self, batch: "Batch", values: dict[str, Any], old: Any | None) -> None:
        first, last = values.pop("first_name", None), values.pop("last_name", None)
        if not values.get("name") and (first or last):
            values["name"] = " ".join(part for part in (first, last) if part)


class Contacts(_People):
    entity = "contact"
    match = (("email",),)
    tables = ("contact_point",)
    extra = (
        *_People.extra,
        FieldSpec("", "email_2", "Second e-mail", FieldKind.EMAIL, pii=True, max_length=254),
        FieldSpec("", "phone_2", "Second phone", FieldKind.PHONE, pii=True, max_length=64),
    )
    synonyms = {
        **_PERSON,
        "account_id": ("account", "company", "company name", "organisation", "organization", "employer"),
        "email_2": ("other email", "secondary email", "work email", "email 2", "e-mail 2"),
        "phone_2": ("other phone", "work phone", "phone 2", "business phone"),
        "birthday": ("birth date", "date of birth", "birthdate"),
    }

    def fill(self, batch: "Batch", values: dict[str, Any], old: Any | None) -> None:
        super().fill(batch, values, old)
        values.pop("email_2", None)
        values.pop("phone_2", None)

    def wrote(self, batch: "Batch", created: Sequence[Written], updated: Sequence[Written]) -> None:
        rows = [point for row in created for point in self._points(batch, row)]
        if rows:
            batch.insert(_POINTS, rows)
        for row in updated:
            self._follow(batch, row)
        said = [*created, *(row for row in updated if {*unsubscribing.NO_FIELDS} & set(row.old))]
        unsubscribing.objected(batch.session, batch.actor, [row.id for row in said if unsubscribing.objects(row.columns)])

    def _points(self, batch: "Batch", row: Written) -> list[dict[str, Any]]:
        found: dict[tuple[PointKind, str], dict[str, Any]] = {}
        for kind, keys in ((PointKind.EMAIL, ("email", "email_2")), (PointKind.PHONE, ("phone", "phone_2"))):
            for n, key in enumerate(keys):
                value = row.columns.get(key) if n == 0 else row.given.get(key)
                if value:
                    value_key = _point_key(kind, value, batch.memory.phone_region)
                    found.setdefault((kind, value_key), batch.stamp(contact_id=row.id, kind=kind, value=value, value_key=value_key,
                                     label=None, is_primary=n == 0, opted_out=False, invalid=False, verified_at=None))  # fmt: skip
        return list(found.values())

    def _follow(self, batch: "Batch", row: Written) -> None:
        """A new main address moves along in the contact points, as it does when somebody edits the contact."""
        wanted = self._points(batch, row)
        connection = batch.session.connection()
        mine = _POINTS.c.contact_id == row.id
        have = {(point.kind, point.value_key): point for point in connection.execute(select(_POINTS).where(mine))}
        for kind, column in ((PointKind.EMAIL, "email"), (PointKind.PHONE, "phone")):
            main = next((point["value_key"] for point in wanted if point["kind"] is kind and point["is_primary"]), None)
            if column in row.old:
                stale = and_(mine, _POINTS.c.kind == kind, _POINTS.c.is_primary, _POINTS.c.value_key.is_distinct_from(main))
                connection.execute(update(_POINTS).where(stale).values(is_primary=False, version=_POINTS.c.version + 1))
        for point in wanted:
            known = have.get((point["kind"], point["value_key"]))
            if known is None:
                connection.execute(insert(_POINTS).values(**point))
            elif point["is_primary"] and not known.is_primary:
                connection.execute(
                    update(_POINTS).where(_POINTS.c.id == known.id).values(is_primary=True, version=_POINTS.c.version + 1)
                )
        db.bump(batch.session, "contact_point")


def _point_key(kind: PointKind, value: str, region: str) -> str:
    if kind is PointKind.EMAIL:
        return email_key(value)
    return phone_key(value) if region == "US" else phone_key(value, region)  # the first form is remembered from the match keys


class Leads(_People):
    entity = "lead"
    match = (("email",),)
    synonyms = {
        **_PERSON,
        "company": ("account", "company name", "organisation", "organization", "employer"),
        "status_id": ("status", "lead status", "stage"),
        "campaign_id": ("campaign",),
        "estimated_minor": ("value", "estimated value", "amount", "budget"),
    }
    notes = (
        "A row without a status starts as a new lead. “Converted” can't be imported: a lead becomes converted by converting it.",
    )

    def satisfied(self, given: frozenset[str]) -> frozenset[str]:
        return super().satisfied(given) | {"status_id"}

    def begin(self, batch: "Batch") -> None:
        rows = batch.session.execute(select(_STATUSES.c.id, _STATUSES.c.kind).order_by(_STATUSES.c.position, _STATUSES.c.id)).all()
        self._kinds: Mapping[int, LeadKind] = {row.id: row.kind for row in rows}

    def fill(self, batch: "Batch", values: dict[str, Any], old: Any | None) -> None:
        super().fill(batch, values, old)
        status = values.get("status_id")
        if old is None and status is None:
            values["status_id"] = next((key for key, kind in self._kinds.items() if kind is LeadKind.OPEN), None)
        elif status is not None and self._kinds.get(status) is LeadKind.CONVERTED and (old is None or old.status_id != status):
            raise RowRefused(status_id="A lead becomes converted by converting it; choose another status.")
