"""What is counted of tickets by the days of their moments: read from the records and from their daily summary by the same expressions."""

from typing import Any

from sqlalchemy import and_, case, func, or_

from crm_core import summary_marks
from crm_core.spans import minutes_between, packed
from crm_core.vocabulary import DONE, PromiseOutcome, TicketKind

UNDONE = tuple(kind for kind in TicketKind if kind not in DONE)
"""Asked for by name, these few are found in an index; asked for as all others, every ticket is read."""
CONTENT_FROM = 4
"""Of 5: from this score on a customer is counted as happy, as on the page of a survey."""

PACKED = ("response_minutes", "response_work", "resolution_minutes", "resolution_work")
"""Measures that keep every number, since a median needs each: texts with commas."""


def opened(table: Any) -> dict[str, Any]:
    """By the day of opening: minutes to the first answer (by the clock, and working ones), how promises ended, and how many were ever seen
    leaving or are still there (one closed without being solved is neither)."""
    response, resolution = table.c.response_promise, table.c.resolution_promise
    return {
        "response_minutes": packed(minutes_between(table.c.first_response_at, table.c.opened_at)),
        "response_work": packed(table.c.response_minutes),
        "response_promised": func.count(response),
        "response_kept": func.count(case((response == PromiseOutcome.KEPT, 1))),
        "resolution_promised": func.count(resolution),
        "resolution_kept": func.count(case((resolution == PromiseOutcome.KEPT, 1))),
        "came": func.count(case((or_(table.c.status.in_(UNDONE), table.c.solved_at.is_not(None)), 1))),
    }


def solved(table: Any) -> dict[str, Any]:
    """By the day of solving: the minutes that it took. One that was merged was closed and has no day of a first solution."""
    done = table.c.status.in_(DONE)
    told = and_(done, table.c.first_solved_at.is_not(None))
    return {
        "resolution_minutes": packed(case((told, minutes_between(table.c.solved_at, table.c.opened_at)))),
        "resolution_work": packed(case((told, table.c.resolution_minutes))),
        "went": func.count(case((done, 1))),
    }


def first_solved(table: Any) -> dict[str, Any]:
    """By the day of the first solution: what came back, and what took a single answer."""
    answers, again = table.c.answer_count, table.c.reopened_count > 0
    return {
        "first_solved": func.count(),
        "reopened": func.count(case((again, 1))),
        "answered_solved": func.count(case((answers >= 1, 1))),
        "first_contact": func.count(case((and_(answers == 1, table.c.reopened_count == 0), 1))),
    }


def rated(table: Any) -> dict[str, Any]:
    """By the day on which the customer said how happy they were."""
    return {"rated": func.count(), "satisfied": func.count(case((table.c.satisfaction >= CONTENT_FROM, 1)))}


MOMENTS = dict(zip(summary_marks.MOMENTS, (opened, solved, first_solved, rated), strict=True))
"""The moments of a ticket by whose days it is counted, each with its measures."""
