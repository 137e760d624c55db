"""What persons ask about their data: a copy, or erasure. Noted with the day by which it is due, done in the background, kept as proof."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session

from crm_core import events, jobs, lists, reads, search
from crm_core.access import Actor, require
from crm_core.entities import entity
from crm_core.errors import Conflict, Invalid, NotFound, Unavailable
from crm_core.kit import clock
from crm_core.kit.text import clean, clip, fold
from crm_core.models import PrivacyRequest
from crm_core.personal_data import TABLES
from crm_core.services.admin.privacy import erasing, rows, scrubbing
from crm_core.services.admin.privacy.copying import DAYS
from crm_core.services.admin.privacy.rows import Person
from crm_core.settings import settings
from crm_core.vocabulary import Action, PrivacyKind, PrivacyState

_REQUESTS: Any = PrivacyRequest.__table__  # type: ignore[attr-defined]
ACTIVE = (PrivacyState.OPEN, PrivacyState.RUNNING)
MOST_FOUND = 20
_JOBS = {
    PrivacyKind.REPORT: ("privacy.copy", "Copy of a person's data"),
    PrivacyKind.ERASURE: ("privacy.erase", "Erasure of a person's data"),
}


@dataclass(frozen=True)
class Found:
    """A person in a search. ``about``: what tells them from others of the same name; ``deleted``: the record is in the bin."""

    entity: str
    id: int
    name: str
    about: str
    deleted: bool


@dataclass(frozen=True)
class Request:
    """A request as people see it. ``says``: how far its work is, or why it stands still; ``stuck``: it can be taken up again; ``mine``: its file is for
    the reader, and still there."""

    id: int
    kind: PrivacyKind
    entity: str
    record_id: int
    name: str
    state: PrivacyState
    asked_on: date
    due_on: date
    reason: str
    by: str
    at: datetime
    done_at: datetime | None
    expires_at: datetime | None
    outcome: Mapping[str, Any]
    mine: bool
    says: str = ""
    share: float | None = None
    stuck: bool = False
    overdue: bool = False


@dataclass(frozen=True)
class Subject:
    """A person with their records (entity, id, name, version) and requests. ``seal``: what the page saw; changed since, an erasure is refused."""

    entity: str
    id: int
    name: str
    records: tuple[tuple[str, int, str, int], ...]
    requests: tuple[Request, ...]
    seal: str
    erased_at: datetime | None = None


@dataclass(frozen=True)
class Line:
    """One kind of data of a person. ``fate``: deleted, anonymised or kept; ``stays``: what of it stays and what for."""

    label: str
    count: int
    fate: str
    stays: str


@dataclass(frozen=True)
class Preview:
    """What an erasure would do. ``shared``: names and addresses that others have too, left in other people's texts; ``refit``: analyses that were reckoned
    with the person; ``busy``: files of imports that hold them and are not done, which stand in the way; ``mentions``: texts about others in which they are
    named, as many as were found in their latest rows: ``more``, if there may be more."""

    subject: Subject
    lines: tuple[Line, ...]
    shared: tuple[str, ...]
    refit: tuple[Mapping[str, Any], ...]
    busy: tuple[str, ...]
    mentions: int = 0
    more: bool = False


# --- finding ---------------------------------------------------------------------------------------------------------------------


def find_people(session: Session, actor: Actor, q: str) -> list[Found]:
    """Contacts and leads that a search finds, those in the bin too; a lead that became a contact stands with the contact."""
    rows.require_all(actor, Action.READ)
    found: list[Found] = []
    for key in rows.PEOPLE:
        table, hits = entity(key).table, search.matching(session, key, q)
        if hits is None:
            continue
        became = [table.c.converted_contact_id.is_(None)] if key == "lead" else []
        columns = [table.c[name] for name in ("id", "name", "email", "phone", "city", "deleted_at")]
        wanted = select(*columns).where(table.c.id.in_(hits), *became).order_by(table.c.name_sort, table.c.id).limit(MOST_FOUND)
        for row in session.execute(wanted):
            about = " · ".join(str(part) for part in (row.email, row.phone, row.city) if part)
            found.append(Found(key, row.id, row.name, about, row.deleted_at is not None))
    return found[:MOST_FOUND]


def find(session: Session, actor: Actor, *, done: bool = False, limit: int = 200) -> list[Request]:
    """The requests that wait or are under way, the most urgent first; with ``done`` those that are finished, the latest first."""
    rows.require_all(actor, Action.READ)
    state = _REQUESTS.c.state
    query = select(PrivacyRequest).where(state.not_in(ACTIVE) if done else state.in_(ACTIVE))
    query = query.order_by(_REQUESTS.c.id.desc()) if done else query.order_by(_REQUESTS.c.due_on, _REQUESTS.c.id)
    return _views(session, actor, list(session.execute(query.limit(limit)).scalars()))


def get(session: Session, actor: Actor, entity_key: str, record_id: int) -> Subject:
    """A person with what they asked; NotFound for what is no person."""
    rows.require_all(actor, Action.READ)
    key, one = _root(session, entity_key, record_id)
    reads.looked(session, actor, key, one)
    return _subject(session, actor, key, one, rows.records_of(session, (key, one)))


def _root(session: Session, entity_key: str, record_id: int) -> rows.Place:
    if entity_key not in rows.PEOPLE:
        raise NotFound("There is no such person.")
    key, one = rows.root(session, entity_key, record_id)
    table = entity(key).table
    if session.execute(select(table.c.id).where(table.c.id == one)).scalar() is None:
        raise NotFound("There is no such person.")
    return key, one


def _subject(session: Session, actor: Actor, key: str, one: int, who: Person) -> Subject:
    known = []
    for name in rows.PEOPLE:
        table = entity(name).table
        wanted = select(table.c.id, table.c.name, table.c.version).where(table.c.id.in_(who.ids(name))).order_by(table.c.id)
        known += [(name, row.id, row.name, row.version) for row in session.execute(wanted)]
    placed = or_(*((_REQUESTS.c.entity == name) & (_REQUESTS.c.record_id == record_id) for name, record_id in who.places))
    asked = _views(
        session, actor, list(session.execute(select(PrivacyRequest).where(placed).order_by(_REQUESTS.c.id.desc())).scalars())
    )
    name = next(name for kind, record_id, name, _ in known if (kind, record_id) == (key, one))
    seal = ",".join(f"{kind}{record_id}.{version}" for kind, record_id, _, version in known)
    erased_at = next((row.done_at for row in asked if row.kind is PrivacyKind.ERASURE and row.state is PrivacyState.DONE), None)
    return Subject(key, one, name, tuple(known), tuple(asked), seal, erased_at)


def _views(session: Session, actor: Actor, found: list[PrivacyRequest]) -> list[Request]:
    people = lists.titles(session, actor, "user", {row.by_id or 0 for row in found})
    names = {
        (key, row.id): row.name
        for key in rows.PEOPLE
        for row in session.execute(
            select(entity(key).table.c.id, entity(key).table.c.name).where(
                entity(key).table.c.id.in_({row.record_id for row in found if row.entity == key})
            )
        )
    }
    return [
        _view(session, actor, row, names.get((row.entity, row.record_id), ""), people.get(row.by_id or 0, "Somebody"))
        for row in found
    ]


def _view(session: Session, actor: Actor, row: PrivacyRequest, name: str, by: str) -> Request:
    running = row.state is PrivacyState.RUNNING
    work = jobs.status(session, row.job_id) if running and row.job_id else None
    stuck = running and (work is None or work.state in ("failed", "cancelled"))
    says = ""
    if stuck:
        says = (work.message if work is not None else "") or "The job was stopped."
    elif running and work is not None and work.state != "running":
        says = "Waiting for its turn." if jobs.worker_is_alive(session) else "No worker is running, so nothing happens."
    mine = bool(row.file) and row.by_id == actor.user_id and (row.expires_at or clock.utcnow()) > clock.utcnow()
    return Request(
        row.id, row.kind, row.entity, row.record_id, name, row.state, row.asked_on, row.due_on, row.reason, by, row.created_at, row.done_at,
        row.expires_at, row.outcome, mine, says, work.share if work is not None else None, stuck,
        row.state in ACTIVE and row.due_on < clock.today(actor.timezone),
    )  # fmt: skip


# --- asking ------------------------------------------------------------------------------------------------------------------------


def due_on(asked_on: date) -> date:
    """One month later, as the law counts: the same day of the next month, or its last one."""
    year, month = (asked_on.year + asked_on.month // 12, asked_on.month % 12 + 1)
    for day in (asked_on.day, 30, 29, 28):
        try:
            return date(year, month, day)
        except ValueError:
            continue
    raise AssertionError("every month has 28 days")


def note(
    session: Session,
    actor: Actor,
    entity_key: str,
    record_id: int,
    kind: PrivacyKind,
    *,
    asked_on: date | None = None,
    reason: str = "",
) -> int:
    """Write down what a person asked, to be done by its day; gives the number of the request. Conflict when the same is asked already."""
    rows.require_all(actor, Action.MANAGE)
    return _note(session, actor, *_root(session, entity_key, record_id), kind, asked_on, reason).id


def _note(
    session: Session, actor: Actor, key: str, one: int, kind: PrivacyKind, asked_on: date | None, reason: str
) -> PrivacyRequest:
    today = clock.today(actor.timezone)
    day = asked_on or today
    if day > today:
        raise Invalid(fields={"asked_on": "The day on which they asked must not lie in the future."})
    row = PrivacyRequest(
        kind=kind,
        entity=key,
        record_id=one,
        asked_on=day,
        due_on=due_on(day),
        reason=clip(clean(reason), 1000),
        by_id=actor.user_id,
    )
    session.add(row)
    try:
        session.flush()
    except IntegrityError as error:
        raise Conflict(_under_way(kind)) from error
    return row


def _under_way(kind: PrivacyKind) -> str:
    what = "An erasure" if kind is PrivacyKind.ERASURE else "A copy of the data"
    return f"{what} of this person was asked for already and is not done yet: look at their requests."


def _active(session: Session, key: str, one: int, kind: PrivacyKind) -> PrivacyRequest | None:
    query = select(PrivacyRequest).where(
        _REQUESTS.c.kind == kind, _REQUESTS.c.entity == key, _REQUESTS.c.record_id == one, _REQUESTS.c.state.in_(ACTIVE)
    )
    return session.execute(query.with_for_update()).scalars().first()


def _refuse_beside(session: Session, key: str, one: int, other: PrivacyKind) -> None:
    """A copy and an erasure of one person don't run at once: the copy would tell half, or outlive the person."""
    row = _active(session, key, one, other)
    if row is not None and row.state is PrivacyState.RUNNING:
        what = "erased" if other is PrivacyKind.ERASURE else "copied"
        raise Conflict(f"The data of this person is being {what} right now. Wait until that is done.")


def decline(session: Session, actor: Actor, request_id: int, *, reason: str) -> None:
    """Close a request that waits, with the reason that the person is told."""
    rows.require_all(actor, Action.MANAGE)
    row = session.get(PrivacyRequest, request_id, with_for_update=True)
    if row is None or row.state is not PrivacyState.OPEN:
        raise Conflict("This request is not waiting any more.")
    if not clean(reason):
        raise Invalid(fields={"reason": "Say why; the person has a right to know."})
    row.state, row.reason, row.done_at, row.by_id = PrivacyState.DECLINED, clip(clean(reason), 1000), clock.utcnow(), actor.user_id
    session.add(row)


def _start(session: Session, actor: Actor, row: PrivacyRequest) -> None:
    name, title = _JOBS[row.kind]
    row.state, row.by_id = PrivacyState.RUNNING, actor.user_id
    row.job_id = f"{name}:{row.id}:{row.version}"
    session.add(row)
    session.flush()
    jobs.enqueue(session, name, row.id, job_id=row.job_id, title=title, user_id=actor.user_id)


def go_on(session: Session, actor: Actor, request_id: int) -> None:
    """Take up work that stands still, where it stopped."""
    rows.require_all(actor, Action.MANAGE)
    row = session.get(PrivacyRequest, request_id, with_for_update=True)
    if row is None or row.state is not PrivacyState.RUNNING:
        raise Conflict("This request is not under way any more.")
    work = jobs.status(session, row.job_id)
    if work is not None and work.active:
        raise Conflict("The work is going on already.")
    _start(session, actor, row)


# --- a copy ------------------------------------------------------------------------------------------------------------------------


def make_copy(session: Session, actor: Actor, entity_key: str, record_id: int, *, asked_on: date | None = None) -> int:
    """Begin to put everything together that is kept about a person; the file is for whoever asks here. Gives the number of the request."""
    rows.require_all(actor, Action.MANAGE)
    key, one = _root(session, entity_key, record_id)
    _refuse_beside(session, key, one, PrivacyKind.ERASURE)
    row = _active(session, key, one, PrivacyKind.REPORT) or _note(session, actor, key, one, PrivacyKind.REPORT, asked_on, "")
    if row.state is PrivacyState.RUNNING:
        raise Conflict(_under_way(PrivacyKind.REPORT))
    _start(session, actor, row)
    return row.id


def file(session: Session, actor: Actor, request_id: int) -> tuple[str, bytes]:
    """Name and content of the report, for whoever asked for it and as long as it lies there."""
    rows.require_all(actor, Action.MANAGE)
    row = session.get(PrivacyRequest, request_id)
    if row is None or row.by_id != actor.user_id or not row.file:
        raise NotFound(f"There is no such file. A copy is only for whoever made it, and for {DAYS} days.")
    if row.expires_at is None or row.expires_at < clock.utcnow():
        raise NotFound("The time of this file is over. Make a new copy.")
    try:
        content = (settings().data_dir / row.file).read_bytes()
    except OSError as error:
        raise Unavailable("The file is missing in the data folder. Make a new copy.", permanent=True) from error
    return f"data-of-{row.entity}-{row.record_id}.zip", content


# --- erasing ------------------------------------------------------------------------------------------------------------------------


def preview(session: Session, actor: Actor, entity_key: str, record_id: int) -> Preview:
    """What an erasure would do, counted kind by kind; nothing is done."""
    rows.require_all(actor, Action.MANAGE)
    key, one = _root(session, entity_key, record_id)
    who = rows.person(session, (key, one))
    shown = [name for name in ("contact", "lead", "contact_point", *rows.tables(), *rows.HANGING) if TABLES[name].label]
    counted = ((name, rows.count(session, name, who)) for name in dict.fromkeys(shown))
    lines = [Line(TABLES[name].label, many, _fate(name), TABLES[name].why) for name, many in counted if many]
    words = erasing.words_of(session, who)
    return Preview(
        _subject(session, actor, key, one, who), tuple(lines), who.shared, tuple(erasing.fitted(session, who)),
        tuple(scrubbing.busy_imports(session, words)), *scrubbing.mentions(session, who, words),
    )  # fmt: skip


def _fate(name: str) -> str:
    held = TABLES[name]
    return "deleted" if held.gone else "anonymised" if held.wiped or name == "event_log" else "kept"


def erase(
    session: Session,
    actor: Actor,
    entity_key: str,
    record_id: int,
    *,
    reason: str,
    typed: str,
    seal: str,
    asked_on: date | None = None,
) -> int:
    """Begin to erase a person; gives the number of the request. ``typed``: their name, written once more; ``seal``: of the preview that was read.

    Conflict when it is under way, when the person was changed, converted or imported since the preview, and while an unfinished import holds them.
    Events: contact.erasure_begun, lead.erasure_begun.
    """
    rows.require_all(actor, Action.MANAGE)
    key, one = _root(session, entity_key, record_id)
    who = rows.person(session, (key, one))
    subject = _subject(session, actor, key, one, who)
    row = _active(session, key, one, PrivacyKind.ERASURE)
    if row is not None and row.state is PrivacyState.RUNNING:
        raise Conflict(_under_way(PrivacyKind.ERASURE))
    _refuse_beside(session, key, one, PrivacyKind.REPORT)
    if subject.seal != seal:
        raise Conflict(
            "This person was changed since the preview, for instance by an import or a colleague. Look at the preview again."
        )
    wrong = {} if clean(reason) else {"reason": "Say why: it is kept as proof."}
    if fold(typed).strip() != fold(subject.name).strip():
        wrong["typed"] = "Type the name as it stands above."
    if wrong:
        raise Invalid(fields=wrong)
    if busy := scrubbing.busy_imports(session, erasing.words_of(session, who)):
        raise Conflict(f"The import of {', '.join(busy)} holds this person and is not done. Finish it or give it up first.")
    row = row or _note(session, actor, key, one, PrivacyKind.ERASURE, asked_on, reason)
    row.reason = clip(clean(reason), 1000)
    erasing.begin(session, row, who)
    for name, record in who.places:
        events.record(session, actor, f"{name}.erasure_begun", entity=name, record_id=record)
    _start(session, actor, row)
    return row.id


def erased_at(session: Session, actor: Actor, entity_key: str, record_id: int) -> datetime | None:
    """When the person of a record was erased, for whoever sees the record; None for others."""
    require(actor, entity_key, Action.READ)
    key, one = rows.root(session, entity_key, record_id)
    query = select(_REQUESTS.c.done_at).where(
        _REQUESTS.c.entity == key,
        _REQUESTS.c.record_id == one,
        _REQUESTS.c.kind == PrivacyKind.ERASURE,
        _REQUESTS.c.state == PrivacyState.DONE,
    )
    done: datetime | None = session.execute(query.order_by(_REQUESTS.c.id.desc()).limit(1)).scalar()
    return done
