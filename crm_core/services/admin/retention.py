"""How long the trail is kept: looks at personal data, sign-ins, changes of settings, and the personal values in changes of records.

That a record was changed stays for good: timelines, "set back" and every analysis of the past read it. What goes from there is the values of
personal fields. A run of events that loses something is sealed once more over what is left, so that the trail can still be verified.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, false, func, or_, select, update
from sqlmodel import Session

from crm_core import db, events
from crm_core.access import Actor, require, system
from crm_core.entities import RECORDS
from crm_core.errors import Invalid
from crm_core.fields import registry
from crm_core.jobs import Job, job
from crm_core.kit.clock import utcnow
from crm_core.models import AuditPolicy, AuditSeal, Event, PersonalRead
from crm_core.records import refuse_stale
from crm_core.services.admin import audit
from crm_core.veil import MASK
from crm_core.vocabulary import Action

_EVENTS: Any = Event.__table__  # type: ignore[attr-defined]
_READS: Any = PersonalRead.__table__  # type: ignore[attr-defined]
_SEALS: Any = AuditSeal.__table__  # type: ignore[attr-defined]
_BATCH = 2_000
MONTHS = (1, 3, 6, 12, 24, 36, 60, 84, 120)
"""What can be chosen besides "for ever"."""

PARTS = {
    "keep_reads_months": "Looks at personal data",
    "keep_signins_months": "Sign-ins and failed tries",
    "keep_settings_months": "Changes of settings, roles and people",
    "keep_values_months": "Personal values in changes of records",
}
LEAST = {"keep_settings_months": 12, "keep_values_months": 6}
"""Months below which a part would be taken from those who still need it."""


@dataclass(frozen=True)
class Going:
    """What the next night would take away under some rules. ``values``: changes of which personal values go, the lines stay."""

    reads: int
    signins: int
    settings: int
    values: int


def get(session: Session, actor: Actor) -> AuditPolicy:
    """The rules; those of a new workspace until somebody changed them."""
    require(actor, "audit", Action.READ)
    return _policy(session)


def _policy(session: Session) -> AuditPolicy:
    return session.execute(select(AuditPolicy)).scalars().first() or AuditPolicy()


def change(session: Session, actor: Actor, changes: Mapping[str, Any], *, base_version: int | None = None) -> AuditPolicy:
    """Change what is noted and how long it is kept (months, None: for ever). Events: audit.policy_changed."""
    require(actor, "audit", Action.MANAGE)
    row = _policy(session)
    refuse_stale("these rules", row, base_version if row.id is not None else None)
    _check(changes)
    told = {key: (getattr(row, key), value) for key, value in changes.items() if getattr(row, key) != value}
    for key, (_, value) in told.items():
        setattr(row, key, value)
    session.add(row)
    session.flush()
    if told:
        events.record(session, actor, "audit.policy_changed", entity="organisation", changes=told)
    return row


def _check(changes: Mapping[str, Any]) -> None:
    wrong = {key: "There is no such rule." for key in changes if key not in (*PARTS, "log_reads")}
    for key in PARTS.keys() & changes.keys():
        months = changes[key]
        if months is not None and (months not in MONTHS or months < LEAST.get(key, 0)):
            wrong[key] = f"{PARTS[key]} are kept for ever or for at least {LEAST.get(key, MONTHS[0])} months."
    if wrong:
        raise Invalid(fields=wrong)


def going(session: Session, actor: Actor, changes: Mapping[str, Any] | None = None) -> Going:
    """What would go tonight if these rules held; nothing is taken away yet."""
    require(actor, "audit", Action.READ)
    kept = _policy(session)
    policy = AuditPolicy(**{key: (changes or {}).get(key, getattr(kept, key)) for key in PARTS}, redacted_until=kept.redacted_until)
    sealed = _sealed(session)

    def number(table: Any, clause: ColumnElement[bool]) -> int:
        return session.execute(select(func.count()).select_from(table).where(clause)).scalar_one()

    signins, settings = _signins(policy), _settings(policy)
    return Going(
        number(_READS, _READS.c.at < _before(policy.keep_reads_months)) if policy.keep_reads_months else 0,
        number(_EVENTS, and_(signins, _EVENTS.c.id <= sealed)), number(_EVENTS, and_(settings, _EVENTS.c.id <= sealed)),
        number(_EVENTS, and_(_values(session, policy), _EVENTS.c.id <= sealed)),
    )  # fmt: skip


# --- what is old ---------------------------------------------------------------------------------------------------------


def _before(months: int) -> datetime:
    return utcnow() - timedelta(days=round(months * 30.4375))


def _signins(policy: AuditPolicy) -> ColumnElement[bool]:
    if not policy.keep_signins_months:
        return false()
    return and_(_EVENTS.c.type.in_(audit.SIGNINS), _EVENTS.c.at < _before(policy.keep_signins_months))


def _settings(policy: AuditPolicy) -> ColumnElement[bool]:
    if not policy.keep_settings_months:
        return false()
    old = _EVENTS.c.at < _before(policy.keep_settings_months)
    return and_(_EVENTS.c.entity.not_in(RECORDS), _EVENTS.c.type.not_in(audit.SIGNINS), old)


def _values(session: Session, policy: AuditPolicy) -> ColumnElement[bool]:
    """Changes of records with personal fields that nobody has looked through yet."""
    if not policy.keep_values_months:
        return false()
    old = and_(_EVENTS.c.id > policy.redacted_until, _EVENTS.c.at < _before(policy.keep_values_months))
    return and_(old, _EVENTS.c.entity.in_(_personal(session)), _EVENTS.c.type.not_like("%.created"))


def _personal(session: Session) -> dict[str, frozenset[str]]:
    found = {key: frozenset(spec.key for spec in registry(session, key).values() if spec.pii) for key in RECORDS}
    return {key: fields for key, fields in found.items() if fields}


def _sealed(session: Session) -> int:
    return session.execute(select(func.coalesce(func.max(_SEALS.c.last_id), 0))).scalar_one()


# --- taking it away ------------------------------------------------------------------------------------------------------


def _anything(session: Session) -> bool:
    return going(session, system()) != Going(0, 0, 0, 0)


@job("audit.trim", title="Take out of the trail what is kept no longer", cron="40 3 * * *", when=_anything, keep_days=30)
def trim_job(job: Job) -> None:
    """Every night, run by run of the trail: each in a transaction of its own."""
    more, begun = True, None
    while more:
        with job.transaction() as session:
            more, begun = bool(forget_reads(session)), values_before(session)
    total, after, digest = Trimmed(0), 0, hashlib.sha256()
    while True:
        with job.transaction() as session:
            done = trim_run(session, after)
            if done is None:
                finish(session, total, digest.hexdigest(), begun)
                return
        after, total = done.last_id, Trimmed(done.last_id, total.removed + done.removed, total.redacted + done.redacted)
        digest.update(done.sha256.encode())
        job.report(done.removed + done.redacted)


@dataclass(frozen=True)
class Trimmed:
    """What became of a run that ends with ``last_id``; ``sha256`` seals what is left of it."""

    last_id: int
    removed: int = 0
    redacted: int = 0
    sha256: str = ""


def forget_reads(session: Session) -> int:
    """Delete the next looks at personal data that are too old; gives how many."""
    months = _policy(session).keep_reads_months
    if not months:
        return 0
    ids = select(_READS.c.id).where(_READS.c.at < _before(months)).order_by(_READS.c.at).limit(_BATCH)
    old = list(session.execute(ids).scalars())
    session.connection().execute(delete(_READS).where(_READS.c.id.in_(old)))
    return len(old)


def trim_run(session: Session, after: int = 0) -> Trimmed | None:
    """Take what is old out of the next sealed run that holds some; None when there is none beyond ``after``. A run that is not what was sealed
    stays as it is, as evidence."""
    policy = _policy(session)
    gone, veiled = or_(_signins(policy), _settings(policy)), _values(session, policy)
    first = select(_EVENTS.c.id).where(_EVENTS.c.id > after, _EVENTS.c.id <= _sealed(session), or_(gone, veiled))
    found = session.execute(first.order_by(_EVENTS.c.id).limit(1)).scalar()
    if found is None:
        return None
    seal = session.execute(select(AuditSeal).where(_SEALS.c.last_id >= found).order_by(_SEALS.c.id).limit(1)).scalar_one()
    within = and_(_EVENTS.c.id > _begin(session, seal), _EVENTS.c.id <= seal.last_id)
    rows = session.execute(select(_EVENTS).where(within).order_by(_EVENTS.c.id)).all()
    if not audit.is_whole(seal, seal.previous, rows):
        return Trimmed(seal.last_id)
    removed = session.connection().execute(delete(_EVENTS).where(within, gone)).rowcount
    redacted = _redact(session, session.execute(select(_EVENTS).where(within, veiled)).all())
    kept = session.execute(select(_EVENTS).where(within).order_by(_EVENTS.c.id)).all()
    seal.kept_count, seal.kept_sha256, seal.trimmed_at = len(kept), audit.left(seal.sha256, kept), utcnow()
    session.add(seal)
    session.flush()
    return Trimmed(seal.last_id, removed, redacted, seal.kept_sha256)


def _begin(session: Session, seal: AuditSeal) -> int:
    """The last event before a run."""
    earlier = select(func.coalesce(func.max(_SEALS.c.last_id), 0)).where(_SEALS.c.id < seal.id)
    return session.execute(earlier).scalar_one()


def _redact(session: Session, rows: Iterable[Any]) -> int:
    """Take the values of personal fields out of changes; gives of how many."""
    personal, done = _personal(session), 0
    for row in rows:
        fields = {key for key in row.changes.keys() & personal[row.entity] if set(row.changes[key]) - {None, MASK}}
        if fields:
            veiled = {key: [None if value is None else str(MASK) for value in row.changes[key]] for key in fields}
            session.connection().execute(update(_EVENTS).where(_EVENTS.c.id == row.id).values(changes={**row.changes, **veiled}))
            done += 1
    return done


def values_before(session: Session) -> datetime | None:
    """Up to which moment personal values go under the present rules; None where they are kept."""
    months = _policy(session).keep_values_months
    return _before(months) if months else None


def finish(session: Session, total: Trimmed, digest: str, begun: datetime | None) -> None:
    """Note how far the values are gone, and that something was taken away. ``begun``: ``values_before`` when the first run was looked through; what
    grew old while the others were is the next night's. Events: audit.trimmed."""
    policy, now = _policy(session), values_before(session)
    if policy.id is not None and begun is not None and now is not None:
        young = select(func.min(_EVENTS.c.id)).where(_EVENTS.c.at >= min(begun, now))
        policy.redacted_until = max(policy.redacted_until, min(_sealed(session), (session.execute(young).scalar() or 2**31) - 1))
        session.add(policy)
    if total.removed or total.redacted:
        db.bump(session, _EVENTS.name)
        data = {"removed": total.removed, "redacted": total.redacted, "digest": digest}
        events.record(session, system(), "audit.trimmed", entity="organisation", data=data)
