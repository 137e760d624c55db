"""The door of the API: which key, whose eyes, what was asked before, what is noted."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session

from crm_core import access, db
from crm_core.access import Actor
from crm_core.errors import Conflict, CrmError, Invalid, NotPermitted
from crm_core.kit.clock import utcnow
from crm_core.models import ApiCall, ApiKey, ApiReplay
from crm_core.services.admin import api_key_rules as rules
from crm_core.vocabulary import Action, Via

_KEYS: Any = ApiKey.__table__  # type: ignore[attr-defined]
_CALLS: Any = ApiCall.__table__  # type: ignore[attr-defined]
_REPLAYS: Any = ApiReplay.__table__  # type: ignore[attr-defined]
CALL_DAYS = 30
REPLAY_HOURS = 24
STUCK_SECONDS = 120
"""After so long a first request under an idempotency key has died and may be tried again."""


class Unknown(CrmError):
    """No key, a wrong one, or one that no longer works: all the same from outside."""

    code = "unauthorized"
    status = 401


class Running(Conflict):
    """The first request with this idempotency key has not ended yet."""


@dataclass(frozen=True)
class Caller:
    """A program that may come in."""

    key_id: int
    actor: Actor
    scopes: tuple[str, ...]
    last_used_at: datetime | None


def enter(session: Session, key: str) -> Caller:
    """Whoever holds this key, with the rights of its person now, narrowed to its scopes. Raises Unknown."""
    refusal = Unknown("This needs a key that works: send “Authorization: Bearer rap_…”. Keys are made under Your account.")
    if not key.startswith(rules.START):
        raise refusal
    row = session.execute(select(_KEYS).where(_KEYS.c.sha256 == rules.digest(key))).first()
    if row is None or row.revoked_at is not None or (row.expires_at is not None and row.expires_at <= utcnow()):
        raise refusal
    try:
        person = access.load(session, row.user_id, via=Via.API)
    except NotPermitted as error:
        raise refusal from error
    if not person.can("integration", Action.READ):
        raise refusal
    return Caller(row.id, rules.narrowed(person, row.scopes), tuple(row.scopes), row.last_used_at)


def asked(session: Session, key_id: int) -> tuple[int, float]:
    """How many requests with a key all processes noted in this minute, and how many seconds it still lasts: by the clock that all of them share."""
    if db.is_sqlite(session):
        now = utcnow()
        began, rest = now.replace(second=0, microsecond=0), 60.0 - now.second - now.microsecond / 1e6
        return session.execute(select(func.count()).where(_CALLS.c.key_id == key_id, _CALLS.c.at >= began)).scalar_one(), rest
    noted = select(func.count()).where(_CALLS.c.key_id == key_id, _CALLS.c.at >= func.date_trunc("minute", func.now()))
    row = session.execute(select(noted.scalar_subquery(), 60.0 - func.extract("second", func.now()))).one()
    return row[0], float(row[1])


def note(session: Session, caller: Caller | None, *, method: str, path: str, status: int, ms: int) -> None:
    """One line of the log: path without its query, no body."""
    now = utcnow()
    session.execute(
        _CALLS.insert().values(
            at=now if db.is_sqlite(session) else func.now(),
            key_id=caller.key_id if caller else None,
            method=method[:8],
            path=path[:200],
            status=status,
            ms=ms,
        )
    )
    if caller is not None and (caller.last_used_at is None or now - caller.last_used_at > timedelta(minutes=1)):
        session.execute(update(_KEYS).where(_KEYS.c.id == caller.key_id).values(last_used_at=now))


# --- the same request again ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Earlier:
    """The answer that a request with this key got before."""

    status: int
    answer: Mapping[str, Any]


def begin(session: Session, caller: Caller, key: str, fingerprint: str) -> Earlier | None:
    """Claim an idempotency key for a request; the earlier answer when it was answered before. Raises Invalid when it stood for something else,
    Running while the first one has not ended."""
    now = utcnow()
    insert = sqlite.insert if db.is_sqlite(session) else postgresql.insert
    values = {"key_id": caller.key_id, "key": key, "fingerprint": fingerprint, "at": now, "status": 0, "answer": {}}
    fresh = insert(_REPLAYS).values(**values).on_conflict_do_nothing(index_elements=["key_id", "key"]).returning(_REPLAYS.c.id)
    if session.execute(fresh).scalar() is not None:
        return None
    mine = (_REPLAYS.c.key_id == caller.key_id) & (_REPLAYS.c.key == key)
    row = session.execute(select(_REPLAYS).where(mine)).one()
    if row.fingerprint != fingerprint:
        raise Invalid("This idempotency key was used for another request. Use a new one for each thing you want to happen.")
    if row.status:
        return Earlier(row.status, row.answer)
    stuck = mine & (_REPLAYS.c.status == 0) & (_REPLAYS.c.at < now - timedelta(seconds=STUCK_SECONDS))
    if session.execute(update(_REPLAYS).where(stuck).values(at=now)).rowcount == 1:  # type: ignore[attr-defined]
        return None
    raise Running("The first request with this idempotency key is still being worked on. Ask again in a moment.")


def finish(session: Session, caller: Caller, key: str, status: int, answer: Mapping[str, Any]) -> None:
    """Keep the answer, in the transaction of the work itself: both are there, or neither is."""
    mine = (_REPLAYS.c.key_id == caller.key_id) & (_REPLAYS.c.key == key)
    session.execute(update(_REPLAYS).where(mine).values(status=status, answer=dict(answer)))


def forget(session: Session, caller: Caller, key: str) -> None:
    """Nothing happened: the key is free again."""
    mine = (_REPLAYS.c.key_id == caller.key_id) & (_REPLAYS.c.key == key) & (_REPLAYS.c.status == 0)
    session.execute(delete(_REPLAYS).where(mine))


def stale() -> list[Any]:
    """Statements that remove what is too old."""
    now = utcnow()
    return [
        delete(_CALLS).where(_CALLS.c.at < now - timedelta(days=CALL_DAYS)),
        delete(_REPLAYS).where(_REPLAYS.c.at < now - timedelta(hours=REPLAY_HOURS)),
    ]
