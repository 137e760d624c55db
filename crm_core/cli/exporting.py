"""Records as CSV, in batches, complete or not at all."""

import csv
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, TextIO
from zoneinfo import ZoneInfo

from sqlmodel import select

from crm_core import access, events, house, lists
from crm_core.access import Actor
from crm_core.db import read_session, write_session
from crm_core.entities import ENTITIES, entity
from crm_core.errors import Invalid, Unavailable
from crm_core.fields import FieldSpec, registry
from crm_core.kit.csvio import instant_words
from crm_core.kit.money import to_major
from crm_core.models import Organisation
from crm_core.vocabulary import Choice, FieldKind, Via

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def write_csv(entity_key: str, target: Path, columns: list[str], filter_json: str, step: Callable[..., None]) -> int:
    """Write all records that the filter means; returns how many. The file appears when it is complete."""
    actor = access.system(Via.CLI)
    with read_session() as session, _file(target) as file:
        if entity_key not in ENTITIES:
            raise Invalid(f"There is no kind of record “{entity_key}”. There are: {', '.join(ENTITIES)}.")
        found = entity(entity_key)
        specs = registry(session, found.key)
        unknown = [key for key in columns if key not in specs]
        if unknown:
            raise Invalid(f"{found.plural} have no field {', '.join(unknown)}. There are: {', '.join(specs)}.")
        chosen = [specs[key] for key in (columns or specs)]
        query = lists.ListQuery(filter=_filter(filter_json), columns=tuple(spec.key for spec in chosen), sort=lists.BY_ID)
        organisation = session.exec(select(Organisation)).first()
        currency = organisation.currency if organisation else "USD"
        zone = ZoneInfo(house.zone(session))
        writer = csv.writer(file)
        writer.writerow(["id", *[spec.label for spec in chosen]])
        total, done = lists.count(session, actor, found.key, query), 0
        for batch in _batches(session, actor, found.key, query):
            writer.writerows([row["id"], *[_text(row, spec, currency, zone) for spec in chosen]] for row in batch)
            done += len(batch)
            step(done, total, "")
    with write_session() as session:
        data = {"rows": done, "entity": found.plural.lower(), "form": "csv"}
        events.record(session, actor, "organisation.exported", entity=found.key, data=data)
    return done


def _batches(session: Any, actor: Actor, key: str, query: lists.ListQuery) -> Iterator[list[dict[str, Any]]]:
    yield from lists.iterate(session, actor, key, query)


def _filter(text: str) -> dict[str, Any] | None:
    if not text:
        return None
    try:
        found = json.loads(text)
    except ValueError as error:
        raise Invalid(f"The filter is not JSON: {error}.") from error
    if not isinstance(found, dict):
        raise Invalid("The filter must be a JSON object.")
    return found


def _text(row: dict[str, Any], spec: FieldSpec, currency: str, zone: ZoneInfo) -> str:
    value = row.get(f"{spec.key}.title", row[spec.key]) if spec.kind is FieldKind.REFERENCE else row[spec.key]
    if value is None:
        return ""
    if isinstance(value, Choice):
        return value.label
    if spec.kind is FieldKind.MONEY and isinstance(value, int):
        return str(to_major(value, currency))
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return instant_words(value, zone)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, int | float | Decimal):
        return str(value)
    text = str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text  # a spreadsheet would run it


@contextmanager
def _file(target: Path) -> Iterator[TextIO]:
    if str(target) == "-":
        yield sys.stdout
        return
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with part.open("w", encoding="utf-8-sig", newline="") as file:
            yield file
        part.replace(target)
    except OSError as error:
        raise Unavailable(f"{target} could not be written: {error.strerror or error}.", permanent=True) from error
    finally:
        part.unlink(missing_ok=True)
