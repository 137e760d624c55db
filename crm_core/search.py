"""Full-text search behind one function: FTS5 on SQLite, ``tsvector`` on PostgreSQL, both over the folded text of ``search_document``."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, column, false, func, literal, literal_column, or_, select, table, true
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session

from crm_core import matching as matching_keys
from crm_core import persons
from crm_core.access import Actor
from crm_core.db import is_sqlite
from crm_core.entities import Entity, entity
from crm_core.fields import builtin
from crm_core.filters import folded
from crm_core.kit.text import words
from crm_core.models import AccountPoint, ContactPoint, SearchDocument

_DOCS = SearchDocument.__table__  # type: ignore[attr-defined]
MAX_WORDS = 8
_FTS = table("search_fts", column("rowid"))
_VECTOR: ColumnElement[str] = literal_column("to_tsvector('simple', search_document.text)")


_POINTS: dict[str, tuple[Any, str]] = {"contact": (ContactPoint, "contact_id"), "account": (AccountPoint, "account_id")}
"""Where the further addresses and numbers of a kind of record lie."""


def _further(session: Session, entity_key: str, ids: Sequence[int]) -> dict[int, list[str]]:
    """The addresses and numbers of records beside their main ones: id → values."""
    found: dict[int, list[str]] = {}
    if entity_key not in _POINTS:
        return found
    model, key = _POINTS[entity_key]
    owner = getattr(model, key)
    for start in range(0, len(ids), 500):
        mine = owner.in_(ids[start : start + 500])
        for record_id, value in session.execute(
            select(owner, model.value).where(mine, model.is_primary.is_(False)).order_by(model.id)
        ):
            found.setdefault(record_id, []).append(value)
    return found


def text_of(found: Entity, record: Any, further: Iterable[str] = ()) -> str:
    """The words under which a record is found, one space between them. ``further``: texts that stand in no field of it.

    PostgreSQL's parser would otherwise keep ``jane@acme.com`` as one lexeme and read ``T-000042`` as a negative number.
    """
    values = (*(getattr(record, key, None) for key in found.search), *further)
    return " ".join(token for value in values if value for token in tokens_of(str(value)))


def tokens_of(text: str) -> list[str]:
    """The words of a text as both databases tell them apart (an underscore is no part of a word)."""
    return [part for word in words(text) for part in word.split("_") if part]


def concerns(entity_key: str, changed: Iterable[str]) -> bool:
    """Whether a change of these fields may change how a record is found or recognised."""
    sources = {*entity(entity_key).search, *matching_keys.sources(entity_key)}
    return not sources.isdisjoint(changed) or not sources <= builtin(entity_key).keys()  # what no field shows may change unseen


def index(session: Session, entity_key: str, record: Any) -> None:
    """Write the search text and the match keys of one flushed record, whoever wrote them before (an earlier version, an import, a repair)."""
    matching_keys.index(session, entity_key, record)
    found = entity(entity_key)
    if not found.search:
        return
    insert = sqlite.insert if is_sqlite(session) else postgresql.insert
    made = insert(_DOCS).values(
        entity=entity_key,
        record_id=record.id,
        text=text_of(found, record, _further(session, entity_key, [record.id]).get(record.id, ())),
    )
    fresh = made.excluded.text
    session.execute(
        made.on_conflict_do_update(index_elements=["entity", "record_id"], set_={"text": fresh}, where=_DOCS.c.text != fresh)
    )


def index_many(session: Session, entity_key: str, records: Iterable[Any]) -> None:
    """Write the search text and the match keys of newly inserted records in one go (imports, the demo)."""
    records = list(records)
    matching_keys.index_many(session, entity_key, records)
    found = entity(entity_key)
    further = _further(session, entity_key, [record.id for record in records])
    rows = (
        [{"entity": entity_key, "record_id": one.id, "text": text_of(found, one, further.get(one.id, ()))} for one in records]
        if found.search
        else []
    )
    if rows:
        session.execute(_DOCS.insert(), rows)


def matching(session: Session, entity_key: str, query: str) -> Select[Any] | None:
    """A SELECT of the ids of an entity's records that contain every word of the query (as the beginning of a word); None without words."""
    hits = _hits(session, query)
    return select(_DOCS.c.record_id).where(_DOCS.c.entity == entity_key, _DOCS.c.id.in_(hits)) if hits is not None else None


def _hits(session: Session, query: str) -> Select[Any] | None:
    """A SELECT of the documents that contain every word of the query, of whatever kind of record; None without words."""
    tokens = tokens_of(query)[:MAX_WORDS]
    if not tokens:
        return None
    if is_sqlite(session):
        return select(_FTS.c.rowid.label("id")).where(literal_column("search_fts").op("match")(_sqlite_terms(tokens)))
    return select(_DOCS.c.id).where(_VECTOR.op("@@")(func.to_tsquery("simple", _postgres_terms(tokens))))


def _sqlite_terms(tokens: list[str]) -> str:
    return " AND ".join(f'"{token}"*' for token in tokens)


def _postgres_terms(tokens: list[str]) -> str:
    return " & ".join(f"'{token}':*" for token in tokens)


NAMES = 60
"""Among so many of the first letters of a record's words stands its name."""


def newest(session: Session, query: str, *, limit: int) -> list[tuple[str, int, bool]]:
    """Entity and id of the newest records of any kind that contain every word of the query, and whether all words stand where names do; nothing is
    checked against permissions here."""
    hits = _hits(session, query)
    if hits is None:
        return []
    last = hits.order_by(hits.selected_columns[0].desc()).limit(limit).subquery()
    tokens = tokens_of(query)[:MAX_WORDS]
    names = literal(" ") + func.substr(_DOCS.c.text, 1, NAMES)
    named = and_(*(names.contains(f" {token}", autoescape=True) for token in tokens))
    rows = select(_DOCS.c.entity, _DOCS.c.record_id, named).join(last, last.c.id == _DOCS.c.id).order_by(_DOCS.c.id.desc())
    return [(entity_key, record_id, bool(early)) for entity_key, record_id, early in session.execute(rows)]


FREQUENT = 20_000
"""From so many hits on, reading the words of the records that somebody may see is less work than collecting all hits."""


def is_frequent(session: Session, query: str) -> bool:
    """Whether the words of the query stand in very many records, whoever may see them."""
    hits = _hits(session, query)
    if hits is None:
        return False
    return session.execute(select(func.count()).select_from(hits.limit(FREQUENT).subquery())).scalar_one() == FREQUENT


def nearness(query: str, title: str) -> int:
    """How near a record's name is to what was typed: 0 each word is one of the name's, 1 each begins one of them, 2 something else was found."""
    tokens, said = tokens_of(query)[:MAX_WORDS], tokens_of(title)
    if all(token in said for token in tokens):
        return 0
    return 1 if _begun(tokens, said) else 2


def _begun(tokens: Iterable[str], said: Sequence[str]) -> bool:
    """Whether each token begins one of the words."""
    return all(any(word.startswith(token) for word in said) for token in tokens)


def within(session: Session, actor: Actor, entity_key: str, query: str) -> Select[Any] | None:
    """Like ``matching``, but what a masked field holds does not decide: then only the readable columns are compared, subjects as they are read."""
    found, tokens = entity(entity_key), tokens_of(query)[:MAX_WORDS]
    readable = [key for key in found.search if not actor.masked(entity_key, key)]
    if len(readable) == len(found.search) or not tokens:
        hits, number = matching(session, entity_key, query), _DOCS.c.record_id
    else:
        columns = [literal(" ") + found.table.c[key] for key in readable]
        parts = [or_(false(), *(folded(column).contains(f" {token}", autoescape=True) for column in columns)) for token in tokens]
        hits, number = select(found.table.c.id.label("record_id")).where(and_(*parts)), found.table.c.id
    if hits is None or not narrowed(actor, entity_key):
        return hits

    def fits(row: Mapping[str, Any]) -> bool:
        said = tokens_of(" ".join(str(row[key]) for key in readable if row[key]))
        return _begun(tokens, said)

    wrong = persons.misread(session, actor, entity_key, found.table.c.id.in_(hits), readable, fits)
    return hits.where(number.not_in(persons.numbers(wrong))) if wrong else hits


def narrowed(actor: Actor, entity_key: str) -> bool:
    """Whether the actor's role hides some of the words under which records of a kind are found."""
    return any(persons.blurs(actor, entity_key, key) for key in entity(entity_key).search)


def among(session: Session, actor: Actor, entity_key: str, query: str) -> ColumnElement[bool]:
    """Like ``within``, as a clause for where few records are left: their words are read one by one, rather than all hits of a frequent word first."""
    found = entity(entity_key)
    if narrowed(actor, entity_key):
        hits = within(session, actor, entity_key, query)
        return found.table.c.id.in_(hits) if hits is not None else true()
    said = literal(" ") + _DOCS.c.text
    held = [said.contains(f" {token}", autoescape=True) for token in tokens_of(query)[:MAX_WORDS]]
    if not held:
        return true()
    mine = select(_DOCS.c.id).where(_DOCS.c.entity == entity_key, _DOCS.c.record_id == found.table.c.id, *held)
    return mine.correlate(found.table).exists()
