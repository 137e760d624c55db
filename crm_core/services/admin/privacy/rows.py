"""Who a person is here, and which rows of a table are about them."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, and_, false, func, or_, select, union
from sqlmodel import Session

from crm_core import house, merges
from crm_core.access import Actor, require
from crm_core.entities import entity
from crm_core.erased import key_of
from crm_core.errors import NotPermitted
from crm_core.kit.text import email_key, fold, phone_key
from crm_core.models import ContactPoint, Event, ImportRun, Segment
from crm_core.models.base import Base
from crm_core.personal_data import TABLES, Held
from crm_core.services.customers import withdrawing
from crm_core.veil import MASK
from crm_core.vocabulary import Action, PointKind

Place = tuple[str, int]
PEOPLE = ("contact", "lead")
HANGING = ("activity", "task", "ticket")
"""What hangs on a person and goes with them, with all that hangs on it."""

_POINTS: Any = ContactPoint.__table__  # type: ignore[attr-defined]
_EVENTS: Any = Event.__table__  # type: ignore[attr-defined]
_RUNS: Any = ImportRun.__table__  # type: ignore[attr-defined]
_SEGMENTS: Any = Segment.__table__  # type: ignore[attr-defined]
SHORTEST = 6
"""Signs below which a name is too common to be looked for in other people's texts."""


@dataclass(frozen=True)
class Person:
    """All records of one person, and how they are or were called and reached. ``emails`` and ``phones`` are theirs alone; ``shared``: what somebody else
    has too, or what is too short to tell them from others, and so is not looked for outside their own rows. ``accounts``: companies of which they are
    the only person, whose name, address and number may be theirs."""

    contacts: tuple[int, ...] = ()
    leads: tuple[int, ...] = ()
    names: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()
    phones: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()
    accounts: tuple[int, ...] = ()

    @property
    def places(self) -> list[Place]:
        return [*(("contact", one) for one in self.contacts), *(("lead", one) for one in self.leads)]

    def ids(self, entity_key: str) -> tuple[int, ...]:
        return self.contacts if entity_key == "contact" else self.leads

    @property
    def addresses(self) -> list[str]:
        """Addresses and numbers as lists of blocked ones hold them."""
        return sorted({email_key(one) for one in (*self.emails, *self.phones)})


def require_all(actor: Actor, action: Action) -> None:
    """The right to work on requests; and since a copy holds everything, nothing may be hidden from whoever makes it."""
    require(actor, "privacy", action)
    if actor.masks:
        raise NotPermitted(
            "Your role hides fields of records. Whoever answers people about their data must see all of it: ask an administrator."
        )


def root(session: Session, entity_key: str, record_id: int) -> Place:
    """The record that stands for the person: the one that it was merged into, the contact that a lead became, else the record itself."""
    record_id = merges.into(session, entity_key, record_id) or record_id
    if entity_key == "lead":
        leads = entity("lead").table
        became = session.execute(select(leads.c.converted_contact_id).where(leads.c.id == record_id)).scalar()
        if became is not None:
            return "contact", merges.into(session, "contact", became) or became
    return entity_key, record_id


def records_of(session: Session, place: Place) -> Person:
    """All records of the person behind one, and nothing else of them: who else is called so need not be looked for."""
    mine = withdrawing.converted(session, [place])
    contacts, leads = (tuple(sorted(one for key, one in mine if key == name)) for name in PEOPLE)
    return Person(contacts, leads)


def person(session: Session, place: Place) -> Person:
    """The person behind a record, with how they are called and reached. Reads all people for those who share it."""
    found = records_of(session, place)
    found = replace(found, accounts=_alone(session, found))
    names, emails, phones = _called(session, found)
    shared = _of_others(session, found, names, emails, phones)
    return replace(
        found, names=tuple(sorted(names - shared)), emails=tuple(sorted(emails - shared)), phones=tuple(sorted(phones - shared)),
        shared=tuple(sorted(shared)),
    )  # fmt: skip


def _alone(session: Session, found: Person) -> tuple[int, ...]:
    """Companies where nobody else is."""
    contacts, leads = entity("contact").table, entity("lead").table
    mine = union(
        select(contacts.c.account_id).where(contacts.c.id.in_(found.contacts)),
        select(leads.c.converted_account_id).where(leads.c.id.in_(found.leads)),
    )
    ids = {one for one in session.execute(mine).scalars() if one is not None}
    others = select(contacts.c.account_id).where(
        contacts.c.account_id.in_(ids), contacts.c.id.not_in(found.contacts), contacts.c.deleted_at.is_(None)
    )
    return tuple(sorted(ids - set(session.execute(others).scalars())))


def _called(session: Session, found: Person) -> tuple[set[str], set[str], set[str]]:
    """Names, addresses and numbers, today's and those that the change history knows."""
    values: dict[str, set[str]] = {"name": set(), "email": set(), "phone": set()}
    for key in PEOPLE:
        table = entity(key).table
        for row in session.execute(select(*(table.c[name] for name in values)).where(table.c.id.in_(found.ids(key)))):
            for name, value in zip(values, row, strict=True):
                values[name] |= {value} if value else set()
        logged = select(_EVENTS.c.changes).where(_EVENTS.c.entity == key, _EVENTS.c.record_id.in_(found.ids(key)))
        for changes in session.execute(logged).scalars():
            for name in values.keys() & (changes or {}).keys():
                values[name] |= {one for one in changes[name] if isinstance(one, str) and one and one != MASK}
    for row in session.execute(select(_POINTS.c.kind, _POINTS.c.value).where(_POINTS.c.contact_id.in_(found.contacts))):
        values["email" if row.kind is PointKind.EMAIL else "phone"].add(row.value)
    return values["name"], values["email"], values["phone"]


def _of_others(session: Session, found: Person, names: set[str], emails: set[str], phones: set[str]) -> set[str]:
    """What does not tell this person from others."""
    shared = {name for name in names if len(name) < SHORTEST or len(name.split()) < 2}
    shared |= {phone for phone in phones if len(key_of(PointKind.PHONE, phone)) < SHORTEST}
    others = {fold(name): name for name in names - shared}
    for key in ("contact", "lead", "account", "user"):
        table = entity(key).table
        own = found.accounts if key == "account" else found.ids(key) if key in PEOPLE else ()
        clause = [table.c.id.not_in(own)]
        columns = [table.c[name] for name in ("name", "email", "phone") if name in table.c]
        wanted = {*names, *emails, *phones, *(email_key(one) for one in emails)}
        live = [table.c.deleted_at.is_(None)] if "deleted_at" in table.c else []
        same = or_(*(column.in_(wanted) for column in columns), func.lower(table.c.name).in_({name.lower() for name in names}))
        for row in session.execute(select(*columns).where(same, *clause, *live)):
            shared |= {value for value in row if value in wanted}
            shared |= {others[fold(row.name)]} if fold(row.name) in others else set()
            shared |= {one for one in emails if email_key(one) in {email_key(str(value)) for value in row if value}}
    keys = {one: email_key(one) for one in emails} | {one: phone_key(one, house.region(session)) for one in phones}
    points = select(_POINTS.c.value_key).where(_POINTS.c.contact_id.not_in(found.contacts), _POINTS.c.value_key.in_(keys.values()))
    taken = set(session.execute(points).scalars())
    return shared | {one for one, key in keys.items() if key in taken}


# --- rows ----------------------------------------------------------------------------------------------------------------


def table_of(name: str) -> Any:
    return Base.metadata.tables[name]


def about(name: str, who: Person) -> ColumnElement[bool]:
    """The rows of a table that are about a person, as a clause; none of a table without persons."""
    held = TABLES[name]
    return or_(false(), *(_way(name, held, way, who) for way in held.by))


def _way(name: str, held: Held, way: str, who: Person) -> ColumnElement[bool]:
    table = table_of(name)
    if way == "id":
        return table.c.id.in_(who.ids(name))
    if way in ("*", "**"):
        return _placed(table, who, with_hanging=way == "**")
    if way.startswith("@") and way[1:] in table.c:
        return table.c[way[1:]].in_(who.addresses)
    if way.startswith("#"):
        return table.c[way[1:]].in_(sorted({*who.phones, *map(phone_key, who.phones)}))
    if ">" in way:
        column, parent = way.split(">")
        return table.c[column].in_(select(table_of(parent).c.id).where(about(parent, who)))
    if way in ("@import", "@segment"):
        column, kinds = (table.c.run_id, _RUNS) if way == "@import" else (table.c.segment_id, _SEGMENTS)
        mine = (
            and_(table.c.record_id.in_(who.ids(key)), column.in_(select(kinds.c.id).where(kinds.c.entity == key)))
            for key in PEOPLE
            if who.ids(key)
        )
        return or_(false(), *mine)
    if way in ("@merge", "@pair"):
        columns = (table.c.survivor_id, table.c.loser_id) if way == "@merge" else (table.c.first_id, table.c.second_id)
        both = (and_(table.c.entity == key, or_(*(one.in_(who.ids(key)) for one in columns))) for key in PEOPLE if who.ids(key))
        return or_(false(), *both)
    if way in ("contact_id", "lead_id"):
        return table.c[way].in_(who.ids(way.removesuffix("_id")))
    return false()  # the tables of analyses are read one by one


def _placed(table: Any, who: Person, *, with_hanging: bool) -> ColumnElement[bool]:
    mine = [and_(table.c.entity == key, table.c.record_id.in_(who.ids(key))) for key in PEOPLE if who.ids(key)]
    if with_hanging:
        mine += [
            and_(table.c.entity == key, table.c.record_id.in_(select(entity(key).table.c.id).where(about(key, who))))
            for key in HANGING
        ]
    if "ids" in table.c:  # lists that went out know their records
        mine += [and_(table.c.entity == key, table.c.ids.contains(f",{one},")) for key in PEOPLE for one in who.ids(key)]
    return or_(false(), *mine)


def on_business(who: Person, *, companies: bool = True) -> ColumnElement[bool]:
    """The files on deals and orders of the person, and on their companies; without ``companies`` on that one alone which is nobody else's."""
    table, contacts = table_of("attachment"), entity("contact").table
    theirs = select(contacts.c.account_id).where(contacts.c.id.in_(who.contacts))
    firm = (
        or_(table.c.record_id.in_(who.accounts), table.c.record_id.in_(theirs))
        if companies
        else table.c.record_id.in_(who.accounts)
    )
    deals = (
        and_(table.c.entity == key, table.c.record_id.in_(select(entity(key).table.c.id).where(about(entity(key).table.name, who))))
        for key in ("deal", "order")
    )
    return or_(*deals, and_(table.c.entity == "account", firm))


def count(session: Session, name: str, who: Person) -> int:
    return int(session.execute(select(func.count()).select_from(table_of(name)).where(about(name, who))).scalar_one())


def tables() -> Iterable[str]:
    """The tables with rows about persons, those first from which others are found last, so that no way is cut before it was walked."""
    first = [name for name, held in TABLES.items() if held.by and name not in (*HANGING, *PEOPLE, "contact_point")]
    parents = {way.split(">")[1] for held in TABLES.values() for way in held.by if ">" in way}
    return [*sorted(name for name in first if name not in parents), *sorted(name for name in first if name in parents)]
