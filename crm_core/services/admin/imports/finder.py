"""Finding records by what a file calls them: one index per entity and key in memory, refreshed with what came in meanwhile.

A query per row would take longer than everything else together. Hits are checked against the database when the record is loaded, so that an
index that has become stale can't write into a wrong record.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import select
from sqlmodel import Session

from crm_core.access import Actor, visible
from crm_core.entities import entity
from crm_core.fields import FieldSpec, to_json
from crm_core.kit.text import email_key, fold
from crm_core.vocabulary import FieldKind

Key = tuple[Any, ...]


def plain(spec: FieldSpec, value: Any) -> Any:
    """A value as it is compared: text without case, accents and double spaces."""
    if value is None or value == "":
        return None
    if isinstance(value, str):
        return email_key(value) if spec.kind is FieldKind.EMAIL else _folded(value)
    return to_json(value) if spec.custom else value


@lru_cache(maxsize=100_000)
def _folded(text: str) -> str:
    return " ".join(fold(text).split())


class Finder:
    """Ids of the records that an actor may see, by one or several fields taken together."""

    def __init__(self, session: Session, actor: Actor, entity_key: str, specs: Sequence[FieldSpec]) -> None:
        self.entity = entity_key
        self.specs = tuple(specs)
        self._actor = actor
        self._ids: dict[Key, list[int]] = {}
        self._last = 0
        self.refresh(session)

    def refresh(self, session: Session) -> None:
        """Take in the records that were created since."""
        found = entity(self.entity)
        table = found.table
        statement = select(table.c.id, *[spec.expression(table) for spec in self.specs]).where(table.c.id > self._last)
        if not found.lookup:
            statement = statement.where(visible(self._actor, self.entity, table))
        for record_id, *values in session.connection().execute(statement):
            self._last = max(self._last, record_id)
            self.add(self.key(values), record_id)

    def key(self, values: Sequence[Any]) -> Key:
        return tuple(plain(spec, value) for spec, value in zip(self.specs, values, strict=True))

    def add(self, key: Key, record_id: int) -> None:
        """Remember a record that this process has just written."""
        if None not in key:
            ids = self._ids.setdefault(key, [])
            if record_id not in ids:
                ids.append(record_id)
        self._last = max(self._last, record_id)

    def drop(self, key: Key, record_id: int) -> None:
        """The record no longer has this key."""
        if record_id in self._ids.get(key, ()):
            self._ids[key].remove(record_id)

    def find(self, key: Key) -> list[int]:
        """Ids of the records with this key; a key with a gap finds none."""
        return self._ids.get(key, [])

    def titles(self) -> list[str]:
        """The first part of every key, for suggestions."""
        return [str(key[0]) for key in self._ids]
