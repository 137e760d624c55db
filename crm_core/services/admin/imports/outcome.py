"""The file of outcomes: every row of the import as it came, what became of it and why. Safe to open in a spreadsheet program."""

import csv
import io
from collections import Counter
from collections.abc import Iterator
from typing import Any

from sqlalchemy import func, select
from sqlmodel import Session

from crm_core.access import Actor
from crm_core.kit.text import clip
from crm_core.models import ImportLink, ImportRow, ImportRun
from crm_core.services.admin.imports import reading, store
from crm_core.services.admin.imports.sniff import Layout
from crm_core.vocabulary import RowOutcome

_ROWS: Any = ImportRow.__table__  # type: ignore[attr-defined]
_LINKS: Any = ImportLink.__table__  # type: ignore[attr-defined]
_REASONS = 40
_DANGEROUS = ("=", "+", "-", "@", "\t", "\r")
_BATCH = 1_000


def harmless(text: str) -> str:
    """A cell that no spreadsheet program takes for a formula; numbers stay numbers."""
    if text.startswith(_DANGEROUS) and not _is_number(text):
        return "'" + text
    return text


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", ""))
    except ValueError:
        return False
    return True


def result(session: Session, run_id: int) -> dict[str, Any]:
    """Reasons of rejected rows and notes on taken ones with their numbers, and what was created on the way: for the report of a finished run."""
    reasons: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
    for outcome in (RowOutcome.REJECTED, RowOutcome.CREATED, RowOutcome.UPDATED):
        for noted in _noted(session, run_id, outcome):
            for header, sentence in noted.errors.items():
                reasons[outcome is RowOutcome.REJECTED][f"{header}: {sentence}" if header else sentence] += 1
    linked = session.execute(select(_LINKS.c.entity, func.count()).where(_LINKS.c.run_id == run_id).group_by(_LINKS.c.entity))
    return {
        "reasons": [[clip(text, 300), count] for text, count in reasons[True].most_common(_REASONS)],
        "notes": [[clip(text, 300), count] for text, count in reasons[False].most_common(_REASONS)],
        "linked": dict(linked.tuples().all()),
    }


def lines(session: Session, actor: Actor, run_id: int, *, only: RowOutcome | None = None) -> Iterator[str]:
    """CSV text in pieces: row number, outcome, reason, id of the record, then the cells of the file. ``only``: rows with one outcome."""
    from crm_core.services.admin.imports import runs

    run = runs.get(session, actor, run_id)
    headers = runs.profile_of(run).headers
    yield _csv([["row", "outcome", "reason", "record", *headers]])
    for noted, cells in _pairs(session, run, len(headers), only):
        yield _csv([[noted.n, noted.outcome.label, _why(noted.errors), noted.record_id or "", *cells]])


def _pairs(session: Session, run: ImportRun, width: int, only: RowOutcome | None) -> Iterator[tuple[Any, tuple[str, ...]]]:
    rows = _file_rows(run, width)
    current: reading.Row | None = None
    for noted in _noted(session, run.id or 0, only):
        while rows is not None and (current is None or current.n < noted.n):
            current = next(rows, None)
            if current is None:
                rows = None
        if current is not None and current.n == noted.n:
            yield noted, current.cells
        else:
            yield noted, tuple(noted.raw.values())


def _file_rows(run: ImportRun, width: int) -> Iterator[reading.Row] | None:
    """The rows of the kept file; None when it is gone (rejected rows are kept beside the outcome)."""
    try:
        path = store.locate(run.options["text_path"])
    except Exception:
        return None
    return reading.rows(path, Layout.from_json(run.options), width, fill_short=bool(run.mapping.get("fill_short")))


def _noted(session: Session, run_id: int, only: RowOutcome | None) -> Iterator[Any]:
    last = 0
    while True:
        statement = select(_ROWS).where(_ROWS.c.run_id == run_id, _ROWS.c.n > last).order_by(_ROWS.c.n).limit(_BATCH)
        found = list(session.execute(statement.where(_ROWS.c.outcome == only) if only else statement))
        if not found:
            return
        yield from found
        last = found[-1].n


def _why(errors: dict[str, str]) -> str:
    return " ".join(f"{header}: {sentence}" if header else sentence for header, sentence in errors.items())


def _csv(rows: list[list[Any]]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer).writerows([[harmless(str(cell)) for cell in row] for row in rows])
    return buffer.getvalue()


def rows(
    session: Session, actor: Actor, run_id: int, *, only: RowOutcome | None = None, page: int = 1, size: int = 50
) -> list[dict[str, Any]]:
    """One page of outcomes for the screen."""
    from crm_core.services.admin.imports import runs

    run = runs.get(session, actor, run_id)
    statement = select(_ROWS).where(_ROWS.c.run_id == run.id).order_by(_ROWS.c.n)
    statement = statement.where(_ROWS.c.outcome == only) if only else statement
    found = session.execute(statement.limit(size).offset((page - 1) * size))
    return [{"n": row.n, "outcome": row.outcome, "record_id": row.record_id, "why": _why(row.errors)} for row in found]
