"""Addresses and numbers that must not be used for marketing, whoever they belong to: unsubscribed, bounced, complained, blocked by hand."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import and_, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session

from crm_core import db, erased, events
from crm_core.access import Actor, require
from crm_core.errors import Conflict
from crm_core.kit.clock import utcnow
from crm_core.kit.paging import Page
from crm_core.kit.text import clean, clip, email_key
from crm_core.models import AccountPoint, ContactPoint, Suppression
from crm_core.vocabulary import Action, ContactWay, PointKind, SuppressionReason

LIST: Any = Suppression.__table__  # type: ignore[attr-defined]
_POINTS: tuple[Any, ...] = (ContactPoint.__table__, AccountPoint.__table__)  # type: ignore[attr-defined]


def note(
    session: Session, actor: Actor, address: str, reason: SuppressionReason, *, way: ContactWay = ContactWay.EMAIL, source: str = ""
) -> bool:
    """Put an address on the list for a reason; False when it stands there for that one already. Reasons don't displace each other: lifting one
    leaves the others in force. The caller has asked, or speaks for the person themselves."""
    now = utcnow()
    values: dict[str, Any] = {
        "address_key": email_key(address)[:254], "way": way, "reason": reason, "source": clip(clean(source), 300), "lifted_at": None,
        "by_id": actor.user_id, "created_at": now, "updated_at": now, "version": 1,
    }  # fmt: skip
    insert = sqlite.insert if db.is_sqlite(session) else postgresql.insert
    made = session.execute(insert(LIST).values(**values).on_conflict_do_nothing().returning(LIST.c.id)).scalar()
    db.bump(session, LIST.name)
    return made is not None


def lift(session: Session, actor: Actor, suppression_id: int) -> None:
    """Take an address off the list, for instance after a typing error was put right. Events: suppression.lifted."""
    require(actor, "campaign", Action.EDIT)
    open_row = and_(LIST.c.id == suppression_id, LIST.c.lifted_at.is_(None))
    row = session.execute(select(LIST).where(open_row)).first()
    if row is None:
        raise Conflict("This address is not on the list any more.")
    session.execute(update(LIST).where(open_row).values(lifted_at=utcnow(), updated_at=utcnow()))
    db.bump(session, LIST.name)
    if row.reason is SuppressionReason.ERASED:
        erased.forget(session, row.address_key)
    if row.reason is SuppressionReason.BOUNCED and row.way is ContactWay.EMAIL:
        mark_points(session, row.address_key, invalid=False)
    events.record(session, actor, "suppression.lifted", entity="campaign", data={"address": row.address_key})


def mark_points(session: Session, address: str, *, invalid: bool) -> None:
    """Say of this address, wherever somebody has it, whether it works; other addresses of the same people stay as they are. The caller has asked."""
    for table in _POINTS:
        mine = and_(table.c.kind == PointKind.EMAIL, table.c.value_key == email_key(address), table.c.invalid.is_(not invalid))
        session.execute(update(table).where(mine).values(invalid=invalid, updated_at=utcnow(), version=table.c.version + 1))
        db.bump(session, table.name)


def find(session: Session, actor: Actor, *, q: str = "", page: int = 1, size: int = 25) -> Page:
    """One page of the list, the youngest first. Addresses are personal data: whoever may not see e-mail addresses sees none."""
    require(actor, "campaign", Action.READ)
    clause = LIST.c.lifted_at.is_(None)
    if actor.masked("contact", "email"):
        return Page([], 0, 1, size)
    if text := clean(q):
        clause = and_(clause, LIST.c.address_key.contains(text.casefold(), autoescape=True))
    total = session.execute(select(func.count()).select_from(LIST).where(clause)).scalar_one()
    page = min(max(1, page), max(1, -(-total // size)))
    found = session.execute(select(LIST).where(clause).order_by(LIST.c.id.desc()).limit(size).offset((page - 1) * size))
    return Page([dict(row._mapping) for row in found], total, page, size)


def keys(way: ContactWay, *, reasons: Collection[SuppressionReason] = ()) -> Any:
    """SELECT of the addresses on the list, for a clause; for these reasons only, if any are named. Ads go by the e-mail address too."""
    ways = (way, ContactWay.EMAIL) if way is ContactWay.ADS else (way,)
    listed = select(LIST.c.address_key).where(LIST.c.lifted_at.is_(None), LIST.c.way.in_(ways))
    return listed.where(LIST.c.reason.in_(reasons)) if reasons else listed
