"""Persons in the words of others: the subject of a call, a task or a letter may say who somebody is, which not every role may know."""

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Integer, bindparam, or_, select
from sqlmodel import Session

from crm_core.access import Actor
from crm_core.access.actor import PERSONS, SUBJECTS
from crm_core.entities import ENTITIES, entity
from crm_core.veil import MASK, trace
from crm_core.vocabulary import ActivityKind, FieldKind

Place = tuple[str, int]
Cover = Callable[[str], str]

NAMED = ("guest", "who")
"""What events and notifications call a person by."""
WHO_IS = "who_is"
"""What kind of record ``who`` is, where it need not be a person."""
BATCH = 500
_TELLING = {"name": FieldKind.TEXT, "email": FieldKind.EMAIL, "phone": FieldKind.PHONE}
_MAIL = re.compile(r"^((?:Automatic answer from|From|To) )(.+?)(?=: |$)")
"""How mail is entered: with the name that stood in it, which the record need not have."""


def hides(actor: Actor) -> bool:
    """Whether something that tells who a person is, is hidden from the actor: for all others no word need be looked at."""
    return any(actor.masked(person, key) for person in PERSONS for key in _TELLING)


def covers(session: Session, actor: Actor, places: Iterable[Place]) -> Mapping[Place, Cover]:
    """Place (a person, or what hangs on one) → what takes the person out of words about it. Only places with something to take out."""
    wanted = set(places)
    if not wanted or not hides(actor):
        return {}
    people, mails = _people(session, wanted)
    parts = _parts(session, actor, {person for found in people.values() for person in found})
    found: dict[Place, Cover] = {}
    for place in people.keys() | mails:
        mine = [part for person in people.get(place, ()) for part in parts.get(person, ())]
        if mine or place in mails:
            found[place] = _cover(actor, mine, place in mails)
    return found


def subjects(session: Session, actor: Actor, entity_key: str, texts: dict[int, str]) -> dict[int, str]:
    """Texts about records of an entity (id → text) as the actor may read them."""
    if actor.masked(entity_key, "subject"):
        return {record_id: hidden(actor, entity_key, "subject", text) for record_id, text in texts.items()}
    if entity_key not in SUBJECTS or not hides(actor):
        return texts
    found = covers(session, actor, ((entity_key, record_id) for record_id in texts))
    return {record_id: found.get((entity_key, record_id), str)(text) for record_id, text in texts.items()}


def hidden(actor: Actor, entity_key: str, key: str, text: str) -> str:
    """A text as the actor's role leaves it of a field: whole, a trace of it, or neither; nothing stays nothing."""
    if not text or not actor.masked(entity_key, key):
        return text
    return trace(FieldKind.TEXT, text) if key == "subject" and actor.veiled(entity_key, key) else MASK


def called(actor: Actor, entity_key: str, record_id: int, name: str) -> str:
    """What a record is called for the actor: its name, or its kind and number where their role hides names."""
    found = entity(entity_key)
    return f"{found.label} {record_id}" if actor.masked(entity_key, found.title) else name


def blurs(actor: Actor, entity_key: str, key: str) -> bool:
    """Whether the actor does not know all that a field holds: nothing may be put in order by it, and no condition may be asked of it as it is stored."""
    return actor.masked(entity_key, key) or (key == "subject" and entity_key in SUBJECTS and hides(actor))


def misread(
    session: Session,
    actor: Actor,
    entity_key: str,
    condition: ColumnElement[bool],
    columns: Iterable[str],
    fits: Callable[[Mapping[str, Any]], bool],
) -> frozenset[int]:
    """Ids of the records that a condition on stored words finds by what the actor may not read: with the subject as they read it, the ``columns`` do not
    fit. Nothing is looked up where nothing is hidden."""
    if entity_key not in SUBJECTS or not hides(actor):
        return frozenset()
    table = entity(entity_key).table
    linked = [table.c[f"{person}_id"].is_not(None) for person in PERSONS if f"{person}_id" in table.c]
    mail = [table.c.kind == ActivityKind.EMAIL] if entity_key == "activity" else []
    wanted = select(table.c.id, *(table.c[key] for key in {"subject", *columns})).where(or_(*linked, *mail), condition)
    found, wrong = [dict(row._mapping) for row in session.execute(wanted)], set()
    for start in range(0, len(found), BATCH):
        rows = found[start : start + BATCH]
        said = subjects(session, actor, entity_key, {row["id"]: row["subject"] for row in rows})
        wrong |= {row["id"] for row in rows if said[row["id"]] != row["subject"] and not fits({**row, "subject": said[row["id"]]})}
    return frozenset(wrong)


def numbers(ids: Collection[int]) -> Any:
    """Ids for IN, written into the statement: there may be more of them than a statement takes values."""
    return bindparam(None, sorted(ids), type_=Integer(), unique=True, expanding=True, literal_execute=True)


def told(actor: Actor, data: Mapping[str, Any], cover: Cover | None) -> dict[str, Any]:
    """What an event or a notification says, as the actor may read it."""
    if "number" in data and actor.masked("ticket", "number"):  # of the ticket that was merged
        data = {**data, "number": MASK}
    firm = {"who": hidden(actor, "account", "name", data["who"])} if data.get(WHO_IS) == "account" else {}
    if not hides(actor):
        return {**data, **firm}
    return {key: _told(actor, key, value, cover) for key, value in data.items()} | firm


def _told(actor: Actor, key: str, value: Any, cover: Cover | None) -> Any:
    if not isinstance(value, str):
        return value
    return _instead(actor, value) if key in NAMED else cover(value) if cover is not None else value


def _instead(actor: Actor, name: str) -> str:
    """A person of whom only the name is known: what the actor's role leaves of names."""
    if not any(actor.masked(person, "name") for person in PERSONS):
        return name
    hidden = any(actor.masked(person, "name") and not actor.veiled(person, "name") for person in PERSONS)
    return MASK if hidden else trace(FieldKind.TEXT, name)


def _people(session: Session, places: Collection[Place]) -> tuple[dict[Place, list[Place]], set[Place]]:
    """Place → the persons on whom it hangs, and the places that are mail."""
    people: dict[Place, list[Place]] = {place: [place] for place in places if place[0] in PERSONS}
    mails: set[Place] = set()
    for key in ({key for key, _ in places} - set(PERSONS)) & ENTITIES.keys():
        table = entity(key).table
        links = [person for person in PERSONS if f"{person}_id" in table.c]
        if not links:
            continue
        kind = [table.c.kind] if key == "activity" else []
        ids = [record_id for name, record_id in places if name == key]
        columns = [table.c.id, *(table.c[f"{person}_id"] for person in links), *kind]
        for row in session.execute(select(*columns).where(table.c.id.in_(ids))):
            linked = [(person, getattr(row, f"{person}_id")) for person in links if getattr(row, f"{person}_id") is not None]
            people |= {(key, row.id): linked} if linked else {}
            mails |= {(key, row.id)} if kind and row.kind is ActivityKind.EMAIL else set()
    return people, mails


def _parts(session: Session, actor: Actor, people: Collection[Place]) -> dict[Place, list[tuple[re.Pattern[str], str]]]:
    """Person → patterns of what is hidden of them, the longest first, each with what stands instead."""
    found: dict[Place, list[tuple[re.Pattern[str], str]]] = {}
    for person in PERSONS:
        keys = [key for key in _TELLING if actor.masked(person, key)]
        ids = [record_id for key, record_id in people if key == person]
        if not keys or not ids:
            continue
        table = entity(person).table
        for row in session.execute(select(table.c.id, *(table.c[key] for key in keys)).where(table.c.id.in_(ids))):
            values = [(getattr(row, key), key) for key in keys if getattr(row, key)]
            found[(person, row.id)] = [part for value, key in values for part in _patterns(actor, person, key, value)]
    return found


def _patterns(actor: Actor, person: str, key: str, value: str) -> Sequence[tuple[re.Pattern[str], str]]:
    kind, seen = _TELLING[key], actor.veiled(person, key)
    whole = [(_word(value, re.IGNORECASE), trace(kind, value) if seen else MASK)]
    names = [part for part in value.split() if len(part) > 2] if key == "name" else []
    return whole + [(_word(part), trace(kind, part) if seen else MASK) for part in names if part != value]


def _word(text: str, flags: int = 0) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){re.escape(text)}(?!\w)", flags)


def _cover(actor: Actor, parts: Sequence[tuple[re.Pattern[str], str]], mail: bool) -> Cover:
    def cover(text: str) -> str:
        if mail:
            text = _MAIL.sub(lambda found: found[1] + _instead(actor, found[2]), text)
        for pattern, instead in parts:
            text = pattern.sub(lambda _found, words=instead: str(words), text)  # type: ignore[misc]
        return text

    return cover
