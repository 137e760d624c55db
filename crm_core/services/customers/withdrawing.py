"""A person's no holds wherever we know them: on every contact and lead with their main address, and on the lead that a contact was."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import and_, insert, select, update
from sqlmodel import Session

from crm_core import db, events, merges
from crm_core.access import Actor
from crm_core.entities import entity
from crm_core.kit.clock import utcnow
from crm_core.kit.text import clean, clip, email_key
from crm_core.models import Consent, MatchKey
from crm_core.vocabulary import ConsentStatus, ContactWay, Purpose

Person = tuple[str, int]
PEOPLE = ("contact", "lead")
CONSENT: Any = Consent.__table__  # type: ignore[attr-defined]
_KEYS: Any = MatchKey.__table__  # type: ignore[attr-defined]
_BATCH = 500


def at_address(session: Session, addresses: Iterable[str]) -> list[Person]:
    """Contacts and leads whose main address is one of these, whoever may see them, archived ones too. A second address says less about whose
    it is: a whole office may list the same."""
    given = sorted({form for one in addresses for form in (one, one.strip(), email_key(one)) if form.strip()})
    found: dict[Person, None] = {}
    for some in _parts(given):
        keys = sorted({email_key(one)[:250] for one in some})
        for name in PEOPLE:
            table = entity(name).table
            same = select(_KEYS.c.record_id).where(_KEYS.c.entity == name, _KEYS.c.kind == "email", _KEYS.c.key.in_(keys))
            alike = select(table.c.id).where(table.c.email.in_(some))
            mine = {
                *session.execute(same).scalars(),
                *session.execute(alike).scalars(),
            }  # two reads of two indexes, where OR would use none
            found |= {(name, one): None for one in sorted(mine)}
    return list(found)


def converted(session: Session, people: Sequence[Person]) -> list[Person]:
    """These people, with the contacts that leads became, the leads that contacts were, and the records that were merged with theirs."""
    leads = entity("lead").table
    found = dict.fromkeys(merged(session, people))
    for some in _parts([one for key, one in people if key == "lead"]):
        became = select(leads.c.converted_contact_id).where(leads.c.id.in_(some), leads.c.converted_contact_id.is_not(None))
        found |= {("contact", one): None for one in session.execute(became).scalars()}
    for some in _parts([one for key, one in found if key == "contact"]):
        were = select(leads.c.id).where(leads.c.converted_contact_id.in_(some))
        found |= {("lead", one): None for one in session.execute(were).scalars()}
    return merged(session, list(found))


def merged(session: Session, people: Sequence[Person]) -> list[Person]:
    """These people, with the records that are one with theirs by a merge, whichever stayed."""
    found = dict.fromkeys(people)
    for name in PEOPLE:
        ids = [one for key, one in people if key == name]
        if ids:
            merges.hold(session, name, entity(name).table, ids)
        found |= {(name, one): None for one in merges.kin(session, name, ids)}
    return list(found)


def everywhere(session: Session, people: Sequence[Person]) -> list[Person]:
    """These people on all records that are theirs: with the same main address, or one made of the other."""
    addresses: list[str] = []
    for name in PEOPLE:
        table = entity(name).table
        for some in _parts([one for key, one in people if key == name]):
            known = select(table.c.email).where(table.c.id.in_(some), table.c.email.is_not(None))
            addresses += session.execute(known).scalars()
    return converted(session, list(dict.fromkeys([*people, *at_address(session, addresses)])))


def withdraw(
    session: Session, actor: Actor, people: Sequence[Person], *, purposes: Iterable[Purpose] = tuple(Purpose), source: str, silence: bool,
    at: datetime | None = None,
) -> int:  # fmt: skip
    """These people agree to nothing by e-mail any more for these purposes, also who never said a word: a later “they agreed” for a whole segment
    shall not take them in. A word of theirs that is younger than ``at`` stands. ``silence``: it counted as agreement. Gives how many agreed
    until now. The caller has asked, or speaks for the person themselves. Events: <entity>.consent_changed."""
    stopped, wanted = 0, list(purposes)
    for name in PEOPLE:
        for ids in _parts(list(dict.fromkeys(one for key, one in people if key == name))):
            stopped += _withdraw(session, actor, name, ids, wanted, clip(clean(source), 300), silence, at or utcnow())
    return stopped


def _withdraw(
    session: Session,
    actor: Actor,
    name: str,
    ids: Sequence[int],
    purposes: Sequence[Purpose],
    source: str,
    silence: bool,
    at: datetime,
) -> int:
    column = CONSENT.c[f"{name}_id"]
    mine = and_(column.in_(ids), CONSENT.c.way == ContactWay.EMAIL, CONSENT.c.is_latest, CONSENT.c.purpose.in_(purposes))
    query = select(CONSENT.c.id, column.label("who"), CONSENT.c.purpose, CONSENT.c.status, CONSENT.c.at).where(mine)
    said = {(row.who, row.purpose): row for row in session.execute(query)}
    over = [key for key in ((one, purpose) for one in ids for purpose in purposes) if _changes(said.get(key), at)]
    if not over:
        return 0
    for some in _parts([said[key].id for key in over if key in said]):
        session.execute(update(CONSENT).where(CONSENT.c.id.in_(some)).values(is_latest=False))
    fixed = {
        "way": ContactWay.EMAIL, "status": ConsentStatus.WITHDRAWN, "source": source, "at": at, "by_id": actor.user_id, "is_latest": True,
    }  # fmt: skip
    session.execute(insert(CONSENT), [{f"{name}_id": one, "purpose": purpose, **fixed} for one, purpose in over])
    db.bump(session, CONSENT.name)
    held: dict[int, list[Purpose]] = {}
    for one, purpose in over:
        if said[one, purpose].status == ConsentStatus.GRANTED if (one, purpose) in said else silence:
            held.setdefault(one, []).append(purpose)
    _tell(session, actor, name, held)
    return len(held)


def _changes(row: Any, at: datetime) -> bool:
    return row is None or (row.status != ConsentStatus.WITHDRAWN and row.at <= at)


def _tell(session: Session, actor: Actor, name: str, held: Mapping[int, Sequence[Purpose]]) -> None:
    if not held:
        return
    table, words = entity(name).table, {"status": ConsentStatus.WITHDRAWN.label.lower(), "way": ContactWay.EMAIL.label}
    known = [table.c[key] for key in ("id", "version", "account_id") if key in table.c]
    rows = session.execute(select(*known).where(table.c.id.in_(held)))
    entries = [(f"{name}.consent_changed", row, {**words, "purpose": ", ".join(one.label for one in held[row.id])}) for row in rows]
    events.record_many(session, actor, name, entries)


def _parts(values: Sequence[Any]) -> list[Sequence[Any]]:
    return [values[start : start + _BATCH] for start in range(0, len(values), _BATCH)]
