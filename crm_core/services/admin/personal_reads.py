"""Who looked at whose personal data: for whoever may see the audit trail, as far as their reach goes."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, func, or_, select
from sqlmodel import Session

from crm_core import lists, records
from crm_core.access import Actor, owned_within, require
from crm_core.entities import ENTITIES, label_of
from crm_core.kit.numerals import written
from crm_core.kit.paging import Page
from crm_core.models import PersonalRead
from crm_core.services.admin.days import between
from crm_core.vocabulary import Action, ReadWay, Via

_READS: Any = PersonalRead.__table__  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Look:
    """One line. ``title``: the record as the reader may see it; ``count``: how many records a list had."""

    id: int
    at: datetime
    who: str
    way: ReadWay
    via: Via
    entity: str
    record_id: int | None
    title: str
    count: int
    words: str

    @property
    def what(self) -> str:
        """The record, or how many of them."""
        if self.record_id is None:
            return f"{written(self.count)} {label_of(self.entity, plural=self.count != 1).lower()}"
        return f"{label_of(self.entity)} “{self.title}”" if self.title else f"{label_of(self.entity)} {self.record_id}"


def find(
    session: Session,
    actor: Actor,
    *,
    user_id: int | None = None,
    entity: str = "",
    record_id: int | None = None,
    since: date | None = None,
    until: date | None = None,
    page: int = 1,
    size: int = 50,
) -> Page:
    """One page, the youngest first; ``rows`` hold ``{"look": Look}``. With ``record_id`` also the lists in which the record went out."""
    require(actor, "audit", Action.READ)
    where: list[ColumnElement[bool]] = [owned_within(actor, _READS.c.user_id, actor.scopes("audit", Action.READ))]
    where += [_READS.c.user_id == user_id] if user_id else []
    where += [_READS.c.entity == entity] if entity else []
    where += [_about(record_id)] if record_id else []
    where += between(_READS.c.at, since, until, ZoneInfo(actor.timezone))
    total = session.execute(select(func.count()).select_from(_READS).where(*where)).scalar_one()
    size = min(max(1, size), lists.MAX_SIZE)
    page = min(max(1, page), max(1, -(-total // size)))
    newest = select(_READS).where(*where).order_by(_READS.c.at.desc(), _READS.c.id.desc())
    rows = session.execute(newest.limit(size).offset((page - 1) * size)).all()
    return Page([{"look": look} for look in _looks(session, actor, rows)], total, page, size)


def of_record(session: Session, actor: Actor, entity_key: str, record_id: int, *, limit: int = 50) -> list[Look]:
    """Who looked at one record, the last first."""
    records.get(session, actor, entity_key, record_id, with_deleted=True)
    page = find(session, actor, entity=entity_key, record_id=record_id, size=limit)
    return [row["look"] for row in page.rows]


def _about(record_id: int) -> ColumnElement[bool]:
    listed = _READS.c.record_id.is_(None) & _READS.c.ids.like(f"%,{int(record_id)},%")
    return or_(_READS.c.record_id == record_id, listed)


def _looks(session: Session, actor: Actor, rows: Iterable[Any]) -> list[Look]:
    found = list(rows)
    people = lists.titles(session, actor, "user", {row.user_id for row in found})
    titles = {
        key: lists.titles(session, actor, key, {row.record_id for row in found if row.entity == key})
        for key in {row.entity for row in found} & set(ENTITIES)
    }
    return [
        Look(
            row.id, row.at, people.get(row.user_id or 0, "Somebody"), row.way, row.via, row.entity, row.record_id,
            titles.get(row.entity, {}).get(row.record_id or 0, ""), row.count, row.words,
        )
        for row in found
    ]  # fmt: skip
