"""Accounts, contacts, leads."""

import re
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, insert, select, update

from crm_core import db, search
from crm_core.fields import FieldSpec, builtin, parse
from crm_core.kit.text import domain_key, email_key, phone_key
from crm_core.models import ContactPoint, ImportRun, LeadStatus
from crm_core.services.admin.imports.kinds.base import Kind, RowRefused, Written
from crm_core.services.customers import consent_files, unsubscribing
from crm_core.services.customers.points import ACCOUNT, CONTACT, MAIN, MAX_POINTS, Owner
from crm_core.vocabulary import ConsentStatus, FieldKind, LeadKind, LegalBasis, PointKind

if TYPE_CHECKING:
    from crm_core.services.admin.imports.batch import Batch

_POINTS: Any = ContactPoint.__table__  # type: ignore[attr-defined]
_STATUSES: Any = LeadStatus.__table__  # type: ignore[attr-defined]

_PERSON = {
    "name": ("full name", "contact name", "person", "contact", "lead", "lead name", "customer name"),
    "first_name": ("first name", "given name", "forename"),
    "last_name": ("last name", "surname", "family name"),
    "email": ("e-mail", "email address", "mail", "e-mail address"),
    "phone": ("phone number", "telephone", "mobile", "mobile phone", "tel", "phone 1"),
    "job_title": ("title", "position", "job", "role"),
    "owner_id": ("owner", "contact owner", "lead owner", "sales agent", "sales rep", "agent", "account manager"),
    "source": ("lead source", "original source", "channel"),
    "country": ("country region", "country/region"),
    "city": ("town", "place", "locality"),
}


FURTHER = (
    FieldSpec("", "emails_more", "Further e-mails", FieldKind.LONG_TEXT, pii=True, help="Several with a semicolon between them"),
    FieldSpec("", "phones_more", "Further phones", FieldKind.LONG_TEXT, pii=True, help="Several with a semicolon between them"),
)
_FURTHER = {PointKind.EMAIL: "emails_more", PointKind.PHONE: "phones_more"}


def _further(kind: PointKind, text: Any) -> list[str]:
    """The addresses or numbers of a cell that holds several. Raises RowRefused naming the wrong one."""
    found = []
    for part in re.split(r"[;\n|]" if kind is PointKind.PHONE else r"[;,\s|]+", str(text or "")):
        try:
            value = parse(builtin("contact")[kind.value], part)
        except ValueError as error:
            raise RowRefused(**{_FURTHER[kind]: str(error)}) from error
        found += [value] if value else []
    if len(found) > MAX_POINTS:
        raise RowRefused(**{_FURTHER[kind]: f"At most {MAX_POINTS} fit."})
    return found


_MORE = {"more": True}
"""What a row brings beside the columns of its record: one that changes none of them is then no row without a change."""


def _take_further(batch: "Batch", values: dict[str, Any]) -> None:
    """Check the cells that hold several; they are written once the record is there."""
    found = [_further(kind, values.pop(key, None)) for kind, key in _FURTHER.items()]
    if any(found):
        batch.attach(_MORE)


class Accounts(Kind):
    entity = "account"
    match = (("name",),)
    tables = ("account_point",)
    extra = FURTHER
    synonyms = {
        "name": ("account", "account name", "company", "company name", "customer", "organisation", "organization", "client"),
        "industry": ("sector", "branch", "vertical"),
        "founded_year": ("year established", "year founded", "established", "founded year"),
        "revenue_minor": ("revenue", "annual revenue", "turnover", "sales"),
        "employees": ("number of employees", "headcount", "staff", "size"),
        "country": ("office location", "country region"),
        "parent_id": ("subsidiary of", "parent", "parent company", "parent account", "belongs to"),
        "owner_id": ("account owner", "sales agent", "sales rep", "agent", "account manager"),
        "postcode": ("zip", "zip code", "postal code"),
        "website": ("url", "domain", "web", "homepage", "company domain name"),
        "kind": ("account type", "type"),
        "street": ("address", "street address"),
        "city": ("town", "place", "locality"),
        "description": ("notes", "comment", "remarks"),
    }

    def fill(self, batch: "Batch", values: dict[str, Any], old: Any | None) -> None:
        if "website" in values:
            values["domain"] = domain_key(values["website"] or "") or None
        _take_further(batch, values)

    def wrote(self, batch: "Batch", created: Sequence[Written], updated: Sequence[Written]) -> None:
        """Further addresses and numbers; the main ones stand on the account and get their row when somebody changes them."""
        _write_further(batch, ACCOUNT, (*created, *updated))


class _People(Kind):
    extra: tuple[FieldSpec, ...] = (
        FieldSpec("", "first_name", "First name", FieldKind.TEXT, pii=True, max_length=140),
        FieldSpec("", "last_name", "Last name", FieldKind.TEXT, pii=True, max_length=140),
    )

    consents: tuple[FieldSpec, ...] = (
        FieldSpec(
            "", "consent_status", "Consent: news by e-mail", FieldKind.CHOICE, options=ConsentStatus.options(), enum=ConsentStatus
        ),
        FieldSpec("", "consent_basis", "Consent: legal basis", FieldKind.CHOICE, options=LegalBasis.options(), enum=LegalBasis),
        FieldSpec("", "consent_source", "Consent: how we know", FieldKind.TEXT, max_length=300),
    )

    def satisfied(self, given: frozenset[str]) -> frozenset[str]:
        return frozenset({"name"}) if {"first_name", "last_name"} & given else frozenset()

    def fill(self, batch: "Batch", values: dict[str, Any], old: Any | None) -> None:
        first, last = values.pop("first_name", None), values.pop("last_name", None)
        if not values.get("name") and (first or last):
            values["name"] = " ".join(part for part in (first, last) if part)
        said = [values.pop(spec.key, None) for spec in self.consents]
        if any(said):
            batch.attach(_MORE)

    def consented(self, batch: "Batch", rows: Sequence[Written]) -> None:
        """What the file says about consent; a basis alone means that they may be written to on it."""
        said = {}
        for row in rows:
            status, basis = row.given.get("consent_status"), row.given.get("consent_basis")
            if status is not None or basis is not None:
                source = str(row.given.get("consent_source") or "")
                said[row.id] = (status or ConsentStatus.GRANTED, basis or LegalBasis.CONSENT, source)
        if said:
            run = batch.session.get(ImportRun, batch.run_id)
            consent_files.imported(batch.session, batch.actor, self.entity, said, run.file_name if run is not None else "a file")


class Contacts(_People):
    entity = "contact"
    match = (("email",),)
    tables = ("contact_point",)
    extra = (
        *_People.extra,
        FieldSpec("", "email_2", "Second e-mail", FieldKind.EMAIL, pii=True, max_length=254),
        FieldSpec("", "phone_2", "Second phone", FieldKind.PHONE, pii=True, max_length=64),
        *FURTHER,
        *_People.consents,
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
        if any([values.pop("email_2", None), values.pop("phone_2", None)]):
            batch.attach(_MORE)
        _take_further(batch, values)

    def wrote(self, batch: "Batch", created: Sequence[Written], updated: Sequence[Written]) -> None:
        rows = [point for row in created for point in self._points(batch, row)]
        if rows:
            batch.insert(_POINTS, rows)
        for row in updated:
            self._follow(batch, row)
        _write_further(batch, CONTACT, (*created, *updated))
        self.consented(batch, (*created, *updated))
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


def _write_further(batch: "Batch", owner: Owner, rows: Sequence[Written]) -> None:
    """Add what the file has beside the main ones and the record lacks; found by search from then on."""
    table: Any = owner.model.__table__
    for row in rows:
        said = {kind: _further(kind, row.given.get(key)) for kind, key in _FURTHER.items()}
        if not any(said.values()) and not any(row.given.get(key) for key in ("email_2", "phone_2")):
            continue
        mine = table.c[owner.key] == row.id
        have = {
            (point.kind, point.value_key) for point in batch.session.execute(select(table.c.kind, table.c.value_key).where(mine))
        }
        for kind, values in said.items():
            main = row.columns.get(MAIN[kind])
            have |= {(kind, _point_key(kind, main, batch.memory.phone_region))} if main else set()
            for value in values:
                key = _point_key(kind, value, batch.memory.phone_region)
                if (kind, key) not in have and len(have) < 2 * MAX_POINTS:
                    have.add((kind, key))
                    point = batch.stamp(kind=kind, value=value, value_key=key, label=None, is_primary=False, opted_out=False, invalid=False, verified_at=None)  # fmt: skip
                    batch.session.execute(insert(table).values(**point, **{owner.key: row.id}))
        search.index(
            batch.session,
            owner.entity,
            SimpleNamespace(**row.columns, id=row.id) if "id" not in row.columns else SimpleNamespace(**row.columns),
        )
        db.bump(batch.session, table.name)


def _point_key(kind: PointKind, value: str, region: str) -> str:
    if kind is PointKind.EMAIL:
        return email_key(value)
    return phone_key(value) if region == "US" else phone_key(value, region)  # the first form is remembered from the match keys


class Leads(_People):
    entity = "lead"
    match = (("email",),)
    extra = (*_People.extra, *_People.consents)
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
        if old is not None and old.phone_invalid and values.get("phone", old.phone) != old.phone:
            values.setdefault("phone_invalid", False)

    def wrote(self, batch: "Batch", created: Sequence[Written], updated: Sequence[Written]) -> None:
        self.consented(batch, (*created, *updated))
