"""The erasure of a person: one job that goes from table to table, keeps where it stands with what it wrote, and goes on from there after a kill."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update
from sqlmodel import Session

from crm_core import db, erased, events, house
from crm_core.access import system
from crm_core.db import read_session
from crm_core.jobs import Job, Superseded, job
from crm_core.kit.clock import utcnow
from crm_core.kit.text import email_key, phone_key
from crm_core.models import AnalysisMark, AnalysisRun, AuditSeal, ContactPoint, Lead, MatchKey, PrivacyRequest
from crm_core.personal_data import TABLES
from crm_core.services.admin.privacy import rows, scrubbing
from crm_core.services.admin.privacy.rows import Person
from crm_core.services.admin.privacy.words_rules import Words
from crm_core.services.analytics.methods import method
from crm_core.services.collaboration import notifications
from crm_core.vocabulary import PointKind, PrivacyState, RunState

_MARKS: Any = AnalysisMark.__table__  # type: ignore[attr-defined]
_RUNS: Any = AnalysisRun.__table__  # type: ignore[attr-defined]
_LEADS: Any = Lead.__table__  # type: ignore[attr-defined]
_KEYS: Any = MatchKey.__table__  # type: ignore[attr-defined]
_POINTS: Any = ContactPoint.__table__  # type: ignore[attr-defined]
_SEALS: Any = AuditSeal.__table__  # type: ignore[attr-defined]
_REQUESTS: Any = PrivacyRequest.__table__  # type: ignore[attr-defined]

Step = tuple[str, str]
Seen = tuple[Any, list[Any], list[Any]]
"""Where to go on after a batch (None: the step is done), the keys of what is to be written, and what else was seen."""


def steps() -> list[Step]:
    """What is done one after the other: the record first, so that nothing new spreads from it; other people's texts when nothing of the person's own is
    left; the files last."""
    own = ["contact", "lead", "contact_point", *(name for name in rows.tables() if name not in _BY_HAND), *rows.HANGING]
    return [
        *(("wipe", name) for name in own), ("hand", ""), ("accounts", ""), ("bulk", ""), ("tables", ""), *(("sweep", name) for name in scrubbing.swept_tables()),
        *(("files", name) for name in scrubbing.SEARCHED), ("finish", ""),
    ]  # fmt: skip


_BY_HAND = ("analysis_table", "search_document", "privacy_request")
"""Tables that other steps look after."""


def begin(session: Session, request: PrivacyRequest, who: Person) -> None:
    """Remember who is to be erased until it is done, and the hashes for afterwards. Part of asking for it."""
    request.people = [list(place) for place in who.places]
    request.words = {"names": who.names, "emails": who.emails, "phones": who.phones, "accounts": who.accounts}
    request.cursor = {}
    own = [*((PointKind.EMAIL, one) for one in who.emails), *((PointKind.PHONE, one) for one in who.phones)]
    erased.mark(session, request.id, own)
    request.outcome = {"refit": fitted(session, who), "begun": utcnow().isoformat()}


def who_of(request: PrivacyRequest) -> Person:
    """The person as they were when it began."""
    said = request.words
    return Person(
        tuple(one for key, one in request.people if key == "contact"), tuple(one for key, one in request.people if key == "lead"),
        tuple(said.get("names", ())), tuple(said.get("emails", ())), tuple(said.get("phones", ())), accounts=tuple(said.get("accounts", ())),
    )  # fmt: skip


def words_of(session: Session, who: Person) -> Words:
    return Words(who.names, who.emails, who.phones, house.region(session))


@job("privacy.erase", title="Erase a person's data", keep_days=30)
def erase_job(task: Job, request_id: int) -> None:
    """Batch by batch; what is done and where it stands are written together."""
    todo = steps()
    while True:
        with read_session() as session:
            request = session.get_one(PrivacyRequest, request_id)
            if request.state is not PrivacyState.RUNNING:
                return
            at, after, seen = _next(session, todo, request)
        with task.transaction() as session:
            request = session.get_one(PrivacyRequest, request_id)
            if request.job_id != task.id:
                raise Superseded("Another job has taken this erasure over.")
            if todo[at][0] == "finish":
                _finish(session, request)
                task.report(len(todo), len(todo))
                return
            scrubbing.overwrite(session)
            after, done = _do(session, todo[at], request, after, seen)
            session.refresh(request)  # what it says of its reason may have been swept too
            _note(session, request, todo[at], at if after is not None else at + 1, after, done, seen)
            task.report(at, len(todo))


def _next(session: Session, todo: Sequence[Step], request: PrivacyRequest) -> tuple[int, Any, Seen]:
    """The next batch with something to write: its step, after which key it begins, and what was seen of it. Read before it is written, so that nobody
    waits for the reading; what holds nothing costs no transaction."""
    at, after = int(request.cursor.get("at", 0)), request.cursor.get("after")
    while True:
        seen = _look(session, todo[at], request, after)
        if seen[1] or seen[2]:
            return at, after, seen
        at, after = (at, seen[0]) if seen[0] is not None else (at + 1, None)


def _look(session: Session, step: Step, request: PrivacyRequest, after: Any) -> Seen:
    kind, name = step
    who = who_of(request)
    if kind == "wipe":
        return None, scrubbing.some_of(session, name, who, after), []
    if kind == "sweep":
        return *scrubbing.holding(session, name, words_of(session, who), after), []
    if kind == "files":
        return scrubbing.holding_files(session, name, words_of(session, who), after)
    if kind == "hand":
        if len(request.outcome.get("by_hand", ())) >= scrubbing.MOST_BY_HAND:
            return None, [], []
        beyond, named = scrubbing.to_look_at(session, who, words_of(session, who), after, erasing=True)
        return beyond, [], named
    return scrubbing.holding_tables(session, who, after) if kind == "tables" else (None, [name], [])


def _do(session: Session, step: Step, request: PrivacyRequest, after: Any, seen: Seen) -> tuple[Any, int]:
    """One batch of a step: where to go on (None: the step is done) and how many rows."""
    (kind, name), who, (beyond, keys, _) = step, who_of(request), seen
    if kind == "wipe":
        return scrubbing.wipe(session, name, who, after)
    if kind == "accounts":
        return None, scrubbing.take_out_of_accounts(session, who, words_of(session, who))
    if kind == "bulk":
        return None, scrubbing.take_out_of_bulk(session, who)
    if kind == "hand":
        return beyond, 0
    if kind == "tables":
        return beyond, scrubbing.take_out_of_tables(session, who, keys)
    if kind == "files":
        return beyond, scrubbing.forget_files(session, name, keys)
    return beyond, scrubbing.sweep(session, name, words_of(session, who), request.id, keys)


def _note(session: Session, request: PrivacyRequest, step: Step, at: int, after: Any, done: int, seen: Seen) -> None:
    kind, name = step
    label = {"wipe": TABLES[name].label if name else "", "sweep": "Mentions in other texts", "files": "Files that named them"}.get(
        kind, ""
    )
    counts = dict(request.outcome.get("counts", {}))
    if label and done:
        counts[label] = counts.get(label, 0) + done
    busy = [*request.outcome.get("busy", []), *(seen[2] if kind == "files" else [])]
    by_hand = [*request.outcome.get("by_hand", []), *(seen[2] if kind == "hand" else [])][: scrubbing.MOST_BY_HAND]
    request.outcome = {**request.outcome, "counts": counts, "busy": sorted(set(busy)), "by_hand": by_hand}
    request.cursor = {"at": at, "after": after}
    session.add(request)
    session.flush()


def _finish(session: Session, request: PrivacyRequest) -> None:
    """Everything is gone: forget how they were called, and tell. Events: contact.erased, lead.erased."""
    who = who_of(request)
    scrubbing.tidy_search(session)
    mine = rows.about(_REQUESTS.name, who)
    for row in session.execute(select(_REQUESTS.c.id, _REQUESTS.c.file).where(mine, _REQUESTS.c.file != "")):
        scrubbing.forget_report(row.file)
        session.connection().execute(
            update(_REQUESTS).where(_REQUESTS.c.id == row.id, _REQUESTS.c.id != request.id).values(file="")
        )
    request.outcome = {**request.outcome, "back": _came_back(session, who)}
    request.words, request.cursor = {}, {}
    request.state, request.done_at = PrivacyState.DONE, utcnow()
    session.add(request)
    session.flush()
    actor = notifications.reader(session, request.by_id or 0) or system()
    for key, one in who.places:
        events.record(session, actor, f"{key}.erased", entity=key, record_id=one, data={"digest": _seals_since(session, request)})
    params = {"what": f"The erasure of {request.entity} {request.record_id}", "entity": request.entity, "id": request.record_id}
    notifications.notify(session, request.by_id, kind="privacy.done", params=params, dedupe_key=f"privacy.done:{request.id}")
    db.bump(session, *TABLES)  # whatever was reckoned from any of them is reckoned anew


def _seals_since(session: Session, request: PrivacyRequest) -> str:
    """The sum of the seals that were made anew while it ran: it is sealed in its turn."""
    begun = datetime.fromisoformat(request.outcome["begun"])
    made = session.execute(select(_SEALS.c.kept_sha256).where(_SEALS.c.trimmed_at >= begun).order_by(_SEALS.c.id)).scalars()
    return hashlib.sha256("".join(one or "" for one in made).encode()).hexdigest()


def _came_back(session: Session, who: Person) -> list[list[Any]]:
    """Records that came in with the same address while the erasure ran, by an import or a message."""
    emails, region = [email_key(one) for one in who.emails], house.region(session)
    keys = select(_KEYS.c.entity, _KEYS.c.record_id).where(
        _KEYS.c.kind == "email", _KEYS.c.key.in_([one[:250] for one in emails]), _KEYS.c.entity.in_(rows.PEOPLE)
    )
    found = {(row.entity, row.record_id) for row in session.execute(keys)}
    points = select(_POINTS.c.contact_id).where(_POINTS.c.value_key.in_([*emails, *(phone_key(one, region) for one in who.phones)]))
    found |= {("contact", one) for one in session.execute(points).scalars()}
    return [list(place) for place in sorted(found - set(who.places))]


def fitted(session: Session, who: Person) -> list[dict[str, Any]]:
    """Runs of analyses that were reckoned with the person, the latest first: id, title and day. They say so until they are run again."""
    found: set[int] = set()
    after: Any = None
    while True:
        after, _, runs = scrubbing.holding_tables(session, who, after)
        found |= set(runs)
        if after is None:
            break
    marked = select(_MARKS.c.run_id).where(rows.about(_MARKS.name, who), _MARKS.c.run_id.is_not(None))
    found |= set(session.execute(marked).scalars())
    since: Sequence[Any] = session.execute(select(func.min(_LEADS.c.created_at)).where(_LEADS.c.id.in_(who.leads))).scalars().all()
    if who.leads and since[0] is not None:
        known = select(_RUNS.c.id).where(_RUNS.c.kind == "lead_score", _RUNS.c.as_of >= since[0].date())
        found |= set(session.execute(known).scalars())
    rows_of = select(_RUNS.c.id, _RUNS.c.kind, _RUNS.c.name, _RUNS.c.as_of).where(
        _RUNS.c.id.in_(found), _RUNS.c.state == RunState.DONE, _RUNS.c.archived_at.is_(None)
    )
    return [
        {"id": row.id, "kind": row.kind, "title": row.name or method(row.kind).title, "as_of": row.as_of.isoformat()}
        for row in session.execute(rows_of.order_by(_RUNS.c.id.desc()))
    ]
