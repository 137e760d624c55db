"""What a shared page shows of an analysis: verdict, summary, and those tables that say how many records each row rests on. Never single records."""

import math
import re
from typing import Any

from markupsafe import Markup
from sqlmodel import Session

from crm_core import format as fmt
from crm_core.access import Actor
from crm_core.errors import NotFound
from crm_core.services.analytics import paper, paper_charts, runs
from crm_core.services.analytics.paper import Sheet
from crm_core.services.analytics.sharing import GONE, Opened
from crm_core.services.analytics.suppression_rules import hidden, is_small
from crm_core.vocabulary import RunState

COUNTS = ("customers", "n", "size", "count", "records", "members", "journeys", "baskets", "cases", "people", "orders")
"""Columns that say how many records a row rests on, the best one first."""
SINGLE = re.compile(r"(^|_)(id|ids|name|email|phone|contact|account|lead|deal|customer)$")
"""Columns that stand for single records or people: a table that has one is not shown."""
MOST = 40


def page(session: Session, opened: Opened, foot: tuple[str, ...], *, icon: str = "") -> str:
    """The document of a finished analysis."""
    actor = opened.actor
    run = runs.get(session, actor, opened.target_id)
    if run.state is not RunState.DONE:
        raise NotFound(GONE)
    parts = [
        paper.section("Verdict", _paragraphs([run.verdict, *run.warnings]), 8),
        paper.section("Summary", _summary(actor, run.summary), 4),
    ]
    for name in run.tables:
        made = _table(session, actor, run.id, name)
        if made:
            parts.append(paper.section(_words(name), made))
    facts = f"As of {fmt.day(actor, run.as_of)}, computed {fmt.instant(actor, run.finished_at)}"
    return paper.page(Sheet(opened.label or run.title, "", facts, (), foot), Markup("").join(parts), icon=icon)


def _paragraphs(lines: list[str]) -> Markup:
    return Markup("").join(Markup('<p class="text">{}</p>').format(line) for line in lines if line)


def _summary(actor: Actor, summary: Any) -> Markup:
    rows = [
        (_words(key), _text(actor, key, value))
        for key, value in summary.items()
        if isinstance(value, (int, float, str)) and not (key in COUNTS and isinstance(value, int) and is_small(value))
    ]
    return paper_charts.table(["", ""], rows) if rows else _paragraphs(["Nothing beside the verdict."])


def _table(session: Session, actor: Actor, run_id: int, name: str) -> Markup | None:
    """A table whose rows say how many records they rest on; None for any other."""
    frame = runs.table(session, actor, run_id, name)
    columns = [str(column) for column in frame.columns]
    counted = next((column for column in COUNTS if column in columns), None)
    if counted is None or frame.empty or any(SINGLE.search(column) for column in columns if column != counted):
        return None
    cases = [int(value) if value == value else 0 for value in frame[counted].tolist()]
    gone = hidden(cases)
    kept = [n for n in range(len(frame)) if n not in gone and cases[n] > 0][:MOST]
    if not kept:
        return None
    rows = [[_text(actor, column, frame[column].iloc[n]) for column in columns] for n in kept]
    note = f"{len(gone)} rows about few records are not shown." if gone else ""
    return paper_charts.table([_words(column) for column in columns], rows) + _paragraphs([note])


def _words(key: str) -> str:
    plain = key.removesuffix("_minor").removesuffix("_pct").replace("_", " ").strip()
    return plain[:1].upper() + plain[1:]


def _text(actor: Actor, key: str, value: Any) -> str:
    value = value.item() if hasattr(value, "item") else value
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return fmt.NOTHING
    if isinstance(value, bool):
        return "Yes" if value else "No"
    if isinstance(value, (int, float)):
        if key.endswith("_minor"):
            return fmt.money(actor, round(value))
        return fmt.number(actor, value, digits=0 if abs(value) >= 1000 else 3)
    return str(value)[:200]
