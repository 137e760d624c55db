"""How an open deal stood on past days, read off the log of its changes. Pure: plain values in, stretches of days out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from crm_core.vocabulary import ForecastCategory, StageKind

REPLAYED = ("owner_id", "amount_minor", "expected_close_on", "probability_pct", "forecast_category")
"""Fields of a deal whose past values are read from the log; the stage comes from the stage events."""


@dataclass(frozen=True)
class StageFacts:
    """What a stage means today."""

    kind: StageKind
    pipeline_id: int
    probability_pct: int
    category: ForecastCategory


@dataclass(frozen=True)
class Change:
    """One logged change of a field, on a calendar day of the workspace."""

    on: date
    field: str
    old: Any
    new: Any


@dataclass(frozen=True)
class Stretch:
    """From the evening of ``from_on`` until before the evening of ``until_on`` (None: still) the deal stood like this."""

    from_on: date
    until_on: date | None
    owner_id: int | None
    pipeline_id: int
    stage_id: int
    amount_minor: int
    expected_close_on: date | None
    probability_pct: int
    category: ForecastCategory


def stretches(
    now: Mapping[str, Any], known_from: date, changes: Sequence[Change], stages: Mapping[int, StageFacts]
) -> list[Stretch]:
    """The stretches on which a deal stood open, from the day on which the log knows it.

    ``now``: today's values of ``REPLAYED`` and ``stage_id``; ``changes`` in the order of the log, moves between stages as changes of
    ``stage_id``. Each evening shows what was known then: a change of a later day does not reach back.
    """
    days = sorted({known_from, *(change.on for change in changes if change.on > known_from)})
    found: list[Stretch] = []
    for place, day in enumerate(days):
        until = days[place + 1] if place + 1 < len(days) else None
        here = _standing(now, day, until, changes, stages)
        if here is None:
            continue
        if found and found[-1].until_on == day and _same(found[-1], here):
            found[-1] = replace(found[-1], until_on=until)
        else:
            found.append(here)
    return found


def _standing(
    now: Mapping[str, Any], day: date, until: date | None, changes: Sequence[Change], stages: Mapping[int, StageFacts]
) -> Stretch | None:
    stage_id = value_on(day, "stage_id", now["stage_id"], changes)
    stage = stages.get(stage_id)
    if stage is None or stage.kind is not StageKind.OPEN:
        return None
    values = {name: value_on(day, name, now[name], changes) for name in REPLAYED}
    expected = values["expected_close_on"]
    category = values["forecast_category"]
    return Stretch(
        day,
        until,
        values["owner_id"],
        stage.pipeline_id,
        stage_id,
        int(values["amount_minor"] or 0),
        date.fromisoformat(expected[:10]) if isinstance(expected, str) else expected,
        _probability(values["probability_pct"], stage_id, stage, now, changes),
        ForecastCategory(category) if category else stage.category,
    )


def value_on(day: date, name: str, today: Any, changes: Sequence[Change]) -> Any:
    """The value at the end of a day: what the last change until then made of it, or what the first later one found."""
    mine = [change for change in changes if change.field == name]
    before = [change for change in mine if change.on <= day]
    if before:
        return before[-1].new
    return mine[0].old if mine else today


def _probability(value: Any, stage_id: int, stage: StageFacts, now: Mapping[str, Any], changes: Sequence[Change]) -> int:
    """Where the log never names the probability, an earlier stage had its usual one: today's belongs to today's stage."""
    logged = any(change.field == "probability_pct" for change in changes)
    return int(value) if logged or stage_id == now["stage_id"] else stage.probability_pct


def _same(one: Stretch, other: Stretch) -> bool:
    return replace(one, from_on=other.from_on, until_on=other.until_on) == other
