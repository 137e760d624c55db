"""Full-text search behind one function: FTS5 on SQLite, ``tsvector`` on PostgreSQL, both over the folded text of ``search_document``."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, literal_column, select, text
from sqlmodel import Session

from crm_core import matching as matching_keys
from crm_core.db import is_sqlite
from crm_core.entities import Entity, entity
from crm_core.kit.text import fold, words
from crm_core.models import SearchDocument

_DOCS = SearchDocument.__table__  # type: ignore[attr-defined]
MAX_WORDS = 8


def text_of(found: Entity, record: Any) -> str:
    """The folded text under which a record is found."""
    values = (getattr(record, key, None) for key in found.search)
    return " ".join(fold(str(value)) for value in values if value)


def index(session: Session, entity_key: str, record: Any) -> None:
    """Write the search text and the match keys of one flushed record."""
    matching_keys.index(session, entity_key, record)
    found = entity(entity_key)
    if not found.search:
        return
    folded_text = text_of(found, record)
    row = session.execute(
        select(_DOCS.c.id, _DOCS.c.text).where(_DOCS.c.entity == entity_key, _DOCS.c.record_id == record.id)
    ).first()
    if row is None:
        session.execute(_DOCS.insert().values(entity=entity_key, record_id=record.id, text=folded_text))
    elif row.text != folded_text:
        session.execute(_DOCS.update().where(_DOCS.c.id == row.id).values(text=folded_text))


def index_many(session: Session, entity_key: str, records: Iterable[Any]) -> None:
    """Write the search text and the match keys of newly inserted records in one go (imports, the demo)."""
    records = list(records)
    matching_keys.index_many(session, entity_key, records)
    found = entity(entity_key)
    rows = (
        [{"entity": entity_key, "record_id": record.id, "text": text_of(found, record)} for record in records]
        if found.search
        else []
    )
    if rows:
        session.execute(_DOCS.insert(), rows)


def matching(session: Session, entity_key: str, query: str) -> Select[Any] | None:
    """A SELECT of the ids of an entity's records that contain every word of the query (as the beginning of a word); None without words."""
    tokens = words(query)[:MAX_WORDS]
    if not tokens:
        return None
    if is_sqlite(session):
        terms = " AND ".join(f'"{token}"*' for token in tokens)
        hits = (
            text("select rowid as id from search_fts where search_fts match :terms")
            .bindparams(terms=terms)
            .columns(_DOCS.c.id)
            .subquery()
        )
        return select(_DOCS.c.record_id).where(_DOCS.c.entity == entity_key, _DOCS.c.id.in_(select(hits.c.id)))
    terms = " & ".join(f"'{token}':*" for token in tokens)
    vector: ColumnElement[str] = literal_column("to_tsvector('simple', search_document.text)")
    return select(_DOCS.c.record_id).where(and_(_DOCS.c.entity == entity_key, vector.op("@@")(func.to_tsquery("simple", terms))))
