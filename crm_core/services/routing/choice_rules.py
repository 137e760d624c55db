"""Whose turn it is, decided on plain values: who is free, who is next, who is the most capable. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from crm_core.vocabulary import RouteMethod

TOP_SKILL = 5
OPEN_WITHOUT_LIMIT = 20
"""Somebody without a capacity has no room left, as far as the score goes, at so many open records."""
WEIGHTS = {"skill": 0.5, "success": 0.3, "room": 0.2}
FEWEST, MOST, UNKNOWN = 2.0, 100.0, 10.0
"""Bounds of the prior's strength, and its value while there are too few people to estimate it."""

WHY_NOT = {
    "left": "has left",
    "no_right": "may not work on these",
    "off": "takes no work at the moment",
    "absent": "away until {detail}",
    "off_shift": "not on shift",
    "full": "full: {detail}",
    "skill": "lacks the skill {detail}",
    "elsewhere": "another territory",
}
"""Why somebody was passed over; {detail} says how much or until when."""


@dataclass(frozen=True)
class Candidate:
    """Somebody a rule may give work to, as things stand. ``why_not``: a key of WHY_NOT, empty for who is free; ``skill``: level of the skill asked for,
    None when none is; ``success``: shrunk share of good ends in this category."""

    user_id: int
    weight: int = 1
    why_not: str = ""
    detail: str = ""
    load: int = 0
    capacity: int | None = None
    skill: int | None = None
    success: float | None = None
    cases: int = 0
    last_at: datetime | None = None
    score: float | None = None
    parts: Mapping[str, float] = field(default_factory=dict)

    @property
    def free(self) -> bool:
        return not self.why_not

    @property
    def room(self) -> float:
        """Share of the capacity that is left."""
        limit = OPEN_WITHOUT_LIMIT if self.capacity is None else self.capacity
        return max(0.0, 1 - self.load / limit) if limit else 0.0


@dataclass(frozen=True)
class Choice:
    """Who was chosen (None when nobody is free), everybody with their score, and the turns afterwards."""

    user_id: int | None
    candidates: tuple[Candidate, ...]
    state: Mapping[str, int]


def choose(
    method: RouteMethod, candidates: Sequence[Candidate], state: Mapping[str, int], weights: Mapping[str, float] | None = None
) -> Choice:
    """The next one by a method. ``state``: the credit of each person in the rule's turns."""
    free = [one for one in candidates if one.free]
    if method is RouteMethod.LEAST:
        scored = {one.user_id: replace(one, score=float(-one.load), parts={"open": float(one.load)}) for one in free}
        return _best(candidates, scored, state)
    if method is RouteMethod.CAPABLE:
        return _best(candidates, {one.user_id: capable(one, weights or WEIGHTS) for one in free}, state)
    even = method is not RouteMethod.WEIGHTED
    user_id, after = turn({one.user_id: 1 if even else max(1, one.weight) for one in free}, state)
    shown = tuple(replace(one, score=float(state.get(str(one.user_id), 0))) if one.free else one for one in candidates)
    return Choice(user_id, shown, after)


def turn(members: Mapping[int, int], state: Mapping[str, int]) -> tuple[int | None, dict[str, int]]:
    """The next of ``members`` (id → weight) by smooth weighted round robin, and the credits afterwards.

    Everybody is credited their weight, the richest is chosen and pays the sum. While the same people are free, each gets exactly their weight in every
    round of as many turns as the weights sum up to, spread evenly; who was away neither loses a place nor catches up on what was missed.
    """
    if not members:
        return None, dict(state)
    total = sum(members.values())
    after = {**state, **{str(user_id): state.get(str(user_id), 0) + weight for user_id, weight in members.items()}}
    chosen = max(members, key=lambda user_id: (after[str(user_id)], -user_id))
    after[str(chosen)] -= total
    return chosen, after


def capable(one: Candidate, weights: Mapping[str, float]) -> Candidate:
    """Skill, success and room, each between 0 and 1, weighed and divided by the sum of the weights."""
    parts = {
        "skill": 0.5 if one.skill is None else one.skill / TOP_SKILL,
        "success": 0.5 if one.success is None else one.success,
        "room": one.room,
    }
    total = sum(max(0.0, float(weights.get(key, 0))) for key in parts) or 1.0
    score = sum(max(0.0, float(weights.get(key, 0))) * value for key, value in parts.items()) / total
    return replace(one, score=round(score, 4), parts={key: round(value, 4) for key, value in parts.items()})


def _best(candidates: Sequence[Candidate], scored: Mapping[int, Candidate], state: Mapping[str, int]) -> Choice:
    """The highest score; among equals who has waited longest for work, then the lowest id."""

    def order(one: Candidate) -> tuple[float, float, int]:
        waited = -one.last_at.timestamp() if one.last_at is not None else float("inf")
        return (one.score or 0.0, waited, -one.user_id)

    best = max(scored.values(), key=order, default=None)
    return Choice(best.user_id if best else None, tuple(scored.get(one.user_id, one) for one in candidates), dict(state))


def shrink(found: Mapping[int, tuple[int, int]]) -> dict[int, float]:
    """Success per person as (good, all), pulled towards the mean of all of them: empirical Bayes of a beta-binomial.

    The prior's mean is the pooled share, its strength follows from how much people differ beyond chance (method of moments), between FEWEST and MOST
    imaginary cases. So three good cases of three are no proof, and three hundred are.
    """
    cases = sum(n for _, n in found.values())
    mean = sum(good for good, _ in found.values()) / cases if cases else 0.5
    strength = _strength([pair for pair in found.values() if pair[1]], mean)
    return {user_id: (good + strength * mean) / (n + strength) for user_id, (good, n) in found.items()}


def _strength(pairs: Sequence[tuple[int, int]], mean: float) -> float:
    cases, spread = sum(n for _, n in pairs), mean * (1 - mean)
    room = cases - sum(n * n for _, n in pairs) / cases if cases else 0.0
    if len(pairs) < 2 or spread == 0 or room <= 0:
        return UNKNOWN
    seen = sum(n * (good / n - mean) ** 2 for good, n in pairs)
    between = (seen - (len(pairs) - 1) * spread) / room
    return MOST if between <= 0 else min(MOST, max(FEWEST, spread / between - 1))


def territory_of(rows: Sequence[Mapping[str, Any]], value: Any) -> list[int]:
    """Whose territory a value lies in: an equal text, or a beginning written as ``80*``; the longest match wins, ``*`` alone takes the rest."""
    text = str(value if value is not None else "").strip().casefold()
    best: dict[int, int] = {}
    for row in rows:
        for raw in row.get("values", ()):
            length = _match(str(raw).strip().casefold(), text)
            if length >= 0:
                best[int(row["user_id"])] = max(length, best.get(int(row["user_id"]), -1))
    top = max(best.values(), default=-1)
    return [user_id for user_id, length in best.items() if length == top]


def _match(pattern: str, text: str) -> int:
    if pattern.endswith("*"):
        return len(pattern) - 1 if text.startswith(pattern[:-1]) else -1
    return 10_000 if pattern and pattern == text else -1
