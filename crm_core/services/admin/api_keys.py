"""Keys with which programs work here on behalf of a person: made once, shown once, taken back at any time."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func
from sqlmodel import Session, col, select

from crm_core import events
from crm_core.access import Actor, require
from crm_core.errors import Conflict, Invalid, NotFound
from crm_core.kit.clock import utcnow
from crm_core.kit.text import clean
from crm_core.models import ApiCall, ApiKey, User
from crm_core.services.admin import api_key_rules as rules
from crm_core.vocabulary import Action

MOST = 50
"""Keys of one person that are in use at once."""
LIFETIMES = (30, 90, 365)


@dataclass(frozen=True)
class KeyRow:
    """A key as screens show it. ``calls``: requests of the last seven days."""

    id: int
    name: str
    prefix: str
    who: str
    user_id: int
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None
    calls: int

    @property
    def state(self) -> str:
        """works, expired or revoked."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= utcnow() else "works"


def find(session: Session, actor: Actor, *, mine: bool = True) -> list[KeyRow]:
    """One's own keys, or with ``mine=False`` everybody's (for administrators); those that work first, then the newest."""
    require(actor, "integration", Action.READ if mine else Action.MANAGE)
    since = utcnow() - timedelta(days=7)
    calls = dict(session.exec(select(ApiCall.key_id, func.count()).where(ApiCall.at >= since).group_by(col(ApiCall.key_id))).all())
    query = select(ApiKey, User.name).join(User, col(User.id) == ApiKey.user_id).order_by(col(ApiKey.id).desc())
    rows = session.exec(query.where(ApiKey.user_id == actor.user_id) if mine else query)
    found = [_row(key, name, calls.get(key.id, 0)) for key, name in rows]
    return sorted(found, key=lambda row: row.state != "works")


def _row(key: ApiKey, who: str, calls: int) -> KeyRow:
    return KeyRow(
        key.id, key.name, key.prefix, who, key.user_id, tuple(key.scopes), key.created_at, key.expires_at, key.last_used_at,
        key.revoked_at, calls,
    )  # fmt: skip


def create(
    session: Session,
    actor: Actor,
    *,
    name: str,
    scopes: Iterable[str],
    days: int | None = 90,
    user_id: int | None = None,
) -> tuple[int, str]:
    """Make a key; gives its id and the key itself, which is not kept and can't be shown again. ``days=None``: until it is taken back.

    For somebody else (a person made for a program) it takes the right to manage. Events: api_key.made.
    """
    owner_id = user_id or actor.user_id
    require(actor, "integration", Action.READ if owner_id == actor.user_id else Action.MANAGE)
    owner = session.get(User, owner_id) if owner_id else None
    if owner is None or not owner.is_active:
        raise Invalid(fields={"user_id": "Choose somebody who is active."})
    title = clean(name)[:80]
    if not title:
        raise Invalid(fields={"name": "Say what the key is for."})
    if days is not None and not 1 <= days <= 3650:
        raise Invalid(fields={"days": "A key can be valid for 1 to 3,650 days."})
    wanted = rules.checked(scopes)
    if _in_use(session, owner.id) >= MOST:
        raise Conflict(f"There are {MOST} keys in use already. Take those back that nobody needs.")
    text = rules.new_key()
    row = ApiKey(
        name=title, prefix=text[: rules.SHOWN], sha256=rules.digest(text), user_id=owner.id, created_by_id=actor.user_id,
        scopes=wanted, expires_at=utcnow() + timedelta(days=days) if days else None,
    )  # fmt: skip
    session.add(row)
    session.flush()
    events.record(
        session, actor, "api_key.made", entity="integration", record_id=row.id, data={"name": title, "scopes": " ".join(wanted)}
    )
    return row.id, text


def _in_use(session: Session, user_id: int) -> int:
    query = select(func.count()).select_from(ApiKey).where(ApiKey.user_id == user_id, col(ApiKey.revoked_at).is_(None))
    return session.exec(query).one()


def revoke(session: Session, actor: Actor, key_id: int) -> None:
    """Take a key back; from now on it opens nothing. Twice is the same as once. Events: api_key.revoked."""
    require(actor, "integration", Action.READ)
    row = session.get(ApiKey, key_id)
    if row is None or (row.user_id != actor.user_id and not actor.can("integration", Action.MANAGE)):
        raise NotFound("This key does not exist.")
    if row.revoked_at is not None:
        return
    row.revoked_at = utcnow()
    session.add(row)
    session.flush()
    events.record(session, actor, "api_key.revoked", entity="integration", record_id=row.id, data={"name": row.name})


@dataclass(frozen=True)
class CallRow:
    """One request as the log shows it."""

    id: int
    at: datetime
    method: str
    path: str
    status: int
    ms: int
    key: str


def calls(
    session: Session,
    actor: Actor,
    *,
    key_id: int | None = None,
    failed: bool = False,
    page: int = 1,
    size: int = 50,
) -> tuple[list[CallRow], int]:
    """The log of requests, the latest first, and how many there are: of everybody, without a body of any of them."""
    require(actor, "integration", Action.MANAGE)
    where = [*([ApiCall.key_id == key_id] if key_id else []), *([ApiCall.status >= 400] if failed else [])]
    total = session.exec(select(func.count()).select_from(ApiCall).where(*where)).one()
    query = select(ApiCall, ApiKey.name).join(ApiKey, col(ApiKey.id) == ApiCall.key_id, isouter=True).where(*where)
    rows = session.exec(query.order_by(col(ApiCall.id).desc()).limit(size).offset((max(page, 1) - 1) * size))
    return [CallRow(call.id, call.at, call.method, call.path, call.status, call.ms, name or "") for call, name in rows], int(total)
