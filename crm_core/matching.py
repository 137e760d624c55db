"""Match keys: the normalised values by which a lead, contact or account can be recognised as one that is already here.

They are written with the search text, by the same calls, so that no path that saves a record can forget them.
"""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import delete, insert
from sqlmodel import Session

from crm_core import erased
from crm_core.entities import entity
from crm_core.kit.clock import utcnow
from crm_core.kit.text import domain_key, email_key, phone_key, words
from crm_core.models import MatchKey

MATCHED = ("lead", "contact", "account")
PEOPLE = ("lead", "contact")
FREE_MAIL = {
    "gmail.com", "googlemail.com", "outlook.com", "hotmail.com", "live.com", "yahoo.com", "icloud.com", "me.com", "aol.com", "gmx.de", "gmx.net",
    "web.de", "t-online.de", "mail.ru", "yandex.ru", "proton.me", "protonmail.com", "qq.com", "163.com", "orange.fr", "free.fr", "libero.it",
}  # fmt: skip
"""Providers whose domain says nothing about the company."""

LEGAL_FORMS = {
    "ltd", "limited", "inc", "incorporated", "llc", "llp", "plc", "corp", "corporation", "co", "company", "gmbh", "ag", "kg", "ohg", "ug", "se", "sa",
    "sarl", "sas", "srl", "spa", "bv", "nv", "ab", "as", "oy", "aps", "pty", "kk", "the",
}  # fmt: skip
_KEYS = MatchKey.__table__  # type: ignore[attr-defined]

Key = tuple[str, str]


def name_key(name: str, *, company: bool = False) -> str:
    """The words of a name in alphabetical order, folded; a company's without its legal form."""
    found = [word for word in words(name) if not (company and word in LEGAL_FORMS)]
    return " ".join(sorted(found or words(name)))[:250]


def sources(entity_key: str) -> tuple[str, ...]:
    """The fields out of which the keys of a kind of record are made."""
    read = ("email", "phone", "website", "name", "company") if entity_key in MATCHED else ()
    return tuple(key for key in read if key in entity(entity_key).table.c)


def keys_of(entity_key: str, values: Any) -> set[Key]:
    """All keys of a record (or of anything with the same attributes)."""

    def read(name: str) -> str:
        return str(getattr(values, name, None) or "")

    found: set[Key] = set()
    email, phone, website = read("email"), read("phone"), read("website")
    if email:
        found.add(("email", email_key(email)[:250]))
    if phone and len(digits := "".join(c for c in phone_key(phone) if c.isdigit())) >= 6:
        found.add(("phone", digits[-8:]))
    for address in (website, email if entity_key == "lead" else ""):
        domain = domain_key(address) if address else ""
        if domain and domain not in FREE_MAIL:
            found.add(("domain", domain[:250]))
    company = entity_key == "account"
    if name := name_key(read("name"), company=company):
        found.add(("company" if company else "person", name))
    if entity_key == "lead" and (firm := name_key(read("company"), company=True)):
        found.add(("company", firm))
    return found


def index(session: Session, entity_key: str, record: Any) -> None:
    """Write the keys of one flushed record."""
    if entity_key not in MATCHED:
        return
    session.execute(delete(MatchKey).where(_KEYS.c.entity == entity_key, _KEYS.c.record_id == record.id))
    index_many(session, entity_key, [record])


def index_many(session: Session, entity_key: str, records: Iterable[Any]) -> None:
    """Write the keys of newly inserted records in one go."""
    if entity_key not in MATCHED:
        return
    now, records = utcnow(), list(records)
    if entity_key in PEOPLE:
        erased.block(session, records)
    rows = [
        {"entity": entity_key, "record_id": record.id, "kind": kind, "key": key, "created_at": now, "updated_at": now, "version": 1}
        for record in records
        for kind, key in keys_of(entity_key, record)
    ]
    if rows:
        session.execute(insert(_KEYS), rows)
