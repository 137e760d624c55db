"""What follows from the drafted rows: the event log in the order of time, and the texts and keys under which records are found."""

from types import SimpleNamespace
from typing import Any

import numpy as np

from crm_core.entities import ENTITIES
from crm_core.matching import MATCHED, keys_of
from crm_core.search import tokens_of
from crm_core.services.admin.demo.draft import Draft


def add_events(draft: Draft) -> None:
    """One row per noted event, oldest first."""
    lengths = [len(part["record_id"]) for part in draft.events]

    def column(name: str, empty: Any) -> Any:
        return np.concatenate([_whole(part.get(name, empty), n) for part, n in zip(draft.events, lengths, strict=True)])

    at = np.concatenate([part["at"].astype("datetime64[us]") for part in draft.events])
    order = np.argsort(at, kind="stable")
    draft.put(
        "event_log",
        type=column("type", "")[order],
        entity=column("entity", "")[order],
        record_id=column("record_id", 0)[order].astype(int),
        account_id=np.where(column("account_id", 0)[order] == 0, None, column("account_id", 0)[order]),
        at=at[order],
        actor_id=column("actor_id", 0)[order].astype(int),
        via="demo",
        data=column("data", "{}")[order],
    )
    draft.events.clear()


def _whole(value: Any, n: int) -> Any:
    if isinstance(value, np.ndarray):
        return value.astype(object)
    found = np.empty(n, dtype=object)
    found[:] = value
    return found


def add_search(draft: Draft) -> None:
    """The folded text of every record that quick search finds."""
    entities, ids, texts = [], [], []
    for key, entity in ENTITIES.items():
        rows = draft.tables.get(entity.table.name)
        if rows is None or not entity.search:
            continue
        columns = [rows[name] for name in entity.search if name in rows]
        found = [
            " ".join(token for value in values if value for token in tokens_of(value)) for values in zip(*columns, strict=True)
        ]
        entities += [key] * len(found)
        ids.append(rows["id"])
        texts += found
    draft.put("search_document", entity=entities, record_id=np.concatenate(ids), text=texts)


def add_match_keys(draft: Draft) -> None:
    """The keys by which a second lead, contact or account with the same address or name is recognised."""
    rows: list[tuple[str, int, str, str]] = []
    for entity in MATCHED:
        table = draft.tables[ENTITIES[entity].table.name]
        names = [name for name in ("name", "email", "company", "website") if name in table]
        columns = zip(*(table[name] for name in names), strict=True)
        for number, (values, phone) in enumerate(zip(columns, table["phone"], strict=True), 1):
            record = SimpleNamespace(**dict(zip(names, values, strict=True)))
            rows += [(entity, number, kind, key) for kind, key in sorted(keys_of(entity, record))]
            if phone:  # ours are international already: the slow parser has nothing to add
                rows.append((entity, number, "phone", "".join(filter(str.isdigit, phone))[-8:]))
    keys = ("entity", "record_id", "kind", "key")
    draft.put("match_key", **{key: list(column) for key, column in zip(keys, zip(*rows, strict=True), strict=True)})
