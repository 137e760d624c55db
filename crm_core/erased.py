"""People who were erased and come back: by a file, a form, by hand. Their addresses are known as keyed hashes alone, and then blocked for marketing."""

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session

from crm_core import db
from crm_core.kit.clock import utcnow
from crm_core.kit.text import email_key
from crm_core.models import ErasedMark, SigningKey, Suppression
from crm_core.vocabulary import ContactWay, PointKind, SuppressionReason

MARKS: Any = ErasedMark.__table__  # type: ignore[attr-defined]
_KEYS: Any = SigningKey.__table__  # type: ignore[attr-defined]
_BLOCKS: Any = Suppression.__table__  # type: ignore[attr-defined]
_PURPOSE = "erased"
_WAYS = {PointKind.EMAIL: ContactWay.EMAIL, PointKind.PHONE: ContactWay.PHONE}
BLOCKED = "Was erased on request: is kept, but gets no letters and is not called for marketing."
"""What an import says of such a row."""
_BATCH = 500


def key_of(kind: PointKind, value: str) -> str:
    """The form in which two spellings of an address or a number are the same here; "" for what is none."""
    if kind is PointKind.EMAIL:
        return email_key(value)
    digits = "".join(sign for sign in value if sign.isdigit())
    return digits[-8:] if len(digits) >= 6 else ""


def mark(session: Session, request_id: int, values: Iterable[tuple[PointKind, str]]) -> None:
    """Remember these addresses and numbers as hashes."""
    _insert(session, _KEYS, [{"purpose": _PURPOSE, "key": secrets.token_hex(32)}])
    secret = _secret(session)
    wanted = {(kind, key_of(kind, value)) for kind, value in values if key_of(kind, value)}
    _insert(session, MARKS, [{"kind": kind, "sha256": _hash(secret, kind, key), "request_id": request_id} for kind, key in wanted])
    session.info.pop(_PURPOSE, None)


def known(session: Session, kind: PointKind, values: Iterable[str]) -> set[str]:
    """Those of some addresses or numbers, as they are given, that belong to somebody who was erased."""
    secret = _secret(session)
    if not secret:
        return set()
    hashes: dict[str, list[str]] = {}
    for value in values:
        if key := key_of(kind, value):
            hashes.setdefault(_hash(secret, kind, key), []).append(value)
    found: set[str] = set()
    for start in range(0, len(hashes), _BATCH):
        some = list(hashes)[start : start + _BATCH]
        marked = select(MARKS.c.sha256).where(MARKS.c.kind == kind, MARKS.c.sha256.in_(some))
        found.update(value for one in session.execute(marked).scalars() for value in hashes[one])
    return found


def block(session: Session, records: Iterable[Any]) -> None:
    """Block the main addresses and numbers of saved records that belong to somebody who was erased."""
    if not _secret(session):
        return
    now, records = utcnow(), list(records)
    for kind, name in ((PointKind.EMAIL, "email"), (PointKind.PHONE, "phone")):
        back = known(session, kind, (value for record in records if (value := getattr(record, name, None))))
        _insert(
            session, _BLOCKS,
            [
                {
                    "address_key": key, "way": _WAYS[kind], "reason": SuppressionReason.ERASED, "source": "", "lifted_at": None, "by_id": None,
                    "created_at": now, "updated_at": now, "version": 1,
                }
                for key in sorted({email_key(value)[:254] for value in back})
            ],
        )  # fmt: skip


def forget(session: Session, address_key: str) -> None:
    """Somebody lifted the block of an address: it is remembered no more."""
    secret = _secret(session)
    if secret:
        hashes = [_hash(secret, kind, key_of(kind, address_key)) for kind in PointKind]
        session.connection().execute(MARKS.delete().where(MARKS.c.sha256.in_(hashes)))


def _insert(session: Session, table: Any, rows: list[dict[str, Any]]) -> None:
    if rows:
        insert = sqlite.insert if db.is_sqlite(session) else postgresql.insert
        session.execute(insert(table).on_conflict_do_nothing(), rows)
        db.bump(session, table.name)


def _secret(session: Session) -> str:
    """The key of the hashes, read once per session; "" while nobody was erased."""
    if _PURPOSE not in session.info:
        session.info[_PURPOSE] = session.execute(select(_KEYS.c.key).where(_KEYS.c.purpose == _PURPOSE)).scalar() or ""
    return str(session.info[_PURPOSE])


def _hash(secret: str, kind: PointKind, key: str) -> str:
    return hmac.new(secret.encode(), f"{kind.value}.{key}".encode(), hashlib.sha256).hexdigest()
